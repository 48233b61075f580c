"""Curves of the report on networks: gate, consistency, memorisation, variance, bands, laws and noise levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from .. import look, numbers
from ..look import GUIDE, INK, MUTED, WIDTH, styled
from ..words import plain_number
from . import select
from .select import ARM_COLOURS, ARM_TITLES, arch_title, predictor_colour, predictor_title

if TYPE_CHECKING:
    from ...validation.network.results import NetworkValidation

FAILED = "#9aa0a6"
GUIDE_LOOK: dict[str, Any] = {"color": GUIDE, "lw": 1.0, "ls": (0, (1, 1.6))}
THEORY: dict[str, Any] = {"color": INK, "lw": 1.4, "ls": (0, (5, 2))}


def arch_panels(found: NetworkValidation, *, height: float = 3.0, rows: int = 1) -> tuple[Figure, list[list[Axes]]]:
    """One column of panels for each architecture, `rows` below each other: figure and axes [row][column]."""
    count = len(found.archs)
    figure = Figure(figsize=(WIDTH, rows * height), layout="constrained")
    grid = figure.subplots(rows, count, squeeze=False, sharey="row", sharex="col" if rows > 1 else False)
    for column, arch in enumerate(found.archs):
        grid[0, column].set_title(arch_title(arch))
    return figure, [list(row) for row in grid]


def size_axis(axis: Any, found: NetworkValidation) -> None:
    """Logarithmic axis of training-set sizes with a tick at each of them."""
    sizes = [max(n, 1) for n in found.n]
    look.log_axis(axis, *numbers.log_limits(min(sizes), max(sizes), 0.1), text=plain_number)
    axis.set_ticks(sizes, [f"{n:,}" if n else "not known" for n in found.n])
    axis.set_ticks([], minor=True)


def quotient(value: float, of: float) -> float:
    """NaN where there is nothing to divide by."""
    return value / of if of > 0 else float("nan")


def n_handles(found: NetworkValidation) -> list[Line2D]:
    """Legend entries of the sizes; none where they are not known."""
    return look.n_handles(found.n) if any(found.n) else []


def legend(figure: Figure, handles: list[Line2D], *, columns: int = 4) -> None:
    """Below all axes, where it covers nothing."""
    figure.legend(handles=handles, loc="outside lower center", ncols=min(columns, len(handles)), columnspacing=1.4)


# ---------------------------------------------------------------- is it a model at all?
@styled
def gate(found: NetworkValidation) -> Figure:
    """Denoising loss of every run over that of the linear denoiser of its training set, held-out and own images."""
    figure, ((*top,), (*bottom,)) = arch_panels(found, rows=2, height=2.6)
    drawn: list[FloatArray] = []
    for row, axes in (("held_out", top), ("own", bottom)):
        for arch, ax in zip(found.archs, axes, strict=True):
            for place, run in enumerate(r for r in found.runs if r.arch == arch):
                quality = run.quality
                ratio = numbers.ratio(getattr(quality, row), getattr(quality, f"{row}_linear"))
                colour = look.n_colours(len(found.n))[found.n.index(run.n)] if run.n in found.n else MUTED
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


# ---------------------------------------------------------------- against n
@styled
def consistency(found: NetworkValidation) -> Figure:
    """Cross-split disagreement over that of unrelated seeds against n, by arm, with every baseline."""
    figure, (axes,) = arch_panels(found, height=3.9)
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
    for arch, ax in zip(found.archs, axes, strict=True):
        for arm in found.arms:
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
    legend(figure, entries, columns=3)
    return figure


@styled
def memorisation(found: NetworkValidation) -> Figure:
    """Probability that samples are nearer to their own training set, share of copies, and distances to both sets."""
    figure, (top, bottom) = arch_panels(found, rows=2, height=2.5)
    for arch, ax, below in zip(found.archs, top, bottom, strict=True):
        sizes, auc, copies, own, other = [], [], [], [], []
        for n in found.n:
            runs = select.trained_runs(found, arch, n)
            if not runs:
                continue
            sizes.append(max(n, 1))
            auc.append(np.mean([run.auc for run in runs]))
            copies.append(np.mean([run.memorised for run in runs]))
            own.append(np.mean([np.median(run.nearest_own) for run in runs]))
            other.append(np.mean([np.median(run.nearest_other) for run in runs]))
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
    legend(figure, handles)
    return figure


@styled
def variance(found: NetworkValidation) -> Figure:
    """Generated variance by mode over the variance of all images: networks, linear models of their sets, theory."""
    figure, (axes,) = arch_panels(found, height=3.5)
    kept = select.alive(found)
    modes = np.flatnonzero(kept) + 1
    s = found.eigenvalues[kept]
    colours = look.n_colours(len(found.n))
    law = select.best_law(found)
    drawn: list[FloatArray] = []
    for arch, ax in zip(found.archs, axes, strict=True):
        for n, colour in zip(found.n, colours, strict=True):
            runs = select.trained_runs(found, arch, n)
            if runs:
                y = np.mean([run.variance[kept] for run in runs], axis=0) / s
                linear = np.mean([run.variance_linear[kept] for run in runs], axis=0) / s
                ax.plot(modes, numbers.positive(y), color=colour, lw=1.5, gid=f"network-{arch}-{n}")
                ax.plot(modes, numbers.positive(linear), color=colour, lw=0, marker=".", ms=3, gid=f"linear-{arch}-{n}")
                drawn += [y, linear]
            forecast = found.forecast(law, n) if law else None
            if forecast is not None:
                y = (forecast.gain[kept] * found.sigma_max) ** 2 / s
                ax.plot(modes, numbers.positive(y), color=colour, lw=1.1, ls=(0, (5, 2)), gid=f"theory-{arch}-{n}")
                drawn.append(y)
        ax.axhline(1.0, **GUIDE_LOOK)
        look.mode_axis(ax, int(modes[-1]))
    low, high = numbers.finite_range(*drawn) or (0.5, 2.0)
    for ax in axes:
        look.log_axis(ax.yaxis, *numbers.log_limits(max(low, 1e-2), min(max(high, 1.2), 1e2)))
    axes[0].set_ylabel("generated variance / variance of images")
    handles = [
        *n_handles(found), Line2D([], [], color=INK, lw=1.5, label="networks"),
        Line2D([], [], color=INK, lw=0, marker=".", label="linear models of the same sets"),
        Line2D([], [], color=INK, lw=1.1, ls=(0, (5, 2)), label="theory, expected"),
    ]  # fmt: skip
    legend(figure, handles)
    return figure


@styled
def bands(found: NetworkValidation) -> Figure:
    """Disagreement by eigenband against n: networks whose data alone differ, theory, and a guide of slope −1."""
    arms = select.shown_arms(found)
    arm = arms[0]
    figure, (axes,) = arch_panels(found, height=3.7)
    law = select.best_law(found)
    drawn: list[FloatArray] = []
    for arch, ax in zip(found.archs, axes, strict=True):
        x, values = select.mean_over_pairs(found, arch, arm, lambda pair: pair.disagreement.relative_bands)
        for place, _ in enumerate(found.bands):
            colour, marker = look.band_colour(place), look.band_marker(place)
            if x.size:
                y = numbers.positive(values[:, place])
                ax.plot(np.maximum(x, 1), y, color=colour, marker=marker, ms=4, gid=f"{arch}-band-{place}")
                drawn.append(values[:, place])
            forecasts = [f for f in found.forecasts if f.law == law]
            if forecasts:
                y = np.array([f.disagreement.relative_bands[place] for f in forecasts])
                ax.plot(
                    [f.n for f in forecasts],
                    numbers.positive(y),
                    color=colour,
                    lw=1.0,
                    ls=(0, (5, 2)),
                    marker="_" if len(forecasts) == 1 else "",
                    ms=14,
                    gid=f"{arch}-theory-{place}",
                )
                drawn.append(y)
        if len(found.n) > 1 and drawn:
            ends = np.array([found.n[0], found.n[-1]], dtype=float)
            start = (numbers.finite_range(*drawn) or (0.1, 1.0))[1]
            ax.plot(ends, start * ends[0] / ends, gid=f"{arch}-guide", **GUIDE_LOOK)
        size_axis(ax.xaxis, found)
        ax.set_xlabel("training images n")
    low, high = numbers.finite_range(*drawn) or (0.01, 1.0)
    for ax in axes:
        look.log_axis(ax.yaxis, *numbers.log_limits(low, high))
    axes[0].set_ylabel("disagreement / unrelated, by eigenband")
    handles = [
        Line2D([], [], color=look.band_colour(i), marker=look.band_marker(i), ms=4, label=band.label)
        for i, band in enumerate(found.bands)
    ]
    handles += [
        Line2D([], [], color=INK, lw=1.0, ls=(0, (5, 2)), label="theory"),
        Line2D([], [], label="1/n", **GUIDE_LOOK),
    ]
    legend(figure, handles)
    return figure


# ---------------------------------------------------------------- which law?
@styled
def predictors(found: NetworkValidation) -> Figure:
    """Spearman correlation of predicted and observed disagreement, over modes (relative) and over seeds, for every predictor."""
    names = select.predictors(found)
    arms = select.shown_arms(found)
    figure, (top, bottom) = arch_panels(found, rows=2, height=2.8)
    spread = 0.5 / max(1, len(names) * len(arms))
    for arch, *axes in zip(found.archs, top, bottom, strict=True):
        for ax, level in zip(axes, ("relative", "seeds"), strict=True):
            for place, n in enumerate(found.n):
                for step, (arm, name) in enumerate((arm, name) for arm in arms for name in names):
                    row = select.prediction_of(found, arch, n, arm, name)
                    if row is None:
                        continue
                    value = getattr(row, level)
                    x = place + spread * (step - (len(names) * len(arms) - 1) / 2) * 1.6
                    style: dict[str, Any] = {"color": predictor_colour(name)}
                    ax.vlines(x, value.low, value.high, lw=1.0, **style)
                    ax.plot(
                        [x], [value.value], ls="", marker="s" if arm == "different" else "o", ms=4,
                        gid=f"{level}-{arch}-{n}-{arm}-{name}", **style,
                    )  # fmt: skip
            ax.axhline(0.0, **GUIDE_LOOK)
            ax.set_xticks(range(len(found.n)), [f"{n:,}" if n else "not known" for n in found.n])
            ax.set_xlim(-0.6, len(found.n) - 0.4)
        axes[1].set_xlabel("training images n")
    top[0].set_ylabel("rank correlation\nover modes, relative")
    bottom[0].set_ylabel("rank correlation\nover seeds")
    handles = [
        Line2D([], [], ls="", marker="o", color=predictor_colour(name), label=predictor_title(name)) for name in names
    ]
    handles += [
        Line2D([], [], ls="", marker="s" if arm == "different" else "o", mfc="none", color=INK, label=ARM_TITLES[arm])
        for arm in arms
    ]
    legend(figure, handles)
    return figure


@styled
def factors(found: NetworkValidation) -> Figure:
    """Observed over predicted disagreement by eigenband, for each n, of the best law and the linear models."""
    arm = select.shown_arms(found)[0]
    figure, (axes,) = arch_panels(found, height=3.1)
    names = [name for name in ("linear", select.best_law(found)) if name in select.predictors(found)]
    colours = look.n_colours(len(found.n))
    drawn: list[FloatArray] = []
    for arch, ax in zip(found.archs, axes, strict=True):
        for n, colour in zip(found.n, colours, strict=True):
            for name in names:
                row = select.prediction_of(found, arch, n, arm, str(name))
                if row is not None:
                    style: dict[str, Any] = (
                        {"marker": "o", "ms": 4} if name != "linear" else {"ls": (0, (2, 1.5)), "lw": 1.0}
                    )
                    y = numbers.positive(row.factor_bands)
                    ax.plot(range(len(found.bands)), y, color=colour, gid=f"{arch}-{n}-{name}", **style)
                    drawn.append(y)
        ax.axhline(1.0, **GUIDE_LOOK)
        ax.set_xticks(range(len(found.bands)), [band.numbers for band in found.bands])
        ax.set_xlabel("modes of the eigenband")
    low, high = numbers.finite_range(*drawn) or (0.5, 2.0)
    for ax in axes:
        look.ratio_axis(ax.yaxis, min(low, 0.8), max(high, 1.25))
    axes[0].set_ylabel("observed / predicted")
    handles = n_handles(found)
    for name in names:
        dashes: Any = (0, (2, 1.5)) if name == "linear" else "-"
        marker = None if name == "linear" else "o"
        handles.append(Line2D([], [], color=INK, ls=dashes, marker=marker, ms=4, label=predictor_title(str(name))))
    legend(figure, handles)
    return figure


@styled
def denoisers(found: NetworkValidation) -> Figure:
    """Disagreement of the denoisers themselves against the noise level, observed and predicted."""
    arm = select.shown_arms(found)[0]
    figure, (axes,) = arch_panels(found, height=3.2)
    colours, law = look.n_colours(len(found.n)), select.best_law(found)
    drawn: list[FloatArray] = []
    for arch, ax in zip(found.archs, axes, strict=True):
        for n, colour in zip(found.n, colours, strict=True):
            trained = found.trained_pairs(arch, n, arm)
            sigma = found.pairs[0].sigma
            if trained:
                y = np.mean([pair.denoiser for pair in trained], axis=0)
                ax.plot(sigma, numbers.positive(y), color=colour, marker="o", ms=4, gid=f"{arch}-{n}")
                drawn.append(y)
            forecast = found.forecast(law, n) if law else None
            if forecast is not None:
                ax.plot(
                    sigma,
                    numbers.positive(forecast.denoiser),
                    color=colour,
                    lw=1.1,
                    ls=(0, (5, 2)),
                    gid=f"{arch}-{n}-theory",
                )
                drawn.append(forecast.denoiser)
            look.log_axis(ax.xaxis, *numbers.log_limits(float(sigma[0]), float(sigma[-1])))
        ax.set_xlabel("noise level σ")
    low, high = numbers.finite_range(*drawn) or (0.01, 1.0)
    for ax in axes:
        look.log_axis(ax.yaxis, *numbers.log_limits(low, high))
    axes[0].set_ylabel("squared distance of denoised images")
    handles = [*n_handles(found), Line2D([], [], color=INK, marker="o", ms=4, label="networks")]
    handles.append(Line2D([], [], color=INK, lw=1.1, ls=(0, (5, 2)), label="theory"))
    legend(figure, handles, columns=6)
    return figure


@styled
def manipulations(found: NetworkValidation) -> Figure:
    """Disagreement with some modes of the seeds suppressed or doubled, over that of the seeds as they are."""
    arm = select.shown_arms(found)[0]
    figure, (axes,) = arch_panels(found, height=3.3)
    colours = look.n_colours(len(found.n))
    law = select.best_law(found)
    kinds = list(dict.fromkeys((m.part, m.factor) for m in found.manipulations if m.factor != 1))
    for arch, ax in zip(found.archs, axes, strict=True):
        for place, (part, factor) in enumerate(kinds):
            for step, (n, colour) in enumerate(zip(found.n, colours, strict=True)):
                rows = {
                    m.factor: m for m in found.manipulations if (m.arch, m.n, m.arm, m.part) == (arch, n, arm, part)
                }
                if factor not in rows or 1.0 not in rows:
                    continue
                changed, plain = rows[factor], rows[1.0]
                x = place + 0.22 * (step - (len(found.n) - 1) / 2)
                style: dict[str, Any] = {"ls": "", "color": colour}
                ax.plot(
                    [x],
                    [quotient(changed.observed, plain.observed)],
                    marker="o",
                    ms=5,
                    gid=f"{arch}-{part}-{factor:g}-{n}",
                    **style,
                )
                ax.plot([x], [quotient(changed.linear, plain.linear)], marker="x", ms=4, **style)
                if law in changed.predicted and law is not None:
                    y = quotient(changed.predicted[law], plain.predicted[law])
                    ax.plot([x], [y], marker="_", ms=9, mew=1.6, **style)
        ax.axhline(1.0, **GUIDE_LOOK)
        ax.set_xticks(
            range(len(kinds)), [f"{part}\n{'off' if factor == 0 else f'× {factor:g}'}" for part, factor in kinds]
        )
        ax.set_ylim(bottom=0)
    axes[0].set_ylabel("disagreement / that of plain seeds")
    handles = n_handles(found)
    for marker, label in (("o", "networks"), ("x", "linear models of the same splits"), ("_", "theory")):
        handles.append(Line2D([], [], ls="", color=INK, marker=marker, label=label))
    legend(figure, handles)
    return figure
