"""Which images of a stream are copies or mirror images of others, and whether neighbours in the stream are alike.

An image is known by two numbers, its products with a symmetric and with an antisymmetric random image. A copy has the same two
numbers, and a mirror image has the same first number and the negative of the second. Rounding errors, which differ between an
image and its mirror image if images are resized, change these numbers by less than 1e-12 of the size of an image. Two other images
of a million have so equal numbers with a probability below one in a million.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray
from ._layout import channel_axis, width_axis
from ._repr import ShortRepr

__all__ = ["COPIES", "Fingerprints", "Independence", "first_copies", "without_copies"]

#: What copies of an image are: one image, or independent images that happen to be equal.
COPIES = ("once", "independent")

#: Numbers of images closer than this, relative to their root mean square, are equal: of float64, and of float32 images.
_SAME, _SAME_FLOAT32 = 1e-12, 1e-5
_EXAMPLES = 3
#: What users can do about images that depend on each other.
_GROUPS = "--groups (in Python groups=) keeps images together that belong together"
_FLIPS = "For training with random flips, leave mirror images out and give --flip (in Python flip=True)"
#: Correlation of neighbours from which on a warning is given: this, and so many standard errors of independent images.
_ALIKE, _ERRORS = 0.35, 4.0
#: Rows whose order is looked at.
_MOST_ROWS = 2**20
#: The share of the possible dimensions below which the images are said to span few.
_FEW = 0.9
#: If the effective number of distinct images is below this share of their number, their copies are very unequal.
_UNEQUAL = 0.9

Numbers = npt.NDArray[np.int64]
Rows = TypeVar("Rows", FloatArray, npt.NDArray[np.float32])


class Fingerprints:
    """Collects the two numbers of each image of a stream."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        """For flat images of this shape. Flat vectors, and images one pixel wide, have no mirror image."""
        self._axis = channel_axis(shape)
        self._shape = shape
        self.mirrors = len(shape) > 1 and shape[width_axis(shape)] > 1
        self._weights = self._random_images()
        self._parts: list[FloatArray] = []
        self._blank: list[npt.NDArray[np.bool_]] = []

    def _random_images(self) -> FloatArray:
        """(2, d) random images of values that are not small."""
        rng = np.random.default_rng(0)
        size = (2, *self._shape)
        values = rng.uniform(0.5, 1.5, size) * rng.choice((-1.0, 1.0), size) / np.sqrt(np.prod(self._shape))
        if self.mirrors:
            turned = np.flip(values, axis=1 + width_axis(self._shape))
            values = np.stack([values[0] + turned[0], values[1] - turned[1]])
        return np.asarray(values.reshape(2, -1))

    def add(self, rows: FloatArray) -> None:
        """Look at some images (B, d)."""
        self._parts.append(np.einsum("bd,kd->bk", rows, self._weights))  # reads the rows once
        self._blank.append(self._blanks(rows))

    def _blanks(self, rows: FloatArray) -> npt.NDArray[np.bool_]:
        """(B,) whether every pixel of an image has the colour of its first one."""
        channels = 1 if self._axis is None else self._shape[self._axis]
        pixels = rows.shape[1] // channels
        blank = np.zeros(len(rows), dtype=bool)
        if len(self._shape) == 1 or pixels < 2:
            return blank
        across = (channels, pixels) if self._axis == 0 else (pixels, channels)
        images = rows.reshape(len(rows), *across)
        images = images.swapaxes(1, 2) if self._axis == 0 else images
        tried = np.unique(np.linspace(1, pixels - 1, 6).astype(np.int64))
        likely = np.flatnonzero((images[:, tried] == images[:, :1]).all(axis=(1, 2)))
        blank[likely] = (images[likely] == images[likely, :1]).all(axis=(1, 2))
        return blank

    def found(self) -> Independence:
        """What the images seen so far are to one another."""
        numbers = np.concatenate(self._parts)
        blank = np.concatenate(self._blank)
        tolerance = _SAME * _scale(numbers)
        first = _first_equal(numbers, tolerance)
        own = np.arange(len(first))
        first[blank] = own[blank]
        distinct = np.flatnonzero(first == own)
        pairs = np.empty((0, 2), dtype=np.int64)
        if self.mirrors:
            some = distinct[~blank[distinct]]
            either_way = np.stack([numbers[some, 0], np.abs(numbers[some, 1])], axis=1)
            partner = some[_first_equal(either_way, tolerance)]
            pairs = np.stack([some, partner], axis=1)[partner != some]
        order = numbers[:_MOST_ROWS]
        return Independence(first=first, mirrored=pairs, blank=int(blank.sum()), worth=_worth(order))


def first_copies(rows: Rows) -> Numbers:
    """(N,) index of the first row of (N, k) that each row is equal to: its own index for rows that are no copies.

    Rows are equal if their products with eight random vectors are, within the rounding errors of their type.
    """
    directions = np.random.default_rng(0).standard_normal((8, rows.shape[1]))
    numbers = np.einsum("nk,jk->nj", rows, directions)
    same = _SAME_FLOAT32 if rows.dtype == np.float32 else _SAME
    return _first_equal(numbers, same * _scale(numbers))


def without_copies(rows: Rows) -> Rows:
    """The rows of (N, k) that are no copies of a row before them; see :func:`first_copies`."""
    distinct = first_copies(rows) == np.arange(len(rows))
    return rows if distinct.all() else rows[distinct]


def _scale(numbers: FloatArray) -> float:
    """Root mean square of some numbers, above zero."""
    return max(float(np.linalg.norm(numbers)) / float(np.sqrt(max(numbers.size, 1))), float(np.finfo(np.float64).tiny))


def _first_equal(numbers: FloatArray, tolerance: float) -> Numbers:
    """(N,) the smallest index of those whose numbers, (N, m), are the same."""
    first = np.arange(len(numbers))
    rows, block = first, np.zeros(len(numbers), dtype=np.int64)  # rows in one block are equal as far as is known
    for column in numbers.T:
        values = column[rows]
        order = np.lexsort((values, block)) if block.any() else np.argsort(values)
        values, rows = values[order], rows[order]
        new = np.diff(block[order], prepend=-1) != 0
        new |= np.diff(values, prepend=values[:1]) > tolerance
        away = values - values[new][np.cumsum(new) - 1]  # a dense chain of values is cut
        new |= np.diff(np.floor(away / tolerance), prepend=0.0) != 0
        block = np.cumsum(new) - 1
        shared = np.bincount(block)[block] > 1
        rows, block = rows[shared], block[shared]
    if rows.size:
        new = np.diff(block, prepend=-1) != 0
        smallest = np.minimum.reduceat(rows, np.flatnonzero(new))
        first[rows] = smallest[np.cumsum(new) - 1]
    return first


def _worth(numbers: FloatArray) -> float | None:
    """How many independent images the images in this order are worth if neighbours are alike; None if they are not.

    With the correlation ρ(h) of images that are h apart, N images are worth N/(1 + 2 Σ ρ(h)), where the sum ends at the first ρ(h)
    within two standard errors of zero.
    """
    count = len(numbers)
    centred = numbers - numbers.mean(axis=0)
    centred = centred[:, np.square(centred).sum(axis=0) > 0]
    if count < 8 or not centred.size:
        return None
    transform = np.abs(np.fft.rfft(centred, n=2 * count, axis=0)) ** 2
    correlation = np.fft.irfft(transform, axis=0)[: count // 2]
    correlation = (correlation / correlation[0]).mean(axis=1)
    if correlation[1] < max(_ALIKE, _ERRORS / np.sqrt(count)):
        return None
    ends = np.flatnonzero(correlation < 2 / np.sqrt(count))
    last = int(ends[0]) if ends.size else len(correlation)
    return float(count / (1 + 2 * correlation[1:last].sum()))


@dataclass(frozen=True, repr=False)
class Independence(ShortRepr):
    """What N images are to one another.

    Attributes
    ----------
    first : (N,) index of the first image that each image is equal to: its own index for distinct images, and for blank images
    mirrored : (P, 2) distinct images that are mirror images of a distinct image before them, and that image
    blank : number of images of a single colour
    worth : number of independent images that the images are worth in their order, None if neighbours are not alike
    """

    first: Numbers
    mirrored: Numbers
    blank: int
    worth: float | None

    @property
    def distinct(self) -> npt.NDArray[np.bool_]:
        """(N,) whether an image is not a copy of one before it."""
        return np.asarray(self.first == np.arange(len(self.first)))

    def independent(self, *, flip: bool) -> npt.NDArray[np.bool_]:
        """(N,) whether an image is new: not a copy of one before it or, if mirror images are added, of its mirror image."""
        new = self.distinct
        if flip:
            new[self.mirrored[:, 0]] = False
        return new

    def text(self, names: Callable[[], Sequence[str]] | None = None) -> str:
        """How many images are distinct; `names` gives the names of files."""
        total, distinct = len(self.first), self.distinct
        blank = f"; {self.blank:,} images are blank and do not count as copies" if self.blank > 1 else ""
        if distinct.all():
            return f"all {total:,} images are distinct{blank}"
        copies = np.flatnonzero(~distinct)
        examples = _examples([(int(copy), int(self.first[copy])) for copy in copies[:_EXAMPLES]], names)
        count = int(distinct.sum())
        return f"{count:,} of {total:,} images are distinct, {len(copies):,} are copies of others: {examples}{blank}"

    def warnings(
        self,
        *,
        once: bool,
        grouped: bool,
        rank: int,
        varying: int,
        flip: bool = False,
        names: Callable[[], Sequence[str]] | None = None,
    ) -> tuple[str, ...]:
        """Doubts about the images, a sentence or two each.

        Parameters
        ----------
        once : whether copies count once
        grouped : whether the images come in groups
        rank : number of modes with variance
        varying : number of pixel values that vary
        flip : whether mirror images are added
        names : gives the names of files
        """
        texts = []
        total, distinct = len(self.first), self.distinct
        if once and not distinct.all():
            texts.append(self._of_copies())
        if grouped and not distinct.all():
            copies = total - int(distinct.sum())
            texts.append(
                f"{copies:,} of {total:,} images are copies of others. With groups every image counts, so sizes of training sets "
                "count copies too"
            )
        if len(self.mirrored) and not grouped:
            pairs = [(int(image), int(partner)) for image, partner in self.mirrored[:_EXAMPLES]]
            consequence = (
                "With mirror images added to all, an image and its mirror image count as one"
                if flip
                else f"An image and its mirror image depend on each other, and the numbers take them as independent. {_FLIPS}"
            )
            texts.append(
                f"{len(self.mirrored):,} of {total:,} images are mirror images of others: {_examples(pairs, names)}. {consequence}"
            )
        if self.worth is not None and not grouped:
            factor = total / self.worth
            texts.append(
                f"neighbours in file order are alike, so that these {total:,} images may be worth {factor:.3g} times fewer: frames "
                f"of about {round(self.worth)} clips, slices, crops, or images sorted by class? The numbers take them as "
                f"independent. {_GROUPS}"
            )
        most = min((1 + flip) * int(self.independent(flip=flip).sum()) - 1, varying)
        if rank < _FEW * most:
            texts.append(
                f"the images span only {rank:,} of {most:,} dimensions: they are combinations of few images (such as copies of "
                "other contrast or blends of frames), or values are repeated within each image (grey stored as colour, enlarged "
                "images)"
            )
        return tuple(texts)

    def _of_copies(self) -> str:
        times = np.bincount(self.first)
        times = times[times > 0].astype(np.float64)
        equal = float(times.sum() ** 2 / np.square(times).sum()) > _UNEQUAL * times.size
        text = (
            "copies of an image count as one image, so sizes of training sets count distinct images: "
            f"{times.size:,} distinct images in {round(times.sum()):,} (in Python, copies='independent' counts all of them, for "
            "images that were drawn independently and happen to be equal)"
        )
        if not equal:
            text += f"; images are not equally often in the data, up to {times.max():.0f} times, which this leaves out"
        return text


def _examples(pairs: list[tuple[int, int]], names: Callable[[], Sequence[str]] | None) -> str:
    """Some pairs by the names of their files, or by their numbers from 0."""
    known = None if names is None else names()

    def name(number: int) -> str:
        return f"image {number}" if known is None or number >= len(known) else known[number]

    return ", ".join(f"{name(image)} (of {name(other)})" for image, other in pairs) + (
        " …" if len(pairs) >= _EXAMPLES else ""
    )
