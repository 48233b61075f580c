r"""Which seeds will change when a network is trained again: the posterior variance of the images at the seed's linear trajectory.

Two networks disagree where many different images explain a noisy state about equally well. For such a state a denoiser returns an
average over these images, and which average it learns depends on the training set and on the training. The posterior variance
measures how far apart the images lie. It needs no network. ``docs/theory.md``, section 8, has the derivation and the limits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, not_negative, positive
from .._progress import CountProgress, counted
from .._repr import ShortRepr
from .._tables import Columns, Tabular
from ..bands import Band, resolve_bands
from ..maps import Map
from ..population import Population
from ..sampling import SIGMA_MAX, has_scale
from .image_weights import (
    LEAST_PERPLEXITY,
    DistinctImages,
    NoPosteriorError,
    WantedSums,
    require_spread_weights,
    weighted_sums,
)

__all__ = ["PosteriorVariance", "checked_noise", "posterior_level", "posterior_variance"]

#: The fraction of the images that the median perplexity reaches at the level "perplexity".
_PERPLEXITY_SHARE = 0.25
#: Seeds on which that level is chosen, and halvings of the bracket of its logarithm.
_SEEDS_TO_CHOOSE, _HALVINGS = 128, 30
#: How far below σ_max the search for that level extends, in powers of e.
_WIDEST = 20.0


@dataclass(frozen=True, repr=False)
class PosteriorVariance(ShortRepr, Tabular):
    """Posterior variance of the images at the linear trajectories of Z seeds: larger where two networks disagree more.

    Only the order of the seeds, and of the pixels within a seed, predicts networks. The values have the unit of a squared
    pixel, but they are not the disagreement of two networks.

    Attributes
    ----------
    seeds : (Z,) tr Var_w(y)/d of each seed
    bands : (Z, K) the part of each eigenband, or None
    eigenbands : the K bands, or None
    pixels : (Z, *shape) variance of each pixel, or None; its mean over pixels is `seeds`
    mean : (Z, *shape) the average Σ w y that a denoiser returns for this state, or None
    perplexity : (Z,) exp(entropy of the weights): how many images explain the state
    trivial : (Z,) −‖x₀‖²/d, x₀ = what the linear model of all images makes of the seed: largest where that image is grey, for
        pixels in [−1, 1]. It needs no posterior and is to be shown beside `seeds`
    sigma : σ*, the noise level of the states
    images : number of distinct images
    """

    seeds: FloatArray
    bands: FloatArray | None
    eigenbands: tuple[Band, ...] | None
    pixels: FloatArray | None
    mean: FloatArray | None
    perplexity: FloatArray
    trivial: FloatArray
    sigma: float
    images: int

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """(Z,) indices of the seeds, those that change most first."""
        return np.asarray(np.argsort(-self.seeds, kind="stable"))

    def _columns(self) -> Columns:
        """One row a seed, in the order in which they were given."""
        return {
            "seed": np.arange(len(self.seeds)),
            "posterior_variance": self.seeds,
            "perplexity": self.perplexity,
            "trivial": self.trivial,
        }


def posterior_variance(
    population: Population,
    noise: Any,
    *,
    images: Any = None,
    sigma: float | Literal["perplexity"] | None = None,
    sigma_max: float = SIGMA_MAX,
    bands: Any = None,
    pixels: bool = False,
    least_perplexity: float = LEAST_PERPLEXITY,
    progress: CountProgress = None,
) -> PosteriorVariance:
    r"""Posterior variance of the images y_j at the linear trajectory of each seed, equations (51) to (53) of docs/theory.md.

    .. math::

        x^* = \mu + \sqrt{\frac{\Sigma + \sigma_*^2}{\Sigma + \sigma_{\max}^2}}\,(x_T - \mu), \qquad
        w_j \propto e^{-|x^* - y_j|^2/2\sigma_*^2}, \qquad
        \mathrm{PV} = \frac1d \Big(\sum_j w_j |y_j|^2 - \Big|\sum_j w_j y_j\Big|^2\Big)

    Parameters
    ----------
    population : mean and modes of the data; its profiles are the images, unless `images` are given
    noise : (Z, *shape) or (Z, d)
        Initial noise x_T of standard deviation σ_max, as :func:`kappaflow.sampling.initial_noise` makes it.
    images : (N, *shape) array, an iterable of batches or an image source, read once
        Copies are counted once in the weights. The mean and Σ are those of the population, whatever its copies count there.
    sigma : σ*, between 0 and `sigma_max`
        By default σ*² = ½ tr Σ, at which the weights of data of any dimension have the same spread. "perplexity": the level at
        which a quarter of the images explain the median seed; it needs profiles.
    sigma_max : noise level at which sampling starts
    bands : number of eigenbands, or a sequence of (start, stop); None leaves them out
    pixels : also return the variance of each pixel, and the mean
    least_perplexity : the median perplexity below which there is no answer
    progress : bool or callable
        True shows a progress bar. A callable is called with the number of images seen so far.

    Raises
    ------
    TypeError
        Values that are not real numbers.
    NoPosteriorError
        A ValueError. No images: the population holds no profiles and none are given. Fewer than 50 distinct images. Images that are
        too wide for `sigma_max`. A median perplexity below `least_perplexity`: a few images have all the weight.
    ValueError
        A noise level that is not between 0 and `sigma_max`. Noise of the wrong shape, or whose standard deviation is not
        `sigma_max`.

    Examples
    --------
    >>> import numpy as np
    >>> from kappaflow import Population
    >>> from kappaflow.sampling import initial_noise
    >>> rng = np.random.default_rng(0)
    >>> population = Population.from_samples(rng.standard_normal((500, 4)), profiles=500)
    >>> answer = posterior_variance(population, initial_noise([0, 1, 2], 4, 80.0))
    >>> answer.seeds.shape, answer.images
    ((3,), 500)
    """
    least = not_negative("least_perplexity", least_perplexity)
    states = _States(population, noise, positive("sigma_max", sigma_max))
    source = DistinctImages(population, images)
    wanted = WantedSums(None if bands is None else resolve_bands(bands, len(population.eigenvalues)), bool(pixels))
    level = _level(states, source, sigma)
    with counted(progress, "posterior variance", source.count) as report:
        answer = states.answer(source, level, wanted, report)
    require_spread_weights(answer.perplexity, least, sigma=level, images=answer.images)
    return answer


def checked_noise(population: Population, noise: Any, sigma_max: float) -> FloatArray:
    """(Z, d) initial noise, from (Z, *shape) or (Z, d).

    Raises
    ------
    ValueError
        No seed, noise of another shape, or whose standard deviation is not `sigma_max`.
    """
    rows = population.flatten(noise, "noise")
    if rows.size == 0:
        raise ValueError("noise must hold at least one seed, got none")
    if not has_scale(rows, sigma_max):
        scale = float(np.sqrt(np.mean(rows**2)))
        raise ValueError(
            f"noise must have the standard deviation sigma_max = {sigma_max:g}, got {scale:.4g}: "
            "give sigma_max * z, with z of unit variance"
        )
    return rows


class _States:
    """The seeds and the states of their linear trajectories."""

    def __init__(self, population: Population, noise: Any, sigma_max: float) -> None:
        self.population = population
        self.sigma_max = sigma_max
        self._noise = checked_noise(population, noise, sigma_max)

    @cached_property
    def _coordinates(self) -> FloatArray:
        """(Z, k) mode coordinates of the noise."""
        return self.population.coordinates(self._noise)

    @property
    def trivial(self) -> FloatArray:
        """(Z,) −‖x₀‖²/d of the linear model."""
        gain = Map.sampling(0.0, self.sigma_max).gain(self.population.eigenvalues)
        return np.asarray(-np.mean(self.population.apply(self._noise, gain) ** 2, axis=1))

    def at(self, sigma: float, source: DistinctImages, count: int | None = None) -> FloatArray:
        """(Z, w) the states x* − μ at a noise level, in the coordinates of the images; of the first `count` seeds."""
        at_level = Map.sampling(sigma, self.sigma_max)
        gain = at_level.gain(self.population.eigenvalues)
        if source.kept is not None:  # what lies outside of the modes is equally far from all images
            return np.asarray(self._coordinates[:count] * gain)
        null_gain = float(at_level.gain(np.zeros(1))[0])
        return np.asarray(self.population.apply(self._noise[:count], gain, null_gain=null_gain) - self.population.mean)

    def median_perplexity(self, source: DistinctImages, sigma: float) -> float:
        """Median perplexity of the weights for the first seeds."""
        few = WantedSums(None, pixels=False)
        return float(np.median(weighted_sums(self.at(sigma, source, _SEEDS_TO_CHOOSE), source, sigma, few).perplexity))

    def answer(
        self, source: DistinctImages, sigma: float, wanted: WantedSums, report: Callable[[int], None]
    ) -> PosteriorVariance:
        """The variances at a noise level."""
        sums = weighted_sums(self.at(sigma, source), source, sigma, wanted, report)
        shape, dimension = self.population.shape, self.population.dimension
        bands = pixels = mean = None
        if sums.squared_modes is not None and wanted.bands is not None:
            spread = np.maximum(sums.squared_modes - source.modes(sums.mean) ** 2, 0.0) / dimension
            bands = np.stack([spread[:, band.start : band.stop].sum(axis=1) for band in wanted.bands], axis=1)
        if sums.squared_pixels is not None:
            centred = source.pixels(sums.mean)
            pixels = np.maximum(sums.squared_pixels - centred**2, 0.0).reshape(-1, *shape)
            mean = (self.population.mean + centred).reshape(-1, *shape)
        return PosteriorVariance(
            seeds=np.maximum(sums.squared_norm - (sums.mean**2).sum(axis=1), 0.0) / dimension,
            bands=bands,
            eigenbands=wanted.bands,
            pixels=pixels,
            mean=mean,
            perplexity=sums.perplexity,
            trivial=self.trivial,
            sigma=sigma,
            images=source.seen,
        )


def posterior_level(population: Population, sigma: float | None, sigma_max: float) -> float:
    """The level σ* of the states: as given, or √(tr Σ/2).

    Raises
    ------
    NoPosteriorError
        The images are too wide for `sigma_max`.
    ValueError
        `sigma` is not between 0 and `sigma_max`.
    """
    if sigma is None:
        usual = float(np.sqrt(0.5 * population.total_variance))
        if usual >= sigma_max:
            raise NoPosteriorError(
                f"sigma_max must be above √(tr Σ/2) = {usual:.4g}, got {sigma_max:g}: raise it, or scale the images"
            )
        return usual
    level = positive("sigma", sigma)
    if level >= sigma_max:
        raise ValueError(f"sigma must be below sigma_max = {sigma_max:g}, got {level:g}")
    return level


def _level(states: _States, source: DistinctImages, sigma: float | Literal["perplexity"] | None) -> float:
    """The level σ* that the argument `sigma` requests."""
    if sigma == "perplexity":
        return _level_by_perplexity(states, source)
    return posterior_level(states.population, sigma, states.sigma_max)


def _level_by_perplexity(states: _States, source: DistinctImages) -> float:
    """The noise level at which a quarter of the images explain the median seed: the perplexity grows with the level."""
    if source.kept is None:
        raise ValueError('sigma="perplexity" needs a population with profiles, got images that are read once')
    goal = _PERPLEXITY_SHARE * len(source.kept)
    low, high = np.log(states.sigma_max) - _WIDEST, np.log(states.sigma_max) - 1e-9
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        reached = states.median_perplexity(source, float(np.exp(middle))) >= goal
        low, high = (low, middle) if reached else (middle, high)
    return float(np.exp(high))
