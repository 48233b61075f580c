"""The best denoisers under architectural constraints, and the laws that they generate.

* :mod:`.denoisers`: best denoisers of a mean image, of a full convolution, of a full matrix
* :mod:`.patch_denoiser`: best denoiser of a layer whose input is a patch
* :mod:`.patch_regression`: the regression that gives its weights
* :mod:`.generated_laws`: the Gaussian laws of their samples
* :mod:`.profiles`: power by frequency, covariance by lag
* :mod:`.study`: everything that the page on architecture shows

Spectra of data for convolutions are in :mod:`kappaflow.lens.stationary`.
"""

from .denoisers import Architecture, ConvolutionDenoiser, FullLinearDenoiser, MeanDenoiser
from .generated_laws import AffineLaw, GeneratedLaw, LinearLaw, StationaryLaw
from .patch_denoiser import ZERO_PADDING_LIMIT, PatchDenoiser, log_gain_integral, non_commutation
from .patch_regression import (
    PADDINGS,
    PatchRegression,
    circular_regression,
    patch_size,
    zero_regression,
)
from .profiles import LagProfile, RadialProfile, lag_profile, radial_profile
from .study import (
    ArchitectureStudy,
    Commutator,
    Filters,
    Generated,
    Locality,
    Studied,
    architecture_study,
)

__all__ = [
    "PADDINGS",
    "ZERO_PADDING_LIMIT",
    "AffineLaw",
    "Architecture",
    "ArchitectureStudy",
    "Commutator",
    "ConvolutionDenoiser",
    "Filters",
    "FullLinearDenoiser",
    "Generated",
    "GeneratedLaw",
    "LagProfile",
    "LinearLaw",
    "Locality",
    "MeanDenoiser",
    "PatchDenoiser",
    "PatchRegression",
    "RadialProfile",
    "StationaryLaw",
    "Studied",
    "architecture_study",
    "circular_regression",
    "lag_profile",
    "log_gain_integral",
    "non_commutation",
    "patch_size",
    "radial_profile",
    "zero_regression",
]
