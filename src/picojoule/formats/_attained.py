"""The share of peak that operators reach: named files, changes of one device, and the law of limited power."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from picojoule.hardware import Architecture, Attained
from picojoule.quantity import Value, parse_quantity

if TYPE_CHECKING:
    from ._schema import PowerLawModel

MATRIX_16 = ("bfloat16", "float16")
VECTOR = ("float32", "float64")


def power_limited(machine: Architecture, law: "PowerLawModel", shares: Mapping[str, Attained]) -> dict[str, Attained]:
    """Shares of peak of dense work that follow from the power of a board.

    16-bit matrix units: eta = coefficient · (TDP / peak / reference) ^ exponent, held within lowest and highest.
    Vector units: eta = min(vector_highest, vector_power_share · TDP / (e(node) · peak)) with
    e(node) = vector_energy · (node / vector_node) ^ vector_exponent. Convolutions reach a fixed part of that.
    Keys with a dtype ("gemm_float32") hold for that dtype alone. Without TDP or peak nothing changes.
    """
    if machine.max_power is None:
        return {}
    watts, gemm, conv = machine.max_power.nominal, shares["gemm"], shares["conv"]
    found: dict[str, Attained] = {}
    for dtype in MATRIX_16:
        unit = machine.unit(dtype, "matrix")
        if unit is not None and unit.unit == "matrix":
            ratio = watts / unit.peak[dtype].nominal / parse_quantity(str(law.reference.value), "J")
            eta = min(max(law.coefficient * ratio**law.exponent, law.lowest), law.highest)
            found["gemm"] = Attained(_share(eta, law.spread, law, "16-bit matrix units"), gemm.memory)
            eta *= law.conv_over_gemm
            found["conv"] = Attained(_share(eta, law.conv_spread, law, "16-bit convolution"), conv.memory)
            break
    for dtype in VECTOR:
        unit = machine.unit(dtype, "matrix")
        if unit is None or unit.unit == "matrix" or machine.node is None or "float32" not in unit.peak:
            continue
        node = machine.node.nominal / parse_quantity(str(law.vector_node.value), "m")
        energy = parse_quantity(str(law.vector_energy.value), "J") * node**law.vector_exponent
        # One law for all widths: a double costs as much more as its peak is lower.
        limit = law.vector_power_share * watts / (energy * unit.peak["float32"].nominal)
        eta = min(law.vector_highest, limit)
        found[f"gemm_{dtype}"] = Attained(_share(eta, law.spread, law, f"{dtype} on vector units"), gemm.memory)
        eta *= law.vector_conv_over_gemm
        found[f"conv_{dtype}"] = Attained(_share(eta, law.conv_spread, law, f"{dtype} convolution"), conv.memory)
    return found


def _share(eta: float, spread: float, law: "PowerLawModel", what: str) -> Value:
    return Value(round(eta, 4), "1", spread, law.source, f"{law.where}: {what}", provenance="fitted")
