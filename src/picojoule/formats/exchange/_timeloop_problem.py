"""Timeloop problems: dimensions, coefficients and data spaces, as a contraction of two inputs and one output."""

from dataclasses import dataclass
from typing import Final

from picojoule.mapping import Problem, UnmappableError, contraction

from ._document import MAXIMUM_DIMENSIONS, Node

Term = tuple[str, int]
_PROBLEM_KEYS: Final = ("version", "shape", "instance")
_SHAPE_KEYS: Final = ("name", "version", "dimensions", "coefficients", "data_spaces", "data-spaces")
_CNN: Final = {  # the shape that Timeloop calls cnn-layer
    "Weights": [["C"], ["K"], ["R"], ["S"]],
    "Inputs": [["N"], ["C"], ["R*Wdilation", "P*Wstride"], ["S*Hdilation", "Q*Hstride"]],
    "Outputs": [["N"], ["K"], ["Q"], ["P"]],
}


@dataclass(frozen=True, slots=True)
class NamedProblem:
    """A problem by our roles, and what Timeloop calls the tensors."""

    problem: Problem
    tensors: dict[str, str]  # by role: input, weight, output
    node: Node
    order: tuple[str, ...] = ()  # roles as the file lists the tensors
    densities: Node | None = None  # as written; they change nothing without optimizations


def roles_of(names: list[str], output: str) -> dict[str, str]:
    """Our roles for the data spaces: by name where it says which, else in order."""
    inputs = [name for name in names if name != output]
    weights = [name for name in inputs if name.lower().startswith(("weight", "filter", "kernel")) or name in ("W", "w")]
    weight = weights[0] if weights else inputs[-1]
    other = next(name for name in inputs if name != weight)
    return {"input": other, "weight": weight, "output": output}


def read_problem(node: Node, left_out: set[str]) -> NamedProblem:
    """A problem file's `problem`; values of the instance that the shape does not name go to `left_out`."""
    node.mapping()
    shape, instance = node.need("shape"), node.get("instance") or node
    for key, child in node.pairs():
        if instance is not node and key not in _PROBLEM_KEYS:
            raise child.refusal(f"{key!r} is not read in a problem", f"one of {', '.join(_PROBLEM_KEYS)}")
    if (common := instance.get("commonDensity")) is not None:
        raise common.refusal("a density of all tensors is not read", "densities, tensor by tensor")
    densities = instance.get("densities")
    if densities is not None and not densities.value:
        densities = None
    if not isinstance(shape.value, dict):
        return _layer(node, shape, instance, left_out, densities)
    for key, child in shape.pairs():
        if key not in _SHAPE_KEYS:
            raise child.refusal(f"{key!r} is not read in a shape", f"one of {', '.join(_SHAPE_KEYS)}")
    space: dict[str, int] = {}
    for dim in shape.need("dimensions").at_most(MAXIMUM_DIMENSIONS, "dimensions").items():
        name = dim.text()
        size = instance.get(name)
        if size is None:
            raise instance.refusal(f"the dimension {name} has no extent", f"an extent of every dimension: {name}: 16")
        space[name] = size.integer()
    coefficients = _coefficients(shape, instance)
    _known(instance, space, coefficients, left_out)
    axes, outputs = _data_spaces(shape, space, coefficients)
    if len(axes) != 3 or len(outputs) != 1:
        raise shape.need("data_spaces").refusal(
            f"{len(axes)} data spaces, {len(outputs)} of them written",
            "two data spaces that are read and one that is written (read_write: true)",
        )
    title = shape.get("name")
    return _problem(node, title.text() if title else "problem", space, axes, outputs[0], densities)


def _layer(node: Node, shape: Node, instance: Node, left_out: set[str], densities: Node | None) -> NamedProblem:
    """The shape that is only named."""
    if shape.text() not in ("cnn-layer", "cnn_layer"):
        raise shape.refusal(f"the shape {shape.text()!r} is not known", "cnn-layer, or a shape written out")
    space = {dim: instance.need(dim).integer() for dim in "RSPQCKN"}
    names = ("Wstride", "Hstride", "Wdilation", "Hdilation")
    coefficients = {name: found.integer() if (found := instance.get(name)) else 1 for name in names}
    if instance is not node:
        _known(instance, space, coefficients, left_out)
    axes = {
        name: [[(term.split("*")[0], coefficients[term.split("*")[1]] if "*" in term else 1) for term in axis]
               for axis in listed]
        for name, listed in _CNN.items()
    }  # fmt: skip
    return _problem(node, "cnn-layer", space, axes, "Outputs", densities)


def _coefficients(shape: Node, instance: Node) -> dict[str, int]:
    found = {}
    listed = shape.get("coefficients")
    for one in listed.items() if listed else []:
        name = one.need("name").text()
        value = instance.get(name) or one.get("default")
        if value is None:
            raise one.refusal(f"the coefficient {name} has no value", "a default, or a value in the instance")
        found[name] = value.integer(1, 1 << 20)
    return found


def _known(instance: Node, space: dict[str, int], coefficients: dict[str, int], left_out: set[str]) -> None:
    """Name what the shape does not use (the height of an image before padding)."""
    for key in instance.keys:
        if key not in space and key not in coefficients and key not in ("densities", "version", "shape"):
            left_out.add(f"{key} of the problem")


def _data_spaces(
    shape: Node, space: dict[str, int], coefficients: dict[str, int]
) -> tuple[dict[str, list[list[Term]]], list[str]]:
    """Axes by data space, and the names of those that are written."""
    axes: dict[str, list[list[Term]]] = {}
    outputs = []
    for one in shape.need("data_spaces").items():
        name, written = one.need("name").text(), one.get("read_write")
        if name in axes:
            raise one.refusal(f"two data spaces are named {name}", "a name once")
        axes[name] = [
            [_term(term, space, coefficients) for term in axis.items()] for axis in one.need("projection").items()
        ]
        if written is not None and written.yes():
            outputs.append(name)
    return axes, outputs


def _term(node: Node, space: dict[str, int], coefficients: dict[str, int]) -> Term:
    """`[P]` or `[P, Wstride]` or `[P, 2]`."""
    parts = node.items() if isinstance(node.value, list) else [node]
    if not 1 <= len(parts) <= 2:
        raise node.refusal(
            f"{len(parts)} factors in one term", "[dimension] or [dimension, coefficient]", "[P, Wstride]"
        )
    dim = parts[0].text()
    if dim not in space:
        raise parts[0].refusal(f"no dimension {dim!r} in the shape", f"one of {', '.join(space)}")
    if len(parts) == 1:
        return dim, 1
    if isinstance(parts[1].value, str) and parts[1].value in coefficients:
        return dim, coefficients[parts[1].value]
    return dim, parts[1].integer(1, 1 << 20)


def _problem(
    node: Node, name: str, space: dict[str, int], axes: dict[str, list[list[Term]]], output: str, densities: Node | None
) -> NamedProblem:
    tensors = roles_of(list(axes), output)
    try:
        problem = contraction(name, space, {role: axes[tensor] for role, tensor in tensors.items()})
    except UnmappableError as error:
        raise node.refusal(str(error), "a contraction with windows of two dimensions") from None
    roles = {tensor: role for role, tensor in tensors.items()}
    return NamedProblem(problem, tensors, node, tuple(roles[tensor] for tensor in axes), densities)
