"""Score predictors of the seeds on which two trained networks disagree: ``python benchmarks/seeds/score.py [PREDICTOR ...]``.

A predictor is a name (posterior_variance, another_pair, trivial, or a law such as empirical), or a .npy file with one number
for each seed, larger where more disagreement is expected, or with one map of the image's shape for each seed. README.md beside this
file explains the predictors that are scored by default and every row of the table.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kappaflow.report.kinds import ARM_TITLES, arch_title
from kappaflow.report.network.select import predictor_title
from kappaflow.validation.export import plain
from kappaflow.validation.laws import compared_laws, most_general
from kappaflow.validation.network.amounts import amounts_from_smaller_sizes
from kappaflow.validation.network.members import ARM_RUNS, PairKind
from kappaflow.validation.network.results import ANOTHER_PAIR, POSTERIOR, TRIVIAL, AmountScore, SeedScore
from kappaflow.validation.network.seeds import score_orders

from seedsets import SeedSet, SeedSetError, available, joined, load  # isort: skip

__all__ = ["DEFAULT", "PREDICTORS", "Prediction", "Result", "main", "predict", "score", "score_amounts", "table"]

FloatArray = npt.NDArray[np.float64]

#: The trivial predictor of this benchmark alone, and its title: minus the mean square pixel of what the linear model of all images
#: makes of the seed, clipped to the range of pixels first; they are between -1 and 1, and 0 is mid-grey.
GREY_CLIPPED = "grey_clipped"
_TITLES = {
    GREY_CLIPPED: "greyness of the clipped linear image (trivial)",
}
#: Predictors by name.
PREDICTORS = (POSTERIOR, ANOTHER_PAIR, TRIVIAL, GREY_CLIPPED, *compared_laws())
#: Those that are scored by default.
DEFAULT = (POSTERIOR, ANOTHER_PAIR, TRIVIAL, GREY_CLIPPED, most_general(compared_laws()) or "")
#: What scores cannot be computed for.
_NONE = "–"


@dataclass(frozen=True)
class Prediction:
    """What a predictor expects of the pairs of one kind.

    Attributes
    ----------
    seeds : (Z,) a number for each seed, larger where more disagreement is expected
    maps : (Z′, d) the same for the pixels of at least the first 64 seeds, or None
    amount : whether `seeds` are disagreements ‖a − b‖²/d, and not only an order
    """

    seeds: FloatArray
    maps: FloatArray | None = None
    amount: bool = False


@dataclass(frozen=True)
class Result:
    """Scores of all predictors over the pairs of one kind.

    Attributes
    ----------
    kind : architecture, n and arm
    pairs : how many pairs there are
    ratio : observed disagreement relative to unrelated seeds
    scores : of each predictor
    factors : observed over predicted disagreement, of the predictors that predict an amount
    """

    kind: PairKind
    pairs: int
    ratio: float
    scores: dict[str, SeedScore]
    factors: dict[str, float]


# ---------------------------------------------------------------- predictors
def predict(seed_set: SeedSet, kind: PairKind, name: str, *, amount: bool = False) -> Prediction:
    """The prediction of a predictor for the pairs of one kind. A predictor that is built in has a case here.

    Parameters
    ----------
    seed_set, kind : the pairs
    name : a name, or a file
    amount : whether the numbers of a file are disagreements

    Raises
    ------
    SeedSetError
        There is no such predictor, or a file does not fit.
    """
    if name == POSTERIOR:
        return Prediction(seed_set.posterior.seeds, seed_set.maps(kind.n)[name])
    if name == TRIVIAL:
        return Prediction(seed_set.posterior.trivial)
    if name == GREY_CLIPPED:
        maps = -(np.clip(seed_set.linear, -1, 1) ** 2)
        return Prediction(maps.mean(axis=1), maps)
    if name in compared_laws():  # of the amount that different training sets cause
        return Prediction(
            seed_set.law(name, kind.n).disagreement.seeds, seed_set.maps(kind.n).get(name), amount=kind.arm != "floor"
        )
    return _from_file(seed_set, name, amount=amount)


def _from_file(seed_set: SeedSet, name: str, *, amount: bool) -> Prediction:
    """The numbers (Z,) of a .npy file, or its maps (Z, *shape), whose mean over the pixels orders the seeds."""
    if Path(name).suffix != ".npy":
        raise SeedSetError(f"PREDICTOR must be one of {joined(PREDICTORS)}, or a .npy file; got {name!r}")
    try:
        values = np.load(name, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SeedSetError(f"PREDICTOR {name!r} cannot be read: {error}") from error
    count, shape = len(seed_set.context.seeds), seed_set.context.shape
    if values.shape not in ((count,), (count, *shape), (count, math.prod(shape))):
        raise SeedSetError(
            f"PREDICTOR {name!r} must hold one number for each of the {count} seeds of {seed_set.name!r}, or a map "
            f"{shape} for each: shape {(count,)} or {(count, *shape)}; got {values.shape}"
        )
    if values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        raise SeedSetError(f"PREDICTOR {name!r} must hold finite real numbers, got others ({values.dtype})")
    rows = values.reshape(count, -1).astype(np.float64)
    return Prediction(rows.mean(axis=1), None if values.ndim == 1 else rows, amount)


# ---------------------------------------------------------------- scores
def score(seed_set: SeedSet, kind: PairKind, predictors: Sequence[str], *, amount: bool = False) -> Result:
    """Scores of predictors over the pairs of one kind.

    Parameters
    ----------
    seed_set, kind : the pairs
    predictors : names and files
    amount : whether the numbers of files are disagreements

    Raises
    ------
    SeedSetError
        See :func:`predict`.
    """
    predictions = {name: predict(seed_set, kind, name, amount=amount) for name in predictors if name != ANOTHER_PAIR}
    apart = [(a - b) ** 2 for a, b in seed_set.pairs(kind)]
    scores = score_orders(
        kind,
        apart,
        {name: prediction.seeds for name, prediction in predictions.items()},
        {name: prediction.maps for name, prediction in predictions.items() if prediction.maps is not None},
    )
    by_name = {row.predictor: row for row in scores}
    observed = [float(each.mean()) for each in apart]
    factors = {
        name: float(np.mean(observed) / prediction.seeds.mean())
        for name, prediction in predictions.items()
        if prediction.amount and prediction.seeds.any()
    }
    if len(apart) > 1:
        factors[ANOTHER_PAIR] = float(np.mean(observed[1:])) / observed[0]
    shown = [name for name in predictors if name in by_name]
    return Result(
        kind=kind,
        pairs=len(apart),
        ratio=seed_set.ratio(kind),
        scores={name: by_name[name] for name in shown},
        factors={name: factors[name] for name in shown if name in factors},
    )


def score_amounts(seed_set: SeedSet, results: Sequence[Result]) -> list[AmountScore]:
    """The amount at each size as the smaller sizes of these results predict it, see :func:`kappaflow.fit_common_floor`."""
    law, rows = most_general(compared_laws()), []
    assert law is not None
    for arch in dict.fromkeys(result.kind.arch for result in results):
        ratios = {
            arm: {r.kind.n: r.ratio for r in results if (r.kind.arch, r.kind.arm) == (arch, arm)} for arm in ARM_RUNS
        }
        sizes = sorted(ratios["different"])
        forecasts = {n: seed_set.law(law, n).disagreement.ratio for n in sizes}
        rows += amounts_from_smaller_sizes(arch, sizes, ratios["different"], ratios["floor"], forecasts)
    return rows


# ---------------------------------------------------------------- table
def table(seed_set: SeedSet, results: Sequence[Result]) -> str:
    """A Markdown table: one column for each kind of pairs, and the rows of docs/networks.md."""
    archs = dict.fromkeys(result.kind.arch for result in results)
    columns = [
        f"{arch_title(kind.arch) + ', ' if len(archs) > 1 else ''}n = {kind.n}, {ARM_TITLES[kind.arm]}"
        for kind in (result.kind for result in results)
    ]
    rows = {
        "pairs of networks": [str(result.pairs) for result in results],
        "disagreement, of unrelated seeds": [f"{100 * result.ratio:.1f} %" for result in results],
        "ceiling for single pairs": [_digits(_ceiling(result)) for result in results],
    }
    for name in dict.fromkeys(name for result in results for name in result.scores):
        scores = [result.scores.get(name) for result in results]
        title = _title(name)
        rows[f"{title}: single pairs"] = [_digits(s and s.single) for s in scores]
        rows[f"{title}: mean of the pairs"] = [_digits(s and s.mean.value) for s in scores]
        rows[f"{title}: highest over lowest tenth"] = [_digits(s and s.tenths) for s in scores]
        if any(s is not None and math.isfinite(s.pixels) for s in scores):
            rows[f"{title}: pixels of a seed"] = [_digits(s and s.pixels) for s in scores]
        if any(name in result.factors for result in results):
            rows[f"{title}: observed over predicted amount"] = [_digits(r.factors.get(name)) for r in results]
    amounts = {(row.arch, row.n): row.factor for row in score_amounts(seed_set, results)}
    if amounts:
        rows["amount from smaller n (common floor): observed over predicted"] = [
            _digits(amounts.get((kind.arch, kind.n)) if kind.arm == "different" else None)
            for kind in (result.kind for result in results)
        ]
    lines = [["", *columns], ["---", *["---"] * len(columns)], *([title, *cells] for title, cells in rows.items())]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _title(name: str) -> str:
    """Of a predictor; a file has its name."""
    return _TITLES.get(name) or (predictor_title(name) if name in PREDICTORS else name)


def _ceiling(result: Result) -> float | None:
    return next((row.ceiling for row in result.scores.values()), None)


def _digits(value: float | None) -> str:
    return _NONE if value is None or not math.isfinite(value) else f"{value:.2f}".replace("-", "−")


def heading(seed_set: SeedSet) -> str:
    """The set in a line."""
    sizes = joined(sorted({network.n for network in seed_set.networks}))
    archs = joined(arch_title(network.arch) for network in seed_set.networks)
    seeds = len(seed_set.context.seeds)
    return f"## {seed_set.name}: {len(seed_set.networks)} networks ({archs}, n = {sizes}), {seeds} seeds"


# ---------------------------------------------------------------- command
def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictors", nargs="*", metavar="PREDICTOR", help=f"{joined(PREDICTORS)}, or a .npy file")
    parser.add_argument("--set", action="append", metavar="NAME", help=f"{joined(available())} (default: all)")
    parser.add_argument("--n", type=int, action="append", help="only networks of so many images (default: all)")
    parser.add_argument("--arm", action="append", choices=tuple(ARM_RUNS), help="only such pairs (default: all)")
    parser.add_argument("--amount", action="store_true", help="the numbers of files are disagreements ‖a − b‖²/d")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all numbers to a file")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> dict[str, list[Result]]:
    """Print the table of each set; the scores by set.

    Raises
    ------
    SeedSetError
        Options do not fit the sets, or a predictor cannot be used.
    """
    predictors, names = options.predictors or list(DEFAULT), options.set or available()
    files = [name for name in predictors if Path(name).suffix == ".npy"]
    if files and len(names) > 1:
        raise SeedSetError(
            f"--set must name the one set whose seeds the file {files[0]!r} is for: {joined(available())}"
        )
    results = {}
    for name in names:
        seed_set = load(name)
        kinds = [
            kind
            for kind in seed_set.kinds
            if (options.n is None or kind.n in options.n) and (options.arm is None or kind.arm in options.arm)
        ]
        if not kinds:
            known = ", ".join(f"n = {kind.n} {kind.arm}" for kind in seed_set.kinds)
            raise SeedSetError(
                f"--n and --arm must leave some pairs of {name!r}, which has {known}; got --n {joined(options.n or ['all'])}, "
                f"--arm {joined(options.arm or ['all'])}"
            )
        results[name] = [score(seed_set, kind, predictors, amount=options.amount) for kind in kinds]
        print(f"{heading(seed_set)}\n\n{table(seed_set, results[name])}\n")
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    options = _options(arguments)
    try:
        results = run(options)
        if options.json is not None:
            options.json.write_text(json.dumps(plain(results), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except (SeedSetError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
