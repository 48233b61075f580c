"""The rule of ``law="auto"``: the most accurate law that does not take too long, and the sentence that explains the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..laws import Work, law_spec
from ..population import Population
from .experiment import LawError, Measured, Off

__all__ = [
    "ACCEPTABLE_SECONDS",
    "GOOD",
    "LawDecision",
    "decide",
    "decide_for_groups",
    "doubts",
    "duration",
    "main_job",
    "off_by_law",
]

#: A law is not chosen automatically if the job would take longer than this with it, by the estimate of
#: :meth:`~kappaflow.laws.LawSpec.seconds`. Five minutes are worth waiting for if a faster law is wrong by a factor of two or
#: three, as on patches of photographs. Users who are willing to wait longer name the law.
ACCEPTABLE_SECONDS = 300.0
#: A law within this relative error is good; the sentence mentions it if none is.
GOOD = 0.1
#: Training sets of neighbours must differ by this factor more than sets drawn at random, and by so many standard errors, before
#: images are said to depend on their neighbours.
_ALIKE, _ALIKE_ERRORS = 1.3, 3.0
#: Errors above this, as logarithms, are reported as factors.
_A_FACTOR = 0.4
NO_BREAK = "\N{NO-BREAK SPACE}"
#: The main job with its default options: sizes n (at most), seeds, images whose pixels are shown, denoisers.
_SIZES, _SEEDS, _IMAGES, _NOISE_LEVELS = 7, 64, 12, 3


@dataclass(frozen=True)
class LawDecision:
    """The law to use.

    Attributes
    ----------
    law : its name
    reason : why, with the numbers, as the rest of a sentence that follows a colon
    """

    law: str
    reason: str


def main_job(population: Population) -> Work:
    """The work of a law in :func:`~kappaflow.consistency.predict.predict` with its default options."""
    return Work.of(population, sizes=_SIZES, seeds=_SEEDS, images=_IMAGES, noise_levels=_NOISE_LEVELS, mode_pairs=True)


def off_by_law(errors: Sequence[LawError]) -> dict[str, Off]:
    """How far off each law is: the worst of its maps, in the order of the registry."""
    return {law: max(each.size for each in errors if each.law == law) for law in dict.fromkeys(e.law for e in errors)}


def decide(off: Mapping[str, Off], seconds: Mapping[str, float]) -> LawDecision:
    """The most accurate of the laws that take at most :data:`ACCEPTABLE_SECONDS`.

    A law whose error exceeds the smallest error by no more than the standard error of their difference counts as equally
    accurate; among equally accurate laws the fastest is used. The two errors are treated as independent. They are not, because
    both laws are compared with the same training sets, but the true standard error of the difference is at most that. If every
    law takes too long, the fastest is used.

    Parameters
    ----------
    off : how far off each law is
    seconds : estimated time that the job takes with each law
    """
    fastest = min(off, key=lambda law: seconds[law])
    affordable = [law for law in off if seconds[law] <= ACCEPTABLE_SECONDS] or [fastest]
    best = min(affordable, key=lambda law: off[law].error)
    equal = [law for law in affordable if not _differ(off[law], off[best])]
    chosen = min(equal, key=lambda law: seconds[law])
    slow = [law for law in off if law not in affordable and off[law].error < off[chosen].error]
    slow = [law for law in slow if _differ(off[law], off[chosen])]
    why = _why(chosen, [law for law in equal if law != chosen], among_fast=bool(slow))
    words = f"{why} ({_numbers(chosen, off)}). Estimated time: {duration(seconds[chosen])}."
    for law in slow:
        words += (
            f" The {law_spec(law).title} is more accurate ({_amount(*off[law])}), but would take {duration(seconds[law])}; a "
            f"law that takes longer than {ACCEPTABLE_SECONDS / 60:g} min is only used where it is named."
        )
    if all(each.error - each.uncertainty > np.log1p(GOOD) for each in off.values()):
        words += f" No law comes within {100 * GOOD:g}{NO_BREAK}%, as happens if images are few and unequal in size."
    return LawDecision(chosen, words)


def decide_for_groups(off: Mapping[str, Off], seconds: Mapping[str, float]) -> LawDecision:
    """The law that takes groups, whatever it costs; the others are compared as if images were independent.

    Parameters
    ----------
    off : how far off each law is
    seconds : estimated time that the job takes with each law
    """
    chosen = next(law for law in off if law_spec(law).takes_groups)
    others = ", ".join(f"{law_spec(law).title} {_amount(*each)}" for law, each in off.items() if law != chosen)
    words = (
        f"it is the law for images that depend on each other (off by {_amount(*off[chosen])}; as if images were independent: "
        f"{others}). Estimated time: {duration(seconds[chosen])}."
    )
    return LawDecision(chosen, words)


def doubts(found: Measured, asked: int, versions: int = 1) -> str:
    """What the experiment does not show: sentences that follow the reason, or none.

    Parameters
    ----------
    found : the experiment
    asked : size of the training sets that was asked for, mirror images included
    versions : 2 if mirror images are included
    """
    words = ""
    if asked > found.n and (found.population.groups is None or asked > found.n + found.population.group_size):
        what = "an image" if found.population.groups is None else "a group"
        words += (
            f" The error is that at n = {found.n // versions:,}: larger training sets without {what} in common cannot be drawn "
            f"from these images, so the error at n = {asked // versions:,} is not measured."
        )
    alike = found.neighbours
    if alike is not None and alike.error > np.log(_ALIKE) + _ALIKE_ERRORS * alike.uncertainty:
        words += (
            " But no law of independent images holds for these images in their order: training sets of neighbours differ "
            f"{np.exp(alike.error):.2g} times as much as training sets drawn at random, as with frames of clips or images that "
            "are sorted by class."
        )
    return words


def _differ(first: Off, second: Off) -> bool:
    return abs(first.error - second.error) > float(np.hypot(first.uncertainty, second.uncertainty))


def _why(chosen: str, equal: Sequence[str], *, among_fast: bool) -> str:
    among = " of the laws that are fast enough" if among_fast else ""
    if not equal:
        return f"it is the most accurate on your images{among}"
    others = " and the ".join(law_spec(law).title for law in equal)
    return f"the experiment finds it as accurate on your images as the {others}, and it is faster"


def _numbers(chosen: str, off: Mapping[str, Off]) -> str:
    """The error of the chosen law, then those of the others."""
    others = [f"{law_spec(law).title} {_amount(*each)}" for law, each in off.items() if law != chosen]
    return "; ".join([f"off by {_amount(*off[chosen])}", *([", ".join(others)] if others else [])])


def _amount(error: float, uncertainty: float) -> str:
    """The error of a variance in words: per cent if it is small, a factor if it is large."""
    if error > _A_FACTOR:
        return f"a factor of {np.exp(error):.2g}"
    per_cent = f"{100 * np.expm1(error):.0f}{NO_BREAK}%"
    return f"{per_cent} ±{NO_BREAK}{max(1.0, 100 * uncertainty):.0f}{NO_BREAK}%"


def duration(seconds: float) -> str:
    """An estimate of time in words: ``less than a second``, ``about 8 s``, ``about 5 min``, ``about 2 h``."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"about {seconds:.0f}{NO_BREAK}s"
    if seconds < 5400:
        return f"about {seconds / 60:.0f}{NO_BREAK}min"
    return f"about {seconds / 3600:.0f}{NO_BREAK}h"
