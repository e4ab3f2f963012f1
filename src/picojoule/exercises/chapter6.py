"""Chapter 6: speed-up of a whole network, memory-bound layers."""

from fractions import Fraction

from picojoule.quantity import InputError
from picojoule.studies import amdahl

from ._counts import convolution_macs, is_convolution, network, product_macs, weighted
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


@solves("6.1")
def many_neurons(task: Task, findings: Findings) -> None:
    """How often each hardware neuron serves: units take neurons in turn, so that networks may be of any size."""
    layers = list(weighted(network(task["model"])))
    neurons = sum(o.outputs[0].elements * o.repeats for o in layers)
    turns = sum(-(-o.outputs[0].elements * o.repeats // task["units"]) for o in layers)
    findings.put("neurons", neurons)
    findings.put("turns", turns)
    findings.say(f"{task['model']} has {neurons:,} neurons; {task['units']} units take them in {turns:,} turns, layer after "
                 f"layer, where a neuron of silicon for each would need {neurons:,}",
                 f"{task['model']} 有 {neurons:,} 个神经元；{task['units']} 个单元逐层分 {turns:,} 轮完成，"
                 f"若一个硬件神经元对应一个算法神经元则要 {neurons:,} 个")  # fmt: skip
