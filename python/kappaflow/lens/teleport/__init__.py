"""Skip the early steps of a sampler by a closed-form jump; :mod:`.pipelines` does it for `diffusers` (needs torch)."""

from .jumps import (
    Teleported,
    TeleportPlan,
    jump,
    plan_teleport,
    teleport,
    typical_error,
)
from .study import (
    WAYS,
    TeleportStudy,
    teleport_study,
)

__all__ = [
    "WAYS",
    "TeleportPlan",
    "TeleportStudy",
    "Teleported",
    "jump",
    "plan_teleport",
    "teleport",
    "teleport_study",
    "typical_error",
]
