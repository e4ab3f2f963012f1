"""Timeloop architectures: version 0.4 nodes, and the older tree of subtree and local; one list of components."""

import re
from dataclasses import dataclass
from typing import Final

from ._document import Node

_STORAGE: Final = ("dram", "sram", "regfile", "register", "smartbuffer", "storage", "buffer", "memory")
_COMPUTE: Final = ("mac", "compute", "multiplier", "adder", "alu")
_USED: Final = frozenset({
    "depth", "width", "datawidth", "word_bits", "block_size", "entries", "sizekb", "sizeKB", "instances", "meshX", "meshY",
    "read_bandwidth", "write_bandwidth", "multiple_buffering", "cluster_size", "reduction_supported", "allow_overbooking",
})  # fmt: skip
_MUST_BE: Final = {"reduction_supported": True, "allow_overbooking": False}
_NODE_KEYS: Final = ("name", "class", "subclass", "attributes", "spatial", "constraints", "required_actions", "enabled",
                     "nodes", "local", "subtree", "version")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Component:
    """One level as the tool sees it: `kind` storage, compute or mesh; columns · rows of its instances."""

    name: str
    kind: str
    node: Node
    columns: int
    rows: int
    attributes: dict[str, Node]
    constraints: Node | None = None

    @property
    def instances(self) -> int:
        """All of them."""
        return self.columns * self.rows

    def whole(self, *names: str) -> int | None:
        """A whole attribute, None where it is not stated."""
        found = next((self.attributes[name] for name in names if name in self.attributes), None)
        return None if found is None else found.integer()

    def rate(self, name: str) -> float | None:
        """Words per cycle of a port."""
        found = self.attributes.get(name)
        return None if found is None else found.number(1e-9) or None

    @property
    def word_bits(self) -> int | None:
        """Bits of a word."""
        return self.whole("datawidth", "word_bits")

    @property
    def block(self) -> int:
        """Words of one access."""
        stated = self.whole("block_size")
        if stated is not None:
            return stated
        width, bits = self.whole("width"), self.word_bits
        return max(1, width // (bits * (self.whole("cluster_size") or 1))) if width and bits else 1

    @property
    def size_words(self) -> int | None:
        """Words that fit in one instance; None for no limit."""
        depth, entries = self.whole("depth"), self.whole("entries")
        kilobytes, bits = self.whole("sizekb", "sizeKB"), self.word_bits
        if depth is not None:
            return depth * self.block
        if entries is not None:
            return entries
        return kilobytes * 8192 // bits if kilobytes and bits else None


@dataclass(slots=True)
class _Scope:
    """What containers hand down: how often they stand, and attributes."""

    columns: int
    rows: int
    attributes: dict[str, Node]


def read_architecture(node: Node, left_out: set[str]) -> list[Component]:
    """Components outermost first, the compute last."""
    node.mapping()
    found: list[Component] = []
    if node.get("nodes") is not None:
        _nodes(node.need("nodes"), _Scope(1, 1, {}), found)
    elif node.get("subtree") is not None or node.get("local") is not None:
        _tree(node, _Scope(1, 1, {}), found)
    else:
        raise node.refusal(
            "no architecture of version 0.3 or 0.4", "nodes (0.4), or subtree and local (0.3)",
            "nodes: [!Component {name: DRAM, class: DRAM}, !Component {name: mac, class: intmac}]",
        )  # fmt: skip
    names = [one.name for one in found]
    for component in found:
        if names.count(component.name) > 1:
            raise component.node.refusal(f"two components are named {component.name}", "a name once")
        _attributes(component, left_out)
    if len(found) < 2 or found[-1].kind != "compute" or any(one.kind == "compute" for one in found[:-1]):
        raise node.refusal("the innermost component must be the only compute", "memories, then one compute (a MAC)")
    if found[0].kind != "storage":
        raise found[0].node.refusal(f"{found[0].name} is no memory", "a memory as the outermost component")
    return found


def _attributes(component: Component, left_out: set[str]) -> None:
    """Refuse what would change counts, name what is not used."""
    for name, attribute in component.attributes.items():
        expected = _MUST_BE.get(name)
        if expected is not None and attribute.value != expected:
            raise attribute.refusal(
                f"{name}: {attribute.value} is not modelled here", f"{name}: {str(expected).lower()}"
            )
        if name not in _USED:
            left_out.add(f"attribute {name}")
    if component.kind == "storage":  # read now, so that a broken number is found even where no count needs it
        _ = component.size_words, component.whole("multiple_buffering"), component.whole("cluster_size")
        _ = component.rate("read_bandwidth"), component.rate("write_bandwidth")


def _kind(node: Node) -> str:
    name = node.need("class").text()
    for kind, parts in (("compute", _COMPUTE), ("storage", _STORAGE)):
        if any(part in name.lower() for part in parts):
            return "mesh" if name == "dummy_storage" else kind
    raise node.need("class").refusal(
        f"no component class {name!r} is known", f"a memory ({', '.join(_STORAGE)}) or a compute ({', '.join(_COMPUTE)})",
        "class: SRAM",
    )  # fmt: skip


def _checked(node: Node) -> None:
    for key, child in node.pairs():
        if key not in _NODE_KEYS:
            raise child.refusal(f"{key!r} is not read in an architecture", f"one of {', '.join(_NODE_KEYS)}")
    enabled = node.get("enabled")
    if enabled is not None and not enabled.yes():
        raise enabled.refusal("a component that is not enabled is not read", "the architecture without it")


def _handed(scope: _Scope, node: Node) -> dict[str, Node]:
    own = node.get("attributes")
    return scope.attributes | ({key.replace("-", "_"): child for key, child in own.pairs()} if own else {})


def _mesh(node: Node, scope: _Scope) -> tuple[int, int]:
    spatial = node.get("spatial")
    if spatial is None:
        return scope.columns, scope.rows
    for key, child in spatial.pairs():
        if key not in ("meshX", "meshY"):
            raise child.refusal(f"{key!r} is not read in spatial", "meshX and meshY")
    sizes = [spatial.get(name) for name in ("meshX", "meshY")]
    columns, rows = (1 if size is None else size.integer(1, 1 << 20) for size in sizes)
    return scope.columns * columns, scope.rows * rows


def _nodes(listed: Node, scope: _Scope, found: list[Component]) -> None:
    """Nodes of version 0.4: whatever follows a container stands inside it."""
    for node in listed.items():
        kind = node.mapping().kind
        _checked(node)
        if kind in ("Hierarchical", "Parallel") or (not kind and node.get("nodes") is not None):
            _nodes(node.need("nodes"), _Scope(scope.columns, scope.rows, dict(scope.attributes)), found)
            continue
        if kind == "Nothing":
            continue
        if kind == "Pipelined":
            raise node.refusal("pipelined stages are not modelled here", "Hierarchical or Parallel")
        name, attributes = node.need("name").text(), _handed(scope, node)
        columns, rows = _mesh(node, scope)
        constraints = node.get("constraints")
        if node.get("spatial") is not None and found:
            label = name if kind == "Container" else f"inter_{name}_spatial"
            meant = constraints if kind == "Container" else None
            found.append(Component(label, "mesh", node, scope.columns, scope.rows, {}, meant))
        scope.columns, scope.rows = columns, rows
        if kind == "Container":
            scope.attributes = attributes
        else:
            found.append(Component(name, _kind(node), node, columns, rows, attributes, constraints))


def _range(node: Node) -> tuple[str, int]:
    """Name and count of `PE[0..167]`."""
    text = node.text()
    match = re.fullmatch(r"([^\[\]]+)(?:\[(\d{1,7})\.\.(\d{1,7})\])?", text)
    if match is None or (match[2] and int(match[3]) < int(match[2])):
        raise node.refusal(f"{text!r} is no name with a range", "name or name[0..15]", "name: PE[0..15]")
    return match[1].strip(), int(match[3]) - int(match[2]) + 1 if match[2] else 1


def _tree(node: Node, scope: _Scope, found: list[Component]) -> None:
    """Subtrees and their local components, of version 0.3 and of the front end's output."""
    attributes = _handed(scope, node)
    local, below = node.get("local"), node.get("subtree")
    for one in local.items() if local else []:
        _checked(one.mapping())
        name, count = _range(one.need("name"))
        own = _handed(_Scope(1, 1, attributes), one)
        count *= scope.columns
        columns = own["meshX"].integer(1, 1 << 20) if "meshX" in own else count
        if count % columns:
            raise own["meshX"].refusal(f"meshX {columns} does not divide {count} instances", "columns of a full mesh")
        found.append(Component(name, _kind(one), one, columns, count // columns, own))
    trees = below.items() if below else []
    if len(trees) > 1:
        raise trees[1].refusal("two subtrees side by side are not read", "one subtree in another")
    for tree in trees:
        _checked(tree.mapping())
        _, count = _range(tree.need("name")) if tree.get("name") else ("", 1)
        _tree(tree, _Scope(scope.columns * count, 1, attributes), found)
