"""The answer of the report on networks: verdict, its lines, and the numbers beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..document import Mood, Tile
from ..kinds import ARM_TITLES, arch_title, where
from ..words import joined, number, percent
from . import select
from .phrases import finite_mean, p_words, two_digits
from .select import predictor_title

if TYPE_CHECKING:
    from ...validation.network.results import NetworkPair, NetworkValidation, PredictorScore
    from ...validation.network.runs import Run

#: Runs that fail the gate whose reasons stand on the terminal.
_FAILED_SHOWN = 4
#: A prediction of the order of seeds is wrong in practice if its rank correlation is below this and may be chance.
_WEAK = 0.2
#: Two disagreements that differ by at most this share are equal in practice.
_SAME = 0.1


@dataclass(frozen=True)
class NetworkHeadline:
    """What the report says first.

    Attributes
    ----------
    mood, answer : the verdict and its sentence
    distance : how close two networks come, as a sentence; "" where that is the answer, or nothing can be said
    tiles : the numbers
    """

    mood: Mood
    answer: str
    distance: str
    tiles: tuple[Tile, ...]


class _Verdict(NamedTuple):
    """Mood, answer and distance of a :class:`NetworkHeadline`."""

    mood: Mood
    answer: str
    distance: str = ""


def headline(found: NetworkValidation) -> NetworkHeadline:
    """The verdict of a validation in words."""
    verdict = _answer(found)
    return NetworkHeadline(
        mood=verdict.mood, answer=verdict.answer, distance=verdict.distance, tiles=tuple(_tiles(found))
    )


def _answer(found: NetworkValidation) -> _Verdict:
    """From the arm in which the data alone differ (or the first there is)."""
    arm = select.shown_arms(found)[0]
    trained = [pair for pair in found.pairs if pair.arm == arm and pair.trained]
    if not trained:
        return _Verdict("no", "No pair of networks passes the gate: nothing can be said about their consistency.")
    if found.setup.arms == ("given",):
        return _given_answer(found, trained[0])
    rows = _best_rows(found, arm)
    modes = [verdict for row in rows if (verdict := row.reach.verdict(row.relative.value)) is not None]
    falls = [_falls(found, arch, arm) for arch in found.setup.archs]
    ordered = bool(modes) and bool(np.mean(modes) >= 0.5)
    by_seed, less = _by_seed(rows), all(fall is not False for fall in falls)
    largest = max(pair.n for pair in trained)
    ratio = np.mean([pair.disagreement.ratio for pair in trained if pair.n == largest])
    distance = f"At n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{largest:,}, {_distance(float(ratio))}."
    claims = [
        *([(less, "that networks agree more with more data")] if any(fall is not None for fall in falls) else []),
        *([(ordered, "which modes agree first")] if modes or not rows else []),
        *([(by_seed, "on which seeds they differ")] if by_seed is not None else []),
    ]
    chance = "" if by_seed is not None else _maybe_chance(rows)
    right, wrong = ([text for true, text in claims if true is wanted] for wanted in (True, False))
    if not wrong:
        if not right:
            return _Verdict("partly", chance.strip(), distance)
        return _Verdict("yes", f"The theory of linear models predicts {joined(right)}.{chance}", distance)
    if not right and not chance:
        return _Verdict("no", "The theory of linear models does not predict how these networks differ.", distance)
    predicts = f"predicts {joined(right)}, but not" if right else "does not predict"
    return _Verdict("partly", f"The theory of linear models {predicts} {joined(wrong, 'nor')}.{chance}", distance)


def _by_seed(rows: list[PredictorScore]) -> bool | None:
    """Whether the order of seeds is predicted; None if a correlation that is not weak may be chance."""
    verdicts = [True if row.seeds.low > 0 else None if row.seeds.value >= _WEAK else False for row in rows]
    if verdicts.count(True) > len(verdicts) / 2:
        return True
    return None if verdicts.count(None) > verdicts.count(False) else False


def _maybe_chance(rows: list[PredictorScore]) -> str:
    """A sentence, which follows another, on the correlations over seeds that may be chance."""
    open_rows = [row.seeds for row in rows if not row.seeds.low > 0 and row.seeds.value >= _WEAK]
    numbers = joined([f"{two_digits(x.value)} ({two_digits(x.low)} to {two_digits(x.high)})" for x in open_rows])
    some = "a rank correlation" if len(open_rows) == 1 else "rank correlations"
    return f" On which seeds they differ cannot be judged: {some} of {numbers} may be chance."


def _distance(ratio: float) -> str:
    """The ratio of squared distances in words."""
    return f"the squared distance between two images of one seed is {percent(ratio)} of that between images of unrelated seeds"


def _given_answer(found: NetworkValidation, pair: NetworkPair) -> _Verdict:
    distance = f"For the two models, {_distance(pair.disagreement.ratio)}."
    laws = [p for p in found.predictor_scores if p.predictor != "linear"]
    if not laws:
        return _Verdict("partly", f"{distance} Without their number of training images nothing is predicted.")
    known = [p for p in laws if math.isfinite(p.relative.value)]
    if not known:
        return _Verdict("partly", distance)
    best = max(known, key=lambda row: row.relative.value)
    right, numbers = best.reach.verdict(best.relative.value), _order_numbers(best)
    if right is None:
        answer = f"In which modes the two models differ most cannot be judged, because most of it is chance{numbers}."
        return _Verdict("partly", answer, distance)
    predicts = "predicts" if right else "does not predict"
    answer = f"The theory of linear models {predicts} in which modes the two models differ most{numbers}."
    return _Verdict("yes" if right else "no", answer, distance)


def _order_numbers(row: PredictorScore) -> str:
    """The correlation in parentheses, beside what exact linear models reach where that is known."""
    if math.isnan(row.reach.low):
        return f" (rank correlation {two_digits(row.relative.value)})"
    return (
        f" (rank correlation {two_digits(row.relative.value)}; exact linear models of such splits reach "
        f"{two_digits(row.reach.low)} to {two_digits(row.reach.high)})"
    )


def _best_rows(found: NetworkValidation, arm: str) -> list[PredictorScore]:
    law = select.best_law(found)
    return [p for p in found.predictor_scores if p.arm == arm and p.predictor == law and math.isfinite(p.modes.value)]


def _falls(found: NetworkValidation, arch: str, arm: str) -> bool | None:
    """Whether the ratio at the largest trained n is below that at the smallest.

    None if there is one n alone, or if the ratio rises by at most :data:`_SAME`.
    """
    sizes, ratios = select.mean_over_pairs(found, arch, arm, lambda pair: pair.disagreement.ratio)
    if sizes.size < 2 or ratios[0] <= ratios[-1] <= (1 + _SAME) * ratios[0]:
        return None
    return bool(ratios[-1] < ratios[0])


def verdict_lines(found: NetworkValidation) -> list[str]:
    """Verdicts, one a line: what the terminal shows."""
    passed = sum(run.quality.passed for run in found.runs)
    lines = [f"gate: {passed:,} of {len(found.runs):,} runs pass", *_failed(found)]
    for arch in found.setup.archs:
        for arm in select.shown_arms(found):
            sizes, ratios = select.mean_over_pairs(found, arch, arm, lambda pair: pair.disagreement.ratio)
            if sizes.size:
                steps = ", ".join(
                    number(float(r), 2) + (f" (n = {int(n):,})" if n else "")
                    for n, r in zip(sizes, ratios, strict=True)
                )
                lines.append(f"{arch_title(arch)}, {ARM_TITLES[arm]}: disagreement / unrelated seeds {steps}")
        for n in found.setup.n:
            runs = select.trained_runs(found, arch, n)
            if runs:
                own = np.mean([run.linear_fit.own for run in runs])
                zero = np.mean([run.linear_fit.own_zero for run in runs])
                copies = np.mean([run.nearest.memorised for run in runs])
                lines.append(
                    f"{where(arch, n)}: R² to the linear model {own:.2f} (about zero {zero:.2f}), "
                    f"copies {percent(float(copies))}, AUC {two_digits(float(np.mean([run.nearest.auc for run in runs])))}"
                )
    law, arm = select.best_law(found), select.shown_arms(found)[0]
    lines += [_predicted_line(row) for row in found.predictor_scores if row.predictor == law and row.arm == arm]
    return lines


def _failed(found: NetworkValidation) -> list[str]:
    """Why runs do not pass the gate, one a line for each run."""
    failed = [run for run in found.runs if not run.quality.passed]
    lines = [f"  {_run_title(run)}: {'; '.join(run.quality.reasons)}" for run in failed[:_FAILED_SHOWN]]
    if len(failed) > _FAILED_SHOWN:
        lines.append(f"  and {len(failed) - _FAILED_SHOWN:,} more; the report lists all of them")
    return lines


def _run_title(run: Run) -> str:
    """``model B`` of two given ones, or the name of a run."""
    return f"model {run.split}" if run.arch == "given" else run.key


def _predicted_line(row: PredictorScore) -> str:
    interval = f"{two_digits(row.seeds.low)} to {two_digits(row.seeds.high)}"
    return (
        f"{where(row.arch, row.n)}, {predictor_title(row.predictor)}: rank correlation over modes (relative) "
        f"{two_digits(row.relative.value)}, over seeds {two_digits(row.seeds.value)} ({interval}, "
        f"p {p_words(row.seeds.p_value)}), observed / predicted {number(row.factor, 2)}"
    )


def _tiles(found: NetworkValidation) -> list[Tile]:
    passed = sum(run.quality.passed for run in found.runs)
    arm = select.shown_arms(found)[0]
    tiles = [
        Tile(
            label="Runs that pass the gate",
            text=f"{passed:,} of {len(found.runs):,}",
            value=passed,
            hint="all averages leave out the others",
        )
    ]
    trained = [pair for pair in found.pairs if pair.arm == arm and pair.trained]
    if not trained:
        return tiles
    largest = max(pair.n for pair in trained)
    ratio = float(np.mean([pair.disagreement.ratio for pair in trained if pair.n == largest]))
    at = f"n = {largest:,}, {ARM_TITLES[arm]}" if largest else ARM_TITLES[arm]
    hint = f"ratio of squared distances; {at}"
    tiles.append(Tile(label="Disagreement / unrelated seeds", text=percent(ratio), value=ratio, hint=hint))
    runs = [run for run in found.runs if run.quality.passed and run.n == largest and run.split in ("A", "B")]
    r2 = float(np.mean([run.linear_fit.own for run in runs]))
    zero = float(np.mean([run.linear_fit.own_zero for run in runs]))
    tiles.append(
        Tile(
            label="R² to the linear model",
            text=f"{r2:.2f}",
            value=r2,
            hint=f"at the same n, about the mean image; {zero:.2f} about zero",
        )
    )
    rows = [
        p for p in found.predictor_scores if p.arm == arm and p.predictor == select.best_law(found) and p.n == largest
    ]
    if rows:
        value = finite_mean([row.relative.value for row in rows])
        seeds = finite_mean([row.seeds.value for row in rows])
        tiles.append(
            Tile(
                label="Rank correlation over modes",
                text=f"{value:.2f}",
                value=value,
                hint=f"of relative disagreement, predicted for linear models and observed; over seeds {two_digits(seeds)}",
            )
        )
    return tiles
