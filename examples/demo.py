"""The main job, on a real ONNX file and on ResNet-50: tables here, pages in out/."""

import os
import sys
import time
from pathlib import Path

from picojoule.cli import main

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "out"
DEVICES = "h100,xeon,zcu102,eyeriss,tpuv1"


def run(*arguments: str) -> None:
    """One command, shown as it would be typed; stops the demo if it fails."""
    sys.stdout.write(f"\n$ picojoule {' '.join(arguments)}\n")
    sys.stdout.flush()
    code = main(arguments)
    if code:
        sys.exit(code)


def demo() -> None:
    """A file from PyTorch's exporter (batch left open, weights elsewhere), then a network of the zoo."""
    OUT.mkdir(exist_ok=True)
    start = time.perf_counter()
    onnx = os.path.relpath(HERE / "models" / "mobilenet_v2.onnx")
    run("count", onnx, "--batch", "1")
    run("estimate", onnx, "--batch", "1", "--on", DEVICES, "--html", str(OUT / "mobilenet_v2.html"))
    run("estimate", "resnet50", "--on", DEVICES, "--html", str(OUT / "resnet50.html"))
    run("explain", "resnet50", "--on", "eyeriss")
    sys.stdout.write(f"\ndone in {time.perf_counter() - start:.1f} s; open {OUT / 'resnet50.html'} in a browser\n")


if __name__ == "__main__":
    demo()
