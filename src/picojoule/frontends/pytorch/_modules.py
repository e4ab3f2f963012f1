"""Module paths: every module of the copy says when it runs; equal layers run twice and are copied after that."""

import functools
from typing import Any

from ._layers import Layers
from ._recorder import Recorder
from ._recurrent import replace_recurrent
from ._torch import Module


def watch(module: Module, recorder: Recorder, *, closed_form: bool, values: bool, layers: Layers | None) -> None:
    """Wrap the forward of each module of the copy `module`.

    `closed_form`: recurrent layers are not unrolled; `values`: the run is on real tensors.
    """
    for path, part in list(module.named_modules()):
        if closed_form:
            replace_recurrent(part, recorder, values=values)
        part.__dict__["forward"] = _wrapped(part, path, recorder, layers)


def _wrapped(module: Module, path: str, recorder: Recorder, layers: Layers | None) -> Any:
    inner = module.forward

    @functools.wraps(inner)
    def forward(*args: Any, **kwargs: Any) -> Any:
        with recorder.inside(path):
            if layers is not None and path in layers.groups:
                return layers.call(path, inner, args, kwargs)
            return inner(*args, **kwargs)

    return forward
