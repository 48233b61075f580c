"""The amount of disagreement at each size, predicted from the smaller ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...common_floor import fit_common_floor
from ..laws import most_general
from .results import AmountScore, Forecast, NetworkPair

__all__ = ["amount_scores"]

#: Arms of pairs: everything differs, and the images are the same.
_EVERYTHING, _FLOOR = "different", "floor"


def amount_scores(
    arch: str, sizes: Sequence[int], pairs: Sequence[NetworkPair], forecasts: Sequence[Forecast]
) -> list[AmountScore]:
    """The score of every size that has smaller ones with pairs and their floor.

    Parameters
    ----------
    arch : architecture
    sizes : training-set sizes, ascending
    pairs : trained pairs of that architecture
    forecasts : of all laws; the most general one is used
    """
    general = most_general(forecast.law for forecast in forecasts)
    predicted = {f.n: f.disagreement.mean / f.disagreement.unrelated for f in forecasts if f.law == general}
    observed = {arm: _by_size(pairs, arm) for arm in (_EVERYTHING, _FLOOR)}
    known = [n for n in sizes if n in predicted and n in observed[_EVERYTHING] and n in observed[_FLOOR]]
    scores = []
    for n in (n for n in sizes if n in predicted and n in observed[_EVERYTHING]):
        pilots = tuple(size for size in known if size < n)
        if not pilots:
            continue
        fit = fit_common_floor(
            [observed[_EVERYTHING][size] for size in pilots],
            [observed[_FLOOR][size] for size in pilots],
            [predicted[size] for size in pilots],
        )
        scores.append(
            AmountScore(
                arch=arch,
                n=n,
                pilots=pilots,
                observed=observed[_EVERYTHING][n],
                predicted=float(fit.disagreement(predicted[n])),
                law=predicted[n],
                floor=fit.floor,
            )
        )
    return scores


def _by_size(pairs: Sequence[NetworkPair], arm: str) -> dict[int, float]:
    """Size → mean relative disagreement of the pairs of that arm."""
    sizes = {pair.n for pair in pairs if pair.arm == arm}
    return {n: float(np.mean([p.disagreement.ratio for p in pairs if (p.arm, p.n) == (arm, n)])) for n in sizes}
