import datetime
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.meters.fakes import NVMLError

from picojoule.formats import load_hardware, read_hardware
from picojoule.meters import calibrate_gpu, gpu_yaml
from picojoule.quantity import InputError


class Tensor:
    def copy_(self, other: "Tensor") -> None: ...

    def add_(self, x: float) -> None: ...


class Torch:
    """A torch whose products note the dtype and whether TF32 was allowed."""

    __version__ = "2.0 fake"
    float16, bfloat16, float32, uint8 = "float16", "bfloat16", "float32", "uint8"

    def __init__(self, *, gpu: bool = True) -> None:
        name = "Fake GPU: 80GB"
        properties = SimpleNamespace(name=name, total_memory=80 << 30, L2_cache_size=50 << 20)
        self.cuda = SimpleNamespace(is_available=lambda: gpu, get_device_properties=lambda i: properties,
                                    synchronize=lambda: None)  # fmt: skip
        self.backends = SimpleNamespace(cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32="as it was")))
        self.seen: set[tuple[str, bool]] = set()

    def randn(self, *shape: int, device: str, dtype: str) -> str:
        return dtype

    def empty(self, n: int, device: str, dtype: str) -> Tensor:
        return Tensor()

    def ones(self, n: int, device: str) -> Tensor:
        return Tensor()

    def mm(self, a: str, b: str) -> None:
        self.seen.add((a, self.backends.cuda.matmul.allow_tf32))
        sum(range(200))


def nvml(watts: float | None) -> Any:
    def limit(handle: int) -> float:
        if watts is None:
            raise NVMLError("Not Supported")
        return watts * 1e3

    return SimpleNamespace(NVMLError=NVMLError, nvmlInit=lambda: None, nvmlDeviceGetHandleByIndex=lambda i: i,
                           nvmlDeviceGetPowerManagementDefaultLimit=limit)  # fmt: skip


def run(torch: Torch, watts: float | None = 700.0) -> Any:
    return calibrate_gpu(
        torch=torch, nvml=nvml(watts), anyway=True, sizes=(1024, 4096), today=datetime.date(2026, 1, 2)
    )


def test_file_is_read_by_the_library(tmp_path: Path) -> None:
    """Round trip: peaks, bandwidth and the power limit come back from the file."""
    torch = Torch()
    c = run(torch)
    path = tmp_path / "gpu.yaml"
    path.write_text(gpu_yaml(c))
    machine, technology = read_hardware(path)
    assert machine.title == "Fake GPU 80GB, calibrated"
    assert machine.compute[0].peak["tfloat32"].nominal == pytest.approx(c.peak["tfloat32"].nominal, rel=1e-4)
    assert machine.memories[0].bandwidth is not None
    assert machine.memories[0].bandwidth.nominal == pytest.approx(c.bandwidth.nominal, rel=1e-4)
    assert machine.max_power is not None
    assert (machine.max_power.nominal, machine.max_power.source) == (700, "NVML")
    assert technology.price(("static", "leak")).nominal > 0


def test_tf32_is_set_and_put_back() -> None:
    """Equality: float32 is measured with and without TF32, and the user's setting is as it was."""
    torch = Torch()
    run(torch)
    assert torch.seen == {("float16", False), ("bfloat16", False), ("float32", True), ("float32", False)}
    assert torch.backends.cuda.matmul.allow_tf32 == "as it was"


def test_no_power_limit_needs_a_like_machine(tmp_path: Path) -> None:
    """Message: without a limit the energy is unknown, and the file is refused until a machine is named."""
    c = run(Torch(), None)
    assert c.max_power is None
    with pytest.raises(InputError, match="so its energy is unknown"):
        gpu_yaml(c)
    path = tmp_path / "gpu.yaml"
    path.write_text(gpu_yaml(c, like=load_hardware("h100-sxm")))
    machine, _ = read_hardware(path)
    assert machine.max_power is not None
    assert (machine.max_power.nominal, machine.max_power.where) == (700, "like h100-sxm")


def test_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Message: without PyTorch, or without a GPU, it says which."""
    with pytest.raises(InputError, match="PyTorch sees no GPU here"):
        calibrate_gpu(torch=Torch(gpu=False))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match="PyTorch is not installed"):
        calibrate_gpu()
