"""The main job as a function: from a population to every number of the consistency report.

:func:`predict` computes, :mod:`kappaflow.report` draws and :mod:`kappaflow.cli` prints; this module does not plot, print or save.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, integer, integers, noise_levels, positive
from .._core import ConvergenceError, UnidentifiedError
from .._listing import listed
from .._progress import StepProgress, in_steps, reporter
from ..bands import Band, band_sums, resolve_bands
from ..disagreement import Disagreement
from ..functions import denoiser
from ..groups import images_of_groups
from ..identified import largest_n, require_determined, ways_out
from ..laws import DEFAULT_LAW, Work, law_spec
from ..population import Population
from ..profiles import fewer_profiles
from ..sample_size import LARGEST_N, require_training_sets, smallest_training_set
from ..sampling import SIGMA_MAX, SIGMA_MIN, initial_noise
from ..splits import Splits
from .law_choice import AUTO, LawChoice, choose_law
from .needed import Correction, images_needed
from .network_seeds import network_seeds
from .network_words import pilot_command
from .notes import prediction_notes
from .prediction import (
    Bands,
    Denoisers,
    ModePairs,
    Modes,
    NoiseLevels,
    Prediction,
    SeedImages,
    Seeds,
    Totals,
)

__all__ = ["default_sizes", "predict"]

IntArray = npt.NDArray[np.int64]

#: Modes of the mode-pair matrix that is shown.
_MODE_PAIRS = 48
_EIGENMODES = 11
_NOISE_LEVELS = 81


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
    pilot: str | None = None,
    progress: StepProgress = None,
) -> Prediction:
    """The consistency report of a population as numbers.

    Parameters
    ----------
    population : population of the images
    source : name of the data, for the report
    n : training-set sizes; :func:`default_sizes` of the population by default
    sigma_max : the noise level σ_T at which sampling starts
    law : "auto", the law that :func:`~kappaflow.diagnose` recommends if the population holds profiles, or a law of
        :data:`~kappaflow.laws.REGISTRY` by name
    bands : number of eigenbands, or (start, stop) ranges of modes (0-based)
    seeds : seed numbers, see :func:`~kappaflow.sampling.initial_noise`
    images : number of the most and of the least consistent seeds to show with images
    tolerance : relative disagreement that `images_needed` must meet, in (0, 1)
    denoiser_sigmas : noise levels of the denoiser results; three between the data's extremes by default
    pilot : the command that answers for networks on these data, for the report; one for unnamed data by default
    progress : True shows a progress bar on a terminal and in a notebook; a callable is called with the name of a step and the
        fraction of the work that is done

    Raises
    ------
    ValueError, TypeError
        Bad options, named.
    UnidentifiedError
        Sizes beyond the number of images if there are no more images than dimensions; no size that the images determine.
    ConvergenceError
        The law has no answer at any size. Sizes at which a law has none are left out, and a note names them.
    """
    shown, report = integer("images", images, 0), reporter(progress)
    request = _request(population, n, sigma_max, bands, seeds, tolerance, denoiser_sigmas)
    report("which law", 0.0)
    work = _work(population, request, len(seeds), shown)
    choice = choose_law(population, law, sigma_max=request.sigma_max, work=work)
    steps = len(request.sizes) + 3
    rows, left_out = _at_sizes(population, choice.law, request, steps, report)
    request = dataclasses.replace(request, sizes=[n for n in request.sizes if n not in left_out])
    report("images needed by band", (steps - 2) / steps)
    by_band = _bands(population, choice, request, rows)
    report("seed images", (steps - 1) / steps)
    reference = _reference(request.sizes, population.sample_size)
    by_seed = _seeds(population, choice, request, rows, reference, shown)
    networks = network_seeds(population, request.seeds, request.noise, request.sigma_max, shown=shown)
    limit = _infinite_data(population, choice.law, request)
    notes = prediction_notes(population, choice, request.sizes, infinite_data=limit.identified, left_out=left_out)
    report("done", 1.0)
    return Prediction(
        source=source,
        provenance=population.provenance,
        shape=population.shape,
        sample_size=population.sample_size,
        group_count=population.group_count if population.group_size > 1 else None,
        versions=population.versions,
        law=choice.law,
        law_reason=choice.reason,
        diagnosis=choice.diagnosis,
        sigma_max=request.sigma_max,
        tolerance=request.tolerance,
        largest_n=largest_n(population),
        n=np.array(request.sizes, dtype=np.int64),
        reference_n=reference,
        mean_image=_mean_image(population),
        eigenvalues=np.array(population.eigenvalues),
        eigenmodes=_leading_modes(population),
        noise=NoiseLevels(sigma=request.noise_sigma, kappa=np.stack([row.kappa for row in rows])),
        denoisers=_denoisers(request, rows, limit),
        modes=Modes(
            gain=np.stack([row.gain for row in rows]),
            gain_ideal=limit.gain,
            disagreement=np.stack([row.disagreement.modes for row in rows]),
            relative=np.stack([row.relative_modes for row in rows]),
            pairs=_mode_pairs(population, reference, choice.law, request),
        ),
        bands=by_band,
        totals=Totals(
            disagreement=np.array([row.total for row in rows]), relative=np.array([row.relative for row in rows])
        ),
        seeds=dataclasses.replace(by_seed, networks=networks.value),
        notes=(*notes, *networks.notes),
        pilot=pilot_command(shape=population.shape) if pilot is None else pilot,
    )


# ---------------------------------------------------------------- the request
@dataclass(frozen=True)
class _Request:
    """The checked arguments."""

    sizes: list[int]
    sigma_max: float
    tolerance: float
    bands: tuple[Band, ...]
    noise_sigma: FloatArray
    denoiser_sigma: FloatArray
    seeds: IntArray  # none if the directions of the modes are not known
    noise: FloatArray | None  # (Z, d) initial noise of the seeds


def _request(
    population: Population,
    n: Sequence[int] | None,
    sigma_max: float,
    bands: Any,
    seeds: Sequence[int],
    tolerance: float,
    denoiser_sigmas: Sequence[float] | None,
) -> _Request:
    if not 0 < positive("tolerance", tolerance) < 1:
        raise ValueError(f"tolerance must lie between 0 and 1, got {tolerance}")
    sizes = _sizes(n, population)
    require_determined(population, sizes)
    numbers = np.array(integers("seeds", seeds, 0, what="seed"), dtype=np.int64)
    if numbers.size == 0:
        raise ValueError("seeds must hold at least one seed, got none")
    top, takes_inputs = positive("sigma_max", sigma_max), bool(np.all(population.multiplicity == 1))
    return _Request(
        sizes=sizes,
        sigma_max=top,
        tolerance=float(tolerance),
        bands=resolve_bands(bands, len(population.eigenvalues)),
        noise_sigma=np.geomspace(SIGMA_MIN, top, _NOISE_LEVELS),
        denoiser_sigma=_denoiser_levels(population, denoiser_sigmas),
        seeds=numbers if takes_inputs else numbers[:0],
        noise=initial_noise(numbers.tolist(), population.dimension, top) if takes_inputs else None,
    )


def _work(population: Population, request: _Request, seeds: int, shown: int) -> Work:
    """The work of a law: `seeds` seeds, `shown` of them with images at each end."""
    return Work.of(
        population,
        sizes=len(request.sizes),
        seeds=seeds,
        images=2 * shown,
        noise_levels=request.denoiser_sigma.size,
        mode_pairs=True,
    )


def default_sizes(population: Population) -> list[int]:
    """Training-set sizes to show: up to five of 10, 30, 100, 300, ... below N/2, then N/2 (two disjoint halves) and N.

    If samples come in groups, the groups are counted in this way, and the sizes are those of as many groups of mean size.
    """
    groups = population.group_count
    if groups is None or groups == population.sample_size:
        return _round_sizes(population.sample_size)
    sizes = {images_of_groups(population, count) for count in _round_sizes(groups)}
    return sorted(size for size in sizes if size >= smallest_training_set(population))


def _round_sizes(count: int | None) -> list[int]:
    largest = 100_000 if count is None else count
    half = max(2, largest // 2)
    decades = range(1, len(str(half)) + 1)
    grid = [size for k in decades for size in (10**k, 3 * 10**k) if size < 0.7 * half]
    count = min(5, len(grid))
    shown = {grid[round(i * (len(grid) - 1) / max(1, count - 1))] for i in range(count)}
    return sorted(shown | {half, max(2, largest)})


def _sizes(n: Sequence[int] | None, population: Population) -> list[int]:
    if n is None:
        return default_sizes(population)
    sizes = sorted(set(integers("n", n, 2, what="training-set size")))
    require_training_sets(population, sizes)
    return sizes


def _reference(sizes: list[int], sample_size: int | None) -> int:
    """The n of the single-n results: half of the data (two disjoint halves) if it is among the sizes, else the nearest size."""
    target = 0.5 * sample_size if sample_size is not None else float(sizes[len(sizes) // 2])
    return min(sizes, key=lambda size: abs(np.log(size / target)))


def _denoiser_levels(population: Population, sigmas: Sequence[float] | None) -> FloatArray:
    if sigmas is None:
        return np.array([0.1, 0.5, 2.0]) * float(np.sqrt(population.total_variance / population.dimension))
    return np.atleast_1d(noise_levels("denoiser_sigmas", sigmas))


# ---------------------------------------------------------------- the results of one n
@dataclass(frozen=True)
class _AtSize:
    """The results of one n. Without seeds, `disagreement` has no seeds, and `total` is the sum over modes."""

    kappa: FloatArray
    gain: FloatArray
    denoiser_gain: FloatArray
    disagreement: Disagreement
    relative_modes: FloatArray

    @property
    def total(self) -> float:
        """Disagreement of all modes together."""
        return float(self.disagreement.modes.sum())

    @property
    def relative(self) -> float:
        """The total relative to unrelated seeds; 0 if nothing varies."""
        return self.total / self.disagreement.unrelated if self.disagreement.unrelated > 0 else 0.0

    @property
    def relative_bands(self) -> FloatArray:
        """Each band relative to unrelated seeds; 0 if nothing varies."""
        parts, whole = self.disagreement.bands, self.disagreement.unrelated_bands
        return np.divide(parts, whole, out=np.zeros_like(whole), where=whole > 0)


class _SizeResults(NamedTuple):
    """The results of the sizes that have them, and why the others do not."""

    rows: list[_AtSize]
    left_out: dict[int, str]


def _at_sizes(
    population: Population, law: str, request: _Request, steps: int, report: Callable[[str, float], None]
) -> _SizeResults:
    """The results at each size that has them; an error if no size has them."""
    rows: list[_AtSize] = []
    left_out: dict[int, str] = {}
    for index, size in enumerate(request.sizes):
        report(f"n = {size}", (index + 1) / steps)
        try:
            rows.append(_at_size(population, size, law, request))
        except (UnidentifiedError, ConvergenceError) as error:
            unknown, total = isinstance(error, UnidentifiedError), population.sample_size
            if not rows and index == len(request.sizes) - 1:
                if not unknown or total is None:
                    raise
                raise UnidentifiedError(
                    f"images must determine an answer, got none for n = {listed(request.sizes)}: "
                    f"{ways_out(total, population.shape, options=True)}"
                ) from error
            left_out[size] = "the images do not determine them" if unknown else "the law did not converge"
    return _SizeResults(rows=rows, left_out=left_out)


def _at_size(population: Population, n: int, law: str, request: _Request) -> _AtSize:
    splits = Splits(population, n, law=law)
    f = splits.sampling_map(0.0, request.sigma_max)
    spread = request.sigma_max**2
    by_mode = splits.mode_disagreement(f, input_variance=spread)
    gain = splits.expectation(f)
    seeds = np.empty(0) if request.noise is None else splits.disagreement(f, request.noise)
    part = by_mode.part * population.multiplicity
    # two unrelated seeds differ by the variance over training sets and that over seeds
    apart = part + 2 / population.dimension * gain**2 * spread * population.multiplicity
    denoised = [splits.expectation(denoiser(float(sigma))) for sigma in request.denoiser_sigma]
    return _AtSize(
        kappa=_kappa_splits(splits).kappa(noise_variance=request.noise_sigma**2),
        gain=gain,
        denoiser_gain=np.stack(denoised) if denoised else np.empty((0, gain.size)),
        disagreement=Disagreement(
            seeds=seeds,
            modes=part,
            bands=band_sums(part, request.bands),
            unrelated=float(apart.sum()),
            unrelated_modes=apart,
            unrelated_bands=band_sums(apart, request.bands),
        ),
        relative_modes=by_mode.relative,
    )


def _kappa_splits(splits: Splits) -> Splits:
    """The splits whose κ is shown: those of the stand-in if the law has no single κ."""
    spec = law_spec(splits.law)
    return splits if spec.has_kappa else Splits.in_closed_form(splits.population, splits.n, law=spec.stand_in)


# ---------------------------------------------------------------- the results of all n
def _bands(population: Population, choice: LawChoice, request: _Request, rows: Sequence[_AtSize]) -> Bands:
    relative = np.stack([row.relative_bands for row in rows])
    bands, top = request.bands, request.sigma_max
    correction = None
    if choice.law != DEFAULT_LAW:
        correction = Correction.of(population, request.sizes, relative, bands, top)
    needed = images_needed(population, bands, top, request.tolerance, law=choice.law, correction=correction)
    return Bands(
        ranges=bands,
        disagreement=np.stack([row.disagreement.bands for row in rows]),
        relative=relative,
        images_needed=tuple(None if answer is None else answer.n for answer in needed),
    )


def _seeds(
    population: Population, choice: LawChoice, request: _Request, rows: Sequence[_AtSize], reference: int, shown: int
) -> Seeds:
    """Disagreement by seed, and at the reference n the images of the `shown` most and least consistent ones."""
    values = rows[request.sizes.index(reference)].disagreement.seeds
    most = least = None
    if request.noise is not None and population.eigenvectors is not None and shown:
        splits = Splits(population, reference, law=choice.law)
        order = np.argsort(values, kind="stable")
        count = min(shown, max(1, order.size // 2))
        most = _seed_images(population, splits, request, values, order[:count])
        least = _seed_images(population, splits, request, values, order[order.size - count :])
    return Seeds(
        numbers=request.seeds,
        disagreement=np.stack([row.disagreement.seeds for row in rows]),
        most_consistent=most,
        least_consistent=least,
    )


def _seed_images(
    population: Population, splits: Splits, request: _Request, values: FloatArray, chosen: IntArray
) -> SeedImages:
    assert request.noise is not None
    f, noise = splits.sampling_map(0.0, request.sigma_max), request.noise[chosen]
    outputs = splits.expected_output(f, noise).reshape(-1, *population.shape)
    deviation = np.stack([np.sqrt(splits.pixel_variance(f, row)) for row in noise])
    return SeedImages(numbers=request.seeds[chosen], outputs=outputs, pixel_std=deviation, disagreement=values[chosen])


def _mode_pairs(population: Population, n: int, law: str, request: _Request) -> ModePairs:
    """Variance of mode pairs, from fewer profiles or the law's stand-in if its spec requires that."""
    count = population.eigenvalues.size
    modes = np.unique(np.round(np.geomspace(1, count, _MODE_PAIRS)).astype(np.int64)) - 1
    spec, profiles = law_spec(law), population.profiles
    if spec.largest_pair_matrix is not None and count > spec.largest_pair_matrix:
        splits = Splits.in_closed_form(population, n, law=spec.stand_in)
    else:
        if spec.pair_profiles is not None and profiles is not None and len(profiles) > spec.pair_profiles:
            population = fewer_profiles(population, -(-len(profiles) // spec.pair_profiles))
        splits = Splits(population, n, law=spec.name)
    return ModePairs(modes=modes, variance=splits.mode_variance(splits.sampling_map(0.0, request.sigma_max), modes))


@dataclass(frozen=True)
class _InfiniteData:
    """Gains with infinite data: (d,) of the map, (D, d) of the denoisers, and whether the images identify them."""

    gain: FloatArray
    denoiser_gain: FloatArray
    identified: bool


def _infinite_data(population: Population, law: str, request: _Request) -> _InfiniteData:
    """The gain of each mode with infinite data, by the Gaussian law, or for images in groups by the stand-in of their law.

    If the population is a sample, the measured variance of a mode is not its own, so the gain of an infinite training set is
    read off at the largest n. If the sample does not identify it, the measured variance is used instead.
    """
    s, levels = population.eigenvalues, request.denoiser_sigma
    law = DEFAULT_LAW if population.group_count is None else law_spec(law).stand_in
    if population.sample_size is not None:
        try:
            splits = Splits.in_closed_form(population, LARGEST_N, law=law)
            gain = splits.expectation(splits.sampling_map(0.0, request.sigma_max))
            denoised = [splits.expectation(denoiser(float(sigma))) for sigma in levels]
        except UnidentifiedError:
            pass
        else:
            return _InfiniteData(gain, np.array(denoised).reshape(levels.size, s.size), identified=True)
    noisy = s + levels[:, None] ** 2
    plain = np.divide(s, noisy, out=np.zeros_like(noisy), where=noisy > 0)
    return _InfiniteData(np.sqrt(s / (s + request.sigma_max**2)), plain, identified=population.sample_size is None)


def _denoisers(request: _Request, rows: Sequence[_AtSize], limit: _InfiniteData) -> Denoisers:
    return Denoisers(
        sigma=request.denoiser_sigma,
        gain=np.stack([row.denoiser_gain for row in rows]).swapaxes(0, 1),
        gain_ideal=limit.denoiser_gain,
    )


# ---------------------------------------------------------------- the data
def _mean_image(population: Population) -> FloatArray:
    if population.eigenvectors is None:
        return np.zeros(population.shape)
    return population.mean.reshape(population.shape)


def _leading_modes(population: Population) -> FloatArray:
    vectors = population.eigenvectors
    leading = np.empty((0, *population.shape)) if vectors is None else vectors[:, :_EIGENMODES].T
    return leading.reshape(-1, *population.shape)
