"""Handwritten digits by a 64-128-64-10 network, trained here in NumPy: dense, to 50 % zeros, in mixed precision.

python examples/digits.py --on xeon --seeds 3
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from network import Network, Plan, train
from numpy.typing import NDArray
from stages import Setting, result, sparse_note, table

WIDTHS = (64, 128, 64, 10)
PLAN = Plan(epochs=30, batch=32, optimiser="momentum", rate=0.05)
KINDS = {"dense": PLAN, "sparse": replace(PLAN, final=0.5), "mixed": replace(PLAN, mixed=True)}
TRAIN = 1437  # four fifths; the other 360 are held out
DATA = Path(__file__).resolve().parent / "data" / "digits.npz"


def load() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pixels [1797, 64] from 0 to 1 and classes. The file is bundled; see data/README.md for its source and licence."""
    with np.load(DATA, allow_pickle=False) as file:
        return (file["images"].reshape(-1, 64) / 16).astype(np.float32), file["labels"].astype(np.int64)


def accuracy(net: Network, x: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    """Share of rows whose largest output is their class."""
    return float((net(x).argmax(axis=1) == y).mean())


def one_seed(seed: int, kinds: tuple[str, ...] = tuple(KINDS)) -> dict[str, float]:
    """Held-out accuracy by kind of training; the seed splits the data, makes the weights and orders the rows."""
    x, y = load()
    order = np.random.default_rng(1000 + seed).permutation(len(x))
    inside, outside = order[:TRAIN], order[TRAIN:]
    found = {}
    for kind in kinds:
        net, _ = train(Network.of(WIDTHS, seed), x[inside], y[inside], KINDS[kind], seed)
        found[kind] = accuracy(net, x[outside], y[outside])
    return found


def main(arguments: list[str] | None = None) -> int:
    """Train, then print accuracy by seed and energy by stage; 1 if the accuracy is not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default="xeon", help="a machine of the library (default: xeon)")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    rows = [one_seed(seed) for seed in range(max(1, options.seeds))]
    lines = [f"{'held-out accuracy':<20}" + "".join(f"{kind:>18}" for kind in KINDS)]
    lines += [
        f"  {f'seed {seed}':<18}" + "".join(f"{row[kind]:>18.2%}" for kind in KINDS) for seed, row in enumerate(rows)
    ]
    setting = Setting("digits", "mlp:64-128-64-10", TRAIN, 1797 - TRAIN, "64", PLAN.batch, PLAN.epochs, PLAN.optimiser)
    dense = result(setting, options.on)
    both = {"dense, sparse": dense, "mixed": result(setting, options.on, mixed=True)}
    lines += [
        "",
        f"{PLAN.epochs} epochs of {TRAIN:,} on {options.on}",
        table(both),
        "",
        sparse_note(setting, options.on, 0.5),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    good = all(row["dense"] >= 0.95 and min(row.values()) >= row["dense"] - 0.02 for row in rows)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
