"""``--install-completion`` adds a line to the start file of the user's shell; it must not be able to lose the rest of that file."""

from __future__ import annotations

import locale
from pathlib import Path
from typing import Any

import typer

from .._files import write_bytes

__all__ = ["write_completion_whole"]


class _WholePath(type(Path())):  # type: ignore[misc] # Path itself has no subclasses before Python 3.12
    """A path whose text is written whole or not at all."""

    def write_text(self, data: str, encoding: str | None = None, errors: str | None = None, newline: Any = None) -> int:
        write_bytes(self, data.encode(encoding or locale.getpreferredencoding(False), errors or "strict"))
        return len(data)


def write_completion_whole() -> None:
    """Let typer, which reads the start file of the shell and writes it again with one more line, replace the file in one step."""
    typer._completion_shared.Path = _WholePath  # type: ignore[attr-defined]
