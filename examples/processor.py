"""The adder and the digits on the deep learning processor: trained, written as ONNX, compiled, run instruction by instruction.

python examples/processor.py --on textbook-core
"""

import argparse
import sys
import tempfile
from pathlib import Path

import adder
import digits
import numpy as np
from network import Network, train
from numpy.typing import NDArray

from picojoule.formats import load_machine
from picojoule.frontends.onnx import compile_onnx

BATCH = 64


def write_onnx(net: Network, path: Path) -> Path:
    """The network as an ONNX file: a Gemm for each layer, ReLU between them."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, last = [], [], "x"
    for n, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        weights += [
            numpy_helper.from_array(w.astype(np.float32), f"w{n}"),
            numpy_helper.from_array(b.astype(np.float32), f"b{n}"),
        ]
        nodes.append(helper.make_node("Gemm", [last, f"w{n}", f"b{n}"], [f"sum{n}"], name=f"layer{n}", transB=1))
        last = f"sum{n}"
        if n + 1 < len(net.weights):
            nodes.append(helper.make_node("Relu", [last], [f"y{n}"], name=f"relu{n}"))
            last = f"y{n}"
    sizes = net.weights[0].shape[1], net.weights[-1].shape[0]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, size])
        for name, size in zip(("x", last), sizes, strict=True)
    ]
    graph = helper.make_graph(nodes, path.stem, ends[:1], ends[1:], weights)
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    return path


def on_processor(net: Network, x: NDArray[np.float32], machine: str, dtype: str,
                 data: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:  # fmt: skip
    """The network's results for every row of x, and the cycles of one batch. `data` calibrates int8."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_onnx(net, Path(folder) / "net.onnx")
        rows = np.resize(data, (-(-len(data) // BATCH) * BATCH, data.shape[1]))
        calibration = [{"x": rows[i : i + BATCH]} for i in range(0, len(rows), BATCH)] if dtype == "int8" else []
        compiled = compile_onnx(path, load_machine(machine), dtype, calibration=calibration)
    wide = np.zeros((-(-len(x) // BATCH) * BATCH, x.shape[1]), np.float32)
    wide[: len(x)] = x
    parts = [next(iter(compiled({"x": wide[i : i + BATCH]}).values())) for i in range(0, len(wide), BATCH)]
    return np.vstack(parts)[: len(x)], float(compiled.time().cycles)


def sums() -> tuple[Network, NDArray[np.float32], NDArray[np.int64]]:
    """The adder, trained on all its 512 rows, and those rows."""
    x, y = adder.load()
    return train(Network.of(adder.WIDTHS, 0), x, y, adder.PLAN, 0)[0], x, y


def images() -> tuple[Network, NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """The digits network, trained on four fifths; the images and classes held out; the images trained on."""
    x, y = digits.load()
    order = np.random.default_rng(1000).permutation(len(x))
    inside, outside = order[: digits.TRAIN], order[digits.TRAIN :]
    return (
        train(Network.of(digits.WIDTHS, 0), x[inside], y[inside], digits.PLAN, 0)[0],
        x[outside],
        y[outside],
        x[inside],
    )


def main(arguments: list[str] | None = None) -> int:
    """Train, run, and print how many are right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default="textbook-core", help="a machine for programs (default: textbook-core)")
    options = parser.parse_args(arguments)
    net, x, y = sums()
    for dtype in ("float32", "int8"):
        found, cycles = on_processor(net, x, options.on, dtype, x)
        right = int(((found > 0) == y).all(axis=1).sum())
        sys.stdout.write(f"adder   {dtype:<8} {right:>4} of {len(x)} sums right   {cycles:>9,.1f} cycles for {BATCH}\n")
    net, x, classes, data = images()
    for dtype in ("float32", "int8"):
        found, cycles = on_processor(net, x, options.on, dtype, data)
        right = int((found.argmax(1) == classes).sum())
        sys.stdout.write(f"digits  {dtype:<8} {right:>4} of {len(x)} images right {cycles:>9,.1f} cycles for {BATCH}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
