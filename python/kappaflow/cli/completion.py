"""What the shell offers when a user presses the tab key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ..datasets import BUILTIN_NAMES

__all__ = ["complete_data", "one_of", "several_of"]

Completion = Callable[[str], list[str]]
_DATA_SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".zarr", ".safetensors")


def one_of(words: Callable[[], Iterable[str]]) -> Completion:
    """Completes one of a few words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words() if word.startswith(incomplete)]

    return complete


def several_of(words: Callable[[], Iterable[str]]) -> Completion:
    """Completes the last of several words that are separated by commas; those that are there already are not offered."""

    def complete(incomplete: str) -> list[str]:
        *former, last = incomplete.split(",")
        begun = "".join(f"{word}," for word in former)
        return [begun + word for word in words() if word.startswith(last) and word not in former]

    return complete


def complete_data(incomplete: str) -> list[str]:
    """Built-in names, folders and files of data."""
    names = [name for name in BUILTIN_NAMES if name.startswith(incomplete)]
    folder, _, start = incomplete.rpartition("/")
    before = incomplete[: len(incomplete) - len(start)]
    try:
        entries = sorted(Path(f"{folder}/" if before else ".").expanduser().iterdir())
    except OSError:
        return names
    fitting = [
        before + entry.name
        for entry in entries
        if entry.name.startswith(start)
        and (start.startswith(".") or not entry.name.startswith("."))
        and (entry.is_dir() or entry.suffix.lower() in _DATA_SUFFIXES)
    ]
    return names + fitting
