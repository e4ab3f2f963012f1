"""Rows of tiled accelerators and of single figures: nothing here is fitted, but for what `held` says.

Zhang: the published 64 × 7 with tiles of 13 × 13, and, as a check of the search, what the search finds itself.
Qiu, Angel-Eye, DNNBuilder: the best tiled design that fits, not the dataflow of the paper; their slices bound it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from picojoule import read_hardware, read_model
from picojoule.formats import load_fabric
from picojoule.fpga import (
    Board,
    Layer,
    Overlay,
    Resources,
    Run,
    Tiled,
    best_tiled,
    board_of,
    layers_of,
    overlay_resources,
    overlay_run,
    power,
    tiled_run,
)  # fmt: skip

from ._row import Row, lines

ZHANG: Final = Tiled(64, 7, 13, 13, "float32", 32)
# The loops of the paper: outputs, inputs, side, kernel, stride of one of the two towers; every layer runs twice.
TOWERS: Final = (
    (48, 3, 55, 11, 4),
    (128, 48, 27, 5, 1),
    (192, 256, 13, 3, 1),
    (192, 192, 13, 3, 1),
    (128, 192, 13, 3, 1),
)


def board(name: str, clock_mhz: float, slices: float | None = None) -> Board:
    """A board of the library, with no more than `slices` to use if given."""
    found = board_of(read_hardware(name).architecture, load_fabric(), clock_hz=1e6 * clock_mhz)
    return found if slices is None else replace(found, usable=replace(found.usable, dsp=slices))


def convolutions(model: str) -> tuple[Layer, ...]:
    """The convolutions of a network alone."""
    return tuple(layer for layer in layers_of(read_model(model))[0] if layer.kind in ("conv", "depthwise"))


def towers() -> tuple[Layer, ...]:
    """The five layers of AlexNet as the paper unrolls them."""
    return tuple(
        Layer(f"conv{i}", "conv", m, n, side, side, (kernel, kernel), (stride, stride), 1, 2,
              n * (stride * (side - 1) + kernel) ** 2, m * n * kernel**2, m * side**2)
        for i, (m, n, side, kernel, stride) in enumerate(TOWERS, start=1)
    )  # fmt: skip


def zhang() -> Run:
    """AlexNet of two towers on the published design."""
    return tiled_run(towers(), ZHANG, board("vc707", 100), load_fabric())


def searched(layers: Sequence[Layer], where: Board, dtype: str, bits: int) -> Run:
    """The best tiled design for `layers`."""
    fabric = load_fabric()
    return tiled_run(layers, best_tiled(layers, where, fabric, dtype, bits), where, fabric)


def overlay(name: str, core: str, cores: int, clock_mhz: float, model: str, groups: int = 2) -> Run:
    """A network on an overlay."""
    layers, left = layers_of(read_model(model))
    fabric = load_fabric()
    return overlay_run(layers, Overlay(fabric.cores[core], cores, groups), board(name, clock_mhz), fabric, left)


def rows() -> list[Row]:
    """Every row of published.csv with its prediction."""
    zhang_run, vgg = zhang(), convolutions("vgg16")
    qiu = searched(vgg, board("zc706", 150, 780), "int16", 16)
    angel = searched(vgg, board("pynq-z1", 214), "int8", 8)
    builder = searched(vgg, board("zc706", 200), "int8", 8)
    kria = overlay("kv260", "b3136", 1, 300, "resnet50", groups=2)
    predicted: dict[tuple[str, str, str], float] = {
        **{
            ("zhang2015", f"conv{i}", "latency"): 1e3 * layer.time_s
            for i, layer in enumerate(zhang_run.layers, start=1)
        },
        ("zhang2015", "all five", "latency"): 1e3 * zhang_run.latency_s,
        ("zhang2015", "all five", "rate"): _giga(zhang_run),
        ("zhang2015", "design", "slices"): zhang_run.used.dsp,
        ("zhang2015", "design", "block RAM"): zhang_run.used.block_ram,
        ("zhang2015", "board", "power"): _power("vc707", zhang_run),
        ("qiu2016", "convolutions", "rate"): _giga(qiu),
        ("qiu2016", "board", "power"): _power("zc706", qiu),
        ("angeleye", "convolutions", "rate"): _giga(angel),
        ("dnnbuilder", "convolutions", "rate"): _giga(builder),
        ("pg338", "ResNet-50", "off-chip"): _traffic("resnet50-v1"),
        ("pg338", "Inception-v1", "off-chip"): _traffic("googlenet"),
        ("kria", "b3136", "slices"): _slices("kv260", "b3136").dsp,
        ("kria", "b3136", "power"): _power("kv260", kria),
    }
    spread = load_fabric().rates["tiled_error"].spread
    made = []
    for line in lines("published.csv"):
        value = predicted[line["set"], line["what"], line["quantity"]]
        held = (
            "circular" if line["quantity"] == "power" else "recalled" if line["provenance"] == "recalled" else "no fit"
        )
        made.append(Row("tiled designs and single figures", line["board"], f"{line['set']} {line['what']}", line["quantity"],
                        line["unit"], float(line["value"]), value, 2.0 if held == "circular" else spread, held))  # fmt: skip
    return made


def _giga(run: Run) -> float:
    """Operations per second, two a MAC [1e9]."""
    return 2e-9 * run.macs / run.latency_s


def _power(name: str, run: Run) -> float:
    machine = read_hardware(name)
    return power(run, machine.architecture, machine.technology, load_fabric()).power_w


def _traffic(model: str) -> float:
    """Mean input and output of one b4096 core at work [MB/s]; the processor's time between frames is not in it."""
    run = overlay("zcu102", "b4096", 1, 300, model)
    return 1e-6 * run.size_bytes * run.rate_per_s


def _slices(name: str, core: str) -> Resources:
    fabric = load_fabric()
    return overlay_resources(Overlay(fabric.cores[core], 1, 2), board(name, 300), fabric)
