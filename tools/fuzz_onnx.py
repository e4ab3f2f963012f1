"""Mutated ONNX files: each must be read or refused with an InputError, in 5 s, in 1 GB, inside its folder.

python tools/fuzz_onnx.py [COUNT] [SEED]     (10,000 mutations of seed 0 by default)

Files are damaged in two ways: byte by byte, and field by field (names, shapes, attributes, external locations), since a
file with one odd field still parses and gets further in.
"""

import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from picojoule.frontends.onnx import read_onnx
from picojoule.quantity import InputError

SECONDS, KIBIBYTES = 5.0, 1 << 20
GOOD = Path(__file__).parents[1] / "tests" / "data" / "onnx" / "good"
NUMBERS = (-(2**63), -1, 0, 1, 2, 3, 5, 2**31, 2**40, 2**63 - 1)
TEXTS = ("", "x", "../../etc/passwd", "/etc/passwd", "\u202e", "a" * 10_000, "N", "Conv", "MatMul", "Reshape", "Loop")
_outside: list[str] = []
_folder: list[Path] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: note every file opened outside the folder of the model."""
    if event == "open" and _folder and isinstance(arguments[0], str):
        path = Path(arguments[0]).resolve()
        if not path.is_relative_to(_folder[0]) and path.suffix not in (".py", ".pyc", ".so"):
            _outside.append(str(path))


def damage_bytes(data: bytes, dice: random.Random) -> bytes:
    """Flip, cut, double or drop a few bytes, mostly outside the weights."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(out)) if dice.random() < 0.3 else dice.randrange(min(len(out), 400))
        what = dice.randrange(5)
        if what == 0:
            out[at] ^= 1 << dice.randrange(8)
        elif what == 1:
            out[at] = dice.choice((0, 1, 127, 128, 255))
        elif what == 2:
            del out[at : at + dice.randint(1, 8)]
        elif what == 3:
            out[at:at] = out[at : at + dice.randint(1, 32)]
        else:
            del out[at:]
        out = out or bytearray(b"\0")
    return bytes(out)


def damage_fields(data: bytes, dice: random.Random) -> bytes:
    """Change some fields of the message to odd values of their own type."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        return data
    for _ in range(dice.randint(1, 4)):
        _odd_field(model, dice)
    return model.SerializeToString()


def _odd_field(message: Any, dice: random.Random) -> None:
    """Walk down at random and change what stands there."""
    for _ in range(12):
        fields = [(f, value) for f, value in message.ListFields() if f.name not in ("raw_data", "float_data")]
        if not fields:
            return
        field, value = dice.choice(fields)
        many = not isinstance(value, str | bytes | int | float) and hasattr(value, "__len__")
        if many and len(value) and dice.random() < 0.15:
            del value[dice.randrange(len(value))]
            return
        if many and len(value) and hasattr(value[0], "ListFields"):
            message = dice.choice(value)
            continue
        if hasattr(value, "ListFields"):
            message = value
            continue
        _replace(message, field.name, value, many, dice)
        return


def _replace(message: Any, name: str, value: Any, many: bool, dice: random.Random) -> None:
    sample = value[0] if many and len(value) else value
    odd: Any = dice.choice(NUMBERS) if isinstance(sample, int) else dice.choice((0.0, -1.0, 1e30, float("nan")))
    if isinstance(sample, str):
        odd = dice.choice(TEXTS)
    elif isinstance(sample, bytes):
        odd = dice.choice(TEXTS).encode()
    try:
        if many:
            value[dice.randrange(len(value))] = odd
        else:
            setattr(message, name, odd)
    except (ValueError, TypeError):
        return  # the field is too narrow for this number


def attempt(path: Path, dice: random.Random) -> str:
    """Read the file in some way; "read" or "refused". Anything else raised is a fault."""
    try:
        net = read_onnx(path, batch=dice.choice((None, None, 2)), seq=dice.choice((None, None, 7)), inputs={})
    except InputError as fault:
        assert fault.what
        return "refused"
    assert net.work.macs >= 0
    assert net.work.muls >= 0
    assert net.work.adds >= 0
    return "read"


def run(count: int, seed: int = 0) -> Counter[str]:
    """Try `count` mutations; raises AssertionError at the first that breaks a rule."""
    sys.addaudithook(watch)
    samples = [file.read_bytes() for file in sorted(GOOD.glob("*.onnx")) if file.stat().st_size < 100_000]
    dice, found, slowest = random.Random(seed), Counter[str](), 0.0
    with tempfile.TemporaryDirectory() as name:
        path = Path(name).resolve() / "m.onnx"
        for index in range(count):
            path.write_bytes(dice.choice((damage_bytes, damage_fields))(dice.choice(samples), dice))
            _folder[:] = [path.parent]
            start = time.perf_counter()
            try:
                found[attempt(path, dice)] += 1
            except Exception as fault:
                raise AssertionError(f"mutation {index} of seed {seed}: {type(fault).__name__}: {fault}") from fault
            took, _folder[:] = time.perf_counter() - start, []
            slowest = max(slowest, took)
            assert took < SECONDS, f"mutation {index} took {took:.1f} s"
            assert not _outside, f"mutation {index} opened {_outside}"
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < KIBIBYTES, f"mutation {index}: over 1 GB"
    sys.stdout.write(f"slowest {slowest:.2f} s, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB\n")
    return found


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    sys.stdout.write(f"{dict(run(*(numbers or [10_000])))}\n")
