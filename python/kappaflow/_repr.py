"""A short ``repr`` for results: arrays are shown by their shape, long sequences by their length."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

__all__ = ["ShortRepr", "short_repr"]

#: Entries of a sequence that are shown in full, and characters of a text.
_SHOWN_ENTRIES, _SHOWN_CHARACTERS = 4, 40
#: Characters of the ``repr`` of anything else; a longer one is left out.
_SHOWN_OBJECT = 80


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
        return short_repr(self)


def short_repr(value: Any) -> str:
    """The same for one dataclass or named tuple. A named tuple, which cannot inherit it, says so in its own ``__repr__``.

    >>> from typing import NamedTuple
    >>> class Pair(NamedTuple):
    ...     left: Any
    ...     right: Any
    ...
    ...     def __repr__(self) -> str:
    ...         return short_repr(self)
    >>> Pair(np.zeros(2), 1.0)
    Pair(left=array (2,), right=1)
    """
    names = value._fields if _is_named_tuple(value) else [field.name for field in fields(value) if field.repr]
    shown = ", ".join(f"{name}={_brief(getattr(value, name))}" for name in names)
    return f"{type(value).__name__}({shown})"


def _is_named_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


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
    if (is_dataclass(value) and not isinstance(value, type)) or _is_named_tuple(value):
        return f"{type(value).__name__}(…)"
    if isinstance(value, tuple | list | Set):
        opening, closing = "()" if isinstance(value, tuple) else "[]" if isinstance(value, list) else "{}"
        return opening + _some(list(value), _brief) + closing
    if isinstance(getattr(value, "shape", None), tuple):  # a tensor, whose package is not imported here
        return f"{type(value).__name__} {tuple(value.shape)}"
    if callable(value) and hasattr(value, "__qualname__"):  # without its address in memory
        return f"{value.__qualname__}"
    text = repr(value)
    return text if len(text) <= _SHOWN_OBJECT else f"{type(value).__name__}(…)"


def _some(values: Any, show: Any) -> str:
    """The first entries, and their number if there are more."""
    shown = ", ".join(show(value) for value in values[:_SHOWN_ENTRIES])
    return shown if len(values) <= _SHOWN_ENTRIES else f"{shown}, … {len(values)} in all"
