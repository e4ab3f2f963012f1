"""A family that is not written natively: built by transformers on the meta device, where it is installed."""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from picojoule.quantity import InputError
from picojoule.workload import Workload

from ._fields import Fields, shown
from ._heads import architecture
from ._request import Request

_READERS = ("picojoule.frontends.torch", "picojoule.frontends.pytorch")


def through_transformers(model_type: str, fields: Fields, request: Request, known: str) -> Workload:
    """The network as transformers builds it, without weights, without code from the folder, without network."""
    refusal = InputError(
        f"model_type {shown(model_type)} is not written natively", where=fields.where,
        expected=f"one of {known}; or an installation of torch and transformers that knows it",
        example="python -m pip install torch transformers",
    )  # fmt: skip
    reader = next((name for name in _READERS if find_spec(name) is not None), None)
    if reader is None or find_spec("torch") is None or find_spec("transformers") is None:
        raise refusal
    read_module = getattr(import_module(reader), "read_module", None)
    if read_module is None:
        raise refusal
    if request.phase == "decode":
        raise InputError(f"{request.name} has no decode step: {model_type} is not written natively", where=fields.where,
                         expected="the phase prefill", example="--phase prefill")  # fmt: skip
    model, inputs = _build(model_type, fields.values, architecture(fields), request)
    workload: Workload = read_module(model, kwargs=inputs)
    note = f"{model_type} is not written natively: built by transformers on the meta device, counted by operator"
    return replace(workload, name=request.name, notes=(*workload.notes, note))


def _build(model_type: str, values: Mapping[str, object], name: str, request: Request) -> tuple[Any, dict[str, Any]]:
    torch, transformers = import_module("torch"), import_module("transformers")
    try:
        rest = {key: value for key, value in values.items() if key not in ("model_type", "auto_map")}
        config = transformers.AutoConfig.for_model(model_type, **rest)
        config.use_cache = False
        kind = getattr(transformers, name, None) if name.isidentifier() else None
        with torch.device("meta"):
            model = kind(config) if isinstance(kind, type) else transformers.AutoModel.from_config(config)
        shapes = {key: tuple(shape) for key, shape in request.inputs.items()} or _shapes(model, config, request)
        return model.eval(), {
            key: torch.zeros(shape, device="meta", dtype=torch.float32 if "values" in key or "features" in key else torch.long)
            for key, shape in shapes.items()
        }  # fmt: skip
    except Exception as error:  # whatever the guest raises is about the user's config
        raise InputError(f"transformers cannot build {shown(model_type)}: {shown(str(error))}", where="config.json",
                         expected="a config that transformers accepts") from error  # fmt: skip


def _shapes(model: Any, config: Any, request: Request) -> dict[str, tuple[int, ...]]:
    """The main input of a model: an image of its own size, or tokens."""
    batch, seq = request.batch or 1, request.seq or 128
    if getattr(model, "main_input_name", "input_ids") == "pixel_values":
        side = getattr(config, "image_size", 224)
        height, width = side if isinstance(side, list | tuple) else (side, side)
        return {"pixel_values": (batch, getattr(config, "num_channels", 3), height, width)}
    shapes: dict[str, tuple[int, ...]] = {"input_ids": (batch, seq)}
    return {**shapes, "decoder_input_ids": (batch, seq)} if getattr(config, "is_encoder_decoder", False) else shapes
