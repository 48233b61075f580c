"""``kappaflow plan``: how many images are needed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from ..bands import Band
from ..population import Population
from ..splits import SampleSize, samples_for
from .common import (
    BandsOption,
    DataArgument,
    DataOptions,
    GreyOption,
    JsonOption,
    LimitOption,
    OverwriteOption,
    PatchOption,
    QuietOption,
    ShapeOption,
    SigmaMaxOption,
    SizeOption,
    SkipOption,
    ToleranceOption,
    chosen_bands,
    data_name,
    guarded,
    load_population,
    output_console,
    parse_bands,
    plain_line,
    step_progress,
)
from .output import check_file, write_json

PLAN_FORMAT = "kappaflow-plan-1"


@guarded
def command(
    data: DataArgument,
    tolerance: ToleranceOption = 0.1,
    bands: BandsOption = "6",
    sigma_max: SigmaMaxOption = 80.0,
    json: JsonOption = None,
    patch: PatchOption = None,
    grey: GreyOption = False,
    size: SizeOption = None,
    limit: LimitOption = None,
    shape: ShapeOption = None,
    skip_corrupt: SkipOption = False,
    overwrite: OverwriteOption = False,
    quiet: QuietOption = False,
) -> None:
    """Smallest n at which two models agree to a tolerance, for each eigenband and in total."""
    wanted = parse_bands(bands)
    if json is not None:
        check_file("--json", json, overwrite=overwrite)
    population = load_population(DataOptions(data, patch, grey, size, limit, shape, skip_corrupt), quiet=quiet)
    ranges = chosen_bands(wanted, len(population.eigenvalues))
    answers: list[tuple[str, Band | None, SampleSize | None]] = []
    with step_progress(quiet) as progress:
        for index, band in enumerate([*ranges, None]):
            label = "all modes" if band is None else band.label
            progress(f"images needed: {label}", index / (len(ranges) + 1))
            answers.append((label, band, _needed(population, None if band is None else [band], sigma_max, tolerance)))
    if json is not None:
        rows = [_row(label, band, answer) for label, band, answer in answers]
        content = {
            "format": PLAN_FORMAT,
            "source": data_name(data),
            "measure": "relative_disagreement",
            "tolerance": tolerance,
            "sigma_max": sigma_max,
            "images": population.sample_size,
            "bands": rows[:-1],
            "total": rows[-1],
        }
        write_json(json, content)
    console = output_console()
    if not quiet:
        title = f"{data_name(data)}: images for a relative disagreement of at most {tolerance:g}"
        table = Table(title=title, title_justify="left")
        table.add_column("band")
        for heading in ("images", "relative there", "relative with one less"):
            table.add_column(heading, justify="right")
        for label, _band, answer in answers:
            if answer is None:
                table.add_row(label, "over 1e12", "", "")
                continue
            below = "" if answer.value_below is None else f"{answer.value_below:.6g}"
            table.add_row(label, f"{answer.n:,}", f"{answer.value:.6g}", below)
        console.print(table)
    if json is not None:
        plain_line(console, str(json))


def _needed(
    population: Population, bands: Sequence[Band] | None, sigma_max: float, tolerance: float
) -> SampleSize | None:
    """Answer of samples_for for the sampling map, None where the tolerance is never met."""
    try:
        return samples_for(
            population,
            lambda splits: splits.sampling_map(0.0, sigma_max),
            tolerance,
            bands=bands,
            input_variance=sigma_max**2,
        )
    except ValueError as error:
        if not str(error).startswith("tolerance must be at least"):
            raise
        return None


def _row(label: str, band: Band | None, answer: SampleSize | None) -> dict[str, object]:
    row: dict[str, object] = {"label": label}
    if band is not None:
        row |= {"start": band.start, "stop": band.stop}
    for name in ("n", "value", "n_below", "value_below"):
        row[name] = None if answer is None else getattr(answer, name)
    return row
