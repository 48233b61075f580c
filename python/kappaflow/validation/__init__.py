"""Comparison of the theory, :class:`~kappaflow.Splits`, with simulations and with networks.

:mod:`.linear`: linear diffusion models of many training sets, whose maps are known in closed form for every set.
:mod:`.network`: networks trained in pairs and sampled from the same seeds. Neither imports the other; both use :mod:`.metrics`
(intervals, verdicts, similarity of two models), :mod:`.laws` (what is compared) and :mod:`.strata` (parts of a dataset).
"""

from .._lazy import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
