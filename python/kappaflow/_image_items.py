"""Items of iterables: single images or batches of them, alone or with labels. Single images are never taken apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._listing import listed

__all__ = ["ImageItems", "Item", "as_iterable", "split_item"]

#: How much of an iterable is read to decide what its items are, and how their values are scaled.
HEAD_BYTES, HEAD_ITEMS = 8 * 2**20, 1024
#: Names of the images in items that are dictionaries.
IMAGE_KEYS = ("image", "images", "pixel_values", "img", "x", "data")
#: Names of the labels there.
LABEL_KEYS = ("label", "labels", "class", "class_label", "target", "y")
_CHANNELS = (1, 3, 4)
#: Items (B, H, W) with B above this are batches of grey images rather than images of B channels.
_MOST_CHANNELS = 32

Array = npt.NDArray[Any]


class Item(NamedTuple):
    """The images of an item, the number of its labels (None without labels, 0 for the label of a single image), and the labels."""

    images: Any
    labels: int | None
    given: Any = None


def split_item(item: object, number: int, name: str, *, error: type[ValueError]) -> Item:
    """The images of an item: the item itself, the first of (images, labels), or the entry of a dictionary with a usual name.

    Raises
    ------
    ValueError, or `error`
        A list or a dictionary without images.
    """
    if isinstance(item, Mapping):
        key = next((key for key in IMAGE_KEYS if key in item), None)
        if key is None:
            raise error(
                f"{name}: item {number} is a dictionary of {listed(item)}; its images must be under one of {', '.join(IMAGE_KEYS)}"
            )
        counts = {_label_count(value) for other, value in item.items() if other != key}
        given = next((item[key] for key in LABEL_KEYS if key in item), None)
        return Item(item[key], 0 if counts == {0} else next((count for count in counts if count), None), given)
    if not isinstance(item, tuple | list):
        return Item(item, None)
    if len(item) >= 2 and _is_array(item[0]):
        return Item(item[0], _label_count(item[1]), item[1])
    raise error(
        f"{name}: item {number} is a {type(item).__name__} of {len(item)}; an item must be an array of images, or (images, labels)"
    )


def _is_array(value: object) -> bool:
    return hasattr(value, "shape") or hasattr(value, "__array_interface__")


def _label_count(labels: Any) -> int | None:
    """0 for one label, the number of labels of a batch, None for anything else."""
    if isinstance(labels, int | float | str | np.number):
        return 0
    shape = getattr(labels, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else 0
    return len(labels) if isinstance(labels, Sequence) else None


def as_iterable(data: Any) -> Iterable[Any] | None:
    """`data` if it can be iterated over, a view of it if it only has a length and items, as datasets of torch; else None."""
    if isinstance(data, Iterable):
        return data
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return _Indexed(data)
    return None


class _Indexed:
    """The items of an object that is read by index."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __iter__(self) -> Iterator[Any]:
        return (self._data[index] for index in range(len(self._data)))


class ImageItems:
    """Batches (B, ...) from an iterable whose items are batches or single images of one shape.

    The beginning is read immediately, and decides what the items are. If the iterable is its own iterator, its batches can be
    read only once.

    Attributes
    ----------
    head : the first items as arrays (B, ...), without empty batches; none if there are no images
    single : whether each item is one image
    one_shot : whether it can be read only once
    labelled : whether the first item has a number or a text for each image
    labels : labels of the images read so far, None for images without one
    """

    def __init__(
        self,
        data: Iterable[Any],
        convert: Callable[[Any, int], Array],
        *,
        name: str,
        shape: tuple[int, ...] | None = None,
        channels: str | int | None = None,
        error: type[ValueError] = ValueError,
    ) -> None:
        """Read the beginning.

        Parameters
        ----------
        data : the iterable
        convert : function of the images of an item and the number of the item, which makes them an array
        name : name of the data in messages
        shape, channels : what the user knows of an image: its shape, and where its channels are or how many
        error : exception to raise

        Raises
        ------
        ValueError, or `error`
            Items may be images or batches: the message says how to choose.
        """
        self._data, self._convert, self._name, self._error = data, convert, name, error
        iterator = iter(data)
        self.one_shot = iterator is data
        raw: list[Any] = []
        arrays: list[Array] = []
        labels, size, ended = None, 0, True
        self.labels: list[Any] = []
        first = None
        for number, item in enumerate(iterator):
            raw.append(item)
            images, of_item, given = split_item(item, number, name, error=error)
            array = convert(images, number)
            if array.size or array.ndim == 0:
                labels, first = (of_item, given) if not arrays else (labels, first)
                arrays.append(array)
                size += array.nbytes
            enough = size >= HEAD_BYTES or len(raw) >= HEAD_ITEMS
            if enough and len(arrays) >= 2:
                ended = False
                break
        whole = not arrays or (ended and len(arrays) == 1 and labels is None and arrays[0].ndim > 1)
        self.single = not whole and _single(arrays, labels, shape, channels, name, error)
        self.head = [array[None] if self.single else array for array in arrays]
        self.labelled = bool(self.head) and any(label is not None for label in _labels_of(first, len(self.head[0])))
        self._rest = itertools.chain(raw, iterator) if self.one_shot else None

    def __iter__(self) -> Iterator[Array]:
        if self.one_shot and self._rest is None:
            raise self._error(
                f"{self._name}: a one-shot iterator can be read only once; "
                "pass a list of batches, or an object whose __iter__ starts again"
            )
        items, self._rest = self._data if self._rest is None else self._rest, None
        return self._batches(items)

    def _batches(self, items: Iterable[Any]) -> Iterator[Array]:
        shape = self.head[0].shape[1:] if self.head else ()
        what = "item" if self.single else "batch"
        self.labels = []
        for number, item in enumerate(items):
            images, _, given = split_item(item, number, self._name, error=self._error)
            array = self._convert(images, number)
            array = array[None] if self.single else array
            if not array.size:
                continue
            if array.shape[1:] != shape:
                raise self._error(
                    f"{self._name}: {what} {number} holds images of shape {array.shape[1:]}, the first {what} of {shape}; "
                    "all must be the same"
                )
            self.labels += _labels_of(given, len(array))
            yield array


def _labels_of(given: Any, count: int) -> list[Any]:
    """The labels of `count` images if `given` is one number or text for each, else None for each: targets may be images."""
    if hasattr(given, "detach") and hasattr(given, "cpu"):
        given = given.detach().cpu()
    values = [given]
    if hasattr(given, "shape"):
        values = np.asarray(given).ravel().tolist() if math.prod(given.shape) == count else []
    elif isinstance(given, Sequence) and not isinstance(given, str):
        values = list(given)
    plain = all(isinstance(value, int | float | str | np.number) for value in values)
    return values if plain and len(values) == count else [None] * count


def _single(
    head: Sequence[Array],
    labels: int | None,
    shape: tuple[int, ...] | None,
    channels: str | int | None,
    name: str,
    error: type[ValueError],
) -> bool:
    """Whether each item is one image rather than a batch of them.

    Raises
    ------
    ValueError, or `error`
        Both are possible.
    """
    first = head[0]
    sides = first.shape
    if labels is not None and (labels == 0 or labels == len(first)):
        return labels == 0
    if shape is not None and math.prod(shape) in (math.prod(sides), math.prod(sides[1:])):
        return math.prod(shape) == math.prod(sides) and sides[0] != 1
    if first.ndim == 1:
        return True
    if first.ndim > 3 or any(other.shape[1:] == sides[1:] and len(other) != len(first) for other in head):
        return False
    if first.ndim == 3:
        last = sides[2] in _CHANNELS and _plausible(sides[:2])
        if channels is not None or last or (sides[0] in _CHANNELS and _plausible(sides[1:])):
            return True
        if sides[0] > _MOST_CHANNELS or not _plausible(sides[1:]):
            return False
    elif sides[0] == 1:
        return False
    elif sides[0] == sides[1] or _rows_are_neighbours(head):
        return True
    rest = ", ".join(map(str, sides[1:])) + ("," if first.ndim == 2 else "")
    raise error(
        f"{name}: items of shape {sides} can be images of this shape or batches of {sides[0]} images of shape ({rest}): "
        f"pass shape={sides} for images, or shape=({rest}) for batches"
    )


def _plausible(sides: tuple[int, ...]) -> bool:
    """Whether an image can have this height and width."""
    return 1 / 4 <= sides[0] / sides[1] <= 4


def _rows_are_neighbours(head: Sequence[Array]) -> bool:
    """Whether neighbouring rows of items (H, W) differ much less than distant ones, as in images."""
    if not _plausible(head[0].shape):
        return False
    near = far = 0.0
    for item in head[:64]:
        values = item.astype(np.float64)
        near += float(np.mean(np.diff(values, axis=0) ** 2))
        far += 2 * float(np.mean(np.var(values, axis=0)))
    return near < 0.75 * far  # independent rows: near = far
