"""The maps that are asked of every training set: optimal denoiser, sampling map, and the sampler in finitely many steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._checks import choice, integer, not_negative, positive
from ._core import SpectralFunction
from .sampling import SIGMA_MAX, SIGMA_MIN, heun_gain, noise_schedule
from .splits import Splits

__all__ = ["KINDS", "Question", "denoising", "finite_steps", "sampling"]

KINDS = ("denoiser", "sampling_map", "heun")


@dataclass(frozen=True)
class Question:
    """A scalar function f of the sample covariance; models map x to μ̂ + f(Σ̂)(x − μ̂).

    Attributes
    ----------
    kind : "denoiser", "sampling_map" or "heun"
    sigma : noise level of the denoiser, or the one at which the sampling map ends; 0 for "heun"
    sigma_max : where sampling starts; unused by the denoiser
    steps : of "heun"
    """

    kind: str
    sigma: float = 0.0
    sigma_max: float = SIGMA_MAX
    steps: int = 0

    def __post_init__(self) -> None:
        choice("kind", self.kind, KINDS)
        not_negative("sigma", self.sigma)
        positive("sigma_max", self.sigma_max)
        if self.kind == "denoiser":
            positive("sigma", self.sigma)
        if self.kind == "sampling_map" and self.sigma >= self.sigma_max:
            raise ValueError(f"sigma must be below sigma_max = {self.sigma_max}, got {self.sigma}")
        if self.kind == "heun":
            integer("steps", self.steps, 2)
            if self.sigma_max <= SIGMA_MIN:
                raise ValueError(f"sigma_max must be above {SIGMA_MIN}, where the grid ends, got {self.sigma_max}")

    @property
    def key(self) -> str:
        """Short identifier, unique for what is asked."""
        if self.kind == "denoiser":
            return f"denoiser_{self.sigma:g}"
        return f"heun_{self.steps}" if self.kind == "heun" else f"map_{self.sigma:g}"

    @property
    def label(self) -> str:
        """Name for people."""
        if self.kind == "denoiser":
            return f"denoiser, σ = {self.sigma:g}"
        if self.kind == "heun":
            return f"Heun sampler, {self.steps} steps"
        return "sampling map" if self.sigma == 0 else f"sampling map to σ = {self.sigma:g}"

    def gain(self, eigenvalues: Any) -> Any:
        """f at eigenvalues of Σ̂: NumPy arrays or torch tensors of any shape."""
        if self.kind == "denoiser":
            return eigenvalues / (eigenvalues + self.sigma**2)
        if self.kind == "sampling_map":
            return ((eigenvalues + self.sigma**2) / (eigenvalues + self.sigma_max**2)) ** 0.5
        return heun_gain(eigenvalues, noise_schedule(self.steps, self.sigma_max))

    def function(self, splits: Splits) -> SpectralFunction:
        """f as a mixture of resolvents, with the support of these splits. Raises ValueError for "heun", which has none."""
        if self.kind == "denoiser":
            return splits.denoiser(self.sigma)
        if self.kind == "sampling_map":
            return splits.sampling_map(self.sigma, self.sigma_max)
        raise ValueError(f"kind must be 'denoiser' or 'sampling_map' for a prediction, got {self.kind!r}")


def denoising(sigma: float) -> Question:
    """Optimal linear denoiser λ/(λ + σ²)."""
    return Question("denoiser", sigma)


def sampling(sigma: float = 0.0, sigma_max: float = SIGMA_MAX) -> Question:
    """Probability-flow sampling map √((λ + σ²)/(λ + σ_max²))."""
    return Question("sampling_map", sigma, sigma_max)


def finite_steps(steps: int, sigma_max: float = SIGMA_MAX) -> Question:
    """The sampling map as Heun's method computes it on the EDM grid of so many steps."""
    return Question("heun", 0.0, sigma_max, steps)
