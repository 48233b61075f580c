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
#: Equivariance errors below it are rounding.
_ROUNDING = 1e-12
#: Colour, line and label of a size; solid lines are the population's, the others stand in for it.
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
        title="Receptive fields of the best linear denoiser",
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
    total = math.prod(study.layout.shape)
    low, high = number(float(study.sigma[0])), number(float(study.sigma[-1]))
    findings = [
        f"At σ = {number(study.half_sigma)}, the best linear denoiser keeps half of the {study.rank:,} directions with "
        f"variance: the trace of its Jacobian falls from {number(float(study.degrees[0]))} at σ = {low} to "
        f"{number(float(study.degrees[-1]))} at σ = {high}."
    ]
    if study.rank < total:
        findings.append(
            f"As σ → 0, fields become rows of the projector on the {study.rank:,} of {total:,} directions that have variance, "
            f"not rows of the identity: the Jacobian stays {percent(study.identity_defect)} away from the identity "
            "(Frobenius norm)."
        )
    else:
        findings.append(
            f"As σ → 0, every field shrinks to its own {_unit(study)}, because all {total:,} directions have variance."
        )
    part = study.sizes["centre"]["participation"]
    if np.isfinite(part).all():
        findings.append(
            f"In the centre's field, {number(float(part[0]))} {_units(study)} take part at σ = {low}, and "
            f"{number(float(part[-1]))} of {math.prod(study.layout.grid):,} at σ = {high}."
        )
    return (
        *findings,
        *_law_findings(study),
        _training_set_finding(study),
        *_equivariance_findings(study),
        *_channel_findings(study),
    )


def _unit(study: ReceptiveFieldStudy) -> str:
    return "pixel" if study.layout.is_image else "entry"


def _units(study: ReceptiveFieldStudy) -> str:
    return "pixels" if study.layout.is_image else "entries"


def _training_set_finding(study: ReceptiveFieldStudy) -> str:
    few, many = (percent(float(np.nanmax(study.spread[row]))) for row in (0, -1))
    return (
        f"For the best linear denoiser of {study.n[0]:,} training samples, at most "
        f"{number(float(study.degrees_n[0].max()))} degrees of freedom are expected at any σ, and the centre's field of one "
        f"training set differs from the mean field by up to {few} of its size (one standard deviation). With "
        f"{study.n[-1]:,} samples it differs by up to {many}."
    )


def _channel_findings(study: ReceptiveFieldStudy) -> list[str]:
    if study.colour_share is None:
        return []
    most = int(np.argmax(study.colour_share))
    return [
        f"Channels depend on one another: at most {percent(float(study.colour_share[most]))} of a field's energy lies in "
        f"channels other than that of the output, at σ = {number(float(study.sigma[most]))}."
    ]


def _law_findings(study: ReceptiveFieldStudy) -> list[str]:
    if study.fit is None or not study.fit.exponent > 0.1:  # no fall of variance with frequency: no law of lengths
        return []
    finding = (
        f"Averaged over shifts, the variance falls with spatial frequency as 1/|m|^{study.fit.exponent:.2f} (residual "
        f"{percent(study.fit.residual)}). With such a spectrum, lengths of fields grow as σ^{2 / study.fit.exponent:.2f} "
        f"while they are far larger than one {_unit(study)} and far smaller than the whole."
    )
    low, high = study.slope_range
    slopes = {name: value for name, value in study.slopes.items() if name != "closed form" and math.isfinite(value)}
    if slopes and math.isfinite(low):
        words = ", ".join(f"{_LOOK[name][2]} {value:.2f}" for name, value in slopes.items())
        finding += f" Exponents measured between σ = {number(float(low))} and {number(float(high))}: {words}."
    else:
        finding += f" With so few {_units(study)} there is no range of σ in which to see this."
    return [finding]


def _equivariance_findings(study: ReceptiveFieldStudy) -> list[str]:
    error = study.equivariance
    if not np.isfinite(error).any():
        return []
    most = int(np.nanargmax(error))
    if error[most] < _ROUNDING:
        return [
            f"At every σ, the fields of interior {_units(study)} are shifts of one field to rounding: the data are stationary."
        ]
    falls = bool(np.any(np.diff(error) < -1e-3 * error[most]))
    return [
        f"The fields of interior {_units(study)} differ from shifts of one field by at most {percent(float(error[most]))} of "
        f"their energy, at σ = {number(float(study.sigma[most]))}. The error {'is not monotone in' if falls else 'grows with'} "
        f"σ and tends to {percent(study.projector_equivariance) if study.projector_equivariance > _ROUNDING else '0'} as σ → 0."
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
        " Channels are combined: a field shows how their mean responds to an equal change of all of them."
        if study.layout.channels > 1
        else ""
    )
    reading = (
        "Red is positive, blue is negative, and each image has its own scale: the number below is its largest absolute value."
        if image
        else "Each curve is divided by its largest absolute value; entries are in the order of the data."
    )
    return Picture(
        name="receptive_fields",
        title="What a pixel looks at" if image else "What an entry looks at",
        caption=f"Rows of the Jacobian Σ(Σ + σ²)⁻¹ for the {_units(study)} closest to the centre and to the corner among those "
        f"that vary, at the noise levels that leave {shares} of the degrees of freedom. {reading}{grey} At low noise a field is "
        "a point, or a row of the projector if some directions have no variance. At high noise it is the covariance with "
        f"that {_unit(study)}.",
        alternative=f"Receptive fields of two {_units(study)} at σ = {shown}.",
        draw=partial(_draw_fields, study),
        raster=image,
    )


@styled
def _draw_fields(study: ReceptiveFieldStudy) -> Figure:
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
        title="Size over noise",
        caption=f"Left: participation (Σ|RF|)²/ΣRF². Right: radius that holds half of Σ|RF|; it is 0, and not drawn, where one "
        f"{_unit(study)} alone holds half. “Averaged over shifts” is for the circulant projection of the covariance, "
        "“power law” for a fitted A/|m|ᵖ on the same grid. The closed form for p = 2 holds only where fields are far larger "
        f"than one {_unit(study)} and far smaller than the whole.",
        alternative=f"The centre's participation goes from {first} to {last} of {total:,} over the noise levels.",
        draw=partial(_draw_sizes, study),
    )


@styled
def _draw_sizes(study: ReceptiveFieldStudy) -> Figure:
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
    """None if no power law fits."""
    if study.fit is None:
        return None
    return Picture(
        name="receptive_field_spectrum",
        title="Variance by spatial frequency",
        caption="Spectrum of the circulant projection, averaged over circles of equal frequency, up to the frequency at which "
        "circles are still whole, and least-squares fits to its logarithm. The DC variance is not part of the fit.",
        alternative=f"The fitted exponent is {study.fit.exponent:.2f}, with a residual of "
        f"{percent(study.fit.residual)}.",
        draw=partial(_draw_spectrum, study),
    )


@styled
def _draw_spectrum(study: ReceptiveFieldStudy) -> Figure:
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
        caption="Left: trace of the Jacobian for all data (dashed), and its mean over training sets of n samples (in colour). "
        "Right: predicted standard deviation of the centre's field between training sets, over the norm of the mean field. At "
        "1, a field says as much about the training set as about the data.",
        alternative=f"At most {number(float(study.degrees.max()))} degrees of freedom for all data, and at most "
        f"{number(float(study.degrees_n[0].max()))} for n = {study.n[0]:,} samples.",
        draw=partial(_draw_degrees, study),
    )


@styled
def _draw_degrees(study: ReceptiveFieldStudy) -> Figure:
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
    """None if the sample is too small."""
    if not np.isfinite(study.equivariance).any():
        return None
    side = 2 * study.radius + 1
    window = f"{side} × {side}" if study.layout.is_image else str(side)
    return Picture(
        name="receptive_field_equivariance",
        title="Are fields shifts of one another?",
        caption=f"Fields of interior {_units(study)} are shifted onto one another and compared in a window of {window} around "
        "their centre: energy of their differences from their mean, over their own energy. At 0, a convolution does as well; "
        "at 1, the fields have nothing in common. Dashed: the limit σ → 0, if it is not 0.",
        alternative=f"The largest error is {percent(float(np.nanmax(study.equivariance)))}.",
        draw=partial(_draw_equivariance, study),
    )


@styled
def _draw_equivariance(study: ReceptiveFieldStudy) -> Figure:
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
        caption="Degrees of freedom tr J for all data, and expected for training sets of n samples; local equivariance error; "
        "share of energy in other channels.",
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
        caption=f"Sizes of |RF| in {_units(study)}: full width at half maximum, radii that hold half and nine tenths of the "
        "mass, and participation.",
        columns=columns,
        file=True,
    )


def _spread_table(study: ReceptiveFieldStudy) -> Table:
    return Table(
        name="receptive_field_spread",
        caption="Noise levels at which fields are shown, the share of the rank that each leaves, and the standard deviation of "
        "the centre's field between training sets of n samples, over the norm of the mean field.",
        columns={
            "sigma": numbers.finite_or_none(study.shown),
            "share_of_rank": study.shares,
            **{f"spread_n{n}": numbers.finite_or_none(v) for n, v in zip(study.n, study.spread, strict=True)},
        },
        file=True,
    )
