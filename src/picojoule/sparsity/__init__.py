"""Zeros: what they save in bytes, in MACs and in energy, and on which hardware."""

from ._compute import OPERANDS as OPERANDS
from ._compute import Effect as Effect
from ._compute import Hardware as Hardware
from ._compute import imbalance as imbalance
from ._formats import FORMATS as FORMATS
from ._formats import Format as Format
from ._network import Sparse as Sparse
from ._network import lines as lines
from ._network import sparse as sparse
