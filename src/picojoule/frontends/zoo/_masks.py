"""Causal masks, with and without a sliding window, as transformers makes them once for all layers."""

from collections.abc import Sequence
from dataclasses import dataclass

from picojoule.workload import Graph, Tensor

from ._run import Run
from ._sequence import as_numbers, attend, causal_mask


@dataclass(frozen=True, slots=True)
class Causal:
    """The masks of one pass by window (0: none), and how its attention counts."""

    run: Run
    masks: dict[int, Tensor | None]
    slopes: Tensor | None = None

    def attend(self, g: Graph, q: Tensor, k: Tensor, v: Tensor, window: int = 0, *, softcap: bool = False,
               early: bool = False) -> Tensor:  # fmt: skip
        """Attention of the new rows over all keys; a mask of booleans is turned to numbers in every layer."""
        rows, columns = q.shape[2], k.shape[2]
        mask = self.masks[window]
        if mask is not None and mask.dtype == "bool":
            mask = as_numbers(g, mask)
        visible = self.run.visible(rows, window) if self.run.halved else rows * columns
        return attend(g, q, k, v, self.run.style, causal=True, mask=mask, bias=self.slopes, visible=visible, softcap=softcap,
                      early=early)  # fmt: skip


def causal(g: Graph, batch: int, rows: int, run: Run, windows: Sequence[int] = (0,), *, always: bool = False) -> Causal:
    """The masks that `run` needs for layers of these windows.

    eager adds a mask of numbers in every layer; sdpa needs one of booleans where a window hides what causality shows,
    or `always` where a model asks for it; a kernel needs none.
    """
    masks: dict[int, Tensor | None] = {}
    for window in windows:
        columns = run.seen(rows, window)
        cut = 0 < window <= columns
        if run.style == "eager":
            masks[window] = causal_mask(g, batch, rows, columns, window)
        elif run.style == "sdpa" and (cut or always):
            masks[window] = causal_mask(g, batch, rows, columns, window, numbers=False)
        else:
            masks[window] = None
    return Causal(run, masks)
