"""Progress of long calls: one bar for a terminal and for a notebook, or the user's own callable.

Long functions take ``progress``: None or False shows nothing, True shows a bar, and a callable is called instead. There are
two kinds. :func:`counted` reports how many items are done, to a callable ``(done)``; :func:`steps` reports the step and the
fraction of the work that is done, to a callable ``(step, fraction)``. Both are context managers that return the callable to
report to::

    with counted(progress, "reading images", total=source.count) as report:
        for batch in batches:
            ...
            report(seen)

With True the bar appears on standard error if that is a terminal, or below the cell of a Jupyter notebook. Elsewhere, as in a
log file, nothing is shown; :class:`ProgressLines` is a callable that writes occasional lines.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

__all__ = [
    "CountProgress",
    "ProgressLines",
    "StepProgress",
    "StepReport",
    "counted",
    "duration",
    "in_steps",
    "part_of",
    "reporter",
    "steps",
    "terminal_bar",
]

#: The argument ``progress`` of functions that count.
CountProgress: TypeAlias = "bool | Callable[[int], None] | None"
#: The argument ``progress`` of functions that work in named steps.
StepProgress: TypeAlias = "bool | Callable[[str, float], None] | None"

#: Called by functions that work in named steps: the step, and the fraction of all work that is done, from 0 to 1.
StepReport: TypeAlias = "Callable[[str, float], None]"

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds between two lines of a log.
_LOG_SECONDS = 30.0
#: Seconds between two updates of the bar in a notebook; each is a message to the browser.
_NOTEBOOK_SECONDS = 0.2


class _Bar(Protocol):
    """A bar that is shown."""

    def update(self, done: float, title: str) -> None:
        """Move to `done`, in the unit of the total."""


@contextmanager
def counted(progress: CountProgress, title: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A callable (done) that reports how many of `total` are done; `total` is None if it is unknown.

    Raises
    ------
    TypeError
        `progress` is neither True, False, None nor callable.
    """
    if callable(progress):
        yield progress
        return
    with _shown(progress, title, total, unit="") as bar:
        yield (lambda _done: None) if bar is None else (lambda done: bar.update(done, title))


@contextmanager
def steps(progress: StepProgress, title: str) -> Iterator[Callable[[str, float], None]]:
    """A callable (step, fraction) that reports the name of the current step and the fraction of all work that is done.

    Raises
    ------
    TypeError
        `progress` is neither True, False, None nor callable.
    """
    if callable(progress):
        yield progress
        return
    with _shown(progress, title, 1.0, unit="%") as bar:
        yield (
            (lambda _step, _fraction: None)
            if bar is None
            else (lambda step, fraction: bar.update(fraction, f"{title}: {step}"))
        )


def in_steps(title: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator of a function with the keyword ``progress``, a :data:`StepProgress`: the function always receives a callable.

    ::

        @in_steps("diagnosis")
        def diagnose(population, *, progress: StepProgress = None):
            report = reporter(progress)
            report("training sets", 0.1)
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with steps(kwargs.get("progress"), title) as report:  # type: ignore[arg-type]
                kwargs["progress"] = report
                return function(*args, **kwargs)

        return run

    return decorate


def reporter(progress: StepProgress) -> StepReport:
    """The callable that a function decorated with :func:`in_steps` reports to."""
    assert callable(progress)
    return progress


@contextmanager
def _shown(progress: object, title: str, total: float | None, *, unit: str) -> Iterator[_Bar | None]:
    """The bar to show for True; None if nothing is to be shown."""
    if progress is not None and not isinstance(progress, bool):
        raise TypeError(f"progress must be True, False, None or a callable, got {progress!r}")
    if not progress:
        yield None
        return
    if _in_notebook():
        bar = _NotebookBar(title, total, unit)
        try:
            yield bar
        finally:
            bar.close()
        return
    from rich.progress import MofNCompleteColumn, TaskProgressColumn, TimeRemainingColumn  # lazy: a quick start

    column = TaskProgressColumn() if unit == "%" else MofNCompleteColumn()
    with terminal_bar(column, TimeRemainingColumn()) as shown:
        task = shown.add_task(title, total=total)
        yield _TerminalBar(lambda done, text: shown.update(task, completed=done, description=text))


@contextmanager
def terminal_bar(*columns: ProgressColumn, quiet: bool = False) -> Iterator[Progress]:
    """rich's progress bar on standard error with a title, a bar and the given columns; it is removed at the end.

    Shows nothing if `quiet`, or if standard error is not a terminal.
    """
    from rich.progress import BarColumn, Progress, TextColumn  # lazy: a quick start

    from ._terminal import PlainConsole  # lazy: a quick start

    console = PlainConsole(stderr=True, highlight=False)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as progress:
        yield progress


class _TerminalBar:
    def __init__(self, update: Callable[[float, str], None]) -> None:
        self.update = update


class _NotebookBar:
    """A ``<progress>`` element below the cell; needs only IPython, no widgets."""

    def __init__(self, title: str, total: float | None, unit: str) -> None:
        from IPython.display import HTML, display  # lazy: only notebooks have it

        self._html, self._total, self._unit = HTML, total, unit
        self._last: tuple[float, str] = (0.0, title)
        self._handle: Any = display(HTML(self._text()), display_id=True)
        self._time = time.monotonic()

    def update(self, done: float, title: str) -> None:
        self._last = (done, title)
        if time.monotonic() - self._time >= _NOTEBOOK_SECONDS:
            self.close()
            self._time = time.monotonic()

    def close(self) -> None:
        """Show the last state."""
        self._handle.update(self._html(self._text()))

    def _text(self) -> str:
        import html  # lazy: a quick start

        done, title = self._last
        value = "" if self._total is None else f' value="{done:g}" max="{self._total:g}"'
        if self._unit == "%":
            words = f"{100 * done:.0f}&nbsp;%"
        else:
            words = f"{done:,.0f}" if self._total is None else f"{done:,.0f} of {self._total:,.0f}"
        return f"{html.escape(title)} <progress{value}></progress> {words}"


def _in_notebook() -> bool:
    """Whether the code runs in a Jupyter kernel, or in a service built on one."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and (
        type(shell).__name__ == "ZMQInteractiveShell" or type(shell).__module__.startswith("google.colab")
    )


# --- parts and logs ---------------------------------------------------------------------------------------------------


def part_of(report: StepReport, start: float, stop: float) -> StepReport:
    """The callable for a part of the work, which moves the whole from the fraction `start` to the fraction `stop`."""
    return lambda step, fraction: report(step, start + (stop - start) * fraction)


def duration(seconds: float) -> str:
    """A time span in words, with one unit.

    >>> duration(45.2), duration(700), duration(12600), duration(4 * 86400)
    ('45 seconds', '12 minutes', '3.5 hours', '4 days')
    """
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 2 * 86400 else f"{seconds / 86400:.0f} days"


class ProgressLines:
    """Progress as plain lines for a log: a callable (step, fraction) that writes at most one line every `seconds`.

    Parameters
    ----------
    write : called with each line
    seconds : between two lines, and before the first
    clock : returns seconds that only increase
    """

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        seconds: float = _LOG_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._seconds, self._clock = write, seconds, clock
        self._start = self._last = clock()

    def __call__(self, step: str, fraction: float) -> None:
        """Write a line if it is time for one."""
        now = self._clock()
        if now - self._last < self._seconds:
            return
        self._last = now
        done = "" if fraction <= 0 else f"{100 * min(fraction, 1.0):.0f} % done, "
        self._write(f"{step} ({done}{duration(now - self._start)} so far)")
