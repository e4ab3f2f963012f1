"""What a file of a fabric may hold."""

from typing import Annotated, Literal

from pydantic import Field

from ._schema import Datum, Seconds, Share, Strict, Watts

Count = Annotated[int, Field(ge=1, le=10_000_000, strict=True)]
Parallel = Annotated[int, Field(ge=1, le=1024, strict=True)]


class CoreModel(Strict):
    """One size of the overlay."""

    pixels: Parallel
    inputs: Parallel
    outputs: Parallel
    look_up_tables: Count
    flip_flops: Count


class UsableModel(Strict):
    """Shares of a board that a design may take."""

    dsp: Share
    block_ram: Share
    ultra_ram: Share
    look_up_table: Share


class PerMacModel(Strict):
    """Counts for one MAC of each type."""

    int8: Share
    int16: Share
    float16: Share
    float32: Share


class StoreModel(Strict):
    """Block RAM."""

    distributed: Share


class OverlayModel(Strict):
    """The DPU-like overlay and its sizes."""

    depth: Share
    pump: Share
    port: Share
    most: Share
    cores: dict[str, CoreModel] = Field(min_length=1)
    source: str
    where: str = ""


class RatesModel(Strict):
    """What was fitted or read about time."""

    port_share: Share
    memory_share: Share
    depthwise: Share
    layer: Seconds
    frame: Seconds
    pipeline: Share
    overlay_error: Share
    tiled_error: Share


class EnergiesModel(Strict):
    """Joules of one resource in one cycle."""

    dsp: Datum
    block_ram: Datum
    look_up_table: Datum


class FabricFile(Strict):
    """format: picojoule/fabric/1."""

    format: Literal["picojoule/fabric/1"]
    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str
    usable: UsableModel
    dsp_per_mac: PerMacModel
    look_up_tables_per_mac: PerMacModel
    block_ram: StoreModel
    overlay: OverlayModel
    rates: RatesModel
    energies: EnergiesModel
    node: Datum
    static: dict[str, Watts] = Field(default_factory=dict)
