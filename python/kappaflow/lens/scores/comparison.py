r"""How much of a denoiser a closed-form score explains: the fraction of squared error, and the loss on held-out samples.

For a denoiser D and an approximation Dₐ at the same x, the fraction of squared error is ‖D − Dₐ‖²/‖D‖² of denoisers, or
‖s − sₐ‖²/‖s‖² = ‖D − Dₐ‖²/‖D − x‖² of scores. The second is tiny at high noise whatever the approximation, because the score is
then mostly the noise itself; the two are never to be confused, nor the law of x at which they are taken, nor the mean of ratios
with the ratio of means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, choice, integer, positive, real_array
from ...models.rows import RowDenoiser, evaluate_rows
from ...sampling import SIGMA_MAX, SIGMA_MIN, heun, noise_schedule

__all__ = ["LAWS", "Fraction", "HeldOutLoss", "fraction_of_squared_error", "held_out_loss", "sigma_grid"]

LAWS = ("data", "noise", "trajectory")


@dataclass(frozen=True)
class Fraction:
    """Fraction of squared error of one approximation, at S noise levels; each with its standard error.

    Where the denoiser itself, or its score, is exactly zero the fraction is infinite, or NaN where the approximation agrees.

    Attributes
    ----------
    sigmas : (S,) ascending
    score_mean_of_ratios, score_ratio_of_means : (S,) of scores
    denoiser_mean_of_ratios, denoiser_ratio_of_means : (S,) of denoisers
    errors : the same four names → (S,) standard errors over the x that were drawn
    """

    sigmas: FloatArray
    score_mean_of_ratios: FloatArray
    score_ratio_of_means: FloatArray
    denoiser_mean_of_ratios: FloatArray
    denoiser_ratio_of_means: FloatArray
    errors: Mapping[str, FloatArray]


@dataclass(frozen=True)
class HeldOutLoss:
    """E‖D(x₀ + σz; σ) − x₀‖²/d of one denoiser on samples it has not seen, at S noise levels.

    Losses of two denoisers on the same x₀ and z differ by how much nearer one is to the optimal denoiser of the population,
    E‖D − D*‖²/d, for the part that both miss is common.

    Attributes
    ----------
    sigmas, loss, error : (S,) noise levels, ascending, means, standard errors
    each : (S, count) loss of each sample, the same sample and noise for all denoisers
    """

    sigmas: FloatArray
    loss: FloatArray
    error: FloatArray
    each: FloatArray

    def over(self, other: HeldOutLoss) -> tuple[FloatArray, FloatArray]:
        """(S,) loss over that of another denoiser of the same call, and its standard error (delta method).

        What is common to both, samples and noise, is in neither error. Raises ValueError for losses that are no pairs.
        """
        if self.each.shape != other.each.shape or not np.array_equal(self.sigmas, other.sigmas):
            raise ValueError(
                f"other must have losses of the same samples {self.each.shape} at the same noise levels, got {other.each.shape} "
                f"at {other.sigmas}"
            )
        ratio = self.loss / other.loss
        residual = (self.each - ratio[:, None] * other.each) / other.loss[:, None]
        return ratio, residual.std(axis=1, ddof=1) / np.sqrt(residual.shape[1])


def sigma_grid(sigma_min: float = 0.05, sigma_max: float = SIGMA_MAX, count: int = 16) -> FloatArray:
    """(S,) ascending noise levels, equal steps of the logarithm. Raises ValueError unless 0 < sigma_min < sigma_max, S ≥ 2."""
    low, high = positive("sigma_min", sigma_min), positive("sigma_max", sigma_max)
    if low >= high:
        raise ValueError(f"sigma_min must be below sigma_max = {high}, got {low}")
    return np.geomspace(low, high, integer("count", count, 2))


def fraction_of_squared_error(
    denoiser: RowDenoiser,
    approximations: Mapping[str, RowDenoiser],
    samples: Any,
    sigmas: Any,
    *,
    law: str = "data",
    count: int = 1024,
    steps: int = 35,
    sigma_max: float = SIGMA_MAX,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Fraction]:
    """Compare approximations with a denoiser at the same x.

    Parameters
    ----------
    denoiser : the one to explain, a network for instance (see :func:`~kappaflow.models.layout.rows_denoiser`)
    approximations : by name
    samples : (N, ...) array of clean samples, in the scale of the denoiser; drawn from with replacement where `count` > N
    sigmas : (S,) noise levels in any order
    law : of x. "data": sample + σz; "noise": σz alone, which is data at high noise only; "trajectory": the state at σ of the
        denoiser's own probability flow from sigma_max·z, by Heun's method on the EDM grid with the levels asked for put in
    count : how many x
    steps, sigma_max : of the trajectory
    seed : of samples and noise; the same for all approximations and levels
    progress : called with the fraction done

    Raises
    ------
    ValueError : bad levels (for "trajectory" above sigma_max), shapes that differ, an answer that is not finite
    """
    choice("law", law, LAWS)
    levels = _levels(sigmas)[::-1]  # descending, as a sampler meets them
    rows, rng = _some_rows(samples, integer("count", count, 2), seed)
    noise = rng.standard_normal(rows.shape)
    collected: dict[str, list[FloatArray]] = {name: [] for name in approximations}
    states = _states(denoiser, rows, noise, levels, law, integer("steps", steps, 2), positive("sigma_max", sigma_max))
    for done, (level, x) in enumerate(states):
        exact = evaluate_rows(denoiser, x, level)
        for name, approximation in approximations.items():
            gap = ((exact - evaluate_rows(approximation, x, level)) ** 2).sum(axis=1)
            collected[name].append(np.stack([gap, ((exact - x) ** 2).sum(axis=1), (exact**2).sum(axis=1)]))
        if progress is not None:
            progress((done + 1) / levels.size)
    return {name: _fraction(levels[::-1], np.stack(parts[::-1])) for name, parts in collected.items()}


def held_out_loss(
    denoisers: Mapping[str, RowDenoiser],
    samples: Any,
    sigmas: Any,
    *,
    count: int = 1024,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, HeldOutLoss]:
    """Denoising loss of each denoiser on clean samples (N, ...) that it was not made from; see :class:`HeldOutLoss`.

    Samples and noise are the same for all denoisers. Parameters and errors as of :func:`fraction_of_squared_error`.
    """
    levels = _levels(sigmas)
    rows, rng = _some_rows(samples, integer("count", count, 2), seed)
    noise = rng.standard_normal(rows.shape)
    losses: dict[str, list[FloatArray]] = {name: [] for name in denoisers}
    for done, level in enumerate(levels):
        for name, denoiser in denoisers.items():
            answer = evaluate_rows(denoiser, rows + level * noise, float(level))
            losses[name].append(((answer - rows) ** 2).mean(axis=1))
        if progress is not None:
            progress((done + 1) / levels.size)
    found = {name: np.stack(parts) for name, parts in losses.items()}
    return {
        name: HeldOutLoss(levels, each.mean(axis=1), each.std(axis=1, ddof=1) / np.sqrt(each.shape[1]), each)
        for name, each in found.items()
    }


def _levels(sigmas: Any) -> FloatArray:
    """Ascending; a level that is asked for twice is answered twice."""
    levels = real_array("sigmas", sigmas)
    if levels.ndim != 1 or levels.size == 0 or levels.min() <= 0:
        raise ValueError(f"sigmas must be one or more noise levels above 0, got {levels}")
    return np.sort(levels)


def _some_rows(samples: Any, count: int, seed: int) -> tuple[FloatArray, np.random.Generator]:
    """(count, d) rows without replacement where there are so many, and the generator for what follows."""
    array = samples if hasattr(samples, "shape") else np.asarray(samples)
    if len(array.shape) < 2 or len(array) == 0:
        raise ValueError(f"samples must be (N, ...) with at least one sample, got shape {tuple(array.shape)}")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(array), count, replace=count > len(array)))
    return real_array("samples", array[chosen]).reshape(count, -1), rng


def _states(
    denoiser: RowDenoiser,
    rows: FloatArray,
    noise: FloatArray,
    levels: FloatArray,
    law: str,
    steps: int,
    sigma_max: float,
) -> Any:
    """Pairs of noise level and x (count, d), in the order of the levels, which descend."""
    if law != "trajectory":
        return ((float(level), level * noise + (rows if law == "data" else 0.0)) for level in levels)
    if levels.max() > sigma_max:
        raise ValueError(f"sigmas must be at most sigma_max = {sigma_max} on the trajectory, got {levels.max()}")
    grid = np.union1d(noise_schedule(steps, sigma_max, sigma_min=min(SIGMA_MIN, sigma_max / 2))[:-1], levels)[::-1]
    wanted, found = set(levels.tolist()), {}

    def visit(level: float, x: FloatArray) -> None:
        if level in wanted:
            found[level] = x

    start = sigma_max * noise
    visit(sigma_max, start)
    lowest = grid >= levels.min()
    heun(lambda x, level: evaluate_rows(denoiser, x, level), start, grid[lowest].tolist(), visit=visit)
    return [(level, found[level]) for level in levels.tolist()]


def _fraction(levels: FloatArray, squares: FloatArray) -> Fraction:
    """From squared gaps, scores (times σ⁴) and denoisers, (S, 3, count)."""
    values, errors = {}, {}
    for name, size in (("score", squares[:, 1]), ("denoiser", squares[:, 2])):
        gap, count = squares[:, 0], squares.shape[2]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = gap / size
            total = gap.mean(axis=1) / size.mean(axis=1)
            residual = (gap - total[:, None] * size) / size.mean(axis=1, keepdims=True)  # delta method
            values[f"{name}_mean_of_ratios"], values[f"{name}_ratio_of_means"] = ratios.mean(axis=1), total
            errors[f"{name}_mean_of_ratios"] = ratios.std(axis=1, ddof=1) / np.sqrt(count)
            errors[f"{name}_ratio_of_means"] = residual.std(axis=1, ddof=1) / np.sqrt(count)
    return Fraction(sigmas=levels, errors=errors, **values)
