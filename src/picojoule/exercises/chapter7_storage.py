"""Chapter 7: the scratchpad of the processor against the cache of a CPU, and how each of them reaches its memory."""

from itertools import pairwise
from typing import Final

from picojoule.mapping import Cache
from picojoule.quantity import InputError
from picojoule.workload import dtype_bits, dtype_name

from ._figure import Axis, Curve, Figure
from ._findings import Findings
from ._streams import Sizes, best_scratchpad, cached, cached_curve, footprint, loop_code, scratchpad
from ._task import Task, solves
from .chapter7_processor import processor, tell_machine

_HELD: Final = 2  # bits a line beside its tag: valid and dirty


def _sizes(task: Task) -> tuple[Sizes, Sizes, int]:
    """Problem, tile and bytes of a word. Bounded before anything is multiplied out."""
    n, tile = task["matmul"], min(task["tile"], task["matmul"])
    bits = dtype_bits(dtype_name(task["dtype"]))
    if bits % 8:
        raise InputError(f"{task['dtype']} is no whole number of bytes", where=f"exercise {task.id}",
                         expected="a format of whole bytes", example='--set dtype="float32"')  # fmt: skip
    return (n, n, n), (tile, tile, tile), bits // 8


def _both(task: Task, findings: Findings) -> None:
    """Naive and tiled loops through the cache, and the tiled ones on a scratchpad of the same size."""
    sizes, tile, width = _sizes(task)
    cache = Cache(task["capacity"], task["line"])
    needs = footprint(tile, width)
    if needs > cache.size_bytes:
        raise InputError(f"tiles of {tile[0]} take {needs} B of {cache.size_bytes}", where=f"exercise {task.id}",
                         expected="a smaller tile", example="--set tile=8")  # fmt: skip
    for name, blocks in (("naive_ijk", sizes), (f"tiled{tile[0]}", tile)):
        moved = cached(sizes, blocks, width, cache)
        findings.put(name, {"read": moved.read_bytes, "write": moved.write_bytes}, "B")
        findings.say(f"{name}: {moved.accesses:,} accesses, {moved.misses:,} miss, times {cache.line_bytes} B = "
                     f"{moved.read_bytes:,} B read, {moved.write_bytes:,} B written back",
                     f"{name}：{moved.accesses:,} 次访问，{moved.misses:,} 次缺失，乘 {cache.line_bytes} B = "
                     f"读 {moved.read_bytes:,} B，写回 {moved.write_bytes:,} B")  # fmt: skip
    read, written = scratchpad(sizes, tile, width)
    findings.put(f"scratchpad_tile{tile[0]}", {"read": read, "write": written}, "B")
    findings.say(f"scratchpad, tile {tile[0]} ({needs:,} B of {cache.size_bytes:,}): {read:,} B read, {written:,} B written; "
                 "the result is not fetched before it is written",
                 f"便笺存储，分块 {tile[0]}（{cache.size_bytes:,} B 中用 {needs:,} B）：读 {read:,} B，写 {written:,} B；"
                 "结果写之前不必取入")  # fmt: skip


@solves("7.2-lru")
def cache_or_scratchpad(task: Task, findings: Findings) -> None:
    """Bytes of one product through an LRU cache and through a scratchpad of the same size."""
    _both(task, findings)


@solves("7.2")
def storage(task: Task, findings: Findings) -> None:
    """The same, with ways, tags and a sweep over the size."""
    _both(task, findings)
    sizes, tile, _ = _sizes(task)
    findings.show("plain loops", "朴素循环", loop_code(sizes, None))
    findings.show("tiled loops", "分块循环", loop_code(sizes, tile))
    _ways(task, findings)
    _tags(task, findings)
    _sweep(task, findings)


def _ways(task: Task, findings: Findings) -> None:
    """What few ways do to matrices whose rows are powers of two long."""
    sizes, tile, width = _sizes(task)
    rows = {}
    for ways in task["ways"]:
        cache = Cache(task["capacity"], task["line"], ways)
        naive, tiled = (cached(sizes, blocks, width, cache).read_bytes for blocks in (sizes, tile))
        rows[f"ways{ways}"] = {"naive": naive, "tiled": tiled}
        findings.say(f"{ways} ways, {cache.sets} sets: naive reads {naive:,} B, tiled {tiled:,} B",
                     f"{ways} 路，{cache.sets} 组：朴素读 {naive:,} B，分块读 {tiled:,} B")  # fmt: skip
    findings.put("read_set_associative", rows, "B")


def _tags(task: Task, findings: Findings) -> None:
    """Bits that a cache keeps beside its data, and comparisons that it makes; a scratchpad has neither."""
    sizes, tile, width = _sizes(task)
    line, wide = task["line"], task["address_bits"]
    kept, compared = {}, {}
    for ways in task["ways"]:
        cache = Cache(task["capacity"], line, ways)
        index = (line - 1).bit_length() + (cache.sets - 1).bit_length()
        kept[f"ways{ways}"] = cache.lines * (max(0, wide - index) + _HELD)
        compared[f"ways{ways}"] = ways * cached(sizes, tile, width, cache).accesses
    findings.put("tag_bits", kept, "bit")
    findings.put("tag_comparisons", compared)
    findings.put("scratchpad_tag_bits", 0, "bit")
    ways = task["ways"][-1]
    findings.say(f"{ways} ways: {kept[f'ways{ways}']:,} bits of tags, valid and dirty marks beside "
                 f"{8 * task['capacity']:,} bits of data, and {compared[f'ways{ways}']:,} comparisons of tags; "
                 "a scratchpad has none, its addresses are the program's",
                 f"{ways} 路：数据 {8 * task['capacity']:,} 位之外还有 {kept[f'ways{ways}']:,} 位标签、有效位和脏位，"
                 f"标签比较 {compared[f'ways{ways}']:,} 次；便笺存储都没有，地址由程序给出")  # fmt: skip


def _sweep(task: Task, findings: Findings) -> None:
    """Bytes read against the size of the storage."""
    sizes, tile, width = _sizes(task)
    bytes_ = sorted(set(task["capacities"]))
    caches = [Cache(size, task["line"]) for size in bytes_]
    lines = tuple(cache.lines for cache in caches)
    naive, tiled = (cached_curve(sizes, blocks, width, task["line"], lines) for blocks in (sizes, tile))
    best = {size: best_scratchpad(sizes, width, size) for size in bytes_}
    kept = [(size, float(moved[0])) for size, moved in best.items() if moved is not None]
    findings.put("capacities", bytes_, "B")
    findings.put("read_naive", [one.read_bytes for one in naive], "B")
    findings.put("read_tiled", [one.read_bytes for one in tiled], "B")
    findings.put("read_scratchpad", [int(read) for _, read in kept], "B")
    findings.draw(Figure(
        (f"Bytes read by a product of {sizes[0]} x {sizes[0]} matrices", f"{sizes[0]}×{sizes[0]} 矩阵乘的读取量"),
        Axis(("size of the storage", "存储大小"), "B", log=True), Axis(("bytes read", "读取字节数"), "B", log=True),
        (Curve(("cache, plain loops", "缓存，朴素循环"), _points(bytes_, [one.read_bytes for one in naive])),
         Curve((f"cache, tiles of {tile[0]}", f"缓存，分块 {tile[0]}"), _points(bytes_, [one.read_bytes for one in tiled])),
         Curve(("scratchpad, best tiles found", "便笺存储，所找到的最佳分块"), tuple(kept))),
    ))  # fmt: skip


def _points(xs: list[int], ys: list[int]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in zip(xs, ys, strict=True))


@solves("7.3")
def accesses(task: Task, findings: Findings) -> None:
    """Requests of a CPU and of the processor for the same product."""
    from picojoule.machine import column_blocks, simulate

    sizes, _, width = _sizes(task)
    cache = Cache(task["capacity"], task["line"], task["ways"] or None)
    seen = cached(sizes, sizes, width, cache)
    machine = processor(task)
    tell_machine(machine, findings)
    blocks = min(task["blocks"], sizes[2])
    run = simulate(column_blocks(machine, *sizes, blocks), machine, trace=True, check=False)
    moves = [event for event in run.events if event.kind in ("load", "store")]
    moved = run.counts[("dram", "read")] + run.counts[("dram", "write")]
    findings.put("cpu", {"accesses": seen.accesses, "bytes_an_access": width, "misses": seen.misses,
                         "bytes_of_memory": seen.read_bytes + seen.write_bytes})  # fmt: skip
    findings.put("processor", {"moves": len(moves), "bytes_a_move": moved / len(moves), "bytes_of_memory": moved})
    findings.put("accesses_a_move", seen.accesses / len(moves))
    findings.say(f"CPU, plain loops: {seen.accesses:,} loads and stores of {width} B, one by one; {seen.misses:,} miss "
                 f"({1 - seen.hit_rate:.2%}), each a line of {cache.line_bytes} B, at times that the program does not know",
                 f"CPU 朴素循环：{seen.accesses:,} 次 {width} B 的读写，逐个进行；{seen.misses:,} 次缺失"
                 f"（{1 - seen.hit_rate:.2%}），每次一行 {cache.line_bytes} B，何时缺失程序并不知道")  # fmt: skip
    findings.say(f"processor, W in {blocks} column blocks: {len(moves)} moves, {moved / len(moves):,.0f} B each on average, "
                 "placed by the program, while the unit computes",
                 f"处理器，W 分 {blocks} 个列块：{len(moves)} 次搬运，平均每次 {moved / len(moves):,.0f} B，"
                 "由程序安排，与计算同时进行")  # fmt: skip
    starts = [event.start for event in moves]
    findings.put("moves_start_cycle", [float(start) for start in starts], "cycle")
    gaps = [float(b - a) for a, b in pairwise(starts)]
    findings.say("their times follow from the program alone: the same in every run, starts "
                 + ", ".join(f"{float(start):g}" for start in starts[:6]) + (" …" if gaps[5:] else ""),
                 "时间只由程序决定，每次运行相同，开始于第 "
                 + "、".join(f"{float(start):g}" for start in starts[:6]) + (" …" if gaps[5:] else "") + " 周期")  # fmt: skip
