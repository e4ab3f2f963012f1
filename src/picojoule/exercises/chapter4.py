"""Chapter 4: first programs, files of weights and of images, preparing images, the choice of a network."""

from picojoule.lifecycle import Data, Preprocess, central_crop, learning_rate, record_overhead_bytes, values_of
from picojoule.quantity import InputError, format_quantity
from picojoule.workload import Graph, Workload, dtype_name, ops

from ._counts import macs, network, weighted
from ._findings import Findings
from ._prune import constant
from ._task import Task, solves


@solves("4.1")
def hello(task: Task, findings: Findings) -> None:
    """A constant: data, no work."""
    size = len(task["text"].encode())
    g = Graph("hello", dtype="uint8")
    g.parameter("text", (size,), "constant", "uint8")
    net = g.workload()
    findings.put("operators", len(net.operators))
    findings.put("bytes", sum(t.bytes_of(t.elements) for t in net.tensors.values()), "B")
    findings.say(f"{size} bytes of data, {len(net.operators)} operators: printing is no arithmetic",
                 f"{size} 字节数据，{len(net.operators)} 个算子：打印不是运算")  # fmt: skip


def _sum(elements: int, dtype: str, *, both_constant: bool) -> Workload:
    g = Graph("sum", dtype=dtype)
    a = g.parameter("A", (elements,), "constant")
    b = g.parameter("B", (elements,), "constant") if both_constant else g.input("B", (elements,))
    g.output(ops.binary(g, "add", a, b))
    return g.workload()


@solves("4.2")
def addition(task: Task, findings: Findings) -> None:
    """A constant and a placeholder, and what is left if both are constants."""
    n, dtype = task["elements"], dtype_name(task["dtype"])
    net, fixed = (_sum(n, dtype, both_constant=both) for both in (False, True))
    left = fixed.work.adds - sum(o.total.adds for o in constant(fixed))
    moved = net.traffic(net.operators[0]).total
    findings.put("additions", net.work.adds)
    findings.put("bytes", moved, "B")
    findings.put("additions_if_both_are_constants", left)
    findings.say(f"{net.work.adds} addition(s); two operands and one result: {moved} B",
                 f"{net.work.adds} 次加法；两个操作数和一个结果：{moved} B")  # fmt: skip
    findings.say(f"with two constants the sum is folded before running: {left} additions",
                 f"若两者都是常量，编译时即可折叠：{left} 次加法")  # fmt: skip


@solves("4.4", "4.4-<model>")
def weight_file(task: Task, findings: Findings) -> None:
    """Bytes read if the file of weights is opened once, or once a layer."""
    net = network(task["model"])
    size = sum(t.bytes_of(t.stored_elements) for t in net.parameters)
    layers = sum(1 for _ in weighted(net))
    findings.put("file_bytes", size, "B")
    findings.put("layers", layers)
    findings.put("bytes_if_read_for_each_layer", size * layers, "B")
    findings.say(f"once: {size:,} B; for each of {layers} layers: {size * layers:,} B",
                 f"只读一次：{size:,} B；{layers} 层各读一次：{size * layers:,} B")  # fmt: skip


def image_sides(task: Task, key: str) -> tuple[int, int, int]:
    """Height, width and channels of the input `key`."""
    sides = task[key]
    if len(sides) != 3:
        raise InputError(f"{key} has {len(sides)} sizes", where=f"exercise {task.id}", expected="height, width, channels",
                         example=f"--set {key}=[224,224,3]")  # fmt: skip
    return sides[0], sides[1], sides[2]


@solves("4.5")
def channel_order(task: Task, findings: Findings) -> None:
    """Height, width, channels to channels, height, width; or blue, green, red to red, green, blue."""
    height, width, channels = image_sides(task, "image")
    g = Graph("layout", dtype=dtype_name(task["dtype"]))
    g.output(ops.transpose(g, g.input("x", (height, width, channels)), (2, 0, 1)))
    net = g.workload()
    (move,) = net.operators
    findings.put("elements_read", move.inputs[0].elements)
    findings.put("elements_written", move.outputs[0].elements)
    findings.put("bytes", net.traffic(move).total, "B")
    findings.put("operations", sum(net.work.as_dict().values()))
    findings.say(f"{height}·{width}·{channels} = {move.inputs[0].elements:,} values read and written again, no arithmetic; "
                 "turning the channels round costs the same",
                 f"{height}·{width}·{channels} = {move.inputs[0].elements:,} 个值读出再写入，没有运算；"
                 "颠倒通道顺序代价相同")  # fmt: skip


@solves("4.6")
def preparing(task: Task, findings: Findings) -> None:
    """Values that decoding, resizing, cropping and normalising write."""
    image = image_sides(task, "image")
    sides = []
    for key in ("resize", "crop"):
        if len(task[key]) < 2:
            raise InputError(f"{key} has one size", where=f"exercise {task.id}", expected="height and width",
                             example=f"--set {key}=[224,224]")  # fmt: skip
        sides.append((task[key][0], task[key][1]))
    values = values_of(Data(1, image), Preprocess(True, sides[0], sides[1], True))
    findings.put("decoded_elements", values["decode"])
    findings.put("resized_elements", values["resize"])
    findings.put("cropped_elements", values["crop"])
    findings.put("normalise_sub", values["normalise"])
    findings.put("normalise_mul", values["normalise"])
    share = task["share"]
    middle = central_crop(image[0], image[1], share)
    findings.put(f"crop{f'{share:.3f}'.replace('.', '')}_of_{image[0]}x{image[1]}", list(middle))
    findings.say(f"decode {values['decode']:,}, resize {values['resize']:,} (3 linear interpolations each), crop "
                 f"{values['crop']:,}, normalise {values['normalise']:,} subtractions and multiplications",
                 f"解码 {values['decode']:,}，缩放 {values['resize']:,}（每值 3 次线性插值），裁剪 {values['crop']:,}，"
                 f"归一化 {values['normalise']:,} 次减法和乘法")  # fmt: skip
    findings.say(f"the middle {share:g} of {image[0]} x {image[1]}: {middle[0]} x {middle[1]}, rounded down",
                 f"{image[0]}×{image[1]} 居中取 {share:g}：{middle[0]}×{middle[1]}，向下取整")  # fmt: skip


@solves("4.7")
def records(task: Task, findings: Findings) -> None:
    """Bytes that framing adds, and the time of opening many files."""
    count, each = task["records"], task["bytes_per_record_overhead"]
    extra = record_overhead_bytes(count, each)
    data = count * task["bytes_per_record"]
    findings.put("overhead_bytes", extra, "B")
    findings.say(f"{count:,} records · {each} B = {extra:,} B", f"{count:,} 条记录 · {each} B = {extra:,} B")
    singly = count * task["open_s"] + data / task["bandwidth_Bps"]
    sharded = task["shards"] * task["open_s"] + (data + extra) / task["bandwidth_Bps"]
    findings.put("seconds_file_by_file", singly, "s")
    findings.put("seconds_in_shards", sharded, "s")
    findings.say(f"t = files·t_open + bytes/bandwidth: {format_quantity(singly, 's')} for {count:,} files, "
                 f"{format_quantity(sharded, 's')} for {task['shards']:,} shards",
                 f"t = 文件数·t_open + 字节/带宽：{count:,} 个文件 {format_quantity(singly, 's')}，"
                 f"{task['shards']:,} 个分片 {format_quantity(sharded, 's')}")  # fmt: skip


@solves("4.8")
def decay(task: Task, findings: Findings) -> None:
    """Learning rate at each step named."""
    rates = [learning_rate(task["lr0"], task["decay"], task["every"], step) for step in task["steps"]]
    findings.put("lr", rates)
    for step, rate in zip(task["steps"], rates, strict=True):
        times = step // task["every"]
        findings.say(f"step {step:,}: {task['lr0']:g}·{task['decay']:g}^{times} = {rate:.10g}",
                     f"第 {step:,} 步：{task['lr0']:g}·{task['decay']:g}^{times} = {rate:.10g}")  # fmt: skip


@solves("4.12")
def cheapest(task: Task, findings: Findings) -> None:
    """The network of fewest MACs, or joules on a machine, whose published accuracy suffices."""
    wanted = task["top5"]
    able = {model: top5 for model, top5 in task["published"].items() if top5 >= wanted}
    if not able:
        raise InputError(f"no network of the table reaches {wanted:g} %", where=f"exercise {task.id}",
                         expected=f"{max(task['published'].values()):g} or less", example="--set top5=85.0")  # fmt: skip
    unit = "J" if task.hardware else "MAC"
    costs = {model: _cost(model, task.hardware) for model in task["published"]}
    best = min(able, key=lambda model: costs[model])
    findings.put("network", best)
    findings.put("top5", able[best], "%")
    findings.put("cost", costs[best], unit)
    findings.put("costs", costs, unit)
    for model, top5 in sorted(task["published"].items(), key=lambda row: costs[row[0]]):
        shown = format_quantity(costs[model], "J") if task.hardware else f"{costs[model]:,} MACs"
        enough = "enough" if top5 >= wanted else "too low", "达到" if top5 >= wanted else "不足"
        findings.say(f"{model}: {shown}, published top-5 {top5:g} %, {enough[0]}",
                     f"{model}：{shown}，已发表 Top-5 {top5:g} %，{enough[1]}")  # fmt: skip


def _cost(model: str, hardware: str | None) -> float:
    if hardware is None:
        return macs(weighted(network(model)))
    from picojoule._api import estimate

    return estimate(network(model), hardware, draws=1).cost.total_energy_j.nominal
