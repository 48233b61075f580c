"""Theory held against simulation and against networks: :class:`~kappaflow.Splits` is judged.

:mod:`.linear`: linear diffusion models of many training sets, whose maps are known in closed form for every set.
:mod:`.network`: networks trained in pairs and sampled from the same seeds. :mod:`.metrics`: intervals and verdicts.
"""
