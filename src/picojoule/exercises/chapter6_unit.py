"""Chapter 6: how well units of any size are used, under each reading of the bandwidth; the roofline, drawn."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from picojoule.workload import Operator, Workload

from ._counts import layer_bytes, macs, network, weighted
from ._figure import Axis, Curve, Figure
from ._findings import Findings
from ._task import Task, solves

_WORD: Final = 4  # bytes of float32, in which layer_bytes counts


def _parts(operator: Operator) -> tuple[int, int, int]:
    """Input channels, output channels, and all other points of the space in all repeats."""
    extents = operator.extents
    names = ("c", "m") if "c" in extents else ("k", "n")
    channels, filters = (extents.pop(name) for name in names)
    return channels, filters, operator.repeats * math.prod(extents.values())


def unit_cycles(operator: Operator, side: int) -> int:
    """Cycles of a side x side unit that takes `side` input and `side` output channels at once."""
    channels, filters, rest = _parts(operator)
    return rest * -(-channels // side) * -(-filters // side)


def _each_once(net: Workload, operator: Operator, _side: int) -> int:
    return sum(layer_bytes(net, operator).values()) // _WORD


def _inputs(operator: Operator, side: int) -> int:
    """Words of input that enter the unit: a vector of input channels a cycle, idle lanes fetch nothing."""
    channels, filters, rest = _parts(operator)
    return rest * channels * -(-filters // side)


def _weights_kept(net: Workload, operator: Operator, side: int) -> int:
    return _inputs(operator, side) + layer_bytes(net, operator)["weight"] // _WORD


def _nothing_kept(_net: Workload, operator: Operator, side: int) -> int:
    return _inputs(operator, side) + operator.total.macs


# What the bandwidth has to carry, in words a layer: the readings of "on-chip bandwidth".
READINGS: Final[Mapping[str, Callable[[Workload, Operator, int], int]]] = {
    "memory": _each_once, "weights_kept": _weights_kept, "nothing_kept": _nothing_kept,
}  # fmt: skip
_SAID: Final[Mapping[str, tuple[str, str]]] = {
    "memory": ("memory of weights and maps", "存放权重和特征图的存储"),
    "weights_kept": ("feed of the unit, weights kept in it", "单元的供数，权重驻留"),
    "nothing_kept": ("feed of the unit, nothing kept", "单元的供数，都不驻留"),
}


def utilisation(net: Workload, side: int, words_a_s: float, clock: float, reading: str) -> float:
    """MACs over what the unit could do in the time of all layers: each the slower of its cycles and its words."""
    carried = READINGS[reading]
    seconds = sum(
        max(unit_cycles(o, side) / clock, carried(net, o, side) / words_a_s) for o in weighted(net)
    )  # fmt: skip
    return min(1.0, macs(weighted(net)) / (side * side * clock * seconds))


def _net(task: Task) -> Workload:
    return network(task["model"], task["batch"]).with_dtype("float32")


def _row(task: Task, side: int, clock: float, bandwidth: float) -> dict[str, float]:
    """Every utilisation of one unit: mapping alone, then each reading at 2 and at 4 B a word."""
    net = _net(task)
    cycles = sum(unit_cycles(o, side) for o in weighted(net))
    row = {"mapping_utilisation": macs(weighted(net)) / (side * side * cycles)}
    for reading in READINGS:
        name = "utilisation" if reading == "memory" else f"utilisation_{reading}"
        row |= {f"{name}_{width}B": utilisation(net, side, bandwidth / width, clock, reading) for width in (2, 4)}
    return row


def _intensity(net: Workload, width: int) -> float:
    """MACs a byte if each tensor crosses once."""
    return macs(weighted(net)) / (width * sum(_each_once(net, o, 1) for o in weighted(net)))


def _rates(task: Task) -> tuple[float, float]:
    """Clock and bandwidth: the user's, else the machine's."""
    clock, bandwidth = task["clock_Hz"], task["bandwidth_Bps"]
    return clock or task.clock_hz(), bandwidth or task.bandwidth_bps()


@solves("6.8-T<T>")
def unit_utilisation(task: Task, findings: Findings) -> None:
    """Utilisation of one T x T unit."""
    side = task["T"]
    clock, bandwidth = _rates(task)
    for name, value in _row(task, side, clock, bandwidth).items():
        findings.put(name, value)
    intensity = _intensity(_net(task), 2)
    findings.put("ai_2B_mac_per_byte", intensity, "MAC/B")
    first = next(weighted(network(task["model"], task["batch"])))
    findings.put("first_layer_mapping", first.total.macs / (side * side * unit_cycles(first, side)))
    feed = bandwidth / clock
    findings.put("feed_cap_weights_kept_2B", min(1.0, feed / (2 * side)))
    findings.put("feed_cap_nothing_kept_2B", min(1.0, feed / (2 * (side + side * side))))
    findings.say(f"if {feed:g} B a cycle feed the unit itself: at most {min(1.0, feed / (2 * side)):.4g} with weights kept "
                 f"inside, {min(1.0, feed / (2 * (side + side * side))):.4g} with nothing kept (2 B)",
                 f"若每周期 {feed:g} B 直接喂给单元：权重驻留时至多 {min(1.0, feed / (2 * side)):.4g}，"
                 f"都不驻留时至多 {min(1.0, feed / (2 * (side + side * side))):.4g}（2 B）")  # fmt: skip
    _say_laws(findings)
    findings.say(f"{side}x{side} MACs at {clock / 1e9:g} GHz, {bandwidth / 1e9:g} GB/s: ridge "
                 f"{side * side * clock / bandwidth:g} MAC/B against {intensity:.3f} at 2 B",
                 f"{side}x{side} 个乘加单元，{clock / 1e9:g} GHz，{bandwidth / 1e9:g} GB/s：脊点 "
                 f"{side * side * clock / bandwidth:g} MAC/B，2 B 时强度 {intensity:.3f}")  # fmt: skip


def _say_laws(findings: Findings) -> None:
    findings.say("cycles of a layer = groups·Ho·Wo·K²·ceil(Ci/g/T)·ceil(Co/g/T); time = max(cycles/clock, bytes/bandwidth)",
                 "每层周期 = 组数·Ho·Wo·K²·⌈Ci/g/T⌉·⌈Co/g/T⌉；时间 = max(周期/频率, 字节/带宽)")  # fmt: skip
    findings.say("bytes: every tensor once (memory); Ho·Wo·K²·Ci·ceil(Co/g/T) inputs and every weight once (weights kept), "
                 "or a weight for each MAC (nothing kept)",
                 "字节数：每个张量一次（存储）；Ho·Wo·K²·Ci·⌈Co/g/T⌉ 个输入，加每个权重一次（权重驻留）"
                 "或每次乘加一个权重（都不驻留）")  # fmt: skip


@solves("6.8")
def utilisation_sweep(task: Task, findings: Findings) -> None:
    """Utilisation against the size of the unit."""
    clock, bandwidth = _rates(task)
    sides = sorted(set(task["sides"]))
    rows = [_row(task, side, clock, bandwidth) for side in sides]
    for name in rows[0]:
        findings.put(name, [row[name] for row in rows])
    findings.put("T", sides)
    intensity = _intensity(_net(task), 2)
    findings.put("ai_2B_mac_per_byte", intensity, "MAC/B")
    findings.put("largest_balanced_T_2B", math.sqrt(intensity * bandwidth / clock))
    _say_laws(findings)
    findings.say("T: mapping alone | memory at 2 B, 4 B | weights kept at 2 B, 4 B | nothing kept at 2 B, 4 B",
                 "T：只看映射 | 存储 2 B、4 B | 权重驻留 2 B、4 B | 都不驻留 2 B、4 B")  # fmt: skip
    for side, row in zip(sides, rows, strict=True):
        mapping, *pairs = (f"{value:.4f}" for value in row.values())
        text = f"{side}: {mapping} | " + " | ".join(
            f"{two} {four}" for two, four in zip(pairs[::2], pairs[1::2], strict=True)
        )
        findings.say(text, text)
    curves = [("mapping_utilisation", ("mapping alone", "只看映射"))]
    curves += [(name, _SAID[reading]) for reading, name in zip(READINGS, list(rows[0])[1::2], strict=True)]
    findings.draw(Figure(
        (f"Utilisation of a T x T unit by {task['model']}, {bandwidth / 1e9:g} GB/s, 2 B a word",
         f"T×T 单元在 {task['model']} 上的利用率，{bandwidth / 1e9:g} GB/s，每字 2 B"),
        Axis(("T", "T"), log=True), Axis(("utilisation", "利用率")),
        tuple(Curve(title, _points(sides, [row[name] for row in rows])) for name, title in curves),
    ))  # fmt: skip


def _points(xs: list[int], ys: list[float]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), y) for x, y in zip(xs, ys, strict=True))


def _scalar(net: Workload, units: int, words_a_s: float, clock: float, shared: bool) -> float:
    """Utilisation of N scalar MACs by a network: any N outputs, or N output channels of one place with one input."""
    seconds = 0.0
    for operator in weighted(net):
        channels, filters, rest = _parts(operator)
        outputs = operator.outputs[0].elements
        terms = operator.total.macs // (outputs * operator.repeats)  # products of one output
        cycles = rest * channels * -(-filters // units) if shared else operator.repeats * terms * -(-outputs // units)
        words = operator.total.macs + (cycles if shared else operator.total.macs)
        seconds += max(cycles / clock, words / words_a_s)
    return min(1.0, macs(weighted(net)) / (units * clock * seconds))


@solves("6.9-b<bytes>", "6.9")
def scalar_units(task: Task, findings: Findings) -> None:
    """N scalar MACs with their sum in a register: two operands each, or one shared input and a weight each."""
    size, units, clock = task["bytes"], task["units"], task.clock_hz()
    feed = task["bandwidth_Bpc"] or task.bandwidth_bps() / clock
    alone = [min(1.0, feed / (2 * size * n)) for n in units]
    shared = [min(1.0, feed / (size * (n + 1))) for n in units]
    findings.put("no_sharing", alone)
    findings.put("input_broadcast", shared)
    net = _net(task)
    by_net = {name: [_scalar(net, n, feed * clock / size, clock, name == "input_broadcast") for n in units]
              for name in ("no_sharing", "input_broadcast")}  # fmt: skip
    findings.put(f"on_{task['model']}", by_net)
    for n, a, b, c, d in zip(units, alone, shared, *by_net.values(), strict=True):
        findings.say(f"{n} units: {a:.4g} alone, {b:.4g} with a shared input; {c:.4g} and {d:.4g} on {task['model']}",
                     f"{n} 个单元：各自取数 {a:.4g}，共享输入 {b:.4g}；在 {task['model']} 上为 {c:.4g} 和 {d:.4g}")  # fmt: skip
    findings.say(f"{feed:g} B a cycle; full use up to {feed / (2 * size):.3g} units alone, {feed / size - 1:.3g} shared",
                 f"每周期 {feed:g} B；至多 {feed / (2 * size):.3g} 个单元满载，"
                 f"共享输入时 {feed / size - 1:.3g} 个")  # fmt: skip
    findings.draw(Figure(
        (f"Utilisation of N scalar MACs by {task['model']}, {size} B a word",
         f"N 个标量乘加单元在 {task['model']} 上的利用率，每字 {size} B"),
        Axis(("N", "N"), log=True), Axis(("utilisation", "利用率")),
        (Curve(("two operands each", "各取两个操作数"), _points(units, by_net["no_sharing"])),
         Curve(("one shared input", "共享输入"), _points(units, by_net["input_broadcast"]))),
    ))  # fmt: skip


@solves("6.10")
def roofline(task: Task, findings: Findings) -> None:
    """Ridge of each machine, and a network with its layers under the roof of the last."""
    machines = [Task(task.id, task.inputs, name, name) for name in ([task.hardware] if task.hardware else [])]
    machines = machines or [Task(task.id, task.inputs, None, name) for name in task["machines"]]
    roofs = [(str(one.machine()), one.macs_per_s("float32", "float16"), one.bandwidth_bps()) for one in machines]
    for name, peak, bandwidth in roofs:
        findings.say(f"{name}: {peak / 1e9:g} GMAC/s over {bandwidth / 1e9:g} GB/s: ridge {peak / bandwidth:g} MAC/B",
                     f"{name}：{peak / 1e9:g} GMAC/s，{bandwidth / 1e9:g} GB/s：脊点 {peak / bandwidth:g} MAC/B")  # fmt: skip
    _, peak, bandwidth = roofs[-1]
    net = network(task["model"]).with_dtype("float32")
    width = task["bytes_per_value"]
    intensity = _intensity(net, width)
    attainable = min(peak, intensity * bandwidth)
    findings.put("ridge_mac_per_byte", [p / b for _, p, b in roofs], "MAC/B")
    findings.put("alexnet_attainable_GMACs_ch6", attainable / 1e9, "GMAC/s")
    findings.put("intensity_mac_per_byte", intensity, "MAC/B")
    findings.put("share_of_peak", attainable / peak)
    total = macs(weighted(net))
    findings.say(f"{task['model']}: {total:,} MACs over {round(total / intensity):,} B = {intensity:.4f} MAC/B; attainable "
                 f"{attainable / 1e9:.2f} GMAC/s, {attainable / peak:.1%} of peak",
                 f"{task['model']}：{total:,} 次乘加，{round(total / intensity):,} B，强度 {intensity:.4f} MAC/B；可达 "
                 f"{attainable / 1e9:.2f} GMAC/s，为峰值的 {attainable / peak:.1%}")  # fmt: skip
    dots = []
    for operator in weighted(net):
        own = operator.total.macs / (width * _each_once(net, operator, 1))
        dots.append((own, min(peak, own * bandwidth)))
        findings.say(f"{operator.path}: {own:.4g} MAC/B, {dots[-1][1] / 1e9:.4g} GMAC/s",
                     f"{operator.path}：{own:.4g} MAC/B，{dots[-1][1] / 1e9:.4g} GMAC/s")  # fmt: skip
    findings.draw(_roofline_figure(task["model"], roofs, dots, (intensity, attainable)))


def _roofline_figure(model: str, roofs: list[tuple[str, float, float]], dots: list[tuple[float, float]],
                     whole: tuple[float, float]) -> Figure:  # fmt: skip
    xs = [x for x, _ in (*dots, whole)] + [peak / bandwidth for _, peak, bandwidth in roofs]
    low, high = min(xs) / 2, max(xs) * 2
    curves = [
        Curve((name, name), ((low, low * bandwidth), (peak / bandwidth, peak), (high, peak)))
        for name, peak, bandwidth in roofs
    ]
    curves.append(
        Curve((f"layers of {model} on the last machine", f"{model} 各层（最后一台机器）"), tuple(dots), joined=False)
    )
    curves.append(Curve((f"{model} as a whole", f"{model} 整体"), (whole,), joined=False))
    return Figure(("Roofline", "Roofline 图"), Axis(("intensity", "强度"), "MAC/B", log=True),
                  Axis(("attainable", "可达性能"), "MAC/s", log=True), tuple(curves))  # fmt: skip
