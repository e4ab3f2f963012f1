"""Sheets of the devices in the published sets: those of the library, and a few that it lacks.

What is not in the library was recalled or read in the set itself, and is marked so; it serves validation alone.
"""

from functools import cache

from picojoule.devices import Sheet, sheet
from picojoule.formats import load_hardware

_KNOWN = {"arc-pro-b60": {"multiprocessors": 20.0}, "gb300": {"multiprocessors": 152.0, "clock_hz": 1.92e9}}
_MIB = 2**20
# recalled, of the vendors' pages: matrix, vector [op/s], bandwidth, multiprocessors, clock, L2, power, node
_RECALLED = {
    "p4": ("NVIDIA", {}, {"float32": 5.5e12}, 192e9, 20, 1.063e9, 2 * _MIB, 75.0, 16e-9),
    "a40": ("NVIDIA", {"bfloat16": 149.7e12, "float16": 149.7e12}, {"float32": 37.4e12}, 696e9, 84, 1.74e9, 6 * _MIB, 300.0, 8e-9),
    "a100-pcie-40gb": ("NVIDIA", {"bfloat16": 312e12, "float16": 312e12}, {"float32": 19.5e12}, 1555e9, 108, 1.41e9, 40 * _MIB,
                       250.0, 7e-9),
    "mi250-die": ("AMD", {"float32": 45.3e12, "float16": 181e12}, {"float32": 22.6e12}, 1638e9, 104, 1.7e9, 8 * _MIB, 280.0, 6e-9),
}  # fmt: skip


@cache
def sheet_of(name: str) -> Sheet:
    """The sheet of a device by its name in the library, or of one of the few that only validation knows."""
    if name in _RECALLED:
        vendor, matrix, vector, bandwidth, units, clock, cache_bytes, power, node = _RECALLED[name]
        return Sheet(name, vendor, matrix, vector, bandwidth, units, clock, cache_bytes, power, node)
    return sheet(load_hardware(name)[0], **_KNOWN.get(name, {}))
