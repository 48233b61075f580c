"""One writer at a time: a file or folder that a process will write is claimed before it computes.

A claim is a locked file in a hidden folder beside the target. The system releases the lock when the process ends, however it ends,
so a claim never outlives its process. The folder is also the workplace: what is written there takes the place of the target
at the end, see :mod:`._folders`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
from pathlib import Path

from ._files import is_alive, machine_tag

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["BusyError", "Claim"]

_SUFFIX, _LOCK = ".kappaflow-work", "lock"
#: Bytes of a name beyond which the workplace is called by a hash of it.
_LONGEST = 200
#: Where Windows locks a byte: beyond the contents, which others may then still read.
_FAR = 1 << 30
_TAKEN = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK})
_TRIES = 100


class BusyError(FileExistsError):
    """Another process writes there."""


class Claim:
    """The right to write a file or a folder, until :meth:`release`; other processes are refused.

    Parameters
    ----------
    target : what will be written. A symbolic link stands for what it points to

    Attributes
    ----------
    target : absolute, without symbolic links
    folder : the workplace. It is on the file system of the target, beside it or, where its parent cannot be written to or is
        another file system, in it

    Raises
    ------
    BusyError
        Another process has claimed it.
    OSError
        The workplace cannot be made.
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self.target = Path(os.path.realpath(target))
        inside = self.target.is_dir() and (
            os.path.ismount(self.target) or not os.access(self.target.parent, os.W_OK | os.X_OK)
        )
        self.folder = self.target / _SUFFIX if inside else self.target.with_name(_workplace_name(self.target.name))
        self._descriptor: int | None = _locked(self.folder)

    def __enter__(self) -> Claim:
        """The claim itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Give it up."""
        self.release()

    def release(self) -> None:
        """Give the claim up, and remove the workplace if nothing is left in it."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        with contextlib.suppress(OSError):  # Windows removes no open file
            os.unlink(self.folder / _LOCK)
        os.close(descriptor)
        with contextlib.suppress(OSError):
            if os.name == "nt":
                os.unlink(self.folder / _LOCK)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def _workplace_name(name: str) -> str:
    short = name if len(os.fsencode(name)) <= _LONGEST else hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return f".{short}{_SUFFIX}"


def _locked(folder: Path) -> int:
    """A descriptor of the locked file, which names this process."""
    for _ in range(_TRIES):
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():
            raise FileExistsError(errno.EEXIST, "It exists and is a symbolic link", os.fspath(folder))
        lock = folder / _LOCK
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except FileNotFoundError:  # the process that had it has just removed the folder
            continue
        except OSError:
            with contextlib.suppress(OSError):
                folder.rmdir()
            raise
        try:
            _take(descriptor)
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                os.ftruncate(descriptor, 0)
                os.lseek(descriptor, 0, os.SEEK_SET)
                os.write(descriptor, f"{os.getpid()} {machine_tag()}\n".encode())
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise OSError(errno.EBUSY, "It cannot be locked", os.fspath(folder))


def _take(descriptor: int) -> None:
    """Lock an open file, or raise BusyError."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        process, machine = _owner(descriptor)
        if error.errno in _TAKEN:
            raise BusyError(_busy(process, machine)) from None
        # this file system has no locks: go by the process that is named
        if process and not (process == os.getpid() and machine == machine_tag()) and is_alive(process, machine):
            raise BusyError(_busy(process, machine)) from None


def _owner(descriptor: int) -> tuple[int, str]:
    """Number and machine of the process that wrote the file; 0 if there is none."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    words = os.read(descriptor, 64).decode("ascii", errors="replace").split()
    return (int(words[0]), words[1]) if len(words) == 2 and words[0].isdigit() else (0, "")


def _busy(process: int, machine: str) -> str:
    if not process:
        return "another process of kappaflow"
    return f"process {process} of kappaflow" + ("" if machine == machine_tag() else " on another machine")
