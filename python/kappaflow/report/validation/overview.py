"""The section that shows every ratio of simulated to predicted at a glance."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...validation.metrics import FALSE_ALARM
from .. import look, numbers
from ..document import HOW, Picture, Prose, Section
from ..look import INK, MUTED, WIDTH, styled
from ..words import NO_BREAK, number, percent_setting
from . import marks
from .phrases import PROSE, each_size
from .select import (
    PRACTICAL,
    comparisons,
    excess,
    is_published,
    leading_law,
    main_law,
    ordered_laws,
    quantity_names,
    quantity_title,
    subjects,
    verdict,
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


def overview(validation: Validation) -> Section:
    """Simulated over predicted for every quantity, map, n and law."""
    takeaway = _ratios_takeaway(validation)
    judged = len(comparisons(validation, law=leading_law(validation).name))
    return Section(
        name="overview",
        title="Everything at a glance: simulated over predicted",
        contents="Overview",
        takeaways=(takeaway,) if takeaway else (),
        parts=(
            Picture(
                name="ratios",
                caption=_ratios_caption(validation),
                alternative=(
                    "Simulated over predicted values with 95 % intervals, coloured by verdict, in one row for each quantity and "
                    f"map, {each_size(validation)}."
                ),
                draw=partial(draw_ratios, validation),
            ),
            Prose(
                PROSE,
                "overview",
                {
                    "comparisons": len(validation.comparisons),
                    "false_alarms": number(2 * FALSE_ALARM * judged, 2),
                    "practical": percent_setting(PRACTICAL),
                },
                summary=HOW,
            ),
        ),
    )


def _ratios_caption(validation: Validation) -> str:
    text = (
        "Each mark is a simulated total divided by the predicted total, with its 95 % interval; for κ it is the mean ratio over "
        "noise levels. The colour and the shape of the mark show the verdict, which is on the total and on the typical entry. "
        "The pale bar shows by what factor a typical entry (root mean square) is off beyond Monte Carlo error. A miss at 1 "
        "therefore has the right total and wrong entries."
    )
    if len(validation.setup.laws) > 1:
        text += f" Filled marks: {main_law(validation).title}."
    if len(validation.setup.n) > FOREST_COLUMNS:
        text += (
            f" Only some of the {len(validation.setup.n)} training-set sizes are shown; the table of all comparisons has every "
            "one."
        )
    return text


def _ratios_takeaway(validation: Validation) -> str:
    law = main_law(validation)
    ratios = [c.agreement.ratio for c in comparisons(validation, law=law.name)]
    ratios = [r for r in ratios if math.isfinite(r)]
    if not ratios:
        return ""
    median = float(np.median(ratios))
    inside = sum(0.9 <= r <= 1.1 for r in ratios)
    return (
        f"With the {law.title}, simulated totals are {number(min(ratios))} to {number(max(ratios))} times the predicted "
        f"ones (median {number(median)}); {inside:,} of {len(ratios):,} are within 10{NO_BREAK}%."
    )


@styled
def draw_ratios(validation: Validation) -> Figure:
    """Simulated over predicted with its 95 % interval and the verdict, for each quantity, map, n and law."""
    rows = forest_rows(validation)
    sizes = [validation.setup.n[k] for k in numbers.spread(len(validation.setup.n), FOREST_COLUMNS)]
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
                0.98,
                0.0,
                f"{hidden} without positive ratio",
                transform=ax.transAxes,
                ha="right",
                va="bottom",
                color=MUTED,
                fontsize=8,
            )
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
    found, outcome = comparison.agreement, verdict(comparison)
    colour, marker = marks.OUTCOME_COLOURS[outcome], marks.OUTCOME_MARKERS[outcome]
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
    words = {
        "agrees": "agrees",
        "limit": "agrees to order 1/m",
        "small": f"beyond chance, at most {percent_setting(PRACTICAL)}",
        "misses": "misses",
    }
    present = [name for name in words if any(verdict(c) == name for c in validation.comparisons)]
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
