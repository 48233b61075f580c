"""Everything that the page on architecture shows: losses, generated laws and filters of several architectures for one
population.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray, integer
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...population import Population
from ...sampling import SIGMA_MAX, SIGMA_MIN
from ..layout import SpatialLayout
from ..noise_levels import noise_levels_above_zero
from ..stationary import SpectralStatistics
from .denoisers import Architecture, ConvolutionDenoiser, FullLinearDenoiser, MeanDenoiser
from .generated_laws import GeneratedLaw
from .patch_denoiser import PatchDenoiser, non_commutation
from .profiles import lag_profile, radial_profile

__all__ = [
    "ArchitectureStudy",
    "Commutator",
    "Filters",
    "Generated",
    "Locality",
    "Studied",
    "architecture_study",
]

#: Largest d for which the study integrates the law of a zero-padded layer: that takes seconds. The law itself allows more.
STUDY_ZERO_LIMIT = 768
_FILTER_LEVELS = 5
#: Noise levels of the losses by default: the lowest of them, and how many.
_LOWEST, _LEVELS = 0.01, 41


@dataclass(frozen=True, repr=False)
class Generated(ShortRepr):
    """Numbers of the law that an architecture generates.

    Attributes
    ----------
    spectrum : (R,) mean power of a channel at each radial frequency of the study
    autocovariance : (L,) at each lag of the study, averaged over channels and axes
    variances : (*shape) of each pixel
    mean_missing : ‖m − μ‖²/‖μ‖², the share of the mean's power that is missing; NaN if the mean is zero
    samples : (count, *shape), from the same noise for all architectures
    """

    spectrum: FloatArray
    autocovariance: FloatArray
    variances: FloatArray
    mean_missing: float
    samples: FloatArray


@dataclass(frozen=True, repr=False)
class Studied(ShortRepr):
    """One architecture.

    Attributes
    ----------
    name : shown to people, such as "patch 5, zero padding"
    kind : "mean", "patch", "convolution" or "linear"
    bias : "image", "scalar", "none"
    padding : "circular", "zero", or "" if there is none
    patch : sizes of the patch, () if there is none
    weights : number of weights of the layer, without biases
    loss : (S,) E‖D − x₀‖²/d at each σ
    generated : its law; None if that would take too long
    """

    name: str
    kind: str
    bias: str
    padding: str
    patch: tuple[int, ...]
    weights: int
    loss: FloatArray
    generated: Generated | None


@dataclass(frozen=True, repr=False)
class Filters(ShortRepr):
    """Weights of one architecture at several noise levels: the weights from a channel to itself, averaged over channels.

    Attributes
    ----------
    name : of the architecture
    values : (F, *patch) at each of ``ArchitectureStudy.filter_sigma``, with the offset 0 in the middle
    """

    name: str
    values: FloatArray


@dataclass(frozen=True)
class Locality:
    """Locality of the law that a circular patch of one channel generates: shares of Σ|·| over all lags that lie beyond the patch.

    Attributes
    ----------
    name : of the architecture
    log_covariance, covariance, precision : share beyond the patch; in the logarithm, lag 0 counts without its term 2 ln σ₀
    """

    name: str
    log_covariance: float
    covariance: float
    precision: float


class Commutator(NamedTuple):
    """Relative size of the commutator of an architecture's filters at two noise levels.

    Attributes
    ----------
    name : of the architecture
    size : ‖W(σ₁)W(σ₂) − W(σ₂)W(σ₁)‖/‖W(σ₁)W(σ₂)‖
    """

    name: str
    size: float


@dataclass(frozen=True, repr=False)
class ArchitectureStudy(ShortRepr, Tabular):
    """Best denoisers of several architectures for one population.

    Attributes
    ----------
    shape : of a sample
    channels : C
    sigma : (S,) noise levels of the losses
    sigma_max, sigma_min : noise levels at which the probability flow starts and ends
    variance : tr Σ/d
    mean_structure : ‖μ − mean of channels‖²/d, the power of the mean image that one number per channel cannot represent
    frequencies : (R,) radial, cycles per pixel
    spectrum : (R,) of the data, mean power of a channel
    lags : (L,) pixels
    autocovariance : (L,) of the data
    studied : architectures, the most constrained first
    filter_sigma : (F,) noise levels of the filters
    filters : of circular and zero-padded patches and of the full convolution
    locality : of circular patches if there is one channel, () otherwise
    commutators : one for each convolution and patch, at ``commutator_sigma``
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
    commutators: tuple[Commutator, ...]
    commutator_sigma: tuple[float, float]

    def find(self, name: str) -> Studied:
        """The architecture of this name.

        Raises
        ------
        KeyError
            There is no architecture of this name.
        """
        for architecture in self.studied:
            if architecture.name == name:
                return architecture
        raise KeyError(f"name must be one of {', '.join(s.name for s in self.studied)}, got {name!r}")

    def _columns(self) -> Columns:
        return {"sigma": self.sigma, **{each.name: each.loss for each in self.studied}}


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
    population : of shape (N,), (H, W), (H, W, C) or (C, H, W); a vector is treated as a cyclic signal in the order of its entries
    patches : odd sizes; they are reduced to the largest that fits along each axis, and left out if that is one pixel or the
        whole image
    sigma : noise levels of the losses, by default 41 from 0.01 to 80
    sigma_max, sigma_min : noise levels at which the probability flow starts and ends
    samples : number of samples from each law
    seed : seed of the noise from which samples start

    Raises
    ------
    ValueError
        The shape has more axes, multiplicities are above 1, a patch size is even, or noise levels are not above 0 or out of
        order.
    """
    statistics = SpectralStatistics.of(population)
    layout = statistics.layout
    noise = (
        np.geomspace(_LOWEST, SIGMA_MAX, _LEVELS)
        if sigma is None
        else np.atleast_1d(noise_levels_above_zero("sigma", sigma))
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
        studied.append(_studied(name, denoiser, loss, generated))
    middle = float(np.sqrt(statistics.total_variance / layout.dimension)) or 1.0
    filter_sigma = middle * np.geomspace(0.1, 10.0, _FILTER_LEVELS)
    power = radial_profile(layout, statistics.spectra)
    correlation = lag_profile(layout, statistics.autocovariance)
    pair = (0.3 * middle, 3 * middle)
    structure = float(np.mean((statistics.mean - statistics.centre("scalar")) ** 2))
    return ArchitectureStudy(
        shape=layout.shape,
        channels=layout.channels,
        sigma=noise,
        sigma_max=sigma_max,
        sigma_min=sigma_min,
        variance=statistics.total_variance / layout.dimension,
        mean_structure=structure,
        frequencies=power.frequencies,
        spectrum=power.power,
        lags=correlation.lags,
        autocovariance=correlation.covariance,
        studied=tuple(studied),
        filter_sigma=filter_sigma,
        filters=_filters(denoisers, filter_sigma),
        locality=_localities(denoisers, sigma_max, sigma_min),
        commutators=_commutators(denoisers, pair),
        commutator_sigma=pair,
    )


# ---------------------------------------------------------------- architectures
def _sizes(patches: Sequence[int], layout: SpatialLayout) -> list[tuple[int, ...]]:
    """Patches cut to the largest odd size along each axis, each once; without patches of one pixel or of the whole image."""
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
    denoisers: list[tuple[str, Architecture]] = [("mean image", MeanDenoiser(statistics))]
    for size in sizes:
        name = f"patch {max(size)}"
        denoisers.append((name, PatchDenoiser.fit(statistics, patch=size)))
        denoisers.append((f"{name}, zero padding", PatchDenoiser.fit(population, patch=size, padding="zero")))
    denoisers.append(("convolution, no bias", ConvolutionDenoiser.fit(statistics, bias="none")))
    denoisers.append(("convolution, scalar bias", ConvolutionDenoiser.fit(statistics, bias="scalar")))
    denoisers.append(("convolution", ConvolutionDenoiser.fit(statistics)))
    denoisers.append(("linear", FullLinearDenoiser(population)))
    return denoisers


def _studied(name: str, denoiser: Architecture, loss: FloatArray, generated: Generated | None) -> Studied:
    layout = denoiser.layout
    kind, bias, padding, weights = "mean", "image", "", 0
    patch: tuple[int, ...] = ()
    if isinstance(denoiser, PatchDenoiser):
        kind, bias, padding, patch = "patch", denoiser.bias, denoiser.padding, denoiser.patch
        weights = math.prod(patch) * layout.channels**2
    elif isinstance(denoiser, ConvolutionDenoiser):
        kind, bias, padding = "convolution", denoiser.bias, "circular"
        weights = layout.positions * layout.channels**2
    elif isinstance(denoiser, FullLinearDenoiser):
        kind, weights = "linear", layout.dimension**2
    return Studied(
        name=name,
        kind=kind,
        bias=bias,
        padding=padding,
        patch=patch,
        weights=weights,
        loss=loss,
        generated=generated,
    )


def _quick(denoisers: list[tuple[str, Architecture]], denoiser: Architecture) -> bool:
    """Whether its law takes only seconds: of zero-padded layers, none on large images, and only the last on middling ones."""
    if not (isinstance(denoiser, PatchDenoiser) and denoiser.padding == "zero"):
        return True
    last = [each for _, each in denoisers if isinstance(each, PatchDenoiser)][-1]
    return denoiser.layout.dimension <= (STUDY_ZERO_LIMIT if denoiser is last else STUDY_ZERO_LIMIT // 3)


# ---------------------------------------------------------------- what they generate
def _generated(law: GeneratedLaw, mean: FloatArray, white: FloatArray) -> Generated:
    size = float(mean @ mean)
    missing = float(np.sum((law.mean - mean) ** 2)) / size if size > 0 else math.nan
    return Generated(
        spectrum=radial_profile(law.layout, law.spectra).power,
        autocovariance=lag_profile(law.layout, law.autocovariance).covariance,
        variances=law.variances,
        mean_missing=missing,
        samples=law.from_noise(white),
    )


def _filters(denoisers: list[tuple[str, Architecture]], sigmas: FloatArray) -> tuple[Filters, ...]:
    filters = []
    for name, denoiser in denoisers:
        if isinstance(denoiser, PatchDenoiser):
            values = np.array([_own(denoiser.filter(float(s))) for s in sigmas])
        elif isinstance(denoiser, ConvolutionDenoiser) and denoiser.bias == "image":
            axes = tuple(range(len(denoiser.layout.grid)))
            values = np.array([np.fft.fftshift(_own(denoiser.filter(float(s))), axes=axes) for s in sigmas])
        else:
            continue
        filters.append(Filters(name, values))
    return tuple(filters)


def _own(weights: FloatArray) -> FloatArray:
    """Weights from a channel to itself, averaged over channels."""
    return np.asarray(np.einsum("...aa->...", weights) / weights.shape[-1])


def _localities(denoisers: list[tuple[str, Architecture]], sigma_max: float, sigma_min: float) -> tuple[Locality, ...]:
    localities = []
    for name, denoiser in denoisers:
        if not isinstance(denoiser, PatchDenoiser) or denoiser.padding != "circular" or denoiser.layout.channels > 1:
            continue
        law = denoiser.law(sigma_max=sigma_max, sigma_min=sigma_min)
        spectrum = law.spectra[..., 0, 0].real
        sides = zip(denoiser.layout.grid, denoiser.patch, strict=True)
        outside = [np.minimum(np.arange(n), n - np.arange(n)) - size // 2 for n, size in sides]
        beyond = np.max(np.meshgrid(*outside, indexing="ij"), axis=0) > 0
        localities.append(
            Locality(
                name=name,
                log_covariance=_share_beyond(np.log(spectrum / sigma_min**2), beyond),
                covariance=_share_beyond(spectrum, beyond),
                precision=_share_beyond(1 / spectrum, beyond),
            )
        )
    return tuple(localities)


def _share_beyond(spectrum: FloatArray, beyond: npt.NDArray[np.bool_]) -> float:
    """Share of Σ|kernel| at the lags `beyond` the patch, of the kernel with this spectrum."""
    kernel = np.abs(np.fft.ifftn(spectrum).real)
    return float(kernel[beyond].sum() / kernel.sum())


def _commutators(denoisers: list[tuple[str, Architecture]], pair: tuple[float, float]) -> tuple[Commutator, ...]:
    commutators = []
    for name, denoiser in denoisers:
        if isinstance(denoiser, ConvolutionDenoiser) and denoiser.bias != "image":
            continue
        if isinstance(denoiser, (ConvolutionDenoiser, PatchDenoiser)) and _quick(denoisers, denoiser):
            commutators.append(Commutator(name, non_commutation(denoiser, pair)))
    return tuple(commutators)
