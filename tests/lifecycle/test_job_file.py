"""Job files: what they say is what runs, and every fault comes with its file, its line and an example that passes."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML
from tests.lifecycle.sample import network

from picojoule.cost import Interval
from picojoule.formats import job_schema, read_job, read_references
from picojoule.formats._job import read_job_text, stage_data
from picojoule.frontends import read_model
from picojoule.lifecycle import Job, JobResult, Load, Overlap, Preprocess, Request, Train, Transfer, run_job
from picojoule.quantity import InputError
from picojoule.report import job_json
from picojoule.report.terminal import Paint, job_text
from picojoule.workload import Workload

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "job.yaml"
SUM = """format: picojoule/job/1
source: exercise
stages:
""" + "".join(
    f"  - {{stage: given, name: {name}, energy: {energy} J}}\n"
    for name, energy in [("load", 1), ("preprocess", 2), ("convert", 0.5), ("transfer", 0.25), ("train", 10),
                         ("infer", 3), ("optimise", 1.5)]
)  # fmt: skip
SMALL = """format: picojoule/job/1
batch: 16
data: {items: 64, shape: [28, 28, 1], label_bytes: 1}
devices:
  host: xeon-8380
  gpu: {hardware: a100, count: 2}
stages:
  - {stage: load, on: host, storage: hdd}
  - {stage: preprocess, on: host, normalise: true, cores: 2}
  - {stage: transfer, on: gpu}
  - {stage: train, on: gpu, model: net, optimiser: adam}
overlap: [{stages: [load, preprocess, transfer], items: 4}]
"""


def read(request: Request) -> Workload:
    return read_model(request.model, batch=request.batch, seq=request.seq)


@pytest.fixture(scope="module")
def example() -> JobResult:
    return run_job(read_job(EXAMPLE), read, draws=50)


def test_plain_sum() -> None:
    """By hand: the seven stages of the exercise sum to 18.25 J."""
    result = run_job(read_job_text(SUM), draws=10)
    assert result.total_energy_j.nominal == pytest.approx(18.25, rel=1e-12)
    assert job_json(result)["sources"] == ["exercise"]


def test_what_is_said_is_read() -> None:
    """Equality: numbers, machines and defaults of a job file arrive in the job."""
    job = read_job_text(SMALL)
    load, preprocess, transfer, train = (stage.spec for stage in job.stages)
    assert isinstance(load, Load)
    assert load.storage.read.nominal == pytest.approx(30e-9)
    assert load.storage.read.scope == "path"
    assert isinstance(preprocess, Preprocess)
    assert preprocess.cores is not None
    assert preprocess.cores.count == 2
    assert not preprocess.decode
    host = job.devices["host"]
    static = host.technology.prices["static.leak"].nominal
    assert preprocess.cores.power.nominal == pytest.approx((270 - static) / 40)
    assert isinstance(transfer, Transfer)
    assert transfer.wire.energy.nominal == pytest.approx(0.5e-9)
    sheet = job.devices["gpu"].architecture.links[0].bandwidth
    assert sheet is not None
    assert transfer.wire.bandwidth.nominal == pytest.approx(0.8 * sheet.nominal)
    assert isinstance(train, Train)
    assert train.wire is not None
    assert train.wire.name == "nvlink"
    assert job.overlaps == (Overlap(("load", "preprocess", "transfer"), 4),)
    assert run_job(job, network, draws=5).stage("train").macs == 64 * (2 * (660 + 200) + 200)


def test_stated_link_and_storage() -> None:
    """By hand: 64 items of 785 B over two links of 1 GB/s, 2 transfers of 1 us each on both."""
    text = SMALL.replace("stage: transfer, on: gpu", "stage: transfer, on: gpu, "
                         "link: {energy: 8 pJ/bit, bandwidth: {value: 1 GB/s, spread: 1}, setup: 1 us}")  # fmt: skip
    text = text.replace("normalise: true, cores: 2", "crop: [28, 28], by: operators")
    text = text.replace("storage: hdd", "storage: {energy: 2 nJ/B, bandwidth: 1 GB/s}")
    result = run_job(read_job_text(text), network, draws=5)
    data = result.stage("transfer").parts[0].cost.activities[0]
    assert data.time_s == pytest.approx(2 * 1e-6 + 64 * 785 / 2 / 1e9)
    assert float(result.stage("load").parts[0].cost.time_s[0, 0]) == pytest.approx(64 * 785 / 1e9)


def test_example(example: JobResult) -> None:
    """Bound: the shipped example trains two epochs in minutes, at the roofline, with training the dearest stage."""
    assert example.stage("train").macs == 1252 * 1024 * 2 * 12_149_538_816
    assert 20 < example.total_time_s.nominal < 600
    assert max(example.shares, key=lambda name: example.shares[name]) == "train"
    assert isinstance(example.total_energy_j, Interval)
    assert example.total_energy_j.low < example.total_energy_j.nominal < example.total_energy_j.high


def test_json(example: JobResult) -> None:
    """Equality: the JSON follows its published schema, its rows sum to its total to 1e-12, its sources are known."""
    data = json.loads(json.dumps(job_json(example)))
    schema = json.loads((ROOT / "docs" / "schema" / "job-result.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(data)
    rows = [row["energy_j"]["nominal"] for row in data["stages"] + data["idle"]] + [data["conversion_j"]["nominal"]]
    assert sum(rows) == pytest.approx(data["energy_j"]["nominal"], rel=1e-12)
    assert [stage["kind"] for stage in data["stages"]].count("transfer") == 1
    assert set(data["sources"]) - {"stated in the job"} <= set(read_references())


def test_text(example: JobResult) -> None:
    """Bound: text of at most 80 columns that names every stage, with or without colour."""
    text = job_text(example, Paint())
    assert max(map(len, text.splitlines())) <= 80
    assert all(stage.name in text for stage in example.stages)
    assert "\x1b[1m" in job_text(example, Paint(True))
    assert "given" not in job_text(run_job(read_job_text(SUM), draws=3), Paint())


def test_schema() -> None:
    """Equality: the published schema is the one in use, and takes the example and the small jobs."""
    schema = json.loads((ROOT / "docs" / "schema" / "job.schema.json").read_text(encoding="utf-8"))
    assert schema == job_schema()
    validator = jsonschema.Draft202012Validator(schema)
    for text in (EXAMPLE.read_text(encoding="utf-8"), SMALL, SUM):
        validator.validate(YAML(typ="safe", pure=True).load(text))


def test_shipped_data_have_sources() -> None:
    """Equality: every number of library/stages.yaml names a source of references.bib."""
    data: Any = stage_data().model_dump()
    found: list[str] = []

    def walk(node: Any) -> None:
        for child in node.values() if isinstance(node, dict) else ():
            walk(child)
        if isinstance(node, dict) and "value" in node:
            found.append(node["source"])

    walk(data)
    assert len(found) >= 20
    assert set(found) <= set(read_references())


FAULTS = [
    ("batch: 16", "batch: 0", "job.yaml:2: batch: input should be greater than or equal to 1"),
    ("batch: 16", "bach: 16", "job.yaml:2: bach: 'bach' is no key here"),
    ("format: picojoule/job/1", "format: picojoule/job/2", "for example: format: picojoule/job/1"),
    ("stage: load, on", "stage: laod, on", "job.yaml:8: stages[0].stage: no stage is called 'laod'"),
    ("{stage: load, on: host, storage: hdd}", "{on: host}", "'stage' is missing"),
    ("storage: hdd", "storage: tape", "job.yaml:8: stages[0].storage: no storage is named 'tape'"),
    ("storage: hdd", "disk: hdd", "job.yaml:8: stages[0].disk: 'disk' is no key here"),
    ("storage: hdd", "storage: {energy: 2 nJ, bandwidth: 1 GB/s}", "expected a quantity in J/B"),
    ("on: gpu, model", "on: tpu, model", "job.yaml:11: stages[3].on: 'tpu' is no device of this job"),
    ("{stage: transfer, on: gpu}", "{stage: transfer}", "stages[2].on: 'on' is missing"),
    ("{stage: transfer, on: gpu}", "{stage: transfer, on: gpu, link: pigeon}", "no link is named 'pigeon'"),
    ("hardware: a100", "hardware: a1O0", "job.yaml:6: devices.gpu: no hardware is named 'a1O0'"),
    ("host: xeon-8380", "host: nowhere.yaml", "cannot read the file"),
    ("[28, 28, 1]", "[28, 0, 1]", "job.yaml:3: data.shape"),
    ("items: 64, ", "items: 64, dtype: uint7, ", "unknown dtype 'uint7'"),
    ("normalise: true, ", "", "nothing is done"),
    ("on: host, normalise", "on: gpu, by: measured, normalise", "no core time was measured on"),
    ("optimiser: adam", "optimiser: madam", "stages[3].optimiser"),
    ("optimiser: adam", "optimiser: adam, nodes: 2", "job.yaml:11: stages[3]: 2 devices on 2 nodes"),
    ("items: 4}]", "items: 4}, [load, train]]", "'load' overlaps twice"),
    ("data: {items: 64, shape: [28, 28, 1], label_bytes: 1}", "epochs: 1", "the job names no data"),
    ("batch: 16", "batch: 16\npower_supply: 1.2", "1.2 is more than the whole"),
    ("batch: 16", "batch: 16\npue: 0.9", "0.9 is less than 1"),
    ("cores: 2", "cores: 41", "job.yaml:9: stages[1]: Intel Xeon Platinum 8380 has 40 cores, not 41"),
    ("normalise: true", "resize: [8, 8], crop: [9, 9]", "stages[1]: a crop of [9, 9] is larger than [8, 8]"),
    ("normalise: true", "crop: [29, 28]", "job.yaml:9: stages[1]: a crop of [29, 28] is larger than [28, 28]"),
    ("stage: train, on: gpu, model: net, optimiser: adam", "stage: infer, on: gpu, model: net, context: 9",
     "stages[3].context: a context belongs to a decode step"),
    ("batch: 16", "stages: []", "'stages' stands twice"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "says"), FAULTS)
def test_faults(old: str, new: str, says: str) -> None:
    """Message: each fault names its file, its line, what was expected."""
    assert old in SMALL
    with pytest.raises(InputError) as caught:
        read_job_text(SMALL.replace(old, new), "job.yaml")
    assert says in str(caught.value)
    assert "job.yaml" in str(caught.value) or "nowhere" in str(caught.value)


def test_no_images() -> None:
    """Message: cropping what is no image says what shape an image has."""
    text = SMALL.replace("[28, 28, 1]", "[784]").replace("normalise: true", "crop: [9, 9]")
    with pytest.raises(InputError, match=r"job.yaml:9: stages\[1\]: items of shape \[784\] are no images"):
        read_job_text(text, "job.yaml")


def test_all_faults_at_once() -> None:
    """Message: three faults of one file are three messages of one error."""
    text = SMALL.replace("batch: 16", "batch: -1").replace("stage: transfer", "stage: teleport")
    with pytest.raises(InputError) as caught:
        read_job_text(text.replace("optimiser: adam", "optimizer: adam"), "job.yaml")
    assert "3 faults" in str(caught.value)
    assert str(caught.value).count("job.yaml:") >= 3


def test_model_beside_the_job(tmp_path: Path) -> None:
    """Equality: a model file beside the job is that file; a name that is no file is left as it is."""
    (tmp_path / "net.onnx").write_bytes(b"")
    (tmp_path / "job.yaml").write_text(SMALL.replace("model: net", "model: net.onnx"), encoding="utf-8")
    spec = read_job(tmp_path / "job.yaml").stages[3].spec
    assert isinstance(spec, Train)
    assert spec.model == str(tmp_path / "net.onnx")
    (tmp_path / "net.onnx").unlink()
    again = read_job(tmp_path / "job.yaml").stages[3].spec
    assert isinstance(again, Train)
    assert again.model == "net.onnx"


def test_hardware_beside_the_job(tmp_path: Path) -> None:
    """Equality: a hardware file is found beside the job file."""
    source = ROOT / "src" / "picojoule" / "library" / "architectures" / "eyeriss-v1.yaml"
    (tmp_path / "mine.yaml").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "job.yaml").write_text(
        SMALL.replace("xeon-8380", "mine.yaml").replace(", cores: 2", ""), encoding="utf-8"
    )
    job: Job = read_job(tmp_path / "job.yaml")
    assert job.devices["host"].architecture.name == "eyeriss-v1"
