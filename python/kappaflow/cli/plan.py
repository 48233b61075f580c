"""``kappaflow plan``: how many images are needed."""

from __future__ import annotations

from rich.table import Table

from ..bands import Band
from ..consistency.diagnosis import AUTO, choose_law
from ..consistency.needed import images_needed, largest_n
from ..sample_size import SampleSize
from .common import (
    BandsOption,
    DataArgument,
    DataOptions,
    GreyOption,
    JsonOption,
    LawOption,
    LimitOption,
    OverwriteOption,
    PatchOption,
    ProfilesOption,
    QuietOption,
    ShapeOption,
    SigmaMaxOption,
    SizeOption,
    SkipOption,
    ToleranceOption,
    check_law,
    chosen_bands,
    data_name,
    guarded,
    load_population,
    output_console,
    over,
    parse_bands,
    plain_line,
    print_reason,
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
    law: LawOption = AUTO,
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
    """Smallest n at which two models agree to a tolerance, for each eigenband and in total."""
    wanted = parse_bands(bands)
    check_law(law)
    if json is not None:
        check_file("--json", json, overwrite=overwrite)
    population = load_population(
        DataOptions(data, patch, grey, size, limit, shape, skip_corrupt, profiles), quiet=quiet
    )
    modes = len(population.eigenvalues)
    ranges = [*chosen_bands(wanted, modes), Band(0, modes)]
    labels = [*(band.label for band in ranges[:-1]), "all modes"]
    with step_progress(quiet) as progress:
        progress("which law", 0.0)
        chosen = choose_law(population, law, sigma_max=sigma_max)
        found = images_needed(
            population,
            ranges,
            sigma_max,
            tolerance,
            law=chosen.law,
            progress=lambda done: progress("images needed", done / len(ranges)),
        )
    answers = list(zip(labels, ranges, found, strict=True))
    if json is not None:
        rows = [_row(label, band, answer) for label, band, answer in answers[:-1]]
        content = {
            "format": PLAN_FORMAT,
            "source": data_name(data),
            "measure": "relative_disagreement",
            "tolerance": tolerance,
            "sigma_max": sigma_max,
            "law": chosen.law,
            "law_reason": chosen.reason,
            "images": population.sample_size,
            "largest_n": largest_n(population),
            "bands": rows,
            "total": _row("all modes", None, found[-1]),
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
                table.add_row(label, over(largest_n(population)), "", "")
                continue
            below = "" if answer.value_below is None else f"{answer.value_below:.6g}"
            table.add_row(label, f"{answer.n:,}", f"{answer.value:.6g}", below)
        console.print(table)
        print_reason(console, chosen.reason)
    if json is not None:
        plain_line(console, str(json))


def _row(label: str, band: Band | None, answer: SampleSize | None) -> dict[str, object]:
    row: dict[str, object] = {"label": label}
    if band is not None:
        row |= {"start": band.start, "stop": band.stop}
    for name in ("n", "value", "n_below", "value_below"):
        row[name] = None if answer is None else getattr(answer, name)
    return row
