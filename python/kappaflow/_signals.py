"""Signals that wait while something is done that must not stop halfway."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["uninterrupted"]

#: Signals that end a program unless it handles them; a crash of the program itself is not among them.
_ENDING = frozenset(
    getattr(signal, name)
    for name in (
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGTERM",
        "SIGALRM",
        "SIGUSR1",
        "SIGUSR2",
        "SIGVTALRM",
        "SIGPROF",
        "SIGXCPU",
    )
    if hasattr(signal, name)
)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that would end or interrupt this thread wait until the block is done, and then take effect.

    Blocking them in the mask of the thread would not do: another thread of the process would take them, and Python runs their
    handlers in the main thread. Only the main thread is ever interrupted, so in other threads nothing needs to wait.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []

    def wait(number: int, _frame: FrameType | None) -> None:
        waiting.append(number)

    before: dict[signal.Signals, Any] = {}
    try:
        for number in [number for number in signal.valid_signals() if isinstance(number, signal.Signals)]:
            handler = signal.getsignal(number)
            if callable(handler) or (handler == signal.SIG_DFL and number in _ENDING):  # what is callable may raise
                before[number] = handler
                signal.signal(number, wait)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for come in waiting:
        signal.raise_signal(come)
