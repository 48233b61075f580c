"""Images that belong together: groups by folder, by the names of files or by labels, subsets of whole groups, mirror images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._layout import width_axis
from .._listing import listed
from ..groups import GroupLabels, group_numbers
from .errors import DataError
from .label_files import names_label_file, read_label_file
from .source import ImageSource, rebatch
from .subset import SUBSET_SEED

__all__ = ["BY_NAME", "FEW_GROUPS", "PHOTOGRAPH", "group_images", "with_mirror_images"]

#: Groups by the place of a file, and patches of one photograph.
BY_NAME, PHOTOGRAPH = ("folder", "file"), "photograph"
#: With fewer groups, numbers are rough.
FEW_GROUPS = 30
_LISTED = 10
#: Groups are very unequal if they are worth fewer than this share of their number.
_UNEQUAL = 0.5


def group_images(source: ImageSource, groups: Any, limit: int | None = None) -> ImageSource:
    """The source with its images in groups, such as the frames of a clip. Training sets then hold whole groups.

    Parameters
    ----------
    source : all the images
    groups : ``"folder"``: those of one folder; ``"file"``: frames of one file; ``"photograph"``: patches of one photograph
        (built-in ``"patches"``); a file of labels, one for each image: ``"FILE.npy"``, ``"FILE.npz::KEY"``, or ``"FILE.txt"`` with
        one in each line; labels (N,). Any other text is a regular expression on file names, whose match, or first group in
        brackets, tells the group.
    limit : keep whole groups, a random choice of them, that hold at most so many images

    Raises
    ------
    DataError
        These images cannot be grouped so, or the groups cannot be used.
    """
    labels, how = _labels(source, groups)
    try:
        numbers = group_numbers(labels)
        if source.count is not None:
            numbers.require(source.count)
    except (TypeError, ValueError) as error:
        raise DataError(f"{error}{how and f' ({how})'}") from error
    if limit is not None and limit < len(numbers.numbers):
        return _some_groups(source, labels, numbers, how, limit)
    return _in_groups(source, labels, numbers, how)


def _in_groups(source: ImageSource, labels: npt.NDArray[Any], numbers: GroupLabels, how: str) -> ImageSource:
    provenance = source.provenance
    warnings = provenance.warnings
    if numbers.independent:
        warnings = (
            *warnings,
            f"every image is in a group of its own{how and f' ({how})'}, so the groups change nothing",
        )
    elif numbers.count < FEW_GROUPS:
        warnings = (
            *warnings,
            f"there are only {numbers.count} groups: what so few groups show of the variety of all groups is rough",
        )
    elif numbers.worth < FEW_GROUPS or numbers.worth < _UNEQUAL * numbers.count:
        warnings = (
            *warnings,
            f"groups are of very unequal size, so that {numbers.count:,} groups are worth about {numbers.worth:.0f} of equal size: "
            "the numbers are rough, as the law takes the number of images in a training set as fixed",
        )
    provenance = replace(provenance, groups=_describe(numbers, how), warnings=warnings)
    return replace(source, provenance=provenance, groups=lambda: labels)


def _describe(numbers: GroupLabels, how: str) -> str:
    """``"20 groups of 3 to 9 images, 5.2 on average (by folder)"``."""
    sizes = np.bincount(numbers.numbers)
    least, most = int(sizes.min()), int(sizes.max())
    text = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    average = sizes.mean()
    mean = "" if least == most else f", {average:,.0f} on average" if average >= 100 else f", {average:.3g} on average"
    return f"{numbers.count:,} groups of {text} image{'s' * (most > 1)}{mean}{how and f' ({how})'}"


# --- labels -----------------------------------------------------------------------------------------------------------


def _labels(source: ImageSource, groups: Any) -> tuple[npt.NDArray[Any], str]:
    """Labels (N,) and how they were found, in words."""
    if not isinstance(groups, str | os.PathLike):
        return np.asarray(groups), ""
    text = os.fspath(groups)
    if text == PHOTOGRAPH:
        if source.name != "patches" or source.labels is None:
            raise DataError(
                f"groups='photograph' is for the built-in data 'patches', got it for {source.name!r}: for crops of your own, "
                "name the part of the file names that tells the photograph, such as groups='^(.*)_crop'"
            )
        return source.labels(), "by photograph"
    if text not in BY_NAME and (isinstance(groups, os.PathLike) or names_label_file(text)):
        return _one_each(read_label_file(text, "groups")), f"labels of {os.path.basename(text)}"
    names = None if source.names is None else list(source.names())
    if names is None:
        raise DataError(
            f"groups={text!r} needs images in files, and {source.name!r} is one array or stream: give a file with one label for "
            "each image, such as groups='labels.npy'"
        )
    if text == "folder":
        return _distinct(np.array([name.rpartition("/")[0] for name in names]), "folder"), "by folder"
    if text == "file":
        return _distinct(np.array(names), "file"), "by file"
    return _by_pattern(names, text), f"by the pattern {text} in file names"


def _one_each(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Labels of a file: a column as a vector, whole numbers that are stored as floats as integers."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "S":
        labels = labels.astype(np.str_)
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise DataError(f"groups must hold a label for each image, got NaN for {int(np.isnan(labels).sum()):,} images")
    if labels.dtype.kind == "U" and (labels == "").any():
        raise DataError(
            f"groups must hold a label for each image, got an empty text for {int((labels == '').sum()):,} images"
        )
    whole = labels.dtype.kind == "f" and np.array_equal(labels, np.round(labels))
    return labels.astype(np.int64) if whole or labels.dtype.kind == "b" else labels


def _distinct(labels: npt.NDArray[np.str_], word: str) -> npt.NDArray[np.str_]:
    if len(set(labels.tolist())) < 2:
        raise DataError(f"groups={word!r} needs images in at least 2 {word}s, got one {word}")
    return labels


def _by_pattern(names: list[str], pattern: str) -> npt.NDArray[np.str_]:
    """The part of each name that the pattern matches, or its first group in brackets."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(f"groups must be a regular expression on file names, got '{pattern}': {error}") from error
    found = [compiled.search(name) for name in names]
    missing = [name for name, match in zip(names, found, strict=True) if match is None]
    if missing:
        some = listed(missing, _LISTED)
        raise DataError(
            f"groups must match the name of every file, but '{pattern}' does not match {len(missing):,} of {len(names):,}: {some}"
        )
    parts = [match.group(1 if compiled.groups else 0) or "" for match in found if match is not None]
    if len(set(parts)) < 2:
        raise DataError(f"groups='{pattern}' must tell at least 2 groups apart, but all names match it by {parts[0]!r}")
    return np.array(parts)


# --- subsets and mirror images ----------------------------------------------------------------------------------------


def _some_groups(
    source: ImageSource, labels: npt.NDArray[Any], numbers: GroupLabels, how: str, limit: int
) -> ImageSource:
    """A random choice of whole groups with at most `limit` images."""
    sizes = np.bincount(numbers.numbers)
    order = np.random.default_rng(SUBSET_SEED).permutation(numbers.count)
    filled = np.cumsum(sizes[order])
    fitting = int(np.searchsorted(filled, limit, side="right"))
    if fitting < 2:
        raise DataError(f"limit must be at least {filled[1]:,}, so that two whole groups are kept, got {limit:,}")
    chosen = np.zeros(numbers.count, dtype=bool)
    chosen[order[:fitting]] = True
    kept = chosen[numbers.numbers]
    places = np.flatnonzero(kept)

    def blocks(rows: int) -> Iterator[FloatArray]:
        first = 0
        for batch in source.reader(rows):
            inside = kept[first : first + len(batch)]
            first += len(batch)
            if inside.any():
                yield batch[inside]

    own_labels, own_names = source.labels, source.names
    some = replace(
        source,
        count=len(places),
        reader=lambda rows: rebatch(blocks(rows), rows),
        labels=None if own_labels is None else lambda: own_labels()[kept],
        names=None
        if own_names is None
        else lambda: [name for name, keep in zip(own_names(), kept, strict=True) if keep],
        provenance=replace(
            source.provenance,
            subset=f"{len(places):,} of {len(kept):,} images: {fitting:,} of {numbers.count:,} groups, a random choice "
            f"(seed {SUBSET_SEED})",
        ),
    )
    return _in_groups(some, labels[kept], group_numbers(labels[kept]), how)


def with_mirror_images(source: ImageSource, vae: object = None) -> ImageSource:
    """The source of models that are trained with random horizontal flips.

    Raises
    ------
    DataError
        Its images are vectors, which have no mirror image, or are to be encoded by an autoencoder `vae`.
    """
    if vae is not None:
        raise DataError(
            "flip does not apply with vae: the mirror image of a latent is not the latent of a mirror image"
        )
    try:
        width_axis(source.shape)
    except ValueError as error:
        raise DataError(f"flip needs images with rows and columns, got the shape {source.shape}: give shape") from error
    note = (
        "each image and its mirror image, as in training with random horizontal flips; sizes count images without them"
    )
    provenance = replace(source.provenance, processing=(*source.provenance.processing, note))
    return replace(source, provenance=provenance, flip=True)
