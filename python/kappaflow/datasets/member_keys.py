"""Which members of an archive are read: all of them, or those that the key of ``"FILE::KEY"`` names."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from .._listing import listed
from .errors import DataError
from .keys import SEPARATOR
from .members import StoredFile

__all__ = ["ChosenMembers", "choose_members", "describe_others"]


class ChosenMembers(NamedTuple):
    """The members that a key names, and the number of the others."""

    members: list[StoredFile]
    others: int


def choose_members(members: Sequence[StoredFile], key: str | None, name: str) -> ChosenMembers:
    """The members that a key names: those of a folder, one file, or those whose names end with a dot and the key.

    Parameters
    ----------
    members : all members
    key : "train/cats", "images.npy", "seg.png"; None for all members
    name : name of the archive in messages

    Raises
    ------
    DataError
        The key names none; the message lists folders and endings.
    """
    if key is None:
        return ChosenMembers(list(members), 0)
    wanted = key.strip("/")
    chosen = [member for member in members if member.name.startswith(f"{wanted}/") or member.name == wanted]
    if not chosen:
        ending = "." + wanted.lower().lstrip(".")
        chosen = [member for member in members if ending_of(member.name) == ending]
        chosen = chosen or [member for member in members if member.name.lower().endswith(ending)]
    if not chosen or not wanted:
        raise DataError(f"{name}: holds no folder, file or ending {key!r}, but {contents(members, wanted, name)}")
    return ChosenMembers(chosen, len(members) - len(chosen))


def describe_others(others: int, key: str | None) -> tuple[str, ...]:
    """What is said of so many members that the key does not name."""
    return (f"{others:,} file{'s' * (others > 1)} not of {key!r}",) if others else ()


def ending_of(name: str) -> str:
    """All that follows the first dot of the name of a file, in lower case: ".seg.png" of "a/17.seg.png"."""
    _, dot, rest = name.rpartition("/")[2].partition(".")
    return (dot + rest).lower()


def contents(members: Sequence[StoredFile], wanted: str, name: str) -> str:
    """Folders and endings with their numbers of files, and the one that resembles what is wanted."""
    folders = Counter(parent for member in members for parent in parents(member.name))
    endings = Counter(ending_of(member.name) for member in members)
    texts = [f"{folder}/ ({count:,} files)" for folder, count in sorted(folders.items())]
    texts += [f"{ending or 'no ending'} ({count:,} files)" for ending, count in endings.most_common()]
    close = difflib.get_close_matches(wanted, [*folders, *(ending.lstrip(".") for ending in endings if ending)], n=1)
    hint = f"; did you mean {name}{SEPARATOR}{close[0]}?" if close else ""
    return listed(texts) + hint


def parents(name: str) -> list[str]:
    """The folders that a file lies in, the outermost first."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
