"""The fields of a config.json, checked one by one: what is wrong, what was expected, an example that would pass."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from picojoule.quantity import InputError

LAYERS: Final = 2048  # the deepest model known has a few hundred
MOST: Final = 10**15  # products of a few sizes still have fewer digits than Python prints
_LONGEST = 60


def shown(value: object) -> str:
    """A value as JSON users know it, cut where it is long."""
    text = {True: "true", False: "false"}.get(value) if isinstance(value, bool) else None
    text = text or ("null" if value is None else repr(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class Fields:
    """One object of a configuration. `defaults` are the family's own, for keys that the file leaves out."""

    def __init__(self, values: Mapping[str, object], where: str, defaults: Mapping[str, object] | None = None) -> None:
        self.values, self.where, self.defaults = values, where, defaults or {}
        self.assumed: dict[str, object] = {}

    def fault(self, key: str, expected: str, example: object) -> InputError:
        """The error for `key`."""
        return InputError(f"{key} is {shown(self.values.get(key, self.defaults.get(key)))}", where=self.where,
                          expected=expected, example=f'"{key}": {shown(example)}')  # fmt: skip

    def whole(self, key: str, example: int, *, low: int = 1, high: int = MOST) -> int:
        """A whole number from `low` to `high`; the family's own where the file leaves it out."""
        value = self.values[key] if key in self.values else self.defaults.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            most = f" and at most {high:,}" if high < MOST or (isinstance(value, int) and value > high) else ""
            raise self.fault(key, f"a whole number of {low:,} or more{most}", example)
        if key not in self.values:
            self.assumed[key] = value
        return value

    def maybe(self, key: str, example: int, *, low: int = 1) -> int | None:
        """The same, or null, or nothing."""
        given = self.values[key] if key in self.values else self.defaults.get(key)
        return None if given is None else self.whole(key, example, low=low)

    def layers(self, key: str) -> int:
        """A number of layers."""
        return self.whole(key, 32, high=LAYERS)

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false."""
        value = self.values.get(key, self.defaults.get(key, default))
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fault(key, "true or false", default)
        return value

    def number(self, key: str, default: float | None, *, low: float = 0.0, high: float = float("inf")) -> float | None:
        """A real number between bounds."""
        value = self.values.get(key, default)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.fault(key, f"a number from {low:g} to {high:g}", default or low)
        return float(value)

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """One of some words."""
        value = self.values.get(key, default)
        if value is None:
            return default
        if not isinstance(value, str) or value not in choices:
            raise self.fault(key, f"one of {', '.join(choices)}", default)
        return value

    def part(self, key: str) -> "Fields":
        """An object inside this one; empty if it is absent."""
        value = self.values.get(key)
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise self.fault(key, "an object of fields", {})
        return Fields(value, f"{self.where}: {key}")

    def listed(self, key: str, is_item: Callable[[object], bool], what: str, example: object) -> list[object] | None:
        """A list of items that all pass `is_item`."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(is_item(item) for item in value):
            raise self.fault(key, what, example)
        return value

    def divides(self, small: str, divisor: int, large: str, size: int) -> None:
        """Raise unless the number at `small` divides the one at `large`."""
        if size % divisor:
            raise InputError(f"{large} is {shown(size)}, not a multiple of {small} = {shown(divisor)}", where=self.where,
                             expected=f"a {large} that {small} divides", example=f'"{large}": {shown(divisor * 2)}')  # fmt: skip

    def even(self, key: str, size: int) -> int:
        """Half of what turns in pairs must be whole."""
        if size < 2 or size % 2:
            raise InputError(f"{key} gives {shown(size)} columns that turn in pairs", where=self.where,
                             expected="an even number of 2 or more", example='"head_dim": 128')  # fmt: skip
        return size
