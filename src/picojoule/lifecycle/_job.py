"""A job as its user states it: devices, data, stages, what runs at once. No energy is computed here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from picojoule.hardware import Architecture, Technology
from picojoule.quantity import InputError, Value
from picojoule.training import OptimiserName, Precision

from ._data import Data
from ._request import Request

Kind = Literal["load", "preprocess", "convert", "transfer", "train", "infer", "postprocess", "given"]


@dataclass(frozen=True, slots=True)
class Device:
    """`count` equal machines that the job holds from its first second to its last."""

    name: str
    architecture: Architecture
    technology: Technology
    count: int = 1


@dataclass(frozen=True, slots=True)
class Storage:
    """Where files lie: active energy a byte, rate, time to open a file, and the power of waiting."""

    name: str
    read: Value  # J/B
    bandwidth: Value  # B/s
    opening: Value | None = None  # s a file
    idle: Value | None = None  # W


@dataclass(frozen=True, slots=True)
class Wire:
    """A way for bytes between two machines, both ends together; `setup` [s] is paid once a transfer."""

    name: str
    energy: Value  # J/B
    bandwidth: Value  # B/s
    setup: Value | None = None


@dataclass(frozen=True, slots=True)
class Cores:
    """Preparing by measured core time: [s] by step and value, on `count` cores of `power` [W] above idle each."""

    seconds: Mapping[str, Value]
    power: Value
    count: int = 1


@dataclass(frozen=True, slots=True)
class Load:
    """Read the stored bytes; later passes come from memory if they fit `cache_bytes` of it."""

    storage: Storage
    cache_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Decode, resize, crop, normalise; by measured core time if `cores` are given, else as counted operators."""

    decode: bool = False
    resize: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    normalise: bool = False
    cores: Cores | None = None


@dataclass(frozen=True, slots=True)
class Convert:
    """To another number format: every value read once and written once."""

    to: str = "float32"


@dataclass(frozen=True, slots=True)
class Transfer:
    """To the memory of the device: the data batch by batch, the weights of its models once."""

    wire: Wire


@dataclass(frozen=True, slots=True)
class Train:
    """All items, every epoch: forward, gradient, all-reduce between the devices, update.

    `hidden` is the share of the gradient's time behind which the all-reduce may run. `nodes` of equal size split the
    ring: `wire` inside, `between` outside.
    """

    model: str
    optimiser: OptimiserName = "sgd"
    precision: Precision | None = None
    wire: Wire | None = None
    hidden: float = 0.0
    nodes: int = 1
    between: Wire | None = None
    seq: int | None = None

    def request(self, batch: int) -> Request:
        """The network that one step trains."""
        return Request(self.model, batch, self.seq)


@dataclass(frozen=True, slots=True)
class Infer:
    """`items` (all of the data if None) through a model, in batches; a decode step is run `tokens` times an item."""

    model: str
    items: int | None = None
    seq: int | None = None
    phase: str = ""
    context: int | None = None
    tokens: int = 1

    def request(self, batch: int) -> Request:
        """The network that one step runs."""
        return Request(self.model, batch, self.seq, self.phase, self.context)


@dataclass(frozen=True, slots=True)
class Postprocess:
    """Softmax, argmax and suppression of boxes on `classes` scores of each of `boxes`."""

    steps: tuple[str, ...] = ("softmax", "argmax")
    classes: int = 1000
    boxes: int = 1
    items: int | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """A stage whose energy, and perhaps time, the user states or measured."""

    energy: Value  # J
    time: Value | None = None  # s


Spec = Load | Preprocess | Convert | Transfer | Train | Infer | Postprocess | Given


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a job on a device, named by the job; only a given stage may be on none."""

    name: str
    spec: Spec
    device: str = ""

    @property
    def kind(self) -> str:
        """load, preprocess, convert, transfer, train, infer, postprocess or given."""
        return type(self.spec).__name__.lower()


@dataclass(frozen=True, slots=True)
class Overlap:
    """Stages that run at once; with `items` the pipeline is filled and emptied once, without it is always full."""

    stages: tuple[str, ...]
    items: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Stages in their order, on devices that are all held until the last one ends.

    `power_supply` is the share of wall power that reaches the machines, `facility` the PUE; both only if stated.
    """

    name: str
    stages: tuple[Stage, ...]
    devices: Mapping[str, Device] = field(default_factory=dict)
    data: Data = field(default_factory=lambda: Data(1, ()))
    batch: int = 1
    epochs: int = 1
    level: str = "roofline"
    dtype: str | None = None
    overlaps: tuple[Overlap, ...] = ()
    power_supply: Value | None = None
    facility: Value | None = None

    def __post_init__(self) -> None:
        where = f"job {self.name}"
        if not self.stages:
            raise InputError(
                "no stages", where=where, expected="one stage or more", example="- {stage: load, on: host}"
            )
        names = [stage.name for stage in self.stages]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"two stages are named {name!r}", where=where, expected="a name of its own for each",
                                 example=f"name: {name}-2")  # fmt: skip
        for stage in self.stages:
            self._check_device(stage, where)
        arrivals = [stage.device for stage in self.stages if isinstance(stage.spec, Transfer)]
        for device in arrivals:
            if arrivals.count(device) > 1:
                raise InputError(f"the data are transferred to {device!r} twice", where=where,
                                 expected="one transfer to each device")  # fmt: skip
        self._check_overlaps(names, where)

    def _check_device(self, stage: Stage, where: str) -> None:
        if stage.device not in self.devices and not (isinstance(stage.spec, Given) and not stage.device):
            known = ", ".join(self.devices) or "none is named"
            raise InputError(f"stage {stage.name!r} is on {stage.device!r}, which is no device of the job",
                             where=where, expected=f"one of the devices: {known}")  # fmt: skip

    def _check_overlaps(self, names: list[str], where: str) -> None:
        together = [name for overlap in self.overlaps for name in overlap.stages]
        for name in together:
            if name not in names:
                raise InputError(f"{name!r} overlaps, but is no stage", where=where, expected=f"of {', '.join(names)}")
            if together.count(name) > 1:
                raise InputError(f"{name!r} overlaps twice", where=where, expected="each stage in one group at most")

    @property
    def blocks(self) -> tuple[Overlap, ...]:
        """Groups of stages one after another: those that overlap together, each other one alone, by first stage."""
        groups = {name: overlap for overlap in self.overlaps for name in overlap.stages}
        return tuple(dict.fromkeys(groups.get(s.name, Overlap((s.name,))) for s in self.stages))
