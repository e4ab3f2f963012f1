"""Fusion: which operators run as one, so that what lies between them stays on the chip."""

from ._fuse import Edge as Edge
from ._fuse import Fused as Fused
from ._fuse import Group as Group
from ._fuse import fuse as fuse
from ._machine import ridge as ridge
from ._machine import room as room
from ._text import compare as compare
from ._text import lines as lines
