r"""Teleport: one jump over the first, nearly linear part of sampling, and a solver for the rest.

At high noise every denoiser is nearly that of a Gaussian with the mean and covariance of the data. The probability flow of that
Gaussian is known exactly: the state at σ′ is a linear map of the initial noise. The difference of the denoiser from the
Gaussian one along the Gaussian path, ΔD = D − D_gauss, gives the error of the jump in each eigenmode, to first order (λ = 0
outside of the modes)::

    δₖ(σ′) = √(σ′² + λₖ) ∫_σ′^σ_max ΔDₖ(s) / (s √(s² + λₖ)) ds,    which is √(λₖ/(σ′² + λₖ)) δₖ(σ′) in the sample

The saved evaluations are best used below σ′: by default, all steps of the solver lie below σ′. The jump is that of Wang and
Vastola (2024), "The unreasonable effectiveness of Gaussian score approximation for diffusion models and its applications",
TMLR.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, positive
from ..._repr import ShortRepr
from ...models.rows import RowDenoiser, evaluate_rows, known_levels
from ...models.scores import GaussianScore
from ...population import Population
from ...sampling import SIGMA_MAX, SIGMA_MIN, heun, noise_schedule
from ..linear import flow_gain

__all__ = ["Teleported", "jump", "linear_map", "lowest_level", "root_mean_square", "teleport", "typical_error"]

#: Nodes of the Gauss-Legendre rule in ln s for the tail of a power law, good to 1e-12 for tails of four decades.
_NODES = 64
#: Exponent of ΔD that the error of the jump is estimated with if no correction is requested.
_FAR_POWER = 2.0


@dataclass(frozen=True, repr=False)
class Teleported(ShortRepr):
    """Samples of the hybrid sampler.

    Attributes
    ----------
    samples : (B, d)
    sigma_start : σ′, at which the solver starts
    evaluations : number of evaluations of the denoiser for each sample
    jump_error : root mean square over samples and pixels of the error that the jump causes in the samples, to first order, from
        ΔD at σ′ alone and a power law above it. With a correction, it is the error before the correction.
    """

    samples: FloatArray
    sigma_start: float
    evaluations: int
    jump_error: float


def jump(population: Population, noise: Any, sigma: float, *, sigma_max: float = SIGMA_MAX) -> FloatArray:
    """(B, d) states at σ of the Gaussian probability flow, μ + √((Σ + σ²)/(Σ + σ_max²)) (x_T − μ).

    Directions outside of the modes are multiplied by σ/σ_max.

    Parameters
    ----------
    population : mean and covariance
    noise : (B, d) or (B, *shape), x_T at sigma_max
    sigma : 0 ≤ σ ≤ sigma_max
    sigma_max : noise level at which the flow starts

    Raises
    ------
    ValueError
        σ is below 0 or above sigma_max, or the noise has another shape.
    TypeError
        σ is not one number.
    """
    top, level = positive("sigma_max", sigma_max), _one_level("sigma", sigma)
    if not 0 <= level <= top:
        raise ValueError(f"sigma must be between 0 and sigma_max = {top}, got {level}")
    gains = flow_gain(population.eigenvalues, level, top)
    return population.apply(noise, gains, null_gain=level / top, name="noise")


def teleport(
    denoiser: RowDenoiser,
    population: Population,
    noise: Any,
    sigma_start: float,
    *,
    steps: int = 18,
    sigma_max: float = SIGMA_MAX,
    sigma_min: float | None = None,
    correction: float | None = None,
    regrid: bool = True,
    progress: Callable[[float], None] | None = None,
) -> Teleported:
    r"""Jump to σ′ = `sigma_start`, then Heun's method to 0.

    Parameters
    ----------
    denoiser : D(x, σ) of rows (B, d), see :class:`~kappaflow.models.rows.RowDenoiser`
    population : mean and covariance of the data that the denoiser was trained on, in their scale; for a conditional model,
        those of the data of the condition, without guidance
    noise : (B, d) x_T = σ_max z
    sigma_start : σ′
    steps : of the grid. With `regrid`, all of them lie below σ′; otherwise the grid starts at sigma_max, and only its steps
        below σ′ are made.
    sigma_max, sigma_min : ends of the grid; by default the lower one is the smallest level that the denoiser knows, at least 0.002
    correction : exponent p > 0 of ΔD(s) ≈ ΔD(σ′)(σ′/s)ᵖ above σ′. The resulting δ(σ′) is added to the state, at the cost of one
        more evaluation. p is 2 if σ′² is far above the largest eigenvalue, and nearer to 1 below;
        :func:`~kappaflow.lens.teleport.plan_teleport` measures it.
    regrid : whether all steps are placed below σ′
    progress : called with the fraction that is done

    Raises
    ------
    ValueError
        sigma_start is not above sigma_min or is above sigma_max, the noise has no rows or another shape, or an output of the
        denoiser is not valid.
    TypeError
        The denoiser does not return real numbers.
    """
    start, top = positive("sigma_start", sigma_start), positive("sigma_max", sigma_max)
    low = lowest_level(denoiser, sigma_min)
    if not low < start <= top:
        raise ValueError(f"sigma_start must be above sigma_min = {low} and at most sigma_max = {top}, got {start}")
    power = _FAR_POWER if correction is None else positive("correction", correction)
    if regrid:
        grid = noise_schedule(steps, start, sigma_min=low)
    else:
        whole = noise_schedule(steps, top, sigma_min=low)
        grid = np.append(start, whole[whole < start])
    x = jump(population, noise, start, sigma_max=top)
    held: list[FloatArray] = [evaluate_rows(denoiser, x, start)]
    evaluations = 2 * (len(grid) - 1) - 1
    missed = _tail(population, held[0] - GaussianScore(population)(x, start), start, top, power)
    values = population.eigenvalues
    in_sample = linear_map(population, missed, np.sqrt(values / (values + start**2)), 0.0)
    if correction is not None:
        x = x + missed
        held.clear()
        evaluations += 1

    def answer(state: FloatArray, level: float) -> FloatArray:
        return held.pop() if held else evaluate_rows(denoiser, state, level)  # the first answer is there already

    def visit(level: float, _state: FloatArray) -> None:
        if progress is not None:
            progress((int(np.argmin(np.abs(grid - level)))) / (len(grid) - 1))

    return Teleported(
        samples=heun(answer, x, grid.tolist(), visit=visit),
        sigma_start=start,
        evaluations=evaluations,
        jump_error=root_mean_square(in_sample),
    )


def lowest_level(denoiser: object, sigma_min: float | None) -> float:
    """The last noise level before 0: that which is given, or the smallest that the denoiser knows, at least 0.002.

    Raises
    ------
    TypeError, ValueError
        `sigma_min` is not a positive number.
    """
    return max(SIGMA_MIN, known_levels(denoiser).low) if sigma_min is None else positive("sigma_min", sigma_min)


def _one_level(name: str, sigma: Any) -> float:
    """One noise level as a number."""
    try:
        if np.ndim(sigma) == 0:
            return float(sigma)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{name} must be one noise level, got {sigma!r}")


def _tail(population: Population, gap: FloatArray, start: float, top: float, power: float) -> FloatArray:
    """δ(σ′), (B, d), for ΔD(s) = ΔD(σ′)(σ′/s)ᵖ above σ′."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    length = np.log(top / start)
    s = start * np.exp(0.5 * length * (nodes + 1))
    weight = 0.5 * length * weights * (start / s) ** power
    values = population.eigenvalues[:, None]
    gains = np.sqrt(start**2 + values[:, 0]) * (weight / np.sqrt(s**2 + values)).sum(axis=1)
    return linear_map(population, gap, gains, start * float((weight / s).sum()))


def linear_map(population: Population, vectors: FloatArray, gains: FloatArray, null_gain: float) -> FloatArray:
    """f(Σ) of vectors (B, d), without the mean; `gains` (k,) in the modes and `null_gain` outside of them."""
    return population.apply(vectors + population.mean, gains, null_gain=null_gain) - population.mean


def root_mean_square(values: FloatArray) -> float:
    """√mean(v²) over all entries."""
    return float(np.sqrt(np.mean(values**2)))


def typical_error(differences: FloatArray) -> float:
    """Mean over the rows of (B, d) of their root mean square.

    A single seed that ends at another attractor of the flow therefore does not outweigh all other seeds.
    """
    return float(np.mean(np.sqrt(np.mean(differences**2, axis=1))))
