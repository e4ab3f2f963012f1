"""The shape of job files and of the shipped data of stages. Quantities stay text here."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from picojoule.workload import dtype_name

from ._parse import parse
from ._schema import Bytes, BytesPerSecond, Datum, Seconds, Share, Strict, Watts, _of

Joules = Annotated[Datum, _of("J")]
JoulesPerByte = Annotated[Datum, _of("J/B")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$", max_length=60)]
Side = Annotated[int, Field(ge=1, le=100_000)]
Whole = Annotated[int, Field(ge=1, le=10**12)]


def _bytes(text: str | int) -> str | int:
    if parse(f"{text} B" if isinstance(text, int) else text, "B") < 1:
        raise ValueError(f"expected at least one byte, such as '110 KB'; got {text!r}")
    return text


ByteCount = Annotated[str | int, AfterValidator(_bytes)]
Format = Annotated[str, AfterValidator(dtype_name)]


def _short(form: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """Editors must admit the short form too: JSON Schema knows nothing of validators that run before."""

    def admit(schema: dict[str, Any]) -> None:
        whole = dict(schema)
        schema.clear()
        schema["anyOf"] = [form, whole]

    return admit


class LinkInline(Strict):
    """A link stated in the job: both ends together."""

    energy: JoulesPerByte
    bandwidth: BytesPerSecond
    setup: Seconds | None = Field(None, description="time of one transfer without its bytes")


class StorageInline(Strict):
    """A storage stated in the job."""

    energy: JoulesPerByte
    bandwidth: BytesPerSecond
    opening: Seconds | None = Field(None, description="time to open one file")
    idle: Watts | None = Field(None, description="power of waiting")


class DeviceModel(Strict):
    """A machine of the library or a hardware file, and how many of it the job holds."""

    model_config = ConfigDict(json_schema_extra=_short({"type": "string"}))

    hardware: str = Field(description="a name from `picojoule hardware`, or a YAML file beside the job")
    count: Whole = 1


def _device(value: Any) -> Any:
    """`host: xeon-8380` is short for `host: {hardware: xeon-8380}`."""
    return {"hardware": value} if isinstance(value, str) else value


class DataModel(Strict):
    """What goes in: items of a shape once decoded, and how they are stored."""

    items: Whole
    shape: list[Side] = Field([], description="one decoded item: [height, width, channels], or [tokens]")
    dtype: Format = "uint8"
    files: Whole = Field(1, description="files that are opened: as many as items, or few shards")
    stored: ByteCount | None = Field(None, description="bytes of one item as stored, if not as decoded: 110 KB")
    label_bytes: int = Field(0, ge=0)
    record_bytes: int = Field(0, ge=0, description="framing of one record; 16 for TFRecord")


class StageModel(Strict):
    """What every stage has."""

    name: Name | None = Field(None, description="the stage's own name; else that of its kind")


class OnDevice(StageModel):
    """A stage on one of the job's devices."""

    on: str = Field(description="one of the devices of the job")


class LoadModel(OnDevice):
    """Read the data; later epochs come from memory if they fit."""

    stage: Literal["load"]
    storage: str | StorageInline = "nvme"
    page_cache: ByteCount | None = Field(None, description="memory for file contents; else that of the device")


class PreprocessModel(OnDevice):
    """Decode, resize, crop, normalise."""

    stage: Literal["preprocess"]
    decode: bool | None = Field(None, description="else: whether the data are stored in another form")
    resize: Annotated[list[Side], Field(min_length=2, max_length=2)] | None = None
    crop: Annotated[list[Side], Field(min_length=2, max_length=2)] | None = None
    normalise: bool = False
    by: Literal["measured", "operators"] | None = Field(None, description="else: measured on a CPU")
    cores: Whole | None = Field(None, description="else: all of the device")


class ConvertModel(OnDevice):
    """To another number format."""

    stage: Literal["convert"]
    to: Format = "float32"


class TransferModel(OnDevice):
    """To the memory of the device."""

    stage: Literal["transfer"]
    link: str | LinkInline = Field("pcie", description="a link of the device, of the library, or stated")


class TrainModel(OnDevice):
    """Train a model on all items, every epoch."""

    stage: Literal["train"]
    model: str
    seq: Whole | None = None
    optimiser: Literal["sgd", "momentum", "adam", "adamw", "adafactor", "adam8bit"] = "sgd"
    mixed: Format | None = Field(None, description="format that computes; weights are kept in float32 too")
    link: str | LinkInline | None = Field(None, description="between the devices of a node")
    between: str | LinkInline | None = Field(None, description="between the nodes")
    nodes: Whole = 1
    hidden: float = Field(0.0, ge=0, le=1, description="share of the gradient behind which the all-reduce runs")


class InferModel(OnDevice):
    """Items through a model."""

    stage: Literal["infer"]
    model: str
    seq: Whole | None = None
    items: Whole | None = None
    phase: Literal["prefill", "decode"] | None = Field(None, description="of a model that generates text")
    context: Whole | None = Field(None, description="tokens that the cache holds in a decode step")
    tokens: Whole = Field(1, description="steps an item: the tokens that are generated")


class PostprocessModel(OnDevice):
    """Scores to answers."""

    stage: Literal["postprocess"]
    do: list[Literal["softmax", "argmax", "nms"]] = Field(["softmax", "argmax"], min_length=1)
    classes: Whole = 1000
    boxes: Whole = 1
    items: Whole | None = None


class GivenModel(StageModel):
    """A stage whose energy you state or measured."""

    stage: Literal["given"]
    on: str | None = None
    energy: Joules
    time: Seconds | None = None


class OverlapModel(Strict):
    """Stages that run at once, with so many items through them."""

    model_config = ConfigDict(json_schema_extra=_short({"type": "array", "items": {"type": "string"}, "minItems": 2}))

    stages: list[str] = Field(min_length=2)
    items: Whole | None = Field(None, description="fill and drain the pipeline once; else it is always full")


def _overlap(value: Any) -> Any:
    return {"stages": value} if isinstance(value, list) else value


class JobHead(Strict):
    """Everything of a job but the shapes of its stages."""

    format: Literal["picojoule/job/1"]
    name: Name = "job"
    source: str | None = Field(None, min_length=1, description="the source of every number that names none")
    level: Literal["count", "roofline"] = "roofline"
    batch: Whole = Field(1, description="items a step on each device")
    epochs: Whole = 1
    dtype: Format | None = Field(None, description="replaces every floating-point format of the models")
    data: DataModel | None = None
    devices: dict[str, Annotated[DeviceModel, BeforeValidator(_device)]] = Field(default_factory=dict)
    stages: list[dict[str, Any]] = Field(min_length=1, description="in the order in which they run")
    overlap: list[Annotated[OverlapModel, BeforeValidator(_overlap)]] = Field(default_factory=list)
    power_supply: Share | None = Field(
        None, description="share of wall power that reaches the machines: 0.92, within 2 %"
    )
    pue: Share | None = Field(None, description="facility power over machine power: 1.2, within 2 %")


StageUnion = Annotated[
    LoadModel | PreprocessModel | ConvertModel | TransferModel | TrainModel | InferModel | PostprocessModel | GivenModel,
    Field(discriminator="stage"),
]  # fmt: skip
STAGES: dict[str, type[StageModel]] = {
    "load": LoadModel, "preprocess": PreprocessModel, "convert": ConvertModel, "transfer": TransferModel,
    "train": TrainModel, "infer": InferModel, "postprocess": PostprocessModel, "given": GivenModel,
}  # fmt: skip


class JobFile(JobHead):
    """A job: what is held, what goes in, which stages run where, and which of them at once."""

    stages: list[StageUnion] = Field(min_length=1, description="in the order in which they run")  # type: ignore[assignment]


class StorageData(Strict):
    """A storage of the library; `energy` names an entry of energy/actions.yaml."""

    energy: str
    bandwidth: BytesPerSecond
    opening: Seconds | None = None
    idle: Watts | None = None


class CoresData(Strict):
    """Core time by step, and the power of a core where the machine does not say."""

    power: Watts
    power_spread: float = Field(ge=1)
    seconds: dict[str, Seconds]


class TransferData(Strict):
    """Copies between a host and a device."""

    energy: str
    attained: Share
    setup: Seconds


class RingData(Strict):
    """Rings between devices."""

    attained: Share
    hop: Seconds


class LinkData(Strict):
    """A link of the library; `energy` names an entry of energy/actions.yaml."""

    energy: str
    bandwidth: BytesPerSecond


class StagesFile(Strict):
    """The shipped data of stages."""

    format: Literal["picojoule/stages/1"]
    storage: dict[str, StorageData]
    cores: CoresData
    transfer: TransferData
    ring: RingData
    links: dict[str, LinkData]


__all__ = ["STAGES", "Bytes", "JobFile", "JobHead", "StagesFile"]
