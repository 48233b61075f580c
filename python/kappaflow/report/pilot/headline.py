"""The answer of the report of pilots: how much two runs will disagree, and how many images bring them closer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..document import Mood, Tile
from ..words import percent, percent_setting
from .phrases import COVERED, about, limits, needed_sentence, networks, with_limits
from .split import floor_is_measured

if TYPE_CHECKING:
    from ...pilot.amount import Bounds
    from ...pilot.results import Pilot


@dataclass(frozen=True)
class PilotHeadline:
    """What the report says first.

    Attributes
    ----------
    mood, answer : how much two runs disagree with half of the images each, and whether that is within the tolerance
    images : how many images they need for the tolerance, as a sentence
    tiles : the numbers
    """

    mood: Mood
    answer: str
    images: str
    tiles: tuple[Tile, ...]


def headline(pilot: Pilot) -> PilotHeadline:
    """The answer in words: of networks of this kind, trained as the pilots were."""
    there = pilot.halves
    within = percent_setting(pilot.tolerance)
    mood, verdict = _verdict(there.everything, pilot.tolerance)
    return PilotHeadline(
        mood=mood,
        answer=(
            f"Two {networks(pilot)} trained on {there.n:,} images each will disagree by about "
            f"{with_limits(there.everything)}: {verdict} {within}."
        ),
        images=needed_sentence(pilot, pilot.wanted),
        tiles=_tiles(pilot),
    )


def _verdict(disagreement: Bounds, tolerance: float) -> tuple[Mood, str]:
    """Colour and words of an interval beside a tolerance."""
    if disagreement.high <= tolerance:
        return "yes", "within the tolerance of"
    if disagreement.low > tolerance:
        return "no", "more than the tolerance of"
    if disagreement.value <= tolerance:
        return "partly", "probably within the tolerance of"
    return "partly", "probably more than the tolerance of"


def _tiles(pilot: Pilot) -> tuple[Tile, ...]:
    there, floor = pilot.halves, pilot.amount.everything(0.0)
    share = there.optimisation_share
    return (
        Tile(
            label="Disagreement of two runs",
            text=percent(there.everything.value),
            value=there.everything.value,
            hint=f"at n = {there.n:,}, if everything differs; {limits(there.everything)} {COVERED}",
        ),
        _images_tile(pilot),
        Tile(
            label="On the same images",
            text=percent(there.same_images.value),
            value=there.same_images.value,
            hint=f"two trainings on the same {there.n:,} images: {percent(share)} of the disagreement is left"
            + ("" if floor_is_measured(pilot) else "; taken from other networks"),
        ),
        Tile(
            label="Left with any number of images",
            text=percent(floor.value),
            value=floor.value,
            hint=f"what this training leaves open; {limits(floor)} {COVERED}",
        ),
    )


def _images_tile(pilot: Pilot) -> Tile:
    needed = pilot.wanted
    first = pilot.curve[0].n
    text, value = about(needed.n) if math.isfinite(needed.n) else "", None
    if math.isinf(needed.n):
        text = "not by images alone"
    elif math.isnan(needed.n):
        text = "cannot be determined"
    elif needed.n <= first:
        text, value = f"{first:,} or fewer", None
    else:
        value = needed.n
    return Tile(
        label=f"Images for {percent_setting(needed.tolerance)}",
        text=text,
        value=value,
        hint="in each training set, if everything differs",
    )
