"""SCALE-Sim 3.0.0's own reports, read from the folder that PICOJOULE_DATA names (data/accelerators/scalesim in it)."""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from picojoule.systolic import Gemm, conv_gemm, systolic


def folder() -> Path:
    """Where the points lie; skips where they do not."""
    named = os.environ.get("PICOJOULE_DATA")
    if not named:
        pytest.skip("PICOJOULE_DATA names no folder of reference points")
    for below in ("accelerators/scalesim", "data/accelerators/scalesim", "scalesim", "."):
        if (Path(named) / below / "gemm_small.jsonl").is_file():
            return Path(named) / below
    pytest.skip("the folder of PICOJOULE_DATA has no scalesim/gemm_small.jsonl")


def layer(run: dict[str, Any], row: str) -> Gemm:
    sizes = [int(size) for size in row.strip(" ,").split(",")[1:]]
    if run["gemm"]:
        return Gemm(sizes[0], sizes[1], sizes[2])
    height, width, r, s, channels, filters, stride = sizes
    return conv_gemm(height, width, channels, filters, (r, s), stride=stride, convention="scalesim")


def points() -> Iterator[tuple[dict[str, Any], Gemm, dict[str, str], dict[str, str]]]:
    """(run, layer, compute report, access report) of every layer of every run."""
    at = folder()
    for path in sorted(at.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            run = json.loads(line)
            rows = run.get("topology_csv", "").strip().splitlines()[1:]
            if "error" not in run:
                for row, compute, access in zip(rows, run["compute"], run["access"], strict=True):
                    yield run, layer(run, row), compute, access


def test_every_point() -> None:
    """Peer: cycles without stalls, use, mapping and SRAM counts of every layer of every run, bit for bit."""
    seen = 0
    for run, gemm, compute, access in points():
        counts = systolic(run["dataflow"], run["rows"], run["cols"], gemm.m, gemm.n, gemm.k, convention="scalesim")
        stalls = int(compute["Stall Cycles"])
        assert int(counts.cycles) == int(compute["Total Cycles"]) - stalls
        assert int(counts.ifmap_reads) == int(access["SRAM IFMAP Reads"])
        assert int(counts.filter_reads) == int(access["SRAM Filter Reads"])
        assert int(counts.ofmap_writes) == int(access["SRAM OFMAP Writes"])
        if stalls == 0:
            assert math.isclose(100 * counts.utilisation, float(compute["Overall Util %"]), rel_tol=1e-12)
        assert math.isclose(100 * counts.mapping, float(compute["Mapping Efficiency %"]), rel_tol=1e-12)
        rows, cols, folds = run["rows"], run["cols"], int(counts.folds)
        time = rows + cols + gemm.k - 2  # what its other use of the array divides by
        if run["dataflow"] != "os":
            time = 2 * rows + 2 * cols + (gemm.m if run["dataflow"] == "ws" else gemm.n) - 3
        busy = 100 * gemm.macs / (rows * cols * folds * time)
        assert math.isclose(busy, float(compute["Compute Util %"]), rel_tol=1e-12)
        seen += 1
    assert seen >= 800


def test_dram() -> None:
    """Peer: filters cross DRAM once where bandwidth is unlimited; results once (os) or with every partial sum."""
    for run, gemm, _, access in points():
        counts = systolic(run["dataflow"], run["rows"], run["cols"], gemm.m, gemm.n, gemm.k, convention="scalesim")
        if run["bw_mode"] == "CALC":
            assert int(counts.dram_filter_reads) == int(access["DRAM Filter Reads"])
        written = int(access["DRAM OFMAP Writes"])
        if run["dataflow"] == "os":
            assert written == int(counts.dram_ofmap_writes)
        else:
            assert 0 <= written - int(counts.ofmap_writes) < 64
