"""``kappaflow predict``: the main job, from images to the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from ..consistency import prediction as core
from ..consistency.diagnosis import AUTO
from ..laws import law_spec
from .common import (
    BandsOption,
    DataArgument,
    DataOptions,
    GreyOption,
    LawOption,
    LimitOption,
    OverwriteOption,
    PatchOption,
    ProfilesOption,
    QuietOption,
    SeedsOption,
    ShapeOption,
    SigmaMaxOption,
    SizeOption,
    SkipOption,
    ToleranceOption,
    check_law,
    chosen_bands,
    data_name,
    errors_console,
    guarded,
    load_population,
    machine_facts,
    output_console,
    over,
    parse_bands,
    parse_seeds,
    parse_sizes,
    plain_line,
    require_seeds_fit,
    step_progress,
)
from .output import OutputDirectory, write_json

PREDICTIONS_FORMAT = "kappaflow-predictions-1"
_SEEDS_SHOWN = 6


@guarded
def command(
    data: DataArgument,
    n: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SIZES",
            help="Training-set sizes, as 100,300 or --n 100 --n 300. By default powers of about three up to the images "
            "there are.",
            show_default=False,
        ),
    ] = None,
    sigma_max: SigmaMaxOption = 80.0,
    law: LawOption = AUTO,
    bands: BandsOption = "6",
    seeds: SeedsOption = "64",
    tolerance: ToleranceOption = 0.1,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the results.", show_default="kappaflow-<name of the data>"),
    ] = None,
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
    """Predict how consistent models trained on n of your images are, and write a report.

    Writes report.html, its figures, predictions.json, population.safetensors and options.json.
    """
    source = DataOptions(data, patch, grey, size, limit, shape, skip_corrupt, profiles)
    sizes, wanted_bands, seed_numbers = parse_sizes(n), parse_bands(bands), parse_seeds(seeds)
    check_law(law)
    options: dict[str, Any] = {
        **source.as_json(),
        "n": sizes,
        "sigma_max": sigma_max,
        "law": law,
        "bands": wanted_bands if isinstance(wanted_bands, int) else [band.label for band in wanted_bands],
        "seeds": seed_numbers,
        "tolerance": tolerance,
    }
    name = data_name(data)
    directory = OutputDirectory(Path(f"kappaflow-{name}") if out is None else out, options, overwrite=overwrite)
    if directory.replaces is not None:
        plain_line(errors_console(), directory.replaces)
    facts: dict[str, Any] = {"command": "predict", "machine": machine_facts()}
    with directory.staged(facts) as staging:
        population = load_population(source, quiet=quiet)
        require_seeds_fit(len(seed_numbers), population)
        with step_progress(quiet) as progress:
            prediction = core.predict(
                population,
                source=name,
                n=sizes,
                sigma_max=sigma_max,
                law=law,
                bands=chosen_bands(wanted_bands, len(population.eigenvalues)),
                seeds=seed_numbers,
                tolerance=tolerance,
                progress=progress,
            )
            progress("writing the report", 1.0)
            write_results(staging, population, prediction, facts["machine"])
        facts["resolved"] = {
            "n": prediction.n.tolist(),
            "reference_n": prediction.reference_n,
            "law": prediction.law,
            "profiles": 0 if population.profiles is None else len(population.profiles),
            "bands": [band.label for band in prediction.bands],
            "images": prediction.sample_size,
            "image_shape": list(prediction.shape),
        }
    console = output_console()
    if not quiet:
        print_prediction(console, prediction)
    plain_line(console, str(directory.given / "report.html"))


def write_results(directory: Path, population: Any, prediction: core.Prediction, machine: dict[str, str]) -> None:
    """Report, numbers and population into a folder."""
    from ..report import write_report  # lazy: matplotlib

    write_report(prediction, directory, facts=machine)
    numbers = core.prediction_to_json(prediction)
    write_json(
        directory / "predictions.json",
        {"format": PREDICTIONS_FORMAT, "version": machine["kappaflow"], **numbers},
    )
    population.save(directory / "population.safetensors")


# --- tables -----------------------------------------------------------------------------------------------------------


def print_prediction(console: Console, prediction: core.Prediction) -> None:
    """Tables of sizes, bands and seeds, and the caveats."""
    images = "known exactly" if prediction.sample_size is None else f"{prediction.sample_size:,} images"
    shape = "×".join(map(str, prediction.shape))
    plain_line(console, f"{prediction.source}: {images}, {shape}; {law_spec(prediction.law).title}", "bold")
    console.print(_sizes_table(prediction))
    console.print(_bands_table(prediction))
    if prediction.seeds.size:
        console.print(_seeds_table(prediction))
    for note in prediction.notes:
        console.print(Padding(f"note: {note}", (1, 0, 0, 0)), markup=False)


def _sizes_table(prediction: core.Prediction) -> Table:
    table = Table(title="Two models trained on independent sets of n images", title_justify="left")
    low, high = prediction.noise_sigma[0], prediction.noise_sigma[-1]
    for heading in ("n", f"κ at σ = {low:.3g}", f"κ at σ = {high:.3g}", "disagreement", "relative"):
        table.add_column(heading, justify="right")
    rows = zip(prediction.n, prediction.kappa, prediction.total_disagreement, prediction.total_relative, strict=True)
    for n, kappa, total, relative in rows:
        table.add_row(f"{n:,}", f"{kappa[0]:.4g}", f"{kappa[-1]:.4g}", f"{total:.4g}", f"{relative:.3f}")
    table.caption = "relative: 0 the same image, 1 as different as unrelated seeds"
    return table


def _bands_table(prediction: core.Prediction) -> Table:
    table = Table(title="Eigenbands", title_justify="left")
    table.add_column("band")
    reference = int(np.flatnonzero(prediction.n == prediction.reference_n)[0])
    for heading in (
        f"disagreement at n = {prediction.reference_n:,}",
        "relative",
        f"images for relative ≤ {prediction.tolerance:g}",
    ):
        table.add_column(heading, justify="right")
    for index, band in enumerate(prediction.bands):
        needed = prediction.images_needed[index]
        table.add_row(
            band.label,
            f"{prediction.band_disagreement[reference, index]:.4g}",
            f"{prediction.band_relative[reference, index]:.3f}",
            over(prediction.largest_n) if needed is None else f"{needed:,}",
        )
    return table


def _seeds_table(prediction: core.Prediction) -> Table:
    reference = int(np.flatnonzero(prediction.n == prediction.reference_n)[0])
    values = prediction.seed_disagreement[reference]
    order = np.argsort(values, kind="stable")
    count = min(_SEEDS_SHOWN, max(1, order.size // 2))
    title = f"Seeds by disagreement at n = {prediction.reference_n:,}"
    table = Table(title=title, title_justify="left")
    for heading in ("most consistent", "disagreement", "least consistent", "disagreement"):
        table.add_column(heading, justify="right")
    for most, least in zip(order[:count], order[::-1][:count], strict=True):
        table.add_row(
            str(prediction.seeds[most]), f"{values[most]:.4g}", str(prediction.seeds[least]), f"{values[least]:.4g}"
        )
    return table
