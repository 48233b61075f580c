"""The population: mean, eigenvalues and eigenmodes of the data."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from . import _core
from ._checks import FloatArray, number, real_array, sample_shape, spectrum_arrays
from ._independence import without_copies
from ._population_fields import checked_fields
from ._population_files import read_population, write_population
from ._progress import CountProgress
from ._reading import SamplesRead, read_samples
from ._row_modes import along
from ._tables import Columns, Tabular, html_table
from .groups import GroupArray, uncorrelated_rows
from .moments import has_variance, linear_algebra, require_matrices, symmetric_eigensystem
from .profiles import ProfileArray, profiles_of
from .provenance import Provenance

__all__ = ["Population"]

#: Asymmetry and negative eigenvalues up to this fraction of the largest eigenvalue count as rounding errors.
COVARIANCE_TOLERANCE = 1e-10


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Population(Tabular):
    """Mean, eigenvalues and eigenmodes of a data distribution; immutable, knows nothing of n.

    Build one with :meth:`from_samples`, :meth:`from_covariance`, :meth:`from_spectrum` or :meth:`load`, and a changed copy with
    :meth:`replace`. All arrays are read-only.

    Attributes
    ----------
    eigenvalues : (k,) descending, ≥ 0. k = d, or the rank if there were fewer samples than dimensions; the other d − k modes
        then have zero variance.
    multiplicity : (k,) how often each eigenvalue occurs (all 1 if there are eigenvectors)
    dimension : d, the number of values of one sample
    mean : (d,), zeros if only the spectrum is known
    eigenvectors : (d, k) columns = modes, or None if only the spectrum is known; float32 if fewer float32 samples than d gave them
    shape : shape of one sample
    sample_size : number of samples it was estimated from, None if it is exact
    profiles : (M, k) float32 mode coordinates of a random subset of the samples, or None; scaled so that the mean square of
        each mode is its eigenvalue. The empirical law uses them in addition to the covariance.
    groups : (M,) number of the group of each profile, from 0 and ascending, or None if samples are independent. Groups are
        independent of one another; their members (frames of a clip, an image and its mirror image) are not.
    group_count : number of groups among the samples, None if samples are independent
    versions : versions of each sample that a training set holds: 2 with random horizontal flips, the sample and its mirror
        image, else 1. The versions of a sample are in one group. `sample_size` and n count samples, `profiles` hold versions.
    provenance : where the samples come from, what was left out, and how pixels were scaled
    """

    eigenvalues: FloatArray
    multiplicity: FloatArray
    dimension: int
    mean: FloatArray
    eigenvectors: FloatArray | None
    shape: tuple[int, ...]
    sample_size: int | None
    profiles: ProfileArray | None
    groups: GroupArray | None
    group_count: int | None
    versions: int
    provenance: Provenance

    def __init__(
        self,
        eigenvalues: FloatArray,
        multiplicity: FloatArray,
        *,
        dimension: int,
        mean: FloatArray | None = None,
        eigenvectors: FloatArray | None = None,
        shape: tuple[int, ...] | None = None,
        sample_size: int | None = None,
        profiles: ProfileArray | None = None,
        groups: GroupArray | None = None,
        group_count: int | None = None,
        versions: int = 1,
        provenance: Provenance | None = None,
    ) -> None:
        """Set the fields; `mean` is zero, `shape` is (d,) and `group_count` is that of the profiles by default.

        `multiplicity` may be one number for all modes.

        Raises
        ------
        TypeError
            Values of another type.
        ValueError
            Values that no population can have: eigenvalues that do not descend or are negative, eigenvectors that are not
            orthonormal to 1e-5, profiles whose mean square is not the eigenvalue, groups that do not number the profiles from 0
            without gaps, other shapes, sizes below 1, NaN or infinite values.
        """
        given = {"eigenvalues": eigenvalues, "multiplicity": multiplicity, "dimension": dimension, "mean": mean}
        given |= {"eigenvectors": eigenvectors, "shape": shape, "sample_size": sample_size, "profiles": profiles}
        given |= {"groups": groups, "group_count": group_count, "versions": versions, "provenance": provenance}
        self.__setstate__(checked_fields(given))

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        origin = "exact" if self.sample_size is None else f"from {self.sample_size} samples"
        origin += "" if self.group_count is None else f" in {self.group_count} groups"
        origin += " with their mirror images" if self.versions > 1 else ""
        return f"Population(dimension={self.dimension}, modes={len(self.eigenvalues)}, shape={self.shape}, {origin})"

    def _columns(self) -> Columns:
        """The modes: number from 1, eigenvalue, multiplicity, and the cumulative share of the variance."""
        variance = self.eigenvalues * self.multiplicity
        total = self.total_variance
        return {
            "mode": np.arange(1, len(variance) + 1),
            "eigenvalue": self.eigenvalues,
            "multiplicity": self.multiplicity,
            "share": np.cumsum(variance) / total if total > 0 else np.zeros_like(variance),
        }

    def _repr_html_(self) -> str:
        """The facts in a notebook; :meth:`to_dataframe` has the modes."""
        facts = {
            "dimension": f"{self.dimension:,}",
            "shape": " × ".join(map(str, self.shape)),
            "modes": f"{len(self.eigenvalues):,}, {int(has_variance(self.eigenvalues).sum()):,} with variance",
            "samples": "exactly known" if self.sample_size is None else f"{self.sample_size:,}",
            "groups": "none" if self.group_count is None else f"{self.group_count:,}",
            "profiles": "none" if self.profiles is None else f"{len(self.profiles):,}",
            "total variance": f"{self.total_variance:.4g}",
            "description": self.provenance.description,
        }
        return html_table({"": list(facts), " ": list(facts.values())}, caption="Population")

    def replace(self, **changes: Any) -> Population:
        """A copy with other values of the named fields; this population does not change.

        Raises
        ------
        TypeError
            A name that is no field.

        Examples
        --------
        >>> Population.from_spectrum([2.0, 1.0]).replace(provenance=Provenance("toy")).provenance.description
        'toy'
        """
        return dataclasses.replace(self, **changes)

    @classmethod
    def from_samples(
        cls,
        images: Any,
        *,
        shape: tuple[int, ...] | None = None,
        profiles: int = 0,
        groups: Any = None,
        flip: bool = False,
        copies: str = "once",
        provenance: Provenance | str | None = None,
        progress: CountProgress = None,
    ) -> Population:
        """Population whose mean and covariance (divisor N) are those of N samples.

        Parameters
        ----------
        images : (N, ...) array, memmap or torch tensor, an iterable of such batches, or an image source
            The first axis counts samples; items of an iterable can also be single samples, or pairs (samples, labels). Floats are
            used as they are, integers are pixels: 0…255 become [−1, 1]. An image source, which
            :func:`kappaflow.datasets.open_images` returns, determines the scaling and the shape of an image.
        shape : tuple, optional
            Shape of one sample, if samples are flat.
        profiles : int
            Number of samples to keep in mode coordinates for the elliptical and the empirical law: a seeded random subset, or
            all samples if there are fewer. They take 4·k bytes each, and three times that while images are read.
        groups : (N,) integers or strings, optional
            A label for each sample, in the order of the samples: those with equal labels belong together (patients, clips, crops
            of one photograph, an image and its mirror image). Profiles are then whole groups, about `profiles` samples in total.
            Labels that are all different mean independent samples, as without labels. By default those of the image source.
        flip : bool
            Add the mirror image of each sample: the population of models that are trained with random horizontal flips. Sizes
            still count samples. An image source can require it.
        copies : str
            "once": equal samples without groups count as one in `sample_size`; mean, covariance and profiles keep them all.
            Blank images are no copies. "independent": equal samples are independent. The provenance says what was found.
        provenance : Provenance or str, optional
            Where the samples come from; by default that of the image source, which states how pixels were scaled.
        progress : bool or callable
            True shows a progress bar on a terminal and in a notebook. A callable is called with the number of samples seen so
            far after each batch.

        Raises
        ------
        TypeError
            `images` is not of these types, or does not hold real numbers; labels that are neither integers nor strings.
        ValueError
            NaN or infinite values, fewer than two samples, samples that are all equal, or batches of different shapes; another
            number of labels than of samples; integers whose range, or items whose axes, can be read in two ways; `flip` for
            vectors, which have no mirror image.
        MemoryError
            The d×d covariance does not fit; the message states the memory that it needs.

        Examples
        --------
        >>> import numpy as np
        >>> Population.from_samples(np.random.default_rng(0).standard_normal((50, 2, 3)))
        Population(dimension=6, modes=6, shape=(2, 3), from 50 samples)
        """
        read = read_samples(
            images,
            shape=shape,
            profiles=profiles,
            groups=groups,
            flip=flip,
            copies=copies,
            provenance=provenance,
            progress=progress,
        )
        return cls.of_read(read)

    @classmethod
    def of_read(cls, read: SamplesRead) -> Population:
        """The population of samples that were read; profiles become mode coordinates."""
        modes, kept = read.modes, None
        if modes.subset is not None:
            kept = profiles_of(modes.subset, modes.mean, modes.eigenvectors, modes.eigenvalues)
        return cls(
            modes.eigenvalues,
            np.ones_like(modes.eigenvalues),
            dimension=modes.mean.size,
            mean=modes.mean,
            eigenvectors=modes.eigenvectors,
            shape=read.shape,
            sample_size=read.sample_size,
            profiles=kept,
            groups=modes.groups,
            group_count=read.group_count,
            versions=read.versions,
            provenance=read.provenance,
        )

    @classmethod
    def from_covariance(cls, covariance: Any, mean: Any = None, *, shape: tuple[int, ...] | None = None) -> Population:
        """Population with an exactly known covariance.

        Parameters
        ----------
        covariance : (d, d)
            Symmetric and positive semi-definite to 1e-10 of its largest eigenvalue.
        mean : (d,), optional
            Zero by default.
        shape : tuple, optional
            Shape of one sample; (d,) by default.

        Raises
        ------
        TypeError
            Values that are not real numbers.
        ValueError
            NaN or infinite values; a matrix that is not square, symmetric and positive semi-definite; another length of the
            mean.
        MemoryError
            Three d×d matrices do not fit.
        """
        matrix = real_array("covariance", covariance)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
            raise ValueError(f"covariance must be a square matrix, got shape {matrix.shape}")
        dimension = len(matrix)
        centre = np.zeros(dimension) if mean is None else real_array("mean", mean).ravel().copy()
        if centre.size != dimension:
            raise ValueError(f"mean must have {dimension} entries, like the covariance, got {centre.size}")
        require_matrices(dimension)
        asymmetry = float(np.abs(matrix - matrix.T).max())
        values, vectors = symmetric_eigensystem(0.5 * (matrix + matrix.T))
        allowed = COVARIANCE_TOLERANCE * max(float(np.abs(values).max()), np.finfo(np.float64).tiny)
        if asymmetry > allowed:
            raise ValueError(f"covariance must be symmetric to {allowed:.3g}, got an asymmetry of {asymmetry:.3g}")
        if values[-1] < -allowed:
            raise ValueError(f"covariance must have no eigenvalue below {-allowed:.3g}, got {values[-1]:.3g}")
        return cls(
            np.maximum(values, 0.0),
            np.ones(dimension),
            dimension=dimension,
            mean=centre,
            eigenvectors=vectors,
            shape=sample_shape(shape, (dimension,)),
        )

    @classmethod
    def from_spectrum(cls, eigenvalues: Any, multiplicity: Any = None) -> Population:
        """Population that is known only by its spectrum.

        Parameters
        ----------
        eigenvalues : (k,)
            ≥ 0, in any order; they are sorted.
        multiplicity : (k,), optional
            How often each eigenvalue occurs, whole numbers. If all are 1, inputs are interpreted as mode coordinates.

        Raises
        ------
        TypeError
            Values that are not real numbers.
        ValueError
            Negative, NaN or infinite values, other shapes, or multiplicities that are not whole.
        """
        values, counts = spectrum_arrays(eigenvalues, multiplicity)
        if np.any(counts != np.round(counts)):
            raise ValueError("multiplicity must hold whole numbers, got " + str(counts[counts != np.round(counts)][0]))
        order = np.argsort(-values, kind="stable")
        return cls(values[order], counts[order], dimension=int(counts.sum()))

    @property
    def spectrum(self) -> _core.Spectrum:
        """Eigenvalues and multiplicities as the core's object."""
        return _core.Spectrum(self.eigenvalues, self.multiplicity)

    @cached_property
    def radial_scales(self) -> _core.RadialScales:
        """Sizes of the profiles in the metric of the resolvent, tabulated on demand and shared by all n.

        Raises
        ------
        ValueError
            The population holds no profiles.
        """
        if self.profiles is None:
            raise ValueError("population must hold profiles for radial scales, got none")
        return _core.RadialScales(np.ascontiguousarray(self.profiles), self.eigenvalues, linear_algebra())

    @cached_property
    def distinct_profiles(self) -> ProfileArray | None:
        """(M, k) the profiles without copies of one another, or None; found once."""
        return None if self.profiles is None else without_copies(self.profiles)

    @property
    def group_size(self) -> float:
        """Mean number of samples of a group, 1 if samples are independent; the versions of a sample count once."""
        if self.sample_size is not None and self.group_count is not None:
            return self.sample_size / self.group_count
        return 1.0 if self.groups is None else len(self.groups) / (int(self.groups[-1]) + 1) / self.versions

    @cached_property
    def independent(self) -> Population:
        """A population of independent samples of unequal size that stands for one of groups; itself without groups.

        Its profiles are those of :func:`~kappaflow.groups.uncorrelated_rows`. A training set of n images of v versions corresponds
        to n′ = n v M′/M of its M′ profiles, and the N images to N v M′/M samples.

        Raises
        ------
        ValueError
            The population has groups and holds no profiles.
        """
        if self.group_count is None:
            return self
        if self.profiles is None or self.groups is None:
            raise ValueError("population must hold profiles of whole groups for their independent rows, got none")
        found = uncorrelated_rows(self.profiles, self.groups, self.eigenvalues)
        count = self.sample_size
        if count is not None:
            rank = int(has_variance(self.eigenvalues).sum())
            count = max(math.ceil(count * self.versions * found.fraction - 1e-6), rank + 1)
        return self.replace(profiles=found.rows, groups=None, group_count=None, versions=1, sample_size=count)

    @property
    def total_variance(self) -> float:
        """tr Σ."""
        return float(self.eigenvalues @ self.multiplicity)

    def compressed(self) -> Population:
        """The spectrum alone in a few hundred atoms, for dimensions of 1e5 and more (see :func:`compress_spectrum`)."""
        small = self.spectrum.compressed()
        return self.replace(
            eigenvalues=small.eigenvalues,
            multiplicity=small.multiplicity,
            mean=None,
            eigenvectors=None,
            shape=None,
            profiles=None,
            groups=None,
        )

    def flatten(self, x: Any, name: str = "inputs") -> FloatArray:
        """Inputs (B, d) or (B, *shape), or a single one, as a (B, d) array; messages call the inputs `name`.

        Raises
        ------
        TypeError
            Values that are not real numbers.
        ValueError
            NaN or infinite values, any other shape, or a population with multiplicities, whose modes cannot be distinguished.
        """
        if np.any(self.multiplicity != 1):
            raise ValueError(
                f"{name} need a population without multiplicities above 1: modes of equal eigenvalue cannot be distinguished"
            )
        array = real_array(name, x)
        if array.shape[1:] == self.shape or array.shape[1:] == (self.dimension,):
            return array.reshape(len(array), self.dimension)
        if array.shape in (self.shape, (self.dimension,)):
            return array.reshape(1, self.dimension)
        shapes = dict.fromkeys(((self.dimension,), self.shape))
        wanted = " or ".join(f"(B, {', '.join(map(str, shape))})" for shape in shapes)
        raise ValueError(f"{name} must have shape {wanted}, got {array.shape}")

    def coordinates(self, x: Any, name: str = "inputs") -> FloatArray:
        """Mode coordinates uₖᵀ(x − μ), (B, k), of inputs (B, *shape) or (B, d). Errors are those of :meth:`flatten`."""
        centred = self.flatten(x, name) - self.mean
        return centred if self.eigenvectors is None else along(centred, self.eigenvectors)

    def reconstruct(self, coordinates: Any) -> FloatArray:
        """μ + Σₖ cₖ uₖ, (B, *shape), from mode coordinates (B, k).

        Raises
        ------
        TypeError
            Values that are not real numbers.
        ValueError
            NaN or infinite values, or another shape.
        """
        c = np.atleast_2d(real_array("coordinates", coordinates))
        if c.ndim != 2 or c.shape[1] != len(self.eigenvalues):
            raise ValueError(f"coordinates must have shape (B, {len(self.eigenvalues)}), got {c.shape}")
        flat = self.mean + (c if self.eigenvectors is None else c @ self.eigenvectors.T)
        return flat.reshape(len(c), *self.shape)

    def apply(self, x: Any, gains: Any, *, null_gain: float = 0.0, name: str = "inputs") -> FloatArray:
        """μ + f(Σ)(x − μ), (B, d).

        Parameters
        ----------
        x : inputs (B, *shape) or (B, d)
        gains : f(λₖ) of the modes, (k,), or (B, k) if they differ by input
        null_gain : f(0), the gain of directions outside of the modes
        name : name of the inputs in messages

        Raises
        ------
        TypeError
            Values that are not real numbers.
        ValueError
            NaN or infinite values, or other shapes.
        """
        factors, null_gain = real_array("gains", gains), number("null_gain", null_gain)
        centred = self.flatten(x, name) - self.mean
        modes = self.eigenvalues.size
        if factors.shape not in ((modes,), (len(centred), modes)):
            raise ValueError(f"gains must have shape ({modes},) or ({len(centred)}, {modes}), got {factors.shape}")
        if self.eigenvectors is None:
            return np.asarray(self.mean + centred * factors)
        inside = (centred @ self.eigenvectors) * (factors - null_gain) @ self.eigenvectors.T
        return np.asarray(self.mean + (inside if null_gain == 0 else null_gain * centred + inside))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file with JSON metadata and a checksum, whole or not at all.

        Raises
        ------
        OSError
            The file cannot be written; an older file of that name is left unchanged.
        """
        write_population(path, {field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Population:
        """Read a file written by :meth:`save`.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        FileError
            It is another kind of file, damaged, changed since it was written, or holds values that no population can have.
        """
        return read_population(path, cls)
