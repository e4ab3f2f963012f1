"""A network compiled for one machine: programs for the core, and nodes for the CPU between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import Final, overload

import numpy as np

from picojoule.hardware import Action
from picojoule.quantity import InputError

from .._machine import BYTES, Machine
from .._meaning import NUMPY
from .._pjx import write_program
from .._program import Buffer, Program
from .._run import simulate
from ._build import Builder
from ._fold import optimise
from ._graph import Array, Graph, Shape
from ._kernel import Cpu, Kernel
from ._lower import lower
from ._quantise import Ranges, quantise
from ._reference import Stored, evaluate
from ._table import select

_GRAIN: Final = 512


@dataclass(frozen=True, slots=True)
class Segment:
    """What runs on the core without the CPU: `inputs` and `outputs` are buffers of the program by stored tensor."""

    program: Program
    kernels: tuple[Kernel, ...]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    planned: Fraction  # cycles, as the compiler's own schedule has them


@dataclass(frozen=True, slots=True)
class Timing:
    """Time on the core; nodes on the CPU have none that is modelled, so with any of them the whole is unknown."""

    cycles: Fraction
    seconds: float
    instructions: int
    counts: Mapping[Action, int]
    cpu: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compiled:
    """Call it with arrays by input name; it gives arrays by output name."""

    graph: Graph
    machine: Machine
    steps: tuple[Segment | Cpu, ...]
    outputs: Mapping[str, str]  # stored tensor by output
    constants: Mapping[str, Array]  # of the programs, and outputs that are constant
    sizes: Mapping[str, int]
    dtypes: Mapping[str, str]
    lines: tuple[str, ...]

    @property
    def program(self) -> Program:
        """The one program. Raises InputError if there are several, or nodes on the CPU."""
        segments = [step for step in self.steps if isinstance(step, Segment)]
        if len(segments) != 1 or len(self.steps) != 1:
            names = [f"{step.name} ({step.nodes[0].op})" for step in self.steps if isinstance(step, Cpu)]
            raise InputError(f"{len(segments)} programs, and on the CPU {', '.join(names[:5]) or 'nothing'}",
                             where=self.graph.name, expected="a network that runs on the processor alone",
                             example="programs gives all of them")  # fmt: skip
        return segments[0].program

    @property
    def programs(self) -> tuple[Program, ...]:
        """Every program, in order."""
        return tuple(step.program for step in self.steps if isinstance(step, Segment))

    def save(self, path: Path | str) -> None:
        """Write the program as a .pjx file. Raises InputError as `program` does."""
        write_program(self.program, path)

    def explain(self) -> tuple[str, ...]:
        """What was folded, removed, fused and placed, one line each."""
        return self.lines

    @overload
    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]: ...

    @overload
    def __call__(self, inputs: Array) -> Array: ...

    def __call__(self, inputs: Mapping[str, Array] | Array) -> dict[str, Array] | Array:
        """The outputs by name, by running the instructions; array to array where there is one of each."""
        if isinstance(inputs, Mapping):
            return self._run(inputs, ordered=False)
        if len(self.graph.inputs) != 1 or len(self.outputs) != 1:
            raise InputError(f"one array for {len(self.graph.inputs)} inputs and {len(self.outputs)} outputs",
                             where=self.graph.name, expected="arrays by the name of the input",
                             example=f"program({{{self.graph.inputs[0]!r}: x}})" if self.graph.inputs else "")  # fmt: skip
        return next(iter(self._run({self.graph.inputs[0]: inputs}, ordered=False).values()))

    def reference(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by whole arrays, every sum in its order: what __call__ gives, bit for bit."""
        return self._run(inputs, ordered=True)

    def _run(self, inputs: Mapping[str, Array], ordered: bool) -> dict[str, Array]:
        found = self._checked(inputs)
        for step in self.steps:
            if isinstance(step, Cpu):
                results = self._on_cpu(step, found)
                found.update(results)
            elif ordered:
                self._by_arrays(step, found)
            else:
                given = {
                    buffer: self._fitting(name, found[name]).reshape(step.program.buffer(buffer).shape)
                    for name, buffer in step.inputs.items()
                }
                run = simulate(step.program, self.machine, given, check=False)
                found.update({name: run.outputs[buffer] for name, buffer in step.outputs.items()})
        return {name: self._shaped(name, found[store]) for name, store in self.outputs.items()}

    def _on_cpu(self, step: Cpu, found: Mapping[str, Array]) -> dict[str, Array]:
        """The results of a node on the CPU by stored tensor."""
        node = step.nodes[0]
        arrays = [
            self._shaped(name, found[store]) if store else given
            for name, store, given in zip(node.inputs, step.inputs, step.given, strict=True)
        ]
        results = self.graph.kernel(node, arrays)
        return dict(zip([name for name in step.outputs if name], results, strict=False))

    def _shaped(self, name: str, array: Array) -> Array:
        """An array in the shape of a value; as it is where only running tells the shape."""
        shape = self.graph.shapes.get(name)
        return array if shape is None else array.reshape(shape)

    def _fitting(self, name: str, array: Array) -> Array:
        """What the host hands to the core."""
        if array.size != self.sizes[name] or array.dtype != np.float32:
            raise InputError(f"{name!r} is {array.dtype} of {array.shape}", where=self.graph.name,
                             expected=f"float32 of {self.sizes[name]} elements, as when it was compiled")  # fmt: skip
        return np.ascontiguousarray(array).reshape(-1)

    def _by_arrays(self, step: Segment, found: dict[str, Array]) -> None:
        stored = Stored(self.sizes, self.dtypes)
        stored.arrays.update({name: array.reshape(-1) for name, array in self.constants.items()})
        stored.arrays.update({name: self._fitting(name, found[name]) for name in step.inputs})
        for kernel in step.kernels:
            evaluate(kernel, stored)
        found.update({name: stored.flat(name) for name in step.outputs})

    def watch(self, inputs: Mapping[str, Array], ranges: Ranges) -> None:
        """Run by whole arrays, sums in any order, and take down how large the numbers get."""
        found = self._checked(inputs)
        stored = Stored(self.sizes, self.dtypes)
        stored.arrays.update({name: np.asarray(array).reshape(-1) for name, array in found.items()})
        for step in self.steps:
            if isinstance(step, Cpu):
                stored.arrays.update({n: a.reshape(-1) for n, a in self._on_cpu(step, stored.arrays).items()})
            else:
                for kernel in step.kernels:
                    evaluate(kernel, stored, fast=True)
        for name, array in stored.arrays.items():
            if name not in self.constants and array.dtype == np.float32:
                ranges.see(name, array)

    def _checked(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        if set(inputs) != set(self.graph.inputs):
            raise InputError(f"inputs {', '.join(sorted(inputs)) or 'none'}", where=self.graph.name,
                             expected=f"arrays for {', '.join(self.graph.inputs) or 'nothing'}")  # fmt: skip
        for name, array in inputs.items():
            shape, dtype = self.graph.shape(name), self.graph.dtypes[name]
            if array.shape != shape or array.dtype.name != dtype:
                raise InputError(f"{name!r} is {array.dtype} of {array.shape}", where=self.graph.name,
                                 expected=f"{dtype} of {shape}")  # fmt: skip
        return {**self.constants, **inputs}

    def time(self) -> Timing:
        """Cycles and actions of all programs, one after the other."""
        cycles, instructions, counts = Fraction(0), 0, dict[Action, int]()
        for program in self.programs:
            run = simulate(program, self.machine, check=False)
            cycles += run.cycles
            instructions += run.instructions
            for action, count in run.counts.items():
                counts[action] = counts.get(action, 0) + count
        cpu = tuple(f"{step.name} ({step.nodes[0].op})" for step in self.steps if isinstance(step, Cpu))
        return Timing(cycles, float(cycles / self.machine.clock_hz), instructions, counts, cpu)


def compile_graph(graph: Graph, machine: Machine, dtype: str = "float32", *,
                  calibration: Sequence[Mapping[str, Array]] = (), per_channel: bool = True) -> Compiled:  # fmt: skip
    """Programs for one core of `machine`, in float32, or in int8 as `calibration` inputs scale it.

    Raises InputError for what cannot be compiled.
    """
    if dtype not in ("float32", "int8") or (dtype == "int8") != bool(calibration):
        raise InputError(f"dtype {dtype!r} with {len(calibration)} sets of calibration inputs", where=graph.name,
                         expected="float32 without, int8 with some", example="dtype='int8', calibration=[inputs]")  # fmt: skip
    smaller, lines = optimise(graph)
    selector, outs = select(smaller, machine)
    lines += selector.explain
    constants = dict(selector.constants)
    for name, store in zip(smaller.outputs, outs, strict=True):
        if store in constants:
            constants[store] = smaller.constants[name]
    sizes = {name: prod(shape) for name, shape in selector.shapes.items()}
    kernels, dtypes = selector.kernels, dict[str, str]()
    if dtype == "int8":
        plain = Compiled(smaller, machine, _unlowered(kernels), dict(zip(smaller.outputs, outs, strict=True)), constants,
                         sizes, {}, ())  # fmt: skip
        ranges = Ranges()
        for inputs in calibration:
            plain.watch(inputs, ranges)
        found = quantise(kernels, constants, sizes, ranges, (*smaller.inputs, *outs), per_channel)
        kernels, dtypes = found.kernels, found.dtypes
        constants.update(found.constants)
        sizes.update(found.sizes)
        lines += found.lines
    shapes = {name: smaller.shape(name) for name in smaller.inputs}
    shapes |= {
        store: smaller.shape(name) for name, store in zip(smaller.outputs, outs, strict=True) if name in smaller.shapes
    }
    steps: list[Segment | Cpu] = []
    for group in grouped(kernels):
        if isinstance(group[0], Cpu):
            steps += [kernel for kernel in group if isinstance(kernel, Cpu)]
        else:
            own = {id(kernel) for kernel in group}
            later = {name for kernel in kernels if id(kernel) not in own for name in kernel.reads()} | set(outs)
            steps.append(_segment(group, later, sizes, constants, dtypes, machine, graph.name, shapes))
    lines += [f"placed {one.name} on the processor: {one.told()}" for one in kernels if not isinstance(one, Cpu)]
    return Compiled(smaller, machine, tuple(steps), dict(zip(smaller.outputs, outs, strict=True)), constants, sizes, dtypes,
                    tuple(lines))  # fmt: skip


def _unlowered(kernels: Sequence[Kernel]) -> tuple[Segment | Cpu, ...]:
    """The kernels as steps that only whole arrays can run."""
    steps: list[Segment | Cpu] = []
    for group in grouped(kernels):
        if isinstance(group[0], Cpu):
            steps += [kernel for kernel in group if isinstance(kernel, Cpu)]
        else:
            steps.append(Segment(Program({}), tuple(group), {}, {}, Fraction(0)))
    return tuple(steps)


def grouped(kernels: Sequence[Kernel]) -> list[list[Kernel]]:
    """Runs of kernels for the core and for the CPU, as few as their order allows. Even levels are the CPU's."""
    level: dict[str, int] = {}
    groups: dict[int, list[Kernel]] = {}
    for kernel in kernels:
        parity = 0 if isinstance(kernel, Cpu) else 1
        at = max([parity, *(level[name] for name in (*kernel.reads(), *kernel.writes()) if name in level)])
        at += at % 2 != parity
        groups.setdefault(at, []).append(kernel)
        for name in kernel.writes():
            level[name] = at
    return [groups[at] for at in sorted(groups)]


def _segment(kernels: Sequence[Kernel], later: set[str], sizes: Mapping[str, int], constants: Mapping[str, Array],
             dtypes: Mapping[str, str], machine: Machine, source: str, shapes: Mapping[str, Shape]) -> Segment:  # fmt: skip
    written = {name for kernel in kernels for name in kernel.writes()}
    read = list(dict.fromkeys(name for kernel in kernels for name in kernel.reads()))
    inputs = [name for name in read if name not in written and name not in constants]
    outputs = [name for name in dict.fromkeys(n for k in kernels for n in k.writes()) if name in later]
    weights = [name for name in read if name in constants]
    addresses, top = _places(kernels, inputs, outputs, sizes, dtypes)
    tracked = top
    for name in weights:
        addresses[name] = top
        top += -(-constants[name].nbytes // _GRAIN) * _GRAIN
    if top > machine.sizes["dram"]:
        raise InputError(f"the network needs {top} bytes of DRAM", where=f"machine {machine.name}",
                         expected=f"at most {machine.sizes['dram']}")  # fmt: skip
    builder = Builder(machine, tracked)
    for kernel in kernels:
        lower(builder, kernel, addresses, dtypes)
    buffers, named = [], dict[str, str]()
    for role, names in (("input", inputs), ("output", outputs), ("constant", weights)):
        for name in names:
            named[name] = _identifier(name, set(named.values()))
            dtype = constants[name].dtype.name if name in constants else dtypes.get(name, "float32")
            shape = shapes.get(name, ())
            known = role != "constant" and prod(shape) == sizes[name] and bool(shape)
            buffers.append(
                Buffer(named[name], "dram", addresses[name], dtype, shape if known else (sizes[name],), role)
            )
    content = {named[name]: constants[name].tobytes() for name in weights}
    program, ticks = builder.program(buffers, content, source)
    return Segment(program, tuple(kernels), {n: named[n] for n in inputs}, {n: named[n] for n in outputs},
                   Fraction(ticks, machine.ticks))  # fmt: skip


def _places(kernels: Sequence[Kernel], inputs: Sequence[str], outputs: Sequence[str], sizes: Mapping[str, int],
            dtypes: Mapping[str, str]) -> tuple[dict[str, int], int]:  # fmt: skip
    """Addresses in DRAM: a tensor takes the lowest place that is free from its first write to its last read."""
    first: dict[str, int] = dict.fromkeys(inputs, -1)
    last: dict[str, int] = {}
    for i, kernel in enumerate(kernels):
        for name in kernel.writes():
            first.setdefault(name, i)
            last[name] = i
        for name in kernel.reads():
            if name in first:
                last[name] = i
    for name in outputs:
        last[name] = len(kernels)
    for name in inputs:
        last[name] = len(kernels)
    taken: list[tuple[int, int, int]] = []  # (start, end, last use)
    addresses: dict[str, int] = {}
    top = 0
    for name in sorted(first, key=lambda n: first[n]):
        need = -(-sizes[name] * BYTES[dtypes.get(name, "float32")] // _GRAIN) * _GRAIN
        taken = sorted(one for one in taken if one[2] >= first[name])
        at = 0
        for start, end, _ in taken:
            if at + need <= start:
                break
            at = max(at, end)
        addresses[name] = at
        taken.append((at, at + need, last[name]))
        top = max(top, at + need)
    return addresses, top


def _identifier(name: str, taken: set[str]) -> str:
    plain = "".join(ch if ch.isalnum() and ch.isascii() else "_" for ch in name)[:60]
    plain = plain if plain.isidentifier() else f"t_{plain}"
    found, number = plain, 1
    while found in taken:
        number += 1
        found = f"{plain}_{number}"
    return found


def zeros(compiled: Compiled) -> dict[str, Array]:
    """Inputs of the right shape and type, all zero."""
    graph = compiled.graph
    return {
        name: np.zeros(graph.shape(name), NUMPY.get(graph.dtypes[name], graph.dtypes[name])) for name in graph.inputs
    }
