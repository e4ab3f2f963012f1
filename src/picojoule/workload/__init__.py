"""What is computed: operators over integer index spaces, and the tensors they touch. Knows no hardware and no file."""

from ._custom import CustomWork as CustomWork
from ._dtype import BITS as BITS
from ._dtype import dtype_bits as dtype_bits
from ._dtype import dtype_name as dtype_name
from ._dtype import is_float as is_float
from ._graph import Graph as Graph
from ._operator import Access as Access
from ._operator import Axis as Axis
from ._operator import Operator as Operator
from ._repeat import repeat_layer as repeat_layer
from ._tensor import PARAMETER_ROLES as PARAMETER_ROLES
from ._tensor import Role as Role
from ._tensor import Tensor as Tensor
from ._work import Work as Work
from ._workload import Traffic as Traffic
from ._workload import Workload as Workload
