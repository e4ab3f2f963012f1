"""What goes in: files, records, images; sizes in bytes and elements."""

import math
from dataclasses import dataclass

from picojoule.workload import dtype_bits

RECORD_OVERHEAD = 16  # bytes of a TFRecord around its data: length 8, check of the length 4, check of the data 4


@dataclass(frozen=True, slots=True)
class Data:
    """`items` of `shape` in `dtype` once decoded, stored as `stored_bytes` in all in `files` files."""

    items: int
    shape: tuple[int, ...]
    dtype: str = "uint8"
    files: int = 1
    stored_bytes: int | None = None
    label_bytes: int = 0
    record_bytes: int = 0

    @property
    def elements(self) -> int:
        """Values of one decoded item."""
        return math.prod(self.shape)

    @property
    def item_bytes(self) -> int:
        """Bytes of one decoded item, without its label."""
        return -(-self.elements * dtype_bits(self.dtype) // 8)

    @property
    def total_bytes(self) -> int:
        """Bytes on the storage: what is stored, or all items undecoded, with labels and record overhead."""
        each = self.label_bytes + self.record_bytes
        stored = self.stored_bytes if self.stored_bytes is not None else self.items * self.item_bytes
        return stored + self.items * each

    @property
    def encoded(self) -> bool:
        """Whether the items are stored in another form than they are used in."""
        return self.stored_bytes is not None


def record_overhead_bytes(records: int, each: int = RECORD_OVERHEAD) -> int:
    """Bytes that record framing adds: 16 a record (TFRecord format, tensorflow.org/tutorials/load_data/tfrecord)."""
    return records * each


def central_crop(height: int, width: int, share: float) -> tuple[int, int]:
    """Sides of the middle `share` of an image, rounded down: 0.875 of 500 × 375 is 437 × 328."""
    return int(height * share), int(width * share)


def padding_waste(lengths: tuple[int, ...]) -> float:
    """Share of a padded batch that is padding: 1 − Σ length / (n · longest)."""
    return 1 - sum(lengths) / (len(lengths) * max(lengths))
