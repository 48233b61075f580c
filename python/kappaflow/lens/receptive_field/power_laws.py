r"""Closed-form receptive fields of data whose spectrum is a power law, and fits of power laws to data.

The spectrum is λ_m = A/|m|^p at the frequency m, in periods over N pixels. At the frequency a = (A/σ²)^{1/p}, λ_m = σ²; a field
decays over the length N/2πa.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special
from scipy.optimize import brentq

from ..._checks import FloatArray, integer, not_negative, positive, real_array
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from .field_size import FieldSize
from .stationary_fields import frequencies

__all__ = [
    "PowerLawFit",
    "RadialAverage",
    "fit_power_law",
    "lattice_field",
    "lattice_spectrum",
    "power_law_defect",
    "power_law_field",
    "power_law_field_2d",
    "power_law_size",
    "power_law_spectrum",
    "radial_average",
]


# ---------------------------------------------------------------- spectra
def _with_dc(values: FloatArray, dc: float | None) -> FloatArray:
    """The spectrum with its DC variance, by default that of the lowest frequency."""
    first = (0,) * values.ndim
    values[first] = 0.0
    values[first] = values.max() if dc is None else not_negative("dc", dc)
    return values


def power_law_spectrum(
    size: int | tuple[int, ...], amplitude: float, exponent: float, *, dc: float | None = None
) -> FloatArray:
    """λ_m = A/|m|^p in FFT order, (N,) or (H, W).

    Parameters
    ----------
    size : N or (H, W)
    amplitude, exponent : A and p, above 0
    dc : λ₀ ≥ 0, a free number, by default the largest of the other eigenvalues

    Raises
    ------
    ValueError
        A number is out of range, or the size has more than two axes or an empty one.
    """
    a, p = positive("amplitude", amplitude), positive("exponent", exponent)
    m = frequencies(size)
    return _with_dc(a * np.where(m > 0, m, np.inf) ** -p, dc)


def lattice_spectrum(size: int, amplitude: float, *, dc: float | None = None) -> FloatArray:
    """λ_m = A (2π/N)²/(4 sin²(πm/N)), (N,): the inverse of the ring's second difference, A/m² at low frequency.

    Parameters as for :func:`power_law_spectrum`.

    Raises
    ------
    TypeError, ValueError
        `size` is not a whole number of at least 1; `amplitude` or `dc` is out of range.
    """
    n, a = integer("size", size, 1), positive("amplitude", amplitude)
    sine = np.sin(np.pi * np.arange(n) / n)
    return _with_dc(a * (math.pi / n) ** 2 / np.where(sine > 0, sine, np.inf) ** 2, dc)


# ---------------------------------------------------------------- fields and their sizes
def _dc_part(size: int, sigma: float, dc: float) -> float:
    """σ²/(N(σ² + λ₀)), which a finite DC variance takes from every pixel."""
    return sigma**2 / (size * (sigma**2 + not_negative("dc", dc)))


def _ring(size: int) -> FloatArray:
    """Distances 0, 1, …, 1 around a ring."""
    k = np.arange(size)
    return np.asarray(np.minimum(k, size - k), dtype=np.float64)


def power_law_field(size: int, amplitude: float, sigma: float, *, dc: float) -> FloatArray:
    r"""Receptive field (N,) of λ_m = A/m² summed over all integers m, including those that N pixels cannot represent.

    RF[k] = (1/N) [πa cosh(a(π − |θ|))/sinh(πa) − σ²/(σ² + λ₀)], a = √A/σ, θ = 2πk/N.

    It approximates the ring if σN/(2√A) is large: 30 for an error of about 2 % of RF[0]. At smaller values, frequencies beyond
    those of N pixels contribute too much: RF[0] grows as π√A/(Nσ) although it should tend to 1. :func:`power_law_defect` gives
    the difference; :func:`lattice_field` and :func:`~.stationary_fields.stationary_field` are exact at every σ.

    Parameters
    ----------
    size : N
    amplitude, sigma : A and σ, above 0
    dc : λ₀ ≥ 0

    Raises
    ------
    ValueError
        A number is out of range.
    """
    n, root, level = integer("size", size, 1), math.sqrt(positive("amplitude", amplitude)), positive("sigma", sigma)
    b = math.pi * root / level
    u = 1 - 2 * _ring(n) / n
    # the quotient of cosh and sinh without what overflows at b > 710
    ratio = (np.exp(b * (u - 1)) + np.exp(-b * (u + 1))) / -math.expm1(-2 * b)
    return np.asarray(b * ratio / n - _dc_part(n, level, dc))


def power_law_defect(size: int, amplitude: float, sigma: float) -> float:
    """RF[0] of the ring minus that of :func:`power_law_field`: −(2a/N)(π/2 − arctan(N/2a)), the sum beyond N/2 as an integral.

    Parameters as for :func:`power_law_field`.

    Raises
    ------
    TypeError, ValueError
        `size` is not a whole number of at least 1; `amplitude` or `sigma` is not above 0.
    """
    n, a = integer("size", size, 1), math.sqrt(positive("amplitude", amplitude)) / positive("sigma", sigma)
    return -2 * a / n * math.atan2(2 * a, n)


def lattice_field(size: int, amplitude: float, sigma: float, *, dc: float) -> FloatArray:
    r"""Receptive field (N,) of :func:`lattice_spectrum`, exact at every N and σ.

    RF[k] = b²/(2 sinh S) (e^{−S|k|} + e^{−S(N−|k|)})/(1 − e^{−SN}) − σ²/(N(σ² + λ₀)), b = 2π√A/(Nσ), cosh S = 1 + b²/2.
    Parameters as for :func:`power_law_field`.

    Raises
    ------
    TypeError, ValueError
        `size` is not a whole number of at least 1; `amplitude`, `sigma` or `dc` is out of range.
    """
    n, root, level = integer("size", size, 1), math.sqrt(positive("amplitude", amplitude)), positive("sigma", sigma)
    b = 2 * math.pi * root / (n * level)
    rate = 2 * math.asinh(b / 2)  # arccosh(1 + b²/2) without its cancellation
    height = 1 / math.sqrt(1 + 4 / b**2)  # b²/(2 sinh S)
    k = _ring(n)
    shape = (np.exp(-rate * k) + np.exp(-rate * (n - k))) / -math.expm1(-rate * n)
    return np.asarray(height * shape - _dc_part(n, level, dc))


def power_law_field_2d(distance: Any, size: int, amplitude: float, sigma: float) -> FloatArray:
    """Receptive field 2πa²/N² K₀(2πar/N), a = √A/σ, of λ = A/|m|² in two dimensions, of the shape of `distance`.

    It is the field of the plane with all frequencies, and diverges as −log r at 0. It is accurate from about one pixel to a
    fraction of N, where neither the lattice nor the other side of the torus matters.

    Parameters
    ----------
    distance : r > 0, pixels
    size : N, pixels of a side
    amplitude, sigma : A and σ, above 0

    Raises
    ------
    ValueError
        A distance is not above 0, or another number is out of range.
    """
    r = real_array("distance", distance)
    if r.size and r.min() <= 0:
        raise ValueError(f"distance must be positive, got {r.min()}")
    n, a = integer("size", size, 1), math.sqrt(positive("amplitude", amplitude)) / positive("sigma", sigma)
    return np.asarray(2 * math.pi * (a / n) ** 2 * special.k0(2 * math.pi * a * r / n))


def _k0_radius(share: float) -> float:
    """The x at which ∫₀ˣ t K₀(t) dt = 1 − x K₁(x) equals a share."""
    return float(brentq(lambda x: 1 - x * special.k1(x) - share, 1e-6, 50.0, xtol=1e-14))


def power_law_size(size: float, amplitude: float, sigma: float, *, dimensions: int) -> FieldSize:
    """Sizes of fields of λ = A/|m|² that are much larger than a pixel and much smaller than the image.

    Lengths are proportional to ℓ = Nσ/(2π√A). On a line |RF| ∝ e^{−|k|/ℓ}: FWHM 2ℓ ln 2, r50 = ℓ ln 2, r90 = ℓ ln 10, participation
    4ℓ. In the plane |RF| ∝ K₀(r/ℓ): r50 and r90 are the r at which 1 − (r/ℓ)K₁(r/ℓ) is ½ and 0.9, participation is 4πℓ², and
    there is no FWHM, because the field diverges at its centre.

    Parameters
    ----------
    size : N, pixels of a side
    amplitude, sigma : A and σ, above 0
    dimensions : 1 or 2

    Raises
    ------
    ValueError
        A number is out of range.
    """
    length = (
        positive("size", size) * positive("sigma", sigma) / (2 * math.pi * math.sqrt(positive("amplitude", amplitude)))
    )
    if integer("dimensions", dimensions, 1) == 1:
        return FieldSize(
            fwhm=2 * length * math.log(2),
            r50=length * math.log(2),
            r90=length * math.log(10),
            participation=4 * length,
        )
    if dimensions != 2:
        raise ValueError(f"dimensions must be 1 or 2, got {dimensions}")
    return FieldSize(
        fwhm=math.nan,
        r50=_k0_radius(0.5) * length,
        r90=_k0_radius(0.9) * length,
        participation=4 * math.pi * length**2,
    )


# ---------------------------------------------------------------- the power law of data
@dataclass(frozen=True, repr=False)
class RadialAverage(Tabular, ShortRepr):
    """A spectrum averaged over circles.

    Attributes
    ----------
    frequency : (R,) mean |m| on each circle
    variance : (R,) mean λ on each circle
    """

    frequency: FloatArray
    variance: FloatArray

    def _columns(self) -> Columns:
        return {"frequency": self.frequency, "variance": self.variance}


@dataclass(frozen=True, repr=False)
class PowerLawFit(ShortRepr, Tabular):
    """λ ≈ A/|m|^p of a spectrum.

    Attributes
    ----------
    amplitude : A, in the squared scale of the data, with m in periods over the side of the image
    exponent : p; sizes of receptive fields grow as σ^{2/p}
    dc : λ₀ of the spectrum, which is not part of the fit
    residual : root mean square of the residuals of ln λ; 0.1 is about 10 %
    frequency, variance : (R,) |m| and mean λ on the circles that were fitted
    """

    amplitude: float
    exponent: float
    dc: float
    residual: float
    frequency: FloatArray
    variance: FloatArray

    def _columns(self) -> Columns:
        return {"frequency": self.frequency, "variance": self.variance}


def radial_average(spectrum: Any) -> RadialAverage:
    """Mean of a spectrum over the frequencies whose |m| rounds to 1, 2, … up to half of the side.

    Parameters
    ----------
    spectrum : (N,) or (H, W) in FFT order, at least 2 pixels a side

    Raises
    ------
    ValueError
        The spectrum has another shape, or holds NaN or infinity.
    """
    values = real_array("spectrum", spectrum)
    if values.ndim not in (1, 2) or min(values.shape, default=0) < 2:
        raise ValueError(f"spectrum must have shape (N,) or (H, W) of at least 2 pixels a side, got {values.shape}")
    m = frequencies(tuple(values.shape))
    ring = np.rint(m).astype(np.int64).ravel()
    count = np.bincount(ring)
    last = max(int(values.size ** (1 / values.ndim) / 2 + 1e-9), 1)  # beyond this, circles are not whole
    radius = np.bincount(ring, weights=m.ravel())[1 : last + 1]
    mean = np.bincount(ring, weights=values.ravel())[1 : last + 1]
    held = count[1 : last + 1]
    kept = held > 0
    return RadialAverage(radius[kept] / held[kept], mean[kept] / held[kept])


def fit_power_law(
    spectrum: Any, *, low: float = 0.0, high: float = math.inf, exponent: float | None = None
) -> PowerLawFit:
    """Least-squares fit of ln λ against ln |m| over the circles of :func:`radial_average`, all with the same weight.

    Parameters
    ----------
    spectrum : (N,) or (H, W) in FFT order
    low, high : lowest and highest frequency of the fit
    exponent : p, given if only the amplitude is fitted

    Raises
    ------
    ValueError
        There are fewer than two circles with variance (one is enough with a given exponent), or the spectrum has another shape.
    """
    average = radial_average(spectrum)
    m, variance = average.frequency, average.variance
    kept = (m >= low) & (m <= high) & (variance > 0)
    if kept.sum() < (2 if exponent is None else 1):
        raise ValueError(
            f"spectrum must have variance at 2 or more frequencies from {low} to {high}, got {int(kept.sum())}"
        )
    m, variance = m[kept], variance[kept]
    x, y = np.log(m), np.log(variance)
    slope = -float(np.polyfit(x, y, 1)[0]) if exponent is None else positive("exponent", exponent)
    intercept = float(np.mean(y + slope * x))
    residual = float(np.sqrt(np.mean((y - intercept + slope * x) ** 2)))
    dc = float(real_array("spectrum", spectrum).ravel()[0])
    return PowerLawFit(
        amplitude=math.exp(intercept), exponent=slope, dc=dc, residual=residual, frequency=m, variance=variance
    )
