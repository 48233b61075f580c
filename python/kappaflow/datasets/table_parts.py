"""Rows of Parquet and Arrow files, of which one part of one column is unpacked at a time, after its size was checked."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .._repr import ShortRepr
from ..memory import require_memory
from .errors import DataError, fail, reason_of

__all__ = ["TableFile", "TablePart", "import_arrow", "open_table_file"]

#: Largest part of a column that is unpacked at once.
PART_BYTES = 2 * 2**30
#: Up to this size, what is read is not asked of the budget.
SMALL_BYTES = 2**24
#: Most rows of a Parquet file that are unpacked before their size is looked at.
ROWS_AT_ONCE = 4096
#: Arrow files begin with this; the stream of their batches follows.
ARROW_MAGIC, STREAM_START = b"ARROW1", 8


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


def open_table_file(path: Path, arrow: ModuleType) -> TableFile:
    """Schema and parts of a Parquet or Arrow file.

    Raises
    ------
    DataError
        It cannot be read. In a part: a column that is too large when unpacked.
    """
    try:
        return (parquet_file if path.suffix.lower() == ".parquet" else arrow_file)(path, arrow)
    except Exception as error:  # ArrowInvalid, OSError, …
        fail(error, f"{path.name}: not a table that can be read ({reason_of(error)})")


# --- Parquet ----------------------------------------------------------------------------------------------------------


def parquet_file(path: Path, arrow: ModuleType) -> TableFile:
    """Schema and parts of a Parquet file; a part is a row group.

    Raises
    ------
    DataError
        In a part: a column that is too large when unpacked.
    """
    file = arrow.parquet.ParquetFile(path, memory_map=True)
    facts = file.metadata

    def reader(group: int) -> Callable[[str], Any]:
        return lambda name: read_row_group(file, group, name, path.name, arrow)

    rows = [facts.row_group(group).num_rows for group in range(facts.num_row_groups)]
    return TableFile(file.schema_arrow, [TablePart(rows=count, column=reader(n)) for n, count in enumerate(rows)])


def read_row_group(file: Any, group: int, name: str, where: str, arrow: ModuleType) -> Any:
    """One column of a row group, as an Arrow array (rows,).

    Equal values are stored once and counted, so that the size of the stored values says little: rows are unpacked a few at a
    time until there are too many bytes.

    Raises
    ------
    DataError
        It is too large when unpacked.
    """
    facts = file.metadata.row_group(group)
    chunks = [facts.column(number) for number in range(facts.num_columns)]
    chunks = [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] == name]
    if any(chunk.file_path for chunk in chunks):
        raise DataError(
            f"{where}: the column {name!r} is in another file, which is not opened; save it in the file itself"
        )
    stored = sum(chunk.total_uncompressed_size for chunk in chunks)
    numbers = sum(chunk.num_values for chunk in chunks if chunk.physical_type != "BYTE_ARRAY")
    check_size(max(stored, numbers), name, where)
    pieces, size = [], 0
    rows = max(1, min(ROWS_AT_ONCE, PART_BYTES // max(stored, 1)))
    for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=[name], use_threads=False):
        size += batch.nbytes
        check_size(size, name, where)
        pieces.append(batch.column(0))
    return arrow.concat_arrays(pieces) if len(pieces) != 1 else pieces[0]


def check_size(size: int, name: str, where: str) -> None:
    """Refuse a part of a column that takes more than :data:`PART_BYTES` when unpacked.

    Raises
    ------
    DataError
        It does.
    """
    if size > PART_BYTES:
        raise DataError(
            f"{where}: a row group or batch of the column {name!r} takes {size:,} bytes or more when unpacked, and at most "
            f"{PART_BYTES:,} are read at once; write the file with smaller row groups (row_group_size=1000)"
        )
    if size > SMALL_BYTES:
        require_memory(
            2 * size,
            f"{where}: unpacking a row group or batch of the column {name!r}",
            "write the file with smaller row groups",
        )


# --- Arrow ------------------------------------------------------------------------------------------------------------


@dataclass
class ArrowStream:
    """Batches of one column of a memory-mapped Arrow file or stream, read in their order; going back begins again."""

    path: Path
    arrow: ModuleType
    start: int
    names: list[str]
    reader: Any = field(default=None, repr=False)
    column: str = ""
    position: int = 0

    def open(self, **options: Any) -> Any:
        """A reader of all batches. The directory at the end of a file is not used: it may name bytes that were not checked."""
        mapped = self.arrow.memory_map(str(self.path))
        mapped.seek(self.start)
        return self.arrow.ipc.open_stream(mapped, options=self.arrow.ipc.IpcReadOptions(**options))

    def messages(self) -> Iterator[Any]:
        """The messages of the stream: the schema, dictionaries and batches."""
        mapped = self.arrow.memory_map(str(self.path))
        mapped.seek(self.start)
        yield from self.arrow.ipc.MessageReader.open_stream(mapped)

    def batch(self, number: int, name: str) -> Any:
        """The column `name` of the batch `number`, an Arrow array (rows,) whose offsets lie inside its buffers."""
        if self.reader is None or self.column != name or self.position > number:
            self.reader = self.open(included_fields=[self.names.index(name)], use_threads=False)
            self.column, self.position = name, 0
        while True:
            batch = self.reader.read_next_batch()
            self.position += 1
            if self.position > number:
                column = batch.column(0)
                column.validate(full=True)  # the reader trusts the offsets in the file
                return column


def arrow_file(path: Path, arrow: ModuleType) -> TableFile:
    """Schema and parts of an Arrow file or stream, which is memory-mapped; a part is a batch.

    Raises
    ------
    DataError
        A batch is too large when unpacked.
    """
    with path.open("rb") as file:
        start = STREAM_START if file.read(len(ARROW_MAGIC)) == ARROW_MAGIC else 0
    stream = ArrowStream(path=path, arrow=arrow, start=start, names=[])
    schema = stream.open().schema
    stream.names = schema.names

    def reader(number: int) -> Callable[[str], Any]:
        return lambda name: stream.batch(number, name)

    parts: list[TablePart] = []
    for message in stream.messages():
        if message.type in ("record batch", "dictionary"):
            batch = batch_facts(message)
            if batch.unpacked > PART_BYTES:
                raise DataError(
                    f"{path.name}: a batch of rows takes {batch.unpacked:,} bytes when unpacked, and at most {PART_BYTES:,} are "
                    "read at once; write the file with smaller batches, or not compressed"
                )
            if batch.unpacked > SMALL_BYTES:
                require_memory(
                    2 * batch.unpacked, f"{path.name}: unpacking a batch of rows", "write the file with smaller batches"
                )
            if message.type == "record batch":
                parts.append(TablePart(rows=batch.rows, column=reader(len(parts))))
    return TableFile(schema=schema, parts=parts)


class FlatTable:
    """A table of a flatbuffer, the format of the headers of Arrow messages: fields by their number, all optional."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position
        self.fields = position - self.number("<i", position)

    def number(self, form: str, position: int) -> int:
        """The number that is stored at a position, in the notation of :mod:`struct`."""
        return int(struct.unpack_from(form, self.data, position)[0])

    def place(self, field: int) -> int | None:
        """Where the value of a field is stored; None if it is not."""
        slot = 4 + 2 * field
        offset = self.number("<H", self.fields + slot) if slot < self.number("<H", self.fields) else 0
        return self.position + offset if offset else None

    def table(self, field: int) -> FlatTable | None:
        """The table that is the value of a field."""
        place = self.place(field)
        return None if place is None else FlatTable(self.data, place + self.number("<I", place))


class BatchFacts(NamedTuple):
    """Number of rows of a batch, and of bytes when it is unpacked: 0 if it is not compressed."""

    rows: int
    unpacked: int


def batch_facts(message: Any) -> BatchFacts:
    """Facts of the batch in a message, without unpacking it.

    Each compressed buffer begins with its size when unpacked; see ``Message.fbs`` of the Arrow format, whose tables number
    their fields: Message (version, type of header, header, length of body), DictionaryBatch (id, batch), RecordBatch (length,
    nodes, buffers, compression), Buffer (offset, length).

    Raises
    ------
    ValueError
        The message holds no batch.
    """
    data, body = message.metadata.to_pybytes(), message.body
    batch = FlatTable(data, struct.unpack_from("<I", data)[0]).table(2)
    if message.type == "dictionary" and batch is not None:
        batch = batch.table(1)
    if batch is None:
        raise ValueError("a batch without a header")
    rows = batch.place(0)
    unpacked, buffers = 0, batch.place(2)
    if batch.place(3) is not None and buffers is not None:
        first = buffers + batch.number("<I", buffers)
        for number in range(batch.number("<I", first)):
            offset, length = struct.unpack_from("<qq", data, first + 4 + 16 * number)
            if length >= 8:
                (size,) = struct.unpack("<q", body[offset : offset + 8].to_pybytes())
                unpacked += length if size < 0 else size
    return BatchFacts(rows=0 if rows is None else batch.number("<q", rows), unpacked=unpacked)
