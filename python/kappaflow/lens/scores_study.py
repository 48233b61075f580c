"""Everything that the page on scores shows: closed-form scores on samples they have not seen, and against a denoiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._checks import FloatArray, integer, positive, real_array
from ..population import Population
from .comparison import LAWS, Fraction, HeldOutLoss, fraction_of_squared_error, held_out_loss, sigma_grid
from .denoisers import Denoiser
from .scores import DeltaScore, GaussianScore, MeanScore, MixtureScore

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
) -> dict[str, Denoiser]:
    """Scores of training samples (N, d) by name, from the coarsest to the finest.

    Mixtures of so many components are left out where there are under 20 samples for each.
    """
    population = Population.from_samples(training)
    found: dict[str, Denoiser] = {MEAN: MeanScore(population), GAUSSIAN: GaussianScore(population)}
    for wanted in components:
        if integer("components", wanted, 1) * _PER_COMPONENT <= len(training):
            found[f"{wanted} Gaussians"] = MixtureScore.fit(training, wanted, seed=seed)
    found[SAMPLES] = DeltaScore(training)
    return found


def scores_study(
    samples: Any,
    shape: tuple[int, ...],
    *,
    network: Denoiser | None = None,
    components: Sequence[int] = (10, 100),
    sigmas: Any = None,
    count: int = 256,
    sigma_max: float = 80.0,
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
    ValueError : too few samples; bad levels
    """
    rows = real_array("samples", samples)
    rows = rows.reshape(len(rows), -1)
    if len(rows) < _PER_COMPONENT:
        raise ValueError(f"samples must hold at least {_PER_COMPONENT} samples to be parted, got {len(rows)}")
    told = (lambda step, fraction: None) if progress is None else progress
    order = np.random.default_rng(seed).permutation(len(rows))
    half = len(rows) // 2
    training, held_out = rows[order[:half]], rows[order[half:]]
    spread = float(np.sqrt(training.var(axis=0).mean()))
    if spread == 0:
        raise ValueError("samples must differ from each other, got samples that are all equal")
    top = positive("sigma_max", sigma_max)
    levels = (
        sigma_grid(0.1 * spread, min(40 * spread, top), 12) if sigmas is None else np.sort(real_array("sigmas", sigmas))
    )
    used = min(integer("count", count, 2), len(held_out))
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
    film_levels = np.geomspace(min(6 * spread, top), 0.25 * spread, _FILM_LEVELS)
    clean = held_out[0]
    noised = clean + film_levels[:, None] * np.random.default_rng(seed + 2).standard_normal(clean.size)
    film = {name: np.asarray(each(noised, film_levels)) for name, each in named.items()}
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
