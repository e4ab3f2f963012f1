"""Results as text of at most 80 columns, the same with and without colour."""

from ._batches import batches_text as batches_text
from ._count import count_text as count_text
from ._estimate import compare_text as compare_text
from ._estimate import estimate_text as estimate_text
from ._estimate import held_text as held_text
from ._explain import explain_device as explain_device
from ._explain import explain_estimate as explain_estimate
from ._explain import explain_price as explain_price
from ._fpga import fpga_text as fpga_text
from ._job import job_text as job_text
from ._library import hardware_table as hardware_table
from ._library import hardware_text as hardware_text
from ._library import zoo_text as zoo_text
from ._map import front_text as front_text
from ._map import map_text as map_text
from ._paint import Paint as Paint
from ._studies import blocks_text as blocks_text
from ._studies import diff_text as diff_text
from ._studies import fit_text as fit_text
from ._studies import fleet_text as fleet_text
from ._studies import human_text as human_text
from ._studies import methods_text as methods_text
from ._studies import shares_text as shares_text
from ._studies import shift_text as shift_text
