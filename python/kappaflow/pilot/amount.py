r"""How much two networks disagree at any n, from pilots at a few small n: a fit with one floor, and an interval for its error.

The law of the images, for linear models, gives the dependence on n; the pilots give the floor and the factor (see
:mod:`kappaflow.common_floor`). The interval holds three errors: that of the pilots, which are a few pairs; that of the
extrapolation, which is measured where a pilot can be left out; and the difference from one pair of networks to the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .._checks import FloatArray, integer, real_array
from .._repr import ShortRepr
from .._tables import Columns, Tabular
from ..common_floor import CommonFloor, fit_common_floor

__all__ = ["COVERAGE", "Amount", "Bounds", "LeftOut", "SizeObserved", "fit_amount"]

#: The share of cases in which the truth should lie in an interval.
COVERAGE = 0.8
#: Error of the extrapolation as a standard deviation of the logarithm, from the tables of docs/networks.md: with pilots at several
#: sizes, and with one. It counts as much as two measurements do.
_EXTRAPOLATION, _EXTRAPOLATION_ALONE, _WEIGHT = 0.13, 0.2, 2.0
#: Standard deviation of the logarithm of the disagreement from one pair to the next, where pairs are not repeated.
_BETWEEN_PAIRS = 0.10
#: Random draws of the pilots' errors.
_DRAWS = 1000


class Bounds(NamedTuple):
    """A value, and the limits between which it should lie in 80 % of the cases; infinite limits are allowed."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, repr=False)
class SizeObserved(ShortRepr, Tabular):
    """What the pilots at one size showed, relative to unrelated seeds. Only pairs that pass the gate count.

    Attributes
    ----------
    n : number of images in each training set
    law : what the law says for linear models of so many images
    everything : (r,) disagreement of r pairs that differ in images, initialisation and noise
    same_images : (r′,) of pairs that were trained on the same images; may be empty if other sizes have such pairs, or if there
        are two sizes
    data_alone : (r″,) of pairs that differ only in their images; may be empty
    """

    n: int
    law: float
    everything: FloatArray
    same_images: FloatArray
    data_alone: FloatArray

    def _columns(self) -> Columns:
        """One row: the means."""
        return {
            "n": self.n,
            "law": self.law,
            "everything": float(np.mean(self.everything)),
            "same_images": _mean(self.same_images),
            "data_alone": _mean(self.data_alone),
        }


def _mean(values: FloatArray) -> float:
    """The mean over pairs; NaN without pairs."""
    return float(np.mean(values)) if len(values) else math.nan


class LeftOut(NamedTuple):
    """Test of the extrapolation: the disagreement at the largest pilot, observed, and predicted from the smaller ones."""

    n: int
    observed: float
    predicted: float


@dataclass(frozen=True, repr=False)
class Amount(ShortRepr):
    r"""Disagreement of two networks as a function of the law: D = F + c·law, and its parts.

    Attributes
    ----------
    fit : of the pairs that differ in everything, and of those on the same images
    data_floor : F_d of two networks that differ only in their images, F_d + c·law; NaN without such pairs
    draws : (M, 4) fits F, c, b, F_d to pilots that are disturbed by their error
    extrapolation : standard deviation of the logarithm of the error of the model itself
    between_pairs : standard deviation of the logarithm from one pair of networks to the next
    left_out : the test of the extrapolation, None with one pilot
    """

    fit: CommonFloor
    data_floor: float
    draws: FloatArray
    extrapolation: float
    between_pairs: float
    left_out: LeftOut | None

    @cached_property
    def _factors(self) -> FloatArray:
        """(M,) random factors: errors of the model and differences between pairs."""
        spread = math.hypot(self.extrapolation, self.between_pairs)
        return np.asarray(np.exp(spread * np.random.default_rng(1).standard_normal(len(self.draws))))

    def everything(self, law: float) -> Bounds:
        """Two networks that differ in images, initialisation and noise, as two runs do in practice."""
        return self._interval(float(self.fit.disagreement(law)), self.draws[:, 0] + self.draws[:, 1] * law)

    def same_images(self, law: float) -> Bounds:
        """Two networks that were trained on the same images."""
        return self._interval(float(self.fit.same_images(law)), self.draws[:, 0] + self.draws[:, 2] * law)

    def data_alone(self, law: float) -> Bounds:
        """Two networks that differ only in their images; NaN if no pilots show it."""
        return self._interval(self.data_floor + self.fit.data * law, self.draws[:, 3] + self.draws[:, 1] * law)

    def law_for(self, tolerance: float) -> Bounds:
        """The value of the law at which two runs disagree by `tolerance`; 0 where more images alone do not reach it.

        The limits hold the value in 80 % of the cases. A larger law means fewer images.
        """
        needed = [
            CommonFloor(floor, data, share, pilots=1).law_for(tolerance / factor)
            for (floor, data, share, _), factor in zip(self.draws, self._factors, strict=True)
        ]
        low, high = np.quantile(needed, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], method="inverted_cdf")
        return _ordered(self.fit.law_for(tolerance), float(low), float(high))

    def _interval(self, value: float, draws: FloatArray) -> Bounds:
        if not math.isfinite(value):
            return Bounds(math.nan, math.nan, math.nan)
        low, high = np.quantile(draws * self._factors, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
        return _ordered(value, float(low), float(high))


def _ordered(value: float, low: float, high: float) -> Bounds:
    """The fit of the pilots as they are may lie outside of the quantiles of disturbed fits: the limits are widened to hold it."""
    return Bounds(value, min(low, value), max(high, value))


def fit_amount(sizes: Sequence[SizeObserved], *, seed: int = 0) -> Amount:
    """Fit the pilots, and the error of the fit.

    The errors of the pilots are drawn from a normal distribution of their logarithms, whose standard deviation comes from the pairs
    of each size (10 % counts as much as two measurements). With pilots at several sizes the largest is predicted from the others;
    the error of the extrapolation is the root mean square of that error and of 13 %, the error that was measured on other networks
    and counts twice. With one pilot it is 20 %.

    Parameters
    ----------
    sizes : pilots, each at another n, all with pairs that differ in everything; a single pilot needs pairs on the same images
    seed : of the draws

    Raises
    ------
    TypeError, ValueError
        No pilots, a pilot without pairs, two at the same n, or values that are not finite and above 0.
    """
    ordered = sorted(sizes, key=lambda size: size.n)
    _check(ordered)
    law = np.array([size.law for size in ordered])
    means = np.array([[_mean(size.everything), _mean(size.same_images)] for size in ordered])
    alone = np.array([_mean(size.data_alone) for size in ordered])
    fit = fit_common_floor(means[:, 0], means[:, 1], law)
    spread = _between_pairs(ordered)
    counts = np.array([[max(1, len(v)) for v in (s.everything, s.same_images, s.data_alone)] for s in ordered])
    rng = np.random.default_rng(integer("seed", seed, 0))
    noise = np.exp(spread / np.sqrt(counts) * rng.standard_normal((_DRAWS, *counts.shape)))
    draws = np.array([_parameters(means * each[:, :2], alone * each[:, 2], law) for each in noise])
    left_out, error = None, _EXTRAPOLATION_ALONE
    if _can_leave_out(ordered):
        before = fit_common_floor(means[:-1, 0], means[:-1, 1], law[:-1])
        left_out = LeftOut(ordered[-1].n, float(means[-1, 0]), float(before.disagreement(law[-1])))
        missed = math.log(left_out.observed / left_out.predicted)
        error = math.sqrt((_WEIGHT * _EXTRAPOLATION**2 + missed**2) / (_WEIGHT + 1))
    return Amount(
        fit=fit,
        data_floor=_data_floor(alone, fit, law),
        draws=draws,
        extrapolation=error,
        between_pairs=spread,
        left_out=left_out,
    )


def _check(sizes: Sequence[SizeObserved]) -> None:
    if not sizes:
        raise ValueError("sizes must hold at least one pilot, got none")
    numbers = [size.n for size in sizes]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"sizes must differ in n, got {numbers}")
    for size in sizes:
        for name in ("everything", "same_images", "data_alone"):
            values: Any = real_array(name, getattr(size, name))
            if not len(values) and name == "everything":
                raise ValueError(f"everything must hold at least one pair at n = {size.n}, got none")
            if len(values) and values.min() <= 0:
                raise ValueError(f"{name} must be above 0, got {values.min()} at n = {size.n}")


def _can_leave_out(sizes: Sequence[SizeObserved]) -> bool:
    """Whether the smaller sizes alone can be fitted."""
    smaller = sizes[:-1]
    return len(smaller) > 1 or (len(smaller) == 1 and len(smaller[0].same_images) > 0)


def _between_pairs(sizes: Sequence[SizeObserved]) -> float:
    """Standard deviation of the logarithm between pairs of one size and kind, with 10 % counted as two measurements."""
    groups = [np.log(values) for size in sizes for values in (size.everything, size.same_images, size.data_alone)]
    squares = sum(float(np.sum((group - group.mean()) ** 2)) for group in groups if len(group) > 1)
    free = sum(len(group) - 1 for group in groups if len(group) > 1)
    return math.sqrt((_WEIGHT * _BETWEEN_PAIRS**2 + squares) / (_WEIGHT + free))


def _parameters(means: FloatArray, alone: FloatArray, law: FloatArray) -> tuple[float, float, float, float]:
    fit = fit_common_floor(means[:, 0], means[:, 1], law)
    return fit.floor, fit.data, fit.optimisation, _data_floor(alone, fit, law)


def _data_floor(alone: FloatArray, fit: CommonFloor, law: FloatArray) -> float:
    """F_d ≥ 0 with the smallest relative errors, for the c of the fit; NaN without pairs that differ only in their images."""
    here = np.isfinite(alone)
    if not here.any():
        return math.nan
    weights = 1 / alone[here] ** 2
    return max(0.0, float(np.sum(weights * (alone[here] - fit.data * law[here])) / np.sum(weights)))
