"""Other mapping tools: their loop nests, their laws of counting written anew, and replays that say what differs."""

from ._compare import TIMELOOP, ZIGZAG, Prices, Printed, replay_timeloop, replay_zigzag
from ._nest import Nest, SpatialLoop, Stage, nest_traffic, uncovered
from ._replay import REASONS, SCHEMA, Cycles, EnergyRow, Replay, Row, replay_dict, replay_text
from ._sparse import Memory, Saving, Sparse, SparseCounts, sparse_counts
from ._sparse_cost import representation_j, sparse_cycles
from ._sparse_format import FORMATS, Rank, empty, filled, held, rounding
from ._timeloop import timeloop_counters
from ._zigzag import Direction, Hold, Rules, Tensor, Window, zigzag_accesses

__all__ = [
    "FORMATS", "REASONS", "SCHEMA", "TIMELOOP", "ZIGZAG", "Cycles", "Direction", "EnergyRow", "Hold", "Memory", "Nest", "Prices",
    "Printed", "Rank", "Replay", "Row", "Rules", "Saving", "Sparse", "SparseCounts", "SpatialLoop", "Stage", "Tensor", "Window",
    "empty", "filled", "held", "nest_traffic", "replay_dict", "replay_text", "replay_timeloop", "replay_zigzag",
    "representation_j", "rounding", "sparse_counts", "sparse_cycles", "timeloop_counters", "uncovered", "zigzag_accesses",
]  # fmt: skip
