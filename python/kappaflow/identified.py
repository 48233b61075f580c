"""Sizes of training sets that a population determines, and what to do about the others.

N images in d dimensions determine the law at every n if N ≥ d + 2. Fewer images determine it only above some renormalised noise
κ > 0, and at small noise levels a larger n has a smaller κ. All modes share the κ of a noise level, and a sampling map that ends
without noise uses all levels. So no band of coarse modes is determined either, but images of fewer pixels are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ._core import UnidentifiedError
from ._layout import channel_axis
from .population import Population
from .sample_size import LARGEST_N, largest_determined, smallest_training_set
from .sampling import SIGMA_MAX
from .splits import Splits

__all__ = ["largest_n", "require_determined", "ways_out"]

#: Images of fewer pixels along a side are not proposed.
_SMALLEST_SIDE = 2


def largest_n(population: Population) -> int:
    """The largest n at which a population determines the law of the sampling map.

    It is 10¹², or at most N if the population is known through N samples that cannot determine the law beyond N.
    """
    splits = Splits.in_closed_form(population, LARGEST_N)
    try:
        splits.expectation(splits.sampling_map())
    except UnidentifiedError:
        assert population.sample_size is not None  # an exactly known population determines the law at any n
        least = smallest_training_set(population)
        return largest_determined(lambda n: _determined(population, n), least, max(least, population.sample_size))
    return LARGEST_N


def _determined(population: Population, n: int) -> bool:
    """Whether the disagreement of the sampling map is determined at n."""
    splits = Splits.in_closed_form(population, n)
    try:
        splits.mean_disagreement(splits.sampling_map(), input_sigma=SIGMA_MAX)
    except UnidentifiedError:
        return False
    return True


def require_determined(population: Population, sizes: Sequence[int]) -> None:
    """Check the sizes of training sets of a sampling map, the argument `n`.

    Raises
    ------
    UnidentifiedError
        A ValueError: a size is above N, the number of images, which do not determine the law beyond N.
    """
    total, most = population.sample_size, max(sizes)
    if total is None or most <= total or most <= largest_n(population):
        return
    raise UnidentifiedError(
        f"n must be at most {total:,}, the number of images, got {most:,}: {ways_out(total, population.shape, options=True)}"
    )


def ways_out(images: int, shape: tuple[int, ...], *, options: bool = False) -> str:
    """A sentence without its stop: so few images determine no larger n, and which data would.

    Parameters
    ----------
    images : number of images N, at most d + 1
    shape : of an image
    options : name the options of :func:`~kappaflow.datasets.open_images` that resize them

    >>> ways_out(50, (12, 12)).split("; ")
    ['50 images in 144 dimensions determine nothing beyond n = 50', 'at least 146, or these at 6 × 6 pixels, determine every n']
    """
    dimension = math.prod(shape)
    smaller = " or ".join(
        f"{each.words} ({each.options})" if options else each.words for each in _smaller(images, shape)
    )
    return (
        f"{images:,} images in {dimension:,} dimensions determine nothing beyond n = {images:,}; at least {dimension + 2:,}"
        f"{f', or these at {smaller},' if smaller else ''} determine every n"
    )


class _Smaller(NamedTuple):
    """A size in words, and the options that give it."""

    words: str
    options: str


def _smaller(images: int, shape: tuple[int, ...]) -> list[_Smaller]:
    """The largest sizes of the same proportions with at most N − 2 values, in colour and in grey."""
    axis = channel_axis(shape)
    if len(shape) != 2 and axis is None:  # plain vectors, latents
        return []
    sides = tuple(side for place, side in enumerate(shape) if place != axis)
    channels = 1 if axis is None else shape[axis]
    found = []
    for values, words in ((channels, ""), (1, " in grey"))[: 2 if channels > 1 else 1]:
        height, width = _largest_sides((sides[0], sides[1]), (images - 2) // values)
        if min(height, width) < _SMALLEST_SIDE:
            continue
        size = f"size={height}" if height == width else f"size=({height}, {width})"
        parts = ["grey=True"] * (words != "") + [size] * ((height, width) != sides)
        found.append(_Smaller(f"{height} × {width} pixels{words}", ", ".join(parts)))
    return found


def _largest_sides(sides: tuple[int, int], values: int) -> tuple[int, int]:
    """The largest height and width with these proportions whose product is at most `values`; 0 and 0 if there are none."""
    longest = max(sides)
    for long in range(min(longest, max(values, 0)), 0, -1):
        height, width = (max(1, round(side * long / longest)) for side in sides)
        if height * width <= values:
            return height, width
    return 0, 0
