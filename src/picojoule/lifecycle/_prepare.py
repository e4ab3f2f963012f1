"""What happens to data before and after the network, as operators with exact counts."""

from collections.abc import Sequence

from picojoule.quantity import InputError
from picojoule.workload import Access, Graph, Tensor, Work, Workload

from ._data import Data
from ._job import Convert, Postprocess, Preprocess

# One-dimensional inverse transform of 8 points: 11 multiplications, 29 additions (C. Loeffler et al., Practical fast
# 1-D DCT algorithms with 11 multiplications, ICASSP 1989); 16 of them and 64 scalings by the table make a block.
BLOCK = Work.of(muls=16 * 11 + 64, adds=16 * 29)
# Y Cb Cr to R G B a pixel: 4 multiplications, 4 additions, 2 offsets (ITU-T T.871, section 7).
COLOUR = Work.of(muls=4, adds=6)
LERP = Work.of(muls=1, adds=2)  # a + t · (b − a)


def prepared(data: Data, spec: Preprocess) -> tuple[tuple[int, ...], str]:
    """Shape and dtype of an item after preprocessing; sides are height and width of an (h, w, c) item."""
    if spec.resize is None and spec.crop is None:
        return data.shape, "float32" if spec.normalise else data.dtype
    if len(data.shape) != 3:
        raise InputError(f"items of shape {list(data.shape)} are no images", expected="shape: [height, width, channels]",
                         example="shape: [500, 375, 3]")  # fmt: skip
    sides = spec.resize or data.shape[:2]
    if spec.crop is not None and any(c > s for c, s in zip(spec.crop, sides, strict=True)):
        raise InputError(f"a crop of {list(spec.crop)} is larger than {list(sides)}", expected="a smaller crop",
                         example=f"crop: {list(sides)}")  # fmt: skip
    shape = (*(spec.crop or sides), data.shape[2])
    return shape, "float32" if spec.normalise else data.dtype


def values_of(data: Data, spec: Preprocess) -> dict[str, int]:
    """Values that each step writes, an item: decode 562,500, resize 196,608, crop and normalise 150,528 in the example
    500 × 375 → 256 → 224.
    """
    channels = data.shape[-1] if data.shape else 1
    last, _ = prepared(data, spec)
    final = 1
    for side in last:
        final *= side
    steps = {"decode": data.elements if spec.decode else 0}
    steps["resize"] = spec.resize[0] * spec.resize[1] * channels if spec.resize else 0
    steps["crop"] = spec.crop[0] * spec.crop[1] * channels if spec.crop else 0
    steps["normalise"] = final if spec.normalise else 0
    return {name: n for name, n in steps.items() if n}


def preprocessing(data: Data, spec: Preprocess, batch: int) -> Workload:
    """Decode, resize (bilinear: 3 linear interpolations a value), crop (a copy), normalise (subtract, multiply).

    Left out: entropy decoding, which is serial bit work; chroma is taken unsampled.
    """
    g = Graph("preprocess", dtype=data.dtype, batch=batch)
    values = {name: n * batch for name, n in values_of(data, spec).items()}
    stored = (data.stored_bytes or 0) // max(1, data.items)
    if spec.decode:
        x = g.input("stored", (batch * max(1, stored),), "uint8")
        height, width, channels = data.shape if len(data.shape) == 3 else (1, data.elements, 1)
        blocks = -(-height // 8) * -(-width // 8) * channels * batch
        colour = COLOUR * (height * width * batch if channels == 3 else 0)
        x = _each(g, "decode", x, values["decode"], BLOCK * blocks + colour, data.dtype)
    else:
        x = g.input("x", (batch * data.elements,), data.dtype)
    if spec.resize:
        read = min(x.elements, 4 * values["resize"])
        x = _each(g, "resize", x, values["resize"], LERP * (3 * values["resize"]), data.dtype, read)
    if spec.crop:
        x = _each(g, "crop", x, values["crop"], Work(), data.dtype, values["crop"])
    if spec.normalise:
        n = values["normalise"]
        x = _each(g, "normalise", x, n, Work.of(muls=n, adds=n), "float32")
    g.output(x)
    return g.workload()


def conversion(shape: Sequence[int], dtype: str, spec: Convert, batch: int) -> Workload:
    """Every value read in one format and written in the other: 1 + 4 bytes from uint8 to float32, one operation."""
    g = Graph("convert", dtype=dtype, batch=batch)
    elements = batch
    for side in shape:
        elements *= side
    x = g.input("x", (elements,), dtype)
    work = Work.of(convert=elements) if spec.to != dtype else Work()
    g.output(_each(g, "convert", x, elements, work, spec.to))
    return g.workload()


def postprocessing(spec: Postprocess, batch: int) -> Workload:
    """Softmax and argmax of each row of scores, greedy suppression of overlapping boxes.

    Softmax of D: D − 1 compares, D subtractions, D exp, D − 1 additions, D div; argmax D − 1 compares. Suppression of n
    boxes: a sort of n · ⌈log₂ n⌉ compares and, at most, n (n − 1) / 2 overlaps of 4 compares, 4 additions,
    2 multiplications, 1 div and a compare with the threshold.
    """
    g = Graph("postprocess", batch=batch)
    rows, d, n = batch * spec.boxes, spec.classes, spec.boxes
    x = g.input("scores", (rows * d,))
    for step in spec.steps:
        if step == "softmax":
            work = Work.of(adds=rows * (2 * d - 1), compare=rows * (d - 1), exp=rows * d, div=rows * d)
            x = _each(g, "softmax", x, rows * d, work, "float32", kind="softmax")
        elif step == "argmax":
            g.output(_each(g, "argmax", x, rows, Work.of(compare=rows * (d - 1)), "int64", kind="reduce"))
        elif step == "nms":
            pairs, order = n * (n - 1) // 2 * batch, n * (n - 1).bit_length() * batch
            boxes = g.input("boxes", (rows * 5,))
            work = Work.of(muls=2 * pairs, adds=4 * pairs, compare=5 * pairs + order, div=pairs)
            g.output(_each(g, "nms", boxes, rows, work, "int64", kind="sort"))
        else:
            raise InputError(
                f"no step is named {step!r}", expected="softmax, argmax or nms", example="[softmax, argmax]"
            )
    return g.workload()


def _each(g: Graph, op: str, x: Tensor, n: int, work: Work, dtype: str, read: int | None = None,
          kind: str = "elementwise") -> Tensor:  # fmt: skip
    """One pass over `x` that writes `n` values of `dtype`."""
    axes = ((("d0", 1),),)
    (out,) = g.emit(op, kind, [("d0", n)], [Access(x.name, axes, x.elements if read is None else read)],
                    [((n,), axes)], work, name=op, dtype=dtype)  # fmt: skip
    return out
