"""Mutated configurations: each must be read or refused with an InputError, in 5 s, in 1 GB, inside its folder.

python tools/fuzz_configs.py [COUNT] [SEED]     (2,000 mutations of seed 0 by default)
"""

import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from picojoule.frontends.huggingface import FAMILIES, read_config
from picojoule.frontends.huggingface import _transformers as guest
from picojoule.quantity import InputError
from picojoule.workload import Workload

SECONDS, KIBIBYTES = 5.0, 1 << 20
TRACES = Path(__file__).parents[1] / "tests" / "frontends" / "huggingface" / "traces"
ODD: tuple[Any, ...] = (
    None, True, False, "", "x", "12", -1, 0, 1, 2, 3, 7, 1.5, -0.0, 1e308, float("nan"), float("inf"), 2**31, 10**15,
    10**18, 10**100, [], [1], [0, 0], ["x"], {}, {"a": 1}, [[[[]]]], "../../etc/passwd", "/etc/passwd", "\0", "é" * 100,
)  # fmt: skip


def seeds() -> list[dict[str, Any]]:
    """The configurations that are mutated: those of the traces, and every family with nothing said."""
    cases = [case["config"] for file in sorted(TRACES.glob("*.json")) for case in json.loads(file.read_text())]
    return [*cases, *({"model_type": family} for family in FAMILIES)]


def mutate(values: dict[str, Any], dice: random.Random) -> str:
    """A config.json with some fields, or some bytes, changed."""
    values = json.loads(json.dumps(values))
    for _ in range(dice.choice((0, 1, 1, 1, 2, 4))):
        target = values
        inner = [value for value in values.values() if isinstance(value, dict) and value]
        if inner and dice.random() < 0.5:
            target = dice.choice(inner)
        keys = list(target) or ["hidden_size"]
        key = dice.choice(keys)
        what = dice.random()
        if what < 0.25:
            target.pop(key, None)
        elif what < 0.35:
            target[
                dice.choice(("head_dim", "rope_scaling", "layer_types", "torch_dtype", "sliding_window", "id2label"))
            ] = dice.choice(ODD)
        elif what < 0.6 and isinstance(target.get(key), int):
            target[key] = target[key] * dice.choice((-1, 1, 2, 2, 3, 4, 10**6)) + dice.choice((0, 0, 0, 0, -1, 1))
        elif what < 0.75 and isinstance(target.get(key), bool):
            target[key] = not target[key]
        elif what < 0.78:
            target["model_type"] = dice.choice((*FAMILIES, "unknown", "gemma3"))
        else:
            target[key] = dice.choice(ODD)
    text = json.dumps(values)
    if dice.random() < 0.08:
        text = _broken(text, dice)
    return text


def _broken(text: str, dice: random.Random) -> str:
    place = dice.randrange(len(text))
    return dice.choice((
        text[:place], text[:place] + dice.choice('{}[]",:0e-\\\x00') + text[place + 1 :], "[" * 100_000, "null", "[]", "",
        text.replace(":", ": " + "9" * 5000, 1), text[:place] + text,
    ))  # fmt: skip


def add_weights(folder: Path, dice: random.Random) -> None:
    """Perhaps safetensors files and an index beside the configuration, whole or broken."""
    if dice.random() < 0.7:
        return
    header: dict[str, Any] = {"model.norm.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    if dice.random() < 0.6:
        header["model.norm.weight"][dice.choice(("dtype", "shape", "data_offsets"))] = dice.choice(ODD)
    data = json.dumps(header).encode()
    length = dice.choice((len(data), len(data), len(data), 0, 1, 10**8, 2**63, len(data) + 1))
    (folder / "model.safetensors").write_bytes(length.to_bytes(8, "little") + data + bytes(24))
    if dice.random() < 0.4:
        names = ("model.safetensors", "../config.json", "/etc/passwd", "absent.safetensors", "\0", 3, None, "link")
        index = {"weight_map": {"a": dice.choice(names)}} if dice.random() < 0.8 else dice.choice(ODD)
        (folder / "link").symlink_to("/etc/passwd")
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def attempt(folder: Path, dice: random.Random) -> str:
    """Read the folder in some way; "read", or "refused". Anything else raised is a fault."""
    options: dict[str, Any] = dice.choice((
        {}, {"phase": "decode"}, {"phase": "decode", "context": dice.choice((1, 7, 10**9))}, {"seq": dice.choice((1, 5, 10**6))},
        {"batch": 3, "style": "eager"}, {"style": "kernel", "seq": 5}, {"halved": True, "seq": 9}, {"seq": 0}, {"phase": "x"},
        {"inputs": {"input_ids": (2, 3)}}, {"style": "eager", "seq": 7}, {"style": "sdpa", "phase": "decode", "context": 5},
    ))  # fmt: skip
    try:
        net = read_config(folder, **options)
    except InputError as error:
        assert str(error)
        return "refused"
    assert isinstance(net, Workload)
    assert net.work.macs >= 0
    return "read"


class Guard:
    """Notes every file that is opened outside one folder, while it is set."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.strangers: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event != "open" or self.folder is None or not isinstance(args[0], str | bytes):
            return
        path = args[0].decode() if isinstance(args[0], bytes) else args[0]
        if not Path(path).resolve().is_relative_to(self.folder.resolve()) and not path.endswith((".py", ".pyc")):
            self.strangers.append(path)


def run(count: int, seed: int = 0) -> Counter[str]:
    """Try `count` mutations; raises AssertionError at the first that breaks a rule."""
    guest.find_spec = lambda *_: None  # type: ignore[assignment,attr-defined]  # no guest framework: formulas only
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    dice, known, guard, found = random.Random(seed), seeds(), Guard(), Counter[str]()
    for index in range(count):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "config.json").write_text(
                mutate(dice.choice(known), dice), encoding="utf-8", errors="surrogatepass"
            )
            add_weights(folder, dice)
            guard.folder, start = folder, time.perf_counter()
            try:
                found[attempt(folder, dice)] += 1
            except Exception as error:
                raise AssertionError(f"mutation {index}: {(folder / 'config.json').read_text()[:2000]}") from error
            finally:
                guard.folder = None
            assert time.perf_counter() - start < SECONDS, f"mutation {index} took too long"
            assert not guard.strangers, f"mutation {index} opened {guard.strangers}"
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert used < KIBIBYTES, f"{used} KiB in use"
    return found


if __name__ == "__main__":
    print(dict(run(*map(int, sys.argv[1:3])) if len(sys.argv) > 1 else run(2000)))
