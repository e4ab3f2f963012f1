"""One step of training as a Workload: forward, loss, backward, update."""

from collections.abc import Callable, Collection
from dataclasses import replace
from fnmatch import fnmatchcase

from picojoule.quantity import InputError
from picojoule.workload import Operator, Workload

from ._forward import Mode, training_forward
from ._loss import Loss, add_loss
from ._need import Frozen, Need, frozen_parameters
from ._precision import Precision
from ._recompute import Recompute, runs_of
from ._tape import Tape
from ._update import OptimiserName, add_updates


def training_step(
    workload: Workload,
    *,
    optimiser: OptimiserName | None = "sgd",
    mode: Mode = "train",
    frozen: Frozen = (),
    recompute: Recompute = "none",
    precision: Precision | None = None,
    loss: Loss = "sum",
    dropout: Collection[str] = (),
    input_gradient: bool = False,
    filled_slices: Collection[str] = (),
    block: int = 2048,
) -> Workload:
    """`workload`'s operators, their backward operators in reverse order, and the update of every trained parameter.

    A tensor has a gradient if it is a trainable parameter or computed from one; inputs of the network only with
    `input_gradient`, so that a first layer has no dX. `mode` "train" takes the statistics of the batch and draws
    dropout: that of the workload's own operators, and after those at the paths `dropout` (module paths with *, or
    path:op). `frozen` parameters (names, modules, patterns, a predicate) have no gradient and no update.

    Gradients of slices that fill a tensor are joined by one copy; at the paths `filled_slices` each is written into
    zeros and added, as autograd does for indexing. An operator without a rule is in `uncounted`. `block` is the
    number of 8-bit states that share a scale.
    """
    if mode not in ("train", "eval"):
        raise InputError(f"no mode {mode!r}", expected='"train" or "eval"', example='mode="eval"')
    net = precision.applied(workload) if precision else workload
    net = training_forward(net, mode, dropout)
    kept = frozen_parameters(net, frozen)
    need = Need(net, net.operators, kept, input_gradient)
    patterns = tuple(filled_slices)
    tape = Tape(net, need, precision.gradient if precision else "", _matcher(patterns))
    targets = add_loss(tape, net.outputs or _last(net), loss)
    _play(tape, net.operators, runs_of(net.operators, recompute))
    trained = [t for t in net.parameters if t.name in need.roots and t.name not in kept and t.name in tape.parts]
    gradients = {t.name: _parameter_gradient(tape, t.name) for t in trained}
    if input_gradient:
        for name in net.inputs:
            if name in tape.parts:
                _parameter_gradient(tape, name)
    add_updates(tape, trained, gradients, optimiser, precision, block)
    uncounted = (*net.uncounted, *((f"backward of {op}", node) for op, node in net.uncounted), *tape.uncounted)
    return replace(
        net, tensors=tape.tensors, operators=(*net.operators, *tape.operators), inputs=(*net.inputs, *targets),
        uncounted=uncounted, notes=(*net.notes, *_notes(optimiser, mode, recompute, need)),
    )  # fmt: skip


def add_update(workload: Workload, optimiser: OptimiserName = "sgd") -> Workload:
    """A recorded forward and backward pass, and the update of every parameter that has a gradient, NAME.grad."""
    bare = replace(workload, operators=())
    tape = Tape(bare, Need(bare, (), frozenset(), False), "", _matcher(()))
    trained = [t for t in workload.parameters if f"{t.name}.grad" in workload.tensors]
    add_updates(tape, trained, {t.name: f"{t.name}.grad" for t in trained}, optimiser, None, 2048)
    note = f"one training step as the program runs it, update by {optimiser}"
    return replace(workload, tensors=tape.tensors, operators=(*workload.operators, *tape.operators),
                   notes=(*workload.notes, note))  # fmt: skip


def _matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    if not patterns:
        return lambda _: False
    known: dict[str, bool] = {}

    def matches(path: str) -> bool:
        if path not in known:
            known[path] = any(fnmatchcase(path, pattern) for pattern in patterns)
        return known[path]

    return matches


def _last(net: Workload) -> tuple[str, ...]:
    """The result of the last operator, for a network that marks no output."""
    return (net.tensors[net.operators[-1].outputs[0].tensor].root,) if net.operators else ()


def _play(tape: Tape, operators: tuple[Operator, ...], runs: dict[int, int]) -> None:
    """Backwards through `operators`; `runs` {last: first} are computed again just before they are needed."""
    first = -1
    for index in range(len(operators) - 1, -1, -1):
        if index in runs:
            first = runs[index]
            tape.compute_again(operators[first : index + 1])
        tape.back(operators[index])
        if index == first:
            tape.again = {}


def _parameter_gradient(tape: Tape, name: str) -> str:
    """The whole gradient of a parameter, under the name NAME.grad."""
    found = tape.gathered(name, 1, name.rpartition(".")[0])
    wanted = f"{name}.grad"
    if found != wanted and wanted not in tape.tensors:
        tensor = tape.tensors[found]
        tape.made(replace(tensor, name=wanted, base=tensor.root))
        return wanted
    return found


def _notes(optimiser: str | None, mode: str, recompute: str, need: Need) -> list[str]:
    notes = [f"one training step in {mode} mode, update by {optimiser or 'nobody'}, recomputation: {recompute}"]
    if need.states:
        notes.append("the zero state before the first step needs no gradient: one product less than steps")
    return notes
