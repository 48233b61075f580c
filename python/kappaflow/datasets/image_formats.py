"""The image formats that are read, and opening a file with Pillow by its contents.

Only raster formats that Pillow decodes itself are in the list. Formats that start other programs (EPS), that are drawn rather
than stored (WMF), or that are containers of other files are not.
"""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, BinaryIO

from .errors import DataError

__all__ = [
    "FORMATS",
    "ImageInput",
    "image_suffixes",
    "import_pillow",
    "is_image_name",
    "is_image_start",
    "opened",
    "other_image_suffixes",
    "suffix_of",
]

#: Pillow's names of the formats that are read.
FORMATS = (
    "PNG",
    "JPEG",
    "MPO",
    "GIF",
    "BMP",
    "DIB",
    "TIFF",
    "WEBP",
    "PPM",
    "TGA",
    "JPEG2000",
    "AVIF",
    "QOI",
    "SGI",
    "PCX",
)

#: Image files that Pillow does not know, for the sentence about files left out.
UNKNOWN_TO_PILLOW = frozenset(
    {".heic", ".heif", ".jxl", ".svg", ".exr", ".hdr", ".raw", ".dng", ".cr2", ".nef", ".arw"}
)

#: First bytes of the formats above that have such a mark; TGA has none.
STARTS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    *(b"P" + digit.encode() for digit in "123456fF"),
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    b"qoif",
    b"\x01\xda",
)

#: What an image is read from: a path, its bytes, or an open file that can seek.
ImageInput = Path | bytes | BinaryIO


def import_pillow() -> ModuleType:
    """The module ``PIL.Image``.

    Raises
    ------
    ImportError
        Pillow is missing; the message names the extra that installs it.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError('reading image files needs Pillow: pip install "kappaflow[images]"') from error
    return Image


@functools.lru_cache(maxsize=1)
def known_formats() -> tuple[str, ...]:
    """Those of :data:`FORMATS` that this Pillow opens; MPO files are opened as JPEG.

    Raises
    ------
    ImportError
        Pillow is missing.
    """
    module = import_pillow()
    module.init()
    return tuple(format for format in FORMATS if format in module.OPEN)


@functools.lru_cache(maxsize=1)
def image_suffixes() -> frozenset[str]:
    """Suffixes of the files that are read, in lower case with their dot: those that Pillow registers for :data:`FORMATS`.

    Raises
    ------
    ImportError
        Pillow is missing.
    """
    registered = import_pillow().registered_extensions()
    return frozenset(suffix for suffix, format in registered.items() if format in FORMATS)


@functools.lru_cache(maxsize=1)
def other_image_suffixes() -> frozenset[str]:
    """Suffixes of images and films that are not read, which the user converts first; without Pillow, those it does not know."""
    try:
        registered = frozenset(import_pillow().registered_extensions()) - {".h5", ".hdf", ".pdf"}
    except ImportError:
        return UNKNOWN_TO_PILLOW
    return (registered | UNKNOWN_TO_PILLOW) - image_suffixes()


def suffix_of(name: str) -> str:
    """The last suffix of the name of a file, in lower case with its dot, or nothing."""
    return PurePosixPath(name).suffix.lower()


def is_image_name(name: str) -> bool:
    """Whether a file of this name, or with this suffix, is an image that is read.

    It is never so without Pillow, which other files do not need.
    """
    try:
        return (suffix_of(name) or name.lower()) in image_suffixes()
    except ImportError:
        return False


def is_image_start(start: bytes) -> bool:
    """Whether a file that begins with these bytes (16 are enough) is an image of one of :data:`FORMATS`."""
    if start.startswith(STARTS):
        return not start.startswith(b"BM") or start[6:10] == bytes(4)  # the reserved bytes of a bitmap
    return (start[:4] == b"RIFF" and start[8:12] == b"WEBP") or start[4:12] in (b"ftypavif", b"ftypavis")


@contextmanager
def opened(file: ImageInput, name: str) -> Iterator[Any]:
    """The image that Pillow opens, whose pixels are not decoded yet; `name` is the name of the file in messages.

    Raises
    ------
    DataError
        The image has so many pixels that Pillow takes it for a decompression bomb.
    """
    module = import_pillow()
    source: Any = io.BytesIO(file) if isinstance(file, bytes) else file
    if not isinstance(source, Path):
        source.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", module.DecompressionBombWarning)
            image = module.open(source, formats=known_formats())
    except (module.DecompressionBombWarning, module.DecompressionBombError) as error:
        raise DataError(
            f"{name}: an image may have at most {module.MAX_IMAGE_PIXELS // 10**6} million pixels (more could fill the "
            f"memory from a small file); make it smaller with an image program, or leave it out ({error})"
        ) from error
    with image:
        yield image
