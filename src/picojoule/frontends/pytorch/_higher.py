"""Higher-order operators: branches and loops whose bodies are graphs."""

from collections.abc import Mapping, Sequence
from typing import Any

from picojoule.workload import Work

from ._torch import torch


def run_higher(recorder: Any, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Count `cond` by its costliest branch, `while_loop` by one trip; what else there is runs as it is."""
    name = func.name() if callable(getattr(func, "name", None)) else str(func)
    if name == "cond":
        return _cond(recorder, *args, **kwargs)
    if name == "while_loop":
        return _while(recorder, *args, **kwargs)
    inner = next((a for a in args if isinstance(a, torch.nn.Module)), None)
    if inner is not None and name in ("wrap", "tag_activation_checkpoint", "invoke_subgraph", "wrap_with_set_grad_enabled",
                                      "wrap_with_autocast", "autograd_function_apply"):  # fmt: skip
        skip = args.index(inner) + 1
        with recorder:
            return inner(*(a for a in args[skip:] if not isinstance(a, str)))
    recorder.graph.uncounted.append((name, recorder.path or name))
    with recorder.unrecorded(), recorder:
        return func(*args, **kwargs)


def _cost(work: Work) -> tuple[int, int]:
    return work.macs, work.muls + work.adds + sum(n for _, n in work.special)


def _cond(recorder: Any, _: Any, true: Any, false: Any, operands: Any = ()) -> Any:
    """Both branches are recorded; the operators of the costlier stay."""
    graph = recorder.graph
    kept: tuple[Any, Any, Work] | None = None
    told = []
    for label, branch in (("true", true), ("false", false)):
        start = len(graph.operators)
        with recorder:
            out = branch(*operands)
        made = graph.operators[start:]
        del graph.operators[start:]
        work = sum((operator.total for operator in made), Work())
        told.append(f"{label}: {work.macs:,} MACs, {_cost(work)[1]:,} operations")
        if kept is None or _cost(work) > _cost(kept[2]):
            kept = (out, made, work)
    assert kept is not None  # two branches ran
    graph.operators.extend(kept[1])
    graph.notes.append(f"cond at {recorder.path or 'the top'}: the costliest branch is counted ({'; '.join(told)})")
    return kept[0]


def _while(recorder: Any, condition: Any, body: Any, carried: Any, extra: Any = ()) -> Any:
    """One trip: how many there are depends on data."""
    with recorder:
        condition(*carried, *extra)
        out = body(*carried, *extra)
    recorder.graph.notes.append(f"while_loop at {recorder.path or 'the top'}: one trip is counted")
    return out
