"""Linear diffusion models: every prediction of :class:`~kappaflow.Splits` beside a simulation of the same.

Of a linear model nothing is approximated: for each training set μ̂ and Σ̂ are formed, Σ̂ is decomposed, and the optimal
denoiser and the sampling map are applied exactly. What remains between theory and simulation is the law (Gaussian data,
many samples) and Monte Carlo error, for which there are intervals.

>>> import numpy as np, kappaflow as kf
>>> from kappaflow.validation.linear.draws import GaussianSets
>>> from kappaflow.validation.linear import validate_linear
>>> population = kf.Population.from_spectrum(1 / np.arange(1, 13.0))
>>> found = validate_linear(GaussianSets(population), [40], draws=100, inputs=2, steps=())
>>> sorted({comparison.quantity for comparison in found.comparisons})[:3]
['bands', 'equal_mode_variance', 'gains']
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray, choice, integer, not_negative, positive
from ...bands import Band, resolve_bands
from ...maps import Map
from ...models.devices import resolve_device
from ...population import Population
from ...sampling import SIGMA_MAX, initial_noise
from ...splits import Splits
from ..laws import ComparedLaw, chosen_laws
from ..metrics import Agreement, agreement
from ..strata import LEAST_POOL, STRATA
from .counterfactual import Counterfactual, compare_strata
from .draws import GaussianSets, Pool, TrainingSets
from .quantities import Quantity, Subject, chosen_quantities
from .simulation import chunk_layout, simulate
from .statistics import DEFAULT_MEMORY, Design, Statistics, group_layout, spaced_modes

__all__ = ["Comparison", "SizeScaling", "StepError", "Validation", "compare", "validate_linear"]

#: σ² at which κ is estimated: the noise levels 0.002 … 80 of diffusion models.
NOISE_VARIANCES = tuple(float(v) for v in np.geomspace(4e-6, 6400, 13))
PAIR_MODES = 32
_CURVE_POINTS = 25


@dataclass(frozen=True)
class Comparison:
    """One quantity of one map at one n under one law.

    Attributes
    ----------
    quantity, law, n : names and training-set size
    subject, label : the map or maps, as identifier and for people; empty for κ
    entries : (E,) what each entry is of: mode number (0-based), input, eigenband, noise variance, or its place
    agreement : the numbers and the verdict
    """

    quantity: str
    law: str
    n: int
    subject: str
    label: str
    entries: npt.NDArray[Any]
    agreement: Agreement


@dataclass(frozen=True)
class StepError:
    """A sampler of finitely many steps beside the continuous sampling map and the effect of finite data, at one n.

    All are mean square distances per dimension, averaged over inputs, by eigenband (K,): `discretisation` between the
    sampler and the continuous map of the same training set; `finite_data` between a model of n samples and the model of
    infinitely many, of which `shrinkage` is the part of the expected output and the rest is variance.
    `gain`, `gain_map`: (k,) simulated mean gains by mode of sampler and map, `gain_ideal` of the map with infinite data.
    """

    n: int
    steps: int
    discretisation: FloatArray
    finite_data: FloatArray
    shrinkage: FloatArray
    gain: FloatArray
    gain_map: FloatArray
    gain_ideal: FloatArray

    @property
    def ratio(self) -> float:
        """Discretisation over finite-data effect, root mean square."""
        return float(np.sqrt(self.discretisation.sum() / self.finite_data.sum()))


@dataclass(frozen=True)
class SizeScaling:
    """Predicted disagreement by eigenband against n: `n` (P,), `disagreement` law → (P, K), of the map `subject`.

    Of the laws that are closed forms; the others stand in the comparisons of the sizes that are simulated.
    """

    subject: str
    n: FloatArray
    disagreement: dict[str, FloatArray]


@dataclass(frozen=True)
class Validation:
    """Everything the validation report shows."""

    source: str
    description: str
    sampling: str  # "gaussian", "resample" or "disjoint"
    shape: tuple[int, ...]
    dimension: int
    pool_size: int | None  # rows of the pool, None for Gaussian data
    total_images: int | None  # images there were
    eigenvalues: FloatArray
    mean: str
    sigma_max: float
    n: tuple[int, ...]
    draws: tuple[int, ...]  # for each n
    groups: tuple[int, ...]
    seed: int
    device: str
    laws: tuple[ComparedLaw, ...]
    quantities: tuple[Quantity, ...]
    maps: tuple[Map, ...]
    bands: tuple[Band, ...]
    input_seeds: tuple[int, ...]
    comparisons: tuple[Comparison, ...]
    kappa_grid: FloatArray  # (S,) noise variances of the curves
    kappa: dict[str, FloatArray]  # law → (T, S)
    scaling: SizeScaling
    step_errors: tuple[StepError, ...]
    counterfactual: Counterfactual | None
    pixel_shape: tuple[int, ...]
    notes: tuple[str, ...]

    def find(self, quantity: str, law: str, n: int, subject: str = "") -> Comparison | None:
        """The comparison of that kind, None where there is none."""
        wanted = (quantity, law, n, subject)
        return next((c for c in self.comparisons if (c.quantity, c.law, c.n, c.subject) == wanted), None)


def compare(
    statistics: Statistics, design: Design, quantity: Quantity, subject: Subject, splits: Splits
) -> tuple[npt.NDArray[Any], Agreement]:
    """What each entry is of, and the agreement of a simulation with any prediction; `splits` may be a wrong one."""
    pair = quantity.compare(statistics, subject, splits)
    found = agreement(
        pair.simulated,
        pair.predicted,
        allowance=1 / design.degrees,
        entry_allowance=quantity.neglected / design.degrees,
        totals=pair.totals,
        predicted_total=pair.predicted_total,
    )
    return pair.entries, found


def validate_linear(
    sets: TrainingSets,
    n: Sequence[int],
    *,
    draws: int = 1000,
    inputs: int = 16,
    denoiser_sigmas: Sequence[float] = (0.1, 1.0),
    trajectory_sigma: float = 1.0,
    sigma_max: float = SIGMA_MAX,
    steps: Sequence[int] = (18, 35),
    bands: Sequence[Band] | None = None,
    laws: Sequence[str] | None = None,
    quantities: Sequence[str] | None = None,
    mean: str = "estimated",
    component: int = 0,
    source: str = "",
    seed: int = 0,
    device: str = "cpu",
    memory: int = DEFAULT_MEMORY,
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Validation:
    """Simulate linear models of training sets of each size and compare every quantity with every law.

    Parameters
    ----------
    sets : where training sets come from: Gaussian, resampled from a pool, or disjoint splits of it
    n : training-set sizes
    draws : training sets of each size, at least 40 (rounded up to whole groups)
    inputs : noised images and seeds whose outputs are followed
    denoiser_sigmas : noise levels of the denoiser
    trajectory_sigma : the sampling map to this level is correlated with the final one
    sigma_max : where sampling starts
    steps : step counts of the finite-step sampler, may be empty
    bands : eigenbands, six by default
    laws, quantities : names, all by default
    mean : "estimated" from each training set, or "known"
    component : principal component of the stratified counterfactual
    source : name of the data for the report
    seed : of training sets and inputs
    device : "cpu", "cuda" or "cuda:<number>"
    memory : bytes of working memory
    folder : where the simulations are kept while they run, to go on from
    progress : called with a step's name and the fraction of all training sets that is done

    Raises
    ------
    ValueError : bad input, named; n beyond what disjoint splits allow; too few draws; unknown quantity or law
    """
    resolve_device(device)
    choice("mean", mean, ("estimated", "known"))
    sizes = sorted({integer("n", value, 2) for value in n})
    if not sizes:
        raise ValueError("n must hold at least one training-set size, got none")
    population = sets.population
    profiles = population.profiles is not None and not isinstance(sets, GaussianSets)
    wanted_laws, wanted = chosen_laws(laws, profiles=profiles), chosen_quantities(quantities)
    modes = population.eigenvalues.size
    edges = resolve_bands(bands, modes)
    maps = _maps(denoiser_sigmas, trajectory_sigma, sigma_max, steps)
    data_inputs = _inputs(sets, maps, integer("inputs", inputs, 1), integer("seed", seed, 0))
    base = Design(
        n=sizes[0],
        groups=1,
        group_size=2,
        maps=maps,
        inputs={key: population.coordinates(value) for key, value in data_inputs.items()},
        spread={q.key: _spread(q, population) for q in maps},
        pairs=_pairs(maps),
        noise_variances=NOISE_VARIANCES,
        pair_modes=spaced_modes(modes, PAIR_MODES),
        mean=mean,
        seed=seed,
        memory=memory,
    )
    designs = [_layout(base, sets, size, draws) for size in sizes]
    for design in designs:  # everything that can be refused is refused before the work
        sets.check(design.n, design.group_size)
        chunk_layout(design, sets)
    pool: Pool | None = getattr(sets, "pool", None)
    strata_design = None
    if pool is not None and sets.name == "resample" and pool.size >= LEAST_POOL:
        strata_design = _strata_design(designs[len(designs) // 2])
        if integer("component", component, 0) >= modes:
            raise ValueError(f"component must be below the number of modes, {modes}, got {component}")
    total = sum(design.groups * design.group_size for design in designs)
    if strata_design is not None:
        total += len(STRATA) * strata_design.groups * strata_design.group_size
    report = _Progress(progress, total)

    comparisons: list[Comparison] = []
    errors: list[StepError] = []
    for design in designs:
        file = None if folder is None else Path(folder) / f"n-{design.n}.safetensors"
        step = f"training sets of n = {design.n:,}"
        statistics = simulate(design, sets, device=device, checkpoint=file, progress=report.part(step))
        report.finished(design.groups * design.group_size)
        for law in wanted_laws:
            splits = Splits(population, design.n, mean=mean, population_is=sets.population_is, **law.options)
            comparisons += _comparisons(statistics, design, data_inputs, edges, wanted, law, splits)
        errors += _step_errors(statistics, design, edges, population)
    counterfactual = None
    if strata_design is not None and pool is not None:
        counterfactual = compare_strata(
            pool, strata_design, wanted_laws, component=component, device=device, folder=folder,
            progress=report.part("stratified training sets"),
        )  # fmt: skip
    final = next(q for q in maps if q.kind == "sampling_map" and q.sigma == 0)
    grid = np.geomspace(NOISE_VARIANCES[0], NOISE_VARIANCES[-1], 97)
    return Validation(
        source=source,
        description=population.description,
        sampling=sets.name,
        shape=population.shape,
        dimension=population.dimension,
        pool_size=None if pool is None else pool.size,
        total_images=None if pool is None else pool.total,
        eigenvalues=population.eigenvalues,
        mean=mean,
        sigma_max=float(sigma_max),
        n=tuple(sizes),
        draws=tuple(design.groups * design.group_size for design in designs),
        groups=tuple(design.groups for design in designs),
        seed=seed,
        device=device,
        laws=tuple(wanted_laws),
        quantities=tuple(wanted),
        maps=maps,
        bands=edges,
        input_seeds=tuple(range(seed, seed + inputs)),
        comparisons=tuple(comparisons),
        kappa_grid=grid,
        kappa={
            law.name: _kappa_curves(sets, sizes, grid, mean, law) for law in wanted_laws if law.spec.has_corrections
        },
        scaling=_scaling(sets, sizes, final, data_inputs[final.key], edges, wanted_laws, mean),
        step_errors=tuple(errors),
        counterfactual=counterfactual,
        pixel_shape=population.shape,
        notes=_notes(sets, population, draws),
    )


class _Progress:
    """Fractions of all training sets, across the parts of a validation."""

    def __init__(self, callback: Callable[[str, float], None] | None, total: int) -> None:
        self._callback, self._total, self._before = callback, total, 0

    def part(self, step: str) -> Callable[[int], None]:
        """A callback for one part."""

        def update(done: int) -> None:
            if self._callback is not None:
                self._callback(step, (self._before + done) / self._total)

        return update

    def finished(self, count: int) -> None:
        """A part is over."""
        self._before += count


# ---------------------------------------------------------------- what is asked
def _maps(
    denoiser_sigmas: Sequence[float], trajectory_sigma: float, sigma_max: float, steps: Sequence[int]
) -> tuple[Map, ...]:
    for sigma in denoiser_sigmas:
        positive("denoiser_sigmas", sigma)
    positive("sigma_max", sigma_max)
    if not_negative("trajectory_sigma", trajectory_sigma) >= sigma_max:
        raise ValueError(f"trajectory_sigma must be below sigma_max = {sigma_max}, got {trajectory_sigma}")
    trajectory = [Map.sampling(0.0, sigma_max)]
    if trajectory_sigma > 0:
        trajectory.append(Map.sampling(trajectory_sigma, sigma_max))
    denoisers = [Map.denoiser(sigma) for sigma in dict.fromkeys(denoiser_sigmas)]
    return (*trajectory, *denoisers, *(Map.heun(count, sigma_max) for count in dict.fromkeys(steps)))


def _pairs(maps: Sequence[Map]) -> tuple[tuple[int, int], ...]:
    """The final sampling map with each earlier point of its trajectory."""
    sampling = [place for place, map_ in enumerate(maps) if map_.kind == "sampling_map"]
    return tuple((sampling[0], other) for other in sampling[1:])


def _inputs(sets: TrainingSets, maps: Sequence[Map], count: int, seed: int) -> dict[str, FloatArray]:
    """Key of the map → (B, d): seeds of the sampler, and images of the population with the noise of a denoiser."""
    population = sets.population
    numbers = range(seed, seed + count)
    unit = initial_noise(numbers, population.dimension, 1.0)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    pool: Pool | None = getattr(sets, "pool", None)
    if pool is not None:
        clean = pool.coordinates[rng.integers(0, pool.size, count)]
    else:
        clean = rng.standard_normal((count, population.eigenvalues.size)) * np.sqrt(population.eigenvalues)
    images = population.reconstruct(clean).reshape(count, -1)
    return {map_.key: images + map_.sigma * unit if map_.kind == "denoiser" else map_.sigma_max * unit for map_ in maps}


def _spread(map_: Map, population: Population) -> FloatArray:
    if map_.kind == "denoiser":
        return np.asarray(population.eigenvalues + map_.sigma**2)
    return np.full(population.eigenvalues.size, map_.sigma_max**2)


def _layout(base: Design, sets: TrainingSets, n: int, draws: int) -> Design:
    """Groups for one n; disjoint splits have no more sets in a group than the data hold."""
    groups, size = group_layout(draws)
    pool: Pool | None = getattr(sets, "pool", None)
    if sets.name == "disjoint" and pool is not None:
        most = pool.size // n
        if 2 <= most < size:
            groups, size = -(-draws // most), most
    return replace(base, n=n, groups=groups, group_size=size)


def _strata_design(design: Design) -> Design:
    """A quarter of the draws for each stratum, asked of the final sampling map alone."""
    groups, size = group_layout(max(40, design.groups * design.group_size // 4))
    return replace(design, groups=groups, group_size=size, maps=design.maps[:1], pairs=())


# ---------------------------------------------------------------- what comes out
def _comparisons(
    statistics: Statistics,
    design: Design,
    data_inputs: dict[str, FloatArray],
    bands: tuple[Band, ...],
    quantities: Sequence[Quantity],
    law: ComparedLaw,
    splits: Splits,
) -> list[Comparison]:
    found = []
    for quantity in quantities:
        for subject in _subjects(quantity, design, data_inputs, bands):
            if quantity.name == "pixels" and splits.population.eigenvectors is None:
                continue  # the pixels of a bare spectrum are its modes
            if quantity.name == "kappa" and not law.spec.has_corrections:
                continue  # traces show t/E r, which is κ = t/E[τr] for samples of equal size alone
            entries, result = compare(statistics, design, quantity, subject, splits)
            named = quantity.covers != "noise"
            found.append(
                Comparison(
                    quantity=quantity.name,
                    law=law.name,
                    n=design.n,
                    subject=subject.key if named else "",
                    label=subject.label if named else "",
                    entries=entries,
                    agreement=result,
                )
            )
    return found


def _subjects(
    quantity: Quantity, design: Design, data_inputs: dict[str, FloatArray], bands: tuple[Band, ...]
) -> list[Subject]:
    predictable = [q for q in design.maps if q.kind != "heun"]
    if quantity.covers == "noise":
        return [Subject(design, data_inputs[predictable[0].key], bands, predictable[0])]
    if quantity.covers == "pair":
        pairs = [(design.maps[i], design.maps[j]) for i, j in design.pairs]
        return [Subject(design, data_inputs[a.key], bands, a, b) for a, b in pairs]
    return [Subject(design, data_inputs[q.key], bands, q) for q in predictable]


def _step_errors(
    statistics: Statistics, design: Design, bands: tuple[Band, ...], population: Population
) -> list[StepError]:
    exact = next(q for q in design.maps if q.kind == "sampling_map" and q.sigma == 0)
    ideal = exact.gain(population.eigenvalues)
    variance = statistics.arrays[f"output/{exact.key}"].mean(axis=(0, 1))
    bias = statistics.arrays[f"output_mean/{exact.key}"].mean(axis=0) - ideal * design.inputs[exact.key]
    count = design.groups * design.group_size
    shrinkage = np.maximum((bias**2).mean(axis=0) - variance / count, 0.0)  # free of the Monte Carlo error of the mean

    def by_band(values: Any) -> FloatArray:
        return np.array([values[band.start : band.stop].sum() for band in bands]) / population.dimension

    return [
        StepError(
            n=design.n,
            steps=map_.steps,
            discretisation=by_band(statistics.arrays[f"step_error/{map_.key}"].mean(axis=(0, 1))),
            finite_data=by_band(shrinkage + variance),
            shrinkage=by_band(shrinkage),
            gain=statistics.arrays[f"gain/{map_.key}"].mean(axis=0),
            gain_map=statistics.arrays[f"gain/{exact.key}"].mean(axis=0),
            gain_ideal=ideal,
        )
        for map_ in design.maps
        if map_.kind == "heun"
    ]


def _kappa_curves(
    sets: TrainingSets, sizes: Sequence[int], grid: FloatArray, mean: str, law: ComparedLaw
) -> FloatArray:
    """(T, S) κ of each size."""
    options = {"mean": mean, "population_is": sets.population_is, **law.options}
    return np.stack([Splits(sets.population, size, **options).kappa(noise_variance=grid) for size in sizes])


def _scaling(
    sets: TrainingSets, sizes: Sequence[int], map_: Map, inputs: FloatArray, bands: tuple[Band, ...],
    laws: Sequence[ComparedLaw], mean: str,
) -> SizeScaling:  # fmt: skip
    grid = np.unique(np.round(np.geomspace(max(3, min(sizes) // 3), 10 * max(sizes), _CURVE_POINTS)).astype(np.int64))
    curves = {}
    for law in laws:
        if not law.spec.closed_form:
            continue  # a fixed point for each n: shown at the sizes that are simulated
        rows = []
        for n in grid.tolist():
            splits = Splits(sets.population, n, mean=mean, population_is=sets.population_is, **law.options)
            rows.append(splits.disagreement(map_.function(splits), inputs, bands=bands).mean(axis=0))
        curves[law.name] = np.stack(rows)
    return SizeScaling(map_.key, grid.astype(np.float64), curves)


def _notes(sets: TrainingSets, population: Population, draws: int) -> tuple[str, ...]:
    pool: Pool | None = getattr(sets, "pool", None)
    notes = []
    if isinstance(sets, GaussianSets):
        notes.append("Training sets are Gaussian with the covariance of the data: no property beyond it is tested.")
    if pool is not None and pool.size < pool.total:
        notes.append(
            f"A random subset of {pool.size:,} of the {pool.total:,} images, which memory holds, is the population here; "
            "its mean and covariance are known exactly."
        )
    if sets.name == "resample":
        notes.append(
            "Training sets are drawn with replacement, so that the images are the whole population and theory has no unknown."
        )
    if sets.name == "disjoint" and pool is not None:
        notes.append(
            f"Disjoint splits of {pool.size:,} images estimate the variance over new images of the same kind, while theory "
            "reads its numbers off them without the bias of a finite dataset. Intervals hold these images fixed."
        )
    return tuple(notes)
