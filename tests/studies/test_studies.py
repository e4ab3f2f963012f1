"""Methods, shares, fits, people, shifts, fleets: against numbers by hand and laws."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import picojoule as pj
from picojoule.quantity import InputError, Value
from picojoule.studies import (
    YEAR_S,
    Fleet,
    Machines,
    Measurement,
    Profile,
    amdahl,
    block_shares,
    compare,
    fit,
    fleet_of,
    human_energy_j,
    inference,
    load_curve,
    methods,
    person_power,
    person_powers,
    profile,
    profiles,
    read_measurements,
    shares,
    shift,
)
from picojoule.studies._fit import solve
from picojoule.studies._shift import overlap

# MACs, bytes, seconds, joules: 2 pJ a MAC, 100 pJ a byte, 60 W.
ROWS = [(1e9, 1e7, 1e-3, 0.063), (1e8, 1e8, 2e-3, 0.1302), (5e8, 5e7, 1.2e-3, 0.078), (2e9, 2e8, 4e-3, 0.264),
        (1e7, 2e7, 5e-4, 0.03202)]  # fmt: skip
MEASURED = [Measurement(f"net{i}", *row) for i, row in enumerate(ROWS)]


def test_methods_by_hand() -> None:
    """By hand: 33 · 512 + 512 · 10 MACs, an addition each with its bias, 512 compares; operands once an operator."""
    found = methods(pj.read_model("mlp:33-512-10"))
    assert (found.macs, found.flops_2mac, found.muls, found.adds, found.flops_true) == (
        22016,
        44032,
        22016,
        22016,
        44032,
    )
    assert found.special == {"compare": 512}
    assert found.operators == {"matmul": 2, "activation": 1}
    assert found.operator_count == 3
    assert found.params == 22538 == found.accesses.parameters
    assert found.accesses.activations_in == 33 + 512 + 512
    assert found.accesses.activations_out == 512 + 512 + 10
    assert found.traffic.total == 4 * found.accesses.total
    assert found.macs_per_byte == 22016 / found.traffic.total


def test_methods_differ_where_they_should() -> None:
    """Bound: a convolution uses a parameter 285 times, a recurrent step once; neither count is the other."""
    lstm, alexnet = methods(pj.read_model("lstm:128x256")), methods(pj.read_model("alexnet"))
    assert lstm.macs_per_param == pytest.approx(1, rel=0.01)
    assert alexnet.macs_per_param > 10
    assert lstm.operators["recurrent"] == 10


def test_methods_count_repeats() -> None:
    """Metamorphic: twice the batch is twice the MACs and activations, and the same parameters."""
    one, two = (methods(pj.read_model("lenet5", batch=b)) for b in (1, 2))
    assert two.macs == 2 * one.macs
    assert two.accesses.parameters == one.accesses.parameters
    assert two.accesses.activations_in == 2 * one.accesses.activations_in
    assert two.per_sample(two.macs) == one.macs


@settings(max_examples=25, deadline=None)
@given(some.sampled_from(["lenet5", "mlp:33-512-10", "lstm:16x32", "knn:50x8", "softmax:1000", "relu:64x64"]),
       some.sampled_from(["h100", "xeon", "eyeriss", "zcu102", "tpuv1"]), some.integers(1, 64),
       some.sampled_from(["count", "roofline"]))  # fmt: skip
def test_shares_sum_to_one(model: str, device: str, batch: int, level: str) -> None:
    """Bound: alpha + beta + gamma + sigma = 1 to 1e-12, none negative, their joules the estimate's in every draw."""
    whole = pj.estimate(model, device, batch=batch, level=level, draws=50)
    found = shares(whole)
    each = (found.alpha, found.beta, found.gamma, found.sigma)
    assert abs(sum(each) - 1) <= 1e-12
    assert min(each) >= 0
    assert found.total_j == pytest.approx(whole.cost.energy_j.sum(axis=0), rel=1e-12)
    assert found.per_sample_j().nominal == pytest.approx(whole.cost.total_energy_j.nominal / batch)
    for part in ("compute", "traffic", "elementwise", "static"):
        share = found.interval(part)
        assert 0 <= share.low <= share.high <= 1


def test_shares_mean_what_they_say() -> None:
    """Equality: without products there is no alpha; without static power no sigma; blocks share out the whole."""
    assert shares(pj.estimate("relu:64x64", "h100", draws=0)).alpha == 0
    blocks = block_shares(pj.estimate("bert-base", "h100", draws=0), depth=4)
    assert math.fsum(b.share for b in blocks) == pytest.approx(1, abs=1e-12)
    assert all(0 <= b.compute <= 1 for b in blocks)
    layers = [b for b in blocks if b.path.startswith("bert.encoder.layer.")]
    assert len({round(b.share, 12) for b in layers}) == 1
    assert len(layers) == 12


def test_shares_of_nothing() -> None:
    """Message: a network without operators has no shares, and says so."""
    from picojoule.workload import Graph

    with pytest.raises(InputError, match="no shares"):
        shares(pj.estimate(Graph("empty").workload(), "h100", draws=0))
    with pytest.raises(InputError, match="depth 0"):
        block_shares(pj.estimate("lenet5", "h100", draws=0), depth=0)


def test_fit_recovers_constants() -> None:
    """By hand: 2e-12 J/MAC, 1e-10 J/B and 60 W come back from five rows made of them."""
    found = fit(MEASURED)
    assert found.coefficients["macs"].nominal == pytest.approx(2e-12, rel=1e-6)
    assert found.coefficients["bytes"].nominal == pytest.approx(1e-10, rel=1e-6)
    assert found.coefficients["seconds"].nominal == pytest.approx(60, rel=1e-6)
    assert found.mape < 1e-9
    assert found.held_out_mape is not None
    assert found.held_out_mape < 1e-6
    assert found.predict_j(MEASURED[0]) == pytest.approx(0.063)


def test_fit_four_columns() -> None:
    """Round trip: with vector operations there are four prices, and noise of 2 % widens their intervals only."""
    generator = np.random.default_rng(7)
    truth = {"macs": 1e-12, "bytes": 5e-11, "ops": 3e-12, "seconds": 40.0}
    rows = []
    for n in range(24):
        macs, moved, ops, seconds = 10 ** generator.uniform([7, 6, 6, -4], [10, 9, 9, -2])
        joules = truth["macs"] * macs + truth["bytes"] * moved + truth["ops"] * ops + truth["seconds"] * seconds
        rows.append(Measurement(f"net{n % 8}", macs, moved, seconds, joules * generator.normal(1, 0.02), ops))
    found = fit(rows, resamples=200)
    assert tuple(found.coefficients) == ("macs", "bytes", "ops", "seconds")
    assert found.workloads == 8
    assert found.mape < 0.1
    for name in ("macs", "bytes", "seconds"):
        value = found.coefficients[name]
        assert value.low <= value.high
        assert value.nominal == pytest.approx(truth[name], rel=0.3)


@settings(max_examples=60, deadline=None)
@given(some.lists(some.tuples(*[some.floats(0, 1e3)] * 4), min_size=4, max_size=12), some.data())
def test_solution_is_the_best(rows: list[tuple[float, ...]], data: some.DataObject) -> None:
    """Bound: prices are never negative, and no random point of the same orthant fits better (own exact solver)."""
    table = np.array(rows) + np.eye(len(rows), 4)
    energy = np.array(data.draw(some.lists(some.floats(0, 1e3), min_size=len(rows), max_size=len(rows))))
    best = solve(table, energy)
    assert (best >= 0).all()
    least = np.linalg.norm(table @ best - energy)
    generator = np.random.default_rng(0)
    for _ in range(50):
        other = np.maximum(best * generator.uniform(0.5, 1.5, 4) + generator.normal(0, 0.1, 4), 0)
        assert least <= np.linalg.norm(table @ other - energy) * (1 + 1e-6) + 1e-6


def test_fit_refuses() -> None:
    """Message: proportional rows, too few rows and negative counts are refused, with an example of a table."""
    same = [Measurement(f"n{i}", 1e9 * i, 1e7 * i, 1e-3 * i, 0.1 * i) for i in range(1, 6)]
    with pytest.raises(InputError, match="rank 1, the formula 3"):
        fit(same)
    with pytest.raises(InputError, match="2 measurements for 3"):
        fit(MEASURED[:2])
    with pytest.raises(InputError, match="negative"):
        fit([*MEASURED[:4], Measurement("bad", -1, 1, 1, 1)])
    idle = [Measurement(m.workload, m.macs, m.bytes, m.seconds, m.energy_j, 0.0) for m in MEASURED]
    with pytest.raises(InputError, match="rank 3, the formula 4"):
        fit(idle)


def test_measurements_from_a_file(tmp_path: Path) -> None:
    """Round trip: a table in a file gives the same prices; a faulty line is named."""
    file = tmp_path / "measured.csv"
    lines = [
        "# watt-meter",
        "name,macs,bytes,s,energy_J".lower(),
        *(f"net{i},{','.join(map(str, r))}" for i, r in enumerate(ROWS)),
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert read_measurements(file) == tuple(MEASURED)
    file.write_text("macs,bytes,seconds\n1,2,3", encoding="utf-8")
    with pytest.raises(InputError, match="no column energy_j"):
        read_measurements(file)
    file.write_text("macs,bytes,seconds,energy_j\n1,2,x,4", encoding="utf-8")
    with pytest.raises(InputError, match="line 2"):
        read_measurements(file)
    with pytest.raises(InputError, match="cannot read"):
        read_measurements(tmp_path / "absent.csv")


def test_a_year_of_brain() -> None:
    """By hand: 20 W · 365.25 · 86,400 s = 631,152,000 J = 175.32 kWh."""
    year = human_energy_j("20 W", YEAR_S)
    assert year.nominal == 631_152_000
    assert year.nominal / 3.6e6 == pytest.approx(175.32, rel=1e-12)
    brain = human_energy_j("brain", YEAR_S)
    assert (brain.low, brain.nominal, brain.high) == (12 * YEAR_S, 20 * YEAR_S, 25 * YEAR_S)


def test_both_scopes_are_told() -> None:
    """Message: a comparison without the machine's scope is refused; with it, both are in the text."""
    found = inference(pj.estimate("resnet50", "h100", draws=200), 0.5)
    assert found.machine_scope in str(found)
    assert found.human_scope in str(found)
    assert found.ratio.low < found.ratio.nominal < found.ratio.high
    assert found.ratio.nominal == pytest.approx(found.machine_j.nominal / 10)
    with pytest.raises(InputError, match="no scope"):
        compare("learning", "chess", np.ones(3), "a machine", " ", YEAR_S)
    with pytest.raises(InputError, match="no power"):
        person_power("-3 W")
    with pytest.raises(InputError, match="seconds"):
        human_energy_j("brain", 0)
    assert all(p.source and p.where and p.scope for p in person_powers().values())


def test_human_draws_keep_both_ends() -> None:
    """Bound: 90 % of the drawn brain lie between 12 and 25 W, though its nominal power is not in the middle."""
    one = compare("inference", "x", np.ones(20001), "machine", "wall", 1.0)
    assert 1 / one.ratio.high == pytest.approx(12, rel=0.03)
    assert 1 / one.ratio.low == pytest.approx(25, rel=0.03)


@pytest.mark.parametrize(("region", "best", "worst", "start", "flat"), [
    ("FR", 208.30, 235.46, 0, 1352.12), ("GB", 719.10, 1001.58, 1, 5155.07), ("DE", 1113.81, 1381.88, 10, 7522.24)])  # fmt: skip
def test_shift_golden(region: str, best: float, worst: float, start: int, flat: float) -> None:
    """Published: 1 MW for four hours on the mean days of 2020, summed independently from the hourly table."""
    found = shift(1e6, 4, profile(region))
    assert found.best.carbon_kg == pytest.approx(best, abs=0.005)
    assert found.worst.carbon_kg == pytest.approx(worst, abs=0.005)
    assert found.best.start_h == start
    assert found.flat_kg == pytest.approx(flat, abs=0.005)
    assert found.best.low_kg < found.best.carbon_kg < found.best.high_kg


def flat(region: str = "XX", grams: float = 100.0) -> Profile:
    return Profile(region, region, 2020, (grams,) * 24, (grams / 2,) * 24, (grams * 2,) * 24, "user", "")


@settings(max_examples=60, deadline=None)
@given(some.floats(0, 23.99), some.floats(0.01, 60))
def test_overlap_adds_up(start: float, hours: float) -> None:
    """Bound: the hours of the day that a run touches add up to its length; a flat profile makes every start equal."""
    assert math.fsum(overlap(start, hours)) == pytest.approx(hours, rel=1e-9)
    found = shift(1e6, hours, flat())
    assert (
        found.best.carbon_kg == pytest.approx(100 * hours, rel=1e-9) == pytest.approx(found.worst.carbon_kg, rel=1e-9)
    )


@settings(max_examples=40, deadline=None)
@given(
    some.floats(0.25, 20),
    some.floats(0, 23),
    some.floats(0, 12),
    some.lists(some.floats(1, 900), min_size=24, max_size=24),
)
def test_no_start_is_better(hours: float, earliest: float, slack: float, grams: list[float]) -> None:
    """Bound: no start on a grid of six minutes inside the window beats the one found."""
    made = Profile("XX", "XX", 2020, tuple(grams), tuple(grams), tuple(grams), "user", "")
    found = shift(1e6, hours, made, earliest_h=earliest, deadline_h=earliest + hours + slack)
    for step in range(int(slack * 10) + 1):
        carbon = sum(part * g for part, g in zip(overlap(earliest + step / 10, hours), grams, strict=True))
        assert found.best.carbon_kg <= carbon * (1 + 1e-9) + 1e-9
        assert found.worst.carbon_kg >= carbon * (1 - 1e-9) - 1e-9


def test_shift_refuses_and_flattens() -> None:
    """Message: a deadline that cannot be met is refused with one that can; the peak objective avoids the busy hours."""
    with pytest.raises(InputError, match="cannot be done by 21 h") as failure:
        shift(1e6, 4, profile("FR"), earliest_h=18, deadline_h=21)
    assert failure.value.example == "deadline_h=22"
    busy = [1e6] * 12 + [3e6] * 12
    found = shift(1e6, 4, profile("DE"), base_w=busy, objective="peak")
    assert found.best.peak_w == 3e6
    assert found.worst.peak_w == 4e6
    assert found.best.start_h + 4 <= 12
    for wrong in ({"power_w": 0.0}, {"hours": -1.0}, {"earliest_h": 30.0}, {"base_w": [1.0]}):
        with pytest.raises(InputError):
            shift(**{"power_w": 1e6, "hours": 4.0, "profile": flat(), **wrong})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="FR, GB, DE"):
        profile("US")
    assert all(p.source.startswith("P. Wiesner") for p in profiles().values())


def watts(number: float, unit: str = "W", spread: float = 1.0) -> Value:
    return Value(number, unit, spread, "user")


def test_fleet_by_hand() -> None:
    """By hand: 1.2 · 10 · (5 W + 2/s · 3 J) = 132 W, 11.4048 MJ a day, 0.3168 kg at 100 g/kWh; 36.525 kg over a year."""
    one = Machines("camera", 10, watts(5), watts(3, "J"), (2.0,) * 24, watts(36.525, "kg"), 1.0)
    curve = load_curve(Fleet("city", (one,), watts(1.2, "1"), limit_w=131), draws=10)
    assert curve.power_w == pytest.approx(np.full((24, 11), 132.0))
    assert curve.day_j.nominal == pytest.approx(132 * 86400)
    assert curve.carbon_kg(flat()).nominal == pytest.approx(0.3168)
    assert curve.cost([0.25] * 24).nominal == pytest.approx(0.792)
    assert curve.embodied_kg.nominal == pytest.approx(1.0)
    assert curve.over_limit == tuple(range(24))
    assert curve.peak[1].nominal == pytest.approx(132)


def test_fleet_from_a_file() -> None:
    """Equality: the same fleet from plain data; faults name their place and give an example."""
    data = {"name": "city", "pue": 1.2, "limit": "131 W",
            "machines": [{"name": "camera", "count": 10, "idle": "5 W", "rate": 2,
                          "request": {"value": "3 J", "spread": 1.5}}]}  # fmt: skip
    found = fleet_of(data)
    assert load_curve(found, draws=0).power_w[:, 0] == pytest.approx(np.full(24, 132.0))
    assert load_curve(found).peak[1].high > 132
    for wrong, words in (({"machines": []}, "no machines"), ({**data, "power": 3}, "unknown: power"),
                         ({"machines": [{"idle": "5 W", "rate": 2}]}, "no request"),
                         ({"machines": [{"idle": "5 J", "request": "3 J", "rate": 2}]}, "expected a quantity in W"),
                         ({"machines": [{"idle": "5 W", "request": "3 J", "rate": "x"}]}, "is no number")):  # fmt: skip
        with pytest.raises(InputError, match=words) as failure:
            fleet_of(wrong)
        assert failure.value.example
    with pytest.raises(InputError, match="3 rates"):
        load_curve(Fleet("x", (Machines("y", 1, watts(1), watts(1, "J"), (1.0,) * 3),)))


def test_amdahl() -> None:
    """By hand: exercise 6.2, AlexNet's shares by MACs: 226377130/29965457; nothing faster is no gain."""
    conv = Fraction(665_784_864, 724_406_816)
    assert amdahl({"conv": conv, "fc": 1 - conv}, {"conv": 10, "fc": 2}) == pytest.approx(
        226377130 / 29965457, rel=1e-12
    )
    assert amdahl({"a": 0.25, "b": 0.75}, {}) == 1
    with pytest.raises(InputError, match="shares"):
        amdahl({"a": 0.5}, {"a": 2})
    with pytest.raises(InputError, match="factors"):
        amdahl({"a": 1.0}, {"a": 0})
