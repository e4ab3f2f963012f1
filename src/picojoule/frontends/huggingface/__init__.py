"""Networks of the Hugging Face hub from their config.json alone: native formulas for the main families."""

from ._cache import fit_line as fit_line
from ._cache import resident_bytes as resident_bytes
from ._families import FAMILIES as FAMILIES
from ._known import read_known as read_known
from ._read import read_config as read_config
