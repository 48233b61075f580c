"""Sections that every report on trained networks has: the gate, all pairs, and images of the same seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .._checks import FloatArray
from . import look, numbers
from .arrays import height_ratio, kind_of, show
from .document import HOW, Cell, Mood, Picture, Prose, Section, Table, figure_section, rounded
from .kinds import ARM_TITLES, about_networks, arch_panels, arch_title, where
from .look import FAILED, GUIDE_LOOK, MUTED, WIDTH, legend_below, styled
from .words import provenance_rows

if TYPE_CHECKING:
    from ..validation.network.results import Gallery, NetworkData, NetworkPair
    from ..validation.network.runs import Run

__all__ = ["data_rows", "design_section", "gallery_section", "gate_section", "pairs_section"]

#: The template of the longer texts.
_PROSE = "trained.html.j2"
_NO_HEADINGS: Mapping[int, str] = MappingProxyType({})
_LABEL_SHARE = 0.24  # of the width, for the labels of the rows


# ---------------------------------------------------------------- gate
def gate_section(runs: Sequence[Run], archs: Sequence[str], sizes: Sequence[int], takeaway: str = "") -> Section:
    """Whether each run is a model of its data at all; `takeaway` takes the place of the usual sentence."""
    unknown = [run for run in runs if not _denoises(run)]
    picture = Picture(
        name="gate",
        caption=(
            "Denoising loss of each run, divided by that of the linear denoiser of its training set: on images outside of "
            "the set (top) and on its own images (bottom). Two broken networks can agree very well, so a run that fails "
            "is in no average and no correlation."
        ),
        alternative=about_networks(
            "Denoising loss of every run relative to that of the linear denoiser against noise level", archs, sizes
        ),
        draw=partial(draw_gate, runs, archs, sizes),
    )
    return figure_section(
        "gate",
        "The gate: is it a model at all?",
        "Gate",
        [takeaway or _gate_words(runs), *_unknown_words(len(unknown), len(runs))],
        *([picture] if len(unknown) < len(runs) else []),
        _run_table(runs),
        Prose(_PROSE, "gate", summary=HOW),
    )


def _denoises(run: Run) -> bool:
    """Whether its denoising losses are known."""
    return bool(np.isfinite([run.quality.held_out, run.quality.own]).any())


def _unknown_words(unknown: int, runs: int) -> list[str]:
    """Which networks are judged without their denoising loss."""
    if not unknown:
        return []
    which = f"{unknown:,} of the {runs:,} networks" if unknown < runs else "these networks"
    return [f"Only samples of {which} are there, so the gate judges them without their denoising loss."]


def _gate_words(runs: Sequence[Run]) -> str:
    failed = [run for run in runs if not run.quality.passed]
    if not failed:
        how = (
            "they denoise, and their samples vary and look,"
            if any(map(_denoises, runs))
            else "their samples vary and look"
        )
        return f"All {len(runs):,} runs pass: {how} like models of their data."
    return (
        f"{len(failed):,} of {len(runs):,} runs are undertrained. The first is {failed[0].key}: "
        f"{failed[0].quality.reasons[0]}."
    )


def _run_table(runs: Sequence[Run]) -> Table:
    gates = [run.quality for run in runs]
    worst = [float(np.max(gate.held_out / gate.held_out_linear)) for gate in gates]
    moods: list[Mood] = ["yes" if gate.passed else "no" for gate in gates]
    words = ["passes" if gate.passed else "undertrained: " + "; ".join(gate.reasons) for gate in gates]
    return Table(
        name="runs",
        caption="Loss: the largest ratio over noise levels of the denoising loss on held-out images to that of the linear "
        "denoiser. Variance: total variance of the samples over that of the data. Excess: variance generated beyond twice "
        "what the data have in a mode, as a share of the data's variance. Distance: that of the samples to the nearest image, "
        "over the same for the linear model.",
        columns={
            "Run": [run.key for run in runs],
            "Gate": [Cell(text, mood=mood) for text, mood in zip(words, moods, strict=True)],
            "Steps": [_known(run.training.steps) for run in runs],
            "Parameters": [_known(run.training.parameters) for run in runs],
            "Seconds": [rounded(run.training.seconds, digits=2) for run in runs],
            "Loss / linear, held out": [rounded(value) for value in worst],
            "Variance / data": [rounded(float(gate.variance.sum() / gate.variance_data.sum())) for gate in gates],
            "Excess": [rounded(gate.excess, digits=2) for gate in gates],
            "Distance / linear": [rounded(gate.distance / gate.distance_linear) for gate in gates],
            "R² to linear": [rounded(run.linear_fit.own) for run in runs],
            "R² about zero": [rounded(run.linear_fit.own_zero) for run in runs],
        },
        words=("Gate",),
        moods=moods,
        summary=f"All {len(runs)} runs",
        unfolded=True,
        small=True,
    )


def _known(count: int) -> Cell:
    """A count; a dash for 0, which stands for one that is not known."""
    return Cell(f"{count:,}", count) if count else Cell("–")


@styled
def draw_gate(runs: Sequence[Run], archs: Sequence[str], sizes: Sequence[int]) -> Figure:
    """Denoising loss of every run over that of the linear denoiser of its training set, held-out and own images."""
    figure, ((*top,), (*bottom,)) = arch_panels(archs, rows=2, height=2.6)
    drawn: list[FloatArray] = []
    colours = dict(zip(sizes, look.n_colours(len(sizes)), strict=True))
    for row, axes in (("held_out", top), ("own", bottom)):
        for arch, ax in zip(archs, axes, strict=True):
            for place, run in enumerate(r for r in runs if r.arch == arch):
                quality = run.quality
                ratio = numbers.ratio(getattr(quality, row), getattr(quality, f"{row}_linear"))
                colour = colours.get(run.n, MUTED)
                style: dict[str, Any] = {"color": colour, "lw": 1.0, "alpha": 0.8}
                if not quality.passed:
                    style = {"color": FAILED, "lw": 1.0, "ls": (0, (2, 1.5)), "marker": "o", "ms": 3, "mfc": "none"}
                ax.plot(quality.sigma, numbers.positive(ratio), gid=f"{row}-{arch}-{place}", **style)
                drawn.append(ratio)
            ax.axhline(1.0, **GUIDE_LOOK)
            look.log_axis(ax.xaxis, *numbers.log_limits(float(quality.sigma[0]), float(quality.sigma[-1])))
    low, high = numbers.finite_range(*drawn) or (0.5, 2.0)
    for axes, label in ((top, "held-out images"), (bottom, "training images")):
        axes[0].set_ylabel(f"loss / linear\n{label}")
        for ax in axes:
            look.ratio_axis(ax.yaxis, min(low, 0.9), max(high, 1.1))
    for ax in bottom:
        ax.set_xlabel("noise level σ")
    failed = Line2D([], [], color=FAILED, ls=(0, (2, 1.5)), marker="o", ms=3, mfc="none", label="undertrained")
    handles = [*(look.n_handles(sizes) if any(sizes) else ()), Line2D([], [], label="linear denoiser", **GUIDE_LOOK)]
    if any(not run.quality.passed for run in runs):
        handles.append(failed)
    legend_below(figure, handles, columns=7)
    return figure


# ---------------------------------------------------------------- pairs
def pairs_section(pairs: Sequence[NetworkPair]) -> Section:
    """Every pair of networks."""
    moods: list[Mood] = ["yes" if pair.trained else "no" for pair in pairs]
    words = [ARM_TITLES[pair.arm] + ("" if pair.trained else "; undertrained, in no average") for pair in pairs]
    caption = (
        "Disagreement: mean squared distance per dimension between two networks' images of the same seed. Unrelated seeds: the "
        "same for different seeds. Ratio: the first divided by the second."
    )
    table = Table(
        name="pairs",
        caption=caption,
        columns={
            "Networks": [f"{where(pair.arch, pair.n)}, repeat {pair.repeat + 1}" for pair in pairs],
            "What differs": [Cell(text, mood=mood) for text, mood in zip(words, moods, strict=True)],
            "Disagreement": [rounded(pair.disagreement.mean) for pair in pairs],
            "Unrelated seeds": [rounded(pair.disagreement.unrelated) for pair in pairs],
            "Ratio": [rounded(pair.disagreement.ratio) for pair in pairs],
        },
        words=("What differs",),
        moods=moods,
        small=True,
    )
    return Section(name="pairs", title="All pairs", parts=(table,))


# ---------------------------------------------------------------- images
def gallery_section(
    galleries: Sequence[Gallery],
    shape: tuple[int, ...],
    alternative: str,
    takeaway: str = "",
    headings: Mapping[int, str] = _NO_HEADINGS,
) -> Section | None:
    """Images of the same seeds through two networks; None if there are none. `headings` say more about some seeds."""
    if not galleries:
        return None
    return figure_section(
        "gallery",
        "The same seeds, different training sets",
        "Images",
        takeaway,
        Picture(
            name="gallery",
            caption=(
                "Each column is one seed. The rows show the samples of the networks trained on set A and on set B, the "
                "samples of the linear models of the two sets, and the training image nearest to each network's sample. "
                "Networks that memorise return that image."
            ),
            alternative=alternative,
            draw=partial(draw_gallery, galleries, shape, headings),
            raster=True,
        ),
    )


@styled
def draw_gallery(
    galleries: Sequence[Gallery], shape: tuple[int, ...], headings: Mapping[int, str] = _NO_HEADINGS
) -> Figure:
    """For each architecture and n: the same seeds through both networks, both linear models, and their nearest images."""
    kind = kind_of(shape)
    count = len(galleries[0].seeds)
    side = WIDTH * (1 - _LABEL_SHARE) / count
    tall = side if kind == "vector" else side * height_ratio(shape)
    heights = [len(g.rows) * tall + 0.65 for g in galleries]
    figure = Figure(figsize=(WIDTH, sum(heights)))
    total, top = sum(heights), 1.0
    for block, height in zip(galleries, heights, strict=True):
        trained = "" if block.trained else ", undertrained"
        size = f", n = {block.n:,}" if block.n else ""
        figure.text(0.005, top - 0.1 / total, f"{arch_title(block.arch)}{size}{trained}", va="top", fontsize=10)
        for row, (label, images) in enumerate(block.rows):
            bottom = top - (0.5 + (row + 1) * tall) / total
            figure.text(0.005, bottom + 0.5 * tall / total, label, va="center", fontsize=8)
            for place in range(count):
                left = _LABEL_SHARE + place * (1 - _LABEL_SHARE) / count
                ax = figure.add_axes((left, bottom, 0.94 * (1 - _LABEL_SHARE) / count, 0.94 * tall / total))
                show(ax, images[place], kind)
                if row == 0:
                    seed = block.seeds[place]
                    ax.set_title(headings.get(seed, f"seed {seed}"), fontsize=7, pad=2, loc="center")
                if kind == "vector":
                    ax.set_xticks([])
                    ax.set_yticks([])
        top -= height / total
    return figure


# ---------------------------------------------------------------- design
def design_section(rows: Sequence[tuple[str, str]]) -> Section:
    """What was run: label → text."""
    return Section(name="design", title="What was run", parts=(Prose(_PROSE, "design", {"rows": rows}),))


def data_rows(data: NetworkData) -> list[tuple[str, str]]:
    """What is said about the images."""
    size = " × ".join(str(k) for k in data.shape)
    rows = [("Data", data.source or "–"), *provenance_rows(data.provenance)]
    return [*rows, ("Images", f"{data.images:,}, each of {size} values")]
