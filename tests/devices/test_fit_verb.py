"""`picojoule fit`: a table in, parameters and errors out; bad tables named by line, nothing half-written."""

import json
from importlib.resources import files
from pathlib import Path

import pytest

from picojoule.cli import main
from tests.cli.test_cli import validate

from .test_fit import timings


def table(path: Path, rows: int = 60) -> Path:
    data, _ = timings(rows, 7, compute_share=0.6, memory_share=0.8)
    lines = ["kind,dtype,m,n,k,time_s,power_w"]
    lines += [
        f"gemm,bfloat16,{data.rows['m'][i]:g},{data.rows['n'][i]:g},{data.rows['k'][i]:g},{data.value[i]:.9g},300"
        for i in range(rows)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_becomes_a_device_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Round trip: what is written is read again by the library, for time and for power, with a spread for each parameter."""
    from picojoule.devices import read_evidence

    out = tmp_path / "device.json"
    assert main(["fit", str(table(tmp_path / "t.csv")), "--device", "h100", "-o", str(out)]) == 0
    text = capsys.readouterr().out
    assert "compute_share" in text
    assert "shape groups held out" in text
    found = read_evidence(out)
    assert [e.law for e in found] == ["gemm", "power_gemm"]
    assert found[0].device == "h100-sxm"
    assert all(p["spread"] >= 1 for p in json.loads(out.read_text())["evidence"][0]["parameters"].values())


def test_json_keeps_its_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Round trip: `fit --json` and the file of `-o` are one document, valid by the published schema, as the shipped ones are."""
    out = tmp_path / "device.json"
    assert main(["fit", str(table(tmp_path / "t.csv")), "--device", "h100", "-o", str(out), "--json"]) == 0
    printed = capsys.readouterr().out
    validate(printed, "fit")
    assert json.loads(printed) == json.loads(out.read_text())
    for name in ("gemm", "power_gemm", "all_reduce", "stream"):
        validate((files("picojoule.library") / "devices" / f"{name}.json").read_text("utf-8"), "fit")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind,dtype,m,n,k\n", "no column time_s"),
        ("kind,dtype,m,n,k,time_s\ngem,bfloat16,1,1,1,1\n", "t.csv:2: unknown operator class 'gem'"),
        ("kind,dtype,m,n,k,time_s\ngemm,bf17,1,1,1,1\n", "t.csv:2: no device law for the number format 'bf17'"),
        (
            "kind,dtype,m,n,k,time_s\n" + "gemm,bfloat16,1,1,1,1e-5\n" * 3 + "gemm,bfloat16,1,x,1,1e-5\n",
            "t.csv:5: n is 'x'",
        ),
        ("kind,dtype,m,n,k,time_s\n" + "gemm,bfloat16,1,1,1,0\n" * 4, "a time is zero"),
        ("kind,dtype,m,n,k,time_s\ngemm,bfloat16,1,1,1,1e-5\n", "1 rows of gemm"),
        ("kind,dtype,m,n,k,time_s\n", "holds no rows"),
    ],
)
def test_a_bad_table_is_named(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Message: exit code 2, the line, and no file."""
    path, out = tmp_path / "t.csv", tmp_path / "out.json"
    path.write_text(text, encoding="utf-8")
    assert main(["fit", str(path), "--device", "h100", "-o", str(out)]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_missing_table_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Message: exit code 2 for a file that is not there."""
    assert main(["fit", "nowhere.csv", "--device", "h100"]) == 2
    assert "cannot read the file" in capsys.readouterr().err
