"""What Timeloop's sparse counters cost: joules of metadata and of changing a representation, cycles of the busiest port."""

import math
from collections.abc import Mapping, Sequence

from .._traffic import Action, Key
from ._nest import Nest
from ._sparse import Memory, Sparse, SparseCounts

_ACTIONS: tuple[Action, ...] = ("read", "write", "update")


def _bits(memory: Memory, *counted: Sequence[tuple[int, int]]) -> int:
    """Bits of metadata and payloads, all ranks together."""
    return memory.format_bits * sum(meta + load for ranks in counted for meta, load in ranks)


def representation_j(
    nest: Nest, sparse: Sparse, counts: SparseCounts, format_j: Mapping[tuple[str, str], float],
    change_j: Mapping[tuple[str, str], float],
) -> dict[tuple[str, str], float]:  # fmt: skip
    """Joules by (stage, role), all instances: metadata in whole accesses, words packed and unpacked.

    `format_j` by (stage, action) per access; `change_j` by (stage, "unpack" or "pack") per word.
    """
    found: dict[tuple[str, str], float] = {}
    for stage, copies in zip(nest.stages, nest.instances, strict=True):
        memory = sparse.memories.get(stage.name, Memory())
        for role in stage.keeps:
            each = 0.0
            for action in _ACTIONS:
                bits = _bits(memory, counts.formats.get((stage.name, role, action), ()))
                if memory.format_width:
                    each += math.ceil(bits / memory.format_width) * format_j.get((stage.name, action), 0.0)
            each += counts.unpacked.get((stage.name, role), 0.0) * change_j.get((stage.name, "unpack"), 0.0)
            each += counts.packed.get((stage.name, role), 0.0) * change_j.get((stage.name, "pack"), 0.0)
            found[stage.name, role] = each * copies
    return found


def sparse_cycles(nest: Nest, sparse: Sparse, counts: SparseCounts, bandwidths: Mapping[tuple[str, str], float]) -> int:
    """Cycles: MACs done / MACs in use, or longer where a port is too narrow for the words, gated ones and metadata.

    In the order of operations of the tool, which rounds the product of a slowdown up.
    """
    busy = math.ceil(counts.macs / nest.pes)
    longest = busy
    for stage, copies in zip(nest.stages, nest.instances, strict=True):
        slowdown = 1.0
        for port, actions in (("read", _ACTIONS[:1]), ("write", _ACTIONS[1:])):
            rate = bandwidths.get((stage.name, port))
            need = sum(
                _port_words(sparse, counts, stage.name, role, actions, copies) / busy
                for role in sparse.order if role in stage.keeps
            )  # fmt: skip
            if rate is not None and rate < need:
                slowdown = min(slowdown, rate / need)
        longest = max(longest, math.ceil(busy / slowdown))
    return longest


def _port_words(
    sparse: Sparse, counts: SparseCounts, stage: str, role: str, actions: tuple[Action, ...], copies: int
) -> float:
    """Words of one instance that pass a port; metadata as whole words of data, rounded down."""
    memory = sparse.memories[stage]
    keys: list[Key] = [(stage, role, action) for action in actions]
    words = sum(counts.actual.get(key, 0) + counts.gated.get(key, 0) for key in keys) / copies
    bits = _bits(
        memory,
        *(counts.formats.get(key, ()) for key in keys),
        *(counts.formats_gated.get(key, ()) for key in keys),
    )
    return words + (bits // memory.word_bits if memory.word_bits else 0)
