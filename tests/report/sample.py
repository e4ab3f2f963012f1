"""A small world for the page: a residual network, a GPU-like and a chip-like machine, all numbers invented."""

from dataclasses import replace

from picojoule.cost import Interval
from picojoule.devices import Published
from picojoule.hardware import STATIC, Architecture, Attained, Compute, Memory, Technology
from picojoule.levels import Estimate, estimate
from picojoule.quantity import Provenance, Scope, Value
from picojoule.studies import AtBatch, Batches, Predicted
from picojoule.workload import Graph, Tensor, Workload, ops

REFERENCES = {
    "sheet": "Vendor: data sheet of the invented GPU, 2024. https://example.org/sheet?a=1&b=2",
    "fit": "A. Author: energy of invented boards, doi:10.1000/xyz123, 2025.",
    "chip": "B. Builder: an invented row-stationary chip, IEEE JSSC 52(1), 2017.",
    "dram": "C. Memory: invented DRAM energies, ISCA 2012.",
}


def _v(nominal: float, unit: str, spread: float, source: str, scope: Scope | None = None,
       provenance: Provenance = "seen", where: str = "", note: str = "") -> Value:  # fmt: skip
    return Value(nominal, unit, spread, source, where, scope, provenance, note)


def _conv(g: Graph, x: Tensor, name: str, filters: int, kernel: int, stride: int = 1, *, plain: bool = False) -> Tensor:
    with g.scope(name):
        weight = g.parameter("weight", (filters, x.shape[1], kernel, kernel))
        x = ops.conv(g, x, weight, stride=(stride, stride), padding=[(kernel // 2, kernel // 2)] * 2)
    if plain:
        return x
    with g.scope(name.replace("conv", "bn")):
        side = [g.parameter(n, (filters,), "norm") for n in ("weight", "bias")]
        side += [g.parameter(n, (filters,), "buffer") for n in ("mean", "var")]
        return ops.batch_norm(g, x, *side)


def resnet(*, batch: int = 1, plain: bool = False, name: str = "resnet50", depths: tuple[int, ...] = (3, 4, 6, 3),
           width: int = 64) -> Workload:  # fmt: skip
    """ResNet-50: 175 operators, or 54 if `plain` leaves out norms, activations and additions."""
    g = Graph(name, batch=batch)
    x = g.input("x", (batch, 3, 224, 224))

    def relu(x: Tensor, label: str) -> Tensor:
        if plain:
            return x
        with g.scope(label):
            return ops.unary(g, "relu", x)

    x = relu(_conv(g, x, "conv1", width, 7, 2, plain=plain), "relu")
    with g.scope("maxpool"):
        x = ops.pool(g, x, "max", (3, 3), stride=(2, 2), padding=[(1, 1), (1, 1)])
    for stage, depth in enumerate(depths):
        for n in range(depth):
            with g.scope(f"layer{stage + 1}", n):
                wide, stride, skip = width << stage, 2 if n == 0 and stage else 1, x
                y = relu(_conv(g, x, "conv1", wide, 1, plain=plain), "relu1")
                y = relu(_conv(g, y, "conv2", wide, 3, stride, plain=plain), "relu2")
                y = _conv(g, y, "conv3", 4 * wide, 1, plain=plain)
                if n == 0:
                    with g.scope("downsample"):
                        skip = _conv(g, x, "conv", 4 * wide, 1, stride, plain=plain)
                x = y if plain else relu(ops.binary(g, "add", y, skip), "relu3")
    with g.scope("avgpool"):
        x = ops.reduce(g, "mean", x, (2, 3), kind="pool")
    with g.scope("fc"):
        x = ops.linear(g, x, g.parameter("weight", (1000, x.shape[1])), g.parameter("bias", (1000,), "bias"))
    g.output(x)
    g.notes.append("taps on padding count as real")
    return g.workload()


def stack(layers: int, *, wide: int = 256, name: str = "stack") -> Workload:
    """`layers` equal layers of a linear and a relu, then a head: 2·layers + 1 operators."""
    g = Graph(name)
    x = g.input("x", (8, wide))
    for n in range(layers):
        with g.scope("layers", n, "fc"):
            x = ops.linear(g, x, g.parameter("weight", (wide, wide)))
        with g.scope("layers", n, "act"):
            x = ops.unary(g, "relu", x)
    with g.scope("head"):
        g.output(ops.linear(g, x, g.parameter("weight", (10, wide))))
    return g.workload()


def gpu(name: str = "gpu", title: str = "Invented GPU 900") -> Architecture:
    """Matrix and vector units, three memories, launches of a few microseconds."""
    share = {
        kind: Attained(_v(c, "", 1.25, "fit", provenance="fitted"), _v(m, "", 1.2, "fit", provenance="fitted"))
        for kind, c, m in (("default", 0.5, 0.7), ("conv", 0.55, 0.75), ("gemm", 0.7, 0.8), ("elementwise", 0.4, 0.8))
    }
    sheet = "sheet"
    return Architecture(
        name, title, "gpu", "invented",
        (Memory("hbm", "HBM3", _v(80e9, "B", 1, sheet), _v(3.35e12, "B/s", 1, sheet), "off-chip"),
         Memory("l2", "SRAM", _v(50e6, "B", 1, sheet), _v(8e12, "B/s", 1.5, sheet, provenance="recalled")),
         Memory("registers", "register file", _v(33e6, "B", 1, sheet), None, "registers")),
        (Compute("tensor", "matrix", {"float16": _v(989e12, "FLOP/s", 1, sheet, where="table 1, dense")}),
         Compute("cuda", "vector", {"float32": _v(67e12, "FLOP/s", 1, sheet), "float16": _v(134e12, "FLOP/s", 1, sheet)})),
        share, _v(1.8e-6, "s", 1.4, "fit", provenance="measured"), "board-gpu", 2023, _v(4e-9, "m", 1, sheet),
        max_power=_v(700, "W", 1, sheet),
    )  # fmt: skip


def board(name: str = "board") -> Technology:
    """Prices of a whole board."""

    def b(joules: float, spread: float, provenance: Provenance = "fitted", unit: str = "J") -> Value:
        return _v(joules, unit, spread, "fit", "board", provenance, "table 3")

    return Technology(name, {
        "tensor.mac_*": b(0.68e-12, 1.6), "cuda.*": b(2.1e-12, 1.7), "registers.*": b(0.06e-12, 1.8, "derived"),
        "l2.*": b(9e-12, 1.6), "hbm.*": b(45e-12, 1.5), ".".join(STATIC): b(118, 1.25, "measured", "W"),
    })  # fmt: skip


def chip(name: str = "chip") -> Architecture:
    """A row-stationary array of 168 multipliers with its buffer, on a slow DRAM."""
    share = {"default": Attained(_v(0.8, "", 1.1, "chip"), _v(0.9, "", 1.1, "chip"))}
    return Architecture(
        name, "Invented chip v1", "npu", "invented",
        (Memory("dram", "LPDDR", None, _v(1e9, "B/s", 1.2, "chip"), "off-chip"),
         Memory("buffer", "SRAM", _v(108e3, "B", 1, "chip"), _v(25e9, "B/s", 1, "chip")),
         Memory("noc", "multicast", None, None, "network"),
         Memory("spad", "register file", _v(87e3, "B", 1, "chip"), None, "registers")),
        (Compute("pe", "matrix", {"int16": _v(67.2e9, "OP/s", 1, "chip"), "float32": _v(67.2e9, "OP/s", 1, "chip")}),),
        share, None, "chip-65nm", 2016, _v(65e-9, "m", 1, "chip"),
    )  # fmt: skip


def macro(name: str = "macro") -> Technology:
    """Prices of blocks of a chip and of a DRAM device: two scopes, with a reason."""

    def m(joules: float, spread: float, scope: Scope = "macro", source: str = "chip", unit: str = "J") -> Value:
        return _v(joules, unit, spread, source, scope, "derived", "scaled from 45 nm")

    return Technology(name, {
        "pe.mac_*": m(2.1e-12, 1.7), "pe.*": m(0.9e-12, 1.7), "spad.*": m(1.1e-12, 1.8), "noc.*": m(4e-12, 1.8),
        "buffer.*": m(9e-12, 1.6), "dram.*": m(95e-12, 2.0, "device", "dram"),
        ".".join(STATIC): m(0.031, 1.3, unit="W"),
    }, mixed_scope="the chip by its designers, the DRAM by its data sheet; no board losses")  # fmt: skip


def on_gpu(workload: Workload, *, level: str = "roofline", seed: int = 0, draws: int = 300) -> Estimate:
    """`workload` on the GPU in float16."""
    return estimate(workload, gpu(), board(), level=level, dtype="float16", seed=seed, draws=draws)


def on_chip(workload: Workload, *, level: str = "roofline", seed: int = 0, draws: int = 300) -> Estimate:
    """`workload` on the chip."""
    return estimate(workload, chip(), macro(), level=level, seed=seed, draws=draws)


def both(workload: Workload, *, level: str = "roofline") -> tuple[Estimate, Estimate]:
    """`workload` on both machines."""
    return on_gpu(workload, level=level), on_chip(workload, level=level)


def curves(where: str = "invented servers") -> tuple[Batches, Batches]:
    """Joules a token by batch: on the GPU predicted and measured, on the chip neither."""
    points = tuple(
        AtBatch(n, Interval(3 / n + 0.05, 2 / n + 0.03, 5 / n + 0.08), Predicted(3.3 / n + 0.05, 2 / n, 6 / n + 0.1))
        for n in (1, 8, 64)
    )
    measured = tuple(Published(n, 3.1 / n + 0.06, 400, "sheet", "measured", where) for n in (8.02, 500.0))
    alone = tuple(replace(point, predicted=None) for point in points)
    return (Batches("net", "gpu", "Invented GPU 80 GB", True, 500, points, measured, ""),
            Batches("net", "chip", "Invented chip v1", True, 500, alone, (), "the bandwidth is unknown"))  # fmt: skip
