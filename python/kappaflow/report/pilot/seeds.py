"""The section on the disagreement of each seed."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..._checks import FloatArray
from .. import look, numbers
from ..document import HOW, Picture, Prose, Section, Table, rounded
from ..kinds import ARM_COLOURS
from ..look import INK, WIDTH, Legend, styled
from ..words import counted, number, percent, percent_tick
from .phrases import COVERED, PROSE, networks

if TYPE_CHECKING:
    from ...pilot.results import Pilot, PilotSeeds

_ENDS = 5  # seeds of each end in the table
_MOST_POINTS = 600


def seeds(pilot: Pilot) -> Section | None:
    """Which seeds change most; None if the images do not order them at all."""
    found = pilot.seeds
    if found is None:
        return None
    parts: list[Picture | Table | Prose] = [_picture(pilot, found)]
    if found.ordered:
        parts += [_ends_table(pilot, found), _whole_table(pilot, found)]
    return Section(
        name="seeds",
        title="On which seeds will two runs disagree most?",
        contents="Which seeds?",
        takeaways=seed_sentences(pilot, found),
        parts=(*parts, Prose(PROSE, "seeds", {"exponent": number(found.exponent)}, summary=HOW)),
    )


def expected(pilot: Pilot, found: PilotSeeds) -> FloatArray:
    """(Z,) expected disagreement of each seed at the n of the answer, relative to unrelated seeds."""
    return np.asarray(found.relative() * pilot.halves.everything.value)


def seed_sentences(pilot: Pilot, found: PilotSeeds) -> tuple[str, ...]:
    """The two ends, the scatter of single pairs, and how well the order holds."""
    correlation = f"{found.correlation:.2f}".replace("-", "\N{MINUS SIGN}")
    order = f"its rank correlation with the disagreement of single pairs at n = {found.n:,} is {correlation}"
    if not found.ordered:
        why = f": {order}" if math.isfinite(found.correlation) else ""
        return (f"The order that the images give is no better than chance{why}. So no seed is named.",)
    values = expected(pilot, found)
    most, least = int(np.argmax(values)), int(np.argmin(values))
    there = pilot.halves
    return (
        f"At n = {there.n:,}, two {networks(pilot)} are expected to disagree by {percent(values[most])} on seed "
        f"{int(found.numbers[most])}, the most fragile of {counted(len(values), 'seed')}, and by {percent(values[least])} on seed "
        f"{int(found.numbers[least])}, the least fragile; the mean over seeds is {percent(there.everything.value)}.",
        f"A single pair scatters around that: on a single seed, it disagrees by {number(found.low, 2)} to "
        f"{number(found.high, 2)} times the expected value {COVERED}.",
        f"The order comes from the images alone, the amount from the pilots: {order}.",
    )


def observed(pilot: Pilot, found: PilotSeeds) -> FloatArray:
    """(r, Z) disagreement of each seed over the mean of the pair, of the pairs from which the amount comes."""
    pairs = [pair for pair in pilot.pairs if (pair.n, pair.arm) == (found.n, "different") and pair.trained]
    return np.array([pair.disagreement.seeds / pair.disagreement.seeds.mean() for pair in pairs])


# ---------------------------------------------------------------- figure
def _picture(pilot: Pilot, found: PilotSeeds) -> Picture:
    values = expected(pilot, found)
    return Picture(
        name="seeds",
        caption=f"Left: disagreement of each seed in the pilots at n = {found.n:,}, divided by the mean of its pair, against the "
        f"expected one; every point is one seed of one pair, and the band should hold a point {COVERED}. Right: expected "
        f"disagreement of the seeds at n = {pilot.halves.n:,} in order, with the same band.",
        alternative=f"Left: observed against expected disagreement of {counted(len(values), 'seed')} in the pilots. Right: "
        f"expected disagreement of the seeds at n = {pilot.halves.n:,}, from {percent(float(values.min()))} to "
        f"{percent(float(values.max()))}.",
        draw=partial(draw_seeds, pilot),
    )


@styled
def draw_seeds(pilot: Pilot) -> Figure:
    """Observed against expected disagreement by seed, and the expected one in order."""
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    if pilot.seeds is not None:
        plot_calibration(left, pilot, pilot.seeds)
        plot_ranking(right, pilot, pilot.seeds)
    left.set_title(f"Pilots, n = {0 if pilot.seeds is None else pilot.seeds.n:,}")
    right.set_title(f"Expected at n = {pilot.halves.n:,}")
    return figure


def plot_calibration(ax: Axes, pilot: Pilot, found: PilotSeeds) -> Legend:
    """Observed against expected disagreement of each seed, both over their mean."""
    x, pairs = found.relative(), observed(pilot, found)
    order = np.argsort(x, kind="stable")
    thinned = order[numbers.spread(len(order), max(2, _MOST_POINTS // max(1, len(pairs))))]
    for place, values in enumerate(pairs):
        ax.plot(
            x[thinned],
            numbers.positive(values[thinned]),
            ls="",
            marker="o",
            ms=2.6,
            mew=0,
            alpha=0.5,
            color=ARM_COLOURS["different"],
            gid=f"observed-{place}",
        )
    line = np.array([x.min(), x.max()])
    ax.plot(line, line, color=INK, lw=1.2, gid="expected")
    ax.fill_between(line, found.low * line, found.high * line, color=INK, alpha=0.1, lw=0)
    low, high = numbers.finite_range(*pairs, found.low * line, found.high * line) or (0.1, 10.0)
    look.log_axis(ax.xaxis, *numbers.log_limits(line[0], line[1]))
    look.log_axis(ax.yaxis, *numbers.log_limits(low, high))
    ax.set_xlabel("expected disagreement / mean")
    ax.set_ylabel("observed disagreement / mean")
    return Legend()


def plot_ranking(ax: Axes, pilot: Pilot, found: PilotSeeds) -> Legend:
    """Expected disagreement of the seeds at the n of the answer, the least fragile first."""
    values = np.sort(expected(pilot, found))
    ranks = np.arange(1, len(values) + 1)
    ax.fill_between(ranks, found.low * values, found.high * values, color=INK, alpha=0.1, lw=0)
    ax.plot(ranks, values, color=ARM_COLOURS["different"], lw=1.8, gid="ranking")
    ax.axhline(pilot.halves.everything.value, **look.GUIDE_LOOK)
    ax.set_ylim(0, None)
    ax.yaxis.set_major_formatter(lambda value, _position: percent_tick(value))
    ax.set_xlabel("rank, least fragile first")
    ax.set_ylabel("disagreement / unrelated seeds")
    return Legend()


# ---------------------------------------------------------------- tables
def _ends_table(pilot: Pilot, found: PilotSeeds) -> Table:
    values = expected(pilot, found)
    shown = found.ends(_ENDS).tolist()
    return Table(
        name="fragile_seeds",
        caption=f"Expected disagreement of two networks at n = {pilot.halves.n:,}, and the range in which a single pair should be "
        f"{COVERED} if the mean over seeds is {percent(pilot.halves.everything.value)}.",
        columns={
            "Seed": [str(int(found.numbers[k])) for k in shown],
            "Expected disagreement": [rounded(float(values[k]), percent(float(values[k]))) for k in shown],
            "A single pair": [f"{percent(found.low * values[k])} to {percent(found.high * values[k])}" for k in shown],
            "Times the mean": [rounded(float(found.relative()[k]), digits=2) for k in shown],
        },
        groups={"Most fragile": len(shown) // 2, "Least fragile": len(shown) // 2},
    )


def _whole_table(pilot: Pilot, found: PilotSeeds) -> Table:
    values = expected(pilot, found)
    order = np.argsort(-values, kind="stable")
    return Table(
        name="seeds",
        caption=f"All seeds, the most fragile first: posterior variance of the images, and expected disagreement at n = "
        f"{pilot.halves.n:,}.",
        columns={
            "seed": [int(found.numbers[k]) for k in order],
            "posterior variance": [float(found.posterior_variance[k]) for k in order],
            "expected disagreement": [float(values[k]) for k in order],
            "single pair, low": [float(found.low * values[k]) for k in order],
            "single pair, high": [float(found.high * values[k]) for k in order],
        },
        summary="All seeds: tables/seeds.csv",
        small=True,
        file=True,
    )
