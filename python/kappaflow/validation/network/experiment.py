"""The whole experiment: splits, runs, samples, analysis."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..._checks import FloatArray
from ...laws import DEFAULT_LAW
from ..laws import ComparedLaw, most_general
from .amounts import amount_scores
from .analysis import baselines, compare_pair, forecast, score_predictors
from .context import Context
from .gallery import gallery
from .manipulation import manipulated_forecasts, manipulations
from .members import Member, describe, pair_members
from .plan import Plan, RunSpec
from .results import NetworkData, NetworkSetup, NetworkValidation, StrataMatrix
from .seeds import posterior_of, predicted_maps, score_seeds
from .stratified import strata_law, strata_matrix
from .sweep import make_jobs, run_jobs

__all__ = ["assemble", "train_members", "validate_networks"]

#: Root mean squares of pixels that the noise levels are made for, and steps below which the sampler's error shows.
_SIZES, _FEW_STEPS = (0.05, 5.0), 18


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
    """Train, sample and compare everything in a plan.

    Parameters
    ----------
    plan, context : see :func:`~.plan.make_plan` and :func:`~.context.make_context`, of the same images
    folder : where runs are kept, one folder each; a run that exists there is not trained again
    source : name of the data
    workers, device, dask : see :func:`~.sweep.run_jobs`
    notes : caveats that the report shows
    progress : called with the name of a step and the fraction that is done

    Raises
    ------
    ValueError, OSError
        See :func:`~.sweep.run_jobs`.
    """
    members = train_members(
        plan.runs,
        context,
        folder,
        sampler_steps=plan.sampler_steps,
        seed=plan.seed,
        workers=workers,
        device=device,
        dask=dask,
        progress=progress,
    )
    return assemble(plan, context, members, source=source, device=device, notes=notes)


def train_members(
    runs: Sequence[RunSpec],
    context: Context,
    folder: Path,
    *,
    sampler_steps: int,
    seed: int,
    workers: int | None = None,
    device: str = "cpu",
    dask: str | None = None,
    training: bool = True,
    progress: Callable[[str, float], None] | None = None,
) -> list[Member]:
    """Train and sample networks, in the order of `runs`; what exists in `folder` is not done again.

    Parameters
    ----------
    runs : what is trained
    context : of the same images
    folder, workers, device, dask, progress : see :func:`validate_networks`
    sampler_steps : of the sampler
    seed : of the noise on images
    training : see :func:`~.sweep.run_jobs`

    Raises
    ------
    TrainingError, ValueError, OSError
        See :func:`~.sweep.run_jobs`.
    """
    jobs = make_jobs(
        runs,
        context.images,
        context.shape,
        dict(context.noise),
        folder,
        steps=sampler_steps,
        sigma_max=context.sigma_max,
        seed=seed,
    )
    outcomes = run_jobs(jobs, workers=workers, device=device, dask=dask, training=training, progress=progress)
    if progress is not None:
        progress("comparing", 0.98)
    return [
        describe(
            context,
            job.spec,
            outcome.answers(job.probe),
            parameters=outcome.parameters,
            seconds=outcome.seconds,
            steps=job.spec.training.steps,
        )
        for job, outcome in zip(jobs, outcomes, strict=True)
    ]


def assemble(
    plan: Plan, context: Context, members: Sequence[Member], *, source: str, device: str, notes: Sequence[str]
) -> NetworkValidation:
    """Everything that the report shows, from models that have been sampled.

    Parameters
    ----------
    plan, context : of the experiment
    members : the models
    source, device, notes : see :func:`validate_networks`
    """
    member_pairs = pair_members(members)
    pairs = [compare_pair(context, member_pair) for member_pair in member_pairs]
    cells = {(m.spec.n, m.spec.repeat): m.spec for m in members if m.spec.stratum is None and m.spec.split == "A"}
    bases = [base for spec in cells.values() for base in baselines(context, spec)]
    forecasts = [forecast(context, law, size) for law in context.laws for size in plan.n if size]
    shown = _shown(context.laws)
    expected = {size: manipulated_forecasts(context, shown, size) for size in plan.n if size}
    posterior = posterior_of(context)
    maps_of = functools.cache(functools.partial(predicted_maps, context, posterior.value))
    scores, seed_scores, galleries, changes = [], [], [], []
    for kind in dict.fromkeys(member_pair.kind for member_pair in member_pairs):
        same = [
            (member_pair, pair)
            for member_pair, pair in zip(member_pairs, pairs, strict=True)
            if member_pair.kind == kind
        ]
        of_size = [f for f in forecasts if f.n == kind.n], [base for base in bases if base.n == kind.n]
        scores += score_predictors(context, kind, [pair for _, pair in same if pair.trained], *of_size)
        trained = [member_pair for member_pair, _ in same if member_pair.trained]
        seed_scores += score_seeds(context, kind, trained, *of_size, posterior.value, maps_of(kind.n))
        if kind.arm != "floor":
            galleries.append(gallery(context, next(member_pair for member_pair, _ in same if member_pair.repeat == 0)))
            changes += manipulations(context, kind, trained, expected.get(kind.n, {}))
    population = context.population
    data = NetworkData(
        source=source,
        provenance=population.provenance,
        shape=context.shape,
        dimension=population.dimension,
        images=context.count,
        eigenvalues=population.eigenvalues,
    )
    setup = NetworkSetup(
        n=plan.n,
        archs=plan.archs,
        arms=tuple(dict.fromkeys(member_pair.kind.arm for member_pair in member_pairs)),
        repeats=plan.repeats,
        seeds=np.array(context.seeds, dtype=np.int64),
        sigma_max=context.sigma_max,
        sampler_steps=plan.sampler_steps,
        preset=plan.preset,
        device=device,
        seed=plan.seed,
        laws=context.laws,
        bands=context.bands,
    )
    return NetworkValidation(
        data=data,
        setup=setup,
        runs=tuple(m.run for m in members),
        pairs=tuple(pairs),
        baselines=tuple(bases),
        forecasts=tuple(forecasts),
        predictor_scores=tuple(scores),
        seed_scores=tuple(seed_scores),
        amounts=tuple(
            score
            for arch in plan.archs
            for score in amount_scores(arch, plan.n, [p for p in pairs if p.arch == arch and p.trained], forecasts)
        ),
        galleries=tuple(galleries),
        manipulations=tuple(changes),
        strata=tuple(_strata(plan, context, members)),
        notes=(*notes, *_scale_notes(context), *filter(None, [posterior.note])),
    )


def _strata(plan: Plan, context: Context, members: Sequence[Member]) -> list[StrataMatrix]:
    """The counterfactual of each architecture, where the plan has one."""
    if plan.component is None or plan.strata_n is None:
        return []
    predicted: dict[str, FloatArray] = {
        law.name: strata_law(context, law, plan.strata_n, plan.component) for law in context.laws
    }
    stratified = [m for m in members if m.spec.stratum is not None]
    return [strata_matrix(context, arch, plan.component, stratified, predicted) for arch in plan.archs]


def _shown(laws: Sequence[ComparedLaw]) -> list[ComparedLaw]:
    """Laws that predict manipulations of the noise: the default law, and the most general one that is compared."""
    general = most_general(law.name for law in laws)
    return [law for law in laws if law.name in (DEFAULT_LAW, general)] or list(laws)


def _scale_notes(context: Context) -> list[str]:
    """Settings that do not fit the data: noise levels are made for pixels of about unit size."""
    notes = []
    size = float(np.sqrt(np.mean(context.images[: context.count] ** 2)))
    if not _SIZES[0] <= size <= _SIZES[1]:
        notes.append(
            f"Pixels have a root mean square of {size:.3g}. The noise levels of training, sampling and comparison are made for "
            "values in [-1, 1]: scale the images, or the gate will fail good models."
        )
    largest = float(np.sqrt(context.population.eigenvalues[0]))
    if context.sigma_max < 10 * largest:
        notes.append(
            f"Sampling starts at σ = {context.sigma_max:g}, not far above the data (standard deviation {largest:.3g} along the "
            "first mode). At this level noised images are not yet pure noise, as seeds are."
        )
    if context.steps < _FEW_STEPS:
        notes.append(
            f"The sampler takes only {context.steps} steps; its errors count as errors of the networks. 35 steps are usual."
        )
    return notes
