"""What Python users and the command line call alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picojoule.formats import load_hardware
from picojoule.formats import read_hardware as _read_file
from picojoule.frontends import read_model as _read_model
from picojoule.hardware import Architecture, Technology
from picojoule.levels import Estimate
from picojoule.levels import estimate as _estimate
from picojoule.quantity import InputError
from picojoule.report import Count
from picojoule.report import count as _count
from picojoule.workload import Workload, dtype_name


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine and what its actions cost."""

    architecture: Architecture
    technology: Technology

    @property
    def name(self) -> str:
        """The short name: what `--on` takes."""
        return self.architecture.name

    def __str__(self) -> str:
        return self.architecture.title


def read_model(
    x: str | Path | Workload,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    batch: int | None = None,
    seq: int | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
) -> Workload:
    """The Workload of a zoo name or an ONNX file; a Workload passes through.

    `args` and `kwargs` are the inputs of a model that is a Python object; no such front-end is built yet.
    Raises InputError for what cannot be read.
    """
    if isinstance(x, Workload):
        return x
    if not isinstance(x, str | Path):
        raise InputError(f"cannot read a {type(x).__name__} as a model", expected="a zoo name or an .onnx file",
                         example='pj.read_model("resnet50")')  # fmt: skip
    if args or kwargs:
        raise InputError("args and kwargs belong to a model that is a Python object", where=str(x),
                         expected="shapes by name for a file", example="inputs={'x': (1, 3, 224, 224)}")  # fmt: skip
    return _read_model(x, batch=batch, seq=seq, inputs=inputs)


def read_hardware(x: str | Path | Hardware) -> Hardware:
    """A machine of the library by name ("h100"), or a user's own YAML file."""
    if isinstance(x, Hardware):
        return x
    text = str(x)
    if isinstance(x, Path) or text.endswith((".yaml", ".yml")) or "/" in text:
        return Hardware(*_read_file(Path(text)))
    return Hardware(*load_hardware(text))


def count(
    model: str | Path | Workload,
    *,
    batch: int | None = None,
    seq: int | None = None,
    dtype: str | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
) -> Count:
    """Parameters, neurons, multiplications, additions, special functions and bytes of a model."""
    workload = read_model(model, batch=batch, seq=seq, inputs=inputs)
    return _count(workload.with_dtype(dtype_name(dtype)) if dtype else workload)


def estimate(
    model: str | Path | Workload,
    hardware: str | Path | Hardware,
    *,
    level: str = "roofline",
    batch: int | None = None,
    seq: int | None = None,
    dtype: str | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Energy [J], time [s] and traffic [B] of `model` on `hardware`, each with a 90 % interval."""
    machine = read_hardware(hardware)
    workload = read_model(model, batch=batch, seq=seq, inputs=inputs)
    return _estimate(workload, machine.architecture, machine.technology, level=level,
                     dtype=dtype_name(dtype) if dtype else None, draws=draws, seed=seed)  # fmt: skip
