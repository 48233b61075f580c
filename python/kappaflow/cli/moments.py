"""``kappaflow moments``: read the images once, keep their mean and eigenmodes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import (
    POPULATION_SUFFIX,
    DataArgument,
    DataOptions,
    GreyOption,
    LimitOption,
    OverwriteOption,
    PatchOption,
    ProfilesOption,
    QuietOption,
    ShapeOption,
    SizeOption,
    SkipOption,
    guarded,
    load_population,
    output_console,
    plain_line,
)
from .output import check_file


@guarded
def command(
    data: DataArgument,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where to save the population (.safetensors).", show_default=False)
    ],
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
    """Save mean, eigenmodes and profiles of the images: DATA for the other commands, read in a moment."""
    if out.suffix.lower() != POPULATION_SUFFIX:
        raise ValueError(f"--out must end in {POPULATION_SUFFIX}, got {str(out)!r}")
    check_file("--out", out, overwrite=overwrite)
    population = load_population(
        DataOptions(data, patch, grey, size, limit, shape, skip_corrupt, profiles), quiet=quiet
    )
    population.save(out)
    console = output_console()
    if not quiet:
        origin = "exact" if population.sample_size is None else f"{population.sample_size:,} images"
        facts = f"{origin}, {population.dimension} dimensions, {len(population.eigenvalues)} modes"
        kept = 0 if population.profiles is None else len(population.profiles)
        plain_line(console, f"{facts}, {kept:,} profiles, total variance {population.total_variance:.4g}")
    plain_line(console, str(out))
