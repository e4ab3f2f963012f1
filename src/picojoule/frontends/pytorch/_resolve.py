"""Objects by name, as the command line gives them."""

import importlib
import importlib.util
from typing import Any

from picojoule.quantity import InputError

EXAMPLE = "mypackage.models:build_net"


def resolve(spec: str) -> Any:
    """The object that "package.module:name" names; dots after the colon go into attributes.

    Only the module that the user names is imported; the current directory is not added to the path.
    """
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
