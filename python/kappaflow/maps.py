"""The maps that a model makes of its training set: optimal denoiser, sampling map, and the sampler in finitely many steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._checks import choice, integer, map_levels, not_negative, positive
from ._core import SpectralFunction
from .sampling import SIGMA_MAX, SIGMA_MIN, heun_gain, noise_schedule
from .splits import Splits

__all__ = ["KINDS", "Map"]

KINDS = ("denoiser", "sampling_map", "heun")


@dataclass(frozen=True)
class Map:
    """A map that every training set defines: x becomes μ̂ + f(Σ̂)(x − μ̂) with a scalar function f.

    Create one with :meth:`denoiser`, :meth:`sampling` or :meth:`heun`.

    Attributes
    ----------
    kind : "denoiser", "sampling_map" or "heun"
    sigma : noise level of the denoiser, or the level at which the sampling map ends; 0 for "heun"
    sigma_max : noise level at which sampling starts; the denoiser does not use it
    steps : number of steps of "heun"; 0 for the others

    Raises
    ------
    ValueError
        An unknown kind, or a noise level or number of steps out of range.

    >>> Map.denoiser(0.5).label, Map.sampling().key
    ('denoiser, σ = 0.5', 'map_0')
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
        if self.kind == "sampling_map":
            map_levels(self.sigma, self.sigma_max)
        if self.kind == "heun":
            integer("steps", self.steps, 2)
            if self.sigma_max <= SIGMA_MIN:
                raise ValueError(f"sigma_max must be above {SIGMA_MIN}, where the grid ends, got {self.sigma_max}")

    @classmethod
    def denoiser(cls, sigma: float) -> Map:
        """The optimal linear denoiser, f(λ) = λ/(λ + σ²)."""
        return cls(kind="denoiser", sigma=sigma)

    @classmethod
    def sampling(cls, sigma: float = 0.0, sigma_max: float = SIGMA_MAX) -> Map:
        """The sampling map of the probability flow, f(λ) = √((λ + σ²)/(λ + σ_max²))."""
        return cls(kind="sampling_map", sigma=sigma, sigma_max=sigma_max)

    @classmethod
    def heun(cls, steps: int, sigma_max: float = SIGMA_MAX) -> Map:
        """The sampling map as Heun's method computes it in `steps` steps on the EDM grid, see :func:`~.sampling.heun_gain`."""
        return cls(kind="heun", sigma_max=sigma_max, steps=steps)

    @property
    def key(self) -> str:
        """Short identifier; different maps have different keys."""
        if self.kind == "denoiser":
            return f"denoiser_{self.sigma:g}"
        return f"heun_{self.steps}" if self.kind == "heun" else f"map_{self.sigma:g}"

    @property
    def label(self) -> str:
        """Name to show to people."""
        if self.kind == "denoiser":
            return f"denoiser, σ = {self.sigma:g}"
        if self.kind == "heun":
            return f"Heun sampler, {self.steps} steps"
        return "sampling map" if self.sigma == 0 else f"sampling map to σ = {self.sigma:g}"

    def gain(self, eigenvalues: Any) -> Any:
        """f(λ) at eigenvalues λ ≥ 0 of Σ̂, a NumPy array or torch tensor of any shape; the answer has its type and shape."""
        if self.kind == "denoiser":
            return eigenvalues / (eigenvalues + self.sigma**2)
        if self.kind == "sampling_map":
            return ((eigenvalues + self.sigma**2) / (eigenvalues + self.sigma_max**2)) ** 0.5
        return heun_gain(eigenvalues, noise_schedule(self.steps, self.sigma_max))

    def function(self, splits: Splits) -> SpectralFunction:
        """f as a mixture of resolvents on the support of Σ̂ in these splits.

        Raises
        ------
        ValueError
            For "heun", which is not such a mixture.
        """
        if self.kind == "denoiser":
            return splits.denoiser(self.sigma)
        if self.kind == "sampling_map":
            return splits.sampling_map(self.sigma, self.sigma_max)
        raise ValueError(f"kind must be 'denoiser' or 'sampling_map' for a prediction, got {self.kind!r}")
