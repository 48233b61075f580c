r"""Receptive fields of stationary data: one Fourier transform, and closed forms where the spectrum is a power law.

On a ring or torus of N pixels a side, Σ is circulant with eigenvalues λ_m at the frequencies m, and

    RF[k] = (1/N) Σ_m λ_m/(λ_m + σ²) exp(2πimk/N)

(N² and k, m vectors in two dimensions). Frequencies are counted in periods over N pixels, m = −N/2 … N/2; a = (A/σ²)^{1/p} is the
frequency at which λ_m = A/|m|^p is σ², and N/2πa the length over which a field decays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special
from scipy.optimize import brentq

from ..._checks import FloatArray, integer, not_negative, positive, real_array
from ...population import Population
from ..layout import SpatialLayout
from ..linear import wiener_gain
from .field_size import FieldSize

__all__ = [
    "PowerLawFit",
    "fit_power_law",
    "frequencies",
    "lattice_field",
    "lattice_spectrum",
    "power_law_defect",
    "power_law_field",
    "power_law_field_2d",
    "power_law_size",
    "power_law_spectrum",
    "radial_average",
    "stationary_field",
    "stationary_spectrum",
]


def _sides(size: Any) -> tuple[int, ...]:
    """(N,) or (H, W) of a number or a shape."""
    lengths = tuple(size) if isinstance(size, tuple | list) else (size,)
    if len(lengths) not in (1, 2):
        raise ValueError(f"size must be a number of pixels or (H, W), got {size!r}")
    return tuple(integer("size", length, 1) for length in lengths)


def frequencies(size: int | tuple[int, ...]) -> FloatArray:
    """|m| of each place of a discrete Fourier transform, (N,) or (H, W); where H ≠ W, periods over √(HW) pixels."""
    sides = _sides(size)
    scale = math.prod(sides) ** (1 / len(sides))
    axes = [np.fft.fftfreq(length) for length in sides]
    squared = np.zeros(sides)
    for axis in np.meshgrid(*axes, indexing="ij"):
        squared = squared + axis**2
    return np.asarray(scale * np.sqrt(squared))


# ---------------------------------------------------------------- any spectrum
def stationary_field(spectrum: Any, sigma: float) -> FloatArray:
    """Exact receptive field of the pixel 0 on a ring (N,) or torus (H, W) with eigenvalues λ_m in FFT order; one inverse FFT.

    Raises ValueError unless λ_m ≥ 0 and λ_{−m} = λ_m to 1e-10 of the largest, as covariances have.
    """
    values = real_array("spectrum", spectrum)
    noise = positive("sigma", sigma) ** 2
    if values.ndim not in (1, 2) or values.size == 0:
        raise ValueError(f"spectrum must have shape (N,) or (H, W) and not be empty, got {values.shape}")
    if values.min() < 0:
        raise ValueError(f"spectrum must not be negative, got {values.min()}")
    axes = tuple(range(values.ndim))
    mirrored = np.roll(np.flip(values, axes), 1, axes)
    if np.abs(values - mirrored).max() > 1e-10 * values.max():
        raise ValueError("spectrum must be the same at m and -m, got one that is not")
    return np.asarray(np.fft.ifftn(wiener_gain(values, noise)).real)


def stationary_spectrum(population: Population) -> FloatArray:
    """λ̃_m = E|x̂_m − μ̂_m|² (unitary Fourier transform), (H, W) or (d,): the spectrum of the circulant projection of Σ.

    Of a colour image that of the mean of its channels times √C, the unit vector along grey. O(d k log d).
    """
    if np.any(population.multiplicity != 1):
        raise ValueError("population must have no multiplicities above 1: pixels are not told apart")
    layout = SpatialLayout.of_any(population.shape)
    if population.eigenvectors is None:  # uncorrelated pixels: white
        return np.full(layout.grid, population.total_variance / population.dimension)
    modes = layout.planes(population.eigenvectors.T).sum(axis=1) / math.sqrt(layout.channels)
    axes = tuple(range(1, modes.ndim))
    total = np.zeros(layout.grid)
    for start in range(0, len(modes), 256):
        hat = np.fft.fftn(modes[start : start + 256], axes=axes, norm="ortho")
        weights = population.eigenvalues[start : start + 256]
        total += np.tensordot(weights, hat.real**2 + hat.imag**2, axes=1)
    return total


# ---------------------------------------------------------------- power laws
def _with_dc(values: FloatArray, dc: float | None) -> FloatArray:
    """The spectrum with its DC variance, by default that of the lowest frequency."""
    first = (0,) * values.ndim
    values[first] = 0.0
    values[first] = values.max() if dc is None else not_negative("dc", dc)
    return values


def power_law_spectrum(
    size: int | tuple[int, ...], amplitude: float, exponent: float, *, dc: float | None = None
) -> FloatArray:
    """λ_m = A/|m|^p in FFT order, (N,) or (H, W); λ₀ = `dc`, a free number, by default the largest of the others."""
    a, p = positive("amplitude", amplitude), positive("exponent", exponent)
    m = frequencies(size)
    return _with_dc(a * np.where(m > 0, m, np.inf) ** -p, dc)


def lattice_spectrum(size: int, amplitude: float, *, dc: float | None = None) -> FloatArray:
    """λ_m = A (2π/N)²/(4 sin²(πm/N)), (N,): the inverse of the ring's second difference, A/m² at low frequency."""
    n, a = integer("size", size, 1), positive("amplitude", amplitude)
    sine = np.sin(np.pi * np.arange(n) / n)
    return _with_dc(a * (math.pi / n) ** 2 / np.where(sine > 0, sine, np.inf) ** 2, dc)


def _dc_part(size: int, sigma: float, dc: float) -> float:
    """What a finite DC variance takes from every pixel: σ²/(N(σ² + λ₀))."""
    return sigma**2 / (size * (sigma**2 + not_negative("dc", dc)))


def _ring(size: int) -> FloatArray:
    """Distances 0, 1, …, 1 around a ring."""
    k = np.arange(size)
    return np.asarray(np.minimum(k, size - k), dtype=np.float64)


def power_law_field(size: int, amplitude: float, sigma: float, *, dc: float) -> FloatArray:
    r"""Receptive field (N,) of λ_m = A/m² summed over all integers m, not only those of N pixels.

    RF[k] = (1/N) [πa cosh(a(π − |θ|))/sinh(πa) − σ²/(σ² + λ₀)], a = √A/σ, θ = 2πk/N.

    It stands for the ring where σN/(2√A) is large, about 30 for 2 % of RF[0]. Below, frequencies that N pixels do not have are
    counted: RF[0] grows as π√A/(Nσ) where it should go to 1; :func:`power_law_defect` is what is missing,
    :func:`lattice_field` and :func:`stationary_field` are exact at every σ.
    """
    n, root, level = integer("size", size, 1), math.sqrt(positive("amplitude", amplitude)), positive("sigma", sigma)
    b = math.pi * root / level
    u = 1 - 2 * _ring(n) / n
    # the quotient of cosh and sinh without what overflows at b > 710
    ratio = (np.exp(b * (u - 1)) + np.exp(-b * (u + 1))) / -math.expm1(-2 * b)
    return np.asarray(b * ratio / n - _dc_part(n, level, dc))


def power_law_defect(size: int, amplitude: float, sigma: float) -> float:
    """RF[0] of the ring less that of :func:`power_law_field`: −(2a/N)(π/2 − arctan(N/2a)), the sum beyond N/2 as an integral."""
    n, a = integer("size", size, 1), math.sqrt(positive("amplitude", amplitude)) / positive("sigma", sigma)
    return -2 * a / n * math.atan2(2 * a, n)


def lattice_field(size: int, amplitude: float, sigma: float, *, dc: float) -> FloatArray:
    r"""Receptive field (N,) of :func:`lattice_spectrum`, exact at every N and σ.

    RF[k] = b²/(2 sinh S) (e^{−S|k|} + e^{−S(N−|k|)})/(1 − e^{−SN}) − σ²/(N(σ² + λ₀)), b = 2π√A/(Nσ), cosh S = 1 + b²/2.
    """
    n, root, level = integer("size", size, 1), math.sqrt(positive("amplitude", amplitude)), positive("sigma", sigma)
    b = 2 * math.pi * root / (n * level)
    rate = 2 * math.asinh(b / 2)  # arccosh(1 + b²/2) without its cancellation
    height = 1 / math.sqrt(1 + 4 / b**2)  # b²/(2 sinh S)
    k = _ring(n)
    shape = (np.exp(-rate * k) + np.exp(-rate * (n - k))) / -math.expm1(-rate * n)
    return np.asarray(height * shape - _dc_part(n, level, dc))


def power_law_field_2d(distance: Any, size: int, amplitude: float, sigma: float) -> FloatArray:
    """Receptive field 2πa²/N² K₀(2πar/N), a = √A/σ, at distances r > 0 pixels, of λ = A/|m|² in two dimensions.

    Of the plane with all frequencies: it diverges as −log r at 0, and holds from about a pixel to a fraction of N, where
    neither the lattice nor the other side of the torus shows.
    """
    r = real_array("distance", distance)
    if r.size and r.min() <= 0:
        raise ValueError(f"distance must be positive, got {r.min()}")
    n, a = integer("size", size, 1), math.sqrt(positive("amplitude", amplitude)) / positive("sigma", sigma)
    return np.asarray(2 * math.pi * (a / n) ** 2 * special.k0(2 * math.pi * a * r / n))


def _k0_radius(share: float) -> float:
    """x with ∫₀ˣ t K₀(t) dt = 1 − x K₁(x) equal to a share."""
    return float(brentq(lambda x: 1 - x * special.k1(x) - share, 1e-6, 50.0, xtol=1e-14))


def power_law_size(size: float, amplitude: float, sigma: float, *, dimensions: int) -> FieldSize:
    """Sizes of λ = A/|m|² where many pixels and many fields fit: lengths are in proportion to ℓ = Nσ/(2π√A).

    On a line |RF| ∝ e^{−|k|/ℓ}: FWHM 2ℓ ln 2, r50 = ℓ ln 2, r90 = ℓ ln 10, participation 4ℓ. In the plane |RF| ∝ K₀(r/ℓ):
    r50 and r90 where 1 − (r/ℓ)K₁(r/ℓ) is ½ and 0.9, participation 4πℓ², no FWHM: the centre diverges.
    """
    length = (
        positive("size", size) * positive("sigma", sigma) / (2 * math.pi * math.sqrt(positive("amplitude", amplitude)))
    )
    if integer("dimensions", dimensions, 1) == 1:
        return FieldSize(2 * length * math.log(2), length * math.log(2), length * math.log(10), 4 * length)
    if dimensions != 2:
        raise ValueError(f"dimensions must be 1 or 2, got {dimensions}")
    return FieldSize(math.nan, _k0_radius(0.5) * length, _k0_radius(0.9) * length, 4 * math.pi * length**2)


# ---------------------------------------------------------------- the power law of data
@dataclass(frozen=True)
class PowerLawFit:
    """λ ≈ A/|m|^p of a spectrum.

    Attributes
    ----------
    amplitude : A, in the data's scale squared, m in periods over the side of the image
    exponent : p; sizes of receptive fields grow as σ^{2/p}
    dc : λ₀ of the spectrum, not part of the fit
    residual : root mean square of the residuals of ln λ; 0.1 is about 10 %
    frequency, variance : (R,) |m| and mean λ on the circles that were fitted
    """

    amplitude: float
    exponent: float
    dc: float
    residual: float
    frequency: FloatArray
    variance: FloatArray


def radial_average(spectrum: Any) -> tuple[FloatArray, FloatArray]:
    """(R,) |m| = 1, 2, … up to half of the side and the mean λ where |m| rounds to it, of (N,) or (H, W) in FFT order."""
    values = real_array("spectrum", spectrum)
    if values.ndim not in (1, 2) or min(values.shape, default=0) < 2:
        raise ValueError(f"spectrum must have shape (N,) or (H, W) of at least 2 pixels a side, got {values.shape}")
    m = frequencies(tuple(values.shape))
    ring = np.rint(m).astype(np.int64).ravel()
    count = np.bincount(ring)
    last = max(int(values.size ** (1 / values.ndim) / 2 + 1e-9), 1)  # beyond, circles are not whole
    radius = np.bincount(ring, weights=m.ravel())[1 : last + 1]
    mean = np.bincount(ring, weights=values.ravel())[1 : last + 1]
    held = count[1 : last + 1]
    kept = held > 0
    return radius[kept] / held[kept], mean[kept] / held[kept]


def fit_power_law(
    spectrum: Any, *, low: float = 0.0, high: float = math.inf, exponent: float | None = None
) -> PowerLawFit:
    """Least squares of ln λ on ln |m| over the circles of :func:`radial_average`, each with the same weight.

    Parameters
    ----------
    spectrum : (N,) or (H, W) in FFT order
    low, high : frequencies between which to fit
    exponent : p, where only the amplitude is to be fitted

    Raises
    ------
    ValueError
        Fewer than two circles with variance, or one with a given exponent.
    """
    m, variance = radial_average(spectrum)
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
    return PowerLawFit(math.exp(intercept), slope, dc, residual, m, variance)
