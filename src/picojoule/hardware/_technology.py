"""What one action costs, with spread, source and scope."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from picojoule.quantity import InputError, Scope, Value

Action = tuple[str, str]  # (part, what it does): ("hbm", "read") in bytes, ("tensor", "mac_float16") in MACs
STATIC: Final[Action] = ("static", "leak")  # counted in seconds, priced in watts


@dataclass(frozen=True, slots=True)
class Technology:
    """Energy per action [J], and static power [W] under ("static", "leak").

    Keys of `prices` are "part.action"; a `*` stands for any run of characters, and the longest key that fits wins.
    Every price has the same scope, unless `mixed_scope` says why scopes are added.
    """

    name: str
    prices: Mapping[str, Value]
    mixed_scope: str = ""

    def __post_init__(self) -> None:
        if len(self.scopes) > 1 and not self.mixed_scope:
            raise InputError(
                f"prices of different scopes are added: {', '.join(self.scopes)}",
                where=f"technology {self.name}",
                expected="one scope for all prices, or a `mixed_scope` that gives the reason",
                example='mixed_scope: "chip by its designers, DRAM device by data sheet; no board losses"',
            )

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The distinct scopes of the prices, in order of first use."""
        return tuple(dict.fromkeys(value.scope for value in self.prices.values() if value.scope))

    @property
    def scope(self) -> str:
        """What the sum of these prices includes: one scope, or the scopes that were added."""
        return " + ".join(self.scopes) or "unknown"

    def key(self, action: Action) -> str:
        """The key of `prices` that gives the price of `action`. Raises InputError if none does."""
        text = ".".join(action)
        if text in self.prices:
            return text
        fits = [key for key in self.prices if "*" in key and fnmatchcase(text, key)]
        if not fits:
            raise InputError(
                f"no price for the action {text!r}",
                where=f"technology {self.name}",
                expected="a price for every action that the architecture does",
                example=f"{text}: {{value: 1.2 pJ, spread: 1.7, source: horowitz2014, scope: device}}",
            )
        return max(fits, key=len)

    def price(self, action: Action) -> Value:
        """What one `action` costs."""
        return self.prices[self.key(action)]
