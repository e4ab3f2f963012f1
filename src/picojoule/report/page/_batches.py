"""Joules of a token or sample against batch, log-log: the estimate and its band, the prediction, what was measured."""

import math
from collections.abc import Iterator, Mapping, Sequence

from picojoule.studies import Batches

from ._format import decades, place, round_marks, si, span
from ._html import esc

Words = Mapping[str, str]
_WIDE, _HIGH = 1000, 400
_Point = tuple[float, float]


class _Frame:
    """Where a batch and its joules stand, in per cent from the left and from the bottom."""

    def __init__(self, curve: Batches) -> None:
        xs = [float(p.batch) for p in curve.points] + [m.batch for m in curve.measured]
        ys = [y for y in _joules(curve) if y > 0]
        self.x0, self.x1 = min(xs) / 1.3, max(xs) * 1.3
        self.y0, self.y1 = min(ys) / 1.4, max(ys) * 1.4

    def at(self, point: _Point) -> _Point:
        return 100 * place(point[0], self.x0, self.x1), 100 * place(point[1], self.y0, self.y1)

    def path(self, points: Sequence[_Point], *, closed: bool = False) -> str:
        drawn = [f"{10 * x:.1f} {_HIGH - 4 * y:.1f}" for x, y in map(self.at, points)]
        return f"M{'L'.join(drawn)}{'Z' if closed else ''}"


def batches(w: Words, curves: Sequence[Batches]) -> str:
    """A panel for each machine, each with its figures below; empty where there is one batch alone."""
    return "".join(_panel(w, curve) for curve in curves)


def _joules(curve: Batches) -> Iterator[float]:
    for p in curve.points:
        yield from (p.estimated.low, p.estimated.nominal, p.estimated.high)
        if p.predicted is not None:
            yield from (v for v in (p.predicted.energy_j, p.predicted.low_j, p.predicted.high_j) if v is not None)
    yield from (m.energy_j for m in curve.measured)


def _panel(w: Words, curve: Batches) -> str:
    frame = _Frame(curve)
    item = w["token"] if curve.token else w["sample"]
    grid, ticks = _axes(frame, curve)
    label = w["a_batches"].format(device=esc(curve.title), item=item)
    says = w["b_sees"].format(n=f"{curve.context:,}") if curve.context else ""
    return (
        f'<figure class="chart batches"><figcaption><h3>{esc(curve.title)}</h3>{_legend(w, curve)}</figcaption>'
        f'<div class="plot tall" role="img" aria-label="{label}"><svg viewBox="0 0 {_WIDE} {_HIGH}" '
        f'preserveAspectRatio="none" aria-hidden="true">{grid}{_lines(frame, curve)}</svg>{ticks}{_marks(w, frame, curve)}</div>'
        f'<div class="xt low" aria-hidden="true"><span>↑ {w["b_axis"].format(item=item)} · {w["b_batch"]} →</span></div>'
        f'{_table(w, curve, item)}<p class="small dim">{" ".join(filter(None, (says, _sources(w, curve))))}</p></figure>'
    )


def _axes(frame: _Frame, curve: Batches) -> tuple[str, str]:
    xs = sorted({float(p.batch) for p in curve.points} | {m.batch for m in curve.measured})
    ys = decades(frame.y0, frame.y1, 7) if frame.y1 / frame.y0 > 100 else round_marks(frame.y0, frame.y1)
    xs = _apart(xs, frame)
    grid = "".join(f"M{10 * frame.at((x, 1))[0]:.0f} 0v{_HIGH}" for x in xs)
    grid += "".join(f"M0 {_HIGH - 4 * frame.at((1, y))[1]:.0f}h{_WIDE}" for y in ys)
    ticks = "".join(f'<span class="yt" style="bottom:{frame.at((1, y))[1]:.1f}%">{si(y, "J", 1)}</span>' for y in ys)
    ticks += "".join(f'<span class="xtick" style="left:{frame.at((x, 1))[0]:.1f}%">{x:,.0f}</span>' for x in xs)
    return f'<path class="grid" d="{grid}"/>', ticks


def _apart(xs: Sequence[float], frame: _Frame) -> list[float]:
    """The batches that have room for their number under the axis."""
    kept: list[float] = []
    for x in xs:
        if not kept or frame.at((x, 1))[0] - frame.at((kept[-1], 1))[0] > 6:
            kept.append(x)
    return kept


def _lines(frame: _Frame, curve: Batches) -> str:
    points = curve.points
    low = [(float(p.batch), p.estimated.low) for p in points]
    high = [(float(p.batch), p.estimated.high) for p in points]
    drawn = f'<path class="be" d="{frame.path([*low, *reversed(high)], closed=True)}"/>'
    known = [(float(p.batch), p.predicted) for p in points if p.predicted is not None]
    sides = [(x, q.low_j, q.high_j) for x, q in known if q.low_j is not None and q.high_j is not None]
    if len(sides) > 1:
        ring = [(x, a) for x, a, _ in sides] + [(x, b) for x, _, b in reversed(sides)]
        drawn = f'<path class="bp" d="{frame.path(ring, closed=True)}"/>' + drawn
    drawn += f'<path class="le" d="{frame.path([(float(p.batch), p.estimated.nominal) for p in points])}"/>'
    if len(known) > 1:
        drawn += f'<path class="lp" d="{frame.path([(x, q.energy_j) for x, q in known])}"/>'
    return drawn


def _marks(w: Words, frame: _Frame, curve: Batches) -> str:
    found = [("e", float(p.batch), p.estimated.nominal, w["b_estimate"]) for p in curve.points]
    found += [("p", float(p.batch), p.predicted.energy_j, w["b_predicted"]) for p in curve.points if p.predicted]
    found += [("x", m.batch, m.energy_j, w["b_measured"]) for m in curve.measured]
    return "".join(
        f'<i class="bm {kind}" style="left:{x:.1f}%;bottom:{y:.1f}%" title="{name}, {w["batch"].format(n=f"{batch:,.0f}")}: '
        f'{si(joules, "J")}"></i>'
        for kind, batch, joules, name in found
        for x, y in [frame.at((batch, joules))]
    )


def _legend(w: Words, curve: Batches) -> str:
    names = [("e", w["b_estimate"])]
    names += [("p", w["b_predicted"])] if any(p.predicted for p in curve.points) else []
    names += [("x", w["b_measured"])] if curve.measured else []
    return "".join(
        ('<p class="bl">', *(f'<span><i class="bm {kind}"></i>{name}</span>' for kind, name in names), "</p>")
    )


def _table(w: Words, curve: Batches, item: str) -> str:
    predicted = any(p.predicted for p in curve.points)
    head = [w["b_batch"], w["b_estimate"], w["interval"]]
    head += [w["b_short"], w["interval"]] if predicted else []
    head += [w["b_measured"]] if curve.measured else []
    body = "".join(f"<tr>{_row(curve, batch, predicted)}</tr>" for batch in _batches(curve))
    columns = "".join(f'<th scope="col"{" class=num" if n else ""}>{text}</th>' for n, text in enumerate(head))
    caption = f"{w['b_caption'].format(item=item)}, {esc(curve.title)}"
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table class="bt"><thead>'
        f"<tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _batches(curve: Batches) -> list[float]:
    """Every batch that has a row: a measured point joins the batch it is within 5 % of."""
    found = {float(p.batch) for p in curve.points}
    found |= {m.batch for m in curve.measured if not any(abs(m.batch / p.batch - 1) < 0.05 for p in curve.points)}
    return sorted(found)


def _row(curve: Batches, batch: float, predicted: bool) -> str:
    point = next((p for p in curve.points if p.batch == batch), None)
    cells = ["–", ""] if point is None else [
        si(point.estimated.nominal, "J"), span(point.estimated.low, point.estimated.high, "J")]  # fmt: skip
    if predicted:
        q = point.predicted if point is not None else None
        if q is None:
            cells += ["–", ""]
        else:
            cells += [si(q.energy_j, "J"), "" if q.low_j is None or q.high_j is None else span(q.low_j, q.high_j, "J")]
    if curve.measured:
        near = next((m for m in curve.measured if math.isclose(m.batch, batch, rel_tol=0.05)), None)
        cells.append("–" if near is None else si(near.energy_j, "J"))
    return f'<th scope="row">{batch:,.0f}</th>' + "".join(f'<td class="num">{cell}</td>' for cell in cells)


def _sources(w: Words, curve: Batches) -> str:
    words = [w["b_none"].format(why=esc(curve.why)) if curve.why else w["b_server" if curve.token else "b_kernels"]]
    said = dict.fromkeys((m.where, m.source, m.provenance) for m in curve.measured)
    words += [
        f"{w['b_measured']}: {esc(where)} [{esc(source)}, {w.get(mark, esc(mark))}]." for where, source, mark in said
    ]
    if curve.measured:
        words.append(w["b_load"])
    return " ".join(words)
