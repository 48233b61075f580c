"""The section on the gate: whether each run is a model of its data at all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from .. import look, numbers
from ..document import HOW, Cell, Mood, Picture, Prose, Section, Table, figure_section, rounded
from ..look import MUTED, styled
from .axes import FAILED, GUIDE_LOOK, arch_panels, legend, n_handles
from .phrases import PROSE, alternative

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation


def gate(found: NetworkValidation) -> Section:
    """Whether each run is a model of its data at all."""
    return figure_section(
        "gate",
        "The gate: is it a model at all?",
        "Gate",
        _gate_words(found),
        Picture(
            name="gate",
            caption=(
                "Denoising loss of each run, divided by that of the linear denoiser of its training set: on images outside of "
                "the set (top) and on its own images (bottom). Two broken networks can agree very well, so a run that fails "
                "is in no average and no correlation."
            ),
            alternative=alternative(
                found, "Denoising loss of every run relative to that of the linear denoiser against noise level"
            ),
            draw=partial(draw_gate, found),
        ),
        _run_table(found),
        Prose(PROSE, "gate", summary=HOW),
    )


def _gate_words(found: NetworkValidation) -> str:
    failed = [run for run in found.runs if not run.quality.passed]
    if not failed:
        return f"All {len(found.runs):,} runs pass: they denoise, and their samples vary and look, like models of their data."
    return (
        f"{len(failed):,} of {len(found.runs):,} runs are undertrained. The first is {failed[0].key}: "
        f"{failed[0].quality.reasons[0]}."
    )


def _run_table(found: NetworkValidation) -> Table:
    runs, gates = found.runs, [run.quality for run in found.runs]
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
            "Steps": [Cell(f"{run.training.steps:,}", run.training.steps) for run in runs],
            "Parameters": [Cell(f"{run.training.parameters:,}", run.training.parameters) for run in runs],
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


@styled
def draw_gate(found: NetworkValidation) -> Figure:
    """Denoising loss of every run over that of the linear denoiser of its training set, held-out and own images."""
    figure, ((*top,), (*bottom,)) = arch_panels(found, rows=2, height=2.6)
    drawn: list[FloatArray] = []
    for row, axes in (("held_out", top), ("own", bottom)):
        for arch, ax in zip(found.setup.archs, axes, strict=True):
            for place, run in enumerate(r for r in found.runs if r.arch == arch):
                quality = run.quality
                ratio = numbers.ratio(getattr(quality, row), getattr(quality, f"{row}_linear"))
                colour = (
                    look.n_colours(len(found.setup.n))[found.setup.n.index(run.n)] if run.n in found.setup.n else MUTED
                )
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
    handles = [*n_handles(found), Line2D([], [], label="linear denoiser", **GUIDE_LOOK)]
    if any(not run.quality.passed for run in found.runs):
        handles.append(failed)
    legend(figure, handles, columns=7)
    return figure
