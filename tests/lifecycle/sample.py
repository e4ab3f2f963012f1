"""Jobs of the tests: small, on machines of the library or on any."""

from collections.abc import Mapping

from hypothesis import strategies as st
from tests.strategies import architectures, technologies, value

from picojoule.formats import load_hardware
from picojoule.lifecycle import (
    Convert,
    Cores,
    Data,
    Device,
    Given,
    Infer,
    Job,
    Load,
    Overlap,
    Postprocess,
    Preprocess,
    Request,
    Spec,
    Stage,
    Storage,
    Train,
    Transfer,
    Wire,
)
from picojoule.workload import Graph, Workload
from picojoule.workload.ops.contract import linear
from picojoule.workload.ops.pointwise import unary

DISK = Storage(
    "disk", value(1e-9, "J/B", 3, "path"), value(7e9, "B/s"), value(1e-4, "s", 2), value(5, "W", 1.4, "path")
)
WIRE = Wire("wire", value(5e-10, "J/B", 5, "path"), value(25e9, "B/s", 1.1), value(1e-5, "s", 2))
IMAGES = Data(100, (50, 40, 3), files=100, stored_bytes=100_000, label_bytes=1)
CORES = Cores({"decode": value(4e-9, "s"), "resize": value(5e-9, "s"), "normalise": value(1e-9, "s")},
              value(6, "W", 1.8, "board"), 4)  # fmt: skip


def network(request: Request) -> Workload:
    """Two layers, 33-20-10."""
    batch = request.batch or 1
    g = Graph(request.model, batch=batch)
    x = g.input("x", (batch, 33))
    for index, (n, m) in enumerate(((33, 20), (20, 10))):
        with g.scope(f"fc{index}"):
            x = linear(g, x, g.parameter("weight", (m, n)), g.parameter("bias", (m,), "bias"))
    x = unary(g, "relu", x)
    g.output(x)
    return g.workload()


def device(name: str, hardware: str, count: int = 1) -> Device:
    architecture, technology = load_hardware(hardware)
    return Device(name, architecture, technology, count)


def specs(cores: bool = True) -> dict[str, Spec]:
    """One of each kind, in order."""
    return {
        "load": Load(DISK, 1e9), "preprocess": Preprocess(True, (32, 32), (28, 28), True, CORES if cores else None),
        "convert": Convert("float16"), "transfer": Transfer(WIRE), "train": Train("net", "momentum", wire=WIRE),
        "infer": Infer("net", 17), "postprocess": Postprocess(("softmax", "argmax", "nms"), 10, 20),
        "given": Given(value(0.5, "J"), value(2e-3, "s")),
    }  # fmt: skip


def job(where: Mapping[str, str], devices: Mapping[str, Device], **changes: object) -> Job:
    """A job of the stages in `where` (name: device), of one of each kind."""
    kinds = specs()
    stages = tuple(Stage(name, kinds[name.partition(" ")[0]], on) for name, on in where.items())
    return Job("sample", stages, devices, **{"data": IMAGES, "batch": 8, "epochs": 2, **changes})  # type: ignore[arg-type]


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """Any stages on any machines, some of them at once."""
    devices = {name: Device(name, draw(architectures()), draw(technologies()), draw(st.sampled_from([1, 2, 3])))
               for name in ("a", "b")}  # fmt: skip
    names = [name for name in specs() if draw(st.booleans())] or ["infer"]
    where = {name: draw(st.sampled_from(["a", "b"])) for name in names}
    together = tuple(name for name in names if draw(st.booleans()))
    overlaps = (Overlap(together, draw(st.one_of(st.none(), st.integers(1, 40)))),) if len(together) > 1 else ()
    wall = draw(st.booleans())
    return job(
        where, devices, overlaps=overlaps, level=draw(st.sampled_from(["count", "roofline"])),
        epochs=draw(st.integers(1, 3)), batch=draw(st.integers(1, 9)),
        power_supply=value(0.9, "1", 1.05, "wall") if wall else None,
        facility=value(1.3, "1", 1.1, "facility") if wall else None,
    )  # fmt: skip
