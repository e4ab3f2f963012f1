"""The shape of hardware and technology files: the only pydantic of the project. Quantities stay text here."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from picojoule.hardware import ROLES, Role
from picojoule.hardware._architecture import Group, Kind
from picojoule.quantity import Provenance, Scope
from picojoule.workload import dtype_name

from ._parse import parse


class Strict(BaseModel):
    """No unknown keys, no silent conversions of text to numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _wrap(value: Any) -> Any:
    """`bandwidth: 3352 GB/s` is short for `bandwidth: {value: 3352 GB/s}`; the source is then the file's own."""
    return {"value": value} if isinstance(value, (str, int, float)) and not isinstance(value, bool) else value


class Sourced(Strict):
    """Where a number comes from and how sure it is."""

    source: str | None = Field(None, min_length=1, description="a key of references.bib, or a text of your own")
    where: str = Field("", description="table, page or file in the source")
    provenance: Provenance | None = Field(None, description="how the number was obtained")
    spread: float | None = Field(
        None, ge=1, description="the truth lies within value / spread and value x spread in 90 %"
    )
    scope: Scope | None = Field(None, description="what an energy includes")
    note: str = ""


def _or_short(schema: dict[str, Any]) -> None:
    """Editors must admit the short form too: JSON Schema knows nothing of _wrap."""
    whole = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": ["string", "number"]}, whole]


class DatumModel(Sourced):
    """One physical number: what it is, where it comes from and how sure it is."""

    model_config = ConfigDict(json_schema_extra=_or_short)

    value: str | int | float = Field(description="a number with its unit, for example 3352 GB/s")


def _of(unit: str) -> AfterValidator:
    """Checks that the text of a datum is a quantity in `unit`."""

    def check(datum: DatumModel) -> DatumModel:
        parse(str(datum.value), unit)
        return datum

    return AfterValidator(check)


def _full_name(dtype: str) -> str:
    if dtype_name(dtype) != dtype:
        raise ValueError(f"{dtype!r} is short for {dtype_name(dtype)!r}: write the full name")
    return dtype


Datum = Annotated[DatumModel, BeforeValidator(_wrap)]
Bytes = Annotated[Datum, _of("B")]
BytesPerSecond = Annotated[Datum, _of("B/s")]
OperationsPerSecond = Annotated[Datum, _of("FLOP/s")]
Hertz = Annotated[Datum, _of("Hz")]
Metres = Annotated[Datum, _of("m")]
Seconds = Annotated[Datum, _of("s")]
Share = Annotated[Datum, _of("1")]
Watts = Annotated[Datum, _of("W")]
Dtype = Annotated[str, AfterValidator(_full_name)]


class MemoryModel(Strict):
    """A store; memories stand outermost first."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    kind: str
    group: Group
    size: Bytes | None = None
    bandwidth: BytesPerSecond | None = None
    note: str = ""


class ComputeModel(Strict):
    """Units that multiply and add: peaks are dense operations per second, two per MAC."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    unit: Literal["matrix", "vector"]
    peak: dict[Dtype, OperationsPerSecond] = Field(min_length=1)
    clock: Hertz | None = None
    note: str = ""


class LinkModel(Strict):
    """A way in or out of the machine; bandwidth one way."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    kind: str
    bandwidth: BytesPerSecond | None = None
    note: str = ""


Dimension = Annotated[str, Field(pattern=r"^[bgmcpr][0-2]?$")]


class StoreModel(Strict):
    """A level of the hierarchy: a memory of the machine, or registers whose energy is inside the price of a MAC."""

    memory: str | None = Field(None, description="the memory that this level is")
    registers: str | None = Field(
        None, pattern=r"^[a-z][a-z0-9_-]*$", description="or a name for registers that no price of their own has"
    )
    keeps: list[Role] = list(ROLES)
    size: Bytes | None = Field(None, description="of one instance; absent: the memory's own above the array")
    shares: dict[Role, Bytes] = Field({}, description="parts by role, where the memory is partitioned")
    double_buffered: bool = False
    optional: list[Role] = Field([], description="roles that a mapping may bypass")
    loops: list[Dimension] | None = Field(None, description="dimensions that may be iterated here; absent: all")


class AxisModel(Strict):
    """A row or column of elements."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    size: int = Field(ge=1, le=1_000_000)
    spread: list[Dimension] = Field(min_length=1, description="dimensions that may go over it: b g m c p r, p0, r1")


class ArrayModel(Strict):
    """How processing elements stand between the memories: what `picojoule map` and level `mapped` need."""

    unit: str = Field(description="the compute unit whose peak the elements share")
    below: str = Field(description="the level above the array")
    axes: list[AxisModel] = Field(min_length=1, max_length=4)
    levels: list[StoreModel] = Field(min_length=2, max_length=8, description="outermost first")
    multicast: bool = True
    reduction: bool = True
    whole: list[Dimension] = Field([], description="dimensions that are spread in full or not mapped")
    source: str | None = Field(None, min_length=1, description="where axes and rules were read")
    where: str = ""
    note: str = ""


class DataflowModel(Strict):
    """A fixed dataflow: a constraint on any array."""

    title: str
    keeps: list[Role]
    spread: list[list[Dimension]] = Field(min_length=1)
    loops: list[Dimension] | None = None
    whole: list[Dimension] = []


class DataflowsFile(Strict):
    """The named dataflows."""

    format: Literal["picojoule/dataflows/1"]
    source: str
    dataflows: dict[str, DataflowModel]


class AttainedModel(Strict):
    """The share of peak that one class of operators reaches: of operations, and of bytes."""

    compute: Share
    memory: Share


class PowerLawModel(Strict):
    """Constants of the law that a GPU's dense work is limited by its power (see power_limited)."""

    coefficient: float
    reference: Datum
    exponent: float
    lowest: float
    highest: float
    vector_energy: Datum
    vector_node: Datum
    vector_exponent: float
    vector_highest: float
    vector_power_share: float
    conv_over_gemm: float
    vector_conv_over_gemm: float
    spread: float
    conv_spread: float
    source: str
    where: str


class AttainedFile(Strict):
    """Shares of peak by operator class, shared by devices of one sort."""

    format: Literal["picojoule/attained/1"]
    name: str
    title: str = ""
    base: str | None = Field(None, description="another attained file that this one changes")
    launch: Seconds | None = None
    power_law: PowerLawModel | None = None
    classes: dict[str, AttainedModel] = {}


class AttainedInline(Strict):
    """Shares of this machine alone, on top of a named file."""

    base: str | None = None
    classes: dict[str, AttainedModel] = {}


class PriceModel(Sourced):
    """A price: a value, or a law and what it is of."""

    model_config = ConfigDict(json_schema_extra=_or_short)

    value: str | int | float | None = Field(
        None, description="energy per byte, MAC or operation; watts for static.leak"
    )
    law: Literal["dram", "link", "sram", "mac", "add", "catalogue"] | None = None
    of: str | None = Field(None, description="dram, link: the kind; mac, add: the dtype; catalogue: the entry")
    size: str | None = Field(None, description="sram: the capacity, for example 108 KiB")
    node: str | None = Field(None, description="sram, mac, add: the node, for example 65 nm")
    action: Literal["read", "write"] = "read"


Price = Annotated[PriceModel, BeforeValidator(_wrap)]


class TechnologyInline(Strict):
    """Energy per action of one machine: by a law, by named prices, or by both; prices stand above the law."""

    name: str | None = None
    title: str = ""
    base: str | None = Field(None, description="a named technology that this one changes")
    law: Literal["board", "chip", "fpga"] | None = None
    static: Literal["share", "idle_power"] = "share"
    constants: dict[str, Datum] = {}
    mixed_scope: str = Field("", description="why prices of different scopes may be added")
    prices: dict[str, Price] = {}


class TechnologyFile(TechnologyInline):
    """A technology in its own file."""

    format: Literal["picojoule/technology/1"]
    name: str


class PaceModel(Strict):
    """One class of operators under a runtime: t = operations / arithmetic + bytes / stream."""

    arithmetic: OperationsPerSecond | None = None
    stream: BytesPerSecond | None = None


class FetchModel(Strict):
    """At which rate products wait for their parameters where all of a network are `total`; absent: they do not."""

    total: Bytes
    product: BytesPerSecond | None = None
    vector: BytesPerSecond | None = None


class RuntimeModel(Strict):
    """A runtime as `picojoule calibrate` measured it on this machine; `picojoule check` predicts with it."""

    name: str = Field(min_length=1)
    classes: dict[str, PaceModel] = Field(min_length=1)
    weights: list[FetchModel] = []


class HardwareFile(Strict):
    """A machine: memories outermost first, compute units, links, what it attains, and what its actions cost."""

    format: Literal["picojoule/hardware/1"]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str = ""
    kind: Kind
    vendor: str = ""
    aliases: list[str] = []
    year: int | None = Field(None, ge=1950, le=2100)
    source: str | None = Field(None, min_length=1, description="the source of every number that names none")
    technology: str | TechnologyInline
    attained: str | AttainedInline
    node: Metres | None = None
    launch: Seconds | None = None
    max_power: Watts | None = None
    idle_power: Watts | None = None
    memories: list[MemoryModel] = Field(min_length=1)
    compute: list[ComputeModel] = Field(min_length=1)
    array: ArrayModel | None = None
    runtime: RuntimeModel | None = None
    machine: str = Field("", description="the machine for programs that this is: textbook-core")
    links: list[LinkModel] = []
    facts: dict[str, Datum] = {}
    notes: list[str] = []


class ActionModel(Sourced):
    """One published energy: per access of `bits`, per bit, byte or operation; a power per second; or a ratio."""

    id: str
    component: str
    action: str
    per: Literal["access", "bit", "byte", "op", "instruction", "millimetre", "second", "ratio"]
    value: str | int | float
    node: str | None = None
    bits: int | None = None


class ActionsFile(Strict):
    """The catalogue of published energies."""

    format: Literal["picojoule/actions/1"]
    actions: list[ActionModel]
