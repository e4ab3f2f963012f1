"""Chapters 4 and 5, where counts answer: products, shapes, neighbours, LeNet, ways to compute a convolution."""

import re
from typing import Final

from picojoule.quantity import InputError
from picojoule.workload import Graph, Workload, dtype_name, ops

from ._counts import macs, network, one_convolution, total_parameters, weighted
from ._findings import Findings
from ._task import Task, solves

_CONVOLUTION: Final = re.compile(r"(\d+)x(\d+) (\d+)->(\d+) at (\d+)x(\d+)(?:, pad (\d+))?")


def _square(n: int, dtype: str, *, elementwise: bool) -> Workload:
    g = Graph("square", dtype=dtype)
    a, b = g.input("a", (n, n)), g.input("b", (n, n))
    g.output(ops.binary(g, "mul", a, b) if elementwise else ops.matmul(g, a, b))
    return g.workload()


@solves("4.3", "4.3-<n>")
def products(task: Task, findings: Findings) -> None:
    """A matrix product, and the element-wise one that the document's program runs."""
    n, dtype = task["n"], dtype_name(task["dtype"])
    product, each = _square(n, dtype, elementwise=False), _square(n, dtype, elementwise=True)
    moved, moved_each = (w.traffic(w.operators[0]).total for w in (product, each))
    findings.put("matmul", {"multiplications": product.work.muls, "additions": product.work.adds, "min_bytes": moved})
    findings.put("elementwise", {"multiplications": each.work.muls, "bytes": moved_each})
    speedup = task["cpu_s"] / task["gpu_s"]
    findings.put("seed_speedup", speedup)
    findings.say(f"matmul: n³ = {product.work.muls:,} multiplications, {product.work.adds:,} additions, at least "
                 f"{moved:,} B: {product.work.macs / moved:.4g} MAC/B",
                 f"矩阵乘：n³ = {product.work.muls:,} 次乘法，{product.work.adds:,} 次加法，至少 {moved:,} B："
                 f"{product.work.macs / moved:.4g} MAC/B")  # fmt: skip
    findings.say(f"tf.multiply: {each.work.muls:,} multiplications, {moved_each:,} B",
                 f"tf.multiply：{each.work.muls:,} 次乘法，{moved_each:,} B")  # fmt: skip
    findings.say(f"times of the log: {task['cpu_s']:.4f} s / {task['gpu_s']:.4f} s = {speedup:.2f}",
                 f"日志中的时间：{task['cpu_s']:.4f} s / {task['gpu_s']:.4f} s = {speedup:.2f}")  # fmt: skip


@solves("4.9", "4.9-<model>")
def shapes_after_pools(task: Task, findings: Findings) -> None:
    """Height, width, channels after each max pool."""
    workload = network(task["model"])
    pools = [o for o in workload.operators if o.op == "max_pool2d"]
    shapes = [workload.tensors[o.outputs[0].tensor].shape for o in pools]
    findings.put("hwc", [[height, width, channels] for _, channels, height, width in shapes])
    for index, (_, channels, height, width) in enumerate(shapes, start=1):
        findings.say(f"pool {index}: {height}x{width}x{channels}", f"第 {index} 个池化：{height}x{width}x{channels}")


@solves("4.10", "4.10-knn")
def neighbours(task: Task, findings: Findings) -> None:
    """Nearest neighbour: distances to every training vector, then the smallest."""
    n, width = task["train"], task["dim"]
    if task["metric"] not in ("L1", "L2"):
        raise InputError(f"metric is {task['metric']!r}", where=f"exercise {task.id}", expected="L1 or L2",
                         example='--set metric="L1"')  # fmt: skip
    g = Graph("nearest")
    train, query = g.input("train", (n, width)), g.input("query", (1, width))
    gap = ops.binary(g, "sub", train, query)
    size = ops.unary(g, "abs" if task["metric"] == "L1" else "square", gap)
    g.output(ops.argmax(g, ops.reduce(g, "sum", size, (1,)), 0, op="argmin"))
    by_op = {o.op: o.total for o in g.workload().operators}
    row = {"sub": by_op["sub"].adds}
    if task["metric"] == "L1":
        row["abs"] = dict(by_op["abs"].special)["abs"]
    else:
        row["mul"] = by_op["square"].muls
    row |= {"add": by_op["reduce_sum"].adds, "compare": dict(by_op["argmin"].special).get("compare", 0)}
    findings.put("per_query", row)
    findings.put("all_sub", row["sub"] * task["queries"])
    terms = ", ".join(f"{count:,} {name}" for name, count in row.items())
    findings.say(f"a query: {terms}", f"每次查询：{terms}")


@solves("4.11")
def lenet(task: Task, findings: Findings) -> None:
    """LeNet-5."""
    workload = network(task["net"])
    findings.put("params", total_parameters(workload))
    findings.put("macs", macs(weighted(workload)), "MAC")
    for operator in weighted(workload):
        shape = "x".join(map(str, workload.tensors[operator.outputs[0].tensor].shape[1:]))
        findings.say(f"{operator.path}: gives {shape}, {operator.total.macs:,} MACs",
                     f"{operator.path}：输出 {shape}，{operator.total.macs:,} 次乘加")  # fmt: skip


def convolution_of(task: Task) -> tuple[int, ...]:
    """Kernel, channels in and out, map and padding of "3x3 256->256 at 56x56, pad 1"."""
    found = _CONVOLUTION.fullmatch(task["conv"].strip())
    if found is None or "0" in found.groups()[:6]:
        raise InputError(f"conv is {task['conv']!r}", where=f"exercise {task.id}", expected="kernel, channels, map, padding",
                         example='--set conv="3x3 256->256 at 56x56, pad 1"')  # fmt: skip
    return tuple(int(n) for n in found.groups("0"))


@solves("5.7")
def convolution_algorithms(task: Task, findings: Findings) -> None:
    """Direct, through im2col, and by Winograd's F(2x2, 3x3)."""
    k, wide, channels, filters, height, width, pad = convolution_of(task)
    workload, y = one_convolution(height, width, channels, filters, (k, wide), padding=pad, bias=False)
    _, _, rows, columns = y.shape
    copied = channels * k * wide * rows * columns
    findings.put("direct_macs", macs(weighted(workload)), "MAC")
    findings.put("im2col_elements", copied)
    findings.put("im2col_inflation", copied / (channels * height * width))
    findings.say(f"direct: {macs(weighted(workload)):,} MACs; im2col matrix: {copied:,} elements",
                 f"直接：{macs(weighted(workload)):,} 次乘加；im2col 矩阵：{copied:,} 个元素")  # fmt: skip
    if (k, wide) == (3, 3):
        # A tile of 2 x 2 outputs takes 4 x 4 products a channel pair instead of 36.
        tiles = -(-rows // 2) * -(-columns // 2)
        winograd = tiles * 16 * channels * filters
        findings.put("winograd_f2x3_multiplications", winograd)
        findings.say(f"Winograd: {tiles:,} tiles of 16 products for each of {channels}·{filters} pairs = {winograd:,}, "
                     "transforms apart",
                     f"Winograd：{tiles:,} 块，每块每对通道 {channels}·{filters} 做 16 次乘法 = {winograd:,}，"
                     "变换另计")  # fmt: skip
