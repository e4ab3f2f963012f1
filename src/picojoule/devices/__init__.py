"""Latency and energy of operators on real devices, from a data sheet or from measurements, with intervals."""

from ._evidence import Evidence as Evidence
from ._evidence import Knowledge as Knowledge
from ._evidence import gather as gather
from ._law import FORMATS as FORMATS
from ._law import Law as Law
from ._law import Rows as Rows
from ._laws import LAWS as LAWS
from ._laws import POWERS as POWERS
from ._laws import family as family
from ._laws import law_of as law_of
from ._learn import Measured as Measured
from ._learn import calibrate as calibrate
from ._learn import learn as learn
from ._learn import predict_by as predict_by
from ._operators import calls as calls
from ._predict import Call as Call
from ._predict import Prediction as Prediction
from ._predict import Total as Total
from ._predict import predict as predict
from ._predict import total as total
from ._rows import Fitted as Fitted
from ._rows import fit_device as fit_device
from ._sheet import Sheet as Sheet
from ._sheet import sheet as sheet
from ._store import read_evidence as read_evidence
from ._store import write_evidence as write_evidence
