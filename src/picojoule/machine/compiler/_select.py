"""Graph to kernels: layouts, views and fusion.

Every value may be stored "plain", row after row as ONNX has it, and "last", channels last; a value in the other layout
is a copy, worked out at compile time for constants. Transposes and slices are views until something needs the bytes.
An element-by-element node joins the kernel that wrote its latest operand, if all its other operands are older.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from picojoule.quantity import InputError

from ._graph import Array, Graph, Node, Shape, as_float32, scalar
from ._kernel import Body, Copy, Cpu, Kernel, Place, Plane, Strided, packed
from ._tile import BodyPlan

PERMUTE = {2: (0, 1), 3: (0, 2, 1), 4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}
Emit = Callable[[Body, Sequence[int | float]], int]


class UnsupportedError(Exception):
    """Why the processor cannot run a node."""


@dataclass(frozen=True, slots=True)
class View:
    """Elements of `base` at `offset` + index·strides."""

    base: str
    offset: int
    shape: Shape
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operand:
    """What a step reads: a number, or a register's worth of a stored tensor."""

    kind: str  # imm, full, row, col
    store: str = ""
    imm: float = 0.0
    place: Place | None = None


class Selector:
    """Kernels in the making. `forms` gives the stored tensor of (value, layout), `home` the kernel that writes it."""

    def __init__(self, graph: Graph, nram: int) -> None:
        self.graph, self.nram = graph, nram
        self.kernels: list[Kernel] = []
        self.forms: dict[tuple[str, str], str] = {(name, "plain"): name for name in graph.inputs}
        self.home: dict[str, int] = dict.fromkeys(graph.inputs, -1)
        self.views: dict[str, View] = {}
        self.constants: dict[str, Array] = {}
        self.shapes: dict[str, Shape] = {name: graph.shape(name) for name in graph.inputs}
        self.explain: list[str] = []
        self.count = 0

    # Stored tensors ----------------------------------------------------------------------------------------------

    def fresh(self, base: str) -> str:
        """A name that no stored tensor has."""
        name = base
        while name in self.home or name in self.constants or name in self.graph.shapes:
            self.count += 1
            name = f"{base}#{self.count}"
        return name

    def constant(self, name: str, made: str, array: Array) -> str:
        """A stored constant, `made` saying what was done to it; another one if that name has another content."""
        key, content = f"{name}!{made}", as_float32(array)
        known = self.constants.get(key)
        if known is not None and known.shape == content.shape and np.array_equal(known, content, equal_nan=True):
            return key
        key = self.fresh(key)
        self.constants[key] = content
        self.home[key] = -1
        self.shapes[key] = array.shape
        return key

    def value(self, name: str, layout: str = "plain") -> str:
        """The stored tensor of a value in a layout, made now if need be. It may be a view."""
        found = self.forms.get((name, layout))
        if found is not None:
            return found
        shape = self.graph.shape(name)
        order = PERMUTE.get(len(shape), tuple(range(len(shape))))
        if name in self.graph.constants:
            array = self.graph.constants[name]
            key = self.constant(name, layout, array.transpose(order) if layout == "last" else array)
        else:
            other = "plain" if layout == "last" else "last"
            source = self.forms.get((name, other))
            if source is None:
                raise InputError(f"{name!r} is made by nothing", where=self.graph.name, expected="a valid graph")
            turn = order if layout == "last" else tuple(int(i) for i in np.argsort(order))
            given = shape if layout == "last" else tuple(shape[i] for i in order)
            key = self.turned(source, given, turn)
        self.forms[name, layout] = key
        return key

    def view_of(self, store: str, shape: Shape) -> View:
        """A stored tensor as a view of `shape`."""
        known = self.views.get(store)
        if known is None:
            return View(store, 0, shape, packed(shape))
        if known.shape == shape:
            return known
        return View(self.solid(store), 0, shape, packed(shape))

    def turned(self, store: str, shape: Shape, order: Sequence[int]) -> str:
        """A transpose: the tensor itself where only axes of size 1 move, else a view."""
        moved = [i for i in order if shape[i] != 1]
        if moved == sorted(moved):
            return store
        view = self.view_of(store, shape)
        turned = View(view.base, view.offset, tuple(shape[i] for i in order), tuple(view.strides[i] for i in order))
        return self.new_view(store, turned)

    def new_view(self, store: str, view: View) -> str:
        """A name for a view."""
        key = self.fresh(store)
        self.views[key] = view
        self.home[key] = self.home[view.base]
        self.shapes[key] = view.shape
        return key

    def solid(self, store: str) -> str:
        """The tensor with its bytes packed: a view is copied now, once."""
        view = self.views.pop(store, None)
        if view is None:
            return store
        if view.base in self.constants:
            flat = self.constants[view.base].reshape(-1)
            strides = tuple(4 * s for s in view.strides)
            self.constants[store] = np.ascontiguousarray(
                np.lib.stride_tricks.as_strided(flat[view.offset :], view.shape, strides)
            )
            return store
        dims = tuple(zip(view.shape, view.strides, packed(view.shape), strict=True))
        piece = Strided(Place(view.base, view.offset), Place(store), dims)
        self.add(Copy(f"copy {store}", Body(1, prod(view.shape)), [], (piece,)), store, view.shape)
        return store

    def plane(self, store: str, m: int, n: int) -> Place:
        """m rows of n numbers of a stored tensor, with one stride; copied first where its view has none."""
        view = self.views.get(store)
        if view is None:
            return Place(store, 0, n)
        if prod(view.shape) == m * n:
            columns, axis = 1, len(view.shape)
            while axis and columns < n and (view.shape[axis - 1] == 1 or view.strides[axis - 1] == columns):
                axis -= 1
                columns *= view.shape[axis]
            rows = [(s, t) for s, t in zip(view.shape[:axis], view.strides[:axis], strict=True) if s > 1]
            even = all(stride >= n for _, stride in rows) and all(
                rows[i][1] == rows[i + 1][0] * rows[i + 1][1] for i in range(len(rows) - 1)
            )
            if columns == n and even:
                return Place(view.base, view.offset, rows[-1][1] if rows else n)
        return Place(self.solid(store), 0, n)

    def add(self, kernel: Kernel, store: str = "", shape: Shape = ()) -> int:
        """One more kernel, writing `store`."""
        self.kernels.append(kernel)
        if store:
            self.home[store] = len(self.kernels) - 1
            self.shapes[store] = shape
        return len(self.kernels) - 1

    def bind(self, name: str, layout: str, store: str) -> None:
        """Say where a value is."""
        self.forms[name, layout] = store

    def made(self, node: Node, kernel: Kernel, layout: str, register: int, output: str = "") -> str:
        """A value that is a register of a kernel."""
        name = output or node.outputs[0]
        store = name if (name not in self.home) else self.fresh(name)
        kernel.body.known[store] = register
        kernel.nodes.append(node)
        where = next(i for i in range(len(self.kernels) - 1, -1, -1) if self.kernels[i] is kernel)
        self.home[store] = where
        self.shapes[store] = self.graph.shape(name)
        self.bind(name, layout, store)
        return store

    # Element by element ------------------------------------------------------------------------------------------

    def layout_of(self, names: Sequence[str], shape: Shape) -> str:
        """Channels last if some operand of the whole shape is stored so."""
        whole = [n for n in names if n not in self.graph.constants and self.graph.shape(n) == shape]
        for name in whole or [n for n in names if n not in self.graph.constants]:
            if (name, "plain") not in self.forms:
                return "last"
            if len(shape) >= 3 and (name, "last") in self.forms and self.views.get(self.forms[name, "last"]) is None:
                return "last"
        return "plain"

    def elementwise(self, node: Node, names: Sequence[str], emit: Emit) -> None:
        """A node that works element by element on `names`."""
        shape = self.graph.shape(node.outputs[0])
        layout = self.layout_of(names, shape)
        order = PERMUTE.get(len(shape), tuple(range(len(shape)))) if layout == "last" else tuple(range(len(shape)))
        laid = tuple(shape[i] for i in order)
        operands = [self.operand(name, shape, order, layout) for name in names]
        if not any(one.kind == "full" for one in operands):
            first = next(i for i, one in enumerate(operands) if one.kind != "imm")
            operands[first] = Operand("full", self.expanded(names[first], shape, order, layout))
        m, n = prod(laid[:-1]), (laid[-1] if laid else 1)
        operands = [self._placed(one, m, n) for one in operands]
        self.join(node, layout, m, n, operands, emit)

    def operand(self, name: str, shape: Shape, order: Sequence[int], layout: str) -> Operand:
        """How one operand is spread over the result."""
        number = scalar(self.graph, name)
        if number is not None:
            return Operand("imm", imm=number)
        own = self.graph.shape(name)
        aligned = (1,) * (len(shape) - len(own)) + own
        laid, out = tuple(aligned[i] for i in order), tuple(shape[i] for i in order)
        same_rank = len(own) == len(shape)
        if laid == out:
            return Operand("full", self.value(name, layout if same_rank else "plain"))
        if prod(laid[:-1]) == 1 and laid[-1] == out[-1]:
            if name in self.graph.constants:
                return Operand("row", self.constant(name, "flat", self.graph.constants[name].reshape(-1)))
            return Operand("row", self.solid(self.value(name, "last" if (name, "last") in self.forms else "plain")))
        if laid[:-1] == out[:-1] and laid[-1] == 1 and same_rank:
            return Operand("col", self.solid(self.value(name, layout)))
        return Operand("full", self.expanded(name, shape, order, layout))

    def expanded(self, name: str, shape: Shape, order: Sequence[int], layout: str) -> str:
        """An operand written out to the shape of the result."""
        laid = tuple(shape[i] for i in order)
        if name in self.graph.constants:
            array = np.broadcast_to(self.graph.constants[name], shape).transpose(order)
            return self.constant(name, f"{layout} {'x'.join(map(str, shape))}", array)
        own = self.graph.shape(name)
        view = self.view_of(self.value(name, "plain"), own)
        strides = (0,) * (len(shape) - len(own)) + tuple(
            0 if size == 1 else stride for size, stride in zip(own, view.strides, strict=True)
        )
        return self.solid(self.new_view(name, View(view.base, view.offset, laid, tuple(strides[i] for i in order))))

    def _placed(self, one: Operand, m: int, n: int) -> Operand:
        """A view with the place of its planes, or copied where it has none."""
        return replace(one, place=self.plane(one.store, m, n)) if one.store in self.views else one

    def join(self, node: Node, layout: str, m: int, n: int, operands: Sequence[Operand], emit: Emit) -> None:
        """Into the kernel of the latest operand where that is allowed, else into a new one."""
        homes = [self.home[one.store] for one in operands if one.kind != "imm"]
        kernel = self.kernels[max(homes)] if homes and max(homes) >= 0 else None
        if kernel is not None:
            registers = self._registers(kernel, max(homes), m, n, operands)
            if registers is not None:
                if kernel.nodes:
                    self.explain.append(f"fused {node.name} ({node.op}) into {kernel.name}")
                self.made(node, kernel, layout, emit(kernel.body, registers))
                return
        plane = Plane(node.name, Body(m, n))
        self.add(plane)
        found = self._registers(plane, len(self.kernels) - 1, m, n, operands)
        assert found is not None
        self.made(node, plane, layout, emit(plane.body, found))

    def _registers(self, kernel: Kernel, home: int, m: int, n: int,
                   operands: Sequence[Operand]) -> list[int | float] | None:  # fmt: skip
        """The operands as registers of a kernel, or None if it cannot have them."""
        body = kernel.body
        if isinstance(kernel, Copy | Cpu):
            return None
        if (m, n) != (body.m, body.n) and any(one.store in self.views for one in operands):
            return None
        if (m, n) == (body.m, 1) and n != body.n:
            operands = [Operand("col", one.store, one.imm) if one.kind == "full" else one for one in operands]
            if not all(one.kind in ("imm", "col") for one in operands):
                return None
        elif (m, n) != (body.m, body.n) and (
            m * n != body.m * body.n or any(one.kind not in ("full", "imm") for one in operands)
        ):
            return None
        if body.whole and BodyPlan(body, False).bytes(1, body.n) > self.nram // 2:
            return None  # a row with more operands might not fit
        for one in operands:
            if one.kind == "imm":
                continue
            known = body.known.get(one.store)
            if known is not None and body.kinds[known] != one.kind:
                return None
            if known is None and self.home[one.store] >= home:
                return None
        found: list[int | float] = []
        for one in operands:
            if one.kind == "imm":
                found.append(one.imm)
            elif one.store in body.known:
                found.append(body.known[one.store])
            elif one.kind == "full":
                place = one.place if one.store in self.views else None
                found.append(body.load("full", place or Place(one.store, 0, body.n)))
            else:
                found.append(body.load(one.kind, Place(one.store)))
        return found

    # The end -----------------------------------------------------------------------------------------------------

    def finish(self) -> list[str]:
        """Have the outputs stored plain, and every register stored that another kernel reads; the outputs' tensors."""
        outs = [self.solid(self.value(name, "plain")) for name in self.graph.outputs]
        needed = {name for kernel in self.kernels for name in kernel.reads()} | set(outs)
        for kernel in self.kernels:
            for store, register in kernel.body.known.items():
                if store in needed and not any(p.tensor == store for p in kernel.body.stores.values()):
                    # a register of two names is copied: each is stored once
                    again = register in kernel.body.stores
                    kernel.body.stores[kernel.body.step("copy", register) if again else register] = Place(store)
        kept, needed = list[Kernel](), set(outs)
        for kernel in reversed(self.kernels):
            if any(name in needed for name in kernel.writes()):
                needed.update(kernel.reads())
                kept.append(kernel)
        self.kernels = kept[::-1]
        return outs


def apply(body: Body, fn: str, a: int | float, b: int | float) -> int:
    """fn(a, b) of registers and numbers of any kinds."""
    if isinstance(a, float):
        if isinstance(b, float):
            raise UnsupportedError("it joins two numbers")
        if fn == "sub":
            return body.step("add", body.step("mul", b, imm=-1.0), imm=a)
        if fn == "div":
            return body.step("div", body.step("fill", imm=a, kind=body.kinds[b]), b)
        return body.step(fn, b, imm=a)
    if isinstance(b, float):
        return body.step(fn, a, imm=b)
    if body.kinds[a] != "full" and body.kinds[b] == "full":
        if fn == "sub":
            return body.step("add", body.step("mul", b, imm=-1.0), a)
        if fn == "div":
            zero = body.step("fill", imm=0.0, kind="full")
            return body.step("div", body.step("add", zero, a), b)
        return body.step(fn, b, a)
    return body.step(fn, a, b)
