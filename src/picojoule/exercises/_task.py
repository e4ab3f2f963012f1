"""What a solver is asked: the exercise's parameters as the user changed them, and the machine to use."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from picojoule.quantity import InputError

from ._findings import Findings

if TYPE_CHECKING:
    from picojoule._api import Hardware

DATA: Final = Path(__file__).resolve().parent / "data"
LARGEST: Final = 10**12


@dataclass(frozen=True, slots=True)
class Task:
    """`inputs` are complete and checked; `hardware` is the machine that replaces the exercise's `own`, if any."""

    id: str
    inputs: Mapping[str, Any]
    hardware: str | None = None
    own: str = ""

    def __getitem__(self, key: str) -> Any:
        return self.inputs[key]

    def machine(self) -> "Hardware":
        """The machine asked for, else the exercise's own; a name of data/, of the library, or a file."""
        from picojoule._api import read_hardware

        name = self.hardware if self.hardware is not None else self.own
        own = {path.stem: path for path in DATA.glob("*.yaml")}
        return read_hardware(own.get(name, name))

    def clock_hz(self) -> float:
        """The clock of the machine's fastest matrix unit; one that names none is taken at 1 Hz a peak of one."""
        architecture = self.machine().architecture
        for unit in sorted(architecture.compute, key=lambda unit: unit.unit != "matrix"):
            if unit.clock is not None:
                return unit.clock.nominal
        for name, value in architecture.facts.items():
            if value.unit == "Hz" and "clock" in name:
                return value.nominal
        raise InputError("no unit of this machine has a clock", where=f"hardware {architecture.name}",
                         expected="a clock", example="clock: 1 GHz")  # fmt: skip

    def bandwidth_bps(self) -> float:
        """Bytes per second of the outermost memory."""
        memory = self.machine().architecture.memories[0]
        if memory.bandwidth is None:
            raise InputError(f"the bandwidth of {memory.name} is unknown", where=f"hardware {self.machine().name}",
                             expected="a machine with a bandwidth", example="--on h100")  # fmt: skip
        return memory.bandwidth.nominal

    def macs_per_s(self, *dtypes: str) -> float:
        """Peak MACs per second in the first of `dtypes` that the machine computes in, else in its fastest format."""
        from picojoule.levels import native_dtype

        architecture = self.machine().architecture
        for dtype in dtypes:
            unit = architecture.unit(dtype, "matrix")
            if unit is not None:
                return unit.peak[dtype].nominal / 2
        dtype = native_dtype(architecture, dtypes[0] if dtypes else "float32")
        unit = architecture.unit(dtype, "matrix")
        assert unit is not None  # native_dtype answers only with a dtype some unit has
        return unit.peak[dtype].nominal / 2


Solver = Callable[[Task, Findings], None]
SOLVERS: Final[dict[str, Solver]] = {}


def solves(*ids: str) -> Callable[[Solver], Solver]:
    """Register a solver for exercises (or families of them, "3.7-<cell>")."""

    def register(solver: Solver) -> Solver:
        for id_ in ids:
            if id_ in SOLVERS:
                raise ValueError(f"two solvers for {id_}")
            SOLVERS[id_] = solver
        return solver

    return register


def merge(id_: str, defaults: Mapping[str, Any], fixed: Mapping[str, Any], given: Mapping[str, Any],
          signed: bool = False) -> dict[str, Any]:  # fmt: skip
    """The defaults with the user's values in place; raises InputError for a key or a value that does not fit.

    `fixed` are words of the exercise that hold no parameter: they may be repeated, not changed.
    """
    merged = dict(defaults)
    for key, value in given.items():
        if key in fixed and value == fixed[key]:
            continue
        if key not in defaults:
            known = ", ".join(defaults) or "none"
            raise InputError(f"{key!r} is not a parameter of exercise {id_}", expected=f"one of: {known}",
                             example=_example(id_, defaults))  # fmt: skip
        merged[key] = _fit(id_, key, defaults[key], value, signed, defaults[key])
    return merged


def _example(id_: str, defaults: Mapping[str, Any]) -> str:
    import json

    for key, value in defaults.items():
        return f"picojoule exercise {id_} --set {key}={json.dumps(value)}"
    return f"picojoule exercise {id_}"


def _fit(id_: str, key: str, default: Any, value: Any, signed: bool, shown: Any) -> Any:
    def wrong(expected: str) -> InputError:
        return InputError(f"{key} is {value!r}", where=f"exercise {id_}", expected=expected,
                          example=_example(id_, {key: shown}))  # fmt: skip

    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise wrong("true or false")
        return value
    if isinstance(default, int | float):
        return _number(default, value, wrong, signed)
    if isinstance(default, str):
        if not isinstance(value, str):
            raise wrong("text")
        return value
    if isinstance(default, list):
        if not isinstance(value, list) or not value or len(value) > 10_000:
            raise wrong("a list")
        pattern = min(default) if default and all(isinstance(x, int | float) for x in default) else default[0]
        return [_fit(id_, key, pattern, item, signed, shown) for item in value]
    if not isinstance(value, dict) or set(value) - set(default):
        raise wrong(f"a mapping of {', '.join(default)}")
    return {name: _fit(id_, key, default[name], value.get(name, default[name]), signed, shown) for name in default}


def _number(default: float, value: Any, wrong: Callable[[str], InputError], signed: bool) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise wrong("a number")
    if abs(value) > LARGEST * (1 if isinstance(default, int) else 1e12):
        raise wrong("a smaller number")
    if isinstance(default, int):
        least = 1 if default >= 1 else 0
        if value != int(value) or (default >= 0 and value < least):
            raise wrong(f"a whole number of {least} or more" if default >= 0 else "a whole number")
        return int(value)
    if not signed and (value < 0 or (default > 0 and value == 0)):
        raise wrong("a number above 0" if default > 0 else "a number of 0 or more")
    return float(value)
