"""Decoding image files to their stored values: every bit kept, palettes looked up, alpha apart, upright."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._repr import ShortRepr
from ..memory import require_memory
from ..provenance import PixelRange
from .deep_images import deep_colour, deep_ppm, read_tiff_frames
from .errors import DataError, fail, reason_of
from .image_formats import ImageInput, opened
from .image_headers import GREY_16, Header, has_deep_colour, is_deep_ppm, palette_is_grey, read_header

__all__ = ["GROUNDS", "MANY_VALUES", "Decoded", "decode", "read_image"]

#: Images of up to this number of values are not asked of the budget, which takes as long as decoding them.
MANY_VALUES = 2**21
#: Ground that images with transparent pixels are laid on, as a share of the range of values; None leaves out alpha.
GROUNDS = {"drop": None, "white": 1.0, "black": 0.0}


@dataclass(frozen=True, repr=False)
class Decoded(ShortRepr):
    """Stored values of one image: `values`, (H, W) or (H, W, 3), and `alpha`, (H, W) from 0 to 1, or None.

    ``top`` is the stored value of white: 255, 65535, or None for numbers without a fixed range.
    """

    values: npt.NDArray[Any]
    alpha: FloatArray | None
    top: int | None

    @property
    def has_transparency(self) -> bool:
        """Whether a pixel is not opaque."""
        return self.alpha is not None and bool(self.alpha.min(initial=1.0) < 1.0)

    def on_ground(self, alpha: str, ends: PixelRange) -> npt.NDArray[Any]:
        """The values without alpha, of the same shape.

        `alpha` is ``"drop"``, or the ground ``"white"`` or ``"black"``, which are the ends of the range of values.
        """
        ground = GROUNDS[alpha]
        if ground is None or not self.has_transparency:
            return self.values
        assert self.alpha is not None
        cover = self.alpha if self.values.ndim == 2 else self.alpha[:, :, None]
        mixed: FloatArray = cover * self.values + (1.0 - cover) * (ends.low + ground * (ends.high - ends.low))
        return mixed


def decode(file: ImageInput, name: str, header: Header, frames: Sequence[int]) -> Iterator[Decoded]:
    """Decode some frames of one file, in increasing order.

    Raises
    ------
    DataError
        The file cannot be decoded.
    """
    require_decoding(header, name)
    try:
        if header.stack:
            for pixels in read_tiff_frames(file, name, iter(frames)):
                yield from_stack(pixels)
            return
        with opened(file, name) as image:
            for frame in frames:
                if frame:
                    image.seek(frame)
                yield upright(decode_frame(image, file, name, frame), header.orientation)
    except Exception as error:  # as in read_header
        fail(error, f"{name}: the image is corrupt or cannot be decoded ({reason_of(error)})")


def require_decoding(header: Header, name: str) -> None:
    """Refuse an image that does not fit in memory while it is decoded and resized: up to four copies in float64.

    Raises
    ------
    NotEnoughMemoryError
        It does not; a small file can declare an image of any size.
    """
    values = header.width * header.height * (3 if header.colour else 1)
    if values > MANY_VALUES:
        require_memory(
            4 * 8 * values,
            f"{name}: decoding {header.width}×{header.height} pixels (width×height)",
            "make it smaller with an image program, or leave it out",
        )


def decode_frame(image: Any, file: ImageInput, name: str, frame: int) -> Decoded:
    """Decode the frame at which Pillow's open image stands."""
    if has_deep_colour(image):
        upper = np.asarray(image)
        with opened(file, name) as again:
            if frame:
                again.seek(frame)
            pixels = deep_colour(upper, again)
        colours = 1 if pixels.shape[2] == 2 else 3
        alpha = pixels[:, :, -1] / 65535.0 if pixels.shape[2] in (2, 4) else None
        return Decoded(pixels[:, :, 0] if colours == 1 else pixels[:, :, :3], alpha, 65535)
    if is_deep_ppm(image):
        with opened(file, name) as again:
            return Decoded(deep_ppm(again), None, 65535)
    image.load()
    mode = image.mode
    if mode in GREY_16:
        values = np.asarray(image)
        if values.dtype.kind == "u":
            return Decoded(values, None, 65535)
        fits = int(values.min()) >= 0 and int(values.max()) <= 65535  # Pillow opens 16-bit PGM so
        return Decoded(values.astype(np.uint16) if fits else values, None, 65535 if fits else None)
    if mode == "F":
        return Decoded(np.asarray(image), None, None)
    transparent = mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info
    grey = mode in ("1", "L", "LA", "La") or (mode == "P" and palette_is_grey(image))
    if mode == "P" and not transparent:
        transparent = image.palette is not None and image.palette.mode == "RGBA"
    if transparent:  # via RGBA: else Pillow warns of palettes with alpha
        pixels = np.asarray(image.convert("RGBA"))
        alpha = pixels[:, :, 3] / 255.0
        return Decoded(pixels[:, :, 0] if grey else pixels[:, :, :3], alpha, 255)
    return Decoded(np.asarray(image.convert("L" if grey else "RGB")), None, 255)


def from_stack(pixels: npt.NDArray[Any]) -> Decoded:
    """One frame that tifffile read."""
    unsigned = pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2
    top = int(np.iinfo(pixels.dtype).max) if unsigned else None
    if pixels.ndim == 2:
        return Decoded(pixels, None, top)
    channels = pixels.shape[2]
    alpha = pixels[:, :, -1] / float(top or 1) if channels in (2, 4) else None
    return Decoded(pixels[:, :, 0] if channels == 2 else pixels[:, :, :3], alpha, top)


def upright(image: Decoded, orientation: int) -> Decoded:
    """The image turned and mirrored as EXIF asks: 1 is upright, 5 to 8 exchange height and width."""
    if orientation == 1:
        return image

    def turn(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if orientation >= 5:
            pixels = np.swapaxes(pixels, 0, 1)
        if orientation in (2, 3, 6, 7):
            pixels = pixels[:, ::-1]
        return pixels[::-1] if orientation in (3, 4, 7, 8) else pixels

    return Decoded(turn(image.values), None if image.alpha is None else turn(image.alpha), image.top)


def read_image(file: ImageInput, name: str, *, frame: int = 0, alpha: str = "white") -> FloatArray:
    """Decode one image to (H, W) or (H, W, 3) float64 pixels in [-1, 1], mapped by the full range of its integers.

    Palettes are looked up, 16-bit images keep their 16 bits, and the orientation of EXIF is applied.

    Parameters
    ----------
    file : a path, the bytes of a file, or an open binary file that can seek
    name : name of the file in messages
    frame : number of the frame, of files that have several
    alpha : ground for transparent pixels, ``"white"`` or ``"black"``, or ``"drop"`` for the colours stored below them

    Raises
    ------
    DataError
        The file cannot be decoded, has too many pixels, or its numbers have no fixed range.
    ImportError
        Pillow is missing, or tifffile for a file that needs it.
    """
    for image in decode(file, name, read_header(file, name), [frame]):
        if image.top is None:
            low, high = image.values.min(), image.values.max()
            raise DataError(
                f"{name}: pixels must be integers within 0…65535, got {image.values.dtype} values {low:.6g}…{high:.6g}, which "
                "have no fixed range"
            )
        pixels = image.on_ground(alpha, PixelRange(0.0, float(image.top))).astype(np.float64)
        pixels /= image.top / 2
        pixels -= 1.0
        return pixels
    raise DataError(f"{name}: has no frame {frame}")
