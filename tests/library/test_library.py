"""The shipped machines: present, sourced, consistent, up to date, and quick to load."""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from picojoule.formats import (
    hardware_names,
    hardware_schema,
    list_hardware,
    load_hardware,
    read_catalogue,
    read_hardware,
    read_references,
    reference,
    technology_schema,
)  # fmt: skip
from picojoule.formats._built import pack, unpack
from picojoule.formats._place import BUILT, LIBRARY
from picojoule.hardware import Architecture, Technology
from picojoule.quantity import PROVENANCES, InputError, Value

ROOT = Path(__file__).resolve().parents[2]
NAMES = [row.name for row in list_hardware()]


def values(machine: Architecture, technology: Technology) -> Iterator[tuple[str, Value]]:
    """Every value of a machine with a word for where it stands."""
    for name in ("node", "launch", "max_power", "idle_power"):
        if (value := getattr(machine, name)) is not None:
            yield name, value
    yield from machine.facts.items()
    for memory in machine.memories:
        yield from ((memory.name, v) for v in (memory.size, memory.bandwidth) if v is not None)
    for unit in machine.compute:
        yield from unit.peak.items()
        yield from (("clock", v) for v in (unit.clock,) if v is not None)
    yield from ((link.name, link.bandwidth) for link in machine.links if link.bandwidth is not None)
    for name, share in machine.attained.items():
        yield from ((name, v) for v in (share.compute, share.memory))
    yield from technology.prices.items()


def test_counts_by_kind() -> None:
    """Bound: at least 30 GPUs, 12 CPUs, 8 FPGAs and 20 NPUs."""
    kinds = Counter(row.kind for row in list_hardware())
    assert kinds["gpu"] >= 30
    assert kinds["cpu"] >= 12
    assert kinds["fpga"] >= 8
    assert kinds["npu"] >= 20


TYPED = """h100 a100 v100 t4 l4 l40s rtx4090 RTX-3090 h200 b200 mi300x xeon xeon-8380 xeon-8480 epyc-9654 zcu102 ZCU104
kv260 eyeriss eyeriss-v2 tpuv1 tpu-v1 tpuv4 jetson-orin apple-m1 diannao nvdla simba edge-tpu trainium2"""


@pytest.mark.parametrize("name", TYPED.split())
def test_names_that_users_type(name: str) -> None:
    """Equality: each common name finds a machine, by any separator and case."""
    machine, technology = load_hardware(name)
    assert load_hardware(name.upper().replace("-", " "))[0].name == machine.name
    assert technology.prices


def test_unknown_name() -> None:
    """Message: an unknown name offers the nearest ones."""
    with pytest.raises(InputError) as caught:
        load_hardware("h10O")
    assert "h100" in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_value_has_a_known_source(name: str) -> None:
    """Bound: every source is a key of references.bib, every provenance is one of the allowed, shares are shares."""
    machine, technology = load_hardware(name)
    keys = read_references()
    for what, value in values(machine, technology):
        assert value.source in keys, what
        assert value.provenance in PROVENANCES, what
        assert value.spread >= 1, what
    for share in machine.attained.values():
        assert share.compute.nominal <= 1
        assert share.memory.nominal <= 1
    assert "default" in machine.attained
    assert not technology.mixed_scope or len(technology.scopes) > 1


@pytest.mark.parametrize("name", NAMES)
def test_every_action_has_a_price(name: str) -> None:
    """Bound: reading, writing, every operation in every dtype is priced, and power is static or a store's own."""
    machine, technology = load_hardware(name)
    for memory in machine.memories:
        assert technology.price((memory.name, "read")).unit == "J/B"
        assert technology.price((memory.name, "write")).unit == "J/B"
    for unit in machine.compute:
        for dtype in (*unit.peak, "int64"):
            for work in ("mac", "add", "mul", "compare", "exp", "neg", "select"):
                assert technology.price((unit.name, f"{work}_{dtype}")).unit == "J"


@pytest.mark.parametrize("name", NAMES)
def test_inner_stores_are_cheaper_than_dram(name: str) -> None:
    """Bound: every level further in costs no more per byte than the one around it."""
    machine, technology = load_hardware(name)
    prices = [technology.price((memory.name, "read")).nominal for memory in machine.memories]
    order = [memory.group for memory in machine.memories]
    assert order == sorted(order, key=["off-chip", "on-chip", "registers"].index)
    for index, price in enumerate(prices[1:], 1):
        assert price < prices[0], machine.memories[index].name


@pytest.mark.parametrize("name", NAMES)
def test_dense_work_stays_within_the_sheet(name: str) -> None:
    """Bound: static power and dense work at its attained rate draw no more than the TDP of the sheet."""
    machine, technology = load_hardware(name)
    if machine.max_power is None or technology.scope != "board":
        return
    static = technology.prices["static.leak"].nominal
    for unit in machine.compute:
        for dtype, peak in unit.peak.items():
            keys = (f"gemm_{dtype}", "gemm_float32" if unit.unit == "vector" else "gemm", "gemm")
            eta = next(machine.attained[key] for key in keys if key in machine.attained).compute.nominal
            work = technology.price((unit.name, f"mac_{dtype}")).nominal / 2 * peak.nominal * eta
            assert static + work <= machine.max_power.nominal, dtype
    outermost = machine.memories[0]
    if outermost.bandwidth is not None:
        rate = outermost.bandwidth.nominal * machine.attained["gemm"].memory.nominal
        assert static + rate * technology.price((outermost.name, "read")).nominal <= machine.max_power.nominal


@pytest.mark.parametrize("name", [row.name for row in list_hardware() if row.kind == "gpu"])
def test_vector_peak_is_lanes_times_clock(name: str) -> None:
    """By hand: FP32 of a GPU is 2 x lanes x clock, within 5 % where the facts give both (MI300: 4 per lane)."""
    machine, _ = load_hardware(name)
    lanes, vector = machine.facts.get("shader_lanes"), machine.unit("float32", "vector")
    if lanes is None or vector is None or vector.clock is None or vector.peak["float32"].provenance == "recalled":
        return
    per_lane = vector.peak["float32"].nominal / (lanes.nominal * vector.clock.nominal)
    assert per_lane <= 4.1
    if machine.vendor == "NVIDIA":
        assert per_lane <= 2 * 1.05


@pytest.mark.parametrize("name", ["h100", "a100", "b200", "l4", "l40s"])
def test_dense_and_not_sparse(name: str) -> None:
    """By hand: FP8 and INT8 are twice 16 bit, never four times: headline figures with sparsity are not used."""
    machine, _ = load_hardware(name)
    matrix = next(unit for unit in machine.compute if unit.unit == "matrix")
    for dtype in ("int8", "float8"):
        if dtype in matrix.peak:
            assert matrix.peak[dtype].nominal / matrix.peak["bfloat16"].nominal == pytest.approx(2, rel=0.02)


def test_published_figures() -> None:
    """Published: H100 989 TFLOP/s, 3352 GB/s, 700 W; TPU v1 92 TOP/s, 34 GB/s, 28 W; Eyeriss 33.6 GMAC/s, 108 KiB."""
    h100, tpu, eyeriss = (load_hardware(name)[0] for name in ("h100", "tpuv1", "eyeriss"))
    assert h100.unit("bfloat16", "matrix").peak["bfloat16"].nominal == 989e12  # type: ignore[union-attr]
    assert h100.memories[0].bandwidth.nominal == pytest.approx(3.352e12, rel=1e-3)  # type: ignore[union-attr]
    assert h100.max_power is not None
    assert h100.max_power.nominal == 700
    assert tpu.compute[0].peak["int8"].nominal == 92e12
    assert load_hardware("tpuv1")[1].prices["static.leak"].nominal == 28
    assert eyeriss.compute[0].peak["int16"].nominal == 67.2e9
    assert eyeriss.memories[1].size is not None
    assert eyeriss.memories[1].size.nominal == 108 * 1024


def test_static_power_of_an_h100_board() -> None:
    """Bound: between its measured idle power of 72 W and 0.4 of its TDP, the intercept fitted across devices."""
    static = load_hardware("h100")[1].prices["static.leak"].nominal
    assert 71.8 < static < 0.4 * 700


def test_shared_prices_are_equal() -> None:
    """Equality: two machines with the same DRAM by law hold one value, so that their draws are shared."""
    prices = [load_hardware(name)[1].price(("ddr", "read")) for name in ("zcu102", "kv260", "alveo-u250")]
    assert prices[0] == prices[1] == prices[2]


@pytest.mark.parametrize("name", NAMES)
def test_built_file_is_the_yaml(name: str) -> None:
    """Round trip: what the YAML says is what the built JSON gives back."""
    fresh = read_hardware(LIBRARY / "architectures" / f"{name}.yaml")
    assert load_hardware(name) == fresh
    assert unpack(json.loads(json.dumps(pack(*fresh)))) == fresh


def test_everything_built_is_up_to_date() -> None:
    """Equality: building again changes no file, and no built file is left over."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "build_library.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    built = {path.stem for path in BUILT.glob("*.json")}
    assert built == {*NAMES, "index", "_catalogue", "_dataflows", "_tables"}
    schemas = ROOT / "docs" / "schema"
    assert json.loads((schemas / "hardware.schema.json").read_text()) == hardware_schema()
    assert json.loads((schemas / "technology.schema.json").read_text()) == technology_schema()


def test_loading_is_light() -> None:
    """Bound: loading a machine imports neither pydantic nor ruamel and takes less than 10 ms (100 on a busy machine)."""
    program = (
        "import sys, time; from picojoule.formats import load_hardware; a = time.perf_counter();"
        "load_hardware('h100'); b = time.perf_counter();"
        "print(b - a, any(m.startswith(('pydantic', 'ruamel')) for m in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    seconds, heavy = ran.stdout.split()
    assert heavy == "False"
    assert float(seconds) < 0.1
    start = time.perf_counter()
    for _ in range(20):
        load_hardware("h100")
    assert (time.perf_counter() - start) / 20 < 0.02


def test_names_are_unique() -> None:
    """Equality: every name and alias leads to one machine that exists."""
    assert set(hardware_names().values()) == set(NAMES)
    assert len(NAMES) == len(set(NAMES))


def test_references() -> None:
    """Round trip: every entry has a title, keys stand once in the file, and an unknown key offers near ones."""
    text = (LIBRARY / "references.bib").read_text(encoding="utf-8")
    keys = re.findall(r"^@\w+\{([^,]+),", text, re.M)
    assert len(keys) == len(set(keys)) == len(read_references())
    assert all(entry.fields["title"] for entry in read_references().values())
    assert "Horowitz" in reference("horowitz2014").text
    assert reference("horowitz2014").bibtex.startswith("@misc{horowitz2014,")
    with pytest.raises(InputError, match="horowitz2014"):
        reference("horowitz2015")


def test_catalogue_sources() -> None:
    """Bound: every energy of the catalogue has a source of the bibliography."""
    assert {entry.value.source for entry in read_catalogue().values()} <= set(read_references())
