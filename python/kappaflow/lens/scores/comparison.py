r"""How much of a denoiser a closed-form score explains: the fraction of squared error, and the loss on held-out samples.

For a denoiser D and an approximation Dₐ at the same x, the fraction of squared error is ‖D − Dₐ‖²/‖D‖² for denoisers, and
‖s − sₐ‖²/‖s‖² = ‖D − Dₐ‖²/‖D − x‖² for scores. At high noise, the second is tiny for any approximation, because the score is
then mostly the noise itself. Every such number must therefore come with three statements: whether it compares scores or
denoisers, from which law x was drawn, and whether it is a mean of ratios or a ratio of means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..._checks import FloatArray, choice, integer, positive, real_array
from ..._repr import ShortRepr, short_repr
from ..._tables import Columns, Tabular
from ...models.rows import RowDenoiser, evaluate_rows
from ...sampling import SIGMA_MAX, SIGMA_MIN, heun, noise_schedule
from ..noise_levels import ascending_noise_levels

__all__ = [
    "LAWS",
    "DrawnRows",
    "Fraction",
    "HeldOutLoss",
    "LossRatio",
    "draw_rows",
    "fraction_of_squared_error",
    "held_out_loss",
    "sigma_grid",
]

#: Laws from which x can be drawn.
LAWS = ("data", "noise", "trajectory")


@dataclass(frozen=True, repr=False)
class Fraction(ShortRepr, Tabular):
    """Fraction of squared error of one approximation at S noise levels, with standard errors.

    If the denoiser, or its score, is exactly zero, the fraction is infinite, or NaN if the approximation is zero too.

    Attributes
    ----------
    sigmas : (S,) ascending
    score_mean_of_ratios, score_ratio_of_means : (S,) for scores
    denoiser_mean_of_ratios, denoiser_ratio_of_means : (S,) for denoisers
    errors : names of these four fields → (S,) standard errors over the drawn x
    """

    sigmas: FloatArray
    score_mean_of_ratios: FloatArray
    score_ratio_of_means: FloatArray
    denoiser_mean_of_ratios: FloatArray
    denoiser_ratio_of_means: FloatArray
    errors: Mapping[str, FloatArray]

    def _columns(self) -> Columns:
        values = {name: getattr(self, name) for name in self.errors}
        return {"sigma": self.sigmas, **values, **{f"{name}_error": each for name, each in self.errors.items()}}


@dataclass(frozen=True, repr=False)
class LossRatio(Tabular, ShortRepr):
    """Ratio of two losses.

    Attributes
    ----------
    ratio, error : (S,) the ratio of the mean losses, and its standard error
    """

    ratio: FloatArray
    error: FloatArray

    def _columns(self) -> Columns:
        return {"ratio": self.ratio, "error": self.error}


@dataclass(frozen=True, repr=False)
class HeldOutLoss(ShortRepr, Tabular):
    """E‖D(x₀ + σz; σ) − x₀‖²/d of one denoiser on held-out samples, at S noise levels.

    The losses of two denoisers on the same x₀ and z have a common part, the loss of the optimal denoiser D* of the population.
    They differ in the distance of each denoiser from D*, E‖D − D*‖²/d.

    Attributes
    ----------
    sigmas, loss, error : (S,) noise levels, ascending; mean losses; standard errors
    each : (S, count) loss of each sample; sample and noise are the same for all denoisers
    """

    sigmas: FloatArray
    loss: FloatArray
    error: FloatArray
    each: FloatArray

    def over(self, other: HeldOutLoss) -> LossRatio:
        """This loss divided by that of another denoiser from the same call, with its standard error by the delta method.

        Samples and noise are the same for both losses, so their common fluctuation does not count in the standard error.

        Raises
        ------
        ValueError
            The other losses belong to other samples or noise levels.
        """
        if self.each.shape != other.each.shape or not np.array_equal(self.sigmas, other.sigmas):
            raise ValueError(
                f"other must have losses of the same samples {self.each.shape} at the same noise levels, got {other.each.shape} "
                f"at {other.sigmas}"
            )
        ratio = self.loss / other.loss
        residual = (self.each - ratio[:, None] * other.each) / other.loss[:, None]
        return LossRatio(ratio, residual.std(axis=1, ddof=1) / np.sqrt(residual.shape[1]))

    def _columns(self) -> Columns:
        return {"sigma": self.sigmas, "loss": self.loss, "error": self.error}


def sigma_grid(sigma_min: float = 0.05, sigma_max: float = SIGMA_MAX, count: int = 16) -> FloatArray:
    """(S,) ascending noise levels, evenly spaced in their logarithm.

    Raises
    ------
    ValueError
        0 < sigma_min < sigma_max or `count` ≥ 2 does not hold.
    """
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
    denoiser : the denoiser that is explained, for instance a network (see :func:`~kappaflow.models.layout.rows_denoiser`)
    approximations : by name
    samples : (N, ...) clean samples in the scale of the denoiser; x is drawn from them, with replacement if `count` > N
    sigmas : (S,) noise levels in any order
    law : law of x. "data": sample + σz. "noise": σz alone, which is close to noised data only at high noise. "trajectory": the
        state at σ of the denoiser's own probability flow from sigma_max·z, by Heun's method on the EDM grid, to which `sigmas`
        are added
    count : number of x that are drawn
    steps, sigma_max : of the trajectory
    seed : of samples and noise, which are the same for all approximations and noise levels
    progress : called with the fraction that is done

    Returns
    -------
    name of the approximation → its :class:`Fraction`

    Raises
    ------
    ValueError
        Noise levels are not above 0, or are above sigma_max on the trajectory; samples or outputs of a denoiser have the wrong
        shape; or an output is not finite.
    TypeError
        An output does not consist of real numbers.
    """
    choice("law", law, LAWS)
    levels = ascending_noise_levels("sigmas", sigmas)[::-1]  # descending, as a sampler meets them
    rows, rng = draw_rows(samples, integer("count", count, 2), seed)
    noise = rng.standard_normal(rows.shape)
    collected: dict[str, list[FloatArray]] = {name: [] for name in approximations}
    number, top = integer("steps", steps, 2), positive("sigma_max", sigma_max)
    if law == "trajectory":
        states: Iterable[tuple[float, FloatArray]] = _trajectory_states(denoiser, noise, levels, number, top)
    else:
        states = ((float(level), level * noise + (rows if law == "data" else 0.0)) for level in levels)
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
    """Denoising loss of each denoiser on clean samples that it was not fitted to; see :class:`HeldOutLoss`.

    Parameters
    ----------
    denoisers : by name
    samples : (N, ...) clean samples; those that are used are drawn from them, with replacement if `count` > N
    sigmas : (S,) noise levels in any order
    count : number of samples that are used
    seed : of samples and noise, which are the same for all denoisers
    progress : called with the fraction that is done

    Raises
    ------
    ValueError
        Noise levels are not above 0, samples or outputs of a denoiser have the wrong shape, or an output is not finite.
    TypeError
        An output does not consist of real numbers.
    """
    levels = ascending_noise_levels("sigmas", sigmas)
    rows, rng = draw_rows(samples, integer("count", count, 2), seed)
    noise = rng.standard_normal(rows.shape)
    losses: dict[str, list[FloatArray]] = {name: [] for name in denoisers}
    for done, level in enumerate(levels):
        for name, denoiser in denoisers.items():
            answer = evaluate_rows(denoiser, rows + level * noise, float(level))
            losses[name].append(((answer - rows) ** 2).mean(axis=1))
        if progress is not None:
            progress((done + 1) / levels.size)
    return {name: _held_out_loss(levels, np.stack(parts)) for name, parts in losses.items()}


def _held_out_loss(levels: FloatArray, each: FloatArray) -> HeldOutLoss:
    error = each.std(axis=1, ddof=1) / np.sqrt(each.shape[1])
    return HeldOutLoss(sigmas=levels, loss=each.mean(axis=1), error=error, each=each)


class DrawnRows(NamedTuple):
    """Samples drawn at random.

    Attributes
    ----------
    rows : (count, d)
    rng : the generator in the state after the draw, for the noise
    """

    rows: FloatArray
    rng: np.random.Generator

    def __repr__(self) -> str:
        return short_repr(self)


def draw_rows(samples: Any, count: int, seed: int) -> DrawnRows:
    """`count` samples as rows, drawn without replacement if there are that many.

    Parameters
    ----------
    samples : (N, ...) array or memory map
    count : number of rows
    seed : of the draw

    Raises
    ------
    ValueError
        There are no samples, or samples have no axis for their entries.
    """
    array = samples if hasattr(samples, "shape") else np.asarray(samples)
    if len(array.shape) < 2 or len(array) == 0:
        raise ValueError(f"samples must be (N, ...) with at least one sample, got shape {tuple(array.shape)}")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(array), count, replace=count > len(array)))
    return DrawnRows(real_array("samples", array[chosen]).reshape(count, -1), rng)


def _trajectory_states(
    denoiser: RowDenoiser, noise: FloatArray, levels: FloatArray, steps: int, sigma_max: float
) -> list[tuple[float, FloatArray]]:
    """Pairs of noise level and state (count, d) of the probability flow, in the order of the levels, which descend."""
    if levels.max() > sigma_max:
        raise ValueError(f"sigmas must be at most sigma_max = {sigma_max} on the trajectory, got {levels.max()}")
    grid = np.union1d(noise_schedule(steps, sigma_max, sigma_min=min(SIGMA_MIN, sigma_max / 2))[:-1], levels)[::-1]
    level_set = set(levels.tolist())
    states: dict[float, FloatArray] = {}

    def visit(level: float, x: FloatArray) -> None:
        if level in level_set:
            states[level] = x

    start = sigma_max * noise
    visit(sigma_max, start)
    needed = grid >= levels.min()
    heun(lambda x, level: evaluate_rows(denoiser, x, level), start, grid[needed].tolist(), visit=visit)
    return [(level, states[level]) for level in levels.tolist()]


def _fraction(levels: FloatArray, squares: FloatArray) -> Fraction:
    """From the squares (S, 3, count) of the gap, of the score (times σ⁴) and of the denoiser."""
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
