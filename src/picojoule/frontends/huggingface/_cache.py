"""What a network keeps between tokens, in bytes, and whether it fits a memory."""

from collections import Counter
from collections.abc import Iterable

from picojoule.workload import PARAMETER_ROLES, Graph, Workload, dtype_bits


def tell_cache(g: Graph, what: str, each: int, tokens: Iterable[int]) -> None:
    """Note the bytes of a cache of `each` elements a token and layer, `tokens` of them in each layer; `what` spells it."""
    counts = Counter(tokens)
    total = sum(each * length * layers for length, layers in counts.items()) * g.batch
    size = -(-total * dtype_bits(g.dtype) // 8)
    depth = " and ".join(f"{layers} layers of {length:,} tokens" for length, layers in sorted(counts.items()))
    g.notes.append(f"KV cache: {what} x {depth} x batch {g.batch} in {g.dtype} = {size:,} bytes")


def tell_state(g: Graph, what: str, each: int, layers: int) -> None:
    """Note the bytes of a state of `each` elements a layer, whatever the number of tokens."""
    size = -(-each * layers * g.batch * dtype_bits(g.dtype) // 8)
    g.notes.append(f"state: {what} x {layers} layers x batch {g.batch} in {g.dtype} = {size:,} bytes at any length")


def resident_bytes(workload: Workload) -> tuple[int, int]:
    """Bytes that stay in memory: parameters and buffers; what a decode step finds in its cache."""
    stored = [t for t in workload.tensors.values() if not t.base]
    weights = sum(t.bytes_of(t.elements) for t in stored if t.role in (*PARAMETER_ROLES, "buffer"))
    cache = sum(t.bytes_of(t.elements) for t in stored if t.role == "input" and ".past_" in t.name)
    return weights, cache


def fit_line(workload: Workload, capacity: int, device: str) -> str:
    """One line: whether weights and cache fit the `capacity` bytes of `device`."""
    weights, cache = resident_bytes(workload)
    verb = "fit" if weights + cache <= capacity else "do not fit"
    both = f"weights of {weights:,} bytes and a cache of {cache:,} bytes" if cache else f"weights of {weights:,} bytes"
    return f"{both} {verb} the {capacity:,} bytes of {device}"
