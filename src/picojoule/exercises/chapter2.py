"""Chapter 2: perceptrons, activation functions, gradients, momentum. Derivatives by the complex step."""

import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from picojoule.lifecycle import momentum_gain, update_bytes
from picojoule.quantity import InputError

from ._counts import chain, macs, total_parameters, weighted
from ._findings import Findings
from ._task import Task, solves

Array = NDArray[np.complex128] | NDArray[np.float64]
Function = Callable[[Array], Array]

# Each works on complex numbers, so that the complex step gives its derivative to machine precision.
FUNCTIONS: Final[dict[str, Function]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "exp": np.exp,
    "relu": lambda x: x * (x.real > 0),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "sin": np.sin,
    "v/sqrt(1+v^2)": lambda x: x / np.sqrt(1 + x * x),
}
# The same derivatives in closed form: the second road.
CLOSED: Final[dict[str, Callable[[float], float]]] = {
    "sigmoid": lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2,
    "tanh": lambda x: 1 - math.tanh(x) ** 2,
    "exp": math.exp,
    "relu": lambda x: float(x > 0),
    "softplus": lambda x: 1 / (1 + math.exp(-x)),
    "silu": lambda x: (1 + math.exp(-x) + x * math.exp(-x)) / (1 + math.exp(-x)) ** 2,
    "sin": math.cos,
    "v/sqrt(1+v^2)": lambda x: (1 + x * x) ** -1.5,
}


def complex_step(function: Function, at: float) -> float:
    """f'(x) = Im f(x + ih) / h with h so small that no rounding is left."""
    step = 1e-30
    return float(np.imag(function(np.array([complex(at, step)])))[0] / step)


def known_function(task: Task) -> str:
    """The function named by the exercise, or an InputError that lists those known."""
    name = str(task["f"]).replace(" ", "").replace("**", "^")
    if name not in FUNCTIONS:
        raise InputError(f"f is {task['f']!r}", where=f"exercise {task.id}", expected=f"one of {', '.join(FUNCTIONS)}",
                         example='--set f="sigmoid"')  # fmt: skip
    return name


@solves("2.2", "2.2-nobias", "2.2-<layers>")
def perceptron(task: Task, findings: Findings) -> None:
    """Parameters of a multilayer perceptron."""
    layers = _layers(task)
    workload = chain(layers, bias=task["bias"])
    pairs = list(pairwise(layers))
    count = {role: sum(t.elements for t in workload.parameters if t.role == role) for role in ("weight", "bias")}
    findings.say("weights: " + " + ".join(f"{a}·{b}" for a, b in pairs) + f" = {count['weight']:,}",
                 "权重：" + " + ".join(f"{a}·{b}" for a, b in pairs) + f" = {count['weight']:,}")  # fmt: skip
    if task["bias"]:
        findings.say("biases, one a neuron: " + " + ".join(str(b) for _, b in pairs) + f" = {count['bias']:,}",
                     "偏置，每个神经元一个：" + " + ".join(str(b) for _, b in pairs) + f" = {count['bias']:,}")  # fmt: skip
    findings.put("weights", count["weight"])
    findings.put("biases", count["bias"])
    findings.put("params", total_parameters(workload))
    findings.put("macs", macs(weighted(workload)), "MAC")


def _layers(task: Task) -> list[int]:
    layers: list[int] = task["layers"]
    if len(layers) < 2:
        raise InputError(f"layers is {layers}", where=f"exercise {task.id}", expected="two widths or more",
                         example="--set layers=[33,512,10]")  # fmt: skip
    return layers


@solves("2.3")
def update(task: Task, findings: Findings) -> None:
    """Work and bytes of one weight update."""
    for name in ("sgd", "momentum", "adam"):
        each = update_bytes(1, name, element_bytes=task["bytes_per_value"])
        findings.put(f"{name}_bytes_per_parameter", each, "B")
    findings.say("read w, read g, write w; each state (momentum: 1, Adam: 2) is read and written too",
                 "读 w、读 g、写 w；每个状态（动量 1 个，Adam 2 个）再各读写一次")  # fmt: skip


@solves("2.4", "004.2.3")
def activation_ranges(task: Task, findings: Findings) -> None:
    """Smallest and largest value of each activation on the grid."""
    found = re.fullmatch(r"(?:numpy|np)\.linspace\(\s*([-+.\de]+)\s*,\s*([-+.\de]+)\s*,\s*(\d+)\s*\)", task["grid"])
    if found is None or not 2 <= int(found[3]) <= 10**6:
        raise InputError(f"grid is {task['grid']!r}", where=f"exercise {task.id}", expected="numpy.linspace(low, high, n)",
                         example='--set grid="numpy.linspace(-10,10,256)"')  # fmt: skip
    x = np.linspace(float(found[1]), float(found[2]), int(found[3]))

    def prelu(a: float) -> NDArray[np.float64]:
        return np.maximum(a * x, x)

    def elu(a: float) -> NDArray[np.float64]:
        return np.where(x > 0, x, a * np.expm1(x))

    wrong, small = task["slope_of_the_code"], task["slope_of_the_table"]
    table = {
        "sigmoid": 1 / (1 + np.exp(-x)), "tanh": np.tanh(x), "relu": np.maximum(0, x),
        "prelu_a_minus_0_01": prelu(wrong), "elu_a_minus_0_01": elu(wrong), "prelu_a_0_01": prelu(small),
        "elu_a_0_01": elu(small), "elu_a_1": elu(1.0),
    }  # fmt: skip
    for name, y in table.items():
        findings.put(name, [float(y.min()), float(y.max())])
        findings.say(f"{name}: {y.min():.6g} to {y.max():.6g}", f"{name}：{y.min():.6g} 到 {y.max():.6g}")
    findings.say("with a below 0 both PReLU and ELU stay above 0; the grid misses 0, so their printed minima are its own",
                 "a 为负时 PReLU 和 ELU 都不小于 0；网格不含 0，文档中的最小值只是网格的产物")  # fmt: skip


@solves("2.6", "2.7")
def derivative(task: Task, findings: Findings) -> None:
    """f' at one or more points, by two roads."""
    name = known_function(task)
    points = task["x"] if "x" in task.inputs else task["v"]
    many = points if isinstance(points, list) else [points]
    for point in many:
        if abs(point) > 300:
            raise InputError(f"{point} is too far out", where=f"exercise {task.id}", expected="between -300 and 300")
    values = [CLOSED[name](point) for point in many]
    for point, value in zip(many, values, strict=True):
        numeric = complex_step(FUNCTIONS[name], point)
        findings.say(f"closed form at {point:g}: {value:.12g}; complex step: {numeric:.12g}",
                     f"在 {point:g} 处，解析式：{value:.12g}；复步法：{numeric:.12g}")  # fmt: skip
    findings.put("derivative", values if isinstance(points, list) else values[0])


@solves("2.8")
def two_hidden_layers(task: Task, findings: Findings) -> None:
    """Weight matrices of an MLP with two hidden layers."""
    layers = _layers(task)
    matrices = sum(1 for t in chain(layers).parameters if t.role == "weight")
    findings.put("weight_matrices", matrices)
    findings.put("hidden_layers", len(layers) - 2)


@solves("2.9")
def momentum(task: Task, findings: Findings) -> None:
    """What a constant gradient is multiplied by in the end."""
    gains = []
    for a in task["momentum"]:
        if not -1 < a < 1:
            raise InputError(f"momentum {a} never settles", where=f"exercise {task.id}", expected="between -1 and 1",
                             example="--set momentum=[0.9]")  # fmt: skip
        gains.append(momentum_gain(a))
        step, steps = 0.0, 0
        while steps < 10**6 and abs(step - gains[-1]) > 1e-12 * abs(gains[-1]):
            step, steps = a * step + 1, steps + 1
        findings.say(f"a = {a:g}: v <- a·v + g settles at {step:.6g}·g after {steps} steps; 1/(1 - a) = {gains[-1]:.6g}",
                     f"a = {a:g}：v <- a·v + g 经 {steps} 步收敛到 {step:.6g}·g；1/(1 - a) = {gains[-1]:.6g}")  # fmt: skip
    findings.put("gain_on_constant_gradient", gains)


@solves("2.10")
def own_activation(task: Task, findings: Findings) -> None:
    """Gradient of (t - f(wx + b))² for an activation of one's own."""
    name = known_function(task)
    f, slope = FUNCTIONS[name], CLOSED[name]
    w, x, b, t = (float(task[key]) for key in ("w", "x", "b", "target"))
    z = w * x + b
    if abs(z) > 300:
        raise InputError(f"w·x + b is {z:g}", where=f"exercise {task.id}", expected="between -300 and 300")
    y = float(np.real(f(np.array([complex(z, 0)])))[0])
    db = -2 * (t - y) * slope(z)
    findings.put("y", y)
    findings.put("dw", db * x)
    findings.put("db", db)
    numeric = complex_step(lambda v: (t - f(v * x + b)) ** 2, w), complex_step(lambda v: (t - f(w * x + v)) ** 2, b)
    findings.say("dL/dw = -2·x·f'(z)·(t - y), dL/db = -2·f'(z)·(t - y): both with the minus sign",
                 "dL/dw = -2·x·f'(z)·(t - y)，dL/db = -2·f'(z)·(t - y)：两个都有负号")  # fmt: skip
    findings.say(f"check by the complex step: {numeric[0]:.9g}, {numeric[1]:.9g}",
                 f"用复步法核对：{numeric[0]:.9g}，{numeric[1]:.9g}")  # fmt: skip


@solves("2.11", "2.12", "2.11-<layers>")
def adder(task: Task, findings: Findings) -> None:
    """Size of the network and of its data."""
    layers = _layers(task)
    if layers[0] > 30:
        raise InputError(f"{layers[0]} inputs have too many truth-table rows", where=f"exercise {task.id}",
                         expected="30 inputs or fewer", example="--set layers=[9,20,20,5]")  # fmt: skip
    workload = chain(layers)
    rows = 2 ** layers[0]
    train = int(rows * task["train_share"])
    findings.put("params", total_parameters(workload))
    findings.put("macs", macs(weighted(workload)), "MAC")
    findings.put("rows", rows)
    findings.put("split_70_30", [train, rows - train])
    findings.say(f"{layers[0]} input bits: 2^{layers[0]} = {rows} rows, {train} to train and {rows - train} to test",
                 f"{layers[0]} 个输入位：2^{layers[0]} = {rows} 行，{train} 行训练，{rows - train} 行测试")  # fmt: skip
