"""Measure a GPU through PyTorch: matrix products by dtype and size, copies by working set, launches. A device file.

Energy follows the library's board law from the board's own power limit (NVML), or from that of a machine that the user
names.
"""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from math import exp, log
from statistics import fmean
from typing import Any, Final

from picojoule.hardware import Architecture, Technology
from picojoule.quantity import InputError

from ._calibrate import Rate
from ._device_file import quoted
from ._host import sanitised
from ._timing import LEAST_PASSES, Bench, interference, refuse_noise, time_all

SIZES: Final = (1024, 4096, 8192)
LAUNCHES: Final = 200
# dtype -> torch's name of it, whether TF32 is allowed, and the unit that does it
_DTYPES: Final = {
    "float16": ("float16", False, "matrix"), "bfloat16": ("bfloat16", False, "matrix"),
    "tfloat32": ("float32", True, "matrix"), "float32": ("float32", False, "vector"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GpuCalibration:
    """What one GPU did. `max_power` [W] is its power limit by NVML, None where NVML does not say."""

    title: str
    date: str
    memory: int
    l2: int
    gemm: Mapping[str, Mapping[int, float]]
    peak: Mapping[str, Rate]
    share: Rate
    bandwidth: Rate
    launch: Rate
    max_power: float | None
    interference: float
    tools: str
    runs: int


def calibrate_gpu(
    *,
    torch: Any = None,
    nvml: Any = None,
    index: int = 0,
    runs: int = 4,
    passes: int = LEAST_PASSES,
    anyway: bool = False,
    sizes: tuple[int, ...] = SIZES,
    today: datetime.date | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> GpuCalibration:
    """Measure GPU `index` by PyTorch. `torch` and `nvml` are the modules, or fakes of them in tests."""
    lib = _torch(torch)
    properties = lib.cuda.get_device_properties(index)
    device = f"cuda:{index}"
    benches = [_gemm(lib, device, dtype, n) for dtype in _DTYPES for n in sizes]
    benches += [_copy(lib, device, int(properties.total_memory)), _launches(lib, device)]
    allowed = lib.backends.cuda.matmul.allow_tf32
    try:
        timings = time_all(benches, runs=runs, passes=passes, shortest_s=0.05, tell=tell)
    finally:
        lib.backends.cuda.matmul.allow_tf32 = allowed
    found = interference(list(timings.values()))
    refuse_noise(found, anyway=anyway)
    rates = {bench.name: bench.work / timings[bench.name].best for bench in benches}
    noise = max(1.05, found)
    gemm = {dtype: {n: rates[f"gemm {dtype} {n}"] for n in sizes} for dtype in _DTYPES}
    best = {dtype: max(by_size, key=by_size.__getitem__) for dtype, by_size in gemm.items()}
    peak = {dtype: Rate(gemm[dtype][n], noise, f"torch.mm, n = {n}") for dtype, n in best.items()}
    shares = [rate / peak[dtype].nominal for dtype, by_size in gemm.items() for n, rate in by_size.items() if n >= 4096]
    return GpuCalibration(
        sanitised(str(properties.name)), (today or datetime.date.today()).isoformat(), int(properties.total_memory),
        int(getattr(properties, "L2_cache_size", 0)), gemm, peak,
        Rate(exp(fmean(log(s) for s in shares)) if shares else 1.0, max(noise, 1.3), "torch.mm from n = 4096"),
        Rate(rates["copy"], noise, "copy on the device, read and write counted"),
        Rate(1 / rates["launches"], max(noise, 1.5), f"{LAUNCHES} additions of one small tensor, each"),
        _power_limit(nvml, index), found, f"torch {lib.__version__}", runs * passes,
    )  # fmt: skip


def _torch(module: Any) -> Any:
    try:
        lib = module if module is not None else import_module("torch")
    except ImportError:
        raise InputError("PyTorch is not installed, so no GPU can be measured", expected="pip install torch",
                         example="picojoule calibrate --gpu") from None  # fmt: skip
    if not lib.cuda.is_available():
        raise InputError("PyTorch sees no GPU here", expected="a CUDA device and a PyTorch built for it",
                         example="picojoule calibrate")  # fmt: skip
    return lib


def _gemm(lib: Any, device: str, dtype: str, n: int) -> Bench:
    name, tf32, _ = _DTYPES[dtype]
    held: list[Any] = []

    def call() -> None:
        if not held:
            held.extend(lib.randn(n, n, device=device, dtype=getattr(lib, name)) for _ in range(2))
        lib.backends.cuda.matmul.allow_tf32 = tf32
        lib.mm(*held)
        lib.cuda.synchronize()

    return Bench(f"gemm {dtype} {n}", call, 2.0 * n**3)


def _copy(lib: Any, device: str, memory: int) -> Bench:
    n_bytes = min(1 << 30, memory // 8)
    source, target = (lib.empty(n_bytes, device=device, dtype=lib.uint8) for _ in range(2))

    def call() -> None:
        target.copy_(source)
        lib.cuda.synchronize()

    return Bench("copy", call, 2.0 * n_bytes)


def _launches(lib: Any, device: str) -> Bench:
    x = lib.ones(16, device=device)

    def call() -> None:
        for _ in range(LAUNCHES):
            x.add_(1)
        lib.cuda.synchronize()

    return Bench("launches", call, float(LAUNCHES))


def _power_limit(module: Any, index: int) -> float | None:
    """The board's default power limit [W]; None without NVML, with MIG, or where it does not say."""
    try:
        nvml = module if module is not None else import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        return float(nvml.nvmlDeviceGetPowerManagementDefaultLimit(nvml.nvmlDeviceGetHandleByIndex(index))) / 1e3
    except (nvml.NVMLError, AttributeError):  # no driver, no limit, an old library: the caller asks for a like machine
        return None


def gpu_yaml(c: GpuCalibration, *, name: str = "gpu-here", like: tuple[Architecture, Technology] | None = None) -> str:
    """A device file. Times are measured; energy follows the board law from the power limit."""
    power, kind = _power(c, like), like[0].memories[0].kind if like else "DRAM"
    size = "provenance: seen, spread: 1, where: what the driver reports"
    lines = [
        "format: picojoule/hardware/1", f"name: {quoted(name)}", f"title: {quoted(c.title + ', calibrated')}",
        "kind: gpu", "source: measured here", "technology: board-gpu", f"launch: {_datum(c.launch, 's', c)}",
        f"max_power: {power}", "memories:",
        "  - name: vram", f"    kind: {quoted(kind)}", "    group: off-chip",
        f"    size: {{value: {c.memory} B, {size}}}", f"    bandwidth: {_datum(c.bandwidth, 'B/s', c)}",
    ]  # fmt: skip
    if c.l2:
        lines += ["  - name: l2", "    kind: SRAM", "    group: on-chip", f"    size: {{value: {c.l2} B, {size}}}"]
    lines.append("compute:")
    for unit, title in (("matrix", "tensor"), ("vector", "cuda")):
        lines += [f"  - name: {title}", f"    unit: {unit}", "    peak:"]
        lines += [f"      {d}: {_datum(r, 'FLOP/s', c)}" for d, r in c.peak.items() if _DTYPES[d][2] == unit]
    one = "{value: 1, spread: 1.3, provenance: measured, where: the copy bandwidth above is what is attained}"
    lines += ["attained:", "  base: gpu-datasheet", "  classes:", "    gemm:",
              f"      compute: {_datum(c.share, '', c)}", f"      memory: {one}", "notes:"]  # fmt: skip
    lines.append(
        "  - " + quoted(f"calibrated {c.date} with {c.tools}; interference {c.interference:.2f} (median over least)")
    )
    lines.append("  - times of products, copies and launches are measured; other classes are shares of gpu-datasheet; "
                 "energy follows the board law")  # fmt: skip
    return "\n".join(lines) + "\n"


def _power(c: GpuCalibration, like: tuple[Architecture, Technology] | None) -> str:
    if c.max_power is not None:
        return f"{{value: {c.max_power:g} W, provenance: seen, source: NVML, where: default power limit of this board}}"
    limit = like[0].max_power if like else None
    if like is None or limit is None:
        raise InputError("NVML does not say the power limit of this board, so its energy is unknown",
                         expected="nvidia-ml-py with a driver, or a machine of the library that is like it",
                         example="picojoule calibrate --gpu --like h100-sxm")  # fmt: skip
    return (f"{{value: {limit.nominal:g} W, provenance: {limit.provenance}, source: {quoted(limit.source)}, "
            f"where: {quoted(f'like {like[0].name}')}}}")  # fmt: skip


def _datum(rate: Rate, unit: str, c: GpuCalibration) -> str:
    where = quoted(f"{rate.where}; least of {c.runs} runs, {c.date}")
    number = f"{rate.nominal:.5g} {unit}".strip()
    return f"{{value: {number}, spread: {rate.spread:.4g}, provenance: measured, where: {where}}}"
