"""Files that are written whole or not at all: the only place where the package replaces a file on disk."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["is_alive", "machine_tag", "replaced", "sync_file", "sync_folder", "sync_tree", "write_bytes"]

#: Distinguishes this process from an earlier one with the same number.
_SESSION = os.urandom(3).hex()
#: Characters of the name of a file that its temporary file repeats; both together must not be too long for the file system.
_STEM = 40
_TAG = re.compile(r"([0-9a-f]{8})-(\d+)-([0-9a-f]{6})-[0-9a-f]{4}")


@functools.cache
def machine_tag() -> str:
    """Eight hexadecimal digits of this machine and, in a container, of its numbering of processes."""
    try:
        space = str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def is_alive(process: int, machine: str) -> bool:
    """Whether a process may still run; true if that cannot be known, as on another machine."""
    if machine != machine_tag() or os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _temporary(target: Path) -> Path:
    """A name beside `target` that no other process takes, and that says which process has taken it."""
    tag = f"{machine_tag()}-{os.getpid()}-{_SESSION}-{os.urandom(2).hex()}"
    return target.with_name(f".{target.stem[:_STEM]}.{tag}.tmp{target.suffix}")


def _remove_left_over(target: Path) -> None:
    """Remove temporary files of this target that processes left when they were killed; never those of one that still runs."""
    begin, end = f".{target.stem[:_STEM]}.", f".tmp{target.suffix}"
    with contextlib.suppress(OSError):
        for name in os.listdir(target.parent):
            if not (name.startswith(begin) and name.endswith(end)):
                continue
            tag = _TAG.fullmatch(name[len(begin) : len(name) - len(end)])
            if tag is None:
                continue
            machine, process, session = tag.groups()
            own = machine == machine_tag() and int(process) == os.getpid()
            if (own and session != _SESSION) or not is_alive(int(process), machine):
                target.with_name(name).unlink(missing_ok=True)


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The name of a new file beside `path`; when the block ends, that file takes the place of `path`.

    The new file exists, is empty, and has the permissions of the file that it replaces, or else of any new file. Its name keeps the
    suffix, because some writers choose the format by it. It is on the disk before the old file is removed. If the block raises,
    `path` is unchanged and the new file is removed; if the process is killed, the next one that writes `path` removes it. A
    symbolic link stays, and the file that it points to is replaced.

    Raises
    ------
    OSError
        The file could not be created or moved into place, or `path` is neither a file nor a new name.
    """
    target = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "No such folder", os.fspath(target.parent))
    if target.exists() and not target.is_file():
        raise FileExistsError(errno.EEXIST, "It exists and is not a regular file", os.fspath(target))
    _remove_left_over(target)
    new = _temporary(target)
    try:
        new.touch()
        mode = (target if target.exists() else new).stat().st_mode & 0o777
        yield new
        new.chmod(mode)  # safetensors makes files for their owner alone
        sync_file(new)
        os.replace(new, target)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace a file by one with this content, which is on the disk before the old file is removed.

    Raises
    ------
    OSError
        The file could not be written; an earlier file still exists.
    """
    with replaced(path) as new, new.open("wb") as file:
        file.write(content)


# --- on the disk ------------------------------------------------------------------------------------------------------


def sync_file(path: Path) -> None:
    """Have the contents of a file written to the disk.

    Raises
    ------
    OSError
        They cannot be written.
    """
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder written to the disk, where the file system can do that."""
    with contextlib.suppress(OSError):
        sync_file(folder)


def sync_tree(folder: Path) -> None:
    """Have a folder, and every file and folder in it, written to the disk.

    Raises
    ------
    OSError
        A file cannot be written.
    """
    for root, _, files in os.walk(folder):
        for name in files:
            if not os.path.islink(os.path.join(root, name)):
                sync_file(Path(root, name))
        sync_folder(Path(root))
