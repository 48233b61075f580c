r"""When the modes of the generated law emerge during training, in theory and in measurements, and with which power of λ.

A mode emerges at the training time τ* at which its generated variance first crosses a mean of the variance that it starts with,
λ̃(0), and the variance that it goes to. The mean is harmonic, 2xy/(x + y), geometric, √(xy), or arithmetic, (x + y)/2. The
exponent of τ* ∝ λ^−α depends on which mean it is and on the direction of the crossing: without both it means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from ..._checks import FloatArray, choice, integer, positive, real_array
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...moments import has_variance
from ...population import Population

__all__ = [
    "THRESHOLDS",
    "LearningEmergence",
    "MeasuredEmergence",
    "ModeVariances",
    "PowerLaw",
    "emergence_from_samples",
    "emergence_times",
    "measured_emergence",
    "mode_variances",
    "power_law",
    "threshold_variance",
]

#: Means of a mode's first and last variance; the mode emerges where it crosses the chosen one.
THRESHOLDS = ("harmonic", "geometric", "arithmetic")
#: Training times in a decade of the grid on which crossings are looked for.
_PER_DECADE = 12
#: Bisections that narrow a bracket of 1/12 decade to rounding.
_HALVINGS = 48


@dataclass(frozen=True, repr=False)
class LearningEmergence(ShortRepr, Tabular):
    """Emergence times of k modes.

    Attributes
    ----------
    times : (k,) τ*; NaN where a mode is left out, or does not cross within the times that were searched
    direction : (k,) +1 where the variance has to grow, −1 where it has to shrink, 0 where the mode is left out, because it ends
        within the factor `exclude` of where it starts, or because it starts or ends at 0
    initial, target, level : (k,) variance at the start, at the end, and the one in between that has to be crossed
    threshold : "harmonic", "geometric" or "arithmetic"
    exclude : the factor
    """

    times: FloatArray
    direction: npt.NDArray[np.int8]
    initial: FloatArray
    target: FloatArray
    level: FloatArray
    threshold: str
    exclude: float

    def _columns(self) -> Columns:
        return {
            "mode": np.arange(1, self.times.size + 1),
            "time": self.times,
            "direction": self.direction,
            "initial": self.initial,
            "target": self.target,
            "level": self.level,
        }


@dataclass(frozen=True, repr=False)
class MeasuredEmergence(ShortRepr, Tabular):
    """Emergence times of measured variances, and the range that their sampling error allows.

    Attributes
    ----------
    emergence : times by log-linear interpolation between checkpoints
    earliest, latest : (k,) times at which the curve crosses when it is moved by two standard errors toward its target and away
        from it; NaN where it then does not cross. Equal to the times if the number of samples is not given.
    """

    emergence: LearningEmergence
    earliest: FloatArray
    latest: FloatArray

    def _columns(self) -> Columns:
        return {
            "mode": np.arange(1, self.earliest.size + 1),
            "time": self.emergence.times,
            "earliest": self.earliest,
            "latest": self.latest,
            "direction": self.emergence.direction,
        }


@dataclass(frozen=True, repr=False)
class ModeVariances(ShortRepr, Tabular):
    """Variance and mean of samples along the modes of a population.

    Attributes
    ----------
    variances : (k,) unbiased variance of the samples' coordinates
    means : (k,) mean of the samples' coordinates, relative to the population's mean
    relative_sd : √(2/(n − 1)), relative standard deviation of each variance for Gaussian samples
    samples : n
    """

    variances: FloatArray
    means: FloatArray
    relative_sd: float
    samples: int

    def _columns(self) -> Columns:
        return {"mode": np.arange(1, self.variances.size + 1), "variance": self.variances, "mean": self.means}


@dataclass(frozen=True, repr=False)
class PowerLaw(ShortRepr):
    """Least squares fit of ln τ* = intercept − α ln λ.

    Attributes
    ----------
    exponent : α
    interval : two-sided confidence interval of α, computed as if modes scattered independently around the line. Times from
        theory do not scatter; for them the interval measures how far the relation is from a straight line.
    level : confidence level of the interval
    intercept : ln τ* at λ = 1
    r_squared : share of the variance of ln τ* that the line explains; NaN where τ* is the same for all modes
    modes : number of modes
    eigenvalue_range : smallest and largest λ of the fit
    """

    exponent: float
    interval: tuple[float, float]
    level: float
    intercept: float
    r_squared: float
    modes: int
    eigenvalue_range: tuple[float, float]


def threshold_variance(initial: Any, target: Any, threshold: str = "geometric") -> FloatArray:
    """Harmonic, geometric or arithmetic mean of two variances. The first two are 0 where one of the variances is 0.

    Parameters
    ----------
    initial, target : variances ≥ 0 of shapes that broadcast
    threshold : one of :data:`THRESHOLDS`

    Raises
    ------
    ValueError
        A negative variance; an unknown threshold.
    """
    choice("threshold", threshold, THRESHOLDS)
    x, y = real_array("initial", initial), real_array("target", target)
    for name, values in (("initial", x), ("target", y)):
        if values.size and values.min() < 0:
            raise ValueError(f"{name} must hold variances of at least 0, got {values.min()}")
    if threshold == "arithmetic":
        return np.asarray(0.5 * (x + y))
    if threshold == "geometric":
        return np.asarray(np.sqrt(x) * np.sqrt(y))
    total = x + y
    return np.asarray(2 * x * y / np.where(total > 0, total, 1.0))


def emergence_times(
    log_variance: Callable[[FloatArray], FloatArray],
    target: Any,
    *,
    threshold: str = "geometric",
    exclude: float = 2.0,
    window: tuple[float, float] = (1e-10, 1e12),
) -> LearningEmergence:
    """Emergence times of a theoretical law.

    The first crossing is looked for on a logarithmic grid with 12 times in a decade, then narrowed by bisection.

    Parameters
    ----------
    log_variance : function that returns ln λ̃ of all modes, (k,), at training times of shape (k,), one for each mode, or (1,). Its
        value at time 0 is where training starts. For instance ``lambda time: learner.log_variance(eigenvalues, time)``.
    target : (k,) variances that the modes go to: the data's eigenvalues, or what training converges to
    threshold : mean that has to be crossed, one of :data:`THRESHOLDS`
    exclude : factor ≥ 1; modes that end within this factor of where they start are left out
    window : first and last training time that are searched; modes that cross before or after have the time NaN

    Raises
    ------
    ValueError
        A window that does not ascend or does not start above 0; negative variances; an unknown threshold; a factor below 1.
    """
    low, high = positive("window[0]", window[0]), positive("window[1]", window[1])
    if not low < high:
        raise ValueError(f"window must be ascending, got {window}")
    end = real_array("target", target)
    start = np.exp(np.broadcast_to(log_variance(np.zeros(1)), end.shape))
    goal = _goal(start, end, threshold, exclude)
    direction = goal.direction
    log_level = np.log(np.where(direction != 0, goal.level, 1.0))

    def beyond(time: FloatArray) -> npt.NDArray[np.bool_]:
        return np.asarray((log_variance(time) - log_level) * direction >= 0)

    grid = np.geomspace(low, high, int(np.ceil(_PER_DECADE * np.log10(high / low))) + 1)
    left, right = np.full(end.shape, np.nan), np.full(end.shape, np.nan)
    waiting = direction != 0
    waiting &= ~beyond(grid[:1])  # crossed before the window
    for before, time in pairwise(grid):
        if not waiting.any():
            break
        crossing = waiting & beyond(np.array([time]))
        left[crossing], right[crossing] = np.log(before), np.log(time)
        waiting &= ~crossing
    bracketed = np.isfinite(left)
    for _ in range(_HALVINGS if bracketed.any() else 0):
        middle = 0.5 * (left + right)
        late = beyond(np.exp(np.where(bracketed, middle, 0.0)))
        left, right = np.where(late, left, middle), np.where(late, middle, right)
    return LearningEmergence(
        times=np.exp(0.5 * (left + right)),
        direction=direction,
        initial=start,
        target=end,
        level=goal.level,
        threshold=threshold,
        exclude=float(exclude),
    )


def measured_emergence(
    times: Any,
    variances: Any,
    target: Any = None,
    *,
    initial: Any = None,
    threshold: str = "geometric",
    exclude: float = 2.0,
    samples: int | None = None,
) -> MeasuredEmergence:
    """Emergence times of variances that were measured at checkpoints.

    Parameters
    ----------
    times : (T,) training times, ascending, T ≥ 2; the first may be 0
    variances : (T, k) generated variance of each mode
    target : (k,) variances that the modes go to; by default those of the last checkpoint
    initial : (k,) variances that they start with; by default those of the first checkpoint
    threshold, exclude : as in :func:`emergence_times`
    samples : n of each variance, for the earliest and latest times; samples are taken to be Gaussian

    Notes
    -----
    Between checkpoints ln λ̃ is taken to be linear in ln τ. A mode has no time (NaN) if it never crosses its threshold, or is
    already beyond it at the first checkpoint after τ = 0. Noise makes first crossings too early where checkpoints are dense: give
    `samples`, and look at the earliest and latest times.

    Raises
    ------
    ValueError
        Times that do not ascend, are negative, or are fewer than 2; arrays of other shapes; negative variances; an unknown
        threshold; a factor below 1; fewer than 2 samples.
    """
    clock, curves = real_array("times", times), real_array("variances", variances)
    if clock.ndim != 1 or clock.size < 2:
        raise ValueError(f"times must be one-dimensional with at least 2 entries, got shape {clock.shape}")
    if clock[0] < 0 or np.any(np.diff(clock) <= 0):
        raise ValueError("times must be ascending and not negative, got " + np.array2string(clock, threshold=8))
    if curves.ndim != 2 or len(curves) != clock.size:
        raise ValueError(f"variances must have shape ({clock.size}, k), one row for each time, got {curves.shape}")
    if curves.size and curves.min() < 0:
        raise ValueError(f"variances must not be negative, got {curves.min()}")
    start = _of_modes("initial", curves[0] if initial is None else initial, curves.shape[1])
    end = _of_modes("target", curves[-1] if target is None else target, curves.shape[1])
    goal = _goal(start, end, threshold, exclude)
    direction, level = goal.direction, goal.level
    emergence = LearningEmergence(
        times=_crossings(clock, curves, level, direction),
        direction=direction,
        initial=start,
        target=end,
        level=level,
        threshold=threshold,
        exclude=float(exclude),
    )
    if samples is None:
        return MeasuredEmergence(emergence, emergence.times, emergence.times)
    spread = 2 * np.sqrt(2 / (integer("samples", samples, 2) - 1))
    sooner = np.where(direction > 0, level / (1 + spread), level * (1 + spread))
    later = np.where(direction > 0, level * (1 + spread), level / (1 + spread))
    earliest, latest = (_crossings(clock, curves, moved, direction) for moved in (sooner, later))
    return MeasuredEmergence(emergence, earliest, latest)


def _of_modes(name: str, values: Any, modes: int) -> FloatArray:
    array = real_array(name, values)
    if array.shape != (modes,):
        raise ValueError(f"{name} must have shape ({modes},), one for each mode, got {array.shape}")
    return array


class _Goal(NamedTuple):
    """(k,) which way each mode goes, 0 where it is left out, and (k,) the variance that it has to cross."""

    direction: npt.NDArray[np.int8]
    level: FloatArray


def _goal(start: FloatArray, end: FloatArray, threshold: str, exclude: float) -> _Goal:
    if positive("exclude", exclude) < 1:
        raise ValueError(f"exclude must be a factor of at least 1, got {exclude}")
    level = threshold_variance(start, end, threshold)
    up, down = end > exclude * start, start > exclude * end
    sign = np.where((start > 0) & (end > 0), up.astype(np.int8) - down.astype(np.int8), 0)
    return _Goal(sign.astype(np.int8), level)


def _crossings(clock: FloatArray, curves: FloatArray, level: FloatArray, direction: npt.NDArray[np.int8]) -> FloatArray:
    """First crossing of each column, interpolated.

    NaN where there is none, where the first row is already beyond the level, and where the crossing lies between time 0 and the
    row after it: nothing bounds the logarithm of such a time from below.
    """
    beyond = np.where(direction > 0, curves >= level, curves <= level)
    row = np.argmax(beyond, axis=0)
    crossed = (direction != 0) & beyond.any(axis=0) & (row > (1 if clock[0] == 0 else 0))
    out = np.full(level.shape, np.nan)
    for mode in np.flatnonzero(crossed):
        i = row[mode]
        ends = np.maximum(curves[i - 1 : i + 1, mode], np.finfo(np.float64).tiny)
        share = np.log(level[mode] / ends[0]) / np.log(ends[1] / ends[0])
        out[mode] = clock[i - 1] * (clock[i] / clock[i - 1]) ** share
    return out


def mode_variances(population: Population, samples: Any) -> ModeVariances:
    """Variance of samples along each mode of a population, in O(ndk) operations and without a covariance matrix.

    Parameters
    ----------
    population : with k modes
    samples : (n, d) or (n, *shape), n ≥ 2

    Raises
    ------
    ValueError
        Samples of another shape, or fewer than 2; NaN or infinite values.
    """
    coordinates = population.coordinates(samples, "samples")
    n = len(coordinates)
    if n < 2:
        raise ValueError(f"samples must hold at least 2 rows, got {n}")
    return ModeVariances(
        variances=coordinates.var(axis=0, ddof=1),
        means=coordinates.mean(axis=0),
        relative_sd=float(np.sqrt(2 / (n - 1))),
        samples=n,
    )


def emergence_from_samples(
    population: Population,
    times: Any,
    samples: Sequence[Any],
    *,
    target: str = "data",
    threshold: str = "geometric",
    exclude: float = 2.0,
) -> MeasuredEmergence:
    """Emergence times from samples of a model at several training times.

    Parameters
    ----------
    population : of the data
    times : (T,) training times, ascending
    samples : T arrays (n, d) or (n, *shape); the first is where training starts
    target : "data": modes go to the population's eigenvalues, and those without variance are left out; "converged": modes go to the
        variances of the last samples
    threshold, exclude : as in :func:`emergence_times`

    Raises
    ------
    ValueError
        A number of arrays that is not the number of times; an unknown target; anything that :func:`mode_variances` or
        :func:`measured_emergence` refuses.
    """
    choice("target", target, ("data", "converged"))
    if len(samples) != np.size(times):
        raise ValueError(f"samples must hold {np.size(times)} arrays, one for each time, got {len(samples)}")
    goal = np.where(has_variance(population.eigenvalues), population.eigenvalues, 0.0) if target == "data" else None
    checkpoints = [mode_variances(population, rows) for rows in samples]
    return measured_emergence(
        times,
        np.array([checkpoint.variances for checkpoint in checkpoints]),
        goal,
        threshold=threshold,
        exclude=exclude,
        samples=min(checkpoint.samples for checkpoint in checkpoints),
    )


def power_law(eigenvalues: Any, times: Any, *, level: float = 0.95) -> PowerLaw | None:
    """α of τ* ∝ λ^−α by least squares over the modes that have a time and λ > 0.

    The result is None where fewer than 3 modes are left, or all of them have the same λ.

    Parameters
    ----------
    eigenvalues : (k,) λ
    times : (k,) τ*; modes with NaN are left out
    level : confidence level of the interval, strictly between 0 and 1

    Raises
    ------
    ValueError
        Arrays of different shapes; a level that is not strictly between 0 and 1.
    """
    values, clock = real_array("eigenvalues", eigenvalues), np.asarray(times, dtype=np.float64)
    if values.shape != clock.shape or values.ndim != 1:
        raise ValueError(f"times must have the shape of eigenvalues {values.shape}, got {clock.shape}")
    if not 0 < positive("level", level) < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    good = np.isfinite(clock) & (clock > 0) & (values > 0)
    x, y = np.log(values[good]), np.log(clock[good])
    if x.size < 3 or np.ptp(x) == 0:
        return None
    line = stats.linregress(x, y)
    half = float(stats.t.ppf(0.5 + level / 2, x.size - 2) * line.stderr)
    alpha, flat = -float(line.slope), np.ptp(y) <= 1e-12 * max(1.0, float(np.abs(y).max()))
    return PowerLaw(
        exponent=alpha,
        interval=(alpha - half, alpha + half),
        level=float(level),
        intercept=float(line.intercept),
        r_squared=float("nan") if flat else float(line.rvalue**2),
        modes=int(x.size),
        eigenvalue_range=(float(values[good].min()), float(values[good].max())),
    )
