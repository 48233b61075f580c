"""Arrays in memory and in files: NumPy, torch and other tensors, and .npy; what readers of other files of arrays share.

Files are memory-mapped or read in blocks, never loaded whole. Pickles are never read.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._listing import listed
from .._repr import short_repr
from ..memory import require_memory
from ..pixel_range import PixelScaling, ValueSurvey, choose_scaling
from ..provenance import Provenance
from .axes import doubts_about_axes
from .errors import DataError
from .keys import Chosen
from .label_files import given_labels
from .npy_format import map_npy
from .options import Options
from .source import BATCH_BYTES, ImageSource, check_finite, rebatch
from .subset import describe_subset, read_chosen, subset
from .transform import plan_transform

__all__ = [
    "as_array",
    "check_array",
    "check_chunks",
    "missing_chunks",
    "open_array",
    "open_keyed",
    "open_memory",
    "open_npy",
    "with_warnings",
]

#: The way out of an image that is not finite.
SKIP = "skip_corrupt=True leaves such images out"
#: Files up to this size are looked at as a whole before their scaling is decided; of larger ones, so many blocks of images.
SURVEYED_BYTES = 2**30
SURVEYED_BLOCKS = 64

#: Largest piece of a compressed array.
CHUNK_BYTES = 2 * 2**30
NOT_APPLICABLE = {
    "patch": "it is for the built-in 'patches' only",
    "alpha": "it is for image files only",
    "frames": "it is for image files only",
}


def as_array(data: Any) -> Any:
    """`data` as an object with a shape, a NumPy dtype and slices, without a copy if possible; None if it is not an array.

    Tensors are detached and moved to the CPU. Objects that support slices (an open HDF5 dataset, a zarr or dask array) are
    returned unchanged.

    Raises
    ------
    DataError
        A masked array.
    TypeError
        A sparse matrix.
    """
    if isinstance(data, np.ma.MaskedArray):
        raise DataError("a masked array has missing values; fill them, or pass only the complete images")
    if isinstance(data, np.ndarray):
        return data
    if callable(getattr(data, "toarray", None)):
        raise TypeError(f"a sparse {type(data).__name__} is not read; pass its .toarray()")
    if callable(getattr(data, "detach", None)) and callable(getattr(data, "cpu", None)):
        tensor = data.detach().cpu()
        if str(tensor.dtype).endswith("bfloat16"):  # NumPy has no such type; float32 holds it exactly
            tensor = tensor.float()
        return np.asarray(tensor)
    if hasattr(data, "shape") and hasattr(data, "__getitem__") and isinstance(getattr(data, "dtype", None), np.dtype):
        return data
    if hasattr(data, "__array__") or hasattr(data, "__array_interface__"):
        return np.asarray(data)
    if hasattr(data, "__dlpack__"):
        return np.from_dlpack(data)
    return None


def check_array(array: Any, name: str) -> None:
    """Check that `array` is a non-empty array (N, ...) of real numbers.

    Raises
    ------
    DataError
        It is not; the message states what it is.
    """
    shape, dtype = tuple(array.shape), array.dtype
    if dtype.kind not in "buif":
        raise DataError(f"{name}: images must be bool, integer or float numbers; got dtype {dtype}")
    if len(shape) < 2:
        raise DataError(
            f"{name}: images must be an array (N, ...) of at least two dimensions, the first of which counts images; "
            f"got shape {shape}"
        )
    if 0 in shape:
        raise DataError(f"{name}: the array is empty, its shape is {shape}; at least one image is needed")


def read_blocks(array: Any, chosen: npt.NDArray[np.int64] | None = None) -> Iterator[npt.NDArray[Any]]:
    """Yield the images, or those with the ascending numbers `chosen`, in blocks (B, *shape) that stay small as float64."""
    if chosen is None:
        yield from read_span(array, 0, int(array.shape[0]))
        return
    rows = block_rows(array)
    for start in range(0, len(chosen), rows):
        yield read_chosen(array, chosen[start : start + rows])


def read_span(array: Any, start: int, stop: int) -> Iterator[npt.NDArray[Any]]:
    """Yield the images from `start` to `stop` in such blocks (B, *shape)."""
    rows = block_rows(array)
    for first in range(start, stop, rows):
        yield np.asarray(array[first : min(first + rows, stop)])


def block_rows(array: Any) -> int:
    """Number of images of a block."""
    return max(1, BATCH_BYTES // 2 // (8 * int(np.prod(array.shape[1:], dtype=np.int64))))


def finite_images(array: Any) -> npt.NDArray[np.int64] | None:
    """Numbers (M,) of the images without NaN and infinity, for which all are read; None if that is all of them."""
    if array.dtype.kind != "f":
        return None
    finite = [np.isfinite(block.reshape(len(block), -1)).all(axis=1) for block in read_blocks(array)]
    numbers = np.flatnonzero(np.concatenate(finite))
    return None if len(numbers) == array.shape[0] else numbers


class ImagesUsed(NamedTuple):
    """Numbers (M,) of the images that are read, and of those without NaN and infinity, None for all; texts about both."""

    chosen: npt.NDArray[np.int64] | None
    finite: npt.NDArray[np.int64] | None
    subset: str
    left_out: tuple[str, ...]

    def __repr__(self) -> str:
        return short_repr(self)


def images_used(array: Any, options: Options, name: str) -> ImagesUsed:
    """The images that `skip_corrupt` leaves, or the random subset of them that `limit` draws.

    Raises
    ------
    DataError
        None is left.
    """
    total = int(array.shape[0])
    finite = finite_images(array) if options.skip_corrupt else None
    left_out: tuple[str, ...] = ()
    left = total
    if finite is not None:
        left = len(finite)
        others = map(str, np.setdiff1d(np.arange(total), finite).tolist())
        left_out = (f"{total - left:,} images with NaN or infinity (number {listed(others)}, counted from 0)",)
    if not left:
        raise DataError(f"{name}: each of its {total:,} images holds NaN or infinity")
    drawn = subset(left, options.limit)
    chosen = finite if drawn is None else drawn if finite is None else finite[drawn]
    text = describe_subset(left, left if drawn is None else len(drawn))
    return ImagesUsed(chosen=chosen, finite=finite, subset=text, left_out=left_out)


def require_image(values: int, name: str) -> None:
    """Refuse images of so many values that one of them does not fit in memory as float64 while it is resized.

    Raises
    ------
    NotEnoughMemoryError
        It does not.
    """
    if 8 * values > BATCH_BYTES // 2:
        require_memory(4 * 8 * values, f"{name}: an image of {values:,} values", "use smaller images")


def survey_array(array: Any, name: str, finite: npt.NDArray[np.int64] | None = None) -> ValueSurvey:
    """Look at all values of the array, or of the images `finite`; of a large one, at blocks of images spread evenly over it.

    Raises
    ------
    DataError
        NaN or infinity.
    """
    survey, total = ValueSurvey(), int(array.shape[0])
    per_image = int(np.prod(array.shape[1:], dtype=np.int64)) * array.dtype.itemsize
    starts, rows = [0], total
    if total * per_image > SURVEYED_BYTES:
        rows = max(1, SURVEYED_BYTES // per_image // SURVEYED_BLOCKS)
        starts = sorted(set(np.linspace(0, total - rows, SURVEYED_BLOCKS).astype(int).tolist()))
    for first in starts:
        for block in read_span(array, first, first + rows):
            numbers = np.arange(first, first + len(block))
            first += len(block)
            if finite is not None:
                block, numbers = block[np.isin(numbers, finite)], numbers[np.isin(numbers, finite)]
            check_finite(block, numbers, name, SKIP)
            survey.add(block)
    return survey


def open_array(
    opener: Callable[[], AbstractContextManager[Any]],
    name: str,
    options: Options,
    what: str,
    scaling: PixelScaling | None = None,
    labels: Callable[[], npt.NDArray[Any]] | None = None,
    labels_from: str = "the labels of the data",
    names: Callable[[], Sequence[str]] | None = None,
) -> ImageSource:
    """Source of the images of one array.

    Parameters
    ----------
    opener : function that opens the array for one reading, as a context that closes it
    name : name of the source
    options : checked options
    what : what the array is, the beginning of the description
    scaling : how values become pixels, if that is known; else the dtype or a pass over the values decides
    labels : function that gives the labels (N,) of all images of the array, if there are any
    labels_from : where they come from, in words
    names : function that gives the name of the file of each image, if they are in several

    Raises
    ------
    DataError
        The array or an option cannot be used.
    """
    options.refuse(name, **NOT_APPLICABLE)
    with opener() as array:
        check_array(array, name)
        require_image(math.prod(int(side) for side in array.shape[1:]), name)
        shape, dtype = tuple(int(side) for side in array.shape), array.dtype
        transform = plan_transform(shape[1:], options, name)
        doubts = doubts_about_axes(array, options, name)
        total = shape[0]
        given = given_labels(options.labels, total, name)
        used = images_used(array, options, name)
        chosen = used.chosen
        pixels = scaling
        if pixels is None:
            survey = survey_array(array, name, used.finite)
            pixels = choose_scaling(survey, dtype, name=name, asked=options.range, error=DataError)

    def blocks() -> Iterator[FloatArray]:
        first = 0
        with opener() as array:
            for block in read_blocks(array, chosen):
                numbers = np.arange(first, first + len(block))
                check_finite(block, numbers if chosen is None else chosen[numbers], name, SKIP)
                pixels.check(block, name, error=DataError)
                first += len(block)
                yield transform(pixels.apply(block))

    labelled = labels if given is None else lambda: given
    provenance = Provenance(
        what,
        read=f"({', '.join(map(str, shape))}) {dtype}",
        subset=used.subset,
        left_out=used.left_out,
        processing=transform.notes,
        scaling=pixels.text,
        pixel_range=pixels.ends,
        warnings=(*doubts, *pixels.warnings),
    )
    return ImageSource(
        name=name,
        shape=transform.shape_out,
        count=total if chosen is None else len(chosen),
        provenance=provenance,
        reader=lambda rows: rebatch(blocks(), rows),
        labels=None if labelled is None else lambda: labelled() if chosen is None else labelled()[chosen],
        labels_from=labels_from if given is None else "the labels given",
        names=None if names is None else lambda: names() if chosen is None else np.array(names())[chosen].tolist(),
    )


def open_memory(data: Any, name: str, options: Options, what: str) -> ImageSource:
    """Source of the images of an array that need not be closed."""
    return open_array(lambda: contextlib.nullcontext(data), name, options, what)


def open_keyed(
    opener: Callable[[str], AbstractContextManager[Any]], chosen: Chosen, name: str, options: Options, what: str
) -> ImageSource:
    """Source of the images of one array of a file, with its labels if there are any; `opener` opens an array by its key."""
    key = chosen.labels

    def labels() -> npt.NDArray[Any]:
        with opener(str(key)) as array:
            return np.asarray(array[...])

    source = open_array(
        lambda: opener(chosen.key),
        name,
        options,
        what,
        labels=None if key is None else labels,
        labels_from=f"the array {key!r} of {name}",
    )
    return with_left_out(source, chosen)


def open_npy(path: Path, options: Options) -> ImageSource:
    """Source of the images of a .npy file, which is memory-mapped.

    Raises
    ------
    DataError
        The file or an option cannot be used.
    """
    return open_memory(map_npy(path, path.name), path.name, options, f"the array file {path.name}")


def with_warnings(source: ImageSource, warnings: tuple[str, ...]) -> ImageSource:
    """The source with further warnings in its provenance."""
    provenance = source.provenance
    return replace(source, provenance=replace(provenance, warnings=(*provenance.warnings, *warnings)))


def with_left_out(source: ImageSource, chosen: Chosen) -> ImageSource:
    """The source, whose provenance also states which arrays of the file are left out."""
    left_out = (*source.provenance.left_out, *chosen.left_out)
    return replace(source, provenance=replace(source.provenance, left_out=left_out))


def check_chunks(array: Any, key: str, name: str) -> None:
    """Refuse an array whose pieces, which are unpacked as a whole, take more than :data:`CHUNK_BYTES`.

    Raises
    ------
    DataError
        They do.
    """
    size = array.dtype.itemsize * math.prod(int(side) for side in array.chunks or ())
    if array.chunks and size > CHUNK_BYTES:
        raise DataError(
            f"{name}: the array {key!r} has pieces (chunks) of {size:,} bytes when unpacked, and at most {CHUNK_BYTES:,} are read "
            "at once; write it with smaller chunks"
        )
    require_memory(3 * size, f"{name}: unpacking a piece (chunk) of {key!r}", "write it with smaller chunks")


def missing_chunks(array: Any, stored: int, name: str) -> tuple[str, ...]:
    """A warning if not all pieces of an array are stored: the others are read as one value, such as 0."""
    if not array.chunks:
        return ()
    fill = array.fillvalue if hasattr(array, "fillvalue") else array.fill_value
    total = math.prod(-(-int(side) // int(piece)) for side, piece in zip(array.shape, array.chunks, strict=True))
    if stored >= total:
        return ()
    return (
        f"{total - stored:,} of the {total:,} pieces (chunks) of {name} are not stored and are read as {fill:g}: "
        "either all their values are so, or the file is not complete",
    )
