"""An estimate on a machine held to less power."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import picojoule as pj
from picojoule.devices import limit_band
from picojoule.levels import held
from picojoule.quantity import InputError

RUN = pj.estimate("resnet18", "h100", batch=32, draws=200)


def test_one_operator_by_hand() -> None:
    """By hand: a product of P watts held to L takes ((P − 210) / (L − 210))^0.32 of its time and L watts."""
    one = pj.estimate("matmul:4096x4096x4096", "h100", draws=1)
    time, energy = one.cost.total_time_s.nominal, one.cost.total_energy_j.nominal
    power = energy / time
    assert power > 300
    found = held(one, 300.0)
    assert found.time_s.nominal == pytest.approx(time * ((power - 210) / 90) ** 0.32)
    assert found.energy_j.nominal == pytest.approx(found.time_s.nominal * 300)
    assert found.slowed == 1


@settings(max_examples=20, deadline=None)
@given(st.floats(215, 700), st.floats(215, 700))
def test_a_lower_limit_takes_longer(a: float, b: float) -> None:
    """Metamorphic: of two limits the lower one takes at least as long; mean power stays under each."""
    low, high = sorted((a, b))
    slow, fast = held(RUN, low), held(RUN, high)
    assert slow.time_s.nominal >= fast.time_s.nominal * (1 - 1e-12)
    assert fast.time_s.nominal >= RUN.cost.total_time_s.nominal * (1 - 1e-12)
    for found in (slow, fast):
        assert found.energy_j.nominal <= found.time_s.nominal * found.limit_w * (1 + 1e-9)
        assert found.time_s.low <= found.time_s.nominal <= found.time_s.high


def test_what_draws_less_is_left_alone() -> None:
    """Equality: operators under the limit keep their draws: at a maximum that none reaches all is as before, to the bit."""
    power = RUN.cost.energy_j / np.maximum(RUN.cost.time_s, 1e-30)
    assert RUN.architecture.max_power is not None
    if power.max() > RUN.architecture.max_power.nominal:
        pytest.skip("an operator of this network draws more than the maximum")
    found = held(RUN, RUN.architecture.max_power.nominal)
    assert (found.time_s, found.energy_j, found.slowed) == (RUN.cost.total_time_s, RUN.cost.total_energy_j, 0)


def test_what_the_law_misses_is_drawn() -> None:
    """By hand: with no uncertainty in prices and rates, the interval of a slowed run is the band of the law alone."""
    one = pj.estimate("matmul:4096x4096x4096", "h100", draws=20_000)
    sure = replace(one, cost=replace(one.cost, time_s=np.repeat(one.cost.time_s[:, :1], 20_001, axis=1),
                                     energy_j=np.repeat(one.cost.energy_j[:, :1], 20_001, axis=1)))  # fmt: skip
    found = held(sure, 300.0).time_s
    assert found.high / found.nominal == pytest.approx(np.exp(1.645 * limit_band("time")), rel=0.02)
    assert found.nominal / found.low == pytest.approx(np.exp(1.645 * limit_band("time")), rel=0.02)


@pytest.mark.parametrize("limit", [0.0, 210.0, 700.1, float("nan"), float("inf")])
def test_limits_that_no_machine_takes(limit: float) -> None:
    """Message: what it draws without computing, more than its maximum, not a number."""
    with pytest.raises(InputError, match="a limit of"):
        held(RUN, limit)
