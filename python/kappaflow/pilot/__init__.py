"""Pilots: what a few small trainings say about networks of that kind, at any number of images.

In the order in which data flow: :mod:`.training` (which networks), :mod:`.script` (those of the user's own command, run by
:mod:`.commands`), :mod:`.trained` (those that exist already), :mod:`.amount` (the fit and its error), :mod:`.assemble` (all
results), :mod:`.results`. Needs torch; UNet and DiT need diffusers.
"""

from typing import TYPE_CHECKING

from .._lazy import lazy_attributes

if TYPE_CHECKING:
    from .amount import fit_amount
    from .assemble import assemble_pilot
    from .results import Pilot
    from .training import train_pilots

__all__ = ["Pilot", "assemble_pilot", "fit_amount", "train_pilots"]

#: Imported on first use: networks need torch.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {"Pilot": "results", "assemble_pilot": "assemble", "fit_amount": "amount", "train_pilots": "training"},
)
