"""The classes of images, from labels of any usual form: integers, texts, whole floats, or rows with a single 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._checks import refuse_masked
from ._repr import ShortRepr

__all__ = ["NO_CLASS", "ClassLabels", "class_labels"]

#: The number of images without a class.
NO_CLASS = -1


@dataclass(frozen=True, repr=False)
class ClassLabels(ShortRepr):
    """Classes of N images.

    Attributes
    ----------
    names : (K,) names of the classes: numbers ascending, or texts in alphabetical order
    numbers : (N,) number of the class of each image, its place in `names`; −1 for images without a class
    origin : where the labels come from, in words
    """

    names: tuple[str, ...]
    numbers: npt.NDArray[np.int64]
    origin: str

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """(K,) images of each class."""
        return np.bincount(self.numbers[self.numbers >= 0], minlength=len(self.names)).astype(np.int64)

    @property
    def without_class(self) -> int:
        """Number of images without a class."""
        return int(np.count_nonzero(self.numbers == NO_CLASS))

    def require(self, images: int) -> None:
        """Check that there is one label for each image.

        Raises
        ------
        ValueError
            There are more or fewer.
        """
        if len(self.numbers) != images:
            raise ValueError(
                f"labels must hold one label for each of the {images:,} images, got {len(self.numbers):,} from {self.origin}"
            )

    def require_several(self) -> None:
        """Check that there are classes to tell apart.

        Raises
        ------
        ValueError
            There is one, or none.
        """
        if len(self.names) < 2:
            got = f"only {self.names[0]!r}" if self.names else "none"
            raise ValueError(f"labels must name at least 2 classes, got {got} from {self.origin}")


def class_labels(
    labels: Any, *, origin: str = "the labels", name: str = "labels", error: type[ValueError] = ValueError
) -> ClassLabels:
    """The classes that labels stand for.

    Parameters
    ----------
    labels : (N,) or (N, 1) integers, texts, bools or whole floats; or (N, K) rows that hold a single 1 (one-hot). NaN, None, an
        empty text and a row of zeros mean that an image has no class.
    origin : where they come from
    name : name of the argument in messages
    error : exception to raise

    Raises
    ------
    TypeError
        Labels of another type.
    ValueError, or `error`
        Floats that are not whole, rows that are not one-hot, or another shape.

    Examples
    --------
    >>> class_labels([3.0, 7.0, float("nan")])
    ClassLabels(names=('3', '7'), numbers=array (3,), origin='the labels')
    """
    if hasattr(labels, "detach") and hasattr(labels, "cpu"):
        labels = labels.detach().cpu()
    refuse_masked(name, labels)
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        array = _of_one_hot(array, name, error)
    if array.ndim != 1:
        raise error(f"{name} must have shape (N,), or (N, K) with a single 1 in each row, got shape {array.shape}")
    values = _texts_or_numbers(array, name, error)
    present = np.array([value is not None for value in values], dtype=bool)
    known = [value for value in values if value is not None]
    if all(isinstance(value, int) for value in known):
        ordered: list[Any] = sorted(set(known))
    else:
        known = [str(value) for value in known]
        ordered = sorted(set(known), key=_by_number)
    place = {value: number for number, value in enumerate(ordered)}
    numbers = np.full(len(values), NO_CLASS, dtype=np.int64)
    numbers[present] = [place[value] for value in known]
    return ClassLabels(tuple(map(str, ordered)), numbers, origin)


def _by_number(text: str) -> tuple[bool, int, str]:
    """Texts of digits by their number, before all others."""
    digits = text.isascii() and text.isdigit() and len(text) < 19
    return (not digits, int(text) if digits else 0, text)


def _of_one_hot(rows: npt.NDArray[Any], name: str, error: type[ValueError]) -> npt.NDArray[np.float64]:
    """(N,) the place of the 1 in each row (N, K); NaN for rows of zeros."""
    numbers = rows.dtype.kind in "buif"
    valid = numbers and np.isin(rows, (0, 1)).all(axis=1) & (rows.sum(axis=1) <= 1)
    if not np.all(valid):
        what = f"row {int(np.argmin(valid))} is {rows[int(np.argmin(valid))][:10].tolist()}" if numbers else rows.dtype
        raise error(
            f"{name} of shape {rows.shape} must hold a single 1 and zeros in each row (one-hot), got {what}; an image belongs to "
            "one class only"
        )
    return np.where(rows.any(axis=1), rows.argmax(axis=1), np.nan)


def _texts_or_numbers(array: npt.NDArray[Any], name: str, error: type[ValueError]) -> Sequence[int | str | None]:
    """Each label as an integer or a text; None without a label."""
    if array.dtype.kind in "biu":
        return [int(value) for value in array.tolist()]
    if array.dtype.kind not in "fUSO":
        raise TypeError(f"{name} must hold integers, texts or whole floats, got dtype {array.dtype}")
    return [_one(value, row, name, error) for row, value in enumerate(array.tolist())]


def _one(value: object, row: int, name: str, error: type[ValueError]) -> int | str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return int(value)
    if isinstance(value, float | np.floating):
        raise error(
            f"{name} must be classes: integers, texts or whole floats; got {float(value):.4g} for image {row} (counted from 0)"
        )
    raise TypeError(f"{name} must hold integers, texts or whole floats, got a {type(value).__name__} for image {row}")
