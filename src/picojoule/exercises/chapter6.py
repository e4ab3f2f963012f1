"""Chapter 6: speed-up of a whole network, memory-bound layers, utilisation, roofline."""

import math
from fractions import Fraction
from typing import Any

from picojoule.quantity import InputError
from picojoule.studies import amdahl
from picojoule.workload import Operator, Workload

from ._counts import convolution_macs, is_convolution, layer_bytes, macs, network, product_macs, weighted
from ._findings import Findings
from ._task import Task, solves


@solves("6.2", "6.2-torchvision", "6.2-<model>")
def whole_speedup(task: Task, findings: Findings) -> None:
    """Amdahl over convolutions, fully connected layers and the rest; shares by MACs, or by time on a machine."""
    parts = _time_shares(task, findings) if task.hardware else _mac_shares(task, findings)
    gains = {name: Fraction(str(task[name])) for name in ("conv", "fc", "other")}
    total = sum(parts.values(), Fraction(0))
    if total == 0:
        raise InputError(f"{task['model']} has no work", where=f"exercise {task.id}", expected="a network with layers")
    whole = amdahl({name: part / total for name, part in parts.items()}, {name: task[name] for name in parts})
    findings.put("speedup", whole)
    if not task.hardware:
        exact = 1 / sum((parts[name] / total / gains[name] for name in parts), Fraction(0))
        findings.put("exact", f"{exact.numerator}/{exact.denominator}")
    terms = " + ".join(f"{float(parts[name] / total):.6f}/{float(gains[name]):g}" for name in parts if parts[name])
    findings.say(f"1 / ({terms}) = {whole:.4f}", f"1 / ({terms}) = {whole:.4f}")


def _mac_shares(task: Task, findings: Findings) -> dict[str, Fraction]:
    workload = network(task["model"])
    findings.assume("shares of time are taken as shares of MACs; layers without MACs cost nothing",
                    "用乘加数的占比代替时间占比；没有乘加的层不计时间")  # fmt: skip
    return {"conv": Fraction(convolution_macs(workload)), "fc": Fraction(product_macs(workload)), "other": Fraction(0)}


def _time_shares(task: Task, findings: Findings) -> dict[str, Fraction]:
    from picojoule._api import estimate

    machine = task.machine()
    result = estimate(network(task["model"]), machine, draws=1)
    findings.assume(f"shares of time are those of the roofline level on {machine}",
                    f"时间占比取 roofline 层级在 {machine} 上的估计")  # fmt: skip
    parts = {"conv": Fraction(0), "fc": Fraction(0), "other": Fraction(0)}
    by_name = {o.name: o for o in weighted(result.workload)}
    for activity in result.cost.activities:
        operator = by_name.get(activity.operator)
        name = "other" if operator is None else "conv" if is_convolution(operator) else "fc"
        parts[name] += Fraction(activity.time_s)
    return parts


@solves("6.3", "6.3-b<batch>", "6.3-<batch>")
def fully_connected_bound(task: Task, findings: Findings) -> None:
    """A fully connected layer uses each weight once a sample: the memory feeds bandwidth / bytes MACs a second."""
    alu = task["alu_macs_per_cycle"] * task.clock_hz()
    given = task["bandwidth_Bps"]
    if len(given) != 2:
        raise InputError(f"bandwidth_Bps is {given}", where=f"exercise {task.id}", expected="two bandwidths",
                         example="--set bandwidth_Bps=[12.8e9,1.6e9]")  # fmt: skip
    own = task.bandwidth_bps()
    if task.hardware is None:
        findings.assume("12.8 GB/s is one channel of DDR3-1600; Gb is surely a slip, both are answered",
                        "12.8 GB/s 是一个 DDR3-1600 通道；Gb 应为笔误，两种都给出")  # fmt: skip
    else:
        findings.assume(f"the machine has {own / 1e9:g} GB/s; the second answer is for an eighth of it, as bits for bytes",
                        f"该机器为 {own / 1e9:g} GB/s；第二个答案取其八分之一，即把比特当字节")  # fmt: skip
    for name, rate in (("speedup_12_8GBps", given[0] or own), ("speedup_12_8Gbps", given[1] or own / 8)):
        gains = [_feed(rate, size, task["batch"]) / alu for size in task["bytes_per_weight"]]
        findings.put(name, gains)
        for size, gain in zip(task["bytes_per_weight"], gains, strict=True):
            findings.say(f"{rate / 1e9:g} GB/s over {size} B a weight, batch {task['batch']}: {gain * alu / 1e9:g} GMAC/s, "
                         f"{gain:g} times one ALU" + ("" if gain >= 1 else ": the ALU itself waits, speed-up 1"),
                         f"{rate / 1e9:g} GB/s，每个权重 {size} B，批大小 {task['batch']}：{gain * alu / 1e9:g} GMAC/s，"
                         f"是单个 ALU 的 {gain:g} 倍" + ("" if gain >= 1 else "：单个 ALU 也在等内存，加速比为 1"))  # fmt: skip


def _feed(bandwidth: float, size: float, batch: int) -> float:
    return batch * bandwidth / size


def unit_cycles(operator: Operator, side: int) -> int:
    """Cycles of a side x side unit that takes `side` input and `side` output channels at once."""
    extents = operator.extents
    if "c" in extents:
        channels, filters = extents.pop("c"), extents.pop("m")
    else:
        channels, filters = extents.pop("k"), extents.pop("n")
    return operator.repeats * math.prod(extents.values()) * -(-channels // side) * -(-filters // side)


def utilisation(workload: Workload, side: int, clock: float, bandwidth: float, width: int) -> float:
    """MACs over what the unit could do in the time of all layers: each the slower of its cycles and its bytes."""
    seconds = 0.0
    for operator in weighted(workload):
        elements = sum(layer_bytes(workload, operator).values()) // 4
        seconds += max(unit_cycles(operator, side) / clock, elements * width / bandwidth)
    return min(1.0, macs(weighted(workload)) / (side * side * clock * seconds))


def _put_utilisation(task: Task, side: int, clock: float, bandwidth: float) -> dict[str, Any]:
    workload = network(task["model"], task["batch"]).with_dtype("float32")
    total = macs(weighted(workload))
    cycles = sum(unit_cycles(o, side) for o in weighted(workload))
    elements = sum(sum(layer_bytes(workload, o).values()) for o in weighted(workload)) // 4
    return {
        "mapping_utilisation": total / (side * side * cycles),
        "utilisation_2B": utilisation(workload, side, clock, bandwidth, 2),
        "utilisation_4B": utilisation(workload, side, clock, bandwidth, 4),
        "ai_2B_mac_per_byte": total / (2 * elements),
    }


def _rates(task: Task) -> tuple[float, float]:
    """Clock and bandwidth: the user's, else the machine's."""
    clock, bandwidth = task["clock_Hz"], task["bandwidth_Bps"]
    return clock or task.clock_hz(), bandwidth or task.bandwidth_bps()


@solves("6.8-T<T>")
def unit_utilisation(task: Task, findings: Findings) -> None:
    """Utilisation of one T x T unit."""
    side = task["T"]
    clock, bandwidth = _rates(task)
    row = _put_utilisation(task, side, clock, bandwidth)
    for name, value in row.items():
        findings.put(name, value, "MAC/B" if name.startswith("ai") else "1")
    first = next(weighted(network(task["model"], task["batch"])))
    findings.put("first_layer_mapping", first.total.macs / (side * side * unit_cycles(first, side)))
    feed = bandwidth / clock
    findings.put("feed_cap_weights_kept_2B", min(1.0, feed / (2 * side)))
    findings.put("feed_cap_nothing_kept_2B", min(1.0, feed / (2 * (side + side * side))))
    findings.say(f"if {feed:g} B a cycle feed the unit itself: at most {min(1.0, feed / (2 * side)):.4g} with weights kept "
                 f"inside, {min(1.0, feed / (2 * (side + side * side))):.4g} with nothing kept (2 B)",
                 f"若每周期 {feed:g} B 直接喂给单元：权重驻留时至多 {min(1.0, feed / (2 * side)):.4g}，"
                 f"都不驻留时至多 {min(1.0, feed / (2 * (side + side * side))):.4g}（2 B）")  # fmt: skip
    findings.say("cycles of a layer = groups·Ho·Wo·K²·ceil(Ci/g/T)·ceil(Co/g/T); time = max(cycles/clock, bytes/bandwidth)",
                 "每层周期 = 组数·Ho·Wo·K²·⌈Ci/g/T⌉·⌈Co/g/T⌉；时间 = max(周期/频率, 字节/带宽)")  # fmt: skip
    findings.say(f"{side}x{side} MACs at {clock / 1e9:g} GHz, {bandwidth / 1e9:g} GB/s: ridge "
                 f"{side * side * clock / bandwidth:g} MAC/B against {row['ai_2B_mac_per_byte']:.3f} at 2 B",
                 f"{side}x{side} 个乘加单元，{clock / 1e9:g} GHz，{bandwidth / 1e9:g} GB/s：脊点 "
                 f"{side * side * clock / bandwidth:g} MAC/B，2 B 时强度 {row['ai_2B_mac_per_byte']:.3f}")  # fmt: skip


@solves("6.8")
def utilisation_sweep(task: Task, findings: Findings) -> None:
    """Utilisation against the size of the unit."""
    clock, bandwidth = _rates(task)
    rows = {str(side): _put_utilisation(task, side, clock, bandwidth) for side in task["sides"]}
    for name in ("mapping_utilisation", "utilisation_2B", "utilisation_4B"):
        findings.put(name, [row[name] for row in rows.values()])
    findings.put("T", task["sides"])
    first = next(iter(rows.values()))
    findings.put("ai_2B_mac_per_byte", first["ai_2B_mac_per_byte"], "MAC/B")
    balanced = math.sqrt(first["ai_2B_mac_per_byte"] * bandwidth / clock)
    findings.put("largest_balanced_T_2B", balanced)
    for side, row in rows.items():
        bar = "█" * round(40 * row["utilisation_2B"])
        text = f"T = {side:>4}: {row['mapping_utilisation']:.4f} | {row['utilisation_2B']:.4f} | {row['utilisation_4B']:.4f}"
        findings.say(f"{text}  {bar}", f"{text}  {bar}")
    findings.say("columns: mapping alone, with bandwidth at 2 B, at 4 B; bars show 2 B",
                 "三列：只看映射，2 B 带宽，4 B 带宽；横条为 2 B")  # fmt: skip


@solves("6.9-b<bytes>", "6.9")
def scalar_units(task: Task, findings: Findings) -> None:
    """N scalar MACs with their sum in a register: two operands each, or one shared input and a weight each."""
    size = task["bytes"]
    feed = task["bandwidth_Bpc"] or task.bandwidth_bps() / task.clock_hz()
    alone = [min(1.0, feed / (2 * size * n)) for n in task["units"]]
    shared = [min(1.0, feed / (size * (n + 1))) for n in task["units"]]
    findings.put("no_sharing", alone)
    findings.put("input_broadcast", shared)
    for n, a, b in zip(task["units"], alone, shared, strict=True):
        findings.say(f"{n} units: {a:.4g} alone, {b:.4g} with a shared input",
                     f"{n} 个单元：各自取数 {a:.4g}，共享输入 {b:.4g}")  # fmt: skip
    findings.say(f"{feed:g} B a cycle; full use up to {feed / (2 * size):.3g} units alone, {feed / size - 1:.3g} shared",
                 f"每周期 {feed:g} B；至多 {feed / (2 * size):.3g} 个单元满载，"
                 f"共享输入时 {feed / size - 1:.3g} 个")  # fmt: skip


@solves("6.10")
def roofline(task: Task, findings: Findings) -> None:
    """Ridge of each machine, and AlexNet under the roof of the first."""
    machines = [Task(task.id, task.inputs, name, name) for name in ([task.hardware] if task.hardware else [])]
    machines = machines or [Task(task.id, task.inputs, None, name) for name in task["machines"]]
    ridges = []
    for one in machines:
        peak, bandwidth = one.macs_per_s("float32", "float16"), one.bandwidth_bps()
        ridges.append(peak / bandwidth)
        findings.say(f"{one.machine()}: {peak / 1e9:g} GMAC/s over {bandwidth / 1e9:g} GB/s: ridge {ridges[-1]:g} MAC/B",
                     f"{one.machine()}：{peak / 1e9:g} GMAC/s，{bandwidth / 1e9:g} GB/s：脊点 {ridges[-1]:g} MAC/B")  # fmt: skip
    last = machines[-1]
    workload = network(task["model"]).with_dtype("float32")
    total = macs(weighted(workload))
    width = task["bytes_per_value"]
    elements = sum(sum(layer_bytes(workload, o).values()) for o in weighted(workload)) // 4
    intensity = total / (width * elements)
    peak = last.macs_per_s("float32", "float16")
    attainable = min(peak, intensity * last.bandwidth_bps())
    findings.put("ridge_mac_per_byte", ridges, "MAC/B")
    findings.put("alexnet_attainable_GMACs_ch6", attainable / 1e9, "GMAC/s")
    findings.put("intensity_mac_per_byte", intensity, "MAC/B")
    findings.put("share_of_peak", attainable / peak)
    findings.say(f"{task['model']}: {total:,} MACs over {width * elements:,} B = {intensity:.4f} MAC/B; attainable "
                 f"{attainable / 1e9:.2f} GMAC/s, {attainable / peak:.1%} of peak",
                 f"{task['model']}：{total:,} 次乘加，{width * elements:,} B，强度 {intensity:.4f} MAC/B；可达 "
                 f"{attainable / 1e9:.2f} GMAC/s，为峰值的 {attainable / peak:.1%}")  # fmt: skip
    for operator in weighted(workload):
        own = operator.total.macs / (width * sum(layer_bytes(workload, operator).values()) // 4)
        reached = min(peak, own * last.bandwidth_bps())
        findings.say(f"{operator.path}: {own:.4g} MAC/B, {reached / 1e9:.4g} GMAC/s",
                     f"{operator.path}：{own:.4g} MAC/B，{reached / 1e9:.4g} GMAC/s")  # fmt: skip
