"""Every operator the front-ends know, once: shape, index space, accesses and work. Tensors in, tensors out.

Each function takes the Graph it records into first. Conventions are those of docs/conventions.md.
"""

from .attention import attention as attention
from .contract import conv as conv
from .contract import conv_transpose as conv_transpose
from .contract import einsum as einsum
from .contract import linear as linear
from .contract import matmul as matmul
from .move import concat as concat
from .move import copy as copy
from .move import expand as expand
from .move import gather as gather
from .move import pad as pad
from .move import select as select
from .move import slice_view as slice_view
from .move import transpose as transpose
from .norm import batch_norm as batch_norm
from .norm import group_norm as group_norm
from .norm import layer_norm as layer_norm
from .norm import local_response_norm as local_response_norm
from .norm import log_softmax as log_softmax
from .norm import rms_norm as rms_norm
from .norm import softmax as softmax
from .pointwise import BINARY as BINARY
from .pointwise import UNARY as UNARY
from .pointwise import binary as binary
from .pointwise import unary as unary
from .pointwise import where as where
from .pool import adaptive_avg_pool as adaptive_avg_pool
from .pool import pool as pool
from .pool import pooled_length as pooled_length
from .recurrent import recurrent as recurrent
from .reduce import argmax as argmax
from .reduce import cumulative as cumulative
from .reduce import reduce as reduce
from .reduce import sort as sort
from .reduce import topk as topk
from .whole import fourier as fourier
from .whole import interpolate as interpolate
from .whole import whole_op as whole_op
