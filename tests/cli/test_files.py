"""Files and folders that commands are given, or told to write: messages, nothing half-written."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from picojoule.cli import main


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A product with its weights."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "net",
                              [value("x", TensorProto.FLOAT, [2, 4])], [value("y", TensorProto.FLOAT, [2, 3])],
                              [numpy_helper.from_array(np.zeros((4, 3), np.float32), "w")])  # fmt: skip
    path = tmp_path / "网 络.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_a_program_is_written_whole_or_not_at_all(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Message: a folder in place of the file, and no file left beside it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    before = sorted(tmp_path.iterdir())
    assert main(["compile", str(net), "-o", str(folder)]) == 2
    assert "cannot write the file" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_without_a_config_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Message: a folder is not looked for in the zoo, unless the zoo has its name."""
    monkeypatch.chdir(tmp_path)
    Path("weights").mkdir()
    assert main(["count", "weights"]) == 2
    assert "holds no config.json" in capsys.readouterr().err
    Path("lenet5").mkdir()
    assert main(["count", "lenet5"]) == 0


def test_more_draws_than_memory_are_refused(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Message: how many are allowed, before any is drawn."""
    assert main(["estimate", str(net), "--on", "h100", "--draws", "100000000000"]) == 2
    assert "at most 100,000,000 draws" in capsys.readouterr().err


def test_without_pytorch_an_object_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Message: a Python object needs PyTorch; where it is missing the command says so."""
    import importlib

    real = importlib.import_module

    def absent(name: str, package: str | None = None) -> object:
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, package)

    for name in [n for n in sys.modules if n.startswith("picojoule.frontends.pytorch.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(importlib, "import_module", absent)
    assert main(["count", "os.path:join"]) == 2
    assert "PyTorch is not installed" in capsys.readouterr().err


def _run(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "picojoule", *command], check=False, text=True, stderr=subprocess.PIPE,
                          **how)  # fmt: skip


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "cp1252"])
def test_terminals_of_other_encodings(encoding: str) -> None:
    """Message: a terminal without µ and bars gets question marks in their place, and every number."""
    found = _run(["estimate", "lenet5", "--on", "h100"], stdout=subprocess.PIPE, encoding=encoding,
                 env={**os.environ, "PYTHONIOENCODING": encoding})  # fmt: skip
    assert (found.returncode, found.stderr) == (0, "")
    assert "h100-sxm" in found.stdout
    assert "?" in found.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_full_disk_is_said(form: list[str]) -> None:
    """Message: results that cannot be written are an error of one line, not a page of Python."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        found = _run(["estimate", "lenet5", "--on", "h100", *form], stdout=full)
    assert found.returncode == 2
    assert found.stderr.startswith("error: cannot write the results")
    assert "Traceback" not in found.stderr


def test_columns_of_the_library_do_not_touch(capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: a unit is followed by a blank on every line, and no line is longer than 80 columns."""
    assert main(["hardware", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if re.search(r"[BWs]\d", line[21:])]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["calibrate", "--gpu", "--json"], "takes no threads"),
        (["calibrate", "--threads", "-1"], "-1 threads"),
        (["check", "net.onnx", "--on", "h100", "--threads", "1000000"], "1000000 threads"),
    ],
)
def test_measuring_says_what_it_takes(command: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Message: nothing is measured with threads that are not there."""
    assert main(command) == 2
    assert said in capsys.readouterr().err


def test_calibrating_the_gpu_writes_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equality: the command writes the file of what was measured, named after it; without a GPU it says so."""
    from picojoule import meters

    monkeypatch.setattr(meters, "calibrate_gpu", lambda *, anyway: ("measured", anyway))
    monkeypatch.setattr(meters, "gpu_yaml", lambda found, *, name, like: f"name: {name} {found} {like}\n")
    assert main(["calibrate", "--gpu", "--anyway", "-o", str(tmp_path / "mine.yaml")]) == 0
    assert (tmp_path / "mine.yaml").read_text() == "name: mine ('measured', True) None\n"
    assert main(["calibrate", "--gpu"]) == 0
    assert capsys.readouterr().out.startswith("name: gpu-here ")


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Message: a folder in place of the page, and no part of a page beside it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    assert main(["estimate", "lenet5", "--on", "h100", "--html", str(folder)]) == 2
    assert "cannot write" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("model", ["resnet50", "net.onnx"])
def test_a_model_is_explained_on_a_machine(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Message: without --on a model has no price, and the command that has is shown."""
    assert main(["explain", model]) == 2
    assert f"picojoule explain {model} --on h100" in capsys.readouterr().err
