"""Systolic arrays in closed form: cycles, use of the array and buffer accesses of any array times any layer at once."""

from ._array import CONVENTIONS as CONVENTIONS
from ._array import DATAFLOWS as DATAFLOWS
from ._array import Counts as Counts
from ._array import systolic as systolic
from ._layers import Gemm as Gemm
from ._layers import Layer as Layer
from ._layers import conv_gemm as conv_gemm
from ._layers import gemm_of as gemm_of
from ._layers import layers as layers
from ._speed import points_per_second as points_per_second
from ._text import lines as lines
