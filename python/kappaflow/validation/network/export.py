"""A validation of networks as plain numbers for JSON."""

from __future__ import annotations

from typing import Any

from ..export import plain
from .results import Baseline, Forecast, NetworkPair, NetworkValidation
from .runs import Run

__all__ = ["network_to_json", "pair_to_json", "run_to_json"]


def network_to_json(validation: NetworkValidation) -> dict[str, Any]:
    """Every number but the images, which the report shows, as plain lists and numbers: the content of ``validation.json``.

    Pairs, baselines and forecasts hold the fields of their disagreement; numbers that are not finite are None, see
    :func:`~kappaflow.validation.export.plain`.
    """
    setup = plain(validation.setup)
    return {
        **plain(validation.data),
        **{name: value for name, value in setup.items() if name != "laws"},
        "runs": [run_to_json(run) for run in validation.runs],
        "predictions": plain(validation.predictor_scores),
        "seed_scores": plain(validation.seed_scores),
        "amounts": plain(validation.amounts),
        "manipulations": plain(validation.manipulations),
        "strata": plain(validation.strata),
        "notes": plain(validation.notes),
        "laws": [plain(law) | {"profiles": law.profiles} for law in validation.setup.laws],
        "pairs": [pair_to_json(pair) for pair in validation.pairs],
        "baselines": [pair_to_json(baseline) for baseline in validation.baselines],
        "forecasts": [pair_to_json(forecast) for forecast in validation.forecasts],
    }


def run_to_json(run: Run) -> dict[str, Any]:
    """A run with the fields of its parts side by side."""
    fit, nearest = run.linear_fit, run.nearest
    return {
        "key": run.key,
        "arch": run.arch,
        "n": run.n,
        "repeat": run.repeat,
        "split": run.split,
        "member": run.member,
        **plain(run.training),
        "quality": plain(run.quality),
        "variance": plain(run.variance.generated),
        "variance_linear": plain(run.variance.linear),
        "r2_own": plain(fit.own),
        "r2_own_zero": plain(fit.own_zero),
        "r2_pooled": plain(fit.pooled),
        "r2_population": plain(fit.population),
        "distance_linear": plain(fit.distance),
        "nearest_own": plain(nearest.own),
        "nearest_other": plain(nearest.other),
        "auc": plain(nearest.auc),
        "memorised": plain(nearest.memorised),
    }


def pair_to_json(row: NetworkPair | Baseline | Forecast) -> dict[str, Any]:
    """The fields of a row and of its disagreement side by side."""
    own = {name: plain(value) for name, value in vars(row).items() if name != "disagreement"}
    return own | {name: plain(value) for name, value in vars(row.disagreement).items()}
