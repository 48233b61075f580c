"""The window on trajectories: when features emerge, what models of n samples do on the way, and what a sampler ends with."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..._checks import FloatArray
from ...laws import law_spec
from ...lens.trajectories import SamplerError, TrajectoriesStudy
from ...moments import has_variance
from .. import look, numbers
from ..arrays import kind_of, show
from ..document import Picture, Section, Table
from ..look import GUIDE, INK, MUTED, WIDTH, styled
from ..words import number, percent, plain_number, power_of_ten, short

__all__ = ["section"]

_METHOD_NAMES = {"euler": "Euler (DDIM)", "heun": "Heun"}
_TIME_LOOKS = ("-", "--", ":")
_SEEDS = 3
_PANELS = 6


def section(study: TrajectoriesStudy) -> Section:
    """Findings, figures and tables of a study of trajectories."""
    image = kind_of(study.shape) != "vector"
    return Section(
        name="trajectory",
        title="Trajectories",
        takeaways=_findings(study),
        parts=(
            _emergence_picture(study),
            *((_film_picture(study),) if image else ()),
            _modes_picture(study),
            _spread_picture(study),
            _law_picture(study),
            _mode_table(study),
            _spread_table(study),
            _sampler_table(study),
        ),
    )


def _varying(study: TrajectoriesStudy) -> np.ndarray:
    return np.flatnonzero(has_variance(study.eigenvalues))


# ---------------------------------------------------------------- sentences
def _findings(study: TrajectoriesStudy) -> tuple[str, ...]:
    rows = _varying(study)
    last = int(rows[-1])
    level = study.emergence.noise_level
    early = int(np.sum(level[rows] > study.schedule.t_max))
    sentences = [
        "Features emerge in the order of their variance: the denoiser's outcome reaches half of its final value at σ = "
        f"{number(level[0])} in mode 1 and at σ = {number(level[last])} in mode {last + 1} (at √(3λ) where the noise ends "
        "below √λ)."
    ]
    if early:
        sentences.append(
            f"σ_max is too small for {early:,} of them: {'it is' if early == 1 else 'they are'} past that half when "
            "sampling starts."
        )
    empty = study.law.mean.size - rows.size
    if empty:
        sentences.append(
            f"{empty:,} of {study.law.mean.size:,} directions have no variance. In these, the denoiser shows nothing at any "
            "noise level, and the state is what is left of the noise: σ/σ_max times where it started."
        )
    law, mean = study.law, study.mean_coordinates
    factor, sigma = float(law.factors[0]), short(study.schedule.t_max)
    missing = float(np.linalg.norm(law.mean_error)) / (float(np.linalg.norm(mean)) or 1.0)
    text = (
        f"Samples that start from N(0, σ_max² I) at σ_max = {sigma} and are solved without error have {percent(factor)} of "
        "the variance of mode 1"
    )
    if np.any(mean):
        text += f" and miss {percent(missing)} of the mean of the data (as a vector)"
    sentences.append(text + ". If they started from the law of noised data, they would miss nothing.")
    low, high = study.n[0], study.n[-1]
    ends = study.relative_spread[:, -1]
    text = (
        f"The final samples of two linear models of n = {low:,} training samples differ by {percent(float(ends[0]))} of the "
        "difference between two unrelated samples (root mean square)"
    )
    more = f"; at n = {high:,} they differ by {percent(float(ends[-1]))}" if len(ends) > 1 else ""
    sentences.append(f"{text}{more}.")
    decided = _decided(study)
    if decided is not None:
        when = f"from σ = {number(decided)} on"
        if decided == study.correlation_levels[0]:
            when = "from the start"
        sentences.append(
            f"At n = {low:,}, what two linear models will disagree on in mode 1 (√λ = "
            f"{number(float(np.sqrt(study.eigenvalues[0])))}) is decided {when}: their difference has a correlation of 0.9 "
            "or more with the final one."
        )
    worst = [(one, _worst(one, rows)) for one in study.sampler_errors if one.steps == study.sampler_errors[0].steps]
    parts = [f"{percent(error)} with {_METHOD_NAMES[one.method]} (mode {mode + 1})" for one, (mode, error) in worst]
    sentences.append(f"With {worst[0][0].steps} steps, the variance of the worst mode is off by {' and '.join(parts)}.")
    return tuple(sentences)


def _decided(study: TrajectoriesStudy) -> float | None:
    """Largest noise level from which on the first mode's deviation correlates by 0.9 with the final one, at the smallest n."""
    below = np.flatnonzero(study.correlations[0, :, 0] < 0.9)
    place = int(below[-1]) + 1 if below.size else 0
    return float(study.correlation_levels[place]) if place < study.correlation_levels.size else None


def _worst(one: SamplerError, rows: np.ndarray) -> tuple[int, float]:
    """Mode whose variance is off by most, and by how much."""
    error = np.abs(one.factors[rows] - 1)
    return int(rows[int(np.argmax(error))]), float(error.max())


# ---------------------------------------------------------------- axes
def _noise_axis(ax: Axes, levels: FloatArray) -> None:
    """Noise level, from the start of sampling on the left to its end."""
    look.log_axis(ax.xaxis, float(levels.min()), float(levels.max()), text=_plain_power)
    ax.invert_xaxis()
    ax.set_xlabel("noise level σ (sampling →)")


def _plain_power(value: float) -> str:
    return plain_number(value) if 0.9e-2 <= value <= 1e4 else power_of_ten(value)


def _mode_handles(study: TrajectoriesStudy) -> list[Line2D]:
    return [
        Line2D([], [], color=look.band_colour(i), lw=2.2, label=f"{int(mode) + 1}")
        for i, mode in enumerate(study.modes)
    ]


# ---------------------------------------------------------------- emergence
def _emergence_picture(study: TrajectoriesStudy) -> Picture:
    level = study.emergence.noise_level[study.modes]
    marks = ", ".join(f"mode {m + 1} at σ = {number(v)}" for m, v in zip(study.modes, level, strict=True))
    return Picture(
        name="trajectories_emergence",
        title="When features emerge",
        caption="Left: how much of a mode's standard deviation the denoiser's outcome shows on the path, ξσ_max/√λ, for "
        "x_T of standard deviation σ_max. Circles mark half of the final value. A curve that ends below 1 is a mode that "
        "starts too small, because the sampler starts at a finite noise level. Right: the time at which each mode passes "
        "that half in three other schedules, as a fraction of the whole schedule; sampling goes from the top down.",
        alternative="Curves of the denoiser's outcome against noise level, one for each mode. Half of the outcome is "
        f"reached by {marks}.",
        draw=partial(_draw_emergence, study),
    )


@styled
def _draw_emergence(study: TrajectoriesStudy) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    _noise_axis(left, study.noise_levels)
    left.set_ylim(-0.02, 1.04)
    left.set_ylabel("outcome / standard deviation of mode")
    for i, mode in enumerate(study.modes):
        colour = look.band_colour(i)
        left.plot(study.noise_levels, study.outcome_gains[:, i], color=colour, gid=f"outcome-{mode + 1}")
        half = float(study.emergence.noise_level[mode])
        if study.noise_levels.min() <= half <= study.noise_levels.max():
            height = 0.5 * float(study.emergence.standard_gain[mode])
            left.plot([half], [height], "o", ms=4.5, color=colour, mec="white", mew=0.7, gid=f"half-{mode + 1}")
    left.set_title("Denoiser's outcome")
    rows = _varying(study)
    for (name, times), style in zip(study.emergence_times.items(), _TIME_LOOKS, strict=True):
        right.plot(rows + 1, times[rows], ls=style, color=INK, label=name, gid=name)
    look.mode_axis(right, rows.size)
    right.set_ylim(0, 1.02)
    right.set_ylabel("time / whole schedule")
    right.set_title("Half emerged at")
    right.legend(loc="best", fontsize=8)
    figure.legend(handles=_mode_handles(study), title="mode", loc="outside lower center", ncols=len(study.modes))
    return figure


# ---------------------------------------------------------------- film
def _film_picture(study: TrajectoriesStudy) -> Picture:
    seeds = min(study.film.states.shape[1], _SEEDS)
    return Picture(
        name="trajectories_film",
        title="Some seeds on their way",
        caption="State x and denoiser's outcome D(x; σ) of the Gaussian model at falling noise levels. States are shown "
        "with their noise scaled down to at most a half, μ + (x − μ)/√(1 + 4σ²). The closed form holds between any two "
        "noise levels, so no step was simulated.",
        alternative=f"{seeds} seeds from pure noise at σ = {short(float(study.film.sigma[0]))} to samples at "
        f"σ = {short(float(study.film.sigma[-1]))}; the outcomes start as the mean and gain detail.",
        draw=partial(_draw_film, study),
        raster=True,
    )


@styled
def _draw_film(study: TrajectoriesStudy) -> Figure:
    film, kind = study.film, kind_of(study.shape)
    seeds, columns = min(film.states.shape[1], _SEEDS), film.times.size
    ratio = study.shape[0] / study.shape[1]
    side = (WIDTH - 0.8) / columns
    figure = Figure(figsize=(WIDTH, 2 * seeds * (side * ratio + 0.04) + 0.6), layout="constrained")
    axes = figure.subplots(2 * seeds, columns, squeeze=False)
    mean = study.law.target_mean
    for column in range(columns):
        shrink = 1 / np.sqrt(1 + 4 * film.sigma[column] ** 2)
        for seed in range(seeds):
            state = mean + shrink * (film.states[column, seed] - mean)
            for row, values in ((2 * seed, state), (2 * seed + 1, film.outcomes[column, seed])):
                show(axes[row, column], values.reshape(study.shape), kind)
        axes[0, column].set_title(f"σ = {short(float(film.sigma[column]), 2)}", fontsize=9, loc="center", pad=4)
    for seed in range(seeds):
        axes[2 * seed, 0].set_ylabel(f"state {seed + 1}", fontsize=9)
        axes[2 * seed + 1, 0].set_ylabel("outcome", fontsize=9, color=MUTED)
    return figure


# ---------------------------------------------------------------- training sets of n samples
def _modes_picture(study: TrajectoriesStudy) -> Picture:
    pairs = [_end_of(study, i, int(study.modes[-1])) for i in range(len(study.n))]
    last = int(study.modes[-1]) + 1
    ends = ", ".join(f"{g:.2f} ± {s:.2f} at n = {n:,}" for n, (g, s) in zip(study.n, pairs, strict=True))
    return Picture(
        name="trajectories_modes",
        title="Models of n samples, mode by mode",
        caption="Expected outcome of the denoiser on the path of a linear model of n samples, as a share of the mode's "
        "standard deviation in the data. The band is one standard deviation over training sets (root mean square over "
        "seeds). Dashed lines: the model of the whole population. Expectation and spread come from the "
        f"{law_spec(study.law_name).title}.",
        alternative=f"One panel for each mode. In mode {last} the final outcome, in standard deviations of the data, is "
        f"{ends}.",
        draw=partial(_draw_modes, study),
    )


def _end_of(study: TrajectoriesStudy, size: int, mode: int) -> tuple[float, float]:
    """Final outcome of a mode and its spread, in standard deviations of the data."""
    spread, root = study.spreads[size], float(np.sqrt(study.eigenvalues[mode]))
    gain = float(spread.outcome_gain[-1, mode]) * float(spread.noise_level[0]) / root
    return gain, float(spread.outcome_std[-1, mode]) / root


@styled
def _draw_modes(study: TrajectoriesStudy) -> Figure:
    modes = study.modes[:_PANELS]
    columns = min(3, modes.size)
    rows = -(-modes.size // columns)
    figure = Figure(figsize=(WIDTH, 2.25 * rows + 0.9), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    top = 1.05
    for place, ax in enumerate(axes):
        if place >= modes.size:
            ax.set_axis_off()
            continue
        mode = int(modes[place])
        root, ax_levels = float(np.sqrt(study.eigenvalues[mode])), study.spread_levels
        for spread, colour in zip(study.spreads, look.n_colours(len(study.n)), strict=True):
            gain = spread.outcome_gain[:, mode] * spread.noise_level[0] / root
            std = spread.outcome_std[:, mode] / root
            ax.fill_between(ax_levels, gain - std, gain + std, color=colour, alpha=0.22, lw=0)
            ax.plot(ax_levels, gain, color=colour, gid=f"n-{spread.n}-mode-{mode + 1}")
            top = max(top, float(np.max(gain + std)))
        ax.plot(study.noise_levels, study.outcome_gains[:, place], color=INK, ls="--", lw=1.0)
        ax.set_title(f"mode {mode + 1}, √λ = {number(root)}")
    _noise_axis(axes[0], study.spread_levels)  # shared by all
    axes[0].set_ylim(-0.05, 1.04 * top)
    for place, ax in enumerate(axes[: modes.size]):
        last = place + columns >= modes.size
        ax.set_xlabel("noise level σ (sampling →)" if last else "")
        ax.tick_params(labelbottom=last)
    for ax in axes[: modes.size : columns]:
        ax.set_ylabel("outcome / √λ")
    dashed = Line2D([], [], color=INK, ls="--", lw=1.0, label="population")
    figure.legend(
        handles=[*look.n_handles(study.n), dashed],
        title="training samples n",
        loc="outside lower center",
        ncols=len(study.n) + 1,
    )
    return figure


def _spread_picture(study: TrajectoriesStudy) -> Picture:
    ends = ", ".join(
        f"{percent(float(v))} at n = {n:,}" for n, v in zip(study.n, study.relative_spread[:, -1], strict=True)
    )
    return Picture(
        name="trajectories_spread",
        title="When two linear models part",
        caption="Left: root mean square difference between the denoiser's outcomes of two linear models of n samples, which "
        "follow the same seed, each by its own flow; it is divided by that of two models with unrelated seeds. Right, at "
        "the smallest n: correlation of a mode's difference at each noise level with its difference at the end; 1 means "
        "that what the models will disagree on is decided.",
        alternative=f"At the end of sampling the relative difference is {ends}.",
        draw=partial(_draw_spread, study),
    )


@styled
def _draw_spread(study: TrajectoriesStudy) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    for values, n, colour in zip(study.relative_spread, study.n, look.n_colours(len(study.n)), strict=True):
        left.plot(study.spread_levels, numbers.positive(values), color=colour, label=f"{n:,}", gid=f"n-{n}")
    _noise_axis(left, study.spread_levels)
    found = numbers.finite_range(study.relative_spread)
    if found is not None:
        look.ratio_axis(left.yaxis, *found)
    left.set_title("Relative difference of outcomes")
    left.legend(title="n", loc="best")
    for i, mode in enumerate(study.modes):
        right.plot(
            study.correlation_levels,
            study.correlations[0, :, i],
            color=look.band_colour(i),
            label=f"{mode + 1}",
            gid=f"mode-{mode + 1}",
        )
    right.axhline(1.0, color=GUIDE, lw=0.8, zorder=1)
    _noise_axis(right, study.correlation_levels)
    right.set_ylim(min(0.0, float(np.nanmin(study.correlations[0])) - 0.05), 1.04)
    right.set_title(f"Correlation with the end, n = {study.n[0]:,}")
    right.legend(title="mode", loc="lower right", ncols=2)
    return figure


# ---------------------------------------------------------------- law of the samples
def _law_picture(study: TrajectoriesStudy) -> Picture:
    rows = _varying(study)
    low = float(np.nanmin(study.law.factors[rows]))
    return Picture(
        name="trajectories_law",
        title="What a sampler ends with",
        caption="Left: what samples miss of the variance of the data (noised to the end of the schedule) and of their "
        "mean, for x_T ~ N(0, σ_max² I) and no discretisation error. Right: the variance of each mode of a Gaussian model "
        "after a finite number of steps, divided by that after the exact flow; steps are even in σ^(1/7).",
        alternative=f"The smallest ratio of the variance of samples started from noise to that of the data is {number(low, 4)}.",
        draw=partial(_draw_law, study),
    )


@styled
def _draw_law(study: TrajectoriesStudy) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    rows = _varying(study)
    sigma, values = study.schedule.t_max, study.eigenvalues[rows]
    left.plot(rows + 1, values / (sigma**2 + values), color=INK, label="variance missing", gid="variance")
    left.plot(rows + 1, np.sqrt(values / (sigma**2 + values)), color=MUTED, ls="--", label="mean missing", gid="mean")
    look.mode_axis(left, rows.size)
    found = numbers.finite_range(values / (sigma**2 + values), np.sqrt(values / (sigma**2 + values)))
    if found is not None:
        look.log_axis(left.yaxis, *numbers.log_limits(*found))
    left.set_title("Missing when started from noise")
    left.set_ylabel("fraction")
    left.legend(loc="best")
    steps = sorted({one.steps for one in study.sampler_errors})
    for one in study.sampler_errors:
        style = {"color": look.band_colour(steps.index(one.steps)), "ls": "-" if one.method == "heun" else "--"}
        right.plot(rows + 1, numbers.positive(one.factors[rows]), gid=f"{one.method}-{one.steps}", **style)
    shown = numbers.finite_range(*[one.factors[rows] for one in study.sampler_errors])
    if shown is not None:
        look.factor_axis(right.yaxis, *shown)
    right.axhline(1.0, color=GUIDE, lw=0.8, zorder=1)
    look.mode_axis(right, rows.size)
    right.set_title("Variance after steps / exact flow")
    handles = [Line2D([], [], color=look.band_colour(i), lw=2.2, label=f"{s} steps") for i, s in enumerate(steps)]
    handles += [
        Line2D([], [], color=INK, ls="--" if name == "euler" else "-", label=label)
        for name, label in _METHOD_NAMES.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), columnspacing=1.4)
    return figure


# ---------------------------------------------------------------- tables
def _mode_table(study: TrajectoriesStudy) -> Table:
    seen = study.emergence
    return Table(
        name="trajectories_modes",
        caption="For each mode: its variance, the noise level of half the final outcome, and the time of it as a fraction "
        "of other schedules. For samples started from N(0, σ_max² I): their variance over the data's, and their mean minus "
        "the data's.",
        columns={
            "mode": list(range(1, study.eigenvalues.size + 1)),
            "eigenvalue": study.eigenvalues.tolist(),
            "half at noise level": seen.noise_level.tolist(),
            **{f"time, {name}": numbers.finite_or_none(times) for name, times in study.emergence_times.items()},
            "variance factor": numbers.finite_or_none(study.law.factors),
            "mean error": study.law.mean_error.tolist(),
        },
        file=True,
    )


def _spread_table(study: TrajectoriesStudy) -> Table:
    rows = [
        (
            one.n,
            int(mode) + 1,
            float(level),
            one.outcome_gain[i, mode],
            one.outcome_std[i, mode],
            one.state_std[i, mode],
        )
        for one in study.spreads
        for mode in study.modes
        for i, level in enumerate(one.noise_level)
    ]
    names = ("n", "mode", "noise level", "expected outcome gain", "std of outcome", "std of state")
    return Table(
        name="trajectories_spread",
        caption="Linear models of n samples on the path: expected gain ξ from x_T to the denoiser's outcome, and standard "
        "deviations over training sets (root mean square over seeds), in the units of the data.",
        columns={name: [row[i] for row in rows] for i, name in enumerate(names)},
        file=True,
    )


def _sampler_table(study: TrajectoriesStudy) -> Table:
    rows = _varying(study)
    worst = [_worst(one, rows) for one in study.sampler_errors]
    return Table(
        name="trajectories_samplers",
        caption="Samplers of finitely many steps on a Gaussian model, with noise levels even in σ^(1/7): variance of mode 1 "
        "over that of the exact flow, and the mode whose variance is most off.",
        columns={
            "method": [_METHOD_NAMES[one.method] for one in study.sampler_errors],
            "steps": [one.steps for one in study.sampler_errors],
            "variance factor of mode 1": [float(one.factors[0]) for one in study.sampler_errors],
            "worst mode": [mode + 1 for mode, _ in worst],
            "its variance factor": [
                float(one.factors[m]) for one, (m, _) in zip(study.sampler_errors, worst, strict=True)
            ],
        },
        file=True,
    )
