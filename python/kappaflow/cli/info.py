"""``kappaflow info``: what is installed, and what a data set is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import _core
from ..datasets import BUILTIN_NAMES
from ..population import Population
from .common import (
    DataOptions,
    GreyOption,
    LimitOption,
    PatchOption,
    ShapeOption,
    SizeOption,
    SkipOption,
    errors_console,
    guarded,
    machine_facts,
    open_data,
    output_console,
    plain_line,
    saved_population,
)


@guarded
def command(
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="Images or a saved population.", show_default=False)
    ] = None,
    patch: PatchOption = None,
    grey: GreyOption = False,
    size: SizeOption = None,
    limit: LimitOption = None,
    shape: ShapeOption = None,
    skip_corrupt: SkipOption = False,
) -> None:
    """Show versions and the built-in data that are available; with DATA, what is in it."""
    console = output_console()
    if data is None:
        _print(console, {**machine_facts(), "core": Path(_core.__file__).name})
        _print(console, {name: _availability(name) for name in BUILTIN_NAMES}, "Built-in data")
        return
    options = DataOptions(data, patch, grey, size, limit, shape, skip_corrupt)
    _print(console, _population_facts(saved_population(options)) if options.is_population else _image_facts(options))


def _print(console: Console, facts: Mapping[str, str], title: str | None = None) -> None:
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), Text(value))
    console.print(table)


def _availability(name: str) -> str:
    """Count and shape of a built-in set, or which package is missing."""
    try:
        source = open_data(DataOptions(name))
    except (ImportError, ValueError, OSError) as error:
        return f"not available: {error}"
    return f"{source.count:,} images, {_times(source.shape)}"


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _image_facts(options: DataOptions) -> dict[str, str]:
    source = open_data(options, lambda message: plain_line(errors_console(), f"left out: {message}", "yellow"))
    return {
        "name": source.name,
        "images": "known when read" if source.count is None else f"{source.count:,}",
        "shape": f"{_times(source.shape)} ({source.dimension} dimensions)",
        "scaling": source.scaling,
        "description": source.description,
    }


def _population_facts(population: Population) -> dict[str, str]:
    values = population.eigenvalues
    return {
        "kind": "saved population",
        "images": "known exactly" if population.sample_size is None else f"{population.sample_size:,}",
        "shape": f"{_times(population.shape)} ({population.dimension} dimensions)",
        "modes": f"{len(values)}, eigenvalues {values[-1]:.4g} to {values[0]:.4g}",
        "eigenvectors": "no, the spectrum alone" if population.eigenvectors is None else "yes",
        "total variance": f"{population.total_variance:.6g}",
        "description": population.description or "none",
    }
