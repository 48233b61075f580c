"""The single entry point for all data: chooses the reader that opens them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._image_items import as_iterable
from .._listing import listed
from .allowed import require_regular
from .arrays import as_array, check_array, open_memory, open_npy
from .builtin import BUILTIN_NAMES, open_builtin
from .dicom_files import open_dicom
from .errors import DataError
from .folder import open_image_file
from .folder_kinds import open_directory
from .grouping import PHOTOGRAPH, group_images, with_mirror_images
from .h5_files import open_h5
from .image_formats import image_suffixes
from .iterables import open_iterable
from .keys import split_key
from .latents import encode_latents
from .nifti_files import NIFTI_SUFFIXES, open_nifti
from .npz_files import open_npz
from .options import Options
from .source import ImageSource
from .tables import TABLE_SUFFIXES, open_table, open_tables
from .tar_files import TAR_SUFFIXES, expand_braces, open_tar, open_tars
from .tensor_files import open_pt, open_safetensors
from .zarr_files import open_zarr
from .zip_files import open_zip

__all__ = ["open_images"]

#: Files that hold several arrays, and what makes a folder a zarr store.
KEYED = (
    ".npz",
    ".h5",
    ".hdf5",
    ".zarr",
    ".zip",
    *TAR_SUFFIXES,
    ".pt",
    ".pth",
    ".safetensors",
    *TABLE_SUFFIXES,
    *NIFTI_SUFFIXES,
)
PARTS_OF_IMAGES = ("patches",)  # the built-in data that an autoencoder was not made for
ZARR_MARKS = (".zarray", ".zgroup", "zarr.json")
FILE_READERS: dict[str, Callable[[Path, Options], ImageSource]] = {
    ".npy": open_npy,
    ".npz": open_npz,
    ".h5": open_h5,
    ".hdf5": open_h5,
    ".zarr": open_zarr,
    ".zip": open_zip,
    ".tar": open_tar,
    ".tar.gz": open_tar,
    ".tgz": open_tar,
    ".nii": open_nifti,
    ".nii.gz": open_nifti,
    ".dcm": open_dicom,
    ".dicom": open_dicom,
    ".ima": open_dicom,
    ".parquet": open_table,
    ".arrow": open_table,
    ".feather": open_table,
    ".pt": open_pt,
    ".pth": open_pt,
    ".safetensors": open_safetensors,
}


def open_images(
    data: object,
    *,
    shape: Sequence[int] | None = None,
    patch: int | None = None,
    size: int | Sequence[int] | None = None,
    grey: bool = False,
    limit: int | None = None,
    skip_corrupt: bool = False,
    on_skip: Callable[[str], None] | None = None,
    range: Sequence[float] | str | None = None,
    channels: str | int | None = None,
    resize: str | None = None,
    crop: str | None = None,
    like: str | None = None,
    alpha: str | None = None,
    frames: str | None = None,
    labels: Any = None,
    vae: str | os.PathLike[str] | None = None,
    groups: Any = None,
    flip: bool = False,
    progress: Callable[[str, float | None], None] | None = None,
) -> ImageSource:
    """Open images, wherever they are, as batches of float64 rows with pixels in [-1, 1].

    Parameters
    ----------
    data : one of

        * a built-in name: ``"digits"``, ``"mnist5k"``, ``"patches"``, ``"faces"``. These are real images that Python
          packages ship; nothing is downloaded. A ``str`` that is a built-in name always means the built-in dataset. To
        read a file or folder of that name in the working folder, write ``"./faces"`` or ``Path("faces")``.
        * a folder of images in the formats of Pillow that are safe to open, with the folders below it
        * a file of several images: a TIFF file of pages, an animated GIF, PNG or WebP
        * a folder of ``.npy`` arrays, one image or one stack in each, or of ``.tar`` archives
        * an archive of images or ``.npy`` arrays: ``.zip``, also of StyleGAN; ``.tar``, ``.tar.gz`` and ``"a-{00..09}.tar"``
        * a table with a column of encoded images or of lists of numbers: ``.parquet``, ``.arrow``, ``.feather``, a folder of
          them, or what ``save_to_disk`` of Hugging Face's ``datasets`` wrote
        * slices of NIfTI volumes or DICOM files, or a folder of such files; `range` is the window, to which values are clipped
        * a file: ``.npy`` (memory-mapped), ``.npz``, ``.h5``, ``.hdf5``, ``.zarr``, ``.pt``, ``.safetensors``. If it holds
          several arrays, the only one that can hold images is taken; ``"FILE::KEY"`` names another.
        * an array, memmap or tensor (N, ...); the first axis counts images
        * an iterable of images of one shape, or of batches (B, ...) of them: a list, a generator, a data loader, or a dataset
          with `__getitem__`; items may be pairs (images, labels) or dictionaries, whose labels are left out
        * an ImageSource, to which only `groups` and `flip` can be added
    shape : shape of one image, for arrays and iterables of flat vectors; must multiply to d
    patch : side P of the patches, from 2 to 64, 16 by default (built-in ``"patches"`` only)
    size : resize to `size` × `size`, or to (height, width), in float64 (not for ``"patches"``, not for plain vectors)
    resize : the filter: ``"bilinear"`` (default), ``"bicubic"``, ``"lanczos"``, antialiased as in Pillow, or ``"area"`` averaging
    crop : ``"centre"`` (default): the short side is resized and the centre is kept; ``"none"``: images are stretched to `size`
    like : resize, crop, drop alpha and round to 8 bits exactly as a training script does: ``"diffusers"``, ``"edm"``, ``"adm"``
    alpha : ground of transparent pixels: ``"white"`` (default) or ``"black"``; ``"drop"`` reads the colours hidden below alpha
    frames : of files with several frames, ``"all"`` are images, or the ``"first"`` of each file; must be given for such files
    labels : (N,) classes, or (N, K) one-hot rows, of all stored images in their order, or of all image files in the order of their
        paths, for :func:`kappaflow.populations_by_class`. By default they are the labels of the data, or the subfolders.
    vae : local folder of an autoencoder of diffusers, whose latents are read, see :func:`~.latents.encode_latents`
    groups : which images belong together, such as the frames of a clip, see :func:`~.grouping.group_images`: labels (N,),
        ``"folder"``, ``"file"``, ``"photograph"``, ``"FILE.npy"`` or a pattern of file names. `limit` keeps whole groups.
    flip : models are trained with random horizontal flips
    progress : called with a step and the share of it that is done, while files are opened
    grey : convert colour to luma, 0.299 R + 0.587 G + 0.114 B; grey images stay as they are
    limit : use at most this many images, a random subset of all of them; the description gives its seed. An iterable is read to
        its end for this. How values become pixels is decided by all images.
    skip_corrupt : leave out image files that cannot be decoded, and images of arrays with NaN or infinity: no error
    on_skip : called with a message for each file that is left out
    range : (low, high), the stored values that become −1 and 1, or ``"auto"``, the default: the values of the whole file
        decide, and where two readings are plausible, an error states both. ``(-1, 1)`` uses values as they are.
    channels : ``"first"`` for images (C, H, W), ``"last"`` for (H, W, C), or the number of channels C; by default an axis of
        1, 3 or 4 values holds the channels

    Returns
    -------
    ImageSource
        Its attribute `provenance` states what was read and how values became pixels. Without `range`, whole numbers from 0 to
        255 of any type are 8-bit pixels, uint16 that exceeds 14 bits are 16-bit pixels, floats in [0, 1] are mapped by 2x − 1,
        and floats in [-1, 1], or on both sides of zero and beyond, are used as they are.

    Raises
    ------
    DataError
        The data or an option cannot be used; the message states why and what is allowed.
    ImportError
        A package is missing.
    TypeError
        `data` or an option is of a type that is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> source = open_images(np.zeros((10, 4, 4, 3), dtype=np.uint8), grey=True)
    >>> source.shape, source.count, source.dimension
    ((4, 4), 10, 16)
    >>> [batch.shape for batch in source.batches(batch_size=6)]
    [(6, 16), (4, 16)]
    """
    which: dict[str, Any] = {"patch": patch, "limit": limit, "skip_corrupt": skip_corrupt, "on_skip": on_skip}
    values: dict[str, Any] = {"shape": shape, "channels": channels, "range": range, "grey": grey, "size": size}
    pixels: dict[str, Any] = {"resize": resize, "crop": crop, "like": like, "alpha": alpha, "frames": frames}
    options = Options.checked(**which, **values, **pixels, labels=labels, progress=progress)
    if isinstance(data, ImageSource):
        refuse_options(options, [name for name in (*which, *values, *pixels) if name != "on_skip"])
    source = open_grouped(data, groups, options)
    return with_mirror_images(source, vae) if flip else with_vae(source, vae, progress)


def open_grouped(data: object, groups: Any, options: Options) -> ImageSource:
    """The source of the data, with its images in groups if there are any. A limit then keeps whole groups, except for patches."""
    if isinstance(data, ImageSource):
        return data if groups is None else group_images(data, groups)
    if groups is None:
        return open_anything(data, options)
    if isinstance(groups, str) and groups == PHOTOGRAPH:
        return group_images(open_anything(data, options), groups)
    return group_images(open_anything(data, replace(options, limit=None)), groups, options.limit)


def refuse_options(options: Options, names: Sequence[str]) -> None:
    """Refuse the options that an ImageSource, which is open, cannot follow.

    Raises
    ------
    DataError
        One of these options was given.
    """
    options.refuse("an ImageSource", **dict.fromkeys(names, "give it when opening the source"))
    if options.labels is not None:
        raise DataError("labels do not apply to an ImageSource: give them when opening the source")


def with_vae(
    source: ImageSource, vae: str | os.PathLike[str] | None, progress: Callable[[str, float | None], None] | None
) -> ImageSource:
    """The latents of the images if an autoencoder is given.

    Raises
    ------
    DataError
        The autoencoder or the images cannot be used.
    ImportError
        torch or diffusers is missing.
    TypeError
        `vae` is no path.
    """
    if vae is None:
        return source
    if not isinstance(vae, str | os.PathLike):
        raise TypeError(f"vae must be the path of a folder, got a {type(vae).__name__}")
    if source.name in PARTS_OF_IMAGES:
        raise DataError(f"vae={os.fspath(vae)!r} does not apply to {source.name}: an autoencoder works on whole images")
    return encode_latents(source, os.fspath(vae), progress)


def open_anything(data: object, options: Options) -> ImageSource:
    """Open whatever :func:`open_images` takes, except for an ImageSource.

    Raises
    ------
    DataError
        The data or an option cannot be used.
    TypeError
        `data` is of a type that is not supported.
    """
    if isinstance(data, str) and data in BUILTIN_NAMES:
        return beside_local(open_builtin(data, options), data)
    if isinstance(data, str):
        return open_path(Path(data), data, options)
    if isinstance(data, os.PathLike):
        path = Path(data)
        return open_path(path, str(path), options)
    if isinstance(data, (bytes, dict, set, frozenset)):
        raise TypeError(f"images cannot be read from a {type(data).__name__}; pass a path, an array or batches")
    array = as_array(data)
    if array is not None:
        check_array(array, "array")
        return open_memory(array, "array", options, "an array")
    items = as_iterable(data)
    if items is not None:
        return open_iterable(items, options)
    raise TypeError(f"images cannot be read from a {type(data).__name__}; pass a path, an array or batches")


def beside_local(source: ImageSource, name: str) -> ImageSource:
    """The source of a built-in dataset, with a warning if a file or folder of this name exists."""
    if not Path(name).exists():
        return source
    warning = (
        f"./{name} exists here, and is not what is read: write ./{name} to read it instead of the built-in {name!r}"
    )
    provenance = replace(source.provenance, warnings=(*source.provenance.warnings, warning))
    return replace(source, provenance=provenance)


def open_path(path: Path, given: str, options: Options) -> ImageSource:
    """Open a file or folder by its suffix.

    Parameters
    ----------
    path : the file or folder
    given : what the user wrote, for the messages
    options : checked options

    Raises
    ------
    DataError
        There is no such path, or it is of a type that is not supported.
    """
    file, key = split_key(given)
    if key is not None and not path.exists():
        path, given, options = Path(file), file, replace(options, key=key)
    if not path.exists():
        if given.lower().endswith((*TAR_SUFFIXES, *TABLE_SUFFIXES, *NIFTI_SUFFIXES)) and "{" in given:
            paths = [Path(each) for each in expand_braces(given)]
            if given.lower().endswith(TAR_SUFFIXES):
                return open_tars(paths, path.name, f"{len(paths):,} archives {path.name}", options)
            return open_tables(paths, path.name, f"{len(paths):,} tables {path.name}", options)
        close = difflib.get_close_matches(given.lower(), BUILTIN_NAMES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise DataError(
            f"{given!r} is neither a path that exists nor a built-in dataset ({', '.join(BUILTIN_NAMES)}){hint}"
        )
    require_regular(path, given)
    double = (suffix for suffix in FILE_READERS if suffix.count(".") == 2 and path.name.lower().endswith(suffix))
    suffix = next(double, path.suffix.lower())
    if path.is_dir() and any((path / mark).is_file() for mark in ZARR_MARKS):
        suffix = ".zarr"
    if options.key is not None and suffix not in KEYED and not path.is_dir():
        raise DataError(f"{given!r} has no parts with names, got {options.key!r}; {listed(KEYED)} files have")
    if suffix in FILE_READERS and (path.is_file() or suffix == ".zarr"):
        return FILE_READERS[suffix](path, options)
    if path.is_dir():
        return open_directory(path, options)
    if suffix in image_suffixes():
        return open_image_file(path, options)
    raise DataError(f"{given!r}: files of this type cannot be read; folders of images and {listed(FILE_READERS)} can")
