"""Networks of the Hugging Face hub from their config.json alone: native formulas for the main families."""

from ._families import FAMILIES as FAMILIES
from ._known import read_known as read_known
from ._read import read_config as read_config
