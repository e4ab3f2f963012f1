"""A job result as picojoule/job-result/1: SI units in the names, stable keys."""

from typing import TYPE_CHECKING, Any, Final

from picojoule.cost import Interval, interval

if TYPE_CHECKING:  # a job is loaded by those who have one
    from picojoule.lifecycle import JobResult, PartCost, StageCost

JOB_SCHEMA: Final = "picojoule/job-result/1"


def job_json(result: "JobResult") -> dict[str, Any]:
    """Stages, what waits, totals; the nominal energies of all rows add up to the total."""
    job, conversion = result.job, result.conversion_j
    return {
        "schema": JOB_SCHEMA,
        "job": job.name,
        "level": job.level,
        "batch": job.batch,
        "epochs": job.epochs,
        "items": job.data.items,
        "data_bytes": job.data.total_bytes,
        "scope": result.scope,
        "energy_j": _interval(result.total_energy_j),
        "time_s": _interval(result.total_time_s),
        "devices": [
            {"name": d.name, "hardware": d.architecture.name, "title": d.architecture.title, "count": d.count}
            for d in job.devices.values()
        ],
        "stages": [_stage(stage, result) for stage in result.stages],
        "idle": [
            {"name": row.name, "energy_j": _interval(interval(row.energy_j)), "time_s": _interval(interval(row.time_s))}
            for row in result.idle
        ],
        "conversion_j": None if conversion is None else _interval(interval(conversion)),
        "blocks": [{"stages": list(block.stages), "items": block.items} for block in job.blocks],
        "bottleneck": result.bottleneck,
        "draws": result.draws,
        "seed": result.seed,
        "sources": sources(result),
        "notes": list(result.notes),
    }


def sources(result: "JobResult") -> list[str]:
    """Every source that a price or a rate of the job names, in order of first use."""
    costs = [part.cost for stage in result.stages for part in stage.parts]
    values = [value for cost in costs for value in (*cost.prices.values(), *cost.rates.values())]
    values += [v for d in result.job.devices.values() for k, v in d.technology.prices.items() if k == "static.leak"]
    return list(dict.fromkeys(name for value in values for name in value.source.split(" + ")))


def _stage(stage: "StageCost", result: "JobResult") -> dict[str, Any]:
    return {
        "name": stage.name,
        "kind": stage.stage.kind,
        "device": stage.stage.device or None,
        "energy_j": _interval(interval(stage.energy_j)),
        "dynamic_j": float(stage.dynamic_j[0]),
        "static_j": float(stage.static_j[0]),
        "time_s": _interval(interval(stage.time_s)),
        "share": result.shares[stage.name],
        "macs": stage.macs,
        "parts": [_part(part) for part in stage.parts],
        "notes": list(stage.notes),
    }


def _part(part: "PartCost") -> dict[str, Any]:
    return {
        "name": part.name,
        "energy_j": _interval(interval(part.energy_j)),
        "time_s": _interval(interval(part.time_s)),
        "hidden_s": float(part.hidden_s[0]),
        "actions": {".".join(action): count for action, count in part.counts.items()},
    }


def _interval(value: Interval) -> dict[str, float]:
    return {"nominal": value.nominal, "low": value.low, "high": value.high}
