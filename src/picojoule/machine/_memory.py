"""The bytes of every memory during a run, and which of them have been written."""

from collections.abc import Mapping
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

from ._layout import Layout, Op, Span, footprint, room, space_name
from ._machine import Machine
from ._meaning import NUMPY, rows_of
from ._program import Program

MAXIMUM: Final = 1 << 31  # bytes of DRAM that a run with values may reach


class Memory:
    """Bytes of DRAM, SharedRAM and of each core's NRAM and WRAM; reading a byte that nothing wrote is an error."""

    def __init__(self, program: Program, layout: Layout, machine: Machine,
                 inputs: Mapping[str, NDArray[Any]]) -> None:  # fmt: skip
        self.program = program
        sizes = [footprint(program, layout, 0), footprint(program, layout, 1)]
        sizes += [room(machine, space) for space in range(2, 2 + 2 * machine.cores)]
        if sizes[0] > MAXIMUM or any(b.scope not in ("dram", "sram") for b in program.buffers):
            raise InputError(f"data up to byte {sizes[0]}", where=program.source,
                             expected=f"data in DRAM or SharedRAM, below byte {MAXIMUM}")  # fmt: skip
        self.bytes = [np.zeros(size, np.uint8) for size in sizes]
        self.written = [np.zeros(size, np.bool_) for size in sizes]
        self.views = [
            {"dram": self.bytes[0], "sram": self.bytes[1],
             **({"nram": self.bytes[2 + 2 * a], "wram": self.bytes[3 + 2 * a]} if a < machine.cores else {})}
            for a in range(len(machine.agents))
        ]  # fmt: skip
        for name, content in program.constants.items():
            self._put(name, np.frombuffer(content, np.uint8))
        wanted = {one.name for one in program.buffers if one.role == "input"}
        if wanted != set(inputs):
            raise InputError(f"inputs {', '.join(sorted(inputs)) or 'none'}", where=program.source,
                             expected=f"arrays for {', '.join(sorted(wanted)) or 'nothing'}")  # fmt: skip
        for name, array in inputs.items():
            buffer = program.buffer(name)
            if array.shape not in (buffer.shape, (prod(buffer.shape),)) or array.dtype != NUMPY[buffer.dtype]:
                raise InputError(f"{name!r} is {array.dtype} of {array.shape}", where=program.source,
                                 expected=f"{buffer.dtype} of {buffer.shape}")  # fmt: skip
            self._put(name, np.ascontiguousarray(array).view(np.uint8).reshape(-1))

    def _place(self, name: str) -> tuple[int, slice]:
        buffer = self.program.buffer(name)
        return int(buffer.scope == "sram"), slice(buffer.address, buffer.address + buffer.bytes)

    def _put(self, name: str, content: NDArray[np.uint8]) -> None:
        space, where = self._place(name)
        self.bytes[space][where] = content
        self.written[space][where] = True

    def run(self, op: Op) -> None:
        """Do what an instruction means."""
        spec = op.instruction.spec
        if spec.effect is None:
            if spec.name in ("xfer", "work"):
                raise InputError(f"`{op.text}` has no values", where=f"{self.program.source}:{op.instruction.line}",
                                 expected="move, mm and vec where values are wanted",
                                 example="run it for its time alone: no inputs")  # fmt: skip
            return
        for span in op.reads:
            if not self._mask(span).all():
                raise InputError(f"`{op.text}` reads bytes of {space_name(span.space)} that nothing has written",
                                 where=f"{self.program.source}:{op.instruction.line}",
                                 expected="a move there first, and a token between the two")  # fmt: skip
        try:
            spec.effect(self.views[op.agent], op.values)
        except InputError as error:
            raise InputError(f"`{op.text}`: {error.what}", where=f"{self.program.source}:{op.instruction.line}",
                             expected=error.expected, example=error.example) from None  # fmt: skip
        for span in op.writes:
            self._mask(span)[:] = True

    def _mask(self, span: Span) -> NDArray[np.uint8]:
        return rows_of(self.written[span.space].view(np.uint8), span.start, span.rows, span.size, span.stride)

    def outputs(self) -> dict[str, NDArray[Any]]:
        """The arrays of the output buffers. Raises InputError if some byte of them was never written."""
        found = {}
        for buffer in self.program.buffers:
            if buffer.role == "output":
                space, where = self._place(buffer.name)
                if not self.written[space][where].all():
                    raise InputError(f"the program never wrote all of {buffer.name!r}",
                                     where=f"{self.program.source}: buffer {buffer.name}",
                                     expected="a move of every byte of an output")  # fmt: skip
                found[buffer.name] = self.bytes[space][where].view(NUMPY[buffer.dtype]).reshape(buffer.shape).copy()
        return found
