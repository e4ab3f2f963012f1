"""What a network keeps between tokens, in bytes."""

from collections import Counter
from collections.abc import Iterable

from picojoule.workload import Graph, dtype_bits


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
