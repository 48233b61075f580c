"""The answer of the validation report: verdict, reasons and the numbers beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..document import Mood, Tile
from ..words import joined, percent_setting
from .phrases import fine_ratio, how_far, place, worst
from .select import (
    DISAGREEMENTS,
    EXPECTATIONS,
    PRACTICAL,
    Verdict,
    comparisons,
    is_published,
    leading_law,
    ordered_laws,
    quantity_title,
    tally,
    verdict,
)

if TYPE_CHECKING:
    from ...validation.laws import ComparedLaw
    from ...validation.linear.results import Comparison, Validation


@dataclass(frozen=True)
class Headline:
    """What the report says first.

    Attributes
    ----------
    mood, answer : the verdict on the law that misses least, and its sentence
    counts : how many comparisons agree and miss, and the furthest off
    reason : what the outcome means for data of this kind
    others : a sentence for each other law
    tiles : the numbers
    """

    mood: Mood
    answer: str
    counts: str
    reason: str
    others: tuple[str, ...]
    tiles: tuple[Tile, ...]


def headline(validation: Validation) -> Headline:
    """The verdict of a validation in words.

    Raises
    ------
    ValueError
        A validation without any comparison.
    """
    if not validation.comparisons:
        raise ValueError("validation must hold at least one comparison, got none")
    law = leading_law(validation)
    judged = comparisons(validation, law=law.name)
    mood, answer = _answer(law, judged)
    others = [_other_law(validation, other) for other in ordered_laws(validation) if other is not law]
    return Headline(
        mood=mood,
        answer=answer,
        counts=_counts_sentence(validation, judged),
        reason=_reason(validation, law, judged),
        others=tuple(sentence for sentence in others if sentence),
        tiles=_tiles(validation, law, judged),
    )


def _answer(law: ComparedLaw, found: Sequence[Comparison]) -> tuple[Mood, str]:
    """Mood and headline of one law."""
    counts, total = tally(found), len(found)
    misses, title = counts.misses, f"The {law.title}"
    if not misses and counts.small:
        return "yes", (
            f"{title} is within {percent_setting(PRACTICAL)} of simulated linear models in {_all(total)}; "
            f"{counts.small:,} of them {'differs' if counts.small == 1 else 'differ'} beyond chance, {_families(found, 'small')}."
        )
    if not misses:
        return "yes", f"{title} agrees with simulated linear models in {total:,} of {_comparison_word(total)}."
    if 2 * misses <= total:
        agree = total - misses
        some = f"agrees with simulated linear models in {agree:,} of {_comparison_word(total)} and misses in {misses:,}"
        return "partly", f"{title} {some}, {_families(found, 'misses')}."
    return "no", f"{title} misses in {misses:,} of {_comparison_word(total)}, {_families(found, 'misses')}."


def _all(total: int) -> str:
    return f"all {_comparison_word(total)}" if total > 1 else "the only comparison"


def _families(found: Sequence[Comparison], wanted: Verdict) -> str:
    """By how much each kind of quantity with that verdict is off at worst."""
    missed = [c for c in found if verdict(c) == wanted]
    kinds = (
        ("the disagreement of models", [c for c in missed if c.quantity in DISAGREEMENTS]),
        ("single variances", [c for c in missed if c.quantity not in (*DISAGREEMENTS, *EXPECTATIONS)]),
        ("expectations", [c for c in missed if c.quantity in EXPECTATIONS]),
    )
    return f"off by up to {joined([f'{how_far(worst(group))} in {name}' for name, group in kinds if group])}"


def _comparison_word(count: int) -> str:
    return f"{count:,} comparison" if count == 1 else f"{count:,} comparisons"


def _counts_sentence(validation: Validation, found: Sequence[Comparison]) -> str:
    agrees, limit, small, misses = tally(found)
    parts = []
    if agrees:
        parts.append(f"{agrees:,} {'agrees' if agrees == 1 else 'agree'} within Monte Carlo error")
    if limit:
        verb = "" if agrees else "agrees " if limit == 1 else "agree "
        parts.append(f"{limit:,} {verb}up to terms of order 1/m, which the limit of many samples neglects,")
    if small:
        verb = "differs" if small == 1 else "differ"
        parts.append(f"{small:,} {verb} beyond chance but by at most {percent_setting(PRACTICAL)},")
    if not misses:
        return f"Of {_comparison_word(len(found))}, {joined(parts).rstrip(',')}."
    furthest = worst([c for c in found if verdict(c) == "misses"])
    where = f"{quantity_title(validation, furthest.quantity)} ({place(furthest)})"
    parts.append(f"{misses:,} {'misses' if misses == 1 else 'miss'}")
    return f"Of {_comparison_word(len(found))}, {joined(parts)}. The largest miss is {how_far(furthest)}: {where}."


def _other_law(validation: Validation, law: ComparedLaw) -> str:
    """One sentence on a law that the headline does not judge."""
    found = comparisons(validation, law=law.name)
    if not found:
        return ""
    _, answer = _answer(law, found)
    if not is_published(law):
        return answer
    misses = tally(found).misses
    note = " It is the formula of arXiv 2602.02908, without the exchange and mean terms, and is shown for comparison."
    if misses:
        return f"{answer}{note} Its misses are expected: they come from that formula, and nothing is broken."
    return f"{answer}{note}"


def _reason(validation: Validation, law: ComparedLaw, found: Sequence[Comparison]) -> str:
    """What the outcome means for data of this kind."""
    misses, small = tally(found).misses, tally(found).small
    if small and not misses:
        return (
            f"The errors are real but small: a difference of up to {percent_setting(PRACTICAL)} changes no decision about "
            "training. With more training sets, even smaller errors are beyond chance."
        )
    if validation.setup.sampling == "gaussian":
        if not misses:
            return (
                "Training sets are Gaussian, as the theory assumes: this tests the theory and its code, not the data."
            )
        return (
            "Training sets are Gaussian, as the theory assumes. The data therefore do not cause the misses: either n is too "
            "small for the limit of many samples, or the theory or its code is at fault."
        )
    if not misses:
        return "In these quantities, the data cannot be told apart from data that meet the assumptions of the law."
    reason = "The training sets are drawn from these very data, so a miss is an error of the law on them, not chance."
    reason = law.spec.misses or reason
    if validation.setup.sampling == "disjoint":
        reason += " With disjoint splits, part of any difference does not come from the law; see the note."
    return reason


def _tiles(validation: Validation, law: ComparedLaw, found: Sequence[Comparison]) -> tuple[Tile, ...]:
    agrees, limit, small, misses = tally(found)
    furthest = worst(found)
    disagreement = [c for c in found if c.quantity in DISAGREEMENTS]
    tiles = [
        Tile(
            label="Comparisons that agree",
            text=f"{agrees + limit + small:,} of {len(found):,}",
            value=agrees + limit + small,
            hint=f"{law.title}: {agrees:,} within Monte Carlo error, {limit:,} up to order 1/m, {small:,} beyond chance by at most "
            f"{percent_setting(PRACTICAL)}; {misses:,} {'misses' if misses == 1 else 'miss'}",
        ),
        Tile(
            label="Largest error",
            text=how_far(furthest),
            hint=f"{quantity_title(validation, furthest.quantity)}; {place(furthest)}",
        ),
    ]
    if disagreement:
        ratios = [c.agreement.ratio for c in disagreement]
        tiles.append(
            Tile(
                label="Disagreement, simulated / predicted",
                text=f"{fine_ratio(min(ratios))} to {fine_ratio(max(ratios))}",
                hint="range of totals over all maps and n; 1 is perfect",
            )
        )
    total = sum(validation.setup.draws)
    tiles.append(
        Tile(
            label="Training sets simulated",
            text=f"{total:,}",
            value=total,
            hint="each with its own mean, covariance and linear models",
        )
    )
    return tuple(tiles)
