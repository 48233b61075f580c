r"""The trajectory of models that were trained on n samples: its expectation and its spread over training sets.

A model of sample mean μ̂ and sample covariance Σ̂ follows, in variance exploding coordinates y = x/α,

.. math::

    y_σ = μ̂ + f_σ(Σ̂)(y_T − μ̂), \quad f_σ(x) = \sqrt{\frac{x + σ²}{x + σ_T²}}, \qquad
    D_σ = μ̂ + g_σ(Σ̂)(y_T − μ̂), \quad g_σ(x) = \frac{x}{x + σ²} f_σ(x) = \frac{x}{\sqrt{(x + σ²)(x + σ_T²)}} .

Both are spectral functions, so :class:`~kappaflow.Splits` gives the expectation and variance at every point of the path. The
sampling map has the rule f_σ = c + Σᵢ wᵢ x/(x + tᵢ). It gives a rule for g_σ on the same nodes, with the same relative error
and without a constant: f_σ and its rule vanish at x = −σ², and the remaining partial fractions are g_σ = Σᵢ wᵢ/(1 − σ²/tᵢ) ·
x/(x + tᵢ).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ... import _core
from ..._checks import FloatArray, choice, not_negative, positive, real_array
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...sampling import SIGMA_MAX
from ...splits import Splits
from .schedules import Schedule

__all__ = ["ModeSpread", "SplitTrajectory", "mode_spread", "outcome_map", "split_trajectory", "trajectory_covariance"]

KINDS = ("state", "outcome")
#: Noise level, in units of everything else, at which a schedule that starts at α = 0 is taken to start: exact to about one over it.
_FAR = 1e6


def outcome_map(
    splits: Splits, sigma: float = 0.0, sigma_max: float = SIGMA_MAX, *, tolerance: float | None = None
) -> _core.SpectralFunction:
    """Denoiser outcome on the path, x/√((x + σ²)(x + σ_max²)), on the nodes of ``splits.sampling_map(sigma, sigma_max)``.

    Its relative error is at most that of the sampling map plus rounding, which grows as 1/(1 − σ²/σ_max²).

    Parameters
    ----------
    splits : the ensemble of training sets
    sigma, sigma_max : 0 ≤ σ < σ_max, noise levels of the outcome and of the start of sampling
    tolerance : relative error of the sampling map, see :meth:`kappaflow.Splits.sampling_map`

    Raises
    ------
    ValueError
        Noise levels are out of order or out of range.
    """
    top = positive("sigma_max", sigma_max)
    return _outcome_of(splits.sampling_map(sigma, top, tolerance=tolerance), not_negative("sigma", sigma), top)


def _outcome_of(state: _core.SpectralFunction, sigma: float, sigma_max: float) -> _core.SpectralFunction:
    rounding = 4 * np.finfo(np.float64).eps / (1 - (sigma / sigma_max) ** 2)
    weights = state.weights / (1 - sigma**2 / state.shifts)
    return _core.SpectralFunction(0.0, weights, state.shifts, state.error_bound + rounding)


class _Maps(NamedTuple):
    """Maps from y_T to state and outcome; no map for the state at the start, which is y_T itself."""

    state: _core.SpectralFunction | None
    outcome: _core.SpectralFunction


@dataclass(frozen=True)
class _Path:
    """A schedule's path in variance exploding coordinates y = x/α.

    Attributes
    ----------
    times, levels, alpha : (S,) t, σ̂_t and α_t
    top : the first noise level, finite in any case
    sigma_start : σ_T
    centred : whether y_T − μ is computed from y_T; False where α_T = 0, where y_T − μ is given instead
    """

    times: FloatArray
    levels: FloatArray
    alpha: FloatArray
    top: float
    sigma_start: float
    centred: bool

    @property
    def stretch(self) -> float:
        """1/α_T, which takes x_T to y_T."""
        return self.top / self.sigma_start

    def inputs(self, splits: Splits, initial: Any) -> FloatArray:
        """y_T (B, d). Where α_T = 0, x_T is far from every mean, and x_T/α_T stands for y_T − μ."""
        y = splits.population.flatten(initial, "initial") * self.stretch
        return y if self.centred else y + splits.population.mean

    def maps(self, splits: Splits, i: int) -> _Maps:
        """Maps from y_T to state and outcome at point i."""
        if i == 0:
            return _Maps(None, splits.denoiser(self.top))
        state = splits.sampling_map(float(self.levels[i]), self.top)
        return _Maps(state, _outcome_of(state, float(self.levels[i]), self.top))


def _path(splits: Splits, schedule: Schedule, times: Any) -> _Path:
    if not isinstance(splits, Splits):
        raise TypeError(f"splits must be a Splits, got {type(splits).__name__}")
    t = schedule.path(times)
    alpha, levels = schedule.alpha(t), schedule.noise_level(t)
    finite = np.isfinite(levels[0])
    reach = np.append(levels[1:], np.sqrt(splits.support()[1]))
    return _Path(
        times=t,
        levels=levels,
        alpha=alpha,
        top=float(levels[0] if finite else _FAR * reach.max()),
        sigma_start=float(schedule.sigma(t)[0]),
        centred=bool(finite),
    )


# ---------------------------------------------------------------- for given seeds
@dataclass(frozen=True, repr=False)
class SplitTrajectory(ShortRepr, Tabular):
    """Probability flow from some initial states by models of n samples: expectation and spread over training sets.

    Attributes
    ----------
    n : samples in a training set
    times : (S,)
    noise_level : (S,) σ̂ = σ/α, infinite if α = 0
    states, outcomes : (S, B, d) expected x_t and D(x_t; t)
    state_std, outcome_std : (S, B, K) standard deviation over training sets of the coordinate in each requested mode
    state_variance, outcome_variance : (S, B) variance over training sets, summed over all directions; the mean square
        difference of two models is twice that
    """

    n: int
    times: FloatArray
    noise_level: FloatArray
    states: FloatArray
    outcomes: FloatArray
    state_std: FloatArray
    outcome_std: FloatArray
    state_variance: FloatArray
    outcome_variance: FloatArray

    def _columns(self) -> Columns:
        """One row for each time, as the mean over the initial states."""
        return {
            "time": self.times,
            "noise_level": self.noise_level,
            "state_variance": self.state_variance.mean(axis=1),
            "outcome_variance": self.outcome_variance.mean(axis=1),
        }


def split_trajectory(
    splits: Splits, schedule: Schedule, initial: Any, times: Any, *, modes: Any = None
) -> SplitTrajectory:
    """Expected trajectory of models trained on n samples, and its spread over training sets, for given seeds.

    Parameters
    ----------
    splits : the ensemble of training sets
    schedule : of the noise
    initial : (B, *shape) or (B, d)
        x_T at the first of the times.
    times : (S,) decreasing
    modes : indices (K,) of the modes whose standard deviations are computed, all by default; the cost grows as S·B·K

    Raises
    ------
    TypeError
        `splits` is not a Splits.
    ValueError
        Initial states have another shape; times do not decrease, leave the schedule, or start at zero noise; or modes do not
        exist.

    Notes
    -----
    The results are of leading order in 1/n, with the accuracy of the law of `splits`. A schedule that starts at α_T = 0 is
    treated as if it started at a noise level 10⁶ times above everything else; the error is about 10⁻⁶. x_T itself has no
    variance.
    """
    path = _path(splits, schedule, times)
    population = splits.population
    y = path.inputs(splits, initial)
    count = population.eigenvalues.size
    given = np.arange(count) if modes is None else real_array("modes", modes).ravel()
    chosen = given.astype(np.int64)
    if chosen.size and not (0 <= chosen.min() <= chosen.max() < count and np.array_equal(chosen, given)):
        raise ValueError(f"modes must be integers between 0 and {count - 1}, got {modes!r}")
    modes_of = np.eye(population.dimension) if population.eigenvectors is None else population.eigenvectors
    vectors = modes_of[:, chosen].T
    shape = (path.times.size, len(y))
    states, outcomes = np.empty((*shape, population.dimension)), np.empty((*shape, population.dimension))
    stds, totals = np.zeros((2, *shape, chosen.size)), np.zeros((2, *shape))
    for i, alpha in enumerate(path.alpha):
        state, outcome = path.maps(splits, i)
        outcomes[i] = splits.expected_output(outcome, y)
        states[i] = y / path.stretch if state is None else alpha * splits.expected_output(state, y)
        for row, (f, scale) in enumerate(((state, alpha), (outcome, 1.0))):
            if f is not None:
                totals[row, i] = scale**2 * 0.5 * population.dimension * splits.disagreement(f, y)
                if chosen.size:
                    stds[row, i] = scale * np.sqrt(splits.variance(f, y, vectors))
    states[0] = population.flatten(initial, "initial")
    return SplitTrajectory(
        n=splits.n,
        times=path.times,
        noise_level=path.levels,
        states=states,
        outcomes=outcomes,
        state_std=stds[0],
        outcome_std=stds[1],
        state_variance=totals[0],
        outcome_variance=totals[1],
    )


# ---------------------------------------------------------------- over all seeds
@dataclass(frozen=True, repr=False)
class ModeSpread(ShortRepr, Tabular):
    """Expected gains of the modes and their spread over training sets, for all seeds x_T ~ N(0, σ_T² I).

    Attributes
    ----------
    n : samples in a training set
    times : (S,)
    noise_level : (S,) σ̂ = σ/α, infinite if α = 0
    state_gain, outcome_gain : (S, k) expected ψ and ξ of :func:`~kappaflow.lens.trajectories.state_gains` and
        :func:`~kappaflow.lens.trajectories.outcome_gains`
    state_std, outcome_std : (S, k) standard deviation between training sets, root mean square over seeds; in the scale of x_t,
        and of the data
    """

    n: int
    times: FloatArray
    noise_level: FloatArray
    state_gain: FloatArray
    outcome_gain: FloatArray
    state_std: FloatArray
    outcome_std: FloatArray

    def _columns(self) -> Columns:
        """One row for each time, as the root mean square over the modes."""
        return {
            "time": self.times,
            "noise_level": self.noise_level,
            "state_std": np.sqrt(np.mean(self.state_std**2, axis=1)),
            "outcome_std": np.sqrt(np.mean(self.outcome_std**2, axis=1)),
        }


def mode_spread(splits: Splits, schedule: Schedule, times: Any) -> ModeSpread:
    """Expected ψ and ξ of models trained on n samples, and their spread in each mode.

    Parameters
    ----------
    splits : the ensemble of training sets
    schedule : of the noise
    times : (S,) decreasing

    Raises
    ------
    TypeError
        `splits` is not a Splits.
    ValueError
        Times do not decrease, leave the schedule, or start at zero noise.
    """
    path = _path(splits, schedule, times)
    population = splits.population
    second = np.full(population.eigenvalues.shape, path.top**2)
    if path.centred:  # y_T − μ has the mean −μ
        second = second + population.coordinates(np.zeros((1, population.dimension)))[0] ** 2
    shape = (path.times.size, population.eigenvalues.size)
    gains, stds = np.ones((2, *shape)), np.zeros((2, *shape))
    for i, alpha in enumerate(path.alpha):
        state, outcome = path.maps(splits, i)
        for row, (f, scale) in enumerate(((state, alpha), (outcome, 1.0))):
            if f is not None:
                gains[row, i] = scale * path.stretch * splits.expectation(f)
                variance = 0.5 * population.dimension * splits.mode_disagreement(f, input_variance=second).part
                stds[row, i] = scale * np.sqrt(variance)
    return ModeSpread(
        n=splits.n,
        times=path.times,
        noise_level=path.levels,
        state_gain=gains[0],
        outcome_gain=gains[1],
        state_std=stds[0],
        outcome_std=stds[1],
    )


def trajectory_covariance(
    splits: Splits, schedule: Schedule, initial: Any, directions: Any, times: Any, *, kind: str = "state"
) -> FloatArray:
    """(S, S, B, K) covariances over training sets between all pairs of times, of vᵀx_t, or of vᵀD(x_t; t).

    They show when two models separate. Divided by the standard deviations, the last row is the correlation of the difference
    between two models at each time with the difference at the end.

    Parameters
    ----------
    splits : the ensemble of training sets
    schedule : of the noise
    initial : (B, *shape) or (B, d), x_T at the first of the times
    directions : (K, d) v
    times : (S,) decreasing
    kind : "state" or "outcome"

    Raises
    ------
    TypeError
        `splits` is not a Splits.
    ValueError
        The kind is unknown, initial states or directions have another shape, or times do not decrease, leave the schedule, or
        start at zero noise.
    """
    choice("kind", kind, KINDS)
    path = _path(splits, schedule, times)
    y, size = path.inputs(splits, initial), path.times.size
    row = KINDS.index(kind)
    maps = [path.maps(splits, i)[row] for i in range(size)]
    scale = path.alpha if kind == "state" else np.ones(size)
    v = splits.population.flatten(directions, "directions")
    out = np.zeros((size, size, len(y), len(v)))
    for i, f in enumerate(maps):
        for j, g in enumerate(maps[: i + 1]):
            if f is not None and g is not None:
                out[i, j] = out[j, i] = scale[i] * scale[j] * splits.covariance(f, g, y, v)
    return out
