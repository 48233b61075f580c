"""Theory held against simulation and against networks: :class:`~kappaflow.Splits` is judged.

:mod:`.linear`: linear diffusion models of many training sets, whose maps are known in closed form for every set.
:mod:`.network`: networks trained in pairs and sampled from the same seeds. Neither knows the other; both stand on :mod:`.metrics`
(intervals, verdicts, how alike two models are), :mod:`.laws` (what is compared) and :mod:`.strata` (parts of a dataset).
"""

from .._lazy import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
