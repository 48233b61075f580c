"""Teleport: skip the early steps of a sampler by one closed-form jump.

* :mod:`.jumps`: the jump, and the hybrid sampler of jump and solver
* :mod:`.planning`: choice of the noise level to jump to
* :mod:`.pipelines`: the same for pipelines of `diffusers` (imported only on request: needs torch)
* :mod:`.study`: everything that the page on teleport shows
"""

from .jumps import (
    Teleported,
    jump,
    teleport,
    typical_error,
)
from .planning import TeleportPlan, plan_teleport
from .study import (
    WAYS,
    NamedDenoiser,
    TeleportStudy,
    mixture_of_data,
    teleport_study,
)

__all__ = [
    "WAYS",
    "NamedDenoiser",
    "TeleportPlan",
    "TeleportStudy",
    "Teleported",
    "jump",
    "mixture_of_data",
    "plan_teleport",
    "teleport",
    "teleport_study",
    "typical_error",
]
