"""What fusion saves, in 80 columns."""

from collections.abc import Sequence

from ._fuse import Fused, Group


def _name(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[1 - width :]


def lines(fused: Fused, *, top: int = 10, ridge: float | None = None) -> list[str]:
    """Totals, then the `top` groups that save most."""
    net = fused.workload
    saved = fused.unfused_bytes - fused.fused_bytes
    share = saved / fused.unfused_bytes if fused.unfused_bytes else 0.0
    count = len(fused.apart)
    text = [
        f"{net.name}, batch {net.batch}, {fused.buffer_bytes:,.0f} B of buffer",
        f"{count:,} operators run as {len(fused.groups):,}",
        "",
        f"{'apart':<12}{fused.unfused_bytes:>20,} B",
        f"{'fused':<12}{fused.fused_bytes:>20,} B   {share:.1%} less, {fused.ratio:.3f} times fewer",
    ]
    if ridge is not None:
        text.append(f"{'time':<12}{fused.speedup(ridge):>20.3f} times faster at {ridge:g} MACs a byte")
    groups = sorted((g for g in fused.groups if g.saved > 0), key=lambda g: g.saved, reverse=True)
    if not groups:
        return [*text, "", "nothing fuses"]
    text += ["", f"{'from … to':<44}{'ops':>4}{'saved, B':>14}{'of all':>7}{'on chip, B':>11}"]
    text += [_row(group, fused.unfused_bytes) for group in groups[:top]]
    rest = groups[top:]
    if rest:
        text.append(f"{f'and {len(rest):,} more':<48}{sum(g.saved for g in rest):>14,}")
    return text


def _row(group: Group, whole: int) -> str:
    span = f"{_name(group.names[0], 20)} … {_name(group.names[-1], 20)}"
    chip = f"{group.need:,}" if group.need < 10**8 else f"{group.need:.3g}"
    return f"{span:<44}{len(group.names):>4}{group.saved:>14,}{group.saved / whole:>7.1%}{chip:>11}"


def compare(found: Sequence[Fused], *, ridge: float | None = None) -> list[str]:
    """Networks by how much they gain."""
    head = f"{'network':<22}{'apart, B':>17}{'fused, B':>17}{'fewer':>8}"
    text = [head + (f"{'faster':>9}" if ridge is not None else "")]
    for one in sorted(found, key=lambda fused: fused.ratio, reverse=True):
        row = f"{_name(one.workload.name, 21):<22}{one.unfused_bytes:>17,}{one.fused_bytes:>17,}{one.ratio:>8.3f}"
        text.append(row + (f"{one.speedup(ridge):>9.3f}" if ridge is not None else ""))
    return text
