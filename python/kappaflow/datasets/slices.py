"""Slices of medical images: their window, slices of different sizes, and which file each of them is from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._listing import listed
from .._repr import ShortRepr
from ..memory import require_memory
from ..pixel_range import AS_THEY_ARE, TOLERANCE, PixelScaling, ValueSurvey, choose_scaling
from ..provenance import PixelRange
from .arrays import open_array, survey_array
from .errors import DataError
from .image_survey import EIGHT_BIT
from .members import ARRAY_BYTES, Stack, leave_out
from .options import Options
from .resizing import Size
from .source import ImageSource
from .transform import describe_resize, resizer_for, to_grey

__all__ = ["SliceFile", "check_bytes", "check_options", "open_slices"]


@dataclass(frozen=True, repr=False)
class SliceFile(ShortRepr):
    """The slices of one file.

    Attributes
    ----------
    name : name of the file, below the folder that is read
    count : number of its slices
    shape : shape of a slice, (H, W) or (H, W, 3)
    dtype : type of the stored values, in words
    load : function that reads the slices (count, *shape) in the units of the file: its slope and intercept are applied
    inverted : whether large values are black
    largest : largest value that the file can store, for unsigned values of up to 8 bits without a slope; None for others
    window : the values of black and white that the file suggests
    """

    name: str
    count: int
    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], npt.NDArray[Any]]
    inverted: bool = False
    largest: float | None = None
    window: PixelRange | None = None


def check_bytes(shape: Sequence[int], name: str) -> None:
    """Refuse a file whose values take more memory as float64 than four arrays of the largest allowed size.

    Raises
    ------
    DataError
        It is so large, or it has no values.
    """
    values = int(np.prod(shape, dtype=object))
    if values <= 0:
        raise DataError(f"{name}: holds no values, its shape is {tuple(shape)}")
    if 8 * values > 4 * ARRAY_BYTES:
        raise DataError(
            f"{name}: takes {8 * values:,} bytes when unpacked, and at most {4 * ARRAY_BYTES:,} are read into memory; "
            "split the file, or save its slices as .npy, which is read in pieces"
        )
    require_memory(
        3 * 8 * values, f"{name}: reading its {values:,} values", "split the file, or save its slices as .npy"
    )


def check_options(options: Options, name: str) -> None:
    """Refuse options that do not apply to slices.

    Raises
    ------
    DataError
        One of these options was given.
    """
    why = "the files determine the shape of a slice"
    options.refuse(name, shape=why, channels=why, like="training scripts prepare photographs of 8 bits")


@dataclass(repr=False)
class SliceReading(ShortRepr):
    """Slices as they are read: windowed, upright in brightness, resized if the files differ in size.

    Attributes
    ----------
    files : the files
    options : checked options
    mixed : whether the slices have different sizes
    clipped, seen : number of values outside the window, and of all values, that were read so far
    """

    files: Sequence[SliceFile]
    options: Options
    mixed: bool
    clipped: int = 0
    seen: int = 0

    def load(self, number: int) -> FloatArray:
        """The slices of one file.

        Raises
        ------
        DataError
            They cannot be read, or their shape is not the one that the header states.
        """
        file = self.files[number]
        values = np.asarray(file.load(), dtype=np.float64)
        if values.shape != (file.count, *file.shape):
            raise DataError(
                f"{file.name}: holds values of shape {values.shape}, but its header says {(file.count, *file.shape)}"
            )
        if values.ndim == 4 and self.options.grey:
            values = to_grey(values, 3)
        window = self.options.range
        if window is not None and window != AS_THEY_ARE:
            self.clipped += int(np.count_nonzero((values < window.low) | (values > window.high)))
            self.seen += values.size
            values = np.clip(values, *window)
            if file.inverted:
                values = window.low + window.high - values
        elif file.inverted:
            values = (0.0 if file.largest is None else file.largest) - values
        return self.resized(values) if self.mixed else values

    def resized(self, values: FloatArray) -> FloatArray:
        """Slices (N, H, W) or (N, H, W, 3) at the size of the options."""
        resizer = resizer_for(values.shape[1], values.shape[2], self.options)
        if resizer is None:
            return values
        if values.ndim == 3:
            return np.asarray(resizer(values), dtype=np.float64)
        planes = resizer(np.moveaxis(values, 3, 1).reshape(-1, *values.shape[1:3]))
        planes = planes.reshape(len(values), 3, *planes.shape[1:])
        return np.ascontiguousarray(np.moveaxis(np.asarray(planes, dtype=np.float64), 1, 3))


def sizes_of(files: Sequence[SliceFile], name: str, options: Options) -> list[Size]:
    """The sizes of the slices, each once.

    Raises
    ------
    DataError
        There are several and no option `size`, or some slices are grey and others in colour.
    """
    if len({len(file.shape) for file in files}) > 1 and not options.grey:
        raise DataError(f"{name}: some slices are grey and others in colour; make all grey with grey=True")
    sizes = list(dict.fromkeys(Size(*file.shape[:2]) for file in files))
    if len(sizes) > 1 and options.size is None:
        shown = listed(f"{size.height}x{size.width}" for size in sizes)
        raise DataError(f"{name}: images of different sizes (height x width: {shown}); give size to resize them to one")
    return sizes


def choose_window(stack: Stack, files: Sequence[SliceFile], name: str, options: Options) -> PixelScaling:
    """How values become pixels: by the window of the user or, without one, only if they are pixels of 8 bits or in [-1, 1].

    Raises
    ------
    DataError
        A window is needed and none is given, or values are not finite.
    """
    if options.range is None and all(file.largest == 255 for file in files):
        return EIGHT_BIT
    survey: ValueSurvey = survey_array(stack, name)
    if options.range is None:
        low, high = survey.low, survey.high
        pixels = (survey.whole and low >= 0 and high <= 255) or (low >= -1 - TOLERANCE and high <= 1 + TOLERANCE)
        stated = next((file.window for file in files if file.window is not None), None)
        if not pixels or any(file.inverted and file.largest is None for file in files):
            by_file = (
                "" if stated is None else f" --range {stated.low:g},{stated.high:g} is the window that a file states;"
            )
            raise DataError(
                f"{name}: holds values from {low:g} to {high:g}, and which of them are black and white cannot be known: type "
                f"--range LOW,HIGH, the window (in Python: range=(low, high));{by_file} --range {low:g},{high:g} keeps all "
                "values; values outside the window are clipped to it"
            )
    return choose_scaling(survey, stack.dtype, name=name, asked=options.range, error=DataError)


def open_slices(
    files: Sequence[SliceFile],
    name: str,
    what: str,
    options: Options,
    notes: Sequence[str],
    left_out: Sequence[str] = (),
) -> ImageSource:
    """Source of the slices of medical images, in the order of the files.

    Parameters
    ----------
    files : the files, at least one
    name : name of the source
    what : what they are, the beginning of the description
    options : checked options; `range` is the window, to which values are clipped
    notes : what the reader did, for the provenance
    left_out : what is not read

    Raises
    ------
    DataError
        The files or an option cannot be used.
    """
    sizes = sizes_of(files, name, options)
    reading = SliceReading(files=files, options=options, mixed=len(sizes) > 1)
    shape = files[0].shape[:2] if options.grey else files[0].shape
    if reading.mixed and options.size is not None:
        shape = (options.size.height, options.size.width, *shape[2:])
    stack = Stack(reading.load, len(files), shape, np.dtype(np.float64), [file.count for file in files])
    scaling = choose_window(stack, files, name, options)
    if reading.seen:
        scaling = replace(
            scaling,
            text=f"the window {scaling.low:g}…{scaling.high:g} mapped to [-1, 1], as given: {reading.clipped / reading.seen:.2%} "
            "of the values lie outside and are clipped to it",
        )
    inverted = sum(file.inverted for file in files)
    processing = list(notes)
    if inverted:
        processing.append(
            f"brightness inverted in {inverted:,} of {len(files):,} files, in which large values are black"
        )
    if reading.mixed:
        processing.append(describe_resize(sizes, options))
    inner = replace(options, grey=False, frames=None, size=None if reading.mixed else options.size)
    if options.grey and len(files[0].shape) == 3:
        processing.append("colour converted to grey")

    def names() -> Iterator[str]:
        for file in files:
            for _ in range(file.count):
                yield file.name

    source = open_array(lambda: nullcontext(stack), name, inner, what, scaling, names=lambda: tuple(names()))
    types = listed(dict.fromkeys(file.dtype for file in files))
    count = sum(file.count for file in files)
    provenance = replace(
        source.provenance,
        read=f"{count:,} slices {'of different sizes' if reading.mixed else shape} {types} in {len(files):,} files",
        processing=(*processing, *source.provenance.processing),
    )
    return leave_out(replace(source, provenance=provenance), left_out)
