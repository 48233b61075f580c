"""How well anything orders the seeds on which pairs of networks disagree, beside what any predictor could reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..._checks import FloatArray
from ..._repr import ShortRepr
from ..._statistics import rank_correlation
from ...models.image_weights import NoPosteriorError
from ...models.posterior import PosteriorVariance, posterior_variance
from ...splits import Splits
from ..laws import most_general
from ..metrics import correlate
from .context import Context
from .members import MemberPair, PairKind
from .results import ANOTHER_PAIR, POSTERIOR, TRIVIAL, Baseline, Forecast, SeedScore

__all__ = ["MAP_SEEDS", "PosteriorOf", "posterior_of", "predicted_maps", "score_orders", "score_seeds"]

#: Seeds whose pixel maps are compared.
MAP_SEEDS = 64


@dataclass(frozen=True, repr=False)
class PosteriorOf(ShortRepr):
    """Posterior variance of the images at every seed, None if there is none, and then why."""

    value: PosteriorVariance | None
    note: str


def posterior_of(context: Context) -> PosteriorOf:
    """Posterior variance of all images at every seed, with pixel maps."""
    try:
        value = posterior_variance(
            context.population,
            context.noise["seeds"],
            images=context.images[: context.count],
            sigma_max=context.sigma_max,
            pixels=True,
        )
    except NoPosteriorError as error:
        return PosteriorOf(None, f"The posterior variance is left out as a predictor of seeds: {error}")
    return PosteriorOf(value, "")


def score_seeds(
    context: Context,
    kind: PairKind,
    pairs: Sequence[MemberPair],
    forecasts: Sequence[Forecast],
    linear: Sequence[Baseline],
    posterior: PosteriorVariance | None,
    expected_maps: Mapping[str, FloatArray],
) -> list[SeedScore]:
    """The score of every predictor of the order of seeds, over the trained pairs of one kind.

    Parameters
    ----------
    pairs : trained pairs of that kind
    forecasts, linear : of the same n
    posterior : of all images
    expected_maps : of the same n, see :func:`predicted_maps`
    """
    if not pairs:
        return []
    predicted: dict[str, FloatArray] = {}
    if posterior is not None:
        predicted |= {POSTERIOR: posterior.seeds, TRIVIAL: posterior.trivial}
    predicted |= {forecast.law: forecast.disagreement.seeds for forecast in forecasts}
    repeats = {pair.repeat for pair in pairs}
    same = [base.disagreement.seeds for base in linear if base.kind == "linear" and base.repeat in repeats]
    if same:
        predicted["linear"] = np.mean(same, axis=0)
    apart = [(pair.first.samples - pair.second.samples) ** 2 for pair in pairs]
    return score_orders(kind, apart, predicted, expected_maps)


def score_orders(
    kind: PairKind,
    apart: Sequence[FloatArray],
    predicted: Mapping[str, FloatArray],
    expected_maps: Mapping[str, FloatArray],
) -> list[SeedScore]:
    """The score of every predictor over the pairs of one kind; if there are several pairs, also of the first as a predictor of
    the others.

    Parameters
    ----------
    apart : (Z, d) squared difference of the two images of each seed, for each pair
    predicted : predictor → (Z,) number of each seed, larger where more disagreement is expected
    expected_maps : predictor → (Z′, d) the same for the pixels of at least the first 64 seeds; not every predictor has maps
    """
    observed = np.stack([each.mean(axis=1) for each in apart])
    maps = np.mean([each[:MAP_SEEDS] for each in apart], axis=0)
    reliability = _reliability(observed)
    scores = [
        _score(kind, name, values, observed, reliability, _within(expected_maps.get(name), maps))
        for name, values in predicted.items()
    ]
    return scores if len(apart) == 1 else [*scores, _another_pair(kind, observed, reliability, apart)]


def _score(
    kind: PairKind, predictor: str, values: FloatArray, observed: FloatArray, reliability: float, pixels: float
) -> SeedScore:
    order = np.argsort(values, kind="stable")
    tenth = max(1, len(order) // 10)
    mean = observed.mean(axis=0)
    low = float(mean[order[:tenth]].mean())
    return SeedScore(
        arch=kind.arch,
        n=kind.n,
        arm=kind.arm,
        predictor=predictor,
        pairs=len(observed),
        single=float(np.mean([rank_correlation(values, each).value for each in observed])),
        mean=correlate(values, mean),
        reliability=reliability,
        tenths=float(mean[order[-tenth:]].mean() / low) if low > 0 else float("nan"),
        pixels=pixels,
    )


def _another_pair(kind: PairKind, observed: FloatArray, reliability: float, apart: Sequence[FloatArray]) -> SeedScore:
    """The first pair as a predictor of the others: what a pair of networks more would tell."""
    others = observed[1:]
    within = _within(apart[0][:MAP_SEEDS], np.mean([each[:MAP_SEEDS] for each in apart[1:]], axis=0))
    return _score(kind, ANOTHER_PAIR, observed[0], others, reliability, within)


def _reliability(observed: FloatArray) -> float:
    """Mean rank correlation between two pairs; NaN for one pair."""
    values = [rank_correlation(a, b).value for a, b in combinations(observed, 2)]
    return float(np.mean(values)) if values else float("nan")


def predicted_maps(context: Context, posterior: PosteriorVariance | None, n: int) -> Mapping[str, FloatArray]:
    """Predictor → (Z′, d) where in the images of the first seeds it expects disagreement of models of n images."""
    maps, noise = {}, context.noise["seeds"][:MAP_SEEDS]
    if posterior is not None and posterior.pixels is not None:
        maps[POSTERIOR] = posterior.pixels[:MAP_SEEDS].reshape(len(noise), -1)
    general = most_general(law.name for law in context.laws)
    law = next((law for law in context.laws if law.name == general), None)
    if law is not None and n:
        splits = Splits(context.population, n, **law.options)
        f = splits.sampling_map(0.0, context.sigma_max)
        maps[law.name] = np.stack([splits.pixel_variance(f, x).ravel() for x in noise])
    return maps


def _within(predicted: FloatArray | None, observed: FloatArray) -> float:
    """Mean over seeds of the rank correlation over the pixels of a seed; NaN without a map."""
    if predicted is None:
        return float("nan")
    values = [rank_correlation(a, b).value for a, b in zip(predicted[:MAP_SEEDS], observed, strict=True)]
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
