"""One door for every sort of model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from picojoule.quantity import InputError
from picojoule.workload import Workload


def read_model(
    source: str | Path,
    *,
    batch: int | None = None,
    seq: int | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
) -> Workload:
    """The Workload of an ONNX file or of a zoo name ("resnet50", "mlp:33-512-10", "matmul:1024x1024x1024").

    `batch` and `seq` replace the model's own batch size and sequence length; `inputs` gives shapes by input name.
    """
    text = str(source)
    path = Path(text)
    if path.suffix == ".onnx" or (path.suffix and path.is_file()):
        from .onnx import read_onnx

        return read_onnx(path, batch=batch, seq=seq, inputs=inputs or {})
    if isinstance(source, Path) or "/" in text:
        raise InputError(f"no such model file: {text}", expected="an .onnx file, or a name of the zoo",
                         example="picojoule count resnet50")  # fmt: skip
    from .zoo import read_zoo

    return read_zoo(text, batch=batch, seq=seq, inputs=inputs or {})
