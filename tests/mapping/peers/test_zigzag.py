"""ZigZag's rules on small cases."""

import math

from hypothesis import given
from hypothesis import strategies as st

from picojoule.mapping.peers import Hold, Rules, Tensor, Window, zigzag_accesses

PORTS = dict.fromkeys(("rd_out_to_low", "wr_in_by_low", "rd_out_to_high", "wr_in_by_high"), (8, 8))


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 9), st.integers(1, 6))
def test_window(stride, dilation, first, second):
    """Equality: words of a window and the set of its indices, where the outer dimension is no shorter than a step."""
    if first < dilation // math.gcd(stride, dilation):
        return
    window = Window("OX", stride, "FX", dilation, 7)
    touched = {stride * i + dilation * j for i in range(first) for j in range(second)}
    assert window.words(first, second, clipped=False) == len(touched)
    assert window.words(first, second, clipped=True) == min(7, len(touched))


def test_sums_across_the_array():
    """By hand: 2 PEs add one sum: while they do, it is partial: 16 bits over ports of 8, read back; then 8 bits."""
    output = Tensor("O", frozenset("K"), (), 16, 8, output=True)
    holds = [Hold("rf", (), (), PORTS), Hold("sram", (("K", 3),), (("C", 2.0),), PORTS)]
    found = zigzag_accesses(output, {"K": 3, "C": 2}, holds)
    assert found["rf", "wr_in_by_low"] == 3 * 2 * 2  # 3 sums on 2 PEs, 2 port words each
    assert found["rf", "rd_out_to_low"] == 3 * 2 * 2
    assert found["sram", "wr_in_by_low"] == 3
    assert found["sram", "rd_out_to_low"] == 0


def test_windows_on_neighbours():
    """By hand: 2 × 2 PEs stand at 3 different places of a line with a tile of 2 rows each: 6 words."""
    line = Tensor("I", frozenset(), (Window("OY", 1, "FY", 1, 100),), 8, 8)
    holds = [Hold("rf", (("OY", 2),), (), PORTS), Hold("sram", (), (("OY", 2.0), ("FY", 2.0)), PORTS)]
    found = zigzag_accesses(line, {"OY": 4, "FY": 2}, holds)
    assert found["sram", "rd_out_to_low"] == 6  # the line has 5
    assert found["rf", "wr_in_by_high"] == 2 * 4


def test_rules_apart():
    """By hand: 5 bytes a period over a port of 16 and 32 bits, twice: 3 narrow words are 1.5 wide ones; unrounded 1.25."""
    tensor = Tensor("I", frozenset("N"), (), 8, 8)
    ports = dict.fromkeys(PORTS, (16, 32))
    holds = [Hold("rf", (("N", 5), ("K", 2)), (), ports), Hold("dram", (("N", 2),), (), ports)]
    assert zigzag_accesses(tensor, {"N": 10, "K": 2}, holds)["rf", "wr_in_by_high"] == 3
    assert zigzag_accesses(tensor, {"N": 10, "K": 2}, holds, Rules(rounding=False))["rf", "wr_in_by_high"] == 2.5
