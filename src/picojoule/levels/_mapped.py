"""Level `mapped`: the provably best loop nest of every contraction on the machine's memories and array.

    t = t_launch·repeats + max(roofline's terms, steps · 2·elements / (η_n·peak), bytes_l / (η_m·bandwidth_l) for each l)

η_n is the share of the class `mapped`, 1 where the machine states none.

Bytes of each level are those of the exact traffic law under the best mapping (see `picojoule.mapping`), which is
searched for with nominal prices as weights; so what comes back are counts, priced like those of every other level.
The attained shares stay: they stand for what no nest shows. Rows that no window touches are counted at the outermost
memory as the other levels count them: a tensor crosses it whole. Operators without MACs, and contractions that cannot be
mapped, are taken at the roofline, and the latter are named.

Left out: reuse between operators and between repeats, sums wider than results, what registers inside a MAC cost.
"""

from typing import TYPE_CHECKING

from picojoule.cost import Term
from picojoule.hardware import Action
from picojoule.quantity import product

from ._count import Outcome, add
from ._demand import Demand
from ._hierarchy import Bits, accelerator_of, array_of, constrained, seconds_per_step, unit_of, weights_of
from ._roofline import attained, roofline
from ._setting import Setting

if TYPE_CHECKING:
    from picojoule.mapping import Accelerator, Front, Optimum, Problem, Weights


def mapped(demand: Demand, setting: Setting) -> Outcome:
    """Actions and time terms of one operator under its best mapping."""
    base = roofline(demand, setting)
    array_of(setting.architecture)
    if not demand.macs:
        return base
    if demand.problem is None:
        return base._replace(note=demand.unmappable)
    from picojoule.mapping import NoMappingError, UnmappableError

    try:
        found, bits = best(demand, setting)
    except (NoMappingError, UnmappableError) as refusal:
        return base._replace(note=str(refusal))
    return _outcome(demand, setting, base, found, bits)


def best(demand: Demand, setting: Setting) -> "tuple[Optimum, Bits]":
    """The best mapping of a contraction. Raises NoMappingError, UnmappableError, InputError."""
    from picojoule.mapping import optimum

    problem, accelerator, weights, bits = _world(demand, setting)
    return optimum(problem, accelerator, weights, setting.search.objective), bits


def front(demand: Demand, setting: Setting) -> "Front":
    """The front of energy against cycles of a contraction. Raises as `best`."""
    from picojoule.mapping import pareto

    return pareto(*_world(demand, setting)[:3])


def _world(demand: Demand, setting: Setting) -> "tuple[Problem, Accelerator, Weights, Bits]":
    assert demand.problem is not None
    assert demand.bits is not None
    machine, bits = setting.architecture, demand.bits
    array = constrained(array_of(machine), setting.search.dataflow)
    accelerator = accelerator_of(machine, array, demand.problem, bits, demand.dtype)
    return demand.problem, accelerator, weights_of(machine, array, setting.technology, bits, demand.dtype), bits


def _outcome(demand: Demand, setting: Setting, base: Outcome, found: "Optimum", bits: Bits) -> Outcome:
    machine = setting.architecture
    share, label = attained(machine, demand)
    counts = {action: n for action, n in base.counts.items() if action[0] not in _memories(setting)}
    moved = _bytes(demand, setting, found, bits)
    outer = machine.memories[0].name
    for action in ("read", "write"):
        moved[outer, action] = max(moved.get((outer, action), 0), base.counts.get((outer, action), 0))
    terms = [*base.terms, _steps(demand, setting, found)]
    for memory in machine.memories:
        total = 0
        for action in ("read", "write"):
            n = moved.get((memory.name, action), 0)
            add(counts, (memory.name, action), n)
            total += n
        if memory.bandwidth is not None and total:
            seconds = total / (memory.bandwidth.nominal * share.memory.nominal)
            same = next((t for t in base.terms if t.resource == memory.name), None)
            key = same.key if same else f"{machine.name}.{memory.name}.bandwidth·{label}.memory"
            terms.append(Term(memory.name, seconds, key, same.rate if same else memory.bandwidth))
    return Outcome(counts, tuple(_slowest(terms)), base.overhead, found)


def _memories(setting: Setting) -> set[str]:
    return {memory.name for memory in setting.architecture.memories}


def _slowest(terms: list[Term]) -> list[Term]:
    """Of terms on the same resource that move together, the longest: the others never decide."""
    longest: dict[tuple[str, str], Term] = {}
    for term in terms:
        known = longest.get((term.resource, term.key))
        if known is None or term.seconds > known.seconds:
            longest[term.resource, term.key] = term
    return list(longest.values())


def _steps(demand: Demand, setting: Setting, found: "Optimum") -> Term:
    machine = setting.architecture
    array = array_of(machine)
    unit, native = unit_of(machine, array, demand.dtype)
    seconds = found.traffic.steps * demand.repeats * seconds_per_step(machine, array, demand.dtype)
    key, rate, share = f"{machine.name}.{unit.name}.{native}", unit.peak[native], machine.attained.get("mapped")
    if share is None:
        return Term("compute", seconds, key, rate)
    return Term("compute", seconds / share.compute.nominal, f"{key}·{machine.name}.attained.mapped.compute",
                product(rate, share.compute))  # fmt: skip


def _bytes(demand: Demand, setting: Setting, found: "Optimum", bits: Bits) -> dict[Action, int]:
    """Bytes of every memory and action in all repeats; tensors that the nest leaves out cross every memory once."""
    stores = {store.name: store.memory for store in array_of(setting.architecture).stores}
    in_bits: dict[Action, int] = {}
    for (level, role, action), n in found.traffic.counts.items():
        if stores[level]:
            add(in_bits, (stores[level], "read" if action == "read" else "write"), n * bits.of(role))
    moved = {action: -(-n * demand.repeats // 8) for action, n in in_bits.items()}
    for memory in setting.architecture.memories:
        if memory.group != "registers":
            add(moved, (memory.name, "read"), demand.left_bytes * demand.repeats)
    return moved
