"""What it runs on: parts and rates (Architecture), and what one action costs (Technology). Knows no workload."""

from ._architecture import Architecture as Architecture
from ._architecture import Attained as Attained
from ._architecture import Compute as Compute
from ._architecture import Link as Link
from ._architecture import Memory as Memory
from ._array import ROLES as ROLES
from ._array import Axis as Axis
from ._array import Dataflow as Dataflow
from ._array import ProcessingArray as ProcessingArray
from ._array import Role as Role
from ._array import Store as Store
from ._runtime import Fetch as Fetch
from ._runtime import Pace as Pace
from ._runtime import Runtime as Runtime
from ._technology import STATIC as STATIC
from ._technology import Action as Action
from ._technology import Technology as Technology
