"""The checker of a certificate: an independent program that calls neither the search nor the law it checks.

It prices the mapping that the claim shows by walking its loops, lists every bypass and unrolling itself, and asks of
each one either a floor (every tensor crosses every boundary once, whole) that reaches the value, or a proof of
inequalities (`_check_proof`). Nothing is minimised: what is not shown is not believed. Numbers of floating point may
miss the value by 1e-9 of it in all; counts and capacities are whole numbers.
"""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from ._certificate import Potentials
from ._check_bound import SLACK, Bound, Weighing, weighing
from ._check_nest import wrong
from ._check_proof import Proof
from ._check_space import chains, every
from ._check_tree import proven
from ._check_world import Bypass, Numbers, Rows, World
from ._problem import Tile
from ._search import Optimum

NOTHING: Final = Weighing(np.zeros((0, 1)))
Open = dict[tuple[Bypass, Tile], tuple[World, Numbers]]  # what no floor settles: its conditions and its floors


def check(claim: Optimum, given: Iterable[Potentials]) -> tuple[str, ...]:
    """Reasons to reject the claim `value is the least`; empty if it is proven, for every objective, with ports too."""
    unsound = _unsound(claim)
    if unsound:
        return (unsound,)
    spaces = list(every(claim))
    shown = [(world, rows) for bypass, world, rows in spaces if set(bypass) == set(claim.mapping.bypass)]
    faults = wrong(claim, *shown[0]) if shown else ["the mapping bypasses what it may not"]
    faults += _covering(claim, [(world, rows) for _, world, rows in spaces])
    bound = Bound(claim.objective, claim.value)
    unsettled = {
        key: found for bypass, world, rows in spaces for key, found in _open(bypass, world, rows, bound).items()
    }
    everywhere = {bypass: rows for bypass, _, rows in spaces}
    for one in given:
        key = one.bypass, one.spatial
        if key in unsettled:
            broken = _proof(one, *unsettled[key], bound)
            if broken:
                faults.append(_say(key, broken))
            del unsettled[key]
        elif len(one.spatial) != len(claim.problem.space) or not _there(everywhere.get(one.bypass), one.spatial):
            faults.append(_say(key, "there is no such unrolling"))
    for key, (_, floor) in unsettled.items():
        faults.append(_say(key, f"only {bound.of(NOTHING, floor, np.zeros((0, 1)))[0]:g} is proven"))
    return tuple(faults)


def _there(rows: Rows | None, spatial: Tile) -> bool:
    return rows is not None and bool((rows == spatial).all(axis=1).any())


def _say(key: tuple[Bypass, Tile], what: str) -> str:
    return f"unrolling {key[1]} bypass {key[0]}: {what}"


def _unsound(claim: Optimum) -> str:
    """Why the claim lies outside what a certificate can show, or nothing."""
    problem, levels = claim.problem, claim.accelerator.levels
    relevant = [frozenset(d for axis in operand.axes for d, _ in axis) for operand in problem.operands]
    if claim.objective not in ("energy", "latency", "edp") or claim.factors not in ("perfect", "ragged"):
        return f"no objective {claim.objective!r} over {claim.factors!r} factors"
    if claim.convention.halo not in ("refetch", "perfect"):
        return f"halo {claim.convention.halo} is not searched"
    if any(x > 1 and sum(d not in one for one in relevant) > 1 for d, (_, x) in enumerate(problem.space)):
        return "a dimension is irrelevant to two operands: loop orders are not covered"
    if any(len(axis) > 2 for operand in problem.operands for axis in operand.axes):
        return "a window of three dimensions"
    if any(len({d for axis in one.axes for d, _ in axis}) < sum(map(len, one.axes)) for one in problem.operands):
        return "a dimension stands in two axes of one tensor"
    if any(len(axis) > 1 for axis in problem.operands[-1].axes):
        return "a window in the output"
    steps = [stride for operand in problem.operands for axis in operand.axes for _, stride in axis]
    if (
        min([x for _, x in problem.space] + steps) < 1
        or math.prod(x for _, x in problem.space) * max(steps) ** 2 >= 2**62
    ):
        return "extents below 1, or more words than 62 bits count"
    prices = [claim.weights.mac, *(price for _, price in claim.weights.words)]
    rates = [rate for level in levels for rate in (level.read_bandwidth, level.write_bandwidth, level.bus_bits)]
    if not all(0 <= price < math.inf for price in prices) or not all(
        rate is None or 0 < rate < math.inf for rate in rates
    ):
        return "a weight is negative or no number, or a bandwidth is not positive"
    if not all(math.isfinite(number) for number in (claim.value, claim.energy, claim.cycles)):
        return f"value {claim.value}, energy {claim.energy}, cycles {claim.cycles}: not all are numbers"
    return ""


def _covering(claim: Optimum, spaces: list[tuple[World, Rows]]) -> list[str]:
    """Is everything else said of the search true: its bounds, how many unrollings and tile shapes it covers?"""
    count, covered = sum(len(rows) for _, rows in spaces), sum(chains(world, rows) for world, rows in spaces)
    faults = []
    if not claim.value * (1 - SLACK) <= claim.lower_bound <= claim.value * (1 + SLACK):
        faults.append(f"a least value of {claim.value:g} and a lower bound of {claim.lower_bound:g}")
    if not 0 <= claim.root_bound <= claim.value * (1 + SLACK):
        faults.append(f"a least value of {claim.value:g} and a root bound of {claim.root_bound:g}")
    if (claim.unrollings, claim.mappings_covered) != (count, covered):
        faults.append(
            f"there are {count} unrollings and {covered} chains of tiles, not {claim.unrollings} and {claim.mappings_covered}"
        )
    return faults


def _open(bypass: Bypass, world: World, rows: Rows, bound: Bound) -> Open:
    """The unrollings whose floors do not reach the value: [energy, steps, cycles of every port]."""
    if not len(rows):
        return {}
    floor = world.floor(rows)
    steps = world.passes(rows).prod(axis=1, dtype=np.float64)
    floors = np.vstack([floor[:1], steps[None], floor[1:]])
    left = np.flatnonzero(~bound.reached(NOTHING, floors, np.zeros((0, len(rows)))))
    return {(bypass, tuple(rows[i].tolist())): (world, floors[:, i : i + 1]) for i in left.tolist()}


def _proof(one: Potentials, world: World, floor: Numbers, bound: Bound) -> str:
    """What the proof of an unrolling lacks, or nothing."""
    rows = weighing(world, one.rows)
    if rows is None:
        return "rows weigh what is not there, or by no number"
    proof = Proof(world, np.array(one.spatial, dtype=np.int64), one, rows)
    return proof.broken() or proven(proof, floor, bound)
