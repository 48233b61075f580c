"""Comparisons of the statistics of a simulation with the predictions of every law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray
from ..._repr import short_repr
from ...splits import Splits
from ..laws import ComparedLaw
from ..metrics import Agreement, agreement
from .plan import LinearPlan
from .quantities import Quantity, Subject
from .results import Comparison, SizeScaling, StepError
from .statistics import Design, Statistics

__all__ = ["Compared", "compare", "compare_all", "kappa_curves", "size_scaling", "step_errors"]

#: Training-set sizes of the curves.
_CURVE_POINTS = 25


class Compared(NamedTuple):
    """What each of the entries (E,) belongs to, see :class:`~.results.Comparison`, and the agreement."""

    entries: npt.NDArray[Any]
    agreement: Agreement

    def __repr__(self) -> str:
        return short_repr(self)


def compare(statistics: Statistics, design: Design, quantity: Quantity, subject: Subject, splits: Splits) -> Compared:
    """Compare one quantity of a simulation with a prediction; `splits` may belong to another problem, as a check."""
    pair = quantity.compare(statistics, subject, splits)
    result = agreement(
        pair.simulated,
        pair.predicted,
        allowance=1 / design.degrees,
        entry_allowance=quantity.neglected / design.degrees,
        totals=pair.totals,
        predicted_total=pair.predicted_total,
    )
    return Compared(pair.entries, result)


def compare_all(statistics: Statistics, design: Design, plan: LinearPlan) -> list[Comparison]:
    """Every quantity of every map at one n under every law."""
    comparisons: list[Comparison] = []
    for law in plan.laws:
        splits = _splits(plan, law, design.n)
        for quantity in plan.quantities:
            if quantity.name == "pixels" and splits.population.eigenvectors is None:
                continue  # the pixels of a bare spectrum are its modes
            if quantity.name == "kappa" and not law.spec.has_corrections:
                continue  # traces show t/E r, which is κ = t/E[τr] for samples of equal size alone
            for subject in _subjects(quantity, design, plan):
                entries, result = compare(statistics, design, quantity, subject, splits)
                named = quantity.covers != "noise"
                comparisons.append(
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
    return comparisons


def _splits(plan: LinearPlan, law: ComparedLaw, n: int) -> Splits:
    """The theory of training sets of n samples under a law."""
    mean, sets = plan.designs[0].mean, plan.sets
    return Splits(sets.population, n, mean=mean, population_is=sets.population_is, **law.options)


def _subjects(quantity: Quantity, design: Design, plan: LinearPlan) -> list[Subject]:
    """What a quantity is asked of: each map that theory predicts, each pair of maps, or noise levels alone."""
    predictable = [map_ for map_ in design.maps if map_.kind != "heun"]
    if quantity.covers == "noise":
        return [Subject(design, plan.inputs[predictable[0].key], plan.bands, map=predictable[0])]
    if quantity.covers == "pair":
        pairs = [(design.maps[i], design.maps[j]) for i, j in design.pairs]
        return [Subject(design, plan.inputs[a.key], plan.bands, map=a, second=b) for a, b in pairs]
    return [Subject(design, plan.inputs[map_.key], plan.bands, map=map_) for map_ in predictable]


def step_errors(statistics: Statistics, design: Design, plan: LinearPlan) -> list[StepError]:
    """Errors of the samplers of finitely many steps at one n."""
    exact, population = plan.final_map, plan.sets.population
    ideal = exact.gain(population.eigenvalues)
    variance = statistics.arrays[f"output/{exact.key}"].mean(axis=(0, 1))
    bias = statistics.arrays[f"output_mean/{exact.key}"].mean(axis=0) - ideal * design.inputs[exact.key]
    # without the Monte Carlo error of the mean
    shrinkage = np.maximum((bias**2).mean(axis=0) - variance / design.draws, 0.0)

    def by_band(values: Any) -> FloatArray:
        return np.array([values[band.start : band.stop].sum() for band in plan.bands]) / population.dimension

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


def kappa_curves(plan: LinearPlan, grid: FloatArray) -> dict[str, FloatArray]:
    """Law → (T, S) κ at noise variances (S,) for each training-set size, for the laws that have one κ."""
    return {
        law.name: np.stack([_splits(plan, law, design.n).kappa(noise_variance=grid) for design in plan.designs])
        for law in plan.laws
        if law.spec.has_corrections
    }


def size_scaling(plan: LinearPlan) -> SizeScaling:
    """Predicted disagreement of the final sampling map by eigenband, on a grid of n around the simulated sizes."""
    map_ = plan.final_map
    sizes: Sequence[int] = [design.n for design in plan.designs]
    grid = np.unique(np.round(np.geomspace(max(3, min(sizes) // 3), 10 * max(sizes), _CURVE_POINTS)).astype(np.int64))
    curves = {}
    for law in plan.laws:
        if not law.spec.closed_form:
            continue  # a fixed point for each n takes too long: it is shown at the simulated sizes
        rows = []
        for n in grid.tolist():
            splits = _splits(plan, law, n)
            by_input = splits.disagreement(map_.function(splits), plan.inputs[map_.key], bands=plan.bands)
            rows.append(by_input.mean(axis=0))
        curves[law.name] = np.stack(rows)
    return SizeScaling(map_.key, grid.astype(np.float64), curves)
