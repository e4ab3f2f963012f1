"""One file to one Workload."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from picojoule.quantity import InputError
from picojoule.workload import Workload

from ._initializers import Store
from ._interpret import Interpreter
from ._load import content, parsed
from ._memo import key_of, recall, remember
from ._session import Frame, OnnxGraph, Session
from ._shapes import Binding
from ._survey import survey
from ._text import dims, escaped
from ._value import Value, unknown
from .control import CONTROL

if TYPE_CHECKING:
    from onnx import ModelProto

KNOWN_OPSET: Final = 28


def read(path: Path, *, batch: int | None, seq: int | None, inputs: Mapping[str, Sequence[int]]) -> Workload:
    """Read `path`; whatever is wrong with it leaves as an InputError that names the file."""
    try:
        data, lengths = content(path)
        key = key_of(data, not lengths, path, batch, seq, inputs)
        known = recall(key)
        if known is not None:
            return known
        model = parsed(data, path)
        survey(model)
        reading = _Reading(model, lengths, path, batch, seq, inputs)
        workload = reading.run()
        if not reading.outside:
            remember(key, workload)
        return workload
    except InputError as error:
        where = path.name if not error.where or error.where == path.name else f"{path.name}: {error.where}"
        raise escaped(InputError(error.what, where=where, expected=error.expected, example=error.example)) from error
    except UnicodeDecodeError as error:
        raise InputError(
            "a name in the file is not UTF-8", where=path.name, expected="an undamaged ONNX model"
        ) from error
    except RecursionError as error:
        raise InputError("sub-graphs are nested too deeply", where=path.name, expected="less nesting") from error


class _Reading:
    def __init__(self, model: "ModelProto", lengths: Mapping[str, int], path: Path, batch: int | None, seq: int | None,
                 inputs: Mapping[str, Sequence[int]]) -> None:  # fmt: skip
        self.model, self.lengths, self.path = model, lengths, path
        self.outside = False  # whether the answer depends on other files
        self.binding = Binding(model.graph, inputs, batch, seq)

    def run(self) -> Workload:
        """The Workload, or a question for the shapes that are missing."""
        missing = [name for name in self.binding.declared if not self._known(name) and name not in self.binding.opaque]
        if missing:
            raise self._question(missing[0], missing[1:])
        try:
            session, store = self._walk()
        except InputError as error:
            if self.binding.batched:
                error.expected = (error.expected + "; " if error.expected else "") + (
                    f"note that batch {self.binding.batch} replaces a size that the file fixes, "
                    "which this graph may not allow"
                )
            raise
        g = session.g
        self._warn(session, store)
        self.outside = bool(store.external)
        session.finish()
        return g.workload()

    def _known(self, name: str) -> bool:
        shape = self.binding.shape(name)[0]
        return shape is not None and not [size for size in shape if not isinstance(size, int)]

    def _walk(self) -> tuple[Session, Store]:
        """Run the graph; inputs of unknown shape stay unknown."""
        g = OnnxGraph(self.path.stem, batch=max(1, self.binding.samples()))
        session = Session(g, self.binding.symbols)
        session.reshaped = self.binding.changed
        session.functions = {("" if f.domain == "ai.onnx" else f.domain, f.name): f for f in self.model.functions}
        store = Store(session, self.path, self.lengths)
        frame = Frame(versions={"" if o.domain == "ai.onnx" else o.domain: o.version for o in self.model.opset_import})
        for name in self.binding.declared:
            frame.values[name] = self._input(g, name)
        interpreter = Interpreter(session, store, CONTROL)
        graph = self.model.graph
        self._refuse_doubles()
        results = interpreter.graph(graph, frame, ())
        for info, value in zip(graph.output, results, strict=True):
            if value.shape is not None:
                g.output(session.tensor(value, info.name))
        return session, store

    def _input(self, g: OnnxGraph, name: str) -> Value:
        shape, dtype = self.binding.shape(name)
        sizes = tuple([size for size in shape or () if isinstance(size, int)])
        if shape is None or len(sizes) != len(shape):
            return unknown(dtype)
        value = Value(sizes, dtype, g.input(name, sizes, dtype))
        number = self.binding.values.get(name)
        if number is not None:
            value.data = np.asarray(number[0], dtype=bool if dtype == "bool" else np.int64).reshape(sizes)
            g.notes.append(f"input {name} has the value {number[0]}")
        if 0 in sizes:
            g.warnings.append(f"input {name} has a zero dimension")
        return value

    def _refuse_doubles(self) -> None:
        names = [proto.name for proto in self.model.graph.initializer]
        if len(set(names)) == len(names):
            return
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise InputError(f"initializer {name!r} is written twice", expected="every name once")
            seen.add(name)

    def _warn(self, session: Session, store: Store) -> None:
        g = session.g
        graph = self.model.graph
        if not graph.node:
            g.warnings.append("graph has no nodes")
        versions = {o.domain: o.version for o in self.model.opset_import}
        opset = versions.get("", versions.get("ai.onnx", 0))
        if opset > KNOWN_OPSET:
            g.warnings.append(f"opset {opset} is newer than known ({KNOWN_OPSET}); the counts are unverified")
        if not self.model.opset_import and graph.node:
            g.warnings.append("the file names no opset; the newest is assumed")
        g.warnings += store.short[:20]
        if len(store.short) > 20:
            g.warnings.append(f"{len(store.short) - 20} more tensors hold less data than they declare")
        g.notes += store.notes()
        unused = [v for v in session.parameters.values() if v.tensor is None and v.elements > 1 and v.data is None]
        if unused:
            g.notes.append(f"{len(unused)} stored tensors ({sum(v.elements for v in unused)} elements) are read by no "
                           "operator and not counted")  # fmt: skip

    def _question(self, name: str, others: Sequence[str]) -> InputError:
        """Ask for the shape of `name`, and say what is known without it."""
        session, _ = self._walk()
        session.finish()
        shape = self.binding.shape(name)[0]
        count = session.parameter_count()
        symbols = list({size: 0 for n in (name, *others) for size in self.binding.shape(n)[0] or ()
                          if isinstance(size, str)})  # fmt: skip
        if shape is None:
            what = f"input {name!r} has no shape"
        else:
            what = f"input {name!r} has the shape {name}{dims(shape)}, which is not all numbers"
        if symbols:
            what += f" (symbols {', '.join(symbols)})"
        if others:
            what += f"; so have {', '.join(repr(o) for o in others[:8])}{' and more' if len(others) > 8 else ''}"
        what += f"; without shapes only the parameters are known: {count}"
        likely = shape if shape is not None else self._likely(name)
        options = [self.binding.example(n, likely if n == name else self.binding.shape(n)[0])
                   for n in (name, *others[:3])]  # fmt: skip
        shown = dims(likely) if likely is not None else "[N,3,H,W]"
        return InputError(what, expected=f"the sizes of {name}{shown} as numbers", example=" ".join(options))

    def _likely(self, name: str) -> Sequence[int | str | None] | None:
        """A guess at the shape of an input without one, from the first convolution or product that reads it."""
        weights = {t.name: tuple(t.dims) for t in self.model.graph.initializer}
        for node in self.model.graph.node:
            if name not in node.input or len(node.input) < 2 or node.input[1] not in weights:
                continue
            weight = weights[node.input[1]]
            if node.op_type == "Conv" and len(weight) > 2:
                groups = next((a.i for a in node.attribute if a.name == "group"), 1)
                letters = ("D", "H", "W")[-(len(weight) - 2) :] if len(weight) <= 5 else ("?",) * (len(weight) - 2)
                return ("N", weight[1] * groups, *letters)
            if node.op_type in ("MatMul", "Gemm") and len(weight) == 2:
                turned = any(a.name == "transB" and a.i for a in node.attribute)
                return ("N", weight[1] if turned else weight[0])
        return None
