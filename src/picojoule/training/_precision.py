"""Number formats by the role a tensor has in training."""

from dataclasses import dataclass, replace

from picojoule.workload import PARAMETER_ROLES, Workload, dtype_name, is_float


@dataclass(frozen=True, slots=True)
class Precision:
    """Formats of the weights that compute, the gradients of weights, the optimiser's state, activations, and a master.

    Mixed precision (Micikevicius et al. 2018) computes forward and backward in half and updates a `master` copy of the
    weights in single; Adam then keeps 2 + 2 + 4 + 4 + 4 = 16 B a parameter, as in single precision. Empty: `gradient`
    and `activation` are as `compute`, no master copy if `compute` is `master`.
    """

    compute: str = "float16"
    master: str = "float32"
    state: str = "float32"
    gradient: str = ""
    activation: str = ""

    def __post_init__(self) -> None:
        for field in ("compute", "master", "state"):
            object.__setattr__(self, field, dtype_name(getattr(self, field)))
        for field in ("gradient", "activation"):
            object.__setattr__(self, field, dtype_name(getattr(self, field) or self.compute))

    @property
    def has_master(self) -> bool:
        """Whether a second copy of the weights is kept for the update."""
        return self.master != self.compute

    def applied(self, net: Workload) -> Workload:
        """`net` with parameters, inputs and activations in these formats; buffers and integers keep theirs."""
        wide = dict.fromkeys(PARAMETER_ROLES, self.compute) | dict.fromkeys(("input", "activation"), self.activation)
        tensors = {
            name: replace(t, dtype=wide[t.role]) if is_float(t.dtype) and t.role in wide else t
            for name, t in net.tensors.items()
        }
        return replace(net, tensors=tensors)
