"""What the commands that train networks share: facts of the machine, warnings about the images, and what would be trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from .._independence import first_copies
from .._progress import duration
from .console import plain_line
from .loading import Rows
from .options import Data
from .run import machine_facts

if TYPE_CHECKING:
    from ..validation.network.context import Context
    from ..validation.network.plan import RunSpec


def torch_facts(device: str, command: str = "validate network") -> dict[str, str]:
    """Facts of the machine, with torch and its device, which must exist."""
    try:
        from ..models.devices import resolve_device  # lazy: torch
    except ImportError as error:
        raise ImportError(f'{command} needs PyTorch: pip install "kappaflow[networks]"') from error
    resolve_device(device, mps=True)
    return machine_facts(torch_device=device)


def what_is_kept(runs: Path) -> str:
    """What is left after Ctrl-C."""
    if runs.is_dir() and any(not entry.name.startswith(".") for entry in runs.iterdir()):
        return f"trained networks are kept in {runs}; the same command resumes from there"
    return "nothing was written"


def warnings_about(source: Data, images: Rows, split: str) -> list[str]:
    """Caveats of the images and of the way in which they are split."""
    notes = []
    used, groups = len(images.rows), images.groups
    if used < images.total:
        notes.append(
            f"{used:,} of {images.total:,} images fit into --memory; this random subset represents all images."
        )
    first = first_copies(images.rows)
    # copies within a group are always in the same training set
    copies = int((first != np.arange(used) if groups is None else groups[first] != groups).sum())
    if copies:
        others = "others" if groups is None else "images in other groups"
        notes.append(
            f"{copies:,} of {used:,} images are copies of {others}. Two training sets can then share images, and networks agree "
            "better than on images that all differ."
        )
    if source.data == "patches" and split == "random" and groups is None:
        notes.append(
            "Patches overlap with their neighbours, so random splits share pixels, and nearest-neighbour distances and "
            "memorisation say little. Use --split contiguous to cut between photographs."
        )
    return notes


def print_plan(
    console: Console,
    title: str,
    runs: Sequence[RunSpec],
    context: Context,
    *,
    kept: Path,
    device: str,
    workers: int | None,
) -> None:
    """Print what would be trained and how long it takes, from a few timed steps of each architecture."""
    from ..validation.network.cost import estimate  # lazy: torch
    from ..validation.network.sweep import worker_count  # lazy: torch

    table = Table(title=f"{title}: {len(runs)} networks")
    for heading in ("network", "parameters", "n", "count", "steps", "batch", "time each"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    seconds = 0.0
    for row in estimate(runs, context.images, context.shape, device):
        table.add_row(
            row.arch,
            f"{row.parameters:,}",
            ", ".join(map(str, row.sizes)),
            str(row.count),
            f"{row.steps:,}",
            str(row.batch),
            duration(row.seconds),
        )
        seconds += row.seconds * row.count
    console.print(table)
    processes = worker_count(workers, device)
    plain_line(console, f"about {duration(seconds / processes)} with {processes} at once on {device}; kept in {kept}")
