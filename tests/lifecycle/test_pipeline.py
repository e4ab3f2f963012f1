"""The pipeline law against a simulation, and the best cut of a chain against all cuts."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.lifecycle import Pipeline, overlapped_s, partition
from picojoule.quantity import InputError

times = st.lists(st.integers(0, 50).map(lambda n: n / 8), min_size=1, max_size=8)


def simulate(stages: list[float], items: int) -> float:
    """Each item enters a stage when it has left the one before and the item before it has left this one."""
    free = [0.0] * len(stages)
    end = 0.0
    for _ in range(items):
        now = 0.0
        for index, time in enumerate(stages):
            now = max(now, free[index]) + time
            free[index] = now
        end = now
    return end


def test_by_hand() -> None:
    """By hand: 4 stages of 1 ms, 8 items: 11 ms, efficiency 8/11, bubble 3/11."""
    pipeline = Pipeline((0.001,) * 4, 8)
    assert pipeline.time_s == pytest.approx(0.011, rel=1e-12)
    assert pipeline.efficiency == pytest.approx(8 / 11, rel=1e-12)
    assert pipeline.bubble == pytest.approx(3 / 11, rel=1e-12)
    assert pipeline.throughput == pytest.approx(1000)


@given(times, st.integers(1, 30))
def test_law_is_the_simulation(stages: list[float], items: int) -> None:
    """Equality: Σ t + (m − 1) max t is what the simulated items take, stages of any times."""
    assert Pipeline(tuple(stages), items).time_s == pytest.approx(simulate(stages, items), rel=1e-12, abs=1e-12)


@given(times, st.integers(1, 1000))
def test_overlap(totals: list[float], items: int) -> None:
    """Bound: overlapped stages take at least the longest and at most the sum; one item is the sum, no fill the longest."""
    time = overlapped_s(totals, items)
    assert max(totals) - 1e-9 <= time <= sum(totals) + 1e-9
    assert time == pytest.approx(Pipeline(tuple(t / items for t in totals), items).time_s, abs=1e-9)
    assert overlapped_s(totals, 1) == pytest.approx(sum(totals))
    assert overlapped_s(totals) == max(totals)


def slowest(chain: list[float], bounds: tuple[int, ...], cuts: list[float]) -> float:
    return max(sum(chain[a:b]) + (cuts[a] if a else 0.0) for a, b in pairwise(bounds))


@given(st.data())
@settings(max_examples=60)
def test_partition_is_exhaustive(data: st.DataObject) -> None:
    """Equality: the dynamic program finds the best of all cuts of chains of up to 12 operators, dear cuts included."""
    chain = data.draw(st.lists(st.integers(0, 40).map(float), min_size=1, max_size=12))
    cuts = [float(data.draw(st.integers(0, 9))) for _ in chain]
    stages = data.draw(st.integers(1, 5))
    found = partition(chain, stages, cut_s=cuts)
    best = min(
        slowest(chain, (0, *inner, len(chain)), cuts)
        for k in range(min(stages, len(chain)))
        for inner in combinations(range(1, len(chain)), k)
    )
    assert found.slowest == best == slowest(chain, found.bounds, cuts)
    assert len(found.parts) <= stages
    assert [i for part in found.parts for i in part] == list(range(len(chain)))


def test_nothing_to_do() -> None:
    """Message: a pipeline without stages and a chain without operators say what they need."""
    with pytest.raises(InputError, match="at least one stage"):
        Pipeline((), 1)
    with pytest.raises(InputError, match="at least one operator"):
        partition([], 2)
