"""Files that the commands write, each whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from .._files import unique_tag, write_bytes
from .._listing import listed
from .errors import writing

__all__ = ["OPTIONS_FILE", "RUN_FORMAT", "OutputDirectory", "check_file", "to_json", "write_json"]

OPTIONS_FILE = "options.json"
RUN_FORMAT = "kappaflow-run-1"
_NAMES_SHOWN = 4


def to_json(content: Any) -> str:
    """Strict JSON: NaN and infinity raise ValueError."""
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def check_file(option: str, path: Path, *, overwrite: bool) -> None:
    """Raise OSError, before any work, if a file cannot be written; ValueError for -, which some options take for a stream."""
    if str(path) == "-":
        raise ValueError(f"{option} must name a file, got '-'")
    if path.is_dir():
        raise IsADirectoryError(f"{option} must name a file, got the folder {str(path)!r}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{option}: {str(path)!r} exists already: use --overwrite or another name")
    _check_parent(option, path)


def _check_parent(option: str, path: Path) -> None:
    parent = Path(os.path.abspath(path)).parent
    if not parent.is_dir():
        raise FileNotFoundError(f"{option}: the folder of {str(path)!r} does not exist; create it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(f"{option}: the folder of {str(path)!r} cannot be written to")


def write_json(path: Path, content: Any) -> None:
    """Write strict JSON, whole or not at all."""
    write_bytes(path, to_json(content).encode("utf-8"))


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class OutputDirectory:
    """A folder of results that appears complete or stays unchanged.

    Parameters
    ----------
    out : path of the folder; its parent must exist
    options : options of the run; results in `out` with the same options are replaced, others are not
    overwrite : whether to replace other results too. Files that kappaflow did not write stay in either case, unless a new file
        has the same name.
    """

    def __init__(self, out: Path, options: Mapping[str, Any], *, overwrite: bool) -> None:
        self.given = out
        self.target = Path(os.path.abspath(out))
        self.options = json.loads(to_json(dict(options)))
        self.replaces = self._check(overwrite)

    def _check(self, overwrite: bool) -> str | None:
        """What will be replaced, in words, or None; raises OSError if it must not be replaced."""
        name = str(self.given)
        if not os.path.lexists(self.target):
            _check_parent("--out", self.target if self.given.is_absolute() else self.given)
            return None
        if not self.target.is_dir():
            raise FileExistsError(f"--out: {name!r} exists and is not a folder: use another --out")
        if not os.access(self.target, os.W_OK | os.X_OK):
            raise PermissionError(f"--out: the folder {name!r} cannot be written to")
        names = sorted(entry.name for entry in self.target.iterdir())
        if not names:
            return None
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
        try:
            former = json.loads((self.target / OPTIONS_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return former if isinstance(former, dict) and former.get("format") == RUN_FORMAT else None

    @contextmanager
    def staged(self, facts: Mapping[str, Any]) -> Iterator[Path]:
        """A new folder to write into; at the end of the block options.json is added and all files are moved into place.

        `facts` becomes part of options.json and may be filled within the block. An exception leaves nothing behind.
        """
        inside = self.target.is_dir()  # then stage in it: the same file system, whatever is mounted or linked there
        parent = self.target if inside else self.target.parent
        staging = parent / f".{self.target.name or 'kappaflow'}.{unique_tag()}.tmp"
        try:
            staging.mkdir()
        except OSError as error:
            message = f"--out: cannot write in the folder of {str(self.given)!r}: {error.strerror}"
            raise OSError(error.errno, message) from error
        try:
            yield staging
            with writing(f"--out: {str(self.given)!r}"):
                self._complete(staging, facts)
                with _uninterrupted():
                    if inside:
                        self._merge(staging)
                    else:
                        os.replace(staging, self.target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _complete(self, staging: Path, facts: Mapping[str, Any]) -> None:
        files = sorted(path.relative_to(staging).as_posix() for path in staging.rglob("*") if path.is_file())
        content = {"format": RUN_FORMAT, "options": self.options, **facts, "files": [*files, OPTIONS_FILE]}
        write_json(staging / OPTIONS_FILE, content)
        mode = staging.stat().st_mode & 0o666  # temporary files are made for their owner alone
        for path in staging.rglob("*"):
            if path.is_file():
                path.chmod(mode)

    def _merge(self, staging: Path) -> None:
        """Move file by file. options.json is removed first and moved last, so it never stands beside results of other options."""
        former = self._former() or {}
        files = [path.relative_to(staging) for path in staging.rglob("*") if path.is_file()]
        (self.target / OPTIONS_FILE).unlink(missing_ok=True)
        kept = {path.as_posix() for path in files}
        for name in former.get("files", []):
            relative = PurePath(str(name))
            if str(name) not in kept and not relative.is_absolute() and ".." not in relative.parts:
                (self.target / relative).unlink(missing_ok=True)
        for path in sorted(files, key=lambda path: (path.name == OPTIONS_FILE, path)):
            (self.target / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staging / path, self.target / path)
