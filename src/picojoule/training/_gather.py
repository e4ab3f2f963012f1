"""Gradients that several readers of one tensor send back, gathered: slices joined, the rest added."""

from dataclasses import dataclass, replace

from picojoule.workload import PARAMETER_ROLES, Access, Operator, Tensor, Work, Workload

from ._draft import axes_of, space_of


@dataclass(frozen=True, slots=True)
class Part:
    """A gradient of `elements` of a storage, written `repeats` times. `filled`: a slice's comes with zeros around."""

    name: str
    elements: int
    repeats: int
    filled: bool = False

    @property
    def cover(self) -> int:
        """Elements of all repeats."""
        return self.elements * self.repeats


class Gatherer:
    """Tensors and operators of the backward pass, and the gradients that have arrived at each storage."""

    def __init__(self, net: Workload, gradient: str) -> None:
        self.tensors: dict[str, Tensor] = dict(net.tensors)
        self.operators: list[Operator] = []
        self.parts: dict[str, list[Part]] = {}
        self.gradient = gradient
        self._names: dict[str, int] = {}

    def fresh(self, name: str) -> str:
        """`name`, or `name#2`, `name#3`, … if it was given out before."""
        seen = self._names.get(name, 0)
        self._names[name] = seen + 1
        return name if seen == 0 else f"{name}#{seen + 1}"

    def made(self, tensor: Tensor) -> Tensor:
        """`tensor`, kept."""
        self.tensors[tensor.name] = tensor
        return tensor

    def dtype_of(self, x: Tensor) -> str:
        """The format of a gradient of `x`: its own, or for parameters the one asked for."""
        return self.gradient if self.gradient and x.role in PARAMETER_ROLES else x.dtype

    def seen(self, name: str, shape: tuple[int, ...], stored: int) -> str:
        """`name` in another shape: a view, or `name` itself."""
        tensor = self.tensors[name]
        if tensor.shape == shape and tensor.stored_elements == stored:
            return name
        label = self.fresh(f"{tensor.root}:view")
        return self.made(Tensor(label, shape, tensor.dtype, tensor.role, tensor.root, stored)).name

    def add(self, root: str, a: str, b: str, elements: int, repeats: int, path: str, *, last: bool = False) -> str:
        """a + b of `elements`, each of `repeats` times; the `last` sum is the gradient itself.

        A parameter's gradient is summed in place of `a`, unless that is a view of something else.
        """
        name = self.fresh(f"{root}.grad" if last else f"{root}.grad:sum")
        base = self.tensors[root]
        shape = base.shape if base.elements == elements else (elements,)
        first = self.tensors[a]
        place = first.name if base.role in PARAMETER_ROLES and not first.base and first.elements == elements else ""
        total = self.made(Tensor(name, shape, self.dtype_of(base), base=place))
        reads = tuple(Access(n, self._axes(n, shape), min(elements, self.tensors[n].stored_elements)) for n in (a, b))
        self._record(f"{root}.accumulate", "accumulate", "elementwise", shape, reads, total, Work.of(adds=elements),
                     repeats, path)  # fmt: skip
        return name

    def summed(self, x: Tensor, gradient: Tensor, repeats: int, path: str) -> Tensor:
        """The gradient of an expanded view, summed to what is stored."""
        base = self.tensors[x.root]
        stored = x.stored_elements
        shape = base.shape if base.elements == stored else (stored,)
        out = self.made(Tensor(self.fresh(f"{x.root}.grad:part"), shape, gradient.dtype))
        read = Access(gradient.name, axes_of(gradient.shape), min(gradient.elements, gradient.stored_elements))
        operator = Operator(self.fresh(f"{x.root}.sum_to_shape"), "sum_to_shape", "reduce", path,
                            space_of(gradient.shape), (read,), (Access(out.name, ((),) * len(shape), stored),),
                            Work.of(adds=gradient.elements - stored), repeats)  # fmt: skip
        self.operators.append(operator)
        return out

    def gathered(self, root: str, repeats: int = 1, path: str = "") -> str:
        """All that has arrived at `root`, which is written `repeats` times, as one gradient of its shape."""
        base = self.tensors[root]
        elements = base.stored_elements
        layers = self._layers(root, self.parts.pop(root), elements, repeats, path)
        total = layers[0].name
        for place, layer in enumerate(layers[1:], 2):
            total = self.add(root, total, layer.name, elements, repeats, path, last=place == len(layers))
        tensor = self.tensors[total]
        expanded = tensor.stored_elements < elements
        return self.seen(total, base.shape, tensor.stored_elements if expanded else elements)

    def _layers(self, root: str, parts: list[Part], elements: int, repeats: int, path: str) -> list[Part]:
        """Whole gradients of `root`: those that arrived whole, slices joined into wholes, the rest filled up."""
        extent = elements * repeats
        wholes: list[Part] = []
        slices: list[Part] = []
        for part in parts:
            if part.elements >= elements and part.repeats >= repeats:
                wholes.append(self._over_steps(root, part, elements, repeats, path))
            elif part.cover == extent and part.repeats <= repeats:
                wholes.append(part)  # all steps at once
            elif part.filled:
                wholes.append(self._fill(root, part, elements, repeats, path))
            else:
                slices.append(part)
                if sum(p.cover for p in slices) == extent:
                    wholes.append(self._join(root, slices, elements, repeats, path))
                    slices = []
        return wholes + [self._fill(root, part, elements, repeats, path) for part in slices]

    def _over_steps(self, root: str, part: Part, elements: int, repeats: int, path: str) -> Part:
        """Steps that each give a whole gradient (of a weight): their sum, one addition less than steps."""
        steps = part.repeats // repeats
        if steps == 1:
            return part
        running = self.made(replace(self.tensors[part.name], name=self.fresh(f"{root}.grad:running")))
        total = self.add(root, running.name, part.name, elements, (steps - 1) * repeats, path, last=True)
        return Part(total, elements, repeats)

    def _join(self, root: str, slices: list[Part], elements: int, repeats: int, path: str) -> Part:
        """Slices that fill the whole: one copy, no addition."""
        inner = all(part.repeats == repeats for part in slices)
        size, times = (elements, repeats) if inner else (elements * repeats, 1)
        base = self.tensors[root]
        shape = base.shape if base.elements == size else (size,)
        out = self.made(Tensor(self.fresh(f"{root}.grad:joined"), shape, self.dtype_of(base)))
        reads = []
        for part in slices:
            count = part.elements if inner else part.cover
            name = part.name if inner or part.repeats == 1 else self.seen(part.name, (count,), count)
            reads.append(Access(name, self._axes(name, ()), min(count, self.tensors[name].stored_elements)))
        self._record(f"{root}.join", "join_slices", "move", shape, tuple(reads), out, Work(), times, path)
        return Part(out.name, size, times)

    def _fill(self, root: str, part: Part, elements: int, repeats: int, path: str) -> Part:
        """A slice's gradient written into zeros as large as the whole; its steps, each filled so, are added."""
        base = self.tensors[root]
        steps = max(1, part.repeats // repeats)
        shape = base.shape if base.elements == elements else (elements,)
        out = self.made(Tensor(self.fresh(f"{root}.grad:filled"), shape, self.dtype_of(base)))
        tensor = self.tensors[part.name]
        read = Access(part.name, self._axes(part.name, ()), min(part.elements, tensor.stored_elements))
        self._record(f"{root}.fill", "fill_slice", "move", shape, (read,), out, Work(), steps * repeats, path)
        return self._over_steps(root, Part(out.name, elements, steps * repeats), elements, repeats, path)

    def _axes(self, name: str, shape: tuple[int, ...]) -> tuple[tuple[tuple[str, int], ...], ...]:
        own = self.tensors[name].shape
        return axes_of(own) if own == shape else ((),) * len(own)

    def _record(self, name: str, op: str, kind: str, shape: tuple[int, ...], reads: tuple[Access, ...], out: Tensor,
                work: Work, repeats: int, path: str) -> None:  # fmt: skip
        write = Access(out.name, axes_of(shape), out.elements)
        self.operators.append(
            Operator(self.fresh(name), op, kind, path, space_of(shape), reads, (write,), work, repeats)
        )
