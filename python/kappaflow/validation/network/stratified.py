"""Comparison of networks that were trained on strata of the data with linear models and theory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..._checks import FloatArray
from ...population import Population
from ...splits import Splits
from ..laws import ComparedLaw
from ..metrics import cross_split
from ..strata import PROFILES, STRATA, strata
from .baselines import linear_samples
from .context import Context
from .members import Member
from .results import StrataMatrix

__all__ = ["strata_law", "strata_matrix"]


def strata_matrix(
    context: Context, arch: str, component: int, members: Sequence[Member], predicted: Mapping[str, FloatArray]
) -> StrataMatrix:
    """Disagreement of networks of any two strata, and of the linear models of the same sets.

    Parameters
    ----------
    members : all models of strata
    predicted : law → (S, S), see :func:`strata_law`
    """
    names = tuple(dict.fromkeys(m.spec.stratum for m in members if m.spec.stratum is not None))
    by_name = {(m.spec.stratum, m.spec.split): m for m in members if m.spec.arch == arch and m.spec.stratum is not None}
    noise, count = context.noise["seeds"], len(names)
    observed, linear = np.full((count, count), np.nan), np.zeros((count, count))
    drawn = {key: linear_samples(context.images[m.spec.own], noise, context.sigma_max) for key, m in by_name.items()}
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            a, b = by_name[first, "A"], by_name[second, "B"]
            if a.run.quality.passed and b.run.quality.passed:
                observed[i, j] = np.mean((a.samples - b.samples) ** 2)
            linear[i, j] = np.mean((drawn[first, "A"] - drawn[second, "B"]) ** 2)
    whole = [by_name[names[0], split].samples for split in "AB"]
    return StrataMatrix(
        arch=arch,
        n=next(iter(by_name.values())).spec.n,
        component=component,
        names=names,
        observed=_symmetric(observed),
        linear=_symmetric(linear),
        predicted=predicted,
        unrelated=cross_split(whole[0], whole[1], context.population, context.bands).unrelated,
    )


def _symmetric(matrix: FloatArray) -> FloatArray:
    """Mean of A of the first with B of the second stratum, and the other way round, where both are there."""
    return np.where(np.isnan(matrix), matrix.T, np.where(np.isnan(matrix.T), matrix, 0.5 * (matrix + matrix.T)))


def strata_law(context: Context, law: ComparedLaw, n: int, component: int, names: Sequence[str] = STRATA) -> FloatArray:
    """Expected disagreement (S, S) of linear models of disjoint sets of n images of any two strata, per dimension.

    Two sets of one stratum differ by 2 Var/d. Sets of strata a and b differ by::

        ‖E a − E b‖²/d + (1 − n/N_a) Var a/d + (1 − n/N_b) Var b/d

    The expectations are those of the strata as they are, with N_a and N_b images. The first term therefore contains every
    difference of these strata, including differences by chance. Sets are drawn from the strata without replacement, so a set of
    n of N images has the share 1 − n/N of the variance over independent sets.
    """
    noise, top = context.noise["seeds"], context.sigma_max
    coordinate = context.population.coordinates(context.images)[:, component]
    means, variances, left = [], [], []
    indices = strata(coordinate)
    for name in names:
        population = Population.from_samples(context.images[indices[name]], profiles=PROFILES if law.profiles else 0)
        splits = Splits(population, n, **law.options)
        f = splits.sampling_map(0.0, top)
        means.append(splits.expected_output(f, noise))
        variances.append(float(np.mean(splits.disagreement(f, noise))) / 2)
        left.append(1 - n / len(indices[name]))
    between = np.array([[float(np.mean((a - b) ** 2)) for b in means] for a in means])
    spread = np.array(variances) * np.array(left)
    matrix: FloatArray = between + spread[:, None] + spread[None, :]
    np.fill_diagonal(matrix, 2 * np.array(variances))
    return matrix
