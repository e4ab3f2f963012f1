"""Unrollings in the order of their bounds: one sorted array for the first bounds, a heap for those that were sharpened."""

import heapq
from collections import Counter

import numpy as np

from ._lattice import Column

Entry = tuple[float, int, int, int]  # (bound, how often sharpened, space, unrolling)


class Queue:
    """Least bound first; ties by stage, space and index, so that every run takes the same path."""

    def __init__(self, bounds: list[Column]) -> None:
        self.first = np.concatenate(bounds) if bounds else np.zeros(0)
        self.space = np.repeat(np.arange(len(bounds)), [len(one) for one in bounds])
        self.index = np.concatenate([np.arange(len(one)) for one in bounds]) if bounds else self.space
        self.order = np.argsort(self.first, kind="stable")
        self.at, self.heap = 0, list[Entry]()
        self.batches: Counter[tuple[int, int]] = Counter()

    def __bool__(self) -> bool:
        return self.at < len(self.order) or bool(self.heap)

    def peek(self) -> Entry:
        """The least entry."""
        if self.at == len(self.order):
            return self.heap[0]
        row = self.order[self.at]
        fresh = (float(self.first[row]), 0, int(self.space[row]), int(self.index[row]))
        return min(fresh, self.heap[0]) if self.heap else fresh

    def pop(self) -> Entry:
        """Take the least entry."""
        entry = self.peek()
        if entry[1]:
            heapq.heappop(self.heap)
        else:
            self.at += 1
        return entry

    def push(self, bound: float, stage: int, space: int, index: int) -> None:
        """Give back an unrolling with a sharper bound."""
        heapq.heappush(self.heap, (bound, stage, space, index))

    def more(self, stage: int, space: int, below: float, most: int) -> list[tuple[float, int]]:
        """Up to `most` further (bound, unrolling) of the same stage and space that come next, bounds up to `below`."""
        self.batches[stage, space] += 1
        found: list[tuple[float, int]] = []
        while self and len(found) < most:
            bound, of, where, index = self.peek()
            if (of, where) != (stage, space) or bound > below:
                break
            self.pop()
            found.append((bound, index))
        return found
