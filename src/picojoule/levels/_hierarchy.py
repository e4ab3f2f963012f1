"""A machine as the mapping sees it for one contraction: levels, seats on the array, weights in joules."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from picojoule.hardware import Architecture, Axis, Compute, Dataflow, ProcessingArray, Role, Store, Technology
from picojoule.quantity import InputError

from ._machine import Key, unit_for

if TYPE_CHECKING:
    from picojoule.mapping import Accelerator, Level, Problem, Weights

# By which tensors a dimension indexes: what it would be called in a convolution.
NAMES: Final[Mapping[frozenset[str], tuple[str, ...]]] = {
    frozenset({"input", "output"}): ("p", "b", "p0"), frozenset({"weight", "output"}): ("m",),
    frozenset({"input", "weight"}): ("c",), frozenset({"input", "weight", "output"}): ("g",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bits:
    """Width of a word of each tensor."""

    input: int
    weight: int
    output: int

    def of(self, role: str) -> int:
        """Bits of one word of the role."""
        return {"input": self.input, "weight": self.weight, "output": self.output}[role]


def array_of(architecture: Architecture) -> ProcessingArray:
    """The machine's array; an InputError that says what to add where its file has none."""
    if architecture.array is None:
        raise InputError(
            f"{architecture.title} states no array: nothing to map a loop nest onto",
            where=f"hardware {architecture.name}", expected="a machine whose file has an `array` (eyeriss, tpu-v1, …)",
            example="array: {unit: pe, below: glb, axes: [{name: x, size: 16, spread: [m]}], "
                    "levels: [{memory: dram}, {memory: glb}, {registers: r, size: 6 B}]}",
        )  # fmt: skip
    return architecture.array


def constrained(array: ProcessingArray, dataflow: Dataflow | None) -> ProcessingArray:
    """The array under a fixed dataflow: what an element keeps, what its axes spread, what it may iterate."""
    if dataflow is None:
        return array
    inner = array.stores[_seat(array) + 1 :]
    if not inner and dataflow.keeps:
        raise InputError(f"{dataflow.title} keeps {', '.join(dataflow.keeps)} in the elements, which store nothing",
                         where=f"array below {array.below}", expected="a level below the array, or dataflow nlr",
                         example="- {registers: r, size: 6 B}")  # fmt: skip
    held = {role for store in inner for role in store.keeps}
    if missing := sorted(set(dataflow.keeps) - held):
        raise InputError(f"{dataflow.title} keeps {', '.join(missing)} in the elements, which hold {_listed(held)}",
                         where=f"array below {array.below}", expected="a dataflow that keeps no more than that",
                         example="--dataflow nlr, which keeps nothing, or none")  # fmt: skip
    stores = (*array.stores[: _seat(array) + 1], *(_kept(store, dataflow) for store in inner))
    axes = tuple(
        Axis(axis.name, axis.size, dataflow.spread[min(index, len(dataflow.spread) - 1)])
        for index, axis in enumerate(array.axes)
    )
    return replace(array, axes=axes, stores=stores, whole=dataflow.whole)


def _kept(store: Store, dataflow: Dataflow) -> Store:
    keeps = tuple(role for role in store.keeps if role in dataflow.keeps)
    return replace(store, keeps=keeps, loops=dataflow.loops or store.loops,
                   shares={role: size for role, size in store.shares.items() if role in keeps},
                   optional=tuple(role for role in store.optional if role in keeps))  # fmt: skip


def _listed(roles: set[Role]) -> str:
    return ", ".join(sorted(roles)) or "nothing"


def _seat(array: ProcessingArray) -> int:
    return [store.name for store in array.stores].index(array.below)


def unit_of(architecture: Architecture, array: ProcessingArray, dtype: str) -> tuple[Compute, str]:
    """The compute unit that the elements are, and the format in which it does `dtype` arithmetic.

    Where it has not that format and another unit has, the elements run at that unit's rate: the vector lanes of a GPU
    do float32 where its matrix units do not.
    """
    unit = next(unit for unit in architecture.compute if unit.name == array.unit)
    return (unit, dtype) if dtype in unit.peak else unit_for(Key(architecture), dtype, "matrix")


def seconds_per_step(architecture: Architecture, array: ProcessingArray, dtype: str) -> float:
    """One MAC in every element: 2 · elements / peak."""
    unit, native = unit_of(architecture, array, dtype)
    return 2 * array.elements / unit.peak[native].nominal


def accelerator_of(
    architecture: Architecture, array: ProcessingArray, problem: "Problem", bits: Bits, dtype: str
) -> "Accelerator":
    """The machine for `problem`: dimensions under the problem's own names, capacities in bits, buses in bits per step."""
    from picojoule.mapping import Accelerator, Array, SpatialAxis

    axes = tuple(
        SpatialAxis(axis.name, axis.size, tuple(dim for dim in problem.dims if _spreads(problem, dim, axis.spread)))
        for axis in array.axes
    )
    whole = tuple(dim for dim in problem.dims if _spreads(problem, dim, array.whole))
    step_s, seat = seconds_per_step(architecture, array, dtype), _seat(array)
    levels = tuple(
        _level(architecture, array, store, problem, step_s, inside=index > seat)
        for index, store in enumerate(array.stores)
    )
    words = tuple((role, bits.of(role)) for role in ("input", "weight", "output"))
    return Accelerator(
        architecture.name, levels, Array(array.below, axes, array.multicast, array.reduction, whole), words,
        cycles_per_step(architecture, array, dtype),
    )  # fmt: skip


def cycles_per_step(architecture: Architecture, array: ProcessingArray, dtype: str) -> float:
    """Cycles of the clock in one step; 1 where the sheet's peak is that, rounded to a hundredth, or states no clock."""
    unit, _ = unit_of(architecture, array, dtype)
    cycles = seconds_per_step(architecture, array, dtype) * unit.clock.nominal if unit.clock else 1.0
    return 1.0 if abs(cycles - 1) < 0.01 else cycles


def _spreads(problem: "Problem", dim: str, allowed: tuple[str, ...]) -> bool:
    return any(name in allowed for name in _names(problem, dim))


def _names(problem: "Problem", dim: str) -> tuple[str, ...]:
    """What a dimension is called in a hardware file."""
    if "r0" in problem.dims:  # a convolution has the file's own names
        return (dim, dim.rstrip("0123456789"))
    place = problem.dims.index(dim)
    indexed = frozenset(operand.role for operand in problem.operands if place in operand.relevant)
    return NAMES.get(indexed, ())


def _level(
    architecture: Architecture, array: ProcessingArray, store: Store, problem: "Problem", step_s: float, *, inside: bool
) -> "Level":
    from picojoule.mapping import Level

    memory = next((memory for memory in architecture.memories if memory.name == store.memory), None)
    size = store.size or (memory.size if memory is not None and not inside and not store.shares else None)
    bus = memory.bandwidth.nominal * 8 * step_s if memory is not None and memory.bandwidth is not None else None
    loops = store.loops
    return Level(
        store.name, store.keeps, capacity_bits=int(size.nominal * 8) if size is not None else None,
        shares=tuple((role, int(share.nominal * 8)) for role, share in store.shares.items()),
        loops=None if loops is None else tuple(dim for dim in problem.dims if _spreads(problem, dim, loops)),
        optional=store.optional, double_buffered=store.double_buffered,
        bus_bits=None if bus is None else bus / array.elements if inside else bus,
    )  # fmt: skip


def weights_of(
    architecture: Architecture, array: ProcessingArray, technology: Technology, bits: Bits, dtype: str
) -> "Weights":
    """Nominal joules per word and per MAC; registers cost nothing of their own."""
    from picojoule.mapping import Weights

    words = [
        ((store.name, role, action), _word(technology, store, action) * bits.of(role) / 8)
        for store in array.stores
        for role in store.keeps
        for action in ("read", "write", "update")
    ]
    unit, native = unit_of(architecture, array, dtype)
    mac = technology.price((unit.name, f"mac_{native}")).nominal
    return Weights(mac, tuple(words), joules=True)  # type: ignore[arg-type]


def _word(technology: Technology, store: Store, action: str) -> float:
    if not store.memory:
        return 0.0
    return technology.price((store.memory, "read" if action == "read" else "write")).nominal
