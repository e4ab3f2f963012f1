"""Chains of fully connected layers to programs for one core, bit for bit as `reference` computes them.

Activations stay in NRAM from the first layer to the last; weights pass through WRAM, in column blocks where a layer is
larger than half of it. With int8, sums and biases are int32, and each layer but a last one of scale 0 is rounded back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from picojoule.quantity import InputError

from ._draft import Draft
from ._machine import DTYPES, Machine
from ._matmul import packed
from ._meaning import FUNCTIONS, SUMS, product
from ._program import Buffer, Program

ACTIVATIONS: Final = ("", "relu", "tanh", "sigmoid")
_DRAM, _SRAM, _NRAM, _WRAM = range(4)


@dataclass(frozen=True, slots=True)
class Layer:
    """act(x·weights + bias), `weights` of (inputs, outputs); int8: then times `scale`, to the nearest even, to int8."""

    weights: NDArray[Any]
    bias: NDArray[Any] | None = None
    activation: str = ""
    scale: float = 0.0


def reference(layers: Sequence[Layer], x: NDArray[Any]) -> NDArray[Any]:
    """What the compiled program gives: sums in order of the inputs, then the bias, the activation and the scale."""
    for layer in layers:
        total = SUMS[x.dtype.name]
        y = product(x.astype(total), layer.weights.astype(total), np.zeros((x.shape[0], layer.weights.shape[1]), total))
        y = y if layer.bias is None else y + layer.bias
        if layer.activation == "relu":
            y = np.maximum(y, y.dtype.type(0))
        elif layer.activation:
            y = np.tanh(y) if layer.activation == "tanh" else 1 / (1 + np.exp(-y))
        x = y
        if layer.scale:
            x = np.clip(np.rint(y.astype(np.float32) * np.float32(layer.scale)), -128, 127).astype(np.int8)
    return x


def compile_layers(machine: Machine, layers: Sequence[Layer], batch: int = 1) -> Program:
    """A program with input X (batch, inputs), output Y, and the layers' weights and biases as constants."""
    _check(layers, batch)
    work = _Chain(machine, layers, batch)
    work.build()
    work.draft.schedule()
    return Program({**work.draft.program((), "layers").sections}, tuple(work.buffers), work.constants,
                   f"{len(layers)} layers, batch {batch}")  # fmt: skip


def _check(layers: Sequence[Layer], batch: int) -> None:
    if not layers or batch < 1:
        raise InputError(
            "no layers or no rows", expected="at least one of each", example="compile_layers(core, layers, 1)"
        )
    dtype = layers[0].weights.dtype
    for i, layer in enumerate(layers):
        where, last = f"layer {i}", i == len(layers) - 1
        if layer.weights.ndim != 2 or layer.weights.dtype != dtype or dtype.name not in ("float32", "int8"):
            raise InputError(f"weights are {layer.weights.dtype} of {layer.weights.shape}", where=where,
                             expected="two axes, float32 or int8 as in the first layer")  # fmt: skip
        if i and layers[i - 1].weights.shape[1] != layer.weights.shape[0]:
            raise InputError(f"{layer.weights.shape[0]} inputs", where=where,
                             expected=f"{layers[i - 1].weights.shape[1]}, as the layer before gives")  # fmt: skip
        if layer.bias is not None and (
            layer.bias.shape != layer.weights.shape[1:] or layer.bias.dtype != SUMS[dtype.name]
        ):
            raise InputError(f"the bias is {layer.bias.dtype} of {layer.bias.shape}", where=where,
                             expected=f"{SUMS[dtype.name]} of {layer.weights.shape[1:]}")  # fmt: skip
        allowed = ("", "relu") if dtype == np.int8 else ACTIVATIONS
        if layer.activation not in allowed:
            raise InputError(f"activation {layer.activation!r} of {dtype} layers", where=where,
                             expected=f"one of {', '.join(map(repr, allowed))}")  # fmt: skip
        if bool(layer.scale) != (dtype == np.int8) and not (last and dtype == np.int8):
            raise InputError(f"scale is {layer.scale}", where=where,
                             expected="0 for float32; above 0 for int8, or 0 in its last layer")  # fmt: skip


class _Chain:
    """The draft of one chain. Areas of NRAM: two for sums, two for int8 activations, taken in turn; then the biases."""

    def __init__(self, machine: Machine, layers: Sequence[Layer], batch: int) -> None:
        self.machine, self.layers, self.batch, self.draft = machine, layers, batch, Draft(machine)
        self.dtype = layers[0].weights.dtype.name
        self.one, self.total = layers[0].weights.itemsize, SUMS[self.dtype].name
        self.buffers: list[Buffer] = []
        self.constants: dict[str, bytes] = {}
        self.dram = 0
        sums = _up(batch * 4 * max(layer.weights.shape[1] for layer in layers))
        inputs = _up(batch * self.one * max(layer.weights.shape[0] for layer in layers))
        self.sums, self.acts = (0, sums), (2 * sums, 2 * sums + inputs)
        self.free = 2 * sums + 2 * inputs  # biases from here on
        self.multiplies: list[int] = []
        self.last_use: list[int | None] = [None, None]  # of each half of WRAM
        self.blocks = 0
        biases = sum(_up(4 * layer.weights.shape[1]) for layer in layers if layer.bias is not None)
        if self.free + biases > machine.sizes["nram"]:
            raise InputError(f"activations and biases of {self.free + biases} bytes", where=f"machine {machine.name}",
                             expected=f"at most {machine.sizes['nram']} bytes of NRAM", example="a smaller batch")  # fmt: skip

    def _buffer(
        self, name: str, dtype: str, shape: tuple[int, ...], role: str, content: NDArray[Any] | None = None
    ) -> int:
        buffer = Buffer(name, "dram", self.dram, dtype, shape, role)
        self.buffers.append(buffer)
        if content is not None:
            self.constants[name] = np.ascontiguousarray(content).tobytes()
        self.dram += _up(buffer.bytes)
        return buffer.address

    def _load(self, scope: int, far: int, near: int, fields: dict[str, int], needs: list[int | None]) -> int:
        return self.draft.add(0, "move", needs, (0, len(self.draft.nodes)), dst=scope, src=_DRAM, far=far, near=near,
                              **fields)  # fmt: skip

    def _vec(self, name: str, dtype: str, needs: list[int], length: int, **values: int) -> None:
        self.multiplies.append(
            self.draft.add(0, "vec", [*needs, *self.multiplies[-1:]], (len(self.draft.nodes),), length=length,
                           fn=FUNCTIONS.index(name), type=DTYPES.index(dtype), **values))  # fmt: skip

    def build(self) -> None:
        """Every instruction: X in, layer after layer, Y out."""
        inputs = self.layers[0].weights.shape[0]
        x = self._buffer("X", self.dtype, (self.batch, inputs), "input")
        at = self.acts[0]
        ready = self._load(_NRAM, x, at, packed(1, self.batch * inputs * self.one, 0), [])
        for i, layer in enumerate(self.layers):
            k, n = layer.weights.shape
            far = self._buffer(f"W{i}", self.dtype, (k, n), "constant", layer.weights)
            y = self.sums[i % 2]
            self._products(i, far, at, y, ready)
            self._bias(i, layer, y, n)
            if layer.activation:
                self._vec(layer.activation, self.total, [], self.batch * n, dst=y, a=y)
            at = y
            if layer.scale:
                at = self.acts[(i + 1) % 2]
                bits = int(np.array([layer.scale], np.float32).view(np.uint32)[0])
                self._vec("quantise", self.total, [], self.batch * n, dst=at, a=y, b=bits, imm=1)
        dtype = "int8" if self.layers[-1].scale else self.total
        out = self._buffer("Y", dtype, (self.batch, n), "output")
        self.draft.add(0, "move", self.multiplies[-1:], (1,), dst=_DRAM, src=_NRAM, far=out, near=at,
                       **packed(1, self.buffers[-1].bytes, 0))  # fmt: skip

    def _products(self, i: int, far: int, x: int, y: int, ready: int) -> None:
        """Column blocks of one layer, in turn through the halves of WRAM; rows one by one where there are several."""
        k, n = self.layers[i].weights.shape
        half = self.machine.sizes["wram"] // 8 * 4
        wide = min(n, half // (k * self.one))
        if not wide:
            raise InputError(f"{k} inputs", where=f"layer {i}", expected=f"a column within {half} bytes of WRAM",
                             example="fewer inputs")  # fmt: skip
        for first in range(0, n, wide):
            part, side = min(wide, n - first), self.blocks % 2
            self.blocks += 1
            w = self._load(_WRAM, far + first * self.one, side * half, packed(k, part * self.one, n * self.one),
                           [self.last_use[side]])  # fmt: skip
            rows = [(0, self.batch)] if part == n else [(row, 1) for row in range(self.batch)]
            for row, many in rows:
                self.multiplies.append(self.draft.add(
                    0, "mm", [ready, w, *self.multiplies[-1:]], (len(self.draft.nodes),), x=x + row * k * self.one,
                    w=side * half, y=y + (row * n + first) * 4, m=many, k=k, n=part, type=DTYPES.index(self.dtype)))  # fmt: skip
            self.last_use[side] = self.multiplies[-1]

    def _bias(self, i: int, layer: Layer, y: int, n: int) -> None:
        if layer.bias is None:
            return
        far = self._buffer(f"B{i}", self.total, (n,), "constant", layer.bias)
        loaded = self._load(_NRAM, far, self.free, packed(1, 4 * n, 0), [])
        for row in range(self.batch):
            self._vec("add", self.total, [loaded], n, dst=y + row * n * 4, a=y + row * n * 4, b=self.free)
        self.free += _up(4 * n)


def _up(size: int) -> int:
    return -(-size // 64) * 64
