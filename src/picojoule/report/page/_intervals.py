"""A dot with its band on a logarithmic axis: for log-normal values the honest picture, unlike a bar from zero."""

from collections.abc import Iterable, Mapping

from picojoule.cost import Interval

from ._format import place, round_marks, si

Words = Mapping[str, str]
Axis = tuple[float, float]


def axis_of(intervals: Iterable[Interval], room: float = 1.25) -> Axis:
    """One axis for all `intervals`, out to whole decades if they are few, so that devices compare by eye."""
    ends = [end for i in intervals for end in (i.low, i.nominal, i.high) if end > 0]
    if not ends:
        return 1.0, 10.0
    low, high = min(ends) / room, max(ends) * room
    return (low, high) if high / low >= 10 else (low / 2, high * 2)


def dot(interval: Interval, axis: Axis) -> str:
    """The band from low to high and the dot at nominal; for the eye only, the numbers stand beside it."""
    a, m, b = (100 * min(1.0, max(0.0, place(v, *axis))) for v in (interval.low, interval.nominal, interval.high))
    return (
        f'<span class="iv" aria-hidden="true"><i class="band" style="left:{a:.1f}%;width:{max(0.4, b - a):.1f}%"></i>'
        f'<i class="dot" style="left:{m:.1f}%"></i></span>'
    )


def scale(axis: Axis, unit: str) -> str:
    """The decades under a column of dots."""
    marks = round_marks(*axis)
    ticks = "".join(f'<span style="left:{100 * place(v, *axis):.1f}%">{si(v, unit, 1)}</span>' for v in marks)
    return f'<span class="scale" aria-hidden="true">{ticks}</span>'
