r"""Scores and denoisers in closed form: of a Gaussian, of a mixture of Gaussians, and of the samples themselves.

Each is a posterior mean, D(x; σ) = E[x₀ | x₀ + σz = x]. The score of the noised density is s = (D − x)/σ² (Tweedie's formula), and
the Jacobian of each denoiser is ∇D = Cov[x₀ | x]/σ². Each is a :class:`~kappaflow.models.rows.RowDenoiser` of rows (B, d) and
computes in float64.

* :mod:`.gaussian`: :class:`MeanScore`, :class:`GaussianScore`
* :mod:`.mixture`: :class:`MixtureScore`
* :mod:`.samples`: :class:`DeltaScore`, which returns the training samples
"""

from .base import Score, row_noise_levels
from .gaussian import GaussianScore, MeanScore, ModeCoordinates
from .mixture import MixtureScore
from .samples import DeltaScore, distinct_rows

__all__ = [
    "DeltaScore",
    "GaussianScore",
    "MeanScore",
    "MixtureScore",
    "ModeCoordinates",
    "Score",
    "distinct_rows",
    "row_noise_levels",
]
