"""The main job as a function: from a population to every number of the consistency report.

:func:`predict` computes, :mod:`kappaflow.report` draws and :mod:`kappaflow.cli` talks; nothing here plots, prints or saves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray, integer, not_negative, positive
from ._core import SpectralFunction
from .bands import Band, default_bands, resolve_bands
from .functions import denoiser
from .population import Population
from .splits import Splits, samples_for

__all__ = [
    "Band",
    "Prediction",
    "SeedImages",
    "default_bands",
    "default_sizes",
    "initial_noise",
    "predict",
    "prediction_to_json",
]

IntArray = npt.NDArray[np.int64]

#: Modes of the mode-pair matrix that is shown.
_MODE_PAIRS = 48
_EIGENMODES = 11
_NOISE_LEVELS = 81
#: A population from fewer samples than this multiple of its dimension draws a caveat.
_SAMPLES_PER_DIMENSION = 20


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
    sigma_max: float
    mean_image: FloatArray  # (*shape)
    eigenvalues: FloatArray  # (d,) descending
    eigenmodes: FloatArray  # (M, *shape) leading eigenmodes
    n: IntArray  # (T,) training-set sizes, ascending
    reference_n: int  # the n of the single-n results; one of n
    noise_sigma: FloatArray  # (S,) grid of noise levels, ascending
    kappa: FloatArray  # (T, S) κ(σ²)
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
    images_needed: tuple[
        int | None, ...
    ]  # (B,) smallest n with band_relative <= tolerance; None: beyond any practical n
    seeds: IntArray  # (Z,)
    seed_disagreement: FloatArray  # (T, Z)
    most_consistent: SeedImages | None  # None where the population has no eigenvectors
    least_consistent: SeedImages | None
    notes: tuple[str, ...]  # caveats that a reader must see, in plain words


def initial_noise(seeds: Sequence[int], dimension: int, sigma_max: float) -> FloatArray:
    """(B, d) initial noise x_T = σ_max z of each seed, z = ``numpy.random.default_rng(seed).standard_normal(d)``."""
    top = positive("sigma_max", sigma_max)
    checked = [integer("seeds", seed, 0) for seed in seeds]
    return top * np.stack([np.random.default_rng(seed).standard_normal(dimension) for seed in checked])


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


def _notes(population: Population, sizes: list[int]) -> tuple[str, ...]:
    notes = [
        "The numbers describe linear diffusion models on Gaussian data with the mean and covariance of your images. On natural "
        "images the true variance between training sets is larger, up to several times on small patches; the ordering of "
        "modes, seeds and sizes is more robust than the absolute level."
    ]
    total, dimension = population.sample_size, population.dimension
    if total is not None and total < _SAMPLES_PER_DIMENSION * dimension:
        notes.append(
            f"The covariance of {total} images stands in for the population's in {dimension} dimensions. Where the images are "
            "not many times the dimensions this makes both noise and disagreement look different from the truth, by tens of "
            "per cent when the two are comparable."
        )
    if total is not None and max(sizes) > total:
        notes.append(
            f"Sizes above {total}, the number of images given, extrapolate: they assume the same mean and covariance."
        )
    return tuple(notes)


def _seed_images(
    population: Population, splits: Splits, f: SpectralFunction, seeds: IntArray, noise: FloatArray, values: FloatArray
) -> SeedImages:
    outputs = splits.expected_output(f, noise).reshape(-1, *population.shape)
    deviation = np.stack([np.sqrt(splits.pixel_variance(f, row)) for row in noise])
    return SeedImages(seeds=seeds, outputs=outputs, pixel_std=deviation, disagreement=values)


def _images_needed(
    population: Population, bands: tuple[Band, ...], sigma_max: float, tolerance: float
) -> tuple[int | None, ...]:
    needed: list[int | None] = []
    for band in bands:
        if population.eigenvalues[band.start] <= 0:
            needed.append(2)
            continue
        try:
            answer = samples_for(
                population,
                lambda splits: splits.sampling_map(0.0, sigma_max),
                tolerance,
                bands=[band],
                input_variance=sigma_max**2,
            )
        except ValueError:
            needed.append(None)
        else:
            needed.append(answer.n)
    return tuple(needed)


def predict(
    population: Population,
    *,
    source: str,
    n: Sequence[int] | None = None,
    sigma_max: float = 80.0,
    bands: Any = None,
    seeds: Sequence[int] = range(64),
    images: int = 6,
    tolerance: float = 0.1,
    denoiser_sigmas: Sequence[float] | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Prediction:
    """The consistency report of a population as numbers.

    Parameters
    ----------
    population : Population
    source : str
        Name of the data, for the reader.
    n : training-set sizes; :func:`default_sizes` of the population by default
    sigma_max : the noise level σ_T at which sampling starts
    bands : number of eigenbands, or (start, stop) ranges of modes (0-based)
    seeds : seed numbers, see :func:`initial_noise`
    images : how many of the most and of the least consistent seeds to show
    tolerance : relative disagreement that `images_needed` must meet, in (0, 1)
    denoiser_sigmas : noise levels of the denoiser results; three between the data's extremes by default
    progress : called with a step's name and the fraction of the work that is done

    Raises
    ------
    ValueError, TypeError
        Bad options, named.
    """
    top = positive("sigma_max", sigma_max)
    if not 0 < positive("tolerance", tolerance) < 1:
        raise ValueError(f"tolerance must lie between 0 and 1, got {tolerance}")
    shown = integer("images", images, 0)
    sizes = _sizes(n, population.sample_size)
    eigenvalues = population.eigenvalues
    chosen_bands = resolve_bands(bands, len(eigenvalues))
    seed_numbers = np.array([integer("seeds", seed, 0) for seed in seeds], dtype=np.int64)
    if seed_numbers.size == 0:
        raise ValueError("seeds must hold at least one seed, got none")
    if denoiser_sigmas is None:
        scale = float(np.sqrt(population.total_variance / population.dimension))
        levels = np.array([0.1, 0.5, 2.0]) * scale
    else:
        levels = np.array([not_negative("denoiser_sigmas", sigma) for sigma in denoiser_sigmas])
    report = progress if progress is not None else lambda _step, _fraction: None
    reference = _reference(sizes, population.sample_size)
    has_images = population.eigenvectors is not None
    noise = initial_noise(seed_numbers.tolist(), population.dimension, top) if _takes_inputs(population) else None
    sigma_grid = np.geomspace(0.002, top, _NOISE_LEVELS)

    kappa, gains, mode_parts, mode_relative, seed_parts = [], [], [], [], []
    band_parts, band_relative, totals, total_relative = [], [], [], []
    denoiser_gain = np.empty((levels.size, len(sizes), eigenvalues.size))
    for index, size in enumerate(sizes):
        report(f"n = {size}", index / (len(sizes) + 2))
        splits = Splits(population, size)
        f = splits.sampling_map(0.0, top)
        kappa.append(splits.kappa(sigma_grid**2))
        gains.append(splits.expectation(f))
        for level, sigma in enumerate(levels):
            denoiser_gain[level, index] = splits.expectation(denoiser(float(sigma)))
        part, relative = splits.mode_disagreement(f, top**2)
        mode_parts.append(part * population.multiplicity)
        mode_relative.append(relative)
        band_parts.append(splits.mean_disagreement(f, top**2, bands=chosen_bands))
        band_relative.append(splits.mean_disagreement(f, top**2, bands=chosen_bands, relative=True))
        totals.append(float(splits.mean_disagreement(f, top**2)))
        total_relative.append(float(splits.mean_disagreement(f, top**2, relative=True)))
        if noise is not None:
            seed_parts.append(splits.disagreement(f, noise))

    report("images needed by band", len(sizes) / (len(sizes) + 2))
    needed = _images_needed(population, chosen_bands, top, tolerance)
    report("seed images", (len(sizes) + 1) / (len(sizes) + 2))
    splits = Splits(population, reference)
    f = splits.sampling_map(0.0, top)
    pair_modes = np.unique(np.round(np.geomspace(1, eigenvalues.size, _MODE_PAIRS)).astype(np.int64)) - 1
    most = least = None
    if noise is not None and has_images and shown:
        values = seed_parts[sizes.index(reference)]
        order = np.argsort(values, kind="stable")
        count = min(shown, max(1, order.size // 2))
        first, last = order[:count], order[order.size - count :]
        most = _seed_images(population, splits, f, seed_numbers[first], noise[first], values[first])
        least = _seed_images(population, splits, f, seed_numbers[last], noise[last], values[last])
    vectors = population.eigenvectors
    leading = np.empty((0, *population.shape)) if vectors is None else vectors[:, :_EIGENMODES].T
    report("done", 1.0)
    return Prediction(
        source=source,
        description=population.description,
        shape=population.shape,
        sample_size=population.sample_size,
        sigma_max=top,
        mean_image=population.mean.reshape(population.shape) if has_images else np.zeros(population.shape),
        eigenvalues=np.array(eigenvalues),
        eigenmodes=leading.reshape(-1, *population.shape),
        n=np.array(sizes, dtype=np.int64),
        reference_n=reference,
        noise_sigma=sigma_grid,
        kappa=np.stack(kappa),
        map_gain_ideal=np.sqrt(eigenvalues / (eigenvalues + top**2)),
        map_gain=np.stack(gains),
        denoiser_sigma=levels,
        denoiser_gain_ideal=_ideal_denoiser(eigenvalues, levels),
        denoiser_gain=denoiser_gain,
        mode_pair_modes=pair_modes,
        mode_pair_variance=splits.mode_variance(f, pair_modes),
        mode_disagreement=np.stack(mode_parts),
        mode_relative=np.stack(mode_relative),
        bands=chosen_bands,
        band_disagreement=np.stack(band_parts),
        band_relative=np.stack(band_relative),
        total_disagreement=np.array(totals),
        total_relative=np.array(total_relative),
        tolerance=float(tolerance),
        images_needed=needed,
        seeds=seed_numbers if noise is not None else seed_numbers[:0],
        seed_disagreement=np.stack(seed_parts) if seed_parts else np.empty((len(sizes), 0)),
        most_consistent=most,
        least_consistent=least,
        notes=_notes(population, sizes),
    )


def _takes_inputs(population: Population) -> bool:
    return bool(np.all(population.multiplicity == 1))


def _ideal_denoiser(eigenvalues: FloatArray, levels: FloatArray) -> FloatArray:
    noisy = eigenvalues + levels[:, None] ** 2
    return np.divide(eigenvalues, noisy, out=np.zeros_like(noisy), where=noisy > 0)


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
        elif field.name == "bands":
            result[field.name] = [{"start": b.start, "stop": b.stop, "label": b.label} for b in value]
        else:
            result[field.name] = list(value) if isinstance(value, tuple) else value
    return result
