"""A network over several devices in a row, and the phases of a model's life."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lifecycle.sample import IMAGES, WIRE, device, network
from tests.strategies import architectures, technologies, workloads

from picojoule.frontends import read_model
from picojoule.hardware import Architecture, Technology
from picojoule.levels import estimate
from picojoule.lifecycle import Infer, Job, Request, Stage, Train, cut_bytes, phase_workload, pipelined, run_job
from picojoule.quantity import InputError
from picojoule.workload import Workload


@given(workloads(), architectures(), technologies(), st.integers(1, 4), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_pipelined(net: Workload, machine: Architecture, technology: Technology, devices: int, items: int) -> None:
    """Equality: one device costs m runs; more never change the actions, and hold N machines for the whole time."""
    whole = estimate(net, machine, technology, draws=10)
    one, many = pipelined(whole, 1, items), pipelined(whole, devices, items)
    np.testing.assert_allclose(one.energy_j, items * whole.cost.energy_j.sum(axis=0), rtol=1e-9)
    np.testing.assert_allclose(one.time_s, items * whole.cost.time_s.sum(axis=0), rtol=1e-9)
    assert many.time_s[0] <= one.time_s[0] * (1 + 1e-9)
    assert many.pipeline.time_s == pytest.approx(float(many.time_s[0]), rel=1e-9)
    static = technology.prices["static.leak"].nominal
    parts = len(many.cut.parts)
    idle = float(many.energy_j[0]) - parts * static * float(many.time_s[0])
    assert idle == pytest.approx(float(one.energy_j[0]) - static * float(one.time_s[0]), rel=1e-6, abs=1e-12)


def test_cut_bytes() -> None:
    """By hand: 33-20-10 with a batch of 2 in float32: 264 B enter, 160 B cross after the first layer, 80 before relu."""
    assert cut_bytes(network(Request("net", 2))) == (2 * 33 * 4, 2 * 20 * 4, 2 * 10 * 4)


def test_a_link_between_the_parts() -> None:
    """Metamorphic: a link costs energy and time, and never makes the slowest part faster."""
    held = device("gpu", "a100")
    whole = estimate(network(Request("net", 8)), held.architecture, held.technology, draws=5)
    free, paid = pipelined(whole, 3, 10), pipelined(whole, 3, 10, wire=WIRE)
    assert paid.cut.slowest >= free.cut.slowest
    assert paid.total_time_s.nominal >= free.total_time_s.nominal


def test_phases() -> None:
    """Equality: infer is the network, train its step, prefill and decode are asked of the front-end."""
    asked: list[Request] = []

    def read(request: Request) -> Workload:
        asked.append(request)
        return network(request)

    request = Request("net", 4, context=7)
    macs = {phase: phase_workload(request, phase, read).work.macs for phase in ("infer", "train", "prefill", "decode")}
    assert macs == {"infer": 4 * 860, "train": 4 * (2 * 860 + 200), "prefill": 4 * 860, "decode": 4 * 860}
    assert [r.phase for r in asked] == ["", "", "prefill", "decode"]
    with pytest.raises(InputError, match="infer, train, prefill, decode"):
        phase_workload(request, "sleep", read)


def test_generated_tokens() -> None:
    """Metamorphic: ten tokens an item are ten steps, counts and nominal time tenfold."""
    held = {"gpu": device("gpu", "a100")}
    one, ten = (
        run_job(Job("g", (Stage("decode", Infer("net", 32, phase="decode", context=8, tokens=n), "gpu"),), held, IMAGES, 8),
                network, draws=5).stage("decode")
        for n in (1, 10)
    )  # fmt: skip
    assert {action: 10 * n for action, n in one.counts.items()} == ten.counts
    assert ten.time_s[0] == pytest.approx(10 * one.time_s[0], rel=1e-12)


def test_a_step_that_does_not_fit() -> None:
    """Message: a training step larger than the device's memory is said to be."""
    held = {"gpu": device("gpu", "t4")}
    data = replace(IMAGES, items=2048, shape=(224, 224, 3))
    job = Job("big", (Stage("train", Train("vgg16", "adam"), "gpu"),), held, data, batch=512)
    result = run_job(job, lambda r: read_model(r.model, batch=r.batch), draws=2)
    assert any("recompute, or a smaller batch" in note for note in result.stage("train").notes)
