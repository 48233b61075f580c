"""kappaflow: random-matrix theory of diffusion models.

Conventions, fixed here once: a noise level σ is a standard deviation, a noise variance is σ²; samples are rows; Σ̂ has divisor n;
eigenvalues descend and modes are columns; a disagreement is the expected squared distance per dimension of the outputs of
two models trained on independent sets of n samples; everything is float64 inside.
"""

from ._core import ConvergenceError, SpectralFunction, UnidentifiedError
from ._version import __version__
from .consistency.diagnosis import Diagnosis, LawError, diagnose
from .functions import (
    KappaInfo,
    compress_spectrum,
    denoiser,
    df1,
    df2,
    matrix_power,
    sampling_map,
    solve_kappa,
    spectral_density,
    spectral_support,
)
from .moments import Moments
from .population import Population
from .sample_size import NotReachedError, SampleSize, samples_for
from .splits import Splits

__all__ = [
    "ConvergenceError",
    "Diagnosis",
    "KappaInfo",
    "LawError",
    "Moments",
    "NotReachedError",
    "Population",
    "SampleSize",
    "SpectralFunction",
    "Splits",
    "UnidentifiedError",
    "__version__",
    "compress_spectrum",
    "denoiser",
    "df1",
    "df2",
    "diagnose",
    "matrix_power",
    "samples_for",
    "sampling_map",
    "solve_kappa",
    "spectral_density",
    "spectral_support",
]
