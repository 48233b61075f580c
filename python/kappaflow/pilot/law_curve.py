"""The law of the images over n: computed at a range of sizes, and interpolated between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._repr import ShortRepr
from ..identified import largest_n
from ..splits import Splits
from ..validation.laws import ComparedLaw
from ..validation.network.context import Context

__all__ = ["LawCurve"]

#: Sizes for each factor of ten, how far the range goes beyond the number of images, and where it ends at the latest.
_PER_DECADE, _BEYOND, _LARGEST = 8, 1000, 10**8


@dataclass(frozen=True, repr=False)
class LawCurve(ShortRepr):
    """Relative disagreement of two linear models of n images.

    Attributes
    ----------
    sizes : (T,) values of n, ascending
    values : (T,) the law there; in between it is interpolated in logarithms
    """

    sizes: npt.NDArray[np.int64]
    values: FloatArray

    @classmethod
    def of(
        cls,
        context: Context,
        law: ComparedLaw,
        pilots: Sequence[int],
        progress: Callable[[str, float], None] | None = None,
    ) -> LawCurve:
        """The curve from the smallest pilot to where the images can no longer determine the law.

        The pilots and half of the images are among the sizes. Beyond the images at hand there are few sizes: the law is nearly a
        power of n there.

        Parameters
        ----------
        context : images and seeds
        law : one of ``context.laws``
        pilots : sizes of the pilots
        progress : called with the name of a step and the fraction that is done
        """
        smallest, largest = min(pilots), max(pilots)
        top = min(largest_n(context.population), _LARGEST, max(_BEYOND * context.count, 10 * largest))
        top = max(top, largest)
        inner = [n for n in (*_round_sizes(context.count, top), context.count // 2) if smallest < n < top]
        sizes = sorted({*inner, *pilots, top})
        values: list[float] = []
        for n in sizes:
            if progress is not None:
                progress("the law of the images", 0.98 + 0.02 * len(values) / len(sizes))
            values.append(_relative(context, law, n))
        return cls(np.array(sizes, dtype=np.int64), np.array(values))

    def at(self, n: int) -> float:
        """The law at n; beyond the range, that of its end."""
        return float(np.exp(np.interp(math.log(n), np.log(self.sizes), np.log(self.values))))

    def n_for(self, law: float) -> float:
        """The n from which on the law is at most this value: infinite for 0, NaN beyond the range, at least the smallest size.

        >>> curve = LawCurve(np.array([10, 100, 1000]), np.array([0.1, 0.2, 0.01]))
        >>> curve.n_for(0.2), curve.n_for(0.01), curve.n_for(0.0)
        (10.0, 1000.0, inf)
        >>> curve.n_for(0.1)
        171.0
        """
        if law <= 0:
            return math.inf
        if law < self.values[-1]:
            return math.nan
        highest = np.maximum.accumulate(self.values[::-1])  # from each size on, from the largest size down
        if law >= highest[-1]:
            return float(self.sizes[0])
        size = np.exp(np.interp(math.log(law), np.log(highest), np.log(self.sizes[::-1])))
        return float(math.ceil(size - 1e-9))


def _round_sizes(images: int, top: int) -> list[int]:
    """Sizes at equal steps of the logarithm, rounded to two digits: 10, 13, 18, 24, 32, … up to the number of images, then every
    fourth up to `top`.
    """
    steps = range(1 + math.floor(_PER_DECADE * math.log10(top)))
    sizes = [int(float(f"{10 ** (step / _PER_DECADE):.1e}")) for step in steps]
    return [n for step, n in enumerate(sizes) if n <= images or step % 4 == 0]


def _relative(context: Context, law: ComparedLaw, n: int) -> float:
    """Mean disagreement of the seeds over that of unrelated seeds, as in a forecast of the validation."""
    population, top = context.population, context.sigma_max
    splits = Splits(population, n, **law.options)
    f = splits.sampling_map(0.0, top)
    seeds = splits.disagreement(f, context.noise["seeds"])
    modes = splits.mode_disagreement(f, input_variance=top**2).part
    unrelated = modes + 2 / population.dimension * splits.expectation(f) ** 2 * top**2
    return float(np.mean(seeds) / np.sum(unrelated))
