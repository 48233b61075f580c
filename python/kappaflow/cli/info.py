"""``kappaflow info``: the installed versions, and the contents of a dataset."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import _core
from .._listing import MOST_NAMES
from ..datasets import BUILTIN_NAMES, ImageSource
from ..identified import ways_out
from ..population import Population
from .console import ProgressDisplay, output_console
from .errors import options_as_typed
from .loading import describe_classes, open_data, refuse_population, saved_population
from .options import Data
from .options_classes import ByClass
from .run import machine_facts
from .signature import changed, takes_options

_NOTHING = ""


@takes_options()
def command(
    data: Annotated[Data, changed("data", default=_NOTHING, metavar="DATA", help="Images or a saved population.")],
    by: Annotated[ByClass, changed("by", help="class: list every class of DATA and its number of images.")],
) -> None:
    """Show versions and the available built-in data; with DATA, show the contents of DATA.

    Example: kappaflow info patches --patch 8
    """
    console = output_console()
    if data.data == _NOTHING:
        _print(console, {**machine_facts(), "core": Path(_core.__file__).name})
        _print(console, {name: _availability(name) for name in BUILTIN_NAMES}, "Built-in data")
        return
    if data.is_population:
        if by.wanted:
            refuse_population(data)
        _print(console, _population_facts(saved_population(data)))
        return
    with ProgressDisplay(quiet=False) as display:
        source = open_data(data, display, say=False, labels=by.read())
    _print(console, {**_image_facts(source), **_class_facts(source, every=by.wanted)})


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
        source = open_data(Data(name))
    except (ImportError, ValueError, OSError) as error:
        return f"not available: {error}"
    return f"{source.count:,} images, {_times(source.shape)}"


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _image_facts(source: ImageSource) -> dict[str, str]:
    return {
        "name": source.name,
        "images": "known when read" if source.count is None else f"{source.count:,}",
        "shape": f"{_times(source.shape)} ({source.dimension} dimensions)",
        **_limit(source.count, source.shape),
        **dict(_numbered(source.provenance.lines())),
    }


def _class_facts(source: ImageSource, *, every: bool) -> dict[str, str]:
    """The classes, if there are any, and their numbers of images; errors of labels only if `every` class is asked for."""
    try:
        labels = source.class_labels()
        return {"classes": describe_classes(labels, len(labels.names) if every else MOST_NAMES)}
    except (ValueError, TypeError, OSError):
        if every:
            raise
        return {}


def _population_facts(population: Population) -> dict[str, str]:
    values = population.eigenvalues
    return {
        "kind": "saved population",
        "images": "known exactly" if population.sample_size is None else f"{population.sample_size:,}",
        "shape": f"{_times(population.shape)} ({population.dimension} dimensions)",
        "modes": f"{len(values)}, eigenvalues {values[-1]:.4g} to {values[0]:.4g}",
        "eigenvectors": "no, the spectrum alone" if population.eigenvectors is None else "yes",
        "total variance": f"{population.total_variance:.6g}",
        **_limit(population.sample_size, population.shape),
        **dict(_numbered(population.provenance.lines())),
    }


def _limit(images: int | None, shape: tuple[int, ...]) -> dict[str, str]:
    """What so many images do not determine, if there are too few; copies, which are found when images are read, count here."""
    if images is None or images >= math.prod(shape) + 2:
        return {}
    return {"limit": options_as_typed(ways_out(images, shape, options=True), {"size": "--size", "grey": "--grey"})}


def _numbered(lines: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str]]:
    """The lines with labels of their own: of several equal labels, the second is marked (2)."""
    seen: Counter[str] = Counter()
    for label, text in lines:
        seen[label] += 1
        yield (label if seen[label] == 1 else f"{label} ({seen[label]})"), text
