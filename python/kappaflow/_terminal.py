"""The console of all that is printed on a terminal or into a log: text is shown, and never controls the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.segment import Segment

from ._plain_text import plain_text

__all__ = ["PlainConsole"]


class PlainConsole(Console):
    """A console of rich whose texts pass :func:`~kappaflow._plain_text.plain_text`; colours and bars are those of rich alone."""

    def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of what is printed; those that are text are plain."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain_text(segment.text))
