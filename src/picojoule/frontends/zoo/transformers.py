"""Transformers that are no decoder-only language models."""

from . import _bert, _vit
from ._entry import Entry

MODELS: dict[str, Entry] = {**_bert.MODELS, **_vit.MODELS}
