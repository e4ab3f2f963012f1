"""Chapter 6: networks in the instruction set of the processor, run cycle by cycle, on its roofline."""

from typing import TYPE_CHECKING

from picojoule.quantity import InputError

from ._figure import Axis, Curve, Figure
from ._findings import Findings
from ._small_graphs import Drawing, attention, convolutional, recurrent
from ._task import Task, solves
from .chapter7_processor import processor, tell_machine

if TYPE_CHECKING:
    from picojoule.machine import Machine
    from picojoule.machine.compiler import Compiled

_SHOWN = 24  # words of a program that are printed


def _same(compiled: "Compiled", net: Drawing, count: int) -> bool:
    """Whether running the instructions gives the bits of whole arrays, on so many random inputs."""
    for given in net.feeds(count):
        found, expected = compiled(given), compiled.reference(given)
        if any(found[name].tobytes() != expected[name].tobytes() for name in found):
            return False
    return True


@solves("6.5")
def network_in_instructions(task: Task, findings: Findings) -> None:
    """The instruction set, and LeNet-5 in it: compiled, decoded again, run on random images."""
    from picojoule.machine import SPECS, decode, disassemble, encode
    from picojoule.machine.compiler import compile_graph

    machine, dtype = processor(task), task["dtype"]
    if dtype not in ("int8", "float32"):
        raise InputError(
            f"dtype is {dtype!r}", where="exercise 6.5", expected="int8 or float32", example="--set dtype=int8"
        )
    if task["side"] < 12 or task["images"] > 1000:
        raise InputError("an image too small, or more than 1,000 of them", where="exercise 6.5",
                         expected="a side of 12 or more", example="--set side=28")  # fmt: skip
    tell_machine(machine, findings)
    net, output = convolutional(task["seed"], task["side"])
    data = net.feeds(4) if dtype == "int8" else []
    compiled = compile_graph(net.graph(output), machine, dtype, calibration=data)
    timing, program = compiled.time(), compiled.program
    words = [encode(one) for code in program.sections.values() for one in code]
    again = all(encode(decode(word)) == word for word in words)
    same = _same(compiled, net, task["images"])
    macs = timing.counts["matrix", f"mac_{dtype}"]
    findings.put("instruction_kinds", len(SPECS))
    findings.put("words", len(words))
    findings.put("macs", macs, "MAC")
    findings.put("cycles", float(timing.cycles), "cycle")
    findings.put("encoded_again_equal", again)
    findings.put("bits_equal_reference", same)
    findings.show("the instruction set", "指令集", (
        f"{spec.name:<8} {'.'.join(one.name for one in spec.fields) or '-':<38} {spec.takes}"[:100] for spec in SPECS.values()
    ))  # fmt: skip
    text = [line for line in disassemble(program).splitlines() if line and not line.startswith(".data")]
    findings.show(f"the first of {len(words)} words", f"{len(words)} 条指令的开头", text[:_SHOWN])
    findings.assume("weights and images are random, from the seed; int8 is scaled on four images",
                    "权重与图像由种子随机生成；int8 用四幅图像标定")  # fmt: skip
    findings.say(f"LeNet-5 in {dtype}: {macs:,} MACs in {len(words):,} words of 128 bits, {float(timing.cycles):,.10g} cycles; "
                 f"{task['images']} images run through them give the bits of the reference: {'yes' if same else 'no'}",
                 f"LeNet-5（{dtype}）：{macs:,} 次乘加，{len(words):,} 条 128 位指令，{float(timing.cycles):,.10g} 周期；"
                 f"{task['images']} 幅图像逐条执行，结果与参考逐位相同：{'是' if same else '否'}")  # fmt: skip


@solves("6.13")
def networks_on_roofline(task: Task, findings: Findings) -> None:
    """A convolutional, a recurrent and an attention network, timed by instruction, under the roof of the machine."""
    from picojoule.machine.compiler import compile_graph

    machine, seed = processor(task), task["seed"]
    tokens, width, heads = (task[name] for name in ("tokens", "width", "heads"))
    if width % heads or max(tokens, width) > 1024 or task["steps"] > 256 or task["hidden"] > 2048:
        raise InputError(f"{tokens} tokens of {width} numbers in {heads} heads", where="exercise 6.13",
                         expected="heads that divide the width, and at most 1,024 tokens and numbers",
                         example="--set heads=4")  # fmt: skip
    tell_machine(machine, findings)
    nets = {
        "cnn": convolutional(seed, task["side"]),
        "rnn": recurrent(seed, task["inputs"], task["hidden"], task["steps"]),
        "transformer": attention(seed, tokens, width, heads),
    }
    clock = float(machine.clock_hz)
    peak = machine.rate("macs", "float32") * machine.cores * clock
    bandwidth = float(machine.bus) * clock
    dots: dict[str, tuple[float, float]] = {}
    table: dict[str, list[float]] = {
        name: [] for name in ("macs", "bytes", "cycles", "mac_per_byte", "mac_per_s", "of_roof")
    }
    same = True
    for kind, (net, output) in nets.items():
        compiled = compile_graph(net.graph(output), machine)
        timing = compiled.time()
        same &= _same(compiled, net, task["runs"])
        macs = timing.counts["matrix", "mac_float32"]
        moved = timing.counts["dram", "read"] + timing.counts["dram", "write"]
        dots[kind] = macs / moved, macs / timing.seconds
        roof = min(peak, dots[kind][0] * bandwidth)
        row = (macs, moved, float(timing.cycles), *dots[kind], dots[kind][1] / roof)
        for values, value in zip(table.values(), row, strict=True):
            values.append(value)
        share = f"{dots[kind][1] / roof:.1%}"
        findings.say(f"{kind}, {net.name}: {macs:,} MACs, {moved:,} B over the bus, {float(timing.cycles):,.10g} cycles: "
                     f"{dots[kind][0]:.4g} MAC/B, {dots[kind][1] / 1e9:.4g} GMAC/s, {share} of the roof",
                     f"{kind}，{net.name}：{macs:,} 次乘加，片外 {moved:,} B，{float(timing.cycles):,.10g} 周期："
                     f"{dots[kind][0]:.4g} MAC/B，{dots[kind][1] / 1e9:.4g} GMAC/s，为屋顶的 {share}")  # fmt: skip
    units = {"macs": "MAC", "bytes": "B", "cycles": "cycle", "mac_per_byte": "MAC/B", "mac_per_s": "MAC/s"}
    findings.put("networks", list(nets))
    for name, values in table.items():
        findings.put(name, values, units.get(name, "1"))
    findings.put("bits_equal_reference", same)
    findings.put("ridge_mac_per_byte", peak / bandwidth, "MAC/B")
    findings.assume("float32, batch 1; bytes and cycles are what the program moved and took, not what it could have",
                    "float32，批大小 1；字节数和周期数取程序实际的搬运和用时")  # fmt: skip
    findings.draw(_figure(machine, peak, bandwidth, dots))


def _figure(machine: "Machine", peak: float, bandwidth: float, dots: dict[str, tuple[float, float]]) -> Figure:
    xs = [x for x, _ in dots.values()] + [peak / bandwidth]
    low, high = min(xs) / 2, max(xs) * 2
    roof = Curve((machine.name, machine.name), ((low, low * bandwidth), (peak / bandwidth, peak), (high, peak)))
    points = (Curve((kind, kind), (dot,), joined=False) for kind, dot in dots.items())
    return Figure(("Three networks on the roofline", "Roofline 图上的三个网络"), Axis(("intensity", "强度"), "MAC/B", log=True),
                  Axis(("attained", "实际性能"), "MAC/s", log=True), (roof, *points))  # fmt: skip
