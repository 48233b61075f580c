"""What is picked out of a validation of networks, in one place for figures and words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..._checks import FloatArray
from ...laws import REGISTRY
from ...validation.laws import compared_laws
from ...validation.network.results import ANOTHER_PAIR, LEAST_MODE, POSTERIOR, TRIVIAL
from ..laws import law_look
from ..look import BAND_COLOURS, INK

if TYPE_CHECKING:
    from ...validation.network.results import NetworkPair, NetworkValidation, PredictorScore
    from ...validation.network.runs import Run

#: The predictor that is no law: linear models of the very same splits.
LINEAR = "linear"
#: Predictors of seeds that are neither: their titles and colours, in the order in which they are shown.
_SEED_PREDICTORS = {
    POSTERIOR: ("posterior variance of all images", BAND_COLOURS[5]),
    TRIVIAL: ("grey linear image (trivial)", "#9aa0a6"),
    ANOTHER_PAIR: ("other pair of networks", "#b8860b"),
}


def shown_arms(found: NetworkValidation) -> list[str]:
    """Arms that compare two splits: the optimisation floor is no such comparison."""
    return [arm for arm in found.setup.arms if arm != "floor"]


def best_law(found: NetworkValidation) -> str | None:
    """The most general law for which there are forecasts."""
    names = {forecast.law for forecast in found.forecasts}
    return next((name for name in laws_by_generality() if name in names), None)


def laws_by_generality() -> list[str]:
    """Names of the laws, the most general first; parts of a law come last."""
    laws = compared_laws()
    return [*reversed(list(REGISTRY)), *(name for name in laws if name not in REGISTRY)]


def predictor_title(name: str) -> str:
    """``empirical law``."""
    if name in _SEED_PREDICTORS:
        return _SEED_PREDICTORS[name][0]
    return "linear models of the same splits" if name == LINEAR else compared_laws()[name].title


def predictor_colour(name: str) -> str:
    """Colour of a predictor in every figure of this report."""
    if name in _SEED_PREDICTORS:
        return _SEED_PREDICTORS[name][1]
    return INK if name == LINEAR else law_look(name).predictor


def predictor_place(name: str) -> int:
    """Place of a predictor of seeds in tables and legends."""
    return [*_SEED_PREDICTORS, LINEAR, *laws_by_generality()].index(name)


def pairs_of(found: NetworkValidation, arch: str, arm: str) -> list[NetworkPair]:
    """All pairs of that kind, trained or not."""
    return [p for p in found.pairs if (p.arch, p.arm) == (arch, arm)]


class BySize(NamedTuple):
    """A value at the training-set sizes where it is known: (T,) sizes and (T, ...) values."""

    n: FloatArray
    values: FloatArray


def mean_over_pairs(found: NetworkValidation, arch: str, arm: str, value: Callable[[NetworkPair], Any]) -> BySize:
    """The mean of a value over trained pairs, at the sizes that have such pairs."""
    sizes, values = [], []
    for n in found.setup.n:
        trained = found.trained_pairs(arch, n, arm)
        if trained:
            sizes.append(n)
            values.append(np.mean([value(pair) for pair in trained], axis=0))
    return BySize(np.array(sizes, dtype=np.float64), np.array(values))


def baseline_ratio(found: NetworkValidation, kind: str) -> BySize:
    """Mean disagreement of a baseline over that of unrelated samples, by size."""
    sizes = [n for n in found.setup.n if any(b.kind == kind and b.n == n for b in found.baselines)]
    ratios = [np.mean([b.disagreement.ratio for b in found.baselines if b.kind == kind and b.n == n]) for n in sizes]
    return BySize(np.array(sizes, dtype=np.float64), np.array(ratios))


def trained_runs(found: NetworkValidation, arch: str, n: int) -> list[Run]:
    """Runs that pass the gate, strata left out."""
    return [r for r in found.runs if (r.arch, r.n) == (arch, n) and r.quality.passed and r.split in ("A", "B")]


def run_by_key(found: NetworkValidation, key: str) -> Run:
    """The run of that name."""
    return next(run for run in found.runs if run.key == key)


def prediction_of(found: NetworkValidation, arch: str, n: int, arm: str, predictor: str) -> PredictorScore | None:
    """How well one predictor does, None if there is no trained pair."""
    wanted = (arch, n, arm, predictor)
    return next((p for p in found.predictor_scores if (p.arch, p.n, p.arm, p.predictor) == wanted), None)


def predictors(found: NetworkValidation) -> list[str]:
    """Predictors in the order in which they are shown."""
    present = {p.predictor for p in found.predictor_scores}
    return [name for name in (LINEAR, *laws_by_generality()) if name in present]


def alive(found: NetworkValidation) -> FloatArray:
    """Modes that have variance."""
    return np.asarray(found.data.eigenvalues > LEAST_MODE * found.data.eigenvalues[0])


def shown_pairs(found: NetworkValidation) -> list[NetworkPair]:
    """Trained pairs of the first arm that compares two splits."""
    arm = shown_arms(found)[0]
    return [pair for pair in found.pairs if pair.arm == arm and pair.trained]
