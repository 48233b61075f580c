"""Samples of any kind, read once: what a population needs of them, and what was found about them while they were read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ._checks import choice, integer, lengths_of, sample_shape
from ._independence import COPIES
from ._progress import CountProgress, counted
from ._repr import short_repr
from ._samples import ImageBatches, SampleBatches, SampleModes, SampleReader, count_of
from .groups import GroupLabels, group_numbers
from .moments import has_variance
from .provenance import Provenance

__all__ = ["KnownSamples", "SamplesRead", "finished", "known_of", "read_samples"]


class SamplesRead(NamedTuple):
    """What was read: mean and modes, shape of a sample, number of samples that count, number of groups, versions of each sample,
    and the provenance."""

    modes: SampleModes
    shape: tuple[int, ...]
    sample_size: int
    group_count: int | None
    versions: int
    provenance: Provenance

    def __repr__(self) -> str:
        return short_repr(self)


class KnownSamples(NamedTuple):
    """What is known of samples before they are read, from the caller and, where the caller says nothing, from the image source."""

    shape: tuple[int, ...] | None
    groups: Any
    flip: bool
    provenance: Provenance | str | None
    names: Callable[[], Sequence[str]] | None

    def __repr__(self) -> str:
        return short_repr(self)


def known_of(
    images: Any, *, shape: tuple[int, ...] | None, groups: Any, flip: bool, provenance: Provenance | str | None
) -> KnownSamples:
    """What the caller and the image source say of samples; the caller comes first, and either of them can ask for mirror images."""
    names = None
    if shape is not None:
        shape = lengths_of(shape)
    if isinstance(images, ImageBatches):
        shape = images.shape if shape is None else shape
        provenance = images.provenance if provenance is None else provenance
        names = getattr(images, "names", None)
        own, flip = getattr(images, "groups", None), flip or bool(getattr(images, "flip", False))
        groups = own() if groups is None and own is not None else groups
    return KnownSamples(shape=shape, groups=groups, flip=flip, provenance=provenance, names=names)


def read_samples(
    images: Any,
    *,
    shape: tuple[int, ...] | None,
    profiles: int,
    groups: Any,
    flip: bool,
    copies: str,
    provenance: Provenance | str | None,
    progress: CountProgress,
) -> SamplesRead:
    """Read samples; parameters and errors are those of :meth:`kappaflow.Population.from_samples`."""
    count = count_of(images)
    known = known_of(images, shape=shape, groups=groups, flip=flip, provenance=provenance)
    labels = None if known.groups is None else group_numbers(known.groups)
    if labels is not None and count is not None:
        labels.require(count)
    grouped = labels is not None and not labels.independent
    once = choice("copies", copies, COPIES) == "once" and not grouped
    reader = SampleReader(
        integer("profiles", profiles, 0), labels, image_shape=known.shape, flip=known.flip, count=count
    )
    with counted(progress, "reading images", count) as report:
        samples = SampleBatches(images, known.shape)
        for batch in samples:
            reader.add(batch, samples.dtype)
            report(reader.seen)
    read = samples.provenance(known.provenance)
    return finished(reader, read, shape=known.shape, labels=labels, once=once, names=known.names)


def finished(
    reader: SampleReader,
    known: Provenance,
    *,
    shape: tuple[int, ...] | None,
    labels: GroupLabels | None,
    once: bool,
    names: Callable[[], Sequence[str]] | None,
    ordered: bool = True,
) -> SamplesRead:
    """What a reader has read, after its last sample.

    Parameters
    ----------
    reader : has read all samples
    known : what is known of the samples without having read them
    shape : shape of a sample, None for that of the samples
    labels : groups, if there are any
    once : whether copies count once
    names : gives the names of files
    ordered : whether alike neighbours are a doubt; not if samples are known to be sorted by class, and not alike beyond that

    Raises
    ------
    ValueError
        Fewer than two samples, samples that are all equal, another number of samples than of labels, or a shape of another
        number of entries than the samples.
    """
    grouped = labels is not None and not labels.independent
    modes = reader.modes()
    found = modes.independence
    seen = found if ordered else replace(found, worth=None)
    warnings = seen.warnings(
        once=once,
        grouped=grouped,
        flip=reader.flip,
        rank=int(has_variance(modes.eigenvalues).sum()),
        varying=modes.varying,
        names=names,
    )
    known = replace(known, distinct=found.text(names), warnings=(*known.warnings, *warnings))
    size = int(found.independent(flip=reader.flip).sum()) if once else reader.seen
    group_count = size if reader.flip else None  # an image and its mirror image
    return SamplesRead(
        modes=modes,
        shape=sample_shape(reader.shape if shape is None else shape, modes.mean.shape),
        sample_size=size,
        group_count=labels.count if grouped and labels is not None else group_count,
        versions=2 if reader.flip else 1,
        provenance=known,
    )
