"""The options that ask for an answer for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from .._checks import choice
from ..datasets.label_files import read_label_file
from .completion import one_of
from .declaring import DATA_PANEL, option

__all__ = ["ByClass"]

_CLASS = "class"


@dataclass(frozen=True)
class ByClass:
    """Whether to answer for each class, and which images belong to it."""

    by: Annotated[
        str | None,
        option(
            "--by",
            metavar="WHAT",
            shown="none",
            complete=one_of((_CLASS,)),
            panel=DATA_PANEL,
            help="class: also answer for each class alone. Classes are the labels of DATA, its subfolders, or those of --labels.",
        ),
    ] = None
    labels: Annotated[
        str | None,
        option(
            "--labels",
            metavar="FILE",
            shown="those of DATA",
            panel=DATA_PANEL,
            help="Class of each image, for --by class: an array of integers, texts or one-hot rows in .npy, .npz or .h5 "
            "(FILE::KEY), or the lines of a .txt, in the order of the stored images or of the sorted paths of files.",
        ),
    ] = None

    def __post_init__(self) -> None:
        """Refuse anything but classes, and labels that nobody asks for."""
        if self.by is not None:
            choice("--by", self.by, (_CLASS,))
        elif self.labels is not None:
            raise ValueError(f"--labels needs --by class, got {self.labels!r} without it")

    @property
    def wanted(self) -> bool:
        """Whether to answer for each class."""
        return self.by is not None

    def read(self) -> Any:
        """The labels in the file of ``--labels``; None without it."""
        return None if self.labels is None else read_label_file(self.labels)

    def as_json(self) -> dict[str, str | None]:
        """Options by name, for options.json."""
        return {"by": self.by, "labels": self.labels}
