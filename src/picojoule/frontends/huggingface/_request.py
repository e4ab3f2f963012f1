"""What the user asked of a configuration: a phase, lengths, a way of counting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from picojoule.frontends.zoo._entry import Options
from picojoule.frontends.zoo._run import Run
from picojoule.frontends.zoo._sequence import start_many
from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor

from ._fields import shown

Phase = Literal["prefill", "decode"]
STYLES: Final = ("sdpa", "eager", "kernel")


def _size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10**12


@dataclass(frozen=True, slots=True)
class Request:
    """`name` of the network; None keeps the family's default; `style` None is "sdpa", in a decode step "kernel"."""

    name: str
    dtype: str = "float32"
    batch: int | None = None
    seq: int | None = None
    phase: str = "prefill"
    context: int | None = None
    inputs: Mapping[str, Sequence[int]] = field(default_factory=dict)
    halved: bool = False
    style: str | None = None

    def check(self) -> None:
        """Raise InputError for what no network can run."""
        for label, value in (("batch", self.batch), ("seq", self.seq), ("context", self.context)):
            if value is not None and not _size(value):
                raise InputError(f"{label} is {shown(value)}", expected="a whole number of 1 or more, at most 10^12",
                                 example=f"--{label} 8")  # fmt: skip
        for label, shape in self.inputs.items():
            if not all(map(_size, shape)):
                raise InputError(f"input {label!r} is {shown(list(shape))}", expected="sizes of 1 or more, batch first",
                                 example=f"--input {label}=1,128")  # fmt: skip
        if self.phase not in ("prefill", "decode"):
            raise InputError(f"phase is {self.phase!r}", expected="prefill or decode", example="--phase decode")
        if self.style is not None and self.style not in STYLES:
            raise InputError(
                f"style is {self.style!r}", expected=f"one of {', '.join(STYLES)}", example="--style kernel"
            )
        if self.context is not None and self.phase == "prefill":
            raise InputError("a context belongs to a decode step", expected="the phase decode, or --seq",
                             example="--phase decode --context 4096")  # fmt: skip

    @property
    def written(self) -> str:
        """How attention is written."""
        return self.style or ("kernel" if self.phase == "decode" else "sdpa")

    def length(self, default: int, limit: int = 0) -> int:
        """Tokens of a prompt, or those that the new token of a decode step sees, itself included."""
        length = (
            (self.context if self.phase == "decode" else None)
            or self.seq
            or (min(default, limit) if limit else default)
        )
        if limit and length > limit:
            raise InputError(f"{self.name} has learned positions for {limit} tokens, not {length}",
                             expected=f"at most {limit} tokens", example=f"--seq {limit}")  # fmt: skip
        return length

    def run(self, length: int) -> Run:
        """The pass over `length` tokens, or over the last of them."""
        return Run(self.written, length - 1 if self.phase == "decode" else 0, self.halved)

    def no_decode(self) -> None:
        """Refuse a decode step where nothing is generated."""
        if self.phase == "decode":
            raise InputError(f"{self.name} has no decode step: it reads its whole input at once",
                             expected="the phase prefill", example="--phase prefill")  # fmt: skip

    def start(self, shapes: Mapping[str, tuple[Sequence[int], str | None]]) -> tuple[Graph, list[Tensor]]:
        """A graph and its inputs; shapes without the batch, replaced by what the user said."""
        return start_many(self.name, Options(self.batch, self.seq, self.inputs), shapes, self.dtype)

    def text(self, default: int, limit: int = 0) -> tuple[Graph, Tensor, Run]:
        """A graph, its input_ids and the pass over them."""
        length = self.length(default, limit)
        rows = 1 if self.phase == "decode" else length
        g, (ids,) = self.start({"input_ids": ((rows,), "int64")})
        if self.phase == "decode" and ids.shape[1] != 1:
            raise InputError(f"input 'input_ids' is {list(ids.shape)}", expected="one new token in a decode step",
                             example="--context 4096")  # fmt: skip
        if limit and ids.shape[1] > limit:
            raise InputError(f"{self.name} has learned positions for {limit} tokens, not {ids.shape[1]}",
                             expected=f"at most {limit} tokens", example=f"--seq {limit}")  # fmt: skip
        if self.phase == "prefill":
            g.notes.append(f"{ids.shape[1]} tokens; set another length with --seq")
            return g, ids, self.run(ids.shape[1])
        g.notes.append(f"decode: one new token that sees {length:,} tokens, itself included")
        return g, ids, self.run(length)
