"""Images with more bits than Pillow's modes hold: 16-bit colour, and TIFF files that tifffile reads."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..memory import require_memory
from .errors import DataError, fail, reason_of
from .image_formats import ImageInput

__all__ = ["TiffStack", "deep_colour", "read_tiff_frames", "read_tiff_stack"]

#: The layout that yields the other byte of each 16-bit value, for every layout of Pillow that yields the upper one.
LOWER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
#: Largest array that one page or stack may become.
MOST_STACK_BYTES = 2**30


def joined(upper: npt.NDArray[np.uint8], lower: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """16-bit values (H, W, C) of their two bytes, of the same shape."""
    values = upper.astype(np.uint16)
    values <<= 8
    values |= lower
    return values


def deep_colour(upper: npt.NDArray[np.uint8], image: Any) -> npt.NDArray[np.uint16]:
    """(H, W, C) 16-bit values of an image whose upper bytes are known.

    Pillow's modes hold 8 bits for each colour, and its decoders pick one of the two bytes of each value. The second reading
    picks the other one: with the layouts of the two byte orders swapped, the same decoder yields the lower bytes.

    Parameters
    ----------
    upper : the upper bytes, as Pillow decodes them
    image : the same image, opened again and not decoded yet
    """
    if image.tile[0].args == "LA;16B":  # opened as RGBA; four bytes of a pixel are two 16-bit values, read as they are
        image.tile = [tile._replace(args="RGBA") for tile in image.tile]
        stored = np.asarray(image)
        return joined(stored[:, :, 0::2], stored[:, :, 1::2])

    def swapped(args: Any) -> Any:
        layout = args if isinstance(args, str) else args[0]
        layout = layout[:-1] + LOWER_BYTE[layout[-1]]
        return layout if isinstance(args, str) else (layout, *args[1:])

    image.tile = [tile._replace(args=swapped(tile.args)) for tile in image.tile]
    return joined(upper, np.asarray(image))


def deep_ppm(image: Any) -> npt.NDArray[np.uint16]:
    """(H, W, 3) values of a PPM file in colour with more than 8 bits, from 0 to 65535 whatever its largest value.

    Pillow keeps 16 bits of grey images, so it reads the colours as neighbours in a grey image of three times the width.

    Parameters
    ----------
    image : opened and not decoded yet
    """
    tile = image.tile[0]
    largest, plain = tile.args[1], tile.codec_name == "ppm_plain"
    image.fp.seek(tile.offset)
    header = f"{'P2' if plain else 'P5'} {3 * image.width} {image.height} {largest}\n".encode()
    with type(image)(io.BytesIO(header + image.fp.read())) as grey:
        return np.asarray(grey).astype(np.uint16).reshape(image.height, image.width, 3)


@dataclass(frozen=True)
class TiffStack:
    """Images of a TIFF file that tifffile reads: their number, size, channels, dtype, and their bits (8, 16 or 32)."""

    frames: int
    height: int
    width: int
    channels: int
    dtype: str
    depth: int


def import_tifffile(name: str) -> Any:
    """The module tifffile.

    Raises
    ------
    ImportError
        It is missing; the message names the extra that installs it.
    """
    try:
        import tifffile
    except ImportError as error:
        raise ImportError(
            f'{name}: Pillow cannot read such a TIFF file whole; tifffile does: pip install "kappaflow[tiff]"'
        ) from error
    return tifffile


class Unnamed(io.RawIOBase):
    """A file without a name, so that a reader cannot look for others beside it; files of microscopes may name such."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("rb")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can seek."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer; the number of bytes."""
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, and return it."""
        return self._file.seek(offset, whence)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


@contextmanager
def _source(file: ImageInput) -> Iterator[Any]:
    """The file to read, at its beginning."""
    if isinstance(file, Path):
        with io.BufferedReader(Unnamed(file)) as stream:
            yield stream
    elif isinstance(file, bytes):
        yield io.BytesIO(file)
    else:
        file.seek(0)
        yield file


def _start(file: ImageInput) -> bytes:
    with _source(file) as stream:
        return bytes(stream.read(4))


def read_tiff_stack(file: ImageInput, name: str) -> TiffStack | None:
    """What tifffile finds in a TIFF file; None if it is no TIFF file.

    Raises
    ------
    DataError
        tifffile cannot read it, or its axes are not those of images.
    ImportError
        tifffile is missing.
    """
    if _start(file) not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    tifffile = import_tifffile(name)
    try:
        with _source(file) as stream, tifffile.TiffFile(stream, _multifile=False) as tiff:
            series = tiff.series[0]
            shape, axes, dtype = tuple(series.shape), str(series.axes), np.dtype(series.dtype)
    except Exception as error:  # tifffile raises types of its own, and those of the modules it calls
        fail(error, f"{name}: cannot be read as an image ({reason_of(error)})")
    return stack_of(shape, axes, dtype, name)


def stack_of(shape: tuple[int, ...], axes: str, dtype: np.dtype[Any], name: str) -> TiffStack:
    """The stack of an array with these axes, in the letters of tifffile: Y, X, samples S, channels C, all others count images.

    Raises
    ------
    DataError
        The axes are not those of images, or the numbers are complex.
    """
    channels = 1
    if axes.endswith("YXS"):
        channels, outer = shape[-1], shape[:-3]
        height, width = shape[-3:-1]
    elif axes.endswith("SYX"):
        channels, outer = shape[-3], shape[:-3]
        height, width = shape[-2:]
    elif axes.endswith("YX"):
        outer = shape[:-2]
        height, width = shape[-2:]
    else:
        raise DataError(
            f"{name}: the axes of a TIFF file must end with rows and columns, got {axes} with sides {shape}"
        )
    if channels not in (1, 2, 3, 4) or any(axis == "C" and side > 1 for axis, side in zip(axes, shape, strict=True)):
        raise DataError(
            f"{name}: has channels on the axes {axes} with sides {shape}; images of 1, 3 or 4 channels can be read: put "
            "the channels that you train on in an array file (.npy)"
        )
    if dtype.kind not in "uif":
        raise DataError(f"{name}: pixels must be integers or floating-point numbers, got {dtype}")
    depth = 8 * dtype.itemsize if dtype.kind == "u" and dtype.itemsize <= 2 else 32
    return TiffStack(
        frames=int(np.prod(outer, dtype=np.int64)),
        height=height,
        width=width,
        channels=channels,
        dtype=str(dtype),
        depth=depth,
    )


def read_tiff_frames(file: ImageInput, name: str, frames: Iterator[int]) -> Iterator[npt.NDArray[Any]]:
    """The frames of a stack one by one, (H, W) or (H, W, C), in the dtype of the file.

    Raises
    ------
    DataError
        tifffile cannot decode it, or it is too large.
    ImportError
        tifffile is missing.
    """
    tifffile = import_tifffile(name)
    try:
        with _source(file) as stream, tifffile.TiffFile(stream, _multifile=False) as tiff:
            series = tiff.series[0]
            stack = stack_of(tuple(series.shape), str(series.axes), np.dtype(series.dtype), name)
            if series.nbytes > MOST_STACK_BYTES:
                raise DataError(
                    f"{name}: a stack may hold at most {MOST_STACK_BYTES / 2**30:.0f} GiB, got {series.nbytes / 2**30:.1f}; "
                    "put the images in an array file (.npy)"
                )
            require_memory(3 * series.nbytes, f"{name}: decoding its stack", "put the images in an array file (.npy)")
            sides = (stack.channels,) if "YXS" in series.axes else ()
            front = (stack.channels,) if "SYX" in series.axes else ()
            array = series.asarray().reshape(stack.frames, *front, stack.height, stack.width, *sides)
    except Exception as error:  # as in read_tiff_stack
        fail(error, f"{name}: the image is corrupt or cannot be decoded ({reason_of(error)})")
    if front:
        array = np.moveaxis(array, 1, -1)
    for frame in frames:
        pixels = array[frame]
        yield pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
