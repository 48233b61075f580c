"""Images that belong together (patients, clips, crops of one photograph, an image and its mirror image): labels, groups, sizes.

Groups are independent of one another, their members are not, and a training set is drawn by whole groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray, positive, refuse_masked
from ._repr import ShortRepr

if TYPE_CHECKING:
    from .population import Population

__all__ = [
    "GroupArray",
    "GroupLabels",
    "UncorrelatedRows",
    "by_group",
    "draw_groups",
    "group_numbers",
    "group_starts",
    "images_of_groups",
    "require_groups",
    "uncorrelated_rows",
]

GroupArray = npt.NDArray[np.int64]

#: Rows of a group whose size is below this fraction of the mean size are rounding errors: the group has fewer directions than rows.
_NO_ROW = 1e-10
#: Whole groups may hold so many times the images that are asked for.
_MOST_OVER = 4


@dataclass(frozen=True, repr=False)
class GroupLabels(ShortRepr):
    """Groups of N images.

    Attributes
    ----------
    numbers : (N,) number of the group of each image, from 0 in the order of first appearance
    count : number of groups
    """

    numbers: GroupArray
    count: int

    @property
    def independent(self) -> bool:
        """Whether every group has one member."""
        return self.count == len(self.numbers)

    @property
    def worth(self) -> float:
        """How many groups of equal size they are worth: (Σm)²/Σm² of the sizes m."""
        sizes = np.bincount(self.numbers).astype(np.float64)
        return float(sizes.sum() ** 2 / np.square(sizes).sum())

    def require(self, images: int) -> None:
        """Check that there is one label for each image.

        Raises
        ------
        ValueError
            There are more or fewer.
        """
        if len(self.numbers) != images:
            raise ValueError(
                f"groups must hold one label for each of the {images} samples, got {len(self.numbers)} labels"
            )


def group_numbers(labels: Any) -> GroupLabels:
    """The groups that labels stand for: images with equal labels belong to one group.

    Parameters
    ----------
    labels : (N,) integers or strings, in the order of the images

    Raises
    ------
    TypeError
        Labels that are neither integers nor strings.
    ValueError
        Another shape, or fewer than two groups.
    """
    refuse_masked("groups", labels)
    array = np.asarray(labels)
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array.ravel()):
        array = array.astype(str)
    if array.dtype.kind not in "iuU":
        raise TypeError(f"groups must hold integers or strings, one for each image, got dtype {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"groups must have shape (N,), one label for each image, got shape {array.shape}")
    _, first, inverse = np.unique(array, return_index=True, return_inverse=True)
    if len(first) < 2:
        raise ValueError(f"groups must hold at least 2 different labels, got {len(first)}")
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return GroupLabels(rank[inverse.ravel()], len(first))


def draw_groups(labels: GroupLabels, images: int) -> npt.NDArray[np.bool_]:
    """(N,) which images to keep as profiles: all members of a seeded random choice of groups, about `images` in total.

    The number of groups is `images` divided by the mean size, at least 2. It does not depend on the sizes of the groups that are
    drawn, so that large and small groups are kept equally often.

    Raises
    ------
    ValueError
        Two groups hold many more images.
    """
    size = len(labels.numbers) / labels.count
    wanted = max(2, round(images / size)) if images else 0
    if wanted >= labels.count:
        return np.ones(len(labels.numbers), dtype=bool)
    kept = np.zeros(labels.count, dtype=bool)
    kept[np.argsort(np.random.default_rng(0).random(labels.count), kind="stable")[:wanted]] = True
    chosen = kept[labels.numbers]
    if chosen.sum() > _MOST_OVER * images:
        raise ValueError(
            f"profiles must be at least {-(-int(chosen.sum()) // _MOST_OVER):,}, because two groups hold {chosen.sum():,} images, "
            f"got {images:,}; with fewer images (limit) groups of patches are smaller"
        )
    return chosen


def by_group(labels: GroupLabels) -> GroupArray:
    """(N,) the images in an order in which members of a group are neighbours, groups in the order of their numbers."""
    return np.argsort(labels.numbers, kind="stable").astype(np.int64)


def require_groups(groups: Any, profiles: int) -> GroupArray:
    """Group numbers of M profiles, checked: (M,) from 0, ascending without gaps, so that members of a group are neighbours.

    Raises
    ------
    ValueError
        Any other array.
    """
    array = np.asarray(groups)
    if profiles == 0 or array.shape != (profiles,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"groups must hold one integer for each of the {profiles} profiles, got shape {array.shape} and dtype {array.dtype}"
        )
    if array[0] != 0 or not np.isin(np.diff(array.astype(np.int64)), (0, 1)).all():
        raise ValueError("groups must number the profiles from 0 without gaps, members of a group next to each other")
    return array.astype(np.int64)


def group_starts(groups: GroupArray) -> GroupArray:
    """(P + 1,) first profile of each of P groups, and the number of profiles, from the group numbers (M,)."""
    return np.append(np.flatnonzero(np.diff(groups, prepend=-1)), len(groups)).astype(np.int64)


def images_of_groups(population: Population, groups: float) -> int:
    """How many images a number of groups of a population hold on average: groups × mean size, rounded.

    Raises
    ------
    TypeError, ValueError
        `groups` is not a finite number above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from kappaflow import Population
    >>> frames = np.random.default_rng(0).standard_normal((60, 4))
    >>> images_of_groups(Population.from_samples(frames, groups=np.repeat(np.arange(20), 3)), 10)
    30
    """
    return round(positive("groups", groups) * population.group_size)


@dataclass(frozen=True, repr=False)
class UncorrelatedRows(ShortRepr):
    """Rows that are orthogonal within each group and span what its members span.

    Attributes
    ----------
    rows : (M′, k) float32; their mean square in each mode is that of the profiles
    fraction : M′/M. M′ < M if groups have fewer directions than members, as with copies.
    """

    rows: npt.NDArray[np.float32]
    fraction: float


def uncorrelated_rows(
    profiles: npt.NDArray[np.float32], groups: GroupArray, eigenvalues: FloatArray
) -> UncorrelatedRows:
    """The rows of each group, rotated among themselves until they are orthogonal; rows without size are left out.

    A rotation within a group changes no covariance. If the members are correlated in the same way in all modes, Z = C^½ W Σ^½ with
    Gaussian W, the rotated rows are independent samples whose squared sizes are the eigenvalues of C: samples of unequal size, for
    which the elliptical law has a closed form. Rows are made orthogonal in the metric 1/(s+u), u = tr Σ/M.

    Parameters
    ----------
    profiles : (M, k) profiles
    groups : (M,) their group numbers
    eigenvalues : (k,)
    """
    starts = group_starts(groups)
    sizes = np.diff(starts)
    shift = max(float(eigenvalues.sum()) / len(profiles), np.finfo(np.float64).tiny)
    metric = 1 / np.sqrt(eigenvalues + shift)
    rotated, weight = np.empty_like(profiles), np.empty(len(profiles))
    for size in np.unique(sizes):
        chosen = starts[:-1][sizes == size]
        at_once = max(1, 2**22 // int(size * max(size, profiles.shape[1])))
        for first in range(0, len(chosen), at_once):
            places = chosen[first : first + at_once, None] + np.arange(size)
            members = profiles[places].astype(np.float64)
            scaled = members * metric
            values, vectors = np.linalg.eigh(scaled @ scaled.transpose(0, 2, 1))
            rotated[places] = vectors.transpose(0, 2, 1) @ members
            weight[places] = values
    kept = weight > _NO_ROW * weight.mean()
    fraction = float(kept.mean())
    return UncorrelatedRows(np.ascontiguousarray(rotated[kept] * np.float32(np.sqrt(fraction))), fraction)
