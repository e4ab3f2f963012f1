"""Files of Timeloop and ZigZag: machines, problems, mappings and results, to our types and to replays."""

from ._replay import Replayed, read_files, replay_files
from ._timeloop import TimeloopFiles
from ._zigzag import ZigZagFiles

__all__ = ["Replayed", "TimeloopFiles", "ZigZagFiles", "read_files", "replay_files"]
