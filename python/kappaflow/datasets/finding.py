"""One walk through a folder: its files, which of them are images, and what else lies there."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .._listing import MOST_NAMES, listed
from .errors import DataError
from .image_formats import is_image_name, is_image_start, other_image_suffixes, suffix_of

__all__ = ["FolderContents", "walk_folder"]

#: Of files of an unknown suffix, so many are looked into to see whether they are images after all.
MOST_LOOKED_INTO = 20
#: The file by which a folder of results is known, and the most bytes it may have to be looked into.
RESULTS_LABEL, _LARGEST_LABEL = "options.json", 2**20
ARRAY_SUFFIXES = frozenset(
    {".npy", ".npz", ".h5", ".hdf5", ".zarr", ".pt", ".safetensors", ".mat", ".parquet", ".arrow", ".feather", ".nii"}
)
ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})


@dataclass
class FolderContents:
    """What lies in a folder and the folders below it.

    Attributes
    ----------
    root : the folder
    files : names of the files, relative to the folder, sorted; a zarr store, which is a folder, counts as one file
    total : number of files, with those that are not in `files`: hidden files, links that lead nowhere do not count
    hidden, hidden_folders : number of files and folders whose names begin with a dot
    links_nowhere : number of links that lead nowhere
    links_out : number of files that links outside of the folder lead to; they are read
    links_again : names of links to folders that are read already
    special : number of pipes and devices
    results : names of folders of results of kappaflow, whose figures are no data
    unreadable : names of folders that may not be opened
    """

    root: Path
    files: list[str] = field(default_factory=list)
    total: int = 0
    hidden: int = 0
    hidden_folders: int = 0
    links_nowhere: int = 0
    links_out: int = 0
    links_again: list[str] = field(default_factory=list)
    special: int = 0
    results: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @cached_property
    def images(self) -> list[str]:
        """Names of the files that are images: by their suffix, or, if they have none, by their first bytes."""
        return [name for name in self.files if is_image_name(name) or (not suffix_of(name) and self.is_image(name))]

    def is_image(self, name: str) -> bool:
        """Whether the first bytes of a file are those of an image; False if it may not be opened."""
        try:
            with (self.root / name).open("rb") as file:
                return is_image_start(file.read(16))
        except OSError:
            return False

    def left_out(self, read: Collection[str]) -> tuple[str, ...]:
        """What is not read if the files `read` are, the most frequent suffix first, with its number and the reason."""
        return tuple(self._left_out(set(read)))

    def _left_out(self, read: set[str]) -> Iterator[str]:
        others: dict[str, list[str]] = {}
        for name in self.files:
            if name not in read:
                others.setdefault(suffix_of(name), []).append(name)
        ordered = sorted(others.items(), key=lambda item: (-len(item[1]), item[0]))
        for suffix, names in ordered[:MOST_NAMES]:
            yield f"{len(names):,} {suffix or 'files without a suffix'} ({self._reason(suffix, names)})"
        if rest := ordered[MOST_NAMES:]:
            yield f"{sum(len(names) for _, names in rest):,} files of {len(rest)} other suffixes"
        if self.hidden:
            yield f"{self.hidden:,} hidden files"
        if self.hidden_folders:
            yield f"{self.hidden_folders:,} hidden folders"
        if self.links_nowhere:
            yield f"{self.links_nowhere:,} links that lead nowhere"
        if self.links_again:
            yield f"{len(self.links_again):,} links to folders that are read already ({listed(self.links_again, 3)})"
        if self.special:
            yield f"{self.special:,} pipes and devices"
        if self.results:
            yield f"results of kappaflow in {listed(self.results, 3)}"
        if self.unreadable:
            yield f"{len(self.unreadable):,} folders that may not be opened ({listed(self.unreadable, 3)})"

    def _reason(self, suffix: str, names: list[str]) -> str:
        """Why files of this suffix are not read, and a way to read them."""
        if is_image_name(suffix):
            return "images: put them into a folder of their own to read them"
        if suffix in other_image_suffixes():
            return "not an image format that is read: convert them to PNG to use them"
        if suffix in ARRAY_SUFFIXES:
            return "array files: name one as DATA to read it"
        if suffix in ARCHIVES:
            return "archives: name one as DATA, or unpack it"
        if any(self.is_image(name) for name in names[:MOST_LOOKED_INTO]):
            return "images by their contents: give them a suffix such as .png or .jpg to use them"
        return "not an image format that is read"

    def warnings(self, read: Collection[str]) -> tuple[str, ...]:
        """Doubts about reading the files `read` only, one sentence each."""
        data = sum(
            is_image_name(name) or suffix_of(name) in other_image_suffixes() | ARRAY_SUFFIXES
            for name in set(self.files).difference(read)
        )
        warnings: tuple[str, ...] = ()
        if self.links_out:
            warnings = (f"{self.links_out:,} files are reached by links to places outside of the folder",)
        if data > len(read) > 0:
            warnings += (f"more files of images or arrays are left out ({data:,}) than are read ({len(read):,})",)
        if self.unreadable:
            warnings += (f"{len(self.unreadable)} folders may not be opened: {listed(self.unreadable, 3)}",)
        return warnings


def by_folder(names: Iterable[str]) -> str:
    """Number of files in each subfolder, ``"cats 300, dogs 200"``; nothing if there are no subfolders."""
    counts = Counter(name.partition("/")[0] if "/" in name else "" for name in names)
    if set(counts) <= {""}:
        return ""
    return listed(f"{folder or 'not in a subfolder'} {count:,}" for folder, count in sorted(counts.items()))


def walk_folder(folder: Path) -> FolderContents:
    """Everything in `folder` and below. Links are followed, each folder is read once; names that begin with a dot are hidden.

    Folders of results of kappaflow below it are left out: by default results lie in the working folder, which may be the data.

    Links may lead out of the folder, as whoever puts a dataset together of links wants; their number is a warning.

    Raises
    ------
    DataError
        The folder may not be opened.
    """
    contents, root = FolderContents(folder), os.path.realpath(folder)
    seen: set[tuple[int, int]] = set()
    waiting = [(str(folder), "", False)]
    while waiting:
        path, inside, outside = waiting.pop()
        facts = os.stat(path)
        if (facts.st_dev, facts.st_ino) in seen:
            contents.links_again.append(inside.rstrip("/"))
            continue
        seen.add((facts.st_dev, facts.st_ino))
        if inside and _holds_results(Path(path)):
            contents.results.append(inside.rstrip("/"))
            continue
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            if not inside:
                raise DataError(f"{folder.name}: this folder may not be opened") from error
            contents.unreadable.append(inside.rstrip("/"))
            continue
        below = []
        for entry in entries:
            out = outside or leads_out(entry, root)
            files = len(contents.files)
            if meet(entry, inside, contents):
                below.append((entry.path, f"{inside}{entry.name}/", out))
            contents.links_out += out and len(contents.files) > files
        below.sort(key=lambda item: os.path.islink(item[0]))  # folders before links to them
        waiting += reversed(below)
    contents.files.sort()
    return contents


def _holds_results(folder: Path) -> bool:
    """Whether a folder is one that a command of kappaflow wrote, as its options.json says."""
    label = folder / RESULTS_LABEL
    try:
        if not label.is_file() or label.stat().st_size > _LARGEST_LABEL:
            return False
        facts = json.loads(label.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(facts, dict) and {"command", "files", "machine"} <= facts.keys()


def leads_out(entry: os.DirEntry[str], root: str) -> bool:
    """Whether an entry of a folder is a link to a place outside of the root, whose real path is given."""
    return entry.is_symlink() and not os.path.realpath(entry.path).startswith(root.rstrip(os.sep) + os.sep)


def meet(entry: os.DirEntry[str], inside: str, contents: FolderContents) -> bool:
    """Add one entry of the folder of the name `inside` to the contents; True if it is a folder to go into."""
    try:
        mode = entry.stat().st_mode
    except OSError:  # a link that leads nowhere, or in a circle
        contents.links_nowhere += 1
        return False
    hidden = entry.name.startswith(".")
    if stat.S_ISDIR(mode) and (hidden or not entry.name.endswith(".zarr")):
        contents.hidden_folders += hidden
        return not hidden
    contents.total += 1
    if hidden:
        contents.hidden += 1
    elif stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        contents.files.append(inside + entry.name)
    else:  # a pipe would wait for ever
        contents.special += 1
    return False
