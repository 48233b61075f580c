"""The gate: a check whether a network is a generative model of its data at all. Otherwise its consistency has no meaning.

Two untrained or broken networks agree very well with each other. The gate therefore compares three properties with the training
set itself: the denoising loss, relative to that of the linear denoiser; the variance of the samples along the eigenmodes; and
the distance of the samples to real images. Of a network that is known only by its samples, the last two are judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..._checks import FloatArray
from ...bands import Band, band_sums
from ...population import Population
from ..metrics import generated_variance, nearest
from .probes import LEVELS
from .runs import Quality

__all__ = ["GateLimits", "judge", "linear_loss"]


@dataclass(frozen=True)
class GateLimits:
    """Limits that a run must meet. Each number is a ratio.

    Attributes
    ----------
    loss : denoising loss divided by that of the linear denoiser of the training set, at every noise level, on held-out images
        or (if the network memorises) on its training images. A trained network is at least as good, up to the noise of its
        optimisation
    excess : variance beyond twice the data's, as a share of the data's total. Patterns that no image has (checkerboards, noise)
        have variance in modes in which the data have none
    variance : smallest and largest total variance, divided by the data's. Constant images have none; overshrinkage alone never
        halves it
    distance : distance of samples to images, divided by that of samples of the linear model of the same training set
    """

    loss: float = 1.15
    excess: float = 0.10
    variance: tuple[float, float] = (0.5, 1.5)
    distance: float = 1.1


def linear_loss(population: Population, images: FloatArray) -> FloatArray:
    """(S,) denoising loss ‖D(x + σz) − x‖²/d of the linear denoiser of a population at :data:`~.probes.LEVELS`.

    It is the expectation over z, averaged over images x (M, d). In the eigenbasis it is ((σ²/(s + σ²))² y² + (s σ/(s + σ²))²)
    summed over modes, with the centred coordinates y. The part of an image outside of all modes is lost.
    """
    centred = images - population.mean
    vectors = population.eigenvectors
    assert vectors is not None  # a population from samples has eigenvectors
    squares = np.mean((centred @ vectors) ** 2, axis=0)
    outside = max(float(np.mean(np.sum(centred**2, axis=1)) - squares.sum()), 0.0)
    s = population.eigenvalues
    losses: list[float] = []
    for sigma in LEVELS:
        kept = s / (s + sigma**2)
        losses.append(float(np.sum((1 - kept) ** 2 * squares + (kept * sigma) ** 2)) + outside)
    return np.asarray(np.array(losses) / images.shape[1])


def judge(
    *,
    own: FloatArray,
    probed: FloatArray,
    held_out: FloatArray,
    samples: FloatArray,
    linear_samples: FloatArray,
    loss_own: FloatArray | None,
    loss_held_out: FloatArray | None,
    modes: Population,
    bands: Sequence[Band],
    limits: GateLimits = GateLimits(),
) -> Quality:
    """Check a network against its training set.

    Parameters
    ----------
    own, held_out : (n, d), (M, d) images of the training set, and other images
    probed : images of the training set on which `loss_own` was measured
    samples, linear_samples : (Z, d) samples of the network, and of the linear model of the training set, from the same seeds
    loss_own, loss_held_out : (S,) losses of the network at :data:`~.probes.LEVELS`, on `probed` and on `held_out`; None if only
        its samples are known, which then are all that is judged
    modes, bands : population whose eigenmodes order the variance, and eigenbands
    limits : what the network must meet
    """
    linear = Population.from_samples(own)
    linear_own, linear_held_out = linear_loss(linear, probed), linear_loss(linear, held_out)
    unknown = np.full(len(LEVELS), np.nan)
    loss_own, loss_held_out = (unknown if loss is None else loss for loss in (loss_own, loss_held_out))
    data = np.mean(modes.coordinates(own - own.mean(axis=0) + modes.mean) ** 2, axis=0)
    drawn = generated_variance(samples, modes)
    total, everything = float(own.var(axis=0).sum()), float(samples.var(axis=0, ddof=1).sum())
    outside = max(everything - float(drawn.sum()), 0.0)  # outside of all modes, where the images span fewer than d
    excess = (float(np.maximum(drawn - 2 * data, 0).sum()) + outside) / total
    images = np.concatenate([own, held_out])
    scale = np.sqrt(own.shape[1])
    distance, linear_distance = (
        float(np.median(nearest(x, images).distances)) / scale for x in (samples, linear_samples)
    )
    between = float(np.median(nearest(held_out, own).distances)) / scale
    better = np.minimum(loss_held_out / linear_held_out, loss_own / linear_own)
    reasons = []
    if (better > limits.loss).any():  # never of unknown losses
        worst = int(np.argmax(better))
        reasons.append(
            f"denoising loss {better[worst]:.3g} times the linear denoiser's at σ = {LEVELS[worst]:g} (allowed: at most "
            f"{limits.loss:g})"
        )
    low, high = limits.variance
    if not low <= everything / total <= high:
        reasons.append(f"generated variance {everything / total:.2f} times the data's (allowed: {low:g} to {high:g})")
    if excess > limits.excess:
        reasons.append(
            f"{100 * excess:.2g} % of the data's variance generated where the data have little (allowed: at most "
            f"{100 * limits.excess:g} %)"
        )
    if distance > limits.distance * linear_distance:
        reasons.append(
            f"samples {distance / linear_distance:.3g} times as far from the nearest image as the linear model's (allowed: at "
            f"most {limits.distance:g})"
        )
    return Quality(
        passed=not reasons,
        reasons=tuple(reasons),
        sigma=np.array(LEVELS),
        held_out=loss_held_out,
        held_out_linear=linear_held_out,
        own=loss_own,
        own_linear=linear_own,
        variance=band_sums(drawn, bands),
        variance_data=band_sums(data, bands),
        excess=excess,
        distance=distance,
        distance_data=between,
        distance_linear=linear_distance,
    )
