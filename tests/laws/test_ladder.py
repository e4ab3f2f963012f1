"""Levels against each other, and pricing as linear algebra."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from tests.strategies import architectures, technologies, workloads

from picojoule.cost import Activity, price, ratio, swings
from picojoule.formats import load_hardware, load_machine
from picojoule.hardware import Architecture, Technology
from picojoule.levels import ASKS, LEVELS, Outcome, Setting, demand, estimate
from picojoule.quantity import InputError, Value
from picojoule.workload import Workload

LADDER = ("count", "roofline", "mapped")


@given(workloads(), architectures(), technologies())
@settings(max_examples=150, deadline=None)
def test_ladder(workload: Workload, architecture: Architecture, technology: Technology) -> None:
    """Bound: what a level leaves out can only add time and outer traffic, operator by operator."""
    setting = Setting(architecture, technology)
    for operator in workload.operators:
        steps = [_activity(LEVELS[name](ASKS.get(name, demand)(workload, operator), setting)) for name in LADDER]
        for low, high in pairwise(steps):
            assert low.time_s <= high.time_s * (1 + 1e-12)
            for action in ("read", "write"):
                assert low.counts.get(("dram", action), 0) <= high.counts.get(("dram", action), 0)


@given(workloads())
@settings(max_examples=25, deadline=None)
def test_ladder_of_the_processor(workload: Workload) -> None:
    """Bound: count, roofline, mapped, simulated on the textbook's core, in time and in outer traffic, operator by operator."""
    architecture, technology = load_hardware("aics-core")
    setting = Setting(architecture, technology, machine=load_machine(architecture.machine))
    typed = workload.with_dtype("float32")
    for operator in typed.operators:
        steps = [_activity(level(ASKS.get(name, demand)(typed, operator), setting)) for name, level in LEVELS.items()]
        for low, high in pairwise(steps):
            assert low.time_s <= high.time_s * (1 + 1e-12)
            for action in ("read", "write"):
                assert low.counts.get(("dram", action), 0) <= high.counts.get(("dram", action), 0)


def _activity(outcome: Outcome) -> Activity:
    return Activity("any", "", "", outcome.counts, outcome.terms, outcome.overhead)


@given(workloads(), architectures(), technologies())
@settings(max_examples=40, deadline=None)
def test_twice_the_work_costs_twice(workload: Workload, architecture: Architecture, technology: Technology) -> None:
    """Metamorphic: the same operators three times cost three times as much, in every draw."""
    once = estimate(workload, architecture, technology, draws=50).cost
    thrice = price(list(once.activities) * 3, technology, draws=50)
    assert thrice.energy_j.sum(axis=0) == pytest.approx(3 * once.energy_j.sum(axis=0))
    assert thrice.time_s.sum(axis=0) == pytest.approx(3 * once.time_s.sum(axis=0))


@given(workloads(), architectures(), technologies())
@settings(max_examples=40, deadline=None)
def test_energy_is_linear_in_a_price(workload: Workload, architecture: Architecture, technology: Technology) -> None:
    """Metamorphic: doubling the price of DRAM adds exactly its own nominal part; swings say the same."""
    cost = estimate(workload, architecture, technology, draws=10).cost
    dram = technology.prices["dram.*"]
    dearer = Technology("any", {**technology.prices, "dram.*": Value(2 * dram.nominal, "J", dram.spread, "test2026",
                                                                     scope="device")})  # fmt: skip
    twice = price(cost.activities, dearer, draws=10)
    moved = sum(n for (part, _), n in cost.counts.items() if part == "dram")
    gained = twice.total_energy_j.nominal - cost.total_energy_j.nominal
    rounding = 1e-12 * twice.total_energy_j.nominal  # the difference of two sums carries their rounding
    assert gained == pytest.approx(moved * dram.nominal, rel=1e-9, abs=rounding)
    swing = next(s for s in swings(cost) if "dram.*" in s.key.split(", "))
    assume(swing.key == "dram.*")  # equal prices stand in one row
    total = cost.total_energy_j.nominal
    assert swing.energy_high_j == pytest.approx(total + moved * (dram.high - dram.nominal), rel=1e-9)


@given(workloads(), architectures(), technologies())
@settings(max_examples=40, deadline=None)
def test_table_sums_to_headline(workload: Workload, architecture: Architecture, technology: Technology) -> None:
    """Equality: operators sum to the total, and parts of the total by action sum to it too."""
    cost = estimate(workload, architecture, technology, draws=10).cost
    assert cost.energy_j[:, 0].sum() == pytest.approx(cost.total_energy_j.nominal)
    assert sum(e.sum() for e in cost.energy_by_action().values()) == pytest.approx(cost.total_energy_j.nominal)


@given(workloads(), architectures(), technologies())
@settings(max_examples=20, deadline=None)
def test_interval_holds_the_nominal(workload: Workload, architecture: Architecture, technology: Technology) -> None:
    """Bound: low <= high, and the same seed gives the same draws."""
    one = estimate(workload, architecture, technology, draws=200).cost
    two = estimate(workload, architecture, technology, draws=200).cost
    assert one.total_energy_j.low <= one.total_energy_j.high
    assert np.array_equal(one.energy_j, two.energy_j)


def test_shared_draws_keep_ratios_honest() -> None:
    """By hand: 10 % fewer reads of one memory, alone in the bill, is a ratio of 0.9 in every draw."""
    technology = Technology("one", {"dram.*": Value(1e-11, "J", 3.0, "test2026", scope="device")})
    runs = [price([Activity("a", "", "", {("dram", "read"): n}, ())], technology) for n in (900, 1000)]
    low_high = ratio(runs[0].energy_j.sum(axis=0), runs[1].energy_j.sum(axis=0))
    assert (low_high.nominal, low_high.low, low_high.high) == pytest.approx((0.9, 0.9, 0.9))


def test_lognormal_quantiles() -> None:
    """Bound: 20,000 draws of one price with spread 2 lie within a factor 2 in 90 % of cases, to sampling error."""
    technology = Technology("one", {"dram.*": Value(1.0, "J", 2.0, "test2026", scope="device")})
    cost = price([Activity("a", "", "", {("dram", "read"): 1}, ())], technology, draws=20000)
    inside = np.mean((cost.energy_j[0, 1:] > 0.5) & (cost.energy_j[0, 1:] < 2.0))
    assert inside == pytest.approx(0.9, abs=0.01)
    assert cost.total_energy_j.low == pytest.approx(0.5, rel=0.03)


def test_scopes_do_not_mix_silently() -> None:
    """Message: two scopes in one bill are refused unless the file says why."""
    prices = {"a.*": Value(1.0, "J", 1.1, "s", scope="device"), "b.*": Value(1.0, "J", 1.1, "s", scope="wall")}
    with pytest.raises(InputError, match="prices of different scopes are added: device, wall"):
        Technology("mixed", prices)
    assert Technology("mixed", prices, "because").scope == "device + wall"


def test_missing_price_is_named() -> None:
    """Message: an action without a price is an error that shows the line to add."""
    technology = Technology("poor", {"dram.*": Value(1.0, "J", 1.1, "s")})
    with pytest.raises(InputError, match=r"no price for the action 'matrix.mac_int8'"):
        price([Activity("a", "", "", {("matrix", "mac_int8"): 3}, ())], technology)
