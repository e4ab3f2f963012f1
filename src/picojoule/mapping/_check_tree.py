"""What a proof shows of the objective: at its root, or partial mapping by partial mapping, outermost level first.

A partial mapping that the proof opens is no claim: the checker goes on from it in every way there is, and each way
must be bounded by the columns or be opened in turn. A whole mapping cannot be opened.
"""

import numpy as np

from ._check_bound import Bound
from ._check_proof import Proof
from ._check_world import Numbers, Rows

Path = tuple[tuple[int, int, int], ...]  # per level: (tile, operand that stays, last level of its stretch)
Node = tuple[Path, float, Numbers]  # with q where the stretch began, and what every row has paid


def proven(proof: Proof, floor: Numbers, bound: Bound) -> str:
    """Is every mapping of the unrolling shown to be no better? Nothing if so, else what is proven only."""
    least = proof.least()[:, None]
    if bound.reached(proof.weighing, floor, least)[0]:
        return ""
    if () not in proof.given.opened:
        return f"only {bound.of(proof.weighing, floor, least)[0]:g} is proven"
    todo: list[Node] = [((), 1.0, proof.start()[:, None])]
    while todo:
        path, repeats, paid = todo.pop()
        for s, k in _runs(proof, path):
            longer = _ways(proof, (path, repeats, paid), s, k, floor, bound)
            for further, _, _ in longer:
                if further not in proof.given.opened or len(further) == len(proof.world.levels) - 1:
                    return f"a mapping that begins with the tiles {[tile for tile, _, _ in further]} is not bounded"
            todo += longer
    return ""


def _runs(proof: Proof, path: Path) -> list[tuple[int, int]]:
    """The operand that stays and to which level: the stretch that goes on, or each that may begin."""
    level = len(path)
    if path and path[-1][2] >= level:
        return [path[-1][1:]]
    return [(s, k) for s in range(len(proof.world.operands)) for k in range(level, len(proof.world.levels) - 1)]


def _ways(proof: Proof, node: Node, s: int, k: int, floor: Numbers, bound: Bound) -> list[Node]:
    """The partial mappings one level longer, in one stretch, that the columns do not bound."""
    path, repeats, paid = node
    level = len(path)
    tile, inside = (path[-1][0] if path else proof.tiles - 1), bool(path) and path[-1][2] >= level
    repeats = repeats if inside else float(proof.again[s][tile])
    below = _under(proof, tile, level, s if inside else None)
    stay = sum((proof.moved[c][s] for c in range(level + 1, k + 2)), np.zeros((len(paid), 1)))
    ahead = paid + proof.apart(s, k, level, below) + _at(stay, below) * repeats
    found: list[Node] = []
    for place in below[~bound.reached(proof.weighing, floor, ahead)].tolist():
        here = np.array([place])
        spent = proof.others[level + 1][s][:, here] + _at(proof.moved[level + 1][s], here) * repeats
        found.append(((*path, (place, s, k)), repeats, paid + spent))
    return found


def _under(proof: Proof, tile: int, level: int, stays: int | None) -> Rows:
    """Indices of the tiles that the loops of a level lead to: divisors in the dimensions that it may iterate."""
    found, after, rest = np.zeros(1, dtype=np.int64), proof.tiles, tile
    for d, sizes in enumerate(proof.sizes):
        after //= proof.shape[d]
        at, rest = divmod(rest, after)
        free = proof.world.may(level, d) and (stays is None or d not in proof.world.relevant[stays])
        each = np.flatnonzero(sizes[at] % sizes == 0) if free else np.array([at])
        found = np.add.outer(found, each * after).ravel()
    return found


def _at(column: Numbers, at: Rows) -> Numbers:
    """Some tiles of a column that may be one number for all."""
    return np.asarray(column[:, at] if column.shape[1] > 1 else column)
