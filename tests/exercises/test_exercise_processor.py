"""Exercises of chapters 6 and 7 on units and on the processor, beyond the golden rows."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picojoule.exercises import answer
from picojoule.exercises._notation import clustered, cycles, pipelined, rows_that_fit, serial, sizes_of
from picojoule.formats import load_machine
from picojoule.quantity import InputError

CORE, CLUSTER = load_machine("textbook-core"), load_machine("textbook-cluster")


def value(id_: str, name: str, **inputs: Any) -> Any:
    return answer(id_, inputs=inputs).answers[name].value


@pytest.mark.parametrize("id_", ["7.7", "7.8", "7.9", "7.10"])
def test_printed_program_takes_the_time(id_: str) -> None:
    """Equality: the program in the textbook's notation, run, takes the time without overlap that the parts sum to."""
    assert value(id_, "program_cycles") == pytest.approx(value(id_, "no_overlap_cycles"))


def test_printed_programs_that_overlap() -> None:
    """By hand: 512 + 512 + 4096 + 64 and 2048 + 512 + 131072 + 256, and the cluster's sums."""
    assert value("7.8-double-buffer", "program_cycles") == 5184
    assert value("7.8-double-buffer", "program_cycles", n=[8]) == 4896
    assert value("7.9-double-buffer", "program_cycles") == 133_888
    assert value("7.11", "program_cycles") == 2500
    assert value("7.11", "program_cycles", link_Bpc=[1000, 1024]) == pytest.approx(2501.632)
    assert value("7.12", "program_cycles") == value("7.12", "no_overlap")[0]
    assert value("7.12", "no_overlap")[1] == pytest.approx(614_400 + 10_752 * 1.024)
    assert "program_cycles" not in answer("7.8-double-buffer", inputs={"n": [3]}).answers


@given(st.integers(1, 64), st.integers(1, 256), st.integers(1, 64), st.integers(1, 4))
def test_serial_program_of_any_product(m: int, k: int, n: int, compress: int) -> None:
    """Equality: bytes over 64 plus MACs over 256, however many row tiles there are."""
    sizes = sizes_of(m, k, n, compress, 1)
    lines = serial(sizes, rows_that_fit(CORE, m, k, n))
    if lines is None:  # an X that compresses to no whole bytes a tile
        assert (4 * m * k) % (compress * rows_that_fit(CORE, m, k, n))
        return
    parts = Fraction(4 * m * k, compress) + 4 * k * n + 4 * m * n
    assert cycles(lines, CORE) == pytest.approx(float(parts / 64 + Fraction(m * k * n, 256)))


@given(st.integers(1, 6), st.sampled_from(["w", "x"]))
def test_pipelined_program(power: int, tiled: str) -> None:
    """Bound: in n tiles between the busier of bus and unit and the serial time; the formula where the unit is busier."""
    n = 2**power
    lines = pipelined(sizes_of(64, 256, 64), n, tiled)
    assert lines is not None
    taken = cycles(lines, CORE)
    assert taken is not None
    x = w = 64 * 256 * 4 / 64
    compute, y = 64 * 256 * 64 / 256, 64 * 64 * 4 / 64
    assert max(compute, x + w + y) <= taken <= x + w + compute + y
    assert taken == pytest.approx((x + w / n if tiled == "w" else w + x / n) + compute + y / n)


def test_clustered_parts() -> None:
    """By hand: 256 + 1024 in, 64 over the link, 1024 products, 4 back, 128 out; too many parts are no whole bytes."""
    lines = clustered(sizes_of(32, 256, 128), 4, 1, 1)
    assert lines is not None
    assert cycles(lines, CLUSTER) == 2500
    assert clustered(sizes_of(32, 256, 128), 4, 3, 1) is None
    assert cycles(["move DRAM NRAM 1000000"], CORE) is None


def test_readings_of_the_bandwidth() -> None:
    """Bound: nothing kept <= weights kept <= mapping; T inputs, or T inputs and T² weights, a cycle cap both."""
    found = answer("6.8").answers
    sides = found["T"].value
    for width in (2, 4):
        kept, none = (found[f"utilisation_{name}_{width}B"].value for name in ("weights_kept", "nothing_kept"))
        for side, mapping, a, b in zip(sides, found["mapping_utilisation"].value, kept, none, strict=True):
            assert b <= a <= min(mapping, 12.8 / (side * width)) * (1 + 1e-12)
            assert b <= 12.8 / (width * side * (side + 1)) * (1 + 1e-12)


def test_feed_of_one_unit() -> None:
    """By hand: at T = 1 a MAC takes an input and a weight; 4 B a cycle bring half of that at 4 B a word, all at 2 B."""
    one = answer("6.8-T1", inputs={"bandwidth_Bps": 4e9}).answers
    assert one["utilisation_nothing_kept_4B"].value == pytest.approx(0.5)
    assert one["utilisation_nothing_kept_2B"].value == pytest.approx(1)


def test_batch_keeps_weights() -> None:
    """Metamorphic: with weights kept a batch uses them again; with nothing kept it gains nothing."""
    one, many = answer("6.8-T16").answers, answer("6.8-T16", inputs={"batch": 64}).answers
    assert many["utilisation_weights_kept_2B"].value > 1.2 * one["utilisation_weights_kept_2B"].value
    assert many["utilisation_nothing_kept_2B"].value == pytest.approx(one["utilisation_nothing_kept_2B"].value)


def test_scalar_units_on_a_network() -> None:
    """Bound: no network uses scalar units better than the cap of one cycle; without ragged edges it reaches it."""
    found = answer("6.9").answers
    for name in ("no_sharing", "input_broadcast"):
        on_net = found["on_alexnet_orig"].value[name]
        assert all(a <= b * (1 + 1e-12) for a, b in zip(on_net, found[name].value, strict=True))
    assert found["on_alexnet_orig"].value["no_sharing"][4] == pytest.approx(0.2)


@pytest.mark.parametrize("model", ["mobilenet_v2", "bert-base", "lenet5"])
def test_any_network(model: str) -> None:
    """Bound: depthwise convolutions and products too: every utilisation is a share."""
    for id_ in ("6.8", "6.9"):
        for name, item in answer(id_, inputs={"model": model}).answers.items():
            if "utilisation" in name:
                assert all(0 < share <= 1 for share in item.value)


def test_neurons_in_turns() -> None:
    """By hand: LeNet-5 has 4704 + 1600 + 120 + 84 + 10 neurons; sixteen units take each layer in whole turns."""
    assert value("6.1", "neurons", model="lenet5") == 4704 + 1600 + 120 + 84 + 10
    assert value("6.1", "turns", model="lenet5") == 294 + 100 + 8 + 6 + 1


def test_decoder() -> None:
    """By hand: 17 instructions, two of which share one, leave none of 16 opcodes; every word comes back from its decoding."""
    found = answer("6.6")
    assert found.answers["opcodes_refused"].value == 0
    assert found.answers["encoded_again_equal"].value is True
    assert found.answers["words_decoded"].value == value("7.4", "instructions")
    assert "move" in "".join(found.listings[1].lines)


def test_direct_memory_access() -> None:
    """By hand: 256 rows of 128 B over 64 B a cycle: 512; setup 100; a row longer by a byte takes three bursts."""
    found = answer("7.6").answers
    assert [found[name].value for name in ("ideal", "with_setup", "unaligned", "one_row_at_a_time")] == [
        512, 612, 868, 256 * 102,
    ]  # fmt: skip


def test_compressed_and_large() -> None:
    """By hand: 8192 + 512 + 131072 + 8192; zeros skipped: an eighth of the products; 7.12: 33554432·16/1024 products."""
    found = answer("7.10").answers
    assert found["no_overlap_cycles"].value == 8192 + 512 + 131_072 + 8192
    assert found["zeros_skipped"].value["t_compute"] == 131_072 / 8
    large = answer("7.12").answers
    assert large["lower_bound"].value == 1024 * 256 * 2048 / 1024
    assert large["lower_bound"].value <= large["cycles"].value <= min(large["no_overlap"].value)


def test_zeros_skipped_by_density() -> None:
    """Equality: computing an eighth of the products is what 7.10 says of skipping zeros; other sizes go by the parts."""
    skipped = answer("7.10", inputs={"density_computed": 0.125}).answers
    for name, cycles_ in answer("7.10").answers["zeros_skipped"].value.items():
        assert skipped[name].value == cycles_
    odd = answer("7.10", inputs={"M": 6, "K": 4, "N": 5, "compress_x": 3}).answers
    assert odd["t_load_x"].value == 4 * 6 * 4 / 3 / 64
    assert "double_buffer_cycles" not in odd


@pytest.mark.parametrize(
    ("id_", "inputs", "text"),
    [
        ("7.10", {"density_computed": 1.5}, "up to 1"), ("7.9", {"density_computed": 2.0}, "a share"),
        ("7.12", {"rounds": 7}, "sizes that divide"),
        ("7.3", {"tile": 0}, "1 or more"), ("6.6", {"blocks": 0}, "1 or more"), ("6.8", {"model": "x"}, "no model"),
    ],
)  # fmt: skip
def test_message(id_: str, inputs: dict[str, Any], text: str) -> None:
    """Message: what is wrong and what was expected."""
    with pytest.raises(InputError) as caught:
        answer(id_, inputs=inputs)
    assert text in str(caught.value)


def test_another_processor() -> None:
    """Metamorphic: the cluster, or a machine file, in place of the core changes what it answers; others are refused."""
    for id_ in ("7.3", "7.4", "7.6", "6.4"):
        assert answer(id_, hardware="textbook-core").answers == answer(id_).answers
    assert answer("7.6", hardware="textbook-cluster").answers != answer("7.6").answers
    with pytest.raises(InputError, match="no machine"):
        answer("7.10", hardware="h100")
