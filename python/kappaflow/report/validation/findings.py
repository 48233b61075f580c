"""What a validation says in words: verdicts, tables and alternative texts, all computed from the comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...validation.metrics import FALSE_ALARM, describe_factor
from ..consistency.findings import Cell, Quantity, Row
from ..words import number, short
from .select import (
    DISAGREEMENTS,
    EXPECTATIONS,
    comparisons,
    excess,
    is_published,
    main_law,
    ordered_laws,
    quantity_names,
    quantity_title,
)
from .takeaways import alternatives, takeaways

if TYPE_CHECKING:
    from ...validation.laws import ComparedLaw
    from ...validation.linear.results import Comparison, Validation

SAMPLING_WORDS = {
    "gaussian": "Gaussian samples with the mean and the covariance of the data",
    "resample": "drawn with replacement from the images, which are the whole population",
    "disjoint": "disjoint splits of the images",
}
OUTCOME_WORDS = {"agrees": "agrees", "limit": "to order 1/m", "misses": "misses"}


@dataclass(frozen=True)
class Verdict:
    """One quantity under one law, over all maps and sizes.

    Attributes
    ----------
    law : its title
    mood : "yes" no miss, "partly" some misses, "no" nothing but misses
    sentence : the verdict in one line, with the worst case by name
    ratio, log_error, noise : ranges over maps and sizes
    counts : how often it agrees, agrees to order 1/m, misses
    """

    law: str
    mood: str
    sentence: str
    ratio: tuple[Cell, Cell]
    log_error: tuple[Cell, Cell]
    noise: tuple[Cell, Cell]
    counts: tuple[int, int, int]


@dataclass(frozen=True)
class Line:
    """A row of the table of all comparisons."""

    law: str
    outcome: str  # identifier
    words: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Findings:
    """Everything verbal on the page. The dictionaries are keyed by the name of the figure."""

    mood: str
    answer: str
    counts: str
    others: tuple[str, ...]
    reason: str
    tiles: tuple[Quantity, ...]
    design: tuple[tuple[str, str], ...]
    verdicts: tuple[tuple[str, tuple[Verdict, ...]], ...]
    lines: tuple[tuple[str, tuple[Line, ...]], ...]
    sizes: tuple[Row, ...]
    takeaways: dict[str, str]
    alternatives: dict[str, str]
    main: str
    coincidences: str
    false_alarms: str


def find(validation: Validation) -> Findings:
    """Put a validation into words."""
    if not validation.comparisons:
        raise ValueError("validation must hold at least one comparison, got none")
    law = leading_law(validation)
    found = comparisons(validation, law=law.name)
    mood, answer = _answer(law, found)
    names = quantity_names(validation)
    return Findings(
        mood=mood,
        answer=answer,
        counts=_counts_sentence(validation, found),
        others=tuple(_other_law(validation, other) for other in ordered_laws(validation) if other is not law),
        reason=_reason(validation, law, found),
        tiles=_tiles(validation, law, found),
        design=_design(validation),
        verdicts=tuple((_capital(quantity_title(validation, name)), _verdicts(validation, name)) for name in names),
        lines=tuple((_capital(quantity_title(validation, name)), _lines(validation, name)) for name in names),
        sizes=_sizes(validation),
        takeaways=takeaways(validation),
        alternatives=alternatives(validation),
        main=main_law(validation).title,
        coincidences=_coincidences(validation),
        false_alarms=number(2 * FALSE_ALARM * len(found), 2),
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _cell(value: float, digits: int = 3) -> Cell:
    return Cell(number(value, digits), repr(float(value)))


def ratio_text(value: float) -> str:
    """A ratio, with as many decimals below 1 as above it, and more of them the closer it is to 1."""
    if not 0.9 < value < 1.1:
        return number(value)
    return f"{value:.4f}" if abs(value - 1) < 0.02 else f"{value:.3f}"


def _ratio_cell(value: float) -> Cell:
    return Cell(ratio_text(value), repr(float(value)))


def how_far(comparison: Comparison) -> str:
    """``3.2 %`` or ``a factor of 2.3``: how far a prediction is off at worst."""
    factor = comparison.agreement.factor
    return describe_factor(factor) if math.isfinite(factor) else "more than any factor (a total that is not positive)"


def _worst(found: Sequence[Comparison]) -> Comparison:
    """The comparison that is furthest off."""
    return max(found, key=lambda c: c.agreement.factor)


def _place(comparison: Comparison) -> str:
    label = f"{comparison.label}, " if comparison.label else ""
    return f"{label}n = {comparison.n:,}"


def _tally(found: Sequence[Comparison]) -> tuple[int, int, int]:
    outcomes = [c.agreement.outcome for c in found]
    return outcomes.count("agrees"), outcomes.count("limit"), outcomes.count("misses")


def _comparison_word(count: int) -> str:
    return f"{count:,} comparison" if count == 1 else f"{count:,} comparisons"


def _join(words: Sequence[str], separator: str = ", ") -> str:
    return words[0] if len(words) == 1 else separator.join(words[:-1]) + " and " + words[-1]


# ---------------------------------------------------------------- the answer
def leading_law(validation: Validation) -> ComparedLaw:
    """The law that the headline judges: of those put forward the one that misses least, in number and then in size."""
    candidates = [law for law in validation.laws if not is_published(law)] or list(validation.laws)

    def loss(law: ComparedLaw) -> tuple[int, float]:
        found = comparisons(validation, law=law.name)
        return _tally(found)[2], max((c.agreement.factor for c in found), default=math.inf)

    return min(candidates, key=loss)


def _answer(law: ComparedLaw, found: Sequence[Comparison]) -> tuple[str, str]:
    """Mood and headline of one law."""
    misses, total = _tally(found)[2], len(found)
    title = f"The {law.title}"
    if not misses:
        return "yes", f"{title} agrees with the simulation in {total:,} of {_comparison_word(total)}."
    if 2 * misses <= total:
        agree = total - misses
        some = f"agrees with the simulation in {agree:,} of {_comparison_word(total)} and misses in {misses:,}"
        return "partly", f"{title} {some}: {_families(found)}."
    return "no", f"{title} misses in {misses:,} of {_comparison_word(total)}: {_families(found)}."


def _families(found: Sequence[Comparison]) -> str:
    """By how much each kind of quantity is missed at worst."""
    missed = [c for c in found if c.agreement.outcome == "misses"]
    kinds = (
        ("disagreement of models", [c for c in missed if c.quantity in DISAGREEMENTS]),
        ("single variances", [c for c in missed if c.quantity not in (*DISAGREEMENTS, *EXPECTATIONS)]),
        ("expectations", [c for c in missed if c.quantity in EXPECTATIONS]),
    )
    return _join([f"{name} by up to {how_far(_worst(group))}" for name, group in kinds if group])


def _counts_sentence(validation: Validation, found: Sequence[Comparison]) -> str:
    agrees, limit, misses = _tally(found)
    parts = []
    if agrees:
        parts.append(f"{agrees:,} {'agrees' if agrees == 1 else 'agree'} within Monte Carlo error")
    if limit:
        verb = "" if agrees else "agrees " if limit == 1 else "agree "
        parts.append(f"{limit:,} {verb}to the order 1/m that the limit of many samples neglects")
    if misses:
        worst = _worst([c for c in found if c.agreement.outcome == "misses"])
        where = f"{quantity_title(validation, worst.quantity)} ({_place(worst)})"
        verb = "misses" if misses == 1 else "miss"
        parts.append(f"{misses:,} {verb}, the furthest off by {how_far(worst)}: {where}")
    return f"Of {_comparison_word(len(found))}, {_join(parts)}."


def _other_law(validation: Validation, law: ComparedLaw) -> str:
    """One sentence on a law that the headline does not judge."""
    found = comparisons(validation, law=law.name)
    if not found:
        return ""
    _, answer = _answer(law, found)
    if not is_published(law):
        return answer
    misses = _tally(found)[2]
    note = " It is the formula of arXiv 2602.02908 without the exchange and mean terms, shown for comparison"
    if misses:
        return f"{answer}{note}: its misses are expected and belong to that formula; nothing broke."
    return f"{answer}{note}."


def _reason(validation: Validation, law: ComparedLaw, found: Sequence[Comparison]) -> str:
    """What the outcome means for data of this kind."""
    misses = _tally(found)[2]
    if validation.sampling == "gaussian":
        if not misses:
            return (
                "Training sets are Gaussian, as the theory assumes: this tests the theory and its code, not the data."
            )
        return (
            "Training sets are Gaussian, as the theory assumes. Misses are then not the data's: either n is too small for "
            "the limit of many samples, or theory or code is at fault."
        )
    if not misses:
        return "Nothing in these data tells them from the data that the law assumes, as far as these quantities go."
    reason = "The simulation is of these very data, so that a miss is a property of the law on them, not of chance."
    reason = law.spec.misses or reason
    if validation.sampling == "disjoint":
        reason += " With disjoint splits a part of any difference is not the law's; see the note."
    return reason


def _coincidences(validation: Validation) -> str:
    """Equal images in one training set make an eigenvalue zero, on which an average of inverses hangs."""
    small = [n for n in validation.n if n <= validation.eigenvalues.size]
    if validation.sampling != "resample" or validation.pool_size is None or not small:
        return ""
    pairs = small[0] * (small[0] - 1) / (2 * validation.pool_size)
    return (
        f"In {small[0]:,} images drawn with replacement from {validation.pool_size:,}, {number(pairs, 2)} pairs are equal on "
        "average. Where n is not above the number of modes, such a pair makes one eigenvalue of Σ̂ zero, and at low noise "
        "its 1/σ² outweighs all others: the simulated κ is then far below that of images that never repeat, which theory "
        "predicts."
    )


def _tiles(validation: Validation, law: ComparedLaw, found: Sequence[Comparison]) -> tuple[Quantity, ...]:
    agrees, limit, misses = _tally(found)
    worst = _worst(found)
    disagreement = [c for c in found if c.quantity in DISAGREEMENTS]
    tiles = [
        Quantity(
            "Comparisons that agree", f"{agrees + limit:,} of {len(found):,}", str(agrees + limit),
            f"{law.title}; {agrees:,} within Monte Carlo error, {limit:,} to order 1/m, {misses:,} misses",
        ),
        Quantity(
            "Furthest off", how_far(worst), "",
            f"{quantity_title(validation, worst.quantity)}; {_place(worst)}",
        ),
    ]  # fmt: skip
    if disagreement:
        low = min(disagreement, key=lambda c: c.agreement.ratio).agreement.ratio
        high = max(disagreement, key=lambda c: c.agreement.ratio).agreement.ratio
        tiles.append(
            Quantity(
                "Disagreement, simulated / predicted", f"{ratio_text(low)} to {ratio_text(high)}", "",
                "totals, over all maps and n; 1 is agreement",
            )
        )  # fmt: skip
    total = sum(validation.draws)
    tiles.append(
        Quantity("Training sets simulated", f"{total:,}", str(total), "each with its own mean, covariance and models")
    )
    return tuple(tiles)


# ---------------------------------------------------------------- tables
def _verdicts(validation: Validation, quantity: str) -> tuple[Verdict, ...]:
    rows = []
    for law in ordered_laws(validation):
        found = comparisons(validation, quantity, law.name)
        if not found:
            continue
        agreements = [c.agreement for c in found]
        agrees, limit, misses = _tally(found)

        rows.append(
            Verdict(
                law=law.title,
                mood="yes" if not misses else "no" if misses == len(found) else "partly",
                sentence=_verdict_sentence(found),
                ratio=(_ratio_cell(min(a.ratio for a in agreements)), _ratio_cell(max(a.ratio for a in agreements))),
                log_error=_ends([a.log_error for a in agreements]),
                noise=_ends([a.log_noise for a in agreements]),
                counts=(agrees, limit, misses),
            )
        )
    return tuple(rows)


def _ends(values: Sequence[float]) -> tuple[Cell, Cell]:
    return _cell(min(values), 2), _cell(max(values), 2)


def _verdict_sentence(found: Sequence[Comparison]) -> str:
    agrees, limit, misses = _tally(found)
    total = len(found)
    if misses:
        worst = _worst([c for c in found if c.agreement.outcome == "misses"])
        often = "Misses"
        if total > 1:
            often += f" in all {total:,}" if misses == total else f" in {misses:,} of {total:,}"
        return f"{often}, at worst by {how_far(worst)} ({_place(worst)})."
    if limit:
        worst = _worst([c for c in found if c.agreement.outcome == "limit"])
        within = f"{agrees:,} within Monte Carlo error, {limit:,} to the neglected order 1/m"
        return f"Agrees: {within}, at most {how_far(worst)} off there ({_place(worst)})."
    return "Agrees within Monte Carlo error" + ("." if total == 1 else f" in all {total:,}.")


def _lines(validation: Validation, quantity: str) -> tuple[Line, ...]:
    rows = []
    titles = {law.name: law.title for law in validation.laws}
    for comparison in comparisons(validation, quantity):
        found = comparison.agreement
        cells = (
            Cell(comparison.label or "–", ""),
            Cell(f"{comparison.n:,}", str(comparison.n)),
            _ratio_cell(found.ratio),
            Cell(f"{ratio_text(found.ratio_interval[0])} to {ratio_text(found.ratio_interval[1])}", ""),
            _cell(found.log_error, 2),
            _cell(found.log_noise, 2),
            _cell(excess(comparison), 2),
            Cell(f"{comparison.entries.size:,}", str(comparison.entries.size)),
            Cell(f"{found.left_out:,}", str(found.left_out)),
        )
        words = OUTCOME_WORDS[found.outcome]
        if found.outcome == "misses":
            words += f" by {how_far(comparison)}"
        rows.append(Line(titles.get(comparison.law, comparison.law), found.outcome, words, cells))
    return tuple(rows)


def _sizes(validation: Validation) -> tuple[Row, ...]:
    """How much was simulated at each n, and how the leading law does there."""
    law = leading_law(validation)
    rows = []
    for n, draws, groups in zip(validation.n, validation.draws, validation.groups, strict=True):
        found = [c for c in comparisons(validation, law=law.name) if c.n == n]
        cells = [Cell(f"{draws:,}", str(draws)), Cell(f"{groups:,}", str(groups))]
        cells += [Cell(f"{value:,}", str(value)) for value in _tally(found)]
        rows.append(Row(f"{n:,}", tuple(cells)))
    return tuple(rows)


def _design(validation: Validation) -> tuple[tuple[str, str], ...]:
    """What was simulated, as label and text."""
    rows = [("Data", validation.source or "–")]
    if validation.description:
        rows.append(("Description", validation.description))
    size = " × ".join(str(k) for k in validation.shape)
    if validation.pool_size is not None:
        of = ""
        if validation.total_images is not None and validation.total_images != validation.pool_size:
            of = f" of {validation.total_images:,}"
        rows.append(("Images", f"{validation.pool_size:,}{of}, {size} values each"))
    else:
        rows.append(("Values of a sample", size))
    rows += [
        ("Training sets", SAMPLING_WORDS.get(validation.sampling, validation.sampling)),
        ("n", _join([f"{n:,}" for n in validation.n])),
        ("Training sets of each n", _join([f"{k:,}" for k in validation.draws])),
        ("Groups for intervals", _join([f"{k:,}" for k in validation.groups])),
        (
            "Mean",
            {"estimated": "estimated from each training set", "known": "known"}.get(validation.mean, validation.mean),
        ),
        ("Maps", "; ".join(q.label for q in validation.maps)),
        ("Sampling starts at", f"σ = {short(validation.sigma_max)}"),
        ("Inputs followed", f"{len(validation.input_seeds):,} seeds and noised images"),
        ("Laws", _join([law.title for law in ordered_laws(validation)])),
        ("Seed", str(validation.seed)),
        ("Device", validation.device),
    ]
    return tuple(rows)
