"""Machines that are no networks, as operators like any other: support vectors, neighbours, linear models.

Vectors kept from the training data (support vectors, neighbours) are buffers or weights that are read like weights; what
a method derives once, before it is used, is not counted.
"""

import math
import re
from typing import Final

from picojoule.quantity import InputError
from picojoule.workload import Graph, Tensor, Work, Workload, ops

from ._entry import Entry, Options
from ._image import run
from ._layers import linear
from .small import _parts, _sizes

SVM: Final = "svm:linear:227x227x3-1000"
RBF: Final = "svm:rbf:227x227x3-128116-1000"
GRAM: Final = "svm:gram:1281167-227x227x3"
KNN: Final = "knn:5000x784"
REGRESSION: Final = "linear-regression:784-1"
NORMAL: Final = "linear-regression:fit:5000-784-1"
LOGISTIC: Final = "logistic-regression:784-10"


def svm(name: str, options: Options) -> Workload:
    """One-against-rest: `svm:linear:FEATURES-CLASSES`, `svm:rbf:FEATURES-VECTORS-CLASSES`, `svm:gram:ROWS-FEATURES`.

    FEATURES may be sizes joined by 'x'. With two classes there is one machine. `gram` is the matrix of products that a
    kernel machine needs before any step of its solver: N(N - 1)/2 products.
    """
    kind, _, rest = options.spec.strip().lower().partition(":")
    builders = {"linear": _linear_svm, "rbf": _kernel_svm, "gram": _gram}
    if kind not in builders:
        raise InputError(f"svm: no kind {kind!r}" if kind else "svm: no kind after the colon",
                         expected="linear, rbf or gram, then sizes", example=f"picojoule count {SVM}")  # fmt: skip
    return builders[kind](name, options, rest)


def _linear_svm(name: str, options: Options, spec: str) -> Workload:
    features, classes = _features(spec, 2, SVM, "FEATURES-CLASSES")

    def body(g: Graph, x: Tensor) -> Tensor:
        return _decide(g, linear(g, x, _machines(classes), name="decision"), classes)

    return run(name, options, (features,), body)


def _kernel_svm(name: str, options: Options, spec: str) -> Workload:
    """k(x, v) = exp(-γ‖x - v‖²) by ‖x‖² + ‖v‖² - 2·x·v: one product with every vector, ‖v‖² known before."""
    features, vectors, classes = _features(spec, 3, RBF, "FEATURES-VECTORS-CLASSES")

    def body(g: Graph, x: Tensor) -> Tensor:
        with g.scope("kernel"):
            kept = g.parameter("vectors", (vectors, features))
            halves = g.parameter("half_squares", (vectors,), "buffer")
            square = ops.reduce(g, "sum", ops.unary(g, "square", x, name="square"), (1,), keep=True, name="length")
            near = ops.linear(g, x, kept, halves, name="products")
            near = ops.binary(g, "sub", near, ops.unary(g, "mul_scalar", square, name="half"), name="distance")
            near = ops.unary(g, "exp", ops.unary(g, "mul_scalar", near, name="width"), name="exp")
        return _decide(g, linear(g, near, _machines(classes), name="decision"), classes)

    return run(name, options, (features,), body)


def _gram(name: str, options: Options, spec: str) -> Workload:
    head, _, tail = _plain(spec).partition("-")
    rows = _sizes(head, "x", 1, 1, GRAM, "ROWS-FEATURES")[0]
    features = math.prod(_sizes(tail, "x", 1, 9, GRAM, "ROWS-FEATURES"))
    if rows < 2:
        raise InputError("svm: one row has no pairs", expected="2 rows or more", example=f"picojoule count {GRAM}")
    _alone("svm:gram", options, GRAM)
    g = Graph(name, batch=1)
    x = g.input("x", (rows, features))
    pairs = rows * (rows - 1) // 2
    macs = pairs * features
    made = g.emit("gram", "matmul", [("pair", pairs), ("k", features)], [(x, [(), (("k", 1),)])],
                  [((pairs,), [(("pair", 1),)])], Work.of(macs=macs, muls=macs, adds=macs - pairs), name="gram")  # fmt: skip
    g.output(made[0])
    return g.workload()


def knn(name: str, options: Options) -> Workload:
    """`knn:ROWSxFEATURES`, then `:l1` (as it is) or `:l2`, and `:k=1`: every distance, then the nearest.

    The batch is the number of queries. L2 is left squared, which keeps the order. With k above 1, the k nearest by
    passes, and one compare for each vote.
    """
    head, flags = _parts(options.spec)
    sizes = _sizes(head, "x", 2, 9, KNN, "ROWSxFEATURES")
    rows, features = sizes[0], math.prod(sizes[1:])
    metric, k = _knn_flags(flags, rows)

    def body(g: Graph, x: Tensor) -> Tensor:
        kept = g.parameter("train", (1, rows, features), "buffer")
        query = g.view(x, (x.shape[0], 1, features))
        gap = ops.binary(g, "sub", query, kept, name="difference")
        size = ops.unary(g, "abs" if metric == "l1" else "square", gap, name="size")
        far = ops.reduce(g, "sum", size, (2,), name="distance")
        if k == 1:
            return ops.argmax(g, far, name="nearest", op="argmin")
        _, places = ops.topk(g, far, k, name="nearest")
        work = Work.of(compare=x.shape[0] * k)
        return ops.whole_op(g, "vote", [places], [(x.shape[0],)], work, kind="reduce", name="vote", dtype="int64")[0]

    return run(name, options, (features,), body)


def _knn_flags(flags: list[str], rows: int) -> tuple[str, int]:
    metric, k = "l1", 1
    for flag in flags:
        number = re.fullmatch(r"k=([0-9]+)", flag)
        if flag in ("l1", "l2"):
            metric = flag
        elif number and 1 <= int(number[1]) <= rows:
            k = int(number[1])
        else:
            raise InputError(f"knn: cannot read {flag!r}", expected=f"l1, l2, or k from 1 to {rows}",
                             example=f"picojoule count {KNN}:l2:k=3")  # fmt: skip
    return metric, k


def regression(name: str, options: Options) -> Workload:
    """y = W·x + b: `linear-regression:FEATURES-OUTPUTS`; `linear-regression:fit:ROWS-FEATURES-OUTPUTS` finds W.

    The fit solves the normal equations, XᵀX by products, then Cholesky: about n³/6 multiply-adds, n² for each output. The
    constant column counts as a feature.
    """
    kind, _, rest = options.spec.strip().lower().partition(":")
    if kind == "fit":
        return _normal_equations(name, options, rest)
    features, outputs = _features(options.spec, 2, REGRESSION, "FEATURES-OUTPUTS")
    return run(name, options, (features,), lambda g, x: linear(g, x, outputs, name="linear"))


def _normal_equations(name: str, options: Options, spec: str) -> Workload:
    rows, features, outputs = _sizes(_plain(spec), "-", 3, 3, NORMAL, "ROWS-FEATURES-OUTPUTS")
    _alone("linear-regression:fit", options, NORMAL)
    g = Graph(name, batch=1)
    x, y = g.input("x", (rows, features)), g.input("y", (rows, outputs))
    columns = g.view(x, (features, rows))
    gram = ops.matmul(g, columns, x, name="gram")
    right = ops.matmul(g, columns, y, name="right")
    # Cholesky: Σ j·(n - j) multiply-adds over columns j, n roots, n(n - 1)/2 quotients; then two triangles an output.
    n = features
    steps = (n - 1) * n * (n + 1) // 6
    work = Work.of(macs=steps, muls=steps, adds=steps, sqrt=n, div=n * (n - 1) // 2)
    factor = ops.whole_op(g, "cholesky", [gram], [(n, n)], work, kind="matmul", name="cholesky")[0]
    solve = Work.of(macs=n * (n - 1) * outputs, muls=n * (n - 1) * outputs, adds=n * (n - 1) * outputs,
                    div=2 * n * outputs)  # fmt: skip
    g.output(ops.whole_op(g, "solve", [factor, right], [(n, outputs)], solve, kind="matmul", name="solve")[0])
    return g.workload()


def logistic(name: str, options: Options) -> Workload:
    """Class probabilities of a linear model: `logistic-regression:FEATURES-CLASSES`; two classes need one sigmoid."""
    features, classes = _features(options.spec, 2, LOGISTIC, "FEATURES-CLASSES")

    def body(g: Graph, x: Tensor) -> Tensor:
        score = linear(g, x, _machines(classes), name="linear")
        return ops.unary(g, "sigmoid", score, name="sigmoid") if classes <= 2 else ops.softmax(g, score, name="softmax")

    return run(name, options, (features,), body)


def _machines(classes: int) -> int:
    """One against rest: a machine for each class, one for two of them."""
    return 1 if classes <= 2 else classes


def _decide(g: Graph, scores: Tensor, classes: int) -> Tensor:
    return ops.unary(g, "sign", scores, name="class") if classes <= 2 else ops.argmax(g, scores, name="class")


def _features(spec: str, many: int, example: str, expected: str) -> tuple[int, ...]:
    """Sizes joined by '-', the first of them a product of sizes joined by 'x'."""
    head, _, tail = _plain(spec).partition("-")
    features = math.prod(_sizes(head, "x", 1, 9, example, expected))
    return features, *_sizes(tail, "-", many - 1, many - 1, example, expected)


def _plain(spec: str) -> str:
    return re.sub(r"\s", "", spec.lower()).replace("×", "x")


def _alone(family: str, options: Options, example: str) -> None:
    if options.inputs or options.batch not in (None, 1):
        raise InputError(f"{family} takes its rows after the colon", expected="no batch and no --input",
                         example=f"picojoule count {example}")  # fmt: skip


MODELS: Final[dict[str, Entry]] = {
    "svm": Entry(svm, "Support vector machine, linear or with a Gaussian kernel, one against rest", (), SVM),
    "knn": Entry(knn, "Nearest neighbours by exhaustive distance, ROWSxFEATURES", ("k-nn", "nearest-neighbours"), KNN),
    "linear-regression": Entry(regression, "Linear regression: prediction, or its normal equations", (), REGRESSION),
    "logistic-regression": Entry(logistic, "Logistic regression, FEATURES-CLASSES", (), LOGISTIC),
}  # fmt: skip
