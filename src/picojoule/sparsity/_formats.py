"""Bits of n values of b bits at density d, expected over independent random zeros, and of an actual array.

    dense    n·b
    bitmap   nnz·b + n                                     one bit a position
    csr      nnz·(b + i) + (rows + 1)·p                    i bits of column index, p bits of row start (0: left out)
    coo      nnz·(b + i)                                   i bits of position
    rle      (nnz + fill)·(b + r)                          r bits of zeros before each value, Eyeriss, JSSC 52(1) 2017
    n:m      ⌈n/m⌉·keep·(b + ⌈log2 m⌉)                     keep of every m, kept slots stored even where zero; 2:4: 2 bits

nnz = d·n expected. A run of 2^r zeros is cut by a stored zero. With q = 1 - d and L = 2^r such a fill ends at position t
if the t, or the j·L after a value, before it are all zero, so that

    fill = Σ_{j=1}^{⌊n/L⌋} q^{jL}·(1 + d·(n - jL))

Zeros behind the last value are not stored: the length is known.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

Kind = Literal["dense", "bitmap", "csr", "coo", "rle", "n:m"]
FORMATS: Final[tuple[str, ...]] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Format:
    """How zeros are left out. `keep` of every `group` for n:m; other formats read only their own widths."""

    kind: Kind = "dense"
    index_bits: int = 16
    start_bits: int = 0
    run_bits: int = 5
    keep: int = 2
    group: int = 4

    def __post_init__(self) -> None:
        if self.kind not in FORMATS:
            raise InputError(f"no sparse format is named {self.kind!r}", expected=f"one of {', '.join(FORMATS)}",
                             example="bitmap")  # fmt: skip
        if min(self.index_bits, self.run_bits, self.keep) < 1 or self.start_bits < 0 or self.keep > self.group:
            raise InputError("a sparse format of such widths does not exist",
                             expected="bits of 1 or more, keep of a group no smaller", example="2 of 4")  # fmt: skip

    @property
    def metadata_bits(self) -> int:
        """Bits that tell where one kept value of n:m stands."""
        return (self.group - 1).bit_length()

    def bits(self, n: int, density: float, value_bits: int, *, rows: int = 1) -> float:
        """Expected bits of `n` values of which each is not zero with probability `density`."""
        if not 0 <= density <= 1:
            raise InputError(f"density {density:g}", expected="a share from 0 to 1", example="0.5")
        if n < 0 or value_bits < 1 or rows < 1:
            raise InputError(f"{n} values of {value_bits} bits in {rows} rows", expected="sizes that exist")
        fill = fills(n, density, 2**self.run_bits) if self.kind == "rle" else 0.0
        return self._bits(n, density * n, fill, value_bits, rows)

    def of(self, array: NDArray[Any], value_bits: int) -> int:
        """Bits of this very array; rows are those of its first axis."""
        flat = array.reshape(-1)
        nnz = int(np.count_nonzero(flat))
        if self.kind == "n:m" and self.densest(array) > self.keep:
            raise InputError(f"a group of {self.group} holds {self.densest(array)} values that are not zero",
                             expected=f"at most {self.keep}", example="prune first")  # fmt: skip
        fill = _fills_of(flat, 2**self.run_bits) if self.kind == "rle" else 0
        rows = array.shape[0] if array.ndim > 1 else 1
        return int(self._bits(flat.size, nnz, fill, value_bits, rows))

    def densest(self, array: NDArray[Any]) -> int:
        """Most values that are not zero in any group of neighbours."""
        flat = array.reshape(-1) != 0
        padded = np.zeros(-(-flat.size // self.group) * self.group, dtype=bool)
        padded[: flat.size] = flat
        return int(padded.reshape(-1, self.group).sum(axis=1).max(initial=0))

    def bytes(self, n: int, density: float, value_bits: int, *, rows: int = 1) -> float:
        """Expected bytes."""
        return self.bits(n, density, value_bits, rows=rows) / 8

    def break_even(self, value_bits: int) -> float:
        """The density below which long tensors take fewer bits than dense ones (0 or 1: never or always)."""
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            fewer = self.bits(2**20, middle, value_bits) < 2**20 * value_bits
            low, high = (middle, high) if fewer else (low, middle)
        return low

    def _bits(self, n: int, nnz: float, fill: float, value_bits: int, rows: int) -> float:
        if self.kind == "dense":
            return float(n * value_bits)
        if self.kind == "bitmap":
            return nnz * value_bits + n
        if self.kind == "rle":
            return (nnz + fill) * (value_bits + self.run_bits)
        if self.kind == "n:m":
            return float(-(-n // self.group) * self.keep * (value_bits + self.metadata_bits))
        starts = (rows + 1) * self.start_bits if self.kind == "csr" else 0
        return nnz * (value_bits + self.index_bits) + starts


def fills(n: int, density: float, longest: int) -> float:
    """Expected stored zeros of a run-length code that counts up to `longest` - 1 of them."""
    times = n // longest
    x = (1.0 - density) ** longest
    plain, weighted = _powers(x, times)
    return plain * (1.0 + density * n) - density * longest * weighted


def _powers(x: float, times: int) -> tuple[float, float]:
    """Σ x^j and Σ j·x^j for j = 1 … times, by doubling: no differences, so exact near x = 1 too."""
    if times == 0:
        return 0.0, 0.0
    half, odd = divmod(times, 2)
    plain, weighted = _powers(x, half)
    top: float = x**half
    plain, weighted = plain + top * plain, weighted + top * (weighted + half * plain)
    if odd:
        last: float = x**times
        plain, weighted = plain + last, weighted + times * last
    return plain, weighted


def _fills_of(flat: NDArray[Any], longest: int) -> int:
    """Stored zeros of one array: how often `longest` fits into each run of zeros, the one behind the last value too."""
    ends = np.concatenate([[-1], np.flatnonzero(flat), [flat.size]])
    return int(((np.diff(ends) - 1) // longest).sum())
