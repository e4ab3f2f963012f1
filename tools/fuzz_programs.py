"""Mutated programs: each must run, or be refused with an InputError that says where; in 5 s, in 1 GB, inside the memories.

python tools/fuzz_programs.py [COUNT] [SEED]     (10,000 mutations of seed 0 by default)

A third each are program files, assembly and the textbook's notation. A file changed without mending its checksum must be
refused, or hold the same program. What runs is run again from its own disassembly and must take the same cycles.
"""

import random
import re
import resource
import signal
import sys
import zlib
from collections import Counter
from dataclasses import replace
from types import FrameType

import numpy as np

from picojoule.formats import load_machine
from picojoule.machine import (
    Machine,
    Program,
    assemble,
    cluster_matmul,
    disassemble,
    dump_program,
    matmul,
    parse_program,
    plan,
    read_textbook,
    simulate,
)
from picojoule.quantity import InputError

SECONDS, KIBIBYTES, LIMIT = 5, 1 << 20, 5_000
CORE, CLUSTER = load_machine("textbook-core"), load_machine("textbook-cluster")
MACHINES = (CORE, CLUSTER, replace(CORE, window=4), load_machine("vta-pynq"), load_machine("systolic-16"))
WHERE = re.compile(r":\d+|byte \d+|word \d+|\(line \d+\)|core\d+|dma|memory list|buffer |machine ")
ODD = ("-1", "0", "1", "4095", "4096", "65536", "16777215", "16777216", "1048575", "4294967295", "4294967296", "99999999999",
       "68719476735", "0x7fffffff", "1e9", "1.5", "", "x", "X+1", "X-1", "9" * 400, "nan", "dram", "nram", "float32", "?io",
       "!compute", "?move", "=", "\0", "é", "../a")  # fmt: skip
LOOPED = """
.data X dram 0 float32 64x16 input
.data Y dram 8192 float32 64x4 output
.data W dram 4096 float32 16x4 constant
.const W {}
.core 0
move dst=wram src=dram far=W near=0 bytes=256 !compute
loop count=16
  step level=0 a=256 b=256
  move dst=nram src=dram far=X near=0 bytes=64 rows=4 stride=64 !compute
  nop on=compute cycles=1 ?io
  step level=0 a=64 b=256
  mm y=8192 x=0 w=0 m=4 k=16 n=4 !io
  step level=0 a=64
  step level=0 b=64
  move dst=dram src=nram far=Y near=8192 bytes=64 ?compute
endloop
sync
vec fn=relu dst=0 a=8192 length=16
post on=io sem=1
wait on=move sem=1 value=1
sync
""".format("00" * 256)
TEXTBOOK = """
move DRAM NRAM 1024
loop 4
  loop 3
    move DRAM WRAM 1024   # weights
    compute MAC_32 256
  endloop
  sync
  compute ADD 16 512
endloop
move NRAM DRAM 4
"""


def seeds() -> list[tuple[Program, str, Machine]]:
    """Programs that are mutated, with their texts and the machines they are for."""
    found = [(assemble(LOOPED), CORE), (matmul(CORE, 8, 16, 8, (4, 8, 4)), CORE),
             (cluster_matmul(CLUSTER, 8, 16, 16, 2), CLUSTER), (read_textbook(TEXTBOOK), CORE)]  # fmt: skip
    return [*((program, disassemble(program), machine) for program, machine in found), (found[0][0], LOOPED, CORE)]


def mended(content: bytearray) -> bytes:
    """The file with its length and checksum as they should be."""
    if len(content) >= 20:
        content[8:16] = len(content).to_bytes(8, "little")
        content[16:20] = zlib.crc32(content[20:]).to_bytes(4, "little")
    return bytes(content)


def mutate_file(program: Program, dice: random.Random) -> tuple[bytes, bool]:
    """A program file with some bytes changed; whether its checksum was mended."""
    content = bytearray(dump_program(program))
    for _ in range(dice.choice((1, 1, 2, 4, 12))):
        at, what = dice.randrange(len(content)), dice.random()
        if what < 0.5:
            content[at] ^= 1 << dice.randrange(8)
        elif what < 0.7:
            content[at] = dice.choice((0, 1, 127, 128, 255))
        elif what < 0.8:
            content[at:at] = content[at : at + dice.choice((1, 16, 64))]
        elif what < 0.9:
            del content[at : at + dice.choice((1, 16, 64))]
        else:
            word = dice.randrange(len(content) // 16 or 1) * 16
            content[word : word + 16] = dice.randbytes(16)
        if not content:
            content = bytearray(b"P")
    mend = dice.random() < 0.8
    return (mended(content), True) if mend else (bytes(content), False)


def mutate_text(text: str, dice: random.Random) -> str:
    """A text with words, lines or characters changed."""
    for _ in range(dice.choice((1, 1, 2, 3, 8))):
        lines = text.split("\n")
        at, what = dice.randrange(len(lines)), dice.random()
        if what < 0.35:
            words = re.split(r"([ =]+)", lines[at])
            words[dice.randrange(len(words))] = dice.choice(ODD)
            lines[at] = "".join(words)
        elif what < 0.45:
            lines[at] = re.sub(r"\d+", lambda _: dice.choice(ODD), lines[at], count=1)
        elif what < 0.55:
            lines[at] = re.sub(
                r"\d+", lambda found: str(int(found[0]) + dice.choice((-64, -1, 1, 4, 64))), lines[at], count=1
            )
        elif what < 0.7:
            del lines[at]
        elif what < 0.85:
            lines.insert(dice.randrange(len(lines)), lines[at])
        elif what < 0.95:
            lines.insert(at, dice.choice(("sync", "loop count=4294967295", "endloop", "end", "step level=3 a=1", ".core 3",
                                          ".dma", "sync cluster=1", "loop 99999", ".data X dram 0 int8 1 input")))  # fmt: skip
        else:
            place = dice.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:place] + dice.choice("=?!#.x\t\0é-+") + lines[at][place:]
        text = "\n".join(lines)
    return text


def inside(program: Program, machine: Machine) -> None:
    """Every byte that any instruction touches, in every round, lies in its memory."""
    layout = plan(program, machine, LIMIT)
    sizes = {0: machine.sizes["dram"], 1: machine.sizes["sram"]}
    for core in range(machine.cores):
        sizes |= {2 + 2 * core: machine.sizes["nram"], 3 + 2 * core: machine.sizes["wram"]}
    seen = [0] * len(layout.slots)
    for queue in layout.queues:
        for number in queue.order[queue.order >= 0].tolist():
            op = layout.slots[number].op(seen[number])
            seen[number] += 1
            for span in (*op.reads, *op.writes):
                assert 0 <= span.start < span.end <= sizes.get(span.space, 0), op.text


def attempt(program: Program, machine: Machine) -> str:
    """Time it, then run it with values where it can have some."""
    inside(program, machine)
    run = simulate(program, machine, check=False, limit=LIMIT)
    again = simulate(assemble(disassemble(program)), machine, check=False, limit=LIMIT)
    assert again.cycles == run.cycles
    inputs = [one for one in program.buffers if one.role == "input"]
    if sum(one.bytes for one in program.buffers) < 1 << 24:
        simulate(program, machine, {one.name: np.zeros(one.shape, one.dtype) for one in inputs}, limit=LIMIT)
        return "ran with values"
    return "ran"


def one(dice: random.Random, known: list[tuple[Program, str, Machine]]) -> str:
    """Make one mutation and try it, mostly on the machine that it is for."""
    kind, timed = dice.choice(("file", "assembly", "textbook")), False
    original, text, machine = dice.choice(known)
    machine = machine if dice.random() < 0.8 else dice.choice(MACHINES)
    try:
        if kind == "file":
            content, mend = mutate_file(original, dice)
            program = parse_program(content, "mutant.pjx")
            assert mend or program == original, "a changed file passed for whole"
        elif kind == "assembly":
            program = assemble(mutate_text(text, dice), "mutant.asm")
        else:
            program = read_textbook(mutate_text(TEXTBOOK, dice), machine, "mutant.txt")
        simulate(program, machine, check=False, limit=LIMIT)
        timed = True
        return f"{kind}: {attempt(program, machine)}"
    except InputError as error:
        assert error.where, error
        assert WHERE.search(str(error)), error
        return f"{kind}: {'ran, values refused' if timed else 'refused'}"


def _too_long(_: int, __: FrameType | None) -> None:
    raise TimeoutError(f"took more than {SECONDS} s")


def run(count: int, seed: int = 0) -> Counter[str]:
    """Try `count` mutations; raises AssertionError at the first that breaks a rule."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    known = seeds()
    found = Counter[str]()
    signal.signal(signal.SIGALRM, _too_long)
    for index in range(count):
        dice = random.Random(f"{seed} {index}")
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            found[one(dice, known)] += 1
        except Exception as error:
            raise AssertionError(f"mutation {index} of seed {seed}") from error
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert used < KIBIBYTES, f"{used} KiB in use"
    return found


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]] or [10_000]
    for what, times in sorted(run(*given).items()):
        sys.stdout.write(f"{what:<32}{times:>8}\n")
