"""Files of Timeloop and ZigZag: what they mean, what is refused, and that no damage ends in anything but a message."""

import json
import random
from pathlib import Path

import pytest

from picojoule.formats.exchange import TimeloopFiles, ZigZagFiles, read_files, replay_files
from picojoule.mapping import Convention, faults, optimum, traffic
from picojoule.mapping.peers import TIMELOOP
from picojoule.quantity import InputError

DATA = Path(__file__).parents[1] / "data" / "exchange"
TIME = [DATA / "timeloop" / f"{name}.yaml" for name in ("machine", "problem", "mapping", "energies")]
ZIG = [DATA / "zigzag" / name for name in ("machine.yaml", "layer.yaml", "mapping.yaml", "result.json")]


def counters(replay):
    return {(row.level, row.tensor, row.action): (row.ours, row.against) for row in replay.rows}


def test_timeloop_page():
    """By hand: the page of docs/mapping.md as Timeloop files; both laws count the same words and joules."""
    found = replay_files(TIME).replay
    assert counters(found) == {
        ("DRAM", "Inputs", "read"): (48, 48), ("DRAM", "Weights", "read"): (24, 24),
        ("DRAM", "Outputs", "update"): (24, 24),
        ("buffer", "Inputs", "read"): (48, 48), ("buffer", "Inputs", "write"): (48, 48),
        ("buffer", "Weights", "read"): (96, 96), ("buffer", "Weights", "write"): (24, 24),
        ("buffer", "Outputs", "read"): (72, 72), ("buffer", "Outputs", "update"): (96, 96),
        ("spad", "Weights", "read"): (96, 96), ("spad", "Weights", "write"): (96, 96),
    }  # fmt: skip
    picojoules = (48 + 24 + 24) * 100 + (48 + 96 + 72) * 5 + (48 + 24 + 96) * 6 + 96 * 1 + 96 * 2 + 96 * 0.5
    assert found.energy_j["ours"] == pytest.approx(picojoules * 1e-12)
    assert found.energy_j["law"] == pytest.approx(picojoules * 1e-12)
    assert (found.steps, found.cycles.ours, found.cycles.law) == (
        48,
        54,
        54,
    )  # the buffer reads 48 + 96 + 72 words at 4
    assert {"energy of leak", "attribute n_banks", "attribute technology"} <= set(found.left_out)


def test_timeloop_credits():
    """By hand: a line of 6 words under 3 taps. In time, 4 + 3 + 3 words; on 3 PEs, 3 + 3 of 12, the rest from neighbours."""
    old = DATA / "timeloop" / "old.yaml"
    walk = replay_files([old, DATA / "timeloop" / "walk.yaml"]).replay
    assert counters(walk)["DRAM", "Inputs", "read"] == (12, 10)
    links = replay_files([old, DATA / "timeloop" / "links.yaml"]).replay
    found = counters(links)
    assert (found["DRAM", "Inputs", "read"], found["spad", "Inputs", "write"]) == ((12, 6), (12, 12))
    assert found["spad", "Inputs", "read"] == (12, 18)  # 12 for the MACs, 6 for neighbours
    assert {row.reasons for row in walk.rows if row.difference} == {("walk",)}
    assert {row.reasons for row in links.rows if row.difference} == {("links",)}


def test_energy_of_whole_accesses(tmp_path):
    """By hand: 48 inputs in accesses of 5 words are 10 for Timeloop; two spads that share an access pay it once."""
    files = changed(tmp_path, TIME, "machine.yaml", ("width: 64", "width: 40"),
                    ("depth: 4, width: 8,", "depth: 4, width: 16, cluster_size: 2,"))  # fmt: skip
    found = {(row.level, row.tensor): row for row in replay_files(files).replay.energies}
    assert found["DRAM", "Inputs"].law_j == pytest.approx(10 * 800e-12)
    assert found["DRAM", "Inputs"].ours_j == pytest.approx(48 / 5 * 800e-12)
    assert found["spad", "Weights"].law_j == pytest.approx((96 * 1 + 96 * 2) / 2 * 1e-12)
    read = read_files(files)
    machine = read.accelerator()
    with pytest.raises(InputError, match="instances of spad share accesses in clusters"):
        read.weights(machine)


def test_ours_is_the_convention_asked_for():
    """By hand: perfect halo fetches each of the 6 words once."""
    files = [DATA / "timeloop" / "old.yaml", DATA / "timeloop" / "walk.yaml"]
    found = replay_files(files, Convention("perfect", "hull", "identical_tile")).replay
    assert counters(found)["DRAM", "Inputs", "read"][0] == 6


def test_timeloop_stats(tmp_path):
    """By hand: numbers of a stats file per instance, in Timeloop's layout; one differs from the law and has no name."""
    stats = tmp_path / "timeloop-model.stats.txt"
    blocks = "\n".join(f"""Level {i}
-------
=== {level} ===
    STATS
    -----
    Cycles               : 48
    {tensor}:
        Utilized instances (max)                 : {instances}
        Scalar reads (per-instance)              : {reads}
        Scalar fills (per-instance)              : {fills}
        Scalar updates (per-instance)            : {updates}
        Energy (total)                           : {energy} pJ
""" for i, (level, tensor, instances, reads, fills, updates, energy) in enumerate([
        ("spad", "Weights", 2, 48, 48, 0, 288), ("DRAM", "Inputs", 1, 47, 0, 0, 4800)]))  # fmt: skip
    stats.write_text(
        f"Buffer and Arithmetic Levels\n----\n{blocks}\nNetworks\n--------\n\nSummary Stats\n-------\nCycles: 50\n"
    )
    found = replay_files([*TIME, stats])
    assert counters(found.replay)["spad", "Weights", "write"] == (96, 96)
    (row,) = found.replay.unexplained
    assert (row.level, row.tensor, row.ours, row.law, row.theirs) == ("DRAM", "Inputs", 48, 48, 47)
    assert (found.replay.cycles.theirs, found.replay.cycles.law) == (50, 54)
    assert "no rule known here tells why" in found.text()
    assert [row.reasons for row in found.replay.rows if row.theirs is None] == [("not printed",)] * 8
    stats.write_text(stats.read_text().replace("=== spad ===", "=== sofa ==="))
    with pytest.raises(InputError, match="counters of a level 'sofa'"):
        replay_files([*TIME, stats])
    assert {(row.level, row.tensor): row.theirs_j for row in found.replay.energies}["spad", "Weights"] == pytest.approx(
        288e-12
    )


DENSITY = "{densities: {Weights: {distribution: fixed_structured, density: 0.25}}, M: 4"
SKIPPED = """sparse_optimizations:
  targets:
    - name: buffer
      action_optimization:
        - {type: skipping, options: [{target: Inputs, condition_on: [Weights]}]}
        - {type: gating, options: [{target: Outputs, condition_on: [Weights]}]}
"""


def test_timeloop_densities(tmp_path):
    """By hand: without optimizations zeros change no count and are named. A read serves 2 PEs: half are left out.

    One weight in four is not zero, so both weights that meet an input are zero half of the time. The buffer reads two
    words at once, those of two steps of M, which meet the same weights; had K been the innermost loop, none were saved.
    """
    files = changed(tmp_path, TIME, "problem.yaml", ("{M: 4", DENSITY))
    plain = replay_files(files).replay
    assert counters(plain) == counters(replay_files(TIME).replay)
    assert any("densities" in what for what in plain.left_out)
    assert plain.zeros is None
    sparse = tmp_path / "sparse.yaml"
    sparse.write_text(SKIPPED)
    with pytest.raises(InputError, match="whose blocks have 2 words, without an innermost loop"):
        replay_files([*files, sparse])
    along_k = ("- target: spad", "- {target: spad, type: temporal, permutation: KMN}\n- target: spad")
    none = replay_files([*changed(tmp_path, files, "mapping.yaml", along_k), sparse]).replay
    assert counters(none)["buffer", "Inputs", "read"] == (48, 48)
    files = changed(tmp_path, files, "mapping.yaml", ("permutation: KMN", "permutation: MKN"))
    found = replay_files([*files, sparse])
    counts = counters(found.replay)
    assert counts["buffer", "Inputs", "read"] == (24, 24)
    assert counts["buffer", "Outputs", "read"] == (36, 36)
    assert counts["buffer", "Outputs", "update"] == (48, 48)
    assert counts["DRAM", "Inputs", "read"] == (48, 48)
    assert found.replay.macs == 48
    assert "zeros, in both: Timeloop's sparse rules" in found.text()
    with pytest.raises(InputError, match="sparse optimizations are not searched"):
        read_files([*files, sparse]).accelerator()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: buffer", "name: sofa", r"sparse.yaml:3: .*sparse optimizations at 'sofa'"),
        ("type: gating", "type: spatial_skipping", r"'spatial_skipping' is not counted"),
        ("target: Inputs", "target: Z", r"no data space 'Z'"),
        ("condition_on: [Weights]}]}\n        - {type: gating", "condition_on: []}]}\n        - {type: gating", r"no condition"),
        ("options: [{target: Inputs, condition_on: [Weights]}]", "options: []", r"0 options, of which the cheapest counts"),
        ("action_optimization:", "compute_optimization:", r"'compute_optimization' is not read in a target"),
        ("action_optimization:", "representation_format: {data_spaces: [{name: Weights, ranks: [{format: UB}]}]}\n"
         "      action_optimization:", r"the format 'UB' of a rank is not counted"),
        ("action_optimization:", "representation_format: {data_spaces: [{name: Weights, ranks: [{format: CP, "
         "flattened_rankIDs: [[Z]]}]}]}\n      action_optimization:", r"no dimension 'Z'"),
    ],
)  # fmt: skip
def test_sparse_messages(tmp_path, old, new, message):
    """Message: what of sparse optimizations is not counted, by line and with what is expected."""
    assert old in SKIPPED
    (tmp_path / "sparse.yaml").write_text(SKIPPED.replace(old, new, 1))
    files = changed(tmp_path, TIME, "problem.yaml", ("{M: 4", DENSITY))
    with pytest.raises(InputError, match=message) as caught:
        replay_files([*files, tmp_path / "sparse.yaml"])
    assert caught.value.expected


def test_density_messages(tmp_path):
    """Message: distributions other than fixed structure, and shares that are none, are refused where they count."""
    (tmp_path / "sparse.yaml").write_text(SKIPPED)
    for old, new, message in (
        ("fixed_structured", "hypergeometric", "the distribution 'hypergeometric' of zeros is not counted"),
        ("density: 0.25", "density: 0", "'0' is out of range"), ("density: 0.25", "density: 2", "'2' is out of range"),
        ("Weights:", "Sofas:", "no data space 'Sofas'"),
        ("{distribution: fixed_structured, density: 0.25}", "0.25", "is no mapping"),
    ):  # fmt: skip
        files = changed(tmp_path, TIME, "problem.yaml", ("{M: 4", DENSITY.replace(old, new)))
        with pytest.raises(InputError, match=message):
            replay_files([*files, tmp_path / "sparse.yaml"])


def test_zigzag_accesses():
    """By hand: port words of a small product; rounding, the first visit, the drain and the operand that stays are named."""
    found = counters(replay_files(ZIG).replay)
    assert found["sram", "I", "rd_out_to_low"] == (
        3,
        6,
    )  # 12 words of 8 bits over a port of 32: 3; one at a time in 16: 6
    assert found["rf", "W", "rd_out_to_low"] == (24, 8)  # 12 steps on 2 PEs; a weight stays for 3
    assert found["sram", "O", "wr_in_by_low"] == (12, 12)  # 2 words of 16 bits, 12 times, over 32
    assert found["sram", "O", "rd_out_to_low"] == (6, 12)  # half of the visits are first ones
    assert found["sram", "O", "rd_out_to_high"] == (0, 3)  # 12 words of 8 bits over 32
    assert found["dram", "W", "rd_out_to_low"] == (4, 4)
    assert found["dram", "O", "wr_in_by_low"] == (6, 6)


def test_zigzag_own_json(tmp_path):
    """Equality: the same loops in the layout that ZigZag writes, with what it printed."""
    flat = json.loads(ZIG[3].read_text())["temporal"]
    law = counters(replay_files(ZIG).replay)
    accesses = {
        tensor: [
            {d: law.get((memory, tensor, d), (0, 0))[1]
             for d in ("rd_out_to_low", "wr_in_by_low", "rd_out_to_high", "wr_in_by_high")}
            for memory in memories
        ]
        for tensor, memories in {"W": ("rf", "dram"), "I": ("sram", "dram"), "O": ("sram", "dram")}.items()
    }  # fmt: skip
    made = {
        "outputs": {"memory": {"word_accesses": accesses}, "energy": {"energy_total": 1702, "operational_energy": 12},
                    "latency": {"computation": 12}},
        "inputs": {"temporal_mapping": {
            tensor: [[f"({d}, {n})" for d, n in level] for level in levels] for tensor, levels in flat.items()}},
    }  # fmt: skip
    path = tmp_path / "complete.json"
    path.write_text(json.dumps(made))
    found = replay_files([*ZIG[:3], path]).replay
    assert found.unexplained == ()
    assert all(row.theirs == row.law for row in found.rows)
    assert found.energy_j["law"] == pytest.approx(found.energy_j["theirs"]) == pytest.approx(1702e-12)
    assert (found.cycles.ours, found.cycles.law, found.cycles.theirs) == (12, None, 12)


def test_machines_for_the_search():
    """Equality: the mapping read from files is legal on the machine read from files, and counted alike by `traffic`."""
    files = read_files(TIME)
    assert isinstance(files, TimeloopFiles)
    named = files.problem()
    machine, mapping = files.accelerator(named), files.mapping()
    assert faults(named.problem, machine, mapping, TIMELOOP) == ()
    moved = traffic(named.problem, machine, mapping, TIMELOOP)
    tensors = {tensor: role for role, tensor in named.tensors.items()}
    for (level, tensor, action), (ours, _) in counters(files.replay()).items():
        assert moved.of(level, tensors[tensor], action) == ours
    assert machine.levels[1].capacity_bits == 25 * 16
    weights = files.weights(machine)
    assert weights.joules
    assert weights.mac == pytest.approx(0.5e-12)
    best = optimum(
        named.problem, machine, weights, "energy", convention=Convention(window="hull", multicast="identical_tile")
    )
    assert best.energy <= files.replay().energy_j["ours"] * (1 + 1e-12)


def test_zigzag_machine():
    """By hand: levels outermost first, the array below the memory that serves it, costs per word of the widest port."""
    files = read_files(ZIG[:3])
    assert isinstance(files, ZigZagFiles)
    machine = files.accelerator()
    assert [(level.name, level.keeps) for level in machine.levels] == [
        ("dram", ("input", "weight", "output")), ("sram", ("input", "output")), ("rf", ("weight",)),
    ]  # fmt: skip
    assert (machine.array.below, machine.array.axes[0].size, machine.bits["output"]) == ("sram", 2, 16)
    assert files.weights(machine).table["sram", "input", "read"] == pytest.approx(10e-12 * 8 / 32)


def test_renderings():
    """Equality: the JSON has every counter, and the text names every reason used."""
    found = replay_files(ZIG)
    made = json.loads(json.dumps(found.as_dict()))
    (replay,) = made["replays"]
    assert (made["schema"], replay["peer"], len(replay["counters"])) == (
        "picojoule/replay/1",
        "ZigZag",
        len(found.replay.rows),
    )
    assert set(made["reasons"]) == {"still", "first", "rounding", "drain"}
    assert all(f"{reason}: {sentence}" in found.text() for reason, sentence in made["reasons"].items())


def changed(tmp_path, files, name, *changes):
    """The files with text of one of them replaced."""
    paths = []
    for path in files:
        text = path.read_text()
        for old, new in changes if path.name == name else ():
            assert old in text, old
            text = text.replace(old, new, 1)
        (tmp_path / path.name).write_text(text)
        paths.append(tmp_path / path.name)
    return paths


BROKEN = [
    (TIME, "machine.yaml", "class: SRAM", "class: teapot", r"machine.yaml:13: .*no component class 'teapot' is known"),
    (TIME, "machine.yaml", "depth: 25", "depth: -3", r"machine.yaml:14: .*'-3' is out of range"),
    (TIME, "machine.yaml", "2 * 2", "2 ** 99", r"machine.yaml:14: .*'2 \*\* 99' is not read as a number"),
    (TIME, "machine.yaml", "depth: 25", "depth: __import__('os')", r"is not read as a number"),
    (TIME, "machine.yaml", "depth: 25", "depth: '{{size}}'", r"machine.yaml:14: templates \(jinja\) are not run"),
    (TIME, "machine.yaml", "class: intmac", "class: SRAM", r"the innermost component must be the only compute"),
    (TIME, "machine.yaml", "name: spad", "name: buffer", r"two components are named buffer"),
    (TIME, "machine.yaml", "!Container", "!!python/object:os.system", r"machine.yaml:4: the tag .* is not read"),
    (TIME, "machine.yaml", "meshX: 2", "meshZ: 2", r"'meshZ' is not read in spatial"),
    (TIME, "machine.yaml", "n_banks: 1", "allow_overbooking: true", r"allow_overbooking: True is not modelled here"),
    (TIME, "machine.yaml", "meshX: 2", "meshX: 1", r"PE: 2 instances are used, 1 are there"),
    (TIME, "machine.yaml", "nodes:", "$ref: x\n  nodes:", r"machine.yaml:3: \$ref is not followed"),
    (TIME, "problem.yaml", "N: 6", "H: 6", r"problem.yaml:20: .*the dimension N has no extent"),
    (TIME, "problem.yaml", "[ [N] ]", "[ [Z] ]", r"problem.yaml:10: .*no dimension 'Z' in the shape"),
    (TIME, "problem.yaml", "read_write: True", "read_write: False", r"3 data spaces, 0 of them written"),
    (TIME, "problem.yaml", "N: 6", "N: 6.5", r"'6.5' is no whole number"),
    (TIME, "problem.yaml", "{M: 4", "{commonDensity: 0.5, M: 4", r"a density of all tensors is not read"),
    (TIME, "mapping.yaml", "N=3 K=2", "K=2", r"mapping.yaml:1: .*the factors of N multiply to 2, the problem has 6"),
    (TIME, "mapping.yaml", "N=3 K=2", "N=3 K=4", r"the factors of K multiply to 8, the problem has 4"),
    (TIME, "mapping.yaml", "N=3 K=2", "N=3 X=2", r"mapping.yaml:4: .*no dimension 'X' in the problem"),
    (TIME, "mapping.yaml", "N=3 K=2", "N=3,2 K=2", r"factors that do not divide are not replayed"),
    (TIME, "mapping.yaml", "N=3 K=2", "N=0 K=2", r"N=0 means the rest"),
    (TIME, "mapping.yaml", "target: spad", "target: sofa", r"mapping.yaml:14: .*no component is named 'sofa'"),
    (TIME, "mapping.yaml", "permutation: KNM", "permutation: M", r"the permutation does not place N, K"),
    (TIME, "mapping.yaml", "type: bypass", "no_reuse: 1\n  type: bypass", r"'no_reuse' is not read in a mapping"),
    (TIME, "mapping.yaml", "keep: [Weights]", "keep: [Waits]", r"no data space 'Waits'"),
    (TIME, "energies.yaml", "name: compute", "name: idle", r"mac has no energy of a compute"),
    (TIME, "energies.yaml", "chip.spad[1..2]", "chip.sofa", r"no energies of spad"),
    (ZIG, "machine.yaml", "served_dimensions: []", "served_dimensions: [D9]", r"machine.yaml:13: .*no dimension 'D9'"),
    (ZIG, "machine.yaml", '"I2, fh"', '"I2, xx"', r"machine.yaml:12: .*'I2 xx' is no allocation"),
    (ZIG, "machine.yaml", "r_cost: 1\n", "r_cost: [1]\n", r"machine.yaml:5: .*'\[1\]' is no number"),
    (ZIG, "machine.yaml", "sizes: [2]", "sizes: [1]", r"2 places on D1, which has 1"),
    (ZIG, "machine.yaml", "area: 0", "auto_cost_extraction: true", r"costs that another program works out are not read"),
    (ZIG, "machine.yaml", ', "I2, fh", "I2, tl"', "", r"dram has no port for W: rd_out_to_low"),
    (ZIG, "layer.yaml", "*I[n][c]", "", r"layer.yaml:4: .*no product of two tensors"),
    (ZIG, "layer.yaml", "[4, 2, 3]", "[4, 2]", r"2 sizes for 3 dimensions"),
    (ZIG, "layer.yaml", "W[c][k]", "W[c][q]", r"no dimension 'Q'"),
    (ZIG, "mapping.yaml", "I: I1", "I: I7", r"I \(input\) has no memory"),
    (ZIG, "mapping.yaml", '"K, 2"', '"K 2 3"', r"mapping.yaml:4: .*'K 2 3' is no factor"),
    (ZIG, "mapping.yaml", "name: default", "name: other", r"no entry for product or Gemm or default"),
    (ZIG, "result.json", '[["N", 3], ["C", 2]]', '[["N", 3]]', r"the loops of C multiply to 1, the layer has 2"),
    (ZIG, "result.json", '"N"', '"Z"', r"no dimension 'Z'"),
    (ZIG, "result.json", "}}", "}", r"result.json:\d: not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "name", "old", "new", "message"), BROKEN, ids=[case[3][:40] for case in BROKEN])
def test_broken(tmp_path, files, name, old, new, message):
    """Message: one sentence with file and line, and what was expected."""
    with pytest.raises(InputError, match=message) as error:
        replay_files(changed(tmp_path, files, name, (old, new)))
    assert error.value.where
    assert error.value.expected


def test_refused_by_name(tmp_path):
    """Message: what is missing, of another tool, too large or endless is said so."""
    with pytest.raises(InputError, match="no mapping in the files"):
        replay_files(TIME[:2])
    with pytest.raises(InputError, match="no workload in the files"):
        replay_files([ZIG[0], ZIG[3]])
    with pytest.raises(InputError, match="no file to replay"):
        replay_files([])
    with pytest.raises(InputError, match="a file of ZigZag next to one of Timeloop"):
        replay_files([TIME[0], ZIG[0]])
    with pytest.raises(InputError, match="a second problem"):
        replay_files([*TIME, *changed(tmp_path, TIME[1:2], "problem.yaml", ("N: 6", "N: 8"))])
    with pytest.raises(InputError, match="cannot read the file"):
        replay_files([tmp_path / "none.yaml"])
    for text, message in (
        ("a: 1", "no file of Timeloop or ZigZag"), ("", "no file of Timeloop or ZigZag"),
        ("arch: {}", "before version 0.3"), ("mapping: {}\nsurprise: 1", "the section 'surprise' is not known"),
        ("problem: " + "[" * 100 + "]" * 100, "nested too deeply"), ("problem: &a [*a, *a]", "repeat themselves"),
        ("a: &a [1,1,1,1,1,1,1,1]\n" + "".join(f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]\n"
                                                for a, b in zip("abcdefg", "bcdefgh", strict=True)), "repeat themselves"),
        ("problem: {? [a] : b}", "a key that is not text"), ("problem: 1\n---\nproblem: 2", "a second document"),
        ("x" * 5_000_000, "too large"), ("problem: [", "not YAML"), ("problem: \x07", "not YAML"),
    ):  # fmt: skip
        (tmp_path / "file.yaml").write_text(text)
        with pytest.raises(InputError, match=message):
            replay_files([tmp_path / "file.yaml"])
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"nested too deeply|not JSON"):
        replay_files([tmp_path / "deep.json"])


def test_outermost_level_that_keeps_less(tmp_path):
    """By hand: weights that begin in the buffer are read 96 times for the spads and fill nothing; the search refuses."""
    more = ("mapping:", "mapping:\n- {target: DRAM, type: bypass, bypass: [Weights]}")
    files = changed(tmp_path, TIME, "mapping.yaml", more)
    found = counters(replay_files(files).replay)
    assert found["buffer", "Weights", "read"] == (96, 96)
    assert ("DRAM", "Weights", "read") not in found
    assert ("buffer", "Weights", "write") not in found
    with pytest.raises(InputError, match="DRAM does not keep every tensor"):
        read_files(files).mapping()


def test_two_arrays_for_the_search(tmp_path):
    """Message: a replay takes two arrays, the search refuses them by name."""
    files = changed(tmp_path, TIME, "machine.yaml", ("name: mac\n", "name: mac\n    spatial: {meshY: 2}\n"))
    assert replay_files(files).replay.unexplained == ()
    with pytest.raises(InputError, match="a second array below spad, the first stands below buffer"):
        read_files(files).accelerator()


def damaged(rng, text):
    """A file with one to three wounds."""
    lines = text.splitlines()
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        kind = rng.randrange(7)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif kind == 2:
            lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
        elif kind == 3:
            cut = rng.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:cut] + rng.choice("[]{}:,-&*!'\"\\%@0189zK \t\x00é") + lines[at][cut:]
        elif kind == 4:
            numbers = (
                "0",
                "-1",
                "1e400",
                ".nan",
                "99999999999999999999",
                "3.7",
                "null",
                "true",
                "[]",
                "{}",
                "''",
                "1_000",
            )
            lines[at] = "".join(rng.choice(numbers) if c.isdigit() and rng.random() < 0.5 else c for c in lines[at])
        elif kind == 5:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            lines[at] = " " * rng.randint(1, 6) + lines[at].lstrip()
        lines = lines or [""]
    return "\n".join(lines)


def test_damage(tmp_path):
    """Message: 500 damaged files, and every one is read or refused with InputError."""
    rng, refused = random.Random(5), 0
    sets = [TIME, ZIG, [DATA / "timeloop" / "old.yaml", DATA / "timeloop" / "links.yaml"]]
    for number in range(500):
        files = rng.choice(sets)
        hurt, paths = rng.randrange(len(files)), []
        for i, path in enumerate(files):
            text = damaged(rng, path.read_text()) if i == hurt else path.read_text()
            (tmp_path / path.name).write_text(text)
            paths.append(tmp_path / path.name)
        try:
            replay_files(paths).text()
            if number % 5 == 0:
                read_files(paths).accelerator()
        except InputError as error:
            refused += 1
            assert error.what
    assert 200 < refused < 450


def test_damage_of_sparse_files(tmp_path):
    """Message: 200 damaged sparse problems, every one read or refused with InputError."""
    rng, refused = random.Random(7), 0
    along = ("- target: spad", "- {target: spad, type: temporal, permutation: MKN}\n- target: spad")
    for number in range(200):
        files = changed(tmp_path, TIME, "problem.yaml", ("{M: 4", DENSITY))
        files = changed(tmp_path, files, "mapping.yaml", along)
        (tmp_path / "sparse.yaml").write_text(damaged(rng, SKIPPED) if number % 3 else SKIPPED)
        if not number % 3:
            files[1].write_text(damaged(rng, files[1].read_text()))
        try:
            replay_files([*files, tmp_path / "sparse.yaml"]).text()
        except InputError as error:
            refused += 1
            assert error.what
    assert 60 < refused < 190
