"""Everything that the page on scores shows: closed-form scores on samples they have not seen, and against a denoiser."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._checks import FloatArray, integer, positive, real_array
from ...models.rows import RowDenoiser
from ...models.scores import DeltaScore, GaussianScore, MeanScore, MixtureScore
from ...population import Population
from ...sampling import SIGMA_MAX
from .comparison import LAWS, Fraction, HeldOutLoss, fraction_of_squared_error, held_out_loss, sigma_grid

__all__ = ["MEAN", "SAMPLES", "ScoresStudy", "closed_form_scores", "scores_study"]

MEAN, GAUSSIAN, SAMPLES, NETWORK = "mean", "Gaussian", "training samples", "network"
#: Training samples for each component of a mixture, at least.
_PER_COMPONENT = 20
_FILM_LEVELS = 5


@dataclass(frozen=True)
class ScoresStudy:
    """Closed-form scores of a training part of the data, held against the other part and against a denoiser.

    Attributes
    ----------
    shape : of one sample
    training, held_out : how many samples of each part
    count : samples for each number
    sigmas : (S,) ascending noise levels
    losses : name → loss on the held-out part
    reference : the denoiser that is explained: "network", or "training samples", whose exact score is a mixture of deltas
    fractions : law of x → name → fraction of squared error, for every score but the reference
    film_levels : (L,) noise levels of the pictures, descending
    film_clean, film_noised : (d,) a held-out sample, and (L, d) with noise
    film : name → (L, d) what each denoiser makes of it
    """

    shape: tuple[int, ...]
    training: int
    held_out: int
    count: int
    sigmas: FloatArray
    losses: Mapping[str, HeldOutLoss]
    reference: str
    fractions: Mapping[str, Mapping[str, Fraction]]
    film_levels: FloatArray
    film_clean: FloatArray
    film_noised: FloatArray
    film: Mapping[str, FloatArray]


def closed_form_scores(
    training: FloatArray, *, components: Sequence[int] = (10, 100), seed: int = 0
) -> dict[str, RowDenoiser]:
    """Scores of training samples (N, d) by name, from the coarsest to the finest.

    Mixtures of so many components are left out where there are under 20 samples for each.
    """
    population = Population.from_samples(training)
    found: dict[str, RowDenoiser] = {MEAN: MeanScore(population), GAUSSIAN: GaussianScore(population)}
    for wanted in components:
        if integer("components", wanted, 1) * _PER_COMPONENT <= len(training):
            found[f"{wanted} Gaussians"] = MixtureScore.fit(training, wanted, seed=seed)
    found[SAMPLES] = DeltaScore(training)
    return found


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
    progress: Callable[[str, float], None] | None = None,
) -> ScoresStudy:
    """Fit closed-form scores to half of the samples, and compare them on the other half.

    Parameters
    ----------
    samples : (N, ...) at least 20
    shape : of one sample
    network : a denoiser of rows to explain as well
    components : of the mixtures
    sigmas : (S,) noise levels; twelve from a tenth of the data's root mean square to forty times it by default
    count : held-out samples for each number, at most as many as there are
    sigma_max : where the trajectory starts
    seed : of the split, the clusters, samples and noise
    progress : called with a step and the fraction done

    Raises
    ------
    ValueError : fewer than 20 samples, samples that are not of the shape or all equal; noise levels that are not one-dimensional,
        not above 0, or above sigma_max; sigma_max below a quarter of the data's root mean square, where no trajectory is left
    """
    told = (lambda step, fraction: None) if progress is None else progress
    top, wanted = positive("sigma_max", sigma_max), integer("count", count, 2)
    training, held_out = _parts(samples, shape, seed)
    spread = float(np.sqrt(training.var(axis=0).mean()))
    levels = _study_levels(sigmas, spread, top)
    used = min(wanted, len(held_out))
    told("fitting scores", 0.0)
    scores = closed_form_scores(training, components=components, seed=seed)
    named = {**scores, NETWORK: network} if network is not None else scores
    losses = held_out_loss(
        named,
        held_out,
        levels,
        count=used,
        seed=seed,
        progress=lambda part: told("loss on held-out samples", 0.3 * part),
    )
    reference = SAMPLES if network is None else NETWORK
    others = {name: each for name, each in named.items() if name != reference}
    fractions = {}
    for place, law in enumerate(LAWS):
        told(f"comparing scores, x from the {law}", 0.3 + 0.2 * place)
        fractions[law] = fraction_of_squared_error(
            named[reference], others, training, levels, law=law, count=used, sigma_max=top, seed=seed + 1
        )
    told("denoising one sample", 0.9)
    film_levels = np.geomspace(min(6 * spread, top), 0.25 * spread, _FILM_LEVELS)
    clean = held_out[0]
    noised = clean + film_levels[:, None] * np.random.default_rng(seed + 2).standard_normal(clean.size)
    film = {name: np.asarray(each(noised, film_levels)) for name, each in named.items()}
    told("denoising one sample", 1.0)
    return ScoresStudy(
        shape=shape,
        training=len(training),
        held_out=len(held_out),
        count=used,
        sigmas=levels,
        losses=losses,
        reference=reference,
        fractions=fractions,
        film_levels=film_levels,
        film_clean=clean,
        film_noised=noised,
        film=film,
    )


def _parts(samples: Any, shape: tuple[int, ...], seed: int) -> tuple[FloatArray, FloatArray]:
    """Two halves, rows (N, d), drawn without order."""
    rows = real_array("samples", samples)
    if rows.ndim < 2 or len(rows) < _PER_COMPONENT:
        raise ValueError(f"samples must be (N, ...) of at least {_PER_COMPONENT} samples, got shape {rows.shape}")
    rows = rows.reshape(len(rows), -1)
    if rows.shape[1] != math.prod(shape):
        raise ValueError(f"shape must have the {rows.shape[1]} pixels of each sample, got {shape}")
    order = np.random.default_rng(seed).permutation(len(rows))
    half = len(rows) // 2
    training, held_out = rows[order[:half]], rows[order[half:]]
    if not np.any(training != training[0]):
        raise ValueError("samples must differ from each other, got training samples that are all equal")
    return training, held_out


def _study_levels(sigmas: Any, spread: float, top: float) -> FloatArray:
    """Those that are asked for, or twelve around the spread of the data, at most `top`."""
    if top < 0.25 * spread:
        raise ValueError(f"sigma_max must be at least {0.25 * spread:.4g}, a quarter of the data's spread, got {top}")
    if sigmas is None:
        return sigma_grid(0.1 * spread, min(40 * spread, top), 12)
    levels = real_array("sigmas", sigmas)
    if levels.ndim != 1 or levels.size == 0 or levels.min() <= 0 or levels.max() > top:
        raise ValueError(f"sigmas must be one or more noise levels above 0 and at most sigma_max = {top}, got {levels}")
    return np.sort(levels)
