"""Tables of images: Parquet and Arrow files, and datasets that Hugging Face's ``datasets`` saved to disk."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._repr import ShortRepr
from .arrays import choose_key, open_array
from .errors import DataError
from .folder import ImageFile, open_image_files
from .image_formats import is_image_start
from .members import IMAGE_BYTES, Stack, leave_out
from .options import Options
from .source import ImageSource

__all__ = ["TABLE_SUFFIXES", "is_saved_dataset", "open_saved_dataset", "open_table", "open_table_folder", "open_tables"]

TABLE_SUFFIXES = (".parquet", ".arrow", ".feather")
#: Largest part of a column that is unpacked at once.
PART_BYTES = 2 * 2**30
#: Names of columns of labels; the first one that exists is used.
LABELS = ("label", "labels", "class", "fine_label", "y")


def import_arrow() -> ModuleType:
    """The module ``pyarrow`` with its readers.

    Raises
    ------
    ImportError
        pyarrow is missing; the message names the extra that installs it.
    """
    try:
        import pyarrow  # lazy: pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError('reading tables of images needs pyarrow: pip install "kappaflow[hf]"') from error
    return pyarrow  # type: ignore[no-any-return]


@dataclass(frozen=True, repr=False)
class TablePart(ShortRepr):
    """Some rows of a table that are read at once: a row group of a Parquet file, or a batch of an Arrow file.

    Attributes
    ----------
    rows : number of its rows
    column : function that reads one of its columns, an Arrow array (rows,)
    """

    rows: int
    column: Callable[[str], Any]


class TableFile(NamedTuple):
    """The schema of a file and its parts."""

    schema: Any
    parts: list[TablePart]


def parquet_parts(path: Path, arrow: ModuleType) -> TableFile:
    """Schema and parts of a Parquet file.

    Raises
    ------
    DataError
        In a part: a column that is too large when unpacked.
    """
    file = arrow.parquet.ParquetFile(path, memory_map=True)
    schema, facts = file.schema_arrow, file.metadata

    def reader(group: int) -> Callable[[str], Any]:
        def column(name: str) -> Any:
            chunks = [facts.row_group(group).column(number) for number in range(facts.num_columns)]
            size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] == name)
            if size > PART_BYTES:
                raise DataError(
                    f"{path.name}: a row group of the column {name!r} takes {size:,} bytes when unpacked, and at most "
                    f"{PART_BYTES:,} are read at once; write the file with smaller row groups (row_group_size=1000)"
                )
            return file.read_row_group(group, columns=[name]).column(name).combine_chunks()

        return column

    parts = [
        TablePart(rows=facts.row_group(group).num_rows, column=reader(group)) for group in range(facts.num_row_groups)
    ]
    return TableFile(schema=schema, parts=parts)


def arrow_parts(path: Path, arrow: ModuleType) -> TableFile:
    """Schema and parts of an Arrow file or stream, which is memory-mapped."""
    mapped = arrow.memory_map(str(path))
    with path.open("rb") as file:
        is_file = file.read(6) == b"ARROW1"
    reader = arrow.ipc.open_file(mapped) if is_file else arrow.ipc.open_stream(mapped)
    batches = [reader.get_batch(number) for number in range(reader.num_record_batches)] if is_file else list(reader)
    parts = [TablePart(rows=batch.num_rows, column=batch.column) for batch in batches]
    return TableFile(schema=reader.schema, parts=parts)


# --- columns ----------------------------------------------------------------------------------------------------------


def stored_type(kind: Any) -> Any:
    """The type below extension types, which are never built: their description may be a pickle."""
    while hasattr(kind, "storage_type"):
        kind = kind.storage_type
    return kind


def is_encoded(kind: Any, values: Callable[[], Any], arrow: ModuleType) -> bool:
    """Whether a column holds the bytes of image files: a struct with the field "bytes", or bytes that begin as an image."""
    types = arrow.types
    kind = stored_type(kind)
    if types.is_struct(kind):
        number = kind.get_field_index("bytes")
        held = kind.field(number).type if number >= 0 else None
        return held is not None and bool(types.is_binary(held) or types.is_large_binary(held))
    if not (types.is_binary(kind) or types.is_large_binary(kind)):
        return False
    first = next((value for value in values() if value.is_valid), None)
    return first is not None and is_image_start(bytes(first.as_buffer()[:16]))


def is_array(kind: Any, arrow: ModuleType) -> bool:
    """Whether a column holds lists of numbers, or lists of such lists."""
    types, depth, kind = arrow.types, 0, stored_type(kind)
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind, depth = stored_type(kind.value_type), depth + 1
    return depth > 0 and bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


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
class Table:
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
        if self.held is None or self.held[:2] != (number, name):
            self.held = None
            try:
                self.held = (number, name, self.parts[number].column(name))
            except DataError:
                raise
            except Exception as error:  # ArrowInvalid, OSError, ArrowNotImplementedError, …
                raise DataError(f"{self.name}: the column {name!r} cannot be read ({error})") from error
        return self.held[2]

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


def read_labels(table: Table, schema: Any, column: str) -> npt.NDArray[Any] | None:
    """Labels (N,) of all rows: names of classes if they are known, else the values; None if some are missing."""
    values: list[Any] = []
    for number in range(len(table.parts)):
        values += table.column(number, column).to_pylist()
    if any(not isinstance(value, int | str) for value in values):
        return None
    names = class_names(schema, column)
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


def read_parts(paths: Sequence[Path], name: str, arrow: ModuleType) -> Table:
    """The table of files with the same columns.

    Raises
    ------
    DataError
        A file cannot be read, or has other columns than the first.
    """
    schema, parts = None, []
    for path in paths:
        try:
            found, more = (parquet_parts if path.suffix.lower() == ".parquet" else arrow_parts)(path, arrow)
        except Exception as error:  # ArrowInvalid, OSError, …
            raise DataError(f"{path.name}: not a table that can be read ({str(error)[:300]})") from error
        schema = found if schema is None else schema
        if found.names != schema.names or found.types != schema.types:
            raise DataError(f"{name}: {path.name} has other columns than {paths[0].name}; give the files of one split")
        parts += more
    return Table(name=name, arrow=arrow, parts=[part for part in parts if part.rows], schema=schema)


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
    schema = table.schema
    if not table.parts:
        raise DataError(f"{name}: the table has no rows; at least one image is needed")
    encoded, arrays = [], []
    for field in schema:
        if is_encoded(field.type, lambda column=field.name: table.column(0, column), arrow):  # type: ignore[misc]
            encoded.append(field.name)
        elif is_array(field.type, arrow):
            arrays.append(field.name)
    if not encoded and not arrays:
        columns = ", ".join(f"{field.name}: {field.type}" for field in list(schema)[:10])
        raise DataError(f"{name}: no column holds encoded images or lists of numbers; its columns are {columns}")
    column = choose_key(encoded or arrays, name)
    label = label_column(schema, arrow)
    labels = None if label is None or label == column else read_labels(table, schema, label)
    what = f"the column {column!r} of {what}"
    others = [other for other in schema.names if other not in (column, label)]
    left_out = [f"the columns {', '.join(others[:10])}" + (" …" if len(others) > 10 else "")] if others else []
    if encoded:
        files = list(table.files(column))
        if labels is not None:
            files = [ImageFile(file.name, file.open, tag) for file, tag in zip(files, labels.tolist(), strict=True)]
        return leave_out(open_image_files(files, name, what, options), left_out)
    stack = stack_of(table, column)
    source = open_array(
        lambda: contextlib.nullcontext(stack), name, options, what, labels=None if labels is None else lambda: labels
    )
    return leave_out(source, left_out)


def stack_of(table: Table, column: str) -> Stack:
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


def open_table_folder(folder: Path, paths: Sequence[Path], options: Options) -> ImageSource:
    """Source of the images of the Parquet or Arrow files of a folder, all of one split.

    Raises
    ------
    ImportError
        A package is missing.
    DataError
        There are several splits, or the files or an option cannot be used.
    """
    name = folder.name or folder.resolve().name
    splits = {re.sub(r"(-\d+-of-\d+.*|-?\d+)$", "", path.stem) for path in paths}
    if len(splits) > 1:
        raise DataError(
            f"{name}: holds the splits {', '.join(sorted(splits)[:10])}; give the files of one, such as "
            f"{paths[0]} or 'train-{{00000..00003}}-of-00004.parquet'"
        )
    return open_tables(paths, name, f"{len(paths):,} tables of the folder {name}", options)


def is_saved_dataset(folder: Path) -> bool:
    """Whether ``save_to_disk`` of the package ``datasets`` wrote the folder."""
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def open_saved_dataset(folder: Path, options: Options) -> ImageSource:
    """Source of the images of a dataset that ``save_to_disk`` of the package ``datasets`` wrote.

    Raises
    ------
    ImportError
        A package is missing.
    DataError
        It has several splits, or the files or an option cannot be used.
    """
    name = folder.name or folder.resolve().name
    if not (folder / "state.json").is_file():
        splits = sorted(path.parent.name for path in folder.glob("*/state.json"))
        if len(splits) != 1:
            remedy = f"; give one of them: {folder / splits[0]}" if splits else ""
            raise DataError(f"{name}: a dataset with the splits {', '.join(splits[:10]) or '(none)'}{remedy}")
        return open_saved_dataset(folder / splits[0], options)
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
    return open_tables(paths, name, f"the saved dataset {name}", options)
