"""The compiled twin of `_field` and `_solve` for one unrolling. Numba is imported here and nowhere else.

Every sum runs in the order of the NumPy code, so the results agree to the last bit wherever word counts stay below
2^53. All kernels stand in this one file: Numba keeps the compiled code in a folder beside it and compiles again when
the file changes, but it does not look at what a kernel calls in other files.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`numba.njit`, kept on disk where there is a place to write, without reordering of sums."""
    made: Callable[..., Any]
    try:
        made = numba.njit(cache=True, fastmath=False)(function)
    except RuntimeError:  # no folder can be written: compile in every process
        made = numba.njit(cache=False, fastmath=False)(function)
    return made


@compiled
def _measure(p: int, r: int, stride: int, dilation: int, common: int, hull: bool) -> int:
    """Words of a window of p by r; see `_window`."""
    if hull:
        return stride * (p - 1) + dilation * (r - 1) + 1
    return p * r - max(0, p - dilation // common) * max(0, r - stride // common)


@compiled
def _grid(a: int, b: int, x: int, y: int, stride: int, dilation: int, common: int, hull: bool) -> int:
    """Words of all tiles of x by y on extents a by b, clipped at the border."""
    full_a, full_b = (a + x - 1) // x - 1, (b + y - 1) // y - 1
    last_a, last_b = a - full_a * x, b - full_b * y
    total = full_a * full_b * _measure(x, y, stride, dilation, common, hull)
    total += full_a * _measure(x, last_b, stride, dilation, common, hull)
    total += full_b * _measure(last_a, y, stride, dilation, common, hull)
    return int(total + _measure(last_a, last_b, stride, dilation, common, hull))


@compiled
def _divisors(passes: Any, values: Any, number: Any, axes: Any) -> int:
    """Divisors of every passes[d] in lattice order into values[d], their number, and the prime axes (dim, length, after).

    Returns the number of prime axes.
    """
    dims, count = len(passes), 0
    for d in range(dims):
        left, prime, size = passes[d], 2, 1
        values[d, 0] = 1
        while left > 1:
            if prime * prime > left:
                prime = left
            top = 0
            while left % prime == 0:
                left //= prime
                top += 1
            if top:
                # within a dimension the last prime moves fastest
                for i in range(size - 1, -1, -1):
                    power = values[d, i]
                    for e in range(top + 1):
                        values[d, i * (top + 1) + e] = power
                        power *= prime
                size *= top + 1
                axes[count, 0], axes[count, 1] = d, top + 1
                count += 1
            prime += 1
        number[d] = size
    after = 1
    for x in range(count - 1, -1, -1):
        axes[x, 2] = after
        after *= axes[x, 1]
    return count


@compiled
def _times(column: Any, size: int, before: int, factors: Any, number: int) -> None:
    """column[i, j, k] *= factors[j] for a column seen as [before, number, rest]."""
    after = size // (before * number)
    for i in range(before):
        for j in range(number):
            factor, start = factors[j], (i * number + j) * after
            if factor != 1.0:
                for at in range(start, start + after):
                    column[at] *= factor


@compiled
def _times_pair(column: Any, size: int, number: Any, a: int, b: int, table: Any) -> None:
    """column *= table[j_a, j_b] along two dimensions of the lattice, in either order."""
    low, high = min(a, b), max(a, b)
    before, between = 1, 1
    for d in range(low):
        before *= number[d]
    for d in range(low + 1, high):
        between *= number[d]
    after = size // (before * number[low] * between * number[high])
    start = 0
    for _ in range(before):
        for j in range(number[low]):
            for _ in range(between):
                for k in range(number[high]):
                    factor = table[j, k] if a < b else table[k, j]
                    for at in range(start, start + after):
                        column[at] *= factor
                    start += after


@compiled
def running_minimum(column: Any, size: int, axes: Any, count: int, dims: Any) -> None:
    """In place: at every tile the least value over its divisors in `dims`."""
    for x in range(count):
        if dims[axes[x, 0]]:
            length, after = axes[x, 1], axes[x, 2]
            if after == 1:
                for start in range(0, size, length):
                    least = column[start]
                    for at in range(start + 1, start + length):
                        if column[at] < least:
                            least = column[at]
                        else:
                            column[at] = least
            else:
                for start in range(0, size, length * after):
                    for e in range(1, length):
                        here = column[start + e * after : start + (e + 1) * after]
                        back = column[start + (e - 1) * after : start + e * after]
                        for at in range(after):
                            here[at] = back[at] if back[at] < here[at] else here[at]


@compiled
def least(
    extents: Any, spatial: Any, relevant: Any, singles: Any, windows: Any, keeps: Any, parents: Any, bits: Any,
    shares: Any, capacity: Any, allowed: Any, fanout: int, multicast: bool, union: bool, hull: bool, perfect: bool,
    per_word: Any, per_fill: Any, space: Any, values: Any, axes: Any,
) -> float:  # fmt: skip
    """Least cost of one unrolling below the outermost level.

    singles[o, d]: dimension d is an axis of operand o by itself; windows: rows (operand, a, stride, b, dilation, common);
    parents[l, o]: the level that feeds l, -1 where o is not kept; bits[l, o], shares, capacity: of one instance;
    per_word[l, o], per_fill[l, o]: price at the parent and at the child of the boundary into l; space: rows of work.
    """
    dims, operands, levels = len(extents), len(relevant), len(keeps)
    number, size = np.empty(dims, np.int64), 1
    count = _divisors((extents + spatial - 1) // spatial, values, number, axes)
    for d in range(dims):
        size *= number[d]
    first, last = 3 * operands, 3 * operands + levels + 2
    repeats, whole, apart = space[:operands], space[operands : 2 * operands], space[2 * operands : first]
    refusal, work = space[first : first + levels], space[first + levels : last]
    others, moved = space[last : last + levels * operands], space[last + levels * operands :]
    copies = _repeats(extents, spatial, relevant, values, number, size, repeats)
    moves = _spreads(extents, spatial, singles, windows, values, number, size, hull, perfect, whole, apart)
    for c in range(1, levels):
        tops = np.ones(dims, np.int64)
        if c <= fanout:
            tops[:] = spatial
        _refuse(extents, tops, singles, windows, keeps[c], bits[c], shares[c], capacity[c], values, number, size, hull,
                refusal[c], work)  # fmt: skip
        if c == levels - 1:
            _refuse_loops(refusal[c], size, number, allowed[c])
        for o in range(operands):
            output, f, top = o == operands - 1, moved[c * operands + o], size if moves[o] else 1
            f[:size] = 0.0
            if parents[c, o] < 0:
                continue
            crosses = c > fanout and parents[c, o] <= fanout
            shared = crosses and c == fanout + 1 and (output or (multicast and union))
            single = crosses and not shared and (output or multicast)
            price, fill = per_word[c, o], per_fill[c, o]
            for i in range(top):
                below = whole[o, i] if c <= fanout else apart[o, i] * copies[o]
                above = whole[o, i] if shared else apart[o, i] if single else below
                f[i] = above * price + below * fill
            if top == 1:
                f[1:size] = f[0]
        _others(size, refusal[c], moved[c * operands : (c + 1) * operands], repeats,
                others[c * operands : (c + 1) * operands])  # fmt: skip
    rest = space[last + 2 * levels * operands :]
    return float(_chains(size, relevant, allowed, number, axes, count, repeats, others, moved, rest))


@compiled
def _repeats(extents: Any, spatial: Any, relevant: Any, values: Any, number: Any, size: int, repeats: Any) -> Any:
    """q_o at every tile; returns m_o, the PEs that hold the same word."""
    copies, counts = np.ones(len(relevant)), np.empty(values.shape[1])
    for o in range(len(relevant)):
        repeats[o, :size] = 1.0
        before = 1
        for d in range(len(extents)):
            if not relevant[o, d]:
                copies[o] *= spatial[d]
                for j in range(number[d]):
                    counts[j] = (extents[d] + spatial[d] - 1) // spatial[d] // values[d, j]
                if number[d] > 1:
                    _times(repeats[o], size, before, counts, number[d])
            before *= number[d]
    return copies


@compiled
def _spreads(
    extents: Any, spatial: Any, singles: Any, windows: Any, values: Any, number: Any, size: int, hull: bool,
    perfect: bool, whole: Any, apart: Any,
) -> Any:  # fmt: skip
    """A_o of the grid of array tiles and of PE tiles; returns which operands have an A that depends on the tile."""
    moves, width = np.zeros(len(singles), np.bool_), number.max()
    inside, around = np.empty((width, width)), np.empty((width, width))
    for o in range(len(singles)):
        base = 1.0
        for d in range(len(extents)):
            if singles[o, d]:
                base *= extents[d]
        for w in range(len(windows)):
            if windows[w, 0] == o:
                a, stride, b, dilation, common = windows[w, 1:]
                if perfect:
                    base *= _measure(extents[a], extents[b], stride, dilation, common, hull)
                else:
                    moves[o] = True
        top = size if moves[o] else 1
        whole[o, :top] = base
        apart[o, :top] = base
        for w in range(len(windows)):
            if moves[o] and windows[w, 0] == o:
                a, stride, b, dilation, common = windows[w, 1:]
                for i in range(number[a]):
                    for j in range(number[b]):
                        x, y = values[a, i], values[b, j]
                        inside[i, j] = _grid(extents[a], extents[b], x, y, stride, dilation, common, hull)
                        x, y = x * spatial[a], y * spatial[b]
                        around[i, j] = _grid(extents[a], extents[b], x, y, stride, dilation, common, hull)
                _times_pair(apart[o], size, number, a, b, inside)
                _times_pair(whole[o], size, number, a, b, around)
    return moves


@compiled
def _refuse(
    extents: Any, tops: Any, singles: Any, windows: Any, keeps: Any, bits: Any, shares: Any, capacity: float,
    values: Any, number: Any, size: int, hull: bool, refuse: Any, work: Any,
) -> None:  # fmt: skip
    """Infinity where a tile, `tops` times as long but within the extents, overflows one level or a part of it."""
    refuse[:size] = 0.0
    limited = np.isfinite(capacity)
    for o in range(len(keeps)):
        limited = limited or np.isfinite(shares[o])
    if not limited:
        return
    need, total, counts, width = work[0], work[1], np.empty(values.shape[1]), number.max()
    table = np.empty((width, width))
    total[:size] = 0.0
    for o in range(len(keeps)):
        if not keeps[o]:
            continue
        need[:size] = bits[o]
        before = 1
        for d in range(len(extents)):
            if singles[o, d]:
                for j in range(number[d]):
                    counts[j] = min(extents[d], values[d, j] * tops[d])
                _times(need, size, before, counts, number[d])
            before *= number[d]
        for w in range(len(windows)):
            if windows[w, 0] == o:
                a, stride, b, dilation, common = windows[w, 1:]
                for i in range(number[a]):
                    for j in range(number[b]):
                        x, y = min(extents[a], values[a, i] * tops[a]), min(extents[b], values[b, j] * tops[b])
                        table[i, j] = _measure(x, y, stride, dilation, common, hull)
                _times_pair(need, size, number, a, b, table)
        for i in range(size):
            total[i] += need[i]
            if need[i] > shares[o]:
                refuse[i] = np.inf
    for i in range(size):
        if total[i] > capacity:
            refuse[i] = np.inf


@compiled
def _others(size: int, refusal: Any, moved: Any, repeats: Any, others: Any) -> None:
    """For every s the sum of F·q of the other operands, infinity where the tile does not fit."""
    for s in range(len(moved)):
        mine = others[s]
        mine[:size] = refusal[:size]
        for o in range(len(moved)):
            if o != s:
                f, q = moved[o], repeats[o]
                for i in range(size):
                    mine[i] += f[i] * q[i]


@compiled
def _refuse_loops(refuse: Any, size: int, number: Any, allowed: Any) -> None:
    """Infinity where a tile is longer than 1 in a dimension whose loops may not stand there."""
    before = 1
    for d in range(len(number)):
        if not allowed[d] and number[d] > 1:
            after = size // (before * number[d])
            for i in range(before):
                start = i * number[d] * after
                refuse[start + after : start + number[d] * after] = np.inf
        before *= number[d]


@compiled
def _chains(
    size: int, relevant: Any, allowed: Any, number: Any, axes: Any, count: int, repeats: Any, others: Any, moved: Any,
    work: Any,
) -> float:  # fmt: skip
    """The running minima of `_solve` for one row of prices."""
    operands, dims = relevant.shape
    levels = len(allowed)
    if levels == 1:
        return 0.0
    value, blocked = work[:levels], work[levels]
    inner, outer, stay = work[levels + 1], work[levels + 2], work[levels + 3]
    for j in range(1, levels):
        value[j, :size] = np.inf if j < levels - 1 else 0.0
    blocked[:size] = 0.0
    before = 1
    for d in range(dims):  # the outermost level takes the rest: all of it where no loop may stand there
        if not allowed[0, d] and number[d] > 1:
            after = size // (before * number[d])
            for i in range(before):
                start = i * number[d] * after
                blocked[start : start + (number[d] - 1) * after] = np.inf
        before *= number[d]
    best, use = np.inf, np.empty(dims, np.bool_)
    for k in range(levels - 2, -1, -1):
        for s in range(operands):
            stay[:size] = 0.0
            for j in range(k, -1, -1):
                other, more = others[(j + 1) * operands + s], moved[(j + 1) * operands + s]
                below = value[k + 1] if j == k else inner
                if j == 0:
                    for i in range(size):
                        found = (other[i] + below[i]) + blocked[i] + (stay[i] + more[i])
                        best = min(best, found)
                    continue
                for i in range(size):
                    inner[i] = other[i] + below[i]
                    stay[i] += more[i]
                for d in range(dims):
                    use[d] = allowed[j, d] and not relevant[s, d]
                running_minimum(inner, size, axes, count, use)
                q, target = repeats[s], value[j]
                for i in range(size):
                    outer[i] = inner[i] + stay[i] * q[i]
                for d in range(dims):
                    use[d] = allowed[j, d] and relevant[s, d]
                running_minimum(outer, size, axes, count, use)
                for i in range(size):
                    target[i] = min(target[i], outer[i])
    return best
