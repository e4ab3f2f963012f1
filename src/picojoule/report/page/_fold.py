"""Long networks folded: layers that are equal, and cost the same on every device, become one block that says how often.

Up to `MOST` blocks each operator stands alone. Above, runs of equal layers are folded first ("80 ×" for 80 transformer
blocks); then equal operators anywhere; at last neighbours of one module.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Final

MOST: Final = 400
_LONGEST_PERIOD: Final = 600
Group = tuple[int, ...]  # indices of operators drawn as one block


def fold(signatures: Sequence[Hashable], paths: Sequence[tuple[str, ...]], most: int = MOST) -> list[Group]:
    """Groups of operators, each in order of first appearance; all operators are in exactly one group."""
    groups: list[Group] = [(index,) for index in range(len(signatures))]
    if len(groups) <= most:
        return groups
    ids: dict[Hashable, int] = {}
    marks = [ids.setdefault(signature, len(ids)) for signature in signatures]
    groups = _runs(marks)
    if len(groups) > most:
        groups = _merge(groups, lambda group: marks[group[0]])
    depth = max((len(path) for path in paths), default=0)
    while len(groups) > most and depth > 0:
        depth -= 1
        groups = _neighbours(len(marks), paths, depth)
    return groups


def _runs(marks: Sequence[int]) -> list[Group]:
    """Fold every stretch that repeats itself at once: a b c a b c becomes (a a) (b b) (c c)."""
    groups: list[Group] = []
    at, n = 0, len(marks)
    while at < n:
        period, count = _best_run(marks, at)
        for offset in range(period):
            groups.append(tuple(range(at + offset, at + period * count, period)))
        at += period * count
    return groups


def _best_run(marks: Sequence[int], at: int) -> tuple[int, int]:
    """The period and count of the repetition at `at` that removes most blocks; (1, 1) if nothing repeats."""
    best, saved = (1, 1), 0
    for period in range(1, min(_LONGEST_PERIOD, (len(marks) - at) // 2) + 1):
        if marks[at] != marks[at + period]:
            continue
        unit, count, end = marks[at : at + period], 1, at + period
        while marks[end : end + period] == unit:
            count, end = count + 1, end + period
        if period * (count - 1) > saved:
            best, saved = (period, count), period * (count - 1)
    return best


def _merge(groups: Sequence[Group], key: Callable[[Group], Hashable]) -> list[Group]:
    merged: dict[Hashable, list[int]] = {}
    for group in groups:
        merged.setdefault(key(group), []).extend(group)
    return [tuple(members) for members in merged.values()]


def _neighbours(n: int, paths: Sequence[tuple[str, ...]], depth: int) -> list[Group]:
    groups: list[list[int]] = []
    for index in range(n):
        if groups and paths[groups[-1][-1]][:depth] == paths[index][:depth]:
            groups[-1].append(index)
        else:
            groups.append([index])
    return [tuple(group) for group in groups]


def common_name(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """One path for many: equal segments stay, the others become `*`; the shared head only, if lengths differ."""
    first = paths[0]
    if any(len(path) != len(first) for path in paths):
        shared = 0
        while all(len(path) > shared and path[shared] == first[shared] for path in paths):
            shared += 1
        return (*first[:shared], "*")
    return tuple(parts[0] if len(set(parts)) == 1 else "*" for parts in zip(*paths, strict=True))
