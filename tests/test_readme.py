"""The README tells the truth."""

import re
from pathlib import Path

import pytest

from picojoule.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_session_is_what_the_command_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equality: the session on the first screen is the command's own output, to the letter."""
    monkeypatch.setenv("NO_COLOR", "1")
    shown = re.search(r"```console\n\$ picojoule (estimate [^\n]+)\n(.*?)```", README, re.S)
    assert shown is not None
    assert main(shown[1].split()) == 0
    assert capsys.readouterr().out.strip() == shown[2].strip()


def test_python_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Round trip: the Python block runs as it stands."""
    block = re.search(r"```python\n(.*?)```", README, re.S)
    assert block is not None
    exec(compile(block[1], "README.md", "exec"), {})
    assert "resnet50 on Textbook processor, one core (exercises 7.7 to 7.10) (simulated" in capsys.readouterr().out


def test_links_lead_somewhere() -> None:
    """Bound: every relative link of the documents is a file or folder of the project."""
    for page in (ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), (page.name, target)
