"""The amount of disagreement at each size, predicted from the smaller ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...common_floor import fit_common_floor
from ..laws import most_general
from .results import AmountScore, Forecast, NetworkPair

__all__ = ["amount_scores", "amounts_from_smaller_sizes"]

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
    return amounts_from_smaller_sizes(arch, sizes, _by_size(pairs, _EVERYTHING), _by_size(pairs, _FLOOR), predicted)


def amounts_from_smaller_sizes(
    arch: str,
    sizes: Sequence[int],
    everything: Mapping[int, float],
    same_images: Mapping[int, float],
    law: Mapping[int, float],
) -> list[AmountScore]:
    """The same from the numbers themselves, each a mapping from size to disagreement relative to unrelated seeds.

    Parameters
    ----------
    arch, sizes : as in :func:`amount_scores`
    everything, same_images : of pairs that differ in everything, and of pairs that were trained on the same images
    law : as the law predicts it
    """
    known = [n for n in sizes if n in law and n in everything and n in same_images]
    scores = []
    for n in (n for n in sizes if n in law and n in everything):
        pilots = tuple(size for size in known if size < n)
        if not pilots:
            continue
        fit = fit_common_floor(
            [everything[size] for size in pilots],
            [same_images[size] for size in pilots],
            [law[size] for size in pilots],
        )
        scores.append(
            AmountScore(
                arch=arch,
                n=n,
                pilots=pilots,
                observed=everything[n],
                predicted=float(fit.disagreement(law[n])),
                law=law[n],
                floor=fit.floor,
            )
        )
    return scores


def _by_size(pairs: Sequence[NetworkPair], arm: str) -> dict[int, float]:
    """Size → mean relative disagreement of the pairs of that arm."""
    sizes = {pair.n for pair in pairs if pair.arm == arm}
    return {n: float(np.mean([p.disagreement.ratio for p in pairs if (p.arm, p.n) == (arm, n)])) for n in sizes}
