"""The instruction set: one table. Encoding, stream, duration, actions and meaning of an instruction stand in its entry.

Every instruction is one 128-bit word, low bits first: opcode (4), tokens (4), then the fields of its entry. Two short
instructions share an opcode: the bit behind the tokens tells which.
Token bits, low first: wait for the first other stream, for the second, signal the first, the second; the other streams
of io are move and compute, of move io and compute, of compute io and move. A token is one signal not yet waited for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, NamedTuple

from picojoule.hardware import Action
from picojoule.quantity import InputError

from . import _meaning as meaning
from ._machine import DTYPES, SCOPES, Machine

Values = Mapping[str, int]
WORD: Final = 16  # bytes
ASYNC: Final = ("io", "move", "compute")


class Region(NamedTuple):
    """Bytes of one memory: `rows` of `size`, `stride` apart."""

    scope: str
    start: int
    rows: int
    size: int
    stride: int


@dataclass(frozen=True, slots=True)
class Field:
    """Bits of an instruction. `names` are the words for its values; `default` may be left out of assembly.

    Of a field that is sometimes an address and sometimes not, `address` is how many bits it has as one.
    """

    name: str
    bits: int
    low: int = 0
    default: int | None = None
    signed: bool = False
    names: tuple[str, ...] = ()
    address: int = 0

    @property
    def top(self) -> int:
        """One past the greatest value that can be written."""
        return len(self.names) or 1 << (self.bits - self.signed)

    @property
    def least(self) -> int:
        """The least value that can be written."""
        return 0 if self.names else -self.top if self.signed else self.low

    def fits(self, value: int) -> bool:
        """Whether `value` can be written."""
        return self.least <= value < self.top


@dataclass(frozen=True, slots=True)
class Spec:
    """One entry of the table."""

    name: str
    opcode: int
    doc: str
    fields: tuple[Field, ...]
    stream: Callable[[Values], str] = lambda _: "scalar"
    takes: str = "0"
    duration: Callable[[Machine, Values], int] = lambda _machine, _values: 0
    resource: Callable[[Values], str] = lambda _: ""
    counts: Callable[[Values], dict[Action, int]] = lambda _: {}
    reads: Callable[[Values], tuple[Region, ...]] = lambda _: ()
    writes: Callable[[Values], tuple[Region, ...]] = lambda _: ()
    effect: Callable[[meaning.View, Values], None] | None = None
    steps: tuple[str, ...] = ()  # fields that `step` moves: its a, b, c
    variant: int | None = None  # of two that share an opcode: bit 8

    @property
    def head(self) -> int:
        """Bits before the first field."""
        return 8 if self.variant is None else 9


@dataclass(frozen=True, slots=True)
class Instruction:
    """One word of a program. `line` is where it was written; it is no part of what it means."""

    name: str
    values: Mapping[str, int]
    tokens: int = 0
    line: int = field(default=0, compare=False)

    @property
    def spec(self) -> Spec:
        """Its entry in the table."""
        return SPECS[self.name]


def _move_stream(v: Values) -> str:
    return "io" if 0 in (v["dst"], v["src"]) else "move"


def _far_is_source(v: Values) -> bool:
    return v["src"] <= v["dst"]


def _move_ticks(machine: Machine, v: Values) -> int:
    if _move_stream(v) == "io":
        return machine.duration(machine.bus_cycles(v["rows"], _far_bytes(v)))
    return machine.duration(Fraction(v["rows"] * v["bytes"]) / machine.link)


def _far_bytes(v: Values) -> int:
    """Bytes of a row on the outer side: compressed rows are 2, 4 or 8 times shorter."""
    return -(-v["bytes"] // (1 << v["decode"]))


def _move_regions(v: Values) -> tuple[Region, Region]:
    far_scope, near_scope = sorted((v["src"], v["dst"]))
    size = _far_bytes(v)
    far = Region(SCOPES[far_scope], v["far"], v["rows"], size, v["stride"] or size)
    near = Region(SCOPES[near_scope], v["near"], v["rows"], v["bytes"], v["bytes"])
    return (far, near) if _far_is_source(v) else (near, far)


def _move_counts(v: Values) -> dict[Action, int]:
    source, target = _move_regions(v)
    return {(source.scope, "read"): source.rows * source.size, (target.scope, "write"): target.rows * target.size}


def _gather_reads(v: Values) -> tuple[Region, ...]:
    size = v["count"] * v["bytes"]
    return _flat("nram", v["near"] + size, 4 * v["count"]), _flat("dram", v["far"], v["limit"] * v["bytes"])


def _gather_writes(v: Values) -> tuple[Region, ...]:
    return (_flat("nram", v["near"], v["count"] * v["bytes"]),)


def _gather_counts(v: Values) -> dict[Action, int]:
    size = v["count"] * v["bytes"]
    return {("dram", "read"): size, ("nram", "read"): 4 * v["count"], ("nram", "write"): size}


def _sizes(dtype: int) -> tuple[int, int]:
    """Bytes of an operand and of a sum."""
    name = DTYPES[dtype]
    return meaning.NUMPY[name].itemsize, meaning.SUMS[name].itemsize


def _flat(scope: str, start: int, size: int) -> Region:
    return Region(scope, start, 1, size, size)


def _mm_reads(v: Values) -> tuple[Region, ...]:
    one, total = _sizes(v["type"])
    operands = (_flat("nram", v["x"], v["m"] * v["k"] * one), _flat("wram", v["w"], v["k"] * v["n"] * one))
    return (*operands, _flat("nram", v["y"], v["m"] * v["n"] * total)) if v["acc"] else operands


def _mm_writes(v: Values) -> tuple[Region, ...]:
    return (_flat("nram", v["y"], v["m"] * v["n"] * _sizes(v["type"])[1]),)


def _expand_regions(v: Values) -> tuple[Region, Region]:
    size = v["length"] * meaning.NUMPY[DTYPES[v["type"]]].itemsize
    return _flat(SCOPES[v["src"]], v["far"], v["bytes"]), _flat(SCOPES[v["dst"]], v["near"], size)


def _expand_ticks(machine: Machine, v: Values) -> int:
    inner = Fraction(_expand_regions(v)[1].size) / machine.link
    return machine.duration(max(inner, machine.bus_cycles(1, v["bytes"])) if _move_stream(v) == "io" else inner)


def _expand_counts(v: Values) -> dict[Action, int]:
    source, target = _expand_regions(v)
    return {(source.scope, "read"): source.size, (target.scope, "write"): target.size,
            ("decoder", f"expand_{DTYPES[v['type']]}"): v["length"]}  # fmt: skip


def _tally(reads: tuple[Region, ...], writes: tuple[Region, ...], more: dict[Action, int]) -> dict[Action, int]:
    counts = dict(more)
    for verb, regions in (("read", reads), ("write", writes)):
        for region in regions:
            key = (region.scope, verb)
            counts[key] = counts.get(key, 0) + region.rows * region.size
    return counts


def _mm_counts(v: Values) -> dict[Action, int]:
    macs = {("matrix", f"mac_{DTYPES[v['type']]}"): v["m"] * v["k"] * v["n"]}
    return _tally(_mm_reads(v), _mm_writes(v), macs)


def _vec_reads(v: Values) -> tuple[Region, ...]:
    one = meaning.NUMPY[DTYPES[v["type"]]].itemsize
    name = meaning.FUNCTIONS[v["fn"]]
    if name == "fill":
        return ()
    a = _flat("nram", v["a"], v["length"] * one)
    return (a, _flat("nram", v["b"], v["length"] * one)) if name in meaning.BINARY and not v["imm"] else (a,)


def _vec_writes(v: Values) -> tuple[Region, ...]:
    size = meaning.CASTS.get(meaning.FUNCTIONS[v["fn"]], meaning.NUMPY[DTYPES[v["type"]]]).itemsize
    return (_flat("nram", v["dst"], v["length"] * size),)


def _vec_ticks(machine: Machine, v: Values) -> int:
    return _lane_ticks(machine, meaning.FUNCTIONS[v["fn"]], DTYPES[v["type"]], v["length"])


def _lane_ticks(machine: Machine, name: str, dtype: str, count: int) -> int:
    table = "macs" if name == "mac" else "special" if name in meaning.SPECIAL else "lanes"
    return machine.duration(Fraction(count, machine.rate(table, dtype)))


def _vec_counts(v: Values) -> dict[Action, int]:
    return _tally(_vec_reads(v), _vec_writes(v), {("vector", f"op_{DTYPES[v['type']]}"): v["length"]})


def _plane(v: Values, name: str, count: int) -> tuple[Region]:
    return (_flat("nram", v[name], count * meaning.NUMPY[DTYPES[v["type"]]].itemsize),)


def _rows_reads(v: Values) -> tuple[Region, ...]:
    return (*_plane(v, "a", v["m"] * v["n"]), *_plane(v, "b", v["m"] if v["across"] else v["n"]))


def _rows_writes(v: Values) -> tuple[Region, ...]:
    return _plane(v, "dst", v["m"] * v["n"])


def _fold_reads(v: Values) -> tuple[Region, ...]:
    return _plane(v, "a", v["m"] * v["n"])


def _fold_writes(v: Values) -> tuple[Region, ...]:
    return _plane(v, "dst", v["n"] if v["down"] else v["m"])


def _plane_work(v: Values) -> dict[Action, int]:
    return {("vector", f"op_{DTYPES[v['type']]}"): v["m"] * v["n"]}


def _xfer_counts(v: Values) -> dict[Action, int]:
    return {(SCOPES[v["src"]], "read"): v["bytes"], (SCOPES[v["dst"]], "write"): v["bytes"]}


def _xfer_ticks(machine: Machine, v: Values) -> int:
    if _move_stream(v) == "io":
        return machine.duration(machine.bus_cycles(1, v["bytes"]))
    return machine.duration(Fraction(v["bytes"]) / machine.link)


def _work_counts(v: Values) -> dict[Action, int]:
    dtype = DTYPES[v["type"]]
    if WORK[v["fn"]] == "mac":
        return {("matrix", f"mac_{dtype}"): v["count"]}
    return {("vector", f"op_{dtype}"): v["count"]}


def _over(v: Values) -> str:
    return "bus" if _move_stream(v) == "io" else "link"


WORK: Final = ("mac", "add", "sub", "mul", "div")
_DST, _SRC = Field("dst", 2, names=SCOPES), Field("src", 2, names=SCOPES)
_TYPE = Field("type", 3, default=0, names=DTYPES)
_ON = Field("on", 2, names=ASYNC)
_TABLE: Final = (
    Spec("gather", 0, "Copies `count` rows of `bytes` from a packed table of `limit` rows at `far` in DRAM to `near` in NRAM."
         " Which rows, stands in NRAM right behind them: `count` int32 numbers. One outside 0 to limit − 1 stops the run.",
         (Field("far", 36), Field("near", 24), Field("bytes", 20, 1), Field("count", 12, 1), Field("limit", 24, 1)),
         lambda _: "io", "setup + count·⌈bytes/burst⌉·burst / bus",
         lambda machine, v: machine.duration(machine.bus_cycles(v["count"], v["bytes"])), lambda _: "bus", _gather_counts,
         _gather_reads, _gather_writes, meaning.gather, ("far", "near")),
    Spec("end", 1, "The program of this agent ends when its queues are empty.", ()),
    Spec("sync", 2, "What follows starts when all before it has ended: on this agent, or `cluster`: on every one.",
         (Field("cluster", 1, default=0),)),
    Spec("loop", 3, "Repeats up to its `endloop`; loops nest four deep.", (Field("count", 32, 1),)),
    Spec("endloop", 4, "Closes the innermost loop.", ()),
    Spec("step", 5, "Moves the fields of the next instruction in each round of the loop at depth `level` (0: outermost).",
         (Field("level", 4, default=0), Field("a", 36, default=0, signed=True), Field("b", 36, default=0, signed=True),
          Field("c", 36, default=0, signed=True))),
    Spec("move", 6, "Copies rows between memories. `far` is the address in the outer memory, rows `stride` apart (0: packed),"
         " `near` in the inner one, packed. `decode` d: rows are 2^d times shorter in the outer memory (timing only).",
         (_DST, _SRC, Field("far", 36), Field("near", 24), Field("bytes", 20, 1), Field("rows", 12, 1, 1),
          Field("stride", 22, default=0), Field("decode", 2, default=0)),
         _move_stream, "bus: setup + rows·⌈bytes/burst⌉·burst / bus; on chip: rows·bytes / link", _move_ticks, _over,
         _move_counts, lambda v: _move_regions(v)[:1], lambda v: _move_regions(v)[1:], meaning.move, ("far", "near")),
    Spec("expand", 13, "Writes `length` numbers to the inner memory, packed from `near` on, from `bytes` of the outer one at"
         " `far`: a bit for each number, low bits first and filled up to whole bytes, then the numbers whose bit is set; the"
         " others are 0.",
         (_DST, _SRC, Field("far", 36), Field("near", 24), Field("bytes", 20, 1), Field("length", 22, 1), _TYPE),
         _move_stream, "bus: the longer of setup + ⌈bytes/burst⌉·burst / bus and what it writes / link; on chip: what it"
         " writes / link", _expand_ticks, _over, _expand_counts, lambda v: _expand_regions(v)[:1],
         lambda v: _expand_regions(v)[1:], meaning.expand, ("far", "near")),
    Spec("mm", 7, "y[m, n] = x[m, k]·w[k, n], or += with `acc`; x and y in NRAM, w in WRAM, row after row. Products and"
         " sums are rounded one by one, in order of k; integers sum in int32, float16 in float32.",
         (Field("y", 24), Field("x", 24), Field("w", 24), Field("m", 14, 1), Field("k", 15, 1), Field("n", 15, 1),
          Field("acc", 1, default=0), _TYPE),
         lambda _: "compute", "m·k·n / macs, or what a unit of rows × columns takes, with fill and drain if it is systolic",
         lambda machine, v: machine.duration(machine.mac_cycles(v["m"], v["k"], v["n"], DTYPES[v["type"]])),
         lambda _: "matrix", _mm_counts, _mm_reads, _mm_writes, meaning.mm, ("y", "x", "w")),
    Spec("vec", 8, "Element by element in NRAM: dst = fn(a, b). With `imm`, b is not an address but the bits of a float32."
         " `quantise` is a times b, to the nearest even, to int8; `dequantise` is a in float32 times b.",
         (Field("fn", 5, names=meaning.FUNCTIONS), _TYPE, Field("dst", 24), Field("a", 24, default=0),
          Field("b", 32, default=0, address=24), Field("length", 24, 1), Field("imm", 1, default=0)),
         lambda _: "compute", "length / lanes; exp, tanh, sigmoid, div, sqrt, erf, log: length / special", _vec_ticks,
         lambda _: "vector", _vec_counts, _vec_reads, _vec_writes, meaning.vec, ("dst", "a", "b")),
    Spec("post", 9, "Adds one to counter `sem`, which all agents see, once all before it in its stream has ended.",
         (_ON, Field("sem", 8)), lambda v: ASYNC[v["on"]], variant=0),
    Spec("wait", 10, "Holds its stream until counter `sem` has reached `value`; takes nothing from it.",
         (_ON, Field("sem", 8), Field("value", 36)), lambda v: ASYNC[v["on"]], steps=("value",)),
    Spec("xfer", 11, "Timing only: so many bytes from one memory to another.", (_DST, _SRC, Field("bytes", 40, 1)),
         _move_stream, "bytes / bus, or bytes / link", _xfer_ticks, _over, _xfer_counts),
    Spec("work", 12, "Timing only: so many operations of one kind.",
         (Field("fn", 3, names=WORK), _TYPE, Field("count", 40, 1)), lambda _: "compute", "count / macs, lanes or special",
         lambda machine, v: _lane_ticks(machine, WORK[v["fn"]], DTYPES[v["type"]], v["count"]),
         lambda v: "matrix" if WORK[v["fn"]] == "mac" else "vector", _work_counts),
    Spec("nop", 9, "Keeps its stream busy.", (_ON, Field("cycles", 24, default=0)), lambda v: ASYNC[v["on"]], "cycles",
         lambda machine, v: v["cycles"] * machine.ticks, variant=1),
    Spec("rows", 14, "A plane and a vector in NRAM: dst[m, n] = fn(a[m, n], b[n]), or b[m] with `across`.",
         (Field("fn", 3, names=meaning.BINARY), _TYPE, Field("dst", 24), Field("a", 24), Field("b", 24),
          Field("m", 17, 1), Field("n", 24, 1), Field("across", 1, default=0)),
         lambda _: "compute", "m·n / lanes; div: m·n / special",
         lambda machine, v: _lane_ticks(machine, meaning.BINARY[v["fn"]], DTYPES[v["type"]], v["m"] * v["n"]),
         lambda _: "vector", lambda v: _tally(_rows_reads(v), _rows_writes(v), _plane_work(v)), _rows_reads, _rows_writes,
         meaning.rows, ("dst", "a", "b")),
    Spec("fold", 15, "A plane in NRAM to a vector: dst[m] = fn over n of a[m, n], in order; dst[n] = fn over m with `down`.",
         (Field("fn", 2, names=meaning.FOLDS), _TYPE, Field("dst", 24), Field("a", 24), Field("m", 24, 1),
          Field("n", 24, 1), Field("down", 1, default=0)),
         lambda _: "compute", "m·n / lanes",
         lambda machine, v: _lane_ticks(machine, meaning.FOLDS[v["fn"]], DTYPES[v["type"]], v["m"] * v["n"]),
         lambda _: "vector", lambda v: _tally(_fold_reads(v), _fold_writes(v), _plane_work(v)), _fold_reads, _fold_writes,
         meaning.fold, ("dst", "a")),
)  # fmt: skip
SPECS: Final = {spec.name: spec for spec in _TABLE}


def make(name: str, *, tokens: int = 0, line: int = 0, **given: int) -> Instruction:
    """An instruction with its defaults filled in and every field checked."""
    spec = SPECS.get(name)
    where = f"line {line}" if line else f"instruction {name!r}"
    if spec is None:
        raise InputError(f"no instruction {name!r}", where=where, expected=f"one of {', '.join(SPECS)}", example="sync")
    values = {}
    for one in spec.fields:
        value = given.pop(one.name, one.default)
        if value is None:
            raise InputError(
                f"{name}: {one.name!r} is missing", where=where, expected=bounds(one), example=_example(spec)
            )
        if not one.fits(value):
            raise InputError(
                f"{name}: {one.name} is {value}", where=where, expected=bounds(one), example=_example(spec)
            )
        values[one.name] = value
    if given:
        raise InputError(f"{name}: {next(iter(given))!r} is no field", where=where,
                         expected=f"one of {', '.join(f.name for f in spec.fields) or 'none'}",
                         example=_example(spec))  # fmt: skip
    if not 0 <= tokens < 16 or (tokens and spec.stream(values) == "scalar"):
        raise InputError(f"{name}: tokens {tokens}", where=where, expected="0 to 15, and 0 for a scalar instruction",
                         example="move ... !compute")  # fmt: skip
    if name in ("move", "xfer") and values["dst"] == values["src"] == 0:
        raise InputError(f"{name} from dram to dram", where=where, expected="one end on chip", example="dst=nram")
    if name == "vec":
        _check_vec(values, where)
    if name == "expand" and values["src"] >= values["dst"]:
        raise InputError("expand to the same or an outer memory", where=where, expected="dst farther in than src",
                         example="expand dst=wram src=dram far=0 near=0 bytes=40 length=64")  # fmt: skip
    return Instruction(name, values, tokens, line)


def _check_vec(values: Values, where: str) -> None:
    if not values["imm"] and values["b"] >= 1 << 24:
        raise InputError(f"vec: b is {values['b']}", where=where, expected="an address below 2^24", example="b=4096")


def bounds(one: Field) -> str:
    if one.names:
        return f"one of {', '.join(one.names)}"
    return f"{one.least} to {one.top - 1}"


def _example(spec: Spec) -> str:
    return " ".join([spec.name, *(f"{f.name}={f.names[0] if f.names else max(1, f.low)}" for f in spec.fields
                                  if f.default is None)])  # fmt: skip
