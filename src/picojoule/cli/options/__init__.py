"""What every verb takes: one file for each family of verbs. Each option has help; a test sees to it."""

from ._arrays import VERBS as _ARRAYS
from ._estimates import VERBS as _ESTIMATES
from ._library import VERBS as _LIBRARY
from ._machines import VERBS as _MACHINES
from ._programs import VERBS as _PROGRAMS

VERBS = (*_ESTIMATES, *_ARRAYS, *_PROGRAMS, *_MACHINES, *_LIBRARY)
