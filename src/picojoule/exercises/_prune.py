"""Pruning of a data-flow graph: what no output needs, and what constants alone decide."""

from picojoule.workload import Graph, Operator, Workload, ops


def dead(net: Workload) -> tuple[Operator, ...]:
    """Operators that no output is computed from, in order: those not met on the way back from the outputs.

    A repeated operator may read what a later one wrote a step before, so the way back is walked until nothing is new.
    """
    needed = {net.tensors[name].root for name in net.outputs}
    alive: set[str] = set()
    before = -1
    while len(alive) > before:
        before = len(alive)
        for operator in reversed(net.operators):
            if any(net.tensors[a.tensor].root in needed for a in operator.outputs):
                alive.add(operator.name)
                needed |= {net.tensors[a.tensor].root for a in operator.inputs}
    return tuple(o for o in net.operators if o.name not in alive)


def constant(net: Workload) -> tuple[Operator, ...]:
    """Operators that read constants and results of constants only: their results can be computed once, before running."""
    known = {name for name, tensor in net.tensors.items() if tensor.role == "constant"}
    folded = []
    for operator in net.operators:
        if all(net.tensors[a.tensor].root in known for a in operator.inputs):
            folded.append(operator)
            known |= {net.tensors[a.tensor].root for a in operator.outputs}
    return tuple(folded)


def with_dead_nodes(net: Workload, nodes: int) -> Workload:
    """`net` with `nodes` operators more that nothing reads but each other, in chains of two."""
    g = Graph(net.name, batch=net.batch)
    g.tensors.update(net.tensors)
    g.operators.extend(net.operators)
    g.inputs, g.outputs = list(net.inputs), list(net.outputs)
    sources = [net.tensors[o.outputs[0].tensor] for o in net.operators]
    x = sources[0]
    for index in range(nodes):
        if index % 2 == 0:
            x = sources[index // 2 % len(sources)]
        x = ops.unary(g, "relu", x, name=f"dead{index + 1}")
    return g.workload()
