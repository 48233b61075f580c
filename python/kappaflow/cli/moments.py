"""``kappaflow moments``: read the images once and save their mean and eigenmodes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from .console import ProgressDisplay, output_console, plain_line
from .loading import load_population
from .options import POPULATION_SUFFIX, Data, FolderResult, Profiles
from .output import check_file, write_or_keep
from .signature import REQUIRED, changed, takes_options


@takes_options()
def command(
    data: Data,
    profiles: Profiles,
    result: Annotated[
        FolderResult,
        changed("out", default=REQUIRED, metavar="FILE", help="File for the population (.safetensors)."),
    ],
) -> None:
    """Save the mean, eigenmodes and profiles of the images in one file, which other commands take as DATA and read quickly.

    Example: kappaflow moments photos --size 64 --out photos.safetensors
    """
    out = Path(result.out or "")
    if out.suffix.lower() != POPULATION_SUFFIX:
        raise ValueError(f"--out must end in {POPULATION_SUFFIX}, got {str(out)!r}")
    check_file("--out", out, overwrite=result.overwrite)
    with ProgressDisplay(quiet=result.quiet) as display:
        population = load_population(data, profiles, display)
    write_or_keep("--out", out, population.save)
    console = output_console()
    if not result.quiet:
        origin = "exact" if population.sample_size is None else f"{population.sample_size:,} images"
        facts = f"{origin}, {population.dimension} dimensions, {len(population.eigenvalues)} modes"
        kept = 0 if population.profiles is None else len(population.profiles)
        plain_line(console, f"{facts}, {kept:,} profiles, total variance {population.total_variance:.4g}")
    plain_line(console, str(out))
