"""The initial noise of a seed, and the sampler in finitely many steps: Heun's method on the EDM grid, without noise."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ._checks import FloatArray, integer, integers, positive

__all__ = [
    "RHO",
    "SIGMA_MAX",
    "SIGMA_MIN",
    "has_scale",
    "heun",
    "heun_gain",
    "initial_noise",
    "noise_schedule",
    "step_gain",
]

#: Largest and smallest noise level and exponent of the sampler's grid, as chosen by Karras et al. (2022). The two noise levels
#: are the defaults of every ``sigma_max`` and ``sigma_min`` in the package.
SIGMA_MAX = 80.0
SIGMA_MIN = 0.002
RHO = 7.0
#: Largest relative deviation of the standard deviation of noise from the level that it is taken for, beyond standard errors.
_SCALE_TOLERANCE = 0.1


def initial_noise(seeds: Sequence[int], dimension: int, sigma_max: float) -> FloatArray:
    """(B, d) initial noise x_T = σ_max z of each seed, z = ``numpy.random.default_rng(seed).standard_normal(d)``.

    Raises
    ------
    TypeError, ValueError
        A seed is not an integer of at least 0, or `sigma_max` is not a positive number.
    """
    top = positive("sigma_max", sigma_max)
    checked = integers("seeds", seeds, 0)
    return top * np.stack([np.random.default_rng(seed).standard_normal(dimension) for seed in checked])


def has_scale(noise: FloatArray, sigma: float) -> bool:
    """Whether values of any shape can be noise of standard deviation `sigma`: within 10 %, and five standard errors."""
    scale = float(np.sqrt(np.mean(noise**2)))
    return bool(abs(scale / sigma - 1) <= _SCALE_TOLERANCE + 5 / np.sqrt(2 * noise.size))


def noise_schedule(
    steps: int, sigma_max: float = SIGMA_MAX, *, sigma_min: float = SIGMA_MIN, rho: float = RHO
) -> FloatArray:
    """(steps + 1,) noise levels σᵢ = (σ_max^{1/ρ} + i/(steps − 1) (σ_min^{1/ρ} − σ_max^{1/ρ}))^ρ, and 0 at the end.

    The grid of Karras et al. (2022), equation 5.

    Parameters
    ----------
    steps : number of steps, at least 2
    sigma_max, sigma_min : first and last noise level before 0, 0 < σ_min < σ_max
    rho : exponent ρ > 0; a larger value makes steps shorter near σ_min

    Raises
    ------
    TypeError, ValueError
        Arguments out of range.

    Examples
    --------
    >>> noise_schedule(3, 80.0).round(3).tolist()
    [80.0, 2.515, 0.002, 0.0]
    """
    count, top, low = integer("steps", steps, 2), positive("sigma_max", sigma_max), positive("sigma_min", sigma_min)
    if low >= top:
        raise ValueError(f"sigma_min must be below sigma_max = {top}, got {low}")
    ends = np.array([top, low]) ** (1 / positive("rho", rho))
    levels = (ends[0] + np.arange(count) / (count - 1) * (ends[1] - ends[0])) ** rho
    levels[0], levels[-1] = top, low  # free of the rounding of the powers
    return np.append(levels, 0.0)


def heun(
    evaluate: Callable[[Any, float], Any],
    x: Any,
    grid: Sequence[float],
    *,
    visit: Callable[[float, Any], object] | None = None,
) -> Any:
    """Heun's method for dx/dσ = (x − D(x; σ))/σ along a descending grid; a step to 0 is an Euler step.

    Parameters
    ----------
    evaluate : D(x, σ), for states of the type of `x`
    x : the state at ``grid[0]``, NumPy array or torch tensor
    grid : noise levels, as of :func:`noise_schedule`
    visit : called with the noise level and the state after each step
    """
    for now, after in itertools.pairwise(grid):
        slope = (x - evaluate(x, now)) / now
        trial = x + (after - now) * slope
        if after > 0:
            slope = 0.5 * (slope + (trial - evaluate(trial, after)) / after)
            trial = x + (after - now) * slope
        x = trial
        if visit is not None:
            visit(after, x)
    return x


def heun_gain(eigenvalues: Any, schedule: FloatArray) -> Any:
    r"""Gain of Heun's method for dx/dσ = (x − D(x; σ))/σ with a linear denoiser, as a function of the eigenvalues of Σ̂.

    Each step multiplies the component of an eigenvalue λ by a rational function of it, with a(σ) = σ/(λ + σ²) and
    h = σ' − σ::

        1 + h (a(σ) + a(σ') (1 + h a(σ)))/2,    and 1 + h a(σ) = λ/(λ + σ²) in the last step, to σ' = 0 (Euler)

    Parameters
    ----------
    eigenvalues : NumPy array or torch tensor of any shape, ≥ 0
    schedule : (steps + 1,) descending noise levels that end with 0, see :func:`noise_schedule`

    Returns
    -------
    The gain, of the type and shape of `eigenvalues`: x_final = μ̂ + gain(Σ̂)(x_T − μ̂).
    """
    gain = 1.0
    for now, after in itertools.pairwise(schedule.tolist()):
        gain = gain * step_gain(eigenvalues, now, after)
    return gain


def step_gain(eigenvalues: Any, now: float, after: float, *, second_order: bool = True) -> Any:
    """Factor of one step from a noise level to the next, for components of Σ̂: Heun's rule, or Euler's, which is DDIM's.

    See :func:`heun_gain` for the formula. A step to 0 is λ/(λ + σ²) by both rules.

    Parameters
    ----------
    eigenvalues : NumPy array or torch tensor of any shape, ≥ 0
    now, after : noise levels before and after the step, now > after ≥ 0
    second_order : Heun's rule; False for Euler's

    Returns
    -------
    The factor, of the type and shape of `eigenvalues`.
    """
    if after == 0:
        return eigenvalues / (eigenvalues + now * now)
    h, slope = after - now, now / (eigenvalues + now * now)
    step = 1 + h * slope
    if second_order:
        step = 1 + 0.5 * h * (slope + after / (eigenvalues + after * after) * step)
    return step
