"""The figures of theory against simulation by noise level, by mode and by n, and the overview of all ratios.

Each is a function from a :class:`~kappaflow.validation.linear.results.Validation` to a ``Figure``. Logarithmic axes leave out what
they cannot show; nothing is shifted or clipped to make it fit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..._checks import FloatArray
from .. import look, numbers
from ..look import GUIDE, INK, MUTED, WIDTH, styled
from . import marks
from .select import (
    comparisons,
    curve_laws,
    differs,
    excess,
    interval,
    is_published,
    main_law,
    map_subjects,
    ordered_laws,
    quantity_names,
    quantity_title,
    spread,
    subjects,
)

if TYPE_CHECKING:
    from ...validation.laws import ComparedLaw
    from ...validation.linear.results import Comparison, Validation

FOREST_COLUMNS = 4  # training-set sizes in the overview; more are left to the table
_ROW = 0.205  # inches of a row in the overview
_SHORT_TITLES = {
    "kappa": "renormalised noise κ",
    "gains": "expected gain of modes",
    "mode_disagreement": "disagreement by mode",
}


# ---------------------------------------------------------------- overview
@styled
def ratios(validation: Validation) -> Figure:
    """Simulated over predicted with its 95 % interval and the verdict, for each quantity, map, n and law."""
    rows = forest_rows(validation)
    sizes = [validation.n[k] for k in spread(len(validation.n), FOREST_COLUMNS)]
    laws = ordered_laws(validation)
    height = _ROW * max(1.0, 0.62 * len(laws)) * len(rows) + 1.5
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    low, high = _forest_range(validation, sizes)
    for ax, n in zip(axes, sizes, strict=True):
        look.factor_axis(ax.xaxis, low, high)
        ax.axvline(1.0, color=INK, lw=0.8, zorder=1)
        hidden = 0
        for place, row in enumerate(rows):
            quantity, subject, _ = row
            for index, law in enumerate(laws):
                comparison = validation.find(quantity, law.name, n, subject)
                shift = 0.5 * ((index + 0.5) / len(laws) - 0.5)
                if comparison is not None and not _forest_mark(ax, comparison, place + shift, _filling(law, index)):
                    hidden += 1
        if hidden:
            ax.text(
                0.98, 0.0, f"{hidden} without positive ratio", transform=ax.transAxes, ha="right", va="bottom",
                color=MUTED, fontsize=8,
            )  # fmt: skip
        ax.set_title(f"n = {n:,}", loc="center")
        ax.tick_params(axis="y", length=0)
        ax.grid(False, axis="y")
    _forest_labels(axes[0], rows)
    axes[len(axes) // 2].set_xlabel("simulated / predicted")
    figure.legend(handles=_forest_handles(validation), loc="outside lower center", ncols=3, columnspacing=1.6)
    return figure


#: A row of the overview: quantity, subject and label; a title has no quantity.
Row = tuple[str, str, str]


def forest_rows(validation: Validation) -> list[Row]:
    """Rows of the overview: the maps of each quantity under its title."""
    rows: list[Row] = []
    for quantity in quantity_names(validation):
        found = subjects(validation, quantity)
        title = _SHORT_TITLES.get(quantity, quantity_title(validation, quantity))
        if list(found) == [""]:
            rows.append((quantity, "", title))
            continue
        rows.append(("", "", title))
        # a pair of maps has a long name, whose second half says it all
        rows += [(quantity, key, label.replace(" and sampling map to", ", also to")) for key, label in found.items()]
    return rows


def _forest_labels(ax: Axes, rows: list[Row]) -> None:
    ax.set_yticks(range(len(rows)), [label for _, _, label in rows])
    for text, row in zip(ax.get_yticklabels(), rows, strict=True):
        text.set_fontsize(8.5)
        text.set_color(INK if row[1] == "" else MUTED)
    ax.set_ylim(len(rows) - 0.3, -0.7)


def _forest_range(validation: Validation, sizes: list[int]) -> tuple[float, float]:
    shown = [c for c in validation.comparisons if c.n in sizes]
    values = [x for c in shown for x in (c.agreement.ratio, *c.agreement.ratio_interval, *_typical(c))]
    return numbers.finite_range(np.array(values, dtype=np.float64)) or (0.5, 2.0)


def _typical(comparison: Comparison) -> tuple[float, float]:
    """What a typical entry is off by, beyond Monte Carlo, to both sides."""
    reach = math.exp(min(excess(comparison), 50.0))
    return 1 / reach, reach


def _filling(law: ComparedLaw, place: int) -> dict[str, Any]:
    """How the marks of a law are filled: the first whole, those of the published one not at all, all others half by half."""
    if place == 0:
        return {"fillstyle": "full"}
    half = ("top", "left")[place % 2]
    return {"fillstyle": "none"} if is_published(law) else {"fillstyle": half, "markerfacecoloralt": "white"}


def _forest_mark(ax: Axes, comparison: Comparison, y: float, filling: dict[str, Any]) -> bool:
    """One mark of the overview; False where its ratio has no place on the axis."""
    found = comparison.agreement
    colour, marker = marks.OUTCOME_COLOURS[found.outcome], marks.OUTCOME_MARKERS[found.outcome]
    ax.plot(_typical(comparison), [y, y], color=colour, lw=4.0, alpha=0.17, solid_capstyle="butt", zorder=1.5)
    if not (math.isfinite(found.ratio) and found.ratio > 0):
        return False
    low, high = numbers.positive(np.array(found.ratio_interval))
    if np.isnan(low):
        low = ax.get_xlim()[0]
    ax.plot([low, high], [y, y], color=colour, lw=1.1, zorder=2)
    gid = f"{comparison.quantity}/{comparison.subject}/{comparison.law}/{comparison.n}"
    ax.plot([found.ratio], [y], ls="", marker=marker, ms=3.6, color=colour, mew=0.9, zorder=3, gid=gid, **filling)
    return True


def _forest_handles(validation: Validation) -> list[Line2D | Patch]:
    words = {"agrees": "agrees", "limit": "agrees to order 1/m", "misses": "misses"}
    present = [name for name in words if any(c.agreement.outcome == name for c in validation.comparisons)]
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=colour, marker=marks.OUTCOME_MARKERS[name], ms=4, lw=1.1, label=words[name])
        for name in present
        for colour in (marks.OUTCOME_COLOURS[name],)
    ]
    laws = ordered_laws(validation)
    if len(laws) > 1:
        for index, law in enumerate(laws):
            style = _filling(law, index)
            handles.append(Line2D([], [], ls="", marker="o", ms=4, color=MUTED, label=law.title, **style))
    handles.append(Patch(color=MUTED, alpha=0.25, lw=0, label="typical entry beyond Monte Carlo"))
    return handles


# ---------------------------------------------------------------- renormalised noise
@styled
def kappa(validation: Validation) -> Figure:
    """κ against σ² for each n: theory and simulation; below, simulated over predicted with intervals."""
    figure = Figure(figsize=(WIDTH, 5.6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.5, 1])
    found = comparisons(validation, "kappa")
    laws = curve_laws(validation, validation.kappa)
    grid, main = validation.kappa_grid, laws[0]
    look.log_axis(bottom.xaxis, *marks.limits_of(grid, pad=0.02))
    curves = list(validation.kappa.values())
    look.log_axis(top.yaxis, *marks.limits_of(grid, *curves, *(c.agreement.simulated for c in found), pad=0.04))
    top.plot(grid, grid, gid="diagonal", **marks.GUIDE_LOOK)
    bottom.axhline(1.0, **marks.GUIDE_LOOK)
    shown, ends = [], []
    for law in laws:
        if law is not main and not differs(validation.kappa[law.name], validation.kappa[main.name]):
            continue
        shown.append(law.name)
        for row, n in enumerate(validation.n):
            style = {**marks.law_look(validation, law), "color": marks.colour_of(validation, n)}
            top.plot(grid, numbers.positive(validation.kappa[law.name][row]), gid=f"{law.name}-{n}", **style)
    for comparison in found:
        if comparison.law != main.name:
            continue
        x, colour = numbers.positive(comparison.entries), marks.colour_of(validation, comparison.n)
        gid = f"simulated-{comparison.n}"
        marks.simulated_points(top, validation, comparison, x, gid=gid, color=colour)
        scale = numbers.ratio(np.ones(x.size), comparison.agreement.predicted)
        marks.simulated_points(
            bottom, validation, comparison, x, gid=f"ratio-{comparison.n}", scale=scale, color=colour
        )
        bottom.plot(
            x, numbers.ratio(comparison.agreement.simulated, comparison.agreement.predicted), color=colour, lw=0.7
        )
        ends += [array * scale for array in interval(validation, comparison)]
    look.factor_axis(bottom.yaxis, *(numbers.finite_range(*ends) or (0.5, 2.0)))
    top.tick_params(which="both", labelbottom=False)
    top.set_ylabel("renormalised noise κ(σ²)")
    bottom.set_ylabel("simulated / predicted")
    bottom.set_xlabel("noise variance σ²")
    diagonal = Line2D([], [], label="κ = σ²\n(infinite data)", **marks.GUIDE_LOOK)
    extra = [*marks.law_handles(validation, shown), marks.simulation_handle(), diagonal]
    look.n_legend(figure, validation.n, extra)
    return figure


# ---------------------------------------------------------------- by mode
@styled
def overshrinkage(validation: Validation) -> Figure:
    """Expected gain over the gain with infinite data by mode, for the sampling map and each denoiser."""
    chosen = map_subjects(validation, "gains") or subjects(validation, "gains")
    ideal = {q.key: np.asarray(q.gain(validation.eigenvalues), dtype=np.float64) for q in validation.maps}
    grid = marks.panels(len(chosen))
    shown: set[str] = set()
    for ax, (subject, label) in zip(grid.axes, chosen.items(), strict=True):
        found = [c for c in comparisons(validation, "gains") if c.subject == subject]

        def relative(comparison: Comparison, key: str = subject) -> FloatArray:
            return numbers.ratio(np.ones(comparison.entries.size), ideal[key][comparison.entries])

        shown |= _by_mode(ax, validation, found, relative)
        ax.axhline(1.0, zorder=1, **marks.GUIDE_LOOK)
        ends = [array * relative(c) for c in found for array in (*_thinned_ends(validation, c), c.agreement.predicted)]
        low, high = numbers.finite_range(*ends) or (0.0, 1.0)
        if high > 3.0:
            look.log_axis(ax.yaxis, *numbers.log_limits(low, max(high, 1.0)))
        else:
            ax.set_ylim(0, max(1.06, 1.04 * high))
        ax.set_title(label[0].upper() + label[1:])
        ax.set_xlabel("mode k")
    _first_of_rows(grid.axes, "gain / gain with infinite data")
    extra = [*marks.law_handles(validation, sorted(shown)), marks.simulation_handle()]
    extra.append(Line2D([], [], label="infinite data", **marks.GUIDE_LOOK))
    grid.legend(validation, extra)
    return grid.figure


def anisotropy_subjects(validation: Validation) -> dict[str, str]:
    """The denoisers of lowest and highest noise and the final sampling map, as far as they are there."""
    found = subjects(validation, "mode_disagreement")
    denoisers = sorted((q for q in validation.maps if q.kind == "denoiser" and q.key in found), key=_noise)
    ends = [denoisers[0], denoisers[-1]] if len(denoisers) > 1 else denoisers
    final = [q for q in validation.maps if q.kind == "sampling_map" and q.sigma == 0 and q.key in found]
    return {q.key: q.label for q in (*ends, *final)} or found


def _noise(question: Any) -> float:
    return float(question.sigma)


@styled
def anisotropy(validation: Validation) -> Figure:
    """Mean disagreement by output mode at low and high noise of the denoiser and for the sampling map."""
    chosen = anisotropy_subjects(validation)
    grid = marks.panels(len(chosen))
    shown: set[str] = set()
    for ax, (subject, label) in zip(grid.axes, chosen.items(), strict=True):
        found = [c for c in comparisons(validation, "mode_disagreement") if c.subject == subject]
        shown |= _by_mode(ax, validation, found, lambda _comparison: 1.0)
        values = [x for c in found for x in (c.agreement.predicted, *_thinned_ends(validation, c))]
        look.log_axis(ax.yaxis, *marks.limits_of(*values))
        ax.set_title(label[0].upper() + label[1:])
        ax.set_xlabel("mode k of the output")
    _first_of_rows(grid.axes, "squared distance / d")
    extra = [*marks.law_handles(validation, sorted(shown)), marks.simulation_handle()]
    grid.legend(validation, extra)
    return grid.figure


def _thinned_ends(validation: Validation, comparison: Comparison) -> tuple[FloatArray, FloatArray]:
    """Ends of the intervals that are drawn; NaN elsewhere."""
    low, high = interval(validation, comparison)
    drawn = np.zeros(low.size, dtype=np.bool_)
    drawn[marks.thinned(low.size)] = True
    return np.where(drawn, low, np.nan), np.where(drawn, high, np.nan)


def _by_mode(ax: Axes, validation: Validation, found: list[Comparison], scale: Any) -> set[str]:
    """Theory and simulation of one map by mode; names of the laws that are drawn."""
    look.mode_axis(ax, validation.eigenvalues.size)
    main = main_law(validation)
    first = {c.n: c for c in found if c.law == main.name}
    shown: set[str] = set()
    for law in ordered_laws(validation):
        for comparison in (c for c in found if c.law == law.name):
            colour = marks.colour_of(validation, comparison.n)
            predicted = comparison.agreement.predicted
            other = first.get(comparison.n)
            if law.name != main.name and other is not None and not differs(predicted, other.agreement.predicted):
                continue
            shown.add(law.name)
            style = {**marks.law_look(validation, law), "color": colour}
            few: dict[str, Any] = {"marker": "_", "ms": 9} if predicted.size <= 3 else {}
            ax.plot(
                comparison.entries + 1, numbers.positive(predicted * scale(comparison)),
                gid=f"{comparison.subject}-{law.name}-{comparison.n}", **style, **few,
            )  # fmt: skip
    for n, comparison in first.items():
        x = np.asarray(comparison.entries + 1, dtype=np.float64)
        marks.simulated_points(
            ax, validation, comparison, x, gid=f"{comparison.subject}-simulated-{n}", scale=scale(comparison),
            color=marks.colour_of(validation, n),
        )  # fmt: skip
    return shown


def _first_of_rows(axes: list[Axes], label: str) -> None:
    """Name the ordinate where a row of panels begins."""
    for ax in axes:
        spec = ax.get_subplotspec()
        if spec is None or spec.is_first_col():
            ax.set_ylabel(label)


# ---------------------------------------------------------------- by n
@styled
def scaling(validation: Validation) -> Figure:
    """Disagreement by eigenband against n: predicted curves, simulated points with intervals, and 1/n."""
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    ax = figure.add_subplot()
    curves = validation.scaling
    laws = curve_laws(validation, curves.disagreement)
    main = laws[0]
    found = [c for c in comparisons(validation, "bands", main.name) if c.subject == curves.subject]
    simulated = [end for c in found for end in interval(validation, c)]
    n_values = [curves.n, np.array(validation.n, dtype=np.float64)]
    look.log_axis(ax.xaxis, *marks.limits_of(*n_values, pad=0.03))
    limits = marks.limits_of(*curves.disagreement.values(), *simulated)
    look.log_axis(ax.yaxis, *limits)
    shown, handles = [], []
    for law in laws:
        values = curves.disagreement[law.name]
        if law is not main and not differs(values, curves.disagreement[main.name]):
            continue
        shown.append(law.name)
        for index in range(len(validation.bands)):
            style = {**marks.law_look(validation, law), "color": look.band_colour(index)}
            ax.plot(curves.n, numbers.positive(values[:, index]), gid=f"{law.name}-{index}", **style)
    for index, band in enumerate(validation.bands):
        colour, marker = look.band_colour(index), look.band_marker(index)
        arrays = [(c.n, numbers.positive(c.agreement.simulated)[index], *(e[index] for e in interval(validation, c)))
                  for c in found]  # fmt: skip
        if arrays:
            x, y, low, high = (np.array(column, dtype=np.float64) for column in zip(*arrays, strict=True))
            look.points(ax, x, y, low, high, gid=f"simulated-{index}", color=colour, marker=marker, ms=4.5)
        label = band.label.replace("-", "–")
        handles.append(Line2D([], [], color=colour, marker=marker, ms=4.5, lw=1.4, label=label))
    handles.append(_inverse_guide(ax, curves.n, curves.disagreement[main.name], limits))
    handles += marks.law_handles(validation, shown) if len(shown) > 1 else []
    ax.set_xlabel("training images n")
    ax.set_ylabel("squared distance / d in the band")
    figure.legend(handles=handles, title="eigenbands", loc="outside right upper", alignment="left")
    return figure


def _inverse_guide(ax: Axes, n: FloatArray, values: FloatArray, limits: tuple[float, float]) -> Line2D:
    """Slope −1 through the end of the largest band, a little above it: the rate of plain averaging."""
    last = numbers.finite_range(values[-1])
    anchor = 1.6 * last[1] if last else math.sqrt(limits[0] * limits[1])
    ys = anchor * n[-1] / n
    (line,) = ax.plot(
        n, np.where((ys >= limits[0]) & (ys <= limits[1]), ys, np.nan), color=GUIDE, lw=1.0, ls=(0, (1, 1.6)),
        label="∝ 1/n", zorder=1, gid="guide",
    )  # fmt: skip
    return line
