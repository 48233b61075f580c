"""One population for each class of labelled images, and one for all of them together, in one reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._checks import FloatArray, choice, integer
from ._independence import COPIES
from ._listing import listed
from ._progress import CountProgress, counted
from ._reading import SamplesRead, finished, known_of
from ._repr import ShortRepr
from ._samples import SampleBatches, SampleReader, count_of
from ._tables import Columns, Tabular
from .class_labels import NO_CLASS, ClassLabels, class_labels
from .groups import GroupLabels, group_numbers
from .memory import require_memory
from .population import Population
from .provenance import Provenance

__all__ = ["ClassPopulation", "ClassPopulations", "populations_by_class"]

#: Names of classes in a message.
_NAMED = 5


@dataclass(frozen=True, repr=False)
class ClassPopulation(ShortRepr):
    """The images of one class.

    Attributes
    ----------
    name : of the class
    images : number of its images; copies within the class count once, unless they are independent
    share : share of the class in the images of all classes and those without one
    population : mean and eigenmodes of the class; None if it has fewer than two different images
    problem : why there is no population; nothing if there is one
    """

    name: str
    images: int
    share: float
    population: Population | None
    problem: str = ""


@dataclass(frozen=True, repr=False)
class ClassPopulations(ShortRepr, Tabular):
    """The population of all images, and one of each class; all have the same pixels.

    Attributes
    ----------
    mixture : all images, also those without a class
    classes : each class, in the order of their names
    without_class : number of images without a class
    origin : where the labels come from, in words
    """

    mixture: Population
    classes: tuple[ClassPopulation, ...]
    without_class: int
    origin: str

    def _columns(self) -> Columns:
        return {
            "class": [one.name for one in self.classes],
            "images": [one.images for one in self.classes],
            "share": [one.share for one in self.classes],
            "problem": [one.problem for one in self.classes],
        }

    def __getitem__(self, name: object) -> ClassPopulation:
        """The class of this name.

        Raises
        ------
        KeyError
            There is none.
        """
        for one in self.classes:
            if one.name == str(name):
                return one
        raise KeyError(f"there is no class {name!r}")


def populations_by_class(
    images: Any,
    labels: Any = None,
    *,
    shape: tuple[int, ...] | None = None,
    profiles: int = 0,
    groups: Any = None,
    flip: bool = False,
    copies: str = "once",
    provenance: Provenance | str | None = None,
    progress: CountProgress = None,
) -> ClassPopulations:
    """Mean and eigenmodes of each class and of all images together, in one reading.

    The values of all classes become pixels in the same way, which all images together decide. While images are read, a class of
    N_c images takes 8 d·min(N_c, d) bytes, and 12 d bytes for each of its profiles.

    Parameters
    ----------
    images : as of :meth:`Population.from_samples`
    labels : (N,) integers, texts or whole floats, or (N, K) one-hot rows, in the order of the images; by default the labels of an
        image source: those of its data or its subfolders. NaN, None and empty texts mean that an image has no class: it counts
        in the mixture alone.
    shape, groups, flip, copies, provenance, progress : as of :meth:`Population.from_samples`; copies are counted within each class,
        and the images of a group that are of one class stay together
    profiles : number of samples of each class to keep in mode coordinates

    Raises
    ------
    TypeError
        No labels for images that have none of their own; or as :meth:`Population.from_samples`.
    ValueError
        Another number of labels than of images, labels that are no classes, fewer than two classes, groups together with classes
        that are known only while images are read; or as
        :meth:`Population.from_samples`.
    MemoryError
        The classes do not fit in memory; the message states the memory that they need.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.random.default_rng(0).standard_normal((60, 4))
    >>> found = populations_by_class(images, np.repeat(["cat", "dog"], [40, 20]))
    >>> [(one.name, one.images, one.population) for one in found.classes]
    [('cat', 40, Population(dimension=4, modes=4, shape=(4,), from 40 samples)), \
('dog', 20, Population(dimension=4, modes=4, shape=(4,), from 20 samples))]
    """
    known = _Labels(images, labels)
    said = known_of(images, shape=shape, groups=groups, flip=flip, provenance=provenance)
    once = choice("copies", copies, COPIES) == "once"
    members = None if said.groups is None else known.groups(said.groups)
    sorter = _Sorter(integer("profiles", profiles, 0), known, said.shape, groups=members, flip=said.flip)
    samples = SampleBatches(images, said.shape)
    with counted(progress, "reading images", count_of(images)) as report:
        for batch in samples:
            sorter.add(batch, samples.dtype)
            report(sorter.mixture.seen)
    known.of(0, sorter.mixture.seen).require(sorter.mixture.seen)
    known.known.require_several()
    return sorter.populations(samples.provenance(said.provenance), once=once, names=said.names)


class _Labels:
    """The labels of images that are being read."""

    def __init__(self, images: Any, labels: Any) -> None:
        self._read: Callable[[], ClassLabels] | None = None
        count = count_of(images)
        if labels is not None:
            self.known = labels if isinstance(labels, ClassLabels) else class_labels(labels)
        else:
            self._read = getattr(images, "class_labels", None)
            if self._read is None:
                raise TypeError(
                    "labels must be given, one for each image: only image sources, as of open_images, have labels of their own"
                )
            self.known = self._read()
        if count is not None:
            self.known.require(count)
            self.known.require_several()
            self._read = None  # they are those of all images

    def groups(self, labels: Any) -> _Groups:
        """The groups of all images and those of each class, from the labels (N,) of groups.

        Raises
        ------
        TypeError
            Labels that are neither integers nor strings.
        ValueError
            Another number of labels than of images, or classes that are known only while images are read.
        """
        if self._read is not None:
            raise ValueError(
                "groups need classes that are known before the images are read, got labels that come with them"
            )
        everything, numbers = group_numbers(labels), self.known.numbers
        everything.require(len(numbers))
        return _Groups(everything, numbers)

    def count(self, number: int | None = None) -> int | None:
        """The number of all images, or of those of one class; None if it is not known before they are read."""
        if self._read is not None:
            return None
        return len(self.known.numbers) if number is None else int(self.known.counts[number])

    def of(self, first: int, count: int) -> ClassLabels:
        """The labels, which hold those of `count` images from number `first` on.

        Raises
        ------
        ValueError
            There are too few.
        """
        if self._read is not None:  # corrupt files have no label, and iterables have those of the items read so far
            self.known = self._read()
        if len(self.known.numbers) < first + count:
            self.known.require(first + count)
        return self.known


@dataclass(frozen=True)
class _Groups:
    """The groups of all images, and the number (N,) of the class of each image."""

    everything: GroupLabels
    classes: npt.NDArray[np.int64]

    def of(self, number: int) -> GroupLabels | None:
        """The groups of one class; None if it has one group only."""
        members = self.everything.numbers[self.classes == number]
        return group_numbers(members) if len(np.unique(members)) > 1 else None


class _OfClass(NamedTuple):
    """A class, and whether neighbours within it are alike."""

    answer: ClassPopulation
    alike: bool


class _Sorter:
    """Reads batches of images into a reader for all of them and one for each class."""

    def __init__(
        self,
        profiles: int,
        labels: _Labels,
        shape: tuple[int, ...] | None,
        *,
        groups: _Groups | None,
        flip: bool,
    ) -> None:
        everything = None if groups is None else groups.everything
        self.mixture = SampleReader(profiles, everything, image_shape=shape, flip=flip, count=labels.count())
        self._groups, self._flip = groups, flip
        self._of_class: dict[str, GroupLabels | None] = {}
        self._profiles, self._labels, self._shape = profiles, labels, shape
        self._readers: dict[str, SampleReader] = {}
        self._places: dict[str, list[npt.NDArray[np.int64]]] = {}

    def add(self, batch: FloatArray, dtype: npt.DTypeLike) -> None:
        """Add a batch (B, ...) of values that numbers of `dtype` hold."""
        first = self.mixture.seen
        labels = self._labels.of(first, len(batch))
        if not self._readers:
            _require_class_memory(labels, int(np.prod(batch.shape[1:])), self._profiles)
        self.mixture.add(batch, dtype)
        numbers = labels.numbers[first : first + len(batch)]
        for number in np.unique(numbers[numbers != NO_CLASS]).tolist():
            name, rows = labels.names[number], np.flatnonzero(numbers == number)
            if name not in self._readers:
                members = None if self._groups is None else self._groups.of(number)
                self._of_class[name] = members
                self._readers[name] = SampleReader(
                    self._profiles, members, image_shape=self._shape, flip=self._flip, count=self._labels.count(number)
                )
                self._places[name] = []
            self._readers[name].add(batch[rows], dtype)
            self._places[name].append(first + rows)

    def populations(
        self, known: Provenance, *, once: bool, names: Callable[[], Sequence[str]] | None
    ) -> ClassPopulations:
        """The populations of what was read; each reader is dropped once it is used.

        Images that are sorted by class have alike neighbours. This is a doubt about the mixture only if neighbours within a class
        are alike too.
        """
        labels, found, alike = self._labels.known, [], False
        for name in labels.names:
            places = np.concatenate(self._places.pop(name, [np.empty(0, dtype=np.int64)]))
            of_class = replace(known, what=f"class {name} of {known.what}" if known.what else f"class {name}")
            one = self._class(name, of_class, once, _some(names, places))
            found.append(one.answer)
            alike = alike or one.alike
        groups = None if self._groups is None else self._groups.everything
        read = self._finished(self.mixture, known, groups, once, names, ordered=alike)
        doubts = _doubts(labels, read.modes.independence.first)
        read = read._replace(provenance=replace(read.provenance, warnings=(*read.provenance.warnings, *doubts)))
        total = sum(one.images for one in found) + labels.without_class
        return ClassPopulations(
            mixture=Population.of_read(read),
            classes=tuple(replace(one, share=one.images / total) for one in found),
            without_class=labels.without_class,
            origin=labels.origin,
        )

    def _finished(
        self,
        reader: SampleReader,
        known: Provenance,
        groups: GroupLabels | None,
        once: bool,
        names: Callable[[], Sequence[str]] | None,
        *,
        ordered: bool = True,
    ) -> SamplesRead:
        """What a reader has read; copies are no copies where groups say what belongs together."""
        once = once and (groups is None or groups.independent)
        return finished(reader, known, shape=self._shape, labels=groups, once=once, names=names, ordered=ordered)

    def _class(self, name: str, known: Provenance, once: bool, names: Callable[[], Sequence[str]] | None) -> _OfClass:
        """The population of one class, whose reader is dropped."""
        reader = self._readers.pop(name, None)
        count = 0 if reader is None else reader.seen
        if reader is None or count < 2:
            problem = f"it has {count} image{'s' * (count != 1)}, and needs 2"
        elif reader.all_equal:
            problem = f"its {count:,} images are all equal"
        elif self._groups is not None and self._of_class[name] is None:
            problem = f"its {count:,} images are of one group, and it needs 2"
        else:
            read = self._finished(reader, known, self._of_class[name], once, names)
            answer = ClassPopulation(name=name, images=read.sample_size, share=0.0, population=Population.of_read(read))
            return _OfClass(answer, read.modes.independence.worth is not None)
        answer = ClassPopulation(name=name, images=count, share=0.0, population=None, problem=problem)
        return _OfClass(answer, alike=False)


def _some(
    names: Callable[[], Sequence[str]] | None, places: npt.NDArray[np.int64]
) -> Callable[[], Sequence[str]] | None:
    """The names of some of the images."""
    if names is None:
        return None
    given = names

    def of_places() -> Sequence[str]:
        known = given()
        return [known[place] for place in places.tolist() if place < len(known)]

    return of_places


def _doubts(labels: ClassLabels, first: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """What is said about images without a class and images of several classes; `first` (N,) is the image that each is equal to."""
    texts = []
    if labels.without_class:
        verb = "image has" if labels.without_class == 1 else "images have"
        texts.append(f"{labels.without_class:,} {verb} no class: they count among all images, and in no class")
    numbers = labels.numbers[: len(first)]
    apart = (numbers != numbers[first]) & (numbers != NO_CLASS) & (numbers[first] != NO_CLASS)
    several = np.unique(first[apart])
    if several.size:
        pairs = [f"{labels.names[numbers[first[k]]]} and {labels.names[numbers[k]]}" for k in np.flatnonzero(apart)]
        named = listed(dict.fromkeys(pairs), _NAMED)
        verb = "image stands" if several.size == 1 else "images stand"
        texts.append(f"{several.size:,} {verb} in several classes ({named}), and is counted in each of them")
    return tuple(texts)


def _require_class_memory(labels: ClassLabels, dimension: int, profiles: int) -> None:
    """Check that the images or the covariances of all classes fit in the free memory.

    Raises
    ------
    MemoryError
        They do not.
    """
    counts = np.append(labels.counts, len(labels.numbers)).astype(np.float64)
    need = 8 * dimension * (np.minimum(counts, dimension).sum() + 3 * min(counts[-1], dimension))
    need += 12 * dimension * np.minimum(counts, profiles).sum()
    require_memory(
        need,
        f"reading {len(labels.names):,} classes of {dimension:,} dimensions",
        "use smaller images with --size (in Python size=), fewer images with --limit (in Python limit=) or fewer --profiles (in "
        "Python profiles=), or read the classes one at a time",
    )
