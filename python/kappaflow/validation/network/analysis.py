"""From the answers of all models to what the report shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..._checks import FloatArray
from ...bands import Band, band_sums
from ...disagreement import Disagreement
from ...population import Population
from ...splits import Splits
from ..laws import ComparedLaw
from ..metrics import (
    Correlation,
    correlate,
    cross_split,
    explained,
    generated_variance,
    memorisation,
    memorised_fraction,
    nearest,
    pixel_disagreement,
)
from ..strata import PROFILES, STRATA, strata
from .baselines import amplified, linear_samples, memorising_samples
from .gate import judge
from .plan import RunSpec
from .probes import LEVELS, Answers
from .results import (
    LEAST_MODE,
    Baseline,
    Forecast,
    Gallery,
    Manipulation,
    NetworkPair,
    PredictorScore,
    Run,
    StrataMatrix,
)

__all__ = ["Context", "Member"]

#: Seeds whose images are shown.
GALLERY_SEEDS = 8


@dataclass(frozen=True)
class Context:
    """What every step of the analysis needs.

    Attributes
    ----------
    images : (N, d) all images
    population : of them, with profiles where a law needs them
    shape, bands, laws, sigma_max, steps : see :class:`~.results.NetworkValidation`
    noise : name → (Z, d) initial noise
    manipulations : name of the noise → (part, (start, stop), factor)
    seeds : seed numbers of noise["seeds"]
    count : how many images the population was made of; `images` may hold others behind them
    """

    images: FloatArray
    population: Population
    shape: tuple[int, ...]
    bands: tuple[Band, ...]
    laws: tuple[ComparedLaw, ...]
    sigma_max: float
    steps: int
    noise: Mapping[str, FloatArray]
    manipulations: Mapping[str, tuple[str, tuple[int, int], float]]
    seeds: tuple[int, ...]
    count: int


@dataclass(frozen=True)
class Member:
    """A run with its answers and what has been made of them."""

    spec: RunSpec
    run: Run
    answers: Answers


def describe(
    context: Context, spec: RunSpec, answers: Answers, *, parameters: int, seconds: float, steps: int
) -> Member:
    """Gate, generated variance, distance to linear predictions and to training images of one model."""
    samples = answers.samples["seeds"]
    own, other = context.images[spec.own], context.images[spec.other]
    noise = context.noise["seeds"]
    linear = linear_samples(own, noise, context.sigma_max)
    quality = judge(
        own, own[spec.probed], context.images[spec.held_out], samples, linear, answers.loss["own"], answers.loss["held_out"],
        context.population, context.bands,
    )  # fmt: skip
    known = len(spec.other) > 0
    pooled = linear_samples(np.concatenate([own, other]), noise, context.sigma_max)
    everything = linear_samples(context.population, noise, context.sigma_max)
    scale = np.sqrt(samples.shape[1])
    two = nearest(samples, own, count=2)[0] / scale
    elsewhere = nearest(samples, other)[0][:, 0] / scale if known else np.full(len(samples), np.nan)
    run = Run(
        key=spec.key, arch=spec.arch, n=spec.n, repeat=spec.repeat,
        split=spec.split if spec.stratum is None else f"{spec.stratum} {spec.split}", member=spec.member,
        steps=steps, parameters=parameters, seconds=seconds, quality=quality,
        variance=generated_variance(samples, context.population),
        variance_linear=generated_variance(linear, context.population),
        r2_own=explained(samples, linear), r2_own_zero=1 - float(np.sum((samples - linear) ** 2) / np.sum(samples**2)),
        r2_pooled=explained(samples, pooled) if known else float("nan"), r2_population=explained(samples, everything),
        distance_linear=np.mean((samples - linear) ** 2, axis=1), nearest_own=two[:, 0], nearest_other=elsewhere,
        auc=_auc(samples, own, other) if known else float("nan"),
        memorised=memorised_fraction(two) if known else float("nan"),
    )  # fmt: skip
    return Member(spec, run, answers)


def _auc(samples: FloatArray, own: FloatArray, other: FloatArray) -> float:
    """AUC of nearness to the own set against another of equal size: of the larger one a random part is taken."""
    size = min(len(own), len(other))
    parts = [rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:size])] for rows in (own, other)]
    return memorisation(*(nearest(samples, rows)[0][:, 0] for rows in parts)).auc


def pair_members(members: Sequence[Member]) -> dict[tuple[str, int, int, str], tuple[Member, Member]]:
    """(arch, n, repeat, arm) → the two runs of each pair that there is."""
    groups: dict[tuple[str, int, int], dict[str, Member]] = defaultdict(dict)
    for member in members:
        if member.spec.stratum is None:
            groups[member.spec.arch, member.spec.n, member.spec.repeat][f"{member.spec.split}{member.spec.member}"] = (
                member
            )
    arms = {"same": ("A0", "B0"), "different": ("A0", "B1"), "floor": ("B0", "B1")}
    if members and members[0].spec.arch == "given":
        arms = {"given": ("A0", "B0")}
    return {
        (*key, arm): (found[first], found[second])
        for key, found in groups.items()
        for arm, (first, second) in arms.items()
        if first in found and second in found
    }


def compare_pair(context: Context, key: tuple[str, int, int, str], a: Member, b: Member) -> NetworkPair:
    """Two runs from the same seeds."""
    arch, n, repeat, arm = key
    first, second = a.answers.samples["seeds"], b.answers.samples["seeds"]
    apart = a.answers.shared - b.answers.shared
    return NetworkPair(
        arch=arch, n=n, repeat=repeat, arm=arm, runs=(a.run.key, b.run.key),
        trained=a.run.quality.passed and b.run.quality.passed,
        disagreement=cross_split(first, second, context.population, context.bands),
        pixels=pixel_disagreement(first, second, context.population),
        sigma=np.array(LEVELS), denoiser=np.mean(apart**2, axis=(1, 2)),
    )  # fmt: skip


def baselines(context: Context, a: RunSpec) -> list[Baseline]:
    """Linear and memorising models of the two splits of a run; none where these are not known to differ."""
    if not len(a.other) or np.array_equal(a.own, a.other):
        return []
    own, other = context.images[a.own], context.images[a.other]
    noise = context.noise["seeds"]
    makers: dict[str, Callable[[FloatArray], FloatArray]] = {
        "linear": lambda rows: linear_samples(rows, noise, context.sigma_max),
        "memorising": lambda rows: memorising_samples(
            rows, context.shape, noise, steps=context.steps, sigma_max=context.sigma_max
        ),
    }
    return [
        Baseline(kind, a.n, a.repeat, cross_split(make(own), make(other), context.population, context.bands))
        for kind, make in makers.items()
    ]


def forecast(context: Context, law: ComparedLaw, n: int) -> Forecast:
    """What a law says of linear models of n of these images."""
    population, top = context.population, context.sigma_max
    splits = Splits(population, n, **law.options)
    f = splits.sampling_map(0.0, top)
    gain = splits.expectation(f)
    modes = splits.mode_disagreement(f, input_sigma=top).part
    ceiling = modes + 2 / population.dimension * gain**2 * top**2
    everything = Band(0, population.eigenvalues.size)  # bands need not cover all modes
    parts = splits.disagreement(f, context.noise["seeds"], bands=(*context.bands, everything))
    return Forecast(
        law=law.name,
        n=n,
        disagreement=Disagreement(
            seeds=parts[:, -1],
            modes=modes,
            bands=parts[:, :-1].mean(axis=0),
            unrelated=float(ceiling.sum()),
            unrelated_modes=ceiling,
            unrelated_bands=band_sums(ceiling, context.bands),
        ),
        gain=gain,
        denoiser=np.array([
            float(splits.mean_disagreement(splits.denoiser(sigma), input_variance=population.eigenvalues + sigma**2))
            for sigma in LEVELS
        ]),
    )  # fmt: skip


def score_predictors(
    context: Context, arch: str, n: int, arm: str, pairs: Sequence[NetworkPair], forecasts: Sequence[Forecast],
    linear: Sequence[Baseline],
) -> list[PredictorScore]:  # fmt: skip
    """How well each law, and the linear models of the same splits, tell where the trained pairs of one kind disagree."""
    if not pairs:
        return []
    repeats = {pair.repeat for pair in pairs}
    observed = Disagreement.average([pair.disagreement for pair in pairs])
    sources = {f.law: f.disagreement for f in forecasts}
    same = [base for base in linear if base.kind == "linear" and base.repeat in repeats]
    if same:
        sources["linear"] = Disagreement.average([base.disagreement for base in same])
    s = context.population.eigenvalues
    alive = (s > LEAST_MODE * s[0]) & (observed.modes > 0)
    return [
        _prediction(arch, n, arm, name, len(pairs), source, observed, alive & (source.modes > 0))
        for name, source in sources.items()
    ]


def _prediction(
    arch: str, n: int, arm: str, name: str, count: int, source: Disagreement, observed: Disagreement, kept: FloatArray
) -> PredictorScore:
    """Correlations over seeds and over the modes that are kept; what does not vary has none."""
    modes = [each.modes[kept] for each in (source, observed)]
    relative = [each.modes[kept] / each.unrelated_modes[kept] for each in (source, observed)]
    seeds = [source.seeds, observed.seeds]
    by_band = np.divide(observed.bands, source.bands, out=np.full(len(source.bands), np.nan), where=source.bands > 0)
    return PredictorScore(
        arch=arch, n=n, arm=arm, predictor=name, pairs=count,
        seeds=correlate(*seeds), modes=correlate(*modes), relative=correlate(*relative),
        seeds_pearson=_of_logs(seeds), modes_pearson=_of_logs(modes),
        relative_pearson=_of_logs(relative),
        factor=float(observed.seeds.mean() / source.seeds.mean()) if source.seeds.any() else float("nan"), factor_bands=by_band,
    )  # fmt: skip


def _of_logs(sides: Sequence[FloatArray]) -> Correlation:
    """Pearson's correlation of the logarithms, of the entries that have one."""
    positive = (sides[0] > 0) & (sides[1] > 0)
    return correlate(*(np.log(side[positive]) for side in sides), kind="pearson")


def gallery(context: Context, key: tuple[str, int, int, str], a: Member, b: Member) -> Gallery:
    """Images of the first seeds: both networks, both linear models, and the nearest training images of both."""
    arch, n, _, arm = key
    chosen = slice(0, GALLERY_SEEDS)
    noise = context.noise["seeds"][chosen]
    rows: list[tuple[str, FloatArray]] = []
    titles = ("A", "B")
    samples = [member.answers.samples["seeds"][chosen] for member in (a, b)]
    rows += [(f"{title}, network", drawn) for title, drawn in zip(titles, samples, strict=True)]
    sets = [context.images[member.spec.own] for member in (a, b)]
    rows += [
        (f"{title}, linear", linear_samples(own, noise, context.sigma_max))
        for title, own in zip(titles, sets, strict=True)
    ]
    for title, drawn, own in zip(titles, samples, sets, strict=True):
        if len(own):
            rows.append((f"{title}, nearest image", own[nearest(drawn, own)[1][:, 0]]))
    return Gallery(
        arch=arch, n=n, arm=arm, trained=a.run.quality.passed and b.run.quality.passed, seeds=context.seeds[chosen],
        rows=tuple((label, images.reshape(-1, *context.shape)) for label, images in rows),
    )  # fmt: skip


def manipulations(
    context: Context, arch: str, n: int, arm: str, pairs: Sequence[tuple[Member, Member]],
    predicted: Mapping[str, Mapping[str, float]],
) -> list[Manipulation]:  # fmt: skip
    """Observed, linear and predicted disagreement for each noise that was manipulated; `pairs` are trained ones.

    `predicted` is what :func:`manipulated_forecasts` says at this n, nothing where n is not known.
    """
    found = []
    for name, (part, modes, factor) in context.manipulations.items():
        if not pairs:
            break
        noise = context.noise[name]
        observed, linear = [], []
        for a, b in pairs:
            observed.append(float(np.mean((a.answers.samples[name] - b.answers.samples[name]) ** 2)))
            models = [linear_samples(context.images[m.spec.own], noise, context.sigma_max) for m in (a, b)]
            linear.append(float(np.mean((models[0] - models[1]) ** 2)) if len(a.spec.other) else float("nan"))
        found.append(
            Manipulation(
                arch,
                n,
                arm,
                part,
                modes,
                factor,
                float(np.mean(observed)),
                float(np.mean(linear)),
                predicted.get(name, {}),
            )
        )
    return found


def manipulated_forecasts(context: Context, laws: Sequence[ComparedLaw], n: int) -> dict[str, dict[str, float]]:
    """Name of the noise → law → expected disagreement, which depends on no network."""
    found: dict[str, dict[str, float]] = {name: {} for name in context.manipulations}
    for law in laws:
        splits = Splits(context.population, n, **law.options)
        f = splits.sampling_map(0.0, context.sigma_max)
        for name, values in found.items():
            values[law.name] = float(np.mean(splits.disagreement(f, context.noise[name])))
    return found


def manipulated_noise(
    noise: FloatArray,
    population: Population,
    chosen: Mapping[str, tuple[int, int]],
    factors: Sequence[float] = (0.0, 2.0),
) -> tuple[dict[str, FloatArray], dict[str, tuple[str, tuple[int, int], float]]]:
    """Noise by name with some modes amplified or suppressed, the noise as it is among them, and what was done."""
    made: dict[str, FloatArray] = {}
    what: dict[str, tuple[str, tuple[int, int], float]] = {}
    for part, modes in chosen.items():
        for factor in (*factors, 1.0):
            name = f"{part} x {factor:g}"
            made[name], what[name] = amplified(noise, population, modes, factor), (part, modes, factor)
    return made, what


def strata_matrix(
    context: Context, arch: str, component: int, members: Sequence[Member], predicted: Mapping[str, FloatArray]
) -> StrataMatrix:
    """Disagreement of networks of any two strata, beside the linear models of the same sets and `predicted` by every law."""
    names = tuple(dict.fromkeys(m.spec.stratum for m in members if m.spec.stratum is not None))
    by_name = {(m.spec.stratum, m.spec.split): m for m in members if m.spec.arch == arch and m.spec.stratum is not None}
    noise, count = context.noise["seeds"], len(names)
    observed, linear = np.full((count, count), np.nan), np.zeros((count, count))
    drawn = {key: linear_samples(context.images[m.spec.own], noise, context.sigma_max) for key, m in by_name.items()}
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            a, b = by_name[first, "A"], by_name[second, "B"]
            if a.run.quality.passed and b.run.quality.passed:
                observed[i, j] = np.mean((a.answers.samples["seeds"] - b.answers.samples["seeds"]) ** 2)
            linear[i, j] = np.mean((drawn[first, "A"] - drawn[second, "B"]) ** 2)
    n = next(iter(by_name.values())).spec.n
    iid = [by_name[names[0], split].answers.samples["seeds"] for split in "AB"]
    return StrataMatrix(
        arch=arch, n=n, component=component, names=names, observed=_symmetric(observed), linear=_symmetric(linear),
        predicted=predicted,
        unrelated=cross_split(iid[0], iid[1], context.population, context.bands).unrelated,
    )  # fmt: skip


def _symmetric(matrix: FloatArray) -> FloatArray:
    """Mean of A of the first with B of the second stratum and the other way round, where both are there."""
    return np.where(np.isnan(matrix), matrix.T, np.where(np.isnan(matrix.T), matrix, 0.5 * (matrix + matrix.T)))


def strata_law(context: Context, law: ComparedLaw, n: int, component: int, names: Sequence[str] = STRATA) -> FloatArray:
    """Of two disjoint sets of one stratum 2 Var/d; of strata a and b ‖E a − E b‖²/d + (1 − n/N_a) Var a/d + (1 − n/N_b) Var b/d.

    The expectations are read off the strata as they are, N_a and N_b images, of which the sets are parts: what these strata differ
    by, chance included, is in the first term, and a part of n of N leaves the share 1 − n/N of the variance over sets.
    """
    noise, top = context.noise["seeds"], context.sigma_max
    coordinate = context.population.coordinates(context.images)[:, component]
    means, variances, left = [], [], []
    parts = strata(coordinate)
    for name in names:
        population = Population.from_samples(context.images[parts[name]], profiles=PROFILES if law.profiles else 0)
        splits = Splits(population, n, **law.options)
        f = splits.sampling_map(0.0, top)
        means.append(splits.expected_output(f, noise))
        variances.append(float(np.mean(splits.disagreement(f, noise))) / 2)
        left.append(1 - n / len(parts[name]))
    between = np.array([[float(np.mean((a - b) ** 2)) for b in means] for a in means])
    spread = np.array(variances) * np.array(left)
    found: FloatArray = between + spread[:, None] + spread[None, :]
    np.fill_diagonal(found, 2 * np.array(variances))
    return found
