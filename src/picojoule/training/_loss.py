"""The loss and the gradient of the outputs."""

from dataclasses import replace
from typing import Literal

from picojoule.quantity import InputError
from picojoule.workload import Access, Operator, Tensor, Work

from ._draft import axes_of, space_of
from ._gather import Part
from ._tape import Tape

Loss = Literal["sum", "cross_entropy", "mse"]
LOSSES = ("sum", "cross_entropy", "mse")


def add_loss(tape: Tape, outputs: tuple[str, ...], loss: Loss) -> tuple[str, ...]:
    """Record the loss of `outputs` and the gradient it sends to each; names of new inputs (targets).

    "sum": n - 1 adds, the gradient is one stored 1. "cross_entropy" over the last axis (D of r rows): softmax's
    compares, 2 adds, 1 exp an element, 1 log a row; gradient (softmax - target) / r: exp, 1 add, 1 mul an element.
    "mse": sub, mul, add an element; gradient 2/n of the difference: 1 add, 1 mul an element.
    """
    if loss not in LOSSES:
        raise InputError(f"no loss {loss!r}", expected=f"one of {', '.join(LOSSES)}", example='loss="cross_entropy"')
    found = [name for name in dict.fromkeys(outputs) if name in tape.need.roots]
    if not found:
        raise InputError("no output depends on anything that is trained", where="training_step",
                         expected="an output computed from a parameter that is not frozen, or from an input",
                         example="input_gradient=True")  # fmt: skip
    made: list[str] = []
    for name in found:
        y = tape.tensors[name]
        value = tape.made(Tensor(tape.fresh("loss.out"), (), y.dtype))
        if loss == "sum":
            _sum(tape, y, value)
        else:
            made.append(_against(tape, y, value, loss))
    return tuple(made)


def _record(tape: Tape, op: str, reads: list[Tensor], out: Tensor, work: Work, space: tuple[int, ...]) -> None:
    inputs = tuple(
        Access(t.name, axes_of(t.shape) if t.shape == space else ((),) * len(t.shape), t.stored_elements) for t in reads
    )
    write = Access(out.name, axes_of(out.shape), out.elements)
    tape.operators.append(Operator(tape.fresh(op), op, "loss", "loss", space_of(space), inputs, (write,), work))


def _sum(tape: Tape, y: Tensor, value: Tensor) -> None:
    _record(tape, "loss_sum", [y], value, Work.of(adds=max(0, y.elements - 1)), y.shape)
    one = tape.made(Tensor(tape.fresh("loss.grad"), (), y.dtype))
    _record(tape, "ones", [], one, Work(), ())
    spread = tape.made(replace(one, name=tape.fresh(f"{y.name}.grad"), shape=y.shape, base=one.name, stored=1))
    tape.parts[y.name] = [Part(spread.name, y.elements, 1)]


def _against(tape: Tape, y: Tensor, value: Tensor, loss: str) -> str:
    n = y.elements
    rows = n // y.shape[-1] if y.shape and y.shape[-1] else 0
    if loss == "cross_entropy":
        target = tape.made(Tensor(tape.fresh("loss.target"), y.shape[:-1], "int64", "input"))
        forward = Work.of(muls=1, adds=3 * n - rows + max(0, rows - 1), compare=n - rows, exp=n, log=rows, neg=1)
        back = Work.of(muls=n, adds=n + rows, exp=n)
    else:
        target = tape.made(Tensor(tape.fresh("loss.target"), y.shape, y.dtype, "input"))
        forward = Work.of(muls=n + 1, adds=2 * n - 1)
        back = Work.of(muls=n, adds=n)
    _record(tape, f"loss_{loss}", [y, target], value, forward, y.shape)
    gradient = tape.made(Tensor(tape.fresh(f"{y.name}.grad"), y.shape, y.dtype))
    _record(tape, f"loss_{loss}_backward", [y, target], gradient, back, y.shape)
    tape.parts[y.name] = [Part(gradient.name, n, 1)]
    return target.name
