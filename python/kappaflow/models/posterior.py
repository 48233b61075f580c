r"""Which seeds will change when a network is trained again: the posterior variance of the images at the seed's linear trajectory.

Two networks disagree where many different images explain a noisy state about equally well. For such a state a denoiser returns an
average over these images, and which average it learns depends on the training set and on the training. The posterior variance
measures how far apart the images lie. It needs no network. ``docs/theory.md``, section 8, has the derivation and the limits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, not_negative, positive
from .._progress import CountProgress, counted
from .._repr import ShortRepr
from .._samples import UnseenRows, batches
from .._tables import Columns, Tabular
from ..bands import Band, resolve_bands
from ..maps import Map
from ..population import Population, ProfileArray
from ..sampling import SIGMA_MAX, has_scale
from .scores.softmax import WeightedMean

__all__ = ["LEAST_IMAGES", "LEAST_PERPLEXITY", "NoPosteriorError", "PosteriorVariance", "posterior_variance"]

#: The smallest number of distinct images for which the variance is meaningful.
LEAST_IMAGES = 50
#: Median perplexity below which the weights have collapsed onto a few images, which then determine the result.
LEAST_PERPLEXITY = 10.0
#: The fraction of the images that the median perplexity reaches at the level "perplexity".
_PERPLEXITY_SHARE = 0.25
#: Seeds on which that level is chosen, and halvings of the bracket of its logarithm.
_SEEDS_TO_CHOOSE, _HALVINGS = 128, 30
#: How far below σ_max the search for that level extends, in powers of e.
_WIDEST = 20.0
#: Numbers of images and seeds to compare at once.
_IMAGES, _SEEDS = 4096, 512
#: Rounding of a logarithm of a weight up to which products are formed in float32.
_ROUNDING = 1e-4
#: Squared lengths between which products and squares in float32 neither overflow nor vanish.
_FLOAT32_RANGE = (1e-20, 1e30)
#: A variance below this fraction of the squared mean is what is left of a cancellation, too little for float32.
_CANCELLED = 1e-3


class NoPosteriorError(ValueError):
    """The images cannot rank the seeds: there are none or too few, they are too wide, or a few have all the weight."""


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
    trivial : (Z,) −‖x₀ − μ‖²/d, x₀ = what the linear model of all images makes of the seed; a covariate that needs no
        posterior, to be shown beside `seeds`
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
    r"""Posterior variance of the images y_j at the linear trajectory of each seed, equations (50) to (52) of docs/theory.md.

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
    source = _Images(population, images)
    wanted = _Wanted(None if bands is None else resolve_bands(bands, len(population.eigenvalues)), bool(pixels))
    level = _level(states, source, sigma)
    with counted(progress, "posterior variance", source.count) as report:
        answer = states.answer(source, level, wanted, report)
    median = float(np.median(answer.perplexity))
    if not median >= least:  # NaN is refused too
        raise NoPosteriorError(
            f"sigma = {level:.4g} is too small for {answer.images} images: the median perplexity of their weights is "
            f"{median:.3g}, at least {least:g} is needed. Take a larger sigma, or more images."
        )
    return answer


@dataclass(frozen=True)
class _Wanted:
    bands: tuple[Band, ...] | None
    pixels: bool


class _Images:
    """The distinct images, block by block: mode coordinates of profiles, or the pixels of images minus the mean."""

    def __init__(self, population: Population, images: Any) -> None:
        self.population = population
        self.kept: ProfileArray | None = None
        self._given = images
        if images is None:
            if population.profiles is None:
                raise NoPosteriorError(
                    "population must hold profiles, or images must be given: Population.from_samples(images, profiles=10_000) "
                    "keeps them"
                )
            if population.eigenvectors is None and population.dimension != len(population.eigenvalues):
                raise NoPosteriorError("population must hold eigenvectors, got one with only a spectrum")
            self.kept = population.distinct_profiles
        self.seen = 0

    @property
    def count(self) -> int | None:
        """The number of images if it is known before they are read, else None."""
        return None if self.kept is None else len(self.kept)

    def blocks(self) -> Iterator[Any]:
        """(n, w) float32 or float64 rows in their own coordinates: modes or pixels."""
        self.seen = 0
        if self.kept is not None:
            for start in range(0, len(self.kept), _IMAGES):
                block = self.kept[start : start + _IMAGES]
                self.seen += len(block)
                yield block
            return
        unseen = UnseenRows()
        for batch in batches(self._given):
            rows = self.population.flatten(batch, "images")
            new = unseen.places(rows + 0.0)  # -0.0 and 0.0 are the same
            for start in range(0, len(new), _IMAGES):
                part = rows[new[start : start + _IMAGES]] - self.population.mean
                self.seen += len(part)
                yield part

    def modes(self, rows: Any) -> Any:
        """Their mode coordinates (n, k)."""
        vectors = self.population.eigenvectors
        return rows if self.kept is not None or vectors is None else rows @ vectors.astype(rows.dtype, copy=False)

    def pixels(self, rows: Any) -> Any:
        """Their pixels minus the mean, (n, d)."""
        vectors = self.population.eigenvectors
        return rows if self.kept is None or vectors is None else rows @ vectors.T.astype(rows.dtype, copy=False)


class _States:
    """The seeds and the states of their linear trajectories."""

    def __init__(self, population: Population, noise: Any, sigma_max: float) -> None:
        self.population = population
        self.sigma_max = sigma_max
        self._noise = population.flatten(noise, "noise")
        if self._noise.size == 0:
            raise ValueError("noise must hold at least one seed, got none")
        if not has_scale(self._noise, sigma_max):
            scale = float(np.sqrt(np.mean(self._noise**2)))
            raise ValueError(
                f"noise must have the standard deviation sigma_max = {sigma_max:g}, got {scale:.4g}: "
                "give sigma_max * z, with z of unit variance"
            )

    @cached_property
    def _coordinates(self) -> FloatArray:
        """(Z, k) mode coordinates of the noise."""
        return self.population.coordinates(self._noise)

    @property
    def trivial(self) -> FloatArray:
        """(Z,) −‖x₀ − μ‖²/d of the linear model."""
        gain = Map.sampling(0.0, self.sigma_max).gain(self.population.eigenvalues)
        moved = self._coordinates * gain
        return np.asarray(-(moved**2).sum(axis=1) / self.population.dimension)

    def at(self, sigma: float, source: _Images, count: int | None = None) -> FloatArray:
        """(Z, w) the states x* − μ at a noise level, in the coordinates of the images; of the first `count` seeds."""
        at_level = Map.sampling(sigma, self.sigma_max)
        gain = at_level.gain(self.population.eigenvalues)
        if source.kept is not None:  # what lies outside of the modes is equally far from all images
            return np.asarray(self._coordinates[:count] * gain)
        null_gain = float(at_level.gain(np.zeros(1))[0])
        return np.asarray(self.population.apply(self._noise[:count], gain, null_gain=null_gain) - self.population.mean)

    def median_perplexity(self, source: _Images, sigma: float) -> float:
        """Median perplexity of the weights for the first seeds."""
        few = _Wanted(None, pixels=False)
        return float(np.median(_sums(self.at(sigma, source, _SEEDS_TO_CHOOSE), source, sigma, few).perplexity))

    def answer(
        self, source: _Images, sigma: float, wanted: _Wanted, report: Callable[[int], None]
    ) -> PosteriorVariance:
        """The variances at a noise level."""
        sums = _sums(self.at(sigma, source), source, sigma, wanted, report)
        if source.seen < LEAST_IMAGES:
            raise NoPosteriorError(f"images must hold at least {LEAST_IMAGES} distinct images, got {source.seen}")
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


@dataclass(frozen=True)
class _Sums:
    """Averages with the weights of each seed: of ‖y‖², y, and the squares of its mode coordinates and pixels; and exp(entropy)."""

    squared_norm: FloatArray
    mean: FloatArray
    squared_modes: FloatArray | None
    squared_pixels: FloatArray | None
    perplexity: FloatArray


@dataclass(frozen=True)
class _Block:
    """Some images: their rows as given and as multiplied, ‖y‖², and how the squares whose averages are needed are formed."""

    given: Any
    rows: Any
    norms: FloatArray
    squared: Callable[[Any], list[Any]]
    squares: list[Any]

    @classmethod
    def of(cls, rows: Any, source: _Images, longest: float, level: float, *, modes: bool, pixels: bool) -> _Block:
        """A block in float32 if the rounding of a product with a state of length `longest` cannot matter, else in float64."""

        def squared(rows: Any) -> list[Any]:
            return [source.modes(rows) ** 2] * modes + [source.pixels(rows) ** 2] * pixels

        norms = np.einsum("nw,nw->n", rows, rows, dtype=np.float64)
        largest = max(longest, float(np.sqrt(norms.max())))
        error = float(np.finfo(np.float32).eps) * longest * float(np.sqrt(norms.max())) / level
        short = error < _ROUNDING and _FLOAT32_RANGE[0] < level and largest**2 < _FLOAT32_RANGE[1]
        multiplied = np.asarray(rows, dtype=np.float32 if short else np.float64)
        return cls(rows, multiplied, norms, squared, squared(multiplied))

    def logits(self, states: FloatArray, level: float) -> FloatArray:
        """(B, n) (x·y − ‖y‖²/2)/σ²: the logarithms of the weights, up to a constant for each state."""
        product = (states.astype(self.rows.dtype) @ self.rows.T).astype(np.float64)
        product -= 0.5 * self.norms
        product /= level
        return np.asarray(product)

    def weighed(self, logits: FloatArray, weights: FloatArray) -> FloatArray:
        """(B, ...) sums with the weights (B, n): of the logits, ‖y‖², y and the squares."""
        short = weights.astype(self.rows.dtype)
        numbers = [(weights * logits).sum(axis=1)[:, None], (weights @ self.norms)[:, None]]
        sums = np.concatenate([*numbers, short @ self.rows, *(short @ values for values in self.squares)], axis=1)
        if self.rows.dtype == np.float32:
            self._replace_cancelled(sums, weights)
        return np.asarray(sums)

    def _replace_cancelled(self, sums: FloatArray, weights: FloatArray) -> None:
        """Sums in float64 for the states whose images in this block have almost no variance beside their squared mean."""
        last = 2 + self.rows.shape[1]
        squared_mean = (sums[:, 2:last] ** 2).sum(axis=1)
        poor = weights.sum(axis=1) * sums[:, 1] - squared_mean < _CANCELLED * squared_mean
        if poor.any():
            exact = self.given.astype(np.float64)
            sums[poor, 2:] = np.concatenate(
                [weights[poor] @ values for values in (exact, *self.squared(exact))], axis=1
            )


def _sums(
    states: FloatArray,
    source: _Images,
    sigma: float,
    wanted: _Wanted,
    report: Callable[[int], None] = lambda _seen: None,
) -> _Sums:
    """One pass over the images for all seeds. Products are in float32 if their rounding cannot matter."""
    level, width = sigma**2, states.shape[1]
    modes = len(source.population.eigenvalues) if wanted.bands is not None else 0
    pixels = source.population.dimension if wanted.pixels else 0
    parts = np.cumsum([1, 1, width, modes, pixels])
    groups = [slice(start, start + _SEEDS) for start in range(0, len(states), _SEEDS)]
    running = [WeightedMean(len(states[group]), int(parts[-1])) for group in groups]
    longest = float(np.sqrt((states**2).sum(axis=1).max()))
    for rows in source.blocks():
        block = _Block.of(rows, source, longest, level, modes=bool(modes), pixels=bool(pixels))
        for group, state in zip(groups, running, strict=True):
            logits = block.logits(states[group], level)
            state.add(logits, functools.partial(block.weighed, logits))
        report(source.seen)
    if source.seen == 0:
        raise NoPosteriorError(f"images must hold at least {LEAST_IMAGES} distinct images, got none")
    means = np.concatenate([state.mean() for state in running])
    entropy = np.concatenate([state.log_sum() for state in running])[:, 0] - means[:, 0]
    return _Sums(
        squared_norm=means[:, 1],
        mean=means[:, parts[1] : parts[2]],
        squared_modes=means[:, parts[2] : parts[3]] if modes else None,
        squared_pixels=means[:, parts[3] : parts[4]] if pixels else None,
        perplexity=np.exp(entropy),
    )


def _level(states: _States, source: _Images, sigma: float | str | None) -> float:
    """The level σ* that the argument `sigma` requests."""
    top, usual = states.sigma_max, float(np.sqrt(0.5 * states.population.total_variance))
    if sigma is None and usual >= top:
        raise NoPosteriorError(
            f"sigma_max must be above √(tr Σ/2) = {usual:.4g}, got {top:g}: raise it, or scale the images"
        )
    if sigma == "perplexity":
        return _level_by_perplexity(states, source)
    level = usual if sigma is None else positive("sigma", sigma)
    if level >= top:
        raise ValueError(f"sigma must be below sigma_max = {top:g}, got {level:g}")
    return level


def _level_by_perplexity(states: _States, source: _Images) -> float:
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
