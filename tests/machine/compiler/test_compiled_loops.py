"""Hardware loops in compiled programs: the same instructions, written shorter."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picojoule.formats import load_machine
from picojoule.frontends.onnx import read_graph
from picojoule.machine import SPECS, Instruction, assemble, disassemble, dump_program, make, parse_program, simulate
from picojoule.machine._code import Code
from picojoule.machine._decoder import DEPTH, Decoder
from picojoule.machine._isa import ASYNC
from picojoule.machine._layout import Slot
from picojoule.machine.compiler import Options, Segment, compile_graph
from picojoule.machine.compiler._loops import folded

from . import networks as nets

CORE, CLUSTER = load_machine("textbook-core"), load_machine("textbook-cluster")
Word = tuple[str, int, tuple[int, ...]]


def stream_of(word: Word) -> str:
    """Which stream a word is for."""
    name, _, values = word
    spec = SPECS[name]
    return spec.stream(dict(zip((one.name for one in spec.fields), values, strict=True)))


class _Bare:
    """As much of a shape as a slot needs to work out its fields."""


def unrolled(code: tuple[Instruction, ...]) -> list[Word]:
    """What a decoder hands out, word after word, every field as its loops have moved it."""
    decoder, columns = Decoder(), Code.of(code)
    tree = decoder.run(columns)
    slots = [Slot(columns[int(word)], _Bare(), *decoder.stepped.get(number, ((), ())))  # type: ignore[arg-type]
             for number, word in enumerate(decoder.words)]  # fmt: skip
    seen: Counter[int] = Counter()
    found = []
    for number in tree.order().tolist():
        one = slots[number]
        values = one.values(seen[number])
        found.append((one.instruction.name, one.instruction.tokens, tuple(values.values())))
        seen[number] += 1
    return found


@st.composite
def repeating(draw: st.DrawFn, depth: int = 0) -> list[Instruction]:
    """Words in runs that repeat with steps, in runs of runs, among words that do not."""
    if depth == 3 or draw(st.booleans()):
        kind = draw(st.integers(0, 3))
        at, tokens = draw(st.integers(0, 50)), draw(st.integers(0, 3))
        if kind == 0:
            return [make("move", dst=2, src=0, far=at, near=64 * at, bytes=64, tokens=tokens)]
        if kind == 1:
            return [make("mm", y=at, x=2 * at, w=0, m=1, k=1, n=draw(st.integers(1, 2)), tokens=tokens)]
        if kind == 2:
            return [make("vec", fn=2, dst=at, a=at, b=draw(st.integers(0, 2)), imm=1, length=4, tokens=tokens)]
        return [make("wait", on=0, sem=1, value=at)]
    body = [one for _ in range(draw(st.integers(1, 3))) for one in draw(repeating(depth=depth + 1))]
    steps = [{name: draw(st.integers(0, 9)) for name in one.spec.steps} for one in body]
    rounds = draw(st.integers(1, 5))
    return [_moved(one, step, i) for i in range(rounds) for one, step in zip(body, steps, strict=True)]


def _moved(one: Instruction, step: dict[str, int], times: int) -> Instruction:
    still = {"b"} if one.values.get("imm") else set()
    values = {name: value + (0 if name in still else step.get(name, 0) * times) for name, value in one.values.items()}
    return Instruction(one.name, values, one.tokens)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(repeating(), min_size=1, max_size=4).map(lambda parts: [one for part in parts for one in part]), st.data()
)
def test_same_words(code: list[Instruction], data: st.DataObject) -> None:
    """Round trip: unrolled, the loops are the words they were made from; never more words; owners and lines follow."""
    owners = sorted(data.draw(st.lists(st.integers(0, 2), min_size=len(code), max_size=len(code))))
    short, whose = folded(code, owners)
    assert unrolled(short) == [(one.name, one.tokens, tuple(one.values.values())) for one in code]
    assert len(short) <= len(code)
    assert len(whose) == len(short)
    assert [one.line for one in short] == list(range(1, len(short) + 1))
    decoder = Decoder()
    order = decoder.run(Code.of(short)).order().tolist()
    assert [whose[int(decoder.words[number])] for number in order] == owners
    assert max((len(trips) for _, trips in decoder.stepped.values()), default=0) <= DEPTH


def test_by_hand() -> None:
    """By hand: 3 rounds of (move, 8 products), products 64 apart, rounds 4,096 apart: 2 loops, 3 steps, 2 words."""
    code = []
    for i in range(3):
        code.append(make("move", dst=3, src=0, far=4096 * i, near=0, bytes=4096))
        code += [make("mm", y=64 * j, x=4096 * i + 64 * j, w=0, m=1, k=16, n=16) for j in range(8)]
    short, _ = folded(code, [0] * len(code))
    assert [one.name for one in short] == [
        "loop", "step", "move", "loop", "step", "step", "mm", "endloop", "endloop",
    ]  # fmt: skip
    assert len(code) == 27
    assert [one.values["count"] for one in short if one.name == "loop"] == [3, 8]
    assert [(one.values["level"], one.values["a"], one.values["b"]) for one in short if one.name == "step"] == [
        (0, 4096, 0), (0, 0, 4096), (1, 64, 64),
    ]  # fmt: skip


@pytest.mark.parametrize("machine", [CORE, CLUSTER], ids=["core", "cluster"])
@pytest.mark.parametrize("name", ["resnet", "bert", "lstm", "mobilenet"])
def test_networks(name: str, machine: object, tmp_path: Path) -> None:
    """Equality: with and without loops a network takes the same cycles, does the same, layer by layer, and gives the
    same bits; it has no more words, and they survive the program file and assembly."""
    path = tmp_path / "net.onnx"
    {"resnet": lambda: nets.resnet(path, 18, 32, 8, 10), "bert": lambda: nets.bert(path, 12, 32, 4, 2),
     "lstm": lambda: nets.recurrent(path, "LSTM"), "mobilenet": lambda: nets.mobilenet(path, 32, 0.25, 10)}[name]()  # fmt: skip
    graph, x = read_graph(path), nets.feeds(path)
    short, plain = (compile_graph(graph, machine, options=Options(loops=one)) for one in (True, False))  # type: ignore[arg-type]
    assert short.time() == plain.time()
    assert short.layers() == plain.layers()
    assert {n: a.tobytes() for n, a in short(x).items()} == {n: a.tobytes() for n, a in plain(x).items()}
    assert short.program.words <= plain.program.words
    assert parse_program(dump_program(short.program)) == short.program
    text = assemble(disassemble(short.program))
    assert text.sections == short.program.sections
    for agent, code in plain.program.sections.items():
        for stream in ASYNC:
            mine = [one for one in code if one.spec.stream(one.values) == stream]
            found = [one for one in unrolled(short.program.sections[agent]) if stream_of(one) == stream]
            assert found == unrolled(tuple(mine))


def test_words(tmp_path: Path) -> None:
    """Bound: a product in many tiles is at most half of its unrolled words, and takes the cycles that were planned."""
    net = nets.Net(1)
    path = net.save(tmp_path / "net.onnx", net.add("MatMul", net.input("x", 256, 1024), net.weight(1024, 1024)))
    short, plain = (compile_graph(read_graph(path), CORE, options=Options(loops=one)) for one in (True, False))
    assert plain.program.words > 500
    assert short.program.words <= plain.program.words / 2
    (segment,) = short.steps
    assert isinstance(segment, Segment)
    assert simulate(short.program, CORE).cycles == segment.planned
