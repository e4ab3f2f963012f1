"""Two networks or checkpoints side by side: structure, counts, and distance of parameters.

    L1 = Σ |a − b|        L2 = √ Σ (a − b)²        relative = L2 / ‖a‖₂

A distance tells whether two files are one model, what quantisation did, and how many bytes an update takes. It tells
nothing about energy: dense hardware prices shapes and number formats, not values. Permute the hidden neurons of a network:
the distance is large, the function and every joule are the same.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError
from picojoule.workload import BITS, Operator, Workload

Vector = NDArray[np.float64]
_CHUNK: Final = 1 << 20


class StoredArray(Protocol):
    """A stored tensor, read piece by piece."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""

    @property
    def dtype(self) -> str:
        """The number format as the library names it."""

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        """Elements `start` to `stop` in the order in which they are stored."""


Weights = Mapping[str, StoredArray] | Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class OperatorChange:
    """An operator that both networks have under one name, with other kinds or shapes."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class TensorDistance:
    """One tensor of both files. `bytes` of an update of it: dense, bitmap of changes, row-wise list of changes.

    Pairs of which one is not finite count as `not_finite` and are left out of the distances; NaN in both is no change.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    l1: float
    l2: float
    norm_a: float
    changed: int
    not_finite: int
    bytes_dense: int
    bytes_bitmap: int
    bytes_csr: int

    @property
    def elements(self) -> int:
        """Elements of the tensor."""
        return math.prod(self.shape)

    @property
    def relative(self) -> float:
        """L2 over the norm of the first; 0 for equal tensors, infinite if the first is all zero."""
        return _over(self.l2, self.norm_a)

    @property
    def changed_share(self) -> float:
        """Share of elements that differ."""
        return self.changed / self.elements if self.elements else 0.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted of each network."""

    params: int
    macs: int
    bytes: int
    operators: int


@dataclass(frozen=True, slots=True)
class Difference:
    """b against a. Tensors are matched by name and shape; `unmatched` names those of one file only, or of other shapes."""

    name_a: str
    name_b: str
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    changed: tuple[OperatorChange, ...]
    counts_a: Counts
    counts_b: Counts
    tensors: tuple[TensorDistance, ...]
    unmatched: tuple[str, ...]

    @property
    def same_structure(self) -> bool:
        """Whether both have the same operators with the same shapes: then every level gives them the same energy."""
        return not (self.only_a or self.only_b or self.changed)

    @property
    def l1(self) -> float:
        """Over all matched tensors."""
        return math.fsum(t.l1 for t in self.tensors)

    @property
    def l2(self) -> float:
        """Over all matched tensors, as one vector."""
        return math.sqrt(math.fsum(t.l2**2 for t in self.tensors))

    @property
    def relative(self) -> float:
        """L2 over the norm of all matched tensors of the first."""
        return _over(self.l2, math.sqrt(math.fsum(t.norm_a**2 for t in self.tensors)))

    @property
    def update_bytes(self) -> int:
        """Bytes of the smallest update: each tensor in its cheapest form, unchanged ones not at all."""
        return sum(min(t.bytes_dense, t.bytes_bitmap, t.bytes_csr) for t in self.tensors if t.changed)


def diff(a: Workload | None, b: Workload | None, weights_a: Weights | None = None,
         weights_b: Weights | None = None) -> Difference:  # fmt: skip
    """Compare two networks, two sets of weights, or both. Give both of a pair or none of it."""
    if (a is None) != (b is None) or (weights_a is None) != (weights_b is None) or (a is None and weights_a is None):
        raise InputError("one side of the comparison is missing", where="diff", expected="two networks, two files of "
                         "weights, or both", example="picojoule diff a.onnx b.onnx")  # fmt: skip
    first, second = _shapes(a), _shapes(b)
    both = [name for name in first if name in second]
    changes = tuple(OperatorChange(n, first[n], second[n]) for n in both if first[n] != second[n])
    left, right = weights_a or {}, weights_b or {}
    tensors = tuple(distance(name, left[name], right[name]) for name in left
                    if name in right and tuple(left[name].shape) == tuple(right[name].shape))  # fmt: skip
    matched = {t.name for t in tensors}
    return Difference(
        a.name if a else "a", b.name if b else "b", tuple(n for n in first if n not in second),
        tuple(n for n in second if n not in first), changes, _counts(a), _counts(b), tensors,
        tuple(n for n in dict.fromkeys([*left, *right]) if n not in matched),
    )  # fmt: skip


def distance(name: str, a: StoredArray | NDArray[np.generic], b: StoredArray | NDArray[np.generic]) -> TensorDistance:
    """Distances of two tensors of one shape, read in pieces."""
    shape = tuple(a.shape)
    if shape != tuple(b.shape):
        raise InputError(f"{name} is {list(shape)} and {list(b.shape)}", where="diff", expected="one shape")
    absolute, squares, norms = [], [], []
    changed = odd = 0
    for x, y in zip(_pieces(a), _pieces(b), strict=True):
        fine = np.isfinite(x) & np.isfinite(y)
        gap = np.where(fine, y, 0.0) - np.where(fine, x, 0.0)
        changed += int(np.count_nonzero((x != y) & ~(np.isnan(x) & np.isnan(y))))
        odd += int(np.count_nonzero(~fine))
        absolute.append(float(np.abs(gap).sum()))
        squares.append(float(gap @ gap))
        kept = np.where(np.isfinite(x), x, 0.0)
        norms.append(float(kept @ kept))
    bits = BITS[_name(b)]
    return TensorDistance(
        name, shape, _name(b), math.fsum(absolute), math.sqrt(math.fsum(squares)), math.sqrt(math.fsum(norms)), changed,
        odd, *update_bytes(shape, changed, bits),
    )  # fmt: skip


def update_bytes(shape: tuple[int, ...], changed: int, bits: int) -> tuple[int, int, int]:
    """Bytes of an update in three forms: all values; a bit each and the changed values; values with their columns.

    Columns take 2 B in rows of up to 65,536, else 4 B; row starts are left out, as elsewhere.
    """
    elements = math.prod(shape)
    dense, values = -(-elements * bits // 8), -(-changed * bits // 8)
    rows = shape[0] if len(shape) > 1 and shape[0] else 1
    index = 2 if elements // rows <= 1 << 16 else 4
    return dense, -(-elements // 8) + values, values + index * changed


def _pieces(array: StoredArray | NDArray[np.generic]) -> Iterator[Vector]:
    count = math.prod(array.shape)
    flat = array.reshape(-1) if isinstance(array, np.ndarray) else None
    for start in range(0, count, _CHUNK):
        stop = min(count, start + _CHUNK)
        piece = flat[start:stop] if flat is not None else array.read(start, stop)  # type: ignore[union-attr]
        yield np.asarray(piece, dtype=np.float64)


def _name(array: StoredArray | NDArray[np.generic]) -> str:
    return str(array.dtype) if str(array.dtype) in BITS else "float32"


def _shapes(net: Workload | None) -> dict[str, str]:
    return {} if net is None else {o.name: _signature(net, o) for o in net.operators}


def _signature(net: Workload, operator: Operator) -> str:
    """What an operator is: its kind, the shapes it reads and writes, how often it runs."""

    def sizes(name: str) -> str:
        tensor = net.tensors[name]
        return f"{'×'.join(map(str, tensor.shape)) or 'scalar'} {tensor.dtype}"

    read = ", ".join(sizes(a.tensor) for a in operator.inputs)
    made = ", ".join(sizes(a.tensor) for a in operator.outputs)
    times = f" ·{operator.repeats}" if operator.repeats > 1 else ""
    return f"{operator.op}({read}) → {made}{times}"


def _counts(net: Workload | None) -> Counts:
    if net is None:
        return Counts(0, 0, 0, 0)
    moved = sum(net.traffic(o).total for o in net.operators)
    return Counts(sum(t.stored_elements for t in net.parameters), net.work.macs, moved, len(net.operators))


def _over(distance: float, norm: float) -> float:
    return distance / norm if norm else (0.0 if distance == 0 else math.inf)
