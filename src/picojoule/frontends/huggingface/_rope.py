"""Rotary positions as configurations describe them, old style and new."""

from collections.abc import Mapping

from ._fields import Fields

_KINDS = ("default", "linear", "dynamic", "yarn", "longrope", "llama3", "su", "proportional", "mrope")


def rope(fields: Fields) -> str:
    """The sort of scaling: "default" where nothing is said."""
    part = _part(fields)
    key = "rope_type" if "rope_type" in part.values else "type"
    kind = part.choice(key, _KINDS, "default")
    return "longrope" if kind == "su" else kind


def _part(fields: Fields) -> Fields:
    for key in ("rope_parameters", "rope_scaling"):
        if fields.values.get(key) is not None:
            part = fields.part(key)
            nested = part.values.get("full_attention")
            return part.part("full_attention") if isinstance(nested, Mapping) else part
    return Fields({}, fields.where)


def rotary_width(fields: Fields, head: int, default: float = 1.0, old: str = "") -> int:
    """Columns of a head that turn: a part of them, an even number."""
    part = _part(fields)
    key = "partial_rotary_factor"
    if part.values.get(key) is not None:
        factor = part.number(key, default, low=0.0, high=1.0)
    elif old and fields.values.get(old) is not None:
        factor = fields.number(old, default, low=0.0, high=1.0)
    else:
        factor = fields.number(key, default, low=0.0, high=1.0)
    width = head if factor == 1.0 else int(head * (factor or 0.0))
    return fields.even(key if factor != 1.0 else "head_dim", width)
