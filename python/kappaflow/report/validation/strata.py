"""The sections on training sets that differ on purpose, and on samplers of finitely many steps."""

from __future__ import annotations

from functools import partial
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from .. import look, numbers
from ..document import HOW, Picture, Prose, Section, figure_section
from ..look import GUIDE, INK, MUTED, WIDTH, Legend, styled
from ..words import NO_BREAK, number, percent, short
from . import marks
from .phrases import PROSE, each_size, times
from .select import main_law, ordered_laws

if TYPE_CHECKING:
    from ...validation.linear.results import Validation

MARK = 4.0
STEP_MARKERS = ("s", "^", "v", "P", "X")
_STRATUM_ROW = 0.27


def counterfactual(validation: Validation) -> Section | None:
    """Training sets of different strata, if there are any."""
    if validation.counterfactual is None:
        return None
    return figure_section(
        "counterfactual",
        "Training sets that differ on purpose",
        "Strata",
        _counterfactual_takeaway(validation),
        Picture(
            name="counterfactual",
            caption=(
                f"Disagreement of two models for each pair of strata at n = {validation.counterfactual.n:,}. Images are ordered "
                f"along principal component {validation.counterfactual.component + 1}. Training sets come from the top, the "
                "bottom or the middle third, from the two outer sixths, or from all images (i.i.d., shaded row). The grey bar "
                "is what remains with infinite data; for two models of the same stratum it is zero and not drawn."
            ),
            alternative=(
                "Disagreement of models of any two strata of the data in ascending order: simulated with intervals, predicted, "
                "and with infinite data."
            ),
            draw=partial(draw_counterfactual, validation),
        ),
        Prose(
            PROSE,
            "counterfactual",
            {"draws": validation.counterfactual.draws, "label": validation.counterfactual.label},
            summary=HOW,
        ),
    )


def _counterfactual_takeaway(validation: Validation) -> str:
    found = validation.counterfactual
    if found is None:
        return ""
    pairs = strata_pairs(validation)
    i, j = pairs[-1]
    base, top = float(found.simulated[0, 0]), float(found.simulated[i, j])
    names = pair_name(found.names[i], found.names[j])
    text = (
        f"Two linear models ({names}) disagree {times(top / base)} as much as two models of {found.names[0]} sets; "
        f"{short(100 * float(found.predicted_limit[i, j]) / top)}{NO_BREAK}% of that would remain with infinite data."
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
    if not ends:
        return text
    return f"{text} The ratio of simulated to predicted disagreement ({law.title}) is {' and '.join(ends)}."


@styled
def draw_counterfactual(validation: Validation) -> Figure:
    """Disagreement of models of any two strata, sorted: simulated with intervals, predicted, and its limit."""
    figure = Figure(figsize=(WIDTH, _STRATUM_ROW * len(strata_pairs(validation)) + 1.3), layout="constrained")
    handles = list(plot_counterfactual(figure.add_subplot(), validation).handles)
    figure.legend(handles=handles, loc="outside upper center", ncols=min(3, len(handles)), columnspacing=1.4)
    return figure


def plot_counterfactual(ax: Axes, validation: Validation) -> Legend:
    """The same on given axes.

    Raises
    ------
    ValueError
        A validation without strata.
    """
    found, pairs = validation.counterfactual, strata_pairs(validation)
    if found is None:
        raise ValueError("counterfactual: the validation must have a counterfactual, got None")
    everything = (found.simulated, found.interval_low, found.interval_high, *found.predicted.values())
    limits = np.array([found.predicted_limit[i, j] for i, j in pairs])
    look.log_axis(ax.xaxis, *marks.limits_of(*everything, limits))
    for place, (i, j) in enumerate(pairs):
        ends = numbers.positive(np.array([found.interval_low[i, j], found.interval_high[i, j]]))
        ax.plot(ends, [place, place], color=INK, lw=2.0, zorder=3, solid_capstyle="butt")
        if (found.names[i], found.names[j]) == (found.names[0], found.names[0]):
            ax.axhspan(place - 0.5, place + 0.5, color="#eaf1f8", lw=0, zorder=0)
    places = np.arange(len(pairs))
    simulated = numbers.positive(np.array([found.simulated[i, j] for i, j in pairs]))
    ax.plot(numbers.positive(limits), places, ls="", marker="|", ms=9, mew=2.2, color=GUIDE, gid="limit", zorder=2)
    laws = [law for law in ordered_laws(validation) if law.name in found.predicted]
    handles = [Line2D([], [], color=INK, marker="o", ms=4, lw=2.0, label=f"simulation, 95{NO_BREAK}%")]
    for index, law in enumerate(laws):
        predicted = numbers.positive(np.array([found.predicted[law.name][i, j] for i, j in pairs]))
        style: dict[str, Any] = {"marker": "D", "ms": 7.0, "mew": 1.2, "mfc": "none", "mec": "#0072b2"}
        if index:
            style |= {"ms": 5.5, "mec": MUTED, "mew": 0.9, "marker": marks.law_marker(validation, law)}
        ax.plot(predicted, places, ls="", zorder=4 - 0.1 * index, gid=law.name, **style)
        handles.append(Line2D([], [], ls="", label=law.title, **style))
    ax.plot(simulated, places, ls="", marker="o", ms=4, mew=0, color=INK, zorder=5, gid="simulated")
    handles.append(Line2D([], [], ls="", marker="|", ms=9, mew=2.2, color=GUIDE, label="with infinite data"))
    ax.set_yticks(places, [pair_name(found.names[i], found.names[j]) for i, j in pairs])
    ax.set_ylim(-0.6, len(pairs) - 0.4)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    ax.set_xlabel("squared distance / d of two models")
    return Legend(handles)


def strata_pairs(validation: Validation) -> list[tuple[int, int]]:
    """Pairs of strata in ascending order of their simulated disagreement."""
    found = validation.counterfactual
    if found is None:
        return []
    pairs = list(combinations_with_replacement(range(len(found.names)), 2))
    return sorted(pairs, key=lambda pair: (float(found.simulated[pair]), pair))


def pair_name(first: str, second: str) -> str:
    """``both top``, ``top against bottom``."""
    return f"both {first}" if first == second else f"{first} against {second}"


# ---------------------------------------------------------------- sampler of finitely many steps
def steps(validation: Validation) -> Section | None:
    """Samplers of finitely many steps, if there are any."""
    if not validation.step_errors:
        return None
    each = each_size(validation)
    return figure_section(
        "steps",
        "Samplers with finitely many steps",
        "Sampler steps",
        _steps_takeaway(validation),
        Picture(
            name="steps",
            caption=(
                "Mean squared distances by eigenband. Dotted: between the step-by-step sampler and the continuous sampling map of "
                "the same training set. Solid (finite data): between a model of n images and the model of infinitely many. "
                "Bottom: the square root of their ratio. Where it is far below 100 %, the steps do not matter beside the effect "
                "of finite data."
            ),
            alternative=(
                f"Error of samplers with finitely many steps and effect of finite data by eigenband {each}, and their ratio."
            ),
            draw=partial(draw_steps, validation),
        ),
        Prose(PROSE, "steps", summary=HOW),
    )


def _steps_takeaway(validation: Validation) -> str:
    sizes = sorted({e.n for e in validation.step_errors})
    parts = []
    for n in sorted({*sizes[:1], *sizes[-1:]}):
        each = sorted((e for e in validation.step_errors if e.n == n), key=lambda e: e.steps)
        shares = " and ".join(f"{percent(e.ratio)} with {e.steps} steps" for e in each)
        parts.append(f"at n = {n:,}, {shares}")
    if not parts:
        return ""
    return f"Error of the sampler's steps relative to the effect of finite data (root mean square): {'; '.join(parts)}."


@styled
def draw_steps(validation: Validation) -> Figure:
    """Discretisation error of each step count and finite-data effect by eigenband for each n; below, their ratio."""
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.35, 1])
    legend = plot_step_errors(top, validation)
    plot_step_ratio(bottom, validation)
    look.stacked(top)
    look.legend_beside(figure, legend)
    return figure


def _step_counts(validation: Validation) -> list[int]:
    return sorted({e.steps for e in validation.step_errors})


def _step_look(validation: Validation, steps: int) -> dict[str, Any]:
    """Line and marker of a sampler of so many steps."""
    marker = STEP_MARKERS[_step_counts(validation).index(steps) % len(STEP_MARKERS)]
    return {"marker": marker, "ms": 4.5, "lw": 0.8, "ls": (0, (1, 1.6))}


def _band_axis(ax: Axes, validation: Validation) -> FloatArray:
    """Abscissa of eigenbands by name, and where they lie."""
    labels = [band.numbers.replace("-", "–") for band in validation.setup.bands]
    places = np.arange(len(labels), dtype=np.float64)
    ax.set_xticks(places, labels)
    if len(labels) > 8:
        ax.tick_params(axis="x", labelrotation=60)
    ax.set_xlabel("eigenband: modes")
    return places


def plot_step_errors(ax: Axes, validation: Validation) -> Legend:
    """Discretisation error of each step count and finite-data effect by eigenband for each n."""
    errors, counts, x = validation.step_errors, _step_counts(validation), _band_axis(ax, validation)
    for error in errors:
        style = {"color": marks.colour_of(validation, error.n), **_step_look(validation, error.steps)}
        ax.plot(x, numbers.positive(error.discretisation), gid=f"steps-{error.steps}-{error.n}", **style)
        if error.steps == counts[0]:
            solid: dict[str, Any] = {"color": style["color"], "marker": "o", "ms": MARK, "lw": 1.6}
            ax.plot(x, numbers.positive(error.finite_data), gid=f"data-{error.n}", **solid)
    look.log_axis(ax.yaxis, *marks.limits_of(*(a for e in errors for a in (e.discretisation, e.finite_data))))
    ax.set_ylabel("squared distance / d")
    finite = Line2D([], [], color=INK, marker="o", ms=MARK, lw=1.6, label="finite data")
    return look.n_legend(validation.setup.n, [finite, *_step_handles(validation)])


def plot_step_ratio(ax: Axes, validation: Validation) -> Legend:
    """Discretisation error over finite-data effect by eigenband for each step count and n, root mean square."""
    x, drawn = _band_axis(ax, validation), [np.ones(1)]
    for error in validation.step_errors:
        style = {"color": marks.colour_of(validation, error.n), **_step_look(validation, error.steps)}
        relative = np.sqrt(numbers.ratio(error.discretisation, error.finite_data))
        ax.plot(x, numbers.positive(relative), gid=f"ratio-{error.steps}-{error.n}", **style)
        drawn.append(relative)
    look.log_axis(ax.yaxis, *marks.limits_of(*drawn), text=lambda v: f"{100 * v:.3g} %")
    ax.axhline(1.0, **marks.GUIDE_LOOK)
    ax.set_ylabel("steps / finite data (RMS)")
    return look.n_legend(validation.setup.n, _step_handles(validation))


def _step_handles(validation: Validation) -> list[Line2D]:
    return [
        Line2D([], [], color=INK, label=f"{count} steps", **_step_look(validation, count))
        for count in _step_counts(validation)
    ]
