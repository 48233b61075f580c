"""The window on receptive fields: images of rows of the Jacobian, their size, degrees of freedom and equivariance."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .. import look, numbers
from ..arrays import frame
from ..document import Picture, Section, Table
from ..look import GUIDE, INK, MUTED, WIDTH, styled
from ..words import number, percent, short

if TYPE_CHECKING:
    from ...lens.receptive_field import ReceptiveFieldStudy

__all__ = ["section"]

_NAMES = ("centre", "corner")
#: Line of whose size; the population's are solid, what stands for it is not.
_LOOK = {
    "centre": ("#0072b2", "-", "centre"),
    "corner": ("#d55e00", "-", "corner"),
    "stationary": ("#009e73", "--", "averaged over shifts"),
    "power law": ("#cc79a7", "-.", "power law, same grid"),
    "closed form": (INK, ":", "closed form, p = 2"),
}


def section(study: ReceptiveFieldStudy) -> Section:
    """What the page shows of a study."""
    pictures = (
        _fields_picture(study),
        _sizes_picture(study),
        _spectrum_picture(study),
        _degrees_picture(study),
        _equivariance_picture(study),
    )
    return Section(
        name="receptive-field",
        title="Receptive fields",
        takeaways=_findings(study),
        parts=(
            *(picture for picture in pictures if picture is not None),
            _noise_level_table(study),
            _size_table(study),
            _spread_table(study),
        ),
    )


# ---------------------------------------------------------------- sentences
def _findings(study: ReceptiveFieldStudy) -> tuple[str, ...]:
    total, unit = math.prod(study.layout.shape), "pixel" if study.layout.is_image else "entry"
    units = "pixels" if study.layout.is_image else "entries"
    found = [
        f"Half of the {study.rank:,} directions with variance are left at σ = {number(study.half_sigma)}: the trace "
        f"of the Jacobian falls from {number(float(study.degrees[0]))} at σ = {number(float(study.sigma[0]))} to "
        f"{number(float(study.degrees[-1]))} at σ = {number(float(study.sigma[-1]))}."
    ]
    if study.rank < total:
        found.append(
            f"At σ → 0 fields are rows of the projector on {study.rank:,} of {total:,} directions, not of the "
            f"identity: the Jacobian stays {percent(study.identity_defect)} away from the identity (Frobenius norm)."
        )
    else:
        found.append(f"At σ → 0 every field shrinks to its own {unit}: all {total:,} directions have variance.")
    part = study.sizes["centre"]["participation"]
    if np.isfinite(part).all():
        found.append(
            f"In the centre's field {number(float(part[0]))} {units} take part at σ = {number(float(study.sigma[0]))} and "
            f"{number(float(part[-1]))} of {math.prod(study.layout.grid):,} at σ = {number(float(study.sigma[-1]))}."
        )
    found += _law_findings(study)
    few, smallest = study.n[0], study.degrees_n[0]
    found.append(
        f"Of {few:,} training samples no more than {number(float(smallest.max()))} degrees of freedom are expected "
        "at any σ, and the centre's field of one such set is off the mean field by up to "
        f"{percent(float(np.nanmax(study.spread[0])))} of its size; at n = {study.n[-1]:,} by up to "
        f"{percent(float(np.nanmax(study.spread[-1])))} (one standard deviation)."
    )
    found += _equivariance_findings(study)
    if study.colour_share is not None:
        place = int(np.argmax(study.colour_share))
        found.append(
            f"Channels see each other: at most {percent(float(study.colour_share[place]))} of a field's energy lies "
            f"in other channels than the output's, at σ = {number(float(study.sigma[place]))}."
        )
    return tuple(found)


def _law_findings(study: ReceptiveFieldStudy) -> list[str]:
    if study.fit is None or not study.fit.exponent > 0.1:  # no fall of variance with frequency: no law of lengths
        return []
    text = (
        f"Averaged over shifts, variance falls as 1/|m|^{study.fit.exponent:.2f} with spatial frequency (residual "
        f"{percent(study.fit.residual)}), for which lengths of fields grow as σ^{2 / study.fit.exponent:.2f} where "
        "they are far from both a pixel and the image."
    )
    low, high = study.slope_range
    slopes = {name: value for name, value in study.slopes.items() if name != "closed form" and math.isfinite(value)}
    if slopes and math.isfinite(low):
        words = ", ".join(f"{_LOOK[name][2]} {value:.2f}" for name, value in slopes.items())
        text += f" Measured exponents from σ = {number(float(low))} to {number(float(high))}: {words}."
    else:
        text += " So few pixels leave no range of σ in which to see it."
    return [text]


def _equivariance_findings(study: ReceptiveFieldStudy) -> list[str]:
    error = study.equivariance
    if not np.isfinite(error).any():
        return []
    place = int(np.nanargmax(error))
    if error[place] < 1e-12:
        return ["Fields of interior places are shifts of one field to rounding, at every σ: the data are stationary."]
    falls = bool(np.any(np.diff(error) < -1e-3 * error[place]))
    return [
        f"Fields of interior places differ from shifts of one field by at most {percent(float(error[place]))} of "
        f"their energy, at σ = {number(float(study.sigma[place]))}; the error "
        f"{'is not monotone in' if falls else 'grows with'} σ, and goes to "
        f"{percent(study.projector_equivariance) if study.projector_equivariance > 1e-12 else '0'} at σ → 0."
    ]


# ---------------------------------------------------------------- figures
def _sigma_axis(ax: Axes, study: ReceptiveFieldStudy) -> None:
    first, last = float(study.sigma[0]), float(study.sigma[-1])
    look.log_axis(ax.xaxis, *numbers.log_limits(first, last, 0.02))
    ax.set_xlabel("noise level σ")


def _fields_picture(study: ReceptiveFieldStudy) -> Picture:
    image = study.layout.is_image
    shown = ", ".join(short(float(s), 2) for s in study.shown)
    shares = ", ".join(percent(share) for share in study.shares)
    grey = (
        " Channels are taken together: how their mean answers to a change of all." if study.layout.channels > 1 else ""
    )
    reading = (
        "Red is positive, blue negative, each image on its own scale; the number below is its largest entry."
        if image
        else "Each curve is divided by its largest entry; entries are taken in their order."
    )
    return Picture(
        name="receptive_fields",
        title="What a pixel looks at" if image else "What an entry looks at",
        caption="Rows of the Jacobian Σ(Σ + σ²)⁻¹ of the places nearest to centre and corner that vary, at the "
        f"noise levels that leave {shares} of the degrees of freedom. {reading}{grey} At low noise a field is a "
        "point, or a row of the projector where there are directions without variance; at high noise it is the "
        "covariance with that place.",
        alternative=f"Receptive fields of two {'pixels' if image else 'entries'} at σ = {shown}.",
        draw=partial(_draw_fields, study),
        raster=image,
    )


@styled
def _draw_fields(study: ReceptiveFieldStudy) -> Figure:
    """Receptive fields of the centre and the corner at some noise levels."""
    return _images(study) if study.layout.is_image else _curves(study)


def _images(study: ReceptiveFieldStudy) -> Figure:
    columns = len(study.shown)
    height, width = study.layout.grid
    cell = WIDTH / columns
    figure = Figure(figsize=(WIDTH, 2 * cell * min(height / width, 2.0) + 0.7), layout="constrained")
    axes = figure.subplots(2, columns, squeeze=False)
    for name, row in zip(_NAMES, axes, strict=True):
        for field, sigma, ax in zip(study.fields[name], study.shown, row, strict=True):
            frame(ax)
            top = float(np.abs(field).max())
            ax.imshow(field / (top or 1.0), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
            ax.set_xlabel(f"{number(top, 2)}", fontsize=8.5, labelpad=3)
            if name == "centre":
                ax.set_title(f"σ = {number(float(sigma), 2)}", loc="center", fontsize=9.5)
        row[0].set_ylabel(f"{name} {study.pixels[name]}")
    return figure


def _curves(study: ReceptiveFieldStudy) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    colours = look.n_colours(len(study.shown))
    for name, ax in zip(_NAMES, axes, strict=True):
        for field, colour in zip(study.fields[name], colours, strict=True):
            top = float(np.abs(field).max()) or 1.0
            ax.plot(np.arange(field.size), field / top, color=colour, lw=1.2)
        ax.axhline(0.0, color=GUIDE, lw=0.6, zorder=0)
        ax.set_title(f"entry {study.pixels[name][0]}")
        ax.set_xlabel("entry")
        ax.margins(x=0.02)
    axes[0].set_ylabel("receptive field, largest = 1")
    handles = [
        Line2D([], [], color=colour, lw=2.0, label=number(float(sigma), 2))
        for sigma, colour in zip(study.shown, colours, strict=True)
    ]
    figure.legend(handles=handles, title="noise level σ", loc="outside right upper", alignment="left")
    return figure


def _sizes_picture(study: ReceptiveFieldStudy) -> Picture:
    total = math.prod(study.layout.grid)
    part = study.sizes["centre"]["participation"]
    first, last = number(float(part[0])), number(float(part[-1]))
    return Picture(
        name="receptive_field_size",
        title="Size against noise",
        caption="Left: participation (Σ|RF|)²/ΣRF², right: radius that holds half of Σ|RF|, which is 0 and not "
        "drawn where the pixel itself does. “Averaged over shifts” has the circulant projection of the "
        "covariance; “power law” a fitted A/|m|ᵖ on as many pixels; the closed form is that of p = 2 for fields "
        "far from both a pixel and the whole, and says nothing outside of that.",
        alternative=f"The centre's participation goes from {first} to {last} of {total:,} over the noise levels.",
        draw=partial(_draw_sizes, study),
    )


@styled
def _draw_sizes(study: ReceptiveFieldStudy) -> Figure:
    """Pixels that take part, and the radius of half of the mass, against σ."""
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    pixels = math.prod(study.layout.grid)
    _size_panel(left, study, "participation", 0.8, 1.5 * pixels)
    left.axhline(pixels, color=GUIDE, lw=0.8)
    unit = "pixels" if study.layout.is_image else "entries"
    left.text(
        0.02, pixels * 0.93, f"all {unit}", transform=left.get_yaxis_transform(), va="top", color=MUTED, fontsize=8
    )
    left.set_ylabel(f"{unit} that take part")
    _size_panel(right, study, "r50", 0.1, 1.2 * math.hypot(*study.layout.grid))
    right.set_ylabel(f"radius of half of the mass, {unit}")
    handles = [
        Line2D([], [], color=colour, ls=line, lw=1.8, label=label)
        for name, (colour, line, label) in _LOOK.items()
        if name in study.sizes
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=2.6)
    return figure


def _size_panel(ax: Axes, study: ReceptiveFieldStudy, measure: str, low: float, high: float) -> None:
    for name, (colour, line, _) in _LOOK.items():
        if name in study.sizes:
            values = numbers.positive(study.sizes[name][measure])
            ax.plot(study.sigma, values, color=colour, ls=line, lw=1.5)
    _sigma_axis(ax, study)
    look.log_axis(ax.yaxis, low, high)


def _spectrum_picture(study: ReceptiveFieldStudy) -> Picture | None:
    """None where no power law fits."""
    if study.fit is None:
        return None
    return Picture(
        name="receptive_field_spectrum",
        title="Variance by spatial frequency",
        caption="Circles of the spectrum of the circulant projection, up to the frequency to which circles "
        "are whole, and least squares of the logarithms. The DC variance is not part of the fit.",
        alternative=f"The fitted exponent is {study.fit.exponent:.2f}, with a residual of "
        f"{percent(study.fit.residual)}.",
        draw=partial(_draw_spectrum, study),
    )


@styled
def _draw_spectrum(study: ReceptiveFieldStudy) -> Figure:
    """Variance by spatial frequency and its power laws."""
    fit, two = study.fit, study.fit2
    assert fit is not None
    assert two is not None
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    ax = figure.subplots()
    m = np.geomspace(fit.frequency[0], fit.frequency[-1], 50)
    ax.plot(m, fit.amplitude * m**-fit.exponent, color="#cc79a7", ls="-.", label=f"p = {fit.exponent:.2f}, fitted")
    ax.plot(m, two.amplitude * m**-2.0, color=INK, ls=":", label="p = 2")
    ax.plot(fit.frequency, fit.variance, ls="", marker="o", ms=4.5, color="#009e73", label="the data")
    look.log_axis(ax.xaxis, *numbers.log_limits(float(m[0]), float(m[-1]), 0.05))
    bounds = numbers.finite_range(fit.variance, two.amplitude * m**-2.0)
    assert bounds is not None  # a fit has positive variance
    look.log_axis(ax.yaxis, *numbers.log_limits(*bounds))
    ax.set_xlabel("periods over the side of the image" if study.layout.is_image else "periods over the signal")
    ax.set_ylabel("variance")
    ax.legend(loc="lower left")
    return figure


def _degrees_picture(study: ReceptiveFieldStudy) -> Picture:
    return Picture(
        name="receptive_field_degrees",
        title="Degrees of freedom, and training sets of n",
        caption="Left: trace of the Jacobian, dashed of all data, in colour the mean over training sets of n "
        "samples. Right: standard deviation between training sets of the centre's field over its mean's norm, "
        "predicted; at 1 a field says as much of the training set as of the data.",
        alternative=f"At most {number(float(study.degrees.max()))} degrees of freedom of all data; of n = "
        f"{study.n[0]:,} samples at most {number(float(study.degrees_n[0].max()))}.",
        draw=partial(_draw_degrees, study),
    )


@styled
def _draw_degrees(study: ReceptiveFieldStudy) -> Figure:
    """Degrees of freedom of all data and of n samples, and how much fields of training sets differ."""
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = look.n_colours(len(study.n))
    for n, values, spread, colour in zip(study.n, study.degrees_n, study.spread, colours, strict=True):
        left.plot(study.sigma, numbers.positive(values), color=colour, lw=1.4)
        right.plot(study.shown, numbers.positive(spread), color=colour, lw=1.2, marker="o", ms=3.4, label=f"{n:,}")
    left.plot(study.sigma, study.degrees, color=INK, lw=1.6, ls="--")
    bounds = numbers.finite_range(study.degrees, study.degrees_n)
    assert bounds is not None  # there is variance
    look.log_axis(left.yaxis, *numbers.log_limits(max(bounds[0], 1e-2), bounds[1]))
    spread_bounds = numbers.finite_range(study.spread)
    if spread_bounds is not None:
        look.log_axis(right.yaxis, *numbers.log_limits(max(spread_bounds[0], 1e-4), spread_bounds[1]))
    for ax, text in ((left, "degrees of freedom"), (right, "spread of the centre's field")):
        _sigma_axis(ax, study)
        ax.set_ylabel(text)
    extra = [Line2D([], [], color=INK, ls="--", lw=1.6, label="all data")]
    figure.legend(
        handles=[*look.n_handles(study.n), *extra], title="samples n", loc="outside right upper", alignment="left"
    )
    return figure


def _equivariance_picture(study: ReceptiveFieldStudy) -> Picture | None:
    """None where the sample is too small."""
    if not np.isfinite(study.equivariance).any():
        return None
    image, side = study.layout.is_image, 2 * study.radius + 1
    return Picture(
        name="receptive_field_equivariance",
        title="Are fields shifts of one another?",
        caption="Energy of the difference between fields and their mean over interior places, after each was "
        f"shifted to its place, over their energy, in a window of {side}{f' × {side}' if image else ''} "
        "around it. 0: a convolution does as well; 1: nothing in common. Dashed: the limit at no noise, "
        "where it is not 0.",
        alternative=f"Largest error {percent(float(np.nanmax(study.equivariance)))}.",
        draw=partial(_draw_equivariance, study),
    )


@styled
def _draw_equivariance(study: ReceptiveFieldStudy) -> Figure:
    """Local equivariance error against σ, with its limit at no noise."""
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    ax = figure.subplots()
    ax.plot(study.sigma, numbers.positive(study.equivariance), color="#0072b2")
    bounds = numbers.finite_range(study.equivariance)
    if bounds is not None:
        low, high = max(bounds[0], bounds[1] * 1e-8), bounds[1]
        if study.projector_equivariance > low:
            ax.axhline(study.projector_equivariance, color=GUIDE, lw=0.9, ls="--")
            high = max(high, study.projector_equivariance)
        look.log_axis(ax.yaxis, *numbers.log_limits(low, high))
    _sigma_axis(ax, study)
    ax.set_ylabel("equivariance error")
    return figure


# ---------------------------------------------------------------- tables
def _noise_level_table(study: ReceptiveFieldStudy) -> Table:
    columns = {
        "sigma": numbers.finite_or_none(study.sigma),
        "degrees": numbers.finite_or_none(study.degrees),
        **{f"degrees_n{n}": numbers.finite_or_none(v) for n, v in zip(study.n, study.degrees_n, strict=True)},
        "equivariance_error": numbers.finite_or_none(study.equivariance),
    }
    if study.colour_share is not None:
        columns["other_channels"] = numbers.finite_or_none(study.colour_share)
    return Table(
        name="receptive_field_by_sigma",
        caption="Degrees of freedom tr J of all data and expected of n samples, local equivariance error, share "
        "of energy in other channels.",
        columns=columns,
        file=True,
    )


def _size_table(study: ReceptiveFieldStudy) -> Table:
    columns = {"sigma": numbers.finite_or_none(study.sigma)}
    for name, measures in study.sizes.items():
        for measure, values in measures.items():
            if np.isfinite(values).any():
                columns[f"{name.replace(' ', '_')}_{measure}"] = numbers.finite_or_none(values)
    return Table(
        name="receptive_field_sizes",
        caption="Sizes of |RF| in pixels: FWHM, radii of half and nine tenths of the mass, participation.",
        columns=columns,
        file=True,
    )


def _spread_table(study: ReceptiveFieldStudy) -> Table:
    return Table(
        name="receptive_field_spread",
        caption="Noise levels that are shown, the share of the rank that they leave, and the standard deviation "
        "of the centre's field between training sets of n over its mean's norm.",
        columns={
            "sigma": numbers.finite_or_none(study.shown),
            "share_of_rank": study.shares,
            **{f"spread_n{n}": numbers.finite_or_none(v) for n, v in zip(study.n, study.spread, strict=True)},
        },
        file=True,
    )
