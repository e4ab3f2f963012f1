"""Timeloop mappings: factors and permutation of every level, spatial ones with their split, and bypass."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from picojoule.mapping.peers import Nest, SpatialLoop, Stage, uncovered

from ._document import MAXIMUM_LOOPS, Node
from ._timeloop_architecture import Component
from ._timeloop_problem import NamedProblem

_KEYS: Final = ("target", "name", "type", "factors", "permutation", "split", "keep", "bypass", "keep_only")
_BYPASS: Final = ("bypass", "dataspace", "datatype", "bypassing")


@dataclass(slots=True)
class _Draft:
    """What a mapping says of one level so far."""

    component: Component
    keeps: set[str]
    temporal: list[tuple[str, int]] = field(default_factory=list)
    spatial: list[SpatialLoop] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


def roles_kept(
    components: list[Component], targets: Node | None, tensors: dict[str, str]
) -> dict[str, tuple[set[str], set[str]]]:
    """By storage: (roles it may keep, roles it must keep), from constraints; a mesh keeps nothing."""
    roles = {tensor: role for role, tensor in tensors.items()}
    found = {one.name: (set(tensors) if one.kind == "storage" else set[str](), set[str]()) for one in components[:-1]}
    stated: list[tuple[str, Node]] = []
    for one in components[:-1]:
        dataspace = one.constraints.get("dataspace") if one.constraints else None
        if dataspace is not None:
            stated.append((one.name, dataspace))
    for entry in targets.items() if targets else []:
        kind, target = entry.get("type"), entry.get("target", "name")
        if kind is not None and kind.text() in _BYPASS and target is not None:
            stated.append((_target(target, found), entry))
    for name, entry in stated:
        may, must = found[name]
        keep, only = _spaces(entry, "keep", roles), _spaces(entry, "keep_only", roles)
        may -= _spaces(entry, "bypass", roles) - keep
        if only:
            may &= only
        must |= (keep | only) & may
    return found


def _target(node: Node, known: Iterable[str]) -> str:
    """The level that a target means: a container's mesh is also called inter_NAME_spatial."""
    name = re.sub(r"\[\d+\.\.\d+\]$", "", node.text())
    for one in (name, re.sub(r"^inter_(.*)_spatial$", r"\1", name), f"inter_{name}_spatial"):
        if one in known:
            return one
    raise node.refusal(f"no component is named {name!r}", f"one of {', '.join(known)}")


def _spaces(entry: Node, key: str, roles: dict[str, str]) -> set[str]:
    """Roles named in a list; * for all."""
    node = entry.get(key)
    if node is None or node.value == []:
        return set()
    found = set()
    for word in node.words():
        if word not in roles and word != "*":
            raise node.refusal(f"no data space {word!r}", f"one of {', '.join(roles)}")
        found |= set(roles.values()) if word == "*" else {roles[word]}
    return found


def read_mapping(node: Node, components: list[Component], problem: NamedProblem, targets: Node | None) -> Nest:
    """The nest of a mapping file's `mapping`; refused where it does not cover the problem or does not fit the mesh."""
    roles = {tensor: role for role, tensor in problem.tensors.items()}
    kept = roles_kept(components, targets, problem.tensors)
    drafts = {one.name: _Draft(one, set(kept[one.name][0])) for one in components[:-1]}
    for entry in node.items():
        for key, child in entry.pairs():
            if key not in _KEYS:
                raise child.refusal(f"{key!r} is not read in a mapping", f"one of {', '.join(_KEYS)}")
        draft = drafts[_target(entry.need("target", "name"), drafts)]
        _entry(entry, draft, problem, roles)
    stages = tuple(
        Stage(one.component.name, tuple(role for role in problem.tensors if role in one.keeps), tuple(one.temporal),
              tuple(one.spatial))
        for one in drafts.values()
    )  # fmt: skip
    nest = Nest(problem.problem, stages)
    if (count := sum(len(one.temporal) + len(one.spatial) for one in stages)) > MAXIMUM_LOOPS:
        raise node.refusal(f"{count} loops are too many", f"at most {MAXIMUM_LOOPS}")
    _whole(node, nest, problem)
    _fits(node, nest, components)
    return nest


def innermost_loop(node: Node, components: list[Component], problem: NamedProblem) -> str | None:
    """The dimension of the innermost loop, one of trip 1 too; None where the mapping does not say."""
    known = [one.name for one in components[:-1]]
    for entry in node.items():
        inside = entry.need("type").text() == "temporal" and _target(entry.need("target", "name"), known) == known[-1]
        if inside and entry.get("permutation") is not None:
            return _permutation(entry, _factors(entry, problem), problem)[0]
    return None


def _entry(entry: Node, draft: _Draft, problem: NamedProblem, roles: dict[str, str]) -> None:
    kind = entry.need("type").text()
    if kind in _BYPASS:
        draft.keeps |= _spaces(entry, "keep", roles)
        draft.keeps -= _spaces(entry, "bypass", roles)
        if draft.component.kind == "mesh" and draft.keeps:
            raise entry.refusal(f"{draft.component.name} is a mesh and keeps nothing", "bypass of every data space")
        return
    if kind not in ("temporal", "spatial"):
        raise entry.need("type").refusal(f"the type {kind!r} is not read", "temporal, spatial, dataspace or bypass")
    if kind in draft.seen:
        raise entry.refusal(f"a second {kind} entry for {draft.component.name}", "one for every level")
    draft.seen.add(kind)
    factors = _factors(entry, problem)
    order = _permutation(entry, factors, problem)
    if kind == "temporal":
        draft.temporal = [(dim, factors[dim]) for dim in reversed(order) if factors[dim] > 1]
        return
    split = entry.get("split")
    cut = split.integer(0, 10_000) if split else len(order)
    axes: list[Literal["x", "y"]] = ["x" if i < cut else "y" for i in range(len(order))]
    pairs = list(zip(order, axes, strict=True))[::-1]
    draft.spatial = [SpatialLoop(dim, factors[dim], axis) for dim, axis in pairs if factors[dim] > 1]


def _factors(entry: Node, problem: NamedProblem) -> dict[str, int]:
    """`C4 M2`, `C=4,M=2` or a list of such; dimensions that are not named have factor 1."""
    found = dict.fromkeys(problem.problem.dims, 1)
    node = entry.get("factors")
    if node is None:
        return found
    text = " ".join(node.words())
    where = 0
    for match in re.finditer(r"\s*(?:([A-Za-z_]\w*)\s*=\s*|([A-Za-z_]+)\s*)(\d{1,12})(\s+\d+)?(?!\w)", text):
        if match.start() != where:
            break
        where = match.end()
        dim, factor = match[1] or match[2], int(match[3])
        if match[4]:
            raise node.refusal(f"{match[0].strip()!r}: factors that do not divide are not replayed", "one whole factor")
        if dim not in found:
            raise node.refusal(f"no dimension {dim!r} in the problem", f"one of {', '.join(found)}")
        if factor < 1:
            raise node.refusal(f"{dim}={factor} means the rest, which is not worked out", "the factor itself")
        found[dim] = factor
    if text[where:].strip():
        raise node.refusal(f"{text[where:][:40]!r} is no factor", "dimension and number", "factors: C=4 M=2")
    return found


def _permutation(entry: Node, factors: dict[str, int], problem: NamedProblem) -> list[str]:
    """Dimensions, innermost first; those that are not named come last and must have factor 1, or be the only one."""
    dims = problem.problem.dims
    node = entry.get("permutation")
    found: list[str] = []
    if node is not None:
        words = node.words()
        letters = [c for word in words for c in word] if not all(word in dims for word in words) else words
        for word in letters:
            if word not in dims or word in found:
                what = "stands twice" if word in found else "is no dimension of the problem"
                raise node.refusal(f"{word!r} {what}", f"each of {', '.join(dims)} once, innermost first")
            found.append(word)
    rest = [dim for dim in dims if dim not in found]
    moving = [dim for dim in dims if factors[dim] > 1]
    if len(moving) > 1 and any(dim in rest for dim in moving):
        raise (node or entry).refusal(
            f"the permutation does not place {', '.join(dim for dim in moving if dim in rest)}",
            f"each of {', '.join(dims)} once, innermost first",
        )
    return found + rest


def _whole(node: Node, nest: Nest, problem: NamedProblem) -> None:
    for role in problem.tensors:
        if not nest.holders(role):
            raise node.refusal(f"no level keeps {problem.tensors[role]}", "a keep of it at some level")
    for dim, product, extent in uncovered(nest):
        raise node.refusal(
            f"the factors of {dim} multiply to {product}, the problem has {extent}",
            f"factors of {dim} over all levels that multiply to {extent}",
        )
    for dim, extent in problem.problem.space:
        spread = math.prod(loop.trip for stage in nest.stages for loop in stage.spatial if loop.dim == dim)
        if extent % spread:
            raise node.refusal(f"{dim} = {extent} on {spread} instances does not divide", "factors that divide")


def _fits(node: Node, nest: Nest, components: list[Component]) -> None:
    for stage, one, below in zip(nest.stages, components, components[1:], strict=False):
        used = math.prod(loop.trip for loop in stage.spatial)
        if below.instances % one.instances:
            raise below.node.refusal(f"{below.instances} instances of {below.name} below {one.instances} of {one.name}",
                                     "a whole number below each")  # fmt: skip
        if used > below.instances // one.instances:
            raise node.refusal(
                f"{stage.name}: {used} instances are used, {below.instances // one.instances} are there",
                "spatial factors that fit the mesh",
            )
