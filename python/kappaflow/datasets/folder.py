"""Folders of image files, which Pillow decodes batch by batch."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._repr import ShortRepr
from ..provenance import PixelRange, Provenance
from .errors import DataError
from .image_decoding import read_image
from .image_formats import image_suffixes
from .image_headers import GREY_16, Header, read_header
from .options import Options
from .source import ImageSource
from .subset import SUBSET_SEED, describe_subset, subset
from .transform import resize_image, to_grey

__all__ = ["ImageFile", "open_folder", "open_image_files"]


def list_images(folder: Path) -> list[Path]:
    """Image files in `folder` and below, sorted by their path; names that begin with a dot are left out."""
    images: list[Path] = []
    for directory, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        images += [
            Path(directory, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in image_suffixes()
        ]
    return sorted(images, key=lambda path: path.relative_to(folder).as_posix())


@dataclass(frozen=True, repr=False)
class ImageFile(ShortRepr):
    """One encoded image, in a folder or in a container.

    Attributes
    ----------
    name : its name in messages: the path below the folder, or the name of the member
    open : function that gives what Pillow opens, a path or a file in memory
    label : its label in the container, if there is one
    """

    name: str
    open: Callable[[], Path | BinaryIO]
    label: int | str | None = None


@dataclass
class Skips:
    """The treatment of files that cannot be read: an error or, if `allowed`, a message to `on_skip`."""

    allowed: bool
    on_skip: Callable[[str], None] | None
    seen: set[str] = field(default_factory=set)

    def handle(self, name: str, error: DataError) -> None:
        """Report the error to `on_skip`, the first time that the file `name` fails.

        Raises
        ------
        DataError
            Files must not be left out.
        """
        if not self.allowed:
            raise DataError(f"{error}; skip_corrupt=True leaves such files out") from error
        if name not in self.seen:
            self.seen.add(name)
            if self.on_skip is not None:
                self.on_skip(str(error))


@dataclass(frozen=True, repr=False)
class Folder(ShortRepr):
    """Files of one folder or container whose headers agree, and the processing of each image.

    Attributes
    ----------
    name, files : the name of the folder, and its image files in their order; behind the first `limit` stand those that replace
        files that cannot be decoded
    colour : whether images become RGB
    size, limit : as of :class:`~kappaflow.datasets.options.Options`
    shape : shape of one image after processing
    skips : the treatment of files that cannot be decoded
    """

    name: str
    files: tuple[ImageFile, ...]
    colour: bool
    size: int | None
    shape: tuple[int, ...]
    limit: int | None
    skips: Skips

    def image(self, file: ImageFile) -> FloatArray:
        """Decode one file to an image of `shape`.

        Raises
        ------
        DataError
            It cannot be decoded, or its shape differs from that in its header.
        """
        pixels = read_image(file.open(), file.name, alpha="drop")
        if pixels.ndim == 3 and not self.colour:
            pixels = to_grey(pixels, 2)
        if self.size is not None:
            pixels = resize_image(pixels, self.size)
        if pixels.ndim == 2 and self.colour:
            pixels = np.repeat(pixels[:, :, None], 3, axis=2)
        if pixels.shape != self.shape:
            raise DataError(f"{file.name}: has the shape {pixels.shape}, but its header says {self.shape}")
        return pixels

    def batches(self, rows: int) -> Iterator[FloatArray]:
        """Decode the files in their order, as batches (B, d).

        Raises
        ------
        DataError
            A file cannot be decoded and may not be left out, or none can be decoded.
        """
        rows = min(rows, len(self.files))
        batch, filled, given = np.empty((rows, *self.shape)), 0, 0
        for file in self.files:
            if given == self.limit:
                break
            try:
                batch[filled] = self.image(file)
            except DataError as error:
                self.skips.handle(file.name, error)
                continue
            filled, given = filled + 1, given + 1
            if filled == rows:
                yield batch.reshape(rows, -1)
                batch, filled = np.empty((rows, *self.shape)), 0
        if filled:
            yield batch[:filled].reshape(filled, -1)
        if not given:
            raise DataError(f"{self.name}: none of its {len(self.files)} image files can be decoded")

    def labels(self) -> npt.NDArray[np.str_] | npt.NDArray[np.int64]:
        """Labels (N,) of the images in their order; of files that prove corrupt only when they are decoded, after that."""
        kept = [file.label for file in self.files if file.name not in self.skips.seen]
        return np.array(kept[: self.limit])


def check_headers(
    name: str, files: Sequence[ImageFile], options: Options, skips: Skips
) -> list[tuple[ImageFile, Header]]:
    """Files whose headers can be read, with their headers.

    Raises
    ------
    DataError
        A header cannot be read and the file may not be left out; no header can be read; images have different sizes and no
        `size` is given; pixels are floating-point numbers, which have no fixed range.
    """
    good: list[tuple[ImageFile, Header]] = []
    for file in files:
        try:
            header = read_header(file.open(), file.name)
        except DataError as error:
            skips.handle(file.name, error)
            continue
        if header.mode == "F":
            raise DataError(
                f"{file.name}: floating-point pixels have no fixed range; put such images in an array file (.npy)"
            )
        if options.size is None and good:
            first_file, first = good[0]
            if (header.width, header.height) != (first.width, first.height):
                raise DataError(
                    f"{name}: images of different sizes: {first_file.name} is "
                    f"{first.width}×{first.height}, {file.name} is {header.width}×{header.height} (width×height); "
                    "give size= to resize all to one square"
                )
        good.append((file, header))
        if len(good) == options.limit and not options.skip_corrupt:
            break
    if not good:
        raise DataError(f"{name}: none of its {len(files)} image files can be read")
    return good


def drawn_first(files: Sequence[ImageFile], limit: int | None) -> Sequence[ImageFile]:
    """The files in the order in which they are used: a random subset of `limit` files, and behind it the others at random."""
    chosen = subset(len(files), limit)
    if chosen is None:
        return files
    others = np.setdiff1d(np.arange(len(files)), chosen)
    order = [*chosen.tolist(), *np.random.default_rng(SUBSET_SEED).permutation(others).tolist()]
    return [files[number] for number in order]


def is_colour(header: Header) -> bool:
    """Whether the file is read as RGB."""
    return header.colour


def describe(what: str, found: int, headers: list[Header], options: Options) -> Provenance:
    """What is read of `what`, which has `found` image files, and what is done to the images."""
    limited = options.limit is not None and not options.skip_corrupt  # else all headers are read
    unread = len(headers) < found and not limited
    read = f"{len(headers):,} of {found:,} image files" if unread else f"{found:,} image files"
    subset_text = ""
    if options.limit is not None:
        subset_text = describe_subset(found, min(options.limit, len(headers)))
    processing = []
    colour = sum(map(is_colour, headers))
    if options.grey and colour:
        processing.append(f"{colour} colour images converted to grey (luma 0.299 R + 0.587 G + 0.114 B)")
    elif colour < len(headers) and colour:
        processing.append(f"{len(headers) - colour} grey images repeated in three channels")
    alpha = sum(header.alpha for header in headers)
    if alpha:
        processing.append(f"alpha channel dropped in {alpha} images")
    if options.size is not None:
        sizes = Counter((header.height, header.width) for header in headers)
        (height, width), _ = sizes.most_common(1)[0]
        before = f"{height}×{width}" if len(sizes) == 1 else f"{len(sizes)} different sizes"
        if before != f"{options.size}×{options.size}":
            processing.append(f"resized from {before} to {options.size}×{options.size} by area averaging")
    sixteen = any(header.mode in GREY_16 for header in headers)
    return Provenance(
        what,
        read=read,
        subset=subset_text,
        left_out=("files that cannot be decoded",) if options.skip_corrupt else (),
        processing=tuple(processing),
        scaling="8-bit 0…255 mapped to [-1, 1]" + (", 16-bit grey 0…65535 mapped to [-1, 1]" if sixteen else ""),
        pixel_range=None if sixteen else PixelRange(0.0, 255.0),
    )


def open_folder(folder: Path, options: Options) -> ImageSource:
    """Source of the images of a folder and the folders below it, in the order of their sorted paths.

    If any image is in colour and `grey` is not set, all become RGB. The EXIF orientation is not applied. With
    `skip_corrupt` the count is None, because some files prove corrupt only when they are decoded.

    Raises
    ------
    DataError
        There are no images, or they or an option cannot be used.
    ImportError
        Pillow is missing.
    """
    name = folder.name or folder.resolve().name
    options.refuse(
        f"the folder {name}",
        patch="it is for the built-in 'patches' only",
        shape="the files determine their own shape",
        channels="the files determine their own channels",
        range="image files are mapped by the full range of their integers",
    )
    paths = list_images(folder)
    if not paths:
        raise DataError(f"{name}: no images in this folder; {', '.join(sorted(image_suffixes()))} files can be read")
    files = [ImageFile(path.relative_to(folder).as_posix(), partial(Path, path)) for path in paths]
    return open_image_files(files, name, f"the folder {name}", options)


def open_image_files(files: Sequence[ImageFile], name: str, what: str, options: Options) -> ImageSource:
    """Source of encoded images, of a folder or of a container, in their order.

    Parameters
    ----------
    files : the images, at least one; all of them have a label, or none has
    name : name of the source
    what : what the folder or container is, the beginning of the description
    options : checked options

    Raises
    ------
    DataError
        The images or an option cannot be used.
    ImportError
        Pillow is missing.
    """
    skips = Skips(options.skip_corrupt, options.on_skip)
    good = check_headers(name, drawn_first(files, options.limit), options, skips)
    headers = [header for _, header in good]
    colour = any(map(is_colour, headers)) and not options.grey
    height, width = headers[0].height, headers[0].width
    if options.size is not None:
        height = width = options.size
    shape = (height, width, 3) if colour else (height, width)
    reader = Folder(
        name=name,
        files=tuple(file for file, _ in good),
        colour=colour,
        size=options.size,
        shape=shape,
        limit=options.limit,
        skips=skips,
    )
    return ImageSource(
        name=name,
        shape=shape,
        count=None if options.skip_corrupt else len(good),
        provenance=describe(what, len(files), headers, options),
        reader=reader.batches,
        labels=None if files[0].label is None else reader.labels,
    )
