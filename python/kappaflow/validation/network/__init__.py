"""Networks held against the theory: trained in pairs on disjoint splits, sampled from the same seeds, compared with every law.

In the order in which data flow: :mod:`.plan` and :mod:`.sweep` (many runs), :mod:`.probes` (what every model is asked),
:mod:`.gate` (is it a model at all?), :mod:`.analysis` (what the answers say), :mod:`.results`. :mod:`.given` compares two
models that were trained elsewhere. The models are in :mod:`kappaflow.models`. Needs torch; UNet and DiT need diffusers.
"""

from ..._lazy import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
