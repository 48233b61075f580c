"""One sentence on what each figure of the validation report shows, from its numbers, and one on what it draws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..._checks import FloatArray
from ..._statistics import rank_correlation
from ...validation.metrics import describe_factor
from .. import numbers
from ..words import NO_BREAK, number, percent, short
from .clouds import pair_name, strata_pairs
from .figures import anisotropy_subjects
from .select import comparisons, main_law, map_subjects, middle, subjects

if TYPE_CHECKING:
    from ...validation.linear.results import Comparison, Validation


def takeaways(validation: Validation) -> dict[str, str]:
    """By the name of the figure; empty where there is nothing to say."""
    return {
        "ratios": _take_ratios(validation),
        "kappa": _take_kappa(validation),
        "overshrinkage": _take_overshrinkage(validation),
        "anisotropy": _take_anisotropy(validation),
        "inhomogeneity": _take_inhomogeneity(validation),
        "scaling": _take_scaling(validation),
        "scatter": _take_scatter(validation),
        "pixels": _take_pixels(validation),
        "counterfactual": _take_counterfactual(validation),
        "steps": _take_steps(validation),
    }


def _main(validation: Validation, quantity: str, subject: str | None = None) -> list[Comparison]:
    """Comparisons of a quantity with the main law, in ascending n."""
    found = comparisons(validation, quantity, main_law(validation).name)
    return sorted((c for c in found if subject in (None, c.subject)), key=lambda c: c.n)


def _log_ratio(comparison: Comparison) -> FloatArray:
    """log(simulated/predicted) of each entry, NaN where there is none."""
    return np.log(numbers.positive(numbers.ratio(comparison.agreement.simulated, comparison.agreement.predicted)))


def times(value: float) -> str:
    """``1.6 times``, ``0.05 times``; close to one ``1.0130 times``."""
    return f"{f'{value:.4f}' if 0.9 < value < 1.1 else rough(value)} times"


def rough(value: float) -> str:
    """Two significant digits: ``2.3``, ``11,000``."""
    return number(float(f"{value:.2g}"), 2)


def typically_off(log_error: float) -> str:
    """``3.2 %`` or ``a factor of 2.3`` for a logarithmic error."""
    return describe_factor(math.exp(min(log_error, 50.0)))


def _take_ratios(validation: Validation) -> str:
    law = main_law(validation)
    ratios = [c.agreement.ratio for c in comparisons(validation, law=law.name)]
    ratios = [r for r in ratios if math.isfinite(r)]
    if not ratios:
        return ""
    median = float(np.median(ratios))
    inside = sum(0.9 <= r <= 1.1 for r in ratios)
    return (
        f"Under the {law.title}, simulated totals are {number(min(ratios))} to {number(max(ratios))} times the predicted "
        f"ones (median {number(median)}); {inside:,} of {len(ratios):,} are within 10{NO_BREAK}%."
    )


def _take_kappa(validation: Validation) -> str:
    found = _main(validation, "kappa")
    if not found:
        return ""
    parts = []
    for comparison in (found[0], found[-1]) if len(found) > 1 else found:
        deviation = np.abs(_log_ratio(comparison))
        if not np.isfinite(deviation).any():
            continue
        place = int(np.nanargmax(deviation))
        ratio = float(comparison.agreement.simulated[place] / comparison.agreement.predicted[place])
        sigma = short(math.sqrt(float(comparison.entries[place])), 2)
        parts.append(f"at n = {comparison.n:,} it is {times(ratio)} the predicted one (σ = {sigma})")
    return f"The simulated κ where it is furthest from theory: {'; '.join(parts)}." if parts else ""


def _take_overshrinkage(validation: Validation) -> str:
    chosen = map_subjects(validation, "gains") or subjects(validation, "gains")
    if not chosen:
        return ""
    subject, label = next(iter(chosen.items()))
    comparison = _main(validation, "gains", subject)[0]
    question = next(q for q in validation.maps if q.key == subject)
    ideal = np.asarray(question.gain(validation.eigenvalues), dtype=np.float64)[comparison.entries]
    kept = numbers.ratio(comparison.agreement.simulated, ideal)
    if not np.isfinite(kept).any():
        return ""
    place = int(np.nanargmin(kept))
    predicted = float(comparison.agreement.predicted[place] / ideal[place])
    text = (
        f"With {comparison.n:,} images, the hardest hit mode of the {label}, mode {int(comparison.entries[place]) + 1:,}, "
        f"keeps {percent(float(kept[place]))} of its gain in the simulation; theory says {percent(predicted)}."
    )
    deviation = np.abs(_log_ratio(comparison))
    return f"{text} The typical mode (median) is off by {typically_off(float(np.nanmedian(deviation)))}."


def _take_anisotropy(validation: Validation) -> str:
    parts = []
    for subject, label in anisotropy_subjects(validation).items():
        found = _main(validation, "mode_disagreement", subject)
        if not found:
            continue
        comparison = _at(found, middle(validation.n))
        span = numbers.finite_range(comparison.agreement.simulated)
        order = rank_correlation(comparison.agreement.predicted, comparison.agreement.simulated).value
        if span is not None and math.isfinite(order):
            parts.append(f"{label}: a factor of {rough(span[1] / span[0])}, rank correlation {order:.2f}")
    if not parts:
        return ""
    start = f"How much modes differ in disagreement at n = {middle(validation.n):,}, and how well theory orders them. "
    return start + "; ".join(part[0].upper() + part[1:] if k == 0 else part for k, part in enumerate(parts)) + "."


def _at(found: list[Comparison], n: int) -> Comparison:
    return next((c for c in found if c.n == n), found[-1])


def _take_inhomogeneity(validation: Validation) -> str:
    parts = []
    for subject, label in subjects(validation, "seeds").items():
        found = _main(validation, "seeds", subject)
        if not found:
            continue
        comparison = _at(found, middle(validation.n))
        span = numbers.finite_range(comparison.agreement.simulated)
        order = rank_correlation(comparison.agreement.predicted, comparison.agreement.simulated).value
        if span is not None and math.isfinite(order):
            parts.append(f"{label}: {rough(span[1] / span[0])} ({order:.2f})")
    if not parts:
        return ""
    return (
        f"From one input to another the simulated disagreement varies at n = {middle(validation.n):,} by this factor "
        f"(in brackets the rank correlation with theory): {'; '.join(parts)}."
    )


def _take_scaling(validation: Validation) -> str:
    found = _main(validation, "bands", validation.scaling.subject)
    if not found:
        return ""
    first, last = found[0].agreement, found[-1].agreement
    if len(found) == 1:
        return f"At n = {found[0].n:,} the simulated disagreement, all bands together, is {times(first.ratio)} the predicted one."
    simulated = float(numbers.ratio(first.simulated.sum(), last.simulated.sum()))
    predicted = float(numbers.ratio(first.predicted.sum(), last.predicted.sum()))
    if not (math.isfinite(simulated) and math.isfinite(predicted)):
        return ""
    return (
        f"From n = {found[0].n:,} to {found[-1].n:,} the disagreement falls {rough(simulated)}-fold in the simulation "
        f"and {rough(predicted)}-fold in theory (1/n would be {rough(found[-1].n / found[0].n)}-fold)."
    )


def _take_scatter(validation: Validation) -> str:
    found = _main(validation, "mode_variance")
    if not found:
        return ""
    worst = max(found, key=lambda c: c.agreement.log_error)
    best = min(found, key=lambda c: c.agreement.log_error)
    kinds = [(worst, "at most")] if worst is best else [(best, "between"), (worst, "and")]
    text = " ".join(f"{word} {typically_off(c.agreement.log_error)} ({c.label}, n = {c.n:,})" for c, word in kinds)
    noise = [c.agreement.log_noise for c in found]
    return (
        f"The typical mode pair is off by {text}; Monte Carlo error alone makes "
        f"{typically_off(min(noise))} to {typically_off(max(noise))}."
    )


def _take_pixels(validation: Validation) -> str:
    found = [c for c in _main(validation, "pixels") if c.n == middle(validation.n)]
    if not found:
        return ""
    parts = [f"{times(c.agreement.ratio)} ({c.label})" for c in found]
    return f"At n = {middle(validation.n):,} the simulated variance, all pixels together, is {', '.join(parts)} the predicted one."


def _take_counterfactual(validation: Validation) -> str:
    found = validation.counterfactual
    if found is None:
        return ""
    pairs = strata_pairs(validation)
    i, j = pairs[-1]
    base, top = float(found.simulated[0, 0]), float(found.simulated[i, j])
    names = pair_name(found.names[i], found.names[j])
    text = (
        f"Two models, {names}, differ {times(top / base)} as much as two of {found.names[0]} sets; infinite data would leave "
        f"{short(100 * float(found.predicted_limit[i, j]) / top)}{NO_BREAK}% of that."
    )
    law = main_law(validation)
    if law.name not in found.predicted:
        return text
    predicted = found.predicted[law.name]
    mixed = [pair for pair in pairs if pair[0] != pair[1]]
    same = [pair for pair in pairs if pair[0] == pair[1]]
    ends = []
    for words, group in (("different strata", mixed), ("one stratum", same)):
        ratios = [float(found.simulated[p] / predicted[p]) for p in group if predicted[p] > 0]
        if ratios:
            ends.append(f"{number(min(ratios))} to {number(max(ratios))} for two models of {words}")
    return f"{text} Simulated over predicted by the {law.title} is {' and '.join(ends)}." if ends else text


def _take_steps(validation: Validation) -> str:
    sizes = sorted({e.n for e in validation.step_errors})
    parts = []
    for n in sorted({*sizes[:1], *sizes[-1:]}):
        each = sorted((e for e in validation.step_errors if e.n == n), key=lambda e: e.steps)
        shares = " and ".join(f"{percent(e.ratio)} with {e.steps} steps" for e in each)
        parts.append(f"at n = {n:,} {shares}")
    if not parts:
        return ""
    return f"Error of the sampler's steps relative to the effect of finite data (root mean square): {'; '.join(parts)}."


# ---------------------------------------------------------------- alternative texts
def alternatives(validation: Validation) -> dict[str, str]:
    """One sentence on what each figure draws; the takeaway beside it says what it shows."""
    sizes = ", ".join(f"{n:,}" for n in validation.n)
    each = f"for each n = {sizes}"
    return {
        "ratios": "Simulated over predicted values with 95 % intervals, a row for each quantity and map, coloured by "
        f"verdict, {each}.",
        "kappa": f"Renormalised noise against noise variance, predicted lines and simulated points {each}, and their ratio.",
        "overshrinkage": f"Gain of each mode relative to infinite data, predicted lines and simulated points {each}, a "
        "panel for each map.",
        "anisotropy": f"Disagreement by mode of the output, predicted lines and simulated points {each}, a panel for each "
        "map, logarithmic axes.",
        "inhomogeneity": f"Simulated against predicted disagreement of each input, relative to the mean, {each}, with the "
        "diagonal, a panel for each map.",
        "scaling": "Disagreement of each eigenband against n, predicted curves and simulated points with intervals, "
        "logarithmic axes.",
        "scatter": f"Simulated against predicted variance of mode pairs {each}, with the diagonal, a panel for each map, "
        "logarithmic axes.",
        "pixels": "Standard deviation of each pixel for one input as images, simulated beside predicted, a row for each map.",
        "counterfactual": "Disagreement of models of any two strata of the data in ascending order: simulated with "
        "intervals, predicted, and with infinite data.",
        "steps": f"Error of samplers of finitely many steps beside the effect of finite data by eigenband {each}, and their "
        "ratio.",
    }
