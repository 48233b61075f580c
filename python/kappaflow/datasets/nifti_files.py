"""Slices of NIfTI volumes (.nii, .nii.gz), upright by the orientation that the file states."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._repr import short_repr
from ..provenance import PixelRange
from .errors import DataError, fail, reason_of
from .options import Options
from .slices import SliceFile, check_bytes, check_options, open_slices
from .source import ImageSource

__all__ = ["NIFTI_SUFFIXES", "open_nifti", "open_nifti_folder"]

NIFTI_SUFFIXES = (".nii", ".nii.gz")
#: Name of the slices → the axis that counts them, when the axes point to the right, front and top of the patient.
PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}


def import_nibabel() -> ModuleType:
    """The module ``nibabel``.

    Raises
    ------
    ImportError
        It is missing; the message names the extra that installs it.
    """
    try:
        import nibabel  # lazy: nibabel
    except ImportError as error:
        raise ImportError('reading NIfTI volumes needs nibabel: pip install "kappaflow[medical]"') from error
    module: ModuleType = nibabel
    return module


class Volume(NamedTuple):
    """An open volume: the image of nibabel, how its axes are turned, its shape then, and the plane of its stored slices."""

    image: Any
    turns: npt.NDArray[np.float64]
    shape: tuple[int, ...]
    plane: str

    def __repr__(self) -> str:
        return short_repr(self)


def open_volume(path: Path, name: str) -> Volume:
    """Open a volume; its values are not read yet.

    Raises
    ------
    ImportError
        nibabel is missing.
    DataError
        It is no NIfTI volume of numbers of three or four axes, or too large.
    """
    nibabel = import_nibabel()
    try:
        image = nibabel.load(path)
        if type(image) not in (nibabel.Nifti1Image, nibabel.Nifti2Image):  # others may lie in two files
            raise DataError(f"{name}: is a {type(image).__name__}; NIfTI-1 and NIfTI-2 volumes in one file are read")
        shape = tuple(int(side) for side in image.shape)
        turns = np.asarray(nibabel.io_orientation(image.affine), dtype=np.float64)
        dtype = image.get_data_dtype()
    except Exception as error:  # ImageFileError, HeaderDataError, EOFError, BadGzipFile, zlib.error, …
        fail(error, f"{name}: not a NIfTI volume that can be read ({reason_of(error)})")
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) not in (3, 4):
        raise DataError(f"{name}: volumes have three axes, or four for several volumes; got the shape {shape}")
    if dtype.kind not in "buif":
        raise DataError(f"{name}: volumes must hold real numbers, got {dtype}; save colour as images or .npy")
    check_bytes(shape, name)
    if np.isnan(turns).any() or turns.shape != (3, 2):  # the file states no orientation for an axis
        turns = np.column_stack([np.arange(3.0), np.ones(3)])
    turned = [0, 0, 0]
    for stored, (axis, _) in enumerate(turns):
        turned[int(axis)] = shape[stored]
    plane = next(plane for plane, axis in PLANES.items() if axis == int(turns[2, 0]))
    return Volume(image=image, turns=turns, shape=(*turned, *shape[3:]), plane=plane)


def load_slices(path: Path, name: str, plane: str, frames: str | None) -> npt.NDArray[Any]:
    """The slices (N, H, W) of a volume, slope and intercept applied, with the top or front of the patient in the first row.

    Raises
    ------
    DataError
        The file is damaged.
    """
    volume = open_volume(path, name)
    nibabel = import_nibabel()
    try:
        values = np.asanyarray(volume.image.dataobj)
    except Exception as error:  # EOFError, zlib.error, OSError, ValueError of files that end too early
        fail(error, f"{name}: is damaged ({reason_of(error)})")
    values = values.reshape(*(values.shape[:3] if values.ndim > 2 else (*values.shape, 1)), -1)
    values = nibabel.apply_orientation(values, volume.turns)
    values = np.moveaxis(values[..., :1] if frames == "first" else values, -1, 0)
    slices: npt.NDArray[Any] = np.moveaxis(values, 1 + PLANES[plane], 1)  # (volumes, slices, columns, rows)
    slices = np.flip(np.swapaxes(slices, 2, 3), axis=2)
    return slices.reshape(-1, *slices.shape[2:])


def slice_file(volume: Volume, path: Path, name: str, plane: str, options: Options) -> SliceFile:
    """The slices of one volume.

    Raises
    ------
    DataError
        It holds several volumes, and the option `frames` is not given.
    """
    volumes = volume.shape[3] if len(volume.shape) == 4 else 1
    if volumes > 1 and options.frames is None:
        raise DataError(
            f"{name}: holds {volumes:,} volumes (points in time, directions or modalities): type --frames all to read the slices "
            "of all of them, or --frames first (in Python: frames='all')"
        )
    count = 1 if options.frames == "first" else volumes
    sides = [side for axis, side in enumerate(volume.shape[:3]) if axis != PLANES[plane]]
    header = volume.image.header
    low, high = float(header["cal_min"]), float(header["cal_max"])
    dtype = volume.image.get_data_dtype()
    return SliceFile(
        name=name,
        count=count * volume.shape[PLANES[plane]],
        shape=(sides[1], sides[0]),
        dtype=np.dtype(dtype).name,
        load=partial(load_slices, path, name, plane, options.frames),
        largest=255.0
        if dtype == np.uint8 and volume.image.dataobj.slope == 1 and volume.image.dataobj.inter == 0
        else None,
        window=PixelRange(low, high) if np.isfinite([low, high]).all() and low < high else None,
    )


def open_volumes(paths: Sequence[Path], names: Sequence[str], name: str, what: str, options: Options) -> ImageSource:
    """Source of the slices of volumes.

    The slices are those that the file stores, along its third axis, or those of the plane that the key of the options names.

    Raises
    ------
    ImportError
        nibabel is missing.
    DataError
        The files or an option cannot be used.
    """
    check_options(options, name)
    plane = None if options.key is None else options.key.lower()
    if plane is not None and plane not in PLANES:
        raise DataError(f"{name}: slices are {', '.join(PLANES)}; got {options.key!r}")
    volumes = [open_volume(path, each) for path, each in zip(paths, names, strict=True)]
    planes = [volume.plane if plane is None else plane for volume in volumes]
    if len(set(planes)) > 1:
        raise DataError(
            f"{name}: some volumes store {' slices and others '.join(sorted(set(planes)))} slices; type one of them behind the "
            f"data, as {name}::axial"
        )
    files = [
        slice_file(volume, path, each, planes[0], options)
        for volume, path, each in zip(volumes, paths, names, strict=True)
    ]
    stored = "as the files store them" if plane is None else "as asked"
    notes = [f"{planes[0]} slices, {stored}, upright by the orientation that the files state"]
    if options.frames == "first":
        notes.append("only the first volume of each file")
    return open_slices(files, name, what, options, notes)


def open_nifti(path: Path, options: Options) -> ImageSource:
    """Source of the slices of one volume.

    Raises
    ------
    ImportError
        nibabel is missing.
    DataError
        The file or an option cannot be used.
    """
    return open_volumes([path], [path.name], path.name, f"the volume {path.name}", options)


def open_nifti_folder(folder: Path, names: Sequence[str], options: Options) -> ImageSource:
    """Source of the slices of the volumes of a folder.

    Raises
    ------
    ImportError
        nibabel is missing.
    DataError
        The files or an option cannot be used, or volumes and masks of them lie together.
    """
    title = folder.name or folder.resolve().name
    masks = [name for name in names if re.search(r"[-_.](seg|mask|label|labels|dseg)\.nii(\.gz)?$", name.lower())]
    if 0 < len(masks) < len(names):
        raise DataError(
            f"{title}: holds {len(names) - len(masks):,} volumes and {len(masks):,} that are masks by their names, such as "
            f"{masks[0]}; put those that you mean into a folder of their own"
        )
    return open_volumes(
        [folder / name for name in names], names, title, f"the {len(names):,} volumes of the folder {title}", options
    )
