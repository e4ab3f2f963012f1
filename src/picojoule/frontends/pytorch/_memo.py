"""Results of operators on meta tensors, remembered: shape and strides follow from those of the arguments alone.

PyTorch computes them in Python, a few hundred microseconds an operator; equal layers ask for the same again and again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ._torch import TorchTensor, torch

_PLAIN: Final = (int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format)
_LIMIT: Final = 50_000  # results kept; a long session starts over rather than grow for ever
_SELF: Final = "self"  # the result is the first argument, written in place

_known: dict[Any, Any] = {}


def run(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What `func` returns: made from memory if it ran before on arguments alike, else by running it."""
    key = _key(func, args, kwargs)
    if key is None:
        return func(*args, **kwargs)
    found = _known.get(key)
    if found is not None:
        return args[0] if found is _SELF else _made(found)
    before = _metadata(args[0]) if args and isinstance(args[0], torch.Tensor) else None
    out = func(*args, **kwargs)
    if len(_known) >= _LIMIT:
        _known.clear()
    if before is not None and out is args[0]:
        if _metadata(out) == before:
            _known[key] = _SELF
        return out
    kept = _kept(out, args)
    if kept is not None:
        _known[key] = kept
    return out


def _key(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What the result depends on, or None if it may depend on more: values, views, other devices."""
    parts: list[Any] = [func]
    for value in (*args, *kwargs.items()):
        part = _part(value)
        if part is None:
            return None
        parts.append(part)
    return tuple(parts)


def _part(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        plain = value.device.type == "meta" and value.layout == torch.strided and not value.is_conj()
        return _metadata(value) if plain and not value.is_neg() else None
    if isinstance(value, _PLAIN):
        return (type(value), value)
    if isinstance(value, list | tuple):
        parts = [_part(item) for item in value]
        return None if any(part is None for part in parts) else (type(value), *parts)
    return None


def _metadata(t: TorchTensor) -> tuple[Any, ...]:
    return (t.shape, t.stride(), t.dtype)


def _kept(out: Any, args: Sequence[Any]) -> Any:
    """The metadata of fresh results, or None if one of them shares storage or is no plain tensor."""
    if isinstance(out, torch.Tensor):
        fresh = out.device.type == "meta" and out.layout == torch.strided and out.storage_offset() == 0
        own = all(out is not a and not _shares(out, a) for a in args)
        return _metadata(out) if fresh and own and type(out) is torch.Tensor else None
    if type(out) in (list, tuple) and out:
        parts = [_kept(item, args) for item in out]
        return None if any(part is None for part in parts) else (type(out), parts)
    return None


def _shares(out: TorchTensor, argument: Any) -> bool:
    if isinstance(argument, list | tuple):
        return any(_shares(out, item) for item in argument)
    if not isinstance(argument, torch.Tensor) or argument.layout != torch.strided:
        return False
    return bool(out.untyped_storage()._cdata == argument.untyped_storage()._cdata)


def _made(kept: Any) -> Any:
    if kept[0] in (list, tuple):
        return kept[0](_made(part) for part in kept[1])
    shape, stride, dtype = kept
    return torch.empty_strided(shape, stride, dtype=dtype, device="meta")
