"""Training as a Workload: forward, backward and update, each an operator with its tensors. Knows no hardware."""

from ._forward import Mode as Mode
from ._loss import Loss as Loss
from ._memory import Memory as Memory
from ._memory import peak_activation_bytes as peak_activation_bytes
from ._memory import peak_memory as peak_memory
from ._need import Frozen as Frozen
from ._precision import Precision as Precision
from ._recompute import Recompute as Recompute
from ._step import add_update as add_update
from ._step import training_step as training_step
from ._studies import GanIteration as GanIteration
from ._studies import gan_iteration as gan_iteration
from ._studies import style_transfer_iteration as style_transfer_iteration
from ._update import OptimiserName as OptimiserName
