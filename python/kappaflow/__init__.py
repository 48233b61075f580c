"""kappaflow: random-matrix theory of diffusion models.

Conventions of the whole package: a noise level σ is a standard deviation, a noise variance is σ²; samples are rows; Σ̂ has
divisor n; eigenvalues descend and modes are columns; a disagreement is the expected squared distance per dimension of the
outputs of two models trained on independent sets of n samples; everything is float64 inside. Predictions are for linear
diffusion models, unless a docstring says otherwise.
"""

from typing import TYPE_CHECKING

from ._core import ConvergenceError, SpectralFunction, UnidentifiedError
from ._lazy import lazy_attributes
from ._schema import FileError
from ._version import __version__
from .classes import ClassPopulation, ClassPopulations, populations_by_class
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
from .provenance import Provenance
from .sample_size import NotReachedError, SampleSize, samples_for
from .splits import Splits

if TYPE_CHECKING:
    from . import cli, consistency, datasets, lens, models, plot, report, validation  # noqa: F401
    from .common_floor import CommonFloor, fit_common_floor
    from .consistency.classes import ClassAnswer, ClassAnswers, answers_by_class
    from .consistency.diagnosis import Diagnosis, diagnose
    from .consistency.experiment import LawError
    from .consistency.predict import predict
    from .consistency.prediction import Prediction
    from .memory import NotEnoughMemoryError, memory_limit
    from .models.posterior import PosteriorVariance, posterior_variance
    from .models.probe import NetworkProbe, network_probe

__all__ = [
    "ClassAnswer",
    "ClassAnswers",
    "ClassPopulation",
    "ClassPopulations",
    "CommonFloor",
    "ConvergenceError",
    "Diagnosis",
    "FileError",
    "KappaInfo",
    "LawError",
    "Moments",
    "NetworkProbe",
    "NotEnoughMemoryError",
    "NotReachedError",
    "Population",
    "PosteriorVariance",
    "Prediction",
    "Provenance",
    "SampleSize",
    "SpectralFunction",
    "Splits",
    "UnidentifiedError",
    "__version__",
    "answers_by_class",
    "compress_spectrum",
    "denoiser",
    "df1",
    "df2",
    "diagnose",
    "fit_common_floor",
    "matrix_power",
    "memory_limit",
    "network_probe",
    "populations_by_class",
    "posterior_variance",
    "predict",
    "samples_for",
    "sampling_map",
    "solve_kappa",
    "spectral_density",
    "spectral_support",
]

#: Imported on first use, and so is every module: ``kappaflow.lens`` needs no import of its own.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "ClassAnswer": "consistency.classes",
        "ClassAnswers": "consistency.classes",
        "answers_by_class": "consistency.classes",
        "Diagnosis": "consistency.diagnosis",
        "LawError": "consistency.experiment",
        "diagnose": "consistency.diagnosis",
        "Prediction": "consistency.prediction",
        "predict": "consistency.predict",
        "NotEnoughMemoryError": "memory",
        "memory_limit": "memory",
        "CommonFloor": "common_floor",
        "fit_common_floor": "common_floor",
        "PosteriorVariance": "models.posterior",
        "posterior_variance": "models.posterior",
        "NetworkProbe": "models.probe",
        "network_probe": "models.probe",
    },
)
