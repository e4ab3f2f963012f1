"""How words are counted where tools of the field differ; printed with every result."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Convention:
    """The named conventions of the traffic law.

    halo          refetch: a tile is fetched whole; consecutive-overlap: a step along the innermost relevant window
                  loop directly above the child fetches only the new part; perfect: every word once per pass
    window        touched: words that some MAC reads; hull: the box around them (they differ where stride > kernel)
    multicast     union: one read feeds every PE that holds the word; identical_tile: only PEs with equal tiles share
    partial_sums  first-free: the first visit of a sum is not read back; always: it is
    first_fill    counted: the first copy of every tile is paid

    Fixed: partial sums fill all PEs of a reduction group, and their drain is no read at the child; MACs hold no word;
    a PE that is idle in a dimension its tensor does not depend on still receives the copy (lockstep).
    """

    halo: Literal["refetch", "consecutive-overlap", "perfect"] = "refetch"
    window: Literal["touched", "hull"] = "touched"
    multicast: Literal["union", "identical_tile"] = "union"
    partial_sums: Literal["first-free", "always"] = "first-free"
    first_fill: Literal["counted"] = "counted"

    def as_dict(self) -> dict[str, str]:
        """For printing."""
        return {
            "halo": self.halo, "window": self.window, "multicast": self.multicast,
            "partial_sums": self.partial_sums, "first_fill": self.first_fill,
        }  # fmt: skip
