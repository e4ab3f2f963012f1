"""Phases of generation for models of the zoo: the same sizes by the same builders as from a config.json."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from picojoule.frontends.zoo import _gpt, _llama, _mamba, _t5, _whisper, read_zoo, zoo
from picojoule.quantity import InputError
from picojoule.workload import Workload

from ._encoders import record_t5, record_whisper
from ._llama import record_decoder
from ._others import record_gpt, record_mamba
from ._request import STYLES, Request

_RECORDS: Final[Mapping[Callable[..., Workload], Callable[[Any, Request], Workload]]] = {
    _llama.llama: record_decoder, _gpt.gpt: record_gpt, _gpt.gpt3: record_gpt, _mamba.mamba: record_mamba,
    _t5.t5: record_t5, _whisper.whisper: record_whisper,
}  # fmt: skip
# Served as they were published; every other model of the zoo in float32.
_PUBLISHED: Final[Mapping[Callable[..., Workload], str]] = {_llama.llama: "bfloat16"}


def read_known(
    name: str,
    *,
    batch: int | None = None,
    seq: int | None = None,
    phase: str = "prefill",
    context: int | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
    halved: bool = False,
    style: str | None = None,
) -> Workload:
    """The zoo model `name` in a phase of generation, with the meanings that `read_config` gives its arguments.

    The spec of a name is a style ("llama3-8b:eager"). Numbers are in bfloat16 for the families whose weights were
    published so (Llama, Mistral, Mixtral, Qwen, …), else in float32.
    """
    spec = name.partition(":")[2].strip().lower()
    record, dtype = _record(name)
    if spec and spec not in (*STYLES, "scan"):
        raise InputError(
            f"{name} has no variant {spec!r}", expected=f"one of {', '.join(STYLES)}", example="llama3-8b:eager"
        )
    chosen = style or (spec if spec in STYLES else None)
    request = Request(name, dtype, batch, seq, phase, context, inputs or {}, halved, chosen)
    request.check()
    workload = record(request)
    note = f"attention as {request.written} runs it; numbers in {request.dtype}, set another with --dtype"
    return replace(workload, notes=(*workload.notes, note))


def _record(name: str) -> tuple[Callable[[Request], Workload], str]:
    """How the zoo model `name` is recorded, and in which numbers; raises InputError if it is unknown or generates nothing."""
    wanted = _squeezed(name.partition(":")[0])
    for first, entry in zoo().items():
        if wanted in map(_squeezed, (first, *entry.aliases)):
            build = entry.build
            if isinstance(build, partial) and build.func in _RECORDS:
                return partial(_RECORDS[build.func], build.args[0]), _PUBLISHED.get(build.func, "float32")
            raise InputError(f"{name} does not generate one token after another", expected="a model that does",
                             example="picojoule count llama3-8b --phase decode --context 4096")  # fmt: skip
    return lambda _: read_zoo(name), "float32"  # says which names there are


def _squeezed(name: str) -> str:
    return name.strip().lower().replace("_", "").replace("-", "")
