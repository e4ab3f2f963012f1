"""From nests, prices and levels of other tools to the types of the mapping room."""

from picojoule.mapping import Accelerator, Array, Level, Mapping, Weights
from picojoule.mapping.peers import Nest, Prices

from ._document import Node


def machine(name: str, levels: list[Level], array: Array, bits: dict[str, int], node: Node) -> Accelerator:
    """An accelerator; what cannot be one is refused at `node`."""
    try:
        return Accelerator(name, tuple(levels), array, tuple(bits.items()))
    except ValueError as error:
        raise node.refusal(str(error), "an outermost memory that keeps every tensor") from None


def weights_of(accelerator: Accelerator, prices: Prices) -> Weights:
    """Joules per word of every level and role."""
    return Weights(
        prices.mac_j,
        tuple(
            ((level.name, role, action), prices.access_j[level.name, role, action])
            for level in accelerator.levels
            for role in level.keeps
            for action in ("read", "write", "update")
        ),
        joules=True,
    )


def mapping_of(nest: Nest, accelerator: Accelerator, node: Node) -> Mapping:
    """Loops and bypass of a nest on a machine of the same levels; loops of a mesh go to the memory above it."""
    position = {level.name: i for i, level in enumerate(accelerator.levels)}
    loops: list[list[tuple[str, int]]] = [[] for _ in accelerator.levels]
    spatial: dict[str, int] = {}
    bypass: list[tuple[str, str]] = []
    at = 0
    for stage in nest.stages:
        if stage.name in position:
            at = position[stage.name]
            level = accelerator.levels[at]
            extra = [role for role in stage.keeps if role not in level.keeps]
            if extra:
                raise node.refusal(f"{stage.name} keeps {', '.join(extra)}, which its constraints bypass", "the same")
            if not at and len(stage.keeps) < len(level.keeps):
                raise node.refusal(f"{stage.name} does not keep every tensor", "an outermost level that does")
            bypass += [(stage.name, role) for role in level.keeps if role not in stage.keeps]
        if any(trip > 1 for _, trip in stage.temporal) and stage.name not in position and spatial:
            raise node.refusal(f"{stage.name} has loops between two meshes", "loops at memories only")
        loops[at] += stage.temporal
        for loop in stage.spatial:
            spatial[loop.dim] = spatial.get(loop.dim, 1) * loop.trip
    return Mapping(tuple(tuple(one) for one in loops), tuple(spatial.items()), tuple(bypass))
