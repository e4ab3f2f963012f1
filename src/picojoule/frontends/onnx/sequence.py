"""Sequences and optionals: containers that cost nothing until tensors are joined or cut."""

from collections.abc import Sequence
from typing import Final

from picojoule.quantity import InputError
from picojoule.workload import ops

from ._call import Call, Handler, Result, UnknowableError
from ._types import dtype_of
from ._value import Value, of_data, unknown


def construct(call: Call) -> Sequence[Result]:
    """SequenceConstruct."""
    return [Value(None, items=[v for v in call.inputs if v is not None])]


def empty(call: Call) -> Sequence[Result]:
    """SequenceEmpty."""
    return [Value(None, dtype_of(call.integer("dtype", 1)), items=[])]


def _items(call: Call) -> list[Value]:
    items = call.value(0).items
    if items is None:
        raise UnknowableError("its sequence is unknown")
    return items


def _position(call: Call, index: int, count: int, default: int) -> int:
    if call.optional_value(index) is None:
        return default
    given = call.numbers(index)
    if not given:
        raise UnknowableError("its position comes from data")
    return given[0] + count if given[0] < 0 else given[0]


def insert(call: Call) -> Sequence[Result]:
    """SequenceInsert."""
    items = list(_items(call))
    items.insert(_position(call, 2, len(items), len(items)), call.value(1))
    return [Value(None, items=items)]


def erase(call: Call) -> Sequence[Result]:
    """SequenceErase."""
    items = list(_items(call))
    del items[_position(call, 1, len(items), len(items) - 1)]
    return [Value(None, items=items)]


def at(call: Call) -> Sequence[Result]:
    """SequenceAt; where the position comes from data, items of one shape are as good as each other."""
    items = _items(call)
    try:
        return [items[_position(call, 1, len(items), 0)]]
    except UnknowableError:
        if items and all(item.shape == items[0].shape for item in items):
            return [items[0]]
        raise


def length(call: Call) -> Sequence[Result]:
    """SequenceLength."""
    import numpy as np

    return [of_data(np.asarray(len(_items(call)), np.int64), "int64")]


def concat(call: Call) -> Sequence[Result]:
    """ConcatFromSequence."""
    items = _items(call)
    if not items:
        raise InputError("the sequence is empty", expected="at least one tensor")
    axis = call.integer("axis")
    tensors = [call.session.tensor(item, call.name(0)) for item in items]
    if call.integer("new_axis"):
        rank = len(tensors[0].shape) + 1
        axis %= rank
        tensors = [call.g.view(t, (*t.shape[:axis], 1, *t.shape[axis:])) for t in tensors]
    return [ops.concat(call.g, tensors, axis, name=call.label)]


def split(call: Call) -> Sequence[Result]:
    """SplitToSequence."""
    shape, axis = call.shape(0), call.integer("axis")
    axis %= len(shape)
    size = shape[axis]
    given = call.numbers(1) if call.optional_value(1) is not None else (1,)
    if given is None:
        raise UnknowableError("its parts come from data")
    single = call.optional_value(1) is None or call.shape(1) == ()
    if single and (given[0] < 1 or size // given[0] > 10_000):
        raise InputError(f"parts of {given[0]} of {size}", expected="at most 10000 parts of 1 or more")
    parts = [min(given[0], size - start) for start in range(0, size, given[0])] if single else list(given)
    drop = call.optional_value(1) is None and not call.integer("keepdims", 1)
    made = []
    for part in parts:
        out = [*shape[:axis], *([] if drop else [part]), *shape[axis + 1 :]]
        elements = call.tensor(0).elements // size * part if size else 0
        y = ops.select(call.g, call.tensor(0), elements, out, op="split", name=call.label)
        made.append(Value(tuple(out), y.dtype, y))
    return [Value(None, items=made)]


def optional(call: Call) -> Sequence[Result]:
    """Optional and OptionalGetElement: the value itself."""
    found = call.optional_value(0)
    return [found if found is not None else unknown()]


def has_element(call: Call) -> Sequence[Result]:
    """OptionalHasElement."""
    import numpy as np

    return [of_data(np.asarray(call.optional_value(0) is not None), "bool")]


HANDLERS: Final[dict[str, Handler]] = {
    "SequenceConstruct": construct, "SequenceEmpty": empty, "SequenceInsert": insert, "SequenceErase": erase,
    "SequenceAt": at, "SequenceLength": length, "ConcatFromSequence": concat, "SplitToSequence": split,
    "Optional": optional, "OptionalGetElement": optional, "OptionalHasElement": has_element,
}  # fmt: skip
