"""Results as people and programs read them: JSON, CSV, terminal text, one self-contained page."""

from ._count import Count as Count
from ._count import OperatorCount as OperatorCount
from ._count import count as count
from ._csv import count_csv as count_csv
from ._csv import estimate_csv as estimate_csv
from ._fpga import fpga_json as fpga_json
from ._hardware import hardware_json as hardware_json
from ._job import job_json as job_json
from ._json import batches_json as batches_json
from ._json import count_json as count_json
from ._json import estimate_json as estimate_json
from ._map import front_json as front_json
from ._map import map_json as map_json
from ._plain import columns as columns
from ._plain import fold as fold
from ._plain import plain as plain
