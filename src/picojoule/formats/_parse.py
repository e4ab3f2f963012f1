"""Text of a datum to an SI float."""

from picojoule.quantity import parse_quantity


def parse(text: str, unit: str) -> float:
    """Text to SI: as parse_quantity, with plain numbers (unit "1"), and operations and MACs as FLOP/s."""
    if unit == "1":
        try:
            return float(text.replace("_", ""))
        except ValueError:
            raise ValueError(f"expected a plain number, such as '0.85'; got {text!r}") from None
    for name in ("OP", "MAC") if unit == "FLOP/s" and not text.endswith("FLOP/s") else ():
        if text.endswith(f"{name}/s"):
            return parse_quantity(text, f"{name}/s") * (2 if name == "MAC" else 1)
    for tail in ("/MAC", "/op") if unit == "J" else ():
        text = text.removesuffix(tail)
    return parse_quantity(text, unit)
