"""One row of the comparison: the model is built once, each peer counts it in a fork of its own, under a time limit.

    python benchmarks/peers_row.py resnet50 [peer ...]

prints one JSON line per peer. A fork inherits the built model, and a crash in it ends nothing else.
"""

import json
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from peers_calls import BY_KIND, Answer, Count, Peer, forget, ready
from peers_models import Row, build, rows

LIMIT: Final = 60.0  # seconds a peer may take on one row, all its calls together
ENOUGH: Final = 20.0  # seconds after which no further call is begun
CALLS: Final = 3  # at least so many calls, if there is time; of short ones as many as fit into SHORT seconds
SHORT: Final = 1.0
FILLED: Final = 64 << 20  # bytes of absent weights up to which an ONNX file is filled with zeros


def main() -> None:
    """Count one row with every peer, or with those named."""
    key, *wanted = sys.argv[1:]
    row = next(r for r in rows() if r.key == key)
    peers = [p for p in BY_KIND[row.kind] if p.device != row.device and (not wanted or p.name in wanted)]
    with TemporaryDirectory() as folder:
        if row.kind == "onnx":
            row, module, args = replace(row, path=with_weights(row.path, Path(folder))), None, ()
        else:
            import torch

            torch.set_num_threads(1)
            module, args = build(row, row.device)
        for peer in peers:
            line = {"row": key, "peer": peer.name} | in_fork(peer, row, module, args)
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


def with_weights(path: Path, folder: Path) -> Path:
    """The file, or if its weights are kept apart and not given, and are few, a copy with zeros for weights."""
    import onnx
    from onnx.external_data_helper import uses_external_data

    model = onnx.load(path, load_external_data=False)
    outside = [t for t in model.graph.initializer if uses_external_data(t)]
    names = {entry.value for t in outside for entry in t.external_data if entry.key == "location"}
    size = sum(4 * _elements(t.dims) for t in outside)
    if not outside or all((path.parent / name).exists() for name in names) or size > FILLED:
        return path
    for t in outside:
        del t.external_data[:]
        t.data_location = onnx.TensorProto.DEFAULT
        t.raw_data = bytes(_elements(t.dims) * onnx.helper.tensor_dtype_to_np_dtype(t.data_type).itemsize)
    onnx.save(model, folder / path.name)
    return folder / path.name


def _elements(dims: Any) -> int:
    count = 1
    for d in dims:
        count *= d
    return count


def in_fork(peer: Peer, row: Row, module: Any, args: tuple[Any, ...]) -> dict[str, Any]:
    """What `peer` says of the row, in a process of its own.

    A bare fork: torchlens refuses to run in a child of multiprocessing.
    """
    if find_spec(peer.package) is None:
        return {"error": "not installed"}
    source, sink = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(source)
        os.write(sink, json.dumps(in_child(peer, row, module, args)).encode())
        os._exit(0)
    os.close(sink)
    said: dict[str, Any] = {"error": f"over {LIMIT:.0f} s"}
    if select.select([source], [], [], LIMIT)[0]:
        text = os.read(source, 1 << 16)  # one line, shorter than what a pipe takes at once
        said = json.loads(text) if text else {"error": "crash: process ended"}
    os.close(source)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return said


def in_child(peer: Peer, row: Row, module: Any, args: tuple[Any, ...]) -> dict[str, Any]:
    """The answer, or the exception's name; nothing a peer prints is let through."""
    warnings.simplefilter("ignore")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    try:
        return measured(peer, row, module, args)
    except BaseException as error:
        text = str(error).strip().splitlines()
        return {"error": f"crash: {type(error).__name__}", "message": text[0][:200] if text else ""}


def measured(peer: Peer, row: Row, module: Any, args: tuple[Any, ...]) -> dict[str, Any]:
    """The first answer, the seconds of the first and of the best call, and how far the peak of memory rose.

    Before each call picojoule forgets the ones before, as a user who counts a model once would find it; the peers keep
    nothing that is known of. `again` is picojoule's best call without forgetting.
    """
    count = ready(peer, row, module, args)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    taken, (macs, params) = timed(count, forget)
    rise = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    found = {"macs": macs, "params": params, "seconds": min(taken), "first": taken[0], "calls": len(taken),
             "megabytes": rise / 1024}  # fmt: skip
    return found | ({"again": min(timed(count)[0])} if peer.package == "picojoule" else {})


def timed(count: Count, before: Callable[[], None] = lambda: None) -> tuple[list[float], Answer]:
    """Processor seconds of each call, as many as there is time for, and the first answer.

    All peers use one thread; the wall clock would also measure whoever else uses the machine.
    """
    taken: list[float] = []
    first: Answer = (None, None)
    while not taken or (sum(taken) < ENOUGH and (len(taken) < CALLS or sum(taken[1:]) < SHORT)):
        before()
        start = time.process_time()
        answer = count()
        taken.append(time.process_time() - start)
        first = answer if len(taken) == 1 else first
    macs, params = (None if n is None else float(n) if n != int(n) else int(n) for n in first)
    return taken, (macs, params)


if __name__ == "__main__":
    main()
