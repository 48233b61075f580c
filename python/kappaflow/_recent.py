"""The last few results of an expensive function, shared by threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar, cast

__all__ = ["Recent"]

_Value = TypeVar("_Value")


class _Entry:
    """A value that one thread computes while the others wait for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: list[object] = []  # none, or one


class Recent(Generic[_Value]):
    """The values of the keys that were asked for last; safe to use from several threads.

    A thread that asks for a key while another one computes its value waits for that value. Different keys are computed side by
    side. A value stays with its caller when it is dropped here. A copy or a pickle of this object is empty.

    Parameters
    ----------
    count : how many values are kept
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], _Value]) -> _Value:
        """The value of a key; `compute` gives it if it is not held. An error of `compute` is raised and not kept."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > self._count:
                self._entries.popitem(last=False)
        with entry.lock:
            if not entry.values:
                entry.values.append(compute())
            return cast(_Value, entry.values[0])

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def __reduce__(self) -> tuple[type[Recent[_Value]], tuple[int]]:
        return Recent, (self._count,)
