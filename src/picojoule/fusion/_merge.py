"""A group as one operator that any level can estimate."""

from collections.abc import MutableMapping
from dataclasses import replace

from picojoule.workload import Access, Axis, Operator, Tensor, Work

from ._cost import Plan, Run, shift_of


def merged(run: Run, plan: Plan, tensors: MutableMapping[str, Tensor]) -> Operator:
    """The group's operator: its outer operands as often as they cross, its results that others read, all its work.

    Space, kind and accesses are those of the operator with most MACs (the first, where none has any); other operands
    keep their elements but no axes. A group of two products has no one space: it keeps none.
    """
    operators = run.operators
    if len(operators) == 1:
        return operators[0]
    main = max(range(len(operators)), key=lambda index: (operators[index].work.macs, -index))
    one_space = sum(1 for operator in operators if operator.work.macs) <= 1
    reads = []
    for (index, place), count in sorted(plan.elements.items(), key=lambda item: (item[0][0] != main, item[0])):
        access = operators[index].inputs[place]
        own = one_space and index == main
        axes = access.axes if own else ((),) * len(access.axes)
        reads.append(Access(access.tensor, axes, count, access.offsets if own else ()))
    work = Work()
    for index, operator in enumerate(operators):
        work += _folded_work(run, index, reads, tensors) if index in plan.folded else operator.work
    writes = []
    for index, operator in enumerate(operators):
        for access in operator.outputs:
            if index == len(operators) - 1 or not run.stays(run.seq.root(access)):
                same = one_space and _alike(run, main, access)
                nowhere: tuple[Axis, ...] = ((),) * len(access.axes)
                writes.append(replace(access, axes=operators[main].outputs[0].axes if same else nowhere))
    space = operators[main].space if one_space else ()
    op = "+".join(dict.fromkeys(operator.op for operator in operators))
    return Operator(operators[main].name, op, operators[main].kind, operators[main].path, space, tuple(reads),
                    tuple(writes), work, operators[0].repeats)  # fmt: skip


def _alike(run: Run, main: int, access: Access) -> bool:
    """Whether a result has the shape of the main operator's."""
    tensors = run.seq.workload.tensors
    return tensors[access.tensor].shape == tensors[run.operators[main].outputs[0].tensor].shape


def _folded_work(run: Run, index: int, reads: list[Access], tensors: MutableMapping[str, Tensor]) -> Work:
    """What a folded normalisation leaves: one addition an element, of a shift, unless the layer has a bias."""
    operator = run.operators[index]
    for access in operator.inputs[1:]:
        if all(reader == run.first + index for reader in run.seq.readers[run.seq.root(access)]):
            tensors.pop(access.tensor, None)
    size = shift_of(run, run.made, index)
    if not size:
        return Work()
    made = tensors[operator.outputs[0].tensor]
    shift = Tensor(f"{operator.name}.shift", (size,), made.dtype, "bias")
    tensors[shift.name] = shift
    reads.append(Access(shift.name, ((),), size))
    return Work.of(adds=operator.outputs[0].elements)
