"""Theory held against simulation: training sets are drawn, models are formed exactly, and :class:`~kappaflow.Splits` is judged.

:mod:`.linear` validates linear diffusion models, whose denoiser and sampling map are known in closed form for every
training set. Its modules, in the order in which data flow: :mod:`.questions` (which maps are asked), :mod:`.draws` (training
sets), :mod:`.simulation` (statistics of the maps over training sets; needs torch), :mod:`.quantities` (what the API predicts
of them), :mod:`.metrics` (intervals and verdicts), :mod:`.counterfactual` (training sets that differ on purpose).
"""
