"""Chapter 5: eager and static graphs, several devices, registering operators, mixed precision, pruning, fusion, sparsity."""

from fractions import Fraction
from typing import Any

from picojoule.lifecycle import (
    hierarchical_s,
    padding_waste,
    ring_bytes,
    ring_s,
    sparsity,
    state_bytes,
    weight_bytes,
)
from picojoule.quantity import InputError, format_quantity
from picojoule.training import Precision, peak_memory, training_step
from picojoule.workload import Graph, Tensor, Workload, dtype_name, ops

from ._counts import chain, macs, network, one_convolution, total_parameters, weighted
from ._figure import Axis, Curve, Figure
from ._findings import Findings
from ._fusion import Moved, fused, unfused
from ._prune import dead, with_dead_nodes
from ._task import Task, solves
from .chapter4 import image_sides
from .chapter45 import convolution_of


@solves("5.1")
def eager(task: Task, findings: Findings) -> None:
    """A sum and a product of square matrices, one after the other."""
    n = task["n"]
    g = Graph("eager", dtype=dtype_name(task["dtype"]))
    a, b = g.input("a", (n, n)), g.input("b", (n, n))
    g.output(ops.binary(g, "add", a, b), ops.matmul(g, a, b))
    net = g.workload()
    for operator in net.operators:
        work, moved = operator.total, net.traffic(operator).total
        findings.put(operator.op, {"multiplications": work.muls, "additions": work.adds, "bytes": moved})
        findings.say(f"{operator.op}: {work.muls:,} multiplications, {work.adds:,} additions, {moved:,} B",
                     f"{operator.op}：{work.muls:,} 次乘法，{work.adds:,} 次加法，{moved:,} B")  # fmt: skip


@solves("5.2")
def graphs(task: Task, findings: Findings) -> None:
    """How often operators are recorded by a graph that is built once, and by one that is built in every run."""
    net, runs = network(task["model"]), task["runs"]
    once = len(net.operators)
    findings.put("operators_recorded_static", once)
    findings.put("operators_recorded_dynamic", once * runs)
    findings.put("macs_either_way", net.work.macs * runs, "MAC")
    findings.say(f"{task['model']}: {once} operators recorded once, or {once}·{runs:,} = {once * runs:,} times; the "
                 f"arithmetic is the same, {net.work.macs * runs:,} MACs",
                 f"{task['model']}：{once} 个算子只记录一次，或 {once}·{runs:,} = {once * runs:,} 次；"
                 f"运算相同，{net.work.macs * runs:,} 次乘加")  # fmt: skip


@solves("5.3")
def several_devices(task: Task, findings: Findings) -> None:
    """The all-reduce of data parallelism: what waits for all gradients."""
    size, link = task["gradient_bytes"], task["link_Bps"]
    sent = [ring_bytes(size, gpus) for gpus in task["gpus"]]
    seconds = [ring_s(size, gpus, link) for gpus in task["gpus"]]
    findings.put("ring_bytes_per_gpu", sent, "B")
    findings.put("seconds", seconds, "s")
    for gpus, n_bytes, time in zip(task["gpus"], sent, seconds, strict=True):
        findings.say(f"{gpus} GPUs: 2·({gpus} - 1)/{gpus}·{size:,} = {n_bytes:,} B each, {format_quantity(time, 's', 4)}",
                     f"{gpus} 个 GPU：2·({gpus} - 1)/{gpus}·{size:,} = 每个 {n_bytes:,} B，"
                     f"{format_quantity(time, 's', 4)}")  # fmt: skip
    per_node, nodes = max(task["gpus"]), task["nodes"]
    whole = hierarchical_s(size, per_node, nodes, link, task["between_Bps"])
    findings.put("seconds_over_nodes", whole, "s")
    findings.say(f"{nodes} nodes of {per_node}: a ring inside each, then one between them over the shard, "
                 f"{format_quantity(whole, 's', 4)}",
                 f"{nodes} 个节点，每个 {per_node} 个 GPU：先在节点内做环，再在节点间对分片做环，"
                 f"{format_quantity(whole, 's', 4)}")  # fmt: skip


def _presets(image: tuple[int, int, int]) -> dict[str, Workload]:
    """The three ways of keras.applications.imagenet_utils on one image."""

    def net(name: str, *steps: str) -> Workload:
        g = Graph(name)
        x = g.input("x", image)
        for index, step in enumerate(steps):
            if step == "turn":
                x = ops.copy(g, x, op="turn")
            elif step in ("sub", "div"):
                x = ops.binary(g, step, x, g.parameter(f"channel{index}", (image[2],), "constant"))
            else:
                x = ops.unary(g, step, x)
        g.output(x)
        return g.workload()

    return {"caffe": net("caffe", "turn", "sub"), "tf": net("tf", "div_scalar", "add_scalar"),
            "torch": net("torch", "div_scalar", "sub", "div")}  # fmt: skip


@solves("5.4")
def keras_preparing(task: Task, findings: Findings) -> None:
    """Work of the presets, and what padding wastes."""
    for name, net in _presets(image_sides(task, "image")).items():
        counts = {key: count for key, count in net.work.as_dict().items() if count}
        moved = sum(net.traffic(o).total for o in net.operators)
        findings.put(name, {**counts, "bytes_unfused": moved})
        terms = ", ".join(f"{count:,} {key}" for key, count in counts.items())
        findings.say(f"{name}: {terms}; {moved:,} B if each step runs alone",
                     f"{name}：{terms}；逐步单独执行时 {moved:,} B")  # fmt: skip
    waste = padding_waste(tuple(task["lengths"]))
    findings.put("padding_waste", waste)
    longest, total = max(task["lengths"]), sum(task["lengths"])
    findings.say(f"pad_sequences: 1 - {total}/({len(task['lengths'])}·{longest}) = {waste:.4f} of the batch is padding",
                 f"pad_sequences：1 - {total}/({len(task['lengths'])}·{longest}) = {waste:.4f} 是填充")  # fmt: skip


def _backward(g: Graph, y: Tensor) -> Workload:
    """Forward and backward down to the input of what `g` recorded."""
    g.output(y)
    return training_step(g.workload(), optimiser=None, input_gradient=True)


@solves("5.5")
def gradients(task: Task, findings: Findings) -> None:
    """Backward work of sin and of max pooling."""
    n, side, window = task["elements"], task["map"], task["window"]
    if window > side:
        raise InputError(f"a window of {window} on a map of {side}", where="exercise 5.5", expected="a smaller window",
                         example="--set window=2")  # fmt: skip
    wave, pool = Graph("sin"), Graph("max_pool")
    nets = {
        "sin": _backward(wave, ops.unary(wave, "sin", wave.input("x", (n,)))),
        "max_pool": _backward(pool, ops.pool(pool, pool.input("x", (1, 1, side, side)), "max", (window, window),
                                             stride=(window, window))),
    }  # fmt: skip
    for name, net in nets.items():
        back = [o for o in net.operators if o.op.endswith("_backward")]  # without the loss
        work = sum((o.total for o in back[1:]), back[0].total)
        counts = {key: count for key, count in work.as_dict().items() if count}
        findings.put(f"{name}_backward", counts)
        steps = ", ".join(o.op for o in back)
        findings.say(f"{name}: backward {steps}: {counts}", f"{name}：反向 {steps}：{counts}")


@solves("5.6")
def registered(task: Task, findings: Findings) -> None:
    """What one entry of the registry answers for a convolution: shape, work, bytes, gradient."""
    k, wide, channels, filters, height, width, pad = convolution_of(task)
    net, y = one_convolution(height, width, channels, filters, (k, wide), padding=pad, bias=False)
    (conv,) = net.operators
    step = training_step(net, optimiser=None, input_gradient=True)
    findings.put("output", list(y.shape[1:]))
    findings.put("macs", conv.total.macs, "MAC")
    findings.put("bytes", net.traffic(conv).total, "B")
    findings.put("backward_macs", step.work.macs - conv.total.macs, "MAC")
    findings.put("loops", dict(conv.space))
    loops = " · ".join(f"{name} {size}" for name, size in conv.space)
    findings.say(f"loops {loops} = {conv.total.macs:,} MACs; bytes {net.traffic(conv).total:,}; backward (dW and dX) "
                 f"{step.work.macs - conv.total.macs:,} MACs",
                 f"循环 {loops} = {conv.total.macs:,} 次乘加；{net.traffic(conv).total:,} 字节；反向（dW 与 dX）"
                 f"{step.work.macs - conv.total.macs:,} 次乘加")  # fmt: skip


@solves("5.9")
def mixed_precision(task: Task, findings: Findings) -> None:
    """What mixed precision keeps, and what it makes smaller."""
    from picojoule.formats import catalogue_entry

    params, optimiser = task["params"], task["optimizer"]
    findings.put("fp32_state_bytes", state_bytes(params, optimiser), "B")
    findings.put("mixed_state_bytes", state_bytes(params, optimiser, mixed=True), "B")
    each = _state_parts(optimiser)
    findings.put("mixed_breakdown_per_param", each, "B")
    wide, half = ([catalogue_entry(name).value.nominal for name in task[key]] for key in ("fp32_mac", "fp16_mac"))
    findings.put("mac_energy_ratio_45nm", sum(wide) / sum(half))
    kept = {}
    for name, precision in (("fp32", None), ("mixed", Precision())):
        step = training_step(network(task["model"], task["batch"]), optimiser="adam", precision=precision)
        kept[name] = peak_memory(step).activations
    findings.put("activation_bytes", kept, "B")
    terms = " + ".join(str(n) for n in each.values())
    findings.say(f"mixed: {terms} = {sum(each.values())} B a parameter ({', '.join(each)}); single: "
                 f"{state_bytes(1, optimiser)} B",
                 f"混合精度：{terms} = 每参数 {sum(each.values())} B（{'、'.join(each)}）；"
                 f"单精度：{state_bytes(1, optimiser)} B")  # fmt: skip
    findings.say(f"a MAC at 45 nm: {sum(wide) * 1e12:.3g} pJ in single, {sum(half) * 1e12:.3g} pJ in half; activations "
                 "(indices of pools do not shrink) "
                 f"of {task['model']} at batch {task['batch']}: {kept['fp32']:,} B and {kept['mixed']:,} B",
                 f"45 nm 下一次乘加：单精度 {sum(wide) * 1e12:.3g} pJ，半精度 {sum(half) * 1e12:.3g} pJ；"
                 "（池化下标不变）"
                 f"{task['model']} 批大小 {task['batch']} 的激活：{kept['fp32']:,} B 与 {kept['mixed']:,} B")  # fmt: skip


def _state_parts(optimiser: str) -> dict[str, int]:
    """Bytes a parameter of each tensor that mixed precision keeps; moments by what each optimiser adds to the last."""
    bases = {name: state_bytes(1, name, mixed=True) for name in ("sgd", "momentum", "adam")}
    half, single = (Tensor("w", (1,), dtype).bytes_of(1) for dtype in ("float16", "float32"))
    parts = {"fp16_weight": half, "fp16_grad": half, "fp32_master": single}
    if optimiser in ("momentum", "adam"):
        parts["fp32_m"] = bases["momentum"] - bases["sgd"]
    if optimiser == "adam":
        parts["fp32_v"] = bases["adam"] - bases["momentum"]
    return parts


@solves("5.10")
def pruned(task: Task, findings: Findings) -> None:
    """The log of pruning a data-flow graph that carries nodes nobody needs."""
    if task["dead_nodes"] > 10_000:
        raise InputError(f"{task['dead_nodes']} dead nodes", where="exercise 5.10", expected="10000 or fewer",
                         example="--set dead_nodes=3")  # fmt: skip
    net = network(task["model"])
    larger = with_dead_nodes(net, task["dead_nodes"])
    gone = dead(larger)
    findings.put("nodes_before", len(larger.operators))
    findings.put("removed", [o.name for o in gone])
    findings.put("nodes_after", len(larger.operators) - len(gone))
    findings.put("bytes_saved", sum(larger.traffic(o).total for o in gone), "B")
    findings.put("macs_saved", sum(o.total.macs for o in gone), "MAC")
    for operator in gone:
        moved = larger.traffic(operator).total
        findings.say(f"remove {operator.name} ({operator.op}): no output is computed from it; {moved:,} B saved",
                     f"删除 {operator.name}（{operator.op}）：没有输出依赖它；省 {moved:,} B")  # fmt: skip
    findings.say(
        f"{len(larger.operators)} nodes, {len(gone)} removed", f"{len(larger.operators)} 个节点，删去 {len(gone)} 个"
    )


def _both_forms(net: Workload, ridge: float) -> dict[str, Any]:
    apart, together = unfused(net), fused(net)
    times = [sum(one.time(ridge) for one in form) for form in (apart, together)]
    before, after = _total(apart), _total(together)
    return {"unfused_bytes": before, "fused_bytes": after, "ratio": before / after,
            f"roofline_speedup_ridge{ridge:g}": times[0] / times[1]}  # fmt: skip


def _total(form: tuple[Moved, ...]) -> int:
    return sum(one.total for one in form)


def _fusion_of(task: Task, model: str, batch: int) -> tuple[Workload, dict[str, Any]]:
    net = network(model, batch).with_dtype(dtype_name(task["dtype"]))
    row = _both_forms(net, task["ridge"])
    if not row["unfused_bytes"]:
        raise InputError(f"{model} moves nothing", where=f"exercise {task.id}", expected="a network with operators")
    return net, row


@solves("5.11-<model>")
def fusion(task: Task, findings: Findings) -> None:
    """Bytes and time of one network, fused and not."""
    for batch in task["batches"]:
        net, row = _fusion_of(task, task["model"], batch)
        findings.put(f"batch{batch}", row)
        _say_fusion(findings, task["model"], batch, row)
    layers = len(fused(net))
    findings.say(f"{len(unfused(net))} operators become {layers}", f"{len(unfused(net))} 个算子合并为 {layers} 个")


def _say_fusion(findings: Findings, model: str, batch: int, row: dict[str, Any]) -> None:
    before, after, ratio, speedup = row.values()
    findings.say(f"{model}, batch {batch}: {before:,} B unfused, {after:,} B fused, {ratio:.4g} times fewer; "
                 f"{speedup:.4g} times faster",
                 f"{model}，批大小 {batch}：不融合 {before:,} B，融合 {after:,} B，减为 1/{ratio:.4g}；"
                 f"快 {speedup:.4g} 倍")  # fmt: skip


@solves("5.11")
def fusion_of_many(task: Task, findings: Findings) -> None:
    """Which networks gain most."""
    gains: dict[str, float] = {}
    shares: dict[str, float] = {}
    for model in task["models"]:
        for batch in task["batches"]:
            net, row = _fusion_of(task, model, batch)
            gains[f"{model}_batch{batch}"] = row["ratio"]
            weights = sum(net.traffic(o).bytes_weights for o in net.operators)
            shares[f"{model}_batch{batch}"] = 1 - weights / row["unfused_bytes"]
            findings.put(f"{model}_batch{batch}", row)
            _say_fusion(findings, model, batch, row)
    best = max(gains, key=lambda name: gains[name])
    findings.put("largest_gain", best)
    findings.say(f"largest gain in bytes: {best}", f"字节数减少最多：{best}")
    findings.put("share_of_activations", shares)
    findings.draw(Figure(
        ("Bytes saved against the share of activations", "融合节省与激活所占份额"),
        Axis(("activations in the bytes unfused", "不融合时激活所占份额")), Axis(("unfused / fused", "不融合 / 融合")),
        tuple(Curve((model, model), tuple((shares[name], gains[name]) for name in
                                          dict.fromkeys(f"{model}_batch{batch}" for batch in task["batches"])))
              for model in dict.fromkeys(task["models"])),
    ))  # fmt: skip


@solves("5.12")
def sparse_training(task: Task, findings: Findings) -> None:
    """Sparsity over the training, bytes of sparse weights, work of the network."""
    target = task["target"]
    if not 0 <= target <= 1:
        raise InputError(f"target is {target:g}", where="exercise 5.12", expected="a share from 0 to 1",
                         example="--set target=0.5")  # fmt: skip
    shares = [sparsity(target, t) for t in task["t"]]
    density = float(1 - Fraction(str(target)))
    findings.put("sparsity", shares)
    findings.put("bitmap_bytes_per_weight", weight_bytes(density, "bitmap"), "B")
    findings.put("csr16_bytes_per_weight", weight_bytes(density, "csr"), "B")
    findings.put("dense_bytes_per_weight", weight_bytes(density, "dense"), "B")
    net = chain(task["layers"])
    dense = macs(weighted(net))
    findings.put("params", total_parameters(net))
    findings.put("dense_macs", dense, "MAC")
    findings.put("macs_if_zeros_are_skipped", dense * density, "MAC")
    schedule = ", ".join(f"{t:g}: {share:.4f}" for t, share in zip(task["t"], shares, strict=True))
    findings.say(f"{target:g}·(1 - (1 - t)³): {schedule}", f"{target:g}·(1 - (1 - t)³)：{schedule}")
    findings.say(f"bitmap {density:g}·4 + 1/8 B, 16-bit column indices {density:g}·(4 + 2) B, dense 4 B a weight",
                 f"位图 {density:g}·4 + 1/8 B，16 位列索引 {density:g}·(4 + 2) B，稠密 4 B 每权重")  # fmt: skip
    findings.say(f"{dense:,} MACs a sample; {dense * density:,.0f} only on hardware that skips zeros",
                 f"每个样本 {dense:,} 次乘加；只有跳过零的硬件才减为 {dense * density:,.0f}")  # fmt: skip
