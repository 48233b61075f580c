"""How far a prediction is from a simulation, with intervals and a verdict that has the intervals behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from .._checks import FloatArray, real_array

__all__ = ["Agreement", "Outcome", "agreement"]

#: agrees: within Monte Carlo error. limit: off by no more than the relative 1/m which the limit of many samples neglects.
Outcome = Literal["agrees", "limit", "misses"]

#: A prediction is only called a miss where chance alone would make a true one look so once in this many verdicts.
FALSE_ALARM = 1e-4
#: Width of the intervals that are shown.
SHOWN = 0.95
_REPLICATES = 1000


@dataclass(frozen=True)
class Agreement:
    """One prediction (E entries) against one simulation.

    Attributes
    ----------
    predicted, simulated, standard_error : (E,)
    ratio : total simulated / total predicted
    ratio_interval : 95 % bootstrap interval of it
    log_error : root mean square over the entries of log(simulated/predicted)
    log_noise : the same for a perfect prediction, which Monte Carlo error alone makes
    left_out : entries that are zero or negative on either side and have no logarithm
    allowance : relative deviation that the limit of many samples leaves open, 1/m
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
        """How many times off at worst, ≥ 1: the larger of the total's ratio and the typical entry's."""
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
            "limit": f"agrees to the relative 1/m = {self.allowance:.2g} that the limit of many samples neglects",
            "misses": f"misses by {describe_factor(self.factor)}",
        }
        return f"{words[self.outcome]}: {numbers}"


def describe_factor(factor: float) -> str:
    """``3.2 %`` or ``a factor of 2.3``."""
    return f"{100 * (factor - 1):.2g} %" if factor < 1.5 else f"a factor of {factor:.2g}"


def agreement(
    groups: FloatArray,
    predicted: FloatArray,
    *,
    allowance: float,
    totals: FloatArray | None = None,
    predicted_total: float | None = None,
    seed: int = 0,
) -> Agreement:
    """Compare independent estimates of the same E numbers with their prediction.

    The total's ratio is tested by Student's t over the groups; the typical entry by its root mean square logarithm, which
    must not exceed what a bootstrap of the groups makes of a perfect prediction. Both at one false alarm in 10⁴, and with
    `allowance` added for the outcome "limit".

    Parameters
    ----------
    groups : (G, E) unbiased estimates
    predicted : (E,)
    allowance : relative deviation of a prediction that counts as its own neglected order
    totals, predicted_total : (G,) and number, where the total is over more than the entries
    seed : of the bootstrap

    Raises
    ------
    ValueError : fewer than 10 groups, shapes that differ, nothing to compare
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
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), _REPLICATES) / count
    ratio, ratio_error = float(sums.mean() / total), float(sums.std(ddof=1) / np.sqrt(count) / total)
    interval = np.quantile(weights @ sums / total, [(1 - SHOWN) / 2, (1 + SHOWN) / 2])

    usable = (expected > 0) & (simulated > 0)
    log_error = log_noise = threshold = 0.0
    if usable.any():
        replicates = np.maximum(weights @ values[:, usable], np.finfo(np.float64).tiny)
        noise = np.sqrt(np.mean(np.log(replicates / simulated[usable]) ** 2, axis=1))
        log_noise = float(np.sqrt(np.mean(noise**2)))
        log_error = float(np.sqrt(np.mean(np.log(simulated[usable] / expected[usable]) ** 2)))
        spread = float(stats.t.isf(FALSE_ALARM / 2, count - 1))
        threshold = float(noise.mean() + spread * noise.std(ddof=1))
    reach = float(stats.t.isf(FALSE_ALARM / 2, count - 1)) * ratio_error
    outcome: Outcome = "misses"
    if abs(ratio - 1) <= reach and log_error <= threshold:
        outcome = "agrees"
    elif abs(ratio - 1) <= reach + allowance and log_error <= np.hypot(threshold, allowance):
        outcome = "limit"
    return Agreement(
        predicted=expected,
        simulated=simulated,
        standard_error=values.std(axis=0, ddof=1) / np.sqrt(count),
        ratio=ratio,
        ratio_interval=(float(interval[0]), float(interval[1])),
        log_error=log_error,
        log_noise=log_noise,
        left_out=int(np.sum(~usable)),
        allowance=float(allowance),
        outcome=outcome,
    )
