"""The short repr of results: a few characters for each field, whatever its arrays hold."""

from __future__ import annotations

import doctest
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import kappaflow._repr
from kappaflow._repr import ShortRepr


@dataclass(frozen=True, repr=False)
class Inner(ShortRepr):
    n: int


@dataclass(frozen=True, repr=False)
class Outer(ShortRepr):
    name: str
    value: float
    array: Any
    names: tuple[str, ...]
    parts: dict[str, Any]
    inner: Inner
    hidden: Any = field(default=None, repr=False)


def test_doctest() -> None:
    assert doctest.testmod(kappaflow._repr).failed == 0


def test_every_kind_of_field_is_short() -> None:
    result = Outer("a" * 100, 1 / 3, np.zeros((4, 5)), tuple("abcdef"), {"x": np.zeros(9)}, Inner(2))
    assert repr(result) == (
        f"Outer(name='{'a' * 39}…', value=0.333333, array=array (4, 5), names=('a', 'b', 'c', 'd', … 6 in all), "
        "parts={'x'}, inner=Inner(…))"
    )
    assert repr(Outer("a", np.float64(0.5), np.array(2.0), (), {}, Inner(1))).startswith(
        "Outer(name='a', value=0.5, array=2, names=(), parts={},"
    )
