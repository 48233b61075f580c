"""Finding the image files below a folder, and counting everything else that lies there."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .errors import DataError
from .image_formats import image_suffixes, is_image_start, other_image_suffixes

__all__ = ["Found", "find_images", "listed"]

#: Most names in a list.
MOST_NAMES = 10
#: Of files of an unknown suffix, so many are looked into to see whether they are images after all.
MOST_LOOKED_INTO = 20
ARRAY_SUFFIXES = frozenset(
    {".npy", ".npz", ".h5", ".hdf5", ".zarr", ".pt", ".safetensors", ".mat", ".parquet", ".arrow"}
)
ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})


def listed(texts: Iterable[str], most: int = MOST_NAMES) -> str:
    """The texts with commas, at most `most` of them: ``"a, b and 3 more"``."""
    texts = list(texts)
    more = len(texts) - most
    return ", ".join(texts) if more <= 0 else f"{', '.join(texts[:most])} and {more:,} more"


@dataclass
class Found:
    """What lies below a folder.

    Attributes
    ----------
    images : names of the image files, relative to the folder, sorted
    total : number of files below the folder, hidden ones too
    left_out : what is not read, with its number and the reason
    warnings : doubts, one sentence each
    """

    images: list[str]
    total: int = 0
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def by_folder(self) -> str:
        """Number of images in each subfolder, ``"cats 300, dogs 200"``; nothing if there are no subfolders."""
        counts = Counter(name.partition("/")[0] if "/" in name else "" for name in self.images)
        if set(counts) <= {""}:
            return ""
        rows = [f"{folder or 'not in a subfolder'} {count:,}" for folder, count in sorted(counts.items())]
        return listed(rows)


@dataclass
class Walk:
    """One walk through a folder and what it meets."""

    root: Path
    images: list[str] = field(default_factory=list)
    total: int = 0
    hidden: int = 0
    hidden_folders: int = 0
    links_nowhere: int = 0
    links_again: list[str] = field(default_factory=list)
    special: int = 0
    unreadable: list[str] = field(default_factory=list)
    others: dict[str, list[str]] = field(default_factory=dict)
    seen: set[tuple[int, int]] = field(default_factory=set)

    def folder(self, path: str, inside: str) -> None:
        """Meet everything in the folder `path`, whose name relative to the root is `inside`."""
        waiting = [(path, inside)]
        while waiting:
            path, inside = waiting.pop()
            facts = os.stat(path)
            if (facts.st_dev, facts.st_ino) in self.seen:
                self.links_again.append(inside.rstrip("/"))
                continue
            self.seen.add((facts.st_dev, facts.st_ino))
            try:
                entries = sorted(os.scandir(path), key=lambda entry: entry.name)
            except OSError:
                self.unreadable.append(inside.rstrip("/") or self.root.name)
                continue
            below = [(entry.path, f"{inside}{entry.name}/") for entry in entries if self.meet(entry, inside)]
            below.sort(key=lambda item: os.path.islink(item[0]))  # folders before links to them
            waiting += reversed(below)

    def meet(self, entry: os.DirEntry[str], inside: str) -> bool:
        """Count one entry; True if it is a folder to go into."""
        try:
            mode = entry.stat().st_mode
        except OSError:  # a link that leads nowhere, or in a circle
            self.links_nowhere += 1
            return False
        if stat.S_ISDIR(mode):
            self.hidden_folders += entry.name.startswith(".")
            return not entry.name.startswith(".")
        self.total += 1
        suffix = os.path.splitext(entry.name)[1].lower()
        if entry.name.startswith("."):
            self.hidden += 1
        elif not stat.S_ISREG(mode):  # a pipe would wait for ever
            self.special += 1
        elif suffix in image_suffixes() or (not suffix and starts_as_image(entry.path)):
            self.images.append(inside + entry.name)
        else:
            self.others.setdefault(suffix, []).append(entry.path)
        return False

    def left_out(self) -> Iterator[str]:
        """What is not read, the largest number first."""
        for suffix, paths in sorted(self.others.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_NAMES]:
            yield f"{len(paths):,} {suffix or 'files without a suffix'} ({self.reason(suffix, paths)})"
        rest = sorted(self.others.items(), key=lambda item: (-len(item[1]), item[0]))[MOST_NAMES:]
        if rest:
            yield f"{sum(len(paths) for _, paths in rest):,} files of {len(rest)} other suffixes"
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
        if self.unreadable:
            yield f"{len(self.unreadable):,} folders that may not be opened ({listed(self.unreadable, 3)})"

    @staticmethod
    def reason(suffix: str, paths: list[str]) -> str:
        """Why files of this suffix are not read, and a way to read them."""
        if suffix in other_image_suffixes():
            return "not an image format that is read: convert them to PNG to use them"
        if suffix in ARRAY_SUFFIXES:
            return "array files: name one as DATA to read it"
        if suffix in ARCHIVES:
            return "archives: name one as DATA, or unpack it"
        if any(starts_as_image(path) for path in paths[:MOST_LOOKED_INTO]):
            return "images by their contents: give them a suffix such as .png or .jpg to use them"
        return "not an image format that is read"


def starts_as_image(path: str) -> bool:
    """Whether the first bytes of a file are those of an image; False if it may not be opened."""
    try:
        with open(path, "rb") as file:
            return is_image_start(file.read(16))
    except OSError:
        return False


def find_images(folder: Path) -> Found:
    """Image files in `folder` and below, sorted by their name. Links are followed, each folder is read once.

    Files are images by their suffix, and files without a suffix by their first bytes. Names that begin with a dot are hidden.

    Raises
    ------
    DataError
        The folder may not be opened.
    ImportError
        Pillow is missing.
    """
    walk = Walk(folder)
    walk.folder(str(folder), "")
    if walk.unreadable == [folder.name]:
        raise DataError(f"{folder.name}: this folder may not be opened")
    left_out = tuple(walk.left_out())
    data = sum(len(paths) for suffix, paths in walk.others.items() if suffix in other_image_suffixes() | ARRAY_SUFFIXES)
    warnings: tuple[str, ...] = ()
    if walk.images and data > len(walk.images):
        warnings = (f"more files of images or arrays are left out ({data:,}) than are read ({len(walk.images):,})",)
    if walk.unreadable:
        warnings += (f"{len(walk.unreadable)} folders may not be opened: {listed(walk.unreadable, 3)}",)
    return Found(images=sorted(walk.images), total=walk.total, left_out=left_out, warnings=warnings)
