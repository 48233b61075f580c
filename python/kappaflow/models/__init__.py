"""Diffusion models to compare with the theory.

A model is a denoiser D(x; σ), of one of two kinds:

* :class:`~.rows.RowDenoiser` takes rows (B, d) of NumPy arrays: the closed forms of :mod:`.scores`, and all denoisers in the lens
* :class:`~.denoisers.TensorDenoiser` takes torch tensors (B, channels, height, width): networks, and the code that samples them

:func:`~.layout.rows_denoiser` makes a denoiser of rows from one of tensors.

Networks are described by :mod:`.config`, built from :mod:`.backbones` and :mod:`.edm`, trained by :mod:`.training`, kept by
:mod:`.checkpoint` and sampled by :mod:`.sampling`. :mod:`.opening` opens models by name, :mod:`.adapters` converts those of
other conventions, :mod:`.unwrapping` finds networks in the wrappers of training code, :mod:`.devices`
resolves names of devices, and :mod:`.errors` defines the errors of models. :mod:`.rows`, :mod:`.scores` and :mod:`.errors` need
no torch.
"""

from .._lazy import lazy_attributes

__getattr__, __dir__ = lazy_attributes(__name__)
