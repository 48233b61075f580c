"""Zip archives of images or .npy arrays, also as StyleGAN and EDM make them, with labels in ``dataset.json``."""

from __future__ import annotations

import json
import os
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from .._listing import listed
from .._plain_text import plain_text
from .errors import DataError, fail, reading, reason_of
from .member_keys import choose_members, describe_others
from .members import StoredFile, checked_read, open_members
from .options import Options
from .source import ImageSource

__all__ = ["open_zip"]

LABELS = "dataset.json"
#: The methods of packing that are read, by their numbers in the format.
PACKINGS = {0: "stored", 8: "deflate", 12: "bzip2", 14: "lzma"}


def read_labels(content: bytes, name: str) -> Mapping[str, int | str]:
    """Name of the member → label, of the text of ``dataset.json``: ``{"labels": [["00000/img.png", 0], …]}`` or null.

    Raises
    ------
    DataError
        It is not JSON of this form.
    """
    try:
        pairs = json.loads(content).get("labels") or []
        labels = {str(file): label for file, label in pairs}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{name}: {LABELS} must be of the form {{'labels': [[name, label], …]}} ({error})") from error
    if not all(isinstance(label, int | str) for label in labels.values()):
        return {}  # vectors, as for conditioning on a pose: no classes
    return labels


class Archive:
    """A zip archive that stays open, because its table of contents is read at each opening; a forked process opens its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: tuple[int, zipfile.ZipFile] | None = None
        self._lock = threading.Lock()

    def archive(self) -> zipfile.ZipFile:
        """The open archive of this process."""
        with self._lock:  # an open ZipFile has a lock of its own
            if self._open is None or self._open[0] != os.getpid():
                self._open = (os.getpid(), zipfile.ZipFile(self.path))
            return self._open[1]

    def opener(self, info: zipfile.ZipInfo) -> Callable[[], AbstractContextManager[IO[bytes]]]:
        """Function that opens a member, as a context.

        Raises
        ------
        DataError
            In the context: the member is damaged, or packed in a way that is not read.
        """

        @contextmanager
        def opened() -> Iterator[IO[bytes]]:
            try:
                with self.archive().open(info) as file:
                    yield file
            except Exception as error:  # zlib.error, BadZipFile, NotImplementedError (compression), OSError
                fail(error, f"{info.filename}: cannot be read from {self.path.name} ({reason_of(error)})")

        return opened


def open_zip(path: Path, options: Options) -> ImageSource:
    """Source of the images of a zip archive, sorted by their names, as StyleGAN and EDM read it. Nothing is extracted.

    Raises
    ------
    DataError
        The archive, its members or an option cannot be used.
    """

    box = Archive(path)
    with reading(f"{path.name}: not a zip archive that can be read"):
        infos = [info for info in box.archive().infolist() if not info.is_dir()]
    packed = sorted({info.compress_type for info in infos} - set(PACKINGS))
    if packed:
        raise DataError(
            f"{path.name}: has members packed by the methods {listed(map(str, packed))}; {listed(PACKINGS.values())} are read"
        )
    links = sum(stat.S_ISLNK(info.external_attr >> 16) for info in infos)
    infos = [info for info in infos if not stat.S_ISLNK(info.external_attr >> 16)]
    locked = sum(info.flag_bits & 1 for info in infos)
    if locked:
        raise DataError(f"{path.name}: {locked} of its {len(infos)} members need a password; unpack it first")
    infos.sort(key=lambda info: info.filename)
    labels: Mapping[str, int | str] = {}
    for info in infos:
        if info.filename == LABELS:
            with box.opener(info)() as file:
                labels = read_labels(checked_read(file, info.file_size, LABELS), path.name)
    members = [
        StoredFile(
            name=plain_text(info.filename, keep=""),
            size=info.file_size,
            open=box.opener(info),
            label=labels.get(info.filename),
        )
        for info in infos
        if info.filename != LABELS
    ]
    chosen, others = choose_members(members, options.key, path.name)
    what = f"the archive {path.name}" if options.key is None else f"{options.key!r} of the archive {path.name}"
    left_out = [f"{links:,} links: not files"] if links else []
    return open_members(chosen, path.name, what, options, [*left_out, *describe_others(others, options.key)])
