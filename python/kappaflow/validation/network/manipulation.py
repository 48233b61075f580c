"""Change of the disagreement if parts of the initial noise are suppressed or amplified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...splits import Splits
from ..laws import ComparedLaw
from .baselines import linear_samples
from .context import Context
from .members import MemberPair, PairKind
from .results import Manipulation

__all__ = ["manipulated_forecasts", "manipulations"]


def manipulations(
    context: Context, kind: PairKind, pairs: Sequence[MemberPair], predicted: Mapping[str, Mapping[str, float]]
) -> list[Manipulation]:
    """Observed, linear and predicted disagreement for each manipulated noise; empty if there are no pairs.

    Parameters
    ----------
    kind, pairs : trained pairs of one kind
    predicted : predictions of :func:`manipulated_forecasts` at this n; empty if n is not known
    """
    if not pairs:
        return []
    rows = []
    for name, change in context.manipulations.items():
        noise = context.noise[name]
        observed, linear = [], []
        for pair in pairs:
            first, second = pair.first, pair.second
            observed.append(float(np.mean((first.answers.samples[name] - second.answers.samples[name]) ** 2)))
            models = [linear_samples(context.images[m.spec.own], noise, context.sigma_max) for m in (first, second)]
            known = len(first.spec.other) > 0
            linear.append(float(np.mean((models[0] - models[1]) ** 2)) if known else float("nan"))
        rows.append(
            Manipulation(
                arch=kind.arch,
                n=kind.n,
                arm=kind.arm,
                part=change.part,
                modes=change.modes,
                factor=change.factor,
                observed=float(np.mean(observed)),
                linear=float(np.mean(linear)),
                predicted=predicted.get(name, {}),
            )
        )
    return rows


def manipulated_forecasts(context: Context, laws: Sequence[ComparedLaw], n: int) -> dict[str, dict[str, float]]:
    """Name of the noise → law → expected disagreement, which does not depend on the networks."""
    predicted: dict[str, dict[str, float]] = {name: {} for name in context.manipulations}
    for law in laws:
        splits = Splits(context.population, n, **law.options)
        f = splits.sampling_map(0.0, context.sigma_max)
        for name, values in predicted.items():
            values[law.name] = float(np.mean(splits.disagreement(f, context.noise[name])))
    return predicted
