"""What fusion needs to know of a machine: how much it keeps on the chip, and how many MACs it does in a byte's time."""

from picojoule.hardware import Architecture


def room(architecture: Architecture) -> int:
    """Bytes of its largest on-chip memory; 0 where no source gives a size."""
    sizes = [m.size.nominal for m in architecture.memories[1:] if m.group == "on-chip" and m.size is not None]
    return int(max(sizes, default=0))


def ridge(architecture: Architecture, dtype: str) -> float | None:
    """MACs at the dense peak in the time of one byte of the outer memory; None where either is unknown."""
    unit, bandwidth = architecture.unit(dtype, "matrix"), architecture.memories[0].bandwidth
    if unit is None or bandwidth is None or dtype not in unit.peak:
        return None
    return unit.peak[dtype].nominal / 2 / bandwidth.nominal
