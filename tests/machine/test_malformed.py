"""Malformed programs: mutated files and texts run or say where they fail."""

import importlib.util
from pathlib import Path

import pytest

from picojoule.formats import load_machine
from picojoule.machine import assemble, dump_program, parse_program, simulate
from picojoule.quantity import InputError


def test_four_hundred_mutations() -> None:
    """Bound: mutants run inside the memories, or are refused with a place, in 5 s; tools/fuzz_programs.py tries 10,000."""
    path = Path(__file__).parents[2] / "tools" / "fuzz_programs.py"
    spec = importlib.util.spec_from_file_location("fuzz_programs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.run(400, seed=7)
    refused = sum(count for what, count in found.items() if what.endswith(": refused"))
    assert refused > 200
    assert sum(found.values()) - refused > 20


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (".data A dram 0 int8 4 input\n.data A dram 8 int8 4 input", "p.s:2"),
        (".const A 00\n", "p.s:1"),
        (".data A dram 0 int8 4 constant\n.const A 0000\n", "p.s:2"),
        ("sync\nsync ?io", "p.s:2"),
    ],
)
def test_lines_of_directives(text: str, where: str) -> None:
    """Message: a name given twice, constants without a place or of another size: the line."""
    with pytest.raises(InputError) as caught:
        assemble(text, "p.s")
    assert caught.value.where == where


def test_words_without_lines_are_counted() -> None:
    """Message: a program file without line numbers says which word of which agent is wrong."""
    program = assemble(".core 0\nsync\nmove src=dram dst=nram far=0 near=0 bytes=9\nloop count=2\nnop on=io\n")
    bare = type(program)({"core0": tuple(one.__class__(one.name, one.values) for one in program.sections["core0"])})
    with pytest.raises(InputError, match="a loop without its endloop") as caught:
        simulate(parse_program(dump_program(bare), "p.pjx"), load_machine("textbook-core"))
    assert caught.value.where == "p.pjx: core0, word 3"


def test_names_that_are_not_text() -> None:
    """Message: a memory list that is not UTF-8 is found at its byte."""
    content = bytearray(dump_program(assemble(".data A dram 0 int8 4 input\nnop on=io")))
    at = content.index(b"A dram")
    content[at] = 0xFF
    content[16:20] = __import__("zlib").crc32(content[20:]).to_bytes(4, "little")
    with pytest.raises(InputError, match="not UTF-8") as caught:
        parse_program(bytes(content), "p.pjx")
    assert caught.value.where == "p.pjx: byte 20"
