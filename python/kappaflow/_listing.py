"""Lists of names in messages: one place decides how many are printed."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["MOST_NAMES", "listed"]

#: Most names in a list.
MOST_NAMES = 10


def listed(texts: Iterable[object], most: int = MOST_NAMES, *, separator: str = ", ") -> str:
    """The texts with commas, at most `most` of them.

    >>> listed("abcde", 3), listed("ab", separator="; ")
    ('a, b, c and 2 more', 'a; b')
    """
    names = [str(text) for text in texts]
    more = len(names) - most
    return separator.join(names) if more <= 0 else f"{separator.join(names[:most])} and {more:,} more"
