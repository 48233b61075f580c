"""Networks held against the theory: trained in pairs on disjoint splits, sampled from the same seeds, compared with every law.

In the order in which data flow: :mod:`.denoisers` (the protocol ``D(x, sigma)`` and the models known in closed form),
:mod:`.backbones` and :mod:`.edm` (networks as denoisers), :mod:`.training`, :mod:`.checkpoint`, :mod:`.adapters` (models that were
trained elsewhere), :mod:`.sampling`, :mod:`.gate` (is it a model at all?), :mod:`.plan` and :mod:`.sweep` (many runs),
:mod:`.analysis` (what they say), :mod:`.results`. Needs torch; UNet and DiT need diffusers.
"""
