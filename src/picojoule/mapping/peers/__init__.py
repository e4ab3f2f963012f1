"""Other mapping tools: their loop nests, their laws of counting written anew, and replays that say what differs."""

from ._compare import TIMELOOP, ZIGZAG, Prices, Printed, replay_timeloop, replay_zigzag
from ._nest import Nest, SpatialLoop, Stage, nest_traffic, uncovered
from ._replay import REASONS, SCHEMA, Cycles, EnergyRow, Replay, Row, replay_dict, replay_text
from ._timeloop import timeloop_counters
from ._zigzag import Direction, Hold, Rules, Tensor, Window, zigzag_accesses

__all__ = [
    "REASONS", "SCHEMA", "TIMELOOP", "ZIGZAG", "Cycles", "Direction", "EnergyRow", "Hold", "Nest", "Prices", "Printed", "Replay",
    "Row", "Rules", "SpatialLoop", "Stage", "Tensor", "Window", "nest_traffic", "replay_dict", "replay_text",
    "replay_timeloop", "replay_zigzag", "timeloop_counters", "uncovered", "zigzag_accesses",
]  # fmt: skip
