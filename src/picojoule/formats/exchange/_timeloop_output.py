"""What Timeloop prints: energies of accesses (ERT), and the stats file of a mapping."""

import re
from dataclasses import dataclass

from picojoule.mapping.peers import Prices, Printed
from picojoule.quantity import InputError

from ._document import Node
from ._timeloop_architecture import Component

PICO = 1e-12
_ACTIONS = ("read", "write", "update")
_COMPUTES = ("compute", "mac_random", "mac", "multiply")
_FORMAT = {"metadata_read": "read", "metadata_write": "write", "metadata_update": "update"}
_CHANGE = {"decompression_count": "unpack", "compression_count": "pack"}
_COUNTERS = {"reads": "read", "fills": "write", "updates": "update"}


def read_prices(
    node: Node, components: list[Component], roles: tuple[str, ...], left_out: set[str], sparse: bool = False
) -> Prices:
    """Joules per word and per MAC from an energy reference table: energy of an access / words of an access.

    Energies that no counter here pays (leakage) go to `left_out`. With `sparse`, metadata and changes of representation
    are paid too.
    """
    tables: dict[str, Node] = {}
    for table in node.need("tables").items():
        name = re.sub(r"\[[^\]]*\]$", "", table.need("name").text()).split(".")[-1]
        tables[name] = table
    access: dict[tuple[str, str, str], float] = {}
    format_j: dict[tuple[str, str], float] = {}
    change_j: dict[tuple[str, str], float] = {}
    for one in components[:-1]:
        if one.kind != "storage":
            continue
        energies = _actions(tables.get(one.name), one.name, node)
        paid = {**dict.fromkeys(_ACTIONS), **(_FORMAT | _CHANGE if sparse else {})}
        left_out |= {f"energy of {name}" for name in energies if name not in paid}
        if sparse and (idle := [name for name in energies if name.startswith(("gated", "skipped")) and energies[name]]):
            raise tables[one.name].refusal(f"energy of {idle[0]} at {one.name} is not paid here", "0, or none")
        if sparse:
            format_j |= {(one.name, action): energies.get(name, 0.0) * PICO for name, action in _FORMAT.items()}
            change_j |= {(one.name, action): energies.get(name, 0.0) * PICO for name, action in _CHANGE.items()}
        for action in _ACTIONS:
            stated = energies.get(action, energies.get("write") if action == "update" else None)
            if stated is None:
                raise tables[one.name].refusal(f"{one.name} has no energy of {action}", "read, write and update")
            for role in roles:
                access[one.name, role, action] = stated * PICO / one.block
    mac = components[-1].name
    energies = _actions(tables.get(mac), mac, node)
    used = next((name for name in _COMPUTES if name in energies), None)
    left_out |= {f"energy of {name}" for name in energies if name != used}
    if used is None:
        raise tables[mac].refusal(f"{mac} has no energy of a compute", "an action compute")
    memories = [one for one in components[:-1] if one.kind == "storage"]
    grouped = {
        one.name: max(1, one.instances // size) for one in memories if (size := one.whole("cluster_size") or 1) > 1
    }
    return Prices(energies[used] * PICO, access, {one.name: one.block for one in memories}, grouped,
                  format_j, change_j)  # fmt: skip


def _actions(table: Node | None, name: str, node: Node) -> dict[str, float]:
    if table is None:
        raise node.refusal(f"no energies of {name}", "a table for every component")
    found: dict[str, float] = {}
    for action in table.need("actions").items():
        energy = action.get("energy")
        if energy is not None:
            found[action.need("name").text()] = energy.number(0, 1e15)
    return found


@dataclass(frozen=True, slots=True)
class Stats:
    """A stats file: counters over all instances in use, by (level, tensor, action)."""

    counters: dict[tuple[str, str, str], float]
    energies_j: dict[tuple[str, str], float]
    mac_j: float | None
    cycles: float | None
    file: str

    def printed(self, tensors: dict[str, str], levels: list[str]) -> Printed:
        """By our roles; refused if the counters are of another machine or problem."""
        roles = {tensor: role for role, tensor in tensors.items()}
        for level, tensor, _ in self.counters:
            if level not in levels:
                raise InputError(f"counters of a level {level!r}", where=self.file, expected=f"of {', '.join(levels)}")
            if tensor not in roles:
                raise InputError(f"counters of {tensor!r}", where=self.file, expected=f"tensors {', '.join(roles)}")
        return Printed(
            {(level, roles[tensor], action): count for (level, tensor, action), count in self.counters.items()},
            {(level, roles[tensor]): joules for (level, tensor), joules in self.energies_j.items()},
            self.mac_j, self.cycles,
        )  # fmt: skip


def is_stats(text: str) -> bool:
    """Is this a stats file of Timeloop?"""
    return "Buffer and Arithmetic Levels" in text[:2000]


def read_stats(text: str, file: str) -> Stats:
    """Counters per instance times instances in use. Energies of the networks are not read."""
    counters: dict[tuple[str, str, str], float] = {}
    energies: dict[tuple[str, str], float] = {}
    mac_j: float | None = None
    cycles: float | None = None
    level = tensor = ""
    instances: float = 1
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{file}:{number}"
        if head := re.match(r"=== (\S+) ===", line):
            level, tensor = head[1], ""
        elif line.startswith(("Networks", "Summary Stats")):
            level = tensor = ""
        elif (space := re.match(r"    (\w+):\s*$", line)) and level:
            tensor = space[1]
        elif match := re.match(r"\s*([A-Z][^:]*?)\s*:\s*(\S+)(?: (\S+))?", line):
            name, value = match[1], match[2]
            if name == "Energy (total)" and match[3] != "pJ":
                raise InputError(
                    f"energy in {str(match[3])[:20]}", where=where, expected="pJ", example=f"{name} : 1 pJ"
                )
            if name == "Cycles" and not level:
                cycles = _number(value, where)
            elif name.startswith("Utilized instances"):
                instances = _number(value, where)
            elif name == "Energy (total)" and level and not tensor:
                mac_j = _number(value, where) * PICO
            elif name == "Energy (total)" and tensor:
                energies[level, tensor] = _number(value, where) * PICO
            elif tensor and (count := re.match(r"(?:Actual s|S)calar (reads|fills|updates) \(per-instance\)$", name)):
                counters[level, tensor, _COUNTERS[count[1]]] = round(_number(value, where) * instances)
    if not counters:
        raise InputError("no counters", where=file, expected="the stats file of timeloop-model or timeloop-mapper")
    return Stats(counters, energies, mac_j, cycles, file)


def _number(text: str, where: str) -> float:
    try:
        found = float(text)
    except ValueError:
        raise InputError(f"{text[:40]!r} is no number", where=where, expected="a number") from None
    if not 0 <= found < 1e20:
        raise InputError(f"{text[:40]!r} is out of range", where=where, expected="a number from 0 to 1e20")
    return found
