"""Which law holds for these data: leverage and kurtosis of the samples, and the error of each law in a small experiment.

:func:`diagnose` resamples the profiles of a population, which make a population that is known exactly, and holds every law
against the variance that is found; :func:`choose_law` is the rule that predictions follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, choice, integer, positive
from ..bands import Band, default_bands
from ..functions import df1, df2
from ..laws import DEFAULT_LAW, REGISTRY, law_spec, radial_scales, require_profiles
from ..maps import Map
from ..moments import gram_eigensystem, has_variance, symmetric_eigensystem
from ..population import Population, scaled_profiles
from ..sampling import SIGMA_MAX
from ..splits import Splits

__all__ = [
    "AUTO",
    "Diagnosis",
    "LawChoice",
    "LawError",
    "choose_law",
    "diagnose",
    "diagnosis_to_json",
    "law_options",
]

#: The option that lets the diagnosis decide.
AUTO = "auto"
#: A law is good enough within this relative error.
TOLERANCE = 0.1
#: Fewer profiles than this tell nothing.
FEWEST_PROFILES = 16
_LARGEST_N = 300
#: The denoiser of the experiment, as a fraction of the data's standard deviation per dimension.
_MIDDLE_NOISE = 0.5
#: Errors above this, as logarithms, are told as factors.
_A_FACTOR = 0.4
NO_BREAK = "\N{NO-BREAK SPACE}"
_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class LawError:
    """Error of one law for one map, log(simulated/predicted) of variances: positive where the law predicts too little.

    Attributes
    ----------
    law, question : name of the law, and the map in words
    total, total_error : of the variance summed over modes and inputs, and its Monte Carlo standard error
    band, band_error : (B,) the same by eigenband
    rms, rms_error : root mean square over the bands, what Monte Carlo adds to it taken off in quadrature
    """

    law: str
    question: str
    total: float
    total_error: float
    band: FloatArray
    band_error: FloatArray
    rms: float
    rms_error: float

    @property
    def size(self) -> tuple[float, float]:
        """The larger of \\|total\\| and rms, and its standard error."""
        return max((abs(self.total), self.total_error), (self.rms, self.rms_error))


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`diagnose` finds. ``M`` profiles, ``k`` modes, ``B`` eigenbands of the modes that have variance.

    Attributes
    ----------
    n, training_sets : size and number of the training sets of the experiment
    profiles : profiles that the experiment resampled
    sigma_max, denoiser_sigma : noise levels of its two maps
    kappa : where the leverage is taken: df1(κ) is half of what n samples can have
    leverage : (M,) τ_a = Σₖ z²ₐₖ/(sₖ+κ) / df1(κ) of each profile, 1 on average
    leverage_variance, leverage_gaussian : its variance, and that of Gaussian data, 2 df2(κ,κ)/df1(κ)²
    kurtosis : (k,) E z⁴/(E z²)² of each mode, 3 for Gaussian data, NaN for modes without variance
    bands : eigenbands of the errors
    errors : by law and map, laws from the cheapest to the dearest
    law : the law to take
    reason : why, in words, as a clause that follows a colon
    subsampling_error : relative standard error of the empirical law's total because only M of N samples are profiles, None
        where another law is taken or nothing is left out
    """

    n: int
    training_sets: int
    profiles: int
    sigma_max: float
    denoiser_sigma: float
    kappa: float
    leverage: FloatArray
    leverage_variance: float
    leverage_gaussian: float
    kurtosis: FloatArray
    bands: tuple[Band, ...]
    errors: tuple[LawError, ...]
    law: str
    reason: str
    subsampling_error: float | None

    @property
    def recommendation(self) -> str:
        """What to do, in a sentence with its numbers."""
        return f"Take the {law_spec(self.law).title}: {self.reason}"

    def error(self, law: str) -> tuple[float, float]:
        """Error of a law, as its worst map shows it (see :attr:`LawError.size`), and the Monte Carlo standard error."""
        return max(each.size for each in self.errors if each.law == law)


def diagnose(
    population: Population,
    *,
    n: int | None = None,
    training_sets: int = 96,
    inputs: int = 16,
    profiles: int = 4096,
    sigma_max: float = SIGMA_MAX,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Diagnosis:
    """Which law to take for these data, with the error of each.

    The profiles, or a random subset, are taken as a population that is known exactly: training sets are drawn from them
    with replacement, the sampling map and a denoiser of each are formed, and the variance of their outputs is compared with
    what every law predicts. The law to take is the cheapest whose error is within 10 %, give or take one Monte Carlo
    standard error. Where none is, as with few images, it is the cheapest whose error is within 10 % of the smallest.

    Parameters
    ----------
    population : Population
        With profiles, see :meth:`Population.from_samples`.
    n : size of the training sets; by default half of the profiles used, 300 at most
    training_sets : how many are drawn, at least 8
    inputs : seeds and noised images that are followed
    profiles : the most profiles that are resampled
    sigma_max : noise level at which the sampling map starts; the denoiser's is half the standard deviation per dimension
    seed : of everything that is random: the same arguments give the same diagnosis
    progress : called with a step's name and the fraction of the work that is done

    Raises
    ------
    ValueError, TypeError
        No profiles or too few of them, profiles that are all equal, bad options.
    """
    held = _held_profiles(population)
    limit = integer("profiles", profiles, FEWEST_PROFILES)
    count, top = integer("training_sets", training_sets, 8), positive("sigma_max", sigma_max)
    rng = np.random.default_rng(integer("seed", seed, 0))
    report = progress if progress is not None else lambda _step, _fraction: None
    report("profiles as a population", 0.0)
    exact = _exact_population(held, limit, rng)
    assert exact.profiles is not None
    size = max(2, min(len(exact.profiles) // 2, _LARGEST_N)) if n is None else integer("n", n, 2)
    kappa, leverage, gaussian = _leverages(population, size)
    middle = float(f"{_MIDDLE_NOISE * np.sqrt(population.total_variance / population.dimension):.2g}")
    shown = integer("inputs", inputs, 1)
    questions = _questions(exact, top, middle, shown, rng)
    report("training sets", 0.1)
    simulated = _simulate(exact.profiles.astype(np.float64), size, count, questions, rng)
    bands = default_bands(len(exact.eigenvalues))
    errors = []
    for index, (law, spec) in enumerate(REGISTRY.items()):
        report(spec.title, 0.6 + 0.3 * index / len(REGISTRY))
        splits = Splits(exact, size, law=law)
        for (question, x), outputs in zip(questions, simulated, strict=True):
            errors.append(_law_error(splits, question, x, outputs, bands))
    law, words = _rule(errors)
    report("done", 1.0)
    subsampling = _subsampling_error(population, law, size, top) if not law_spec(law).closed_form else None
    if subsampling is not None:
        words += f" That it knows {len(held):,} of the images adds an error of {100 * subsampling:.2g} %."
    return Diagnosis(
        n=size,
        training_sets=count,
        profiles=len(exact.profiles),
        sigma_max=top,
        denoiser_sigma=middle,
        kappa=kappa,
        leverage=leverage,
        leverage_variance=float(leverage.var()),
        leverage_gaussian=gaussian,
        kurtosis=_kurtosis(population),
        bands=bands,
        errors=tuple(errors),
        law=law,
        reason=words,
        subsampling_error=subsampling,
    )


def _held_profiles(population: Population) -> npt.NDArray[np.float32]:
    if not isinstance(population, Population):
        raise TypeError(f"population must be a Population, got {type(population).__name__}")
    held = require_profiles(population, "a diagnosis")
    if len(held) < FEWEST_PROFILES:
        raise ValueError(f"population must hold at least {FEWEST_PROFILES} profiles for a diagnosis, got {len(held)}")
    return held


# --- the samples ------------------------------------------------------------------------------------------------------


def _leverages(population: Population, n: int) -> tuple[float, FloatArray, float]:
    """κ with df1(κ) half of min(n, rank), the leverage of every profile there, and its variance for Gaussian data.

    Of a population that is known through N samples both are read off the sample spectrum at the shift u of κ, equations
    (33) and (36) of docs/theory.md: with A = d̂f1(u), B = d̂f2(u, u) and M = N − 1, df1(κ) = A, κ = u/(1 − A/M) and
    df2(κ, κ) = (B − A²/M)/(1 − (2A − B)/M).
    """
    from scipy.optimize import brentq

    spectrum: dict[str, Any] = {"eigenvalues": population.eigenvalues, "multiplicity": population.multiplicity}
    top = float(population.eigenvalues[0])
    alive = has_variance(population.eigenvalues)
    wanted = 0.5 * min(float(n), float(population.multiplicity[alive].sum()))
    # far enough below the least mode with variance that df1(low) is nearly their number
    low = np.log(min(1e-12, 100 * len(alive) * np.finfo(np.float64).eps) * top * 1e-3)
    high = np.log(2 * population.total_variance / wanted)
    shift = float(np.exp(brentq(lambda x: float(df1(np.exp(x), **spectrum)) - wanted, low, high, xtol=1e-10)))
    leverage = radial_scales(population, np.array([shift]))[:, 0]
    first, second = float(df1(shift, **spectrum)), float(df2(shift, shift, **spectrum))
    share = 0.0 if population.sample_size is None else 1 / (population.sample_size - 1)
    second = (second - first**2 * share) / (1 - (2 * first - second) * share)
    return shift / (1 - first * share), leverage, 2 * second / first**2


def _kurtosis(population: Population) -> FloatArray:
    assert population.profiles is not None
    squares = np.square(population.profiles, dtype=np.float64)
    second = squares.mean(axis=0)
    alive = has_variance(population.eigenvalues)
    fourth = np.einsum("ak,ak->k", squares, squares) / len(squares)
    return np.asarray(np.divide(fourth, second**2, out=np.full(second.shape, np.nan), where=alive & (second > 0)))


# --- the experiment ---------------------------------------------------------------------------------------------------


def _exact_population(held: npt.NDArray[np.float32], limit: int, rng: np.random.Generator) -> Population:
    """The profiles, at most `limit` of them, as an exactly known population in its own mode coordinates, modes with variance."""
    chosen = held if len(held) <= limit else held[np.sort(rng.permutation(len(held))[:limit])]
    own = Population.from_samples(chosen, profiles=len(chosen))
    assert own.profiles is not None
    alive = has_variance(own.eigenvalues)
    values = own.eigenvalues[alive]
    return Population(
        values, np.ones_like(values), dimension=len(values), profiles=np.ascontiguousarray(own.profiles[:, alive])
    )


def _questions(
    exact: Population, sigma_max: float, sigma: float, count: int, rng: np.random.Generator
) -> list[tuple[Map, FloatArray]]:
    """The maps of the experiment, each with its inputs (B, k): seeds, and noised images."""
    assert exact.profiles is not None
    noise = rng.standard_normal((2, count, len(exact.eigenvalues)))
    images = exact.profiles[rng.integers(0, len(exact.profiles), count)]
    return [(Map.sampling(0.0, sigma_max), sigma_max * noise[0]), (Map.denoiser(sigma), images + sigma * noise[1])]


def _simulate(
    rows: FloatArray, n: int, count: int, questions: list[tuple[Map, FloatArray]], rng: np.random.Generator
) -> list[FloatArray]:
    """(T, B, k) outputs of each map for T training sets of n rows, drawn with replacement."""
    outputs = [np.empty((count, *x.shape)) for _, x in questions]
    for place in range(count):
        drawn = rows[rng.integers(0, len(rows), n)]
        mean = drawn.mean(axis=0)
        drawn -= mean
        values, vectors = gram_eigensystem(drawn) if n < drawn.shape[1] else _covariance_eigensystem(drawn)
        for (question, x), output in zip(questions, outputs, strict=True):
            constant = float(question.gain(0.0))
            along = (x - mean) @ vectors
            output[place] = mean + constant * (x - mean) + (along * (question.gain(values) - constant)) @ vectors.T
    return outputs


def _covariance_eigensystem(centred: FloatArray) -> tuple[FloatArray, FloatArray]:
    values, vectors = symmetric_eigensystem(centred.T @ centred / len(centred))
    return np.maximum(values, 0.0), vectors


def _law_error(splits: Splits, question: Map, x: FloatArray, outputs: FloatArray, bands: tuple[Band, ...]) -> LawError:
    """Simulated against predicted variance, in total and by band; standard errors from the spread of the training sets."""
    count = len(outputs)
    squares = np.square(outputs - outputs.mean(axis=0)).sum(axis=1) * (count / (count - 1))
    parts = np.stack([squares[:, band.start : band.stop].sum(axis=1) for band in bands], axis=1)
    parts = np.column_stack([parts, squares.sum(axis=1)])
    found = parts.mean(axis=0)
    error = parts.std(axis=0, ddof=1) / np.sqrt(count) / found
    by_band = splits.disagreement(question.function(splits), x, bands=bands).sum(axis=0) * (x.shape[1] / 2)
    logs = np.log(found / np.append(by_band, by_band.sum()))
    square = float(np.mean(logs[:-1] ** 2 - error[:-1] ** 2))
    rms = float(np.sqrt(max(0.0, square)))
    deviation = float(np.sqrt(np.sum(4 * logs[:-1] ** 2 * error[:-1] ** 2 + 2 * error[:-1] ** 4))) / len(bands)
    return LawError(
        law=splits.law,
        question=question.label,
        total=float(logs[-1]),
        total_error=float(error[-1]),
        band=logs[:-1],
        band_error=error[:-1],
        rms=rms,
        rms_error=deviation / (rms + float(np.sqrt(rms**2 + deviation))),
    )


def _rule(errors: list[LawError]) -> tuple[str, str]:
    """The cheapest law within the tolerance, else the cheapest within the tolerance of the most accurate; and why."""
    sizes = {law: max(each.size for each in errors if each.law == law) for law in REGISTRY}
    least = {law: error - uncertainty for law, (error, uncertainty) in sizes.items()}
    allowed = np.log1p(TOLERANCE)
    within = [law for law in REGISTRY if least[law] <= allowed]
    best = min(error for error, _ in sizes.values())
    law = within[0] if within else next(name for name in REGISTRY if least[name] <= best + allowed)
    why = f"against training sets that were resampled from your images it is {_off(*sizes[law])}"
    others = ", ".join(f"the {law_spec(other).title} is {_off(*sizes[other])}" for other in REGISTRY if other != law)
    words = f"{why}; {others}."
    if not within:
        words += (
            f" No law comes within {100 * TOLERANCE:g} %, as happens with few images; this is the cheapest that is about as "
            "good as the best."
        )
    return law, words


def _off(error: float, uncertainty: float) -> str:
    """An error of a variance in words: per cent where it is small, a factor where it is not."""
    if error > _A_FACTOR:
        return f"off by a factor of {np.exp(error):.2g}"
    per_cent = f"{100 * np.expm1(error):.0f}{NO_BREAK}%"
    return f"off by {per_cent} (±{NO_BREAK}{max(1.0, 100 * uncertainty):.0f}{NO_BREAK}%)"


def _subsampling_error(population: Population, law: str, n: int, sigma_max: float) -> float | None:
    """Standard deviation of the total between four disjoint quarters of the profiles, halved for all of them together."""
    profiles, samples = population.profiles, population.sample_size
    assert profiles is not None
    if samples is None or len(profiles) >= samples:
        return None
    totals = []
    for quarter in range(4):
        chosen = scaled_profiles(profiles[quarter::4], population.eigenvalues)
        splits = Splits(population.replace(profiles=chosen), n, law=law)
        totals.append(float(splits.mean_disagreement(splits.sampling_map(0.0, sigma_max), input_sigma=sigma_max)))
    return float(np.std(totals, ddof=1) / np.mean(totals) / 2 * np.sqrt(1 - len(profiles) / samples))


# --- the rule that predictions follow -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class LawChoice:
    """The law that is taken, why, in words, and the diagnosis where that decided."""

    law: str
    reason: str
    diagnosis: Diagnosis | None


def law_options() -> tuple[str, ...]:
    """What may be asked for: "auto", which lets the diagnosis decide, or a law by name."""
    return (AUTO, *REGISTRY)


def choose_law(
    population: Population,
    law: str = AUTO,
    *,
    n: int | None = None,
    sigma_max: float = SIGMA_MAX,
    progress: Callable[[str, float], None] | None = None,
) -> LawChoice:
    """The law to take: the one that is named, or with "auto" what :func:`diagnose` recommends, where there are profiles.

    Raises ValueError for a law that does not exist or that needs profiles where there are none.
    """
    if choice("law", law, law_options()) != AUTO:
        law_spec(law).check(population)
        return LawChoice(law, f"The {law_spec(law).title} was asked for.", None)
    held = 0 if population.profiles is None else len(population.profiles)
    if held < FEWEST_PROFILES:
        without = "no images" if held == 0 else f"only {held} images"
        title = law_spec(DEFAULT_LAW).title
        reason = f"The {title} was taken unseen: the population holds {without} from which to diagnose another."
        return LawChoice(DEFAULT_LAW, reason, None)
    diagnosis = diagnose(population, n=n, sigma_max=sigma_max, progress=progress)
    reason = f"The {law_spec(diagnosis.law).title} was taken: {diagnosis.reason}"
    return LawChoice(diagnosis.law, reason, diagnosis)


def diagnosis_to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Every number of a diagnosis as plain lists and numbers; the leverage by its quantiles."""
    leverage = {
        "variance": diagnosis.leverage_variance,
        "gaussian_variance": diagnosis.leverage_gaussian,
        "quantiles": {f"{q:g}": float(np.quantile(diagnosis.leverage, q)) for q in _QUANTILES},
    }
    laws = [
        {
            "law": each.law,
            "question": each.question,
            "total": each.total,
            "total_error": each.total_error,
            "band": each.band.tolist(),
            "band_error": each.band_error.tolist(),
            "rms": each.rms,
            "rms_error": each.rms_error,
        }
        for each in diagnosis.errors
    ]
    plain = ("n", "training_sets", "profiles", "sigma_max", "denoiser_sigma", "kappa", "law", "recommendation")
    return {
        **{name: getattr(diagnosis, name) for name in plain},
        "subsampling_error": diagnosis.subsampling_error,
        "leverage": leverage,
        "kurtosis": [None if np.isnan(value) else float(value) for value in diagnosis.kurtosis],
        "bands": [{"start": band.start, "stop": band.stop, "label": band.label} for band in diagnosis.bands],
        "errors": laws,
    }
