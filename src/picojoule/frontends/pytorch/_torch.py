"""PyTorch, imported once and untyped: the stubs of no version are needed to check this package."""

import importlib
from typing import Any

torch: Any = importlib.import_module("torch")
aten: Any = torch.ops.aten
TorchTensor = Any  # a torch.Tensor
Module = Any  # a torch.nn.Module
