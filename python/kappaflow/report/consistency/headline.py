"""The answer of the consistency report: will two linear models agree, how many images it takes, and the numbers below it.

Every sentence and tile here says that it is about linear models: what the networks of a reader do is not predicted. What is known
of networks is in :mod:`kappaflow.consistency.network_words`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...consistency.prediction import Prediction
from ...sample_size import LARGEST_N
from .. import numbers
from ..document import Mood, Tile
from ..words import count, joined, number, percent, percent_setting, short
from .shared import OVERSHRUNK, band_name, band_names, kept_gain, never_enough

__all__ = ["ConsistencyAnswer", "plan", "seed_spread", "tiles", "verdict"]


@dataclass(frozen=True)
class ConsistencyAnswer:
    """Whether two linear models agree: as a colour and as a sentence."""

    mood: Mood
    answer: str


def verdict(prediction: Prediction) -> ConsistencyAnswer:
    """Whether two linear models agree at the reference n, to the tolerance: in total, and in every band."""
    row = prediction.reference
    relative, tolerance = prediction.bands.relative[row], prediction.tolerance
    beyond = band_names(prediction, [b for b in range(len(prediction.bands.ranges)) if relative[b] > tolerance])
    everywhere = bool(np.all(relative > tolerance))
    within = percent_setting(tolerance)
    models = f"two linear diffusion models trained on {prediction.reference_images} each"
    if not prediction.totals.relative[row] <= tolerance:
        worst = f", least of all in {beyond[-1]}" if beyond and not everywhere else ""
        return ConsistencyAnswer("no", f"Linear theory says no: {models} will not agree within {within}{worst}.")
    if beyond:
        return ConsistencyAnswer(
            "partly",
            f"Linear theory says in part: {models} will agree within {within} overall, but not in {joined(beyond)}.",
        )
    every = "in strong and weak patterns"
    return ConsistencyAnswer("yes", f"Linear theory says yes: {models} will agree within {within}, {every}.")


def plan(prediction: Prediction) -> str:
    """How many images two linear models need to agree."""
    within = f"within {percent_setting(prediction.tolerance)}"
    needed = [(k, index) for index, k in enumerate(prediction.bands.images_needed) if k is not None]
    never = band_names(prediction, [b for b, k in enumerate(prediction.bands.images_needed) if k is None])
    if not prediction.bands.images_needed:
        return ""
    some = "practical number of images" if prediction.largest_n >= LARGEST_N else f"n up to {prediction.largest_n:,}"
    if never and not needed:
        return f"No {some} makes two linear models agree {within} in any eigenband."
    most, index = max(needed)
    need = f"each training set needs {count(most)} images"
    if not never:
        slowest = "" if len(needed) == 1 else f"; the most are needed for {band_name(prediction, index)}"
        return f"For two linear models to agree {within} in every eigenband, {need}{slowest}."
    return f"For two linear models to agree {within}, {need}, except in {joined(never)}: there no {some} is enough."


def seed_spread(prediction: Prediction) -> str:
    """How much seeds differ among themselves."""
    values = prediction.seeds.disagreement[prediction.reference]
    if values.size < 2 or not values.min() > 0:
        return ""
    low, high = int(np.argmin(values)), int(np.argmax(values))
    return (
        f"Seeds differ: on the least consistent of {values.size:,} seeds (seed {int(prediction.seeds.numbers[high])}) two "
        f"linear models disagree {number(float(values[high] / values[low]), 2)} times as much as on the most consistent one "
        f"(seed {int(prediction.seeds.numbers[low])})."
    )


def tiles(prediction: Prediction) -> tuple[Tile, ...]:
    """The numbers below the answer, at the reference n."""
    row = prediction.reference
    total = float(prediction.totals.relative[row])
    kept = kept_gain(prediction)[row]
    weak, alive = int(np.sum(kept < OVERSHRUNK)), int(np.sum(np.isfinite(kept)))
    factor = float(numbers.ratio(prediction.noise.kappa[row, :1], prediction.noise.sigma[:1] ** 2)[0])
    lowest = short(float(prediction.noise.sigma[0]), 2)
    return (
        Tile(
            label="Disagreement",
            text=percent(total),
            value=total,
            hint=f"of two linear models (100 % is unrelated); {prediction.networks.short}",
        ),
        _images_tile(prediction),
        Tile(
            label="Over-shrunk modes",
            text=f"{weak:,} of {alive:,}",
            value=weak,
            hint=f"patterns that lose more than {percent_setting(1 - OVERSHRUNK)} of their amplitude in linear models",
        ),
        Tile(
            label="Noise factor",
            text=number(factor),
            value=factor,
            hint=f"how much larger noise appears to a linear model at the lowest noise level: κ/σ² at σ = {lowest}",
        ),
    )


def _images_tile(prediction: Prediction) -> Tile:
    """The images that bring every eigenband to the tolerance."""
    needed = prediction.bands.images_needed
    known = [n for n in needed if n is not None]
    if not needed:
        text, value = "–", None
    elif len(known) < len(needed):
        text, value = never_enough(prediction), None
    else:
        text, value = count(max(known)), max(known)
    label = f"Images for {percent_setting(prediction.tolerance)}"
    hint = "in each training set, for two linear models to agree in every eigenband; for networks run the pilot above"
    return Tile(label=label, text=text, value=value, hint=hint)
