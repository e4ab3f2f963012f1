"""Rows of DRAM: which are open, and what a move has to open."""

from ._machine import Machine, Rows


class OpenRows:
    """The open row of every bank (−1: none). Page p, bytes p·size to (p+1)·size − 1, is row p // banks of bank p % banks."""

    def __init__(self, machine: Machine, rows: Rows) -> None:
        self.size, self.banks = rows.size, rows.banks
        self.activate = machine.duration(rows.activate)
        self.precharge = machine.duration(rows.precharge)
        self.open = [-1] * rows.banks

    def ticks(self, far: int, rows: int, size: int, stride: int) -> int:
        """What it takes to open what a move of `rows` of `size` bytes, `stride` apart, touches; opens it."""
        if stride == size:
            rows, size = 1, rows * size
        return sum(self._run(far + row * stride, size) for row in range(rows))

    def _run(self, start: int, size: int) -> int:
        """Bytes one after the other. Of more pages than there are banks each one after the first `banks` is a conflict."""
        first, last = start // self.size, (start + size - 1) // self.size
        many = max(0, last - first + 1 - 2 * self.banks) // self.banks * self.banks
        ticks = many * (self.precharge + self.activate)
        for page in (*range(first, min(last + 1, first + self.banks)), *range(first + self.banks + many, last + 1)):
            row, bank = divmod(page, self.banks)
            if self.open[bank] != row:
                ticks += self.activate + (self.precharge if self.open[bank] >= 0 else 0)
                self.open[bank] = row
        return ticks
