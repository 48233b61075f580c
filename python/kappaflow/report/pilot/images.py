"""The section on the images needed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..document import Cell, Mood, Section, Table
from ..words import percent_setting
from .phrases import COVERED, about, needed_sentence

if TYPE_CHECKING:
    from ...pilot.results import Needed, Pilot


def images(pilot: Pilot) -> Section:
    """How many images bring two networks to each tolerance."""
    rows = pilot.needed
    table = Table(
        name="images",
        caption="Images that each training set needs for two networks that differ in everything to disagree by at most the "
        f"tolerance. At best and at worst: limits that should hold the number {COVERED}. The highlighted row is that of the "
        "headline.",
        columns={
            "Tolerance": [percent_setting(row.tolerance) for row in rows],
            "Images": [_cell(pilot, row.n, mood=_mood(pilot, row)) for row in rows],
            "At best": [_limit(pilot, row.low) for row in rows],
            "At worst": [_limit(pilot, row.high) for row in rows],
        },
        words=("Images",),
        marked=rows.index(pilot.wanted),
    )
    return Section(
        name="images",
        title="How many images make two runs agree?",
        contents="How many images?",
        takeaways=(needed_sentence(pilot, pilot.wanted),),
        parts=(table,),
    )


def _limit(pilot: Pilot, n: float) -> Cell:
    """A limit: in a word where it is no number."""
    return Cell("no number" if math.isinf(n) else "not known") if not math.isfinite(n) else _cell(pilot, n)


def _cell(pilot: Pilot, n: float, *, mood: Mood = "") -> Cell:
    if math.isinf(n):
        return Cell("not by images alone", mood=mood)
    if math.isnan(n):
        return Cell("cannot be determined", mood=mood)
    if n <= pilot.curve[0].n:
        return Cell(f"{pilot.curve[0].n:,} or fewer", mood=mood)
    return Cell(about(n), n, mood=mood)


def _mood(pilot: Pilot, row: Needed) -> Mood:
    """Whether the images at hand are enough."""
    return "no" if math.isinf(row.n) else "yes" if row.n <= pilot.data.images else "partly"
