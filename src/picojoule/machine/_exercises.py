"""The textbook's exercises on processors, computed from a machine. Each returns names and numbers (cycles unless said)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

from picojoule.quantity import InputError

from ._cluster import cluster_matmul, cluster_times
from ._greedy import greedy
from ._machine import Machine
from ._matmul import Times, column_blocks, matmul, no_overlap, outer_products, row_tiles, times
from ._program import Program
from ._run import Run, simulate

Answer = Mapping[str, Any]


def exercise_product(machine: Machine, m: int, k: int, n: int, *, compress_x: int = 1, compress_w: int = 1,
            density: Fraction = Fraction(1)) -> Answer:  # fmt: skip
    """Exercises 7.7 to 7.10: the parts of Y = X·W, their sum and the bound, by formula; the program's time, simulated.

    `compress_*` say how many times shorter X and W are on the bus, `density` which share of the products is computed.
    """
    parts = times(machine, m, k, n, compress_x=compress_x, compress_w=compress_w, density=density)
    whole = replace(machine, whole=True)
    plain = compress_x == compress_w == density == 1
    program = no_overlap(machine, m, k, n) if plain else None
    return {
        **_parts(parts), "no_overlap_cycles": float(parts.serial), "lower_bound_cycles": float(parts.bound),
        "bound_by": parts.bound_by,
        "simulated_cycles": float(_cycles(program, machine)) if program else None,
        "whole_cycles": int(_cycles(no_overlap(whole, m, k, n), whole)) if plain else None,
        "macs": m * k * n, "seconds": float(parts.serial / machine.clock_hz),
    }  # fmt: skip


def _parts(parts: Times) -> dict[str, float]:
    return {"t_load_x": float(parts.load_x), "t_load_w": float(parts.load_w), "t_compute": float(parts.compute),
            "t_store_y": float(parts.store_y)}  # fmt: skip


def _cycles(program: Program, machine: Machine) -> Fraction:
    return simulate(program, machine, check=False).cycles


def exercise_7_7(machine: Machine) -> Answer:
    """A fully connected layer 1×256 by 256×1."""
    return exercise_product(machine, 1, 256, 1)


def exercise_7_8(machine: Machine, blocks: Sequence[int] = (4, 8)) -> Answer:
    """32×256 by 256×128: also X whole and W in column blocks, double-buffered, and the best schedule found."""
    return {**exercise_product(machine, 32, 256, 128), "blocks": list(blocks),
            "double_buffer_cycles": [float(_cycles(column_blocks(machine, 32, 256, 128, b), machine)) for b in blocks],
            "best_found_cycles": float(_cycles(outer_products(machine, 32, 256, 128), machine))}  # fmt: skip


def exercise_7_9(machine: Machine, tiles: Sequence[int] = (32, 1024)) -> Answer:
    """1024×256 by 256×128: also W whole and X in row tiles, double-buffered; the tallest row tile that can be; schedules of
    small tiles by name (None: they do not fit the machine)."""
    rows = 1
    while 4 * rows * (256 + 128) * 2 * 2 <= machine.sizes["nram"]:
        rows *= 2
    return {**exercise_product(machine, 1024, 256, 128), "tiles": list(tiles), "largest_double_buffered_rows": rows,
            "double_buffer_cycles": [float(_cycles(row_tiles(machine, 1024, 256, 128, t), machine)) for t in tiles],
            "tiled_cycles": {name: _fitting(machine, *how) for name, how in _TILED_7_9.items()}}  # fmt: skip


_Maker = Callable[[Machine, int, int, int, tuple[int, int, int], str], Program]
_TILED_7_9: Final[dict[str, tuple[_Maker, tuple[int, int, int], str]]] = {
    "32 rows, W in blocks of 16 columns": (matmul, (32, 256, 16), "mnk"),
    "16 rows, 32x16 of W, loads first": (greedy, (16, 32, 16), "mkn"),
    "16 rows, 32x16 of W, fixed places": (matmul, (16, 32, 16), "mkn"),
    "8 rows, 16x16 of W, fixed places": (matmul, (8, 16, 16), "mkn"),
}


def _fitting(machine: Machine, maker: _Maker, tile: tuple[int, int, int], order: str) -> float | None:
    try:
        program = maker(machine, 1024, 256, 128, tile, order)
    except InputError:
        return None
    return float(_cycles(program, machine))


def exercise_7_10(machine: Machine, compress_x: int = 2, compress_w: int = 4) -> Answer:
    """7.9 with X and W compressed on the bus and decoded as they arrive; and, beside it, zeros skipped as well."""
    shape, steps = (1024, 256, 128), (compress_x.bit_length() - 1, compress_w.bit_length() - 1)
    if 1 << steps[0] != compress_x or 1 << steps[1] != compress_w or max(steps) > 3:
        raise InputError(f"compression by {compress_x} and {compress_w}", expected="1, 2, 4 or 8", example="2 and 4")
    skipped = Fraction(1, compress_x * compress_w)
    return {
        **exercise_product(machine, *shape, compress_x=compress_x, compress_w=compress_w),
        "double_buffer_cycles": float(_cycles(matmul(machine, *shape, (32, 256, 128), decode=steps), machine)),
        "zeros_skipped": exercise_product(machine, *shape, compress_x=compress_x, compress_w=compress_w, density=skipped),
    }  # fmt: skip


def exercise_7_11(machine: Machine, rounds: Sequence[int] = (1, 2, 4, 8, 16),
                  links: Sequence[int] = (1024, 1000)) -> Answer:  # fmt: skip
    """32×256 by 256×128 on a cluster: W in column rounds. `links` in bytes per cycle, for the time without overlap."""
    served = [replace(machine, link=Fraction(link)) for link in links]
    return {
        "no_overlap": [float(_cycles(cluster_matmul(one, 32, 256, 128, 1, overlap=False), one)) for one in served],
        "lower_bound": float(cluster_times(machine, 32, 256, 128).bound), "rounds": list(rounds),
        "cycles": [float(_cycles(cluster_matmul(machine, 32, 256, 128, r), machine)) for r in rounds],
    }  # fmt: skip


def exercise_7_12(machine: Machine, rounds: int = 8, rows: int = 16) -> Answer:
    """1024×256 by 256×2048 on a cluster: X stays in SharedRAM, W passes through in rounds, X goes by tiles of rows."""
    parts = cluster_times(machine, 1024, 256, 2048, passes=rounds)
    cycles = _cycles(cluster_matmul(machine, 1024, 256, 2048, rounds, rows), machine)
    return {"no_overlap": float(parts.serial), "lower_bound": float(parts.bound), "cycles": float(cycles),
            "use_of_the_matrix_units": float(parts.off_chip.compute / cycles)}  # fmt: skip


def exercise_7_4(machine: Machine) -> Answer:
    """Decoding: instructions and MACs of 7.8 in four column blocks."""
    program = column_blocks(machine, 32, 256, 128, 4)
    return {"instructions": program.words, "macs": 32 * 256 * 128, "macs_per_instruction": 32 * 256 * 128 / program.words,
            "bits_per_instruction": 128}  # fmt: skip


def exercise_7_5(machine: Machine) -> Answer:
    """The most that out-of-order issue could gain: best static schedule of 7.8 against the bound."""
    best, bound = _cycles(outer_products(machine, 32, 256, 128), machine), times(machine, 32, 256, 128).bound
    return {"best_static": float(best), "bound": float(bound), "largest_gain_of_out_of_order": float(best / bound - 1)}


def exercise_6_4(machine: Machine) -> Answer:
    """As 7.5: what is left for instruction-level parallelism found at run time."""
    return exercise_7_5(machine)


def exercise_6_7(machine: Machine) -> Answer:
    """How evenly 7.8 without overlap keeps the queues busy, and the use of the matrix unit after the cures."""
    run = simulate(no_overlap(machine, 32, 256, 128), machine)
    busy = {"load": "load", "compute": "matrix", "store": "store"}
    queues = {name: float(_busy(run, what)) for name, what in busy.items()}
    best = simulate(outer_products(machine, 32, 256, 128), machine)
    return {"queue_busy": queues, "imbalance_max_over_mean": max(queues.values()) * len(queues) / sum(queues.values()),
            "use_of_the_matrix_unit": float(_busy(run, "matrix") / run.cycles),
            "use_after_cures": float(_busy(best, "matrix") / best.cycles)}  # fmt: skip


def _busy(run: Run, what: str) -> Fraction:
    return sum((cycles for (_, kind), cycles in run.busy.items() if kind == what), Fraction(0))


def exercise_7_6(machine: Machine, rows: int = 256, row_bytes: int = 128, setup: int = 100, burst: int = 64) -> Answer:
    """DMA: setup + rows·⌈row/burst⌉·burst / bandwidth, ideal, with setup and bursts, and with rows of one byte more."""
    real = replace(machine, setup=setup, burst=burst)
    return {"ideal": float(machine.bus_cycles(rows, row_bytes)), "with_setup": float(real.bus_cycles(rows, row_bytes)),
            "unaligned": float(real.bus_cycles(rows, row_bytes + 1)),
            "one_row_at_a_time": float(rows * real.bus_cycles(1, row_bytes))}  # fmt: skip
