"""What the header of an image file says: size, colour, depth, alpha, frames, orientation. Pixels are not decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .deep_images import TiffStack, read_tiff_stack
from .errors import DataError, fail, reason_of
from .image_formats import ImageInput, opened

__all__ = ["GREY_16", "Header", "has_deep_colour", "palette_is_grey", "read_header"]

# Pillow's names of pixel formats. Everything else that Pillow opens is converted to 8-bit RGB.
GREY_8 = frozenset({"1", "L", "LA", "La"})
GREY_16 = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})  # Pillow opens 16-bit PGM (older ones: PNG) as "I"
ALPHA = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})

ORIENTATION, DESCRIPTION, SUBFILE = 274, 270, 254  # tags of EXIF and TIFF
BITS, PLANAR = 258, 284


@dataclass(frozen=True, slots=True)
class Header:
    """Contents of an image file's header.

    Attributes
    ----------
    width, height : size in pixels, as the orientation shows it
    colour : whether the image is read as RGB
    alpha : whether there is an alpha channel or a transparent colour
    depth : 8 or 16 for integers of so many bits, 32 for wider integers and floating-point numbers
    frames : numbers of the frames that are images of their own, counted from 0
    further : frames that are not: thumbnails and masks of TIFF, previews of MPO
    orientation : that of EXIF which decoding must apply, 1 (upright) to 8
    turned : whether EXIF states another orientation than upright
    animated : whether the file is an animation, whose frames may differ in colour
    cut : whether Pillow cuts more than 8 bits of a colour to 8
    mode : Pillow's name of the pixel format, or the dtype that tifffile states
    stack : whether the pixels are read by tifffile
    """

    width: int
    height: int
    colour: bool
    alpha: bool
    depth: int
    frames: range | tuple[int, ...] = range(1)
    further: int = 0
    orientation: int = 1
    turned: bool = False
    animated: bool = False
    cut: bool = False
    mode: str = ""
    stack: bool = False

    @property
    def needs_scan(self) -> bool:
        """Whether the pixels must be looked at before anything can be said of transparency, colour or range."""
        return self.alpha or self.depth > 8 or self.animated


def raw_mode(image: Any) -> str:
    """The layout of the stored pixels in Pillow's words, such as ``"RGB;16B"``; empty for compressed formats."""
    args = image.tile[0].args if image.tile else ""
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def has_deep_colour(image: Any) -> bool:
    """Whether an image that was not decoded yet stores 16 bits for each colour, of which Pillow's modes hold 8."""
    return image.mode in ("RGB", "RGBA") and ";16" in raw_mode(image)


def is_deep_ppm(image: Any) -> bool:
    """Whether a PPM file in colour, not decoded yet, stores more than 8 bits for each colour, of which Pillow keeps 8."""
    if image.format != "PPM" or image.mode != "RGB":
        return False
    args = image.tile[0].args
    return isinstance(args, tuple) and len(args) > 1 and isinstance(args[1], int) and args[1] > 255


def palette_is_grey(image: Any) -> bool:
    """Whether all colours of the palette of a P image are grey."""
    palette = image.getpalette("RGB") or []
    return bool(palette) and palette[0::3] == palette[1::3] == palette[2::3]


def is_cut(image: Any) -> bool:
    """Whether a format with more than 8 bits for each colour is decoded to 8."""
    if image.format == "SGI":
        return bool(image.tile) and image.tile[0].codec_name == "SGI16"
    if image.format == "JPEG2000" and image.mode != "I;16":
        return jpeg2000_bits(image) > 8
    return False


def jpeg2000_bits(image: Any) -> int:
    """Bits for each colour that the size marker of a JPEG 2000 file states; 8 if it is not near the beginning."""
    image.fp.seek(0)
    start = image.fp.read(4096)
    place = start.find(b"\xff\x51")
    return 8 if place < 0 or len(start) < place + 41 else (start[place + 40] & 0x7F) + 1


def orientation_of(image: Any) -> int:
    """The orientation that EXIF states, 1 to 8; PNG files are not decoded to find one behind their pixels."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data say nothing about the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def tiff_frames(image: Any, count: int) -> tuple[int, ...]:
    """Pages of a TIFF file that are images of their own: neither reduced copies nor masks of others."""
    pages = []
    for page in range(count):
        image.seek(page)
        if not int(image.tag_v2.get(SUBFILE, 0)) & 5:
            pages.append(page)
    image.seek(0)
    return tuple(pages) or tuple(range(count))


def tifffile_is_needed(image: Any) -> bool:
    """Whether Pillow would lose pixels of this TIFF file: planes of 16 bits, or ImageJ's stacks behind a single page."""
    bits = image.tag_v2.get(BITS, (8,))
    deepest = max(bits) if isinstance(bits, tuple) else int(bits)
    if deepest > 8 and image.tag_v2.get(PLANAR, 1) == 2 and len(bits) > 1:
        return True
    return imagej_images(image) > getattr(image, "n_frames", 1)


def imagej_images(image: Any) -> int:
    """Number of images that ImageJ's description of a TIFF file states; 0 without one."""
    text = str(image.tag_v2.get(DESCRIPTION, ""))
    if not text.startswith("ImageJ="):
        return 0
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "images" and re.fullmatch(r" *[0-9]{1,9} *", value):
            return int(value)
    return 0


def read_header(file: ImageInput, name: str) -> Header:
    """Read the header of one file without decoding its pixels; `name` is the name of the file in messages.

    Raises
    ------
    DataError
        It cannot be read, or it has no pixels or too many.
    ImportError
        tifffile is missing, which this file needs.
    """
    header = read_any_header(file, name)
    if min(header.width, header.height) < 1:
        raise DataError(
            f"{name}: an image must have at least one pixel, got {header.width}×{header.height} (width×height)"
        )
    return header


def read_any_header(file: ImageInput, name: str) -> Header:
    """The header of one file, of Pillow or of tifffile.

    Raises
    ------
    DataError
        It cannot be read, or it has too many pixels.
    ImportError
        tifffile is missing, which this file needs.
    """
    try:
        with opened(file, name) as image:
            if image.format != "TIFF" or not tifffile_is_needed(image):
                return header_of(image)
    except (DataError, ImportError, MemoryError):
        raise
    except Exception as error:  # Pillow raises many types for damaged files: OSError, SyntaxError, ValueError, …
        stack = read_tiff_stack(file, name)
        if stack is None:
            fail(error, f"{name}: cannot be read as an image ({reason_of(error)})")
        return stack_header(stack)
    stack = read_tiff_stack(file, name)
    assert stack is not None  # Pillow saw the mark of TIFF
    return stack_header(stack)


def header_of(image: Any) -> Header:
    """What Pillow's open image says."""
    mode, width, height = image.mode, image.width, image.height
    deep = has_deep_colour(image) or is_deep_ppm(image)
    orientation = orientation_of(image)
    turned = orientation != 1
    if image.format == "TIFF":  # Pillow turns these itself
        orientation = 1
    if orientation >= 5:
        width, height = height, width
    colour = mode not in GREY_8 and mode not in GREY_16 and mode != "F" and raw_mode(image) != "LA;16B"
    if mode == "P" and palette_is_grey(image):
        colour = False
    count = int(getattr(image, "n_frames", 1))
    frames: range | tuple[int, ...] = range(count)
    if count > 1 and image.format == "TIFF":
        frames = tiff_frames(image, count)
    elif count > 1 and image.format == "MPO":  # one photograph, with previews or maps of depth and brightness
        frames = range(1)
    return Header(
        width=width,
        height=height,
        colour=colour,
        alpha=mode in ALPHA or "transparency" in image.info,
        depth=32 if mode == "F" else 16 if deep or mode in GREY_16 else 8,
        frames=frames,
        further=count - len(frames),
        orientation=orientation,
        turned=turned,
        animated=count > 1 and image.format in ("GIF", "PNG", "WEBP", "AVIF"),
        cut=is_cut(image),
        mode=mode,
    )


def stack_header(stack: TiffStack) -> Header:
    """The header of a file that tifffile reads."""
    return Header(
        width=stack.width,
        height=stack.height,
        colour=stack.channels >= 3,
        alpha=stack.channels in (2, 4),
        depth=stack.depth,
        frames=range(stack.frames),
        mode=stack.dtype,
        stack=True,
    )
