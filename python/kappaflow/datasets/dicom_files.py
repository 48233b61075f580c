"""Slices of DICOM files, one in each or several frames, with the slope and intercept that the files state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._listing import listed
from ..provenance import PixelRange
from .errors import DataError, fail, reading, reason_of
from .options import Options
from .slices import SliceFile, check_bytes, check_options, open_slices
from .source import ImageSource

__all__ = ["DICOM_SUFFIXES", "is_dicom_start", "open_dicom", "open_dicom_folder"]

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
#: A DICOM file begins with 128 bytes of any content and this mark.
MARK, MARK_START = b"DICM", 128
DEFLATED = "1.2.840.10008.1.2.1.99"
#: The transfer syntaxes that are read: not compressed, RLE, JPEG, JPEG-LS and JPEG 2000. Films (MPEG) and addresses are not.
UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
COMPRESSED = tuple(
    f"1.2.840.10008.1.2.{end}"
    for end in ("5", *(f"4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)))
)
GREY = ("MONOCHROME1", "MONOCHROME2")


def is_dicom_start(start: bytes) -> bool:
    """Whether a file that begins with these bytes, at least 132, is a DICOM file."""
    return start[MARK_START : MARK_START + len(MARK)] == MARK


def import_pydicom() -> ModuleType:
    """The module ``pydicom``.

    Raises
    ------
    ImportError
        It is missing; the message names the extra that installs it.
    """
    try:
        import pydicom  # lazy: pydicom
        import pydicom.pixels
    except ImportError as error:
        raise ImportError('reading DICOM files needs pydicom: pip install "kappaflow[medical]"') from error
    module: ModuleType = pydicom
    return module


def read_dataset(path: Path, name: str, pixels: bool) -> Any:
    """The elements of a file, with or without its pixels.

    Raises
    ------
    DataError
        It is no DICOM file, or it is deflated as a whole, so that its size when unpacked is not known.
    """
    pydicom = import_pydicom()
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
        syntax = str(meta.get("TransferSyntaxUID", ""))
        if syntax == DEFLATED:
            raise DataError(
                f"{name}: is deflated as a whole, so that its size when unpacked is not known; convert it, as with dcmconv +ti"
            )
        if syntax and syntax not in (*UNCOMPRESSED, *COMPRESSED):
            raise DataError(
                f"{name}: is stored by the transfer syntax {syntax}; files that are not compressed, RLE, JPEG, JPEG-LS and JPEG "
                "2000 are read"
            )
        return pydicom.dcmread(path, stop_before_pixels=not pixels)
    except Exception as error:  # InvalidDicomError, EOFError, struct.error, …
        fail(error, f"{name}: not a DICOM file that can be read ({reason_of(error).partition(' Use force')[0]})")


def first_number(value: Any) -> float | None:
    """A number of an element, or the first of several; None if there is none."""
    try:
        return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
    except (TypeError, ValueError, IndexError):
        return None


def stated_window(dataset: Any) -> PixelRange | None:
    """The first window that a file suggests: its centre minus and plus half of its width."""
    centre, width = (first_number(dataset.get(key)) for key in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or width <= 0:
        return None
    return PixelRange(centre - width / 2, centre + width / 2)


def slope_groups(dataset: Any, count: int) -> list[Any]:
    """Of an enhanced file, for each frame, what states its slope and intercept; an empty list if the file itself does."""
    if "RescaleSlope" in dataset or "ModalityLUTSequence" in dataset:
        return []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    if shared and (found := shared[0].get("PixelValueTransformationSequence")):
        return [found[0]] * count
    groups = [
        group.get("PixelValueTransformationSequence") for group in dataset.get("PerFrameFunctionalGroupsSequence") or []
    ]
    return [found[0] for found in groups if found] if len(groups) == count and all(groups) else []


def load_frames(path: Path, name: str, first: bool) -> npt.NDArray[Any]:
    """The frames (N, H, W) or (N, H, W, 3) of a file, slope and intercept or table of values applied.

    Raises
    ------
    DataError
        The pixels are damaged, or compressed in a way for which a package is missing.
    """
    dataset = read_dataset(path, name, pixels=True)
    try:
        values = dataset.pixel_array
    except (
        Exception
    ) as error:  # RuntimeError and NotImplementedError without a decoder, ValueError of damaged pixels, …
        syntax = getattr(dataset.file_meta, "TransferSyntaxUID", None)
        packed = bool(getattr(syntax, "is_transfer_syntax", False)) and bool(getattr(syntax, "is_compressed", False))
        remedy = (
            f": its pixels are compressed as {getattr(syntax, 'name', syntax)}; install a decoder (pip install pylibjpeg "
            "pylibjpeg-libjpeg pylibjpeg-openjpeg), or unpack the files, as with gdcmconv --raw"
            if packed
            else " from the file, which is damaged"
        )
        fail(error, f"{name}: the pixels cannot be read{remedy} ({reason_of(error)})")
    with reading(f"{name}: slope and intercept cannot be read from the file, which is damaged"):
        return rescaled(values, dataset)[: 1 if first else None]


def rescaled(values: npt.NDArray[Any], dataset: Any) -> npt.NDArray[Any]:
    """The frames (N, H, W) or (N, H, W, 3) of stored values, slope and intercept or table of values applied."""
    count = frames_of(dataset)
    frames = values.reshape(count, *values.shape[1 if count > 1 else 0 :])
    groups = slope_groups(dataset, count)
    if groups:
        pairs = [(float(group.get("RescaleSlope", 1)), float(group.get("RescaleIntercept", 0))) for group in groups]
        return np.stack([frame * slope + shift for frame, (slope, shift) in zip(frames, pairs, strict=True)])
    if frames.ndim == 3:
        frames = np.asarray(import_pydicom().pixels.apply_modality_lut(frames, dataset))
    return frames


def frames_of(dataset: Any) -> int:
    """Number of frames of a file."""
    return max(1, int(first_number(dataset.get("NumberOfFrames")) or 1))


def slice_file(path: Path, name: str, dataset: Any, options: Options) -> SliceFile:
    """The frames of a file with pixels.

    Raises
    ------
    DataError
        Its pixels are of a kind that is not read.
    """
    meaning = str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))
    samples, bits = int(dataset.get("SamplesPerPixel", 1)), int(dataset.get("BitsAllocated", 16))
    colour = samples == 3 and bits == 8 and meaning.startswith(("RGB", "YBR"))
    if not colour and (samples != 1 or meaning not in GREY):
        raise DataError(f"{name}: pixels of the kind {meaning} with {samples} values of {bits} bits are not read")
    count = frames_of(dataset)
    shape = (int(dataset.Rows), int(dataset.Columns), *((3,) if colour else ()))
    check_bytes((count, *shape), name)
    if count > 1 and options.frames is None:
        raise DataError(
            f"{name}: holds {count:,} frames; type --frames all to read all of them as images, or --frames first"
        )
    first = options.frames == "first"
    depth = int(dataset.get("BitsStored", bits))
    plain = depth <= 8 and not int(dataset.get("PixelRepresentation", 0)) and "RescaleSlope" not in dataset
    signed = "int" if int(dataset.get("PixelRepresentation", 0)) else "uint"
    return SliceFile(
        name=name,
        count=1 if first else count,
        shape=shape,
        dtype=f"{signed}{bits}",
        load=partial(load_frames, path, name, first),
        inverted=meaning == "MONOCHROME1",
        largest=2.0**depth - 1 if plain else None,
        window=stated_window(dataset),
    )


class Found(NamedTuple):
    """A file with pixels: its name, its elements, its modality, and its place among the others: folder, series, number."""

    name: str
    dataset: Any
    modality: str
    place: tuple[str, str, float, str]


def find_images(folder: Path, names: Sequence[str], left_out: Counter[str]) -> list[Found]:
    """The files with pixels, by folder, series and number; others are added to the numbers in `left_out`.

    Raises
    ------
    DataError
        A file cannot be read.
    """
    found = []
    for name in names:
        with reading(f"{name}: not a DICOM file that can be read"):
            dataset = read_dataset(folder / name, name, pixels=False)
            modality = str(dataset.get("Modality", "") or "no modality")
            if "Rows" not in dataset or "Columns" not in dataset:
                left_out[modality] += 1
                continue
            number = first_number(dataset.get("InstanceNumber"))
            series = str(dataset.get("SeriesInstanceUID", ""))
            place = (name.rpartition("/")[0], series, 0.0 if number is None else number, name)
            found.append(Found(name=name, dataset=dataset, modality=modality, place=place))
    return sorted(found, key=lambda each: each.place)


def open_dicoms(folder: Path, names: Sequence[str], name: str, what: str, options: Options) -> ImageSource:
    """Source of the frames of DICOM files.

    Raises
    ------
    ImportError
        pydicom is missing.
    DataError
        The files or an option cannot be used.
    """
    check_options(options, name)
    others: Counter[str] = Counter()
    found = find_images(folder, names, others)
    left_out = [f"{count:,} DICOM files without pixels ({kind})" for kind, count in others.most_common(10)]
    if not found:
        raise DataError(f"{name}: no images in these DICOM files: {listed(left_out)}")
    files = []
    for each in found:
        with reading(f"{each.name}: not a DICOM file that can be read"):
            files.append(slice_file(folder / each.name, each.name, each.dataset, options))
    modalities = Counter(each.modality for each in found)
    notes = [
        f"{len({each.place[:2] for each in found}):,} series ({listed(f'{n:,} {kind}' for kind, n in modalities.most_common())})"
    ]
    notes.append("slope and intercept of each file applied")
    if options.frames == "first":
        notes.append("only the first frame of each file")
    return open_slices(files, name, what, options, notes, left_out)


def open_dicom(path: Path, options: Options) -> ImageSource:
    """Source of the frames of one DICOM file.

    Raises
    ------
    ImportError
        pydicom is missing.
    DataError
        The file holds one image only, or it or an option cannot be used.
    """
    if options.frames == "first" or frames_of(read_dataset(path, path.name, pixels=False)) == 1:
        raise DataError(f"{str(path)!r} is a single image; give the folder that holds the images")
    options = replace(options, frames="all")
    return open_dicoms(path.parent, [path.name], path.name, f"the file {path.name}", options)


def open_dicom_folder(folder: Path, names: Sequence[str], options: Options) -> ImageSource:
    """Source of the frames of the DICOM files of a folder.

    Raises
    ------
    ImportError
        pydicom is missing.
    DataError
        The files or an option cannot be used.
    """
    title = folder.name or folder.resolve().name
    return open_dicoms(folder, names, title, f"the {len(names):,} DICOM files of the folder {title}", options)
