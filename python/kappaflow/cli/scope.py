"""What a command holds until it ends, and what it has written so far."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from contextvars import ContextVar, Token
from typing import TypeVar

from .._listing import listed

__all__ = ["CommandScope", "anything_was_written", "hold", "note_written"]

T = TypeVar("T")
_NAMES_SHOWN = 4


class CommandScope:
    """A command: what it holds is given back at its end, however it ends.

    Attributes
    ----------
    held : what is given back
    written : results that are complete
    """

    def __init__(self) -> None:
        self.held = ExitStack()
        self.written: list[str] = []
        self._token: Token[CommandScope] | None = None

    def __enter__(self) -> CommandScope:
        """Begin."""
        self._token = _scope.set(self)
        return self

    def __exit__(self, *_error: object) -> None:
        """Give everything back."""
        assert self._token is not None
        _scope.reset(self._token)
        self.held.close()

    def what_was_written(self) -> str:
        """For a command that is interrupted."""
        if not self.written:
            return "nothing was written"
        return f"results were written to {listed(self.written, _NAMES_SHOWN)}"


_scope: ContextVar[CommandScope] = ContextVar("command")


def hold(manager: AbstractContextManager[T]) -> T:
    """Enter a context that lasts until the command ends."""
    return _scope.get().held.enter_context(manager)


def note_written(path: str) -> None:
    """Remember results that are complete."""
    _scope.get().written.append(path)


def anything_was_written() -> bool:
    """Whether results are complete."""
    return bool(_scope.get().written)
