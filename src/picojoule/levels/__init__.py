"""Levels of fidelity that look alike from outside: (Demand, Architecture) → what happens and how long it takes."""

from ._demand import Demand as Demand
from ._demand import demand as demand
from ._estimate import LEVELS as LEVELS
from ._estimate import Estimate as Estimate
from ._estimate import estimate as estimate
from ._machine import native_dtype as native_dtype
