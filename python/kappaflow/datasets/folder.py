"""Folders of image files, decoded by Pillow batch by batch."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np

from .._checks import FloatArray
from .errors import DataError
from .options import Options
from .source import ImageSource
from .transform import resize_image, to_grey

__all__ = ["SUFFIXES", "import_pillow", "open_folder", "read_image"]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})

# Pillow's names of pixel formats; everything else that Pillow opens is converted to 8-bit RGB
GREY_8 = frozenset({"1", "L", "LA", "La"})
GREY_16 = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I"})  # Pillow opens 16-bit PGM (older ones: PNG) as "I"
ALPHA = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})


def import_pillow() -> ModuleType:
    """Return ``PIL.Image``, or say which extra brings it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError('reading image files needs Pillow: pip install "kappaflow[images]"') from error
    return Image


def list_images(folder: Path) -> list[Path]:
    """Image files below ``folder``, sorted by their path within it; names that begin with a dot are left out."""
    found: list[Path] = []
    for directory, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(directory, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES
        ]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


@dataclass(frozen=True)
class Header:
    """What the first bytes of an image file say: size in pixels and Pillow's mode."""

    width: int
    height: int
    mode: str
    alpha: bool


def read_header(path: Path, name: str) -> Header:
    """Read the header of one file without decoding its pixels."""
    image_module = import_pillow()
    try:
        with image_module.open(path) as image:
            alpha = image.mode in ALPHA or "transparency" in image.info
            return Header(image.width, image.height, image.mode, alpha)
    except Exception as error:  # Pillow raises many types for damaged files: OSError, SyntaxError, ValueError, …
        raise DataError(f"{name}: cannot be read as an image ({error})") from error


def read_image(path: Path, name: str) -> FloatArray:
    """Decode one file to (H, W) or (H, W, 3) float64 pixels in [-1, 1].

    Alpha is dropped, palettes are looked up, 16-bit grey keeps its 16 bits, and only the first frame is read.
    """
    image_module = import_pillow()
    try:
        with image_module.open(path) as image:
            image.load()
            if image.mode in GREY_16:
                values, top = np.asarray(image).astype(np.float64), 65535
            else:
                if image.mode in GREY_8:
                    image = image.convert("L")
                elif image.mode in ("P", "PA"):  # by RGBA, for Pillow warns of a palette with alpha otherwise
                    image = image.convert("RGBA").convert("RGB")
                else:
                    image = image.convert("RGB")
                values, top = np.asarray(image).astype(np.float64), 255
    except Exception as error:  # as in read_header
        raise DataError(f"{name}: the image is corrupt or cannot be decoded ({error})") from error
    if top == 65535 and (values.min() < 0 or values.max() > top):
        raise DataError(
            f"{name}: integer pixels must be within 0…{top}, got {values.min():.0f}…{values.max():.0f}; "
            "put such images in an array file"
        )
    values /= top / 2
    values -= 1.0
    return values


@dataclass
class Skips:
    """Keeps or raises the errors of single files: ``handle`` returns where the file is to be left out."""

    allowed: bool
    on_skip: Callable[[str], None] | None
    seen: set[str] = field(default_factory=set)

    def handle(self, name: str, error: DataError) -> None:
        """Raise ``error``, or report it to ``on_skip`` the first time that the file ``name`` fails."""
        if not self.allowed:
            raise DataError(f"{error}; skip_corrupt=True leaves such files out") from error
        if name not in self.seen:
            self.seen.add(name)
            if self.on_skip is not None:
                self.on_skip(str(error))


@dataclass(frozen=True)
class Folder:
    """Files of one folder whose headers agree, and what becomes of each image."""

    folder: Path
    paths: tuple[Path, ...]
    colour: bool  # of the output
    size: int | None
    shape: tuple[int, ...]
    limit: int | None
    skips: Skips

    def image(self, path: Path) -> FloatArray:
        """Decode one file to the shape of the source."""
        name = path.relative_to(self.folder).as_posix()
        pixels = read_image(path, name)
        if pixels.ndim == 3 and not self.colour:
            pixels = to_grey(pixels, 2)
        if self.size is not None:
            pixels = resize_image(pixels, self.size)
        if pixels.ndim == 2 and self.colour:
            pixels = np.repeat(pixels[:, :, None], 3, axis=2)
        if pixels.shape != self.shape:
            raise DataError(f"{name}: has the shape {pixels.shape}, its header said {self.shape}")
        return pixels

    def batches(self, rows: int) -> Iterator[FloatArray]:
        """Decode the files in their order; raise at the end if not one could be decoded."""
        rows = min(rows, len(self.paths))
        batch, filled, given = np.empty((rows, *self.shape)), 0, 0
        for path in self.paths:
            if given == self.limit:
                break
            try:
                batch[filled] = self.image(path)
            except DataError as error:
                self.skips.handle(path.relative_to(self.folder).as_posix(), error)
                continue
            filled, given = filled + 1, given + 1
            if filled == rows:
                yield batch.reshape(rows, -1)
                batch, filled = np.empty((rows, *self.shape)), 0
        if filled:
            yield batch[:filled].reshape(filled, -1)
        if not given:
            raise DataError(f"{self.folder.name}: not one of its {len(self.paths)} image files can be decoded")


def check_headers(folder: Path, paths: list[Path], options: Options, skips: Skips) -> list[tuple[Path, Header]]:
    """Read all headers; raise where sizes differ and no ``size=`` is given, or where a format has no fixed range."""
    good: list[tuple[Path, Header]] = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            header = read_header(path, name)
        except DataError as error:
            skips.handle(name, error)
            continue
        if header.mode == "F":
            raise DataError(
                f"{name}: floating-point pixels have no fixed range; put such images in an array file (.npy)"
            )
        if options.size is None and good:
            first_path, first = good[0]
            if (header.width, header.height) != (first.width, first.height):
                raise DataError(
                    f"{folder.name}: images of different sizes: {first_path.relative_to(folder).as_posix()} is "
                    f"{first.width}×{first.height}, {name} is {header.width}×{header.height} (width×height); "
                    "give size= to resize all to one square"
                )
        good.append((path, header))
        if len(good) == options.limit and not options.skip_corrupt:
            break
    if not good:
        raise DataError(f"{folder.name}: not one of its {len(paths)} image files can be read")
    return good


def is_colour(header: Header) -> bool:
    """Whether the file is read as RGB."""
    return header.mode not in GREY_8 and header.mode not in GREY_16


def describe(folder: Path, headers: list[Header], options: Options, shape: tuple[int, ...]) -> str:
    """Plain words for the folder, with everything that was done to its images."""
    parts = [f"{len(headers)} images from the folder {folder.name}"]
    if options.skip_corrupt:
        parts = [f"images from the folder {folder.name}, without the files that cannot be decoded"]
        if options.limit is not None:
            parts[0] += f", the first {options.limit}"
    colour = sum(map(is_colour, headers))
    if options.grey and colour:
        parts.append(f"{colour} colour images converted to grey (luma 0.299 R + 0.587 G + 0.114 B)")
    elif colour < len(headers) and colour:
        parts.append(f"{len(headers) - colour} grey images repeated in three channels")
    alpha = sum(header.alpha for header in headers)
    if alpha:
        parts.append(f"alpha channel dropped in {alpha} images")
    if options.size is not None:
        sizes = Counter((header.height, header.width) for header in headers)
        (height, width), _ = sizes.most_common(1)[0]
        before = f"{height}×{width}" if len(sizes) == 1 else f"{len(sizes)} different sizes"
        if before != f"{options.size}×{options.size}":
            parts.append(f"resized from {before} to {options.size}×{options.size} by area averaging")
    return "; ".join(parts)


def open_folder(folder: Path, options: Options) -> ImageSource:
    """Source of the images of a folder and the folders below it, in the order of their sorted paths.

    All are RGB if any is in colour and ``grey`` is not asked for. The EXIF orientation is not applied. With
    ``skip_corrupt`` the count is None, for a file may prove corrupt only when it is decoded.
    """
    name = folder.name or folder.resolve().name
    options.refuse(
        f"the folder {name}",
        patch="it is for the built-in 'patches' only",
        shape="the files say what shape they have",
    )
    paths = list_images(folder)
    if not paths:
        raise DataError(f"{name}: no images in this folder; read are {', '.join(sorted(SUFFIXES))} files")
    skips = Skips(options.skip_corrupt, options.on_skip)
    good = check_headers(folder, paths, options, skips)
    headers = [header for _, header in good]
    colour = any(map(is_colour, headers)) and not options.grey
    height, width = headers[0].height, headers[0].width
    if options.size is not None:
        height = width = options.size
    shape = (height, width, 3) if colour else (height, width)
    reader = Folder(folder, tuple(path for path, _ in good), colour, options.size, shape, options.limit, skips)
    scaling = "8-bit 0…255 mapped to [-1, 1]"
    if any(header.mode in GREY_16 for header in headers):
        scaling += ", 16-bit grey 0…65535 mapped to [-1, 1]"
    count = None if options.skip_corrupt else len(good)
    return ImageSource(name, shape, count, describe(folder, headers, options, shape), scaling, reader.batches)
