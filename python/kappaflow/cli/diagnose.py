"""``kappaflow diagnose``: which law holds for these data."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from rich.console import Console
from rich.table import Table

from ..consistency.diagnosis import Diagnosis, diagnose, diagnosis_to_json
from ..laws import law_spec
from .console import ProgressDisplay, plain_line
from .loading import load_population, require_profiles
from .options import Data, JsonResult, Profiles, RandomSeed, Sampling
from .options_groups import Sizes
from .run import check_json, print_result
from .signature import changed, takes_options

DIAGNOSIS_FORMAT = "kappaflow-diagnosis-1"
_QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


@takes_options()
def command(
    data: Data,
    sizes: Annotated[
        Sizes,
        changed(
            "n",
            metavar="SIZE",
            shown="half of the profiles, 300 at most",
            help="Number of images in each training set of the experiment.",
        ),
    ],
    sampling: Sampling,
    seed: RandomSeed,
    profiles: Profiles,
    result: JsonResult,
) -> None:
    """Find the law that describes your images best: how unequal they are, and how far off each law is on them.

    Example: kappaflow diagnose faces --json faces.json
    """
    sizes.typed()  # a wrong one is an error before the images are read
    check_json(result)
    with ProgressDisplay(quiet=result.quiet) as display:
        population = load_population(data, profiles, display)
        require_profiles(population, data, "a diagnosis")
        diagnosis = diagnose(
            population, n=sizes.one(population), sigma_max=sampling.sigma_max, seed=seed.seed, progress=display
        )
    content = {
        "format": DIAGNOSIS_FORMAT,
        "source": data.name,
        "seed": seed.seed,
        **diagnosis_to_json(diagnosis),
    }
    print_result(result, content, lambda console: print_diagnosis(console, data.name, diagnosis))


def print_diagnosis(console: Console, name: str, diagnosis: Diagnosis) -> None:
    """Print tables of leverage and kurtosis and of the error of each law, and the recommendation."""
    console.print(_samples_table(name, diagnosis))
    console.print(_errors_table(diagnosis))
    console.print()
    plain_line(console, diagnosis.recommendation, "bold")


def _samples_table(name: str, diagnosis: Diagnosis) -> Table:
    table = Table(title=f"{name}: {diagnosis.leverage.size:,} images against Gaussian data", title_justify="left")
    table.add_column("")
    for heading in (*(f"{100 * q:g} %" for q in _QUANTILES), "variance", "if Gaussian"):
        table.add_column(heading, justify="right")
    kurtosis = diagnosis.kurtosis[~np.isnan(diagnosis.kurtosis)]
    quantiles = [f"{value:.3g}" for value in np.quantile(diagnosis.leverage, _QUANTILES)]
    gaussian = f"variance {diagnosis.leverage_gaussian:.3g}"
    table.add_row("leverage", *quantiles, f"{diagnosis.leverage_variance:.3g}", gaussian)
    table.caption = "leverage of each image, 1 on average; kurtosis of each mode"
    modes = [f"{value:.3g}" for value in np.quantile(kurtosis, _QUANTILES)]
    table.add_row("kurtosis", *modes, "", "3")
    return table


def _pairs(diagnosis: Diagnosis) -> str:
    if diagnosis.groups == diagnosis.profiles:
        return " with their mirror images, in pairs without an image in common"
    if diagnosis.groups is not None:
        return f" of {diagnosis.groups:,} groups in pairs without a group in common"
    return " in pairs without an image in common" if diagnosis.disjoint else ""


def _errors_table(diagnosis: Diagnosis) -> Table:
    title = (
        f"Error of each law: {diagnosis.training_sets} training sets of {diagnosis.n:,}, "
        f"drawn from {diagnosis.profiles:,} images"
        f"{_pairs(diagnosis)}"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("law")
    table.add_column("map")
    for heading in ("total, simulated / predicted", "by eigenband, RMS"):
        table.add_column(heading, justify="right")
    for each in diagnosis.errors:  # in the order of the registry
        ratio = f"{np.exp(each.total):.3g} ± {np.exp(each.total) * each.total_error:.1g}"
        rms = f"{100 * np.expm1(each.rms):.0f} % ± {100 * each.rms_error:.0f} %"
        table.add_row(law_spec(each.law).title, each.question, ratio, rms)
    table.caption = "the variance of a linear model's output over training sets is simulated and predicted"
    return table
