"""What a fabric offers and costs: slices, stores, cores of the overlay, fitted rates. All of it is read from a file."""

from collections.abc import Mapping
from dataclasses import dataclass

from picojoule.quantity import InputError, Value


@dataclass(frozen=True, slots=True)
class Core:
    """One size of the overlay: pixels · inputs · outputs MACs a cycle."""

    name: str
    pixels: int
    inputs: int
    outputs: int
    look_up_tables: Value
    flip_flops: Value

    @property
    def macs(self) -> int:
        """MACs in one cycle; a name such as b4096 counts two operations for each."""
        return self.pixels * self.inputs * self.outputs


@dataclass(frozen=True, slots=True)
class Fabric:
    """Numbers of one family of FPGAs, each with its source.

    `usable` are shares of a board by resource; `dsp_per_mac` and `look_up_tables_per_mac` are by dtype; `overlay`
    holds depth [words], pump [clocks a cycle], port [B a cycle] and most [cores measured]; `rates` what was fitted;
    `energies` [J] by resource and cycle at `node` [m]; `static` [W] by board.
    """

    name: str
    usable: Mapping[str, Value]
    dsp_per_mac: Mapping[str, Value]
    look_up_tables_per_mac: Mapping[str, Value]
    block_ram: Mapping[str, Value]
    overlay: Mapping[str, Value]
    cores: Mapping[str, Core]
    rates: Mapping[str, Value]
    energies: Mapping[str, Value]
    node: Value
    static: Mapping[str, Value]

    def dtype(self, dtype: str) -> tuple[float, float]:
        """Slices and look-up tables of one MAC. Raises InputError for a dtype without figures."""
        if dtype not in self.dsp_per_mac:
            raise InputError(f"no DSP count for a MAC in {dtype}", expected=f"one of {', '.join(self.dsp_per_mac)}",
                             example="--dtype int8")  # fmt: skip
        return self.dsp_per_mac[dtype].nominal, self.look_up_tables_per_mac[dtype].nominal
