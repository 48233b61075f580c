"""Files that the commands write, each whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from .._claims import BusyError, Claim
from .._files import write_bytes
from .._folders import ResultFolder
from .._formats import RESULTS
from .._json_files import read_facts, with_checksum
from .._listing import listed
from .._plain_text import plain_json
from .._schema import FileError
from .errors import WritingError, describe_error, writing
from .scope import hold, note_written

__all__ = [
    "OPTIONS_FILE",
    "RUN_FORMAT",
    "OutputDirectory",
    "check_file",
    "claimed",
    "to_json",
    "unwritten",
    "write_json",
    "write_or_keep",
]

OPTIONS_FILE = "options.json"
#: Names in all folders of results, to find before the work what they cannot replace.
_IN_REPORTS = ("report.html", "figures/any", "tables/any")
RUN_FORMAT = "kappaflow-run-1"
_NAMES_SHOWN = 4


def to_json(content: Any) -> str:
    """Strict JSON: NaN and infinity raise ValueError. Characters that are not visible are escaped, as it may be printed."""
    return plain_json(json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)) + "\n"


def check_file(option: str, path: Path, *, overwrite: bool) -> None:
    """Claim a file before any work, until the command ends.

    Raises
    ------
    OSError
        It exists and is not to be overwritten, cannot be written, or another process writes it.
    ValueError
        It is ``-``, which other options take for a stream.
    """
    if str(path) == "-":
        raise ValueError(f"{option} must name a file, got '-'")
    if path.is_dir():
        raise IsADirectoryError(f"{option} must name a file, got the folder {str(path)!r}")
    if path.exists() and not path.is_file():
        raise FileExistsError(
            f"{option} must name a regular file, got {str(path)!r}, which is a device, pipe or socket"
        )
    if path.exists() and not overwrite:
        raise FileExistsError(f"{option}: {str(path)!r} exists already: use --overwrite or another name")
    _check_parent(option, path)
    claimed(option, path, "use another name")


def _check_parent(option: str, path: Path) -> None:
    parent = Path(os.path.abspath(path)).parent
    if not parent.is_dir():
        raise FileNotFoundError(f"{option}: the folder of {str(path)!r} does not exist; create it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(f"{option}: the folder of {str(path)!r} cannot be written to")


def write_json(path: Path, content: Any) -> None:
    """Write strict JSON, whole or not at all."""
    write_bytes(path, to_json(content).encode("utf-8"))


def claimed(option: str, path: Path, way_out: str) -> Claim:
    """Claim a file or folder until the command ends; raise BusyError, before any work, if another process writes it.

    Parameters
    ----------
    option, path : what names it, for messages
    way_out : what the user can do instead, such as "use another --out"

    Raises
    ------
    BusyError
        Another process writes it.
    OSError
        Nothing can be written there.
    """
    try:
        return hold(Claim(path))
    except BusyError as error:
        raise BusyError(f"{option}: {error} writes {str(path)!r}: wait until it has ended, or {way_out}") from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        message = f"{option}: cannot write in the folder of {str(path)!r}: {error.strerror or error}{where}"
        raise OSError(error.errno, message) from error


def write_or_keep(option: str, path: Path, write: Callable[[Path], None]) -> None:
    """Write a file of results; if that fails, write it into a temporary folder instead, so that the results are not lost.

    Raises
    ------
    WritingError
        It could not be written; the message says where the results are instead.
    """
    before = _identity(path)
    try:
        write(path)
    except OSError as error:
        kept = kept_elsewhere(path.stem, lambda folder: write(folder / path.name))
        raise unwritten(f"{option}: {str(path)!r}", error, kept and kept / path.name) from error
    except KeyboardInterrupt:
        if _identity(path) != before:
            note_written(str(path))
        raise
    note_written(str(path))


def _identity(path: Path) -> tuple[int, ...]:
    try:
        facts = path.stat()
    except OSError:
        return ()
    return (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size)


def kept_elsewhere(name: str, write: Callable[[Path], None]) -> Path | None:
    """A new temporary folder with results that could not be written where they should be; None if that fails too."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"kappaflow-{name[:40]}-"))
    except OSError:
        return None
    try:
        write(folder)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            return None
        raise
    return folder


def unwritten(what: str, error: OSError, kept: Path | None) -> WritingError:
    """The error to raise for results that could not be written, and that are kept in another place or lost."""
    where = "" if kept is None else f"; the results are kept in {str(kept)!r}"
    return WritingError(f"{what} could not be written: {error.strerror or describe_error(error)}{where}")


class OutputDirectory:
    """A folder of results that appears complete or stays unchanged.

    Parameters
    ----------
    out : path of the folder; its parent must exist
    options : options of the run; results in `out` with the same options are replaced, others are not
    overwrite : whether to replace other results too. Files that kappaflow did not write stay in either case, unless a new file
        has the same name.
    beside : a folder for other work of the command, which may lie in `out`
    """

    def __init__(self, out: Path, options: Mapping[str, Any], *, overwrite: bool, beside: Path | None = None) -> None:
        self.given = out
        self.options = json.loads(to_json(dict(options)))
        self._overwrite = overwrite
        self._beside = None if beside is None else Path(os.path.realpath(beside))
        self._check_place()
        self._claim = claimed("--out", out, "use another --out")
        self.target = self._claim.target
        self._folder = ResultFolder(self._claim, OPTIONS_FILE, _files_listed)
        with writing(f"--out: {str(out)!r}"):
            self._folder.recover()
        self.replaces = self._check(overwrite)

    def _check_place(self) -> None:
        """Raise OSError if nothing can be written there."""
        name, target = str(self.given), Path(os.path.abspath(self.given))
        if not os.path.lexists(target):
            _check_parent("--out", target if self.given.is_absolute() else self.given)
        elif not target.is_dir():
            raise FileExistsError(f"--out: {name!r} exists and is not a folder: use another --out")
        elif not os.access(target, os.W_OK | os.X_OK):
            raise PermissionError(f"--out: the folder {name!r} cannot be written to")

    def _check(self, overwrite: bool) -> str | None:
        """What will be replaced, in words, or None; raises OSError if it must not be replaced."""
        name = str(self.given)
        if not self.target.is_dir():
            return None
        own = {self._claim.folder, self._beside, *(() if self._beside is None else self._beside.parents)}
        names = sorted(entry.name for entry in self.target.iterdir() if entry not in own)
        if not names:
            return None
        for file in (OPTIONS_FILE, *_IN_REPORTS):
            conflict = self._folder.conflict(file)
            if conflict is not None:
                raise FileExistsError(f"--out: {name!r} cannot take the results, because {conflict}: use another --out")
        former = self._former()
        if former is not None and former.get("options") == self.options:
            return f"replacing the results of an earlier run with the same options in {name}"
        if former is not None:
            before = former.get("options")
            before = before if isinstance(before, dict) else {}
            changed = [key for key, value in self.options.items() if before.get(key) != value]
            what = f"results of another run (of {before.get('data')!r}; different: {', '.join(changed) or 'options'})"
        else:
            what = f"files that are not results of kappaflow ({listed(names, _NAMES_SHOWN)})"
        if not overwrite:
            raise FileExistsError(f"--out: {name!r} holds {what}: use --overwrite or another --out")
        return f"replacing {what} in {name}" if former is not None else f"writing beside {what} in {name}"

    def _former(self) -> dict[str, Any] | None:
        """options.json of an earlier run of kappaflow, or None."""
        return _read_options(self.target / OPTIONS_FILE)

    @contextmanager
    def staged(self, facts: Mapping[str, Any]) -> Iterator[Path]:
        """A new folder to write into; at the end of the block options.json is added and the folder takes the place of the old.

        `facts` becomes part of options.json and may be filled within the block. An exception leaves nothing behind.

        Raises
        ------
        WritingError
            The results could not be put into place; the message says where they are instead.
        """
        try:
            staging = self._folder.stage()
        except OSError as error:
            message = f"--out: cannot write in the folder of {str(self.given)!r}: {error.strerror}"
            raise OSError(error.errno, message) from error
        try:
            yield staging
            self._place(staging, facts)
        finally:
            self._folder.drop()

    def _place(self, staging: Path, facts: Mapping[str, Any]) -> None:
        what = f"--out: {str(self.given)!r}"
        try:
            self.complete(staging, facts)
            self._folder.place(overwrite=self._overwrite)
        except OSError as error:
            if self._folder.is_half_moved:
                raise WritingError(
                    f"{what} could not be written completely: {error.strerror or describe_error(error)}; "
                    "the same command puts the rest of the results into place"
                ) from error
            kept = self._folder.keep()
            if kept is None:
                results = self._folder.complete
                kept = self.elsewhere(lambda folder: _copy_into(results, folder), facts)
            raise unwritten(what, error, kept) from error
        finally:
            if self._folder.is_placed:  # also if a signal has waited until then
                note_written(str(self.given))

    def elsewhere(self, write: Callable[[Path], None], facts: Mapping[str, Any]) -> Path | None:
        """A temporary folder with the results, for those that cannot be written here; None if that fails too."""

        def write_all(folder: Path) -> None:
            write(folder)
            self.complete(folder, facts)

        return kept_elsewhere(self.target.name, write_all)

    def complete(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Add options.json to a folder of results, and give its files the usual permissions."""
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        names = [*(name for name in files if name != OPTIONS_FILE), OPTIONS_FILE]
        content = {"format": RUN_FORMAT, "options": self.options, **facts, "files": names}
        write_json(folder / OPTIONS_FILE, with_checksum(content))
        mode = folder.stat().st_mode & 0o666  # temporary files are made for their owner alone
        for path in folder.rglob("*"):
            if path.is_file():
                path.chmod(mode)


def _copy_into(staging: Path, folder: Path) -> None:
    """Copy results that are complete but for options.json."""
    if not staging.is_dir():
        raise FileNotFoundError(errno.ENOENT, "nothing is left to copy")
    shutil.copytree(staging, folder, dirs_exist_ok=True)


def _read_options(path: Path) -> dict[str, Any] | None:
    """options.json as kappaflow wrote it, or None."""
    try:
        content = read_facts(path, RESULTS)
    except (OSError, FileError):
        return None
    return content if content["format"] == RUN_FORMAT else None


def _files_listed(path: Path) -> frozenset[str]:
    """Files that an options.json lists, itself too: none outside of its folder, and none if it is not of kappaflow."""
    content = _read_options(path)
    if content is None:
        return frozenset()
    names = (PurePosixPath(name) for name in content["files"] if "\0" not in name and "\\" not in name)
    inside = {name.as_posix() for name in names if name.parts and not name.is_absolute() and ".." not in name.parts}
    return frozenset(inside | {OPTIONS_FILE})
