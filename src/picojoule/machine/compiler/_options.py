"""What may be chosen when a network is compiled."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Options:
    """Choices beyond the type of numbers.

    `shared`: on a cluster, what several cores read passes through SharedRAM, once from DRAM.
    """

    shared: bool = True


DEFAULT: Final = Options()
