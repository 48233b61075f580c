"""The whole experiment: splits, runs, answers, analysis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..._checks import FloatArray
from ...bands import Band, resolve_bands
from ...laws import DEFAULT_LAW, REGISTRY
from ...population import Population
from ...sampling import SIGMA_MAX, initial_noise
from ..laws import ComparedLaw, chosen_laws
from . import analysis
from .analysis import Context, Member
from .baselines import parts
from .plan import Plan
from .results import NetworkValidation
from .sweep import make_jobs, run_jobs

__all__ = ["make_context", "validate_networks"]

#: Seeds that are manipulated.
MANIPULATED = 64
#: Root mean squares of pixels for which the noise levels are made, and steps below which the sampler's error shows.
_SIZES, _FEW_STEPS = (0.05, 5.0), 18


def make_context(
    images: FloatArray, shape: tuple[int, ...], *, seeds: int, seed: int = 0, sampler_steps: int = 35, sigma_max: float = SIGMA_MAX,
    bands: Sequence[Band] | None = None, laws: Sequence[str] | None = None, profiles: int = 8192, description: str = "",
) -> Context:  # fmt: skip
    """Population, bands, laws and initial noise of an experiment on images (N, d); see :class:`~.analysis.Context`."""
    population = Population.from_samples(images, shape=shape, profiles=profiles, description=description)
    numbers = tuple(range(seed, seed + seeds))
    noise = initial_noise(numbers, population.dimension, sigma_max)
    manipulated, what = analysis.manipulated_noise(noise[:MANIPULATED], population, parts(population))
    return Context(
        images=images, population=population, shape=shape,
        bands=resolve_bands(bands, population.eigenvalues.size),
        laws=tuple(chosen_laws(laws, profiles=population.profiles is not None)), sigma_max=sigma_max, steps=sampler_steps,
        noise={"seeds": noise, **manipulated}, manipulations=what, seeds=numbers, count=len(images),
    )  # fmt: skip


def validate_networks(
    plan: Plan,
    context: Context,
    folder: Path,
    *,
    source: str = "",
    workers: int | None = None,
    device: str = "cpu",
    dask: str | None = None,
    notes: Sequence[str] = (),
    progress: Callable[[str, float], None] | None = None,
) -> NetworkValidation:
    """Train, sample and compare everything that a plan asks.

    Parameters
    ----------
    plan, context : see :func:`~.plan.make_plan` and :func:`make_context`, of the same images
    folder : where runs are kept, one folder each; what is there is not trained again
    source : name of the data
    workers, device, dask : see :func:`~.sweep.run_jobs`
    notes : caveats to show
    progress : called with a step's name and the fraction that is done

    Raises
    ------
    ValueError, OSError : see :func:`~.sweep.run_jobs`
    """
    jobs = make_jobs(
        plan.runs, context.images, context.shape, dict(context.noise), folder,
        steps=plan.sampler_steps, sigma_max=context.sigma_max, seed=plan.seed,
    )  # fmt: skip
    outcomes = run_jobs(jobs, workers=workers, device=device, dask=dask, progress=progress)
    if progress is not None:
        progress("comparing", 0.98)
    members = [
        analysis.describe(
            context, job.spec, outcome.answers(), parameters=outcome.parameters, seconds=outcome.seconds,
            steps=job.spec.training.steps,
        )
        for job, outcome in zip(jobs, outcomes, strict=True)
    ]  # fmt: skip
    return assemble(plan, context, members, source=source, device=device, notes=notes)


def assemble(
    plan: Plan, context: Context, members: Sequence[Member], *, source: str, device: str, notes: Sequence[str]
) -> NetworkValidation:
    """Everything that the members say."""
    paired = analysis.pair_members(members)
    pairs = {key: analysis.compare_pair(context, key, *two) for key, two in paired.items()}
    cells = {(m.spec.n, m.spec.repeat): m.spec for m in members if m.spec.stratum is None and m.spec.split == "A"}
    bases = [base for spec in cells.values() for base in analysis.baselines(context, spec)]
    forecasts = [analysis.forecast(context, law, size) for law in context.laws for size in plan.n if size]
    shown = _shown(context.laws)
    expected = {size: analysis.manipulated_forecasts(context, shown, size) for size in plan.n if size}
    predictions, galleries, changes = [], [], []
    kinds = dict.fromkeys((arch, n, arm) for arch, n, _, arm in pairs)
    for arch, n, arm in kinds:
        trained = [pair for key, pair in pairs.items() if (key[0], key[1], key[3]) == (arch, n, arm) and pair.trained]
        predictions += analysis.score_predictors(
            context, arch, n, arm, trained, [f for f in forecasts if f.n == n], [b for b in bases if b.n == n]
        )
        first = (arch, n, 0, arm)
        if arm != "floor":
            galleries.append(analysis.gallery(context, first, *paired[first]))
            two = [paired[arch, n, pair.repeat, arm] for pair in trained]
            changes += analysis.manipulations(context, arch, n, arm, two, expected.get(n, {}))
    matrices = []
    if plan.component is not None and plan.strata_n is not None:
        size, component = plan.strata_n, plan.component
        predicted = {law.name: analysis.strata_law(context, law, size, component) for law in context.laws}
        stratified = [m for m in members if m.spec.stratum is not None]
        matrices = [analysis.strata_matrix(context, arch, component, stratified, predicted) for arch in plan.archs]
    population = context.population
    return NetworkValidation(
        source=source, description=population.description, shape=context.shape, dimension=population.dimension,
        images=context.count, eigenvalues=population.eigenvalues, bands=context.bands, n=plan.n, archs=plan.archs,
        arms=tuple(dict.fromkeys(key[3] for key in pairs)), repeats=plan.repeats,
        seeds=np.array(context.seeds, dtype=np.int64), sigma_max=context.sigma_max, sampler_steps=plan.sampler_steps,
        preset=plan.preset, device=device, seed=plan.seed, laws=context.laws, runs=tuple(m.run for m in members),
        pairs=tuple(pairs.values()), baselines=tuple(bases), forecasts=tuple(forecasts), predictions=tuple(predictions),
        galleries=tuple(galleries), manipulations=tuple(changes), strata=tuple(matrices), notes=(*notes, *_scale_notes(context)),
    )  # fmt: skip


def _shown(laws: Sequence[ComparedLaw]) -> list[ComparedLaw]:
    """Laws of the noise-space manipulation: the default one and the most general there is."""
    general = [law.name for law in laws if law.name in REGISTRY][-1:]
    return [law for law in laws if law.name in (DEFAULT_LAW, *general)] or list(laws)


def _scale_notes(context: Context) -> list[str]:
    """Settings that do not fit the data: noise levels are made for pixels of about unit size."""
    notes = []
    size = float(np.sqrt(np.mean(context.images[: context.count] ** 2)))
    if not _SIZES[0] <= size <= _SIZES[1]:
        notes.append(
            f"Pixels have a root mean square of {size:.3g}. Noise levels of training, sampling and comparison are made for values "
            "in [-1, 1]: scale the images, or the gate will fail models that are good."
        )
    largest = float(np.sqrt(context.population.eigenvalues[0]))
    if context.sigma_max < 10 * largest:
        notes.append(
            f"Sampling starts at σ = {context.sigma_max:g}, which is not far above the data (standard deviation {largest:.3g} "
            "along the first mode): seeds are not yet noise there."
        )
    if context.steps < _FEW_STEPS:
        notes.append(f"{context.steps} steps of the sampler leave errors that count as the networks'; 35 are usual.")
    return notes
