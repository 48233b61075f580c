"""Models that need no training: the linear sampling map of a set of images, and the exact score of the images themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..._checks import FloatArray
from ...models.denoisers import MemorisingDenoiser
from ...models.layout import to_rows, to_tensor
from ...models.sampling import sample
from ...population import Population
from ...sampling import SIGMA_MAX

__all__ = ["amplified", "linear_samples", "memorising_samples", "parts"]


def linear_samples(of: FloatArray | Population, noise: FloatArray, sigma_max: float = SIGMA_MAX) -> FloatArray:
    """(Z, d) μ̂ + √(Σ̂/(Σ̂ + σ_max²)) (x_T − μ̂) with the moments of rows (n, d) or of a population: what a linear model draws."""
    linear = of if isinstance(of, Population) else Population.from_samples(of)
    return linear.apply(noise, np.sqrt(linear.eigenvalues / (linear.eigenvalues + sigma_max**2)))


def memorising_samples(
    rows: FloatArray, shape: tuple[int, ...], noise: FloatArray, *, steps: int = 35, sigma_max: float = SIGMA_MAX
) -> FloatArray:
    """(Z, d) what the exact score of the images (n, d), a mixture of deltas, draws: the images, or close to them."""
    denoiser = MemorisingDenoiser(to_tensor(rows, shape, torch.float64))
    start = to_tensor(noise, shape, torch.float64)
    return to_rows(sample(denoiser, start, steps=steps, sigma_max=sigma_max), shape)


def parts(population: Population) -> dict[str, tuple[int, int]]:
    """The top modes, which hold half of the variance, and the bottom half of all modes, as (start, stop)."""
    s = population.eigenvalues
    top = int(np.searchsorted(np.cumsum(s), 0.5 * s.sum())) + 1
    bottom = max(s.size // 2, top)
    found = {"top": (0, top)}
    if bottom < s.size:
        found["bottom"] = (bottom, s.size)
    return found


def amplified(noise: FloatArray, population: Population, modes: Sequence[int], factor: float) -> FloatArray:
    """(Z, d) noise with its coordinates along modes start ≤ k < stop multiplied by a factor."""
    vectors = population.eigenvectors
    assert vectors is not None  # of a population from images
    chosen = vectors[:, modes[0] : modes[1]]
    return np.asarray(noise + (factor - 1) * (noise @ chosen) @ chosen.T)
