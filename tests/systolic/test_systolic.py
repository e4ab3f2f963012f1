"""Closed forms against a walk of the wavefront, by hand, and the properties they must have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from picojoule.frontends.zoo import read_zoo
from picojoule.quantity import InputError
from picojoule.systolic import DATAFLOWS, conv_gemm, gemm_of, layers, lines, points_per_second, systolic
from picojoule.workload import Graph, ops

Matrix = NDArray[np.int64]


class Walk:
    """An R×C array stepped cycle by cycle. Counts every word that enters and leaves."""

    def __init__(self, rows: int, cols: int) -> None:
        self.rows, self.cols = rows, cols
        self.cycles = self.streamed_rows = self.streamed_cols = self.loaded = self.left = self.returned = 0

    def keep_sums(self, a: Matrix, b: Matrix, drain: bool) -> Matrix:
        """Output stationary: a enters from the left, row i i cycles late; b from above, column j j cycles late."""
        (r, depth), c = a.shape, b.shape[1]
        east, south, sums = (np.zeros((r, c), dtype=np.int64) for _ in range(3))
        done, t = np.zeros((r, c), dtype=np.int64), 0
        while (done < depth).any():
            east[:, 1:], south[1:] = east[:, :-1].copy(), south[:-1].copy()
            for i in range(r):
                fed = 0 <= t - i < depth
                east[i, 0] = a[i, t - i] if fed else 0
                self.streamed_rows += fed
            for j in range(c):
                fed = 0 <= t - j < depth
                south[0, j] = b[t - j, j] if fed else 0
                self.streamed_cols += fed
            sums += east * south
            behind = t - np.add.outer(np.arange(r), np.arange(c))
            done += (behind >= 0) & (behind < depth)
            t += 1
        if drain:
            t += r - 1  # the last column's lowest sum leaves at once, each above it a cycle later
        self.left += r * c
        self.cycles += t
        return sums

    def keep_operand(self, x: Matrix, w: Matrix, sums: Matrix | None) -> Matrix:
        """Weight (input) stationary: w loads, a row a cycle; x enters from the left; sums fall out below."""
        (steps, r), c = x.shape, w.shape[1]
        self.loaded += r * c
        east, partial = np.zeros((r, c), dtype=np.int64), np.zeros((r, c), dtype=np.int64)
        out, got, t = np.zeros((steps, c), dtype=np.int64), 0, 0
        while got < steps * c:
            east[:, 1:] = east[:, :-1].copy()
            for i in range(r):
                fed = 0 <= t - i < steps
                east[i, 0] = x[t - i, i] if fed else 0
                self.streamed_rows += fed
            falling = np.vstack([np.zeros((1, c), dtype=np.int64), partial[:-1]])
            for j in range(c):
                if sums is not None and 0 <= t - j < steps:
                    falling[0, j] = sums[t - j, j]
                    self.returned += 1
            partial = falling + east * w
            for j in range(c):
                step = t - (r - 1) - j
                if 0 <= step < steps:
                    out[step, j] = partial[r - 1, j]
                    got += 1
            t += 1
        self.left += got
        self.cycles += r + t
        return out


def parts(size: int, most: int) -> list[slice]:
    return [slice(at, min(at + most, size)) for at in range(0, size, most)]


def walked(dataflow: str, rows: int, cols: int, x: Matrix, w: Matrix, drain: bool = False) -> tuple[Matrix, Walk]:
    walk = Walk(rows, cols)
    if dataflow == "is":  # Yᵀ = Wᵀ·Xᵀ: the ifmap takes the place of the filters
        x, w = w.T, x.T
    y = np.zeros((x.shape[0], w.shape[1]), dtype=np.int64)
    for down in parts(x.shape[0] if dataflow == "os" else w.shape[0], rows):
        for along in parts(w.shape[1], cols):
            if dataflow == "os":
                y[down, along] = walk.keep_sums(x[down], w[:, along], drain)
            else:
                before = y[:, along] if down.start else None
                y[:, along] = walk.keep_operand(x[:, down], w[down, along], before)
    return (y.T if dataflow == "is" else y), walk


SMALL = st.integers(1, 9)


@given(st.sampled_from(DATAFLOWS), st.booleans(), SMALL, SMALL, SMALL, SMALL, SMALL, st.integers(0, 2**31))
def test_closed_form_is_the_walk(
    dataflow: str, drain: bool, rows: int, cols: int, m: int, n: int, k: int, seed: int
) -> None:
    """Equality: cycles and every count of a stepped array that carries values and multiplies right."""
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-8, 8, (m, k)), rng.integers(-8, 8, (k, n))
    y, walk = walked(dataflow, rows, cols, x, w, drain)
    assert (y == x @ w).all()
    counts = systolic(dataflow, rows, cols, m, n, k, drain=drain)
    assert int(counts.cycles) == walk.cycles
    ifmap = walk.loaded if dataflow == "is" else walk.streamed_rows
    filters = {"os": walk.streamed_cols, "ws": walk.loaded, "is": walk.streamed_rows}[dataflow]
    assert (int(counts.ifmap_reads), int(counts.filter_reads)) == (ifmap, filters)
    assert (int(counts.ofmap_writes), int(counts.psum_reads)) == (walk.left, walk.returned)
    assert float(counts.utilisation) == pytest.approx(m * n * k / (rows * cols * walk.cycles))


def test_by_hand() -> None:
    """By hand: 5×7×9 on 8×8.

    os: one fold of 5 rows, 7 columns: 9 + 5 + 7 - 2 = 19 cycles; 45 and 63 words in, 35 out.
    ws: K = 9 folds into 8 and 1 rows: (8 + 5 + 8 + 7 - 2) + (1 + 5 + 1 + 7 - 2) = 26 + 12 = 38; 70 written, 35 back.
    SCALE-Sim: os 8 + 8 + 9 - 2 - 1 = 22 and 35 + 16 = 51 writes; ws 2·(16 + 8 + 5 - 2) - 1 = 53.
    """
    own, ws = systolic("os", 8, 8, 5, 7, 9), systolic("ws", 8, 8, 5, 7, 9)
    assert (own.cycles, own.ifmap_reads, own.filter_reads, own.ofmap_writes, own.psum_reads) == (19, 45, 63, 35, 0)
    assert (ws.cycles, ws.ifmap_reads, ws.filter_reads, ws.ofmap_writes, ws.psum_reads) == (38, 45, 63, 70, 35)
    assert (own.sram, own.macs, own.folds, ws.folds) == (143, 315, 1, 2)
    assert (own.dram_filter_reads, own.dram_ofmap_writes) == (63, 35)
    assert systolic("os", 8, 8, 5, 7, 9, drain=True).cycles == 19 + 4
    peer, peer_ws = (systolic(flow, 8, 8, 5, 7, 9, convention="scalesim") for flow in ("os", "ws"))
    assert (peer.cycles, peer.ofmap_writes, peer_ws.cycles, peer_ws.psum_reads) == (22, 51, 53, 0)
    assert systolic("os", 8, 8, 1, 1, 1, convention="scalesim").ofmap_writes == 17
    assert systolic("os", 8, 8, 1, 1, 1).ofmap_writes == 1


def test_convolution_by_hand() -> None:
    """By hand: 18×18×3, kernel 7, stride 2, 16 filters: 6·6 windows, K = 147; SCALE-Sim takes 7·7. Depthwise: groups."""
    own = conv_gemm(18, 18, 3, 16, (7, 7), stride=2)
    assert (own.m, own.n, own.k, own.macs) == (36, 16, 147, 84672)
    assert conv_gemm(18, 18, 3, 16, (7, 7), stride=2, convention="scalesim").m == 49
    depthwise = conv_gemm(10, 10, 32, 32, (3, 3), groups=32, batch=2)
    assert (depthwise.m, depthwise.n, depthwise.k, depthwise.count) == (128, 1, 9, 32)


@given(st.sampled_from(DATAFLOWS), SMALL, SMALL, st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_bounds(dataflow: str, rows: int, cols: int, m: int, n: int, k: int) -> None:
    """Bound: use at most 1, SCALE-Sim never faster but for its missing cycle, every word read at least once."""
    own, peer = (systolic(dataflow, rows, cols, m, n, k, convention=one) for one in ("exact", "scalesim"))
    assert 0 < own.utilisation <= 1
    assert own.cycles <= peer.cycles + 1
    assert own.ifmap_reads >= m * k
    assert own.filter_reads >= k * n
    assert own.ofmap_writes - own.psum_reads == m * n


def test_broadcasting() -> None:
    """Metamorphic: a table of arrays by layers is its points one by one."""
    rows, cols = np.array([[4], [8], [128]]), np.array([[4], [32], [128]])
    m, n, k = np.array([1, 5, 100, 4096]), np.array([1, 7, 10, 4096]), np.array([1, 9, 50, 4096])
    for flow in DATAFLOWS:
        table = systolic(flow, rows, cols, m, n, k)
        assert table.cycles.shape == table.psum_reads.shape == table.dram_filter_reads.shape == (3, 4)
        for i in range(3):
            for j in range(4):
                one = systolic(flow, int(rows[i, 0]), int(cols[i, 0]), int(m[j]), int(n[j]), int(k[j]))
                assert (table.cycles[i, j], table.sram[i, j]) == (one.cycles, one.sram)


def test_transposing_swaps_the_stationary_operand() -> None:
    """Metamorphic: Yᵀ = Wᵀ·Xᵀ turns weight stationary into input stationary."""
    ws, is_ = systolic("ws", 8, 16, 100, 30, 50), systolic("is", 8, 16, 30, 100, 50)
    assert ws.cycles == is_.cycles
    assert (ws.ifmap_reads, ws.filter_reads) == (is_.filter_reads, is_.ifmap_reads)


def test_networks() -> None:
    """Equality: the products of real networks hold all their MACs; grouped queries count each head."""
    for name in ("resnet50", "mobilenet_v2", "gpt2", "lenet5"):
        net = read_zoo(name)
        assert sum(one.gemm.macs for one in layers(net, "os", 16, 16)) == net.work.macs
        text = lines(net, 128, 128)
        assert max(map(len, text)) <= 80
        assert len(text) == 19 or name == "lenet5"


def test_products_of_operators() -> None:
    """By hand: heads and repeats are products apart; an addition is none."""
    g = Graph("hand")
    q, keys, x = g.input("q", (2, 4, 10, 16)), g.input("k", (2, 4, 16, 12)), g.input("x", (6, 8))
    ops.matmul(g, q, keys)
    with g.repeated(5):
        ops.linear(g, x, g.parameter("w", (3, 8)))
    ops.binary(g, "add", x, x)
    found = [gemm_of(operator) for operator in g.workload().operators]
    assert [(one.m, one.n, one.k, one.count) for one in found if one] == [(10, 12, 16, 8), (6, 3, 8, 5)]
    assert found[2] is None


def test_text_without_products() -> None:
    """Message: a network of no products says so."""
    g = Graph("plain")
    g.output(ops.unary(g, "relu", g.input("x", (4,))))
    assert lines(g.workload(), 8, 8)[1] == "no operator is a matrix product"


@pytest.mark.parametrize("wrong", [("xs", 8, 8, 1, 1, 1), ("os", 0, 8, 1, 1, 1), ("os", 8, 8, 1.5, 1, 1),
                                   ("os", 8, 8, 2**31, 2**31, 2**31)])  # fmt: skip
def test_refusals(wrong: tuple[str, int, int, int, int, int]) -> None:
    """Message: what cannot be counted says what would pass."""
    with pytest.raises(InputError, match="expected"):
        systolic(*wrong)
    with pytest.raises(InputError, match="convention"):
        systolic("os", 8, 8, 1, 1, 1, convention="other")
    with pytest.raises(InputError, match="kernel"):
        conv_gemm(3, 3, 1, 1, (5, 5))
    with pytest.raises(InputError, match="groups"):
        conv_gemm(3, 3, 3, 4, (1, 1), groups=2)


def test_fast() -> None:
    """Bound: a million points a second, with room for a busy machine."""
    assert max(points_per_second(300_000) for _ in range(3)) > 1e6
