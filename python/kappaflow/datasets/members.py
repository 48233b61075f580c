"""Images and arrays that lie in many files or members: of folders, zip and tar archives, datasets.

Members of archives are read in memory, one at a time, and never extracted. Their size is checked before and while they are read.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .._plain_text import plain_text
from .._repr import ShortRepr
from ..memory import require_memory
from .arrays import open_array
from .errors import DataError
from .folder import open_image_files
from .image_formats import image_suffixes, is_image_name, suffix_of
from .image_survey import ImageFile
from .keys import SEPARATOR
from .npy_format import map_npy, parse_npy, read_npy_header
from .options import Options
from .source import ImageSource
from .subfolders import subfolder_classes

__all__ = [
    "ARRAY_BYTES",
    "IMAGE_BYTES",
    "Stack",
    "StoredFile",
    "checked_read",
    "count_suffixes",
    "leave_out",
    "open_arrays",
    "open_members",
]

#: Largest encoded image and largest array, in bytes, that is read from a container into memory.
IMAGE_BYTES = 256 * 2**20
ARRAY_BYTES = 2**30
#: Up to this size, what is read is not asked of the budget, which takes as long as reading it.
SMALL_BYTES = 2**22


def checked_read(file: IO[bytes], declared: int, name: str, most: int | None = None) -> bytes:
    """The bytes of one member, whose declared and actual size may be at most `most`, by default :data:`IMAGE_BYTES`.

    Raises
    ------
    DataError
        It is larger, or it holds another number of bytes than declared.
    """
    most = IMAGE_BYTES if most is None else most
    if declared > most:
        raise DataError(
            f"{name}: takes {declared:,} bytes when unpacked, and at most {most:,} are read into memory from a container; "
            "unpack the container and give the folder, or split the member"
        )
    if declared > SMALL_BYTES:
        require_memory(
            2 * declared, f"{name}: unpacking {declared:,} bytes", "unpack the container and give the folder"
        )
    content = file.read(declared + 1)
    if len(content) != declared:
        more = "more than" if len(content) > declared else f"{len(content):,} of"
        raise DataError(f"{name}: is damaged: it holds {more} the {declared:,} bytes that its container declares")
    return content


@dataclass(frozen=True, repr=False)
class StoredFile(ShortRepr):
    """One file of a folder or of an archive.

    Attributes
    ----------
    name : its path in the folder or archive
    size : its declared size in bytes
    open : function that opens it for reading, as a context
    label : its label, if the container has labels
    path : its path, if it is a file of its own
    """

    name: str
    size: int
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    label: int | str | None = None
    path: Path | None = None

    def content(self, most: int | None = None) -> bytes:
        """All its bytes, as :func:`checked_read` reads them.

        Raises
        ------
        DataError
            Its size is above `most` or wrong.
        """
        with self.open() as file:
            return checked_read(file, self.size, self.name, most)


# --- arrays -----------------------------------------------------------------------------------------------------------


class Stack:
    """Arrays that are loaded one at a time, as one array (N, ...) that can be sliced.

    Parameters
    ----------
    load : function of the number of a part that loads its array: one image, or images (N_i, ...)
    counts : the number of images of each part, or None if every part is one image
    parts : number of parts
    shape : shape of one image
    dtype : of all parts
    names : name of each part, for messages
    """

    def __init__(
        self,
        load: Callable[[int], npt.NDArray[Any]],
        parts: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        counts: Sequence[int] | None = None,
    ) -> None:
        self._load = load
        self._ends = None if counts is None else np.cumsum(np.asarray(counts, dtype=np.int64))
        count = parts if self._ends is None else int(self._ends[-1])
        self.shape = (count, *shape)
        self.dtype = dtype
        self._held: tuple[int, npt.NDArray[Any]] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def _part(self, number: int) -> npt.NDArray[Any]:
        held = self._held  # a local, because another thread may load another part meanwhile
        if held is None or held[0] != number:
            held = self._held = None  # before the next one is loaded: two parts need not fit
            held = self._held = (number, self._load(number))
        return held[1]

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        """The images of a slice or of an array of numbers, (B, *shape); one image for a number."""
        numbers = np.arange(self.shape[0])[index]
        images = np.empty((np.size(numbers), *self.shape[1:]), self.dtype)
        if self._ends is None:
            for row, number in enumerate(np.atleast_1d(numbers)):
                images[row] = self._load(int(number))
        else:
            flat = np.atleast_1d(numbers)
            parts = np.searchsorted(self._ends, flat, side="right")
            starts = np.concatenate(([0], self._ends))
            for part in dict.fromkeys(parts.tolist()):
                rows = np.flatnonzero(parts == part)
                images[rows] = self._part(part)[flat[rows] - starts[part]]
        return images[0] if np.ndim(numbers) == 0 else images


def images_per_file(shapes: Mapping[str, tuple[int, ...]], options: Options, name: str) -> Sequence[int] | None:
    """How many images each of several arrays holds; None if each is one image.

    Parameters
    ----------
    shapes : name of the file → its shape
    options : `shape` decides where the stored shapes leave it open
    name : of the whole, for messages

    Raises
    ------
    DataError
        The arrays do not fit together, or they can be read in both ways.
    """
    (first_name, first), *others = shapes.items()
    counts = [shape[0] if shape else 0 for shape in shapes.values()]
    for other_name, other in others:
        if other[1:] != first[1:] or len(other) != len(first):
            raise DataError(
                f"{name}: arrays of different shapes: {plain_text(first_name, keep='')} is {first}, "
                f"{plain_text(other_name, keep='')} is {other}; all must hold images of one shape"
            )
    if not others or len(first) > 3:
        return counts
    equal = all(count == counts[0] for count in counts)
    if options.shape is not None:
        values = int(np.prod(options.shape))
        if equal and values == int(np.prod(first)):
            return None
        if values == int(np.prod(first[1:])):
            return counts
        raise DataError(
            f"{name}: shape={options.shape} fits neither the arrays, each of shape {first}, nor the images (N, ...) in them"
        )
    if equal and (len(first) < 3 or first[0] in (1, 3, 4) or first[2] in (1, 3, 4)):
        return None
    if len(first) == 3 and not equal:
        return counts
    one, many = ("one image" if equal else "images of different sizes"), f"a stack of images of shape {first[1:]}"
    hint = f"give shape={first} or shape={first[1:]}" if equal else f"give shape={first[1:]} if they are stacks"
    raise DataError(f"{name}: {plain_text(first_name, keep='')} of shape {first} can be {one} or {many}; {hint}")


def open_arrays(members: Sequence[StoredFile], name: str, what: str, options: Options) -> ImageSource:
    """Source of the images of .npy members: one image or one stack of images in each.

    Raises
    ------
    DataError
        The arrays or an option cannot be used.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    dtype: np.dtype[Any] | None = None
    for member in members:
        with member.open() as file:
            header = read_npy_header(file, member.size, member.name)
        dtype = header.dtype if dtype is None else dtype
        if header.dtype != dtype:
            raise DataError(
                f"{name}: arrays of different dtypes: {members[0].name} is {dtype}, {member.name} is {header.dtype}; "
                "all must have one dtype"
            )
        shapes[member.name] = header.shape
    assert dtype is not None
    counts = images_per_file(shapes, options, name)
    first = shapes[members[0].name]

    def load(number: int) -> npt.NDArray[Any]:
        member = members[number]
        if member.path is not None:
            return map_npy(member.path, member.name)
        return parse_npy(member.content(ARRAY_BYTES), member.name)

    stack = Stack(load, len(members), first if counts is None else first[1:], dtype, counts)
    labels, origin = None, "the labels of the data"
    repeats = 1 if counts is None else np.asarray(counts)
    if any(member.label is not None for member in members):
        values = np.repeat(np.array([member.label for member in members]), repeats)
        labels = lambda: values  # noqa: E731
    elif any("/" in member.name for member in members):
        paths, origin = [member.name for member in members], "the subfolders"
        labels = lambda: np.repeat(np.array(subfolder_classes(paths, name), dtype=object), repeats)  # noqa: E731
    files = "one image each" if counts is None else "stacks of images"
    each = [1] * len(members) if counts is None else counts
    return open_array(
        lambda: nullcontext(stack),
        name,
        options,
        f"{what}, {len(members):,} arrays ({files})",
        labels=labels,
        labels_from=origin,
        names=lambda: [member.name for member, count in zip(members, each, strict=True) for _ in range(count)],
    )


# --- images and arrays ------------------------------------------------------------------------------------------------


def leave_out(source: ImageSource, left_out: Sequence[str], warnings: Sequence[str] = ()) -> ImageSource:
    """The same source, whose provenance also says what its container holds that was not read."""
    provenance = replace(
        source.provenance,
        left_out=(*source.provenance.left_out, *left_out),
        warnings=(*source.provenance.warnings, *warnings),
    )
    return replace(source, provenance=provenance)


def count_suffixes(names: Sequence[str]) -> tuple[str, ...]:
    """ "12 files .txt", for each suffix, the most frequent first; at most ten."""
    counted = Counter(suffix_of(name) for name in names).most_common()
    texts = [f"{count:,} file{'s' * (count > 1)} {suffix or 'without suffix'}" for suffix, count in counted[:10]]
    return (*texts, f"files with {len(counted) - 10} further suffixes") if len(counted) > 10 else tuple(texts)


def open_members(
    members: Sequence[StoredFile], name: str, what: str, options: Options, left_out: Sequence[str] = ()
) -> ImageSource:
    """Source of the images of a folder or archive: of its image files or, if it has none, of its .npy files.

    Parameters
    ----------
    members : all its files in their order; those that are neither images nor arrays are counted as left out
    name : name of the source
    what : what the folder or archive is, the beginning of the description
    options : checked options
    left_out : further things that are not read, with their numbers

    Raises
    ------
    DataError
        It has no images, or images and arrays, or they or an option cannot be used.
    """
    shown = [member for member in members if not member.name.rpartition("/")[2].startswith(".")]
    images = [member for member in shown if is_image_name(member.name)]
    arrays = [member for member in shown if suffix_of(member.name) == ".npy"]
    if images and arrays:
        raise DataError(
            f"{name}: holds {len(images):,} images and {len(arrays):,} .npy arrays, and either may be the data; "
            f"type one of them behind an archive, as {name}{SEPARATOR}npy, or put them into a folder of their own"
        )
    used = images or arrays
    if not used:
        image_suffixes()  # without Pillow, its error names the extra
        found = f"; it holds {', '.join(count_suffixes([m.name for m in members]))}" if members else ""
        raise DataError(
            f"{name}: no images; .bmp, .gif, .jpg, .png, .tif, .webp, other formats of Pillow and .npy files can be read{found}"
        )
    taken = {member.name for member in used}
    ignored = count_suffixes([member.name for member in members if member.name not in taken])
    if arrays:
        return leave_out(open_arrays(used, name, what, options), (*ignored, *left_out))

    def opener(member: StoredFile) -> Callable[[], io.BytesIO]:
        return lambda: io.BytesIO(member.content())

    files = [ImageFile(member.name, opener(member), member.label) for member in used]
    return leave_out(open_image_files(files, name, what, options), (*ignored, *left_out))
