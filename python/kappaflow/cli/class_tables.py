"""The answers by class on the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ..classes import ClassPopulations
from ..consistency.classes import CLASS_NOTE, ClassAnswer, ClassAnswers, answers_by_class
from .console import ProgressDisplay, plain_line, print_notes
from .options import BandOption, LawOption, Sampling, Tolerance

__all__ = ["answers_if_wanted", "print_classes"]

_ROWS = 20
_PROBLEMS = 3


def answers_if_wanted(
    classes: ClassPopulations | None,
    mixture_law: str,
    sampling: Sampling,
    law: LawOption,
    tolerance: Tolerance,
    bands: BandOption,
    display: ProgressDisplay,
    sizes: Sequence[int] | None = None,
    reference_n: int | None = None,
) -> ClassAnswers | None:
    """The answers by class; None without classes. `mixture_law` is the law that was chosen for all images together.

    Classes have as many eigenbands as are asked for; they are bands of the modes of each class.
    """
    if classes is None:
        return None
    wanted = bands.wanted()
    return answers_by_class(
        classes,
        n=sizes,
        reference_n=reference_n,
        sigma_max=sampling.sigma_max,
        law=law.law,
        mixture_law=mixture_law,
        tolerance=tolerance.tolerance,
        bands=wanted if isinstance(wanted, int) else len(wanted),
        progress=display,
    )


def print_classes(console: Console, answers: ClassAnswers | None) -> None:
    """Print the table of the classes, what the numbers mean, and why some are missing; nothing without classes."""
    if answers is None:
        return
    console.print()
    console.print(_table(answers))
    plain_line(console, " ".join(text[:1].upper() + text[1:] for text in answers.sentences), "bold")
    unknown = [row for row in answers.classes if row.problem]
    texts = [f"{row.name}: {row.problem}" for row in unknown[:_PROBLEMS]]
    if len(unknown) > _PROBLEMS:
        more = len(unknown) - _PROBLEMS
        texts.append(
            f"{more:,} further {'class has' if more == 1 else 'classes have'} such a problem; the JSON says which"
        )
    print_notes(console, texts, "class")
    print_notes(console, [CLASS_NOTE])


def _table(answers: ClassAnswers) -> Table:
    shown, rest = answers.classes, 0
    title = "Two linear models by class"
    if len(answers.classes) > _ROWS:
        shown, rest = answers.most_lacking[:_ROWS], len(answers.classes) - _ROWS
        title += f": the {_ROWS} of {len(answers.classes):,} classes that lack most images"
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    size = int(answers.sizes[answers.reference])
    for heading in (
        "images",
        f"of n = {size:,}",
        "relative",
        f"needed for ≤ {answers.tolerance:g}",
        "in every band",
        "missing",
    ):
        table.add_column(heading, justify="right")
    for row in shown:
        table.add_row(*_cells(row, answers.reference))
    if rest:
        table.add_row(f"{rest:,} further classes")
    table.add_section()
    table.add_row(*_cells(answers.mixture, answers.reference))
    table.caption = (
        "of n: images of the class in a training set of n images of all classes; relative: disagreement of two models trained on "
        "them, 1 is as different as unrelated seeds; needed: images for all modes together, and for each eigenband of the class"
    )
    return table


def _needed(row: ClassAnswer, needed: int | None) -> str:
    """The images needed; without an answer, more than there are."""
    if needed is not None:
        return f"{needed:,}"
    return f"over {row.images:,}" if row.law and row.images is not None else "not known"


def _cells(row: ClassAnswer, reference: int) -> list[str]:
    relative = float(row.relative[reference])
    return [
        row.name,
        "known exactly" if row.images is None else f"{row.images:,}",
        f"{int(row.n[reference]):,}",
        "–" if math.isnan(relative) else f"{relative:.3f}",
        _needed(row, row.needed),
        _needed(row, row.in_every_band),
        "–" if row.missing is None else f"{row.missing:,}",
    ]
