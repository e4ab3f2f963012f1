"""Chapter 3: detection, support vectors, recurrent cells, adversaries, style, optimisers."""

import math

from picojoule.lifecycle import descent_steps, frozen_macs, gan_macs, heavy_ball_steps
from picojoule.lifecycle import training_macs as whole_training_macs
from picojoule.quantity import InputError
from picojoule.training import gan_iteration
from picojoule.workload import Graph, Workload, ops
from picojoule.workload.ops.recurrent import GATES

from ._counts import (
    convolution_macs,
    is_convolution,
    macs,
    network,
    parameters,
    total_parameters,
    training_macs,
    weighted,
)
from ._findings import Findings
from ._task import Task, solves


@solves("3.3")
def detection_measures(task: Task, findings: Findings) -> None:
    """Error rate, intersection over union, average precision."""
    box_a, box_b = task["box_a"], task["box_b"]
    if len(box_a) != 4 or len(box_b) != 4:
        raise InputError("a box has four corners", where="exercise 3.3", expected="left, top, right, bottom",
                         example="--set box_a=[0,0,2,2]")  # fmt: skip
    width = min(box_a[2], box_b[2]) - max(box_a[0], box_b[0])
    height = min(box_a[3], box_b[3]) - max(box_a[1], box_b[1])
    both = max(0, width) * max(0, height)
    either = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (box_a, box_b)) - both
    if either <= 0:
        raise InputError("both boxes are empty", where="exercise 3.3", expected="left < right and top < bottom",
                         example="--set box_a=[0,0,2,2]")  # fmt: skip
    findings.put("iou", both / either)
    findings.say(f"IoU = {both} / {either} = {both / either:.4f}", f"IoU = {both} / {either} = {both / either:.4f}")
    hits, precisions = 0, []
    for rank, hit in enumerate(task["detections"], start=1):
        hits += bool(hit)
        if hit:
            precisions.append(hits / rank)
    average = sum(precisions) / task["truths"]
    findings.put("average_precision", average)
    terms = " + ".join(f"{p:.4g}" for p in precisions)
    findings.say(
        f"AP = ({terms}) / {task['truths']} = {average:.4f}", f"AP = ({terms}) / {task['truths']} = {average:.4f}"
    )
    table = task["confusion"]
    wrong = table["fp"] + table["fn"]
    findings.put("error_rate", wrong / sum(table.values()))
    findings.put("iou_of_pixels", table["tp"] / (table["tp"] + wrong))


def _svm(features: int, classes: int, vectors: int) -> tuple[Workload, Workload]:
    """One-against-rest machines: linear, and with a kernel over `vectors` support vectors."""
    linear = Graph("linear-svm")
    x = linear.input("x", (1, features))
    bias = linear.parameter("bias", (classes,), "bias")
    linear.output(ops.linear(linear, x, linear.parameter("weight", (classes, features)), bias))
    kernel = Graph("kernel-svm")
    x = kernel.input("x", (1, features))
    near = ops.linear(kernel, x, kernel.parameter("vectors", (vectors, features)))
    near = ops.unary(kernel, "exp", near)
    kernel.output(ops.linear(kernel, near, kernel.parameter("weight", (classes, vectors))))
    return linear.workload(), kernel.workload()


@solves("3.5")
def support_vectors(task: Task, findings: Findings) -> None:
    """An SVM against AlexNet."""
    features, n = math.prod(task["image"]), task["train_images"]
    linear, kernel = _svm(features, task["classes"], task["kernel_sv"])
    net = network(task["model"])
    per_image = training_macs(net)
    rows = {
        "linear_svm_inference_macs": macs(linear.operators), "kernel_svm_inference_macs": macs(kernel.operators),
        "alexnet_inference_macs": macs(weighted(net)), "kernel_gram_macs": n * (n - 1) // 2 * features,
        "alexnet_train_macs": whole_training_macs(per_image, n, task["epochs"]),
    }  # fmt: skip
    for name, value in rows.items():
        findings.put(name, value, "MAC")
        findings.say(f"{name} = {value:,}", f"{name} = {value:,}")
    findings.put("ratio_alexnet_to_linear", rows["alexnet_inference_macs"] / rows["linear_svm_inference_macs"])
    findings.put("linear_svm_params", total_parameters(linear))
    findings.say(f"d = {features:,} features; Gram matrix N(N - 1)/2·d before any solver step; AlexNet {per_image:,} a sample",
                 f"d = {features:,} 个特征；求解前先要 Gram 矩阵 N(N - 1)/2·d；AlexNet 每个样本 {per_image:,}")  # fmt: skip


@solves("3.6", "3.6-<backbone>")
def region_networks(task: Task, findings: Findings) -> None:
    """R-CNN runs the whole network a proposal; its successors the convolutions once an image."""
    backbone = network(task["backbone"])
    convolutions = convolution_macs(backbone)
    products = [o for o in weighted(backbone) if not is_convolution(o)]
    if len(products) < 2:
        raise InputError(f"{task['backbone']} has no hidden fully connected layer", where=f"exercise {task.id}",
                         expected="a backbone with two fully connected layers or more",
                         example='--set backbone="alexnet_orig"')  # fmt: skip
    hidden = macs(products[:-1])
    width = products[-1].extents["k"]
    # Classes and four box offsets for each of them.
    head = hidden + 5 * task["classes"] * width
    many = task["proposals"]
    rows = {"rcnn": many["rcnn"] * (convolutions + hidden), "fast": convolutions + many["fast"] * head,
            "faster_without_rpn": convolutions + many["faster"] * head}  # fmt: skip
    for name, value in rows.items():
        findings.put(name, value, "MAC")
    findings.put("fast_speedup", rows["rcnn"] / rows["fast"])
    findings.put("faster_speedup", rows["rcnn"] / rows["faster_without_rpn"])
    for line in (
        f"R-CNN: {many['rcnn']:,}·({convolutions:,} + {hidden:,}) = {rows['rcnn']:,}",
        f"Fast R-CNN: {convolutions:,} + {many['fast']:,}·{head:,} = {rows['fast']:,}",
        f"Faster R-CNN: {convolutions:,} + {many['faster']:,}·{head:,} = {rows['faster_without_rpn']:,}",
    ):
        findings.say(line, line.replace(": ", "："))


def _cell(name: str, inputs: int, hidden: int) -> Workload:
    """One step of a recurrent cell with two biases, as PyTorch has it."""
    if name not in GATES:
        raise InputError(
            f"no cell {name!r}", expected=f"one of {', '.join(GATES)}", example="picojoule exercise 3.7-lstm"
        )
    gates = GATES[name]
    g = Graph(f"{name}:{inputs}x{hidden}")
    x = g.input("x", (1, inputs))
    weights = g.parameter("weight_x", (gates * hidden, inputs)), g.parameter("weight_h", (gates * hidden, hidden))
    biases = [g.parameter(f"bias_{side}", (gates * hidden,), "bias") for side in "xh"]
    y = ops.recurrent(g, name, x, *weights, *biases, steps=1, batch=1)  # type: ignore[arg-type]
    g.output(y)
    return g.workload()


def _put_cell(task: Task, findings: Findings, name: str) -> dict[str, int]:
    workload = _cell(name, task["input"], task["hidden"])
    total = total_parameters(workload)
    biases = sum(t.elements for t in workload.parameters if t.role == "bias")
    row = {"params_one_bias": total - biases // 2, "params_two_bias_torch": total,
           "macs_per_step": macs(weighted(workload))}  # fmt: skip
    gates = GATES[name]
    findings.say(f"{name}: {gates}·(h·(x + h) + h) = {row['params_one_bias']:,} parameters with one bias, "
                 f"{total:,} with two; {row['macs_per_step']:,} MACs a step",
                 f"{name}：{gates}·(h·(x + h) + h) = {row['params_one_bias']:,} 个参数（一组偏置），"
                 f"两组偏置 {total:,} 个；每步 {row['macs_per_step']:,} 次乘加")  # fmt: skip
    return row


@solves("3.7-<cell>")
def recurrent_cell(task: Task, findings: Findings) -> None:
    """Parameters and MACs of one cell."""
    for name, value in _put_cell(task, findings, task["cell"]).items():
        findings.put(name, value, "MAC" if name == "macs_per_step" else "1")


@solves("3.7", "004.3.3.1", "004.3.3.2")
def recurrent_cells(task: Task, findings: Findings) -> None:
    """All three cells."""
    for name in GATES:
        findings.put(name, _put_cell(task, findings, name))


@solves("3.8", "3.8-gan")
def adversaries(task: Task, findings: Findings) -> None:
    """Passes of one iteration, in forward passes of generator G and discriminator D."""
    # Steps in forward passes of each network: what the recipe gives for one pass of the one and none of the other.
    passes = tuple(zip(gan_macs(1, 0), gan_macs(0, 1), strict=True))
    total = sum(g for g, _ in passes), sum(d for _, d in passes)
    for name, row in zip(("d_step", "g_step", "per_iteration"), (*passes, total), strict=True):
        findings.put(name, _passes(*row))
    findings.put("value", sum(gan_macs(task["FG"], task["FD"])), "forward passes")
    findings.say("D step: G forward; D forward on real and on made; D backward (dW and dX) on both",
                 "判别器一步：G 前向；D 对真、假样本各前向一次，并各反向一次（dW 与 dX）")  # fmt: skip
    findings.say("G step: G forward, D forward, D backward to its input only, G backward",
                 "生成器一步：G 前向，D 前向，D 只把梯度传到输入，G 反向")  # fmt: skip
    once = gan_iteration(network(task["generator"]), network(task["discriminator"]))
    made, judged = once.generator_forward, once.discriminator_forward
    findings.put("generator_macs", made, "MAC")
    findings.put("discriminator_macs", judged, "MAC")
    findings.put("iteration_macs", once.law, "MAC")
    findings.put("iteration_macs_without_useless_gradients", once.exact, "MAC")
    findings.say(f"{task['generator']}: FG = {made:,}; {task['discriminator']}: FD = {judged:,}; "
                 f"{_passes(*total)} = {once.law:,} MACs a sample; counted operator by operator, {once.exact:,}",
                 f"{task['generator']}：FG = {made:,}；{task['discriminator']}：FD = {judged:,}；"
                 f"{_passes(*total)} = 每个样本 {once.law:,} 次乘加；逐算子计得 {once.exact:,}")  # fmt: skip


def _passes(g: int, d: int) -> str:
    return "+".join(f"{'' if n == 1 else f'{n}*'}{name}" for n, name in ((g, "FG"), (d, "FD")) if n)


@solves("3.9", "3.9-style", "3.9-<model>")
def style(task: Task, findings: Findings) -> None:
    """Weights are frozen: forward, and the gradient down to the pixels."""
    size = task["image"]
    from picojoule.frontends import read_model

    forward = convolution_macs(read_model(task["model"], inputs={"x": (1, 3, size, size)}))
    once = frozen_macs(forward)
    findings.put("macs_per_iteration", once, "MAC")
    findings.put("total", frozen_macs(forward, task["iterations"]), "MAC")
    findings.say(f"forward {forward:,} and dX as much again, no dW: {once:,}; {task['iterations']} iterations",
                 f"前向 {forward:,}，dX 同样多，没有 dW：{once:,}；迭代 {task['iterations']} 次")  # fmt: skip


@solves("3.11", "3.11-<kappa>")
def optimisers(task: Task, findings: Findings) -> None:
    """Gradient descent against the heavy ball on a quadratic, both with their best constants."""
    rows = [(descent_steps(k, task["tolerance"]), heavy_ball_steps(k, task["tolerance"])) for k in _kappas(task)]
    findings.put("gd_steps", [plain for plain, _ in rows])
    findings.put("heavy_ball_steps", [ball for _, ball in rows])
    findings.put("speedup", [plain / ball for plain, ball in rows])
    for kappa, (plain, ball) in zip(task["kappa"], rows, strict=True):
        findings.say(f"condition {kappa}: {plain} steps against {ball}: {plain / ball:.2f} times fewer",
                     f"条件数 {kappa}：{plain} 步对 {ball} 步，快 {plain / ball:.2f} 倍")  # fmt: skip


def _kappas(task: Task) -> list[int]:
    kappas: list[int] = task["kappa"]
    if not all(1 < kappa <= 100_000 for kappa in kappas) or not 1e-15 < task["tolerance"] < 1:
        raise InputError(f"kappa is {kappas}", where="exercise 3.11", expected="condition numbers from 2 to 100000",
                         example="--set kappa=[100]")  # fmt: skip
    return kappas


@solves("3.12", "3.12-<model>")
def imagenet(task: Task, findings: Findings) -> None:
    """What the training costs in MACs; accuracy is measured, not computed."""
    per_image = training_macs(network(task["model"]))
    total = whole_training_macs(per_image, task["images"], task["epochs"])
    findings.put("train_macs_per_image", per_image, "MAC")
    findings.put("train_macs", total, "MAC")
    findings.say(f"{per_image:,} MACs an image, forward and backward; times {task['images']:,} images and "
                 f"{task['epochs']} epochs = {total:.5g}",
                 f"每张图前向加反向 {per_image:,} 次乘加；乘 {task['images']:,} 张图、"
                 f"{task['epochs']} 轮 = {total:.5g}")  # fmt: skip
    findings.say("the accuracy is not predicted: it takes a run, and three seeds or more for a fair claim",
                 "精度不作预测：必须实际训练，且至少三个随机种子才能比较")  # fmt: skip


@solves("004.3.1.1", "004-mac-not-params", "004-mac-not-params-<model>")
def macs_are_not_parameters(task: Task, findings: Findings) -> None:
    """MACs per parameter of the convolutions or of the products."""
    workload = network(task["model"])
    if task["part"] not in ("conv", "fc"):
        raise InputError(f"part is {task['part']!r}", where=f"exercise {task.id}", expected="conv or fc",
                         example='--set part="conv"')  # fmt: skip
    layers = [o for o in weighted(workload) if is_convolution(o) == (task["part"] == "conv")]
    owned = parameters(workload)
    params, n = sum(owned[o.name] for o in layers), macs(layers)
    findings.put("params", params)
    findings.put("macs", n, "MAC")
    findings.put("ratio", n / params if params else 0.0, "MAC")
    findings.say(f"{n:,} MACs over {params:,} parameters", f"{n:,} 次乘加，{params:,} 个参数")
