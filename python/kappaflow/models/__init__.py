"""Diffusion models that the theory is held against.

Closed forms (:mod:`.scores`, :mod:`.denoisers`), networks (:mod:`.backbones`, :mod:`.edm`), their training (:mod:`.training`,
:mod:`.checkpoint`), models trained elsewhere (:mod:`.adapters`), and sampling of tensors (:mod:`.sampling`). :mod:`.rows` and
:mod:`.scores` need no torch.
"""

from .._lazy import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
