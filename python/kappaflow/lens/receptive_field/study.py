"""Everything that the page on receptive fields shows, for one population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.optimize import brentq

from ..._checks import FloatArray, integer, integers, real_array
from ..._tables import Columns, Tabular
from ...moments import has_variance
from ...population import Population
from ...splits import Splits
from ..layout import SpatialLayout
from .equivariance import default_radius, local_equivariance_error
from .field_size import FieldSize, field_size
from .linear_jacobian import degrees_of_freedom, denoiser_gains, jacobian_rows, receptive_field
from .power_laws import PowerLawFit, fit_power_law, power_law_size, power_law_spectrum
from .stationary_fields import stationary_field, stationary_spectrum
from .training_sets import expected_degrees_of_freedom, receptive_field_spread

__all__ = ["ReceptiveFieldStudy", "receptive_field_study"]

#: Shares of the degrees of freedom that are left at the noise levels that are shown.
SHARES = (0.95, 0.8, 0.5, 0.2, 0.05, 0.01)
_LEVELS = 33
#: A pixel is shown only if it has this share of the largest variance, or more: fields of a constant border mean nothing.
_VARIED = 1e-3
#: Number of interior pixels for the equivariance error, about.
_INTERIOR = 64

Sizes = Mapping[str, FloatArray]


@dataclass(frozen=True, repr=False)
class ReceptiveFieldStudy(Tabular):
    """Receptive fields of the best linear denoiser of a population; see :func:`receptive_field_study`.

    Attributes
    ----------
    layout : positions and channels of a sample
    rank : number of modes with variance
    sigma : (S,) noise levels, ascending
    degrees : (S,) effective degrees of freedom tr J
    half_sigma : σ at which half of the rank is left
    n : training-set sizes
    degrees_n : (N, S) expected degrees of freedom of training sets of each n
    spread : (N, s) relative standard deviation over training sets of the centre's field, for its channel of most variance, at
        the shown levels
    shown : (s,) noise levels that are shown, at which given shares of the rank are left
    shares : (s,) those shares
    fields : "centre" and "corner" → (s, *grid), of the mean of the channels ("grey")
    pixels : "centre" and "corner" → the position nearest to it that has variance
    sizes : whose → measure of :class:`FieldSize` → (S,): "centre" and "corner" of the population; "stationary", its circulant
        projection; "power law", the fitted spectrum on the same torus; "closed form", p = 2 in the continuum
    fit : power law fitted to the spectrum of the circulant projection, None if there is no fit
    fit2 : the same with the exponent 2, which the closed form needs
    slopes : whose → d ln length/d ln σ between the levels of `slope_range`, NaN if there are fewer than three of them; length
        is the participation, in two dimensions its square root
    slope_range : (2,) σ at which the participation of the power law's field is 4 pixels and a quarter of all, NaN without a fit
    radius : radius of the window in which the equivariance error is taken
    equivariance : (S,) local equivariance error, NaN if the sample is too small
    projector_equivariance : its limit at σ → 0
    identity_defect : ‖P − 1‖/‖1‖ = √(1 − rank/d) of the limit P of J at σ → 0
    colour_share : (S,) share of the energy of the centre pixel's fields that lies in other channels than the output's, None
        without channels
    """

    layout: SpatialLayout
    rank: int
    sigma: FloatArray
    degrees: FloatArray
    half_sigma: float
    n: tuple[int, ...]
    degrees_n: FloatArray
    spread: FloatArray
    shown: FloatArray
    shares: tuple[float, ...]
    fields: Mapping[str, FloatArray]
    pixels: Mapping[str, tuple[int, ...]]
    sizes: Mapping[str, Sizes]
    fit: PowerLawFit | None
    fit2: PowerLawFit | None
    slopes: Mapping[str, float]
    slope_range: FloatArray
    radius: int
    equivariance: FloatArray
    projector_equivariance: float
    identity_defect: float
    colour_share: FloatArray | None

    def _columns(self) -> Columns:
        sizes = {
            f"{name}, {measure}": values
            for name, measures in self.sizes.items()
            for measure, values in measures.items()
        }
        return {
            "sigma": self.sigma,
            "degrees_of_freedom": self.degrees,
            "equivariance_error": self.equivariance,
            **sizes,
        }

    def __repr__(self) -> str:
        sizes = ", ".join(str(n) for n in self.n)
        return (
            f"ReceptiveFieldStudy(shape={self.layout.shape}, rank {self.rank}, {self.sigma.size} noise levels, n = {sizes}, "
            f"half of the rank left at sigma = {self.half_sigma:.3g})"
        )


def receptive_field_study(
    population: Population, *, sigma: Any = None, n: Sequence[int] | None = None, radius: int | None = None
) -> ReceptiveFieldStudy:
    """Receptive fields of a population at all noise levels: images, sizes, degrees of freedom, equivariance.

    Training sets of size n are drawn from the population as it is (``population_is="exact"``); the population is the limit of
    large n.

    Parameters
    ----------
    population : with eigenmodes; a sample that is not an image is treated as a signal of its entries in order
    sigma : (S,) ascending noise levels > 0; by default 33 from 0.3 √λ of the least mode with variance, but at least 1e-4 √λ₁, to
        10 √λ₁
    n : training-set sizes ≥ 2; by default about d/4, d and 4 d
    radius : radius of the window in which the equivariance error is taken; by default :func:`~.equivariance.default_radius`

    Raises
    ------
    ValueError
        The population has no eigenmodes or no variance, noise levels do not ascend or are not above 0, there is no training-set
        size or one below 2, or the radius is below 1.
    """
    if population.eigenvectors is None:
        raise ValueError("population must have eigenmodes for receptive fields, got only its spectrum")
    layout, values = SpatialLayout.of_any(population.shape), population.eigenvalues
    rank = int(has_variance(values).sum())
    if rank == 0:
        raise ValueError("population must have a mode with variance for receptive fields, got none")
    levels = _levels(values[:rank], sigma)
    sizes_n = _training_sizes(population.dimension, n)
    ensembles = [Splits(population, size, population_is="exact") for size in sizes_n]
    shown = np.array([_sigma_of_share(values[:rank], share) for share in SHARES])
    varied = _varied_pixels(population, layout)
    pixels = {"centre": _nearest(varied, layout.centre), "corner": _nearest(varied, layout.corner)}
    entry = tuple(
        int(i) for i in np.unravel_index(_loudest_channel(population, layout, pixels["centre"]), population.shape)
    )
    fit, fit2 = _fits(stationary_spectrum(population))
    sizes = _all_sizes(population, layout, pixels, levels, fit, fit2)
    slopes, slope_range = _slopes(layout, levels, sizes)
    window = default_radius(population.shape) if radius is None else integer("radius", radius, 1)
    equivariance, limit = _equivariance(population, layout, levels, window)
    return ReceptiveFieldStudy(
        layout=layout,
        rank=rank,
        sigma=levels,
        degrees=degrees_of_freedom(population, levels),
        half_sigma=_sigma_of_share(values[:rank], 0.5),
        n=sizes_n,
        degrees_n=np.stack([expected_degrees_of_freedom(e, levels) for e in ensembles]),
        spread=np.array([[receptive_field_spread(e, float(s), entry) for s in shown] for e in ensembles]),
        shown=shown,
        shares=SHARES,
        fields={name: receptive_field(population, shown, pixel, channels="grey") for name, pixel in pixels.items()},
        pixels=pixels,
        sizes=sizes,
        fit=fit,
        fit2=fit2,
        slopes=slopes,
        slope_range=slope_range,
        radius=window,
        equivariance=equivariance,
        projector_equivariance=limit,
        identity_defect=float(np.sqrt(1 - rank / population.dimension)),
        colour_share=_colour_share(population, layout, pixels["centre"], levels),
    )


# ---------------------------------------------------------------- parts
def _variances(population: Population) -> FloatArray:
    """(d,) the diagonal of Σ."""
    assert population.eigenvectors is not None  # checked
    return np.asarray(population.eigenvectors**2 @ population.eigenvalues)


def _varied_pixels(population: Population, layout: SpatialLayout) -> FloatArray:
    """(P, 1 or 2) positions whose variance is at least 1e-3 of the largest."""
    variance = layout.planes(_variances(population)).sum(axis=0)
    return np.argwhere(variance >= _VARIED * variance.max()).astype(np.float64)


def _nearest(places: FloatArray, to: tuple[int, ...]) -> tuple[int, ...]:
    distance = np.sum((places - np.asarray(to)) ** 2, axis=1)
    return tuple(int(i) for i in places[int(np.argmin(distance))])


def _loudest_channel(population: Population, layout: SpatialLayout, position: tuple[int, ...]) -> int:
    """Place in a flattened sample of the channel of a pixel that has most variance."""
    entries = layout.entries(position)
    return int(entries[int(np.argmax(_variances(population)[entries]))])


def _levels(values: FloatArray, sigma: Any) -> FloatArray:
    if sigma is None:
        top = float(np.sqrt(values[0]))
        return np.asarray(np.geomspace(max(0.3 * float(np.sqrt(values[-1])), 1e-4 * top), 10 * top, _LEVELS))
    levels = real_array("sigma", sigma)
    if levels.ndim != 1 or levels.size == 0 or levels[0] <= 0 or np.any(np.diff(levels) <= 0):
        raise ValueError(f"sigma must be ascending noise levels above 0, got {sigma!r}")
    return levels


def _training_sizes(dimension: int, n: Sequence[int] | None) -> tuple[int, ...]:
    if n is None:
        return tuple(sorted({max(4, round(factor * dimension)) for factor in (0.25, 1, 4)}))
    if len(n) == 0:
        raise ValueError("n must hold at least one training-set size, got none")
    return tuple(sorted(set(integers("n", n, 2, what="training-set size"))))


def _sigma_of_share(values: FloatArray, share: float) -> float:
    """σ at which Σ λ/(λ+σ²) is a given share of the number of modes, all of which have variance."""

    def excess(log_noise: float) -> float:
        return float(np.mean(values / (values + np.exp(log_noise)))) - share

    low, high = np.log(values[-1]) + np.log(1 / share - 1), np.log(values[0]) + np.log(1 / share - 1)
    if high - low < 1e-12:
        return float(np.exp(0.5 * low))
    return float(np.exp(0.5 * brentq(excess, low - 1e-6, high + 1e-6, xtol=1e-12)))


def _fits(spectrum: FloatArray) -> tuple[PowerLawFit | None, PowerLawFit | None]:
    """A free fit and one with p = 2; None if there are too few frequencies with variance, or the spectrum rises."""
    try:
        free, two = fit_power_law(spectrum), fit_power_law(spectrum, exponent=2.0)
    except ValueError:
        return None, None
    return (free, two) if free.exponent > 0 else (None, None)


def _collect(sizes: list[FieldSize]) -> Sizes:
    return {f.name: np.array([getattr(size, f.name) for size in sizes]) for f in fields(FieldSize)}


def _all_sizes(
    population: Population,
    layout: SpatialLayout,
    pixels: Mapping[str, tuple[int, ...]],
    levels: FloatArray,
    fit: PowerLawFit | None,
    fit2: PowerLawFit | None,
) -> dict[str, Sizes]:
    sizes: dict[str, Sizes] = {}
    for name, pixel in pixels.items():
        measured = receptive_field(population, levels, pixel, channels="grey")
        sizes[name] = _collect([_size_or_nan(field, pixel) for field in measured])
    spectra = {"stationary": stationary_spectrum(population)}
    if fit is not None:
        spectra["power law"] = power_law_spectrum(layout.grid, fit.amplitude, fit.exponent, dc=fit.dc)
    for name, spectrum in spectra.items():
        # distances as within the image: from the centre of the torus, not around it
        moved = [np.roll(stationary_field(spectrum, float(s)), layout.centre, range(len(layout.grid))) for s in levels]
        sizes[name] = _collect([_size_or_nan(field, layout.centre) for field in moved])
    if fit2 is not None:
        side = float(np.prod(layout.grid)) ** (1 / len(layout.grid))
        sizes["closed form"] = _collect(
            [power_law_size(side, fit2.amplitude, float(s), dimensions=len(layout.grid)) for s in levels]
        )
    return sizes


def _size_or_nan(field: FloatArray, pixel: tuple[int, ...]) -> FieldSize:
    """NaN for a pixel without variance, whose field vanishes."""
    if field[pixel] == 0:
        return FieldSize(**{f.name: float("nan") for f in fields(FieldSize)})
    return field_size(field, pixel)


def _slopes(
    layout: SpatialLayout, levels: FloatArray, sizes: Mapping[str, Sizes]
) -> tuple[dict[str, float], FloatArray]:
    """Growth of lengths with σ, where the power law's field is much larger than a pixel and much smaller than the image."""
    nothing = {name: float("nan") for name in sizes}
    if "power law" not in sizes:
        return nothing, np.full(2, np.nan)
    part = sizes["power law"]["participation"]
    inside = (part > 4) & (part < np.prod(layout.grid) / 4)
    if inside.sum() < 3:
        return nothing, np.full(2, np.nan)
    x = np.log(levels[inside])
    slopes = {
        name: float(np.polyfit(x, np.log(measures["participation"][inside]) / len(layout.grid), 1)[0])
        for name, measures in sizes.items()
        if np.all(np.isfinite(measures["participation"][inside]))
    }
    return {**nothing, **slopes}, levels[inside][[0, -1]]


def _equivariance(
    population: Population, layout: SpatialLayout, levels: FloatArray, radius: int
) -> tuple[FloatArray, float]:
    """The local equivariance error and its limit at σ → 0; NaN if no two pixels have their window inside."""
    interior = [length - 2 * radius for length in layout.grid]
    if min(interior) < 2:
        return np.full(levels.shape, np.nan), float("nan")
    stride = max(1, int(np.ceil((np.prod(interior) / _INTERIOR) ** (1 / len(interior)))))
    error = local_equivariance_error(population, np.append(levels, 0.0), radius=radius, stride=stride)
    return error[:-1], float(error[-1])


def _colour_share(
    population: Population, layout: SpatialLayout, position: tuple[int, ...], levels: FloatArray
) -> FloatArray | None:
    if layout.channels == 1:
        return None
    places = layout.entries(position)
    shares = []
    for gains in denoiser_gains(population, levels):
        planes = layout.planes(jacobian_rows(population, gains, places))  # (C out, C in, *grid)
        energy = np.sum(planes**2, axis=tuple(range(2, planes.ndim)))
        shares.append(1 - np.trace(energy) / energy.sum())
    return np.asarray(shares)
