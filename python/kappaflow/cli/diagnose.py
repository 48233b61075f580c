"""``kappaflow diagnose``: which law holds for these data."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from ..consistency.diagnosis import Diagnosis, diagnose, diagnosis_to_json
from ..laws import law_spec
from .common import (
    DataArgument,
    DataOptions,
    GreyOption,
    JsonOption,
    LimitOption,
    OverwriteOption,
    PatchOption,
    ProfilesOption,
    QuietOption,
    ShapeOption,
    SigmaMaxOption,
    SizeOption,
    SkipOption,
    data_name,
    guarded,
    load_population,
    output_console,
    parse_sizes,
    plain_line,
    step_progress,
)
from .output import check_file, write_json

DIAGNOSIS_FORMAT = "kappaflow-diagnosis-1"
_QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


@guarded
def command(
    data: DataArgument,
    n: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Images in a training set of the experiment.",
            show_default="half of the profiles, 300 at most",
        ),
    ] = None,
    sigma_max: SigmaMaxOption = 80.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of training sets and inputs.")] = 0,
    json: JsonOption = None,
    patch: PatchOption = None,
    grey: GreyOption = False,
    size: SizeOption = None,
    limit: LimitOption = None,
    shape: ShapeOption = None,
    skip_corrupt: SkipOption = False,
    profiles: ProfilesOption = None,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Which law of the data to take: leverage and kurtosis of your images, and the error of each law on them."""
    sizes = parse_sizes(None if n is None else [n])
    if sizes is not None and len(sizes) != 1:
        raise ValueError(f"--n must be one training-set size, got {n!r}")
    if json is not None:
        check_file("--json", json, overwrite=overwrite)
    options = DataOptions(data, patch, grey, size, limit, shape, skip_corrupt, profiles)
    population = load_population(options, quiet=quiet)
    if population.profiles is None:
        raise ValueError(_no_profiles(options))
    with step_progress(quiet) as progress:
        diagnosis = diagnose(
            population, n=None if sizes is None else sizes[0], sigma_max=sigma_max, seed=seed, progress=progress
        )
    if json is not None:
        content = {"format": DIAGNOSIS_FORMAT, "source": data_name(data), "seed": seed, **diagnosis_to_json(diagnosis)}
        write_json(json, content)
    console = output_console()
    if not quiet:
        print_diagnosis(console, data_name(data), diagnosis)
    if json is not None:
        plain_line(console, str(json))


def _no_profiles(options: DataOptions) -> str:
    if not options.is_population:
        return "--profiles must be above 0 for a diagnosis, got 0"
    return (
        f"the saved population {options.data!r} holds no profiles: make it again from its images, with "
        f"kappaflow moments IMAGES --out {options.data} --profiles 8192"
    )


def print_diagnosis(console: Console, name: str, diagnosis: Diagnosis) -> None:
    """Tables of leverage and kurtosis and of the error of each law, and the recommendation."""
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


def _errors_table(diagnosis: Diagnosis) -> Table:
    title = (
        f"Error of each law: {diagnosis.training_sets} training sets of {diagnosis.n:,}, "
        f"drawn from {diagnosis.profiles:,} images"
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
    table.caption = "what is simulated and predicted is the variance of the output over training sets"
    return table
