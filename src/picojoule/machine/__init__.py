"""An instruction-level model of a deep-learning processor: programs, their values, their time and their actions."""

from ._assembler import assemble as assemble
from ._assembler import disassemble as disassemble
from ._isa import SPECS as SPECS
from ._isa import Instruction as Instruction
from ._isa import decode as decode
from ._isa import encode as encode
from ._isa import isa_markdown as isa_markdown
from ._isa import make as make
from ._machine import Machine as Machine
from ._pjx import dump_program as dump_program
from ._pjx import parse_program as parse_program
from ._pjx import read_program as read_program
from ._pjx import write_program as write_program
from ._program import Buffer as Buffer
from ._program import Program as Program
from ._run import DeadlockError as DeadlockError
from ._run import Event as Event
from ._run import Run as Run
from ._run import find_races as find_races
from ._run import simulate as simulate
from ._textbook import read_textbook as read_textbook
