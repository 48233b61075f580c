"""Everything that the page on scores shows: closed-form scores compared on held-out samples, and with a denoiser."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray, integer, positive, real_array
from ..._progress import StepProgress, steps
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...models.rows import RowDenoiser, known_levels
from ...models.scores import DeltaScore, GaussianScore, MeanScore, MixtureScore, distinct_rows
from ...population import Population
from ...sampling import SIGMA_MAX
from ..noise_levels import ascending_noise_levels
from .comparison import LAWS, Fraction, HeldOutLoss, draw_rows, fraction_of_squared_error, held_out_loss, sigma_grid

__all__ = ["GAUSSIAN", "MEAN", "NETWORK", "SAMPLES", "ScoresStudy", "closed_form_scores", "scores_study"]

#: Names of the denoisers of a study; mixtures are called "10 Gaussians" and so on.
MEAN, GAUSSIAN, SAMPLES, NETWORK = "mean", "Gaussian", "training samples", "network"
#: A mixture needs at least so many distinct training samples for each component.
_PER_COMPONENT = 20
_LEAST_SAMPLES = 20
_FILM_LEVELS = 5

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, repr=False)
class ScoresStudy(ShortRepr, Tabular):
    """Closed-form scores of a training half of the data, compared on the other half and with a denoiser.

    Attributes
    ----------
    shape : of one sample
    training, held_out : number of samples in each half
    count : number of samples behind each number
    repeated : number of the used held-out samples that equal a training sample, to which the scores were therefore fitted
    sigmas : (S,) ascending noise levels
    losses : name → loss on the held-out half
    reference : name of the denoiser that is explained: "network", or "training samples", the exact score of these, a mixture of
        deltas
    fractions : law of x → name → fraction of squared error, for every score except the reference
    film_levels : (L,) noise levels of the pictures, descending
    film_clean, film_noised : (d,) a held-out sample, and (L, d) the same with noise
    film : name → (L, d) output of each denoiser for it
    """

    shape: tuple[int, ...]
    training: int
    held_out: int
    count: int
    repeated: int
    sigmas: FloatArray
    losses: Mapping[str, HeldOutLoss]
    reference: str
    fractions: Mapping[str, Mapping[str, Fraction]]
    film_levels: FloatArray
    film_clean: FloatArray
    film_noised: FloatArray
    film: Mapping[str, FloatArray]

    def _columns(self) -> Columns:
        """One row for each noise level: loss of every denoiser on the held-out half."""
        return {"sigma": self.sigmas, **{name: loss.loss for name, loss in self.losses.items()}}


def closed_form_scores(
    training: FloatArray, *, components: Sequence[int] = (10, 100), seed: int = 0
) -> dict[str, RowDenoiser]:
    """Closed-form scores of training samples by name, from the coarsest to the finest.

    Parameters
    ----------
    training : (N, d)
    components : numbers of components of the mixtures; a mixture is left out if there are fewer than 20 distinct samples for
        each component
    seed : of the clusters

    Raises
    ------
    ValueError
        A number of components is below 1, or there are fewer than two samples.
    """
    population = Population.from_samples(training)
    scores: dict[str, RowDenoiser] = {MEAN: MeanScore(population), GAUSSIAN: GaussianScore(population)}
    distinct = distinct_rows(training)
    for wanted in components:
        if integer("components", wanted, 1) * _PER_COMPONENT <= distinct:
            scores[f"{wanted} Gaussians"] = MixtureScore.fit(training, wanted, seed=seed)
    scores[SAMPLES] = DeltaScore(training)
    return scores


def scores_study(
    samples: Any,
    shape: tuple[int, ...],
    *,
    network: RowDenoiser | None = None,
    components: Sequence[int] = (10, 100),
    sigmas: Any = None,
    count: int = 256,
    sigma_max: float = SIGMA_MAX,
    seed: int = 0,
    progress: StepProgress = None,
) -> ScoresStudy:
    """Fit closed-form scores to half of the samples, and compare them on the other half.

    Parameters
    ----------
    samples : (N, ...) at least 20
    shape : of one sample
    network : a denoiser of rows that is explained as well. Default levels and the trajectory stay within the noise levels that it
        knows, if it says which; see :func:`~kappaflow.models.rows.known_levels`
    components : numbers of components of the mixtures
    sigmas : (S,) noise levels; by default twelve from a tenth of the data's root mean square to forty times it
    count : number of held-out samples behind each number; all of them if there are fewer
    sigma_max : where the trajectory starts
    seed : of the split, the clusters, the samples and the noise
    progress : True for a progress bar, or a function that is called with a step and the fraction that is done

    Raises
    ------
    ValueError
        There are fewer than 20 samples, samples have another shape, or training samples are all equal; noise levels are not
        one-dimensional, not above 0, or above sigma_max; sigma_max is below a quarter of the data's root mean square, so that
        no trajectory is left; or an output of the network is not valid.
    """
    known, wanted = known_levels(network), integer("count", count, 2)
    top = min(positive("sigma_max", sigma_max), known.high)
    training, held_out = _halves(samples, shape, seed)
    spread = float(np.sqrt(training.var(axis=0).mean()))
    levels = _study_levels(sigmas, spread, top, known.low)
    used = min(wanted, len(held_out))
    with steps(progress, "scores") as report:
        report("fitting scores", 0.0)
        scores = closed_form_scores(training, components=components, seed=seed)
        named = {**scores, NETWORK: network} if network is not None else scores
        losses = held_out_loss(
            named,
            held_out,
            levels,
            count=used,
            seed=seed,
            progress=lambda part: report("loss on held-out samples", 0.3 * part),
        )
        reference = SAMPLES if network is None else NETWORK
        others = {name: each for name, each in named.items() if name != reference}
        fractions = {}
        for position, law in enumerate(LAWS):
            report(f"comparing scores, x from the {law}", 0.3 + 0.2 * position)
            fractions[law] = fraction_of_squared_error(
                named[reference], others, training, levels, law=law, count=used, sigma_max=top, seed=seed + 1
            )
        report("denoising one sample", 0.9)
        seen = _seen(held_out, training)
        film_levels = np.geomspace(min(6 * spread, top), 0.25 * spread, _FILM_LEVELS)
        clean = held_out[int(np.argmin(seen))]  # the first that no score has seen, or the first of all
        noised = clean + film_levels[:, None] * np.random.default_rng(seed + 2).standard_normal(clean.size)
        film = {name: np.asarray(each(noised, film_levels)) for name, each in named.items()}
        report("denoising one sample", 1.0)
        return ScoresStudy(
            shape=shape,
            training=len(training),
            held_out=len(held_out),
            count=used,
            repeated=int(_seen(draw_rows(held_out, used, seed).rows, training).sum()),
            sigmas=levels,
            losses=losses,
            reference=reference,
            fractions=fractions,
            film_levels=film_levels,
            film_clean=clean,
            film_noised=noised,
            film=film,
        )


def _halves(samples: Any, shape: tuple[int, ...], seed: int) -> tuple[FloatArray, FloatArray]:
    """Training and held-out half, rows (N, d), in random order."""
    rows = real_array("samples", samples)
    if rows.ndim < 2 or len(rows) < _LEAST_SAMPLES:
        raise ValueError(f"samples must be (N, ...) of at least {_LEAST_SAMPLES} samples, got shape {rows.shape}")
    rows = rows.reshape(len(rows), -1)
    if rows.shape[1] != math.prod(shape):
        raise ValueError(f"shape must have the {rows.shape[1]} pixels of each sample, got {shape}")
    order = np.random.default_rng(seed).permutation(len(rows))
    half = len(rows) // 2
    training, held_out = rows[order[:half]], rows[order[half:]]
    if not np.any(training != training[0]):
        raise ValueError("samples must differ from each other, got training samples that are all equal")
    return training, held_out


def _seen(rows: FloatArray, training: FloatArray) -> BoolArray:
    """(B,) whether each row equals a training sample."""
    known = {row.tobytes() for row in training}
    return np.array([row.tobytes() in known for row in rows])


def _study_levels(sigmas: Any, spread: float, top: float, low: float) -> FloatArray:
    """The requested levels, or twelve around the spread of the data; at most `top`."""
    if top < 0.25 * spread:
        raise ValueError(f"sigma_max must be at least {0.25 * spread:.4g}, a quarter of the data's spread, got {top}")
    if sigmas is None:
        return sigma_grid(max(0.1 * spread, low), min(40 * spread, top), 12)
    return ascending_noise_levels("sigmas", sigmas, sigma_max=top)
