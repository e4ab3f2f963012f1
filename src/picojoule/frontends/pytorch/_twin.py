"""A copy of a module that owns no weights: the same structure over tensors of another device, mostly meta."""

import copy
from collections.abc import Callable
from typing import Any, Final

from picojoule.quantity import InputError

from ._store import storage_key
from ._torch import Module, TorchTensor, torch

_ATOMS: Final = (int, float, bool, str, bytes, complex, type(None), type, torch.dtype, torch.device)
Maker = Callable[[TorchTensor], TorchTensor]


def on_meta(t: TorchTensor) -> TorchTensor:
    """A tensor like `t` without memory."""
    try:
        stride = t.stride()
    except RuntimeError:
        return torch.empty(t.shape, dtype=t.dtype, device="meta")
    return torch.empty_strided(t.shape, stride, dtype=t.dtype, device="meta")


def same_memory(t: TorchTensor) -> TorchTensor:
    """The values of `t`: a parameter's own memory (nothing trains it here), a copy of a buffer."""
    return t.detach() if isinstance(t, torch.nn.Parameter) else t.detach().clone()


def unwrap(module: Any) -> Any:
    """The module inside torch.compile, DataParallel and DistributedDataParallel."""
    while True:
        inner = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(module, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
            inner = module.module
        if not isinstance(inner, torch.nn.Module):
            return module
        module = inner


class Twin:
    """`module` is the copy. Modules, parameters and buffers shared in the original are shared in it."""

    def __init__(self, original: Module, make: Maker, *, trainable: bool = False) -> None:
        self._make = make
        # Which kernels a product takes depends on what asks for gradients: without a backward pass all is said to.
        self._trainable = trainable
        self._memo: dict[int, Any] = {}
        self._kept: dict[tuple[Any, ...], TorchTensor] = {}
        self._alive: list[Any] = []
        self.shared: list[str] = []
        if isinstance(original, torch.jit.ScriptModule):
            raise InputError("a TorchScript module hides its operators", where=type(original).__name__,
                             expected="the nn.Module it was made from, or torch.export.export(module, args)")  # fmt: skip
        for module in original.modules():
            self._adopt_tensors(module)
        self.module = self._copy(original)

    def _adopt_tensors(self, module: Module) -> None:
        plain = {k: v for k, v in module.__dict__.items() if k not in ("_parameters", "_buffers", "_modules")}
        for group in (module._parameters, module._buffers, plain):
            for value in group.values():
                self._adopt(value)

    def _adopt(self, value: Any, depth: int = 0) -> None:
        if isinstance(value, torch.Tensor):
            self._alive.append(value)
            if id(value) not in self._memo:
                self._memo[id(value)] = self._tensor(value)
        elif depth < 3 and isinstance(value, list | tuple | dict):
            for item in value.values() if isinstance(value, dict) else value:
                self._adopt(item, depth + 1)

    def _tensor(self, t: TorchTensor) -> TorchTensor:
        if isinstance(t, torch.nn.parameter.UninitializedTensorMixin):
            raise InputError("a lazy parameter has no shape yet", expected="a module that has run once",
                             example="module(torch.zeros(1, 3, 224, 224)) before it is read")  # fmt: skip
        key = (storage_key(t), tuple(t.shape), t.stride() if t.layout == torch.strided else (), t.dtype, t.storage_offset()
               if t.layout == torch.strided else 0)  # fmt: skip
        if key not in self._kept:
            self._kept[key] = self._make(t)
        made = self._kept[key]
        if isinstance(t, torch.nn.Parameter):
            asks = t.requires_grad or (self._trainable and (t.is_floating_point() or t.is_complex()))
            # A new Parameter over the same storage: tied by memory although not by identity.
            return torch.nn.Parameter(made.detach(), requires_grad=asks)
        return made.detach().requires_grad_(t.requires_grad) if t.is_floating_point() else made.detach()

    def _copy(self, module: Module) -> Module:
        if id(module) in self._memo:
            return self._memo[id(module)]
        if hasattr(type(module), "__deepcopy__"):
            return copy.deepcopy(module, self._memo)
        made: Module = object.__new__(type(module))
        self._memo[id(module)] = made
        self._alive.append(module)
        for name, value in module.__dict__.items():
            if isinstance(value, _ATOMS):
                made.__dict__[name] = value
            elif name in ("_parameters", "_buffers"):
                made.__dict__[name] = {k: None if t is None else self._memo[id(t)] for k, t in value.items()}
            elif name == "_modules":
                made.__dict__[name] = {k: None if m is None else self._copy(m) for k, m in value.items()}
            elif isinstance(value, dict) and not value:
                made.__dict__[name] = type(value)() if type(value) in (dict, _Ordered) else copy.copy(value)
            else:
                made.__dict__[name] = self._attribute(name, value)
        return made

    def _attribute(self, name: str, value: Any) -> Any:
        try:
            return copy.deepcopy(value, self._memo)
        except Exception:  # locks, streams, handles: shared with the original, and said so
            self.shared.append(f"{name} ({type(value).__name__})")
            return value


_Ordered: Final = type(torch.nn.Module()._forward_hooks)
