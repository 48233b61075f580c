"""What the numbers of a prediction say in words: verdict, takeaways, tables and alternative texts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..._checks import FloatArray
from ..._statistics import rank_correlation
from ...bands import Band
from ...consistency.prediction import Prediction
from ...laws import REGISTRY, LawSpec, law_spec
from ...moments import has_variance
from ...sample_size import LARGEST_N
from .. import numbers
from ..words import count, number, percent, percent_setting, short
from .figures import MAX_MODES, seed_relative
from .law import kurtosis_words, law_alternatives, law_takeaways

OVERSHRUNK = 0.9  # a mode counts as over-shrunk when it keeps less than this part of its amplitude
TABLE_SEEDS = 6  # seeds at each end of the table


@dataclass(frozen=True)
class Quantity:
    """A number with the words around it; `raw` is the unrounded value for the ``data`` element, empty for words."""

    label: str
    text: str
    raw: str
    hint: str


@dataclass(frozen=True)
class Cell:
    """A table cell: rounded text and unrounded value."""

    text: str
    raw: str


@dataclass(frozen=True)
class Row:
    """A table row: its header and its cells."""

    header: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Findings:
    """Everything verbal on the page. The dictionaries are keyed by the name of the figure."""

    reference: str
    verdict: str  # "yes", "partly" or "no"
    answer: str  # the verdict as a sentence
    disagreement: Cell
    rms: str
    tolerance: str
    plan: str
    spread: str
    quantities: tuple[Quantity, ...]
    takeaways: dict[str, str]
    alternatives: dict[str, str]
    bands: tuple[Row, ...]
    sizes: tuple[Row, ...]
    kappa_levels: tuple[str, ...]
    seeds: tuple[tuple[str, tuple[Row, ...]], ...]
    law: LawSpec
    laws: tuple[LawSpec, ...]  # all there are
    kurtosis: str


def reference_row(prediction: Prediction) -> int:
    """Index of the reference n."""
    return prediction.reference


def find(prediction: Prediction) -> Findings:
    """Put a prediction into words."""
    row = reference_row(prediction)
    verdict, answer = _verdict(prediction)
    total = float(prediction.totals.relative[row])
    levels = _kappa_levels(prediction)
    return Findings(
        reference=f"{prediction.reference_n:,}",
        verdict=verdict,
        answer=answer,
        disagreement=_cell(total, percent(total)),
        rms=number(float(prediction.totals.disagreement[row]) ** 0.5, 2),
        tolerance=percent_setting(prediction.tolerance),
        plan=_plan(prediction),
        spread=_spread(prediction),
        quantities=_quantities(prediction),
        takeaways=_takeaways(prediction),
        alternatives=_alternatives(prediction),
        bands=_band_rows(prediction),
        sizes=_size_rows(prediction, levels),
        kappa_levels=tuple(short(float(prediction.noise.sigma[k]), 2) for k in levels),
        seeds=_seed_rows(prediction),
        law=law_spec(prediction.law),
        laws=tuple(REGISTRY.values()),
        kurtosis=kurtosis_words(prediction),
    )


def _cell(value: float, text: str | None = None) -> Cell:
    return Cell(number(value) if text is None else text, repr(float(value)))


def _band_name(prediction: Prediction, index: int) -> str:
    return prediction.bands.ranges[index].label.replace("-", "–")


def _band_names(prediction: Prediction, indices: list[int]) -> list[str]:
    """Names of some bands, those that touch joined into one."""
    merged: list[Band] = []
    for band in (prediction.bands.ranges[index] for index in indices):
        if merged and merged[-1].stop == band.start:
            merged[-1] = Band(merged[-1].start, band.stop)
        else:
            merged.append(band)
    return [band.label.replace("-", "–") for band in merged]


def _join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def _plural(n: int, word: str) -> str:
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


# ---------------------------------------------------------------- the answer
def _verdict(prediction: Prediction) -> tuple[str, str]:
    """Do two models agree at the reference n, to the tolerance: in total, and in every band?"""
    row = reference_row(prediction)
    relative, tolerance = prediction.bands.relative[row], prediction.tolerance
    beyond = _band_names(prediction, [b for b in range(len(prediction.bands.ranges)) if relative[b] > tolerance])
    everywhere = bool(np.all(relative > tolerance))
    n, within = f"{prediction.reference_n:,}", percent_setting(tolerance)
    if not prediction.totals.relative[row] <= tolerance:
        worst = f", least of all in {beyond[-1]}" if beyond and not everywhere else ""
        return "no", f"No: with {n} images each, two models will not agree within {within}{worst}."
    if beyond:
        some = f"two models will agree within {within} overall, but not in {_join(beyond)}."
        return "partly", f"In part: with {n} images each, {some}"
    every = f"two models will agree within {within}, from the strongest patterns to the weakest."
    return "yes", f"Yes: with {n} images each, {every}"


def _plan(prediction: Prediction) -> str:
    """How many images would do."""
    within = f"within {percent_setting(prediction.tolerance)}"
    needed = [(k, index) for index, k in enumerate(prediction.bands.images_needed) if k is not None]
    never = _band_names(prediction, [b for b, k in enumerate(prediction.bands.images_needed) if k is None])
    if not prediction.bands.images_needed:
        return ""
    some = "practical number of images" if prediction.largest_n >= LARGEST_N else f"n up to {prediction.largest_n:,}"
    if never and not needed:
        return f"No {some} brings any eigenband {within}."
    most, index = max(needed)
    if not never:
        slowest = "" if len(needed) == 1 else f" (the last to get there: {_band_name(prediction, index)})"
        return f"Agreement {within} in every eigenband takes {count(most)} images in each training set{slowest}."
    return (
        f"Agreement {within} takes {count(most)} images in each training set, except in {_join(never)}: "
        f"there no {some} is enough."
    )


def _never(prediction: Prediction) -> str:
    """What stands for the images needed where no n that can be asked is enough."""
    if prediction.largest_n >= LARGEST_N:
        return "more than any practical n"
    return f"more than {prediction.largest_n:,}"


def _spread(prediction: Prediction) -> str:
    """How much seeds differ among themselves."""
    values = prediction.seeds.disagreement[reference_row(prediction)]
    if values.size < 2 or not values.min() > 0:
        return ""
    low, high = int(np.argmin(values)), int(np.argmax(values))
    return (
        f"Seeds differ: of the {values.size:,} examined, the least consistent (seed {int(prediction.seeds.numbers[high])}) "
        f"disagrees {number(float(values[high] / values[low]), 2)} times as much as the most consistent "
        f"(seed {int(prediction.seeds.numbers[low])})."
    )


def _quantities(prediction: Prediction) -> tuple[Quantity, ...]:
    row = reference_row(prediction)
    total = float(prediction.totals.relative[row])
    known = [k for k in prediction.bands.images_needed if k is not None]
    if not prediction.bands.images_needed:
        enough, raw = "–", ""
    elif len(known) < len(prediction.bands.images_needed):
        enough, raw = _never(prediction), ""
    else:
        enough, raw = count(max(known)), str(max(known))
    kept = _kept(prediction)[row]
    weak, alive = int(np.sum(kept < OVERSHRUNK)), int(np.sum(np.isfinite(kept)))
    factor = float(numbers.ratio(prediction.noise.kappa[row, :1], prediction.noise.sigma[:1] ** 2)[0])
    lowest = short(float(prediction.noise.sigma[0]), 2)
    return (
        Quantity("Disagreement", percent(total), repr(total), "0 % is identical, 100 % is unrelated"),
        Quantity(
            f"Images for {percent_setting(prediction.tolerance)}",
            enough,
            raw,
            "in each training set, for every eigenband",
        ),
        Quantity(
            "Over-shrunk modes",
            f"{weak:,} of {alive:,}",
            str(weak),
            f"patterns that lose more than {percent_setting(1 - OVERSHRUNK)} of their amplitude",
        ),
        Quantity(
            "Noise factor",
            number(factor),
            repr(factor),
            f"how much larger noise appears at the lowest noise level, κ/σ² at σ = {lowest}",
        ),
    )


def _kept(prediction: Prediction) -> FloatArray:
    """(T, d) part of each mode's amplitude that survives, NaN for modes without variance."""
    kept = numbers.ratio(prediction.modes.gain, prediction.modes.gain_ideal)
    return np.where(has_variance(prediction.eigenvalues), kept, np.nan)


# ---------------------------------------------------------------- takeaways
def _takeaways(prediction: Prediction) -> dict[str, str]:
    return {
        "disagreement_by_n": _take_n(prediction),
        "disagreement_by_mode": _take_mode(prediction),
        "disagreement_by_seed": _take_seed(prediction),
        "seed_images": _take_images(prediction),
        "renormalised_noise": _take_kappa(prediction),
        "shrinkage": _take_shrinkage(prediction),
        "mode_pairs": _take_pairs(prediction),
        **law_takeaways(prediction),
        "spectrum": _take_spectrum(prediction),
        "eigenmodes": _take_eigenmodes(prediction),
    }


def _take_n(prediction: Prediction) -> str:
    row = reference_row(prediction)
    relative = prediction.bands.relative[row]
    if not relative.size:
        return f"At n = {prediction.reference_n:,} the disagreement is {percent(prediction.totals.relative[row])}."
    worst, best = int(np.nanargmax(relative)), int(np.nanargmin(relative))
    name, verb = _band_name(prediction, worst), _verb(prediction, worst, "disagree")
    text = f"At n = {prediction.reference_n:,}, {name} {verb} by {percent(relative[worst])}"
    text += "." if worst == best else f", {_band_name(prediction, best)} by {percent(relative[best])}."
    total = prediction.totals.relative
    if len(prediction.n) > 1 and total[-1] > 0 and total[-2] > 0:
        slope = float(np.log(total[-2] / total[-1]) / np.log(prediction.n[-1] / prediction.n[-2]))
        text += f" Between the two largest n, twice the images divide the total by {number(2**slope, 2)}."
    return text


def _verb(prediction: Prediction, band: int, verb: str) -> str:
    single = prediction.bands.ranges[band].stop - prediction.bands.ranges[band].start == 1
    return verb + "s" if single else verb


def _take_mode(prediction: Prediction) -> str:
    row = reference_row(prediction)
    relative = np.where(has_variance(prediction.eigenvalues), prediction.modes.relative[row], np.nan)
    alive = np.isfinite(relative)
    if not alive.any():
        return "No mode has any variance."
    worst = int(np.nanargmax(relative))
    agree = int(np.sum(relative[alive] <= prediction.tolerance))
    text = (
        f"With {prediction.reference_n:,} images, {agree:,} of {_plural(int(alive.sum()), 'mode')} agree within "
        f"{percent_setting(prediction.tolerance)}; mode {worst + 1:,} is the furthest off, "
        f"at {percent(relative[worst])}."
    )
    part = prediction.modes.disagreement[row]
    if np.isfinite(part).all() and part.sum() > 0:
        half = int(np.searchsorted(np.cumsum(np.sort(part)[::-1]), 0.5 * part.sum())) + 1
        text += f" Half of the whole squared distance lies in {_plural(half, 'mode')}."
    return text


def _take_seed(prediction: Prediction) -> str:
    if not prediction.seeds.numbers.size:
        return ""
    text = _spread(prediction) or "All seeds that were examined disagree equally."
    row = reference_row(prediction)
    if len(prediction.n) < 2 or prediction.seeds.numbers.size < 3:
        return text
    other = 0 if row else len(prediction.n) - 1
    agreement = rank_correlation(prediction.seeds.disagreement[row], prediction.seeds.disagreement[other]).value
    if math.isnan(agreement):
        return text
    word = "nearly the same" if agreement > 0.9 else "similar" if agreement > 0.6 else "different"
    return (
        f"{text} The order of the seeds is {word} at n = {int(prediction.n[other]):,} "
        f"(rank correlation {agreement:.2f})."
    )


def _take_images(prediction: Prediction) -> str:
    most, least = prediction.seeds.most_consistent, prediction.seeds.least_consistent
    if most is None or least is None or not len(most.numbers) or not len(least.numbers):
        return ""
    low, high = (float(np.sqrt(np.mean(group.pixel_std[end] ** 2))) for group, end in ((most, 0), (least, -1)))
    part = "pixel" if len(prediction.shape) > 1 else "component"
    return (
        f"From one training set to another, a {part} of seed {int(least.numbers[-1])} varies by {number(high, 2)} "
        f"(standard deviation), one of seed {int(most.numbers[0])} by {number(low, 2)}."
    )


def _take_kappa(prediction: Prediction) -> str:
    row = reference_row(prediction)
    sigma, kappa = float(prediction.noise.sigma[0]), float(prediction.noise.kappa[row, 0])
    factor = float(numbers.ratio(np.array(kappa), np.array(sigma**2)))
    return (
        f"At the lowest noise level, σ = {short(sigma, 2)}, a model trained on {prediction.reference_n:,} images "
        f"treats noise of variance {short(sigma**2)} as if it were {number(kappa)}: {number(factor)} times as much."
    )


def _take_shrinkage(prediction: Prediction) -> str:
    kept = _kept(prediction)[reference_row(prediction)]
    alive = int(np.sum(np.isfinite(kept)))
    if not alive:
        return "No mode has any variance."
    weak, worst = int(np.sum(kept < OVERSHRUNK)), int(np.nanargmin(kept))
    return (
        f"With {prediction.reference_n:,} images, {weak:,} of {_plural(alive, 'mode')} "
        f"{'loses' if weak == 1 else 'lose'} more than {percent_setting(1 - OVERSHRUNK)} of the amplitude; "
        f"the hardest hit, mode {worst + 1:,}, keeps {percent(kept[worst])}."
    )


def _take_pairs(prediction: Prediction) -> str:
    values = prediction.modes.pairs.variance
    if not values.size or not np.nanmax(values) > 0:
        return "The map does not vary between training sets."
    k, j = np.unravel_index(int(np.nanargmax(values)), values.shape)
    image, seed = (int(prediction.modes.pairs.modes[int(i)]) + 1 for i in (k, j))
    return (
        f"Training sets vary most in how much of mode {seed} of the seed reaches mode {image} of the image; "
        f"that entry has standard deviation {number(float(values[k, j]) ** 0.5, 2)}."
    )


def _take_spectrum(prediction: Prediction) -> str:
    s = prediction.eigenvalues
    if not s.sum() > 0:
        return "The data have no variance."
    enough = int(np.searchsorted(np.cumsum(s), 0.9 * s.sum())) + 1
    alive = s[has_variance(s)]
    span = f"the eigenvalues span a factor of {number(float(alive.max() / alive.min()), 2)}."
    if not _each_mode_once(prediction):
        return span[0].upper() + span[1:]
    verb = "holds" if enough == 1 else "hold"
    return f"The first {_plural(enough, 'mode')} of {s.size:,} {verb} {percent_setting(0.9)} of the variance; {span}"


def _take_eigenmodes(prediction: Prediction) -> str:
    shown = min(len(prediction.eigenmodes), MAX_MODES)
    total = float(prediction.eigenvalues.sum())
    if not shown or not total > 0 or not _each_mode_once(prediction):
        return ""
    share = percent(float(prediction.eigenvalues[:shown].sum()) / total)
    return f"The {_plural(shown, 'mode')} shown {'holds' if shown == 1 else 'hold'} {share} of the variance."


# ---------------------------------------------------------------- tables
def _band_rows(prediction: Prediction) -> tuple[Row, ...]:
    row = reference_row(prediction)
    total = float(prediction.eigenvalues.sum())
    rows = []
    for index, band in enumerate(prediction.bands.ranges):
        part = prediction.eigenvalues[band.start : band.stop].sum()
        share = float(numbers.ratio(part, np.array(total))) if _each_mode_once(prediction) else float("nan")
        relative = float(prediction.bands.relative[row, index])
        needed = prediction.bands.images_needed[index]
        images = Cell(_never(prediction), "") if needed is None else Cell(count(needed), str(needed))
        header = _band_name(prediction, index)
        rows.append(Row(header, (_cell(share, percent(share)), _cell(relative, percent(relative)), images)))
    return tuple(rows)


def _each_mode_once(prediction: Prediction) -> bool:
    """Whether the eigenvalues are listed one by one; where they have multiplicities there are no seeds, and sums over
    the list are no sums over modes."""
    return bool(prediction.seeds.numbers.size)


def _kappa_levels(prediction: Prediction) -> list[int]:
    """Three noise levels of the table: the lowest and those nearest to 0.1 and 1."""
    sigma = prediction.noise.sigma
    return sorted({0, *(int(np.argmin(np.abs(np.log(np.maximum(sigma, 1e-300) / x)))) for x in (0.1, 1.0))})


def _size_rows(prediction: Prediction, levels: list[int]) -> tuple[Row, ...]:
    rows = []
    for index, n in enumerate(prediction.n):
        relative = float(prediction.totals.relative[index])
        cells = [_cell(float(prediction.noise.kappa[index, k])) for k in levels]
        cells += [_cell(float(prediction.totals.disagreement[index])), _cell(relative, percent(relative))]
        rows.append(Row(f"{int(n):,}", tuple(cells)))
    return tuple(rows)


def _seed_rows(prediction: Prediction) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    row = reference_row(prediction)
    absolute, relative = prediction.seeds.disagreement[row], seed_relative(prediction)[row]
    order = np.argsort(absolute, kind="stable")
    ends = max(1, min(TABLE_SEEDS, order.size // 2)) if order.size else 0

    def rows(indices: list[int]) -> tuple[Row, ...]:
        cells = ((_cell(float(absolute[k])), _cell(float(relative[k]), percent(float(relative[k])))) for k in indices)
        return tuple(Row(str(int(prediction.seeds.numbers[k])), c) for k, c in zip(indices, cells, strict=True))

    most, least = order[:ends].tolist(), order[::-1][:ends].tolist()
    return (("Most consistent", rows(most)), ("Least consistent", rows(least))) if ends else ()


# ---------------------------------------------------------------- alternative texts
def _alternatives(prediction: Prediction) -> dict[str, str]:
    """One sentence on what each figure draws; the takeaway beside it says what it shows."""
    sizes = _join([f"{int(n):,}" for n in prediction.n])
    each = f"one curve for each n = {sizes}"
    at = f"at n = {prediction.reference_n:,}"
    return {
        "disagreement_by_n": "Relative disagreement against the number of training images n, logarithmic axes, one "
        f"curve for each of {_plural(len(prediction.bands.ranges), 'eigenband')} and one for all modes, with the tolerance.",
        "disagreement_by_mode": "Two panels against the mode number: squared distance and relative disagreement of "
        f"each mode, {each}.",
        "disagreement_by_seed": f"Left: relative disagreement of {_plural(prediction.seeds.numbers.size, 'seed')}, one strip "
        f"for each n = {sizes}. Right: the seeds in order of disagreement {at}.",
        "seed_images": f"Predicted samples of the most and the least consistent seeds {at}, each with the standard "
        "deviation of its parts over training sets.",
        "renormalised_noise": f"Renormalised noise κ against noise variance σ², and their ratio, {each}, with the "
        "line κ = σ² of infinite data.",
        "shrinkage": "Gain of each mode with n images relative to infinite data for the sampling map, and gains of "
        f"denoisers, {each}.",
        "mode_pairs": f"Matrix of the variance of the sampling map between modes of the seed and of the image {at}, "
        "logarithmic colours.",
        **law_alternatives(prediction),
        "spectrum": f"Eigenvalues of the {_plural(prediction.eigenvalues.size, 'mode')} of the data in descending "
        "order, logarithmic axes, with the eigenbands marked.",
        "eigenmodes": "The mean and the leading eigenmodes of the data.",
    }
