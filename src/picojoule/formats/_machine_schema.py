"""What a file of a machine for programs may hold."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=64)]
Type = Literal["float32", "float16", "int8", "int16", "int32"]
Rate = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
Rates = dict[Type, Rate]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MatrixModel(_Model):
    """The matrix unit of one core."""

    macs: Annotated[Rates, Field(description="MACs per cycle by type", examples=[{"float32": 256}])]
    tile: Annotated[
        tuple[Rate, Rate] | None,
        Field(description="rows and columns: of the matrix in each cycle, or of the array; absent: always full"),
    ] = None
    dataflow: Annotated[
        Literal["vector", "weight-stationary", "output-stationary"],
        Field(description="how a unit of that size works; systolic ones fill and drain"),
    ] = "vector"


class VectorModel(_Model):
    """The vector unit of one core."""

    lanes: Annotated[Rates, Field(description="element operations per cycle by type", examples=[{"float32": 64}])]
    special: Annotated[Rates, Field(description="exp, tanh, sigmoid and divisions per cycle by type")] = Field(
        default_factory=dict
    )


class MemoriesModel(_Model):
    """Sizes; NRAM and WRAM are of one core."""

    dram: Annotated[str, Field(description="off chip", examples=["4 GiB"])]
    sram: Annotated[str, Field(description="SharedRAM of a cluster; absent: no cluster", examples=["2 MiB"])] = "0 B"
    nram: Annotated[str, Field(description="neurons", examples=["128 KiB"])]
    wram: Annotated[str, Field(description="weights", examples=["256 KiB"])]


class DmaModel(_Model):
    """Moves over the off-chip bus."""

    setup: Annotated[int, Field(ge=0, le=1_000_000, description="cycles before the first byte")] = 0
    burst: Annotated[int, Field(ge=1, le=65536, description="bytes; rows are rounded up to whole bursts")] = 1


class RowsModel(_Model):
    """Rows of DRAM, left open after use."""

    size: Annotated[str, Field(description="bytes of one row over the whole bus", examples=["8 KiB"])]
    banks: Annotated[int, Field(ge=1, le=1024, strict=True, description="rows that can be open")]
    activate: Annotated[str, Field(description="time to open a row, tRCD", examples=["13.33 ns"])]
    precharge: Annotated[str, Field(description="time to close the one that was open, tRP", examples=["13.33 ns"])]


class MachineFile(_Model):
    """A machine for programs."""

    format: Annotated[Literal["picojoule/machine/1"], Field(description="picojoule/machine/1")]
    name: Annotated[Slug, Field(description="lower case, digits, hyphens")]
    title: Annotated[str, Field(max_length=200)] = ""
    clock: Annotated[str, Field(description="a frequency", examples=["1 GHz"])]
    cores: Annotated[int, Field(ge=1, le=64, strict=True, description="1 to 64")] = 1
    matrix: MatrixModel
    vector: VectorModel
    memories: MemoriesModel
    off_chip: Annotated[str, Field(description="bandwidth of the bus to DRAM", examples=["64 GB/s"])]
    on_chip: Annotated[str, Field(description="bandwidth between SharedRAM and a core", examples=["1.024 TB/s"])]
    dma: DmaModel = Field(default_factory=DmaModel)
    dram_rows: Annotated[RowsModel | None, Field(description="rows and banks of DRAM; absent: not modelled")] = None
    arbitration: Annotated[
        Literal["first-come", "fixed", "round-robin"], Field(description="who is next for the off-chip bus")
    ] = "first-come"
    window: Annotated[
        int,
        Field(ge=0, le=64, strict=True, description="instructions that may issue out of order; 0: in order, by tokens"),
    ] = 0
    whole_cycles: Annotated[bool, Field(description="round every duration up to whole cycles")] = False
    assumptions: list[str] = Field(default_factory=list)
    sources: Annotated[
        dict[str, str], Field(description="where a number is from: a key of references.bib, by field")
    ] = Field(default_factory=dict)
