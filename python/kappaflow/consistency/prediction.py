"""The main job as a function: from a population to every number of the consistency report.

:func:`predict` computes, :mod:`kappaflow.report` draws and :mod:`kappaflow.cli` talks; nothing here plots, prints or saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, integer, not_negative, positive
from .._core import SpectralFunction, UnidentifiedError
from .._progress import StepProgress, in_steps, reporter
from ..bands import Band, default_bands, resolve_bands
from ..functions import denoiser
from ..laws import DEFAULT_LAW, Work, law_spec
from ..population import Population, scaled_profiles
from ..sample_size import LARGEST_N
from ..sampling import SIGMA_MAX, SIGMA_MIN, initial_noise
from ..splits import Splits
from .diagnosis import Diagnosis, diagnosis_to_json
from .law_choice import AUTO, choose_law
from .needed import Correction, images_needed, largest_n
from .notes import prediction_notes

__all__ = [
    "Band",
    "Prediction",
    "SeedImages",
    "default_bands",
    "default_sizes",
    "predict",
    "prediction_to_json",
]

IntArray = npt.NDArray[np.int64]

#: Modes of the mode-pair matrix that is shown.
_MODE_PAIRS = 48
_EIGENMODES = 11
_NOISE_LEVELS = 81


@dataclass(frozen=True)
class SeedImages:
    """Predicted samples of a few seeds at the reference n.

    Attributes
    ----------
    seeds : (K,) seed numbers, most consistent first
    outputs : (K, *shape) expected output of the sampling map, the linear prediction
    pixel_std : (K, *shape) standard deviation of each pixel over training sets
    disagreement : (K,) expected squared distance per dimension of two models
    """

    seeds: IntArray
    outputs: FloatArray
    pixel_std: FloatArray
    disagreement: FloatArray


@dataclass(frozen=True)
class Prediction:
    """Everything the report shows. ``T`` training-set sizes, ``S`` noise levels, ``D`` denoiser levels, ``d`` modes.

    Conventions: noise level σ is a standard deviation; modes are ordered by descending eigenvalue; "disagreement" is the
    expected squared distance per dimension, ‖output₁ − output₂‖²/d, of two models trained on independent sets of n images
    and started from the same seed; "relative" divides it by the same quantity for two unrelated seeds, so that 0 means
    identical images and 1 means as different as two unrelated samples.
    """

    source: str  # name of the data, e.g. "patches"
    description: str  # one or two sentences: what the data are, how pixels were scaled, attribution
    shape: tuple[int, ...]  # shape of one image
    sample_size: int | None  # images in the population, None where it is known exactly
    law: str  # name of the law of all numbers
    law_reason: str  # why that one, in words
    diagnosis: Diagnosis | None  # what decided, None where the law was named or could not be diagnosed
    sigma_max: float
    mean_image: FloatArray  # (*shape)
    eigenvalues: FloatArray  # (d,) descending
    eigenmodes: FloatArray  # (M, *shape) leading eigenmodes
    n: IntArray  # (T,) training-set sizes, ascending
    reference_n: int  # the n of the single-n results; one of n
    noise_sigma: FloatArray  # (S,) grid of noise levels, ascending
    kappa: FloatArray  # (T, S) κ(σ²), of the elliptical law where law is the empirical one
    map_gain_ideal: FloatArray  # (d,) gain of the sampling map with infinite data
    map_gain: FloatArray  # (T, d) its expectation over training sets of size n
    denoiser_sigma: FloatArray  # (D,)
    denoiser_gain_ideal: FloatArray  # (D, d) s/(s+σ²)
    denoiser_gain: FloatArray  # (D, T, d)
    mode_pair_modes: IntArray  # (P,) modes of the mode-pair matrix
    mode_pair_variance: FloatArray  # (P, P) Var[u_kᵀ f(Σ̂) u_l] of the sampling map at reference_n
    mode_disagreement: FloatArray  # (T, d) seed-averaged disagreement of each mode (sums over modes to the total)
    mode_relative: FloatArray  # (T, d) relative
    bands: tuple[Band, ...]  # (B,)
    band_disagreement: FloatArray  # (T, B) sums over bands to the total
    band_relative: FloatArray  # (T, B)
    total_disagreement: FloatArray  # (T,)
    total_relative: FloatArray  # (T,)
    tolerance: float  # of images_needed, on the relative disagreement
    images_needed: tuple[int | None, ...]  # (B,) smallest n with band_relative <= tolerance; None: not up to largest_n
    largest_n: (
        int  # the largest n that can be asked: any practical one, or the images there are where more are not identified
    )
    seeds: IntArray  # (Z,)
    seed_disagreement: FloatArray  # (T, Z)
    most_consistent: SeedImages | None  # None where the population has no eigenvectors
    least_consistent: SeedImages | None
    notes: tuple[str, ...]  # caveats that a reader must see, in plain words


def default_sizes(sample_size: int | None) -> list[int]:
    """Training-set sizes to show: up to five of 10, 30, 100, 300, ... below N/2, then N/2 (two disjoint halves) and N."""
    largest = 100_000 if sample_size is None else sample_size
    half = max(2, largest // 2)
    decades = range(1, len(str(half)) + 1)
    grid = [size for k in decades for size in (10**k, 3 * 10**k) if size < 0.7 * half]
    count = min(5, len(grid))
    shown = {grid[round(i * (len(grid) - 1) / max(1, count - 1))] for i in range(count)}
    return sorted(shown | {half, max(2, largest)})


def _sizes(n: Sequence[int] | None, sample_size: int | None) -> list[int]:
    if n is None:
        return default_sizes(sample_size)
    sizes = sorted({integer("n", size, 2) for size in n})
    if not sizes:
        raise ValueError("n must hold at least one training-set size, got none")
    return sizes


def _reference(sizes: list[int], sample_size: int | None) -> int:
    """The n of the single-n results: two disjoint halves of the data if that was asked for, else the size nearest to it."""
    target = 0.5 * sample_size if sample_size is not None else float(sizes[len(sizes) // 2])
    return min(sizes, key=lambda size: abs(np.log(size / target)))


def _seed_images(
    population: Population, splits: Splits, f: SpectralFunction, seeds: IntArray, noise: FloatArray, values: FloatArray
) -> SeedImages:
    outputs = splits.expected_output(f, noise).reshape(-1, *population.shape)
    deviation = np.stack([np.sqrt(splits.pixel_variance(f, row)) for row in noise])
    return SeedImages(seeds=seeds, outputs=outputs, pixel_std=deviation, disagreement=values)


@dataclass(frozen=True)
class _Request:
    """What is asked at every n."""

    law: str
    sigma_max: float
    bands: tuple[Band, ...]
    noise_variance: FloatArray
    denoiser_sigmas: FloatArray
    seeds: FloatArray | None  # (Z, d) initial noise


@dataclass(frozen=True)
class _AtSize:
    """The results of one n; fields of :class:`Prediction` without the axis of n."""

    kappa: FloatArray
    map_gain: FloatArray
    denoiser_gain: FloatArray
    mode_disagreement: FloatArray
    mode_relative: FloatArray
    band_disagreement: FloatArray
    band_relative: FloatArray
    total_disagreement: float
    total_relative: float
    seed_disagreement: FloatArray


def _at_size(population: Population, n: int, asked: _Request) -> _AtSize:
    splits = Splits(population, n, law=asked.law)
    f = splits.sampling_map(0.0, asked.sigma_max)
    spread = asked.sigma_max**2
    by_mode = splits.mode_disagreement(f, input_variance=spread)
    gain = splits.expectation(f)
    seeds = np.empty(0) if asked.seeds is None else splits.disagreement(f, asked.seeds)
    part = by_mode.part * population.multiplicity
    # two unrelated seeds differ by the variance over training sets and that over seeds
    apart = part + 2 / population.dimension * gain**2 * spread * population.multiplicity
    edges = [slice(band.start, band.stop) for band in asked.bands]
    by_band, whole = (np.array([values[edge].sum() for edge in edges]) for values in (part, apart))
    return _AtSize(
        kappa=_kappa_splits(splits).kappa(noise_variance=asked.noise_variance),
        map_gain=gain,
        denoiser_gain=np.stack([splits.expectation(denoiser(float(sigma))) for sigma in asked.denoiser_sigmas])
        if asked.denoiser_sigmas.size
        else np.empty((0, gain.size)),
        mode_disagreement=part,
        mode_relative=by_mode.relative,
        band_disagreement=by_band,
        band_relative=np.divide(by_band, whole, out=np.zeros_like(whole), where=whole > 0),
        total_disagreement=float(part.sum()),
        total_relative=float(part.sum() / apart.sum()) if apart.sum() > 0 else 0.0,
        seed_disagreement=seeds,
    )


def _kappa_splits(splits: Splits) -> Splits:
    """The splits whose κ is shown: those of the stand-in for a law that has no single κ."""
    spec = law_spec(splits.law)
    return splits if spec.has_kappa else Splits(splits.population, splits.n, law=spec.stand_in)


def _mode_pairs(population: Population, n: int, asked: _Request, modes: IntArray) -> FloatArray:
    """Variance of mode pairs, by fewer profiles or by the law's stand-in where its spec asks for that."""
    spec, profiles = law_spec(asked.law), population.profiles
    if spec.largest_pair_matrix is not None and population.eigenvalues.size > spec.largest_pair_matrix:
        spec = law_spec(spec.stand_in)
    elif spec.pair_profiles is not None and profiles is not None and len(profiles) > spec.pair_profiles:
        some = profiles[:: -(-len(profiles) // spec.pair_profiles)]
        population = population.replace(profiles=scaled_profiles(some, population.eigenvalues))
    splits = Splits(population, n, law=spec.name)
    return splits.mode_variance(splits.sampling_map(0.0, asked.sigma_max), modes)


def _infinite_data(population: Population, asked: _Request) -> tuple[FloatArray, FloatArray, bool]:
    """(d,) gain of the map and (D, d) of the denoisers with infinite data, and whether the images identify them.

    Where the population is a sample, a mode's measured variance is not its own: what a training set without end would
    keep of the modes is read off at the largest n. Where that is not identified, the measured variance stands in.
    """
    s, levels = population.eigenvalues, asked.denoiser_sigmas
    if population.sample_size is not None:
        try:
            splits = Splits(population, LARGEST_N, law=DEFAULT_LAW)
            gain = splits.expectation(splits.sampling_map(0.0, asked.sigma_max))
            denoised = [splits.expectation(denoiser(float(sigma))) for sigma in levels]
        except UnidentifiedError:
            pass
        else:
            return gain, np.array(denoised).reshape(levels.size, s.size), True
    noisy = s + levels[:, None] ** 2
    plain = np.divide(s, noisy, out=np.zeros_like(noisy), where=noisy > 0)
    return np.sqrt(s / (s + asked.sigma_max**2)), plain, population.sample_size is None


@in_steps("prediction")
def predict(
    population: Population,
    *,
    source: str,
    n: Sequence[int] | None = None,
    sigma_max: float = SIGMA_MAX,
    law: str = AUTO,
    bands: Any = None,
    seeds: Sequence[int] = range(64),
    images: int = 6,
    tolerance: float = 0.1,
    denoiser_sigmas: Sequence[float] | None = None,
    progress: StepProgress = None,
) -> Prediction:
    """The consistency report of a population as numbers.

    Parameters
    ----------
    population : Population
    source : str
        Name of the data, for the reader.
    n : training-set sizes; :func:`default_sizes` of the population by default
    sigma_max : the noise level σ_T at which sampling starts
    law : "auto", what :func:`~kappaflow.diagnose` recommends where the population holds profiles, or a law of
        :data:`~kappaflow.laws.REGISTRY` by name
    bands : number of eigenbands, or (start, stop) ranges of modes (0-based)
    seeds : seed numbers, see :func:`~kappaflow.sampling.initial_noise`
    images : how many of the most and of the least consistent seeds to show
    tolerance : relative disagreement that `images_needed` must meet, in (0, 1)
    denoiser_sigmas : noise levels of the denoiser results; three between the data's extremes by default
    progress : True shows a progress bar on a terminal and in a notebook; a callable is called with the name of a step and the
        fraction of the work that is done

    Raises
    ------
    ValueError, TypeError
        Bad options, named.
    UnidentifiedError
        Sizes beyond the number of images where those are no more than the dimensions.
    """
    if not 0 < positive("tolerance", tolerance) < 1:
        raise ValueError(f"tolerance must lie between 0 and 1, got {tolerance}")
    shown = integer("images", images, 0)
    sizes = _sizes(n, population.sample_size)
    seed_numbers = np.array([integer("seeds", seed, 0) for seed in seeds], dtype=np.int64)
    if seed_numbers.size == 0:
        raise ValueError("seeds must hold at least one seed, got none")
    top, takes_inputs = positive("sigma_max", sigma_max), bool(np.all(population.multiplicity == 1))
    wanted_bands = resolve_bands(bands, len(population.eigenvalues))
    levels = _denoiser_levels(population, denoiser_sigmas)
    report = reporter(progress)
    steps = len(sizes) + 3
    report("which law", 0.0)
    work = Work.of(
        population,
        sizes=len(sizes),
        seeds=seed_numbers.size,
        images=2 * shown,
        noise_levels=levels.size,
        mode_pairs=True,
    )
    choice = choose_law(population, law, sigma_max=top, work=work)
    sigma_grid = np.geomspace(SIGMA_MIN, top, _NOISE_LEVELS)
    noise = initial_noise(seed_numbers.tolist(), population.dimension, top) if takes_inputs else None
    asked = _Request(choice.law, top, wanted_bands, sigma_grid**2, levels, noise)
    rows = []
    for index, size in enumerate(sizes):
        report(f"n = {size}", (index + 1) / steps)
        rows.append(_at_size(population, size, asked))

    def stacked(name: str) -> FloatArray:
        return np.stack([np.asarray(getattr(row, name)) for row in rows])

    report("images needed by band", (steps - 2) / steps)
    correction = None
    if choice.law != DEFAULT_LAW:
        correction = Correction.of(population, sizes, stacked("band_relative"), wanted_bands, top)
    needed = images_needed(population, wanted_bands, top, tolerance, law=choice.law, correction=correction)
    report("seed images", (steps - 1) / steps)
    reference = _reference(sizes, population.sample_size)
    values = rows[sizes.index(reference)].seed_disagreement
    most = least = None
    if noise is not None and population.eigenvectors is not None and shown:
        most, least = _both_ends(
            population, Splits(population, reference, law=choice.law), asked, seed_numbers, values, shown
        )
    ideal, ideal_denoiser, identified = _infinite_data(population, asked)
    pair_modes = np.unique(np.round(np.geomspace(1, population.eigenvalues.size, _MODE_PAIRS)).astype(np.int64)) - 1
    pairs = _mode_pairs(population, reference, asked, pair_modes)
    report("done", 1.0)
    return Prediction(
        source=source,
        description=population.description,
        shape=population.shape,
        sample_size=population.sample_size,
        law=choice.law,
        law_reason=choice.reason,
        diagnosis=choice.diagnosis,
        sigma_max=top,
        mean_image=_mean_image(population),
        eigenvalues=np.array(population.eigenvalues),
        eigenmodes=_leading_modes(population),
        n=np.array(sizes, dtype=np.int64),
        reference_n=reference,
        noise_sigma=sigma_grid,
        kappa=stacked("kappa"),
        map_gain_ideal=ideal,
        map_gain=stacked("map_gain"),
        denoiser_sigma=levels,
        denoiser_gain_ideal=ideal_denoiser,
        denoiser_gain=stacked("denoiser_gain").swapaxes(0, 1),
        mode_pair_modes=pair_modes,
        mode_pair_variance=pairs,
        mode_disagreement=stacked("mode_disagreement"),
        mode_relative=stacked("mode_relative"),
        bands=wanted_bands,
        band_disagreement=stacked("band_disagreement"),
        band_relative=stacked("band_relative"),
        total_disagreement=stacked("total_disagreement"),
        total_relative=stacked("total_relative"),
        tolerance=float(tolerance),
        images_needed=tuple(None if answer is None else answer.n for answer in needed),
        largest_n=largest_n(population),
        seeds=seed_numbers if takes_inputs else seed_numbers[:0],
        seed_disagreement=stacked("seed_disagreement"),
        most_consistent=most,
        least_consistent=least,
        notes=prediction_notes(population, choice, sizes, infinite_data=identified),
    )


def _denoiser_levels(population: Population, sigmas: Sequence[float] | None) -> FloatArray:
    if sigmas is None:
        return np.array([0.1, 0.5, 2.0]) * float(np.sqrt(population.total_variance / population.dimension))
    return np.array([not_negative("denoiser_sigmas", sigma) for sigma in sigmas])


def _both_ends(
    population: Population, splits: Splits, asked: _Request, seeds: IntArray, values: FloatArray, shown: int
) -> tuple[SeedImages, SeedImages]:
    """The most and the least consistent seeds with their images."""
    assert asked.seeds is not None
    order = np.argsort(values, kind="stable")
    count = min(shown, max(1, order.size // 2))
    f = splits.sampling_map(0.0, asked.sigma_max)
    first, last = (
        _seed_images(population, splits, f, seeds[chosen], asked.seeds[chosen], values[chosen])
        for chosen in (order[:count], order[order.size - count :])
    )
    return first, last


def _mean_image(population: Population) -> FloatArray:
    if population.eigenvectors is None:
        return np.zeros(population.shape)
    return population.mean.reshape(population.shape)


def _leading_modes(population: Population) -> FloatArray:
    vectors = population.eigenvectors
    leading = np.empty((0, *population.shape)) if vectors is None else vectors[:, :_EIGENMODES].T
    return leading.reshape(-1, *population.shape)


def prediction_to_json(prediction: Prediction) -> dict[str, Any]:
    """Every number of a prediction but the images, as plain lists and numbers."""
    images = {"mean_image", "eigenmodes"}
    result: dict[str, Any] = {}
    for field in fields(prediction):
        value = getattr(prediction, field.name)
        if field.name in images:
            continue
        if isinstance(value, np.ndarray):
            result[field.name] = value.tolist()
        elif isinstance(value, SeedImages):
            result[field.name] = {"seeds": value.seeds.tolist(), "disagreement": value.disagreement.tolist()}
        elif isinstance(value, Diagnosis):
            result[field.name] = diagnosis_to_json(value)
        elif field.name == "bands":
            result[field.name] = [{"start": b.start, "stop": b.stop, "label": b.label} for b in value]
        else:
            result[field.name] = list(value) if isinstance(value, tuple) else value
    return result
