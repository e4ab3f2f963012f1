"""Schedules of matrix products: the textbook's numbers, bounds and closed forms; files of machines."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule import machine as pm
from picojoule.formats import load_machine, machine_schema, read_machine
from picojoule.machine import Machine
from picojoule.quantity import InputError

CORE, CLUSTER = load_machine("textbook-core"), load_machine("textbook-cluster")


def cycles(program: pm.Program, machine: Machine = CORE) -> Fraction:
    return pm.simulate(program, machine).cycles


def test_7_7() -> None:
    """By hand: 1024/64 + 1024/64 + 256/256 + 4/64 = 33.0625; 34 whole cycles; the bus alone 32.0625."""
    answer = pm.exercise_7_7(CORE)
    assert (answer["no_overlap_cycles"], answer["simulated_cycles"], answer["whole_cycles"]) == (33.0625, 33.0625, 34)
    assert (answer["lower_bound_cycles"], answer["bound_by"]) == (32.0625, "memory")
    assert cycles(pm.matmul(CORE, 1, 256, 1, (1, 16, 1))) == 32.125


def test_7_8() -> None:
    """By hand: 512 + 2048 + 4096 + 256; t_X + t_W/n + t_C + t_Y/n for n = 4, 8; first tile, products, last tile."""
    answer = pm.exercise_7_8(CORE)
    assert answer["simulated_cycles"] == answer["no_overlap_cycles"] == 6912
    assert (answer["lower_bound_cycles"], answer["bound_by"]) == (4096, "compute")
    assert answer["double_buffer_cycles"] == [5184, 4896]
    assert answer["best_found_cycles"] == 4130
    assert cycles(pm.matmul(CORE, 32, 256, 128, (32, 16, 128), "kmn")) == 4512
    assert cycles(pm.matmul(CORE, 32, 256, 128, (32, 16, 16), "kmn")) == 4176


def test_7_8_timeline() -> None:
    """By hand: four column blocks: loads back to back, products from 1024 on, stores as soon as the bus is free."""
    run = pm.simulate(pm.column_blocks(CORE, 32, 256, 128, 4), CORE, trace=True)
    found = {kind: [(e.start, e.end) for e in run.events if e.kind == kind] for kind in ("load", "matrix", "store")}
    assert found["load"] == [(0, 512), (512, 1024), (1024, 1536), (1536, 2048), (2048, 2560)]
    assert found["matrix"] == [(1024, 2048), (2048, 3072), (3072, 4096), (4096, 5120)]
    assert found["store"] == [(2560, 2624), (3072, 3136), (4096, 4160), (5120, 5184)]


def test_7_9() -> None:
    """By hand: 16384 + 2048 + 131072 + 8192; t_W + t_X/n + t_C + t_Y/n for n = 32, 1024; 32 rows fit twice."""
    answer = pm.exercise_7_9(CORE)
    assert answer["simulated_cycles"] == answer["no_overlap_cycles"] == 157696
    assert answer["lower_bound_cycles"] == 131072
    assert answer["double_buffer_cycles"] == [133888, 133144]
    assert answer["largest_double_buffered_rows"] == 32
    assert list(answer["tiled_cycles"].values()) == [131872, 131472, 131376, 132240]


def test_7_10() -> None:
    """By hand: X half, W a quarter: 8192 + 512 + 131072 + 8192; first loads 512 + 256, products, last store 256."""
    answer = pm.exercise_7_10(CORE)
    assert answer["no_overlap_cycles"] == 147968
    assert answer["double_buffer_cycles"] == 512 + 256 + 131072 + 256
    assert answer["zeros_skipped"]["t_compute"] == 131072 / 8


def test_7_11() -> None:
    """By hand: 1280 + 64 + 1024 + 4 + 128; max(1408, 1280 + 1060/n + 128/n) for n rounds."""
    answer = pm.exercise_7_11(CLUSTER)
    assert answer["no_overlap"] == [2500, 2501.632]
    assert answer["lower_bound"] == 1408
    assert answer["cycles"] == [2468, 1874, 1577, 1428.5, 1408]
    assert answer["cycles"] == [max(1408, 1280 + 1060 / n + 128 / n) for n in answer["rounds"]]


def test_7_12() -> None:
    """Bound: no fewer cycles than 2^29 MACs on 1024 units; within one percent of it; SharedRAM is not overfilled."""
    answer = pm.exercise_7_12(CLUSTER)
    assert answer["lower_bound"] == 524288 <= answer["cycles"] <= 1.01 * 524288


def test_6_7_and_7_4_to_7_6() -> None:
    """By hand: busy 2560, 4096, 256, so 3·4096/6912; 13 instructions; 4130/4096 - 1; 100 + 256·2, 256·3 beats."""
    balance = pm.exercise_6_7(CORE)
    assert balance["queue_busy"] == {"load": 2560, "compute": 4096, "store": 256}
    assert balance["imbalance_max_over_mean"] == pytest.approx(16 / 9, rel=1e-15)
    assert pm.exercise_7_4(CORE)["instructions"] == 13
    assert pm.exercise_7_5(CORE)["largest_gain_of_out_of_order"] == 34 / 4096
    assert pm.exercise_6_4(CORE) == pm.exercise_7_5(CORE)
    assert pm.exercise_7_6(CORE) == {"ideal": 512, "with_setup": 612, "unaligned": 868, "one_row_at_a_time": 256 * 102}


def test_search() -> None:
    """Bound: no tiling by powers of two of 7.7 beats the bound; the best is the burst-sized one of 32.125 cycles."""
    best, tile, order = pm.search(CORE, 1, 256, 1, least=(1, 16, 1))
    assert (best, tile) == (Fraction("32.125"), (1, 16, 1))
    assert cycles(pm.matmul(CORE, 1, 256, 1, tile, order)) == best
    assert pm.search(CORE, 32, 256, 128, least=(2, 16, 16), most=2048, orders=["knm", "mnk"])[0] == 4130


sizes = st.integers(1, 40)


@given(sizes, sizes, sizes, sizes, sizes, sizes, st.sampled_from(["mkn", "mnk", "nmk", "knm"]))
@settings(max_examples=100, deadline=None)
def test_between_bound_and_sum(m: int, k: int, n: int, tm: int, tk: int, tn: int, order: str) -> None:
    """Bound: any schedule takes at least max(compute, bus) and at most their sum; the drafted time is the simulated."""
    parts = pm.times(CORE, m, k, n)
    program = pm.matmul(CORE, m, k, n, (tm, tk, tn), order)
    assert parts.bound <= cycles(program) <= parts.serial
    alone = pm.matmul(CORE, m, k, n, (tm, tk, tn), order, overlap=False)
    assert cycles(alone) == parts.serial


@given(st.sampled_from([2, 4, 8, 16]), st.sampled_from([1, 2, 4]), st.sampled_from([256, 512]))
@settings(deadline=None)
def test_faster_machine(factor: int, bus: int, macs: int) -> None:
    """Metamorphic: a clock f times slower with everything else per cycle the same: f times the seconds, equal cycles."""
    machine = replace(CORE, bus=CORE.bus * bus, macs={"float32": macs})
    program = pm.column_blocks(machine, 32, 256, 128, 4)
    fast, slow = (
        pm.simulate(program, machine),
        pm.simulate(program, replace(machine, clock_hz=machine.clock_hz / factor)),
    )
    assert fast.cycles == slow.cycles
    assert slow.seconds == pytest.approx(factor * fast.seconds)


def test_does_not_fit() -> None:
    """Message: tiles that no place is left for, and a machine without SharedRAM."""
    with pytest.raises(InputError, match="tiles of"):
        pm.matmul(CORE, 1024, 256, 128, (1024, 256, 128))
    with pytest.raises(InputError, match="no SharedRAM"):
        pm.cluster_matmul(CORE, 32, 256, 128, 4)
    with pytest.raises(InputError, match=r"do not fit|divide"):
        pm.cluster_matmul(CLUSTER, 1024, 256, 2048, 1, 32)
    with pytest.raises(InputError, match="order"):
        pm.matmul(CORE, 4, 4, 4, (1, 1, 1), "abc")


def test_matrix_unit_with_a_shape() -> None:
    """By hand: a unit of 16×16 takes 10·⌈20/16⌉·⌈40/16⌉ cycles."""
    shaped = replace(CORE, tile=(16, 16))
    assert cycles(pm.assemble("mm x=0 w=0 y=8192 m=10 k=20 n=40"), shaped) == 10 * 2 * 3


def written(path: Path, **changes: Any) -> Path:
    data = {
        "format": "picojoule/machine/1", "name": "mine", "clock": "1 GHz", "matrix": {"macs": {"float32": 256}},
        "vector": {"lanes": {"float32": 64}}, "off_chip": "64 GB/s", "on_chip": "1 TB/s",
        "memories": {"dram": "4 GiB", "nram": "128 KiB", "wram": "256 KiB"}, **changes,
    }  # fmt: skip
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    return path


def test_machine_files(tmp_path: Path) -> None:
    """By hand: rates per cycle are bandwidth over clock, exactly; no SharedRAM unless it is written."""
    machine = read_machine(written(tmp_path / "a.yaml", clock="1.1 GHz", off_chip="25.6 GB/s"))
    assert machine.bus == Fraction(256, 11)
    assert (machine.sizes["nram"], machine.sizes["sram"], machine.agents) == (131072, 0, ("core0",))
    assert (CORE.bus, CORE.macs["float32"], CORE.link) == (64, 256, 1024)
    assert (CLUSTER.bus, CLUSTER.cores, CLUSTER.sizes["sram"]) == (128, 4, 2 << 20)
    assert CLUSTER.agents[-1] == "dma"
    assert machine_schema()["properties"]["matrix"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clock": "fast"}, "clock"), ({"off_chip": "0 GB/s"}, "off_chip"), ({"cores": 0}, "cores"),
        ({"matrix": {"macs": {"float32": 0}}}, "float32"), ({"vectors": {}}, "no key here"),
        ({"memories": {"dram": "4 GiB", "nram": "1 TiB", "wram": "1 KiB"}}, "nram"), ({"name": None}, "missing"),
    ],
)  # fmt: skip
def test_machine_file_faults(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    """Message: the line, and what would pass."""
    with pytest.raises(InputError, match=words) as caught:
        read_machine(written(tmp_path / "bad.yaml", **changes))
    assert "bad.yaml" in str(caught.value)
    with pytest.raises(InputError, match="textbook-core"):
        load_machine("nothing")


def test_machines_that_cannot_be() -> None:
    """Message: rates below one are refused; a machine without a vector unit is one."""
    assert replace(CORE, lanes={}, special={}, macs={}).ticks == 1024
    for changes in ({"bus": Fraction(0)}, {"cores": 0}, {"macs": {"int8": 0}}, {"setup": -1}):
        with pytest.raises(InputError, match="textbook-core"):
            replace(CORE, **changes)
