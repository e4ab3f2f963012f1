"""ONNX files to Workloads: own shape inference, own constant folding; the `onnx` package only parses the file.

Importing this package does not import `onnx`; reading a file does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from picojoule.workload import Workload

from ._formula import register_formula as register_formula


def read_onnx(
    path: Path,
    *,
    batch: int | None = None,
    seq: int | None = None,
    inputs: Mapping[str, Sequence[int]] | None = None,
) -> Workload:
    """The Workload of the ONNX file at `path`.

    `inputs` gives shapes by input name, sizes by the name of a symbolic dimension ({"N": (4,)}), and the value of a
    scalar integer input ({"trip": (12,)}). `batch` and `seq` replace the dimensions that are named or placed so.
    Raises InputError, and nothing else, for a file that cannot be counted.
    """
    from ._read import read

    return read(Path(path), batch=batch, seq=seq, inputs=inputs or {})
