"""The document on the energy of a job: what each stage moves and computes, and how the stages add up."""

import math
import re
from collections.abc import Mapping

from picojoule.lifecycle import (
    Data,
    Given,
    Job,
    Pipeline,
    Preprocess,
    Stage,
    break_even_runs,
    run_job,
    update_bytes,
    values_of,
)
from picojoule.quantity import InputError, Value, format_quantity
from picojoule.training import training_step

from ._counts import macs, network, total_parameters, weighted
from ._findings import Findings
from ._task import Task, solves
from .chapter4 import image_sides


def price_j(entry: str, n_bytes: float) -> tuple[float, str]:
    """Energy of `n_bytes` by an entry of the catalogue, and its source."""
    from picojoule.formats import catalogue_entry

    found = catalogue_entry(entry)
    if found.per not in ("bit", "byte"):
        raise InputError(f"{entry} is per {found.per}", expected="a price of a bit or of a byte", example="io_nvme_ssd")
    return found.value.nominal * n_bytes * (8 if found.per == "bit" else 1), found.value.source


@solves("002-cifar", "002.3.1.1.1")
def loading(task: Task, findings: Findings) -> None:
    """Bytes of a data set, and the energy of reading it."""
    shape, images = image_sides(task, "image"), task["images"]
    plain, labelled = Data(images, shape), Data(images, shape, label_bytes=task["label_bytes"])
    findings.put("bytes_uint8", plain.item_bytes, "B")
    findings.put("bytes_float32", Data(images, shape, "float32").item_bytes, "B")
    findings.put("dataset_bytes", plain.total_bytes, "B")
    findings.put("dataset_with_labels", labelled.total_bytes, "B")
    energy, source = price_j(task["storage"], labelled.total_bytes)
    findings.put("load_energy", energy, "J")
    findings.say(f"{'·'.join(map(str, shape))} = {plain.item_bytes:,} B an image, {images:,} images {plain.total_bytes:,} B",
                 f"{'·'.join(map(str, shape))} = 每张 {plain.item_bytes:,} B，{images:,} 张共 "
                 f"{plain.total_bytes:,} B")  # fmt: skip
    findings.say(f"reading them once ({task['storage']}, {source}): {format_quantity(energy, 'J')}",
                 f"读一遍（{task['storage']}，{source}）：{format_quantity(energy, 'J')}")  # fmt: skip


@solves("002.3.1.1.2")
def preparing(task: Task, findings: Findings) -> None:
    """Values, operations and bytes of normalising an image."""
    from picojoule.formats import catalogue_entry

    shape = image_sides(task, "image")
    data = Data(1, shape)
    values = values_of(data, Preprocess(normalise=True))["normalise"]
    each = sum(catalogue_entry(name).value.nominal for name in task["operations"])
    findings.put("bytes_uint8", data.item_bytes, "B")
    findings.put("bytes_float32", Data(1, shape, "float32").item_bytes, "B")
    findings.put("subtractions", values)
    findings.put("multiplications", values)
    findings.put("arithmetic_energy", values * each, "J")
    findings.say(f"{values:,} subtractions and multiplications, {format_quantity(each, 'J')} a pair "
                 f"({', '.join(task['operations'])}): {format_quantity(values * each, 'J')} of arithmetic an image",
                 f"{values:,} 次减法和乘法，每对 {format_quantity(each, 'J')}（{'、'.join(task['operations'])}）："
                 f"每张图的运算 {format_quantity(values * each, 'J')}")  # fmt: skip


@solves("002.3.1.1.3")
def conversion(task: Task, findings: Findings) -> None:
    """Every value read in one format and written in the other."""
    shape = image_sides(task, "image")
    read, written = (Data(1, shape, dtype).item_bytes for dtype in ("uint8", "float32"))
    findings.put("values", math.prod(shape))
    findings.put("bytes_read", read, "B")
    findings.put("bytes_written", written, "B")
    findings.say(f"{math.prod(shape):,} values: {read:,} B read, {written:,} B written, one conversion each",
                 f"{math.prod(shape):,} 个值：读 {read:,} B，写 {written:,} B，每值一次转换")  # fmt: skip


@solves("002-h2d", "002.3.1.1.4")
def copying(task: Task, findings: Findings) -> None:
    """The rate that the document implies, and what a link takes."""
    n_bytes = task["bytes"]
    implied, real = n_bytes / task["seconds"], n_bytes / task["link_Bps"]
    energy, source = price_j(task["copy"], n_bytes)
    findings.put("implied_Bps", implied, "B/s")
    findings.put("seconds_on_link", real, "s")
    findings.put("times_faster_than_link", implied / task["link_Bps"])
    findings.put("copy_energy", energy, "J")
    findings.say(f"{n_bytes:,.0f} B in {format_quantity(task['seconds'], 's')} is {format_quantity(implied, 'B/s')}; "
                 f"the link takes {format_quantity(real, 's')} and a latency",
                 f"{n_bytes:,.0f} B 用 {format_quantity(task['seconds'], 's')} 相当于 "
                 f"{format_quantity(implied, 'B/s')}；链路需 {format_quantity(real, 's')} 另加延迟")  # fmt: skip
    findings.say(f"a time is no energy; the copy takes {format_quantity(energy, 'J')} ({task['copy']}, {source})",
                 f"时间不是能量；拷贝约需 {format_quantity(energy, 'J')}（{task['copy']}，{source}）")  # fmt: skip


def stage_sum(task: Task, findings: Findings, joules: Mapping[str, float]) -> dict[str, float]:
    """A job of stages whose energies are given: total and shares by name."""
    for name, joule in joules.items():
        if joule < 0:
            raise InputError(f"{name} is {joule:g} J", where=f"exercise {task.id}", expected="0 or more",
                             example=f"--set {next(iter(task.inputs))}=1.0")  # fmt: skip
    spent = {name: joule for name, joule in joules.items() if joule}
    if not spent:
        raise InputError("every stage takes 0 J", where=f"exercise {task.id}", expected="one stage above 0")
    stages = tuple(Stage(name, Given(Value(joule, "J", 1.0, "user"))) for name, joule in spent.items())
    result = run_job(Job("sum", stages), draws=1)
    total = result.total_energy_j.nominal
    shares = {name: result.shares.get(name, 0.0) for name in joules}
    terms = " + ".join(f"{joule:.4g}" for joule in joules.values())
    findings.put("total_J", total, "J")
    findings.say(f"{' + '.join(joules)} = {terms} = {total:.6g} J", f"{' + '.join(joules)} = {terms} = {total:.6g} J")
    return shares


@solves("002-total", "002.3.2")
def total(task: Task, findings: Findings) -> None:
    """The plain sum of the stages."""
    shares = stage_sum(task, findings, {name.removesuffix("_J"): task[name] for name in task.inputs})
    findings.put("share_train", shares["train"])
    findings.put("shares", shares)
    findings.say(f"training takes {shares['train']:.4f} of it; the shares sum to {sum(shares.values()):.6g}",
                 f"训练占 {shares['train']:.4f}；各占比之和为 {sum(shares.values()):.6g}")  # fmt: skip


@solves("002.3.1.1.5")
def before_the_network(task: Task, findings: Findings) -> None:
    """Load, prepare, convert and copy a data set: four energies, added once."""
    from picojoule.formats import catalogue_entry

    shape, images = image_sides(task, "image"), task["images"]
    values = math.prod(shape) * images
    plain, wide = (Data(images, shape, dtype).total_bytes for dtype in ("uint8", "float32"))
    each = sum(catalogue_entry(name).value.nominal for name in task["operations"])
    joules = {
        "load": price_j(task["storage"], plain)[0],
        "preprocess": values * each,
        "convert": price_j(task["memory"], plain + wide)[0],
        "transfer": price_j(task["copy"], wide)[0],
    }
    shares = stage_sum(task, findings, joules)
    findings.put("energies", joules, "J")
    findings.put("shares", shares)
    for name, joule in joules.items():
        findings.say(f"{name}: {format_quantity(joule, 'J')}, {shares[name]:.3f} of it",
                     f"{name}：{format_quantity(joule, 'J')}，占 {shares[name]:.3f}")  # fmt: skip


@solves("002.3.1.2.1", "002.2.2.2")
def gradient(task: Task, findings: Findings) -> None:
    """Backward MACs of one sample."""
    net = network(task["model"])
    forward = macs(weighted(net))
    backward = training_step(net, optimiser=None).work.macs - forward
    params = total_parameters(net)
    findings.put("forward_macs", forward, "MAC")
    findings.put("backward_macs", backward, "MAC")
    findings.put("backward_macs_per_parameter", backward / params, "MAC")
    findings.say(f"dW and dX each cost the forward MACs, without the first layer's dX: {backward:,} after {forward:,}",
                 f"dW 与 dX 各等于前向乘加，第一层不求 dX：前向 {forward:,} 之后再要 {backward:,}")  # fmt: skip
    findings.say(f"{params:,} parameters: {backward / params:.4g} MACs each, since a convolution reuses them",
                 f"{params:,} 个参数：平均每个 {backward / params:.4g} 次乘加，因为卷积复用参数")  # fmt: skip


@solves("002.3.1.2.2")
def update(task: Task, findings: Findings) -> None:
    """Bytes and energy of one update of all parameters."""
    params = total_parameters(network(task["model"]))
    moved = update_bytes(params, task["optimiser"])
    energies = {entry: price_j(entry, moved)[0] for entry in task["memories"]}
    findings.put("bytes_per_parameter", moved // params if params else 0, "B")
    findings.put("bytes", moved, "B")
    findings.put("energy", energies, "J")
    findings.put("claimed_energy", params * task["claim_J_per_parameter"], "J")
    findings.say(f"{params:,} parameters · {update_bytes(1, task['optimiser'])} B = {moved:,} B a step",
                 f"{params:,} 个参数 · {update_bytes(1, task['optimiser'])} B = 每步 {moved:,} B")  # fmt: skip
    for entry, energy in energies.items():
        findings.say(f"{entry}: {format_quantity(energy, 'J')}; the document's figure gives "
                     f"{format_quantity(params * task['claim_J_per_parameter'], 'J')}",
                     f"{entry}：{format_quantity(energy, 'J')}；按文档的数字则为 "
                     f"{format_quantity(params * task['claim_J_per_parameter'], 'J')}")  # fmt: skip


@solves("002-core-energy")
def core_energy(task: Task, findings: Findings) -> None:
    """The document's product, and the unit that it has."""
    text = task["expr"].replace(" ", "")
    number = r"\d+(?:\.\d*)?(?:[eE][-+]?\d+)?"
    if len(text) > 200 or not re.fullmatch(rf"{number}(?:[*/]{number})*", text):
        raise InputError(f"expr is {task['expr']!r}", where=f"exercise {task.id}", expected="numbers joined by * and /",
                         example='--set expr="1.2e9*8e-9*8e-9"')  # fmt: skip
    value = 1.0
    for sign, factor in re.findall(rf"(^|[*/])({number})", text):
        if sign == "/" and float(factor) == 0:
            raise InputError("a division by 0", where=f"exercise {task.id}", expected="numbers above 0")
        value = value / float(factor) if sign == "/" else value * float(factor)
    if not math.isfinite(value):
        raise InputError(f"expr is {task['expr']!r}", where=f"exercise {task.id}", expected="a product below 1e308",
                         example='--set expr="1.2e9*8e-9*8e-9"')  # fmt: skip
    findings.put("value", value)
    findings.say(f"{text} = {value:.6g}; its unit is Hz·s·s, not J: a rate, times counts or times, is no energy",
                 f"{text} = {value:.6g}；单位是 Hz·s·s 而不是 J：频率乘以次数或时间不是能量")  # fmt: skip


@solves("002-pipeline", "002.3.1.3.1")
def pipeline(task: Task, findings: Findings) -> None:
    """Items through stages one after another; stages of one time, or each of its own."""
    times = task["stage_s"] if isinstance(task["stage_s"], list) else [task["stage_s"]] * _few(task["stages"])
    row = Pipeline(tuple(times), task["items"])
    findings.put("time_s", row.time_s, "s")
    findings.put("efficiency", row.efficiency)
    findings.put("bubble", row.bubble)
    findings.put("items_per_s", row.throughput, "1/s")
    findings.say(f"T = {format_quantity(sum(times), 's')} + ({task['items']} - 1)·{format_quantity(max(times), 's')} = "
                 f"{format_quantity(row.time_s, 's')}; busy {row.efficiency:.4f}, idle {row.bubble:.4f}",
                 f"T = {format_quantity(sum(times), 's')} + ({task['items']} - 1)·{format_quantity(max(times), 's')} = "
                 f"{format_quantity(row.time_s, 's')}；忙 {row.efficiency:.4f}，闲 {row.bubble:.4f}")  # fmt: skip


def _few(stages: int) -> int:
    if stages > 1_000_000:
        raise InputError(f"{stages} stages", expected="a million or fewer", example="--set stages=4")
    return stages


@solves("002.3.1.3.2")
def optimising(task: Task, findings: Findings) -> None:
    """Runs after which an optimisation has paid."""
    spent, before, after = (task[name] for name in ("optimise_J", "before_J", "after_J"))
    runs = break_even_runs(spent, before, after)
    if math.isinf(runs):
        raise InputError(f"{after:g} J after, {before:g} J before: nothing is saved", where=f"exercise {task.id}",
                         expected="after_J below before_J", example="--set after_J=0.5")  # fmt: skip
    findings.put("break_even_runs", runs)
    findings.say(f"{spent:g} J / ({before:g} J - {after:g} J) = {runs:.6g} runs",
                 f"{spent:g} J / ({before:g} J - {after:g} J) = {runs:.6g} 次运行")  # fmt: skip
