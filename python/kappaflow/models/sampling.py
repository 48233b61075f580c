"""The deterministic sampler: Heun's method for the probability-flow ODE, from given initial noise."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from .._checks import integer
from ..sampling import SIGMA_MAX, SIGMA_MIN, heun, noise_schedule
from .denoisers import TensorDenoiser

__all__ = ["sample"]


@torch.no_grad()
def sample(
    denoiser: TensorDenoiser,
    noise: torch.Tensor,
    *,
    steps: int = 35,
    sigma_max: float = SIGMA_MAX,
    sigma_min: float = SIGMA_MIN,
    batch: int = 128,
    progress: Callable[[int], None] | None = None,
) -> torch.Tensor:
    r"""Images (B, ...) that a denoiser draws from initial noise: Heun's method for dx/dσ = (x − D(x; σ))/σ on the grid of EDM.

    The state has the dtype of `noise`, whatever the network computes in; float64 makes comparisons reproducible. With a linear
    denoiser, modes are multiplied by :func:`~kappaflow.sampling.heun_gain`, at second order in the step.

    Parameters
    ----------
    denoiser : callable D(x, sigma), see :class:`~.denoisers.TensorDenoiser`
    noise : (B, ...) x_T = σ_max z, on the denoiser's device; see :func:`kappaflow.sampling.initial_noise`
    steps : number of steps; the denoiser is evaluated 2·steps − 1 times
    sigma_max, sigma_min : ends of the grid; the last step goes from sigma_min to 0
    batch : number of images at once
    progress : called with the number of images that are done

    Raises
    ------
    ValueError, TypeError
        Settings out of range; a denoiser whose output has another shape than its input, or is not finite.
    """
    grid = [float(level) for level in noise_schedule(steps, sigma_max, sigma_min=sigma_min)]
    size = integer("batch", batch, 1)
    parts = []
    for start in range(0, len(noise), size):
        parts.append(heun(partial(_evaluate, denoiser), noise[start : start + size], grid))
        if progress is not None:
            progress(min(start + size, len(noise)))
    return torch.cat(parts)


def _evaluate(denoiser: TensorDenoiser, x: torch.Tensor, sigma: float) -> torch.Tensor:
    levels = torch.full((len(x),), sigma, dtype=x.dtype, device=x.device)
    answer = denoiser(x, levels)
    if answer.shape != x.shape:
        raise ValueError(f"denoiser must return the shape of its input {tuple(x.shape)}, got {tuple(answer.shape)}")
    answer = answer.to(x.dtype)
    if not bool(torch.isfinite(answer).all()):
        raise ValueError(f"denoiser must be finite, got NaN or infinity at noise level {sigma:.4g}")
    return answer
