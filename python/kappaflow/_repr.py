"""A short ``repr`` for results: arrays are shown by their shape, long sequences by their length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

__all__ = ["ShortRepr"]

#: Entries of a sequence that are shown in full, and characters of a text.
_SHOWN_ENTRIES, _SHOWN_CHARACTERS = 4, 40


class ShortRepr:
    """A result with a ``repr`` of a few lines, whatever its arrays hold.

    For dataclasses declared with ``repr=False``::

        @dataclass(frozen=True, repr=False)
        class Answer(ShortRepr):
            n: int
            values: FloatArray

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True, repr=False)
    ... class Answer(ShortRepr):
    ...     n: int
    ...     values: Any
    >>> Answer(3, np.zeros((3, 2)))
    Answer(n=3, values=array (3, 2))
    """

    __slots__ = ()

    def __repr__(self) -> str:
        held = fields(self)  # type: ignore[arg-type]  # a dataclass, see above
        shown = ", ".join(f"{field.name}={_brief(getattr(self, field.name))}" for field in held if field.repr)
        return f"{type(self).__name__}({shown})"


def _brief(value: Any) -> str:
    """One value in a few characters."""
    if isinstance(value, np.ndarray):
        return f"{value.item():.6g}" if value.shape == () and value.dtype.kind == "f" else f"array {value.shape}"
    if isinstance(value, np.generic):
        return _brief(value.item())
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN_CHARACTERS else value[: _SHOWN_CHARACTERS - 1] + "…")
    if isinstance(value, Mapping):
        return "{" + _some(list(value), repr) + "}"
    if isinstance(value, tuple | list):
        opening, closing = "()" if isinstance(value, tuple) else "[]"
        return opening + _some(value, _brief) + closing
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}(…)"
    return repr(value)


def _some(values: Any, show: Any) -> str:
    """The first entries, and their number if there are more."""
    shown = ", ".join(show(value) for value in values[:_SHOWN_ENTRIES])
    return shown if len(values) <= _SHOWN_ENTRIES else f"{shown}, … {len(values)} in all"
