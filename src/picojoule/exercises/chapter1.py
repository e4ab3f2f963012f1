"""Chapter 1: what a single neuron can do."""

from itertools import product

from ._counts import chain, total_parameters
from ._findings import Findings
from ._task import Task, solves


def separable(truth: tuple[int, ...], reach: int = 2) -> tuple[float, ...] | None:
    """Weights and bias with which one neuron gives `truth` over two inputs, or None.

    Small whole weights and a bias at a half reach every threshold function of two inputs (Muroga 1971).
    """
    corners = list(product((0, 1), repeat=2))
    for w1, w2 in product(range(-reach, reach + 1), repeat=2):
        for twice in range(-2 * reach - 1, 2 * reach + 2, 2):
            if all((w1 * a + w2 * b + twice / 2 >= 0) == bool(t) for (a, b), t in zip(corners, truth, strict=True)):
                return (w1, w2, twice / 2)
    return None


@solves("1.3")
def perceptron(task: Task, findings: Findings) -> None:
    """Which Boolean functions of two inputs a single neuron computes."""
    functions = list(product((0, 1), repeat=4))
    able = [truth for truth in functions if separable(truth) is not None]
    named = {"and": (0, 0, 0, 1), "or": (0, 1, 1, 1), "xor": (0, 1, 1, 0)}
    findings.put("boolean_functions", len(functions))
    findings.put("separable", len(able))
    for name, truth in named.items():
        weights = separable(truth)
        findings.put(f"{name}_separable", weights is not None)
        if weights is None:
            findings.say(f"{name.upper()}: no weights do it", f"{name.upper()}：没有权重能做到")
        else:
            w1, w2, b = weights
            findings.say(f"{name.upper()}: w = ({w1:g}, {w2:g}), b = {b:g}",
                         f"{name.upper()}：w = ({w1:g}, {w2:g})，b = {b:g}")  # fmt: skip
    findings.put("xor_network_params", total_parameters(chain(task["xor_layers"])))
    findings.say(f"{len(able)} of {len(functions)} functions are linearly separable; XOR and its negation need a hidden layer",
                 f"{len(functions)} 个函数中 {len(able)} 个线性可分；异或和同或需要隐层")  # fmt: skip


@solves("1.6")
def efficiency(task: Task, findings: Findings) -> None:
    """Energy of one inference on two machines."""
    from picojoule._api import estimate

    for name in (task["baseline"], task.hardware or task["accelerator"]):
        result = estimate(task["model"], name, batch=task["batch"])
        energy = result.cost.total_energy_j
        joule = [bound / task["batch"] for bound in (energy.nominal, energy.low, energy.high)]
        findings.put(f"{name}_energy_per_inference", dict(zip(("nominal", "low", "high"), joule, strict=True)), "J")
        findings.say(f"{task['model']} on {result.architecture.title}: {joule[0]:.3g} J ({joule[1]:.2g} to {joule[2]:.2g})",
                     f"{task['model']} 在 {result.architecture.title} 上：{joule[0]:.3g} J"
                     f"（{joule[1]:.2g} 到 {joule[2]:.2g}）")  # fmt: skip
