"""What a design takes and what a board has."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from picojoule.hardware import Architecture
from picojoule.quantity import InputError

from ._fabric import Fabric

WORDS: Final[Mapping[str, str]] = {
    "dsp": "DSP slices", "block_ram": "block RAMs", "ultra_ram": "UltraRAMs", "look_up_table": "look-up tables",
}  # fmt: skip
_FACTS: Final[Mapping[str, str]] = {
    "dsp": "dsp_slices", "block_ram": "block_rams_36kb", "ultra_ram": "ultra_rams", "look_up_table": "look_up_tables",
}  # fmt: skip
# A block RAM of 36 Kb is two halves; each is one of these, in bits and words.
_SHAPES: Final = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))


@dataclass(frozen=True, slots=True)
class Resources:
    """Counts; block RAM in units of 36 Kb, halves allowed."""

    dsp: float = 0.0
    block_ram: float = 0.0
    ultra_ram: float = 0.0
    look_up_table: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """By resource."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def times(self, n: float) -> "Resources":
        """Of `n` copies."""
        return Resources(*(n * count for count in self.as_dict().values()))


@dataclass(frozen=True, slots=True)
class Board:
    """A board: what its device has, what of it a design may take, and its memory [B/s]."""

    name: str
    has: Resources
    usable: Resources
    bandwidth: float
    memory_share: float  # of `bandwidth`, attained by long bursts of one master
    clock_hz: float
    node: float | None


def board_of(machine: Architecture, fabric: Fabric, *, clock_hz: float | None = None,
             bandwidth: float | None = None) -> Board:  # fmt: skip
    """The board of a machine whose file counts its resources. Raises InputError where a number is unknown."""
    if "dsp_slices" not in machine.facts:
        raise InputError(f"{machine.name} states no DSP slices", where="--on", expected="an FPGA board whose file has facts: "
                         "dsp_slices, block_rams_36kb, look_up_tables", example="--on zcu102")  # fmt: skip
    missing = [fact for key, fact in _FACTS.items() if key != "ultra_ram" and fact not in machine.facts]
    if missing:
        raise InputError(f"{machine.name} does not say its {', '.join(missing)}", where="--on",
                         expected="that fact in the file of the board", example=f"facts: {{{missing[0]}: 912}}")  # fmt: skip
    known = machine.memories[0].bandwidth if machine.memories else None
    if bandwidth is None and known is None:
        raise InputError(f"the memory bandwidth of {machine.name} is unknown", where="--on", expected="it, as an option or "
                         "in a file of your own", example="--bandwidth 4.3GB/s")  # fmt: skip
    # Clocks of other units, such as AI engines, are no clock of a design in the fabric.
    clock = machine.facts.get("clock_design") or next((u.clock for u in machine.compute if u.name == "dsp"), None)
    if clock_hz is None and clock is None:
        raise InputError(f"{machine.name} states no clock of a design", where="--on", expected="the clock as an option",
                         example="--clock 300MHz")  # fmt: skip
    # A device without a line for UltraRAM has none: the sheets of the families that do always name it.
    has = {key: machine.facts[fact].nominal if fact in machine.facts else 0.0 for key, fact in _FACTS.items()}
    usable = {key: math.floor(fabric.usable[key].nominal * count) for key, count in has.items()}
    return Board(
        machine.name, Resources(**has), Resources(**usable), bandwidth or (known.nominal if known else 0.0),
        machine.attained["default"].memory.nominal, clock_hz or (clock.nominal if clock else 0.0),
        machine.node.nominal if machine.node else None,
    )  # fmt: skip


def halves(depth: int, bits: int) -> int:
    """Half block RAMs (18 Kb) of one store of `depth` words of `bits`: the least over the shapes of a half."""
    return min(-(-bits // width) * -(-depth // words) for width, words in _SHAPES)


def over(used: Resources, board: Board) -> dict[str, tuple[float, float]]:
    """Resources that `used` overdraws: what it needs and what the board lets a design take."""
    limit = board.usable.as_dict()
    return {key: (need, limit[key]) for key, need in used.as_dict().items() if need > limit[key]}
