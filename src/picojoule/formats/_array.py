"""The array of a hardware file: levels checked against the memories, registers told apart."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from picojoule.hardware import ROLES, Axis, ProcessingArray, Store
from picojoule.quantity import Value

from ._faults import Faults
from ._yaml import Location

if TYPE_CHECKING:
    from ._schema import ArrayModel, DatumModel, HardwareFile, StoreModel

Convert = Callable[["DatumModel | None", str, Location], Value | None]


def array_of(model: "HardwareFile", faults: Faults, convert: Convert) -> ProcessingArray | None:
    """The array of a checked file; what does not fit the machine's parts is a fault with its line."""
    array = model.array
    assert array is not None
    memories = [memory.name for memory in model.memories]
    stores = [_store(level, index, memories, faults, convert) for index, level in enumerate(array.levels)]
    names = [store.name for store in stores]
    units = [unit.name for unit in model.compute]
    if array.unit not in units:
        faults.add(("array", "unit"), f"no compute unit is named {array.unit!r}", f"one of {', '.join(units)}",
                   f"unit: {units[0]}")  # fmt: skip
    if array.below not in names[:-1] and array.below not in names:
        faults.add(("array", "below"), f"no level is named {array.below!r}", f"one of {', '.join(names)}",
                   f"below: {names[0]}")  # fmt: skip
    if stores[0].memory != memories[0] or set(stores[0].keeps) != set(ROLES):
        faults.add(("array", "levels", 0), "the first level must be the outermost memory and keep everything",
                   f"memory: {memories[0]} with all of {', '.join(ROLES)}", f"- {{memory: {memories[0]}}}")  # fmt: skip
    for index, name in enumerate(names):
        if name in names[:index]:
            faults.add(("array", "levels", index), f"two levels are named {name!r}", "each memory once",
                       f"- {{registers: {name}2}}")  # fmt: skip
    order = [memories.index(store.memory) for store in stores if store.memory in memories]
    if order != sorted(order):
        faults.add(("array", "levels"), "levels stand in another order than the memories", "outermost first",
                   f"levels in the order {', '.join(memories)}")  # fmt: skip
    seat = names.index(array.below) if array.below in names else 0
    for index, store in enumerate(stores[1:], start=1):
        own = next((m.size for m in model.memories if m.name == store.memory), None)
        if store.size is None and set(store.shares) < set(store.keeps) and (own is None or index > seat):
            faults.add(("array", "levels", index), f"the size of {store.name} is unknown",
                       "a size of one instance, or a share for every role it keeps", "size: 512 B")  # fmt: skip
    axes = tuple(Axis(axis.name, axis.size, tuple(axis.spread)) for axis in array.axes)
    source = array.source or model.source or ""
    if not source:
        faults.add(("array",), "an array without a source", "where its axes and rules were read",
                   "source: vendor2024")  # fmt: skip
    return _built(array, axes, tuple(stores), source)


def _built(array: "ArrayModel", axes: tuple[Axis, ...], stores: tuple[Store, ...], source: str) -> ProcessingArray:
    return ProcessingArray(array.unit, array.below, axes, stores, array.multicast, array.reduction, source, array.where,
                           array.note, tuple(array.whole))  # fmt: skip


def _store(level: "StoreModel", index: int, memories: list[str], faults: Faults, convert: Convert) -> Store:
    at = ("array", "levels", index)
    if (level.memory is None) == (level.registers is None):
        faults.add(at, "a level is either a memory or registers", "one of the two keys",
                           f"- {{memory: {memories[-1]}}}")  # fmt: skip
    elif level.memory is not None and level.memory not in memories:
        faults.add((*at, "memory"), f"no memory is named {level.memory!r}", f"one of {', '.join(memories)}",
                           f"memory: {memories[-1]}")  # fmt: skip
    if stray := sorted({*level.shares, *level.optional} - set(level.keeps)):
        faults.add(at, f"{', '.join(stray)} has a share or may be bypassed but is not kept",
                           "roles that the level keeps", "keeps: [input, weight, output]")  # fmt: skip
    shares = {role: convert(size, "B", (*at, "shares", role)) for role, size in level.shares.items()}
    return Store(
        level.memory or level.registers or f"level{index}", level.memory or "", tuple(level.keeps),
        convert(level.size, "B", (*at, "size")), {role: value for role, value in shares.items() if value is not None},
        level.double_buffered, tuple(level.optional), None if level.loops is None else tuple(level.loops),
    )  # fmt: skip
