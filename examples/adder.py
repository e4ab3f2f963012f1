"""A four-bit full adder by a 9-20-20-5 network, trained here in NumPy on 358 of its 512 rows.

python examples/adder.py --on xeon --seeds 3
"""

import argparse
import sys
from dataclasses import replace

import numpy as np
from network import Network, Plan, train
from numpy.typing import NDArray
from stages import Setting, result, sparse_note, table

WIDTHS = (9, 20, 20, 5)
PLAN = Plan(epochs=400, batch=32, optimiser="adam", rate=0.01, loss="bits")
KINDS = {"dense": PLAN, "sparse": replace(PLAN, final=0.5), "mixed": replace(PLAN, mixed=True)}
TRAIN = 358


def load() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All 512 rows: four bits of a, four of b, the carry; and the five bits of their sum, lowest first."""
    row = np.arange(512)
    a, b, carry = row & 15, row >> 4 & 15, row >> 8
    return np.hstack([_bits(a, 4), _bits(b, 4), _bits(carry, 1)]).astype(np.float32), _bits(a + b + carry, 5)


def exact() -> Network:
    """A 9-20-20-5 network that adds without an error, written by hand rather than learned: v = a + b + carry, then its bits.

    The first layer passes v on; the second has ReLU(v - t) for the steps t of the highest three bits, in pairs so that
    each difference is a step of height one; the last layer adds steps up. Low bits are what is left of v.
    """
    first, second, last = np.zeros((20, 9)), np.zeros((20, 20)), np.zeros((5, 20))
    bias, shift, offset = np.zeros(20), np.zeros(20), np.zeros(5)
    powers = np.array([1, 2, 4, 8, 1, 2, 4, 8, 1])
    # v is 0 … 31. Bit 4 is [v ≥ 16] = r(v - 15) - r(v - 16), and w = v - 16·bit 4 is 0 … 15 for the next layer.
    first[0], first[1], first[2] = powers, powers, powers
    bias[1], bias[2] = -15, -16
    # Second layer: bit 4 again, w = v - 16·bit 4 through steps of w at 1 … 15.
    w = np.zeros(20)
    w[0], w[1], w[2] = 1, -16, 16
    second[0, 1], second[0, 2] = 1, -1
    for t in range(16):
        second[1 + t], shift[1 + t] = w, -t
    last[4, 0] = 1
    # r(w - t + 1) - r(w - t) is [w ≥ t]; a bit of w is the signed sum of the steps at which it changes.
    for bit in range(4):
        for t in range(1, 16):
            change = (t >> bit & 1) - (t - 1 >> bit & 1)
            last[bit, t] += change
            last[bit, t + 1] -= change
    offset -= 0.5  # the class of a bit is its sign
    layers = [(first, bias), (second, shift), (last, offset)]
    return Network([m.astype(np.float32) for m, _ in layers], [v.astype(np.float32) for _, v in layers])


def accuracy(net: Network, x: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    """Share of rows of which all five bits are right."""
    return float(((net(x) > 0) == y).all(axis=1).mean())


def one_seed(seed: int, kinds: tuple[str, ...] = tuple(KINDS)) -> dict[str, tuple[float, float]]:
    """Accuracy on the rows trained on and on the rows held out, by kind of training."""
    x, y = load()
    order = np.random.default_rng(1000 + seed).permutation(len(x))
    inside, outside = order[:TRAIN], order[TRAIN:]
    found = {}
    for kind in kinds:
        net, _ = train(Network.of(WIDTHS, seed), x[inside], y[inside], KINDS[kind], seed)
        found[kind] = (accuracy(net, x[inside], y[inside]), accuracy(net, x[outside], y[outside]))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Train, then print accuracy by seed and energy by stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default="xeon", help="a machine of the library (default: xeon)")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    lines = [f"{'all five bits right':<20}" + "".join(f"{kind:>18}" for kind in KINDS), "  trained on, held out"]
    for seed in range(max(1, options.seeds)):
        row = one_seed(seed)
        cells = [f"{row[kind][0]:.1%}, {row[kind][1]:.1%}" for kind in KINDS]
        lines.append(f"  {f'seed {seed}':<18}" + "".join(f"{cell:>18}" for cell in cells))
    setting = Setting("adder", "adder", TRAIN, 512 - TRAIN, "9", PLAN.batch, PLAN.epochs, PLAN.optimiser)
    both = {"dense, sparse": result(setting, options.on), "mixed": result(setting, options.on, mixed=True)}
    lines += [
        "",
        f"{PLAN.epochs} epochs of {TRAIN} on {options.on}",
        table(both),
        "",
        sparse_note(setting, options.on, 0.5),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _bits(numbers: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    return numbers[:, None] >> np.arange(width) & 1


if __name__ == "__main__":
    sys.exit(main())
