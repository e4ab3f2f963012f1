"""A calibration as a hardware file (picojoule/hardware/1), as text for people and as plain data."""

import json
import textwrap
from collections.abc import Mapping
from typing import Any, Final

from picojoule.hardware import STATIC, Architecture, Technology
from picojoule.quantity import InputError, Value, format_quantity

from ._calibrate import Calibration, Rate
from ._paces import NETWORKS_DIFFER
from ._render import WIDTH

Like = tuple[Architecture, Technology]
_HERE: Final = "measured here"
# Where no machine is named whose prices serve: the library's own rules for CPUs, in words. Static power stays unknown.
_RULES: Final = {
    "mac": (
        "48.8 pJ",
        2.5,
        "picojoule_library",
        "board-cpu without a TDP: 0.61 of 40 pJ per FLOP of peak, two per MAC",
    ),
    "op": ("24.4 pJ", 2.5, "picojoule_library", "board-cpu without a TDP: 0.61 of 40 pJ per FLOP of peak"),
    "special": ("244 pJ", 3.5, "picojoule_library", "ten operations: a polynomial"),
    "ddr": ("400 pJ/B", 2.5, "choi2013", "measured paths: 795 (i7-950), 418 (i3-3217U), 136 pJ/B (Xeon Phi)"),
    "cache": ("25 pJ/B", 4.0, "choi2014", "L1 2 to 25 pJ/B, L2 9 to 195 pJ/B"),
}
_SPECIAL: Final = ("cos", "div", "erf", "exp", "log", "pow", "rsqrt", "sigmoid", "sin", "sqrt", "tanh")


def calibration_yaml(c: Calibration, *, name: str = "here", like: Like | None = None) -> str:
    """A device file. Energies come from the machine `like` that the user names, else from rules; they are not measured.

    Of `like`, prices per action are taken, which do not depend on how many cores there are; its static power is shared
    out by cores where it says how many it has.
    """
    lines = [
        "format: picojoule/hardware/1", f"name: {quoted(name)}", f"title: {quoted(f'{c.host.title}, calibrated')}",
        "kind: cpu", f"vendor: {quoted(c.host.vendor)}", f"source: {quoted(_HERE)}",
        f"launch: {_datum(c.launch, 's', c)}", "memories:",
        "  - name: ddr", "    kind: DRAM", "    group: off-chip", f"    bandwidth: {_datum(c.bandwidth, 'B/s', c)}",
    ]  # fmt: skip
    if c.host.last_cache:
        size = f"{{value: {c.host.last_cache} B, provenance: seen, spread: 1, where: what the system reports}}"
        lines += ["  - name: cache", "    kind: SRAM", "    group: on-chip", f"    size: {size}"]
        lines += [f"    bandwidth: {_datum(c.cache_bandwidth, 'B/s', c)}"] if c.cache_bandwidth else []
    lines += ["compute:", "  - name: simd", "    unit: vector", "    peak:"]
    lines += [f"      {dtype}: {_datum(rate, 'FLOP/s', c)}" for dtype, rate in c.peak.items()]
    lines += _attained(c)
    lines += _runtime(c)
    lines += ["technology:", *_technology(c, like)]
    lines += ["facts:", f"  cores: {{value: {c.host.cores}, provenance: seen, spread: 1}}", "notes:"]
    lines += [f"  - {quoted(note)}" for note in _notes(c, like)]
    return "\n".join(lines) + "\n"


def _attained(c: Calibration) -> list[str]:
    one = "{value: 1, spread: 1.3, provenance: measured, where: the copy bandwidth above is what is attained}"
    lines = ["attained:", "  base: cpu-generic", "  classes:"]
    for kind, rate in c.shares.items():
        lines += [f"    {kind}:", f"      compute: {_datum(rate, '', c)}", f"      memory: {one}"]
    return lines


def _runtime(c: Calibration) -> list[str]:
    if c.paces is None:
        return []
    lines = ["runtime:", f"  name: {quoted(c.paces.name)}", "  classes:"]
    for kind, pace in c.paces.classes.items():
        lines.append(f"    {kind}:")
        for key, value, unit in (("arithmetic", pace.arithmetic, "FLOP/s"), ("stream", pace.stream, "B/s")):
            if value is not None:
                lines.append(f"      {key}: {_datum(Rate(value, pace.spread, pace.where), unit, c)}")
    lines.append("  weights:")
    for fetch in c.paces.fetches:
        total = f"{{value: {fetch.total} B, provenance: derived, spread: 1, where: parameters of a chain of products}}"
        lines.append(f"    - total: {total}")
        for key, value in (("product", fetch.product), ("vector", fetch.vector)):
            if value is not None:
                rate = Rate(value, NETWORKS_DIFFER, "what each product of a chain takes longer than one alone")
                lines.append(f"      {key}: {_datum(rate, 'B/s', c)}")
    return lines


def _technology(c: Calibration, like: Like | None) -> list[str]:
    prices = _prices_like(c, like) if like else _prices_by_rule(c)
    lines = [
        f"  name: {quoted('like ' + like[0].name if like else 'rules for CPUs, static power unknown')}",
        "  prices:",
    ]
    return [*lines, *(f"    {key}: {text}" for key, text in prices.items())]


def _prices_by_rule(c: Calibration) -> dict[str, str]:
    def price(rule: str, factor: float = 1.0) -> str:
        value, spread, source, where = _RULES[rule]
        number, unit = value.split(" ")
        return (f"{{value: {float(number) * factor:g} {unit}, spread: {spread}, source: {source}, "
                f"where: {quoted(where)}, provenance: derived, scope: board}}")  # fmt: skip

    found: dict[str, str] = {}
    for dtype in c.peak:
        wide = 2.0 if dtype == "float64" else 1.0
        found |= {f"simd.mac_{dtype}": price("mac", wide), f"simd.*_{dtype}": price("op", wide)}
        found |= {f"simd.{name}_{dtype}": price("special", wide) for name in _SPECIAL}
    found |= {"simd.*": price("op"), "ddr.read": price("ddr"), "ddr.write": price("ddr")}
    return found | ({"cache.read": price("cache"), "cache.write": price("cache")} if c.host.last_cache else {})


def _prices_like(c: Calibration, like: Like) -> dict[str, str]:
    architecture, technology = like
    if architecture.kind != "cpu":
        raise InputError(f"{architecture.name} is a {architecture.kind}; this calibration is of a CPU",
                         expected="a CPU of the library: picojoule hardware list --kind cpu",
                         example="picojoule calibrate --like epyc-9654")  # fmt: skip
    found = {}
    for dtype in c.peak:
        unit = architecture.unit(dtype, "vector")
        if unit is None:
            raise InputError(f"{architecture.name} has no {dtype}", expected="a CPU with every dtype measured here")
        for action in ("mac", "*", *_SPECIAL):
            asked = "add" if action == "*" else action
            price = technology.price((unit.name, f"{asked}_{dtype}"))
            found[f"simd.{action}_{dtype}"] = _priced(price, architecture)
    found["simd.*"] = found[f"simd.*_{next(iter(c.peak))}"]
    outer, inner = architecture.memories[0], architecture.memories[-1]
    for name, memory in (("ddr", outer), *((("cache", inner),) if c.host.last_cache else ())):
        for action in ("read", "write"):
            found[f"{name}.{action}"] = _priced(technology.price((memory.name, action)), architecture)
    static, factor, why = _static(c, like)
    return found | ({"static.leak": _priced(static, architecture, factor, why)} if static else {})


def _static(c: Calibration, like: Like) -> tuple[Value | None, float, str]:
    architecture, technology = like
    cores = architecture.facts.get("cores")
    if STATIC not in [tuple(key.split(".", 1)) for key in technology.prices]:
        return None, 1.0, ""
    factor = min(1.0, c.host.cores / cores.nominal) if cores else 1.0
    why = f"{c.host.cores} of {cores.nominal:g} cores: " if cores and factor < 1 else ""
    return technology.price(STATIC), factor, why


def _priced(price: Value, architecture: Architecture, factor: float = 1.0, why: str = "") -> str:
    where = f"{why}like {architecture.name}: {price.where}"
    scope = f", scope: {price.scope}" if price.scope else ""
    return (f"{{value: {price.nominal * factor:.6g} {price.unit}, spread: {price.spread:.4g}, "
            f"source: {quoted(price.source)}, where: {quoted(where)}, provenance: derived{scope}}}")  # fmt: skip


def _datum(rate: Rate, unit: str, c: Calibration) -> str:
    where = f"{rate.where}; least of {c.runs * c.passes} runs in {c.passes} passes, {c.date}"
    value = f"{rate.nominal:.5g} {unit}".strip() if unit else f"{rate.nominal:.4g}"
    return f"{{value: {value}, spread: {rate.spread:.4g}, provenance: measured, where: {quoted(where)}}}"


def _notes(c: Calibration, like: Like | None) -> list[str]:
    load = f", load average {c.load:.2f}" if c.load is not None else ""
    notes = [f"calibrated {c.date} with {c.tools}, {c.threads} threads; interference {c.interference:.2f} "
             f"(median over least), worst {c.worst[1]:.2f} at {c.worst[0]}{load}"]  # fmt: skip
    if like:
        notes.append(f"times are measured; energies per action are those of {like[0].name}, named by the user")
    else:
        notes.append("times are measured; energies are rules for CPUs, not of this machine, and static power is "
                     "unknown: "
                     "name a like machine for its prices")  # fmt: skip
    if c.load is not None and c.load + c.threads > c.host.cores + 0.5:
        notes.append("other work ran beside: what slows every run alike, as on the other thread of a core, is not seen "
                     "in the interference")  # fmt: skip
    if c.interference > 1.3:
        notes.append("the machine was busy: rates may be too low, the spreads hold its interference")
    return notes


def quoted(text: str) -> str:
    """Text as YAML, whatever it holds."""
    return json.dumps(text, ensure_ascii=False)


def calibration_text(c: Calibration) -> str:
    """What was measured, in at most 80 columns."""
    lines = [f"{c.host.title}: {c.threads} threads, {c.date}"[:WIDTH], "", "GEMM [FLOP/s]    " + "".join(
        f"{n:>12}" for n in next(iter(c.gemm.values())))]  # fmt: skip
    for dtype, rates in c.gemm.items():
        lines.append(f"  {dtype:<15}" + "".join(f"{format_quantity(rate, 'F/s'):>12}" for rate in rates.values()))
    lines += ["", "copy"]
    lines += [f"  {format_quantity(n, 'B'):<15}{format_quantity(rate, 'B/s'):>12}" for n, rate in c.copies.items()]
    lines += ["", f"launch           {format_quantity(c.launch.nominal, 's'):>12}", "", "share of the peak"]
    lines += [f"  {kind:<15}{rate.nominal:>12.1%}   spread {rate.spread:.2f}" for kind, rate in c.shares.items()]
    lines.append("")
    for note in (note for note in _notes(c, None) if not note.startswith("times are")):
        lines += textwrap.wrap(note, WIDTH)
    return "\n".join(line.rstrip()[:WIDTH] for line in lines) + "\n"


def calibration_json(c: Calibration) -> dict[str, Any]:
    """The same as plain data in SI units."""

    def rate(r: Rate) -> Mapping[str, Any]:
        return {"nominal": r.nominal, "spread": r.spread, "where": r.where, "label": "measured"}

    return {
        "schema": "picojoule/calibration/1", "title": c.host.title, "cores": c.host.cores, "threads": c.threads,
        "date": c.date, "tools": c.tools, "runs": c.runs * c.passes, "passes": c.passes,
        "interference": c.interference, "worst": {"bench": c.worst[0], "interference": c.worst[1]}, "load": c.load,
        "gemm_flop_per_s": {d: {str(n): r for n, r in rates.items()} for d, rates in c.gemm.items()},
        "copy_bytes_per_s": {str(n): r for n, r in c.copies.items()},
        "peak_flop_per_s": {d: rate(r) for d, r in c.peak.items()}, "bandwidth_bytes_per_s": rate(c.bandwidth),
        "launch_s": rate(c.launch), "shares": {k: rate(r) for k, r in c.shares.items()},
    }  # fmt: skip
