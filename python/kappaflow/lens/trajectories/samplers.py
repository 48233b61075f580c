"""Samplers with a finite number of steps: their gains in each mode of a Gaussian model, and DDIM with any denoiser."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ..._checks import FloatArray, choice, real_array
from ...models.rows import RowDenoiser, evaluate_rows
from ...sampling import step_gain
from .probability_flow import spectrum
from .schedules import Schedule

__all__ = ["METHODS", "ddim", "sampler_gains"]

METHODS = ("euler", "heun")


def sampler_gains(eigenvalues: Any, noise_levels: Any, *, method: str = "euler") -> FloatArray:
    """(S, k) gain ψ of a sampler with finite steps in each mode of a Gaussian model, for x/α: exact, without simulation.

    Parameters
    ----------
    eigenvalues : (k,) λ ≥ 0
    noise_levels : (S,) decreasing σ̂, S ≥ 2; the first is that of T
    method : "euler" or "heun"
        Euler's rule in σ̂, which is DDIM, or Heun's second-order rule, with an Euler step if it ends at zero noise (Karras et
        al. 2022). A step from a to b multiplies a mode by 1 + (b − a) a/(λ + a²), or by its average with the slope at b.

    Raises
    ------
    ValueError
        Eigenvalues are negative, there are fewer than two noise levels, these are negative or do not decrease, or the method is
        unknown.

    Notes
    -----
    Compare with :func:`~kappaflow.lens.trajectories.state_gains` on the same path: the squared ratio is the factor by which the
    finite number of steps changes the variance.
    """
    values, level = spectrum(eigenvalues), real_array("noise_levels", noise_levels)
    choice("method", method, METHODS)
    if level.ndim != 1 or level.size < 2 or level.min() < 0 or not np.all(np.diff(level) < 0):
        raise ValueError(f"noise_levels must be two or more, not negative and decreasing, got {noise_levels!r}")
    gains = np.ones((level.size, values.size))
    for i, (a, b) in enumerate(itertools.pairwise(level)):
        gains[i + 1] = gains[i] * step_gain(values, float(a), float(b), second_order=method == "heun")
    return gains


def ddim(denoiser: RowDenoiser, schedule: Schedule, initial: Any, times: Any) -> FloatArray:
    """(S, B, d) states of deterministic DDIM with any denoiser: Euler's rule for x/α in the noise level σ̂.

    Parameters
    ----------
    denoiser : D(x; σ̂) for x = x₀ + σ̂z, for any schedule
    schedule : of the noise
    initial : (B, d) x_T at the first of the times
    times : (S,) decreasing; α must be above 0 at the first

    Raises
    ------
    ValueError
        Initial states are not rows; times do not decrease, leave the schedule, or start at α = 0; or an output of the denoiser
        has another shape or is not finite.

    References
    ----------
    Song, Meng and Ermon (2021), "Denoising diffusion implicit models": x_s = α_s D + σ_s (x_t − α_t D)/σ_t.
    """
    t, x = schedule.path(times), real_array("initial", initial)
    if x.ndim != 2:
        raise ValueError(f"initial must have shape (B, d), got {x.shape}")
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    if alpha[0] <= 0:
        raise ValueError(
            f"times must start at alpha above 0, because a denoiser has no input at alpha = 0; got t = {t[0]}"
        )
    states = [x]
    for i in range(t.size - 1):
        clean = evaluate_rows(denoiser, x / alpha[i], float(sigma[i] / alpha[i]))
        x = alpha[i + 1] * clean + (sigma[i + 1] / sigma[i]) * (x - alpha[i] * clean)
        states.append(x)
    return np.stack(states)
