"""What a validation of linear models simulates: maps, inputs, and one design for each training-set size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..._checks import FloatArray, choice, integer, not_negative, positive
from ..._repr import ShortRepr
from ...bands import Band, resolve_bands
from ...maps import Map
from ...population import Population
from ...sampling import SIGMA_MAX, initial_noise
from ..laws import ComparedLaw, chosen_laws
from ..strata import LEAST_POOL, STRATA
from .draws import TrainingSets
from .quantities import Quantity, chosen_quantities
from .statistics import DEFAULT_MEMORY, Design, group_layout, spaced_modes

__all__ = ["NOISE_VARIANCES", "LinearPlan", "make_linear_plan"]

#: σ² at which κ is estimated: the noise levels 0.002 … 80 of diffusion models.
NOISE_VARIANCES = tuple(float(v) for v in np.geomspace(4e-6, 6400, 13))
#: Modes whose pairs are followed.
PAIR_MODES = 32
#: Training sets of each stratum, as a share of those of one size; no fewer than this many.
_STRATA_SHARE, _LEAST_STRATA_DRAWS = 4, 40


@dataclass(frozen=True, repr=False)
class LinearPlan(ShortRepr):
    """What is simulated and compared.

    Attributes
    ----------
    sets : where training sets come from
    designs : what is simulated at each training-set size
    inputs : key of the map → (B, d) inputs in data space
    bands, laws, quantities : what is compared
    strata : design of the counterfactual, None if there is none
    component : principal component (0-based) that orders its strata
    """

    sets: TrainingSets
    designs: tuple[Design, ...]
    inputs: Mapping[str, FloatArray]
    bands: tuple[Band, ...]
    laws: tuple[ComparedLaw, ...]
    quantities: tuple[Quantity, ...]
    strata: Design | None
    component: int

    @property
    def maps(self) -> tuple[Map, ...]:
        """The maps that are applied at every size."""
        return self.designs[0].maps

    @property
    def final_map(self) -> Map:
        """The sampling map to σ = 0."""
        return next(map_ for map_ in self.maps if map_.kind == "sampling_map" and map_.sigma == 0)

    @property
    def training_sets(self) -> int:
        """Total number of training sets."""
        total = sum(design.draws for design in self.designs)
        return total if self.strata is None else total + len(STRATA) * self.strata.draws


def make_linear_plan(
    sets: TrainingSets,
    n: Sequence[int],
    *,
    draws: int,
    inputs: int,
    denoiser_sigmas: Sequence[float],
    trajectory_sigma: float,
    steps: Sequence[int],
    sigma_max: float = SIGMA_MAX,
    bands: Sequence[Band] | None = None,
    laws: Sequence[str] | None = None,
    quantities: Sequence[str] | None = None,
    mean: str = "estimated",
    component: int = 0,
    seed: int = 0,
    memory: int = DEFAULT_MEMORY,
) -> LinearPlan:
    """Turn the parameters of :func:`~.experiment.validate_linear` into designs.

    Raises
    ------
    ValueError
        An argument is not valid, or training sets of a size cannot be drawn.
    """
    choice("mean", mean, ("estimated", "known"))
    sizes = sorted({sets.nearest(integer("n", value, 2)) for value in n})
    if not sizes:
        raise ValueError("n must hold at least one training-set size, got none")
    population, modes = sets.population, sets.population.eigenvalues.size
    profiles, grouped = population.profiles is not None and sets.pool is not None, population.group_count is not None
    wanted_laws, wanted_quantities = chosen_laws(laws, profiles=profiles, groups=grouped), chosen_quantities(quantities)
    maps = _maps(denoiser_sigmas, trajectory_sigma, sigma_max, steps)
    data_inputs = _inputs(sets, maps, integer("inputs", inputs, 1), integer("seed", seed, 0))
    base = Design(
        n=sizes[0],
        groups=1,
        group_size=2,
        maps=maps,
        inputs={key: population.coordinates(value) for key, value in data_inputs.items()},
        spread={map_.key: _spread(map_, population) for map_ in maps},
        pairs=_pairs(maps),
        noise_variances=NOISE_VARIANCES,
        pair_modes=spaced_modes(modes, PAIR_MODES),
        mean=mean,
        seed=seed,
        memory=memory,
    )
    designs = tuple(_sized(base, sets, size, draws) for size in sizes)
    for design in designs:
        sets.check(design.n, design.group_size)
    strata = None
    if sets.pool is not None and sets.name == "resample" and sets.pool.size >= LEAST_POOL and not grouped:
        strata = _strata_design(designs[len(designs) // 2])
        if integer("component", component, 0) >= modes:
            raise ValueError(f"component must be below the number of modes, {modes}, got {component}")
    return LinearPlan(
        sets=sets,
        designs=designs,
        inputs=data_inputs,
        bands=resolve_bands(bands, modes),
        laws=tuple(wanted_laws),
        quantities=tuple(wanted_quantities),
        strata=strata,
        component=component,
    )


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
    sampling = [index for index, map_ in enumerate(maps) if map_.kind == "sampling_map"]
    return tuple((sampling[0], other) for other in sampling[1:])


def _inputs(sets: TrainingSets, maps: Sequence[Map], count: int, seed: int) -> dict[str, FloatArray]:
    """Key of the map → (B, d): initial noise of the sampler, and noised images of the population for a denoiser."""
    population = sets.population
    unit = initial_noise(range(seed, seed + count), population.dimension, 1.0)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    if sets.pool is not None:
        clean = sets.pool.coordinates[rng.integers(0, len(sets.pool.coordinates), count)]
    else:
        clean = rng.standard_normal((count, population.eigenvalues.size)) * np.sqrt(population.eigenvalues)
    images = population.reconstruct(clean).reshape(count, -1)
    return {map_.key: images + map_.sigma * unit if map_.kind == "denoiser" else map_.sigma_max * unit for map_ in maps}


def _spread(map_: Map, population: Population) -> FloatArray:
    """(k,) variance of the coordinates of the inputs of a map."""
    if map_.kind == "denoiser":
        return np.asarray(population.eigenvalues + map_.sigma**2)
    return np.full(population.eigenvalues.size, map_.sigma_max**2)


def _sized(base: Design, sets: TrainingSets, n: int, draws: int) -> Design:
    """The design of one n; a group of disjoint splits has no more sets than the data hold."""
    groups, size = group_layout(draws)
    if sets.name == "disjoint" and sets.pool is not None:
        most = sets.pool.disjoint_sets(n)
        if 2 <= most < size:
            groups, size = -(-draws // most), most
    return replace(base, n=n, groups=groups, group_size=size)


def _strata_design(design: Design) -> Design:
    """A quarter of the draws for each stratum, asked of the final sampling map alone."""
    groups, size = group_layout(max(_LEAST_STRATA_DRAWS, design.draws // _STRATA_SHARE))
    return replace(design, groups=groups, group_size=size, maps=design.maps[:1], pairs=())
