"""Samples as they come: batches of arrays and image sources, a random subset of them, their mean and eigenmodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray, plain_array, real_array
from ._image_items import ImageItems, as_iterable
from ._independence import Fingerprints, Independence
from ._layout import mirror_images
from ._repr import short_repr
from ._row_modes import HeldRows, modes_of_rows, rows_at_once
from .groups import GroupArray, GroupLabels, draw_groups
from .moments import Moments, has_variance, symmetric_eigensystem
from .pixel_range import PixelScaling, ValueSurvey, choose_scaling
from .provenance import PixelRange, Provenance

__all__ = [
    "ImageBatches",
    "RandomRows",
    "SampleBatches",
    "SampleModes",
    "SampleReader",
    "batches",
    "count_of",
]

#: Rows of a batch that is cut from an array.
_BATCH = 4096

#: Largest values of samples: their squares and sums of many squares are numbers. Profiles are single-precision numbers.
_LARGEST, _LARGEST_PROFILE = 1e130, 1e32
#: Smallest standard deviations along the first mode.
_SMALLEST, _SMALLEST_PROFILE = 1e-130, 1e-32


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
    """Mean (d,), eigenvalues (k,), descending, and eigenvectors (d, k) of samples, profiles (M, d) as they were read, the numbers
    (M,) of their groups, ascending, what the samples are to one another, and how many values of a sample vary."""

    mean: FloatArray
    eigenvalues: FloatArray
    eigenvectors: FloatArray
    subset: npt.NDArray[np.float32] | None
    groups: GroupArray | None
    independence: Independence
    varying: int

    def __repr__(self) -> str:
        return short_repr(self)


class SampleReader:
    """Reads batches of samples and computes their mean and eigenmodes, with a covariance of divisor N.

    As long as there are fewer samples than dimensions, the samples are kept, and their Gram matrix is diagonalised. From d
    samples on, only the covariance is kept.

    Attributes
    ----------
    seen : number of samples read
    shape : shape of a sample
    all_equal : whether all samples read are equal
    """

    def __init__(
        self,
        profiles: int,
        labels: GroupLabels | None = None,
        *,
        image_shape: tuple[int, ...] | None = None,
        flip: bool = False,
        count: int | None = None,
    ) -> None:
        """Keep a random subset of `profiles` samples, or about as many in whole groups. `count` is the number of samples, if known.

        `image_shape` is the shape of a sample, by default that of the first. `flip` adds the mirror image of each sample, to the
        subset as well.
        """
        self.seen = 0
        self.shape: tuple[int, ...] = ()
        self._moments: Moments | None = None
        self.all_equal = True
        self._first: FloatArray | None = None
        self._count = None if count is None else count * (1 + flip)
        self._held = HeldRows(self._count)
        self._labels, self._image_shape, self._profiles = labels, image_shape, profiles
        self._fingerprints: Fingerprints | None = None
        self.flip = flip
        grouped, profiles = labels is not None and not labels.independent and profiles > 0, -(-profiles // (1 + flip))
        self._subset = (
            _WholeGroups(labels, profiles)
            if labels is not None and grouped
            else RandomRows(profiles, np.float32, count)
        )

    def add(self, batch: FloatArray, dtype: npt.DTypeLike = np.float64) -> None:
        """Add a batch (B, ...) of values that numbers of `dtype` hold. Its samples must have the shape of the first ones."""
        if self.seen == 0:
            self.shape = batch.shape[1:]
        elif batch.shape[1:] != self.shape:
            raise ValueError(f"images must all have the shape {self.shape} of the first, got {batch.shape[1:]}")
        rows = batch.reshape(len(batch), -1)
        self._require_range(rows)
        if self._fingerprints is None:
            given = self._image_shape
            if given is None or int(np.prod(given)) != rows.shape[1]:
                given = self._image_shape = self.shape
            self._fingerprints = Fingerprints(given)
        self._fingerprints.add(rows)
        self._first = rows[0].copy() if self._first is None and len(rows) else self._first
        self.all_equal = self.all_equal and bool((rows == self._first).all())
        self.seen += len(rows)
        self._subset.add(rows)
        rows = self._with_mirror_images(rows)
        if self._held.rows == 0 and self._moments is None and (self._count or 0) >= rows.shape[1]:
            self._moments = Moments(rows.shape[1])  # there is no need to hold any
        if self._moments is not None:
            self._moments.add(rows)
            return
        self._held.add(rows, dtype)
        if self._held.rows >= rows.shape[1]:
            self._moments = Moments(rows.shape[1])
            for block in self._held.parts():
                self._moments.add(block)
            self._held = HeldRows(None)

    def _require_range(self, rows: npt.NDArray[Any]) -> None:
        """Check that squares of the values, and profiles if there are any, are numbers."""
        allowed = _LARGEST if self._profiles == 0 else _LARGEST_PROFILE
        largest = max(float(np.max(rows, initial=0.0)), -float(np.min(rows, initial=0.0)))
        if largest > allowed:
            kept = "" if self._profiles == 0 else " with profiles, which are single-precision numbers"
            raise ValueError(
                f"images must hold values of at most {allowed:g} in magnitude{kept}, got {largest:.3g}: divide them by a constant"
            )

    def _require_spread(self, largest: float) -> None:
        """Check that the largest eigenvalue is a number with all its digits, and that profiles have them too."""
        allowed = _SMALLEST if self._profiles == 0 else _SMALLEST_PROFILE
        if largest < allowed**2:
            kept = "" if self._profiles == 0 else " with profiles, which are single-precision numbers"
            raise ValueError(
                f"images must have a standard deviation of at least {allowed:g}{kept}, got {np.sqrt(largest):.3g}: "
                "multiply them by a constant"
            )

    def _with_mirror_images(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The rows, each with its mirror image behind it if there are to be mirror images."""
        if not self.flip:
            return rows
        assert self._image_shape is not None  # that of the first batch
        return mirror_images(rows, self._image_shape)

    def _kept(self) -> tuple[npt.NDArray[np.float32] | None, GroupArray | None]:
        """The subset (M, d) and the numbers (M,) of its groups."""
        subset, groups = self._subset.rows(), self._subset.groups()
        if not self.flip or subset is None:
            return subset, groups
        numbers = np.arange(len(subset)) if groups is None else groups
        return self._with_mirror_images(subset), np.repeat(numbers, 2)

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
            mean, values, vectors, varying = modes_of_rows(self._held.take())
        else:
            mean, covariance = self._moments.mean, self._moments.covariance()
            varying = int(has_variance(np.sort(covariance.diagonal())[::-1]).sum())
            self._moments = None  # frees a matrix before the largest step
            values, vectors = symmetric_eigensystem(covariance)
            values = np.where(has_variance(values), values, 0.0)
        if values.size == 0 or values[0] <= 0:
            raise ValueError("images must differ from each other, got samples that are all equal")
        self._require_spread(float(values[0]))
        assert self._fingerprints is not None  # there are samples
        independence = self._fingerprints.found()
        subset, groups = self._kept()
        return SampleModes(
            mean=mean,
            eigenvalues=values,
            eigenvectors=vectors,
            subset=subset,
            groups=groups,
            independence=independence,
            varying=varying,
        )


class RandomRows:
    """A uniform random subset of the rows of a stream: the rows with the smallest of seeded random keys."""

    def __init__(self, size: int, dtype: npt.DTypeLike | None = None, count: int | None = None) -> None:
        """Keep `size` rows, as numbers of the type `dtype` or as they come, of a stream of `count` rows if that is known."""
        self._all = HeldRows(count) if count is not None and count <= size and dtype is not None else None
        self._size, self._dtype, self._rng = size, dtype, np.random.default_rng(0)
        self._keys = np.empty(0)
        self._held: list[npt.NDArray[Any]] = []

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Offer some rows (B, ...)."""
        if self._all is not None and self._dtype is not None:
            self._all.add(rows.reshape(len(rows), -1), self._dtype)
        elif self._size:
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
        if self._all is not None:
            return self._all.take()
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


class SampleBatches:
    """Float64 batches (B, ...) of an image source, an array, a tensor or an iterable of them; they can be read once.

    Floats are used as they are. Integers are pixels, which are scaled to [−1, 1] as :func:`kappaflow.datasets.open_images` scales
    them, so that images mean the same wherever they are read.

    Attributes
    ----------
    scaling : how integers became pixels, known after reading; None for floats
    dtype : type that holds the values of the last batch exactly: float32 if it came so, or in fewer bits; else float64
    """

    def __init__(self, images: Any, shape: tuple[int, ...] | None = None, name: str = "images") -> None:
        """Prepare to read; `shape` is that of one sample, if it is known.

        Raises
        ------
        TypeError
            None of these types.
        ValueError
            Arrays without an axis that counts samples; items that can be images or batches.
        """
        self.scaling: PixelScaling | None = None
        self.dtype: np.dtype[Any] = np.dtype(np.float64)
        self._name, self._survey, self._source = name, ValueSurvey(), isinstance(images, ImageBatches)
        self._images = images if isinstance(images, ImageBatches) else None
        self._blocks: Iterable[Any]
        if isinstance(images, list | tuple) and images and _only_numbers(images[0]):
            images = np.asarray(images, dtype=np.float64)
        if isinstance(images, ImageBatches):
            self._blocks = images.batches()
        elif _is_array(images):
            if len(images.shape) < 2:
                raise ValueError(f"{name} must have shape (N, ...), got {tuple(images.shape)}")
            rows = rows_at_once(max(1, int(np.prod(images.shape[1:], dtype=np.int64))), _BATCH)
            blocks = [slice(first, first + rows) for first in range(0, len(images), rows)]
            self._blocks = (images[block] for block in blocks)
            self._look_at(images[block] for block in blocks)
        else:
            items = as_iterable(images)
            if items is None:
                raise TypeError(f"{name} must be an array or an iterable of batches, got {type(images).__name__}")
            self._blocks = ImageItems(items, self._plain, name=name, shape=shape)

    def _plain(self, value: Any, number: int) -> npt.NDArray[Any]:
        array = plain_array(f"{self._name}[{number}]", value)
        if array.ndim == 0:
            raise ValueError(f"each batch of {self._name} must have shape (B, ...), got {array.shape}")
        return array

    def _look_at(self, blocks: Iterable[Any]) -> None:
        """Decide the scaling of an array of integers."""
        dtype = None
        for block in blocks:
            values = plain_array(self._name, block)
            if values.dtype.kind == "f":
                return
            self._survey.add(values)
            dtype = values.dtype
        if dtype is not None:
            self.scaling = choose_scaling(self._survey, dtype, name=self._name)

    def __iter__(self) -> Iterator[FloatArray]:
        first, known, dtype = 0, self.scaling is not None, None
        for block in self._blocks:
            values = plain_array(f"{self._name}[{first}:]", block)
            if values.ndim < 2:
                raise ValueError(f"each batch of {self._name} must have shape (B, ...), got {values.shape}")
            if self._source or (values.dtype.kind == "f" and self.scaling is None):
                self.dtype = np.result_type(values.dtype, np.float32)
                yield real_array(f"{self._name}[{first}:]", values)
            else:
                if not known:
                    dtype = self._of_stream(values, first)
                assert self.scaling is not None
                yield self.scaling.apply(values)
            first += len(values)
        if dtype is not None and self.scaling is not None:  # the whole may say what the first batches did not
            whole = choose_scaling(self._survey, dtype, name=self._name)
            if whole.ends != self.scaling.ends:
                raise ValueError(
                    f"{self._name}: the first batch was read as {self.scaling.text}, all of them as {whole.text}"
                )

    def provenance(self, given: Provenance | str | None) -> Provenance:
        """What the user says about the samples, with the scaling of integers; known after reading."""
        read: Callable[[], Provenance] | None = getattr(self._images, "read_provenance", None)
        if read is not None and self._images is not None and given is self._images.provenance:
            given = read()
        known = Provenance(given) if isinstance(given, str) else given or Provenance()
        if self.scaling is None or known.scaling:
            return known
        return replace(known, what=known.what or "an array", scaling=self.scaling.text, pixel_range=self.scaling.ends)

    def _of_stream(self, values: npt.NDArray[Any], first: int) -> np.dtype[Any]:
        """Look at one batch of integers, whose first one decides the scaling; the type of the values."""
        if values.dtype.kind == "f" or (self.scaling is None and first):
            raise ValueError(f"{self._name}[{first}:] holds {values.dtype}, the batches before another kind of numbers")
        self._survey.add(values)
        if self.scaling is None and values.dtype.kind != "b" and values.min() >= 0 and values.max() <= 255:
            self.scaling = PixelScaling(
                0.0, 255.0, f"{values.dtype.name} 0…255 mapped to [-1, 1]", limits=PixelRange(0.0, 255.0)
            )
        if self.scaling is None:
            self.scaling = choose_scaling(self._survey, values.dtype, name=self._name)
        self.scaling.check(values, self._name)
        return values.dtype


def _only_numbers(value: Any) -> bool:
    """Whether a value is a number or a nested list of numbers."""
    if isinstance(value, list | tuple):
        return bool(value) and _only_numbers(value[0])
    return isinstance(value, int | float)


def batches(images: Any, shape: tuple[int, ...] | None = None) -> Iterator[FloatArray]:
    """Float64 batches (B, ...) of an image source, an array, a tensor or an iterable of them, see :class:`SampleBatches`.

    Raises
    ------
    TypeError
        None of these, or values that are not real numbers.
    ValueError
        NaN or infinite values, with their index; arrays without an axis that counts samples.
    """
    yield from SampleBatches(images, shape)
