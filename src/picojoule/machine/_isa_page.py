"""The instruction set as a page."""

from . import _isa
from ._isa import SPECS, bounds


def isa_markdown() -> str:
    """The instruction set as a Markdown page, written from the table."""
    lines = ["# Instruction set", "", *(_isa.__doc__ or "").strip().splitlines(), ""]
    for spec in SPECS.values():
        shared = "" if spec.variant is None else f", bit 8 is {spec.variant}"
        lines += [f"## `{spec.name}` (opcode {spec.opcode}{shared})", "", spec.doc, "", f"Cycles: {spec.takes}.", ""]
        if spec.steps:
            lines += [f"`step` moves: {', '.join(f'{s} by {x}' for s, x in zip(spec.steps, 'abc', strict=False))}.", ""]
        if spec.fields:
            lines += ["| bits | field | values | default |", "|---|---|---|---|"]
        at = spec.head
        for one in spec.fields:
            default = "" if one.default is None else one.names[one.default] if one.names else str(one.default)
            lines.append(
                f"| {at}-{at + one.bits - 1} | {one.name} | {bounds(one).removeprefix('one of ')} | {default} |"
            )
            at += one.bits
        lines.append("")
    return "\n".join(lines)
