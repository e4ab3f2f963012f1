"""Module paths: every module of the copy says when it runs; equal layers run twice and are copied after that."""

from collections.abc import Sequence
from typing import Any

from ._layers import Layers
from ._recorder import Recorder
from ._recurrent import replace_recurrent
from ._torch import Module


def watch(named: Sequence[tuple[str, Module]], recorder: Recorder, *, closed_form: bool, values: bool,
          layers: Layers | None) -> None:  # fmt: skip
    """Wrap the forward of each module of the copy, `named` by path.

    `closed_form`: recurrent layers are not unrolled; `values`: the run is on real tensors.
    """
    for path, part in named:
        if closed_form:
            replace_recurrent(part, recorder, values=values)
        part.__dict__["forward"] = _wrapped(part, path, recorder, layers)


def release(named: Sequence[tuple[str, Module]]) -> None:
    """Undo the cycles that `watch` made, so that the copy is freed at once and not by the collector."""
    for _, part in named:
        part.__dict__.pop("forward", None)


def _wrapped(module: Module, path: str, recorder: Recorder, layers: Layers | None) -> Any:
    inner = module.forward

    def run(*args: Any, **kwargs: Any) -> Any:
        before = recorder.enter(path)
        try:
            if layers is not None and path in layers.groups:
                return layers.call(path, inner, args, kwargs)
            return inner(*args, **kwargs)
        finally:
            recorder.leave(before)

    forward: Any = run
    forward.__wrapped__ = inner  # so that its signature is found
    return forward
