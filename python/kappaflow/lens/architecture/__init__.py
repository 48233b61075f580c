"""The best denoisers under architectural constraints, and the laws that they generate."""

from .generated import (
    AffineLaw,
    GeneratedLaw,
    LinearLaw,
    StationaryLaw,
)
from .optimal import (
    ZERO_PADDING_LIMIT,
    Architecture,
    ConvolutionDenoiser,
    FullLinearDenoiser,
    MeanDenoiser,
    PatchDenoiser,
    log_gain_integral,
    non_commutation,
)
from .patch_filters import (
    PADDINGS,
    PatchRegression,
    circular_regression,
    patch_size,
    zero_regression,
)
from .study import (
    ArchitectureStudy,
    Filters,
    Generated,
    Locality,
    Studied,
    architecture_study,
    lag_profile,
    radial_profile,
)

__all__ = [
    "PADDINGS",
    "ZERO_PADDING_LIMIT",
    "AffineLaw",
    "Architecture",
    "ArchitectureStudy",
    "ConvolutionDenoiser",
    "Filters",
    "FullLinearDenoiser",
    "Generated",
    "GeneratedLaw",
    "LinearLaw",
    "Locality",
    "MeanDenoiser",
    "PatchDenoiser",
    "PatchRegression",
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
