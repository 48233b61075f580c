"""Phrases that sections of the report of pilots share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..kinds import arch_plural
from ..words import count, percent, percent_setting

if TYPE_CHECKING:
    from ...pilot.amount import Bounds
    from ...pilot.results import Needed, Pilot

#: The template of the longer texts.
PROSE = "pilot.html.j2"
#: How the limits of an interval are introduced.
COVERED = "in 80\N{NO-BREAK SPACE}% of the cases"


def networks(pilot: Pilot) -> str:
    """``UNets``."""
    return arch_plural(pilot.setup.networks)


def limits(bounds: Bounds) -> str:
    """``4.9 % to 8.0 %``; a dash without an interval."""
    return f"{percent(bounds.low)} to {percent(bounds.high)}" if math.isfinite(bounds.low) else "–"


def with_limits(bounds: Bounds) -> str:
    """``6.4 % (4.9 % to 8.0 %)``."""
    return f"{percent(bounds.value)} ({limits(bounds)})"


def about(n: float) -> str:
    """A number of images with two significant digits: ``250``, ``35,000``."""
    return count(int(float(f"{n:.1e}")))


def needed_sentence(pilot: Pilot, needed: Needed) -> str:
    """How many images two networks need to agree within a tolerance; or that more images do not help, or that nobody can tell."""
    within, first = percent_setting(needed.tolerance), pilot.curve[0].n
    if math.isnan(needed.n):
        text = (
            f"Probably, more than {count(pilot.curve[-1].n)} images in each training set are needed to agree within {within}; "
            "these images cannot determine how many."
        )
        return text + (f" {_at_best(needed)}" if math.isfinite(needed.low) else "")
    if math.isinf(needed.n):
        left = f"about {percent(pilot.amount.fit.floor)} remain whatever their number"
        if math.isinf(needed.low):
            return f"More images alone do not reach {within}: {left}."
        return f"More images alone are not expected to reach {within}: {left}. {_at_best(needed)}"
    if needed.n <= first:
        sure = needed.high <= first
        already = f"Two {networks(pilot)} agree within {within} already with {first:,} images in each training set"
        return already + ("." if sure else f"; {_high(needed)}.")
    text = (
        f"For two {networks(pilot)} to agree within {within}, each training set needs about {about(needed.n)} images "
    )
    text += f"({_range(needed, first)})."
    return text + (f" {_beyond(pilot)}" if needed.n > pilot.data.images else "")


def needed_short(pilot: Pilot, needed: Needed) -> str:
    """The same in a few words: ``250 (170 to 400)``."""
    if math.isnan(needed.n):
        return "cannot be determined"
    if math.isinf(needed.n):
        return "not by images alone"
    first = pilot.curve[0].n
    return f"{first:,} or fewer" if needed.n <= first else f"{about(needed.n)} ({_range(needed, first)})"


def _at_best(needed: Needed) -> str:
    if math.isfinite(needed.low):
        return f"At best, about {about(needed.low)} images in each training set are enough."
    return "At best, it takes more images than these can determine."


def _range(needed: Needed, first: int) -> str:
    """Both limits in words."""
    low = f"{first:,} or fewer" if needed.low <= first else about(needed.low)
    if math.isfinite(needed.high):
        return f"{low} to {about(needed.high)}"
    return f"at least {about(needed.low)}; {_high(needed)}"


def _high(needed: Needed) -> str:
    """The upper limit in words."""
    if math.isinf(needed.high):
        return "possibly no number is enough"
    if math.isnan(needed.high):
        return "these images cannot determine how many at most"
    return f"at worst, it takes {about(needed.high)}"


def _beyond(pilot: Pilot) -> str:
    return f"That is more than the {pilot.data.images:,} images at hand."
