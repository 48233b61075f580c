"""Tar archives, also the shards of WebDataset: one sample is the members of one name, such as ``000/17.jpg`` and ``000/17.cls``.

The members are listed once; then one at a time is read in memory, and none is extracted. Links and devices are left out.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import tarfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple

from .._listing import listed
from .._plain_text import plain_text
from .errors import DataError, fail, reason_of
from .image_formats import is_image_name, suffix_of
from .keys import SEPARATOR
from .member_keys import choose_members, describe_others
from .members import StoredFile, checked_read, open_members
from .options import Options
from .source import ImageSource

__all__ = ["TAR_SUFFIXES", "expand_braces", "open_tar", "open_tars"]

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")

#: Largest member of a compressed archive, which is unpacked to be skipped; largest header; most archives of a pattern.
SKIPPED_BYTES = 2**31
HEADER_BYTES = 2**20
MOST_SHARDS = 100_000

#: Suffixes of the members that hold a label: the number of the class, or JSON with the entry "label".
CLASS, JSON = ".cls", ".json"


def expand_braces(pattern: str) -> list[str]:
    """The names that ``shard-{0000..0009}.tar`` or ``{train,test}.tar`` means, as in a shell; several braces multiply.

    Raises
    ------
    DataError
        More than :data:`MOST_SHARDS` names.
    """
    pieces: list[list[str]] = []
    for number, piece in enumerate(re.split(r"\{([^{}]*)\}", pattern)):
        numbers = re.fullmatch(r"(\d+)\.\.(\d+)", piece) if number % 2 else None
        if numbers:
            first, last = int(numbers[1]), int(numbers[2])
            if not 0 <= last - first < MOST_SHARDS:
                raise DataError(f"{{{piece}}} must count upwards over at most {MOST_SHARDS:,} shards")
            pieces.append([str(value).zfill(len(numbers[1])) for value in range(first, last + 1)])
        else:
            pieces.append(piece.split(",") if number % 2 else [piece])
        if len(pieces[-1]) > 1 and sum(len(piece) for piece in pieces) > 2 * MOST_SHARDS:
            raise DataError(f"{pattern} names more than {MOST_SHARDS:,} shards")
    return ["".join(parts) for parts in itertools.islice(itertools.product(*pieces), MOST_SHARDS)]


class Place(NamedTuple):
    """Where the content of a member lies in its (unpacked) shard."""

    start: int
    size: int


class Shard:
    """One tar archive. A compressed one stays open, so that reading members in their order unpacks it only once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self.packed = file.read(2) == b"\x1f\x8b"
        self._open = threading.local()  # a file has one position, so that each thread needs its own

    @contextmanager
    def file(self) -> Iterator[IO[bytes]]:
        """The unpacked shard, at its beginning or anywhere else."""
        if not self.packed:
            with self.path.open("rb") as file:
                yield file
            return
        if getattr(self._open, "process", None) != os.getpid():
            self._open.file, self._open.process = gzip.GzipFile(self.path, "rb"), os.getpid()
        yield self._open.file

    def opener(self, place: Place, name: str) -> Callable[[], AbstractContextManager[IO[bytes]]]:
        """Function that opens a member, as a context.

        Raises
        ------
        DataError
            In the context: the shard is damaged.
        """

        @contextmanager
        def opened() -> Iterator[IO[bytes]]:
            try:
                with self.file() as file:
                    file.seek(place.start)
                    yield MemberContent(file, place.size)  # type: ignore[misc]
            except Exception as error:  # OSError, EOFError, zlib.error, …
                fail(error, f"{name}: cannot be read from {self.path.name} ({reason_of(error)})")

        return opened


class Headers:
    """A file of which only headers are read: no more than :data:`HEADER_BYTES` at once, as a header may declare any size."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int) -> bytes:
        """At most the next `size` bytes.

        Raises
        ------
        tarfile.ReadError
            `size` is too large.
        """
        if size > HEADER_BYTES:
            raise tarfile.ReadError(f"a header takes {size:,} bytes, more than {HEADER_BYTES:,}")
        return self.file.read(size)


def open_headers(file: Any) -> Any:
    """The tar archive in `file`, an open file, to list its members."""
    return tarfile.open(fileobj=Headers(file), mode="r:")  # type: ignore[call-overload]


class MemberContent:
    """The next `size` bytes of a file."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.left, self.position = file, size, 0

    def read(self, size: int = -1) -> bytes:
        """At most the next `size` bytes of it, or all that are left."""
        wanted = self.left if size < 0 else min(size, self.left)
        content = self.file.read(wanted)
        self.left -= len(content)
        self.position += len(content)
        return content

    def tell(self) -> int:
        """Number of bytes read so far."""
        return self.position


def skip_limit(info: tarfile.TarInfo, shard: Shard) -> None:
    """Refuse members of a compressed shard that are so large that unpacking them to skip them never ends.

    Raises
    ------
    DataError
        Such a member.
    """
    if shard.packed and info.size > SKIPPED_BYTES:
        raise DataError(
            f"{plain_text(info.name, keep='')}: takes {info.size:,} bytes when unpacked, and at most {SKIPPED_BYTES:,} are "
            f"unpacked in memory; unpack {shard.path.name} yourself if you trust it, and give the .tar or the folder"
        )


def list_members(path: Path, left_out: Counter[str]) -> list[StoredFile]:
    """The files of one shard in their order; links, devices and pipes are added to the numbers in `left_out`.

    Raises
    ------
    DataError
        It is not a tar archive, or it is damaged.
    """
    members: list[StoredFile] = []
    try:
        shard = Shard(path)
        with shard.file() as file, open_headers(file) as archive:
            while (info := archive.next()) is not None:
                archive.members = []  # else each member is held a second time
                if info.isdir():
                    continue
                if not info.isreg() or info.issparse():
                    kind = "links" if info.issym() or info.islnk() else "devices, pipes or sparse files"
                    left_out[kind] += 1
                    continue
                skip_limit(info, shard)
                name = plain_text(info.name, keep="")
                place = Place(start=info.offset_data, size=info.size)
                members.append(StoredFile(name=name, size=info.size, open=shard.opener(place, name)))
    except Exception as error:  # tarfile.TarError, zlib.error, EOFError, OSError, ValueError of damaged headers
        fail(error, f"{path.name}: not a tar archive that can be read ({reason_of(error)})")
    return members


class SampleName(NamedTuple):
    """Name of a sample, and the rest of the name of one of its members, in lower case."""

    sample: str
    rest: str


def split_name(name: str) -> SampleName:
    """Name of the sample and rest of the name: "000/17.seg.png" → "000/17" and ".seg.png", as WebDataset splits it."""
    folder, slash, file = name.rpartition("/")
    stem, dot, rest = file.partition(".")
    return SampleName(sample=folder + slash + stem, rest=(dot + rest).lower())


def read_label(member: StoredFile, rest: str) -> int | str | None:
    """The label in a .cls or .json member; None if there is none.

    Raises
    ------
    DataError
        The member cannot be read.
    """
    with member.open() as file:
        text = checked_read(file, member.size, member.name).decode("utf-8", "replace").strip()
    if rest == CLASS:
        return int(text) if re.fullmatch(r"-?\d{1,18}", text) else text or None
    try:
        label = json.loads(text).get("label")
    except (ValueError, AttributeError, RecursionError):
        return None
    return label if isinstance(label, int | str) else None


def label_members(members: Sequence[StoredFile]) -> list[StoredFile]:
    """The members of one shard, with the label of their sample.

    Raises
    ------
    DataError
        A label cannot be read.
    """
    labels: dict[str, int | str] = {}
    samples = [split_name(member.name) for member in members]
    rests = {rest for _, rest in samples}
    wanted = CLASS if CLASS in rests else JSON
    if wanted not in rests:
        return list(members)
    for member, (sample, rest) in zip(members, samples, strict=True):
        if rest == wanted and (label := read_label(member, rest)) is not None:
            labels[sample] = label
    return [replace(member, label=labels.get(sample)) for member, (sample, _) in zip(members, samples, strict=True)]


def check_kinds(members: Sequence[StoredFile], name: str) -> None:
    """Refuse samples of several images, such as an image and its mask, because only one of them can be meant.

    Raises
    ------
    DataError
        There are such samples.
    """
    kinds: dict[str, Counter[str]] = {}
    for member in members:
        sample, rest = split_name(member.name)
        if is_image_name(member.name):
            kinds.setdefault(sample, Counter())[rest] += 1
    for sample, rests in kinds.items():
        if len(rests) > 1:
            raise DataError(
                f"{name}: its sample {sample} has several images ({listed(sorted(rests))}), and any may be meant; type "
                f"one of them behind the archive, as {name}{SEPARATOR}{min(rests, key=len).lstrip('.')}"
            )


def open_tars(paths: Sequence[Path], name: str, what: str, options: Options) -> ImageSource:
    """Source of the images of tar archives, in the order of the archives and of their members.

    Labels are read from the .cls member of a sample or from the entry "label" of its .json member.

    Parameters
    ----------
    paths : the archives
    name : name of the source
    what : what they are, the beginning of the description
    options : checked options

    Raises
    ------
    DataError
        The archives, their members or an option cannot be used.
    """
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"{name}: {len(missing)} of {len(paths)} archives do not exist, the first is {missing[0]}")
    left_out: Counter[str] = Counter()
    members: list[StoredFile] = []
    not_chosen = 0
    for path in paths:
        shard = label_members(list_members(path, left_out))
        shard, others = choose_members(shard, options.key, path.name)
        not_chosen += others
        check_kinds(shard, path.name)
        members += [replace(member, name=f"{path.name}/{member.name}") for member in shard] if len(paths) > 1 else shard
    members = [member for member in members if suffix_of(member.name) not in (CLASS, JSON)]
    texts = [f"{count:,} {kind}: not files" for kind, count in left_out.items()]
    texts += describe_others(not_chosen, options.key)
    what = what if options.key is None else f"{options.key!r} of {what}"
    return open_members(members, name, what, options, texts)


def open_tar(path: Path, options: Options) -> ImageSource:
    """Source of the images of one tar archive.

    Raises
    ------
    DataError
        The archive, its members or an option cannot be used.
    """
    return open_tars([path], path.name, f"the archive {path.name}", options)
