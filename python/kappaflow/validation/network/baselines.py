"""Models that need no training: the linear sampling map of a set of images, and the exact score of the images themselves."""

from __future__ import annotations

import numpy as np
import torch

from ..._checks import FloatArray
from ...models.denoisers import MemorisingDenoiser
from ...models.layout import to_rows, to_tensor
from ...models.sampling import sample
from ...population import Population
from ...sampling import SIGMA_MAX

__all__ = ["linear_samples", "memorising_samples"]


def linear_samples(of: FloatArray | Population, noise: FloatArray, sigma_max: float = SIGMA_MAX) -> FloatArray:
    """Samples (Z, d) of a linear model from initial noise: μ̂ + √(Σ̂/(Σ̂ + σ_max²)) (x_T − μ̂).

    Parameters
    ----------
    of : training images (n, d), or the population whose moments are used
    noise : (Z, d) initial noise x_T
    sigma_max : its noise level
    """
    linear = of if isinstance(of, Population) else Population.from_samples(of)
    return linear.apply(noise, np.sqrt(linear.eigenvalues / (linear.eigenvalues + sigma_max**2)))


def memorising_samples(
    rows: FloatArray, shape: tuple[int, ...], noise: FloatArray, *, steps: int = 35, sigma_max: float = SIGMA_MAX
) -> FloatArray:
    """Samples of the exact score of images (n, d), a mixture of deltas, from noise (Z, d): the images, or points close to them."""
    denoiser = MemorisingDenoiser(to_tensor(rows, shape, torch.float64))
    start = to_tensor(noise, shape, torch.float64)
    return to_rows(sample(denoiser, start, steps=steps, sigma_max=sigma_max), shape)
