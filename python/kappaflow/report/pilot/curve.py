"""The section on the disagreement at any number of images."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...common_floor import OPTIMISATION_SHARE
from ...validation.laws import compared_laws
from .. import look, numbers
from ..document import HOW, Picture, Prose, Section, Table, rounded
from ..kinds import ARM_COLOURS, ARM_TITLES
from ..look import ACCENT, GUIDE, INK, MARKER, MUTED, WIDTH, Legend, legend_below, styled
from ..words import joined, number, percent, percent_setting, percent_tick
from .phrases import COVERED, PROSE, limits, networks, with_limits

if TYPE_CHECKING:
    from ...pilot.results import ForecastAt, Pilot

#: The curve is drawn this many times further than the images at hand.
_REACH = 10
_POINTS: dict[str, Any] = {"ls": "", "marker": "o", "ms": MARKER + 1, "mec": "white", "mew": 0.5, "zorder": 4}
#: Kinds of pairs: what the results call them.
_KINDS = {"different": "everything", "same": "data_alone", "floor": "same_images"}


def amount(pilot: Pilot) -> Section:
    """Disagreement of two networks at any number of images."""
    return Section(
        name="amount",
        title="How much will two runs disagree?",
        contents="How much?",
        takeaways=_takeaways(pilot),
        parts=(
            Picture(
                name="curve",
                caption="Disagreement of two networks, relative to that of unrelated seeds, against the number of images in each "
                f"training set. The band should hold the truth {COVERED}. Points are pairs of pilots that were trained and pass "
                "the gate; everything else is the fit. The dashed line is about linear models.",
                alternative=_alternative(pilot),
                draw=partial(draw_curve, pilot),
            ),
            _table(pilot),
            _whole_table(pilot),
            Prose(PROSE, "amount", _fit(pilot), summary=HOW),
        ),
    )


def _takeaways(pilot: Pilot) -> tuple[str, ...]:
    there, floor = pilot.halves, pilot.amount.everything(0.0)
    sentences = [
        f"Two {networks(pilot)} that differ in everything, trained on {there.n:,} images each, will disagree by about "
        f"{percent(there.everything.value)}; {COVERED}, it should be {limits(there.everything)}.",
        f"However many images there are, about {with_limits(floor)} remain if networks are trained as these were.",
    ]
    if math.isfinite(there.data_alone.value):
        sentences.append(
            f"Two that differ only in their images start from the same weights and see the same noise; they will disagree by about "
            f"{with_limits(there.data_alone)} at this n."
        )
    sentences.append(f"The theory of linear models says {percent(there.law)} there; it is not about these networks.")
    return tuple(sentences)


def _alternative(pilot: Pilot) -> str:
    ends = [pilot.curve[0], pilot.halves]
    steps = joined([f"{percent(each.everything.value)} at n = {each.n:,}" for each in ends])
    return (
        f"Disagreement of two networks against the number of training images n on logarithmic axes: {steps} if everything differs; "
        f"it falls towards {percent(pilot.amount.fit.floor)}."
    )


def _fit(pilot: Pilot) -> dict[str, object]:
    """Numbers of the fit for the text on how it is made."""
    fit, alone = pilot.amount.fit, pilot.amount.data_floor
    return {
        "floor": number(fit.floor),
        "data": number(fit.data),
        "optimisation": number(fit.optimisation),
        "data_floor": number(alone) if math.isfinite(alone) else "",
        "share": OPTIMISATION_SHARE,
        "law": compared_laws()[pilot.setup.law].title,
        "images": f"{pilot.data.images:,}",
        "draws": f"{len(pilot.amount.draws):,}",
    }


@styled
def draw_curve(pilot: Pilot) -> Figure:
    """Forecasts with their interval, the pilots as points, the floor, and the law of linear models."""
    figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
    ax = figure.add_subplot()
    legend = plot_curve(ax, pilot)
    legend_below(figure, legend.handles, columns=3)
    return figure


def plot_curve(ax: Axes, pilot: Pilot) -> Legend:
    """The same on given axes."""
    shown = shown_curve(pilot)
    n = np.array([each.n for each in shown], dtype=np.float64)
    handles: list[Any] = []
    low, high = (np.array([getattr(each.everything, end) for each in shown]) for end in ("low", "high"))
    colour = ARM_COLOURS["different"]
    ax.fill_between(n, low, high, color=colour, alpha=0.18, lw=0, gid="interval")
    drawn = [low, high, np.array([pilot.tolerance])]
    for arm, name in _KINDS.items():
        values = np.array([getattr(each, name).value for each in shown])
        if not np.isfinite(values).any():
            continue
        (line,) = ax.plot(n, values, color=ARM_COLOURS[arm], lw=2.2 if arm == "different" else 1.4, gid=name)
        line.set_label(ARM_TITLES[arm])
        handles.append(line)
        drawn.append(values)
        for size in pilot.sizes:
            observed = getattr(size, name)
            gid = f"pairs-{name}-{size.n}"
            ax.plot(np.full(len(observed), size.n), observed, color=ARM_COLOURS[arm], gid=gid, **_POINTS)
            drawn.append(observed)
    handles.append(Patch(color=colour, alpha=0.18, lw=0, label="80 % of the cases"))
    floor = pilot.amount.fit.floor
    if floor > 0:
        handles.append(
            ax.axhline(floor, color=GUIDE, lw=1.2, ls=(0, (1, 1.6)), gid="floor", label="any number of images")
        )
        drawn.append(np.array([floor]))
    law = np.array([each.law for each in shown])
    handles += ax.plot(n, law, color=INK, lw=1.2, ls=(0, (5, 2)), gid="law", label="linear models (theory)")
    handles.append(ax.axhline(pilot.tolerance, color=ACCENT, lw=1.1, gid="tolerance"))
    handles[-1].set_label(f"tolerance {percent_setting(pilot.tolerance)}")
    handles.append(Line2D([], [], ls="", marker="o", ms=MARKER + 1, color=MUTED, label="pilots, each a pair"))
    smallest, largest = numbers.finite_range(*drawn) or (0.01, 1.0)
    look.log_axis(ax.xaxis, *numbers.log_limits(n[0], n[-1], 0.03))
    look.log_axis(ax.yaxis, *numbers.log_limits(smallest, largest, 0.08), text=percent_tick)
    look.mark_size(ax, pilot.halves.n)
    ax.set_xlabel("training images n")
    ax.set_ylabel("disagreement / unrelated seeds")
    return Legend(handles)


def shown_curve(pilot: Pilot) -> list[ForecastAt]:
    """The part of the curve that is drawn."""
    reach = max(_REACH * pilot.data.images, pilot.halves.n)
    return [each for each in pilot.curve if each.n <= reach]


def shown_sizes(pilot: Pilot) -> list[ForecastAt]:
    """The pilots, the n of the answer and powers of ten up to ten times as many images as there are."""
    reach = _REACH * pilot.data.images
    sizes = {size.n for size in pilot.sizes} | {pilot.halves.n} | {10**k for k in range(1, 9)}
    return [each for each in pilot.curve if each.n in sizes and (each.n <= reach or each.n == pilot.halves.n)]


def _table(pilot: Pilot) -> Table:
    rows = shown_sizes(pilot)
    observed = {size.n: float(np.mean(size.everything)) for size in pilot.sizes}
    seen = [observed.get(row.n, math.nan) for row in rows]
    return Table(
        name="forecasts",
        caption="Disagreement of two networks, relative to unrelated seeds. Everything differs: images, initialisation and noise. "
        f"Limits: they should hold the value {COVERED}. Observed: mean over the pairs of the pilots. Share of the training: what "
        "remains of the disagreement if both networks have the same images. The highlighted row is that of the headline.",
        columns={
            "n": [f"{row.n:,}" for row in rows],
            "Everything differs": [rounded(row.everything.value, percent(row.everything.value)) for row in rows],
            "Limits": [limits(row.everything) for row in rows],
            "Observed": [rounded(value, percent(value)) for value in seen],
            "Only data differ": [rounded(row.data_alone.value, percent(row.data_alone.value)) for row in rows],
            "Same images": [rounded(row.same_images.value, percent(row.same_images.value)) for row in rows],
            "Share of the training": [rounded(row.optimisation_share, percent(row.optimisation_share)) for row in rows],
            "Linear models": [rounded(row.law, percent(row.law)) for row in rows],
        },
        marked=next(place for place, row in enumerate(rows) if row.n == pilot.halves.n),
    )


def _whole_table(pilot: Pilot) -> Table:
    columns: dict[str, list[float | int | None]] = {"n": [each.n for each in pilot.curve]}
    columns["linear models"] = [each.law for each in pilot.curve]
    for arm, name in _KINDS.items():
        for part in ("value", "low", "high"):
            values = [getattr(getattr(each, name), part) for each in pilot.curve]
            title = ARM_TITLES[arm] if part == "value" else f"{ARM_TITLES[arm]}, {part}"
            columns[title] = [*numbers.finite_or_none(np.array(values))]
    return Table(
        name="curve",
        caption="The whole curve, with the limits of each kind of pairs.",
        columns=columns,
        summary="The whole curve: tables/curve.csv",
        small=True,
        file=True,
    )
