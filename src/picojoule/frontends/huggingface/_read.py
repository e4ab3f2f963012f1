"""A network from its config.json: no weights, no framework, no network connection."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from picojoule.quantity import InputError
from picojoule.workload import BITS, Workload

from ._families import FAMILIES
from ._fields import Fields, shown
from ._files import CONFIG, find_config, read_json
from ._request import Request
from ._safetensors import stored_tensors
from ._transformers import through_transformers
from ._weights import with_weights


def read_config(
    path: str | Path,
    *,
    batch: int | None = None,
    seq: int | None = None,
    phase: str = "prefill",
    context: int | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
    halved: bool = False,
    style: str | None = None,
) -> Workload:
    """The Workload of a config.json, or of a folder that holds one and perhaps safetensors files, of which only the
    headers are read.

    "decode" is one new token that sees `context` tokens, itself included. `halved` counts what causal masks show.
    `style`: "sdpa" (a prefill's default) and "eager" as transformers runs them, "kernel" (a decode step's default) one
    fused kernel over a cache that is extended in place. Raises InputError for what cannot be read.
    """
    config, folder = find_config(Path(path))
    values = read_json(config)
    where = config.name
    fields = Fields(values, where)
    name = _name(config, values)
    request = Request(name, _dtype(fields), batch, seq, phase, context, inputs or {}, halved, style)
    request.check()
    with _undisturbed():
        workload = _build(fields, request)
        if folder is not None:
            workload = _weighed(workload, folder, _absent(fields, request))
    return workload


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold the garbage collector off: a stack of layers is many small objects and no garbage."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _build(fields: Fields, request: Request) -> Workload:
    model_type = fields.values.get("model_type")
    known = ", ".join(FAMILIES)
    if not isinstance(model_type, str):
        raise InputError(f"model_type is {shown(model_type)}", where=fields.where, expected=f"one of {known}",
                         example='"model_type": "llama"')  # fmt: skip
    if model_type == "gemma3" and isinstance(fields.values.get("text_config"), Mapping):
        inner = {**fields.part("text_config").values, "architectures": None, "model_type": "gemma3_text"}
        text = Fields(inner, f"{fields.where}: text_config")
        workload = _build(text, request)
        return replace(
            workload, warnings=(*workload.warnings, "only the text decoder is counted, not the vision tower")
        )
    if model_type not in FAMILIES:
        return through_transformers(model_type, fields, request, known)
    reader, defaults = FAMILIES[model_type]
    fields = Fields(fields.values, fields.where, defaults)
    workload = reader(fields, request)
    notes = [*workload.notes]
    if fields.assumed:
        assumed = ", ".join(f"{key} = {shown(value)}" for key, value in fields.assumed.items())
        notes.append(f"config.json leaves out {assumed}: the family's own default")
    notes.append(f"attention as {request.written} runs it; numbers in {request.dtype}, set another with --dtype")
    return replace(workload, notes=tuple(notes))


def _dtype(fields: Fields) -> str:
    """The number format that the configuration names; float32 where it names none."""
    for key in ("dtype", "torch_dtype"):
        value = fields.values.get(key)
        if isinstance(value, str) and value.removeprefix("torch.") in BITS:
            return value.removeprefix("torch.")
        if value not in (None, "auto"):
            raise fields.fault(key, f"a number format: one of {', '.join(BITS)}", "bfloat16")
    return "float32"


def _name(config: Path, values: Mapping[str, object]) -> str:
    """What to call the network: its own name, else its folder's, else its family's."""
    own = values.get("_name_or_path")
    if isinstance(own, str) and own.strip() and "\n" not in own:
        return own.strip().rstrip("/").rpartition("/")[2][:80] or CONFIG
    folder = config.absolute().parent.name
    if config.name == CONFIG and folder:
        return folder[:80]
    return shown(values.get("model_type")).strip("'")


def _absent(fields: Fields, request: Request) -> str:
    """The part of a checkpoint that a decode step does not touch."""
    parts = {"t5": "encoder.", "whisper": "model.encoder."} if request.phase == "decode" else {}
    return parts.get(str(fields.values.get("model_type")), "-")


def _weighed(workload: Workload, folder: Path, absent: str) -> Workload:
    """The number formats of the checkpoint beside the configuration, if there is one."""
    notes: list[str] = []
    stored = [s for s in stored_tensors(folder, notes) if not s.name.startswith(absent)]
    if not stored and any(folder.glob("*.bin")):
        notes.append("weights in .bin files are pickles: not opened")
    workload = replace(workload, notes=(*workload.notes, *notes))
    return with_weights(workload, stored) if stored else workload
