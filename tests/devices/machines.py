"""A device with round numbers, for tests."""

from picojoule.devices import Sheet

ROUND = Sheet(
    "round",
    "none",
    {"bfloat16": 1e15, "float8": 2e15},
    {"float32": 5e13},
    2e12,
    100,
    2e9,
    40e6,
    500.0,
    5e-9,
    4e11,
    "HBM",
    2024,
)


def faster(factor: float) -> Sheet:
    """The same device with every rate multiplied: peaks, bandwidth, clock, link."""
    return Sheet(
        "fast", "none", {k: v * factor for k, v in ROUND.matrix.items()}, {k: v * factor for k, v in ROUND.vector.items()},
        ROUND.bandwidth_bytes_per_s * factor, ROUND.multiprocessors, ROUND.clock_hz * factor, ROUND.l2_bytes, ROUND.max_power_w,
        ROUND.node_m, (ROUND.link_bytes_per_s or 0) * factor,
    )  # fmt: skip
