"""Linear diffusion models of many training sets, simulated exactly and compared with every prediction.

In the order in which data flow: :mod:`.draws` (training sets), :mod:`.plan` (what is simulated), :mod:`.simulation` and
:mod:`.statistics` (moments of the maps over training sets; needs torch), :mod:`.quantities` and :mod:`.comparisons` (what theory
predicts, beside it), :mod:`.counterfactual` (training sets that differ on purpose), :mod:`.experiment` (all of it),
:mod:`.results`, :mod:`.export`.
"""

from ..._lazy import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
