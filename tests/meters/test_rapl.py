from pathlib import Path

import pytest
from tests.meters.fakes import Clock, put, server, zone

from picojoule.meters import RaplMeter, Reading, find_meters, measure, measurement_text


def window(meter: RaplMeter, clock: Clock, *steps: dict[Path, int], seconds: float = 2.0) -> dict[str, Reading]:
    """Start, write the counters of each step with a sample after each, stop."""
    meter.start()
    for step in steps:
        for path, value in step.items():
            put(path, value)
        meter.sample()
    clock.now += seconds
    return {reading.domain: reading for reading in meter.stop()}


def test_joules_of_a_window(tmp_path: Path) -> None:
    """By hand: 1.0 J to 7.5 J on the counter is 6.5 J, over 2 s is 3.25 W."""
    zones, clock = server(tmp_path), Clock()
    found = window(RaplMeter(tmp_path, clock=clock), clock, {zones["package-0"]: 7_500_000})
    assert found["package-0"].joules == 6.5
    assert found["package-0"].watts == 3.25
    assert found["package-0"].label == "measured"
    assert found["package-0"].scope == "device"


def test_wrap_once_and_many_times(tmp_path: Path) -> None:
    """By hand: with a range of 1 J, 0.9 → 0.2 is 0.3 J; three more whole turns, each seen, are 3 J more."""
    path, clock = zone(tmp_path, "intel-rapl:0", "package-0", 900_000, 1_000_000), Clock()
    found = window(RaplMeter(tmp_path, clock=clock), clock, {path: 200_000})
    assert found["package-0"].joules == pytest.approx(0.3)
    put(path, 900_000)
    turns = [{path: 200_000}, *([{path: 700_000}, {path: 200_000}] * 3)]
    found = window(RaplMeter(tmp_path, clock=clock), clock, *turns)
    assert found["package-0"].joules == pytest.approx(3.3)


def test_wrap_without_a_range_is_unknown(tmp_path: Path) -> None:
    """Message: a counter that falls and has no range is not guessed."""
    path, clock = zone(tmp_path, "intel-rapl:0", "package-0", 900), Clock()
    (path / "max_energy_range_uj").unlink()
    found = window(RaplMeter(tmp_path, clock=clock), clock, {path: 5})
    assert found["package-0"].label == "unknown"
    assert "its range is not known" in found["package-0"].note


def test_polls_often_enough_to_see_every_wrap(tmp_path: Path) -> None:
    """Bound: at 2000 W a counter turns at most half round between two polls, and a minute is the longest wait."""
    zone(tmp_path, "intel-rapl:0", "package-0", 0, 65_532_610_987)
    assert RaplMeter(tmp_path).interval_s * 2000 <= 65_532.610987 / 2
    zone(tmp_path / "big", "intel-rapl:0", "package-0", 0, 10**13)
    assert RaplMeter(tmp_path / "big").interval_s == 60


def test_no_joule_is_counted_twice(tmp_path: Path) -> None:
    """By hand: packages 4 + 2 and drams 1 + 0.5 make 7.5 J; cores, psys and the mmio twin add nothing."""
    zones, clock = server(tmp_path), Clock()
    meter = RaplMeter(tmp_path, clock=clock)
    with measure(meters=[meter]) as m:
        for name, joules in (("package-0", 5), ("core-0", 3.5), ("dram-0", 1.2), ("package-1", 2), ("dram-1", 0.5),
                             ("psys", 20), ("twin", 5)):  # fmt: skip
            put(zones[name], int(joules * 1e6))
        clock.now += 2
    assert m.total_joules == pytest.approx(7.5)
    roles = {figure.domain: figure.role for figure in m.figures}
    assert roles == {"package-0": "own", "package-1": "own", "dram-0": "own", "dram-1": "own", "core-0": "part",
                     "psys": "overlap"}  # fmt: skip
    assert "psys (board, RAPL intel-rapl:2): contains the packages" in measurement_text(m).replace("\n    ", " ")


def test_psys_alone_is_the_total(tmp_path: Path) -> None:
    """By hand: where only the platform counts, its 3 J are all."""
    path, clock = zone(tmp_path, "intel-rapl:0", "psys", 0), Clock()
    with measure(meters=[RaplMeter(tmp_path, clock=clock)]) as m:
        put(path, 3_000_000)
    assert m.total_joules == 3


def test_mmio_alone_is_read(tmp_path: Path) -> None:
    """By hand: the memory-mapped counter serves where the other is absent."""
    path, clock = zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0), Clock()
    assert window(RaplMeter(tmp_path, clock=clock), clock, {path: 4_000_000})["package-0"].joules == 4


def test_zones_nested_as_links(tmp_path: Path) -> None:
    """Equality: a zone shown flat and nested, as sysfs does by links, is one domain."""
    parent = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    child = zone(tmp_path, "intel-rapl:0:0", "dram", 0)
    (parent / "intel-rapl:0:0").symlink_to(child)
    assert [d.name for d in RaplMeter(tmp_path).domains] == ["package-0", "dram-0"]


def test_permission_denied(tmp_path: Path) -> None:
    """Message: a counter for root alone is unknown and says what opens it."""
    server(tmp_path)

    def read(path: Path) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return path.read_text()

    with measure(meters=[RaplMeter(tmp_path, read=read)]) as m:
        pass
    assert {figure.label for figure in m.figures} == {"unknown"}
    assert m.total_joules is None
    note = m.figures[0].note
    assert "permission denied" in note
    assert "sudo chmod a+r" in note
    assert "udev rule" in note


def test_sensor_vanishes(tmp_path: Path) -> None:
    """Message: a counter that goes away in the middle leaves no number, the others keep theirs."""
    zones, clock = server(tmp_path), Clock()
    meter = RaplMeter(tmp_path, clock=clock)
    meter.start()
    put(zones["package-0"], 3_000_000)
    (zones["dram-0"] / "energy_uj").unlink()
    clock.now += 1.5
    found = {reading.domain: reading for reading in meter.stop()}
    assert found["dram-0"].joules is None
    assert "went away after 1.5 s" in found["dram-0"].note
    assert found["package-0"].joules == 2
    put(zones["dram-0"], 0)
    assert window(meter, clock)["dram-0"].label == "measured"


def test_garbage_in_the_counter(tmp_path: Path) -> None:
    """Message: text that is no number is unknown."""
    path, clock = zone(tmp_path, "intel-rapl:0", "package-0", 0), Clock()
    meter = RaplMeter(tmp_path, clock=clock)
    meter.start()
    (path / "energy_uj").write_text("soon")
    assert "does not hold a whole number" in meter.stop()[0].note


def test_no_sensor(tmp_path: Path) -> None:
    """Message: an empty machine is unknown, not a constant."""
    assert find_meters(tmp_path) == ()
    with measure(meters=[]) as m:
        pass
    assert [figure.label for figure in m.figures] == ["unknown"]
    assert m.total_joules is None
    assert "no energy sensor here" in m.figures[0].note
    assert "unknown" in measurement_text(m)


def test_thread_counts_while_the_block_runs(tmp_path: Path) -> None:
    """By hand: a wrap during the block is seen by the thread alone."""
    path = zone(tmp_path, "intel-rapl:0", "package-0", 900_000, 1_000_000)
    meter = RaplMeter(tmp_path)
    meter._poll.interval = 0.005
    seen = meter.sample
    polls: list[int] = []
    meter._poll.function = lambda: (seen(), polls.append(1))[0]
    meter.start()
    put(path, 950_000)
    while len(polls) < 2:
        pass
    put(path, 100_000)
    count = len(polls)
    while len(polls) < count + 2:
        pass
    put(path, 950_000)
    assert meter.stop()[0].joules == pytest.approx(0.05 + 0.15 + 0.85)
