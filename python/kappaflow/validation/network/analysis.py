"""Disagreement of pairs of models, of models that need no training, and of the theory on the same seeds, and how well one
predicts another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..._checks import FloatArray
from ...bands import Band, band_sums
from ...disagreement import Disagreement
from ...splits import Splits
from ..laws import ComparedLaw
from ..metrics import Correlation, correlate, cross_split, pixel_disagreement
from .baselines import linear_samples, memorising_samples
from .context import Context
from .members import MemberPair, PairKind
from .order import Reach
from .plan import ComparedModel
from .probes import LEVELS
from .reach import reach_of
from .results import LEAST_MODE, Baseline, Forecast, NetworkPair, PredictorScore

__all__ = ["baselines", "compare_pair", "forecast", "score_predictors"]


def compare_pair(context: Context, pair: MemberPair) -> NetworkPair:
    """Comparison of two models from the same seeds."""
    first, second = pair.first, pair.second
    apart = first.answers.shared - second.answers.shared
    return NetworkPair(
        arch=pair.kind.arch,
        n=pair.kind.n,
        repeat=pair.repeat,
        arm=pair.kind.arm,
        runs=(first.run.key, second.run.key),
        trained=pair.trained,
        disagreement=cross_split(first.samples, second.samples, context.population, context.bands),
        pixels=pixel_disagreement(first.samples, second.samples, context.population),
        sigma=np.array(LEVELS),
        denoiser=np.mean(apart**2, axis=(1, 2)) if apart.size else np.full(len(LEVELS), np.nan),
    )


def baselines(context: Context, model: ComparedModel) -> list[Baseline]:
    """Linear and memorising models of both training sets of a pair; none if the sets are not known to differ."""
    if not len(model.other) or np.array_equal(model.own, model.other):
        return []
    own, other = context.images[model.own], context.images[model.other]
    noise = context.noise["seeds"]
    makers: dict[str, Callable[[FloatArray], FloatArray]] = {
        "linear": lambda rows: linear_samples(rows, noise, context.sigma_max),
        "memorising": lambda rows: memorising_samples(
            rows, context.shape, noise, steps=context.steps, sigma_max=context.sigma_max
        ),
    }
    return [
        Baseline(
            kind=kind,
            n=model.n,
            repeat=model.repeat,
            disagreement=cross_split(make(own), make(other), context.population, context.bands),
        )
        for kind, make in makers.items()
    ]


def forecast(context: Context, law: ComparedLaw, n: int) -> Forecast:
    """What a law predicts for linear models of n of these images."""
    population, top = context.population, context.sigma_max
    splits = Splits(population, n, **law.options)
    f = splits.sampling_map(0.0, top)
    gain = splits.expectation(f)
    modes = splits.mode_disagreement(f, input_variance=top**2).part
    ceiling = modes + 2 / population.dimension * gain**2 * top**2
    everything = Band(0, population.eigenvalues.size)  # bands need not cover all modes
    by_band = splits.disagreement(f, context.noise["seeds"], bands=(*context.bands, everything))
    spreads = [population.eigenvalues + sigma**2 for sigma in LEVELS]
    return Forecast(
        law=law.name,
        n=n,
        disagreement=Disagreement(
            seeds=by_band[:, -1],
            modes=modes,
            bands=by_band[:, :-1].mean(axis=0),
            unrelated=float(ceiling.sum()),
            unrelated_modes=ceiling,
            unrelated_bands=band_sums(ceiling, context.bands),
        ),
        gain=gain,
        denoiser=np.array(
            [
                float(splits.mean_disagreement(splits.denoiser(sigma), input_variance=spread))
                for sigma, spread in zip(LEVELS, spreads, strict=True)
            ]
        ),
    )


def score_predictors(
    context: Context,
    kind: PairKind,
    pairs: Sequence[NetworkPair],
    forecasts: Sequence[Forecast],
    linear: Sequence[Baseline],
) -> list[PredictorScore]:
    """How well each law, and the linear models of the same splits, predict where the trained pairs of one kind disagree.

    Parameters
    ----------
    pairs : trained pairs of that kind
    forecasts, linear : predictions of the laws, and baselines, at the same n
    """
    if not pairs:
        return []
    repeats = {pair.repeat for pair in pairs}
    observed = Disagreement.average([pair.disagreement for pair in pairs])
    sources = {forecast.law: forecast.disagreement for forecast in forecasts}
    same = [base.disagreement for base in linear if base.kind == "linear" and base.repeat in repeats]
    if same:
        sources["linear"] = Disagreement.average(same)
    s = context.population.eigenvalues
    alive = (s > LEAST_MODE * s[0]) & (observed.modes > 0)
    laws = {} if kind.arm == "floor" else {forecast.law: forecast for forecast in forecasts}  # no law describes a floor
    reach = reach_of(context, kind.n, len(pairs), laws)
    return [
        _score(kind, name, source, observed, kept=alive & (source.modes > 0), pairs=len(pairs), reach=reach(name))
        for name, source in sources.items()
    ]


def _score(
    kind: PairKind,
    predictor: str,
    source: Disagreement,
    observed: Disagreement,
    *,
    kept: FloatArray,
    pairs: int,
    reach: Reach,
) -> PredictorScore:
    """Correlations over seeds and over the modes that are kept; what does not vary has none."""
    modes = [each.modes[kept] for each in (source, observed)]
    relative = [each.modes[kept] / each.unrelated_modes[kept] for each in (source, observed)]
    seeds = [source.seeds, observed.seeds]
    by_band = np.divide(observed.bands, source.bands, out=np.full(len(source.bands), np.nan), where=source.bands > 0)
    return PredictorScore(
        arch=kind.arch,
        n=kind.n,
        arm=kind.arm,
        predictor=predictor,
        pairs=pairs,
        seeds=correlate(*seeds),
        modes=correlate(*modes),
        relative=correlate(*relative),
        reach=reach,
        seeds_pearson=_of_logs(seeds),
        modes_pearson=_of_logs(modes),
        relative_pearson=_of_logs(relative),
        factor=float(observed.seeds.mean() / source.seeds.mean()) if source.seeds.any() else float("nan"),
        factor_bands=by_band,
    )


def _of_logs(sides: Sequence[FloatArray]) -> Correlation:
    """Pearson's correlation of the logarithms, of the entries that have one."""
    positive = (sides[0] > 0) & (sides[1] > 0)
    return correlate(*(np.log(side[positive]) for side in sides), kind="pearson")
