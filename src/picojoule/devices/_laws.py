"""Every operator class that a device model covers, by name, and the law of its power."""

from collections.abc import Mapping
from typing import Final

from picojoule.quantity import InputError

from ._attention import DECODE, PREFILL
from ._collective import VOLUMES, collective
from ._convolution import CONVOLUTION
from ._experts import EXPERTS
from ._gemm import GEMM, GEMM_QUANTISED
from ._law import Law
from ._power import power_law
from ._stream import STREAM

_TIMES: Final = (GEMM, GEMM_QUANTISED, PREFILL, DECODE, STREAM, CONVOLUTION, EXPERTS,
                 *(collective(kind) for kind in (*VOLUMES, "send")))  # fmt: skip
LAWS: Final[Mapping[str, Law]] = {law.name: law for law in _TIMES}
POWERS: Final[Mapping[str, Law]] = {f"power_{law.name}": power_law(law.name) for law in _TIMES}
_PLAIN: Final = frozenset({"float16", "bfloat16", "float32", "tfloat32"})


def law_of(kind: str, dtype: str) -> Law:
    """The law of an operator class; products of quantised formats have their own."""
    if kind not in LAWS:
        raise InputError(f"unknown operator class {kind!r}", where="devices", expected=f"one of {', '.join(LAWS)}",
                         example="gemm")  # fmt: skip
    return GEMM_QUANTISED if kind == "gemm" and dtype not in _PLAIN else LAWS[kind]


def family(dtype: str) -> str:
    """Formats whose parameters may stand for one another: both 16-bit ones are one family."""
    return "16-bit" if dtype in ("float16", "bfloat16") else dtype
