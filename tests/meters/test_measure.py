import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.meters.fakes import Clock

from picojoule.meters import (
    HwmonMeter,
    Measurement,
    Reading,
    measure,
    measure_command,
    measurement_json,
    measurement_text,
    unknown,
)
from picojoule.quantity import InputError


class Fixed:
    """A meter that gives these joules, one a window, over one second."""

    shortest_window_s = 0.0

    def __init__(self, *joules: float, seconds: float = 1.0) -> None:
        self.left: Iterator[float] = iter(joules)
        self.seconds = seconds

    def start(self) -> None: ...

    def stop(self) -> tuple[Reading, ...]:
        return (Reading(next(self.left), self.seconds, "measured", "box", "wall", "fake"),)


OK = [sys.executable, "-c", "pass"]


def test_median_spread_and_idle() -> None:
    """By hand: idle 10 J/s; runs of 30, 50, 40 J in 1 s: median 40, 30 to 50, 30 J above idle."""
    m = measure_command(OK, repeats=3, idle_s=1, window_s=0, meters=[Fixed(10, 30, 50, 40)], sleep=lambda s: None)
    (figure,) = m.figures
    assert (figure.joules, figure.low, figure.high) == (40, 30, 50)
    assert (figure.idle_w, figure.above_idle, figure.watts) == (10, 30, 40)
    assert (m.total_joules, m.total_label) == (40, "measured")
    assert m.notes == []


def test_idle_is_power_times_the_time_of_the_run() -> None:
    """By hand: 20 J in 2 s idle is 10 W; a run of 50 J in 2 s has 30 J above idle."""
    fixed = Fixed(20, 50, 50, 50, seconds=2.0)
    m = measure_command(OK, repeats=3, idle_s=1, window_s=0, meters=[fixed], sleep=lambda s: None)
    assert (m.figures[0].idle_w, m.figures[0].above_idle) == (10, 30)


def test_short_commands_run_often_in_a_window() -> None:
    """Bound: a window lasts as long as asked, and its joules are shared among its runs."""
    m = measure_command(["true"], repeats=2, idle_s=0, window_s=0.05, meters=[Fixed(100, 100)])
    assert all(runs > 1 for runs in m.runs)
    assert all(s * runs >= 0.05 for s, runs in zip(m.seconds, m.runs, strict=True))
    assert m.figures[0].low == pytest.approx(100 / max(m.runs))
    assert "2 repeats are too few" in m.notes[0]


def test_idle_not_measured_is_unknown() -> None:
    """Message: without an idle window nothing is subtracted, and the table says unknown."""
    m = measure_command(OK, repeats=3, idle_s=0, window_s=0, meters=[Fixed(1, 2, 3)])
    assert m.figures[0].above_idle is None
    assert measurement_text(m).splitlines()[4].endswith("unknown")


def test_failing_command() -> None:
    """Equality: the code of a command that fails comes back, and no more runs follow."""
    m = measure_command([sys.executable, "-c", "raise SystemExit(7)"], meters=[Fixed()], idle_s=0)
    assert m.exit_code == 7
    assert m.windows == []
    assert "ended with 7" in measurement_text(m)


def test_output_once(capfd: pytest.CaptureFixture[str]) -> None:
    """Equality: what the command prints is seen once, however often it runs."""
    measure_command([sys.executable, "-c", "print('hello')"], repeats=3, idle_s=0, window_s=0, meters=[])
    assert capfd.readouterr().out == "hello\n"


@pytest.mark.parametrize(("argv", "how", "what"), [
    ([], {}, "no command to measure"), (["true"], {"repeats": 0}, "repeats 0"),
    (["no-such-program-here"], {"idle_s": 0, "meters": ()}, "cannot run 'no-such-program-here'"),
    (["no-such-program-here"], {"idle_s": 0, "meters": (), "warm_up": False}, "cannot run"),
])  # fmt: skip
def test_bad_input(argv: list[str], how: dict[str, float], what: str) -> None:
    """Message: each says what is wrong."""
    with pytest.raises(InputError, match=what):
        measure_command(argv, **how)  # type: ignore[arg-type]


def test_block_that_raises_is_still_closed() -> None:
    """Equality: the window of a block that fails holds what it took."""
    with pytest.raises(ZeroDivisionError), measure(meters=[Fixed(5)]) as m:
        raise ZeroDivisionError
    assert m.total_joules == 5


def test_one_unknown_domain_makes_the_total_unknown() -> None:
    """Message: a sum without one of its parts is none; the known parts are named."""
    m = Measurement("x", [(Reading(5, 1, "measured", "cpu", None, "a"), unknown("gpu", "b", "lost"))], [1.0], [1])
    assert m.total_joules is None
    assert m.total_label == "unknown"
    assert "no figure for gpu; known: cpu" in measurement_text(m)


def test_unknown_in_one_window_is_unknown() -> None:
    """Message: a sensor that failed once gives no median."""
    good, bad = (Reading(5, 1, "measured", "cpu", None, "a"),), (unknown("cpu", "a", "went away"),)
    m = Measurement("x", [good, bad, good], [1.0] * 3, [1] * 3)
    assert (m.figures[0].label, m.figures[0].joules, m.figures[0].note) == ("unknown", None, "went away")


def test_a_number_needs_a_label_and_a_label_a_number() -> None:
    """Message: unknown with joules, and measured without, are both refused."""
    with pytest.raises(ValueError, match="exclude each other"):
        Reading(1.0, 1.0, "unknown", "x", None, "y")
    with pytest.raises(ValueError, match="exclude each other"):
        Reading(None, 1.0, "measured", "x", None, "y")


def test_json_round_trip() -> None:
    """Round trip: the object is JSON, unknown is null."""
    m = measure_command(OK, repeats=3, idle_s=0, window_s=0, meters=[])
    data = json.loads(json.dumps(measurement_json(m)))
    assert data["schema"] == "picojoule/measurement/1"
    assert data["total_joules_per_run"] is None
    assert data["domains"][0]["label"] == "unknown"


@given(st.text(max_size=200), st.text(max_size=200), st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=4))
def test_text_is_never_wider_than_a_terminal(domain: str, note: str, joules: list[float]) -> None:
    """Bound: 80 columns, whatever the names are."""
    windows = [(Reading(j, 1.0, "measured", domain, "board", note, note),) for j in joules]
    m = Measurement(note, windows, [1.0] * len(joules), [1] * len(joules), notes=[note])
    assert max(len(line) for line in measurement_text(m).split("\n")) <= 80


def rail(root: Path, chip: str, name: str, files: dict[str, str]) -> Path:
    path = root / "sys/class/hwmon" / chip
    path.mkdir(parents=True, exist_ok=True)
    (path / "name").write_text(name)
    for file, text in files.items():
        (path / file).write_text(text)
    return path


def test_hwmon_power(tmp_path: Path) -> None:
    """By hand: 10 W for 2 s, then evenly to 20 W in 2 s, is 20 + 30 J."""
    chip, clock = rail(tmp_path, "hwmon0", "power_meter", {"power1_average": "10000000"}), Clock()
    meter = HwmonMeter(tmp_path, clock=clock, interval_s=60)
    meter.start()
    clock.now += 2
    meter.sample()
    (chip / "power1_average").write_text("20000000")
    clock.now += 2
    (reading,) = meter.stop()
    assert reading.joules == pytest.approx(50)
    assert (reading.role, reading.domain) == ("own", "power_meter power1")


def test_jetson_rails(tmp_path: Path) -> None:
    """By hand: 5 V at 3 A is 15 W; the whole board's rail is the total, the CPU's is inside it."""
    files = {"in1_input": "5000", "curr1_input": "3000", "in1_label": "VDD_IN",
             "in2_input": "5000", "curr2_input": "1000", "in2_label": "VDD_CPU_CV"}  # fmt: skip
    rail(tmp_path, "hwmon3", "ina3221", files)
    rail(tmp_path, "hwmon4", "amdgpu", {"power1_average": "1"})
    clock = Clock()
    with measure(meters=[HwmonMeter(tmp_path, clock=clock, interval_s=60)]) as m:
        clock.now += 2
    assert [(f.domain, f.joules, f.role) for f in m.figures] == [
        ("ina3221 VDD_IN", pytest.approx(30), "own"), ("ina3221 VDD_CPU_CV", pytest.approx(10), "overlap"),
    ]  # fmt: skip
    assert m.total_joules == pytest.approx(30)


def test_rails_beside_rapl_are_not_the_total(tmp_path: Path) -> None:
    """Equality: where RAPL counts, a rail is shown and not summed."""
    rail(tmp_path, "hwmon0", "power_meter", {"power1_average": "1"})
    assert [r.role for r in HwmonMeter(tmp_path, whole=False).rails] == ["overlap"]


def test_hwmon_vanishes_or_is_forbidden(tmp_path: Path) -> None:
    """Message: each is unknown with its reason."""
    chip, clock = rail(tmp_path, "hwmon0", "board", {"power1_input": "1"}), Clock()
    meter = HwmonMeter(tmp_path, clock=clock, interval_s=60)
    meter.start()
    (chip / "power1_input").unlink()
    assert "went away" in meter.stop()[0].note
    rail(tmp_path, "hwmon0", "board", {"power1_input": "1"})

    def read(path: Path) -> str:
        if path.name == "power1_input":
            raise PermissionError(13, "denied")
        return path.read_text()

    meter = HwmonMeter(tmp_path, clock=clock, interval_s=60, read=read)
    meter.start()
    assert "sudo chmod a+r" in meter.stop()[0].note
