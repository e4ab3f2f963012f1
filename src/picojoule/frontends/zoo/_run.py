"""How one pass of a sequence model runs: how attention is written, what the cache holds, what of it counts."""

from dataclasses import dataclass

from picojoule.workload import Graph, Tensor, ops


@dataclass(frozen=True, slots=True)
class Run:
    """One pass. `past` tokens are in the cache already; `halved` counts only the scores that a causal mask shows.

    `style`: "sdpa" and "eager" as frameworks run them part by part; "kernel" one fused kernel: no mask is built, shared
    key heads are read once, the cache is extended in place.
    """

    style: str = "sdpa"
    past: int = 0
    halved: bool = False

    def seen(self, rows: int, window: int = 0) -> int:
        """Keys that `rows` new tokens attend to; a sliding layer keeps window - 1 tokens of the past."""
        return rows + (min(self.past, window - 1) if window else self.past)

    def visible(self, rows: int, window: int = 0) -> int:
        """Pairs of a query and a key that a causal mask with `window` shows: row i sees at most past + i + 1 keys."""
        first = self.past + 1
        last = self.past + rows
        if not window or last <= window:
            return (first + last) * rows // 2
        growing = max(0, window - first)
        return (first + window - 1) * growing // 2 + (rows - growing) * window


def remember(g: Graph, new: Tensor, name: str, run: Run, window: int = 0) -> Tensor:
    """Keys or values [B, G, S, D] behind those of the cache: [B, G, past + S, D]."""
    batch, heads, rows, width = new.shape
    columns = run.seen(rows, window)
    if columns == rows:
        return new
    if run.style == "kernel":
        ops.copy(g, new, op="cache_append")
        return g.parameter(f"past_{name}", (batch, heads, columns, width), "input")
    past = g.parameter(f"past_{name}", (batch, heads, columns - rows, width), "input")
    return ops.concat(g, [past, new], 2)


def collect_inputs(g: Graph) -> None:
    """Name the cache among the inputs of the network."""
    known = set(g.inputs)
    g.inputs += [t.name for t in g.tensors.values() if t.role == "input" and not t.base and t.name not in known]
