"""What architectures make of one population: their losses, the laws that they generate, and their filters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer
from ...population import Population
from ...sampling import SIGMA_MAX, SIGMA_MIN
from ..layout import SpatialLayout
from ..noise_levels import noise_levels_above_zero
from ..stationary import SpectralStatistics
from .generated import GeneratedLaw
from .optimal import (
    Architecture,
    ConvolutionDenoiser,
    FullLinearDenoiser,
    MeanDenoiser,
    PatchDenoiser,
    non_commutation,
)

__all__ = [
    "ArchitectureStudy",
    "Filters",
    "Generated",
    "Locality",
    "Studied",
    "architecture_study",
    "lag_profile",
    "radial_profile",
]

#: Largest d for which the study integrates the law of a zero-padded layer (seconds; the limit of the law itself is higher).
STUDY_ZERO_LIMIT = 768
_FILTER_LEVELS = 5


@dataclass(frozen=True)
class Generated:
    """The law that an architecture generates, in numbers.

    Attributes
    ----------
    spectrum : (R,) mean power of a channel at each radial frequency of the study
    autocovariance : (L,) at each lag of the study, mean over channels and axes
    variances : (*shape) of each pixel
    mean_missing : ‖m − μ‖²/‖μ‖², NaN where the mean is zero
    samples : (count, *shape), from the same noise for all architectures
    """

    spectrum: FloatArray
    autocovariance: FloatArray
    variances: FloatArray
    mean_missing: float
    samples: FloatArray


@dataclass(frozen=True)
class Studied:
    """One architecture.

    Attributes
    ----------
    name : for people, such as "patch 5, zero padding"
    kind : "mean", "patch", "convolution" or "linear"
    bias : "image", "scalar", "none"
    padding : "circular", "zero" or "" where there is none
    patch : sizes of the patch, () where there is none
    weights : how many numbers the layer multiplies by, biases not counted
    loss : (S,) E‖D − x₀‖²/d at each σ
    generated : its law; None where it would take too long
    """

    name: str
    kind: str
    bias: str
    padding: str
    patch: tuple[int, ...]
    weights: int
    loss: FloatArray
    generated: Generated | None


@dataclass(frozen=True)
class Filters:
    """Weights of one architecture over noise levels, a channel's own, averaged over channels.

    Attributes
    ----------
    name : of the architecture
    values : (F, *patch) at each of ``ArchitectureStudy.filter_sigma``; offsets with the centre in the middle
    """

    name: str
    values: FloatArray


@dataclass(frozen=True)
class Locality:
    """How much of what a circular patch of one channel generates lies at lags beyond the patch: shares of Σ|·| over all lags.

    Attributes
    ----------
    name : of the architecture
    log_covariance, covariance, precision : share beyond the patch; the lag 0 of the logarithm counts without its 2 ln σ₀
    """

    name: str
    log_covariance: float
    covariance: float
    precision: float


@dataclass(frozen=True)
class ArchitectureStudy:
    """Best denoisers of several architectures for one population.

    Attributes
    ----------
    shape : of a sample
    channels : C
    sigma : (S,) noise levels of the losses
    sigma_max, sigma_min : where the probability flow starts and ends
    variance : tr Σ/d
    mean_structure : power of the mean image that one number per channel cannot add, ‖μ − mean of channels‖²/d
    frequencies : (R,) radial, cycles per pixel
    spectrum : (R,) of the data, mean power of a channel
    lags : (L,) pixels
    autocovariance : (L,) of the data
    studied : architectures, the least free first
    filter_sigma : (F,) noise levels of the filters
    filters : of circular and zero-padded patches and of the full convolution
    locality : of circular patches where there is one channel, () otherwise
    commutators : (name, relative size of W(σ₁)W(σ₂) − W(σ₂)W(σ₁)) at ``commutator_sigma``
    commutator_sigma : the two noise levels
    """

    shape: tuple[int, ...]
    channels: int
    sigma: FloatArray
    sigma_max: float
    sigma_min: float
    variance: float
    mean_structure: float
    frequencies: FloatArray
    spectrum: FloatArray
    lags: FloatArray
    autocovariance: FloatArray
    studied: tuple[Studied, ...]
    filter_sigma: FloatArray
    filters: tuple[Filters, ...]
    locality: tuple[Locality, ...]
    commutators: tuple[tuple[str, float], ...]
    commutator_sigma: tuple[float, float]

    def find(self, name: str) -> Studied:
        """The architecture of this name. Raises KeyError where there is none."""
        for one in self.studied:
            if one.name == name:
                return one
        raise KeyError(f"name must be one of {', '.join(s.name for s in self.studied)}, got {name!r}")


def architecture_study(
    population: Population,
    *,
    patches: Sequence[int] = (3, 5),
    sigma: Any = None,
    sigma_max: float = SIGMA_MAX,
    sigma_min: float = SIGMA_MIN,
    samples: int = 4,
    seed: int = 0,
) -> ArchitectureStudy:
    """Losses, generated laws and filters of a mean image, patches, full convolutions and a full matrix.

    Parameters
    ----------
    population : whose shape is (N,), (H, W) or (H, W, C); a vector is taken as a cyclic signal in the order that it has
    patches : odd sizes; cut to what fits along each axis, and left out where that is one pixel or the full image
    sigma : noise levels of the losses; 41 from 0.01 to 80 by default
    samples : how many of each law
    seed : of the noise they start from

    Raises
    ------
    ValueError
        Shapes with more axes, multiplicities above 1, even patches.
    """
    statistics = SpectralStatistics.of(population)
    layout = statistics.layout
    noise = (
        np.geomspace(0.01, SIGMA_MAX, 41) if sigma is None else np.atleast_1d(noise_levels_above_zero("sigma", sigma))
    )
    white = np.random.default_rng(integer("seed", seed, 0)).standard_normal(
        (integer("samples", samples, 1), layout.dimension)
    )
    denoisers = _denoisers(population, statistics, _sizes(patches, layout))
    studied = []
    for name, denoiser in denoisers:
        law = denoiser.law(sigma_max=sigma_max, sigma_min=sigma_min) if _quick(denoisers, denoiser) else None
        loss = denoiser.loss(noise) / layout.dimension
        generated = None if law is None else _generated(law, statistics.mean, white)
        studied.append(Studied(name, *_traits(denoiser), loss, generated))
    middle = float(np.sqrt(statistics.total_variance / layout.dimension)) or 1.0
    filter_sigma = middle * np.geomspace(0.1, 10.0, _FILTER_LEVELS)
    frequencies, spectrum = radial_profile(layout, statistics.spectra)
    lags, autocovariance = lag_profile(layout, statistics.autocovariance)
    pair = (0.3 * middle, 3 * middle)
    structure = float(np.mean((statistics.mean - statistics.centre("scalar")) ** 2))
    return ArchitectureStudy(
        shape=layout.shape, channels=layout.channels, sigma=noise, sigma_max=sigma_max, sigma_min=sigma_min,
        variance=statistics.total_variance / layout.dimension, mean_structure=structure,
        frequencies=frequencies, spectrum=spectrum, lags=lags, autocovariance=autocovariance, studied=tuple(studied),
        filter_sigma=filter_sigma, filters=_filters(denoisers, filter_sigma),
        locality=_localities(denoisers, sigma_max, sigma_min),
        commutators=_commutators(denoisers, pair), commutator_sigma=pair,
    )  # fmt: skip


def radial_profile(layout: SpatialLayout, spectra: Any) -> tuple[FloatArray, FloatArray]:
    """Radial frequencies (cycles per pixel), and the mean over channels and directions of the power there, both (R,)."""
    power = np.einsum("...aa->...", spectra).real / layout.channels
    axes = [np.minimum(np.arange(n), n - np.arange(n)) / n for n in layout.grid]
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))).ravel()
    ring = np.rint(radius * max(layout.grid)).astype(int)
    used, place = np.unique(ring, return_inverse=True)
    count = np.bincount(place)
    power_of_rings = np.bincount(place, weights=power.ravel()) / count
    return np.bincount(place, weights=radius) / count, power_of_rings[: len(used)]


def lag_profile(layout: SpatialLayout, autocovariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lags along an axis, up to half of the shortest that is longer than 1, and the mean over axes and channels there."""
    long = [axis for axis, n in enumerate(layout.grid) if n > 1]
    reach = min((layout.grid[axis] for axis in long), default=1) // 2
    own = np.einsum("...aa->...", autocovariance) / layout.channels
    lines = []
    for axis in long or [0]:
        index: list[Any] = [0] * len(layout.grid)
        index[axis] = slice(0, reach + 1)
        lines.append(own[tuple(index)])
    return np.arange(reach + 1.0), np.mean(lines, axis=0)


def _sizes(patches: Sequence[int], layout: SpatialLayout) -> list[tuple[int, ...]]:
    """Patches cut to the largest odd size along each axis, each once, without those that hold one pixel or the image."""
    sizes: list[tuple[int, ...]] = []
    for patch in patches:
        if integer("patches", patch, 1) % 2 == 0:
            raise ValueError(f"patches must be odd, so that they have a centre, got {patch}")
        cut = tuple(min(patch, n - 1 + n % 2) for n in layout.grid)
        if (math.prod(cut) > 1 or patch == 1) and math.prod(cut) < layout.positions and cut not in sizes:
            sizes.append(cut)
    return sizes


def _denoisers(
    population: Population, statistics: SpectralStatistics, sizes: list[tuple[int, ...]]
) -> list[tuple[str, Architecture]]:
    found: list[tuple[str, Architecture]] = [("mean image", MeanDenoiser(statistics))]
    for size in sizes:
        name = f"patch {max(size)}"
        found.append((name, PatchDenoiser.fit(statistics, patch=size)))
        found.append((f"{name}, zero padding", PatchDenoiser.fit(population, patch=size, padding="zero")))
    found.append(("convolution, no bias", ConvolutionDenoiser.fit(statistics, bias="none")))
    found.append(("convolution, scalar bias", ConvolutionDenoiser.fit(statistics, bias="scalar")))
    found.append(("convolution", ConvolutionDenoiser.fit(statistics)))
    found.append(("linear", FullLinearDenoiser(population)))
    return found


def _traits(denoiser: Architecture) -> tuple[str, str, str, tuple[int, ...], int]:
    """Kind, bias, padding, patch and number of weights."""
    layout = denoiser.layout
    if isinstance(denoiser, PatchDenoiser):
        weights = math.prod(denoiser.patch) * layout.channels**2
        return "patch", denoiser.bias, denoiser.padding, denoiser.patch, weights
    if isinstance(denoiser, ConvolutionDenoiser):
        return "convolution", denoiser.bias, "circular", (), layout.positions * layout.channels**2
    return ("linear", "image", "", (), layout.dimension**2) if isinstance(denoiser, FullLinearDenoiser) else (
        "mean", "image", "", (), 0
    )  # fmt: skip


def _quick(denoisers: list[tuple[str, Architecture]], denoiser: Architecture) -> bool:
    """Whether its law takes seconds: of large images, no zero-padded layer; of middling ones, that of the last patch alone."""
    if not (isinstance(denoiser, PatchDenoiser) and denoiser.padding == "zero"):
        return True
    last = [d for _, d in denoisers if isinstance(d, PatchDenoiser)][-1]
    return denoiser.layout.dimension <= (STUDY_ZERO_LIMIT if denoiser is last else STUDY_ZERO_LIMIT // 3)


def _generated(law: GeneratedLaw, mean: FloatArray, white: FloatArray) -> Generated:
    _, spectrum = radial_profile(law.layout, law.spectra)
    _, autocovariance = lag_profile(law.layout, law.autocovariance)
    size = float(mean @ mean)
    missing = float(np.sum((law.mean - mean) ** 2)) / size if size > 0 else math.nan
    return Generated(spectrum, autocovariance, law.variances, missing, law.from_noise(white))


def _filters(denoisers: list[tuple[str, Architecture]], sigmas: FloatArray) -> tuple[Filters, ...]:
    found = []
    for name, denoiser in denoisers:
        if isinstance(denoiser, PatchDenoiser):
            values = np.array([_own(denoiser.filter(float(s))) for s in sigmas])
        elif isinstance(denoiser, ConvolutionDenoiser) and denoiser.bias == "image":
            axes = tuple(range(len(denoiser.layout.grid)))
            values = np.array([np.fft.fftshift(_own(denoiser.filter(float(s))), axes=axes) for s in sigmas])
        else:
            continue
        found.append(Filters(name, values))
    return tuple(found)


def _own(weights: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("...aa->...", weights) / weights.shape[-1])


def _localities(denoisers: list[tuple[str, Architecture]], sigma_max: float, sigma_min: float) -> tuple[Locality, ...]:
    found = []
    for name, denoiser in denoisers:
        if not (
            isinstance(denoiser, PatchDenoiser) and denoiser.padding == "circular" and denoiser.layout.channels == 1
        ):
            continue
        law = denoiser.law(sigma_max=sigma_max, sigma_min=sigma_min)
        spectrum = law.spectra[..., 0, 0].real
        distances = np.meshgrid(
            *(np.minimum(np.arange(n), n - np.arange(n)) - size // 2
              for n, size in zip(denoiser.layout.grid, denoiser.patch, strict=True)), indexing="ij"
        )  # fmt: skip
        beyond = np.max(distances, axis=0) > 0
        shares = []
        for values in (np.log(spectrum / sigma_min**2), spectrum, 1 / spectrum):
            kernel = np.abs(np.fft.ifftn(values).real)
            shares.append(float(kernel[beyond].sum() / kernel.sum()))
        found.append(Locality(name, *shares))
    return tuple(found)


def _commutators(denoisers: list[tuple[str, Architecture]], pair: tuple[float, float]) -> tuple[tuple[str, float], ...]:
    found = []
    for name, denoiser in denoisers:
        if isinstance(denoiser, ConvolutionDenoiser) and denoiser.bias != "image":
            continue
        if isinstance(denoiser, (ConvolutionDenoiser, PatchDenoiser)) and _quick(denoisers, denoiser):
            found.append((name, non_commutation(denoiser, pair)))
    return tuple(found)
