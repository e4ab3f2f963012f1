"""Models in, Workload out: zoo, ONNX, PyTorch, configurations. Frameworks are imported only when a model needs them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ._read import read_model as read_model
from ._read import read_object as read_object
from ._read import register_operator as register_operator
from ._read import traced as traced

if TYPE_CHECKING:
    from ._weights import StoredTensor


def read_weights(path: Path | str) -> "Mapping[str, StoredTensor]":
    """Stored parameters by name, read when used: .safetensors, a folder of them, or the initializers of an .onnx file."""
    from ._weights import read_weights as read

    return read(Path(path))
