"""Objects by name, as the command line gives them."""

import importlib
import inspect
from typing import Any

from picojoule.quantity import InputError

EXAMPLE = "mypackage.models:build_net"


def resolve(spec: str) -> Any:
    """The object that "package.module:name" names; dots after the colon go into attributes.

    Only the module that the user names is imported; the current directory is not added to the path. A class of modules,
    or a function that needs no arguments, is called with PyTorch's default device on meta, so that no weights are made.
    """
    return _made(spec, _find(spec))


def _made(spec: str, found: Any) -> Any:
    """The module that a class or a function without arguments makes; what takes arguments is run as it is."""
    from ._torch import torch

    if isinstance(found, torch.nn.Module | torch.export.ExportedProgram):
        return found
    if not callable(found):
        raise InputError(
            f"it is a {type(found).__name__}", where=spec, expected="a module or a function", example=EXAMPLE
        )
    if _needs_arguments(found):
        if isinstance(found, type):
            raise InputError(f"{found.__name__} needs arguments", where=spec, expected="a function that calls it with them",
                             example=EXAMPLE)  # fmt: skip
        return found
    with torch.device("meta"):
        made = found()
    if not isinstance(made, torch.nn.Module | torch.export.ExportedProgram):
        raise InputError(f"it made a {type(made).__name__}", where=spec, expected="a torch.nn.Module", example=EXAMPLE)
    return made


def _needs_arguments(function: Any) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _find(spec: str) -> Any:
    """The object that `spec` names."""
    module, colon, name = spec.partition(":")
    parts = name.split(".")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *parts)):
        raise InputError(f"{spec!r} names no Python object", expected="package.module:name", example=EXAMPLE)
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        what = f"no module named {missing!r}" if module.startswith(missing) else f"{module} needs {missing!r}"
        raise InputError(
            what, where=spec, expected="a module that Python can import from here", example=EXAMPLE
        ) from None
    for part in parts:
        if not hasattr(found, part):
            raise InputError(f"{getattr(found, '__name__', module)} has no {part!r}", where=spec,
                             expected=_similar(found), example=EXAMPLE)  # fmt: skip
        found = getattr(found, part)
    return found


def _similar(owner: Any) -> str:
    names = [name for name, value in vars(owner).items() if callable(value) and not name.startswith("_")]
    return f"one of {', '.join(names[:12])}" if names else "a callable of that module"
