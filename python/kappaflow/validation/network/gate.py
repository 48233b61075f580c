"""The gate: whether a network is a generative model of its data at all, before its consistency means anything.

Two untrained or broken networks agree very well with each other. Three things are checked, each against what the training set
itself shows: denoising beside the linear denoiser, the variance of the samples along the eigenmodes, and their distance to real
images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..._checks import FloatArray
from ...bands import Band
from ...population import Population
from ..metrics import generated_variance, nearest
from .probes import LEVELS
from .results import Quality

__all__ = ["GateLimits", "judge", "linear_loss"]


@dataclass(frozen=True)
class GateLimits:
    """What a run must meet; each number is a ratio, and says why it is what it is.

    Attributes
    ----------
    loss : a trained network denoises at least as well as the linear denoiser of its training set, on held-out images or (where it
        memorises) on its own, up to the noise of its optimisation, at every level
    excess : variance beyond twice the data's, as a share of the data's total: patterns that no image has (checkerboards,
        noise) put variance where the data have none
    variance : total variance over the data's; constants have none. Overshrinkage alone never halves it
    distance : samples lie no farther from images than images from each other, up to blur and the size of the sets
    """

    loss: float = 1.15
    excess: float = 0.10
    variance: tuple[float, float] = (0.5, 1.5)
    distance: float = 1.5


def linear_loss(population: Population, images: FloatArray) -> FloatArray:
    """(S,) expected ‖D(x + σz) − x‖²/d over z of the linear denoiser of a population, mean over images x, at :data:`LEVELS`.

    In the eigenbasis: ((σ²/(s + σ²))² y² + (s σ/(s + σ²))²) summed over modes, y the centred coordinates; what lies outside of the
    modes is lost.
    """
    centred = images - population.mean
    vectors = population.eigenvectors
    assert vectors is not None  # from_samples always has them
    squares = np.mean((centred @ vectors) ** 2, axis=0)
    outside = max(float(np.mean(np.sum(centred**2, axis=1)) - squares.sum()), 0.0)
    s = population.eigenvalues
    losses: list[float] = []
    for sigma in LEVELS:
        kept = s / (s + sigma**2)
        losses.append(float(np.sum((1 - kept) ** 2 * squares + (kept * sigma) ** 2)) + outside)
    return np.asarray(np.array(losses) / images.shape[1])


def judge(
    own: FloatArray,
    held_out: FloatArray,
    samples: FloatArray,
    loss_own: FloatArray,
    loss_held_out: FloatArray,
    modes: Population,
    bands: Sequence[Band],
    limits: GateLimits = GateLimits(),
) -> Quality:
    """Hold a network against its training set.

    Parameters
    ----------
    own, held_out : (n, d), (M, d) images of the training set and others
    samples : (Z, d) generated
    loss_own, loss_held_out : (S,) of the network at :data:`LEVELS`, on images of `own` and on `held_out`
    modes : whose eigenmodes and bands order the variance
    """
    linear = Population.from_samples(own)
    linear_own, linear_held_out = linear_loss(linear, own), linear_loss(linear, held_out)
    data = np.mean(modes.coordinates(own - own.mean(axis=0) + modes.mean) ** 2, axis=0)
    drawn = generated_variance(samples, modes)
    total = float(data.sum())
    excess = float(np.maximum(drawn - 2 * data, 0).sum()) / total
    images = np.concatenate([own, held_out])
    scale = np.sqrt(own.shape[1])
    distance = float(np.median(nearest(samples, images)[0])) / scale
    between = float(np.median(nearest(held_out, own)[0])) / scale
    better = np.minimum(loss_held_out / linear_held_out, loss_own / linear_own)
    reasons = []
    if (better > limits.loss).any():
        worst = int(np.argmax(better))
        reasons.append(
            f"denoising loss {better[worst]:.3g} times the linear denoiser's at σ = {LEVELS[worst]:g} (at most {limits.loss:g})"
        )
    low, high = limits.variance
    if not low <= drawn.sum() / total <= high:
        reasons.append(f"generated variance {drawn.sum() / total:.3g} of the data's ({low:g} to {high:g})")
    if excess > limits.excess:
        reasons.append(
            f"{100 * excess:.2g} % of the data's variance generated where the data have little (at most "
            f"{100 * limits.excess:g} %)"
        )
    if distance > limits.distance * between:
        reasons.append(
            f"samples {distance / between:.3g} times as far from the nearest image as held-out images (at most {limits.distance:g})"
        )
    return Quality(
        passed=not reasons,
        reasons=tuple(reasons),
        sigma=np.array(LEVELS),
        held_out=loss_held_out,
        held_out_linear=linear_held_out,
        own=loss_own,
        own_linear=linear_own,
        variance=_by_band(drawn, bands),
        variance_data=_by_band(data, bands),
        excess=excess,
        distance=distance,
        distance_data=between,
    )


def _by_band(values: FloatArray, bands: Sequence[Band]) -> FloatArray:
    return np.array([values[band.start : band.stop].sum() for band in bands])
