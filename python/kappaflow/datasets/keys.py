"""The array of a file that holds the images: the one that the user names, or the only one that can be meant."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._listing import listed
from .errors import DataError

__all__ = [
    "SEPARATOR",
    "Chosen",
    "KeyedFile",
    "StoredArray",
    "choose_array",
    "listed_arrays",
    "split_key",
]

#: Names of the images in a file of several arrays; the first one that exists is taken if no other array is larger.
PREFERRED_KEYS = ("images", "x", "X", "data", "arr_0")
SEPARATOR = "::"
#: The end of the key of images → the end of the key of their labels; and keys of labels that belong to any images.
LABELS_OF = {"images": "labels", "image": "label", "x": "y", "X": "y", "arr_0": "arr_1"}
LABEL_KEYS = ("labels", "label", "y", "targets", "target", "classes", "class")


class StoredArray(NamedTuple):
    """An array of a file by its key, and what its header says; of encoded images, the type is that of bytes."""

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def text(self) -> str:
        """``"train/images (300, 12, 12) uint8"``."""
        if self.dtype.kind == "S":
            return f"{self.key} ({self.shape[0]:,} encoded images)"
        return f"{self.key} {self.shape} {self.dtype}"


class Chosen(NamedTuple):
    """The key of the images, what is said about the arrays that are left out, and the key of the labels if there are any."""

    key: str
    left_out: tuple[str, ...]
    labels: str | None = None


class KeyedFile(NamedTuple):
    """``"FILE::KEY"`` as file and key; the key is None if the text holds none."""

    file: str
    key: str | None


def split_key(text: str) -> KeyedFile:
    """The file and the key of ``"FILE::KEY"``.

    >>> split_key("a.npz::train/images"), split_key("a.npz")
    (KeyedFile(file='a.npz', key='train/images'), KeyedFile(file='a.npz', key=None))
    """
    file, separator, key = text.partition(SEPARATOR)
    return KeyedFile(file, key) if separator and file and key else KeyedFile(text, None)


def choose_array(arrays: Sequence[StoredArray], name: str, wanted: str | None) -> Chosen:
    """The array that the user wants; else the only one with the most axes, at least two, or one with a usual name.

    Parameters
    ----------
    arrays : all arrays of the file
    name : name of the file in messages
    wanted : key that the user gave

    Raises
    ------
    DataError
        There is no such array, or several can be meant: the message lists them, and says how to choose.
    """
    if not arrays:
        raise DataError(f"{name}: holds no array")
    if wanted is not None:
        return _named(arrays, name, wanted)
    if len(arrays) == 1:
        return Chosen(arrays[0].key, ())
    numbers = [one for one in arrays if one.dtype.kind in "buif" and len(one.shape) >= 2]
    images = [one for one in numbers if len(one.shape) > 2] or [one for one in numbers if one.shape[1] > 1]
    if len(images) != 1:
        largest = max((math.prod(one.shape) for one in images), default=0)
        large = [one for one in images if math.prod(one.shape) == largest]
        alike = [[one for one in images if one.key.rsplit("/", 1)[-1] == key] for key in PREFERRED_KEYS]
        found = next((named[0] for named in alike if len(named) == 1 and named[0] in large), None)
        if found is None:
            candidates = images or list(arrays)
            raise DataError(
                f"{name}: holds several arrays that can be the images: {listed_arrays(candidates)}; type one of them behind the "
                f"file, as {name}{SEPARATOR}{_by_size(candidates)[0].key}"
            )
        images = [found]
    return _with_others(arrays, images[0].key)


def _named(arrays: Sequence[StoredArray], name: str, wanted: str) -> Chosen:
    keys = [one.key for one in arrays]
    key = wanted.strip("/")
    if key in keys:
        return _with_others(arrays, key)
    close = difflib.get_close_matches(key, keys, n=1)
    hint = f"; did you mean {name}{SEPARATOR}{close[0]}?" if close else ""
    raise DataError(f"{name}: holds no array {wanted!r}, but {listed_arrays(arrays)}{hint}")


def _with_others(arrays: Sequence[StoredArray], key: str) -> Chosen:
    """The chosen array, with what is said about the others."""
    return Chosen(key, _left_out(arrays, key), label_key(arrays, key))


def label_key(arrays: Sequence[StoredArray], key: str) -> str | None:
    """The key of the labels of the images under `key`: an array with one row for each image and a usual name; None without one.

    >>> import numpy as np
    >>> label_key([StoredArray("x_train", (9, 4, 4), np.dtype("u1")), StoredArray("y_train", (9,), np.dtype("u1"))], "x_train")
    'y_train'
    """
    known = {one.key: one for one in arrays}
    folder, slash, name = key.rpartition("/")
    wanted = [re.sub(rf"(^|_){of}(_|$)", rf"\g<1>{labels}\g<2>", name) for of, labels in LABELS_OF.items()]
    for other in dict.fromkeys([*wanted, *LABEL_KEYS]):
        one = known.get(f"{folder}{slash}{other}")
        if one is None or one.key == key or is_pickled(one) or not 1 <= len(one.shape) <= 2:
            continue
        if known[key].shape and one.shape[0] == known[key].shape[0]:
            return one.key
    return None


def is_pickled(array: StoredArray) -> bool:
    """Whether an array holds Python objects; texts in HDF5 files are no such objects, and their type says so."""
    return array.dtype.kind == "O" and not array.dtype.metadata


def _left_out(arrays: Sequence[StoredArray], key: str) -> tuple[str, ...]:
    others = [one for one in arrays if one.key != key]
    unit = "array" if len(others) == 1 else "arrays"
    return (f"{len(others):,} other {unit} of the file: {listed_arrays(others)}",) if others else ()


def _by_size(arrays: Sequence[StoredArray]) -> list[StoredArray]:
    """Most axes first, then the largest."""
    return sorted(arrays, key=lambda one: (-len(one.shape), -math.prod(one.shape), one.key))


def listed_arrays(arrays: Sequence[StoredArray]) -> str:
    """Key, shape and type of the arrays, the largest first, at most ten."""
    return listed([one.text for one in _by_size(arrays)])
