"""The Gaussian law of the samples of a Gaussian model, from a sampler without discretisation error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, choice, integer
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...population import Population
from .probability_flow import state_gains
from .schedules import Schedule

__all__ = ["SampleLaw", "sample_law"]

INITIALS = ("noise", "exact")


@dataclass(frozen=True, repr=False)
class SampleLaw(ShortRepr, Tabular):
    """The Gaussian law of the samples.

    Attributes
    ----------
    mean : (d,)
    variances : (k,) of the mode coordinates, which are independent
    null_variance : of every direction outside of the modes
    target : (k,) α_t² λ + σ_t², the variances of data with the noise of the same time
    target_mean : (d,) α_t μ
    eigenvectors : (d, k), or None if modes are pixels
    """

    mean: FloatArray
    variances: FloatArray
    null_variance: float
    target: FloatArray
    target_mean: FloatArray
    eigenvectors: FloatArray | None

    @property
    def factors(self) -> FloatArray:
        """(k,) variance divided by that of the target; NaN if the target has none."""
        return np.asarray(
            np.divide(self.variances, self.target, out=np.full(self.target.shape, np.nan), where=self.target > 0)
        )

    @property
    def mean_error(self) -> FloatArray:
        """(k,) mode coordinates of mean − target mean."""
        gap = self.mean - self.target_mean
        return gap if self.eigenvectors is None else gap @ self.eigenvectors

    def frechet_distance(self) -> float:
        """‖mean error‖² + Σₖ (√variance − √target)², the squared 2-Wasserstein distance to the target."""
        gap = self.mean - self.target_mean
        return float(gap @ gap + np.sum((np.sqrt(self.variances) - np.sqrt(self.target)) ** 2))

    def draw(self, count: int, *, seed: int) -> FloatArray:
        """(count, d) independent samples.

        Raises
        ------
        TypeError, ValueError
            `count` is not a whole number of at least 1.
        """
        z = np.random.default_rng(seed).standard_normal((integer("count", count, 1), self.mean.size))
        if self.eigenvectors is None:
            return np.asarray(self.mean + z * np.sqrt(self.variances))
        null = np.sqrt(self.null_variance)
        inside = (z @ self.eigenvectors) * (np.sqrt(self.variances) - null) @ self.eigenvectors.T
        return np.asarray(self.mean + null * z + inside)

    def _columns(self) -> Columns:
        return {
            "mode": np.arange(1, self.variances.size + 1),
            "variance": self.variances,
            "target": self.target,
            "factor": self.factors,
            "mean_error": self.mean_error,
        }


def sample_law(
    population: Population,
    schedule: Schedule,
    *,
    initial: str = "noise",
    initial_mean: Any = None,
    start: float | None = None,
    stop: float | None = None,
) -> SampleLaw:
    """Exact law of x_t at `stop` for a sampler without discretisation error that starts at `start`.

    Parameters
    ----------
    population : mean and covariance
    schedule : of the noise
    initial : "noise" or "exact"
        "noise": x_T ~ N(m_T, σ_T² I), the usual start of samplers. Then x_t ~ N(α_t μ + ψ(m_T − α_T μ), σ_T² ψ²). At σ = 0 its
        variance is smaller than λ by the factor σ_T²/(σ_T² + α_T² λ), and the share √λ α_T/√(σ_T² + α_T² λ) of μₖ is missing.
        "exact": x_T ~ N(α_T μ, σ_T² I + α_T² Σ), the law of noised data; then nothing is lost.
    initial_mean : (d,) or one image, m_T, zero by default; only for "noise"
    start, stop : times, by default `t_max` and `t_min` of the schedule

    Raises
    ------
    ValueError
        `initial` is unknown, an initial mean is given with "exact" or has another shape, or `start` is not above `stop`.
    """
    choice("initial", initial, INITIALS)
    ends = np.array(schedule.ends(start, stop))
    alpha, sigma = schedule.alpha(ends), schedule.sigma(ends)
    target = (alpha[1] ** 2) * population.eigenvalues + sigma[1] ** 2
    target_mean = alpha[1] * population.mean
    if initial == "exact":
        if initial_mean is not None:
            raise ValueError("initial_mean is only for initial='noise', got it with initial='exact'")
        mean, variances = target_mean, target
    else:
        psi = state_gains(population.eigenvalues, schedule, ends)[1]
        m = np.zeros((1, population.dimension)) if initial_mean is None else initial_mean
        rows = population.flatten(m, "initial_mean")
        if len(rows) != 1:
            raise ValueError(f"initial_mean must be one image, got {len(rows)}")
        # apply() is μ + ψ(Σ)(x − μ); the start is centred at α_T μ
        moved = population.apply(rows + (1 - alpha[0]) * population.mean, psi, null_gain=float(sigma[1] / sigma[0]))
        mean, variances = moved[0] - population.mean + target_mean, (sigma[0] * psi) ** 2
    return SampleLaw(
        mean=mean,
        variances=np.asarray(variances),
        null_variance=float(sigma[1] ** 2),
        target=target,
        target_mean=target_mean,
        eigenvectors=population.eigenvectors,
    )
