"""``kappaflow predict``: the main job, from images to the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ..consistency.network_words import pilot_command
from ..consistency.predict import predict
from ..consistency.prediction import Prediction, prediction_to_json
from ..laws import law_spec
from ..population import Population
from .class_tables import answers_if_wanted, print_classes
from .console import plain_line, print_networks, print_notes
from .loading import load_by_class, require_seeds_fit
from .options import (
    BandOption,
    Data,
    LawOption,
    Profiles,
    ReportResult,
    Sampling,
    SeedOption,
    Tolerance,
    as_typed,
)
from .options_classes import ByClass
from .options_groups import Sizes
from .output import write_json
from .parsing import chosen_bands, format_over
from .run import machine_facts, report_run, results_directory
from .signature import changed, takes_options

PREDICTIONS_FORMAT = "kappaflow-predictions-1"
_SEEDS_SHOWN = 6


@takes_options()
def command(
    data: Data,
    by: ByClass,
    sizes: Annotated[Sizes, changed("n", shown="some of 10, 30, 100, …; half of the images; all of them")],
    sampling: Sampling,
    law: LawOption,
    bands: BandOption,
    seeds: SeedOption,
    tolerance: Tolerance,
    profiles: Profiles,
    result: Annotated[ReportResult, changed("out", shown="kappaflow-<name of the data>")],
) -> None:
    """Predict how much linear diffusion models trained on n of your images will agree, and write a report.

    Writes report.html, its figures, predictions.json, population.safetensors and options.json.

    Example: kappaflow predict digits --n 100,1000 --out digits-report
    """
    typed, wanted, numbers = sizes.typed(), bands.wanted(), seeds.numbers()
    options: dict[str, Any] = {
        **data.as_json(),
        **by.as_json(),
        "profiles": profiles.profiles,
        "n": typed,
        "sigma_max": sampling.sigma_max,
        "law": law.law,
        "bands": bands.as_json(),
        "seeds": numbers,
        "tolerance": tolerance.tolerance,
    }
    directory = results_directory(f"kappaflow-{data.name}", options, result)
    with report_run("predict", directory, quiet=result.quiet, machine=machine_facts()) as run:
        population, classes = load_by_class(data, by, profiles, run.display, law)
        require_seeds_fit(len(numbers), population)
        prediction = predict(
            population,
            source=data.name,
            n=sizes.several(population),
            sigma_max=sampling.sigma_max,
            law=law.law,
            bands=chosen_bands(wanted, len(population.eigenvalues)),
            seeds=numbers,
            tolerance=tolerance.tolerance,
            pilot=pilot_command([*data.as_typed(), *as_typed(sampling), *as_typed(tolerance)], population.shape),
            progress=run.display,
        )
        answers = answers_if_wanted(
            classes,
            prediction.law,
            sampling,
            law,
            tolerance,
            bands,
            run.display,
            sizes=prediction.n.tolist(),
            reference_n=prediction.reference_n,
        )
        prediction = replace(prediction, classes=answers)
        run.resolved = _resolved(population, prediction)
        run.write(lambda folder: write_results(folder, population, prediction, run.machine, png=result.png))
        run.summary = lambda console: print_prediction(console, prediction)


def _resolved(population: Population, prediction: Prediction) -> dict[str, Any]:
    """What the options became, for options.json."""
    return {
        "n": prediction.n.tolist(),
        "reference_n": prediction.reference_n,
        "law": prediction.law,
        "profiles": 0 if population.profiles is None else len(population.profiles),
        "bands": [band.label for band in prediction.bands.ranges],
        "images": prediction.sample_size,
        "image_shape": list(prediction.shape),
    }


def write_results(
    directory: Path, population: Population, prediction: Prediction, machine: Mapping[str, str], *, png: bool
) -> None:
    """Write the report, its numbers and the population into a folder."""
    from ..report import build, write  # lazy: matplotlib

    write(build(prediction, facts=machine), directory, png=png)
    numbers = prediction_to_json(prediction)
    write_json(
        directory / "predictions.json",
        {"format": PREDICTIONS_FORMAT, "version": machine["kappaflow"], **numbers},
    )
    population.save(directory / "population.safetensors")


# --- tables -----------------------------------------------------------------------------------------------------------


def print_prediction(console: Console, prediction: Prediction) -> None:
    """Print the answer and what it means for networks, tables of sizes, bands and seeds, and the notes."""
    from ..report.consistency.headline import verdict  # lazy: matplotlib

    images = "known exactly" if prediction.sample_size is None else f"{prediction.sample_size:,} images"
    shape = "×".join(map(str, prediction.shape))
    plain_line(console, f"{prediction.source}: {images}, {shape}; {law_spec(prediction.law).title}", "bold")
    plain_line(console, verdict(prediction).answer, "bold")
    print_networks(console, prediction.networks, prediction.networks.warning, prediction.networks.measured)
    console.print()
    console.print(_sizes_table(prediction))
    console.print(_bands_table(prediction))
    if prediction.seeds.numbers.size:
        console.print(_seeds_table(prediction))
    print_classes(console, prediction.classes)
    print_notes(console, prediction.notes)


def _sizes_table(prediction: Prediction) -> Table:
    table = Table(title="Two linear models trained on independent sets of n images", title_justify="left")
    low, high = prediction.noise.sigma[0], prediction.noise.sigma[-1]
    for heading in ("n", f"κ at σ = {low:.3g}", f"κ at σ = {high:.3g}", "disagreement", "relative"):
        table.add_column(heading, justify="right")
    sizes = [f"{n:,}" for n in prediction.n]
    if prediction.n_groups is not None:
        sizes = [f"{size} ({groups:.3g} groups)" for size, groups in zip(sizes, prediction.n_groups, strict=True)]
    rows = zip(sizes, prediction.noise.kappa, prediction.totals.disagreement, prediction.totals.relative, strict=True)
    for size, kappa, total, relative in rows:
        table.add_row(size, f"{kappa[0]:.4g}", f"{kappa[-1]:.4g}", f"{total:.4g}", f"{relative:.3f}")
    table.caption = "relative: 0 means the same image, 1 as different as the images of unrelated seeds"
    return table


def _bands_table(prediction: Prediction) -> Table:
    table = Table(title="Two linear models by eigenband", title_justify="left")
    table.add_column("band")
    reference = prediction.reference
    for heading in (
        f"disagreement at n = {prediction.reference_n:,}",
        "relative",
        f"images for relative ≤ {prediction.tolerance:g}",
    ):
        table.add_column(heading, justify="right")
    for index, band in enumerate(prediction.bands.ranges):
        needed = prediction.bands.images_needed[index]
        table.add_row(
            band.label,
            f"{prediction.bands.disagreement[reference, index]:.4g}",
            f"{prediction.bands.relative[reference, index]:.3f}",
            format_over(prediction.largest_n) if needed is None else f"{needed:,}",
        )
    return table


def _seeds_table(prediction: Prediction) -> Table:
    """The ends of the order for networks, if there is one, and of that for linear models."""
    values, numbers = prediction.seeds.disagreement[prediction.reference], prediction.seeds.numbers
    columns: dict[str, list[str]] = {}
    count = min(_SEEDS_SHOWN, max(1, numbers.size // 2))
    ranked = prediction.seeds.networks
    if ranked is not None:
        order = np.argsort(-ranked.posterior_variance, kind="stable")
        ends = {"most": order[:count], "least": order[::-1][:count]}
        columns |= {f"networks: change {word}": [str(numbers[k]) for k in end] for word, end in ends.items()}
    order = np.argsort(values, kind="stable")
    for word, end in (("most", order[:count]), ("least", order[::-1][:count])):
        columns[f"linear models: {word} consistent"] = [f"{numbers[k]} ({values[k]:.2g})" for k in end]
    title = f"Seeds, the most extreme first; linear models at n = {prediction.reference_n:,}"
    table = Table(title=title, title_justify="left")
    for heading in columns:
        table.add_column(heading, justify="right")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    order_only = "networks: an order predicted from your images, not an amount; " if ranked is not None else ""
    table.caption = f"{order_only}in brackets: disagreement of two linear models"
    return table
