"""Samples as they come: batches of arrays and image sources, a random subset of them, their mean and eigenmodes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray, real_array
from ._repr import short_repr
from .groups import GroupArray, GroupLabels, draw_groups
from .moments import Moments, gram_eigensystem, has_variance, symmetric_eigensystem
from .provenance import Provenance

__all__ = [
    "ImageBatches",
    "RandomRows",
    "SampleModes",
    "SampleReader",
    "UnseenRows",
    "batches",
    "count_of",
    "without_copies",
]

#: Images whose distance is below this fraction of the size of the data count as one image.
_SAME = 1e-5
#: Rows of a batch that is cut from an array.
_BATCH = 4096


@runtime_checkable
class ImageBatches(Protocol):
    """Images that are read in batches, as :class:`kappaflow.datasets.ImageSource`.

    Attributes
    ----------
    shape : shape of one image; batches hold them flat
    count : number of images if it is known before reading, else None
    provenance : where the images come from, what was left out, and how their pixels were scaled
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def count(self) -> int | None: ...
    @property
    def provenance(self) -> Provenance: ...
    def batches(self) -> Iterator[FloatArray]:
        """Float64 batches (B, d)."""


class SampleModes(NamedTuple):
    """Mean (d,), eigenvalues (k,), descending, and eigenvectors (d, k) of samples, profiles (M, d) as they were read, and the
    numbers (M,) of their groups, ascending."""

    mean: FloatArray
    eigenvalues: FloatArray
    eigenvectors: FloatArray
    subset: npt.NDArray[np.float32] | None
    groups: GroupArray | None

    def __repr__(self) -> str:
        return short_repr(self)


class SampleReader:
    """Reads batches of samples and computes their mean and eigenmodes, with a covariance of divisor N.

    As long as there are fewer samples than dimensions, the samples are kept, and their Gram matrix is diagonalised. From d
    samples on, only the covariance is kept.
    """

    def __init__(self, profiles: int, labels: GroupLabels | None = None) -> None:
        """Keep a random subset of `profiles` samples, or about as many in whole groups."""
        self.seen = 0
        self.shape: tuple[int, ...] = ()
        self._moments: Moments | None = None
        self._held: list[FloatArray] = []
        self._labels = labels
        grouped = labels is not None and not labels.independent and profiles > 0
        self._subset = (
            _WholeGroups(labels, profiles) if labels is not None and grouped else RandomRows(profiles, np.float32)
        )

    def add(self, batch: FloatArray) -> None:
        """Add a batch (B, ...). Its samples must have the shape of the first ones."""
        if self.seen == 0 and not self._held:
            self.shape = batch.shape[1:]
        elif batch.shape[1:] != self.shape:
            raise ValueError(f"images must all have the shape {self.shape} of the first, got {batch.shape[1:]}")
        rows = batch.reshape(len(batch), -1)
        self.seen += len(rows)
        self._subset.add(rows)
        if self._moments is not None:
            self._moments.add(rows)
            return
        self._held.append(rows)
        if self.seen >= rows.shape[1]:
            self._moments = Moments(rows.shape[1])
            for block in self._held:
                self._moments.add(block)
            self._held = []

    def modes(self) -> SampleModes:
        """Mean and eigenmodes of the samples read. May be called once.

        Raises
        ------
        ValueError
            Fewer than two samples, samples that are all equal, or another number of samples than of labels.
        """
        if self._labels is not None:
            self._labels.require(self.seen)
        if self.seen < 2:
            raise ValueError(f"images must hold at least 2 samples, got {self.seen}")
        if self._moments is None:
            samples = np.concatenate(self._held)
            mean = samples.mean(axis=0)
            values, vectors = gram_eigensystem(samples - mean)
        else:
            mean, covariance = self._moments.mean, self._moments.covariance()
            self._moments = None  # frees a matrix before the largest step
            values, vectors = symmetric_eigensystem(covariance)
            values = np.where(has_variance(values), values, 0.0)
        if values.size == 0 or values[0] <= 0:
            raise ValueError("images must differ from each other, got samples that are all equal")
        return SampleModes(
            mean=mean,
            eigenvalues=values,
            eigenvectors=vectors,
            subset=self._subset.rows(),
            groups=self._subset.groups(),
        )


class RandomRows:
    """A uniform random subset of the rows of a stream: the rows with the smallest of seeded random keys."""

    def __init__(self, size: int, dtype: npt.DTypeLike | None = None) -> None:
        """Keep `size` rows, as numbers of the type `dtype` or as they come."""
        self._size, self._dtype, self._rng = size, dtype, np.random.default_rng(0)
        self._keys = np.empty(0)
        self._held: list[npt.NDArray[Any]] = []

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Offer some rows (B, ...)."""
        if self._size:
            self._keys = np.concatenate([self._keys, self._rng.random(len(rows))])
            self._held.append(np.array(rows, dtype=self._dtype))
            if self._keys.size > 2 * self._size:
                self._cut()

    def _cut(self) -> None:
        held = np.concatenate(self._held)
        if self._keys.size > self._size:
            kept = np.sort(np.argpartition(self._keys, self._size)[: self._size])
            held, self._keys = held[kept], self._keys[kept]
        self._held = [held]

    def rows(self) -> npt.NDArray[Any] | None:
        """(M, ...) the subset, in the order of the stream; None for an empty subset."""
        if not self._size:
            return None
        self._cut()
        return self._held[0]

    def groups(self) -> None:
        """Rows are independent."""


class _WholeGroups:
    """The rows of a stream that belong to a random choice of groups."""

    def __init__(self, labels: GroupLabels, size: int) -> None:
        self._chosen, self._seen = draw_groups(labels, size), 0
        self._numbers = labels.numbers[self._chosen]
        self._order = np.argsort(self._numbers, kind="stable")
        self._held: list[npt.NDArray[np.float32]] = []

    def add(self, rows: FloatArray) -> None:
        """Offer some rows; rows without a label are not kept."""
        wanted = self._chosen[self._seen : self._seen + len(rows)]
        self._seen += len(rows)
        self._held.append(rows[: len(wanted)][wanted].astype(np.float32))

    def rows(self) -> npt.NDArray[np.float32]:
        """(M, d) the rows of the groups, members next to each other in the order of the stream."""
        return np.concatenate(self._held)[self._order]

    def groups(self) -> GroupArray:
        """(M,) numbers of the groups of these rows, from 0 without gaps."""
        return np.unique(self._numbers[self._order], return_inverse=True)[1].astype(np.int64)


def count_of(images: Any) -> int | None:
    """The number of samples if it is known before they are read, else None."""
    if isinstance(images, ImageBatches):
        return images.count
    return int(images.shape[0]) if _is_array(images) and len(images.shape) > 0 else None


def _is_array(images: Any) -> bool:
    return hasattr(images, "shape") and hasattr(images, "__getitem__")


def batches(images: Any) -> Iterator[FloatArray]:
    """Float64 batches (B, ...) of an image source, an array, a tensor or an iterable of them.

    Raises
    ------
    TypeError
        None of these, or values that are not real numbers.
    ValueError
        NaN or infinite values, with their index; arrays without an axis that counts samples.
    """
    if isinstance(images, ImageBatches):
        images = images.batches()
    is_array = _is_array(images)
    if not is_array and not isinstance(images, Iterable):
        raise TypeError(f"images must be an array or an iterable of batches, got {type(images).__name__}")
    if isinstance(images, (list, tuple)) and images and np.ndim(images[0]) < 2:
        images, is_array = np.asarray(images), True
    if is_array and len(images.shape) < 2:
        raise ValueError(f"images must have shape (N, ...), got {tuple(images.shape)}")
    blocks = (images[i : i + _BATCH] for i in range(0, len(images), _BATCH)) if is_array else iter(images)
    first = 0
    for block in blocks:
        batch = real_array(f"images[{first}:]", block)
        if batch.ndim < 2:
            raise ValueError(f"each batch of images must have shape (B, ...), got {batch.shape}")
        first += len(batch)
        yield batch


class UnseenRows:
    """Tells rows of a stream from exact copies of earlier ones, which it knows by a hash."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def places(self, rows: FloatArray) -> list[int]:
        """Indices of the rows (B, d) that are no copy of a row before them, in this call or an earlier one."""
        unseen = []
        for place, row in enumerate(rows):
            key = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
            if key not in self._known:
                self._known.add(key)
                unseen.append(place)
        return unseen


def without_copies(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(M, k) rows without copies, which are rows within rounding errors of another row; the first of them is kept.

    Copies lie next to each other along any direction, so rows are compared with few neighbours only.
    """
    directions = np.random.default_rng(0).standard_normal((rows.shape[1], 4))
    along = rows.astype(np.float64) @ (directions / np.linalg.norm(directions, axis=0))
    close = _SAME * float(np.sqrt(np.mean(np.einsum("nk,nk->n", rows, rows, dtype=np.float64))))
    order = np.argsort(along[:, 0], kind="stable")
    kept = np.ones(len(rows), dtype=bool)
    last = np.searchsorted(along[order, 0], along[order, 0] + close, side="right")
    for place in np.flatnonzero(last > np.arange(len(rows)) + 1):
        first = order[place]
        if not kept[first]:  # its copies are those of the row that it is a copy of
            continue
        others = order[place + 1 : last[place]]
        others = others[kept[others] & (np.abs(along[others] - along[first]).max(axis=1) <= close)]
        row = rows[first].astype(np.float64)
        copies = others[np.array([np.linalg.norm(rows[other] - row) <= close for other in others], dtype=bool)]
        if copies.size:
            kept[copies], kept[first] = False, False
            kept[min(first, copies.min())] = True
    return rows if kept.all() else rows[kept]
