"""Measure: energy of commands and blocks by sensors, this machine's rates, and a prediction beside its measurement.

No sensor means "unknown". Nothing here is imported before it is used, and no meter library is a dependency.
"""

from ._adapters import CodeCarbonMeter as CodeCarbonMeter
from ._adapters import ZeusMeter as ZeusMeter
from ._find import NO_SENSOR as NO_SENSOR
from ._find import find_meters as find_meters
from ._hwmon import HwmonMeter as HwmonMeter
from ._measure import Figure as Figure
from ._measure import Measurement as Measurement
from ._measure import measure as measure
from ._measure import measure_command as measure_command
from ._nvml import NvmlMeter as NvmlMeter
from ._rapl import RaplMeter as RaplMeter
from ._reading import LABELS as LABELS
from ._reading import Label as Label
from ._reading import Meter as Meter
from ._reading import Reading as Reading
from ._reading import unknown as unknown
from ._render import measurement_json as measurement_json
from ._render import measurement_text as measurement_text
from ._vendors import AmdMeter as AmdMeter
from ._vendors import AppleMeter as AppleMeter
