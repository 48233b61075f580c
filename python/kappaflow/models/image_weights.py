"""The distinct images, the weights with which they explain noisy states, and averages with these weights, block by block.

A state x of noise level σ gives the image y_j the weight w_j ∝ exp(−|x − y_j|²/2σ²).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._checks import FloatArray
from .._repr import ShortRepr
from .._samples import batches
from ..bands import Band
from ..population import Population
from ..profiles import ProfileArray
from .scores.softmax import WeightedMean

__all__ = [
    "LEAST_IMAGES",
    "LEAST_PERPLEXITY",
    "DistinctImages",
    "NoPosteriorError",
    "WantedSums",
    "WeightedSums",
    "draw_images",
    "require_spread_weights",
    "weighted_sums",
]

#: The smallest number of distinct images for which the variance is meaningful.
LEAST_IMAGES = 50
#: Median perplexity below which the weights have collapsed onto a few images, which then determine the result.
LEAST_PERPLEXITY = 10.0
#: Numbers of images and seeds to compare at once.
_IMAGES, _SEEDS = 4096, 512
#: Rounding of a logarithm of a weight up to which products are formed in float32.
_ROUNDING = 1e-4
#: Squared lengths between which products and squares in float32 neither overflow nor vanish.
_FLOAT32_RANGE = (1e-20, 1e30)
#: A variance below this fraction of the squared mean is what is left of a cancellation, too little for float32.
_CANCELLED = 1e-3


#: The largest cumulative weight that is looked for: rounding may keep the sum of all weights below 1.
_BELOW_ONE = 1 - 1e-9


class NoPosteriorError(ValueError):
    """The images cannot rank the seeds: there are none or too few, they are too wide, or a few have all the weight."""


def require_spread_weights(perplexity: FloatArray, least: float, *, sigma: float, images: int) -> None:
    """Check the perplexity (Z,) of the weights of `images` images at `sigma`.

    Raises
    ------
    NoPosteriorError
        Its median is below `least`.
    """
    median = float(np.median(perplexity))
    if not median >= least:  # NaN is refused too
        raise NoPosteriorError(
            f"sigma = {sigma:.4g} is too small for {images} images: the median perplexity of their weights is "
            f"{median:.3g}, at least {least:g} is needed. Take a larger sigma, or more images."
        )


@dataclass(frozen=True)
class WantedSums:
    """What is averaged beside ‖y‖² and y: squares of mode coordinates, for bands, and squares of pixels."""

    bands: tuple[Band, ...] | None
    pixels: bool


_NOTHING_MORE = WantedSums(None, pixels=False)


class UnseenRows:
    """Tells rows of a stream from copies of earlier ones while it is read.

    Rows are known by their bytes: :class:`~kappaflow._independence.Fingerprints` allows for rounding errors, and therefore knows
    the copies only at the end of the stream.
    """

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def places(self, rows: FloatArray) -> list[int]:
        """Indices of the rows (B, d) that are no copy of a row before them, in this call or an earlier one."""
        unseen = []
        for place, row in enumerate(rows):
            key = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
            if key not in self._known:
                self._known.add(key)
                unseen.append(place)
        return unseen


class DistinctImages:
    """The distinct images, block by block: mode coordinates of profiles, or the pixels of images minus the mean.

    Raises
    ------
    NoPosteriorError
        No images are given and the population holds no profiles, or no eigenvectors.
    """

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

    def places_of(self, states: FloatArray) -> FloatArray:
        """(Z, w) states in pixels, (Z, d), in the coordinates of the images. What lies outside of modes is equally far from all."""
        return self.population.coordinates(states) if self.kept is not None else states - self.population.mean

    def modes(self, rows: Any) -> Any:
        """Their mode coordinates (n, k)."""
        vectors = self.population.eigenvectors
        return rows if self.kept is not None or vectors is None else rows @ vectors.astype(rows.dtype, copy=False)

    def pixels(self, rows: Any) -> Any:
        """Their pixels minus the mean, (n, d)."""
        vectors = self.population.eigenvectors
        return rows if self.kept is None or vectors is None else rows @ vectors.T.astype(rows.dtype, copy=False)


@dataclass(frozen=True, repr=False)
class WeightedSums(ShortRepr):
    """Averages with the weights of each state: of ‖y‖², y, and the squares of its mode coordinates and pixels; exp(entropy).

    `log_sum` is the logarithm of the sum of the weights before they are normalised.
    """

    squared_norm: FloatArray
    mean: FloatArray
    squared_modes: FloatArray | None
    squared_pixels: FloatArray | None
    perplexity: FloatArray
    log_sum: FloatArray


@dataclass(frozen=True)
class _Block:
    """Some images: their rows as given and as multiplied, ‖y‖², and how the squares whose averages are needed are formed."""

    given: Any
    rows: Any
    norms: FloatArray
    squared: Callable[[Any], list[Any]]
    squares: list[Any]

    @classmethod
    def of(
        cls, rows: Any, source: DistinctImages, longest: float, level: float, *, modes: bool, pixels: bool
    ) -> _Block:
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


def weighted_sums(
    states: FloatArray,
    source: DistinctImages,
    sigma: float,
    wanted: WantedSums = _NOTHING_MORE,
    report: Callable[[int], None] = lambda _seen: None,
) -> WeightedSums:
    """One pass over the images for all seeds. Products are in float32 if their rounding cannot matter.

    Parameters
    ----------
    states : (Z, w) in the coordinates of the images
    source : the images
    sigma : noise level of the states
    wanted : what is averaged
    report : called with the number of images seen so far

    Raises
    ------
    NoPosteriorError
        Fewer than 50 distinct images.
    """
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
    if source.seen < LEAST_IMAGES:
        raise NoPosteriorError(f"images must hold at least {LEAST_IMAGES} distinct images, got {source.seen}")
    means = np.concatenate([state.mean() for state in running])
    log_sum = np.concatenate([state.log_sum() for state in running])[:, 0]
    return WeightedSums(
        squared_norm=means[:, 1],
        mean=means[:, parts[1] : parts[2]],
        squared_modes=means[:, parts[2] : parts[3]] if modes else None,
        squared_pixels=means[:, parts[3] : parts[4]] if pixels else None,
        perplexity=np.exp(log_sum - means[:, 0]),
        log_sum=log_sum,
    )


def draw_images(
    states: FloatArray, source: DistinctImages, sigma: float, sums: WeightedSums, uniform: FloatArray
) -> FloatArray:
    """Images drawn with the weights of each state: the first whose cumulative weight is above the uniform number.

    Parameters
    ----------
    states : (Z, w) in the coordinates of the images
    source : the images, in the order in which weights are accumulated; they are read a second time
    sigma : noise level of the states
    sums : of :func:`weighted_sums` for these states
    uniform : (Z, K) numbers from [0, 1)

    Returns
    -------
    (Z, K, w) the images, in their own coordinates.
    """
    wanted = np.minimum(uniform, _BELOW_ONE)
    drawn = np.zeros((*uniform.shape, states.shape[1]))
    reached = np.zeros((len(states), 1))
    longest = float(np.sqrt((states**2).sum(axis=1).max()))
    for rows in source.blocks():
        block = _Block.of(rows, source, longest, sigma**2, modes=False, pixels=False)
        weights = np.exp(block.logits(states, sigma**2) - sums.log_sum[:, None])
        total = reached + np.cumsum(weights, axis=1)
        for seed, draw in np.argwhere((wanted >= reached) & (wanted < total[:, -1:])):
            drawn[seed, draw] = rows[np.searchsorted(total[seed], wanted[seed, draw], side="right")]
        reached = total[:, -1:]
    return drawn
