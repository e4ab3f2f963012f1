"""Laws of jobs: rows add up, static power is paid once, what overlaps is a maximum, what moves moves alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from tests.lifecycle.sample import DISK, IMAGES, WIRE, device, job, jobs, network
from tests.strategies import value

from picojoule.lifecycle import (
    Convert,
    Data,
    Device,
    Given,
    Infer,
    Job,
    JobResult,
    Load,
    Overlap,
    Postprocess,
    Stage,
    Train,
    Transfer,
    run_job,
)
from picojoule.quantity import InputError

HOST, GPU = device("host", "xeon-8380"), device("gpu", "a100", 2)
DEVICES = {"host": HOST, "gpu": GPU}
EVERYWHERE = {"load": "host", "preprocess": "host", "convert": "host", "transfer": "gpu", "train": "gpu",
              "infer": "gpu", "postprocess": "host", "given": ""}  # fmt: skip


def run(what: Job, **options: int) -> JobResult:
    return run_job(what, network, draws=options.get("draws", 20), seed=options.get("seed", 0))


def test_plain_sum() -> None:
    """By hand: 1 + 2 + 0.5 + 0.25 + 10 + 3 + 1.5 = 18.25 J; training is 0.5479 of it; transfer is there once."""
    joules = {"load": 1, "preprocess": 2, "convert": 0.5, "transfer": 0.25, "train": 10, "infer": 3, "optimise": 1.5}
    result = run(Job("e", tuple(Stage(name, Given(value(j, "J"))) for name, j in joules.items())))
    assert result.total_energy_j.nominal == pytest.approx(18.25, rel=1e-12)
    assert result.shares["train"] == pytest.approx(0.547945205479452, rel=1e-12)
    assert list(result.energies) == list(joules)


@given(jobs())
@settings(max_examples=80, deadline=None)
def test_rows_add_up(what: Job) -> None:
    """Equality: stages, waiting and conversion sum to the total in every draw, shares to one."""
    result = run(what)
    total = np.sum([s.dynamic_j + s.static_j for s in result.stages], axis=0)
    total = total + np.sum([i.energy_j for i in result.idle], axis=0)
    if result.conversion_j is not None:
        total = total + result.conversion_j
    np.testing.assert_allclose(result.energy_j, total, rtol=1e-12)
    assert sum(result.shares.values()) == pytest.approx(1, rel=1e-12)
    for stage in result.stages:
        np.testing.assert_allclose(stage.dynamic_j, sum(part.cost.energy_j.sum(axis=0) for part in stage.parts))


@given(jobs())
@settings(max_examples=80, deadline=None)
def test_time_is_a_maximum(what: Job) -> None:
    """Bound: the job takes at least its longest stage and at most the sum of all, in every draw."""
    result = run(what)
    times = np.array([stage.time_s for stage in result.stages])
    assert (result.time_s <= times.sum(axis=0) * (1 + 1e-12)).all()
    assert (result.time_s >= times.max(axis=0) * (1 - 1e-12)).all()


@given(jobs())
@settings(max_examples=80, deadline=None)
def test_static_power_is_paid_once(what: Job) -> None:
    """Equality: static energy of the stages on a device and of its waiting is count · P · T, overlap or not."""
    result = run(what)
    for name, held in what.devices.items():
        watts = held.technology.prices["static.leak"].nominal * held.count
        paid = sum(float(s.static_j[0]) for s in result.stages if s.stage.device == name)
        paid += sum(float(row.energy_j[0]) for row in result.idle if row.name == name)
        assert paid == pytest.approx(watts * float(result.time_s[0]), rel=1e-9)


def test_moving_a_stage() -> None:
    """Metamorphic: a stage on another device changes its own actions' energy and nobody else's, in every draw."""
    here = run(job(EVERYWHERE, DEVICES))
    moved = run(job({**EVERYWHERE, "postprocess": "gpu", "convert": "gpu"}, DEVICES))
    for a, b in zip(here.stages, moved.stages, strict=True):
        assert np.array_equal(a.dynamic_j, b.dynamic_j) == (a.name not in ("postprocess", "convert"))


def test_overlap_changes_time_alone() -> None:
    """Metamorphic: stages at once cost the same actions; time is the longest; one item is one after another."""
    names = ("load", "preprocess", "transfer", "train")
    serial, at_once, one, many = (
        run(job(EVERYWHERE, DEVICES, overlaps=overlaps))
        for overlaps in ((), (Overlap(names),), (Overlap(names, 1),), (Overlap(names, 10**9),))
    )
    for a, b in zip(serial.stages, at_once.stages, strict=True):
        assert np.array_equal(a.dynamic_j, b.dynamic_j)
    longest = np.max([serial.stage(name).time_s for name in names], axis=0)
    rest = sum(s.time_s for s in serial.stages if s.name not in names)
    np.testing.assert_allclose(at_once.time_s, longest + rest, rtol=1e-12)
    np.testing.assert_allclose(one.time_s, serial.time_s, rtol=1e-12)
    np.testing.assert_allclose(many.time_s, at_once.time_s, rtol=1e-6)


def test_same_seed_same_world() -> None:
    """Equality: equal seeds give equal draws, and the price of a stage does not hang on the others."""
    alone, all_ = run(job({"infer": "gpu"}, DEVICES)), run(job(EVERYWHERE, DEVICES))
    assert np.array_equal(alone.stage("infer").dynamic_j, all_.stage("infer").dynamic_j)
    assert not np.array_equal(alone.energy_j[1:], run(job({"infer": "gpu"}, DEVICES), seed=1).energy_j[1:])


def test_load_and_page_cache() -> None:
    """By hand: 100,100 B with labels from the storage once and from memory in the second epoch, or twice if too big."""
    small = run(job({"load": "host"}, DEVICES)).stage("load")
    assert (
        small.counts[("storage", "read")] == small.counts[("ddr", "write")] == small.counts[("ddr", "read")] == 100_100
    )
    seconds = 100_100 / 7e9 + 100 * 1e-4
    assert float(small.parts[0].cost.time_s[0, 0]) == pytest.approx(seconds, rel=1e-12)
    big = run(Job("big", (Stage("load", Load(DISK, 1000), "host"),), DEVICES, IMAGES, epochs=2)).stage("load")
    assert big.counts[("storage", "read")] == 200_200
    assert float(big.time_s[0]) == pytest.approx(2 * seconds, rel=1e-12)
    assert float(big.dynamic_j[0]) > 200_200 * 1e-9


def test_convert_and_transfer() -> None:
    """By hand: uint8 to float32 reads 1 B and writes 4 B a value; 12,288 + 1 B an item cross the link, weights once."""
    cifar = Data(50, (32, 32, 3), label_bytes=1)
    stages = (Stage("convert", Convert(), "host"), Stage("transfer", Transfer(WIRE), "gpu"),
              Stage("train", Train("net", wire=WIRE), "gpu"), Stage("infer", Infer("net"), "gpu"))  # fmt: skip
    result = run(Job("cifar", stages, DEVICES, cifar, batch=16))
    assert result.stage("convert").counts[("ddr", "read")] == 50 * 3072
    assert result.stage("convert").counts[("ddr", "write")] == 50 * 12_288
    weights = 4 * (33 * 20 + 20 + 20 * 10 + 10)
    data, model = result.stage("transfer").parts[0].cost.activities
    assert data.counts == {("wire", "byte"): 50 * 12_289}
    assert model.counts == {("wire", "byte"): 2 * weights}
    assert data.time_s == pytest.approx(2 * 1e-5 + 50 * 12_289 / 2 / 25e9, rel=1e-12)


def test_training_parts() -> None:
    """By hand: 96 items on 2 devices of batch 8 are 6 steps; the ring carries 2 (p − 1) / p of the gradients a device."""
    data = replace(IMAGES, items=96)
    result = run(job({"train": "gpu"}, DEVICES, data=data, epochs=1)).stage("train")
    assert [part.name for part in result.parts] == ["forward", "gradient", "all-reduce", "update"]
    forward, first, second = 33 * 20 + 20 * 10, 33 * 20, 20 * 10
    assert result.macs == 96 * (forward + first + second + second)
    ring = result.parts[2]
    assert ring.counts[("wire", "byte")] == 6 * 2 * (4 * (forward + 30))
    hidden = run(Job("h", (Stage("train", Train("net", wire=WIRE, hidden=1.0), "gpu"),), DEVICES, data, 8)).stage(
        "train"
    )
    exposed = np.maximum(0, ring.time_s - result.parts[1].time_s)
    np.testing.assert_allclose(hidden.parts[2].time_s, exposed, atol=1e-15)


def test_more_devices() -> None:
    """Metamorphic: twice the devices never cost less in actions, and the same arithmetic."""
    data = replace(IMAGES, items=96)
    one, two, four = (
        run(job({"train": "gpu"}, {"gpu": device("gpu", "a100", n)}, data=data)).stage("train") for n in (1, 2, 4)
    )
    assert one.macs == two.macs == four.macs
    assert one.dynamic_j[0] <= two.dynamic_j[0] <= four.dynamic_j[0]
    assert [len(stage.parts) for stage in (one, two, four)] == [3, 4, 4]


def test_nodes() -> None:
    """Bound: eight devices on two nodes with a slow link between send less over it than one ring would."""
    gpu = {"gpu": device("gpu", "a100", 8)}
    slow = replace(WIRE, name="slow", bandwidth=value(1e9, "B/s"))
    wide = Train("net", wire=WIRE, nodes=2, between=slow)
    split = run(Job("n", (Stage("train", wide, "gpu"),), gpu, IMAGES, 8)).stage("train").parts[2]
    size = 4 * (33 * 20 + 20 + 20 * 10 + 10)
    steps = 2
    assert split.counts[("wire", "byte")] == steps * 8 * (2 * 3 * size // 4)
    assert split.counts[("between", "byte")] == steps * 8 * (size // 4)


@pytest.mark.parametrize("hardware", ["xeon-8380", "a100", "zcu102", "diannao", "eyeriss", "tpu-v1"])
def test_every_kind_of_machine(hardware: str) -> None:
    """Bound: CPU, GPU, FPGA and processor run every stage at both levels; roofline takes no less time than count."""
    held = {"it": device("it", hardware)}
    where = dict.fromkeys(EVERYWHERE, "it")
    count, roofline = (run(job(where, held, level=level)) for level in ("count", "roofline"))
    for low, high in zip(count.stages, roofline.stages, strict=True):
        assert 0 < low.dynamic_j[0] < np.inf
        assert low.time_s[0] <= high.time_s[0] * (1 + 1e-12)


def test_wall_and_facility() -> None:
    """By hand: 1 / 0.8 · 1.5 of the machines' energy reaches the meter; without the factors nothing is added."""
    plain = job(EVERYWHERE, DEVICES)
    machines = run(plain)
    wall = run(replace(plain, power_supply=value(0.8, "1", 1.0, "wall"), facility=value(1.5, "1", 1.0, "facility")))
    np.testing.assert_allclose(wall.energy_j, machines.energy_j * 1.5 / 0.8, rtol=1e-12)
    assert machines.conversion_j is None
    assert wall.scope.startswith("facility")


def test_nms_by_hand() -> None:
    """By hand: 20 boxes: 190 pairs of 5 compares, 20 · 5 in the sort, 190 divisions, each image."""
    data = Data(3, (10,), "float32")
    result = run(Job("p", (Stage("postprocess", Postprocess(("nms",), 1, 20), "host"),), DEVICES, data, 2))
    counts = {action: n for (_, action), n in result.stage("postprocess").counts.items()}
    assert counts["compare_float32"] == 3 * (190 * 5 + 100)
    assert counts["div_float32"] == 3 * 190


def wrong(**changes: object) -> None:
    job(**{"where": EVERYWHERE, "devices": DEVICES, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"where": {}}, "no stages"),
        ({"where": {"load": "moon"}}, "one of the devices: host, gpu"),
        ({"where": {"transfer": "gpu", "transfer again": "gpu"}}, "transferred to 'gpu' twice"),
        ({"overlaps": (Overlap(("load", "sleep")),)}, "'sleep' overlaps, but is no stage"),
        ({"overlaps": (Overlap(("load", "train")), Overlap(("load", "infer")))}, "'load' overlaps twice"),
    ],
)
def test_wrong_jobs(changes: dict[str, object], says: str) -> None:
    """Message: a job that cannot be says why."""
    with pytest.raises(InputError, match=says):
        wrong(**changes)


def test_two_of_a_name() -> None:
    """Message: two stages of one name, and devices without a link, say so."""
    one = Stage("a", Given(value(1, "J")))
    with pytest.raises(InputError, match="two stages are named 'a'"):
        Job("x", (one, one))
    with pytest.raises(InputError, match="no link between them"):
        run(Job("x", (Stage("train", Train("net"), "gpu"),), DEVICES, IMAGES))
    with pytest.raises(InputError, match="nobody reads the model"):
        run_job(Job("x", (Stage("infer", Infer("net"), "gpu"),), DEVICES, IMAGES))


def test_crowded_devices_are_named() -> None:
    """Message: two stages that compute on one device at once are named in a note."""
    result = run(job(EVERYWHERE, DEVICES, overlaps=(Overlap(("preprocess", "convert")),)))
    assert any("several stages of the overlap compute on host" in note for note in result.notes)
    assert isinstance(result.job.devices["host"], Device)
