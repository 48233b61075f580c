"""The sections on how close networks come: images of the same seeds, agreement against n, memorisation."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from .. import look, numbers
from ..document import HOW, Picture, Prose, Section, figure_section
from ..kinds import ARM_COLOURS, ARM_TITLES, arch_panels, arch_title, size_words, where
from ..look import FAILED, GUIDE_LOOK, INK, MUTED, legend_below, styled
from ..trained import gallery_section
from ..words import number
from . import select
from .axes import THEORY, size_axis
from .phrases import PROSE, alternative
from .select import predictor_title

if TYPE_CHECKING:
    from ...validation.network.results import Gallery, NetworkValidation


#: An AUC from which on samples count as memorised, and the share of copies that does.
MEMORISED_AUC, COPIES = 0.75, 0.5


def gallery(found: NetworkValidation) -> Section | None:
    """Images of the same seeds, if there are any."""
    text = "Grid of images: the same seeds through two networks, two linear models, and their nearest training images"
    return gallery_section(shown_galleries(found), found.data.shape, alternative(found, text))


def shown_galleries(found: NetworkValidation) -> list[Gallery]:
    """Those of the first arm, one for each architecture and n; galleries of other arms stand in the folder of figures only."""
    arm = select.shown_arms(found)[0]
    return [g for g in found.galleries if g.arm == arm]


def consistency(found: NetworkValidation) -> Section:
    """Disagreement against n."""
    arm = select.shown_arms(found)[0]
    return figure_section(
        "consistency",
        "From memorisation to agreement",
        "Consistency",
        _consistency_words(found, arm),
        Picture(
            name="consistency",
            caption=(
                "Squared distance between two networks' images of the same seed, divided by that of unrelated seeds; 1 means "
                "no agreement. Small points are pairs of networks, lines are their means; hollow points are undertrained and "
                "in no mean. Theory and linear models have the same sizes and splits."
            ),
            alternative=alternative(
                found,
                "Disagreement relative to unrelated seeds against the number of training images, with baselines and theory",
            ),
            draw=partial(draw_consistency, found),
        ),
        Prose(PROSE, "consistency", summary=HOW),
    )


def _consistency_words(found: NetworkValidation, arm: str) -> list[str]:
    sentences = []
    for arch in found.setup.archs:
        sizes, ratios = select.mean_over_pairs(found, arch, arm, lambda pair: pair.disagreement.ratio)
        if sizes.size > 1:
            verb = "falls" if ratios[-1] < ratios[0] else "does not fall"
            sentences.append(
                f"{arch_title(arch)}: disagreement relative to unrelated seeds {verb} from {number(float(ratios[0]), 2)} at "
                f"n = {int(sizes[0]):,} to {number(float(ratios[-1]), 2)} at n = {int(sizes[-1]):,}."
            )
        elif sizes.size:
            sentences.append(
                f"{arch_title(arch)}: disagreement is {number(float(ratios[0]), 2)} of that of unrelated seeds."
            )
    return sentences or ["No pair passes the gate."]


@styled
def draw_consistency(found: NetworkValidation) -> Figure:
    """Cross-split disagreement over that of unrelated seeds against n, by arm, with every baseline."""
    figure, (axes,) = arch_panels(found.setup.archs, height=3.9)
    drawn: list[FloatArray] = []
    handles: dict[str, Line2D] = {}

    def curve(ax: Axes, x: FloatArray, y: FloatArray, label: str, **style: Any) -> None:
        if x.size:
            if x.size == 1 and "marker" not in style:  # a curve of one point is none
                style |= {"marker": "_", "ms": 14, "mew": 1.6}
            (line,) = ax.plot(np.maximum(x, 1), numbers.positive(y), label=label, **style)
            handles.setdefault(label, line)
            drawn.append(y)

    law = select.best_law(found)
    for arch, ax in zip(found.setup.archs, axes, strict=True):
        for arm in found.setup.arms:
            colour = ARM_COLOURS[arm]
            x, mean = select.mean_over_pairs(found, arch, arm, lambda pair: pair.disagreement.ratio)
            marker = "s" if arm == "different" else "D" if arm == "floor" else "o"
            curve(ax, x, mean, ARM_TITLES[arm], color=colour, marker=marker, ms=4, lw=1.6, gid=f"mean-{arch}-{arm}")
            every = select.pairs_of(found, arch, arm)
            for pair in every:
                name = f"pair-{arch}-{arm}-{pair.n}-{pair.repeat}"
                style: dict[str, Any] = {"mfc": colour, "mec": colour, "alpha": 0.45}
                if not pair.trained:
                    style = {"mfc": "none", "mec": FAILED}
                ax.plot(
                    [max(pair.n, 1)],
                    numbers.positive(np.array([pair.disagreement.ratio])),
                    ls="",
                    marker=marker,
                    ms=3.4,
                    gid=name,
                    **style,
                )
                drawn.append(np.array([pair.disagreement.ratio]))
        for kind, label, style in (
            ("linear", "linear models of the same splits", {"color": INK, "lw": 1.2}),
            ("memorising", "memorising score", {"color": MUTED, "lw": 1.2, "ls": (0, (1, 1))}),
        ):
            x, y = select.baseline_ratio(found, kind)
            curve(ax, x, y, label, gid=f"{kind}-{arch}", **style)
        forecasts = [f for f in found.forecasts if f.law == law]
        x, y = (
            np.array([f.n for f in forecasts], dtype=float),
            np.array([f.disagreement.modes.sum() / f.disagreement.unrelated for f in forecasts]),
        )
        curve(ax, x, y, f"theory ({'' if law is None else predictor_title(law)})", gid=f"theory-{arch}", **THEORY)
        size_axis(ax.xaxis, found)
        ax.set_xlabel("training images n")
    low, high = numbers.finite_range(*drawn) or (0.01, 1.0)
    for ax in axes:
        look.log_axis(ax.yaxis, *numbers.log_limits(low, max(high, 1.0)))
        ax.axhline(1.0, **GUIDE_LOOK)
    axes[0].set_ylabel("disagreement / unrelated seeds")
    entries = list(handles.values())
    if any(not pair.trained for pair in found.pairs):
        entries.append(Line2D([], [], ls="", marker="o", ms=3.4, mfc="none", mec=FAILED, label="undertrained"))
    legend_below(figure, entries, columns=3)
    return figure


def arms(found: NetworkValidation) -> Section | None:
    """What optimisation does, where runs on the same data are there."""
    if not any(found.trained_pairs(arch, n, "floor") for arch in found.setup.archs for n in found.setup.n):
        return None
    return figure_section(
        "arms",
        "How much of the disagreement is optimisation?",
        "Optimisation",
        _floor_words(found),
        Picture(
            name="arms",
            caption=(
                "Disagreement of networks trained on different data, divided by that of two networks trained on the same data "
                "with different initialisation and noise (the optimisation floor). At 1, different data make no more "
                "difference than optimisation does."
            ),
            alternative=alternative(
                found, "Disagreement relative to the optimisation floor against the number of training images"
            ),
            draw=partial(draw_arms, found),
        ),
    )


def _floor_words(found: NetworkValidation) -> list[str]:
    parts = []
    for arch in found.setup.archs:
        for n in reversed(found.setup.n):
            floor, same = (found.trained_pairs(arch, n, arm) for arm in ("floor", "same"))
            if floor and same:
                ratio = np.mean([p.disagreement.mean for p in same]) / np.mean([p.disagreement.mean for p in floor])
                parts.append(
                    f"{where(arch, n)}: two networks trained on different data disagree {number(float(ratio), 2)} times as "
                    "much as two trained on the same data from different initialisations."
                )
                break
    return parts


@styled
def draw_arms(found: NetworkValidation) -> Figure:
    """Disagreement of each arm over the optimisation floor against n."""
    figure, (axes,) = arch_panels(found.setup.archs, height=2.8)
    handles: dict[str, Line2D] = {}
    drawn = []
    for arch, ax in zip(found.setup.archs, axes, strict=True):
        for arm in select.shown_arms(found):
            ratios, sizes = [], []
            for n in found.setup.n:
                two = [found.trained_pairs(arch, n, name) for name in (arm, "floor")]
                if all(two):
                    values = [np.mean([pair.disagreement.mean for pair in pairs]) for pairs in two]
                    ratios.append(values[0] / values[1])
                    sizes.append(n)
            if sizes:
                (line,) = ax.plot(sizes, ratios, marker="o", ms=4, color=ARM_COLOURS[arm], gid=f"{arch}-{arm}")
                handles.setdefault(ARM_TITLES[arm], line)
                drawn.append(np.array(ratios))
        ax.axhline(1.0, **GUIDE_LOOK)
        size_axis(ax.xaxis, found)
        ax.set_xlabel("training images n")
    low, high = numbers.finite_range(*drawn) or (1.0, 2.0)
    for ax in axes:
        look.ratio_axis(ax.yaxis, min(low, 0.9), max(high, 1.2))
    axes[0].set_ylabel("disagreement / floor")
    for label, line in handles.items():
        line.set_label(label)
    legend_below(figure, list(handles.values()))
    return figure


def memorisation(found: NetworkValidation) -> Section | None:
    """Memorisation, where training sets are known."""
    if not select.shown_pairs(found) or not any(np.isfinite(run.nearest.auc) for run in found.runs):
        return None
    return figure_section(
        "memorisation",
        "Memorisation",
        "Memorisation",
        _memorisation_words(found),
        Picture(
            name="memorisation",
            caption=(
                "Top: probability that a sample is nearer to its own training set than to the other one (AUC; ½ means no "
                "memorisation), and share of samples that are three times nearer to one training image than to the next "
                "(copies). Bottom: median distance to the nearest image of each set."
            ),
            alternative=alternative(
                found,
                "AUC of nearness to the own training set, share of copies, and distances to the nearest image against n",
            ),
            draw=partial(draw_memorisation, found),
        ),
    )


def _memorisation_words(found: NetworkValidation) -> list[str]:
    parts = []
    if found.setup.arms == ("given",):
        for run in found.runs:
            if math.isfinite(run.nearest.auc):
                memorises = run.nearest.auc > MEMORISED_AUC or run.nearest.memorised > COPIES
                parts.append(f"Model {run.split} {'memorises' if memorises else 'does not memorise'}.")
        return parts
    for arch in found.setup.archs:
        copied: list[int] = []
        free: list[int] = []
        for n in found.setup.n:
            runs = select.trained_runs(found, arch, n)
            if runs:
                auc = np.mean([run.nearest.auc for run in runs])
                copies = np.mean([run.nearest.memorised for run in runs])
                if math.isnan(auc):
                    continue
                (copied if auc > MEMORISED_AUC or copies > COPIES else free).append(n)
        if copied:
            parts.append(f"{arch_title(arch)} memorises{size_words(copied)}.")
        if free:
            parts.append(f"{arch_title(arch)} does not memorise{size_words(free)}.")
    return parts


@styled
def draw_memorisation(found: NetworkValidation) -> Figure:
    """Probability that samples are nearer to their own training set, share of copies, and distances to both sets."""
    figure, (top, bottom) = arch_panels(found.setup.archs, rows=2, height=2.5)
    for arch, ax, below in zip(found.setup.archs, top, bottom, strict=True):
        sizes, auc, copies, own, other = [], [], [], [], []
        for n in found.setup.n:
            runs = select.trained_runs(found, arch, n)
            if not runs:
                continue
            sizes.append(max(n, 1))
            auc.append(np.mean([run.nearest.auc for run in runs]))
            copies.append(np.mean([run.nearest.memorised for run in runs]))
            own.append(np.mean([np.median(run.nearest.own) for run in runs]))
            other.append(np.mean([np.median(run.nearest.other) for run in runs]))
        ax.plot(sizes, auc, marker="o", ms=4, color=INK, label="nearer to own images (AUC)", gid=f"auc-{arch}")
        ax.plot(sizes, copies, marker="s", ms=4, color=look.BAND_COLOURS[1], label="copies", gid=f"copies-{arch}")
        ax.axhline(0.5, **GUIDE_LOOK)
        ax.set_ylim(-0.04, 1.04)
        below.plot(sizes, own, marker="o", ms=4, color=look.BAND_COLOURS[0], label="own set", gid=f"own-{arch}")
        below.plot(sizes, other, marker="s", ms=4, color=look.BAND_COLOURS[4], label="other set", gid=f"other-{arch}")
        below.set_ylim(0, 1.12 * float(np.nanmax([0.1, *own, *other])))
        size_axis(below.xaxis, found)
        below.set_xlabel("training images n")
    top[0].set_ylabel("share of samples")
    bottom[0].set_ylabel("distance to nearest\nimage, per √pixel")
    handles = [
        line for axes in (top[0], bottom[0]) for line in axes.get_lines() if not str(line.get_label()).startswith("_")
    ]
    legend_below(figure, handles)
    return figure
