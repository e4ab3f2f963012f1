"""Mapping a contraction onto an accelerator: legality, the exact traffic law, and provably optimal mappings."""

from ._accelerator import Accelerator, Array, Level, SpatialAxis
from ._batch import Batch, batch
from ._cache import Cache, CacheTraffic, cache_curve, cache_traffic
from ._certificate import Potentials, certificate
from ._check import check
from ._convention import Convention
from ._engine import Engine
from ._latency import latency, port_cycles
from ._legality import Fault, IllegalMappingError, faults, require
from ._mapping import Loop, Mapping
from ._network import MappedNetwork, map_operators
from ._pareto import Front, Point, pareto
from ._ports import has_ports
from ._print import layer_dict, map_dict, nest_levels, nest_lines, text, traffic_lines
from ._problem import Operand, Problem, UnmappableError, contraction, problem_of
from ._search import NoMappingError, Optimum, optimum
from ._traffic import Traffic, traffic
from ._weights import Weights, cost, per_level

__all__ = [
    "Accelerator",
    "Array",
    "Batch",
    "Cache",
    "CacheTraffic",
    "Convention",
    "Engine",
    "Fault",
    "Front",
    "IllegalMappingError",
    "Level",
    "Loop",
    "MappedNetwork",
    "Mapping",
    "NoMappingError",
    "Operand",
    "Optimum",
    "Point",
    "Potentials",
    "Problem",
    "SpatialAxis",
    "Traffic",
    "UnmappableError",
    "Weights",
    "batch",
    "cache_curve",
    "cache_traffic",
    "certificate",
    "check",
    "contraction",
    "cost",
    "faults", "has_ports",
        "latency",
    "layer_dict",
    "map_dict",
    "map_operators",
    "nest_levels",
    "nest_lines",
    "optimum",
    "pareto",
    "per_level",
    "port_cycles",
    "problem_of",
    "require",
    "text",
    "traffic",
    "traffic_lines",
]  # fmt: skip
