"""The answer of pilots for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..words import percent, percent_setting
from .design import gate_counts
from .length import length_sentences
from .phrases import COVERED, needed_sentence, needed_short, with_limits
from .seeds import seed_sentences
from .split import split_sentences
from .trust import tested_sentence

if TYPE_CHECKING:
    from ...pilot.results import Pilot


def answer_lines(pilot: Pilot) -> list[str]:
    """What follows the headline, the most important first, one sentence or two a line: what the terminal shows."""
    there = pilot.halves
    others = "; ".join(
        f"{percent_setting(each.tolerance)}: {needed_short(pilot, each)}"
        for each in pilot.needed
        if each.tolerance != pilot.tolerance
    )
    alone = there.data_alone
    return [
        needed_sentence(pilot, pilot.wanted),
        f"images for other tolerances: {others}",
        *split_sentences(pilot),
        *([f"only data differ, n = {there.n:,}: {with_limits(alone)}"] if math.isfinite(alone.value) else []),
        f"linear models, n = {there.n:,}: {percent(there.law)}",
        *([] if pilot.length is None else [" ".join(length_sentences(pilot, pilot.length))]),
        tested_sentence(pilot),
        *([] if pilot.seeds is None else seed_sentences(pilot, pilot.seeds)[:1]),
        f"gate: {gate_counts(pilot)}",
        f"the limits in brackets should hold the truth {COVERED}",
    ]
