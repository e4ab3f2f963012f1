"""What a checkpoint's headers tell of a network built from its config.json: true number formats, and whether it fits."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from picojoule.workload import PARAMETER_ROLES, Tensor, Workload, dtype_bits, is_float

from ._safetensors import Stored

# Tensors of old checkpoints that no parameter corresponds to: tables of positions and masks, scales of a quantisation.
_BUFFERS: Final = re.compile(
    r"(inv_freq|position_ids|token_type_ids|masked_bias|attn\.bias|e_score_correction_bias|(weight|input)_scale(_inv)?)$"
)


def with_weights(workload: Workload, stored: Sequence[Stored]) -> Workload:
    """`workload` with the number formats of its checkpoint; a warning where the two do not hold the same numbers."""
    real = [s for s in stored if not _BUFFERS.search(s.name)]
    held, size = sum(s.elements for s in real), sum(-(-s.elements * dtype_bits(s.dtype) // 8) for s in stored)
    parameters = list(workload.parameters)
    total = sum(t.elements for t in parameters)
    formats = Counter[str]()
    for s in real:
        formats[s.dtype] += s.elements
    listed = ", ".join(f"{count:,} in {dtype}" for dtype, count in formats.most_common())
    notes = (*workload.notes, f"checkpoint: {len(stored):,} tensors, {size:,} bytes ({listed})")
    tied = [t.elements for t in parameters if t.role == "embedding"]
    if held != total and held not in {total + extra for extra in tied}:
        # Heads or poolers more or less are still this network; packed or quantised weights are far fewer numbers.
        near = abs(held - total) <= total // 5
        said = "number formats taken where names agree" if near else "number formats not taken from it"
        warning = f"the config gives {total:,} parameters, the checkpoint holds {held:,}: {said}"
        workload = replace(workload, warnings=(*workload.warnings, warning))
        if not near:
            return replace(workload, notes=notes)
    return replace(workload, tensors=_typed(workload, real, formats.most_common(1)[0][0]), notes=notes)


def _typed(workload: Workload, stored: Sequence[Stored], usual: str) -> dict[str, Tensor]:
    """Each parameter in the format its namesake is stored in, others in the usual one; views as what they show."""
    by_name = {s.name: s for s in stored}
    short = {s.name.partition(".")[2]: s for s in stored}
    tensors: dict[str, Tensor] = {}
    for name, tensor in workload.tensors.items():
        dtype = tensor.dtype
        if tensor.base in tensors:
            dtype = tensors[tensor.base].dtype
        elif tensor.role in PARAMETER_ROLES:
            twin = by_name.get(name) or short.get(name) or by_name.get(name.partition(".")[2])
            dtype = twin.dtype if twin and twin.elements == tensor.elements else usual
        tensors[name] = tensor if dtype == tensor.dtype or not is_float(tensor.dtype) else replace(tensor, dtype=dtype)
    return tensors
