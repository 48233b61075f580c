"""What a file that is read back must hold: facts in JSON and arrays, each with a rule that names the field, its value and what is
allowed.

A rule is a function of a name and a value that raises ValueError for anything else. The formats of the package are in
:mod:`kappaflow._formats`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ._listing import listed

__all__ = [
    "CHECKSUM",
    "Arrays",
    "FileError",
    "Rule",
    "TensorFormat",
    "anything",
    "check_record",
    "checksum_of_facts",
    "digest_text",
    "flag",
    "list_of",
    "number",
    "optional",
    "parse_json",
    "record",
    "shown_value",
    "text",
    "whole",
]

#: The field of a file that identifies everything else in it.
CHECKSUM = "checksum"
#: Characters of a value that a message shows.
_SHOWN = 60
#: Digits of a whole number in a file.
_LARGEST = 2**63

Rule = Callable[[str, Any], None]


class FileError(ValueError):
    """A file that is read back is of another kind, damaged or changed; the message names the file, the field and the value.

    Attributes
    ----------
    reason : what is wrong with it, without the name of the file
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message


def shown_value(value: Any) -> str:
    """A value for a message, shortened and in printable characters only."""
    words = repr(value)
    return words if len(words) <= _SHOWN else words[: _SHOWN - 1] + "…"


def _refuse(name: str, allowed: str, value: Any) -> None:
    raise ValueError(f"{name} must be {allowed}, got {shown_value(value)}")


# --- rules ------------------------------------------------------------------------------------------------------------


def anything(name: str, value: Any) -> None:
    """Any value."""


def text(name: str, value: Any) -> None:
    """A text.

    Raises
    ------
    ValueError
        Another value.
    """
    if not isinstance(value, str):
        _refuse(name, "a text", value)


def flag(name: str, value: Any) -> None:
    """True or false.

    Raises
    ------
    ValueError
        Another value.
    """
    if not isinstance(value, bool):
        _refuse(name, "true or false", value)


def digest_text(name: str, value: Any) -> None:
    """Hexadecimal digits.

    Raises
    ------
    ValueError
        Another value.
    """
    if not isinstance(value, str) or not value or set(value) - set("0123456789abcdef"):
        _refuse(name, "hexadecimal digits", value)


def whole(least: int) -> Rule:
    """Rule: a whole number of at least `least`."""

    def rule(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < _LARGEST:
            _refuse(name, f"a whole number of at least {least}", value)

    return rule


def number(least: float = -math.inf) -> Rule:
    """Rule: a finite number of at least `least`."""

    def rule(name: str, value: Any) -> None:
        valid = isinstance(value, int | float) and not isinstance(value, bool)
        if not valid or not abs(value) < math.inf or value < least:
            _refuse(name, "a finite number" if least == -math.inf else f"a finite number of at least {least:g}", value)

    return rule


def optional(rule: Rule) -> Rule:
    """Rule: null, or what `rule` allows."""

    def either(name: str, value: Any) -> None:
        if value is not None:
            rule(name, value)

    return either


def list_of(rule: Rule) -> Rule:
    """Rule: a list in which `rule` allows every item."""

    def every(name: str, value: Any) -> None:
        if not isinstance(value, list):
            _refuse(name, "a list", value)
        for place, item in enumerate(value):
            rule(f"{name}[{place}]", item)

    return every


def record(fields: Mapping[str, Rule], *, missing: tuple[str, ...] = (), more: bool = False) -> Rule:
    """Rule: named values.

    Parameters
    ----------
    fields : name → rule
    missing : names that may be missing
    more : whether other names may occur
    """

    def rule(name: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            _refuse(name, "named values", value)
        absent = [key for key in fields if key not in value and key not in missing]
        if absent:
            raise ValueError(
                f"{name or 'it'} must have the field {absent[0]!r}, got {listed(sorted(map(repr, value)), 6) or 'none'}"
            )
        unknown = [] if more else [key for key in value if key not in fields]
        if unknown:
            raise ValueError(
                f"{name or 'it'} must have no fields but {', '.join(fields)}, got {shown_value(unknown[0])}"
            )
        for key, item in value.items():
            if key in fields:
                fields[key](f"{name}: {key}" if name else str(key), item)

    return rule


def check_record(fields: Mapping[str, Any], rule: Rule, name: str) -> None:
    """Check named values against a rule.

    Raises
    ------
    ValueError
        A value that is not allowed.
    """
    rule(name, fields)


# --- JSON -------------------------------------------------------------------------------------------------------------


def parse_json(content: str | bytes) -> Any:
    """JSON as the package writes it: no NaN or infinity, no name twice, at most as deep as Python can read.

    Raises
    ------
    ValueError
        Anything else.
    """
    try:
        return json.loads(content, parse_constant=_no_constant, object_pairs_hook=_distinct)
    except RecursionError:
        raise ValueError("JSON must not be nested so deeply") from None


def _no_constant(word: str) -> Any:
    raise ValueError(f"JSON must hold finite numbers, got {word}")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError("JSON must name every field once")
    return named


def checksum_of_facts(facts: Mapping[str, Any]) -> str:
    """SHA-256 of named values without their checksum, in 64 hexadecimal digits."""
    plain = {name: value for name, value in facts.items() if name != CHECKSUM}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


# --- arrays -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arrays:
    """Arrays of one kind.

    Attributes
    ----------
    dtype : of the values, or several with spaces; None for any real numbers
    axes : length of each axis, or its name: axes of one name have one length in the whole file; None for any shape
    needed : whether such an array must be there
    finite : whether values must be finite
    """

    dtype: str | None
    axes: tuple[str | int, ...] | None = None
    needed: bool = False
    finite: bool = True

    @property
    def words(self) -> str:
        """What is allowed, in words."""
        kind = "real numbers" if self.dtype is None else " or ".join(np.dtype(one).name for one in self.dtype.split())
        return (
            ("finite " if self.finite else "")
            + kind
            + ("" if self.axes is None else f" of shape ({', '.join(map(str, self.axes))})")
        )

    def check(self, name: str, array: npt.NDArray[Any], sizes: dict[str, tuple[int, str]]) -> None:
        """Check one of them; `sizes` takes the lengths of named axes, and the array that has each first.

        Raises
        ------
        ValueError
            Another type or shape, or values that are not finite.
        """
        right = array.dtype.kind in "fiub" if self.dtype is None else array.dtype in map(np.dtype, self.dtype.split())
        if not right or (self.axes is not None and array.ndim != len(self.axes)):
            raise ValueError(f"{name} must hold {self.words}, got {array.dtype} of shape {array.shape}")
        for axis, length in zip(self.axes or (), array.shape, strict=False):
            known, of = (axis, "") if isinstance(axis, int) else sizes.setdefault(axis, (length, name))
            if known != length:
                raise ValueError(
                    f"{name} must hold {self.words} with {axis} = {known}, as in {of}, got shape {array.shape}"
                )
        if self.finite and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} must hold {self.words}, got {array[~np.isfinite(array)][0]}")


@dataclass(frozen=True)
class TensorFormat:
    """A format of safetensors files.

    Attributes
    ----------
    name : in the metadata of each file
    what : such a file in messages
    facts : field of the metadata → rule for the JSON that it holds
    arrays : name, or beginning of names that ends in / or :, → rule for arrays
    again : how to make a damaged file again
    """

    name: str
    what: str
    facts: Mapping[str, Rule] = field(default_factory=dict)
    arrays: Mapping[str, Arrays] = field(default_factory=dict)
    again: str = "make it again"

    def check_arrays(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Check all arrays of a file.

        Raises
        ------
        ValueError
            An array is missing, not allowed, or not as it should be.
        """
        sizes: dict[str, tuple[int, str]] = {}
        missing = [name for name, rule in self.arrays.items() if rule.needed and name not in arrays]
        if missing:
            raise ValueError(f"it must hold the array {missing[0]!r}, got {listed(sorted(arrays), 6) or 'none'}")
        for name in sorted(arrays):
            self.rule_of(name).check(name, arrays[name], sizes)

    def rule_of(self, name: str) -> Arrays:
        """The rule for an array.

        Raises
        ------
        ValueError
            The format has no array of this name.
        """
        beginnings = [key for key in self.arrays if key[-1] in "/:" and name.startswith(key) and name != key]
        if name not in self.arrays and not beginnings:
            raise ValueError(f"it must hold no arrays but {', '.join(self.arrays)}, got {shown_value(name)}")
        return self.arrays[name if name in self.arrays else max(beginnings, key=len)]
