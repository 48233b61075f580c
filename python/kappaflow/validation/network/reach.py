"""What a right prediction of the order of modes can reach: pairs of exact linear models, on which the theory holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..._checks import FloatArray
from ..._statistics import rank_correlation
from ...disagreement import Disagreement
from ...groups import by_group, group_starts
from ..metrics import cross_split
from .baselines import linear_samples
from .context import Context
from .disjoint import DisjointPair, disjoint_pair, largest_pair, random_order
from .order import UNKNOWN_REACH, Reach
from .results import LEAST_MODE, Forecast

__all__ = ["drawn_pair", "reach_of"]

#: Times that the experiment is repeated with exact linear models, and the fewest from which quantiles are taken.
_DRAWS, _FEWEST = 20, 8
#: Operations that this may take, about a minute on one core; large training sets of large images get fewer draws.
_OPERATIONS = 5e11
_QUANTILES = (0.05, 0.5, 0.95)


def reach_of(context: Context, n: int, pairs: int, forecasts: Mapping[str, Forecast]) -> Callable[[str], Reach]:
    """By law, the rank correlation over modes that `pairs` pairs of exact linear models reach with its forecast.

    Each draw repeats the experiment: `pairs` pairs of training sets of n of the images, disjoint where there are 2n images (and
    without a group in common where that is possible), the same seeds, and the mean disagreement of the pairs. The forecast is
    right for these models, so what their correlation lacks to 1 is chance.

    Parameters
    ----------
    context : of the experiment
    n : size of the training sets
    pairs : number of pairs whose mean is observed
    forecasts : of the laws at n
    """
    images, d = context.images[: context.count], context.population.dimension
    if not (forecasts and 0 < n <= len(images)):
        return lambda _law: UNKNOWN_REACH
    operations = 4.0 * pairs * min(n, d) ** 2 * max(n, d)
    draws = int(min(_DRAWS, _OPERATIONS / operations))
    if draws < _FEWEST:
        return lambda _law: UNKNOWN_REACH
    s = context.population.eigenvalues
    rng = np.random.default_rng((context.seeds[0], n, pairs))
    reached: dict[str, list[float]] = {law: [] for law in forecasts}
    for _ in range(draws):
        observed = Disagreement.average([_linear_pair(context, images, n, rng) for _ in range(pairs)])
        for law, forecast in forecasts.items():
            predicted = forecast.disagreement
            kept = (s > LEAST_MODE * s[0]) & (observed.modes > 0) & (predicted.modes > 0)
            relative = [each.modes[kept] / each.unrelated_modes[kept] for each in (predicted, observed)]
            reached[law].append(rank_correlation(*relative).value)
    return lambda law: _quantiles(reached[law]) if law in reached else UNKNOWN_REACH


def _linear_pair(context: Context, images: FloatArray, n: int, rng: np.random.Generator) -> Disagreement:
    """Disagreement of the exact linear models of two random training sets."""
    drawn = drawn_pair(context, len(images), n, rng)
    noise = context.noise["seeds"]
    samples = [linear_samples(images[rows], noise, context.sigma_max) for rows in drawn]
    return cross_split(samples[0], samples[1], context.population, context.bands)


def drawn_pair(context: Context, count: int, n: int, rng: np.random.Generator) -> DisjointPair:
    """Two disjoint training sets; where they do not fit, images or whole groups are drawn with replacement."""
    groups = context.groups
    if groups is None:
        disjoint = 2 * n <= count
        return DisjointPair(
            *(rng.permutation(count)[: 2 * n].reshape(2, n) if disjoint else rng.integers(0, count, (2, n)))
        )
    order = random_order(rng, count, groups)
    if n <= largest_pair(order, groups):
        return disjoint_pair(order, n)
    members = np.split(by_group(groups), group_starts(np.sort(groups.numbers))[1:-1])
    drawn = [np.concatenate([members[g] for g in rng.integers(0, groups.count, n)])[:n] for _ in range(2)]
    return DisjointPair(*drawn)


def _quantiles(values: list[float]) -> Reach:
    if not np.isfinite(values).all():
        return UNKNOWN_REACH
    low, median, high = (float(value) for value in np.quantile(values, _QUANTILES))
    return Reach(low, median, high, draws=len(values))
