"""Counts become joules here, and nowhere else."""

from ._activity import Activity as Activity
from ._activity import Term as Term
from ._cost import Cost as Cost
from ._cost import Interval as Interval
from ._cost import interval as interval
from ._cost import ratio as ratio
from ._price import price as price
from ._sensitivity import Swing as Swing
from ._sensitivity import swings as swings
