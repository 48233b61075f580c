"""Comparison of networks with the theory: pairs of networks are trained on disjoint splits and sampled from the same seeds.

In the order in which data flow: :mod:`.plan` and :mod:`.sweep` (many runs), :mod:`.probes` (samples and denoised images of
every model), :mod:`.gate` (is it a generative model at all?), :mod:`.analysis` (comparison with models and laws),
:mod:`.results`. :mod:`.given` compares two models that were trained elsewhere. The models are in :mod:`kappaflow.models`. Needs
torch; UNet and DiT need diffusers.
"""

from typing import TYPE_CHECKING

from ..._lazy import lazy_attributes

if TYPE_CHECKING:
    from .context import make_context
    from .experiment import validate_networks
    from .given import compare_given, open_models
    from .plan import make_plan
    from .results import NetworkValidation

__all__ = ["NetworkValidation", "compare_given", "make_context", "make_plan", "open_models", "validate_networks"]

#: Imported on first use: networks need torch.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "NetworkValidation": "results",
        "compare_given": "given",
        "make_context": "context",
        "make_plan": "plan",
        "open_models": "given",
        "validate_networks": "experiment",
    },
)
