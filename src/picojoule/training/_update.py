"""Optimisers: the work and the bytes of one update of one tensor of parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from picojoule.quantity import InputError
from picojoule.workload import Access, Operator, Tensor, Work

from ._draft import axes_of, space_of
from ._precision import Precision
from ._tape import Tape

OptimiserName = Literal["sgd", "momentum", "adam", "adamw", "adafactor", "adam8bit"]
States = Mapping[str, tuple[tuple[int, ...], str]]  # name after the parameter's → shape and number format


@dataclass(frozen=True, slots=True)
class Update:
    """States kept between steps (read and written once a step each) and the work of one step, of one parameter."""

    states: States
    work: Work


def sgd(weight: Tensor, _: str, __: int) -> Update:
    """w ← w - η·g: 1 mul, 1 add; reads w and g, writes w: 12 B in fp32. Robbins and Monro 1951."""
    return Update({}, Work.of(muls=1, adds=1) * weight.elements)


def momentum(weight: Tensor, state: str, _: int) -> Update:
    """v ← μ·v + g; w ← w - η·v: 2 muls, 2 adds; 20 B in fp32. Polyak 1964; Sutskever et al. 2013."""
    return Update({"momentum": (weight.shape, state)}, Work.of(muls=2, adds=2) * weight.elements)


def adam(weight: Tensor, state: str, _: int) -> Update:
    """m ← β₁m + (1-β₁)g; v ← β₂v + (1-β₂)g²; w ← w - α·m/(√v + ε). Kingma and Ba 2015, Algorithm 1.

    6 muls, 4 adds, 1 sqrt, 1 div; 28 B in fp32. Both bias corrections are folded into α once a step (their section 2).
    """
    states = {"exp_avg": (weight.shape, state), "exp_avg_sq": (weight.shape, state)}
    return Update(states, Work.of(muls=6, adds=4, sqrt=1, div=1) * weight.elements)


def adamw(weight: Tensor, state: str, block: int) -> Update:
    """Adam with decay apart from the gradient, w ← (1 - η·λ)·w first: 1 mul more. Loshchilov and Hutter 2019."""
    plain = adam(weight, state, block)
    return Update(plain.states, plain.work + Work.of(muls=1) * weight.elements)


def adafactor(weight: Tensor, state: str, _: int) -> Update:
    """Second moments of a matrix [n, m] kept as n row and m column means. Shazeer and Stern 2018, Algorithms 4 and 5.

    An element: g² + ε (mul, add), R·C (mul), √ and g/√ (sqrt, div), the mean squares of the step and of w (2 muls, 2
    adds less a tensor), w ← w - α·u (mul, add). A matrix: row and column sums (2nm - n - m adds), their two averages
    (2 muls, 1 add a mean), ΣR and R/ΣR (n - 1 adds, n divs). A vector keeps the whole second moment (2 muls, 1 add).
    A tensor: 2 roots, 2 compares, 2 muls, 2 divs for clipping and the relative step. No first moment.
    """
    n = weight.elements
    rows = weight.shape[0] if len(weight.shape) > 1 else 0
    scalars = Work.of(muls=4, sqrt=2, compare=2, div=2)
    shared = Work.of(muls=4 * n, adds=2 * n + 2 * max(0, n - 1), sqrt=n, div=n) + scalars
    if not rows or not n:
        return Update({"exp_avg_sq": (weight.shape, state)}, shared + Work.of(muls=2 * n, adds=n))
    columns = n // rows
    factors = rows + columns
    factored = Work.of(muls=n + 2 * factors, adds=2 * n - factors + factors + rows - 1, div=rows)
    return Update({"exp_avg_sq_row": ((rows,), state), "exp_avg_sq_col": ((columns,), state)}, shared + factored)


def adam8bit(weight: Tensor, _: str, block: int) -> Update:
    """Adam with both states in 8 bits and one fp32 scale each `block` elements (2048: Dettmers et al. 2022).

    Beside Adam's work, of each state: 1 mul to read it (code · scale), 1 abs and 1 compare for the new maximum, 1 div
    and 8 compares (a search among 256 codes) to write it. 16 B a parameter in fp32, and 16 B a block.
    """
    n = weight.elements
    scales = (-(-n // block),)
    states: dict[str, tuple[tuple[int, ...], str]] = {}
    for name in ("exp_avg", "exp_avg_sq"):
        states[name] = (weight.shape, "uint8")
        states[f"{name}_scale"] = (scales, "float32")
    coding = Work.of(muls=2, abs=2, compare=18, div=2)
    return Update(states, (Work.of(muls=6, adds=4, sqrt=1, div=1) + coding) * n)


OPTIMISERS: Final[Mapping[str, Callable[[Tensor, str, int], Update]]] = {
    "sgd": sgd, "momentum": momentum, "adam": adam, "adamw": adamw, "adafactor": adafactor, "adam8bit": adam8bit,
}  # fmt: skip


def add_updates(tape: Tape, trained: list[Tensor], gradients: Mapping[str, str], optimiser: str | None,
                precision: Precision | None, block: int) -> None:  # fmt: skip
    """Record the update of each tensor of `trained` by its gradient; states and master copies are buffers."""
    if optimiser is None:
        return
    if optimiser not in OPTIMISERS:
        raise InputError(f"no optimiser {optimiser!r}", expected=f"one of {', '.join(OPTIMISERS)}, or None",
                         example='optimiser="adam"')  # fmt: skip
    if block < 1:
        raise InputError(f"block is {block}", expected="1 or more states that share a scale", example="block=2048")
    for weight in trained:
        _add_update(tape, weight, tape.tensors[gradients[weight.name]], optimiser, precision, block)


def _add_update(tape: Tape, weight: Tensor, gradient: Tensor, optimiser: str, precision: Precision | None,
                block: int) -> None:  # fmt: skip
    state = precision.state if precision else weight.dtype
    update = OPTIMISERS[optimiser](weight, state, block)
    target = weight
    if precision and precision.has_master:
        target = tape.made(Tensor(f"{weight.name}.master", weight.shape, precision.master, "buffer"))
    kept = [tape.made(Tensor(f"{weight.name}.{name}", shape, dtype, "buffer"))
            for name, (shape, dtype) in update.states.items()]  # fmt: skip
    axes = axes_of(weight.shape)
    path = weight.name.rpartition(".")[0]
    reads = tuple(_access(t, weight.shape) for t in (gradient, target, *kept))
    writes = tuple(_access(_renewed(tape, t), weight.shape) for t in (target, *kept))
    tape.operators.append(Operator(f"{weight.name}.update", f"update_{optimiser}", "update", path,
                                   space_of(weight.shape), reads, writes, update.work))  # fmt: skip
    if target is not weight:
        cast = _access(_renewed(tape, weight), weight.shape)
        tape.operators.append(Operator(f"{weight.name}.cast", "cast", "update", path, space_of(weight.shape),
                                       (Access(writes[0].tensor, axes, weight.elements),), (cast,), Work()))  # fmt: skip


def _access(tensor: Tensor, shape: tuple[int, ...]) -> Access:
    axes = axes_of(shape) if tensor.shape == shape else ((),) * len(tensor.shape)
    return Access(tensor.name, axes, tensor.stored_elements)


def _renewed(tape: Tape, old: Tensor) -> Tensor:
    """The same storage after the update."""
    return tape.made(replace(old, name=f"{old.name}:updated", base=old.root))
