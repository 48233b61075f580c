"""Classes that subfolders stand for, and subfolders that do not stand for classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from .._listing import listed
from .errors import DataError

__all__ = ["GIVE_LABELS", "subfolder_classes"]

#: Names of folders that hold parts of a dataset.
PARTS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"}
#: Tools that pack images put so many of them in one numbered folder.
SHARD = 1000
_NAMED = 5
#: What users can do about images without classes.
GIVE_LABELS = "type --labels FILE, which holds the class of each image (in Python, labels=)"


def subfolder_classes(names: Sequence[str], source: str) -> list[str | None]:
    """The class of each image: the first folder on the path to it at which paths part; None above these folders.

    ``cat/1.png`` is of class cat, and so are ``animals/cat/1.png`` and ``animals/cat/black/1.png`` if all images lie in animals.

    Parameters
    ----------
    names : (N,) paths below the folder or in the archive, with slashes
    source : name of the folder or archive, for messages

    Raises
    ------
    DataError
        There are no subfolders; they are parts of a dataset, such as train and val, or numbered shards.
    """
    folders = [PurePosixPath(name).parent.parts for name in names]
    depth = 0
    while folders and all(len(path) > depth and path[depth] == folders[0][depth] for path in folders):
        depth += 1
    below = [path[depth:] for path in folders]
    classes = [path[0] if path else None for path in below]
    kinds = list(dict.fromkeys(name for name in classes if name is not None))
    if not kinds:
        raise DataError(
            f"{source}: has no classes: its images have no labels and are not in subfolders; put the images of each class into a "
            f"subfolder, or {GIVE_LABELS}"
        )
    first = "/".join((*folders[0][:depth], kinds[0]))
    check_parts(below, kinds, source, first)
    if is_sharded(names, classes):
        raise DataError(
            f"{source}: its subfolders {listed(kinds, _NAMED)} hold images by their number, {SHARD:,} in each, as tools pack "
            f"them, and are no classes; {GIVE_LABELS}"
        )
    return classes


def check_parts(below: Sequence[Sequence[str]], kinds: Sequence[str], source: str, first: str) -> None:
    """Check that the subfolders are not parts of a dataset that hold its classes, each again.

    Raises
    ------
    DataError
        They are named so, or they have the same subfolders.
    """
    inner: dict[str, set[str]] = {kind: set() for kind in kinds}
    for path in below:
        if len(path) > 1:
            inner[path[0]].add(path[1])
    common = set.intersection(*inner.values())
    named = {kind.lower() for kind in kinds} <= PARTS
    if named or (len(kinds) > 1 and len(common) > 1):
        why = (
            "are named as parts of a dataset" if named else f"have the same subfolders {listed(sorted(common), _NAMED)}"
        )
        raise DataError(
            f"{source}: its subfolders {listed(kinds, _NAMED)} {why}, and may be no classes; give one of them, as "
            f"{source}/{first}, or {GIVE_LABELS}"
        )


def is_sharded(names: Sequence[str], classes: Sequence[str | None]) -> bool:
    """Whether each image lies in the folder of its number divided by 1000, as in ``00012/img00012345.png``."""
    for name, folder in zip(names, classes, strict=True):
        digits = re.findall(r"\d+", PurePosixPath(name).stem)
        if folder is None or not re.fullmatch(r"\d{5}", folder) or not digits:
            return False
        if int(digits[-1]) // SHARD != int(folder):
            return False
    return True
