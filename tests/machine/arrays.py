"""Systolic arrays stepped cycle by cycle with their values: the oracle of the closed forms of a matrix unit."""

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]


def weight_stationary(x: Whole, w: Whole, rows: int, columns: int) -> tuple[Whole, int]:
    """One part: w (at most rows × columns) is shifted in row by row, then x streams from the left, sums go down."""
    m, k, n = x.shape[0], *w.shape
    held = np.zeros((rows, columns), np.int64)
    cycles = 0
    for step in range(rows):  # the last row of w goes in first
        held[1:] = held[:-1].copy()
        row = rows - 1 - step
        held[0] = [int(w[row, j]) if row < k and j < n else 0 for j in range(columns)]
        cycles += 1
    moving, sums = np.zeros((rows, columns), np.int64), np.zeros((rows, columns), np.int64)
    y, seen, time = np.zeros((m, columns), np.int64), 0, 0
    while seen < m * columns:
        moving[:, 1:] = moving[:, :-1].copy()
        for i in range(rows):
            moving[i, 0] = x[time - i, i] if i < k and 0 <= time - i < m else 0
        above = np.zeros((rows, columns), np.int64)
        above[1:] = sums[:-1]
        sums = above + moving * held
        for j in range(columns):  # what leaves the last row
            row = time - (rows - 1) - j
            if 0 <= row < m:
                y[row, j] = sums[rows - 1, j]
                seen += 1
        time += 1
    return y[:, :n], cycles + time


def output_stationary(x: Whole, w: Whole, rows: int, columns: int) -> tuple[Whole, int]:
    """One part: x comes from the left, w from above, each cell keeps its sum; then the sums leave row by row."""
    m, k, n = x.shape[0], *w.shape
    right, down, sums = (np.zeros((rows, columns), np.int64) for _ in range(3))
    time = 0
    while True:
        right[:, 1:], down[1:] = right[:, :-1].copy(), down[:-1].copy()
        for i in range(rows):
            right[i, 0] = x[i, time - i] if i < m and 0 <= time - i < k else 0
        for j in range(columns):
            down[0, j] = w[time - j, j] if j < n and 0 <= time - j < k else 0
        sums += right * down
        time += 1
        if time - 1 >= (rows - 1) + (columns - 1) + (k - 1):  # the last pair has reached the last cell
            break
    y = np.zeros((rows, columns), np.int64)
    for row in range(rows - 1, -1, -1):
        y[row] = sums[-1]
        sums[1:] = sums[:-1].copy()
        time += 1
    return y[:m, :n], time


def product(x: Whole, w: Whole, rows: int, columns: int, dataflow: str) -> tuple[Whole, int]:
    """Part after part."""
    (m, k), n = x.shape, w.shape[1]
    y, cycles = np.zeros((m, n), np.int64), 0
    if dataflow == "output-stationary":
        for i in range(0, m, rows):
            for j in range(0, n, columns):
                y[i : i + rows, j : j + columns], took = output_stationary(
                    x[i : i + rows], w[:, j : j + columns], rows, columns
                )
                cycles += took
        return y, cycles
    for i in range(0, k, rows):
        for j in range(0, n, columns):
            part, took = weight_stationary(x[:, i : i + rows], w[i : i + rows, j : j + columns], rows, columns)
            y[:, j : j + columns] += part
            cycles += took
    return y, cycles
