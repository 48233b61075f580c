"""Folders of results that are replaced as a whole: the old one or the new one, whatever happens and whenever.

New results are written in the workplace of a claim (:mod:`._claims`). Then the whole folder takes the place of the old one in one
step, or, where the file system cannot exchange two folders, in two. Files in the old folder that kappaflow did not write are linked
into the new one before, so both have them. What a crash leaves in the workplace is set right by the next process that claims the
folder. Where a folder cannot be replaced (it is the working folder of the shell, another file system is mounted there, it
belongs to another user, or files in it cannot be linked), its files are replaced one by one: the list of files is taken away first
and put back last, and the next process finishes what a crash has cut short.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from ._claims import Claim
from ._files import sync_folder, sync_tree
from ._signals import uninterrupted

__all__ = ["ResultFolder"]

#: In the workplace: results while they are written, complete ones on their way, the old folder, complete ones that are moved
#: file by file, and the list of the files that they replace.
_NEW, _READY, _OLD, _MOVING, _FORMER = "new", "ready", "old", "moving", "former"
#: Most foreign files that are linked into a new folder.
_MOST = 10_000


class ResultFolder:
    """A folder of results under a claim.

    Parameters
    ----------
    claim : of the folder
    label : name of the file that lists the files of the results, itself too. Results without it are not complete
    listed : reads that list from a path; names are relative, with /. Files that are not in it are foreign and never removed

    Attributes
    ----------
    target : the folder, without symbolic links
    is_placed : whether new results have taken its place
    """

    def __init__(self, claim: Claim, label: str, listed: Callable[[Path], frozenset[str]]) -> None:
        self.target = claim.target
        self._claim, self._label, self._listed = claim, label, listed
        self._new, self._ready, self._old, self._moving, self._former = (
            claim.folder / name for name in (_NEW, _READY, _OLD, _MOVING, _FORMER)
        )
        self._complete: Path | None = None
        self.is_placed = False

    def recover(self) -> None:
        """Finish, or undo, what a process that was killed began: then the target holds old or new results, whole.

        Raises
        ------
        OSError
            A file cannot be moved.
        """
        with uninterrupted():
            if (self._moving / self._label).exists():
                self._move_files()
            if not os.path.lexists(self.target):  # killed between two renames
                for folder in (self._ready, self._old):
                    if folder.is_dir():
                        os.rename(folder, self.target)
                        break
            self._clear()

    def stage(self) -> Path:
        """A new, empty folder to write results into.

        Raises
        ------
        OSError
            It cannot be made.
        """
        self._clear()
        self._new.mkdir()
        return self._new

    def drop(self) -> None:
        """Remove what was staged."""
        _remove_tree(self._new)

    def place(self, *, overwrite: bool) -> None:
        """Let the staged results, which are complete, take the place of the earlier ones. Signals wait.

        Parameters
        ----------
        overwrite : whether they may replace foreign files of the same names

        Raises
        ------
        OSError
            They cannot. The earlier results are whole; :meth:`keep` saves the new ones.
        """
        self._complete = self._new
        sync_tree(self._new)
        with uninterrupted():
            if not os.path.lexists(self.target):
                os.rename(self._new, self.target)
            else:
                self._check_names(overwrite)
                if not self._swap():
                    assert self._complete is not None  # it holds what could not be swapped
                    self._check_access()
                    os.rename(self._complete, self._moving)
                    self._complete = None  # from here on it is finished, now or by the next process
                    try:
                        self._move_files()
                    except OSError:  # one that does not last must not leave old and new files side by side
                        self._move_files()
            self._complete, self.is_placed = None, True
            sync_folder(self.target.parent)
            self._clear()

    @property
    def complete(self) -> Path:
        """Where the new results are that could not be placed."""
        return self._complete or self._new

    @property
    def is_half_moved(self) -> bool:
        """Whether results are being moved file by file; :meth:`recover` finishes that."""
        return (self._moving / self._label).exists()

    def keep(self) -> Path | None:
        """Move complete results that could not be placed to a free name beside the target; None if that cannot be done."""
        if not (self.complete / self._label).exists():
            return None
        free = self._claim.folder.with_name(f"{self.target.name}.kept")
        number = 1
        while os.path.lexists(free):
            number += 1
            free = free.with_name(f"{self.target.name}.kept-{number}")
        try:
            os.rename(self.complete, free)
        except OSError:
            return None
        return free

    # --- a whole folder -----------------------------------------------------------------------------------------------

    def _swap(self) -> bool:
        """Replace the folder; False, with everything as it was, if that cannot be done."""
        if (
            self._claim.folder.parent != self.target.parent
            or os.path.ismount(self.target)
            or _is_working_folder(self.target)
        ):
            return False
        try:
            self._carry_foreign()
            _like(self.target, self._new)
            os.utime(self._new)
            os.rename(self._new, self._ready)
        except (OSError, NotImplementedError):
            return False
        self._complete = self._ready
        if _exchange(self._ready, self.target):
            return True
        try:
            os.rename(self.target, self._old)
        except OSError:
            return False
        try:
            os.rename(self._ready, self.target)
        except OSError:
            os.rename(self._old, self.target)
            return False
        return True

    def conflict(self, name: str) -> str | None:
        """What in the target keeps a file of this name from its place, in words; None if nothing does."""
        for parent in [*PurePosixPath(name).parents][-2::-1]:
            there = self.target / parent
            if os.path.lexists(there) and (there.is_symlink() or not there.is_dir()):
                return f"{str(parent)!r} in it is not a folder"
        there = self.target / name
        return f"{name!r} in it is a folder" if there.is_dir() and not there.is_symlink() else None

    def _check_names(self, overwrite: bool) -> None:
        """Raise FileExistsError if new files would replace something foreign."""
        former = self._listed(self.target / self._label)
        for name in sorted(self._listed(self._new / self._label)):
            conflict = self.conflict(name)
            if conflict is not None:
                raise FileExistsError(errno.EEXIST, conflict, name)
            if os.path.lexists(self.target / name) and name not in former and not overwrite:
                raise FileExistsError(errno.EEXIST, f"{name!r} in it is not a result of kappaflow", name)

    def _carry_foreign(self) -> None:
        """Link files that kappaflow did not write into the new folder."""
        foreign = _foreign(self.target, self._listed(self.target / self._label))
        if foreign and os.name == "nt":  # whose folders may be junctions
            raise NotImplementedError
        made: list[str] = []
        for name in foreign:
            old, new = self.target / name, self._new / name
            if os.path.lexists(new):
                continue
            folder = old.is_dir() and not old.is_symlink()
            for parent in [*([name] if folder else []), *map(str, PurePosixPath(name).parents)][::-1]:
                if not (self._new / parent).is_dir():
                    (self._new / parent).mkdir()
                    made.append(parent)
            if not folder:
                os.link(old, new, follow_symlinks=False)
        for name in reversed(made):  # at the end, because they may be read-only
            _like(self.target / name, self._new / name)

    # --- file by file -------------------------------------------------------------------------------------------------

    def _check_access(self) -> None:
        """Raise PermissionError if files in the target, or in a folder of it, cannot be replaced."""
        assert self._complete is not None
        names = self._listed(self._complete / self._label)
        for parent in sorted({str(parent) for name in names for parent in PurePosixPath(name).parents}):
            there = self.target / parent
            if there.is_dir() and not os.access(there, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(there))

    def _move_files(self) -> None:
        """Move complete results into the target. It can be repeated from any state that a crash leaves."""
        label = self.target / self._label
        if os.path.lexists(label) and not os.path.lexists(self._former):
            os.rename(label, self._former)
        names, former = self._listed(self._moving / self._label), self._listed(self._former)
        for name in sorted(names - {self._label}):
            if os.path.lexists(self._moving / name):
                (self.target / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(self._moving / name, self.target / name)
        for name in sorted(former - names):
            there = self.target / name
            linked = any((self.target / parent).is_symlink() for parent in PurePosixPath(name).parents)
            if os.path.lexists(there) and not linked and (there.is_symlink() or not there.is_dir()):
                there.unlink()
        os.replace(self._moving / self._label, label)
        sync_folder(self.target)

    # --- the workplace ------------------------------------------------------------------------------------------------

    def _clear(self) -> None:
        """Empty the workplace. What was in the old folder and is foreign goes to the target; what cannot be removed stays."""
        for folder in (self._ready, self._old):
            if folder.is_dir():
                with contextlib.suppress(OSError):
                    self._discard(folder)
        _remove_tree(self._new)
        _remove_tree(self._moving)
        with contextlib.suppress(OSError):
            self._former.unlink()

    def _discard(self, folder: Path) -> None:
        """Remove a folder of results, its list last; move what is foreign, and not in the target, to the target."""
        ours = self._listed(folder / self._label)
        _unlock(folder)
        for root, folders, files in os.walk(folder, topdown=False):
            links = [name for name in folders if os.path.islink(os.path.join(root, name))]
            for name in sorted((*files, *links), key=lambda name: (name == self._label, name)):
                path = Path(root, name)
                relative = path.relative_to(folder)
                if relative.as_posix() in ours or os.path.lexists(self.target / relative):
                    path.unlink()
                else:
                    (self.target / relative).parent.mkdir(parents=True, exist_ok=True)
                    os.rename(path, self.target / relative)
            os.rmdir(root)


def _foreign(folder: Path, ours: frozenset[str]) -> list[str]:
    """Files, links and folders that are not ours and hold nothing of ours, parents first; raises OSError if they are too many."""
    parents = {parent.as_posix() for name in ours for parent in PurePosixPath(name).parents}
    found: list[str] = []
    todo = [""]
    while todo:
        begin = todo.pop()
        with os.scandir(folder / begin) as entries:
            for entry in entries:
                name = f"{begin}{entry.name}"
                inside = entry.is_dir(follow_symlinks=False)
                if inside:
                    todo.append(name + "/")
                if name not in (parents if inside else ours):
                    found.append(name)
                if len(found) > _MOST:
                    raise OSError(errno.EMLINK, "too many files", name)
    return found


def _like(old: Path, new: Path) -> None:
    """Give a folder the permissions and the owner of another, or raise OSError."""
    shutil.copystat(old, new)
    there, here = os.stat(old), os.stat(new)
    if (there.st_uid, there.st_gid) != (here.st_uid, here.st_gid):
        os.chown(new, there.st_uid, there.st_gid)
        os.chmod(new, stat.S_IMODE(there.st_mode))  # which the change of owner may have cut


def _is_working_folder(folder: Path) -> bool:
    """Whether this process, and then the shell that started it, is in the folder or below."""
    try:
        here = Path(os.getcwd())
    except OSError:
        return False
    return here == folder or folder in here.parents


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False, with both as they were, where that is not possible."""
    if sys.platform != "linux":
        return False
    try:
        exchange = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    here, both = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(exchange(here, os.fsencode(one), here, os.fsencode(other), ctypes.c_uint(both)) == 0)


def _remove_tree(folder: Path) -> None:
    """Remove a folder that holds nothing but what kappaflow wrote or linked there."""
    if folder.is_dir() and not folder.is_symlink():
        with contextlib.suppress(OSError):
            _unlock(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _unlock(folder: Path) -> None:
    """Let the files of a folder in the workplace be removed, although they may be copies of read-only folders."""
    for root, _, _ in os.walk(folder):
        os.chmod(root, 0o700)
