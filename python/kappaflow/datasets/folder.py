"""Image files of folders and containers, decoded batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._listing import listed
from .._repr import ShortRepr
from ..class_labels import class_labels
from ..memory import require_memory
from .errors import DataError
from .finding import FolderContents, by_folder
from .image_decoding import MANY_VALUES, Decoded, decode
from .image_formats import import_pillow
from .image_headers import read_header
from .image_survey import ImageFacts, ImageFile, Skips, StoredImage, describe, in_files, stored_images, survey_images
from .label_files import given_labels
from .options import Options
from .source import ImageSource
from .transform import resizer_for, to_grey

__all__ = ["open_folder", "open_image_file", "open_image_files"]


@dataclass(frozen=True, repr=False)
class Folder(ShortRepr):
    """Images of one folder or container, and the processing of each.

    Attributes
    ----------
    name : the name of the folder
    images : the images in their order
    facts : what is known of them
    options : as given
    shape : shape of one image after processing
    skips : the treatment of files that cannot be decoded
    failed : numbers of the images that could not be decoded; readings add to it
    """

    name: str
    images: tuple[StoredImage, ...]
    facts: ImageFacts
    options: Options
    shape: tuple[int, ...]
    skips: Skips
    failed: set[int] = field(default_factory=set)

    def process(self, image: Decoded, file: ImageFile) -> FloatArray:
        """Pixels (H, W) or (H, W, 3) of one decoded image: on its ground, grey or in colour, resized, in [-1, 1].

        Raises
        ------
        DataError
            Its size differs from that in its header.
        """
        scaling = self.facts.scaling(image)
        values = image.on_ground(self.facts.ground, scaling.ends)
        if values.ndim == 3 and len(self.shape) == 2:
            values = to_grey(values, 2)
        planes = values[None] if values.ndim == 2 else np.moveaxis(values, 2, 0)
        resizer = resizer_for(planes.shape[1], planes.shape[2], self.options)
        if resizer is not None and planes.shape[1:] != self.shape[:2]:
            if self.options.like is not None and image.top == 255:
                planes = np.rint(planes).astype(np.uint8)
            planes = resizer(planes)
        pixels = scaling.apply(planes)
        if pixels.shape[1:] != self.shape[:2]:
            raise DataError(f"{file.name}: has the size {pixels.shape[1:]}, but its header says {self.shape[:2]}")
        if len(self.shape) == 2:
            grey: FloatArray = pixels[0]
            return grey
        return np.moveaxis(np.broadcast_to(pixels, (3, *pixels.shape[1:])), 0, 2)

    def decoded(self) -> Iterator[FloatArray]:
        """Decode the images in their order to pixels (H, W) or (H, W, 3), frames of one file together.

        Raises
        ------
        DataError
            A file cannot be decoded and may not be left out.
        """
        number = 0
        for group in in_files(self.images):
            file, header = group[0].file, group[0].header
            try:
                frames = [image.frame for image in group]
                pixels = [self.process(image, file) for image in decode(file.open(), file.name, header, frames)]
            except DataError as error:
                self.skips.handle(file.name, error)
                self.failed.update(range(number, number + len(group)))
            else:
                yield from pixels
            number += len(group)

    def batches(self, rows: int) -> Iterator[FloatArray]:
        """Decode the images in their order, as batches (B, d).

        Raises
        ------
        DataError
            A file cannot be decoded and may not be left out, or none can be decoded.
        """
        most = len(self.images) if self.options.limit is None else min(self.options.limit, len(self.images))
        rows, values = min(rows, most), math.prod(self.shape)
        if rows * values > MANY_VALUES:
            require_memory(8 * rows * values, f"{self.name}: a batch of images of {values:,} values")
        batch, filled, given = np.empty((rows, *self.shape)), 0, 0
        for pixels in self.decoded():
            batch[filled] = pixels
            filled, given = filled + 1, given + 1
            if filled == rows:
                yield batch.reshape(rows, -1)
                batch, filled = np.empty((rows, *self.shape)), 0
            if given == most:
                break
        if filled:
            yield batch[:filled].reshape(filled, -1)
        if not given:
            raise DataError(f"{self.name}: none of its {len(self.images)} images can be decoded")

    def labels(self) -> npt.NDArray[Any]:
        """Labels (N,) of the images in their order; of files that prove corrupt only when they are decoded, after that."""
        return np.array([file.label for file in self._read()])

    def names(self) -> tuple[str, ...]:
        """Names (N,) of the images in their order, as of :meth:`labels`."""
        return tuple(file.name for file in self._read())

    def _read(self) -> list[ImageFile]:
        """The files that were read."""
        kept = [image.file for number, image in enumerate(self.images) if number not in self.failed]
        return kept[: self.options.limit]


def open_folder(contents: FolderContents, options: Options) -> ImageSource:
    """Source of the images of a folder and the folders below it, in the order of their sorted names.

    If any image is in colour and `grey` is not set, all become RGB. With `skip_corrupt` the count is None, because some files
    prove corrupt only when they are decoded.

    Raises
    ------
    DataError
        There are no images, or they or an option cannot be used.
    ImportError
        Pillow is missing.
    """
    import_pillow()
    folder = contents.root
    name = folder.name or folder.resolve().name
    options.refuse(
        f"the folder {name}",
        patch="it is for the built-in 'patches' only",
        shape="the files determine their own shape",
        channels="the files determine their own channels",
    )
    left_out = contents.left_out(contents.images)
    if not contents.images:
        there = f"; it holds {listed(left_out)}" if left_out else ""
        raise DataError(
            f"{name}: no images in this folder{there}; .bmp, .gif, .jpg, .png, .tif, .webp and other formats of Pillow can be read"
        )
    files = [ImageFile(image, partial(Path, folder, image)) for image in contents.images]
    source = open_image_files(files, name, f"the folder {name}", options)
    provenance = source.provenance
    read = provenance.read
    if contents.total > len(files):
        read += f", of {contents.total:,} files in all"
    if folders := by_folder(contents.images):
        read += f"; by subfolder: {folders}"
    return replace(
        source,
        provenance=replace(
            provenance,
            read=read,
            left_out=(*provenance.left_out, *left_out),
            warnings=(*contents.warnings(contents.images), *provenance.warnings),
        ),
    )


def open_image_file(path: Path, options: Options) -> ImageSource:
    """Source of the frames of one file: the pages of a TIFF file, the frames of an animation.

    Raises
    ------
    DataError
        The file holds one image only, or it or an option cannot be used.
    ImportError
        Pillow is missing, or tifffile for a file that needs it.
    """
    options.refuse(
        path.name,
        patch="it is for the built-in 'patches' only",
        shape="the file determines its own shape",
        channels="the file determines its own channels",
    )
    if options.frames == "first" or len(read_header(path, path.name).frames) == 1:
        raise DataError(f"{str(path)!r} is a single image; give the folder that holds the images")
    file = ImageFile(path.name, partial(Path, path))
    return open_image_files([file], path.name, f"the file {path.name}", replace(options, frames="all"))


def open_image_files(files: Sequence[ImageFile], name: str, what: str, options: Options) -> ImageSource:
    """Source of encoded images, of a folder or of a container, in their order.

    Parameters
    ----------
    files : the images, at least one; those without a label have no class if others have one
    name : name of the source
    what : what the folder or container is, the beginning of the description
    options : checked options

    Raises
    ------
    DataError
        The images or an option cannot be used.
    ImportError
        Pillow is missing, or tifffile for a file that needs it.
    """
    skips = Skips(options.skip_corrupt, options.on_skip)
    given = given_labels(options.labels, len(files), name, "image files")
    if given is not None:
        rows = class_labels(given, error=DataError)
        files = [
            replace(file, label=None if number < 0 else rows.names[number])
            for file, number in zip(files, rows.numbers.tolist(), strict=True)
        ]
    images = stored_images(name, files, options, skips)
    facts = survey_images(name, images, options, skips)
    images = tuple(image for image in images if image.file.name not in facts.broken)
    if not images:
        raise DataError(f"{name}: none of its {len(files)} image files can be decoded")
    first = images[0].header
    height, width = (first.height, first.width) if options.size is None else options.size
    colour = facts.colour and not options.grey
    reader = Folder(
        name=name,
        images=images,
        facts=facts,
        options=options,
        shape=(height, width, 3) if colour else (height, width),
        skips=skips,
    )
    return ImageSource(
        name=name,
        shape=reader.shape,
        count=None if options.skip_corrupt else len(images),
        provenance=describe(what, len(files), images, facts, options),
        reader=reader.batches,
        labels=None if all(file.label is None for file in files) else reader.labels,
        labels_from="the labels of the data" if given is None else "the labels given",
        names=reader.names,
        broken=(lambda: skips.seen) if options.skip_corrupt else None,
    )
