"""Programs as columns: kinds, addresses and layouts in NumPy and compiled, against instructions one by one."""

import importlib.util
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.formats import load_machine
from picojoule.machine import (
    SPECS,
    Instruction,
    Program,
    assemble,
    decode,
    dump_program,
    encode,
    make,
    matmul,
    parse_program,
    plan,
    simulate,
)
from picojoule.machine import _code as columns
from picojoule.machine._code import MASKS, Code, kinds_of
from picojoule.machine._layout import Layout
from picojoule.quantity import InputError

from .machines import CLUSTER, CORE, Writer

TEXTBOOK = load_machine("textbook-core")
NUMBA = importlib.util.find_spec("numba") is not None
needs_numba = pytest.mark.skipif(not NUMBA, reason="Numba, the extra `fast`, is absent")


def in_numpy(count: int) -> None:
    """No compiled passes."""


def in_numba(count: int) -> Any:
    """The compiled passes, however few words there are."""
    from picojoule.machine import _kernel_lay

    return _kernel_lay


def spread(seed: int, size: int = 40) -> list[Instruction]:
    """Instructions of a random program of a cluster."""
    program = Writer(CLUSTER, seed).program(size)
    return [one for code in program.sections.values() for one in code]


@given(st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_code_is_its_instructions(seed: int) -> None:
    """Round trip: a list of instructions as columns, read one by one, in a row, in part and from bytes."""
    listed = spread(seed)
    code = Code.of(listed)
    assert list(code) == listed == [code[i] for i in range(len(code))]
    assert [one.line for one in code] == [one.line for one in listed]
    assert list(code[3:9]) == listed[3:9]
    assert code == tuple(listed) == Code.read(code.content)
    assert code[1:] != code[:-1]
    assert [int(low) | int(high) << 64 for low, high in code.words] == [encode(one) for one in listed]


@given(st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_kinds_differ_in_addresses_only(seed: int) -> None:
    """Equality: two words are of one kind where name, tokens and all fields but those that steps move are equal."""
    code = Code.of(spread(seed))
    shown = [
        (one.name, one.tokens, *(v >> 24 if f.address else 0 if f.name in one.spec.steps else v
                                 for f, v in zip(one.spec.fields, one.values.values(), strict=True)))
        for one in code
    ]  # fmt: skip
    first = {what: i for i, what in reversed(list(enumerate(shown)))}
    assert code.kinds.first.tolist() == sorted(first.values())
    assert [int(code.kinds.first[kind]) for kind in code.kinds.of] == [first[what] for what in shown]


@given(st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_addresses_are_fields(seed: int) -> None:
    """Equality: cut out of words, the fields that steps move are those of the instructions."""
    code = Code.of(spread(seed))
    found = code.addresses(np.arange(len(code)))
    for row, one in zip(found.tolist(), code, strict=True):
        assert row == ([one.values[name] for name in one.spec.steps] + [0, 0, 0])[:3]


@needs_numba
@given(st.integers(1, 5000), st.integers(1, 500), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_kinds_compiled(count: int, different: int, seed: int) -> None:
    """Equality: random words, many of them alike, have equal kinds in NumPy and compiled; tables grow on the way."""
    draw = np.random.default_rng(seed)
    words = draw.integers(0, 1 << 63, (different, 2), np.uint64)[draw.integers(0, different, count)]
    of, first = in_numba(0).group(words, MASKS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "compiled", in_numpy)
        expected = kinds_of(words)
    assert (of == expected.of).all()
    assert (first == expected.first).all()


@pytest.mark.parametrize("passes", [in_numpy, pytest.param(in_numba, marks=needs_numba)])
def test_words_that_meet(passes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound: 6,000 words written so that they meet in one place of the table are told apart all the same."""
    monkeypatch.setattr(columns, "compiled", passes)
    high = np.arange(1, 20_001, dtype=np.uint64)
    inverse = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))
    words = np.stack([(high * np.uint64(0xC2B2AE3D27D4EB4F) >> np.uint64(7)) * inverse, high], axis=1)
    words = words[
        (words[:, 0] & np.uint64(15) < 6) & (words[:, 0] & np.uint64(15) != 0)
    ]  # nothing of them is an address
    assert len(words) > 1000
    kinds = kinds_of(words)
    assert kinds.of.tolist() == kinds.first.tolist() == list(range(len(words)))


def laid(program: Program, machine: Any) -> Layout | str:
    """The layout, or why there is none."""
    try:
        return plan(program, machine, 100_000)
    except InputError as error:
        return str(error)


@needs_numba
@given(st.integers(0, 10_000), st.integers(0, 3), st.integers(0, 1 << 16))
@settings(max_examples=150, deadline=None)
def test_layouts_compiled(seed: int, faults: int, far: int) -> None:
    """Equality: NumPy and compiled passes give one layout, or one message: random programs, some with a wrong address."""
    machine = replace((CORE, CLUSTER)[seed % 2], window=seed % 5 // 4)
    program = Writer(machine, seed).program(4 + seed % 37)
    draw = np.random.default_rng(seed)
    sections = {name: list(code) for name, code in program.sections.items()}
    for _ in range(faults):
        code = sections[str(draw.choice(sorted(sections)))]
        at = int(draw.integers(0, len(code)))
        if code[at].spec.steps and code[at].name != "wait":
            moved = str(draw.choice(code[at].spec.steps))
            code[at] = replace(code[at], values={**code[at].values, moved: far})
    found = []
    for passes in (in_numpy, in_numba):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(columns, "compiled", passes)
            patch.setattr("picojoule.machine._plan.compiled", passes)
            found.append(laid(Program({name: tuple(code) for name, code in sections.items()}), machine))
    one, other = found
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    assert one.slots.shapes == other.slots.shapes
    assert one.times.tolist() == other.times.tolist()
    assert one.slots.addresses().tolist() == other.slots.addresses().tolist()
    for mine, theirs in zip(one.queues, other.queues, strict=True):
        assert mine.order.tolist() == theirs.order.tolist()
        assert [stream.tolist() for stream in mine.streams] == [stream.tolist() for stream in theirs.streams]
        assert mine.ends.tolist() == theirs.ends.tolist()


def test_the_first_fault_is_told() -> None:
    """Message: of several faults that of the first word, whether it is the address or what the kind does."""
    good = "move dst=nram src=dram far=0 near=0 bytes=64\n"
    outside, overlap = good.replace("near=0", "near=4090"), good.replace("dst=nram src=dram", "dst=dram src=nram")
    overlap = overlap.replace("bytes=64", "bytes=64 rows=2 stride=8")
    for text, line, words in (
        (good * 2 + outside + overlap + outside, 3, "reaches byte 4153"),
        (good + overlap + outside, 2, "rows of 64 bytes overlap"),
        (good * 3 + "mm x=0 w=0 y=4000 m=4 k=1 n=8", 4, "reaches byte 4127"),
        (good + "mm x=0 w=0 y=64 m=4 k=1 n=8 type=float16\n" + outside, 2, "no macs of type float16"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            simulate(assemble(text, "p.s"), CORE)
        assert caught.value.where == f"p.s:{line}"


def test_the_first_bad_word_is_told() -> None:
    """Message: of several damaged words of a file the place of the first, though kinds are checked once."""
    program = assemble("nop on=io cycles=1\n" * 5)
    good = dump_program(program)
    at = good.index(program.sections["core0"].content)  # type: ignore[attr-defined]
    for damaged in ([2], [4, 3], [1, 2, 3]):
        content = bytearray(good)
        for word in damaged:
            content[at + 16 * word + 15] = 128
        content[16:20] = __import__("zlib").crc32(content[20:]).to_bytes(4, "little")
        with pytest.raises(InputError, match="nop: unused bits are set") as caught:
            parse_program(bytes(content), "p.pjx")
        assert caught.value.where == f"p.pjx: byte {at + 16 * min(damaged)}"


@pytest.mark.parametrize(
    "one",
    [Instruction("nop", {"on": 0, "cycles": 1 << 24}), Instruction("nop", {"on": 3, "cycles": 1}),
     Instruction("sync", {"cluster": 0}, tokens=1), Instruction("nop", {"on": 0, "cycles": 1}, tokens=16),
     Instruction("vec", {**make("vec", fn=0, dst=0, length=1).values, "b": 1 << 24})],
)  # fmt: skip
def test_programs_hold_instructions(one: Instruction) -> None:
    """Message: values that no word can hold are refused when a program is made, not cut off."""
    with pytest.raises(InputError):
        Program({"core0": (one,)})


@given(st.sampled_from(sorted(SPECS)), st.integers(0, (1 << 128) - 1))
def test_random_words(name: str, word: int) -> None:
    """Equality: a random word in a program file is refused, or kept, as decode() has it."""
    word = word & ~15 | SPECS[name].opcode
    try:
        expected: Instruction | None = decode(word)
    except InputError:
        expected = None
    try:
        found = Code.read(word.to_bytes(16, "little"))
    except InputError:
        assert expected is None
        return
    assert found[0] == expected


def test_long_straight_code_keeps_its_columns() -> None:
    """Bound: laying out and timing straight code makes no object for an instruction."""
    product = matmul(TEXTBOOK, 32, 256, 128, (4, 16, 16), "knm")
    layout = plan(parse_program(dump_program(product)), TEXTBOOK)
    assert simulate(product, TEXTBOOK, check=False).instructions == len(layout.slots)
    assert len(layout.slots.shapes) < 40
    assert not layout.slots._known
    assert not layout.slots.moving


@needs_numba
@pytest.mark.parametrize("seed", range(12))
def test_straight_code_in_both_engines(seed: int) -> None:
    """Equality: random tilings of a product without loops, on machines with and without rows of DRAM and windows."""
    draw = np.random.default_rng(seed)
    tile = tuple(int(one) for one in draw.integers(1, 9, 3))
    machine = replace(
        TEXTBOOK, window=(0, 0, 5)[seed % 3], rows=(None, load_machine("textbook-core-ddr4").rows)[seed % 2]
    )
    program = parse_program(dump_program(matmul(machine, 24, 24, 24, tile, ("mnk", "knm")[seed % 2])))
    runs = [simulate(program, machine, check=False, engine=engine) for engine in ("plain", "compiled")]
    assert runs[0] == replace(runs[1], engine="plain")
