"""The section that says how well small training sets predict the disagreement at larger ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..document import HOW, Mood, Prose, Section, Table, rounded
from ..kinds import arch_title
from ..words import percent
from .phrases import PROSE

if TYPE_CHECKING:
    from ...validation.network.results import AmountScore, NetworkValidation

#: Observed over predicted, or its inverse, up to which the amount counts as predicted.
_GOOD, _FAIR = 1.5, 2.0


def amounts(found: NetworkValidation) -> Section | None:
    """The amount at each size as the smaller sizes predict it; None where there is nothing to predict from."""
    rows = found.amounts
    if not rows:
        return None
    return Section(
        name="amounts",
        title="Do small training sets predict how much larger ones disagree?",
        contents="From pilots",
        takeaways=tuple(_sentence(found, arch) for arch in found.setup.archs if any(r.arch == arch for r in rows)),
        parts=(_table(rows), Prose(PROSE, "amounts", summary=HOW)),
    )


def _sentence(found: NetworkValidation, arch: str) -> str:
    last = [row for row in found.amounts if row.arch == arch][-1]
    sizes = " and ".join(f"{n:,}" for n in last.pilots)
    return (
        f"{arch_title(arch)}: the pairs at n = {sizes} predict a disagreement of {percent(last.predicted)} at n = {last.n:,}; "
        f"observed is {percent(last.observed)}. More images alone would leave about {percent(last.floor)}."
    )


def _table(rows: tuple[AmountScore, ...]) -> Table:
    return Table(
        name="amounts",
        caption="Relative disagreement of two networks that differ in everything (images, initialisation and noise): observed, and "
        "predicted from the pairs at smaller n. The law alone is about linear models.",
        columns={
            "Networks": [arch_title(row.arch) for row in rows],
            "n": [row.n for row in rows],
            "Pilots at n": [", ".join(f"{n:,}" for n in row.pilots) for row in rows],
            "Observed": [rounded(row.observed, percent(row.observed)) for row in rows],
            "Predicted": [rounded(row.predicted, percent(row.predicted)) for row in rows],
            "Observed / predicted": [rounded(row.factor, digits=2) for row in rows],
            "Law alone": [rounded(row.law, percent(row.law)) for row in rows],
            "Left with any number of images": [rounded(row.floor, percent(row.floor)) for row in rows],
        },
        moods=[_mood(row) for row in rows],
    )


def _mood(row: AmountScore) -> Mood:
    off = max(row.factor, 1 / row.factor)
    return "yes" if off <= _GOOD else "partly" if off <= _FAIR else "no"
