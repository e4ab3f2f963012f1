"""Timeloop's sparse optimizations: densities, representations of tensors, reads that are gated or skipped."""

from typing import Final, Literal

from picojoule.mapping.peers import FORMATS, Memory, Rank, Saving, Sparse

from ._document import Node
from ._timeloop_architecture import Component
from ._timeloop_problem import NamedProblem

_TARGET: Final = ("name", "representation_format", "action_optimization")
_SPACE: Final = ("name", "ranks")
_RANK: Final = ("format", "flattened_rankIDs")
_KINDS: Final[dict[str, Literal["gating", "skipping"]]] = {"gating": "gating", "skipping": "skipping"}
_DENSITY: Final = ("distribution", "density", "band_width", "workload_tensor_size")
_LEAST: Final = 1e-6  # chances are kept in millionths
_MAXIMUM: Final = 100  # entries of one list


def _known(node: Node, keys: tuple[str, ...], what: str) -> None:
    for key, child in node.pairs():
        if key.replace("-", "_") not in keys:
            raise child.refusal(f"{key!r} is not read in {what}", f"one of {', '.join(keys)}")


def targets_of(node: Node) -> list[Node]:
    """The targets of a `sparse_optimizations`; empty where nothing is optimized."""
    found = node.get("targets") if isinstance(node.value, dict) else node
    return found.at_most(_MAXIMUM, "targets").items() if found is not None and found.value else []


def read_sparse(targets: list[Node], named: NamedProblem, components: list[Component], innermost: str | None) -> Sparse:
    """What changes the counts. Refused by name where that is not worked out here."""
    memories = {one.name: one for one in components[:-1] if one.kind == "storage"}
    roles = {tensor: role for role, tensor in named.tensors.items()}
    formats: dict[tuple[str, str], tuple[Rank, ...]] = {}
    savings: list[Saving] = []
    for target in targets:
        _known(target, _TARGET, "a target of sparse optimizations")
        name = target.need("name")
        if name.text() not in memories:
            raise name.refusal(f"sparse optimizations at {name.text()!r}", f"a memory: {', '.join(memories)}")
        representation, actions = target.get("representation_format"), target.get("action_optimization")
        for space in (
            representation.need("data_spaces").at_most(_MAXIMUM, "data spaces").items() if representation else []
        ):
            role, ranks = _representation(space, roles, named)
            formats[name.text(), role] = ranks
        for action in actions.at_most(_MAXIMUM, "optimizations").items() if actions else []:
            savings.append(_saving(action, name.text(), roles))
    return Sparse(
        _densities(named.densities, roles), formats, tuple(savings),
        {one.name: _memory(one) for one in memories.values()}, named.order, innermost,
    )  # fmt: skip


def _memory(one: Component) -> Memory:
    whole = {
        name: one.attributes[name].integer(0) if name in one.attributes else 0
        for name in ("metadata_datawidth", "metadata_storage_width")
    }
    return Memory(one.block, one.word_bits or 0, whole["metadata_datawidth"], whole["metadata_storage_width"])


def _role(node: Node, roles: dict[str, str]) -> str:
    if node.text() not in roles:
        raise node.refusal(f"no data space {node.text()!r}", f"one of {', '.join(roles)}")
    return roles[node.text()]


def _densities(node: Node | None, roles: dict[str, str]) -> dict[str, float]:
    """Shares of words that are not zero, by role."""
    found: dict[str, float] = {}
    for tensor, stated in node.pairs() if node is not None else []:
        if tensor not in roles:
            raise stated.refusal(f"no data space {tensor!r}", f"one of {', '.join(roles)}")
        kind = stated.mapping().need("distribution")
        if kind.text().replace("-", "_") != "fixed_structured":
            raise kind.refusal(f"the distribution {kind.text()!r} of zeros is not counted", "fixed_structured")
        _known(stated, _DENSITY, "a density")
        found[roles[tensor]] = stated.need("density").number(_LEAST, 1)
    return found


def _representation(space: Node, roles: dict[str, str], named: NamedProblem) -> tuple[str, tuple[Rank, ...]]:
    """Role and ranks, outermost first."""
    _known(space, _SPACE, "a representation")
    ranks = []
    for one in space.need("ranks").at_most(_MAXIMUM, "ranks").items():
        _known(one, _RANK, "a rank")
        kind = one.need("format")
        known = next((name for name in FORMATS if name == kind.text().upper()), None)
        if known is None:
            raise kind.refusal(f"the format {kind.text()!r} of a rank is not counted", f"one of {', '.join(FORMATS)}")
        together = one.get("flattened_rankIDs")
        lists = []
        for each in together.at_most(_MAXIMUM, "lists").items() if together is not None else []:
            for dim in each.items():
                if dim.text() not in named.problem.dims:
                    raise dim.refusal(f"no dimension {dim.text()!r}", f"one of {', '.join(named.problem.dims)}")
            lists.append(tuple(each.words()))
        ranks.append(Rank(known, tuple(lists)))
    if not ranks:
        raise space.need("ranks").refusal("a representation without ranks", "one rank and more")
    return _role(space.need("name"), roles), tuple(ranks)


def _saving(action: Node, stage: str, roles: dict[str, str]) -> Saving:
    kind = action.need("type")
    if kind.text() not in _KINDS:
        raise kind.refusal(f"{kind.text()!r} is not counted", f"one of {', '.join(_KINDS)}")
    options = action.need("options").items()
    if len(options) != 1:
        raise action.need("options").refusal(
            f"{len(options)} options, of which the cheapest counts", "one option: a target and its conditions"
        )
    _known(options[0], ("target", "condition_on"), "an option")
    conditions = [_role(one, roles) for one in options[0].need("condition_on").at_most(_MAXIMUM, "conditions").items()]
    if not conditions:
        raise options[0].need("condition_on").refusal("no condition", "data spaces whose zeros count")
    return Saving(_KINDS[kind.text()], stage, _role(options[0].need("target"), roles), tuple(conditions))
