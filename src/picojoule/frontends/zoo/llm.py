"""Language models that read left to right."""

from . import _gpt, _llama, _mamba
from ._entry import Entry

MODELS: dict[str, Entry] = {**_gpt.MODELS, **_llama.MODELS, **_mamba.MODELS}
