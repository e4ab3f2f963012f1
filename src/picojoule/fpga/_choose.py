"""From the name of a design to a design that fits a board, or to the smallest change that would."""

from collections.abc import Sequence
from typing import Final

from picojoule.quantity import InputError

from ._fabric import Fabric
from ._layers import Layer
from ._overlay import OVERLAY_DTYPE, Overlay, overlay_resources, overlay_run
from ._resources import WORDS, Board, over
from ._run import Run
from ._search import best_tiled
from ._tiled import tiled_run

LOW, HIGH = 2, 3  # memory units a pixel for feature maps
_MOST: Final = 4096  # cores of one board; a device of 400,000 slices would hold more of the smallest


def designs(fabric: Fabric) -> tuple[str, ...]:
    """What `--design` takes."""
    return ("best", "tiled", *(f"dpu-{name}" for name in fabric.cores))


def runs(design: str, layers: Sequence[Layer], left_out: tuple[str, ...], board: Board, fabric: Fabric, *,
         dtype: str, bits: int, cores: int | None = None) -> tuple[Run, ...]:  # fmt: skip
    """The run of one design; of "best" every design that fits, most frames per second first.

    Raises InputError for an unknown name, a dtype that the overlay does not compute in, or a design that does not fit.
    """
    if design not in designs(fabric):
        raise InputError(f"no design is named {design[:40]!r}", where="--design",
                         expected=f"one of {', '.join(designs(fabric))}", example="--design dpu-b4096")  # fmt: skip
    if cores is not None and not design.startswith("dpu-"):
        raise InputError(f"design {design!r} has no number of cores", where="--cores", expected="--cores with an overlay",
                         example=f"--design dpu-b1152 --cores {cores}")  # fmt: skip
    if design == "tiled":
        return (_tiled(layers, left_out, board, fabric, dtype, bits),)
    if design != "best":
        if dtype != OVERLAY_DTYPE:
            raise InputError(f"the overlay computes in {OVERLAY_DTYPE}, not in {dtype}", where="--dtype",
                             expected=f"{OVERLAY_DTYPE}, or a tiled design", example="--design tiled")  # fmt: skip
        overlay = fitted(fabric, design.removeprefix("dpu-"), board, cores)
        return (overlay_run(layers, overlay, board, fabric, left_out),)
    found = [_tiled(layers, left_out, board, fabric, dtype, bits)]
    if dtype == OVERLAY_DTYPE:
        fits = [_largest(fabric, name, board) for name in fabric.cores]
        found += [overlay_run(layers, overlay, board, fabric, left_out) for overlay in fits if overlay is not None]
    return tuple(sorted(found, key=lambda run: (-run.rate_per_s, run.latency_s, run.used.dsp)))


def _tiled(layers: Sequence[Layer], left_out: tuple[str, ...], board: Board, fabric: Fabric, dtype: str,
           bits: int) -> Run:  # fmt: skip
    return tiled_run(layers, best_tiled(layers, board, fabric, dtype, bits), board, fabric, left_out)


def fitted(fabric: Fabric, name: str, board: Board, cores: int | None) -> Overlay:
    """`cores` of core `name` (as many as fit, if None) with as much memory as fits."""
    overlay = _largest(fabric, name, board) if cores is None else _fits(fabric, name, board, cores)
    if overlay is None:
        raise _fault(fabric, name, board, cores or 1)
    return overlay


def _fits(fabric: Fabric, name: str, board: Board, cores: int) -> Overlay | None:
    for groups in (HIGH, LOW):
        overlay = Overlay(fabric.cores[name], cores, groups)
        if not over(overlay_resources(overlay, board, fabric), board):
            return overlay
    return None


def _largest(fabric: Fabric, name: str, board: Board) -> Overlay | None:
    found = None
    for cores in range(1, _MOST + 1):
        one = _fits(fabric, name, board, cores)
        if one is None:
            break
        found = one
    return found


def _fault(fabric: Fabric, name: str, board: Board, cores: int) -> InputError:
    """What is overdrawn, and the smallest changes that would fit: fewer cores, or the largest core at this number."""
    overlay = Overlay(fabric.cores[name], cores, LOW)
    lacks = over(overlay_resources(overlay, board, fabric), board)
    said = ", ".join(f"{need:,.0f} {WORDS[key]} of {limit:,.0f} usable" for key, (need, limit) in lacks.items())
    changes = []
    fewer = _largest(fabric, name, board)
    if fewer is not None:
        changes.append((f"{fewer.cores} of it", f"--design dpu-{name} --cores {fewer.cores}"))
    smaller = [other for other in fabric.cores.values() if other.macs < fabric.cores[name].macs]
    for core in sorted(smaller, key=lambda core: -core.macs):
        if _fits(fabric, core.name, board, cores) is not None:
            changes.append((f"{cores} × dpu-{core.name}", f"--design dpu-{core.name} --cores {cores}"))
            break
    return InputError(
        f"{overlay.name} needs {said}", where=f"--design on {board.name}",
        expected=" or ".join(what for what, _ in changes) or "a larger board: no overlay fits this one",
        example=changes[0][1] if changes else "--on zcu102",
    )  # fmt: skip
