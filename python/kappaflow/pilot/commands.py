"""Commands of the user, a few at once: each in a process group of its own, its output in a file, and none left behind."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .._checks import integer
from .._repr import ShortRepr
from ..models.errors import TrainingError

__all__ = ["Call", "Ended", "last_line", "run_calls", "status_words"]

#: Seconds between two looks at the processes, and seconds that a process has to end by itself.
_POLL, _GRACE = 0.05, 5.0
#: Bytes of the end of an output in which its last line is looked for, and characters of that line that are shown.
_TAIL, _SHOWN = 8192, 200


@dataclass(frozen=True, repr=False)
class Call(ShortRepr):
    """A command to run.

    Attributes
    ----------
    name : of what it does, for messages
    words : the program and its arguments; no shell reads them
    log : file that takes the command and its output
    """

    name: str
    words: tuple[str, ...]
    log: Path


class Ended(NamedTuple):
    """How a command ended: its exit status, negative for a signal, and how long it took."""

    status: int
    seconds: float


def run_calls(
    calls: Sequence[Call],
    *,
    workers: int = 1,
    started: Callable[[int], None] | None = None,
    ended: Callable[[int, Ended], None],
) -> None:
    """Run commands in their order, `workers` at once.

    After a failure no further command starts; those that run come to their end first. If this is interrupted, the running
    commands and their children are ended.

    Parameters
    ----------
    calls : the commands
    workers : number of commands at once
    started : called with the place of a command just before it starts
    ended : called with the place of a command and how it ended; it raises TrainingError if that is a failure

    Raises
    ------
    TrainingError
        The first failure.
    ValueError, TypeError
        `workers` is not an integer of at least 1.
    """
    at_once = integer("workers", workers, 1)
    waiting, running = list(range(len(calls))), dict[int, _Process]()
    failure: TrainingError | None = None
    try:
        while running or (waiting and failure is None):
            try:
                while waiting and failure is None and len(running) < at_once:
                    place = waiting.pop(0)
                    if started is not None:
                        started(place)
                    running[place] = _Process(calls[place])
                for place in [place for place, process in running.items() if process.has_ended]:
                    ended(place, running.pop(place).end)
            except TrainingError as error:
                failure = failure or error
            if running:
                time.sleep(_POLL)
    finally:
        for process in running.values():
            process.stop()
    if failure is not None:
        raise failure


class _Process:
    """A running command."""

    def __init__(self, call: Call) -> None:
        self._began = time.monotonic()
        with call.log.open("wb") as log:
            log.write(f"$ {shlex.join(call.words)}\n".encode())
            log.flush()
            try:
                self._process = subprocess.Popen(
                    call.words,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise TrainingError(
                    f"{call.name}: the command {call.words[0]!r} cannot be started: {error.strerror}"
                ) from error

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def end(self) -> Ended:
        return Ended(self._process.wait(), time.monotonic() - self._began)

    def stop(self) -> None:
        """End the command and its children."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if hasattr(signal, "SIGKILL"):
                self._signal(signal.SIGKILL)  # also for children that outlive the command
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, number)  # the command leads its group
            else:
                self._process.terminate()


def status_words(status: int) -> str:
    """``ended with exit status 3``, ``was ended by SIGKILL``."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def last_line(log: Path) -> str:
    """The last line that a command wrote, shortened; "" if it wrote none. The file begins with the command itself."""
    with log.open("rb") as file:
        file.readline()
        begin = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(max(begin, end - _TAIL))
        text = file.read().decode("utf-8", errors="replace")
    lines = [" ".join(re.sub(r"[\x00-\x1f\x7f]", " ", line).split()) for line in re.split(r"[\r\n]+", text)]
    return next((line[:_SHOWN] for line in reversed(lines) if line), "")
