"""Inputs of a module as tensors of another device: metadata, names, batch."""

import inspect
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import FunctionType, MethodType
from typing import Any

from picojoule.quantity import InputError

from ._torch import TorchTensor, torch
from ._twin import Maker, on_meta

_tree: Any = torch.utils._pytree


def check_inputs(args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """`args` as a tuple, `kwargs` as a dict; a single tensor is one argument."""
    if isinstance(args, torch.Tensor):
        args = (args,)
    if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping | None):
        raise InputError(f"args is a {type(args).__name__}, kwargs a {type(kwargs).__name__}", expected="a tuple and a dict",
                         example="read_module(net, (torch.zeros(1, 3, 224, 224),))")  # fmt: skip
    return tuple(args), dict(kwargs or {})


def from_shapes(shapes: Mapping[str, Sequence[int]]) -> dict[str, TorchTensor]:
    """Keyword arguments from shapes: "ids", "mask" and "index" in a name mean integers; "name:int32" says it."""
    made = {}
    for key, shape in shapes.items():
        name, _, given = key.partition(":")
        guess = "int64" if any(part in name for part in ("ids", "mask", "index", "indices", "labels")) else "float32"
        dtype = getattr(torch, given or guess, None)
        if not isinstance(dtype, torch.dtype):
            raise InputError(f"unknown dtype {given!r} of input {name!r}", expected="a dtype of PyTorch",
                             example=f"{name}:int64=1,128")  # fmt: skip
        made[name] = torch.empty(tuple(shape), dtype=dtype, device="meta")
    return made


def tensor_leaves(value: Any) -> list[TorchTensor]:
    """All tensors inside `value`."""
    if isinstance(value, torch.Tensor):
        return [value]
    if type(value) is tuple and len(value) == 2 and type(value[0]) is tuple and type(value[1]) is dict and not value[1]:
        value = value[0]  # arguments without names
        if all(isinstance(leaf, torch.Tensor) for leaf in value):
            return list(value)
    return [leaf for leaf in _tree.tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def batch_of(leaves: Sequence[TorchTensor]) -> int:
    """The samples of one run: the leading size of the first input that has one."""
    return next((int(t.shape[0]) for t in leaves if t.dim()), 1)


def rebatched(value: Any, before: int, after: int) -> Any:
    """Inputs whose leading size was `before` with `after` samples instead, without values."""

    def change(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor) or not leaf.dim() or leaf.shape[0] != before:
            return leaf
        return torch.empty((after, *leaf.shape[1:]), dtype=leaf.dtype, device="meta")

    return _tree.tree_map(change, value)


def copied(value: Any, make: Maker) -> Any:
    """`value` with every tensor replaced by what `make` makes of it; a tensor given twice stays one."""
    memo: dict[int, TorchTensor] = {}

    def replace(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        if id(leaf) not in memo:
            memo[id(leaf)] = make(leaf)
        return memo[id(leaf)]

    args, kwargs = value
    if not kwargs and all(isinstance(leaf, torch.Tensor) for leaf in args):  # nothing to be opened
        return tuple([replace(leaf) for leaf in args]), {}
    return _tree.tree_map(replace, value)


def named_leaves(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[tuple[str, TorchTensor]]:
    """Every tensor of the call with the name of its parameter."""
    try:
        bound = _bound(function, args, kwargs)
    except (TypeError, ValueError):
        bound = {**{f"input{i}": value for i, value in enumerate(args)}, **kwargs}
    found: list[tuple[str, TorchTensor]] = []
    seen: set[int] = set()
    for name, value in bound.items():
        for leaf in tensor_leaves(value):
            if id(leaf) not in seen:
                seen.add(id(leaf))
                found.append((name, leaf))
    return found


def _bound(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments by the names of their parameters. Raises TypeError if they do not fit."""
    signature, names, needed = _parameters(function)
    if not kwargs and needed <= len(args) <= len(names):
        return dict(zip(names, args, strict=False))  # as `bind` would have it
    return signature.bind(*args, **kwargs).arguments


def _parameters(function: Any) -> tuple[inspect.Signature, tuple[str, ...], int]:
    """The parameters of a function, or of the forward of a module: see `_told`."""
    if not isinstance(function, torch.nn.Module):
        return _told(inspect.signature(function))
    target = inspect.unwrap(function.forward)
    if getattr(target, "__func__", None) is type(function).forward and isinstance(target.__func__, FunctionType):
        return _of_method(target.__func__)
    return _told(inspect.signature(function.forward))


@lru_cache(256)
def _of_method(method: FunctionType) -> tuple[inspect.Signature, tuple[str, ...], int]:
    """The parameters after `self`."""
    return _told(inspect.signature(MethodType(method, object())))


def _told(signature: inspect.Signature) -> tuple[inspect.Signature, tuple[str, ...], int]:
    """A signature, its names if all can be given by position, and how many of those have no default."""
    parameters = list(signature.parameters.values())
    if not all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters):
        return signature, (), 1
    return signature, tuple(p.name for p in parameters), sum(p.default is p.empty for p in parameters)


__all__ = ["batch_of", "check_inputs", "copied", "from_shapes", "named_leaves", "on_meta", "rebatched", "tensor_leaves"]
