"""Documents 002 and 004 beyond the golden rows: other inputs, worked by hand, laws, and faults."""

from typing import Any

import pytest

from picojoule.exercises import answer
from picojoule.exercises._entries import entries
from picojoule.quantity import InputError


def value(id_: str, name: str, **inputs: Any) -> Any:
    return answer(id_, inputs=inputs).answers[name].value


def test_every_slip_is_shown() -> None:
    """Equality: each slip of chapters 4 and 5 and of both documents stands beside the exercise that it spoils."""
    shown = {slip for entry in entries().values() for slip in entry.slips}
    assert {f"E{n}" for n in (*range(36, 40), *range(42, 97))} <= shown


def test_data() -> None:
    """By hand: ten grey images of 28 x 28, labels of 4 B; 1 nJ a byte."""
    found = answer("002-cifar", inputs={"image": [28, 28, 1], "images": 10, "label_bytes": 4}).answers
    assert found["bytes_uint8"].value == 784
    assert found["bytes_float32"].value == 3136
    assert found["dataset_with_labels"].value == 7880
    assert found["load_energy"].value == pytest.approx(7.88e-6)
    assert value("002.3.1.1.3", "bytes_written", image=[2, 2, 1]) == 16
    assert value("002.3.1.1.2", "arithmetic_energy", image=[1, 1, 1]) == pytest.approx(4.6e-12)
    parts = answer("002.3.1.1.5").answers
    assert parts["total_J"].value == pytest.approx(sum(parts["energies"].value.values()))
    assert parts["energies"].value["transfer"] == pytest.approx(60_000 * 3072 * 4 * 0.5e-9)


def test_copy() -> None:
    """By hand: 63 MB over 31.5 GB/s take 2 ms."""
    assert value("002-h2d", "seconds_on_link", bytes=63e6) == pytest.approx(2e-3)
    assert value("002-h2d", "implied_Bps", bytes=10.0, seconds=2.0) == 5


def test_product_as_printed() -> None:
    """By hand: 6·2/4 = 3; what is no product is refused, whatever it would do."""
    assert value("002-core-energy", "value", expr="6 * 2 / 4") == 3
    for text in ("__import__('os')", "1+1", "", "2**3", "1/0", "1e999"):
        with pytest.raises(InputError):
            answer("002-core-energy", inputs={"expr": text})


def test_training() -> None:
    """By hand: AlexNet's backward MACs; 12 B for SGD, 20 B with momentum; the parts of a step sum to the step."""
    assert value("002.3.1.2.1", "backward_macs") == 1_343_398_432
    assert value("002.3.1.2.2", "bytes") == 1_222_016_800
    assert value("002.3.1.2.2", "bytes_per_parameter", optimiser="sgd") == 12
    step = answer("002.3.1.2.3").answers
    assert sum(step["energy"].value.values()) == pytest.approx(step["total"].value)
    assert all(joule > 0 for joule in step["energy"].value.values())


def test_pipelines() -> None:
    """By hand: 1 + 3 + 2 and four more items at 3: 18 s; two equal stages, one item: half idle."""
    assert value("002.3.1.3.1", "time_s", stage_s=[1.0, 3.0, 2.0], items=5) == pytest.approx(18)
    assert value("002.3.1.3.1", "efficiency", stage_s=[1.0, 3.0, 2.0], items=5) == pytest.approx(30 / 54)
    assert value("002-pipeline", "bubble", stages=2, items=1) == pytest.approx(0.5)
    run = answer("002.3.1.3.3", inputs={"devices": 1, "items": 3}).answers
    assert run["bubble"].value == pytest.approx(0)
    assert run["time"].value["nominal"] == pytest.approx(3 * run["part_s"].value[0])


def test_totals() -> None:
    """By hand: 1 + 3 = 4 with nothing else; shares sum to one; half saved pays after 20 runs."""
    only = dict.fromkeys(("preprocess_J", "convert_J", "transfer_J", "infer_J", "optimise_J"), 0.0)
    assert value("002-total", "total_J", load_J=1.0, train_J=3.0, **only) == pytest.approx(4)
    assert value("002-total", "share_train", load_J=1.0, train_J=3.0, **only) == pytest.approx(0.75)
    assert sum(value("002.3.2", "shares").values()) == pytest.approx(1)
    assert value("002.3.1.3.2", "break_even_runs", optimise_J=10.0, before_J=1.0, after_J=0.5) == pytest.approx(20)
    assert value("002.2.1.2", "cost", energy_J=7.2e6, price_per_kWh=0.5) == pytest.approx(1)


def test_platforms() -> None:
    """Metamorphic: each machine answers alone what it answers in the table; training costs more than inference."""
    table = answer("002.0").answers
    assert len(table) == 4
    alone = answer("002.0", hardware="a100-sxm-80gb").answers["a100-sxm-80gb"].value
    assert alone == table["a100-sxm-80gb"].value
    assert alone["low_J"] < alone["energy_J"] < alone["high_J"]
    phases = answer("002.2.2.4").answers
    assert phases["xeon-8380_train"].value > phases["xeon-8380_infer"].value
    parts = answer("002.2.2.5").answers
    assert sum(parts["energy_by_part"].value.values()) == pytest.approx(parts["total"].value)
    batches = answer("002.2.2.3").answers
    assert batches["float32_batch64"].value < batches["float32_batch1"].value


def test_distances() -> None:
    """By hand: 3-4-5; a list against itself."""
    found = answer("004-norm", inputs={"a": [0.5, 1.0], "b": [3.5, -3.0]}).answers
    assert (found["l1_distance"].value, found["l2_distance"].value) == (7, 5)
    assert value("004-norm", "l1_distance", a=[1.0], b=[1.0]) == 0


def test_fit_of_other_rows() -> None:
    """Round trip: energies made from chosen prices give them back, with a price of other operations as well."""
    prices = (3e-12, 5e-11, 2e-12, 40.0)
    counts = [
        (1e9, 1e7, 3e8, 1e-3),
        (2e8, 9e7, 1e7, 2e-3),
        (5e8, 1e8, 9e8, 1e-3),
        (1e7, 2e7, 2e6, 9e-3),
        (3e9, 4e8, 1e6, 1e-3),
    ]
    names = ("macs", "bytes", "ops", "s")
    rows = [{**dict(zip(names, row, strict=True)),
             "energy_J": sum(a * b for a, b in zip(row, prices, strict=True))} for row in counts]  # fmt: skip
    found = answer("004-fit", inputs={"rows": rows}).answers
    for name, price in zip(("alpha_J_per_mac", "beta_J_per_byte", "delta_J_per_op", "gamma_W"), prices, strict=True):
        assert found[name].value == pytest.approx(price, rel=1e-6)
    with pytest.raises(InputError, match="rank"):
        answer("004-fit", inputs={"rows": [rows[0]] * 4})


def test_brain_and_grid() -> None:
    """By hand: 100 W for half a year; twice the load, twice the carbon; a day has no best hour."""
    assert value("004-brain", "joule", power_W=100.0, years=0.5) == pytest.approx(100 * 0.5 * 365.25 * 86_400)
    one, two = (answer("004-grid", inputs={"load_MW": load, "region": ["DE"]}).answers for load in (1.0, 2.0))
    assert two["best_kg"].value[0] == pytest.approx(2 * one["best_kg"].value[0])
    day = answer("004-grid", inputs={"hours": 24.0, "region": ["FR"]}).answers
    assert day["best_kg"].value == pytest.approx(day["flat_24h_kg"].value)


def test_shares_sum_to_one() -> None:
    """Equality: four disjoint shares of a CNN and of a recurrent step; a step uses a weight once: about 0.25 MAC/B."""
    for id_ in ("004.3.2.3", "004.3.3.3"):
        assert sum(value(id_, "shares").values()) == pytest.approx(1)
    assert value("004.3.3.3", "mac_per_byte") == pytest.approx(0.25, rel=0.05)  # biases and states too


def test_methods_of_counting() -> None:
    """By hand: VGG19's convolutions have 20.0 M parameters and 14.85 M outputs; two FLOP a MAC; 68 operators."""
    found = answer("004-memory").answers
    assert found["conv"].value == {"params": 20_024_384, "outputs": 14_852_096}
    assert value("004.3.1.2", "flop_two_a_mac") == 2 * 4_089_184_256
    assert 0 < value("004.3.1.2", "utilisation") < 1
    forward, step = value("004.3.1.3", "forward"), value("004.3.1.3", "training_step")
    assert forward["all"] == 68
    assert step["all"] > 2 * forward["all"]
    assert value("004.2.4", "fully_connected_share") == pytest.approx(0.96171, abs=1e-5)
    both = answer("004.3.4.4").answers
    assert both["transformer-decoder"].value["macs"] > both["transformer-encoder"].value["macs"]


@pytest.mark.parametrize(
    ("id_", "inputs", "text"),
    [
        ("002-total", {"load_J": -1.0}, "0 or more"), ("002.3.1.3.2", {"after_J": 9.0}, "below before_J"),
        ("002-cifar", {"storage": "hz45_sram8kb"}, "of a bit"), ("002-cifar", {"storage": "tape"}, "a name of it"),
        ("002-cifar", {"image": [3]}, "height, width"), ("002-pipeline", {"stages": 10**9}, "a million"),
        ("002-core-energy", {"expr": "6 J"}, "joined by"), ("004-norm", {"a": [1.0]}, "one length"),
        ("004-grid", {"region": ["XX"]}, "FR"), ("004-grid", {"hours": 1e9}, "a year at most"),
        ("004.0", {"power": "soul"}, "watts"), ("002.3.1.3.3", {"devices": 100}, "64"),
        ("002.3.1.2.2", {"optimiser": "lion"}, "adam"), ("004-fit", {"rows": []}, "a list"),
    ],
)  # fmt: skip
def test_message(id_: str, inputs: dict[str, object], text: str) -> None:
    """Message: what is wrong and what was expected."""
    with pytest.raises(InputError) as caught:
        answer(id_, inputs=inputs)
    assert text in str(caught.value)
    assert "expected" in str(caught.value)


def test_zero_everywhere() -> None:
    """Message: a job of nothing has no shares."""
    names = ("load", "preprocess", "convert", "transfer", "train", "infer", "optimise")
    with pytest.raises(InputError, match="every stage takes 0 J"):
        answer("002-total", inputs={f"{name}_J": 0.0 for name in names})
