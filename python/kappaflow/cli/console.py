"""What the commands print: results on stdout; progress, warnings and errors on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.progress import Progress, TaskID, TimeRemainingColumn
from rich.text import Text

from .._checks import FloatArray
from .._progress import ProgressLines, terminal_bar
from .._terminal import PlainConsole
from ..consistency.network_words import NetworkWords

__all__ = ["ProgressDisplay", "errors_console", "output_console", "plain_line", "print_networks", "print_notes"]


def output_console() -> Console:
    """Console of the results, stdout."""
    return PlainConsole(highlight=False)


def errors_console() -> Console:
    """Console of progress, warnings and errors, stderr."""
    return PlainConsole(stderr=True, highlight=False)


def plain_line(console: Console, text: str, style: str | None = None) -> None:
    """Print one line as it is: not wrapped, no markup."""
    console.print(Text(" ".join(text.split("\n")), style=style or ""), soft_wrap=True)


def print_notes(console: Console, notes: Sequence[str], label: str = "note") -> None:
    """Paragraphs below a table, each with an empty line before it."""
    for note in notes:
        console.print(Padding(f"{label}: {note}", (1, 0, 0, 0)), markup=False)


def print_networks(console: Console, networks: NetworkWords, *sentences: str) -> None:
    """Sentences about networks, and the command that answers for the user's on a line of its own, which is never broken."""
    print_notes(console, [" ".join([*sentences, networks.ask])], "networks")
    console.print()
    plain_line(console, f"  {networks.command}")


class ProgressDisplay:
    """Progress on stderr: a bar on a terminal, occasional lines in a log, nothing if `quiet`.

    It serves as the callback (step, fraction done) that the library takes, and as a context manager. The bar appears at the
    first step.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = errors_console()
        self._lines = ProgressLines(lambda text: plain_line(self._console, text))
        self._stack = ExitStack()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressDisplay:
        """The display itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove the bar."""
        self._stack.close()

    def __call__(self, step: str, fraction: float | None) -> None:
        """Show a step and the fraction of the work that is done, None if that is not known."""
        if self._quiet:
            return
        if not self._console.is_terminal:
            self._lines(step, fraction or 0.0)
            return
        if self._bar is None:
            self._bar = self._stack.enter_context(terminal_bar(TimeRemainingColumn()))
            self._task = self._bar.add_task(step, total=1.0)
        assert self._task is not None
        total = None if fraction is None else 1.0
        self._bar.update(self._task, description=step, total=total, completed=fraction or 0.0)

    def warn(self, text: str) -> None:
        """Print a warning above the bar."""
        self._print(text, "yellow")

    def say(self, text: str) -> None:
        """Print a line above the bar, unless `quiet`."""
        if not self._quiet:
            self._print(text, None)

    def _print(self, text: str, style: str | None) -> None:
        plain_line(self._console if self._bar is None else self._bar.console, text, style)

    def counted(self, batches: Iterator[FloatArray], what: str, total: int | None) -> Iterator[FloatArray]:
        """The same batches; each one updates the number of images read on the display."""
        begun, seen = time.monotonic(), 0
        self(what, None if total is None else 0.0)
        for batch in batches:
            yield batch
            seen += len(np.atleast_1d(batch))
            rate = seen / max(time.monotonic() - begun, 1e-6)
            of = "" if total is None else f" of {total:,}"
            self(f"{what}: {seen:,}{of} images, {rate:,.0f} a second", None if not total else seen / total)
