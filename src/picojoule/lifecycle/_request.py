"""Which network a stage runs, and in which phase of its life."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from picojoule.quantity import InputError
from picojoule.training import OptimiserName, Precision, training_step
from picojoule.workload import Workload

Phase = Literal["infer", "train", "prefill", "decode"]
PHASES: Final[tuple[str, ...]] = get_args(Phase)


@dataclass(frozen=True, slots=True)
class Request:
    """`batch` samples of `model`, `seq` tokens each; `phase` is prefill or decode of a model that generates, or none.

    A decode step adds one token to `context` tokens that the cache holds.
    """

    model: str
    batch: int | None = None
    seq: int | None = None
    phase: str = ""
    context: int | None = None


Reader = Callable[[Request], Workload]


def phase_workload(
    request: Request, phase: str, read: Reader, *, optimiser: OptimiserName = "sgd", precision: Precision | None = None
) -> Workload:
    """The workload of one phase: a forward pass, a whole training step, a prompt, or one generated token.

    infer is the network as it is read; train its forward, gradient and update; prefill and decode are the front-end's.
    """
    if phase not in PHASES:
        raise InputError(f"no phase is named {phase!r}", expected=f"one of {', '.join(PHASES)}",
                         example="--phase train")  # fmt: skip
    if phase in ("prefill", "decode"):
        return read(replace(request, phase=phase))
    net = read(request)
    return net if phase == "infer" else training_step(net, optimiser=optimiser, precision=precision)
