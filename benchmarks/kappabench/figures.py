"""Figures of the page, in the style of the report, from the results alone."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kappaflow.report import look, numbers
from kappaflow.report.words import plain_number, power_of_ten

from .measure import Row, total_failures
from .rule import FLOOR, rate
from .tables import Results, select

BLUE, ORANGE, GREEN, PINK = look.BAND_COLOURS[:4]
METHOD_COLOURS = {
    "kappaflow": BLUE,
    "NumPy Newton": ORANGE,
    "fsolve": GREEN,
    "mpmath, 80 digits": PINK,
    "published recipe": ORANGE,
}
METHOD_MARKERS = {
    "kappaflow": "o",
    "NumPy Newton": "s",
    "fsolve": "D",
    "mpmath, 80 digits": "^",
    "published recipe": "s",
}


def draw(results: Results, format: look.Format = "svg") -> dict[str, bytes]:
    """Bytes of every figure."""
    drawings = {"growth": growth, "failures": failures, "quadrature": quadrature, "tolerance": tolerance}
    return {name: look.save(function(results), [format])[format] for name, function in drawings.items()}


def _limits(values: list[float], pad: float = 0.06) -> tuple[float, float]:
    return numbers.log_limits(min(values), max(values), pad)


@look.styled
def growth(results: Results) -> Figure:
    """Time against d, with the fitted lines."""
    tasks = ["κ", "E and V", "all mode pairs", "eigendecomposition"]
    titles = ["κ at 100 noise levels", "E and V of all modes", "mode pairs, eigenvectors"]
    rows = select(results, "growth")
    figure = Figure(figsize=(look.WIDTH, 3.3), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    seconds = [p["seconds"] for row in rows for p in row["points"]]
    sizes = [p["d"] for row in rows for p in row["points"]]
    for i, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        chosen = [row for row in rows if (row["task"] == tasks[i] if i < 2 else row["task"] in tasks[2:])]
        for row in chosen:
            # the third panel compares tasks, not methods
            colour = METHOD_COLOURS[row["method"]] if i < 2 else (BLUE, PINK)[row["task"] == tasks[3]]
            marker = METHOD_MARKERS[row["method"]] if i < 2 else ("o", "^")[row["task"] == tasks[3]]
            _growth_line(ax, row, colour, marker, row["method"] if i < 2 else row["task"])
        look.log_axis(ax.xaxis, *_limits(sizes), text=power_of_ten)
        look.log_axis(ax.yaxis, *_limits(seconds))
        ax.set_title(title)
        ax.set_xlabel("modes d")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), handletextpad=0.5)
    axes[0].set_ylabel("time (s)")
    return figure


def _growth_line(ax: Axes, row: Row, colour: str, marker: str, label: str) -> None:
    fit = row["fit"]
    d = np.array([p["d"] for p in row["points"]], dtype=float)
    label = f"{label}, $d^{{\\,{fit['exponent']:.2f}}}$"
    ax.plot(d, [p["seconds"] for p in row["points"]], marker, color=colour, ms=4.5, label=label)
    line = d[d >= fit["from_d"]]
    ax.plot(line, fit["coefficient"] * line ** fit["exponent"], color=colour, lw=1.2)


@look.styled
def failures(results: Results) -> Figure:
    """Share of failing values against n/d, started at the noise variance and at the safe start."""
    rows = select(results, "failures")
    spectra = list(dict.fromkeys(row["spectrum"] for row in rows))
    methods = ["NumPy Newton", "fsolve", "mpmath, 80 digits"]
    figure = Figure(figsize=(look.WIDTH, 3.1), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(spectra), sharey=True))
    ratios = sorted({row["n"] / row["d"] for row in rows})
    for ax, spectrum in zip(axes, spectra, strict=True):
        ax.axvline(1.0, color=look.GUIDE, lw=1, zorder=0)
        for method in methods:
            for start, line in (("noise", "-"), ("trace", ":")):
                _failure_line(ax, [r for r in rows if r["spectrum"] == spectrum], method, start, line)
        ours = [r for r in rows if r["spectrum"] == spectrum and r["method"] == "kappaflow"]
        ax.plot([r["n"] / r["d"] for r in ours], [_share(r) for r in ours], "o-", color=BLUE, ms=4.5, zorder=5)
        look.log_axis(ax.xaxis, *numbers.log_limits(ratios[0], ratios[-1], 0.08), text=plain_number)
        ax.set_ylim(-3, 103)
        ax.set_title(spectrum)
        ax.set_xlabel("n/d")
    axes[0].set_ylabel("values of κ that fail (%)")
    handles = [Line2D([], [], color=BLUE, marker="o", ms=4.5, label="kappaflow")]
    handles += [
        Line2D([], [], color=METHOD_COLOURS[m], marker=METHOD_MARKERS[m], ms=4.5, label=f"{m}, from t") for m in methods
    ]
    handles.append(Line2D([], [], color=look.MUTED, ls=":", label="the three, from t + tr Σ/n"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _share(row: Row) -> float:
    return 100.0 * total_failures(row["failures"]) / float(row["failures"]["points"])


def _failure_line(ax: Axes, rows: list[Row], method: str, start: str, line: str) -> None:
    chosen = [r for r in rows if r["method"] == method and r["start"] == start]
    ax.plot(
        [r["n"] / r["d"] for r in chosen],
        [_share(r) for r in chosen],
        linestyle=line,
        marker=METHOD_MARKERS[method] if start == "noise" else None,
        color=METHOD_COLOURS[method],
        ms=4.5,
    )


@look.styled
def quadrature(results: Results) -> Figure:
    """Nodes against error for the optimal rule and Gauss-Legendre in θ."""
    rows = select(results, "rule")
    figure = Figure(figsize=(look.WIDTH, 3.3), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(rows), sharey=True))
    curves = (
        ("optimal", BLUE, "o", "optimal rule (kappaflow)"),
        ("gauss_legendre", ORANGE, "s", "Gauss-Legendre in θ (published)"),
        ("gauss_legendre_scaled", GREEN, "D", "Gauss-Legendre, scaled to the support"),
    )
    for ax, row in zip(axes, rows, strict=True):
        for key, colour, marker, _ in curves:
            points = np.array(row[key])
            ax.plot(points[:, 0], np.maximum(points[:, 1], 1e-16), marker + "-", color=colour, ms=3.2, lw=1.2)
        nodes = np.linspace(2, max(n for n, _ in row["optimal"]) + 4, 100)
        theory = np.array([rate(tuple(row["support"]), n) for n in nodes])
        ax.plot(nodes[theory > FLOOR / 30], theory[theory > FLOOR / 30], "--", color=look.INK, lw=1)
        most = max(n for n, _ in row["gauss_legendre"])
        look.log_axis(ax.xaxis, *numbers.log_limits(2, most, 0.04), text=plain_number)
        look.log_axis(ax.yaxis, 1e-16, 5.0, text=power_of_ten)
        decades = np.log10(row["support"][1] / row["support"][0])
        ax.set_title(f"{row['spectrum']}\nsupport of {decades:.1f} decades")
        ax.set_xlabel("nodes N")
    axes[0].set_ylabel("largest relative error of √x")
    handles = [Line2D([], [], color=c, marker=m, ms=3.5, lw=1.2, label=text) for _, c, m, text in curves]
    handles.append(Line2D([], [], color=look.INK, ls="--", lw=1, label="rate exp(−π²N / ½ log(16 M/m))"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


@look.styled
def tolerance(results: Results) -> Figure:
    """Requested against achieved accuracy, and the nodes that it takes."""
    rows = select(results, "tolerance")
    spectra = list(dict.fromkeys(row["spectrum"] for row in rows))
    figure = Figure(figsize=(look.WIDTH, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, spectrum in enumerate(spectra):
        chosen = [row for row in rows if row["spectrum"] == spectrum]
        asked = [row["requested"] for row in chosen]
        colour, marker = look.band_colour(i), look.band_marker(i)
        left.plot(asked, [row["error_expectation"] for row in chosen], marker + "-", color=colour, ms=3.5, lw=1.2)
        left.plot(
            asked, [row["error_variance"] for row in chosen], marker + "--", color=colour, ms=3.5, lw=1.2, mfc="white"
        )
        right.plot(asked, [row["nodes"] for row in chosen], marker + "-", color=colour, ms=3.5, lw=1.2)
    ends = np.array([1e-13, 1e-3])
    left.plot(ends, ends, color=look.GUIDE, lw=1, zorder=0)
    for ax in (left, right):
        look.log_axis(ax.xaxis, *numbers.log_limits(1e-13, 1e-3, 0.05), text=power_of_ten)
        ax.invert_xaxis()
        ax.set_xlabel("tolerance requested")
    errors = [row[key] for row in rows for key in ("error_expectation", "error_variance")]
    look.log_axis(left.yaxis, *_limits(errors), text=power_of_ten)
    left.set_ylabel("relative error achieved")
    right.set_ylabel("nodes")
    right.set_ylim(0, 1.08 * max(row["nodes"] for row in rows))
    handles = [
        Line2D([], [], color=look.band_colour(i), marker=look.band_marker(i), ms=3.5, label=s)
        for i, s in enumerate(spectra)
    ]
    handles.append(Line2D([], [], color=look.MUTED, label="expectation (left)"))
    handles.append(Line2D([], [], color=look.MUTED, ls="--", label="variance (left)"))
    handles.append(Line2D([], [], color=look.GUIDE, lw=1, label="achieved = requested"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure
