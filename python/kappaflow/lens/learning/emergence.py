r"""When the modes of a generated law emerge in training, in theory and in measurements, and with which power of λ.

A mode emerges at the first training time τ* at which its generated variance crosses a mean of where it starts, λ̃(0), and
where it goes: harmonic 2xy/(x + y), geometric √(xy) or arithmetic (x + y)/2. The exponent of τ* ∝ λ^−α depends on that choice,
so that it means nothing without it and the direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from ..._checks import FloatArray, choice, integer, positive, real_array
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

#: Means of the variance at the start and at the end that a mode has to cross.
THRESHOLDS = ("harmonic", "geometric", "arithmetic")
_PER_DECADE = 12
_HALVINGS = 48  # of a bracket of 1/12 decade: to rounding


@dataclass(frozen=True)
class LearningEmergence:
    """LearningEmergence times of k modes.

    Attributes
    ----------
    times : (k,) τ*; NaN where a mode is left out or does not cross in the times looked at
    direction : (k,) +1 where variance has to grow, −1 where it has to shrink, 0 where the mode is left out because it ends
        within the factor `exclude` of where it starts, or either is 0
    initial, target, level : (k,) variances at the start and at the end, and the one that is crossed
    threshold : "harmonic", "geometric" or "arithmetic"
    exclude : factor
    """

    times: FloatArray
    direction: npt.NDArray[np.int8]
    initial: FloatArray
    target: FloatArray
    level: FloatArray
    threshold: str
    exclude: float


@dataclass(frozen=True)
class MeasuredEmergence:
    """LearningEmergence times of measured variances, with what their sampling error makes of them.

    Attributes
    ----------
    emergence : times by log-linear interpolation between checkpoints
    earliest, latest : (k,) times at which the curve moved by two standard errors to and from its target crosses; NaN where it
        does not. Equal to the times where no number of samples is given.
    """

    emergence: LearningEmergence
    earliest: FloatArray
    latest: FloatArray


@dataclass(frozen=True)
class ModeVariances:
    """What samples say of the modes of a population.

    Attributes
    ----------
    variances : (k,) unbiased variance of the samples' coordinates
    means : (k,) mean of the samples' coordinates, which are relative to the population's mean
    relative_sd : √(2/(n − 1)), relative standard deviation of each variance for Gaussian samples
    samples : n
    """

    variances: FloatArray
    means: FloatArray
    relative_sd: float
    samples: int


@dataclass(frozen=True)
class PowerLaw:
    """Least squares of ln τ* = intercept − α ln λ.

    Attributes
    ----------
    exponent : α
    interval : two-sided interval of α, as if modes scattered independently around the line: for theory, which does not scatter,
        it measures how far the curve is from a straight line
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
    """Harmonic, geometric or arithmetic mean of two variances; 0 for the first two where one of them is."""
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
    """LearningEmergence times of a theoretical law: first crossing on a logarithmic grid, 12 times a decade, then bisection.

    Parameters
    ----------
    log_variance : ln λ̃, (k,), of all modes at training times (k,), one for each mode, or (1,); at 0 it is where training starts.
        For instance ``lambda time: learner.log_variance(eigenvalues, time)``.
    target : (k,) where the modes go: the data's eigenvalues, or what training converges to
    threshold : mean that is crossed, one of :data:`THRESHOLDS`
    exclude : modes that end within this factor of where they start are left out
    window : first and last training time looked at; crossings outside of it are NaN
    """
    low, high = positive("window[0]", window[0]), positive("window[1]", window[1])
    if not low < high:
        raise ValueError(f"window must be ascending, got {window}")
    end = real_array("target", target)
    start = np.exp(np.broadcast_to(log_variance(np.zeros(1)), end.shape))
    direction, level = _directions(start, end, threshold, exclude)
    log_level = np.log(np.where(direction != 0, level, 1.0))

    def beyond(time: FloatArray) -> npt.NDArray[np.bool_]:
        return np.asarray((log_variance(time) - log_level) * direction >= 0)

    grid = np.geomspace(low, high, int(np.ceil(_PER_DECADE * np.log10(high / low))) + 1)
    left, right = np.full(end.shape, np.nan), np.full(end.shape, np.nan)
    open_modes = direction != 0
    open_modes &= ~beyond(grid[:1])  # crossed before the window
    for before, time in pairwise(grid):
        if not open_modes.any():
            break
        now = open_modes & beyond(np.array([time]))
        left[now], right[now] = np.log(before), np.log(time)
        open_modes &= ~now
    found = np.isfinite(left)
    for _ in range(_HALVINGS if found.any() else 0):
        middle = 0.5 * (left + right)
        late = beyond(np.exp(np.where(found, middle, 0.0)))
        left, right = np.where(late, left, middle), np.where(late, middle, right)
    return LearningEmergence(np.exp(0.5 * (left + right)), direction, start, end, level, threshold, float(exclude))


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
    """LearningEmergence times of variances measured at checkpoints.

    Parameters
    ----------
    times : (T,) training times, ascending, T ≥ 2; the first may be 0
    variances : (T, k) generated variance of each mode
    target : (k,) where the modes go; the last checkpoint's variances unless given
    initial : (k,) where they start; the first checkpoint's variances unless given
    threshold, exclude : as in :func:`emergence_times`
    samples : n of each variance, for the earliest and latest times; variances are taken for those of Gaussian samples

    Notes
    -----
    Between checkpoints ln λ̃ is taken to be linear in ln τ. A mode that is beyond its threshold at the first checkpoint after
    τ = 0, or never, has no time: NaN. Noise makes first crossings early where checkpoints are dense: give `samples`.
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
    direction, level = _directions(start, end, threshold, exclude)
    found = LearningEmergence(
        _crossings(clock, curves, level, direction), direction, start, end, level, threshold, exclude
    )
    if samples is None:
        return MeasuredEmergence(found, found.times, found.times)
    spread = 2 * np.sqrt(2 / (integer("samples", samples, 2) - 1))
    sooner = np.where(direction > 0, level / (1 + spread), level * (1 + spread))
    later = np.where(direction > 0, level * (1 + spread), level / (1 + spread))
    early, late = (_crossings(clock, curves, moved, direction) for moved in (sooner, later))
    return MeasuredEmergence(found, early, late)


def _of_modes(name: str, values: Any, modes: int) -> FloatArray:
    array = real_array(name, values)
    if array.shape != (modes,):
        raise ValueError(f"{name} must have shape ({modes},), one for each mode, got {array.shape}")
    return array


def _directions(
    start: FloatArray, end: FloatArray, threshold: str, exclude: float
) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """Which way each mode goes, 0 where it is left out, and the variance that it has to cross."""
    if positive("exclude", exclude) < 1:
        raise ValueError(f"exclude must be a factor of at least 1, got {exclude}")
    level = threshold_variance(start, end, threshold)
    up, down = end > exclude * start, start > exclude * end
    sign = np.where((start > 0) & (end > 0), up.astype(np.int8) - down.astype(np.int8), 0)
    return sign.astype(np.int8), level


def _crossings(clock: FloatArray, curves: FloatArray, level: FloatArray, direction: npt.NDArray[np.int8]) -> FloatArray:
    """First crossing of each column, interpolated; NaN without one, where the first row is beyond already, and before the first
    row after time 0, whose logarithm nothing bounds from below."""
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
    """Variance of samples (n, d) or (n, *shape) along each mode of a population, O(ndk), without a covariance matrix."""
    coordinates = population.coordinates(samples, "samples")
    n = len(coordinates)
    if n < 2:
        raise ValueError(f"samples must hold at least 2 rows, got {n}")
    return ModeVariances(
        coordinates.var(axis=0, ddof=1), coordinates.mean(axis=0), float(np.sqrt(2 / (n - 1))), n
    )  # fmt: skip


def emergence_from_samples(
    population: Population,
    times: Any,
    samples: Sequence[Any],
    *,
    target: str = "data",
    threshold: str = "geometric",
    exclude: float = 2.0,
) -> MeasuredEmergence:
    """LearningEmergence times from samples of a model at several training times.

    Parameters
    ----------
    times : (T,) training times, ascending
    samples : T arrays (n, d) or (n, *shape); the first is where training starts
    target : "data": modes go to the population's eigenvalues; "converged": to the last samples' variances
    threshold, exclude : as in :func:`emergence_times`
    """
    choice("target", target, ("data", "converged"))
    if len(samples) != np.size(times):
        raise ValueError(f"samples must hold {np.size(times)} arrays, one for each time, got {len(samples)}")
    found = [mode_variances(population, rows) for rows in samples]
    return measured_emergence(
        times,
        np.array([f.variances for f in found]),
        population.eigenvalues if target == "data" else None,
        threshold=threshold,
        exclude=exclude,
        samples=min(f.samples for f in found),
    )


def power_law(eigenvalues: Any, times: Any, *, level: float = 0.95) -> PowerLaw | None:
    """α of τ* ∝ λ^−α by least squares over the modes that have a time and λ > 0; None for fewer than 3 or one λ alone."""
    values, found = real_array("eigenvalues", eigenvalues), np.asarray(times, dtype=np.float64)
    if values.shape != found.shape or values.ndim != 1:
        raise ValueError(f"times must have the shape of eigenvalues {values.shape}, got {found.shape}")
    if not 0 < positive("level", level) < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    good = np.isfinite(found) & (found > 0) & (values > 0)
    x, y = np.log(values[good]), np.log(found[good])
    if x.size < 3 or np.ptp(x) == 0:
        return None
    line = stats.linregress(x, y)
    half = float(stats.t.ppf(0.5 + level / 2, x.size - 2) * line.stderr)
    alpha, flat = -float(line.slope), np.ptp(y) <= 1e-12 * max(1.0, float(np.abs(y).max()))
    return PowerLaw(
        alpha,
        (alpha - half, alpha + half),
        float(level),
        float(line.intercept),
        float("nan") if flat else float(line.rvalue**2),
        int(x.size),
        (float(values[good].min()), float(values[good].max())),
    )
