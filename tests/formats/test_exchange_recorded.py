"""Recorded runs of Timeloop and ZigZag, replayed from their own files.

Needs the recorded runs in the folder named by PICOJOULE_DATA; skips without them.
"""

import gzip
import json
import os
import re
from pathlib import Path

import pytest

from picojoule.formats._yaml import Document
from picojoule.formats.exchange import ZigZagFiles, read_files, replay_files
from picojoule.formats.exchange._document import Node, yaml_node
from picojoule.mapping import faults, traffic
from picojoule.mapping.peers import TIMELOOP, sparse_counts, timeloop_counters
from picojoule.quantity import InputError

RUNS = Path(os.environ.get("PICOJOULE_DATA", "")) / "accelerators"
pytestmark = pytest.mark.skipif(
    not os.environ.get("PICOJOULE_DATA") or not (RUNS / "timeloop" / "triples.jsonl").exists(),
    reason="PICOJOULE_DATA has no recorded runs of Timeloop and ZigZag",
)


def timeloop_files():
    """Files of every recorded run."""
    for line in (RUNS / "timeloop" / "triples.jsonl").read_text().splitlines():
        stats = RUNS / json.loads(line)["stats_file"]
        stem = str(stats).removesuffix(".stats.txt")
        if Path(f"{stem}.in.yaml").exists():
            yield [stats, Path(f"{stem}.in.yaml"), Path(f"{stem}.map.yaml")]
        else:
            yield [stats, stats.parent / "parsed-processed-input.yaml", Path(f"{stem}.ERT.yaml"),
                   *(path for path in [Path(f"{stem}.map.yaml")] if path.exists())]  # fmt: skip


@pytest.fixture(scope="module")
def replays():
    """(replays by stats file, refusals)."""
    found, refused = {}, []
    for files in timeloop_files():
        try:
            found[files[0]] = replay_files(files).replay
        except InputError as error:
            refused.append(error.what)
    return found, refused


def test_timeloop_counters(replays):
    """Peer: Timeloop's rules as written here give every counter of every run, dense or sparse; only four old releases differ.

    Those fetch whole tiles; their inputs are the only counters that differ, and by that rule they are equal.
    """
    found, refused = replays
    assert (len(found), refused) == (81, [])
    assert sum(replay.zeros is not None for replay in found.values()) == 10
    rows = [(stats, row) for stats, replay in found.items() for row in replay.rows]
    assert all(row.theirs is not None for _, row in rows)
    different = [(stats, row) for stats, row in rows if row.law != row.theirs]
    assert {row.reasons for _, row in different} == {("old halo",)}
    assert {stats.parent.name for stats, _ in different} == {
        "eyeriss_like", "simple_output_stationary", "ref-output", "intmac",
    }  # fmt: skip
    assert (len(rows), len(different)) == (1148, 8)


def test_our_counters(replays):
    """Peer: our law gives every weight and output counter, and every input counter but the named ones."""
    rows = [row for replay in replays[0].values() for row in replay.rows]
    assert all(row.difference == 0 for row in rows if row.tensor not in ("Inputs", "A", "B"))
    named = [row.reasons for row in rows if row.difference]
    assert (named.count(("walk",)), named.count(("links",)), named.count(("old halo",)), len(named)) == (4, 3, 8, 15)
    assert all(not replay.unexplained for replay in replays[0].values())


def test_timeloop_master_again(replays):
    """Peer: two references of an older release, run again by the release of the other runs: counters as by its rules."""
    again = json.loads((RUNS / "timeloop" / "ref_rerun.json").read_text())
    checked = 0
    for stats, replay in replays[0].items():
        name = stats.parent.name
        if name not in again:
            continue
        newer = again[name]["rerun"]
        for row in replay.rows:
            counts = newer["per_level"][row.level].get(row.tensor, {})
            if None in (counts.get("reads"), counts.get("instances")):  # a run that was recorded without counters
                continue
            kind = {"read": "reads", "write": "fills", "update": "updates"}[row.action]
            assert counts[kind] * counts["instances"] == row.law, (name, row)
            checked += 1
    assert checked > 60


def test_timeloop_energy(replays):
    """Peer: joules of every tensor at every level, from the file's energies, to the digits that it prints."""
    checked = 0
    for replay in replays[0].values():
        old = {(row.level, row.tensor) for row in replay.rows if row.law != row.theirs}
        for row in replay.energies:
            if (row.level, row.tensor) not in old:
                assert abs(row.law_j - row.theirs_j) <= max(0.011e-12, 1e-6 * row.theirs_j), (replay.name, row)
                checked += 1
    assert checked > 700


def test_timeloop_cycles(replays):
    """Peer: the busiest port or the MACs, by Timeloop's rules, set the pace of every run; six dense ones wait for a port."""
    found = replays[0].values()
    assert all(replay.cycles.law == replay.cycles.theirs for replay in found)
    assert sum(replay.cycles.theirs > replay.steps for replay in found if not replay.zeros) == 6


COUNTED = re.compile(
    r"(Actual|Gated|Skipped) scalar (format )?(reads|fills|updates) \(per-instance\)\s*(?::\s*(\d+))?\s*$"
)
ACTION = {"reads": "read", "fills": "write", "updates": "update"}


def printed_counters(stats):
    """Everything that a sparse run prints of its accesses: {(what, format?, level, tensor, action): count or ranks}."""
    found, level, tensor, ranks = {}, "", "", None
    for line in stats.read_text().split("Networks\n")[0].splitlines():
        if head := re.match(r"=== (\S+) ===", line):
            level, tensor = head[1], ""
        elif space := re.match(r"    (\w+):\s*$", line):
            tensor = space[1]
        elif (count := COUNTED.match(line.strip())) and tensor:
            key = (count[1], bool(count[2]), level, tensor, ACTION[count[3]])
            ranks = None if count[4] else found.setdefault(key, [])
            if count[4]:
                found[key] = int(count[4])
        elif (rank := re.search(r"Rank \d+ \(metadata, payload\): \((\d+),\s*(\d+)\)", line)) and ranks is not None:
            ranks.insert(0, (int(rank[1]), int(rank[2])))
        else:
            ranks = None
    return found


def test_timeloop_zeros(replays):
    """Peer: actual, gated and skipped accesses of words and of every rank of metadata, and the MACs, of every sparse run."""
    checked = 0
    for files in timeloop_files():
        read = read_files(files)
        named, nest = read.problem(), read.nest()
        sparse = read.sparse(named)
        if sparse is None:
            continue
        ours = sparse_counts(nest, sparse, timeloop_counters(nest))
        copies = {stage.name: count for stage, count in zip(nest.stages, nest.instances, strict=True)}
        roles = {tensor: role for role, tensor in named.tensors.items()}
        words = {"Actual": ours.actual, "Gated": ours.gated, "Skipped": ours.skipped}
        ranks = {"Actual": ours.formats, "Gated": ours.formats_gated, "Skipped": ours.formats_skipped}
        for (what, metadata, level, tensor, action), count in printed_counters(files[0]).items():
            key = (level, roles[tensor], action)
            if metadata:
                mine = ranks[what].get(key, ())
                assert list(mine) == count or (count == 0 and not any(sum(pair) for pair in mine)), (
                    files[0],
                    what,
                    key,
                )
            else:
                assert words[what].get(key, 0) == count * copies[level], (files[0], what, key)
            checked += 1
        macs = re.search(r"Actual Computes \(total\)\s*: (\d+)", files[0].read_text())
        assert ours.macs == int(macs[1]) == replays[0][files[0]].macs
    assert checked == 666


def test_timeloop_written_by_hand():
    """Equality: the tutorial's architecture as its author wrote it, and as the front end wrote it, replay alike."""
    folder = RUNS / "timeloop" / "tutorial2020" / "06-mapper-convlayer-eyeriss"
    output = folder / "ref-output"
    common = [output / f"timeloop-mapper.{name}" for name in ("map.yaml", "ERT.yaml", "stats.txt")]
    written = replay_files(
        [folder / "arch" / "eyeriss_like.yaml", folder / "prob" / "VGG02_layer5.yaml", *common]
    ).replay
    processed = replay_files([output / "parsed-processed-input.yaml", *common]).replay
    assert written.rows == processed.rows
    assert (written.energies, written.cycles) == (processed.energies, processed.cycles)


def test_timeloop_machines(replays):
    """Peer: a mapping that Timeloop found is legal here on the machine read from its file, and `traffic` counts it alike."""
    checked = 0
    for files in timeloop_files():
        if files[0] not in replays[0]:
            continue
        read = read_files(files)
        named = read.problem()
        try:
            machine, mapping = read.accelerator(named), read.mapping()
        except InputError as error:
            assert "a second array" in error.what or "sparse" in error.what
            continue
        assert faults(named.problem, machine, mapping, TIMELOOP) == (), files[0]
        moved = traffic(named.problem, machine, mapping, TIMELOOP)
        for row in replays[0][files[0]].rows:
            role = next(role for role, tensor in named.tensors.items() if tensor == row.tensor)
            assert moved.of(row.level, role, row.action) == row.ours
        checked += 1
    assert checked == 69


def zigzag(arch, layer, mapping, result):
    """A run from parts that are in memory."""
    files = ZigZagFiles()
    files.add("architecture", arch)
    for kind, data in (("workload", layer), ("mapping", mapping), ("result", result)):
        files.add(kind, Node(Document(kind, data, {}), (), data))
    return files.replay()


def architecture(name):
    path = RUNS / "zigzag" / "inputs" / f"{name}.yaml"
    return yaml_node(path.read_text(), str(path), [])


def agrees(replay):
    """Accesses and energy as printed, each difference from ours named."""
    assert all(row.law == row.theirs for row in replay.rows)
    assert not replay.unexplained
    energy = replay.energy_j
    assert energy["law"] == pytest.approx(energy["theirs"], rel=1e-9)
    return len(replay.rows)


def test_zigzag_runs():
    """Peer: all accesses and the energy of 2,100 mappings of 14 layers on two machines."""
    mappings = counters = 0
    for path in sorted((RUNS / "zigzag").glob("triples_*.json.gz")):
        run = json.loads(gzip.decompress(path.read_bytes()))
        arch = architecture(run["arch"])
        for result in run["triples"]:
            counters += agrees(zigzag(arch, run["workload_yaml"], run["mapping_yaml"], result))
            mappings += 1
    assert (mappings, counters) == (2100, 34554)


def layer_of(layer):
    """A recorded layer as a ZigZag workload."""
    precision = {"W": 8, "I": 8, "O": 16, "O_final": 8}
    if layer["op"] == "gemm":
        sizes = [layer["N"], layer["K"], layer["M"]]
        if layer["batch"] > 1:
            return {"equation": "O[b][k][n]+=W[b][c][k]*I[b][n][c]", "loop_dims": ["B", "K", "C", "N"],
                    "loop_sizes": [layer["batch"], *sizes], "operand_precision": precision}  # fmt: skip
        return {"equation": "O[k][n]+=W[c][k]*I[n][c]", "loop_dims": ["K", "C", "N"], "loop_sizes": sizes,
                "operand_precision": precision}  # fmt: skip
    n, k, c, p, q, r, s, stride, groups = (
        layer[key] for key in ("N", "K", "C", "P", "Q", "R", "S", "stride", "groups")
    )
    return {
        "equation": "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]",
        "dimension_relations": [f"ix={stride}*ox+1*fx", f"iy={stride}*oy+1*fy"],
        "loop_dims": ["B", "K", "G", "OX", "OY", "C", "FX", "FY"],
        "loop_sizes": [n, k // groups, groups, q, p, c // groups, s, r], "operand_precision": precision,
        "pr_loop_dims": ["IX", "IY"],
        "pr_loop_sizes": [min(layer["W"], (q - 1) * stride + s), min(layer["H"], (p - 1) * stride + r)],
    }  # fmt: skip


def test_zigzag_best():
    """Peer: accesses and energy of the best mapping of each of 88 layers of six networks."""
    layers = json.loads((RUNS / "workloads" / "layers.json").read_text())
    rows = layers if isinstance(layers, list) else [row for listed in layers.values() for row in listed]
    known = {(row["net"], row["layer"]): row for row in rows}
    checked = 0
    for path in sorted((RUNS / "zigzag").glob("best_*.jsonl")):
        for line in path.read_text().splitlines():
            run = json.loads(line)
            layer = known[run["net"], run["layer"]]
            first, second = {
                "tpu_like": (["K, 32"], ["C, 32"]),
                "eyeriss_like": (["N, 14"], ["K, 12"]) if layer["op"] == "gemm" else (
                    ["OY, 14"], [f"FY, {layer['R']}", f"{'G' if layer['op'] == 'dwconv' else 'K'}, {12 // layer['R']}"]),
            }[run["arch"]]  # fmt: skip
            links = [{"name": "default", "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
                      "spatial_mapping": {"D1": first, "D2": second}}]  # fmt: skip
            result = {"temporal": run["temporal"], "word_accesses": run["word_accesses"], "energy": run["energy_pJ"]}
            agrees(zigzag(architecture(run["arch"]), layer_of(layer), links, result))
            checked += 1
    assert checked == 88
