"""What holds for every exercise, and what changes when its inputs or its machine do."""

import json
import re
from pathlib import Path

import pytest

from picojoule.exercises import answer, answer_json, answer_text, list_exercises, list_text, row_json
from picojoule.quantity import InputError

IDS = [row.id for row in list_exercises()]
CHINESE = re.compile("[\u4e00-\u9fff]")
PLAIN = [f"1.{n}" for n in range(1, 11)] + [f"2.{n}" for n in range(1, 13)] + [f"3.{n}" for n in range(1, 13)]
PLAIN += [f"4.{n}" for n in range(1, 13)] + [f"5.{n}" for n in range(1, 13)]
PLAIN += ["002.0", "002.2.1.1", "002.2.1.2", *(f"002.2.2.{n}" for n in range(1, 6)), "002.3.1", "002.3.2", "002.4"]
PLAIN += [f"002.3.1.{a}.{b}" for a, many in ((1, 5), (2, 3), (3, 3)) for b in range(1, many + 1)]
PLAIN += ["004.0", *(f"004.2.{n}" for n in range(1, 6)), *(f"004.3.1.{n}" for n in range(1, 4)), "004.conclusion"]
PLAIN += [f"004.3.{a}.{b}" for a, many in ((2, 3), (3, 3), (4, 5)) for b in range(1, many + 1)]
PLAIN += [f"6.{n}" for n in (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12)] + [f"7.{n}" for n in range(1, 13)]
PLAIN += [f"000.{n}" for n in range(1, 17)]
MACHINE = """
format: picojoule/hardware/1
name: mine
kind: npu
source: a test
node: 45 nm
technology: chip
attained: {classes: {default: {compute: 1, memory: 1}}}
memories: [{name: dram, kind: DDR3, group: off-chip, bandwidth: 51.2 GB/s}]
compute: [{name: matrix, unit: matrix, clock: 2 GHz, peak: {float32: 1024 GFLOP/s}}]
"""


@pytest.fixture
def machine(tmp_path: Path) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(MACHINE, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("id_", IDS)
def test_both_languages(id_: str) -> None:
    """Equality: the same numbers in both languages; the Chinese words are Chinese, the English ones hold none."""
    english, chinese = (answer_json(answer(id_, lang=lang)) for lang in ("en", "zh"))
    assert english["answers"] == chinese["answers"]
    assert len(english["derivation"]) == len(chinese["derivation"])
    assert english["derivation"]
    assert CHINESE.search(chinese["title"] + chinese["question"] + "".join(chinese["derivation"]))
    words = [english["title"], english["question"], *english["derivation"], *english["assumptions"]]
    assert not CHINESE.search("".join(words))


@pytest.mark.parametrize("id_", IDS)
def test_json_shape(id_: str) -> None:
    """Round trip: the JSON of an answer is the schema's and survives being written."""
    data = answer_json(answer(id_))
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["schema"] == "picojoule/exercise/1"
    assert data["id"] == id_
    assert data["question"]
    assert all(set(item) == {"value", "unit"} and item["unit"] for item in data["answers"].values())
    assert all(isinstance(data[key], list) for key in ("assumptions", "derivation", "slips"))


@pytest.mark.parametrize("id_", PLAIN)
def test_every_plain_number(id_: str) -> None:
    """Equality: chapters 1 to 5, the numbered questions and the sections of both other documents are all there."""
    assert id_ in IDS


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_text(lang: str) -> None:
    """Equality: the text shows question, assumptions, numbers and slips."""
    found = answer("3.1", lang=lang)
    text = answer_text(found)
    assert text == str(found)
    assert "60,965,224" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    whole = "".join(text.split())  # lines are folded
    parts = (found.question, *found.assumptions, *found.derivation, *(slip.right for slip in found.slips))
    assert all("".join(part.split()) in whole for part in parts)
    rows = list_exercises(lang)
    assert len(list_text(rows).splitlines()) == len(rows)
    assert row_json(rows[0]) == {"id": rows[0].id, "title": rows[0].title, "capability": rows[0].capability}


def test_list_in_both_languages() -> None:
    """Equality: the same ids, other titles."""
    english, chinese = list_exercises("en"), list_exercises("zh")
    assert [row.id for row in english] == [row.id for row in chinese]
    assert len(set(IDS)) == len(IDS)
    assert all(row.title for row in (*english, *chinese))


@pytest.mark.parametrize(
    "id_",
    [
        "6.2",
        "6.3",
        "6.8",
        "6.8-T16",
        "6.9",
        "6.9-b4",
        "6.10",
        "7.1",
        "000.3",
        "000.4",
        "000.9",
        "1.6",
        "4.12",
        "002.0",
        "002.2.2.3",
        "002.2.2.4",
        "002.2.2.5",
        "002.3.1.2.3",
        "002.3.1.3.3",
        "004.0",
        "004.3.1.2",
        "004.3.2.3",
        "004.3.3.3",
    ],
)
def test_another_machine_another_answer(id_: str, machine: str) -> None:
    """Metamorphic: a user's hardware file changes what an exercise on a machine answers."""
    assert answer(id_).answers != answer(id_, hardware=machine).answers
    assert answer(id_, hardware=machine).hardware == machine


def test_bandwidth_doubles_the_bound(machine: str) -> None:
    """By hand: 51.2 GB/s over 2 B is 25.6 GMAC/s, 12.8 times an ALU at 2 GHz."""
    assert answer("6.3", hardware=machine).answers["speedup_12_8GBps"].value == [12.8, 6.4]
    assert answer("6.10", hardware=machine).answers["ridge_mac_per_byte"].value == [10.0]


def test_machines_by_name() -> None:
    """By hand: a fourth of 256 MACs fed by two operands of 2 B at 64 B a cycle is 16 units' worth."""
    assert answer("6.9", hardware="dlp-chapter-7").answers["no_sharing"].value == [1, 1, 1, 1, 1, 0.25, 0.0625]


def test_batch_multiplies_the_bound() -> None:
    """By hand: eight samples use each weight eight times."""
    assert answer("6.3", inputs={"batch": 8}).answers["speedup_12_8GBps"].value == [51.2, 25.6]


@pytest.mark.parametrize("side", [8, 64])
def test_unit_sizes_of_the_study(side: int) -> None:
    """By hand: T = 8 and 64, worked from ceilings of channels."""
    mapping, two, four = {8: (0.8048, 0.5073, 0.3596), 64: (0.1962, 0.0171, 0.0089)}[side]
    answers = answer(f"6.8-T{side}").answers
    assert answers["mapping_utilisation"].value == pytest.approx(mapping, abs=5e-5)
    assert answers["utilisation_2B"].value == pytest.approx(two, abs=5e-5)
    assert answers["utilisation_4B"].value == pytest.approx(four, abs=5e-5)


def test_families_take_any_member() -> None:
    """By hand: 784·300 + 300·10 weights and 310 biases; 4nd², 2n²d and 2ndf for 16 tokens of 768."""
    assert answer("2.2-784-300-10").answers["params"].value == 784 * 300 + 300 * 10 + 310
    block = answer("004-transformer-n16").answers
    assert block["projections"].value == 4 * 16 * 768**2
    assert block["attention"].value == 2 * 16**2 * 768
    assert block["ffn"].value == 2 * 16 * 768 * 3072
    assert answer("3.1-3.2-lenet5").answers["params"].value == 61706
    assert answer("6.9-b1").answers["no_sharing"].value[4] == pytest.approx(12.8 / 32)


def test_inputs_replace_parameters() -> None:
    """By hand: other sizes than the exercise's own."""
    assert answer("2.11", inputs={"layers": [8, 20, 20, 5]}).answers["params"].value == 705
    assert answer("000-conv-shape", inputs={"input": [28, 28, 1], "filters": 6, "pad": 2}).answers["output"].value == [
        28,
        28,
        6,
    ]
    assert answer("4.3", inputs={"n": 2}).answers["matmul"].value == {
        "multiplications": 8,
        "additions": 4,
        "min_bytes": 48,
    }
    causal = answer("004-transformer", inputs={"tokens": 3, "width": 5, "ffn": 7, "causal": True}).answers
    assert causal["attention"].value == 2 * 5 * (1 + 2 + 3)
    knn = answer("4.10", inputs={"train": 3, "dim": 2, "queries": 1, "metric": "L2"}).answers
    assert knn["per_query"].value == {"sub": 6, "mul": 6, "add": 3, "compare": 2}


def test_changes_are_told() -> None:
    """Equality: what was changed stands among the assumptions."""
    assert not answer("2.2").assumptions
    assert answer("2.2", inputs={"layers": [4, 3]}).assumptions == ("not the exercise's own: layers = [4, 3]",)
    assert answer("2.2-4-3").assumptions == ("here: layers = [4, 3]",)


def test_batch_leaves_a_sample_alone() -> None:
    """Metamorphic: counts of one sample do not depend on the batch."""
    assert answer("3.1-3.2-resnet18").answers == answer("3.1-3.2-resnet18", inputs={"batch": 3}).answers


def test_measures_of_detection() -> None:
    """By hand: boxes that share 1 of 7 squares; (1 + 2/3 + 3/4) / 3."""
    answers = answer("3.3").answers
    assert answers["iou"].value == pytest.approx(1 / 7)
    assert answers["average_precision"].value == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert answers["error_rate"].value == 0.15
    assert answers["iou_of_pixels"].value == pytest.approx(40 / 55)


def test_one_neuron() -> None:
    """By hand: 14 of the 16 Boolean functions of two inputs are separable, XOR is not."""
    answers = answer("1.3").answers
    assert (answers["separable"].value, answers["boolean_functions"].value) == (14, 16)
    assert answers["and_separable"].value is True
    assert answers["xor_separable"].value is False
    assert answers["xor_network_params"].value == 9


def test_update_bytes() -> None:
    """By hand: 12, 20 and 28 B a parameter in float32."""
    answers = answer("2.3").answers
    assert [answers[f"{name}_bytes_per_parameter"].value for name in ("sgd", "momentum", "adam")] == [12, 20, 28]


def test_gan_of_real_networks() -> None:
    """Equality: 4 FG + 8 FD with the forward MACs of both networks."""
    answers = answer("3.8").answers
    both = 4 * answers["generator_macs"].value + 8 * answers["discriminator_macs"].value
    assert answers["iteration_macs"].value == both


def test_table_of_networks() -> None:
    """By hand: the table of 3.1, and the mult-adds that the document prints, by their cause."""
    answers = answer("3.1").answers
    assert answers["resnet152"].value == {"params": 60192808, "neurons": 22555112, "neurons_with_input": 22705640}
    assert round(answers["alexnet_tv_as_torchinfo_2021"].value / 1e6, 2) == 775.28
    assert answer("3.2").answers["softmax"].value == {"mul": 0, "add": 1999, "compare": 999, "exp": 1000, "div": 1000}


def test_accelerators_name_their_sources() -> None:
    """Equality: at least three machines, with peak, bandwidth and power of the library."""
    found = answer("7.1")
    assert len(found.answers) >= 3
    for item in found.answers.values():
        assert item.value["peak_ops_per_s"]
        assert item.value["bandwidth_Bps"] > 1e11
        assert item.value["power_W"] > 10


@pytest.mark.parametrize(
    ("id_", "arguments", "text"),
    [
        ("3.13", {}, "did you mean"), ("2.2-x", {}, "not a whole number"), ("6.8-Tx", {}, "6.8-T1"),
        ("2.2", {"inputs": {"layer": [1]}}, "one of: layers, bias"), ("2.2", {"inputs": {"layers": [0, 1]}}, "1 or more"),
        ("2.2", {"inputs": {"layers": "33-512-10"}}, "a list"), ("2.2", {"inputs": {"layers": [3]}}, "two widths"),
        ("2.2", {"hardware": "h100"}, "does not depend on a machine"), ("2.2", {"lang": "fr"}, "en or zh"),
        ("2.6", {"inputs": {"f": "gamma"}}, "sigmoid"), ("2.9", {"inputs": {"momentum": [1.0]}}, "between -1 and 1"),
        ("3.7-cnn", {}, "rnn, lstm, gru"), ("3.1-3.2-alexnot", {}, "alexnet"), ("6.3", {"hardware": "h1000"}, "h100"),
        ("000-weights-conv", {"inputs": {"groups": 2}}, "divides"), ("000.cnn", {"inputs": {"model": "x; 1x1x1"}}, "layer"),
        ("5.7", {"inputs": {"conv": "3x3"}}, "pad 1"), ("3.11", {"inputs": {"kappa": [1]}}, "condition"),
        ("6.8", {"hardware": "eyeriss"}, "bandwidth"), ("2.4", {"inputs": {"grid": "open(1)"}}, "linspace"),
    ],
)  # fmt: skip
def test_message(id_: str, arguments: dict[str, object], text: str) -> None:
    """Message: what is wrong, what was expected and an example that passes."""
    with pytest.raises(InputError) as caught:
        answer(id_, **arguments)  # type: ignore[arg-type]
    assert text in str(caught.value)
    assert "expected" in str(caught.value)
