"""How far a prediction is from a simulation: intervals, and a verdict based on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy import stats

from ..._checks import FloatArray, real_array
from ..._repr import ShortRepr, short_repr
from ..._tables import Columns, Tabular

__all__ = ["FALSE_ALARM", "SHOWN", "Agreement", "Interval", "Outcome", "agreement", "describe_factor", "mean_interval"]

#: agrees: within Monte Carlo error. limit: off by no more than the order 1/m that the limit of many samples neglects. misses: off
#: by more.
Outcome = Literal["agrees", "limit", "misses"]

#: Probability that chance alone makes a true prediction look like a miss.
FALSE_ALARM = 1e-4
#: Coverage of the intervals that are shown.
SHOWN = 0.95
_REPLICATES = 1000


class Interval(NamedTuple):
    """Lower and upper ends of intervals, arrays (...)."""

    low: FloatArray
    high: FloatArray

    def __repr__(self) -> str:
        return short_repr(self)


@dataclass(frozen=True, repr=False)
class Agreement(ShortRepr, Tabular):
    """Comparison of one prediction of E entries with one simulation.

    Attributes
    ----------
    predicted, simulated, standard_error : (E,)
    ratio : total simulated / total predicted
    ratio_interval : 95 % bootstrap interval of `ratio`, see :func:`mean_interval`
    log_error : root mean square over the entries of log(simulated/predicted)
    log_noise : the same for a perfect prediction, from Monte Carlo error alone
    left_out : number of entries without a logarithm, because they are zero or negative on either side
    allowance : relative deviation of order 1/m, which the theory neglects because it is a limit of many samples
    outcome : "agrees", "limit" or "misses"
    """

    predicted: FloatArray
    simulated: FloatArray
    standard_error: FloatArray
    ratio: float
    ratio_interval: tuple[float, float]
    log_error: float
    log_noise: float
    left_out: int
    allowance: float
    outcome: Outcome

    @property
    def factor(self) -> float:
        """Factor ≥ 1 by which the prediction is off: the larger of the factor of the total and that of the typical entry."""
        return float(max(self.ratio, 1 / self.ratio, np.exp(self.log_error))) if self.ratio > 0 else np.inf

    def sentence(self) -> str:
        """The verdict in one line."""
        low, high = self.ratio_interval
        numbers = (
            f"simulated/predicted {self.ratio:.4g} ({low:.4g} to {high:.4g}), RMS log error {self.log_error:.2g} "
            f"where Monte Carlo alone makes {self.log_noise:.2g}"
        )
        words = {
            "agrees": "agrees within Monte Carlo error",
            "limit": f"agrees to the order 1/m, here {self.allowance:.2g}, that the limit of many samples neglects",
            "misses": f"misses by {describe_factor(self.factor)}",
        }
        return f"{words[self.outcome]}: {numbers}"

    def _columns(self) -> Columns:
        return {"predicted": self.predicted, "simulated": self.simulated, "standard_error": self.standard_error}


def describe_factor(factor: float) -> str:
    """A factor ≥ 1 in words: ``3.2 %`` or ``a factor of 2.3``."""
    return f"{100 * (factor - 1):.2g} %" if factor < 1.5 else f"a factor of {factor:.2g}"


def agreement(
    groups: FloatArray,
    predicted: FloatArray,
    *,
    allowance: float,
    entry_allowance: float | None = None,
    totals: FloatArray | None = None,
    predicted_total: float | None = None,
) -> Agreement:
    """Compare independent estimates of the same E numbers with their prediction.

    The ratio of the totals is tested by Student's t over the groups. The test uses the logarithm, because estimates of a
    variance are skewed: their error grows with their value. The typical entry is tested by its root mean square logarithm,
    which must not exceed what a perfect prediction would show, given the covariance of the entries between groups. Each test
    has one false alarm in 10⁴ (a few if groups are as skewed as χ² with three degrees of freedom). For the outcome "limit", the
    tests add `allowance`.

    Parameters
    ----------
    groups : (G, E) unbiased estimates
    predicted : (E,)
    allowance, entry_allowance : relative deviations allowed for the total and for a typical entry, because the prediction
        neglects terms of this order; equal by default
    totals, predicted_total : (G,) and a number, given if the total covers more than the entries

    Raises
    ------
    ValueError, TypeError
        There are fewer than 10 groups, shapes differ, there is nothing to compare, or entries are not finite real numbers.
    """
    values, expected = real_array("groups", groups), real_array("predicted", predicted)
    if values.ndim != 2 or expected.shape != values.shape[1:] or expected.size == 0:
        raise ValueError(f"groups must be (G, E) and predicted (E,), got {values.shape} and {expected.shape}")
    count = len(values)
    if count < 10:
        raise ValueError(f"groups must be at least 10 for an interval, got {count}")
    sums = values.sum(axis=1) if totals is None else real_array("totals", totals)
    total = float(expected.sum()) if predicted_total is None else float(predicted_total)
    if total <= 0:
        raise ValueError(f"predicted must have a positive total, got {total}")
    simulated = values.mean(axis=0)
    ratio, ratio_error = float(sums.mean() / total), float(sums.std(ddof=1) / np.sqrt(count) / total)
    low, high = mean_interval(np.asarray(sums / total))

    usable = (expected > 0) & (simulated > 0)
    log_error = log_noise = threshold = 0.0
    if usable.any():
        log_error = float(np.sqrt(np.mean(np.log(simulated[usable] / expected[usable]) ** 2)))
        log_noise, threshold = _log_noise(values[:, usable] / simulated[usable] - 1)
    reach = float(stats.t.isf(FALSE_ALARM / 2, count - 1)) * ratio_error
    distance = abs(ratio - 1)
    if ratio > 0:
        reach, distance = reach / ratio, abs(float(np.log(ratio)))
    outcome: Outcome = "misses"
    if distance <= reach and log_error <= threshold:
        outcome = "agrees"
    elif distance <= reach + allowance and log_error <= np.hypot(
        threshold, allowance if entry_allowance is None else entry_allowance
    ):
        outcome = "limit"
    return Agreement(
        predicted=expected,
        simulated=simulated,
        standard_error=values.std(axis=0, ddof=1) / np.sqrt(count),
        ratio=ratio,
        ratio_interval=(float(low), float(high)),
        log_error=log_error,
        log_noise=log_noise,
        left_out=int(np.sum(~usable)),
        allowance=float(allowance),
        outcome=outcome,
    )


def mean_interval(values: FloatArray) -> Interval:
    """95 % interval of the mean of G independent estimates (..., G), by the studentised bootstrap; of the logarithm if the mean
    is positive.

    With ten groups, quantiles of the mean itself over resampled groups contain the true value in 87 % of cases. Quantiles of
    its deviation in units of the resampled standard error (Efron 1981) contain it in 95 %, also for skewed estimates.
    """
    values = np.sort(values, axis=-1)  # so that their order does not matter
    count = values.shape[-1]
    weights = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _REPLICATES) / count
    mean, error = values.mean(axis=-1), values.std(axis=-1, ddof=1) / np.sqrt(count)
    centred = values - mean[..., None]  # so that the variance below does not cancel
    shift = centred @ weights.T
    spread = np.sqrt(np.maximum((centred**2) @ weights.T - shift**2, 0.0) / (count - 1))
    shifted = mean[..., None] + shift
    positive: Any = np.asarray((mean > 0) & (shifted > 0).all(axis=-1))
    unit = np.where(positive, mean, 1.0)
    logarithm = np.log(np.where(positive[..., None], shifted / unit[..., None], 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample of one group alone has no spread: left out
        ratio = np.where(positive[..., None], logarithm * shifted, shift) / spread
    ratio = np.where(np.isfinite(ratio), ratio, np.nan)
    still: Any = np.asarray(np.isnan(ratio).all(axis=-1))  # equal groups
    low, high = np.nanquantile(np.where(still[..., None], 0.0, ratio), [(1 - SHOWN) / 2, (1 + SHOWN) / 2], axis=-1)
    ends = (-high * error, -low * error)
    return Interval(
        np.where(positive, mean * np.exp(ends[0] / unit), mean + ends[0]),
        np.where(positive, mean * np.exp(ends[1] / unit), mean + ends[1]),
    )


def _log_noise(deviations: FloatArray) -> tuple[float, float]:
    """Root mean square logarithm of a perfect prediction, and the value that it exceeds with probability FALSE_ALARM.

    The mean square of entries (G, E) with covariance C/G of their means is a sum of χ² variables weighted with the
    eigenvalues of C. Its tail is that of the one χ² with the same mean, variance and skewness (Hall 1983, Buckley and
    Eagleson 1988), over the χ² of the G − 1 degrees of freedom from which C is known. For one entry this is Student's t.
    """
    count, entries = deviations.shape
    gram = deviations @ deviations.T if entries > count else deviations.T @ deviations
    weights = np.maximum(np.linalg.eigvalsh(gram), 0.0) / ((count - 1) * count * entries)
    mean = float(weights.sum())
    if mean == 0:
        return 0.0, 0.0
    second, third = float((weights**2).sum()), float((weights**3).sum())
    degrees = second**3 / third**2
    tail = float(stats.f.isf(FALSE_ALARM, degrees, count - 1))
    return float(np.sqrt(mean)), float(np.sqrt(mean + np.sqrt(second * degrees) * (tail - 1)))
