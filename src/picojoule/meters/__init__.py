"""Measure: energy of commands and blocks by sensors, this machine's rates, and a prediction beside its measurement.

No sensor means "unknown". Nothing here is imported before it is used, and no meter library is a dependency.
"""

from ._adapters import CodeCarbonMeter as CodeCarbonMeter
from ._adapters import ZeusMeter as ZeusMeter
from ._calibrate import Calibration as Calibration
from ._calibrate import Rate as Rate
from ._calibrate import calibrate as calibrate
from ._check import Check as Check
from ._check import check as check
from ._check import check_json as check_json
from ._check import check_text as check_text
from ._device_file import calibration_json as calibration_json
from ._device_file import calibration_text as calibration_text
from ._device_file import calibration_yaml as calibration_yaml
from ._find import METERS as METERS
from ._find import NO_SENSOR as NO_SENSOR
from ._find import find_meters as find_meters
from ._find import meters_named as meters_named
from ._gpu import GpuCalibration as GpuCalibration
from ._gpu import calibrate_gpu as calibrate_gpu
from ._gpu import gpu_yaml as gpu_yaml
from ._host import Host as Host
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
