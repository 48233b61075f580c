"""The section that says what orders the seeds on which networks disagree."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...validation.network.results import ANOTHER_PAIR
from ..document import Mood, Picture, Section, Table, figure_section, rounded
from ..kinds import ARM_TITLES, arch_panels, where
from ..look import GUIDE, GUIDE_LOOK, legend_below, styled
from . import select
from .axes import predictor_handles, size_places
from .phrases import alternative, finite_mean, mostly, p_words, two_digits
from .select import predictor_colour, predictor_title

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation, SeedScore


def seed_order(found: NetworkValidation) -> Section | None:
    """What orders the seeds, beside what any predictor could reach."""
    if not found.seed_scores:
        return None
    return figure_section(
        "seed-order",
        "On which seeds do networks disagree?",
        "Seeds",
        _words(found),
        Picture(
            name="seed-order",
            caption=(
                "Rank correlation (Spearman) over seeds of predicted disagreement with that of single pairs of networks. The line "
                "is the ceiling: a pair's own randomness cannot be predicted, so no predictor can do better with single pairs on "
                "average. It is known only where there are at least two pairs of networks. The posterior variance of all images "
                "says how far apart the images lie that explain a seed's noisy state equally well. The trivial "
                "predictor ranks seeds by the linear model's image: those whose pixels are closest to 0 (grey) come first."
            ),
            alternative=alternative(found, "Rank correlations over seeds for each predictor, beside the ceiling"),
            draw=partial(draw_seed_order, found),
        ),
        _table(found),
    )


def _words(found: NetworkValidation) -> list[str]:
    """The best predictor of those that beat chance in at least half of the cases of the first arm."""
    arm = select.shown_arms(found)[0]
    rows = [score for score in found.seed_scores if score.arm == arm and score.predictor != ANOTHER_PAIR]
    by_name = {
        name: [row for row in rows if row.predictor == name] for name in dict.fromkeys(r.predictor for r in rows)
    }
    means = {
        name: finite_mean([row.single for row in own])
        for name, own in by_name.items()
        if mostly(row.significant for row in own)
    }
    ceiling = finite_mean([row.ceiling for row in rows])
    reach = (
        []
        if math.isnan(ceiling)
        else [f"No predictor could reach more than about {ceiling:.2f} with single pairs on average."]
    )
    if not means:
        return ["No predictor orders the seeds better than chance.", *reach]
    best = max(means, key=lambda name: means[name])
    return [
        f"The {predictor_title(best)} orders the seeds best, with a mean rank correlation of {two_digits(means[best])} with single "
        "pairs of networks.",
        *reach,
    ]


def _table(found: NetworkValidation) -> Table:
    kinds = list(dict.fromkeys((score.arch, score.n, score.arm) for score in found.seed_scores))
    rows = sorted(
        found.seed_scores,
        key=lambda row: (kinds.index((row.arch, row.n, row.arm)), select.predictor_place(row.predictor)),
    )
    return Table(
        name="seed-order",
        caption="How well each predictor orders the seeds. Ceiling: the root of the mean correlation between two pairs. p: "
        "permutation test of the correlation with the mean of the pairs. Tenths: mean disagreement of the tenth of the seeds with "
        "the highest predictions, divided by that of the tenth with the lowest. Pixels: mean over "
        "64 seeds of the rank correlation over the pixels of a seed, with the mean of the pairs.",
        columns={
            "Networks": [f"{where(row.arch, row.n)}, {ARM_TITLES[row.arm]}" for row in rows],
            "Predictor": [predictor_title(row.predictor) for row in rows],
            "Pairs": [row.pairs for row in rows],
            "Single pairs": [rounded(row.single, digits=2) for row in rows],
            "Ceiling": [rounded(row.ceiling, digits=2) for row in rows],
            "Mean of the pairs": [rounded(row.mean.value, digits=2) for row in rows],
            "95 % interval": [f"{two_digits(row.mean.low)} to {two_digits(row.mean.high)}" for row in rows],
            "p": [p_words(row.mean.p_value) for row in rows],
            "Tenths": [rounded(row.tenths, digits=2) for row in rows],
            "Pixels": [rounded(row.pixels, digits=2) for row in rows],
        },
        words=("Predictor",),
        moods=[_mood(row) for row in rows],
        summary=f"Table of all {len(rows)} predictors of seeds",
        small=True,
    )


def _mood(row: SeedScore) -> Mood:
    return "yes" if row.significant else "no"


@styled
def draw_seed_order(found: NetworkValidation) -> Figure:
    """Spearman correlation with single pairs for every predictor and size, and the ceiling."""
    arm = select.shown_arms(found)[0]
    rows = [score for score in found.seed_scores if score.arm == arm]
    names = sorted({row.predictor for row in rows}, key=select.predictor_place)
    spread = 0.7 / max(1, len(names) - 1)
    figure, (axes,) = arch_panels(found.setup.archs, height=3.1)
    for arch, ax in zip(found.setup.archs, axes, strict=True):
        for place, n in enumerate(found.setup.n):
            here = [row for row in rows if (row.arch, row.n) == (arch, n)]
            for row in here:
                x = place - 0.35 + spread * names.index(row.predictor)
                colour = predictor_colour(row.predictor)
                ax.plot([x], [row.single], ls="", marker="o", ms=4, color=colour, gid=f"{arch}-{n}-{row.predictor}")
            if here:  # all have the ceiling of the same pairs
                ax.plot([place - 0.4, place + 0.4], [here[0].ceiling] * 2, color=GUIDE, lw=1.4)
        ax.axhline(0.0, **GUIDE_LOOK)
        size_places(ax, found)
        ax.set_xlabel("training images n")
    axes[0].set_ylabel("rank correlation over seeds,\nsingle pairs")
    handles = predictor_handles(names)
    handles.append(Line2D([], [], color=GUIDE, lw=1.4, label="ceiling"))
    legend_below(figure, handles, columns=3)
    return figure
