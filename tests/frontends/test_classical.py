"""Support vectors, neighbours and linear models, against counts by hand."""

import pytest

import picojoule as pj
from picojoule.frontends.zoo import read_zoo
from picojoule.frontends.zoo.classical import MODELS
from picojoule.quantity import InputError
from picojoule.workload import Workload


def parameters(net: Workload) -> int:
    return sum(tensor.elements for tensor in net.parameters)


def test_support_vectors() -> None:
    """By hand: 154,587 features · 1,000 classes; 128,116 vectors of them; pairs of 1,281,167 images."""
    linear = read_zoo("svm:linear:227x227x3-1000")
    assert linear.work.macs == 154_587_000
    assert parameters(linear) == 154_588_000
    assert dict(linear.work.special) == {"compare": 999}
    kernel = read_zoo("svm:rbf:227x227x3-128116-1000")
    assert kernel.work.macs == 19_933_184_092 == 128_116 * (154_587 + 1_000)
    assert dict(kernel.work.special) == {"compare": 999, "exp": 128_116}
    assert read_zoo("svm:gram:1281167-227x227x3").work.macs == 126_868_592_516_405_907
    alexnet = read_zoo("alexnet-2012").work.macs
    assert alexnet / linear.work.macs == pytest.approx(4.686078493016877, rel=1e-9)


def test_two_classes_need_one_machine() -> None:
    """By hand: one score, one compare with zero."""
    two = read_zoo("svm:linear:10-2")
    assert two.work.macs == 10
    assert dict(two.work.special) == {"compare": 1}
    assert dict(read_zoo("logistic-regression:784-2").work.special) == {"sigmoid": 1}
    assert dict(read_zoo("logistic-regression:784-10").work.special)["exp"] == 10


def test_neighbours() -> None:
    """By hand: 5000 · 784 differences and magnitudes, 5000 · 783 sums, 4999 compares; 200 queries as much each."""
    one = read_zoo("knn:5000x784")
    by_op = {o.op: o.total for o in one.operators}
    assert by_op["sub"].adds == 3_920_000
    assert dict(by_op["abs"].special) == {"abs": 3_920_000}
    assert by_op["reduce_sum"].adds == 3_915_000
    assert dict(by_op["argmin"].special) == {"compare": 4_999}
    many = read_zoo("knn:5000x784", batch=200)
    assert {o.op: o.total for o in many.operators}["sub"].adds == 784_000_000
    squared = read_zoo("knn:5000x28x28:l2:k=3")
    assert squared.work.muls == 3_920_000
    assert dict(squared.work.special) == {"compare": 5000 * 3 + 3}


def test_linear_regression() -> None:
    """By hand: 784 products; normal equations 5000 · 784² + 5000 · 784, Cholesky Σ j(n - j), two triangles."""
    assert read_zoo("linear-regression:784-1").work.macs == 784
    fitted = read_zoo("linear-regression:fit:5000-784-1")
    cholesky = sum(j * (784 - j) for j in range(784))
    assert fitted.work.macs == 5000 * 784**2 + 5000 * 784 + cholesky + 784 * 783
    assert dict(fitted.work.special)["sqrt"] == 784


@pytest.mark.parametrize("name", [entry.example for entry in MODELS.values()] + ["svm:rbf:64-100-10", "svm:gram:100-64",
                                  "linear-regression:fit:100-8-2", "knn:100x8:k=3"])  # fmt: skip
def test_every_example_has_a_price(name: str) -> None:
    """Bound: the example of every entry is counted whole and costs energy on a CPU."""
    net = read_zoo(name)
    assert not net.uncounted
    assert pj.estimate(net, "xeon", draws=0).cost.total_energy_j.nominal > 0


@pytest.mark.parametrize("name", ["svm", "svm:poly:3-4", "svm:linear:3", "svm:linear:0-4", "svm:rbf:3-4", "svm:gram:1-4",
                                  "svm:gram:5",
                                  "knn", "knn:5", "knn:5x0", "knn:5x4:k=6", "knn:5x4:cosine", "linear-regression:5",
                                  "linear-regression:fit:5-4", "logistic-regression:a-b"])  # fmt: skip
def test_grammar(name: str) -> None:
    """Message: every wrong spec is refused with an example that passes."""
    with pytest.raises(InputError) as failure:
        read_zoo(name)
    assert failure.value.expected
    read_zoo(failure.value.example.removeprefix("picojoule count "))


def test_rows_belong_into_the_name() -> None:
    """Message: a Gram matrix has no batch."""
    with pytest.raises(InputError, match="after the colon"):
        read_zoo("svm:gram:100-64", batch=8)
