"""Linear diffusion models of many training sets, simulated exactly and compared with every prediction.

In the order in which data flow: :mod:`.draws` (training sets), :mod:`.simulation` (statistics of the maps over training sets; needs
torch), :mod:`.quantities` (what the API predicts of them), :mod:`.counterfactual` (training sets that differ on purpose),
:mod:`.experiment` (all of it).
"""
