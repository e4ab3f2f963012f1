"""Forward operators played backwards: rules become operators, gradients of one tensor are gathered into one."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from picojoule.workload import Access, Operator, Tensor, Work, Workload

from ._draft import GRAD, NOWHERE, OUT, TEMP, Call, Draft, Read, Write, into
from ._gather import Gatherer, Part
from ._need import Need
from ._rules import RULES, stops


@dataclass(slots=True)
class _Run:
    """One operator going backwards: its gradient, and the temporary written last."""

    operator: Operator
    gradient: str
    temporary: str = ""


class Tape(Gatherer):
    """Grows the backward pass. `again` maps saved tensors to those computed a second time, while they are in use."""

    def __init__(self, net: Workload, need: Need, gradient: str, filled: Callable[[str], bool]) -> None:
        super().__init__(net, gradient)
        self.need, self.filled = need, filled
        self.uncounted: list[tuple[str, str]] = []
        self.again: dict[str, str] = {}
        self._views: dict[str, list[str]] = {}
        for tensor in net.tensors.values():
            if tensor.base:
                self._views.setdefault(tensor.base, []).append(tensor.name)
        self._memo: dict[tuple[object, ...], list[Draft]] = {}
        self._keep: list[Operator] = []
        self.readers = Counter(
            self.tensors[access.tensor].root
            for operator in net.operators if operator.outputs
            and not stops(operator, self.tensors[operator.outputs[0].tensor])
            for access, want in zip(operator.inputs, need.wants(operator), strict=True) if want
        )  # fmt: skip

    def back(self, operator: Operator) -> None:
        """The backward operators of `operator`, if a gradient of its result has arrived."""
        root = self.tensors[operator.outputs[0].tensor].root if operator.outputs else ""
        if root not in self.parts or root not in self.need.roots:
            return
        run = _Run(operator, self.gathered(root, operator.repeats, operator.path))
        for draft in self._drafts(operator):
            if draft.op:
                self._emit(run, draft)
            else:
                self._alias(run, draft)

    def _drafts(self, o: Operator) -> list[Draft]:
        wants = self.need.wants(o)
        inputs = tuple([self.tensors[access.tensor] for access in o.inputs])
        shapes = tuple([(t.shape, t.stored) for t in inputs])
        key = (o.op, o.kind, id(o.space), id(o.work), wants, shapes, len(o.outputs))
        drafts = self._memo.get(key)
        if drafts is None or o.op not in RULES:
            outputs = tuple(self.tensors[access.tensor] for access in o.outputs)
            call = Call(o, inputs, outputs, wants)
            rule = RULES.get(o.op)
            drafts = self._memo[key] = rule(call) if rule else self._unknown(call)
            self._keep.append(o)  # the key holds identities
        return drafts

    def _unknown(self, call: Call) -> list[Draft]:
        """No rule: told as uncounted, and a gradient without work written so that what is upstream is counted."""
        o = call.operator
        self.uncounted.append((f"backward of {o.op}", o.name))
        writes = tuple(into(call, place) for place in call.wanted)
        return [Draft(f"{o.op}_backward", o.kind, o.space, (call.grad,), writes, Work())]

    def _emit(self, run: _Run, draft: Draft) -> None:
        o = run.operator
        repeats = o.repeats
        for write in draft.writes:
            if write.target != NOWHERE and self._root(o, write) in self.need.states:
                repeats = o.repeats - 1
        label = self.fresh(f"{o.name}.backward")
        writes = []
        for write in draft.writes:
            tensor = self._target(run, write, label)
            writes.append(Access(tensor.name, write.axes, tensor.elements, write.offsets))
        if repeats:
            reads = tuple([self._read(run, read) for read in draft.reads])
            self.operators.append(
                Operator(label, draft.op, draft.kind, o.path, draft.space, reads, tuple(writes), draft.work, repeats)
            )
        for write, access in zip(draft.writes, writes, strict=True):
            if write.target == NOWHERE:
                run.temporary = access.tensor
            elif repeats:
                self._arrive(run, write, self.tensors[access.tensor], repeats)

    def _root(self, o: Operator, write: Write) -> str:
        return self.tensors[o.inputs[write.target].tensor].root

    def _target(self, run: _Run, write: Write, label: str) -> Tensor:
        """The tensor that `write` makes."""
        if write.target == NOWHERE:
            dtype = self.tensors[run.gradient].dtype
            return self.made(Tensor(f"{label}.out", write.shape, dtype))
        o = run.operator
        x = self.tensors[o.inputs[write.target].tensor]
        once = self.readers[x.root] == 1 and (o.repeats == 1 or x.role == "activation") and not self._expanded(x)
        name = self.fresh(f"{x.root}.grad" if once else f"{x.root}.grad:part")
        return self.made(Tensor(name, write.shape, self.dtype_of(x)))

    @staticmethod
    def _expanded(x: Tensor) -> bool:
        return x.stored is not None and x.stored < x.elements

    def _read(self, run: _Run, read: Read) -> Access:
        if read.ref == GRAD:
            name = run.gradient
        elif read.ref == TEMP:
            name = run.temporary
        elif read.ref <= OUT:
            name = run.operator.outputs[OUT - read.ref].tensor
        else:
            name = run.operator.inputs[read.ref].tensor
        name = self.again.get(name, name)
        elements = min(read.elements, self.tensors[name].stored_elements)
        return Access(name, read.axes, elements, read.offsets)

    def _alias(self, run: _Run, draft: Draft) -> None:
        """The gradient read becomes that of the target, seen in its shape."""
        write, read = draft.writes[0], draft.reads[0]
        name = run.gradient if read.ref == GRAD else run.temporary
        seen = self.seen(name, write.shape, min(read.elements, self.tensors[name].stored_elements))
        repeats = run.operator.repeats - (self._root(run.operator, write) in self.need.states)
        if repeats:
            self._arrive(run, write, self.tensors[seen], repeats)

    def _arrive(self, run: _Run, write: Write, gradient: Tensor, repeats: int) -> None:
        """A gradient of one input, summed to what the input stores, waits for the others of its storage."""
        o = run.operator
        x = self.tensors[o.inputs[write.target].tensor]
        if x.root in self.need.states:
            running = self.made(replace(gradient, name=self.fresh(f"{x.root}.grad:running"), base="", stored=None))
            self.add(x.root, gradient.name, running.name, x.elements, repeats, o.path)
            return
        stored = x.stored_elements
        if self._expanded(x) and gradient.elements > stored:
            gradient = self.summed(x, gradient, repeats, o.path)
        elements = stored if write.part is None else min(write.part, stored)
        part = Part(gradient.name, elements, repeats, self.filled(o.path))
        self.parts.setdefault(x.root, []).append(part)

    def compute_again(self, operators: tuple[Operator, ...]) -> None:
        """Record `operators` a second time under other names; backward operators read the new results from now on."""
        roots = {self.tensors[access.tensor].root for operator in operators for access in operator.outputs}
        copied: dict[str, str] = {}

        def name(old: str) -> str:
            tensor = self.tensors[old]
            if tensor.root not in roots or tensor.role != "activation":
                return old
            new = copied.get(old)
            if new is None:
                new = copied[old] = self.fresh(f"{old}:again")
                base = name(tensor.base) if tensor.base else ""
                self.made(replace(tensor, name=new, base=base))
            return new

        for o in operators:
            reads = tuple([Access(name(a.tensor), a.axes, a.elements, a.offsets) for a in o.inputs])
            writes = tuple([Access(name(a.tensor), a.axes, a.elements, a.offsets) for a in o.outputs])
            label = self.fresh(f"{o.name}:again")
            self.operators.append(Operator(label, o.op, o.kind, o.path, o.space, reads, writes, o.work, o.repeats))
        for root in tuple(copied):
            for view in self._views.get(root, ()):
                name(view)
        self.again = copied
