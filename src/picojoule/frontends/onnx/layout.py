"""Shapes and data movement: views cost nothing, copies move bytes, and what touches parameters is done at load."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from picojoule.quantity import InputError
from picojoule.workload import Tensor, Work, ops

from ._call import Call, Handler, Result, UnknowableError
from ._fold import range_length, slices, split_sizes, target_shape
from ._types import dtype_of
from ._value import Value, at_most


def reshape(call: Call) -> Sequence[Result]:
    """Reshape."""
    target = call.axes(1, "shape")
    if target is None:
        raise InputError("the target shape is missing", expected="a second input")
    return [call.reshaped(call.value(0), target_shape(call, call.shape(0), target))]


def flatten(call: Call) -> Sequence[Result]:
    """Flatten."""
    shape, axis = call.shape(0), call.integer("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise InputError(f"axis {axis} is outside {len(shape)} axes")
    axis = axis + len(shape) if axis < 0 else axis
    return [call.reshaped(call.value(0), (math.prod(shape[:axis]), math.prod(shape[axis:])))]


def squeeze(call: Call) -> Sequence[Result]:
    """Squeeze."""
    shape, axes = call.shape(0), call.axes(1)
    gone = {i for i, size in enumerate(shape) if size == 1} if not axes else {_axis(a, len(shape)) for a in axes}
    if any(shape[i] != 1 for i in gone):
        raise InputError(f"cannot squeeze axes {sorted(gone)} of {list(shape)}", expected="axes of size 1")
    return [call.reshaped(call.value(0), [size for i, size in enumerate(shape) if i not in gone])]


def unsqueeze(call: Call) -> Sequence[Result]:
    """Unsqueeze."""
    shape, axes = list(call.shape(0)), call.axes(1) or ()
    rank = len(shape) + len(axes)
    for axis in sorted(_axis(a, rank) for a in axes):
        shape.insert(axis, 1)
    return [call.reshaped(call.value(0), shape)]


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise InputError(f"axis {axis} is outside {rank} axes", expected=f"{-rank} to {rank - 1}")
    return axis % rank


def transpose(call: Call) -> Sequence[Result]:
    """Transpose: a copy in memory; of a parameter, done at load."""
    shape = call.shape(0)
    order = call.integers("perm") or tuple(reversed(range(len(shape))))
    if sorted(order) != list(range(len(shape))):
        raise InputError(f"perm {list(order)} is no order of {len(shape)} axes")
    turned = [shape[i] for i in order]
    if call.value(0).rooted or sum(size > 1 for size in shape) < 2:
        return [call.reshaped(call.value(0), turned)]
    return [ops.transpose(call.g, call.tensor(0), order, name=call.label)]


def slice_(call: Call) -> Sequence[Result]:
    """Slice: copies the elements it keeps; of a parameter, a view."""
    shape = call.shape(0)
    try:
        kept = slices(call, shape)
    except UnknowableError:
        call.g.notes.append(f"{call.label} (Slice) has bounds that come from data; its whole input is counted")
        return [at_most(ops.copy(call.g, call.tensor(0), op="slice", name=call.label))]
    sizes = tuple(len(range(*part.indices(size))) for part, size in zip(kept, shape, strict=True))
    return [_part(call, sizes, "slice")]


def _part(call: Call, sizes: Sequence[int], op: str) -> Result:
    value = call.value(0)
    if value.rooted:
        name = call.name(0)
        shape = tuple(sizes)
        codes = value.codes
        part = None if codes is None else Value(shape, codes.dtype, sources=codes.sources, make=lambda: ops.slice_view(
            call.g, call.session.tensor(codes, name), shape))  # fmt: skip
        return Value(shape, value.dtype, sources=value.sources, codes=part, aside=value.aside,
                     make=lambda: ops.slice_view(call.g, call.session.tensor(value, name), shape))  # fmt: skip
    if tuple(sizes) == value.shape:
        return value
    return ops.select(call.g, call.tensor(0), math.prod(sizes), sizes, op=op, name=call.label)


def split(call: Call) -> Sequence[Result]:
    """Split: each part is copied."""
    shape = call.shape(0)
    axis = _axis(call.integer("axis", 0), len(shape))
    return [_part(call, (*shape[:axis], part, *shape[axis + 1 :]), "split") for part in split_sizes(call, shape)]


def concat(call: Call) -> Sequence[Result]:
    """Concat; an operand without elements is passed over."""
    tensors = call.tensors()
    filled = [t for t in tensors if t.shape != (0,)] or tensors
    return [ops.concat(call.g, filled, _axis(call.integer("axis", 1), len(filled[0].shape)), name=call.label)]


def expand(call: Call) -> Sequence[Result]:
    """Expand: a copy of what is stored to every place."""
    target = call.numbers(1)
    if target is None:
        raise UnknowableError("the target shape comes from data")
    shape = np.broadcast_shapes(call.shape(0), target) if math.prod(target) < 2**31 else _wide(call.shape(0), target)
    if shape == call.shape(0):
        return [call.value(0)]
    return [ops.copy(call.g, call.tensor(0), shape, op="expand", name=call.label)]


def _wide(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    from picojoule.workload.ops.contract import broadcast

    return broadcast(a, b, "")


def tile(call: Call) -> Sequence[Result]:
    """Tile: each axis repeated."""
    shape, repeats = call.shape(0), call.numbers(1)
    if repeats is None:
        raise UnknowableError("the repeats come from data")
    if len(repeats) != len(shape):
        raise InputError(f"{len(repeats)} repeats for {len(shape)} axes")
    grown = [size * times for size, times in zip(shape, repeats, strict=True)]
    return [ops.copy(call.g, call.tensor(0), grown, op="tile", name=call.label)]


def pad(call: Call) -> Sequence[Result]:
    """Pad, by constant, edge or reflection."""
    shape = call.shape(0)
    pads = call.integers("paddings") or call.axes(1, "pads")
    axes = call.numbers(3) if call.optional_value(3) is not None else tuple(range(len(shape)))
    if pads is None or axes is None:
        raise UnknowableError("the padding comes from data")
    if len(pads) != 2 * len(axes):
        raise InputError(f"{len(pads)} pads for {len(axes)} axes", expected="a begin and an end for each axis")
    pairs = [(0, 0)] * len(shape)
    for i, axis in enumerate(axes):
        pairs[_axis(axis, len(shape))] = (pads[i], pads[i + len(axes)])
    if not any(before or after for before, after in pairs):
        return [call.value(0)]
    return [ops.pad(call.g, call.tensor(0), pairs, name=call.label)]


def gather(call: Call) -> Sequence[Result]:
    """Gather: the rows of the indices, no more. Whole rows of a parameter by a constant index are a view."""
    shape, indices = call.shape(0), call.shape(1)
    axis = _axis(call.integer("axis", 0), len(shape))
    value = call.value(0)
    # Reading one entry along an axis is a slice, not a lookup.
    if value.rooted and call.data(1) is not None and math.prod(indices) == 1:
        return [_part(call, (*shape[:axis], *indices, *shape[axis + 1 :]), "slice")]
    table, scales = call.tensor(0), []
    if value.codes is not None and value.constant:
        table, scales = call.session.tensor(value.codes), [call.session.tensor(each) for each in value.aside]
    y = ops.gather(call.g, table, call.tensor(1), axis, name=call.label)
    if scales:
        y = call.fuse(y, work=Work.of(muls=y.elements, adds=y.elements), reads=scales, dtype=value.dtype)
    return [y]


def gather_nd(call: Call) -> Sequence[Result]:
    """GatherND: slices at index tuples."""
    shape, indices, batch = call.shape(0), call.shape(1), call.integer("batch_dims")
    depth = indices[-1]
    if batch + depth > len(shape):
        raise InputError(f"index tuples of {depth} do not fit {len(shape)} axes")
    out = (*indices[:-1], *shape[batch + depth :])
    y = ops.select(call.g, call.tensor(0), math.prod(out), out, op="gather_nd", name=call.label)
    return [call.fuse(y, reads=[call.tensor(1)])]


def gather_elements(call: Call) -> Sequence[Result]:
    """GatherElements: one element for each index."""
    indices = call.tensor(1)
    y = ops.select(call.g, call.tensor(0), indices.elements, indices.shape, op="gather_elements", name=call.label)
    return [call.fuse(y, reads=[indices])]


def scatter(call: Call) -> Sequence[Result]:
    """ScatterElements, ScatterND, TensorScatter: a copy with some elements replaced, or combined by `reduction`."""
    x, update = call.tensor(0), call.tensor(1 if call.op == "TensorScatter" else 2)
    each = {"add": Work.of(adds=1), "mul": Work.of(muls=1), "max": Work.of(compare=1), "min": Work.of(compare=1)}
    work = each.get(call.text("reduction", "none"), Work()) * update.elements
    return [ops.whole_op(call.g, "scatter", call.tensors(), [x.shape], work, kind="move", name=call.label,
                         dtype=x.dtype)[0]]  # fmt: skip


def shape_of(call: Call) -> Sequence[Result]:
    """Shape and Size are folded; reached only where they are not."""
    rank = len(call.shape(0))
    return [call.g.tensor(call.g.fresh_name(call.label + ":shape"), (rank,) if call.op == "Shape" else (), "int64")]


def constant_of_shape(call: Call) -> Sequence[Result]:
    """ConstantOfShape beyond the size that is folded: bytes written."""
    sizes = call.numbers(0)
    if sizes is None:
        raise UnknowableError("the shape comes from data")
    proto = call.constant("value")
    dtype = "float32" if proto is None else dtype_of(proto.data_type)
    # Recorded only if an activation: what fills a weight runs once, at load.
    return [Value(sizes, dtype, sources=frozenset(), make=lambda: _filled(call, sizes, dtype))]


def _filled(call: Call, shape: Sequence[int], dtype: str, work: Work | None = None, op: str = "fill") -> Tensor:
    if any(size < 0 for size in shape):
        raise InputError(f"shape {list(shape)} has a negative size")
    return ops.whole_op(call.g, op, [], [shape], work or Work(), kind="move", name=call.label, dtype=dtype)[0]


def range_(call: Call) -> Sequence[Result]:
    """Range beyond the size that is folded."""
    data = [call.data(i) for i in range(3)]
    if any(each is None for each in data):
        raise UnknowableError("its length comes from data")
    start, limit, step = (each.reshape(-1)[0].item() for each in data if each is not None)
    return [_filled(call, (range_length(start, limit, step),), call.value(0).dtype)]


def random(call: Call) -> Sequence[Result]:
    """RandomNormal and the like: one random number an element."""
    like = call.op.endswith("Like")
    shape = call.shape(0) if like else call.integers("shape")
    dtype = dtype_of(call.integer("dtype", 1)) if call.has("dtype") or not like else call.value(0).dtype
    return [_filled(call, shape, dtype, Work.of(rng=math.prod(shape)), "random")]


def eye_like(call: Call) -> Sequence[Result]:
    """EyeLike."""
    dtype = dtype_of(call.integer("dtype", 1)) if call.has("dtype") else call.value(0).dtype
    return [_filled(call, call.shape(0), dtype, op="eye")]


def moved(call: Call) -> Sequence[Result]:
    """Copies of equal shape: Trilu, ReverseSequence."""
    return [ops.copy(call.g, call.tensor(0), op=call.op.lower(), name=call.label)]


def depth_to_space(call: Call) -> Sequence[Result]:
    """DepthToSpace and SpaceToDepth."""
    batch, channels, height, width = call.shape(0)
    block = call.integer("blocksize")
    if block < 1:
        raise InputError(f"blocksize {block}", expected="1 or more")
    if call.op == "DepthToSpace":
        shape = (batch, channels // (block * block), height * block, width * block)
    else:
        shape = (batch, channels * block * block, height // block, width // block)
    return [ops.copy(call.g, call.tensor(0), shape, op=call.op.lower(), name=call.label)]


def one_hot(call: Call) -> Sequence[Result]:
    """OneHot: bytes written, one compare an element."""
    depth = call.numbers(1)
    if not depth:
        raise UnknowableError("its depth comes from data")
    shape = list(call.shape(0))
    axis = call.integer("axis", -1)
    shape.insert(axis + len(shape) + 1 if axis < 0 else axis, depth[0])
    work = Work.of(compare=math.prod(shape))
    return [ops.whole_op(call.g, "one_hot", [call.tensor(0)], [shape], work, kind="elementwise", name=call.label,
                         dtype=call.value(2).dtype)[0]]  # fmt: skip


def center_crop_pad(call: Call) -> Sequence[Result]:
    """CenterCropPad: some axes cut or padded to a size."""
    shape, sizes = list(call.shape(0)), call.numbers(1)
    if sizes is None:
        raise UnknowableError("its sizes come from data")
    for axis, size in zip(call.integers("axes") or range(len(shape)), sizes, strict=True):
        shape[axis] = size
    return [ops.copy(call.g, call.tensor(0), shape, op="crop", name=call.label)]


def compress(call: Call) -> Sequence[Result]:
    """Compress: at most as many rows as the condition has entries."""
    shape, many = list(call.shape(0)), math.prod(call.shape(1))
    condition = call.data(1)
    many = int(np.count_nonzero(condition)) if condition is not None else many
    if condition is None:
        call.g.notes.append(f"{call.label} (Compress): its result is as large as its data says; the most is counted")
    if call.has("axis"):
        axis = _axis(call.integer("axis"), len(shape))
        shape[axis] = min(many, shape[axis])
    else:
        shape = [min(many, math.prod(shape))]
    return [at_most(ops.select(call.g, call.tensor(0), math.prod(shape), shape, op="compress", name=call.label))]


def col2im(call: Call) -> Sequence[Result]:
    """Col2Im: columns added up to an image."""
    batch, wide, _ = call.shape(0)
    image, block = call.numbers(1), call.numbers(2)
    if image is None or block is None:
        raise UnknowableError("its sizes come from data")
    shape = (batch, wide // math.prod(block), *image)
    work = Work.of(adds=max(0, call.tensor(0).elements - math.prod(shape)))
    return [ops.whole_op(call.g, "col2im", [call.tensor(0)], [shape], work, kind="move", name=call.label)[0]]


HANDLERS: Final[dict[str, Handler]] = {
    "Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose,
    "Slice": slice_, "Split": split, "Concat": concat, "Expand": expand, "Tile": tile, "Pad": pad, "Gather": gather,
    "GatherND": gather_nd, "GatherElements": gather_elements, "ScatterElements": scatter, "ScatterND": scatter,
    "Scatter": scatter, "TensorScatter": scatter, "Shape": shape_of, "Size": shape_of,
    "ConstantOfShape": constant_of_shape, "Range": range_, "RandomNormal": random, "RandomUniform": random,
    "RandomNormalLike": random, "RandomUniformLike": random, "EyeLike": eye_like, "Trilu": moved,
    "ReverseSequence": moved, "DepthToSpace": depth_to_space, "SpaceToDepth": depth_to_space, "OneHot": one_hot,
    "CenterCropPad": center_crop_pad, "Compress": compress, "Col2Im": col2im,
}  # fmt: skip
