"""What a validation of networks says in words: answer, verdicts, tables and alternative texts, all computed from its numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._statistics import rank_correlation
from ..embed import Cell, Quantity
from ..words import number, percent, short
from . import select
from .figures import quotient
from .pictures import scatter_sizes
from .select import ARM_TITLES, arch_title, predictor_title

if TYPE_CHECKING:
    from ...validation.network.results import NetworkPair, NetworkValidation, PredictorScore, Run

#: Mean rank correlation of relative disagreement over modes from which on the order of modes counts as predicted.
PREDICTED = 0.8
#: An AUC from which on samples count as memorised, and the share of copies that does.
MEMORISED_AUC, COPIES = 0.75, 0.5


@dataclass(frozen=True)
class Line:
    """A row of a table with its mood: "yes", "partly" or "no"."""

    mood: str
    header: str
    words: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Findings:
    """Everything verbal on the page. `takeaways` and `alternatives` are keyed by the name of the figure."""

    mood: str
    answer: str
    arm: str  # which pairs the figures of one arm show
    lines: tuple[str, ...]  # verdicts, one a line: also what the terminal shows
    tiles: tuple[Quantity, ...]
    takeaways: dict[str, str]
    alternatives: dict[str, str]
    runs: tuple[Line, ...]
    run_columns: tuple[str, ...]
    pairs: tuple[Line, ...]
    predictors: tuple[Line, ...]
    design: tuple[tuple[str, str], ...]


def find(found: NetworkValidation) -> Findings:
    """Put a validation into words."""
    mood, answer = _answer(found)
    return Findings(
        mood=mood,
        answer=answer,
        arm=ARM_TITLES[select.shown_arms(found)[0]],
        lines=tuple(_lines(found)),
        tiles=tuple(_tiles(found)),
        takeaways=_takeaways(found),
        alternatives=_alternatives(found),
        runs=tuple(_run_line(run) for run in found.runs),
        run_columns=("Steps", "Parameters", "Seconds", "Loss / linear, held out", "Variance / data", "Excess", "Distance / linear",
                     "R² to linear", "about zero"),
        pairs=tuple(_pair_line(pair) for pair in found.pairs),
        predictors=tuple(_predictor_lines(found)),
        design=tuple(_design(found)),
    )  # fmt: skip


# ---------------------------------------------------------------- the answer
def _answer(found: NetworkValidation) -> tuple[str, str]:
    """Mood and headline, from the arm in which the data alone differ (or the first there is)."""
    arm = select.shown_arms(found)[0]
    trained = [pair for pair in found.pairs if pair.arm == arm and pair.trained]
    if not trained:
        return "no", "No pair of networks passes the gate: nothing can be said of their consistency."
    if found.arms == ("given",):
        return _given_answer(found, trained[0])
    rows = _best_rows(found, arm)
    modes = [p.relative.value for p in rows]
    seeds = [p.seeds.low > 0 for p in rows]
    falls = [_falls(found, arch, arm) for arch in found.archs]
    ordered = bool(modes) and float(np.mean(modes)) >= PREDICTED
    by_seed = bool(seeds) and bool(np.mean(seeds) > 0.5)
    less = all(fall is not False for fall in falls)
    largest = max(pair.n for pair in trained)
    ratio = np.mean([pair.disagreement.ratio for pair in trained if pair.n == largest])
    size = f"at n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{largest:,}"
    close = f"{size} images of one seed are {percent(float(ratio))} as far apart as those of unrelated seeds"
    claims = [
        *([(less, "that networks agree more with more data")] if any(fall is not None for fall in falls) else []),
        (ordered, "which modes agree first"),
        (by_seed, "on which seeds they differ"),
    ]
    told, untold = ([text for true, text in claims if true is wanted] for wanted in (True, False))
    if not untold:
        return "yes", f"The theory of linear models tells {_join(told)}; {close}."
    if not told:
        return "no", f"The theory of linear models does not tell how these networks differ; {close}."
    return "partly", f"The theory of linear models tells {_join(told)}, but not {_join(untold, 'nor')}; {close}."


def _join(parts: list[str], last: str = "and") -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def _given_answer(found: NetworkValidation, pair: NetworkPair) -> tuple[str, str]:
    close = f"draw images {percent(pair.disagreement.ratio)} as far apart as unrelated seeds do"
    laws = [p for p in found.predictions if p.predictor != "linear"]
    if not laws:
        return "partly", f"The two models {close}; without their number of training images nothing is predicted."
    best = max((p.relative.value for p in laws if math.isfinite(p.relative.value)), default=math.nan)
    if math.isnan(best):
        return "partly", f"The two models {close}."
    words = "in the order that the theory says" if best >= PREDICTED else "not in the order that the theory says"
    return ("yes" if best >= PREDICTED else "no"), f"The two models {close}; they differ by mode {words}."


def _best_rows(found: NetworkValidation, arm: str) -> list[PredictorScore]:
    law = select.best_law(found)
    return [p for p in found.predictions if p.arm == arm and p.predictor == law and math.isfinite(p.modes.value)]


def _falls(found: NetworkValidation, arch: str, arm: str) -> bool | None:
    """Whether the ratio at the largest trained n is below that at the smallest; None where there is one n alone."""
    sizes, ratios = select.mean_over_pairs(found, arch, arm, lambda pair: pair.disagreement.ratio)
    return None if sizes.size < 2 else bool(ratios[-1] < ratios[0])


def _lines(found: NetworkValidation) -> list[str]:
    passed = sum(run.quality.passed for run in found.runs)
    lines = [f"gate: {passed:,} of {len(found.runs):,} runs pass"]
    for arch in found.archs:
        for arm in select.shown_arms(found):
            sizes, ratios = select.mean_over_pairs(found, arch, arm, lambda pair: pair.disagreement.ratio)
            if sizes.size:
                steps = ", ".join(
                    number(float(r), 2) + (f" (n = {int(n):,})" if n else "")
                    for n, r in zip(sizes, ratios, strict=True)
                )
                lines.append(f"{arch_title(arch)}, {ARM_TITLES[arm]}: disagreement / unrelated seeds {steps}")
        for n in found.n:
            runs = select.trained_runs(found, arch, n)
            if runs:
                own = np.mean([run.r2_own for run in runs])
                zero = np.mean([run.r2_own_zero for run in runs])
                copies = np.mean([run.memorised for run in runs])
                lines.append(
                    f"{_at(arch, n)}: R² to the linear model {own:.2f} (about zero {zero:.2f}), "
                    f"copies {percent(float(copies))}, AUC {_two(float(np.mean([run.auc for run in runs])))}"
                )
    law, arm = select.best_law(found), select.shown_arms(found)[0]
    lines += [_predicted_line(row) for row in found.predictions if row.predictor == law and row.arm == arm]
    return lines


def _predicted_line(row: PredictorScore) -> str:
    where = f"{_at(row.arch, row.n)}, {predictor_title(row.predictor)}"
    seeds = f"{_two(row.seeds.value)} ({_two(row.seeds.low)} to {_two(row.seeds.high)}, p {_p(row.seeds.p_value)})"
    return (
        f"{where}: rank correlation over modes (relative) {_two(row.relative.value)}, over seeds {seeds}, observed / predicted "
        f"{number(row.factor, 2)}"
    )


def _two(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "–"


def _at(arch: str, n: int) -> str:
    """``UNet, n = 200``; without n where it is not known."""
    return f"{arch_title(arch)}, n = {n:,}" if n else arch_title(arch)


def _p(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1g}"


def _tiles(found: NetworkValidation) -> list[Quantity]:
    passed = sum(run.quality.passed for run in found.runs)
    arm = select.shown_arms(found)[0]
    tiles = [
        Quantity(
            "Runs that pass the gate", f"{passed:,} of {len(found.runs):,}", str(passed), "the others are in no average"
        )
    ]
    trained = [pair for pair in found.pairs if pair.arm == arm and pair.trained]
    if not trained:
        return tiles
    largest = max(pair.n for pair in trained)
    ratio = float(np.mean([pair.disagreement.ratio for pair in trained if pair.n == largest]))
    at = f"at n = {largest:,}, {ARM_TITLES[arm]}" if largest else ARM_TITLES[arm]
    tiles.append(Quantity("Disagreement / unrelated seeds", percent(ratio), repr(ratio), at))
    runs = [run for run in found.runs if run.quality.passed and run.n == largest and run.split in ("A", "B")]
    r2 = float(np.mean([run.r2_own for run in runs]))
    zero = float(np.mean([run.r2_own_zero for run in runs]))
    tiles.append(
        Quantity(
            "R² to the linear model",
            f"{r2:.2f}",
            repr(r2),
            f"at the same n; {zero:.2f} about zero in place of the mean image",
        )
    )
    rows = [p for p in found.predictions if p.arm == arm and p.predictor == select.best_law(found) and p.n == largest]
    if rows:
        value = _mean([row.relative.value for row in rows])
        seeds = _mean([row.seeds.value for row in rows])
        tiles.append(
            Quantity(
                "Rank correlation over modes",
                f"{value:.2f}",
                repr(value),
                f"relative disagreement, predicted and observed; over seeds {_two(seeds)}",
            )
        )
    return tiles


# ---------------------------------------------------------------- takeaways
def _takeaways(found: NetworkValidation) -> dict[str, str]:
    arm, law = select.shown_arms(found)[0], select.best_law(found)
    taken: dict[str, str] = {}
    failed = [run for run in found.runs if not run.quality.passed]
    taken["gate"] = (
        f"All {len(found.runs):,} runs denoise, vary and look like models of their data."
        if not failed
        else f"{len(failed):,} of {len(found.runs):,} runs are undertrained: {failed[0].key}, {failed[0].quality.reasons[0]}."
    )
    sentences = []
    for arch in found.archs:
        sizes, ratios = select.mean_over_pairs(found, arch, arm, lambda pair: pair.disagreement.ratio)
        if sizes.size > 1:
            verb = "falls" if ratios[-1] < ratios[0] else "does not fall"
            sentences.append(
                f"{arch_title(arch)}: the ratio {verb} from {number(float(ratios[0]), 2)} at n = {int(sizes[0]):,} to "
                f"{number(float(ratios[-1]), 2)} at n = {int(sizes[-1]):,}."
            )
        elif sizes.size:
            sentences.append(f"{arch_title(arch)}: the ratio is {number(float(ratios[0]), 2)}.")
    taken["consistency"] = " ".join(sentences) or "No pair passes the gate."
    taken["arms"] = _floor_words(found)
    taken["memorisation"] = _memorisation_words(found)
    taken["variance"] = _variance_words(found)
    taken["bands"] = _band_words(found, arm)
    if law is not None:
        taken["by_seed"] = _seed_words(found, arm, law)
    taken["by_distance"] = _distance_words(found, arm)
    taken["predictors"] = _predictor_words(found, arm)
    taken["factors"] = _factor_words(found, arm, law)
    taken["denoisers"] = _denoiser_words(found, arm, law)
    taken["strata"] = _strata_words(found, law)
    taken["manipulations"] = _manipulation_words(found, arm)
    return taken


def _floor_words(found: NetworkValidation) -> str:
    parts = []
    for arch in found.archs:
        for n in reversed(found.n):
            floor, same = (found.trained_pairs(arch, n, arm) for arm in ("floor", "same"))
            if floor and same:
                ratio = np.mean([p.disagreement.mean for p in same]) / np.mean([p.disagreement.mean for p in floor])
                parts.append(
                    f"{_at(arch, n)}: two networks on different data differ {number(float(ratio), 2)} times as much "
                    "as two on the same data with another initialisation."
                )
                break
    return " ".join(parts)


def _memorisation_words(found: NetworkValidation) -> str:
    parts = []
    if found.arms == ("given",):
        return " ".join(
            f"Model {run.split} {'memorises' if run.auc > MEMORISED_AUC or run.memorised > COPIES else 'does not memorise'}."
            for run in found.runs
            if math.isfinite(run.auc)
        )
    for arch in found.archs:
        copied: list[int] = []
        free: list[int] = []
        for n in found.n:
            runs = select.trained_runs(found, arch, n)
            if runs:
                auc, copies = (np.mean([getattr(run, name) for run in runs]) for name in ("auc", "memorised"))
                if math.isnan(auc):
                    continue
                (copied if auc > MEMORISED_AUC or copies > COPIES else free).append(n)
        if copied:
            parts.append(f"{arch_title(arch)} memorises{_sizes(copied)}.")
        if free:
            parts.append(f"{arch_title(arch)} does not memorise{_sizes(free)}.")
    return " ".join(parts)


def _sizes(sizes: list[int]) -> str:
    return f" at n = {', '.join(f'{n:,}' for n in sizes)}" if any(sizes) else ""


def _variance_words(found: NetworkValidation) -> str:
    kept = np.flatnonzero(select.alive(found))
    half = kept[kept.size // 2 :]
    parts = []
    for arch in found.archs:
        for n in (found.n[0], found.n[-1]) if len(found.n) > 1 else found.n:
            runs = select.trained_runs(found, arch, n)
            if runs:
                ratio = np.mean([run.variance[half].sum() for run in runs]) / found.eigenvalues[half].sum()
                linear = np.mean([run.variance_linear[half].sum() for run in runs]) / found.eigenvalues[half].sum()
                parts.append(
                    f"{_at(arch, n)}: the weaker half of the modes has {percent(float(ratio))} of the "
                    f"variance of the images, {percent(float(linear))} in linear models of the same sets."
                )
    return " ".join(parts)


def _band_words(found: NetworkValidation, arm: str) -> str:
    parts = []
    for arch in found.archs:
        sizes, values = select.mean_over_pairs(found, arch, arm, lambda pair: pair.disagreement.relative_bands)
        if sizes.size:
            last = values[-1]
            order = rank_correlation(np.arange(last.size), last).value
            parts.append(
                f"{_at(arch, int(sizes[-1]))}: relative disagreement goes from {number(float(last[0]), 2)} in the "
                f"top eigenband to {number(float(last[-1]), 2)} in the bottom one"
                + (f" (rank correlation with the band {order:.2f})." if math.isfinite(order) else ".")
            )
    return " ".join(parts)


def _seed_words(found: NetworkValidation, arm: str, law: str) -> str:
    rows = [p for p in found.predictions if p.arm == arm and p.predictor == law and p.n in scatter_sizes(found)]
    return " ".join(
        f"{_at(p.arch, p.n)}: Spearman {_two(p.seeds.value)} ({_two(p.seeds.low)} to "
        f"{_two(p.seeds.high)}), p = {_p(p.seeds.p_value)}."
        for p in rows
    )


def _distance_words(found: NetworkValidation, arm: str) -> str:
    parts = []
    for arch in found.archs:
        for n in scatter_sizes(found):
            trained = found.trained_pairs(arch, n, arm)
            if trained:
                runs = [select.run_by_key(found, pair.runs[0]) for pair in trained]
                x = np.mean([run.distance_linear for run in runs], axis=0)
                y = np.mean([pair.disagreement.seeds for pair in trained], axis=0)
                rank = rank_correlation(x, y)
                if math.isfinite(rank.value):
                    parts.append(f"{_at(arch, n)}: Spearman {rank.value:.2f}, p = {_p(rank.p_value)}.")
    return " ".join(parts)


def _predictor_words(found: NetworkValidation, arm: str) -> str:
    means = []
    for name in select.predictors(found):
        rows = [p for p in found.predictions if p.predictor == name and p.arm == arm]
        values = [[p.relative.value for p in rows], [p.seeds.value for p in rows]]
        if rows:
            means.append((name, _mean(values[0]), _mean(values[1])))
    laws = [entry for entry in means if entry[0] != "linear" and math.isfinite(entry[2])]
    if not laws:
        return ""
    best = max(laws, key=lambda entry: entry[2])
    rest = "; ".join(f"{predictor_title(name)} {_two(modes)} and {_two(seeds)}" for name, modes, seeds in means)
    floor = _mean([p.relative.value for p in found.predictions if p.arm == "floor" and p.predictor == best[0]])
    alone = (
        ""
        if math.isnan(floor)
        else f" Two networks on the same data, which theory does not speak of, show {floor:.2f} over modes."
    )
    return (
        f"Of the laws the {predictor_title(best[0])} orders seeds best. Mean rank correlation over modes (relative) and seeds: "
        f"{rest}.{alone}"
    )


def _mean(values: list[float]) -> float:
    """Of what is there, NaN where nothing is."""
    there = [value for value in values if math.isfinite(value)]
    return float(np.mean(there)) if there else math.nan


def _factor_words(found: NetworkValidation, arm: str, law: str | None) -> str:
    rows = [p for p in found.predictions if p.arm == arm and p.predictor == law]
    return " ".join(f"{_at(p.arch, p.n)}: disagreement is {number(p.factor, 2)} times that predicted." for p in rows)


def _denoiser_words(found: NetworkValidation, arm: str, law: str | None) -> str:
    parts = []
    for arch in found.archs:
        n = next((n for n in reversed(found.n) if found.trained_pairs(arch, n, arm)), None)
        forecast = None if n is None or law is None else found.forecast(law, n)
        if n is not None and forecast is not None:
            trained = found.trained_pairs(arch, n, arm)
            ratio = np.mean([pair.denoiser for pair in trained], axis=0) / forecast.denoiser
            low, high = (number(float(v), 2) for v in (ratio.min(), ratio.max()))
            parts.append(f"{_at(arch, n)}: denoisers disagree {low} to {high} times as much as predicted.")
    return " ".join(parts)


def _strata_words(found: NetworkValidation, law: str | None) -> str:
    parts = []
    for block in found.strata:
        upper = np.triu_indices(len(block.names))
        seen = np.isfinite(block.observed[upper])
        if seen.sum() > 2 and law in block.predicted and law is not None:
            rank = rank_correlation(block.observed[upper][seen], block.predicted[law][upper][seen]).value
            parts.append(
                f"{_at(block.arch, block.n)}: i.i.d. sets disagree by {number(float(block.observed[0, 0]), 2)}, "
                f"strata along component {block.component + 1} by up to {number(float(np.nanmax(block.observed)), 2)}; rank "
                f"correlation with the prediction {rank:.2f}."
            )
    return " ".join(parts)


def _manipulation_words(found: NetworkValidation, arm: str) -> str:
    parts = []
    for arch in found.archs:
        n = next((n for n in reversed(found.n) if found.trained_pairs(arch, n, arm)), None)
        rows = {(m.part, m.factor): m for m in found.manipulations if (m.arch, m.n, m.arm) == (arch, n, arm)}
        for part in ("top", "bottom"):
            if (part, 0.0) in rows and (part, 1.0) in rows:
                ratio, linear = (
                    quotient(getattr(rows[part, 0.0], side), getattr(rows[part, 1.0], side))
                    for side in ("observed", "linear")
                )
                parts.append(
                    f"{arch_title(arch)}: without the {part} modes of the seeds networks disagree {number(ratio, 2)} times as "
                    f"much as with them, linear models {number(linear, 2)} times."
                )
    return " ".join(parts)


# ---------------------------------------------------------------- tables
def _cell(value: float, digits: int = 3) -> Cell:
    return Cell(number(value, digits), repr(float(value)) if math.isfinite(value) else "")


def _run_line(run: Run) -> Line:
    quality = run.quality
    worst = float(np.max(quality.held_out / quality.held_out_linear))
    cells = (
        Cell(f"{run.steps:,}", str(run.steps)), Cell(f"{run.parameters:,}", str(run.parameters)), _cell(run.seconds, 2),
        _cell(worst), _cell(float(quality.variance.sum() / quality.variance_data.sum())), _cell(quality.excess, 2),
        _cell(quality.distance / quality.distance_linear), _cell(run.r2_own), _cell(run.r2_own_zero),
    )  # fmt: skip
    words = "passes" if quality.passed else "undertrained: " + "; ".join(quality.reasons)
    return Line("yes" if quality.passed else "no", run.key, words, cells)


def _pair_line(pair: NetworkPair) -> Line:
    name = f"{_at(pair.arch, pair.n)}, repeat {pair.repeat + 1}"
    cells = (_cell(pair.disagreement.mean), _cell(pair.disagreement.unrelated), _cell(pair.disagreement.ratio))
    words = ARM_TITLES[pair.arm] + ("" if pair.trained else "; undertrained, in no average")
    return Line("yes" if pair.trained else "no", name, words, cells)


def _predictor_lines(found: NetworkValidation) -> list[Line]:
    lines = []
    for p in (p for p in found.predictions if p.arm != "floor"):  # of which no law speaks
        mood = "yes" if p.relative.value >= PREDICTED else "partly" if p.relative.value > 0 else "no"
        interval = Cell(f"{_two(p.seeds.low)} to {_two(p.seeds.high)}", "")
        values = (p.modes, p.relative, p.relative_pearson, p.seeds)
        last = (interval, Cell(_p(p.seeds.p_value), ""), _cell(p.seeds_pearson.value, 2), _cell(p.factor, 2))
        cells = (*(_cell(value.value, 2) for value in values), *last)
        lines.append(Line(mood, f"{_at(p.arch, p.n)}, {ARM_TITLES[p.arm]}", predictor_title(p.predictor), cells))
    return lines


def _design(found: NetworkValidation) -> list[tuple[str, str]]:
    size = " × ".join(str(k) for k in found.shape)
    rows = [("Data", found.source or "–")]
    if found.description:
        rows.append(("Description", found.description))
    rows += [
        ("Images", f"{found.images:,}, {size} values each"),
        ("Architectures", ", ".join(arch_title(arch) for arch in found.archs)),
        ("n", ", ".join(f"{n:,}" for n in found.n) if any(found.n) else "not known"),
        ("Pairs", "; ".join(ARM_TITLES[arm] for arm in found.arms)),
        ("Repeats", str(found.repeats)),
        ("Seeds", f"{found.seeds.size:,}, from {int(found.seeds[0])} on"),
        ("Sampler", f"Heun, {found.sampler_steps} steps from σ = {short(found.sigma_max)}"),
        ("Preset", found.preset), ("Seed of splits and training", str(found.seed)), ("Device", found.device),
    ]  # fmt: skip
    return rows


# ---------------------------------------------------------------- alternative texts
def _alternatives(found: NetworkValidation) -> dict[str, str]:
    archs = ", ".join(arch_title(arch) for arch in found.archs)
    sizes = _sizes(list(found.n)).replace(" at ", "; ")
    words = {
        "gate": "Denoising loss of every run over that of the linear denoiser against noise level",
        "gallery": "Grid of images: the same seeds through two networks, two linear models, and their nearest training images",
        "consistency": "Disagreement over that of unrelated seeds against the number of training images, with baselines and theory",
        "arms": "Disagreement over the optimisation floor against the number of training images",
        "memorisation": "Share of copies, AUC of nearness to the own training set, and nearest-image distances against n",
        "variance": "Generated variance by mode over the variance of the images, networks, linear models and theory",
        "bands": "Relative disagreement by eigenband against the number of training images, networks and theory",
        "by_seed": "Scatter of observed against predicted disagreement, a point a seed",
        "by_distance": "Scatter of disagreement against the distance of the sample to its linear prediction, a point a seed",
        "predictors": "Rank correlations of predicted and observed disagreement over modes and seeds with intervals",
        "factors": "Observed over predicted disagreement by eigenband",
        "denoisers": "Squared distance of two denoisers against noise level, observed and predicted",
        "strata": "Matrices of the disagreement of models of any two strata: networks, linear models, theory",
        "manipulations": "Disagreement with modes of the seeds suppressed or doubled over that of plain seeds",
    }
    return {name: f"{text}; {archs}{sizes}." for name, text in words.items()}
