"""Physical values with spread and source, and text with units to and from SI floats. Knows nothing else."""

from ._errors import InputError as InputError
from ._si import format_quantity as format_quantity
from ._si import parse_quantity as parse_quantity
from ._value import PROVENANCES as PROVENANCES
from ._value import SCOPES as SCOPES
from ._value import Z_90 as Z_90
from ._value import Provenance as Provenance
from ._value import Scope as Scope
from ._value import Value as Value
from ._value import product as product
