"""How much two networks disagree at a size that was not trained, from pilots at smaller sizes: a law with one floor.

``docs/networks.md``, "The amount, from pilots", has what was measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray, not_negative, plain_array, real_array
from ._repr import ShortRepr

__all__ = ["LARGEST_LAW", "OPTIMISATION_SHARE", "CommonFloor", "fit_common_floor", "sizes_that_count"]

#: b/c where one pilot alone cannot tell it: 0.35 to 0.47 on digits and MNIST, UNet and DiT.
OPTIMISATION_SHARE = 0.38
#: Pilots at which the law is larger are used only if there is no other: there disagreement saturates towards 1 and the law
#: does not.
LARGEST_LAW = 0.2


@dataclass(frozen=True, repr=False)
class CommonFloor(ShortRepr):
    r"""Disagreement of two networks, D(n) = F + c·law(n), and of two trainings on the same images, F(n) = F + b·law(n).

    All values are relative to unrelated seeds, between 0 and 1.

    Attributes
    ----------
    floor : F, what training leaves open with any number of images
    data : c, the factor on the law where everything differs
    optimisation : b, the factor on the law where the images are the same; at most c
    pilots : number of sizes that the fit uses
    """

    floor: float
    data: float
    optimisation: float
    pilots: int

    def disagreement(self, law: Any) -> FloatArray:
        """F + c·law for values of the law, in its shape.

        Raises
        ------
        TypeError, ValueError
            Values that are not finite real numbers of at least 0.
        """
        return np.asarray(self.floor + self.data * _law_values(law))

    def same_images(self, law: Any) -> FloatArray:
        """F + b·law for values of the law, in its shape.

        Raises
        ------
        TypeError, ValueError
            Values that are not finite real numbers of at least 0.
        """
        return np.asarray(self.floor + self.optimisation * _law_values(law))

    def law_for(self, disagreement: float) -> float:
        """The value of the law at which two networks disagree by so much; 0 if more images alone do not reach it.

        >>> CommonFloor(floor=0.05, data=2.0, optimisation=0.8, pilots=2).law_for(0.09)
        0.02

        Raises
        ------
        TypeError, ValueError
            `disagreement` is not a finite number of at least 0.
        """
        disagreement = not_negative("disagreement", disagreement)
        if disagreement <= self.floor:
            return 0.0
        return (disagreement - self.floor) / self.data if self.data > 0 else math.inf


def fit_common_floor(everything: Any, same_images: Any, law: Any) -> CommonFloor:
    r"""The common floor of pilots at S sizes, by least squares of relative errors with F ≥ 0 and c ≥ b ≥ 0.

    With one pilot, b/c = 0.38 is taken from networks that were measured: c·law = (D − F_n)/(1 − b/c), where D is the disagreement
    and F_n that on the same images. If F_n is below 0.38 D, this would make F negative: then F = 0, and b is what F_n shows. The
    same b/c is taken if no size has a pair on the same images; two sizes are needed then.
    Pilots at which the law is above 0.2 are left out if there are others, because disagreement saturates there.

    Parameters
    ----------
    everything : (S,) disagreement of two networks that differ in images, initialisation and noise, relative to unrelated seeds
    same_images : (S,) the same of two networks that were trained on the same images; NaN at sizes without such a pair
    law : (S,) the same, as a law predicts it for linear models

    Raises
    ------
    TypeError
        Values that are not real numbers.
    ValueError
        No pilots, different shapes, values that are not above 0, NaN or infinity elsewhere than in `same_images`, or one size
        without a pair on the same images.

    Examples
    --------
    >>> law = np.array([0.08, 0.02])
    >>> fit = fit_common_floor(0.05 + 2.0 * law, 0.05 + 0.8 * law, law)
    >>> round(fit.floor, 6), round(fit.data, 6), round(fit.optimisation, 6)
    (0.05, 2.0, 0.8)
    """
    given = np.atleast_1d(plain_array("same_images", same_images))
    missing = np.isnan(given) if np.issubdtype(given.dtype, np.floating) else np.zeros(given.shape, dtype=bool)
    values = {"everything": everything, "same_images": np.where(missing, 1.0, given), "law": law}
    arrays = {name: np.atleast_1d(real_array(name, value)) for name, value in values.items()}
    for name, array in arrays.items():
        if array.ndim != 1 or array.size == 0 or array.shape != arrays["law"].shape:
            raise ValueError(f"{name} must hold one value for each pilot, as law does, got shape {array.shape}")
        if array.min() <= 0:
            raise ValueError(f"{name} must be above 0, got {array.min()}")
    arrays["same_images"] = np.where(missing, np.nan, arrays["same_images"])
    kept = sizes_that_count(arrays["law"])
    apart, floor, predicted = (arrays[name][kept] for name in values)
    if len(predicted) == 1:
        if np.isnan(floor[0]):
            raise ValueError(
                "same_images must hold a pair on the same images if only one size counts, got NaN: without it the floor is "
                "not known"
            )
        by_data = max(float(apart[0] - floor[0]), 0.0) / (1 - OPTIMISATION_SHARE)
        by_data = min(by_data, float(apart[0]))
        data, rest = by_data / float(predicted[0]), float(apart[0]) - by_data
        on_same = max(float(floor[0]) - rest, 0.0) / float(predicted[0])  # 0.38 c, or less if F cannot be lower than 0
        return CommonFloor(rest, data, min(on_same, data), pilots=1)
    return _least_squares(apart, floor, predicted)


def _law_values(law: Any) -> FloatArray:
    """Values of the law, of any shape, checked."""
    values = real_array("law", law)
    if values.size and values.min() < 0:
        raise ValueError(f"law must not be negative, got {values.min()}")
    return values


def sizes_that_count(law: FloatArray) -> npt.NDArray[np.bool_]:
    """(S,) which pilots the fit uses: those at which the law is at most 0.2, or the one at which it is smallest."""
    return np.asarray(law <= max(LARGEST_LAW, float(law.min())))


def _least_squares(apart: FloatArray, floor: FloatArray, law: FloatArray) -> CommonFloor:
    """F, c − b and b ≥ 0 that make (model − observed)/observed smallest: the images cannot take away disagreement."""
    from scipy.optimize import nnls  # lazy: a quick start

    shown = ~np.isnan(floor)
    any_floor = bool(shown.any())  # without one, b is a fixed part of c, and both stand in the second column
    rows = [(1.0, x, x if any_floor else 0.0) for x in law] + [(1.0, 0.0, x) for x in law[shown]]
    observed = np.concatenate([apart, floor[shown]])
    solution = nnls(np.array(rows) / observed[:, None], np.ones(len(observed)))[0]
    parts = solution[1:] if any_floor else np.array([1 - OPTIMISATION_SHARE, OPTIMISATION_SHARE]) * solution[1]
    return CommonFloor(floor=float(solution[0]), data=float(parts.sum()), optimisation=float(parts[1]), pilots=len(law))
