"""Chapter 6: a convolution as loop code, its tilings with what each moves, and a form better than loops."""

import re
from collections.abc import Mapping
from itertools import permutations
from typing import Final

from picojoule.mapping import Mapping as Nest
from picojoule.mapping import faults, nest_lines
from picojoule.quantity import InputError

from . import _tilings as tilings
from ._figure import Lanes
from ._findings import Findings
from ._task import Task, solves
from ._tilings import DIMS, RULE, Layer, Tiling, read_layer, read_tiling

_DRAWN = 96  # steps of a drawing
_NAMED: Final = re.compile("([a-z_]+)-y([1-9][0-9]{0,5})")
_KINDS: Final[Mapping[str, tuple[str, str]]] = {  # loops over tiles, outermost first, and the name in Chinese
    "output_stationary": ("myxc", "输出驻留"), "weight_stationary": ("mcyx", "权重驻留"),
    "input_stationary": ("cyxm", "输入驻留"),
}  # fmt: skip


@solves("6.11-<tiling>")
def one_tiling(task: Task, findings: Findings) -> None:
    """Code and traffic of one tiling, named `<what stays>-y<rows>`; rows and order may be set."""
    where = f"exercise {task.id}"
    layer = read_layer(task["layer"], where)
    named = _NAMED.fullmatch(task["tiling"])
    if named is None or named[1] not in _KINDS:
        raise InputError(f"no tiling {task['tiling'][:40]!r}", where=where,
                         expected=f"one of {', '.join(_KINDS)}, then -y and the rows of a tile",
                         example="picojoule exercise 6.11-input_stationary-y7")  # fmt: skip
    order, _ = _KINDS[named[1]]
    tile = {**task["tile"], "y": task["tile"]["y"] or int(named[2])}
    tiling = read_tiling(layer, tile, task["order_outer_to_inner"] or order, where)
    for name, words in tilings.words_moved(layer, tiling).items():
        findings.put(name, words, "word")
    findings.put("buffer", tilings.footprint(layer, tiling.tile), "word")
    findings.show("tiled", "分块", tilings.tiled_code(layer, tiling))
    _say(findings, f"loops {tiling.order}", f"循环 {tiling.order}", layer, tiling)
    _draw(findings, (f"Tiles held, loops {tiling.order}", f"所持分块，循环 {tiling.order}"), layer, tiling)


@solves("6.11")
def several_tilings(task: Task, findings: Findings) -> None:
    """The plain loops, tilings side by side, and the best that the same buffer allows."""
    where = f"exercise {task.id}"
    layer = read_layer(task["layer"], where)
    findings.show("the convolution", "卷积", tilings.plain_code(layer))
    needed = []
    names = [one["name"] for one in task["tilings"]]
    if len(set(names)) < len(names) or not all(name.isidentifier() and len(name) <= 40 for name in names):
        raise InputError(f"tilings named {names}"[:200], where=where, expected="a word for each, none twice",
                         example="name = output_stationary")  # fmt: skip
    for one in task["tilings"]:
        tiling = read_tiling(layer, one["tile"], one["order"], where)
        name, chinese = one["name"].replace("_", " "), _KINDS.get(one["name"], ("", one["name"]))[1]
        findings.put(one["name"], tilings.words_moved(layer, tiling), "word")
        findings.show(
            f"{name}, order {tiling.order}", f"{chinese}，顺序 {tiling.order}", tilings.tiled_code(layer, tiling)
        )
        _draw(findings, (f"Tiles held: {name}", f"所持分块：{chinese}"), layer, tiling)
        _say(findings, name, chinese, layer, tiling)
        needed.append(tilings.footprint(layer, tiling.tile))
    _best(findings, layer, task["buffer_words"] or max(needed))


def _best(findings: Findings, layer: Layer, words: int) -> None:
    """The mapping of fewest words, with its proof."""
    best = tilings.least_words(layer, words)
    findings.put("buffer", words, "word")
    findings.put("fewest_words", round(best.value), "word")
    findings.put("proven", best.gap == 0)
    findings.put("mappings_covered", best.mappings_covered)
    findings.show("the fewest words that this buffer allows", "该缓冲区所允许的最少传输",
                  nest_lines(layer.problem, best.accelerator, best.mapping, RULE))  # fmt: skip
    state = ("proven the fewest", "已证明最少") if best.gap == 0 else ("not proven", "未证明")
    findings.say(f"a buffer of {words:,} words: {round(best.value):,} words, {state[0]} of {best.mappings_covered:,} tile "
                 "shapes, each in every loop order; no buffer moves fewer than "
                 f"{_once(layer):,}, every word once",
                 f"缓冲区 {words:,} 个字：{round(best.value):,} 个字，在 {best.mappings_covered:,} 种分块、"
                 f"所有循环次序中{state[1]}；任何缓冲区都不少于 {_once(layer):,}，即每个字一次")  # fmt: skip
    findings.assume("the search takes tiles that divide the layer, and counts words as the tilings above do",
                    "搜索只取能整除该层的分块，计数方式与上面的分块相同")  # fmt: skip


def _once(layer: Layer) -> int:
    """Words that cross if each crosses once."""
    whole = Tiling({dim: getattr(layer, dim) for dim in DIMS}, "myxc")
    return tilings.words_moved(layer, whole)["total"]


def _say(findings: Findings, en: str, zh: str, layer: Layer, tiling: Tiling) -> None:
    moved = tilings.words_moved(layer, tiling)
    trips = " · ".join(f"{dim} {trip}" for dim, trip in tiling.trips(layer).items())
    parts = "{input:,} + {weight:,} + {out_write:,} + {out_read:,} = {total:,}".format(**moved)
    held = tilings.footprint(layer, tiling.tile)
    findings.say(f"{en}: tiles {trips}, buffer {held:,} words; input + weight + output written + read back: {parts} words",
                 f"{zh}：分块数 {trips}，缓冲区 {held:,} 字；输入 + 权重 + 输出写 + 读回：{parts} 字")  # fmt: skip


def _draw(findings: Findings, title: tuple[str, str], layer: Layer, tiling: Tiling) -> None:
    steps, held = tilings.tiles_held(layer, tiling, _DRAWN)
    findings.draw(Lanes(title, steps, held))


@solves("6.12")
def better_form(task: Task, findings: Findings) -> None:
    """The layer as data: from it follow traffic of every order, reuse and legality."""
    where = f"exercise {task.id}"
    layer = read_layer(task["layer"], where)
    tiling = read_tiling(layer, task["tile"], "myxc", where)
    problem = layer.problem
    findings.show("the same layer as data", "作为数据的同一层", _as_data(layer))
    totals = {order: tilings.words_moved(layer, Tiling(tiling.tile, order))["total"]
              for order in ("".join(letters) for letters in permutations(DIMS))}  # fmt: skip
    low, high = min(totals, key=lambda o: totals[o]), max(totals, key=lambda o: totals[o])
    findings.put("orders", len(totals))
    findings.put("words_by_order", totals, "word")
    findings.put("best_order", low)
    findings.put("worst_order", high)
    findings.say(f"all {len(totals)} orders of one tile from the same data, no code rewritten: {low} moves {totals[low]:,} "
                 f"words, {high} {totals[high]:,}",
                 f"同一分块的 {len(totals)} 种循环次序都由同一份数据算出，不必改写代码：{low} 传输 {totals[low]:,} 字，"
                 f"{high} 传输 {totals[high]:,} 字")  # fmt: skip
    whole = tilings.words_moved(layer, Tiling({dim: getattr(layer, dim) for dim in DIMS}, "myxc"))
    for operand, words in zip(problem.operands, (whole["input"], whole["weight"], whole["out_write"]), strict=True):
        free = [dim for place, dim in enumerate(problem.dims) if place not in operand.relevant]
        findings.put(f"reuse_{operand.role}", problem.macs / words, "MAC/word")
        findings.say(f"{operand.role}: not indexed by {', '.join(free)}, so {problem.macs / words:.4g} MACs a word",
                     f"{operand.role}：不含下标 {'、'.join(free)}，每个字 {problem.macs / words:.4g} 次乘加")  # fmt: skip
    small = task["buffer_words"]
    found = faults(problem, tilings.machine_of(small), _whole_nest(layer), RULE)
    findings.put("whole_layer_fits", not found)
    told = str(found[0]) if found else "fits"
    findings.say(f"legality is computed: the whole layer in a buffer of {small:,} words: {told}",
                 f"合法性可以计算：整层放进 {small:,} 字的缓冲区：{told}")  # fmt: skip


def _whole_nest(layer: Layer) -> Nest:
    return Nest(((), tuple((dim, getattr(layer, dim)) for dim in "mcyxrs")))


def _as_data(layer: Layer) -> list[str]:
    """Space, maps and mapping."""
    step = "" if layer.stride == 1 else f"{layer.stride}·"
    space = ", ".join(f"{dim} < {getattr(layer, dim)}" for dim in "mcyxrs")
    return [f"space    {{{space}}}: one MAC a point, in any order",
            f"input    [c, {step}y + r, {step}x + s]", "weight   [m, c, r, s]", "output   [m, y, x], summed over c, r, s",
            "mapping  tile and order of every memory, and what is spread over the units"]  # fmt: skip
