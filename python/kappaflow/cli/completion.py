"""What the shell offers when a user presses the tab key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..datasets import BUILTIN_NAMES
from ..datasets.opening import FILE_READERS

__all__ = ["complete_data", "complete_paths", "one_of", "several_of"]

Completion = Callable[[str], list[str]]
#: Words to offer, or a function that returns them if they can change, as registered laws do.
Words = Sequence[str] | Callable[[], Iterable[str]]
_DATA_SUFFIXES = tuple(FILE_READERS)  # those of populations too


def _given(words: Words) -> Iterable[str]:
    return words() if callable(words) else words


def one_of(words: Words) -> Completion:
    """Completes one of a few words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in _given(words) if word.startswith(incomplete)]

    return complete


def several_of(words: Words) -> Completion:
    """Completes the last of several words separated by commas; words already in the list are not offered."""

    def complete(incomplete: str) -> list[str]:
        *former, last = incomplete.split(",")
        begun = "".join(f"{word}," for word in former)
        return [begun + word for word in _given(words) if word.startswith(last) and word not in former]

    return complete


def complete_data(incomplete: str) -> list[str]:
    """Built-in names, folders and files of data."""
    names = [name for name in BUILTIN_NAMES if name.startswith(incomplete)]
    return names + _paths(incomplete, lambda entry: entry.suffix.lower() in _DATA_SUFFIXES)


def complete_paths(incomplete: str) -> list[str]:
    """Folders and files."""
    return _paths(incomplete, lambda entry: True)


def _paths(incomplete: str, fits: Callable[[Path], bool]) -> list[str]:
    """Folders, and the files that fit; hidden ones if the name begins with a dot."""
    folder, _, start = incomplete.rpartition("/")
    before = incomplete[: len(incomplete) - len(start)]
    try:
        entries = sorted(Path(f"{folder}/" if before else ".").expanduser().iterdir())
    except OSError:
        return []
    return [
        before + entry.name
        for entry in entries
        if entry.name.startswith(start)
        and (start.startswith(".") or not entry.name.startswith("."))
        and (entry.is_dir() or fits(entry))
    ]
