"""picojoule: where every joule, nanosecond and byte of a neural network goes.

import picojoule as pj

print(pj.estimate("resnet50", "h100"))
"""

from typing import TYPE_CHECKING, Any

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from ._api import Hardware as Hardware
    from ._api import compile as compile
    from ._api import count as count
    from ._api import estimate as estimate
    from ._api import fpga_designs as fpga_designs
    from ._api import job as job
    from ._api import map_network as map_network
    from ._api import read_hardware as read_hardware
    from ._api import read_model as read_model
    from ._api import read_processor as read_processor
    from ._api import register as register
    from ._api import register_file as register_file
    from .levels import LEVELS as LEVELS
    from .quantity import InputError as InputError
    from .workload import CustomWork as CustomWork
    from .workload import Work as Work

__all__ = [
    "LEVELS", "CustomWork", "Hardware", "InputError", "Work", "__version__", "compile", "count", "estimate",
    "fpga_designs", "job", "map_network", "read_hardware", "read_model", "read_processor", "register", "register_file",
]  # fmt: skip

_HOMES = {"LEVELS": "picojoule.levels", "InputError": "picojoule.quantity", "Work": "picojoule.workload",
          "CustomWork": "picojoule.workload"}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import on first use: `import picojoule` itself costs almost nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'picojoule' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES.get(name, "picojoule._api")), name)
    globals()[name] = value
    return value
