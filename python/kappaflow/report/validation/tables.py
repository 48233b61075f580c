"""The tables of the validation report: verdicts, sizes, the design, and every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..document import Cell, Mood, Prose, Section, Table, rounded
from ..words import capital, joined, number, provenance_rows, short
from .phrases import PROSE, fine_ratio, how_far, place, worst
from .select import (
    Tally,
    comparisons,
    excess,
    is_published,
    leading_law,
    ordered_laws,
    quantity_names,
    quantity_title,
    tally,
    verdict,
)

if TYPE_CHECKING:
    from ...validation.linear.results import Comparison, Validation

SAMPLING_WORDS = {
    "gaussian": "Gaussian samples with the mean and the covariance of the data",
    "resample": "drawn with replacement from the images, which are the whole population",
    "disjoint": "disjoint splits of the images",
}
OUTCOME_WORDS = {"agrees": "agrees", "limit": "to order 1/m", "small": "small error", "misses": "misses"}
OUTCOME_MOODS: dict[str, Mood] = {"agrees": "yes", "limit": "partly", "small": "partly", "misses": "no"}


# ---------------------------------------------------------------- verdicts
def verdicts(validation: Validation) -> Section:
    """A verdict for each quantity and law, and how the law of the headline does at each n."""
    published = [
        Prose(PROSE, "published", {"title": law.title}) for law in ordered_laws(validation) if is_published(law)
    ]
    return Section(
        name="verdicts",
        title="Verdict per quantity",
        contents="Verdicts",
        parts=(_verdict_table(validation), *published, _size_table(validation)),
    )


@dataclass(frozen=True)
class QuantityVerdict:
    """One quantity under one law, over all maps and sizes.

    Attributes
    ----------
    law : its title
    mood : "yes" no error beyond chance, "partly" small errors or some misses, "no" nothing but misses
    sentence : the verdict in one line, with the worst case by name
    ratio, log_error, noise : values over maps and sizes
    counts : how often it agrees, agrees to order 1/m, has a small error beyond chance, misses
    """

    law: str
    mood: Mood
    sentence: str
    ratio: tuple[float, ...]
    log_error: tuple[float, ...]
    noise: tuple[float, ...]
    counts: Tally

    @property
    def ratio_words(self) -> str:
        """``0.95 to 1.02``."""
        return _range([fine_ratio(end) for end in (min(self.ratio), max(self.ratio))])

    @property
    def log_error_words(self) -> str:
        """``0.021 to 0.13``."""
        return _range([number(end, 2) for end in (min(self.log_error), max(self.log_error))])

    @property
    def noise_words(self) -> str:
        """``0.02 to 0.1``."""
        return _range([number(end, 2) for end in (min(self.noise), max(self.noise))])


def verdicts_by_quantity(validation: Validation) -> dict[str, tuple[QuantityVerdict, ...]]:
    """The verdicts on each quantity, by its title, a law each."""
    return {
        capital(quantity_title(validation, name)): _quantity_verdicts(validation, name)
        for name in quantity_names(validation)
    }


def _quantity_verdicts(validation: Validation, quantity: str) -> tuple[QuantityVerdict, ...]:
    """The verdicts on one quantity, a law each."""
    rows = []
    for law in ordered_laws(validation):
        found = comparisons(validation, quantity, law.name)
        if not found:
            continue
        agreements = [c.agreement for c in found]
        counts = tally(found)
        rows.append(
            QuantityVerdict(
                law=law.title,
                mood=_mood(counts, len(found)),
                sentence=_verdict_sentence(found),
                ratio=tuple(a.ratio for a in agreements),
                log_error=tuple(a.log_error for a in agreements),
                noise=tuple(a.log_noise for a in agreements),
                counts=counts,
            )
        )
    return tuple(rows)


def _mood(counts: Tally, total: int) -> Mood:
    if not counts.misses and not counts.small:
        return "yes"
    return "no" if counts.misses == total else "partly"


def _verdict_table(validation: Validation) -> Table:
    groups = verdicts_by_quantity(validation)
    rows = [row for group in groups.values() for row in group]
    return Table(
        name="verdicts",
        caption=(
            "Each row is over all maps and training-set sizes. Ratio: simulated total over predicted total. RMS log error: root "
            "mean square of log(simulated/predicted) over the entries. Monte Carlo: the same for a perfect prediction. Counts: "
            "agrees / agrees to order 1/m / small error beyond chance / misses."
        ),
        columns={
            "Law": [row.law for row in rows],
            "Verdict": [Cell(row.sentence, mood=row.mood) for row in rows],
            "Ratio": [row.ratio_words for row in rows],
            "RMS log error": [row.log_error_words for row in rows],
            "Monte Carlo": [row.noise_words for row in rows],
            "Counts": [" / ".join(str(count) for count in row.counts) for row in rows],
        },
        words=("Verdict",),
        groups={title: len(group) for title, group in groups.items()},
        moods=[row.mood for row in rows],
    )


def _range(ends: Sequence[str]) -> str:
    low, high = ends
    return low if low == high else f"{low} to {high}"


def _verdict_sentence(found: Sequence[Comparison]) -> str:
    agrees, limit, small, misses = tally(found)
    total = len(found)
    if misses:
        furthest = worst([c for c in found if verdict(c) == "misses"])
        often = "Misses"
        if total > 1:
            often += f" in all {total:,}" if misses == total else f" in {misses:,} of {total:,}"
        return f"{often}, at worst by {how_far(furthest)} ({place(furthest)})."
    if small:
        furthest = worst([c for c in found if verdict(c) == "small"])
        return f"Off beyond chance in {small:,} of {total:,}, by at most {how_far(furthest)} ({place(furthest)})."
    if limit:
        furthest = worst([c for c in found if verdict(c) == "limit"])
        within = f"{agrees:,} within Monte Carlo error, {limit:,} up to neglected terms of order 1/m"
        return f"Agrees: {within}, off by at most {how_far(furthest)} there ({place(furthest)})."
    return "Agrees within Monte Carlo error" + ("." if total == 1 else f" in all {total:,}.")


def _size_table(validation: Validation) -> Table:
    """How much was simulated at each n, and how the leading law does there."""
    law = leading_law(validation)
    counts = [tally([c for c in comparisons(validation, law=law.name) if c.n == n]) for n in validation.setup.n]
    return Table(
        name="sizes",
        caption="Outcomes by training-set size n, over all quantities and maps, for the law of the headline.",
        columns={
            "n": list(validation.setup.n),
            "Training sets": list(validation.setup.draws),
            "Groups": list(validation.setup.groups),
            "Agrees": [each.agrees for each in counts],
            "To order 1/m": [each.limit for each in counts],
            "Small error": [each.small for each in counts],
            "Misses": [each.misses for each in counts],
        },
    )


# ---------------------------------------------------------------- all comparisons
def all_comparisons(validation: Validation) -> Section:
    """Every comparison in a table that is folded."""
    groups = {
        capital(quantity_title(validation, name)): comparisons(validation, name) for name in quantity_names(validation)
    }
    rows = [row for group in groups.values() for row in group]
    titles = {law.name: law.title for law in validation.setup.laws}
    results = [row.agreement for row in rows]
    table = Table(
        name="comparisons",
        caption=(
            "Ratio: simulated total over predicted total, with its 95 % interval. Excess: RMS log error beyond Monte Carlo. Left "
            "out: entries that are not positive on both sides and so have no logarithm."
        ),
        columns={
            "Law": [titles.get(row.law, row.law) for row in rows],
            "Outcome": [_outcome(row) for row in rows],
            "Map": [row.label or "–" for row in rows],
            "n": [Cell(f"{row.n:,}", row.n) for row in rows],
            "Ratio": [Cell(fine_ratio(result.ratio), float(result.ratio)) for result in results],
            "95 % interval": [" to ".join(fine_ratio(end) for end in result.ratio_interval) for result in results],
            "RMS log error": [rounded(result.log_error, digits=2) for result in results],
            "Monte Carlo": [rounded(result.log_noise, digits=2) for result in results],
            "Excess": [rounded(excess(row), digits=2) for row in rows],
            "Entries": [row.entries.size for row in rows],
            "Left out": [result.left_out for result in results],
        },
        words=("Outcome", "Map"),
        groups={title: len(group) for title, group in groups.items()},
        moods=[OUTCOME_MOODS[verdict(row)] for row in rows],
        summary=f"Table of all {len(rows)} comparisons",
        small=True,
    )
    return Section(name="all", title="All comparisons", parts=(table,))


def _outcome(comparison: Comparison) -> Cell:
    outcome = verdict(comparison)
    words = OUTCOME_WORDS[outcome]
    if outcome in ("misses", "small"):
        words += f"{' by' if outcome == 'misses' else ','} {how_far(comparison)}"
    return Cell(words, mood=OUTCOME_MOODS[outcome])


# ---------------------------------------------------------------- design
def design(validation: Validation) -> Section:
    """What was simulated."""
    return Section(
        name="design",
        title="What was simulated",
        parts=(Prose(PROSE, "design", {"rows": _design_rows(validation)}),),
    )


def _design_rows(validation: Validation) -> tuple[tuple[str, str], ...]:
    """What was simulated, as label and text."""
    rows = [("Data", validation.data.source or "–")]
    rows += provenance_rows(validation.data.provenance)
    size = " × ".join(str(k) for k in validation.data.shape)
    if validation.data.pool_size is not None:
        of = ""
        if validation.data.total_images is not None and validation.data.total_images != validation.data.pool_size:
            of = f" of {validation.data.total_images:,}"
        rows.append(("Images", f"{validation.data.pool_size:,}{of}, each of {size} values"))
    else:
        rows.append(("Values of a sample", size))
    rows += [
        ("Training sets", SAMPLING_WORDS.get(validation.setup.sampling, validation.setup.sampling)),
        ("n", joined([f"{n:,}" for n in validation.setup.n])),
        ("Training sets of each n", joined([f"{k:,}" for k in validation.setup.draws])),
        ("Groups for intervals", joined([f"{k:,}" for k in validation.setup.groups])),
        (
            "Mean",
            {"estimated": "estimated from each training set", "known": "known"}.get(
                validation.setup.mean, validation.setup.mean
            ),
        ),
        ("Maps", "; ".join(q.label for q in validation.setup.maps)),
        ("Sampling starts at", f"σ = {short(validation.setup.sigma_max)}"),
        ("Inputs followed", f"{len(validation.setup.input_seeds):,} seeds and noised images"),
        ("Laws", joined([law.title for law in ordered_laws(validation)])),
        ("Seed", str(validation.setup.seed)),
        ("Device", validation.setup.device),
    ]
    return tuple(rows)
