"""Values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.quantity import Value, product


def test_spread_is_a_90_percent_interval() -> None:
    """By hand: sigma = ln 2 / 1.6449 = 0.4214 for a factor of 2; ends are 5 and 20 around 10."""
    value = Value(10.0, "J", 2.0, "somebody2020")
    assert value.sigma == pytest.approx(0.42140, abs=1e-5)
    assert (value.low, value.high) == (5.0, 20.0)


@pytest.mark.parametrize(
    ("nominal", "spread", "source", "message"),
    [(0.0, 1.2, "a", "nominal must be positive"), (-1.0, 1.2, "a", "nominal must be positive"),
     (math.nan, 1.2, "a", "nominal must be positive"), (1.0, 0.9, "a", "spread must be a factor of 1 or more"),
     (1.0, 1.2, "", "needs a source")],
)  # fmt: skip
def test_laws(nominal: float, spread: float, source: str, message: str) -> None:
    """Message: no number without a source, no negative price, no spread below 1."""
    with pytest.raises(ValueError, match=message):
        Value(nominal, "J", spread, source)


@given(st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(1, 5)), min_size=1, max_size=4))
def test_product(parts: list[tuple[float, float]]) -> None:
    """Equality: nominals multiply and sigmas add in quadrature."""
    values = [Value(nominal, "1", spread, f"s{i}") for i, (nominal, spread) in enumerate(parts)]
    whole = product(*values)
    assert whole.nominal == pytest.approx(math.prod(nominal for nominal, _ in parts))
    assert whole.sigma == pytest.approx(math.sqrt(sum(v.sigma**2 for v in values)), abs=1e-12)
