"""Layers and machines of the mapping benchmark: every contraction of five networks, three arrays of the literature."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from picojoule import read_model
from picojoule.mapping import (
    Accelerator,
    Array,
    Level,
    Problem,
    SpatialAxis,
    Weights,
    contraction,
    per_level,
    problem_of,
)
from picojoule.workload import Operator

M, C, P, Q, R, S = ("m", "n"), ("c", "k"), ("p", "p0"), ("q", "p1"), ("r", "r0"), ("s", "r1")  # here, in the zoo
ROLES = ("input", "weight", "output")
BITS = (("input", 8), ("weight", 8), ("output", 8))
LLAMA = (("up, 4096 tokens", 4096, 28672, 8192), ("down, 4096 tokens", 4096, 8192, 28672),
         ("up, 1 token", 1, 28672, 8192), ("up, 16 tokens", 16, 28672, 8192))  # fmt: skip


def convolution(
    name: str, m: int, c: int, p: int, q: int, r: int = 1, s: int = 1, stride: int = 1, g: int = 1, b: int = 1
) -> Problem:
    """A convolution over names that all machines here know: b g m c p q r s."""
    extents = {"b": b, "g": g, "m": m, "c": c, "p": p, "q": q, "r": r, "s": s}
    axes = {
        "input": [(("b", 1),), (("g", c), ("c", 1)), (("p", stride), ("r", 1)), (("q", stride), ("s", 1))],
        "weight": [(("g", m), ("m", 1)), (("c", 1),), (("r", 1),), (("s", 1),)],
        "output": [(("b", 1),), (("g", m), ("m", 1)), (("p", 1),), (("q", 1),)],
    }
    return contraction(name, extents, axes)


def product(name: str, rows: int, columns: int, inner: int, batch: int = 1) -> Problem:
    """A matrix product as a convolution of kernel 1: rows are image rows, columns output channels."""
    return convolution(name, columns, inner, rows, 1, g=batch)


def renamed(operator: Operator) -> Problem:
    """The contraction of an operator over the names above; its dimensions tell what they are by their tensors."""
    found = problem_of(operator)
    x, w, y = (operand.relevant for operand in found.operands)
    if found.operands[0].windows or "r0" in found.dims:
        e = dict(found.space)
        stride = next((axis[0][1] for axis in found.operands[0].windows), 1)
        return convolution(found.name, e["m"], e["c"], e["p0"], e["p1"], e["r0"], e["r1"], stride, e["g"], e["b"])
    sizes = {"batch": 1, "rows": 1, "columns": 1, "inner": 1}
    for i, extent in enumerate(found.extents):
        kind = "inner" if i not in y else "batch" if i in x and i in w else "rows" if i in x else "columns"
        sizes[kind] *= extent
    return product(found.name, sizes["rows"], sizes["columns"], sizes["inner"], sizes["batch"])


@cache
def networks() -> Mapping[str, tuple[tuple[Problem, int], ...]]:
    """Network to (shape, how often it runs)."""
    found: dict[str, tuple[tuple[Problem, int], ...]] = {}
    for title, name, seq in (
        ("ResNet-50", "resnet50", None), ("MobileNetV2", "mobilenet_v2", None), ("VGG-16", "vgg16", None),
        ("BERT-base, 512 tokens", "bert-base", 512),
    ):  # fmt: skip
        times: dict[Problem, tuple[Problem, int]] = {}
        for operator in read_model(name, **({"seq": seq} if seq else {})).operators:
            if operator.work.macs:
                one = renamed(operator)
                times[one.shape] = (
                    times.get(one.shape, (one, 0))[0],
                    times.get(one.shape, (one, 0))[1] + operator.repeats,
                )
        found[title] = tuple(times.values())
    found["Llama-70B MLP"] = tuple((product(*layer), 1) for layer in LLAMA)
    return found


def tpu_like() -> Accelerator:
    """32 × 32 PEs, three levels: DRAM, 2 MiB for inputs and outputs, weights and one sum in the PE."""
    levels = (
        Level("DRAM", ROLES, read_bandwidth=64, write_bandwidth=64),
        Level("SRAM", ("input", "output"), 2 * 2**20 * 8, read_bandwidth=128, write_bandwidth=128),
        Level("PE", ("weight", "output"), None, (("weight", 128 * 8), ("output", 16))),
    )
    axes = (SpatialAxis("x", 32, (*M, *P, *Q)), SpatialAxis("y", 32, (*C, *R, *S)))
    return Accelerator("TPU-like 32×32", levels, Array("SRAM", axes), (("input", 8), ("weight", 8), ("output", 16)))


def eyeriss_like() -> Accelerator:
    """14 × 12 PEs, three levels: DRAM, a 128 KiB buffer for inputs and outputs, a partitioned scratchpad."""
    levels = (
        Level("DRAM", ROLES, read_bandwidth=4, write_bandwidth=4),
        Level("GLB", ("input", "output"), 131072 * 8, read_bandwidth=16, write_bandwidth=16),
        Level("spad", ROLES, None, (("input", 24 * 8), ("weight", 384 * 8), ("output", 16 * 8))),
    )
    axes = (SpatialAxis("x", 14, (*P, *Q, *M, "b")), SpatialAxis("y", 12, (*C, *R, *S, *M)))
    return Accelerator("Eyeriss-like 14×12", levels, Array("GLB", axes), BITS)


def timeloop_eyeriss() -> Accelerator:
    """The Eyeriss of Timeloop's exercises: five levels, a scratchpad per tensor, its loop and axis constraints."""
    levels = (
        Level("DRAM", ROLES, read_bandwidth=4, write_bandwidth=4),
        Level("GLB", ("input", "output"), 131072 * 8, read_bandwidth=16, write_bandwidth=16),
        Level("ifmap", ("input",), 24 * 8, loops=()),
        Level("weights", ("weight",), 384 * 8, loops=(*C, *R)),
        Level("psum", ("output",), 16 * 8, loops=M),
    )
    axes = (SpatialAxis("x", 14, (*Q, *M)), SpatialAxis("y", 12, (*C, *M, *S)))
    return Accelerator("Timeloop's Eyeriss", levels, Array("GLB", axes), BITS)


def machines() -> tuple[Accelerator, ...]:
    """The three, with ports."""
    return tpu_like(), eyeriss_like(), timeloop_eyeriss()


def weights_of(machine: Accelerator) -> Weights:
    """Relative to one MAC: 200 per word outermost, 6 at the array's side, 1 in a PE."""
    cost = {level.name: (200.0, 6.0, 1.0, 1.0, 1.0)[i] for i, level in enumerate(machine.levels)}
    return per_level(machine, 1.0, cost, cost)


def without_ports(machine: Accelerator) -> Accelerator:
    """The same machine with unlimited bandwidth: the MACs set the pace."""
    levels = tuple(replace(level, read_bandwidth=None, write_bandwidth=None) for level in machine.levels)
    return replace(machine, levels=levels)
