"""Models in, Workload out: the built-in zoo and ONNX files. Frameworks are imported only when a model needs them."""

from ._read import read_model as read_model
from ._read import read_object as read_object
from ._read import register_operator as register_operator
from ._weights import read_weights as read_weights
