"""Tables of images: Parquet and Arrow files, and datasets that Hugging Face's ``datasets`` saved to disk."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._listing import listed
from .arrays import open_array
from .errors import DataError, fail, reason_of
from .folder import open_image_files
from .image_formats import is_image_start
from .image_survey import ImageFile
from .keys import SEPARATOR, Chosen, StoredArray, choose_array
from .members import IMAGE_BYTES, Stack, leave_out
from .options import Options
from .source import ImageSource
from .table_parts import TablePart, import_arrow, open_table_file

__all__ = ["TABLE_SUFFIXES", "is_saved_dataset", "open_saved_dataset", "open_table", "open_table_folder", "open_tables"]

TABLE_SUFFIXES = (".parquet", ".arrow", ".feather")
#: So many columns of single numbers may be the pixels of images.
PIXELS = 16
#: Names of columns of labels; the first one that exists is used.
LABELS = ("label", "labels", "class", "fine_label", "y")


# --- columns ----------------------------------------------------------------------------------------------------------


def stored_type(kind: Any) -> Any:
    """The type below extension types, which are never built: their description may be a pickle."""
    while hasattr(kind, "storage_type"):
        kind = kind.storage_type
    return kind


def is_binary(kind: Any, arrow: ModuleType) -> bool:
    """Whether a column holds bytes."""
    types = arrow.types
    views = getattr(types, "is_binary_view", None)
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or (views is not None and views(kind)))


def is_encoded(kind: Any, table: ImageTable, column: str) -> bool:
    """Whether a column holds the bytes of image files: a struct with the field "bytes", or bytes that begin as an image."""
    kind, arrow = stored_type(kind), table.arrow
    if arrow.types.is_struct(kind):
        number = kind.get_field_index("bytes")
        return number >= 0 and is_binary(kind.field(number).type, arrow)
    if not is_binary(kind, arrow):
        return False
    for number in range(len(table.parts)):
        for value in table.column(number, column):
            if value.is_valid:
                return is_image_start(bytes(value.as_buffer()[:16]))
    return False


def is_number(kind: Any, arrow: ModuleType) -> bool:
    """Whether a column holds one number in each row."""
    kind, types = stored_type(kind), arrow.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def is_array(kind: Any, arrow: ModuleType) -> bool:
    """Whether a column holds lists of numbers, or lists of such lists."""
    types, depth, kind = arrow.types, 0, stored_type(kind)
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind, depth = stored_type(kind.value_type), depth + 1
    return depth > 0 and is_number(kind, arrow)


def list_values(column: Any, name: str, arrow: ModuleType) -> npt.NDArray[Any]:
    """The numbers of a column of lists, as an array (rows, …).

    Raises
    ------
    DataError
        Rows are missing, or their lists have different lengths.
    """
    sides, types = [len(column)], arrow.types
    shape: tuple[int, ...] | None = getattr(column.type, "shape", None)
    while True:
        column = column.storage if hasattr(column, "storage") else column
        if column.null_count:
            raise DataError(f"{name}: {column.null_count:,} values are missing (null); leave such rows out of the file")
        if not (
            types.is_list(column.type) or types.is_large_list(column.type) or types.is_fixed_size_list(column.type)
        ):
            break
        lengths = np.unique(column.value_lengths().to_numpy(zero_copy_only=False))
        if len(lengths) > 1:
            raise DataError(
                f"{name}: lists of different lengths, from {lengths[0]} to {lengths[-1]}; all images must have one shape"
            )
        sides.append(int(lengths[0]) if len(lengths) else 0)
        column = column.flatten()
    values = column.to_numpy(zero_copy_only=False)
    images: npt.NDArray[Any] = values.reshape(sides[0], *(shape or sides[1:]))
    return images


@dataclass
class ImageTable:
    """Parts of one or several files with the same columns; the last part of a column that was read is held."""

    name: str
    arrow: ModuleType
    parts: list[TablePart]
    schema: Any
    held: tuple[int, str, Any] | None = None

    def column(self, number: int, name: str) -> Any:
        """A column of one part.

        Raises
        ------
        DataError
            It is too large when unpacked, or damaged.
        """
        held = self.held  # a local, because another thread may load another column meanwhile
        if held is None or held[:2] != (number, name):
            held = self.held = None
            try:
                held = self.held = (number, name, self.parts[number].column(name))
            except Exception as error:  # ArrowInvalid, OSError, ArrowNotImplementedError, …
                fail(error, f"{self.name}: the column {name!r} cannot be read ({reason_of(error)})")
        return held[2]

    def encoded(self, number: int, row: int, name: str, where: str) -> io.BytesIO:
        """The bytes of one image file.

        Raises
        ------
        DataError
            There are none, or too many.
        """
        value = self.column(number, name)[row]
        value = value.value if hasattr(value.type, "storage_type") else value
        if self.arrow.types.is_struct(value.type) and value.is_valid:
            value = value["bytes"]
        if not value.is_valid:
            raise DataError(
                f"{where}: the image itself is not in the file (only its path, or nothing); save the data with them"
            )
        buffer = value.as_buffer()
        if buffer.size > IMAGE_BYTES:
            raise DataError(f"{where}: the image file has {buffer.size:,} bytes; at most {IMAGE_BYTES:,} are read")
        return io.BytesIO(buffer)

    def files(self, name: str) -> Iterator[ImageFile]:
        """The encoded images of a column, in their order."""
        first = 0
        for number, part in enumerate(self.parts):
            for row in range(part.rows):
                where = f"{self.name}, row {first + row}"
                yield ImageFile(where, lambda n=number, r=row, w=where: self.encoded(n, r, name, w))  # type: ignore[misc]
            first += part.rows


def class_names(schema: Any, column: str) -> Sequence[str] | None:
    """Names of the classes of a column, as the package ``datasets`` writes them; None if there are none."""
    try:
        feature = json.loads(schema.metadata[b"huggingface"])["info"]["features"][column]
        names = feature["names"] if feature["_type"] == "ClassLabel" else None
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def read_labels(table: ImageTable, column: str) -> npt.NDArray[Any] | None:
    """Labels (N,) of all rows: names of classes if they are known, else the values; None if some are missing."""
    values: list[Any] = []
    for number in range(len(table.parts)):
        values += table.column(number, column).to_pylist()
    if any(not isinstance(value, int | str) for value in values):
        return None
    names = class_names(table.schema, column)
    if names is not None and all(isinstance(value, int) and 0 <= value < len(names) for value in values):
        values = [names[value] for value in values]
    return np.array(values)


def label_column(schema: Any, arrow: ModuleType) -> str | None:
    """The column of labels: the first of :data:`LABELS` that exists and holds whole numbers or texts."""
    for name in LABELS:
        if name in schema.names:
            kind = stored_type(schema.field(name).type)
            if arrow.types.is_integer(kind) or arrow.types.is_string(kind) or arrow.types.is_large_string(kind):
                return name
    return None


# --- files ------------------------------------------------------------------------------------------------------------


def read_parts(paths: Sequence[Path], name: str, arrow: ModuleType) -> ImageTable:
    """The table of files with the same columns.

    Raises
    ------
    DataError
        A file cannot be read, has other columns than the first, or two of one name, or there are no rows.
    """
    schema: Any = None
    parts: list[TablePart] = []
    for path in paths:
        found, more = open_table_file(path, arrow)
        schema = found if schema is None else schema
        if found.names != schema.names or found.types != schema.types:
            raise DataError(f"{name}: {path.name} has other columns than {paths[0].name}; give the files of one split")
        parts += [part for part in more if part.rows]
    if not parts:
        raise DataError(f"{name}: the table has no rows; at least one image is needed")
    twice = sorted({column for column in schema.names if schema.names.count(column) > 1})
    if twice:
        raise DataError(f"{name}: has several columns of the name {listed(twice)}; rename them")
    return ImageTable(name=name, arrow=arrow, parts=parts, schema=schema)


def choose_column(table: ImageTable, wanted: str | None) -> Chosen:
    """The column of the images, as :func:`~.keys.choose_array` chooses: encoded images before lists of numbers.

    Raises
    ------
    DataError
        No column holds images, or several do, or the one that is wanted does not.
    """
    rows = sum(part.rows for part in table.parts)
    encoded = [field.name for field in table.schema if is_encoded(field.type, table, field.name)]
    lists = [field.name for field in table.schema if field.name not in encoded and is_array(field.type, table.arrow)]
    if not encoded and not lists:
        columns = listed([f"{field.name}: {field.type}" for field in table.schema])
        numbers = [field for field in table.schema if is_number(field.type, table.arrow)]
        remedy = (
            "; if each column is a pixel, save the columns as one array in a .npy file"
            if len(numbers) >= PIXELS
            else ""
        )
        raise DataError(
            f"{table.name}: no column holds encoded images or lists of numbers; its columns are {columns}{remedy}"
        )
    images = [StoredArray(column, (rows,), np.dtype(bytes)) for column in encoded]
    if len(images) == 1 and wanted is None:
        return Chosen(encoded[0], ())
    arrays = [first_image(table, column, rows) for column in lists] if wanted is not None or not images else []
    return choose_array([*images, *arrays], table.name, wanted)


def first_image(table: ImageTable, column: str, rows: int) -> StoredArray:
    """A column of lists as an array of the shape that its first row has; (rows,) if that row is missing."""
    try:
        values = list_values(table.column(0, column).slice(0, 1), column, table.arrow)
    except DataError:
        return StoredArray(column, (rows,), np.dtype(np.float64))
    return StoredArray(column, (rows, *values.shape[1:]), values.dtype)


def open_tables(paths: Sequence[Path], name: str, what: str, options: Options) -> ImageSource:
    """Source of the images of one column of table files: encoded images, or lists of numbers of one shape.

    Parameters
    ----------
    paths : Parquet or Arrow files with the same columns
    name : name of the source
    what : what they are, the beginning of the description
    options : checked options

    Raises
    ------
    ImportError
        pyarrow or, for encoded images, Pillow is missing.
    DataError
        The files or an option cannot be used.
    """
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"{name}: {len(missing)} of {len(paths)} files do not exist, the first is {missing[0]}")
    arrow = import_arrow()
    table = read_parts(paths, name, arrow)
    column = choose_column(table, options.key).key
    label = label_column(table.schema, arrow)
    labels = None if label is None or label == column else read_labels(table, label)
    what = f"the column {column!r} of {what}"
    others = [other for other in table.schema.names if other != column and (other != label or labels is None)]
    left_out = [f"{len(others):,} other column{'s' * (len(others) > 1)}: {listed(others)}"] if others else []
    if is_encoded(table.schema.field(column).type, table, column):
        files = list(table.files(column))
        if labels is not None:
            files = [ImageFile(file.name, file.open, tag) for file, tag in zip(files, labels.tolist(), strict=True)]
        source = open_image_files(files, name, what, options)
    else:
        stack = stack_of(table, column)
        given = None if labels is None else lambda: labels
        source = open_array(lambda: contextlib.nullcontext(stack), name, options, what, labels=given)
    if labels is not None and options.labels is None:
        source = replace(source, labels_from=f"the column {label!r} of {name}")
    return leave_out(source, left_out)


def stack_of(table: ImageTable, column: str) -> Stack:
    """The lists of a column as one array (N, …), of which one part is read at a time.

    Raises
    ------
    DataError
        While it is read: parts have different shapes or types.
    """

    def load(number: int) -> npt.NDArray[Any]:
        values = list_values(table.column(number, column), f"{table.name}, column {column!r}", table.arrow)
        if number and (values.shape[1:] != first.shape[1:] or values.dtype != first.dtype):
            raise DataError(
                f"{table.name}: images of different shapes in the column {column!r}: {first.shape[1:]} {first.dtype} and "
                f"{values.shape[1:]} {values.dtype}"
            )
        return values

    first = load(0)
    return Stack(load, len(table.parts), first.shape[1:], first.dtype, [part.rows for part in table.parts])


def open_table(path: Path, options: Options) -> ImageSource:
    """Source of the images of one Parquet or Arrow file.

    Raises
    ------
    ImportError
        A package is missing.
    DataError
        The file or an option cannot be used.
    """
    return open_tables([path], path.name, path.name, options)


def split_of(name: str) -> str:
    """Name of the split that a file belongs to: its name without the number of the shard, below the folders it lies in."""
    path = PurePosixPath(name)
    stem = re.sub(r"-\d+-of-\d+.*$", "", path.stem)
    stem = "" if re.match(r"part-\d+", stem) else re.sub(r"(^|[-_])\d+$", "", stem)
    return "/".join(part for part in (*path.parts[:-1], stem) if part)


class ChosenSplit(NamedTuple):
    """Name of a split, and the options for reading it, whose key is that of the column."""

    split: str
    options: Options


def choose_split(splits: Sequence[str], name: str, options: Options) -> ChosenSplit:
    """The only split, or the one that begins the key "SPLIT" or "SPLIT/COLUMN"; and the options with the rest of the key.

    Raises
    ------
    DataError
        There are several splits, and the key names none.
    """
    key = options.key or ""
    named = [split for split in splits if split and (key == split or key.startswith(f"{split}/"))]
    if named:
        split = max(named, key=len)
        return ChosenSplit(split, replace(options, key=key[len(split) + 1 :] or None))
    if len(splits) == 1:
        return ChosenSplit(splits[0], options)
    got = f", got {key!r}" if key else ""
    raise DataError(
        f"{name}: holds the splits {listed(sorted(splits))}{got}; type one of them behind the folder, as "
        f"{name}{SEPARATOR}{'train' if 'train' in splits else sorted(splits)[-1]}"
    )


def open_table_folder(folder: Path, names: Sequence[str], options: Options) -> ImageSource:
    """Source of the images of the Parquet or Arrow files of a folder, all of one split.

    Raises
    ------
    ImportError
        A package is missing.
    DataError
        There are several splits and the key names none, or the files or an option cannot be used.
    """
    name = folder.name or folder.resolve().name
    splits: dict[str, list[Path]] = {}
    for file in names:
        splits.setdefault(split_of(file), []).append(folder / file)
    split, rest = choose_split(list(splits), name, options)
    of = f"of the split {split!r} " if len(splits) > 1 else ""
    count = len(splits[split])
    source = open_tables(splits[split], name, f"{count:,} table{'s' * (count > 1)} {of}of the folder {name}", rest)
    return leave_out(source, other_splits(splits, split))


def other_splits(splits: Mapping[str, object] | Sequence[str], read: str) -> list[str]:
    """What is said of the splits that are not read."""
    others = sorted(split for split in splits if split != read)
    return [f"the split{'s' * (len(others) > 1)} {listed(others)}"] if others else []


def is_saved_dataset(folder: Path) -> bool:
    """Whether ``save_to_disk`` of the package ``datasets`` wrote the folder: one dataset, or one for each split."""
    one = (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    return one or (folder / "dataset_dict.json").is_file()


def open_saved_dataset(folder: Path, options: Options) -> ImageSource:
    """Source of the images of a dataset that ``save_to_disk`` of the package ``datasets`` wrote.

    Raises
    ------
    ImportError
        A package is missing.
    DataError
        It has several splits and the key names none, or the files or an option cannot be used.
    """
    name = folder.name or folder.resolve().name
    if not (folder / "state.json").is_file():
        splits = sorted(path.parent.name for path in folder.glob("*/state.json"))
        if not splits:
            raise DataError(f"{name}: its dataset_dict.json lists splits, but no folder in it holds one")
        split, rest = choose_split(splits, name, options)
        source = open_saved_split(folder / split, name, f"the split {split!r} of the saved dataset {name}", rest)
        return leave_out(source, other_splits(splits, split))
    return open_saved_split(folder, name, f"the saved dataset {name}", options)


def open_saved_split(folder: Path, name: str, what: str, options: Options) -> ImageSource:
    """Source of the images of one split, whose files its ``state.json`` lists.

    Raises
    ------
    ImportError
        A package is missing.
    DataError
        The files or an option cannot be used.
    """
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        paths = [folder / os.path.basename(entry["filename"]) for entry in state["_data_files"]]
        chosen = state.get("_indices_data_files")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{name}: its state.json is damaged ({error})") from error
    if chosen:
        raise DataError(
            f"{name}: a selection of rows is stored beside the data; save dataset.flatten_indices() instead"
        )
    if not paths:
        raise DataError(f"{name}: the table has no rows; at least one image is needed")
    return open_tables(paths, name, what, options)
