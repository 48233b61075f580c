"""The options for images that belong together, and for training sets that are counted in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from ..groups import images_of_groups
from ..population import Population
from .declaring import DATA_PANEL, flag, option
from .parsing import TrainingSize, parse_sizes

__all__ = ["Flip", "Groups", "Sizes"]

Groups = Annotated[
    str | None,
    option(
        "--groups",
        metavar="WHICH",
        shown="none",
        help="Images that belong together, such as the frames of a clip: training sets hold whole groups. folder: those of one "
        "folder; file: frames of one file; photograph: patches of one photograph (built-in data 'patches'); FILE.npy: a label for "
        "each image; anything else: a regular expression on file names, such as '^(patient[0-9]+)'.",
        panel=DATA_PANEL,
    ),
]
Flip = Annotated[
    bool,
    flag(
        "--flip",
        help="Models are trained with random horizontal flips: the mirror image of each image is added. Sizes count images "
        "without them.",
        panel=DATA_PANEL,
    ),
]


@dataclass(frozen=True)
class Sizes:
    """Sizes of training sets."""

    n: Annotated[
        list[str] | None,
        option(
            "--n",
            metavar="SIZES",
            help="Training-set sizes, such as 100,300 or --n 100 --n 300; 10g counts groups of --groups.",
        ),
    ] = None

    def typed(self) -> list[int | str] | None:
        """The sizes in order as they were typed, for options.json; None if the option was not given."""
        sizes = parse_sizes(self.n)
        return None if sizes is None else [size.text if size.groups else size.number for size in sizes]

    def several(self, population: Population | None = None) -> list[int] | None:
        """The sizes in images, in order; None if the option was not given.

        Sizes in groups need the population, and raise ValueError without one or if its images are independent.
        """
        sizes = parse_sizes(self.n)
        return None if sizes is None else sorted({_images(size, population) for size in sizes})

    def one(self, population: Population | None = None) -> int | None:
        """The only size, in images; None if the option was not given."""
        sizes = parse_sizes(self.n)
        if sizes is None:
            return None
        if len(sizes) != 1:
            raise ValueError(f"--n must be one training-set size, such as --n 1000; got {_joined(self.n)!r}")
        return _images(sizes[0], population)


def _joined(texts: Sequence[str] | None) -> str:
    return ",".join(texts or [])


def _images(size: TrainingSize, population: Population | None) -> int:
    if not size.groups:
        return size.number
    if population is None:
        raise ValueError(f"--n must count images with this command, got {size.text!r}, which counts groups")
    if population.group_count is None or population.group_size <= 1:
        raise ValueError(f"--n: {size.text!r} counts groups of images, and these images have none: give --groups")
    return images_of_groups(population, size.number)
