"""A physical number that knows how sure it is, where it comes from and what it includes."""

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

Scope = Literal["device", "macro", "path", "board", "wall", "facility"]
Provenance = Literal["seen", "seen (secondary)", "derived", "measured", "fitted", "recalled"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
PROVENANCES: Final[tuple[Provenance, ...]] = get_args(Provenance)

# The standard normal quantile at 0.95: a 90 % interval reaches this many sigmas to either side.
Z_90: Final = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class Value:
    """`nominal` in SI `unit`; the truth lies within nominal ÷ spread … nominal × spread in 90 % of cases.

    The law of the value is log-normal: X = nominal · exp(sigma · z), z ~ N(0, 1), sigma = ln(spread) / 1.645.
    `source` is a key of references.bib; `where` a table, page or file in it; `scope` what the number includes.
    """

    nominal: float
    unit: str
    spread: float
    source: str
    where: str = ""
    scope: Scope | None = None
    provenance: Provenance = "seen"
    note: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.nominal) and self.nominal > 0):
            raise ValueError(f"nominal must be positive and finite, for example 1.5; got {self.nominal!r}")
        if not (math.isfinite(self.spread) and self.spread >= 1):
            raise ValueError(f"spread must be a factor of 1 or more, for example 1.3; got {self.spread!r}")
        if not self.source:
            raise ValueError("a value needs a source: a key of references.bib")

    @property
    def sigma(self) -> float:
        """Standard deviation of ln X."""
        return math.log(self.spread) / Z_90

    @property
    def low(self) -> float:
        """The 5 % quantile."""
        return self.nominal / self.spread

    @property
    def high(self) -> float:
        """The 95 % quantile."""
        return self.nominal * self.spread


def product(*values: Value) -> Value:
    """The product of independent values: nominals multiply, sigmas add in quadrature, sources are all named."""
    sigma = math.sqrt(sum(value.sigma**2 for value in values))
    return Value(
        math.prod(value.nominal for value in values),
        " · ".join(value.unit for value in values if value.unit not in ("", "1")),
        math.exp(sigma * Z_90),
        " + ".join(dict.fromkeys(value.source for value in values)),
        "; ".join(dict.fromkeys(value.where for value in values if value.where)),
        provenance="derived",
    )
