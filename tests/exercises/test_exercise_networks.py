"""Exercises 6.5 and 6.13: networks in the instruction set, run and timed, on the roofline."""

import pytest

from picojoule.exercises import answer, answer_text, list_exercises
from picojoule.exercises._small_graphs import attention, convolutional, recurrent
from picojoule.quantity import InputError


def test_network_in_instructions() -> None:
    """By hand: LeNet-5 multiplies 117,600 + 240,000 + 48,000 + 10,080 + 840 times; every word decodes to itself, and what
    the instructions compute are the reference's bits, in int8 and in float32."""
    for dtype in ("int8", "float32"):
        found = answer("6.5", inputs={"images": 2, "dtype": dtype}).answers
        assert found["macs"].value == 117_600 + 240_000 + 48_000 + 10_080 + 840
        assert found["encoded_again_equal"].value is True
        assert found["bits_equal_reference"].value is True
        assert found["instruction_kinds"].value == 17
        assert found["words"].value > 50
        assert found["cycles"].value > found["macs"].value / 256
    cluster = answer("6.5", inputs={"images": 1}, hardware="textbook-cluster").answers
    assert cluster["macs"].value == found["macs"].value
    assert cluster["cycles"].value != found["cycles"].value


def test_networks_on_roofline() -> None:
    """By hand: MACs of LeNet-5; of 4 steps of 4·256·128, and 3 of 4·256·256 (the first state is zero); and of an encoder
    layer of 64 tokens of 128: 4·64·128² + 2·64²·128 + 8·64·128².
    Bound: no point above the roof, no byte fewer than the weights and inputs."""
    found = {name: item.value for name, item in answer("6.13").answers.items()}
    assert found["networks"] == ["cnn", "rnn", "transformer"]
    encoder = 4 * 64 * 128**2 + 2 * 64**2 * 128 + 8 * 64 * 128**2
    assert found["macs"] == [416_520, 1024 * (4 * 128 + 3 * 256), encoder]
    assert found["bits_equal_reference"] is True
    assert found["ridge_mac_per_byte"] == 4
    for intensity, rate, share in zip(found["mac_per_byte"], found["mac_per_s"], found["of_roof"], strict=True):
        assert 0 < rate <= min(256e9, intensity * 64e9)
        assert 0 < share <= 1
    least = [4 * (150 + 2400 + 48_000 + 10_080 + 840 + 784), 4 * 4 * 256 * 384, 4 * 12 * 128**2]
    assert all(moved >= few for moved, few in zip(found["bytes"], least, strict=True))


def test_machine_changes_the_answer() -> None:
    """Metamorphic: twice the bus and four cores move the ridge and the points; the MACs stay."""
    one, four = (answer("6.13", hardware=name).answers for name in ("textbook-core", "textbook-cluster"))
    assert one["macs"].value == four["macs"].value
    assert four["ridge_mac_per_byte"].value == 1024 / 128
    assert all(a > b for a, b in zip(one["cycles"].value, four["cycles"].value, strict=True))


@pytest.mark.parametrize("id_", ["6.5", "6.13"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_listed_and_printed(id_: str, lang: str) -> None:
    """Equality: the exercise is in the list, and is printed in both languages."""
    assert id_ in [row.id for row in list_exercises(lang)]
    assert len(answer_text(answer(id_, lang=lang))) > 500


def test_refused() -> None:
    """Message: heads that do not divide the width, images too small, a type that is none."""
    with pytest.raises(InputError, match="in 3 heads"):
        answer("6.13", inputs={"heads": 3})
    with pytest.raises(InputError, match="too small"):
        answer("6.5", inputs={"side": 8})
    with pytest.raises(InputError, match="dtype is 'int4'"):
        answer("6.5", inputs={"dtype": "int4"})


def test_small_graphs_are_whole() -> None:
    """Equality: every name of a graph has a shape, and every node reads what is known before it."""
    for net, output in (convolutional(1, 28), recurrent(1, 8, 8, 2), attention(1, 4, 8, 2)):
        graph, known = net.graph(output), {*net.inputs, *net.constants}
        for node in graph.nodes:
            assert set(node.inputs) <= known
            known |= set(node.outputs)
        assert output in known
        assert known == set(graph.shapes)
