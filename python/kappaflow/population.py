"""What is known of the data: mean, eigenvalues and eigenmodes of the population."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core
from ._checks import FloatArray, integer, real_array, spectrum_arrays
from ._tensors import read_tensors, write_tensors
from .moments import Moments, gram_eigensystem, linear_algebra, require_memory, symmetric_eigensystem

__all__ = ["Population", "ProfileArray", "scaled_profiles"]

ProfileArray = npt.NDArray[np.float32]

#: Asymmetry and negative eigenvalues up to this fraction of the largest eigenvalue are rounding.
COVARIANCE_TOLERANCE = 1e-10
#: Eigenvalues of d samples' covariance below this multiple of d times the largest are rounding: directions without variance.
RANK_TOLERANCE = float(np.finfo(np.float64).eps)
_BATCH = 4096
_FORMAT = "kappaflow-population-1"


class Population:
    """Mean, eigenvalues and eigenmodes of a data distribution; immutable, knows nothing of n.

    Build one with :meth:`from_samples`, :meth:`from_covariance`, :meth:`from_spectrum` or :meth:`load`.

    Attributes
    ----------
    eigenvalues : (k,) descending, ≥ 0. k = d, or the rank where there were fewer samples than dimensions: the d − k modes
        that are left out then have zero variance.
    eigenvectors : (d, k) columns = modes, or None where only the spectrum is known
    multiplicity : (k,) how often each eigenvalue occurs (1 wherever there are eigenvectors)
    mean : (d,), zeros where only the spectrum is known
    shape : shape of one sample
    sample_size : number of samples it was estimated from, None if it is exact
    profiles : (M, k) float32 mode coordinates of a random subset of the samples, or None; scaled so that the mean square of
        each mode is its eigenvalue. What the empirical law knows beyond the covariance.
    description : free text that travels with it, for instance how pixels were scaled
    """

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
        description: str = "",
    ) -> None:
        self.eigenvalues = eigenvalues
        self.multiplicity = multiplicity
        self.eigenvectors = eigenvectors
        self.dimension = dimension
        self.mean = np.zeros(dimension if dimension <= 10**8 else 0) if mean is None else mean
        self.shape = (dimension,) if shape is None else shape
        self.sample_size = sample_size
        self.profiles = profiles
        self.description = description
        self._radial_scales: _core.RadialScales | None = None
        for array in (self.eigenvalues, self.multiplicity, self.eigenvectors, self.mean, self.profiles):
            if array is not None:
                array.setflags(write=False)

    def __repr__(self) -> str:
        origin = "exact" if self.sample_size is None else f"from {self.sample_size} samples"
        return f"Population(dimension={self.dimension}, modes={len(self.eigenvalues)}, shape={self.shape}, {origin})"

    @classmethod
    def from_samples(
        cls,
        images: Any,
        *,
        shape: tuple[int, ...] | None = None,
        profiles: int = 0,
        description: str = "",
        progress: Callable[[int], None] | None = None,
    ) -> Population:
        """Population whose mean and covariance (divisor N) are those of N samples.

        Parameters
        ----------
        images : (N, ...) array, memmap or torch tensor, or an iterable of such batches
            The first axis counts samples. Values are used as they are; see :mod:`kappaflow.datasets` for readers that
            scale pixels to [−1, 1].
        shape : tuple, optional
            Shape of one sample where it comes flat.
        profiles : int
            How many samples to keep in mode coordinates for the empirical law: a random subset, seeded, all of them where
            there are fewer. They take 4·k bytes each, and three times that while images are read.
        progress : callable, optional
            Called with the number of samples seen so far after each batch.

        Raises
        ------
        ValueError
            NaN or infinite values, no or one sample, or batches of different shapes.
        MemoryError
            The d×d covariance does not fit; the message says how much it needs.
        """
        sample_shape: tuple[int, ...] | None = None
        moments: Moments | None = None
        held: list[
            FloatArray
        ] = []  # samples are kept while they are fewer than dimensions: then the Gram route is taken
        seen = 0
        subset = _Subset(integer("profiles", profiles, 0))
        for batch in _batches(images):
            if sample_shape is None:
                sample_shape = batch.shape[1:]
            elif batch.shape[1:] != sample_shape:
                raise ValueError(f"images must all have the shape {sample_shape} of the first, got {batch.shape[1:]}")
            rows = batch.reshape(len(batch), -1)
            seen += len(rows)
            subset.add(rows)
            if moments is None:
                held.append(rows)
                if seen >= rows.shape[1]:
                    moments = Moments(rows.shape[1])
                    for block in held:
                        moments.add(block)
                    held = []
            else:
                moments.add(rows)
            if progress is not None:
                progress(seen)
        if sample_shape is None or seen < 2:
            raise ValueError(f"images must hold at least 2 samples, got {seen}")
        final_shape = _sample_shape(shape, sample_shape)
        if moments is None:
            samples = np.concatenate(held)
            mean = samples.mean(axis=0)
            values, vectors = gram_eigensystem(samples - mean)
        else:
            mean = moments.mean
            covariance = moments.covariance()
            del moments
            values, columns = symmetric_eigensystem(covariance)
            assert columns is not None
            values, vectors = np.where(values > RANK_TOLERANCE * len(values) * values[0], values, 0.0), columns
        if values.size == 0 or values[0] <= 0:
            raise ValueError("images must differ from each other, got samples that are all equal")
        return cls(
            values,
            np.ones_like(values),
            dimension=mean.size,
            mean=mean,
            eigenvectors=vectors,
            shape=final_shape,
            sample_size=seen,
            profiles=scaled_profiles((subset.rows() - mean) @ vectors, values) if profiles else None,
            description=description,
        )

    @classmethod
    def from_covariance(cls, covariance: Any, mean: Any = None, *, shape: tuple[int, ...] | None = None) -> Population:
        """Population with an exactly known covariance (d, d) and mean (d,), zero by default.

        Raises ValueError unless the matrix is square, symmetric and positive semi-definite to 1e-10 of its largest eigenvalue.
        """
        matrix = real_array("covariance", covariance)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
            raise ValueError(f"covariance must be a square matrix, got shape {matrix.shape}")
        dimension = len(matrix)
        centre = np.zeros(dimension) if mean is None else real_array("mean", mean).ravel().copy()
        if centre.size != dimension:
            raise ValueError(f"mean must have {dimension} entries as the covariance has, got {centre.size}")
        require_memory(dimension)
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
            shape=_sample_shape(shape, (dimension,)),
        )

    @classmethod
    def from_spectrum(cls, eigenvalues: Any, multiplicity: Any = None) -> Population:
        """Population of which only the eigenvalues (k,) and their multiplicities are known; sorted descending.

        Multiplicities are whole numbers; where all are 1, inputs are taken in mode coordinates.
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

    @property
    def radial_scales(self) -> _core.RadialScales:
        """Sizes of the profiles in the metric of the resolvent, tabulated where they are asked; kept for every n.

        Raises ValueError without profiles.
        """
        if self.profiles is None:
            raise ValueError("population must hold profiles for radial scales, got none")
        if self._radial_scales is None:
            self._radial_scales = _core.RadialScales(
                np.ascontiguousarray(self.profiles), self.eigenvalues, linear_algebra()
            )
        return self._radial_scales

    @property
    def total_variance(self) -> float:
        """tr Σ."""
        return float(self.eigenvalues @ self.multiplicity)

    def compressed(self) -> Population:
        """The spectrum alone in a few hundred atoms, for dimensions of 1e5 and more (see :func:`compress_spectrum`)."""
        small = self.spectrum.compressed()
        return Population(small.eigenvalues, small.multiplicity, dimension=self.dimension, sample_size=self.sample_size)

    def flatten(self, x: Any, name: str = "inputs") -> FloatArray:
        """Inputs (B, d), (B, *shape) or one of them as a (B, d) array; ValueError for any other shape."""
        if np.any(self.multiplicity != 1):
            raise ValueError(f"{name} need a population without multiplicities above 1: modes are not told apart")
        array = real_array(name, x)
        if array.shape[1:] == self.shape or array.shape[1:] == (self.dimension,):
            return array.reshape(len(array), self.dimension)
        if array.shape in (self.shape, (self.dimension,)):
            return array.reshape(1, self.dimension)
        raise ValueError(f"{name} must have shape (B, {self.dimension}) or (B, *{self.shape}), got {array.shape}")

    def coordinates(self, x: Any, name: str = "inputs") -> FloatArray:
        """Mode coordinates uₖᵀ(x − μ), (B, k), of inputs (B, *shape) or (B, d)."""
        centred = self.flatten(x, name) - self.mean
        return centred if self.eigenvectors is None else centred @ self.eigenvectors

    def reconstruct(self, coordinates: Any) -> FloatArray:
        """μ + Σₖ cₖ uₖ, (B, *shape), from mode coordinates (B, k)."""
        c = np.atleast_2d(real_array("coordinates", coordinates))
        if c.ndim != 2 or c.shape[1] != len(self.eigenvalues):
            raise ValueError(f"coordinates must have shape (B, {len(self.eigenvalues)}), got {c.shape}")
        flat = self.mean + (c if self.eigenvectors is None else c @ self.eigenvectors.T)
        return flat.reshape(len(c), *self.shape)

    def apply(self, x: Any, gains: Any, *, null_gain: float = 0.0, name: str = "inputs") -> FloatArray:
        """μ + f(Σ)(x − μ), (B, d), for gains f(λₖ) of the modes, (k,) or (B, k) where they differ by input.

        What is outside of the modes has f(0) = `null_gain`.
        """
        factors = real_array("gains", gains)
        centred = self.flatten(x, name) - self.mean
        modes = self.eigenvalues.size
        if factors.shape not in ((modes,), (len(centred), modes)):
            raise ValueError(f"gains must have shape ({modes},) or ({len(centred)}, {modes}), got {factors.shape}")
        if self.eigenvectors is None:
            return np.asarray(self.mean + centred * factors)
        inside = (centred @ self.eigenvectors) * (factors - null_gain) @ self.eigenvectors.T
        return np.asarray(self.mean + (inside if null_gain == 0 else null_gain * centred + inside))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file with JSON metadata, whole or not at all."""
        tensors: dict[str, npt.NDArray[Any]] = {
            "eigenvalues": self.eigenvalues,
            "multiplicity": self.multiplicity,
            "mean": self.mean,
        }
        if self.profiles is not None:
            tensors["profiles"] = self.profiles
        if self.eigenvectors is not None:
            tensors["eigenvectors"] = np.ascontiguousarray(self.eigenvectors)
        facts = {
            "dimension": self.dimension,
            "shape": list(self.shape),
            "sample_size": self.sample_size,
            "description": self.description,
        }
        write_tensors(path, tensors, format=_FORMAT, metadata={"population": json.dumps(facts)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Population:
        """Read a file written by :meth:`save`. Raises ValueError for any other file."""
        if not Path(path).is_file():
            raise FileNotFoundError(f"path must name a saved population, got {os.fspath(path)!r}: no such file")
        tensors, metadata = read_tensors(
            path, format=_FORMAT, what="a saved population", of_format="a saved population"
        )
        facts = json.loads(metadata["population"])
        return cls(
            tensors["eigenvalues"],
            tensors["multiplicity"],
            dimension=facts["dimension"],
            mean=tensors["mean"],
            eigenvectors=tensors.get("eigenvectors"),
            shape=tuple(facts["shape"]),
            sample_size=facts["sample_size"],
            profiles=tensors.get("profiles"),
            description=facts["description"],
        )


class _Subset:
    """A uniform random subset of the rows of a stream: those with the smallest of seeded random keys."""

    def __init__(self, size: int) -> None:
        self._size, self._rng = size, np.random.default_rng(0)
        self._keys = np.empty(0)
        self._held: list[ProfileArray] = []

    def add(self, rows: FloatArray) -> None:
        """Offer some rows."""
        if self._size:
            self._keys = np.concatenate([self._keys, self._rng.random(len(rows))])
            self._held.append(rows.astype(np.float32))
            if self._keys.size > 2 * self._size:
                self._cut()

    def _cut(self) -> None:
        held = np.concatenate(self._held)
        if self._keys.size > self._size:
            kept = np.sort(np.argpartition(self._keys, self._size)[: self._size])
            held, self._keys = held[kept], self._keys[kept]
        self._held = [held]

    def rows(self) -> ProfileArray:
        """(M, d) the subset, in the order of the stream."""
        self._cut()
        return self._held[0]


def scaled_profiles(coordinates: FloatArray, eigenvalues: FloatArray) -> ProfileArray:
    """Mode coordinates (M, k) as profiles: float32, scaled so that the mean square of each mode is its eigenvalue."""
    square = np.mean(coordinates**2, axis=0)
    scale = np.sqrt(np.divide(eigenvalues, square, out=np.zeros_like(square), where=square > 0))
    return np.asarray(coordinates * scale, dtype=np.float32)


def _sample_shape(shape: tuple[int, ...] | None, found: tuple[int, ...]) -> tuple[int, ...]:
    if shape is None:
        return found if found else (1,)
    if int(np.prod(shape)) != int(np.prod(found)):
        raise ValueError(f"shape must have {int(np.prod(found))} entries in all as the samples have, got {shape}")
    return tuple(int(length) for length in shape)


def _batches(images: Any) -> Iterator[FloatArray]:
    """Float64 batches (B, ...) of an array, a tensor or an iterable of them; NaN and infinity raise with their index."""
    is_array = hasattr(images, "shape") and hasattr(images, "__getitem__")
    if not is_array and not isinstance(images, Iterable):
        raise TypeError(f"images must be an array or an iterable of batches, got {type(images).__name__}")
    if isinstance(images, (list, tuple)) and images and np.ndim(images[0]) < 2:
        images, is_array = np.asarray(images), True
    if is_array and len(images.shape) < 2:
        raise ValueError(f"images must have shape (N, ...), got {tuple(images.shape)}")
    blocks = (images[i : i + _BATCH] for i in range(0, len(images), _BATCH)) if is_array else iter(images)
    first = 0
    for block in blocks:
        batch = real_array(f"images[{first}:]", block)
        if batch.ndim < 2:
            raise ValueError(f"each batch of images must have shape (B, ...), got {batch.shape}")
        first += len(batch)
        yield batch
