"""Linear diffusion models of many training sets, simulated exactly and compared with every prediction.

In the order in which data flow: :mod:`.draws` (training sets), :mod:`.plan` (what is simulated), :mod:`.simulation` and
:mod:`.statistics` (moments of the maps over training sets; needs torch), :mod:`.quantities` and :mod:`.comparisons` (what theory
predicts, beside it), :mod:`.counterfactual` (training sets that differ on purpose), :mod:`.experiment` (all of it),
:mod:`.results`, :mod:`.export`.
"""

from typing import TYPE_CHECKING

from ..._lazy import lazy_attributes

if TYPE_CHECKING:
    from .draws import DisjointSets, GaussianSets, ResampledSets, collect_pool
    from .experiment import validate_linear
    from .results import Validation

__all__ = ["DisjointSets", "GaussianSets", "ResampledSets", "Validation", "collect_pool", "validate_linear"]

#: Imported on first use: the simulation needs torch.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "DisjointSets": "draws",
        "GaussianSets": "draws",
        "ResampledSets": "draws",
        "Validation": "results",
        "collect_pool": "draws",
        "validate_linear": "experiment",
    },
)
