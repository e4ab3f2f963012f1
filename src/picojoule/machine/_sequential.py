"""Programs in the order of their meaning, without tokens: what a machine with a window issues out of order."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from picojoule.quantity import InputError

from ._isa import Instruction
from ._machine import BYTES, DTYPES, Machine
from ._matmul import _Core, buffers_of
from ._program import Program
from ._run import simulate


def in_program_order(machine: Machine, m: int, k: int, n: int, tile: tuple[int, int, int], order: str = "mnk", *,
                     dtype: str = "float32") -> Program:  # fmt: skip
    """The instructions of `matmul`, tile after tile: load what is new, multiply, store what is done."""
    work = _Core(machine, (m, k, n), tile, order, BYTES[dtype], DTYPES.index(dtype))
    work.build(True)
    for number, node in enumerate(work.draft.nodes):
        if max(node.needs, default=-1) >= number:
            raise InputError(f"tile {tile} in order {order!r} overwrites what is still needed", where="schedule",
                             expected="smaller tiles, or another order of the loops", example="order='mnk'")  # fmt: skip
    code = tuple(Instruction(node.instruction.name, node.instruction.values) for node in work.draft.nodes)
    return Program(
        {"core0": code}, buffers_of((m, k, n), dtype, work.base), source=f"matmul {m}x{k}x{n} in program order"
    )


def by_window(
    program: Program, machine: Machine, windows: Iterable[int] = (1, 2, 4, 8, 16, 32, 64)
) -> Mapping[int, Fraction]:
    """Cycles of one program without tokens, by the size of the window in which hardware finds what may start.

    A window of 1 issues one instruction after the other; what larger ones save is what out-of-order issue is worth. What a
    compiler gives for a machine with any window is the program for all of them.
    """
    return {size: simulate(program, replace(machine, window=size), check=False).cycles for size in windows}


def out_of_order(machine: Machine, m: int, k: int, n: int, tile: tuple[int, int, int], order: str = "mnk",
                 windows: Iterable[int] = (1, 2, 4, 8, 16, 32, 64)) -> Mapping[int, Fraction]:  # fmt: skip
    """As by_window, for the product in program order."""
    return by_window(in_program_order(machine, m, k, n, tile, order), machine, windows)
