"""How long do start-up, one estimate and a large pricing take, beside torchinfo and fvcore in the same run?

Whole processes, best of several, so that a busy machine disturbs less; peers are run on the same network. Ratios are
what to read; the seconds are this machine's.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import peers

from picojoule.formats import list_hardware, load_hardware
from picojoule.levels import estimate
from picojoule.workload import Graph, ops

ROUNDS = 5
TORCH = """
import warnings; warnings.filterwarnings("ignore")
import torch; from torch import nn
def block(i, p, s):
    m = nn.Sequential(nn.Conv2d(i, p, 1, bias=False), nn.BatchNorm2d(p), nn.ReLU(), nn.Conv2d(p, p, 3, s, 1, bias=False),
        nn.BatchNorm2d(p), nn.ReLU(), nn.Conv2d(p, 4 * p, 1, bias=False), nn.BatchNorm2d(4 * p))
    d = nn.Sequential(nn.Conv2d(i, 4 * p, 1, s, bias=False), nn.BatchNorm2d(4 * p)) if s > 1 or i != 4 * p else nn.Identity()
    class B(nn.Module):
        def __init__(self): super().__init__(); self.m, self.d, self.r = m, d, nn.ReLU()
        def forward(self, x): return self.r(self.m(x) + self.d(x))
    return B()
L, i = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
for p, n, s in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
    for k in range(n): L.append(block(i, p, s if k == 0 else 1)); i = 4 * p
net = nn.Sequential(*L, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)).eval()
"""
PEERS = {
    "torchinfo": TORCH + "import torchinfo; torchinfo.summary(net, (1, 3, 224, 224), verbose=0)",
    "fvcore": TORCH + "import logging; logging.disable(50); from fvcore.nn import FlopCountAnalysis as F;"
    " F(net, torch.zeros(1, 3, 224, 224)).total()",
}


def process(*arguments: str) -> float | None:
    """Wall seconds of a Python process, best of ROUNDS; None if it fails (the peer is not installed)."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, *arguments], check=False, capture_output=True, env=dict(os.environ))
        if done.returncode:
            return None
        best = min(best, time.perf_counter() - start)
    return best


def row(what: str, seconds: float | None, reference: float, limit: float | None = None) -> None:
    """One line: seconds, ratio to picojoule's estimate, and whether a promised limit holds."""
    if seconds is None:
        sys.stdout.write(f"{what:<52}{'not installed':>14}\n")
        return
    verdict = "" if limit is None else f"  limit {limit:g} s: {'met' if seconds < limit else 'MISSED'}"
    sys.stdout.write(f"{what:<52}{seconds:>10.3f} s{seconds / reference:>9.2f}x{verdict}\n")


def large_pricing() -> float:
    """500 different operators, 10 machines, 1,000 draws: seconds of levels and prices together."""
    g = Graph("five hundred", dtype="float16")
    for index in range(500):
        x = g.input(f"x{index}", (64 + index, 256))
        with g.scope(f"layer{index}"):
            ops.linear(g, x, g.parameter("weight", (128, 256)))
    workload = g.workload()
    machines = [load_hardware(line.name) for line in list_hardware() if line.kind == "gpu"][:10]
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        for architecture, technology in machines:
            estimate(workload, architecture, technology)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    """Print the table."""
    sys.stdout.write(f"best of {ROUNDS} whole processes; Python {sys.version.split()[0]}, numpy {np.__version__}\n\n")
    sys.stdout.write(f"{'':<52}{'seconds':>12}{'ratio':>10}\n")
    own = process("-m", "picojoule", "estimate", "resnet50", "--on", "h100")
    assert own is not None, "picojoule estimate resnet50 --on h100 fails"
    row("python -c pass", process("-c", "pass"), own)
    row("import picojoule", process("-c", "import picojoule"), own, 0.25)
    row("picojoule --version", process("-m", "picojoule", "--version"), own)
    row("picojoule estimate resnet50 --on h100", own, own, 0.6)
    row("picojoule count resnet50", process("-m", "picojoule", "count", "resnet50"), own)
    onnx = Path(__file__).parents[1] / "examples" / "models" / "mobilenet_v2.onnx"
    row("picojoule count mobilenet_v2.onnx", process("-m", "picojoule", "count", str(onnx), "--batch", "1"), own)
    for name, code in PEERS.items():
        row(f"{name} counts ResNet-50 (torch import included)", process("-c", code), own)
    row("500 operators x 10 machines x 1,000 draws", large_pricing(), own, 0.5)


if __name__ == "__main__":
    main()
    sys.stdout.write("\n")
    sys.exit(peers.main([]))
