"""Kernels to instructions: whichever they are, and planes."""

from collections.abc import Mapping

from ._attention import Attend
from ._build import Builder, share
from ._kernel import Contract, Copy, Kernel, Lookup, Plane, Shrink, Sweep
from ._lower_attention import attend
from ._lower_contract import areas, contract, refused
from ._lower_copy import copies
from ._lower_lookup import lookup
from ._lower_window import shrink, sweep
from ._lower_winograd import winograd
from ._tile import BodyPlan, BodyRun
from ._winograd import Winograd

_PIECES = 8  # tiles that a plane is cut into at least, where they stay worth a move


def lower(builder: Builder, kernel: Kernel, addresses: Mapping[str, int], dtypes: Mapping[str, str]) -> None:
    """Emit the instructions of one kernel, every core's share of them."""
    builder.begin()
    if isinstance(kernel, Winograd):
        winograd(builder, kernel, addresses, dtypes)
    elif isinstance(kernel, Contract):
        contract(builder, kernel, addresses, dtypes)
    elif isinstance(kernel, Sweep):
        sweep(builder, kernel, addresses, dtypes)
    elif isinstance(kernel, Shrink):
        shrink(builder, kernel, addresses, dtypes)
    elif isinstance(kernel, Lookup):
        lookup(builder, kernel, addresses, dtypes)
    elif isinstance(kernel, Attend):
        attend(builder, kernel, addresses)
    elif isinstance(kernel, Copy):
        copies(builder, kernel, addresses, dtypes)
    else:
        assert isinstance(kernel, Plane)
        plane(builder, kernel, addresses, dtypes)


def plane(builder: Builder, kernel: Plane, addresses: Mapping[str, int], dtypes: Mapping[str, str]) -> None:
    """A body, in tiles of whole rows where it folds, else of whatever fits."""
    body, room = kernel.body, builder.machine.sizes["nram"]
    plan = BodyPlan(body, False)
    n = body.n
    while plan.bytes(1, n) > room and n > 1 and not body.whole:
        n = -(-n // 2)
    if plan.bytes(1, n) > room:
        raise refused(kernel, builder)
    split = body.m >= builder.cores or body.whole  # rows, else columns
    part = len(share(body.m, 0, builder.cores)) if split else body.m
    m = max(1, -(-part // _PIECES))
    m = min(part, max(m, -(-4096 // (4 * n))))
    while plan.bytes(m, n) > room:
        m = -(-m // 2)
    for _ in builder.each():
        nram, _ = areas(builder)
        run = BodyRun(builder, plan, nram, addresses, dtypes, (m, n))
        rows = share(body.m, builder.core, builder.cores) if split else range(body.m)
        columns = range(body.n) if split else share(body.n, builder.core, builder.cores)
        for row in rows[::m]:
            for column in columns[::n]:
                few, many = min(m, rows.stop - row), min(n, columns.stop - column)
                run.run((row, column), [(row, few)], column, many)
