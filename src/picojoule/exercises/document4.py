"""The document on CNN, RNN and Transformer: shapes, parameters and where a Transformer block spends its MACs."""

from collections.abc import Sequence

from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Workload, ops

from ._counts import macs, one_convolution, total_parameters
from ._findings import Findings
from ._task import Task, solves


@solves("004-out")
def output_size(task: Task, findings: Findings) -> None:
    """Output length for each padding, and what the document's formula gives."""
    n, k, stride = task["n"], task["k"], task["stride"]
    lengths = []
    for pad in task["pad"]:
        _, y = one_convolution(n, n, 1, 1, (k, k), stride=stride, padding=pad)
        lengths.append(y.shape[2])
        findings.say(f"floor(({n} + 2·{pad} - {k}) / {stride}) + 1 = {y.shape[2]}",
                     f"⌊({n} + 2·{pad} - {k}) / {stride}⌋ + 1 = {y.shape[2]}")  # fmt: skip
    findings.put("out", lengths)
    findings.put("seed_value", (n + k - 1) / stride + 1)
    findings.say(f"the document's (n + k - 1)/s + 1 gives {(n + k - 1) / stride + 1:g}",
                 f"文档的 (n + k - 1)/s + 1 得 {(n + k - 1) / stride + 1:g}")  # fmt: skip


@solves("004-params")
def convolution_parameters(task: Task, findings: Findings) -> None:
    """Parameters of a convolution, and what the document's formula gives."""
    cin, cout, k, groups = task["cin"], task["cout"], task["k"], task["groups"]
    workload, _ = one_convolution(k, k, cin, cout, (k, k), groups=groups, bias=task["bias"])
    findings.put("params", total_parameters(workload))
    findings.put("seed_value", cin * k * k)
    findings.say(f"{cout}·({cin}/{groups}·{k}·{k} + {int(task['bias'])}) = {total_parameters(workload):,}; "
                 f"the document's C·kh·kw gives {cin * k * k:,}",
                 f"{cout}·({cin}/{groups}·{k}·{k} + {int(task['bias'])}) = {total_parameters(workload):,}；"
                 f"文档的 C·kh·kw 得 {cin * k * k:,}")  # fmt: skip


def block(tokens: int, width: int, ffn: int, *, causal: bool = False) -> Workload:
    """One Transformer block: four projections, attention, two linears; only its products are recorded apart."""
    g = Graph(f"block:{tokens}x{width}x{ffn}")
    x = g.input("x", (tokens, width))

    def linear(name: str, x: Tensor, features: int) -> Tensor:
        with g.scope(name):
            return ops.linear(g, x, g.parameter("weight", (features, x.shape[1])))

    def split(x: Tensor) -> Tensor:
        return g.view(x, (1, 1, tokens, width))

    q, k, v = (split(linear(f"projections.{name}", x, width)) for name in "qkv")
    with g.scope("attention"):
        seen = ops.attention(g, q, k, v, causal=causal, halved=causal)
    x = linear("projections.out", g.view(seen, (tokens, width)), width)
    hidden = ops.unary(g, "gelu", linear("ffn.up", x, ffn))
    g.output(linear("ffn.down", hidden, width))
    return g.workload()


def part_macs(workload: Workload, parts: Sequence[str]) -> dict[str, int]:
    """MACs below each of the module paths `parts`."""
    return {part: macs(o for o in workload.operators if o.path.split(".")[0] == part) for part in parts}


@solves("004.3.4.5", "004-transformer", "004-transformer-n<tokens>")
def transformer(task: Task, findings: Findings) -> None:
    """MACs of one block by part, times the layers."""
    tokens, width = task["tokens"], task["width"]
    if tokens > 10**6:
        raise InputError(f"{tokens} tokens are too many", where=f"exercise {task.id}",
                         expected="a million tokens at most",
                         example="--set tokens=128")  # fmt: skip
    workload = block(tokens, width, task["ffn"], causal=task["causal"])
    parts = {part: n * task["layers"] for part, n in part_macs(workload, ("projections", "attention", "ffn")).items()}
    total = sum(parts.values())
    for part, n in parts.items():
        findings.put(part, n, "MAC")
    findings.put("total", total, "MAC")
    findings.put("shares", [n / total for n in parts.values()])
    formulas = {"projections": "4·n·d²", "attention": "n·(n + 1)·d" if task["causal"] else "2·n²·d", "ffn": "2·n·d·f"}
    for part, n in parts.items():
        findings.say(f"{part}: {formulas[part]}·layers = {n:,} MACs, {n / total:.4f} of all",
                     f"{part}：{formulas[part]}·层数 = {n:,} 次乘加，占 {n / total:.4f}")  # fmt: skip
    findings.say(f"attention equals the projections at n = 2d = {2 * width}; the shares sum to 1",
                 f"n = 2d = {2 * width} 时注意力等于投影；三者占比之和为 1")  # fmt: skip
