"""What speeding up some parts does to the whole."""

from collections.abc import Mapping
from fractions import Fraction

from picojoule.quantity import InputError


def amdahl(shares: Mapping[str, Fraction | float], factors: Mapping[str, float]) -> float:
    """Speed-up of the whole: 1 / Σ share / factor, over shares of the time that sum to one; no factor is 1.

    G. Amdahl, Validity of the single processor approach, AFIPS 1967. The shares are of the time before.
    """
    parts = {name: Fraction(share) for name, share in shares.items()}
    strange = [name for name in factors if name not in parts]
    if strange or abs(float(sum(parts.values())) - 1) > 1e-9 or min(map(float, parts.values()), default=-1.0) < 0:
        raise InputError(f"shares {dict(shares)} with factors {dict(factors)}", where="amdahl",
                         expected="shares of 0 or more that sum to 1, factors of parts among them",
                         example="{'conv': 0.92, 'fc': 0.08}, {'conv': 10, 'fc': 2}")  # fmt: skip
    if any(not factor > 0 for factor in factors.values()):
        raise InputError(f"factors {dict(factors)}", where="amdahl", expected="factors above 0", example="10")
    return float(1 / sum(share / Fraction(factors.get(name, 1)) for name, share in parts.items()))
