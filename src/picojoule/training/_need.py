"""Which tensors need a gradient: trainable parameters, and what is computed from one."""

import difflib
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase

from picojoule.quantity import InputError
from picojoule.workload import PARAMETER_ROLES, Operator, Tensor, Workload, is_float

from ._rules import reaches, stops

Frozen = Collection[str] | Callable[[str], bool]


def frozen_parameters(net: Workload, frozen: Frozen) -> frozenset[str]:
    """Names of the parameters that `frozen` names: whole names, modules, patterns with *, or a predicate."""
    names = [tensor.name for tensor in net.parameters]
    if callable(frozen):
        return frozenset(name for name in names if frozen(name))
    if isinstance(frozen, str):
        raise InputError(f"frozen is the text {frozen!r}", expected="a collection of names", example=f'["{frozen}"]')
    found: set[str] = set()
    for pattern in frozen:
        hit = [n for n in names if n == pattern or n.startswith(f"{pattern}.") or fnmatchcase(n, pattern)]
        if not hit:
            near = difflib.get_close_matches(pattern, names, n=3)
            raise InputError(f"nothing to freeze is called {pattern!r}" + (f"; near: {', '.join(near)}" if near else ""),
                             expected="a parameter, a module, or a pattern with *", example='["features", "*.bias"]')  # fmt: skip
        found.update(hit)
    return frozenset(found)


class Need:
    """`roots`: storages that need a gradient. `states`: those that carry one step of a recurrence to the next.

    A state is a floating-point activation that a repeated operator reads and nothing, or an operator without inputs,
    writes: the zero state before the first step. It needs a gradient at every step but the first.
    """

    def __init__(self, net: Workload, operators: tuple[Operator, ...], frozen: frozenset[str], inputs: bool) -> None:
        self.tensors = net.tensors
        trainable = {t.name for t in net.parameters if is_float(t.dtype)} - frozen
        if inputs:
            trainable |= {name for name in net.inputs if is_float(net.tensors[name].dtype)}
        candidates = _states(net.tensors, operators)
        self.states: frozenset[str] = frozenset()
        self.roots, groups = self._flow(operators, trainable)
        if candidates:
            self.states = frozenset(root for root, group in candidates.items() if group in groups)
            self.roots, _ = self._flow(operators, trainable | self.states)

    def wants(self, operator: Operator) -> tuple[bool, ...]:
        """Which inputs of `operator` need a gradient."""
        roots, tensors, op = self.roots, self.tensors, operator.op
        found = []
        for place, access in enumerate(operator.inputs):
            tensor = tensors[access.tensor]
            found.append((tensor.base or tensor.name) in roots and reaches(op, place))
        return tuple(found)

    def _flow(self, operators: tuple[Operator, ...], start: set[str] | frozenset[str]) -> tuple[
        set[str], set[tuple[str, int]]
    ]:  # fmt: skip
        self.roots = set(start)
        groups: set[tuple[str, int]] = set()
        for operator in operators:
            if not operator.outputs or stops(operator, self.tensors[operator.outputs[0].tensor]):
                continue
            if any(self.wants(operator)):
                self.roots.add(self.tensors[operator.outputs[0].tensor].root)
                groups.add((operator.path, operator.repeats))
        return self.roots, groups


def _states(tensors: dict[str, Tensor] | object, operators: tuple[Operator, ...]) -> dict[str, tuple[str, int]]:
    assert isinstance(tensors, dict)
    made = {access.tensor: operator for operator in operators for access in operator.outputs}
    found: dict[str, tuple[str, int]] = {}
    for operator in operators:
        if operator.repeats == 1:
            continue
        for access in operator.inputs:
            tensor = tensors[access.tensor]
            root = tensor.root
            maker = made.get(root)
            if (
                tensor.role == "activation" and root not in PARAMETER_ROLES and is_float(tensor.dtype)
                and (maker is None or (not maker.inputs and maker.repeats == 1))
            ):  # fmt: skip
                found[root] = (operator.path, operator.repeats)
    return found
