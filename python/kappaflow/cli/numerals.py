"""Numbers as they may be typed: one grammar for every option."""

from __future__ import annotations

import re

__all__ = ["is_digits", "typed_number", "typed_whole_number"]

#: ASCII digits; an underscore may separate thousands, so 1_000 is a number and 1_0 is a mistake.
_DIGITS = r"(?:[0-9]{1,3}(?:_[0-9]{3})+|[0-9]+)"
_WHOLE = re.compile(rf"[+-]?{_DIGITS}")
_NUMBER = re.compile(rf"[+-]?(?:{_DIGITS}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
#: Python converts no longer numbers from text, and no option takes any.
_LONGEST = 400


def is_digits(text: str, most: int = 9) -> bool:
    """Whether a text is 1 to `most` digits from 0 to 9 and nothing else; other alphabets have digits too."""
    return re.fullmatch(r"[0-9]+", text) is not None and len(text) <= most


def typed_number(text: str) -> float:
    """A finite or infinite number such as 0.1, 1e5 or 100_000.

    Raises
    ------
    ValueError
        Anything else: nan, inf, digits of other alphabets, 1_0.
    """
    if len(text) > _LONGEST or _NUMBER.fullmatch(text) is None:
        raise ValueError(f"not a number: {text!r}")
    return float(text)


def typed_whole_number(text: str) -> int:
    """A whole number such as 5 or 100_000.

    Raises
    ------
    ValueError
        Anything else.
    """
    if len(text) > _LONGEST or _WHOLE.fullmatch(text) is None:
        raise ValueError(f"not a whole number: {text!r}")
    return int(text)
