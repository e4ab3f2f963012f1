"""Is picojoule exact, and no slower than the fastest peer that is right, on every model, in this run?

    python benchmarks/peers.py [row ...]

counts every row with every peer that is installed, prints the tables, writes docs/peers.md if no row was named, and
ends with 1 if picojoule is not exact somewhere. Each row runs in a process of its own.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from peers_models import ROOT, Row, rows
from peers_table import NAMED, OWN, Answers, document, exact

LIMIT = 900.0  # seconds of a whole row
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false",
              "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}  # fmt: skip


def answers_of(row: Row) -> dict[str, dict[str, object]]:
    """What every peer says of one row."""
    script = Path(__file__).with_name("peers_row.py")
    try:
        done = subprocess.run([sys.executable, str(script), row.key], check=False, capture_output=True, text=True,
                              timeout=LIMIT, env=os.environ | ONE_THREAD)  # fmt: skip
    except subprocess.TimeoutExpired:
        return {OWN: {"error": f"over {LIMIT:.0f} s"}}
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        text = done.stderr.strip().splitlines()
        return {OWN: {"error": f"the row does not run: {text[-1] if text else done.returncode}"}}
    return {line["peer"]: line for line in lines}


def faults(chosen: list[Row], answers: Answers) -> list[str]:
    """Where picojoule is not exact."""
    found = []
    for row in chosen:
        for name in (OWN, NAMED):
            said = answers.get(row.key, {}).get(name)
            if said is not None and not exact(said, row):
                told = said.get("error") or f"{said['macs']:,} MACs, {said['params']:,} parameters"
                found.append(f"{name} on {row.key} ({row.kind}): {told}; true {row.macs:,}, {row.params:,}")
    return found


def main(wanted: list[str]) -> int:
    """Run, print, write; the exit status."""
    unknown = set(wanted) - {r.key for r in rows()}
    if unknown:
        sys.stderr.write(f"no such row: {', '.join(sorted(unknown))}; rows: {', '.join(r.key for r in rows())}\n")
        return 2
    chosen = [r for r in rows() if not wanted or r.key in wanted]
    absent = {r.missing for r in chosen if r.missing}
    ready = [r for r in chosen if not r.missing]
    if absent:
        sys.stderr.write(f"{len(chosen) - len(ready)} rows left out: not installed: {', '.join(sorted(absent))}\n")
    if not ready:
        sys.stderr.write("nothing to compare\n")
        return 2
    answers: Answers = {}
    for row in ready:
        start = time.perf_counter()
        answers[row.key] = answers_of(row)
        sys.stderr.write(f"{row.key}: {time.perf_counter() - start:.0f} s\n")
    text = document(ready, answers)
    sys.stdout.write(text)
    if not wanted and not absent:
        (ROOT / "docs" / "peers.md").write_text(text, encoding="utf-8")
    wrong = faults(ready, answers)
    sys.stderr.writelines(f"NOT EXACT: {line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
