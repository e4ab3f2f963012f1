"""What may be chosen when a network is compiled."""

from dataclasses import dataclass
from typing import Final

from picojoule.quantity import InputError

CONVOLUTIONS: Final = ("direct", "im2col", "winograd", "winograd4", "auto")
ATTENTIONS: Final = ("auto", "fused", "unfused")


@dataclass(frozen=True, slots=True)
class Options:
    """Choices beyond the type of numbers.

    `shared`: on a cluster, what several cores read passes through SharedRAM, once from DRAM. `convolution`: the algorithm,
    "auto" for the cheapest of direct, im2col and winograd for each; winograd is F(2×2, 3×3), winograd4 F(4×4, 3×3).
    `sparse`: weights of products are stored as a bitmap and what is not zero, where that is smaller. `prune`: "" for no
    pruning, "0.5" for the share of each tensor's weights that becomes zero, "2:4" for how many stay of every four inputs.
    `loops`: instructions that repeat are written once, in hardware loops: a third of the words, timed more slowly.
    `attention`: fused into one kernel wherever its blocks fit on chip, unfused, or by price.
    """

    shared: bool = True
    convolution: str = "direct"
    sparse: bool = False
    prune: str = ""
    loops: bool = False
    attention: str = "auto"

    def __post_init__(self) -> None:
        if self.convolution not in CONVOLUTIONS:
            raise InputError(f"no convolution algorithm {self.convolution!r}", where="convolution",
                             expected=f"one of {', '.join(CONVOLUTIONS)}", example="convolution='auto'")  # fmt: skip
        if self.attention not in ATTENTIONS:
            raise InputError(f"attention {self.attention!r}", where="attention", expected=f"one of {', '.join(ATTENTIONS)}",
                             example="attention='fused'")  # fmt: skip


DEFAULT: Final = Options()
