r"""Which seeds will change when one trained network is trained again: how the images that explain a state move its outcome.

The posterior variance (:mod:`.posterior`) measures how far apart the images lie that explain the state of a linear trajectory. The
probe starts from the network's own state, moves it towards such images, and measures how far the network carries the difference.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray, integer, not_negative, positive
from .._progress import CountProgress, counted
from .._repr import ShortRepr
from .._tables import Columns, Tabular
from ..population import Population
from ..sampling import SIGMA_MAX, SIGMA_MIN, heun, noise_schedule
from .image_weights import LEAST_PERPLEXITY, DistinctImages, draw_images, weighted_sums
from .posterior import checked_noise, posterior_level
from .rows import RowDenoiser, evaluate_rows

__all__ = ["DRAWS", "EVALUATIONS", "STEP", "NetworkProbe", "network_probe", "probe_seconds"]

#: How far the state is moved, as a fraction of the way from the mean to an image, and how many images are drawn.
STEP, DRAWS = 0.15, 4
#: Heun steps from σ_max to σ*, and from σ* to σ_min; an Euler step to 0 follows.
_STEPS_TO, _STEPS_FROM = 8, 6
#: Evaluations of the network for one seed at the default number of draws.
EVALUATIONS = 2 * _STEPS_TO + (1 + DRAWS) * (2 * _STEPS_FROM + 1)
#: Rows that the network sees at once by default, and numbers that the states of one group of seeds may hold.
_BATCH, _NUMBERS = 64, 2**23
#: The fewest and the most batches that are timed, and seconds after which no other is begun; one more before them sets up things
#: that are not counted.
_TIMED, _TIMED_SECONDS = (2, 9), 2.0


@dataclass(frozen=True, repr=False)
class NetworkProbe(ShortRepr, Tabular):
    """The probe of one trained network at Z seeds: larger where two networks disagree more.

    Only the order of the seeds predicts other networks. The values have the unit of a squared pixel.

    Attributes
    ----------
    seeds : (Z,) the mean of |Δx₀|²/(ε² d) over the images that were drawn
    perplexity : (Z,) exp(entropy of the weights): how many images explain the network's own state
    sigma : σ*, the noise level of the states
    images : number of distinct images
    evaluations : evaluations of the network at one image, over all seeds
    """

    seeds: FloatArray
    perplexity: FloatArray
    sigma: float
    images: int
    evaluations: int

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """(Z,) indices of the seeds, those that change most first."""
        return np.asarray(np.argsort(-self.seeds, kind="stable"))

    def _columns(self) -> Columns:
        """One row a seed, in the order in which they were given."""
        return {"seed": np.arange(len(self.seeds)), "probe": self.seeds, "perplexity": self.perplexity}


def network_probe(
    population: Population,
    denoiser: RowDenoiser,
    noise: Any,
    *,
    sigma: float | None = None,
    sigma_max: float = SIGMA_MAX,
    sigma_min: float = SIGMA_MIN,
    step: float = STEP,
    draws: int = DRAWS,
    seed: int = 0,
    batch: int = _BATCH,
    least_perplexity: float = LEAST_PERPLEXITY,
    progress: CountProgress = None,
) -> NetworkProbe:
    r"""How far images that explain the network's own state at σ* move its outcome, equation (54) of docs/theory.md.

    .. math::

        P = \frac{1}{K d} \sum_{k=1}^{K}
            \frac{|\Phi(x^* + \varepsilon (y_{j_k} - m)) - \Phi(x^*)|^2}{\varepsilon^2}, \qquad
        j_k \sim w, \quad w_j \propto e^{-|x^* - y_j|^2/2\sigma_*^2}, \quad m = \sum_j w_j y_j

    x* is the state that the network's sampler reaches at σ* from x_T, and Φ is the rest of its way, from σ* to 0. Both are
    Heun's method on the grid of EDM: 8 steps to σ*, then 6 steps to σ_min and an Euler step. With K = 4 images, a seed takes
    16 + 5 · 13 = 81 evaluations. P has the unit of a squared pixel. It does not depend on ε where Φ is linear.

    Parameters
    ----------
    population : mean and modes of the data; its profiles are the images y_j, and copies of one another are counted once
    denoiser : D(x, σ) of rows. For a network, ``rows_denoiser(open_denoiser(name, device=device), population.shape,
        device=device)`` of :mod:`.layout` and :mod:`.adapters`
    noise : (Z, *shape) or (Z, d)
        Initial noise x_T of standard deviation σ_max, as :func:`kappaflow.sampling.initial_noise` makes it.
    sigma : σ*; by default √(tr Σ/2), as in :func:`~.posterior.posterior_variance`
    sigma_max, sigma_min : noise levels of the first and of the last step but one, 0 < σ_min < σ* < σ_max
    step : ε > 0
    draws : K, the number of images drawn for each seed
    seed : of the draws; the value of a seed does not depend on the seeds that come after it
    batch : number of rows passed to the denoiser at once
    least_perplexity : the median perplexity below which there is no answer
    progress : True shows a progress bar; a callable is called with the number of evaluations so far

    Raises
    ------
    TypeError
        Values that are not real numbers.
    NoPosteriorError
        A ValueError. No profiles, fewer than 50 distinct images, images that are too wide for `sigma_max`.
    ValueError
        Noise levels out of order, other settings out of range, noise of the wrong shape or standard deviation, a denoiser that
        returns another shape than that of its input, NaN or infinity, a median perplexity below `least_perplexity`.

    Examples
    --------
    >>> import numpy as np
    >>> from kappaflow import Population
    >>> from kappaflow.sampling import initial_noise
    >>> rng = np.random.default_rng(0)
    >>> population = Population.from_samples(rng.standard_normal((500, 4)), profiles=500)
    >>> best_linear = lambda x, sigma: x / (1 + sigma**2)
    >>> answer = network_probe(population, best_linear, initial_noise([0, 1, 2], 4, 80.0))
    >>> answer.seeds.shape, answer.evaluations
    ((3,), 243)
    """
    top, low = positive("sigma_max", sigma_max), positive("sigma_min", sigma_min)
    level = posterior_level(population, sigma, top)
    if low >= level:
        raise ValueError(f"sigma_min must be below sigma = {level:.4g}, got {low:g}")
    least = not_negative("least_perplexity", least_perplexity)
    rows, source = checked_noise(population, noise, top), DistinctImages(population, None)
    count = integer("draws", draws, 1)
    uniform = np.random.default_rng(integer("seed", seed, 0)).random((len(rows), count))
    size = min(integer("batch", batch, 1), max(1, _NUMBERS // ((1 + count) * rows.shape[1])))
    way = _Way(
        source=source,
        evaluate=_Counted(denoiser, batch=size),
        to_level=noise_schedule(_STEPS_TO + 1, top, sigma_min=level)[:-1].tolist(),
        to_end=noise_schedule(_STEPS_FROM + 1, level, sigma_min=low).tolist(),
        step=positive("step", step),
    )
    with counted(progress, "probing the network", _evaluations(len(rows), count)) as report:
        way.evaluate.report = report
        groups = [slice(start, start + size) for start in range(0, len(rows), size)]
        parts = [way.probed(rows[group], uniform[group]) for group in groups]
    perplexity = np.concatenate([part.perplexity for part in parts])
    _require_explained(perplexity, least, level)
    return NetworkProbe(
        seeds=np.concatenate([part.seeds for part in parts]),
        perplexity=perplexity,
        sigma=level,
        images=source.seen,
        evaluations=way.evaluate.done,
    )


def _require_explained(perplexity: FloatArray, least: float, sigma: float) -> None:
    median = float(np.median(perplexity))
    if not median >= least:  # NaN is refused too
        raise ValueError(
            f"denoiser must reach states that are explained by at least {least:g} images, got a median perplexity of {median:.3g} "
            f"at the noise level {sigma:.4g}: it was trained on images of another kind or range, or the level is too low"
        )


def probe_seconds(
    denoiser: RowDenoiser, noise: FloatArray, *, batch: int = _BATCH, sigma_max: float = SIGMA_MAX
) -> float:
    """About how long :func:`network_probe` takes, from a few timed evaluations of the denoiser.

    Parameters
    ----------
    denoiser : D(x, σ) of rows
    noise : (Z, d) initial noise at `sigma_max`
    batch : number of rows passed to the denoiser at once

    Raises
    ------
    ValueError, TypeError
        See :func:`~.rows.evaluate_rows`.
    """
    few = np.resize(noise, (min(batch, (1 + DRAWS) * len(noise)), noise.shape[1]))
    evaluate_rows(denoiser, few, sigma_max, batch=batch)
    seconds: list[float] = []
    while len(seconds) < _TIMED[0] or (len(seconds) < _TIMED[1] and sum(seconds) < _TIMED_SECONDS):
        begun = time.perf_counter()
        evaluate_rows(denoiser, few, sigma_max, batch=batch)
        seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds)) / len(few) * _evaluations(len(noise), DRAWS)


def _evaluations(seeds: int, draws: int) -> int:
    return seeds * (2 * _STEPS_TO + (1 + draws) * (2 * _STEPS_FROM + 1))


class _Counted:
    """A denoiser that reports how many evaluations it has made."""

    def __init__(self, denoiser: RowDenoiser, *, batch: int) -> None:
        self._denoiser, self._batch = denoiser, batch
        self.done = 0
        self.report: Callable[[int], None] = lambda _done: None

    def __call__(self, x: FloatArray, sigma: float) -> FloatArray:
        """D(x; σ), in batches."""
        return evaluate_rows(self._one_batch, x, sigma, batch=self._batch)

    def _one_batch(self, x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        answer = self._denoiser(x, sigma)
        self.done += len(x)
        self.report(self.done)
        return answer


@dataclass(frozen=True)
class _Part:
    """Values and perplexities of some seeds."""

    seeds: FloatArray
    perplexity: FloatArray


@dataclass(frozen=True)
class _Way:
    """The way of the sampler from σ_max over σ* to 0, and the images that move it at σ*."""

    source: DistinctImages
    evaluate: _Counted
    to_level: list[float]
    to_end: list[float]
    step: float

    def probed(self, noise: FloatArray, uniform: FloatArray) -> _Part:
        """The probe of some seeds, noise (B, d) and uniform numbers (B, K) that draw their images."""
        state = heun(self.evaluate, noise, self.to_level)
        level = self.to_level[-1]
        places = self.source.places_of(state)
        sums = weighted_sums(places, self.source, level)
        drawn = draw_images(places, self.source, level, sums, uniform)
        moves = self.source.pixels((drawn - sums.mean[:, None]).reshape(-1, places.shape[1]))
        moved = np.repeat(state, uniform.shape[1], axis=0) + self.step * moves
        ends = heun(self.evaluate, np.concatenate([state, moved]), self.to_end)
        apart = ends[len(state) :].reshape(*uniform.shape, -1) - ends[: len(state), None]
        return _Part(seeds=np.mean(apart**2, axis=(1, 2)) / self.step**2, perplexity=sums.perplexity)
