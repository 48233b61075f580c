"""Linear diffusion models: every prediction of :class:`~kappaflow.Splits` beside a simulation of the same.

Nothing about a linear model is approximated. For each training set, μ̂ and Σ̂ are formed, Σ̂ is decomposed, and the optimal
denoiser and the sampling map are applied exactly. The theory can therefore differ from the simulation for two reasons only: the
assumptions of the law (Gaussian data, many samples), and Monte Carlo error, which the intervals include.

>>> import numpy as np, kappaflow as kf
>>> from kappaflow.validation.linear.draws import GaussianSets
>>> from kappaflow.validation.linear.experiment import validate_linear
>>> population = kf.Population.from_spectrum(1 / np.arange(1, 13.0))
>>> validation = validate_linear(GaussianSets(population), [40], draws=100, inputs=2, steps=())
>>> sorted({comparison.quantity for comparison in validation.comparisons})[:3]
['bands', 'equal_mode_variance', 'gains']
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...bands import Band
from ...models.devices import resolve_device
from ...sampling import SIGMA_MAX
from .comparisons import compare_all, kappa_curves, size_scaling, step_errors
from .counterfactual import compare_strata
from .draws import GaussianSets, Pool, TrainingSets
from .plan import NOISE_VARIANCES, LinearPlan, make_linear_plan
from .results import (
    Comparison,
    Counterfactual,
    KappaCurves,
    LinearData,
    LinearSetup,
    StepError,
    Validation,
)
from .simulation import chunk_layout, kept_statistics, simulate
from .statistics import DEFAULT_MEMORY, Design, Statistics

__all__ = ["validate_linear"]

#: Noise variances of the curves of κ.
_KAPPA_POINTS = 97
#: With fewer images, or groups, for each mode, drawing again from them makes right laws look wrong.
_FEW_UNITS = 5


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
    """Simulate linear models of many training sets of each size, and compare every quantity with every law.

    Parameters
    ----------
    sets : where training sets come from: Gaussian, resampled from a pool, or disjoint splits of it
    n : training-set sizes
    draws : training sets of each size, at least 40 (rounded up to whole groups)
    inputs : number of noised images and of seeds whose outputs are followed
    denoiser_sigmas : noise levels of the denoiser
    trajectory_sigma : noise level at which the sampling map is correlated with the final sampling map; 0 for none
    sigma_max : noise level at which sampling starts
    steps : numbers of steps of the finite-step sampler; may be empty
    bands : eigenbands, six by default
    laws, quantities : names; all by default
    mean : "estimated" from each training set, or "known"
    component : principal component (0-based) that orders the strata of the counterfactual
    source : name of the data for the report
    seed : of training sets and inputs
    device : "cpu", "cuda" or "cuda:<number>"
    memory : bytes of working memory
    folder : where simulations are kept while they run; an interrupted run continues from there
    progress : called with the name of a step and the fraction of all training sets that is done

    Raises
    ------
    ValueError
        An argument is not valid, n is larger than disjoint splits allow, there are too few draws, or a quantity or law is
        unknown.
    MemoryError
        One training set does not fit into `memory`.
    """
    resolve_device(device)
    plan = make_linear_plan(
        sets,
        n,
        draws=draws,
        inputs=inputs,
        denoiser_sigmas=denoiser_sigmas,
        trajectory_sigma=trajectory_sigma,
        steps=steps,
        sigma_max=sigma_max,
        bands=bands,
        laws=laws,
        quantities=quantities,
        mean=mean,
        component=component,
        seed=seed,
        memory=memory,
    )
    for design in plan.designs:  # everything that can be refused is refused before the work
        chunk_layout(design, sets)
        kept = _checkpoint(folder, design)
        if kept is not None and kept.exists():
            kept_statistics(design, sets, kept, device=device)
    for file in [] if folder is None else sorted(Path(folder).glob("stratum-*.safetensors")):
        Statistics.load(file)
    report = _Progress(progress, plan.training_sets)
    comparisons: list[Comparison] = []
    errors: list[StepError] = []
    for design in plan.designs:
        part = report.part(f"training sets of n = {design.n:,}")
        statistics = simulate(design, sets, device=device, checkpoint=_checkpoint(folder, design), progress=part)
        report.finished(design.draws)
        comparisons += compare_all(statistics, design, plan)
        errors += step_errors(statistics, design, plan)
    counterfactual = _counterfactual(plan, device, folder, report.part("stratified training sets"))
    return _assemble(plan, comparisons, errors, counterfactual, source=source, device=device)


def _checkpoint(folder: str | os.PathLike[str] | None, design: Design) -> Path | None:
    """The file in which the simulation of a design is kept."""
    return None if folder is None else Path(folder) / f"n-{design.n}.safetensors"


def _counterfactual(
    plan: LinearPlan, device: str, folder: str | os.PathLike[str] | None, progress: Callable[[int], None]
) -> Counterfactual | None:
    """Training sets that differ on purpose, where the plan has them."""
    if plan.strata is None or plan.sets.pool is None:
        return None
    return compare_strata(
        plan.sets.pool,
        plan.strata,
        plan.laws,
        component=plan.component,
        device=device,
        folder=folder,
        progress=progress,
    )


def _assemble(
    plan: LinearPlan,
    comparisons: Sequence[Comparison],
    errors: Sequence[StepError],
    counterfactual: Counterfactual | None,
    *,
    source: str,
    device: str,
) -> Validation:
    """Everything that the report shows."""
    sets, population, designs = plan.sets, plan.sets.population, plan.designs
    base = designs[0]
    count = len(plan.inputs[plan.final_map.key])
    grid = np.geomspace(NOISE_VARIANCES[0], NOISE_VARIANCES[-1], _KAPPA_POINTS)
    data = LinearData(
        source=source,
        provenance=population.provenance,
        shape=population.shape,
        dimension=population.dimension,
        eigenvalues=population.eigenvalues,
        pool_size=None if sets.pool is None else sets.pool.size,
        total_images=None if sets.pool is None else sets.pool.total,
    )
    setup = LinearSetup(
        sampling=sets.name,
        mean=base.mean,
        sigma_max=float(plan.final_map.sigma_max),
        n=tuple(design.n for design in designs),
        draws=tuple(design.draws for design in designs),
        groups=tuple(design.groups for design in designs),
        input_seeds=tuple(range(base.seed, base.seed + count)),
        seed=base.seed,
        device=device,
        laws=plan.laws,
        quantities=plan.quantities,
        maps=plan.maps,
        bands=plan.bands,
    )
    return Validation(
        data=data,
        setup=setup,
        comparisons=tuple(comparisons),
        kappa=KappaCurves(setup.n, noise_variances=grid, curves=kappa_curves(plan, grid)),
        scaling=size_scaling(plan),
        step_errors=tuple(errors),
        counterfactual=counterfactual,
        notes=_notes(sets),
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


def _units_note(pool: Pool) -> str:
    """What is drawn as a whole."""
    population = pool.population
    flips = " with the mirror image of each image" if population.versions > 1 else ""
    if population.group_size > 1:
        return (
            f"Training sets hold whole groups{flips}: {pool.units:,} groups of {population.group_size:.3g} images on average. "
            "Sizes n are those of whole numbers of groups of mean size."
        )
    return f"Training sets hold images{flips}; n counts images without mirror images."


def _notes(sets: TrainingSets) -> tuple[str, ...]:
    """Caveats of how training sets are drawn."""
    pool = sets.pool
    notes = []
    if isinstance(sets, GaussianSets):
        notes.append(
            "Training sets are Gaussian with the covariance of the data; no other property of the data is tested."
        )
    if pool is not None and pool.size < pool.total:
        notes.append(
            f"The population here is a random subset of {pool.size:,} of the {pool.total:,} images, as many as memory holds; its "
            "mean and covariance are known exactly."
        )
    if sets.name == "resample":
        notes.append(
            "Training sets are drawn with replacement, so the images are the whole population and the theory has nothing to "
            "estimate."
        )
    if pool is not None and pool.starts is not None:
        notes.append(_units_note(pool))
    if sets.name == "resample" and pool is not None and pool.units < _FEW_UNITS * sets.population.eigenvalues.size:
        what, modes = "images" if pool.starts is None else "groups", sets.population.eigenvalues.size
        notes.append(
            f"There are only {pool.units:,} {what} for {modes:,} modes. Sets that are drawn again from so few differ more than "
            "sets of new ones would, so a law can look wrong here that holds for new images; disjoint splits "
            "(--sampling disjoint) do not have this fault."
        )
    if sets.name == "disjoint" and pool is not None:
        notes.append(
            f"Disjoint splits of {pool.size:,} images estimate the variance over new images of the same kind. The theory takes "
            "its numbers from these images and corrects for the finite dataset. The intervals hold the images fixed."
        )
    return tuple(notes)
