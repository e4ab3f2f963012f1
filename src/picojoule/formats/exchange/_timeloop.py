"""Timeloop's files together: architecture, problem, mapping, energies and stats, in one file or in several."""

import itertools
from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from picojoule.mapping import Accelerator, Array, Convention, Level, Mapping, SpatialAxis, Weights
from picojoule.mapping.peers import Nest, Prices, Replay, Sparse, replay_timeloop
from picojoule.quantity import InputError

from ._document import Node
from ._machine import machine, mapping_of, weights_of
from ._timeloop_architecture import Component, read_architecture
from ._timeloop_mapping import innermost_loop, read_mapping, roles_kept
from ._timeloop_output import Stats, read_prices
from ._timeloop_problem import NamedProblem, read_problem
from ._timeloop_sparse import read_sparse, targets_of

SECTIONS: Final = ("architecture", "problem", "mapping", "ERT")
_UNUSED: Final = (
    "mapper", "mapspace", "mapspace_constraints", "globals", "variables", "compound_components", "components", "ART",
    "ERT_summary", "ART_summary", "dumped_by_timeloop_front_end", "constraints", "architecture_constraints",
)  # fmt: skip
_TENSORS: Final = {"input": "Inputs", "weight": "Weights", "output": "Outputs"}


@dataclass(slots=True)
class TimeloopFiles:
    """Sections of Timeloop's files, read when asked for."""

    sections: dict[str, Node] = field(default_factory=dict)
    constraints: Node | None = None
    optimizations: Node | None = None  # sparse ones, if there are any
    stats: Stats | None = None
    left_out: set[str] = field(default_factory=set)
    file: str = ""
    alone: bool = False  # does the mapping fill its file?
    _components: list[Component] = field(default_factory=list)

    def add(self, node: Node) -> None:
        """One YAML file."""
        self.file = self.file or node.document.file
        for key, child in node.mapping().pairs():
            if key == "sparse_optimizations":
                if self.optimizations is not None and child.value != self.optimizations.value:
                    raise child.refusal("a second sparse_optimizations", "each once")
                self.optimizations = child if targets_of(child) else self.optimizations
            elif key in SECTIONS:
                self._add(key, child, alone=len(node.keys) == 1)
            elif key in _UNUSED:
                if child.value not in (None, {}, [], True):
                    self.left_out.add(key)
                if key == "architecture_constraints":
                    self.constraints = child.get("targets") if isinstance(child.value, dict) else None
            elif key in ("arch", "workload"):
                raise child.refusal(f"{key!r}: files before version 0.3 are not read", f"one of {', '.join(SECTIONS)}")
            else:
                raise child.refusal(f"the section {key!r} is not known", f"one of {', '.join(SECTIONS)}")

    def _add(self, key: str, child: Node, alone: bool) -> None:
        """A section once; but a mapping that fills its file is the answer to one in the input of a mapper."""
        other = self.sections.get(key)
        if other is None or other.value == child.value:
            self.sections.setdefault(key, child)
        elif key == "mapping" and alone != self.alone:
            self.left_out.add("the mapping in the mapper's input")
            self.sections[key] = child if alone else other
        else:
            raise child.refusal(f"a second {key}; the first stands at {other.where}", "each once")
        if key == "mapping":
            self.alone |= alone

    def _section(self, name: str) -> Node:
        if name not in self.sections:
            raise InputError(f"no {name} in the files", where=self.file, expected=f"a file with the section {name}")
        return self.sections[name]

    @property
    def components(self) -> list[Component]:
        """The architecture, outermost first."""
        if not self._components:
            self._components = read_architecture(self._section("architecture"), self.left_out)
        return self._components

    def problem(self) -> NamedProblem:
        """The problem with Timeloop's names."""
        named = read_problem(self._section("problem"), self.left_out)
        if named.densities is not None and self.optimizations is None:
            self.left_out.add("densities (without sparse_optimizations every word is counted)")
        return named

    def sparse(self, named: NamedProblem) -> Sparse | None:
        """What zeros save; None without sparse optimizations."""
        if self.optimizations is None:
            return None
        innermost = innermost_loop(self._section("mapping"), self.components, named)
        return read_sparse(targets_of(self.optimizations), named, self.components, innermost)

    def nest(self) -> Nest:
        """The mapping as a nest, meshes as stages that keep nothing."""
        return read_mapping(self._section("mapping"), self.components, self.problem(), self.constraints)

    def prices(self) -> Prices | None:
        """Joules by (level, role, action); None without an energy reference table."""
        if "ERT" not in self.sections:
            return None
        return read_prices(
            self.sections["ERT"], self.components, tuple(_TENSORS), self.left_out, self.optimizations is not None
        )

    def bandwidths(self) -> dict[tuple[str, str], float]:
        """Words per cycle and instance by (level, read or write), where stated."""
        return {
            (one.name, port): rate
            for one in self.components[:-1]
            for port in ("read", "write")
            if one.kind == "storage" and (rate := one.rate(f"{port}_bandwidth")) is not None
        }

    def accelerator(self, named: NamedProblem | None = None) -> Accelerator:
        """The machine for our search; refused by name where it has more than one array.

        Timeloop's capacities are words, of any width: all roles get the outermost level's word here, so that a tile
        fits where it fits there.
        """
        if self.optimizations is not None:
            raise self.optimizations.refusal(
                "sparse optimizations are not searched", "a dense machine, without them (a replay counts them)"
            )
        components, tensors = self.components, named.tensors if named else dict(_TENSORS)
        kept = roles_kept(components, self.constraints, tensors)
        bits = components[0].word_bits or 1
        levels: list[Level] = []
        below, axes = components[0].name, tuple[SpatialAxis, ...]()
        dims = named.problem.dims if named else tuple("NKCPQRS")
        for one, inner in itertools.pairwise(components):
            if one.kind == "storage":
                may, must = kept[one.name]
                keeps = tuple(tensors) if not levels else tuple(role for role in tensors if role in may)
                size = one.size_words
                levels.append(Level(
                    one.name, keeps, None if size is None else size * bits,
                    optional=() if not levels else tuple(role for role in keeps if role not in must),
                    read_bandwidth=one.rate("read_bandwidth"), write_bandwidth=one.rate("write_bandwidth"),
                    double_buffered=(one.whole("multiple_buffering") or 1) > 1,
                ))  # fmt: skip
            if inner.instances == one.instances:
                continue
            if axes and below != levels[-1].name:
                raise inner.node.refusal(
                    f"a second array below {levels[-1].name}, the first stands below {below}",
                    "one array for the search (a replay takes any number)",
                )
            if inner.columns % one.columns or inner.rows % one.rows:
                raise inner.node.refusal(f"the mesh of {inner.name} is no multiple of {one.name}'s", "meshX and meshY")
            below = levels[-1].name
            for name, size in (("x", inner.columns // one.columns), ("y", inner.rows // one.rows)):
                if size > 1:
                    axes = (*axes, SpatialAxis(f"{one.name}.{name}", size, dims))
        widths = {one.word_bits for one in components[:-1] if one.kind == "storage"}
        if len(widths) > 1:
            self.left_out.add("words of different widths (capacities are kept in words)")
        name = Path(self._section("architecture").document.file).stem
        return machine(name, levels, Array(below, axes), dict.fromkeys(tensors, bits),
                       self._section("architecture"))  # fmt: skip

    def weights(self, accelerator: Accelerator) -> Weights | None:
        """Joules per word; None without energies. Refused where instances share accesses: then a word has no price."""
        prices = self.prices()
        if prices is not None and prices.clusters:
            raise self._section("architecture").refusal(
                f"instances of {', '.join(prices.clusters)} share accesses in clusters", "cluster_size: 1, for prices"
            )
        return None if prices is None else weights_of(accelerator, prices)

    def mapping(self) -> Mapping:
        """The mapping on `accelerator()`."""
        return mapping_of(self.nest(), self.accelerator(self.problem()), self._section("mapping"))

    def replay(self, convention: Convention | None = None) -> Replay:
        """Ours and theirs."""
        named, nest = self.problem(), self.nest()
        printed = self.stats.printed(named.tensors, [stage.name for stage in nest.stages]) if self.stats else None
        prices, sparse = self.prices(), self.sparse(named)
        try:
            return replay_timeloop(
                named.problem.name, nest, named.tensors, convention, printed, prices, sorted(self.left_out),
                self.bandwidths(), sparse,
            )  # fmt: skip
        except ValueError as error:
            raise self._section("mapping").refusal(str(error), "a mapping that this convention counts") from None


def timeloop_keys(keys: Sequence[str]) -> bool:
    """Are these the sections of a Timeloop file?"""
    known: Map[str, None] = dict.fromkeys((*SECTIONS, *_UNUSED, "arch", "sparse_optimizations"))
    return any(key in known for key in keys)
