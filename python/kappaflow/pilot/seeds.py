"""A calibrated disagreement of each seed: the order of the posterior variance, with the amount that pilots show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, real_array
from .._statistics import rank_correlation
from .results import PilotSeeds

__all__ = ["calibrate_seeds"]

#: Limits of the factors between which 80 % of the seeds of a pair lie.
_QUANTILES = (0.1, 0.9)


def calibrate_seeds(
    numbers: npt.NDArray[np.int64], posterior_variance: FloatArray, observed: FloatArray, *, n: int
) -> PilotSeeds:
    r"""The exponent β of D_i ∝ PV_i^β, and the spread of single pairs around it.

    β is the slope of the least-squares line of log D_i over log PV_i, where D_i is the mean over pairs. The spread is that of the
    factor between a pair's disagreement on a seed, divided by its mean over seeds, and what the power law says.

    Parameters
    ----------
    numbers : (Z,) seed numbers
    posterior_variance : (Z,) PV_i
    observed : (r, Z) disagreement of r pairs on each seed
    n : size of the pilots

    Raises
    ------
    TypeError, ValueError
        Values that are not finite and above 0, or shapes that do not fit.
    """
    values, apart = real_array("posterior_variance", posterior_variance), real_array("observed", observed)
    for name, array in (("posterior_variance", values), ("observed", apart)):
        if array.size == 0 or array.shape[-1] != len(numbers):
            raise ValueError(f"{name} must hold one value for each of {len(numbers)} seeds, got shape {array.shape}")
        if array.min() <= 0:
            raise ValueError(f"{name} must be above 0, got {array.min()}")
    exponent = float(np.polyfit(np.log(values), np.log(apart.mean(axis=0)), 1)[0])
    fitted = PilotSeeds(
        numbers=numbers,
        posterior_variance=values,
        exponent=exponent,
        low=np.nan,
        high=np.nan,
        correlation=float(np.mean([rank_correlation(values, each).value for each in apart])),
        n=n,
    )
    low, high = np.quantile(fitted.factors(apart), _QUANTILES)
    return replace(fitted, low=float(low), high=float(high))
