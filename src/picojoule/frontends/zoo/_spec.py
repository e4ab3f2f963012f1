"""The text after the colon of a zoo name: parts between `:` or `,`, each a size (key=value) or a flag."""

import re
from collections.abc import Mapping, Sequence

from picojoule.quantity import InputError

from ._entry import Options


def read_spec(name: str, text: str, sizes: Mapping[str, int], flags: Sequence[str],
              example: str) -> tuple[dict[str, int], set[str]]:  # fmt: skip
    """Sizes (the given ones over the defaults in `sizes`) and the flags that were set."""
    found, on = dict(sizes), set[str]()
    expected = " ".join(["parts between colons or commas:", ", ".join([*(f"{key}=N" for key in sizes), *flags])])
    for part in re.split("[:,]", text.strip().lower()):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not key and not equals:
            continue
        if not equals and key in flags:
            on.add(key)
        elif equals and key in sizes and value.isdecimal() and int(value) > 0:
            found[key] = int(value)
        else:
            raise InputError(f"{name}: cannot read {part.strip()!r}", expected=expected, example=example)
    return found, on


def one_of(name: str, spec: str, choices: Sequence[str], example: str) -> str:
    """The variant that `spec` names; the first of `choices` if it is empty."""
    chosen = spec.strip().lower() or choices[0]
    if chosen not in choices:
        raise InputError(f"{name} has no variant {spec!r}", expected=f"one of {', '.join(choices)}", example=example)
    return chosen


def tokens(name: str, options: Options, default: int, limit: int = 0) -> int:
    """The sequence length: what the user said or `default`, at most `limit` learned positions."""
    seq = options.seq or default
    if limit and seq > limit:
        raise InputError(f"{name} has learned positions for {limit} tokens, not {seq}",
                         expected=f"a sequence of at most {limit}", example=f"--seq {limit}")  # fmt: skip
    return seq
