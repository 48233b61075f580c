r"""Scores and denoisers in closed form: of a Gaussian, of a mixture of Gaussians, and of the samples themselves.

All are posterior means, D(x; σ) = E[x₀ | x₀ + σz = x]; the score of the noised density is s = (D − x)/σ² (Tweedie), and the
Jacobian of each is ∇D = Cov[x₀ | x]/σ². Each is a :class:`~.rows.RowDenoiser` of rows (B, d), computed in float64.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.special import logsumexp

from .._checks import FloatArray, integer, positive, real_array
from ..moments import has_variance
from ..population import Population

__all__ = ["DeltaScore", "GaussianScore", "MeanScore", "MixtureScore", "Score", "row_noise_levels"]

#: Logits are computed again from differences where rounding of the matrix product could move them by more than this.
_LOGIT_ERROR = 1e-11
#: Samples whose logit is this far below the largest have no weight in float64.
_NO_WEIGHT = 45.0
#: Entries of differences that are formed at once, 64 MiB.
_DIFFERENCES = 2**23
#: Samples that are read at once.
_BLOCK = 4096


def row_noise_levels(sigma: Any, count: int) -> FloatArray:
    """(B, 1) or (1, 1) noise levels of B rows; ValueError unless one or B of them, all finite and above 0."""
    levels = real_array("sigma", sigma)
    if levels.shape not in ((), (count,)):
        raise ValueError(f"sigma must be one noise level or ({count},) of them, got shape {levels.shape}")
    if levels.size and levels.min() <= 0:
        raise ValueError(f"sigma must be above 0, where score and posterior exist, got {levels.min()}")
    return levels.reshape(-1, 1)


class Score(ABC):
    """A denoiser D(x; σ) that is an exact posterior mean."""

    dimension: int

    @abstractmethod
    def __call__(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """D(x; σ), (B, d), of rows x (B, d) at one noise level σ > 0 or (B,) of them."""

    @abstractmethod
    def jacobian_rows(self, x: Any, sigma: float, pixels: Sequence[int]) -> FloatArray:
        """(P, d) rows ∂Dᵢ/∂x of the Jacobian Cov[x₀ | x]/σ² at one x (d,), for the given pixels: receptive fields."""

    def score(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """∇ log p(x; σ) = (D − x)/σ², (B, d), like :meth:`__call__`."""
        rows = self._rows(x)
        return np.asarray((self(rows, sigma) - rows) / row_noise_levels(sigma, len(rows)) ** 2)

    def _rows(self, x: Any) -> FloatArray:
        rows = real_array("x", x)
        if rows.ndim != 2 or rows.shape[1] != self.dimension:
            raise ValueError(f"x must have shape (B, {self.dimension}), got {rows.shape}")
        return rows

    def _row(self, x: Any) -> FloatArray:
        row = real_array("x", x)
        if row.shape != (self.dimension,):
            raise ValueError(f"x must be one row of {self.dimension} pixels for a Jacobian, got shape {row.shape}")
        return row

    def _pixels(self, pixels: Sequence[int]) -> list[int]:
        chosen = [integer("pixels", pixel, 0) for pixel in pixels]
        if chosen and max(chosen) >= self.dimension:
            raise ValueError(f"pixels must be below {self.dimension}, got {max(chosen)}")
        return chosen


class MeanScore(Score):
    """D = μ whatever x: the score of data without variance, (μ − x)/σ², to compare others with."""

    def __init__(self, population: Population) -> None:
        self.mean, self.dimension = population.mean, population.dimension

    def __call__(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """μ for every row."""
        rows = self._rows(x)
        row_noise_levels(sigma, len(rows))
        return np.broadcast_to(self.mean, rows.shape).copy()

    def jacobian_rows(self, x: Any, sigma: float, pixels: Sequence[int]) -> FloatArray:
        """Zeros."""
        self._row(x)
        return np.zeros((len(self._pixels(pixels)), self.dimension))


class GaussianScore(Score):
    r"""D(x; σ) = μ + U diag(λ/(λ + σ²)) Uᵀ(x − μ): two matrix products, 2Bdr multiplications each way at any σ.

    Parameters
    ----------
    population : mean, eigenvalues and eigenmodes
    rank : modes to keep, all by default. Dropping modes is harmless at σ² far above their variance alone: at low noise the
        score of what is dropped dominates.
    residual : "none": what is outside of the kept modes has no variance; "isotropic": the mean of the dropped eigenvalues in
        every direction there (probabilistic principal components)

    Raises
    ------
    ValueError : a rank that is not between 1 and the number of modes; a population of eigenvalues with multiplicities
    """

    def __init__(self, population: Population, *, rank: int | None = None, residual: str = "none") -> None:
        modes = population.eigenvalues.size
        if np.any(population.multiplicity != 1):
            raise ValueError("population must have no multiplicities above 1: modes are not told apart")
        if rank is not None and integer("rank", rank, 1) > modes:
            raise ValueError(f"rank must be at most the number of modes, {modes}, got {rank}")
        if residual not in ("none", "isotropic"):
            raise ValueError(f"residual must be 'none' or 'isotropic', got {residual!r}")
        kept = modes if rank is None else rank
        self.dimension = population.dimension
        self.mean = population.mean
        self.eigenvalues = population.eigenvalues[:kept]
        vectors = population.eigenvectors
        if vectors is None and kept < modes:
            vectors = np.eye(modes)
        if vectors is not None and kept < modes:
            vectors = vectors[:, :kept].copy()  # a view would keep all modes in memory
        self.eigenvectors = vectors
        outside = self.dimension - kept
        dropped = float(population.eigenvalues[kept:].sum())
        #: Variance of each direction outside of the kept modes.
        self.residual_variance = dropped / outside if outside and residual == "isotropic" else 0.0

    def coordinates(self, x: FloatArray, level: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Mode coordinates (B, k) of rows, and (B,) the square of what is outside of the modes.

        The square is a difference of squares, or formed from what is left where the noise variance `level` is so low that the
        rounding of the difference would move a logarithm of a density.
        """
        centred = x - self.mean
        if self.eigenvectors is None:
            return centred, np.zeros(len(x))
        inside = centred @ self.eigenvectors
        if inside.shape[1] == self.dimension:
            return inside, np.zeros(len(x))
        whole = (centred**2).sum(axis=1)
        rounding = 4 * np.finfo(np.float64).eps * float(whole.max(initial=0.0))
        if level is not None and rounding > 2 * _LOGIT_ERROR * float(level.min() + self.residual_variance):
            return inside, ((centred - inside @ self.eigenvectors.T) ** 2).sum(axis=1)
        return inside, np.maximum(whole - (inside**2).sum(axis=1), 0.0)

    def shrunk(self, x: FloatArray, coordinates: FloatArray, level: FloatArray) -> FloatArray:
        """D of rows whose coordinates are known, at noise variances (B, 1) or (1, 1)."""
        gain = self.eigenvalues / (self.eigenvalues + level)
        if self.eigenvectors is None:
            return np.asarray(self.mean + coordinates * gain)
        if self.residual_variance == 0:
            return np.asarray(self.mean + (coordinates * gain) @ self.eigenvectors.T)
        rest = self.residual_variance / (self.residual_variance + level)
        return np.asarray(self.mean + rest * (x - self.mean) + (coordinates * (gain - rest)) @ self.eigenvectors.T)

    def __call__(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """μ + Σ(Σ + σ²)⁻¹(x − μ), (B, d); at σ = 0 ask :meth:`projection`."""
        rows = self._rows(x)
        level = row_noise_levels(sigma, len(rows)) ** 2
        centred = rows - self.mean
        return self.shrunk(rows, centred if self.eigenvectors is None else centred @ self.eigenvectors, level)

    def score(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """−(Σ + σ²)⁻¹(x − μ), (B, d), without the cancellation of (D − x)/σ² at low noise."""
        rows = self._rows(x)
        level = row_noise_levels(sigma, len(rows)) ** 2
        centred = rows - self.mean
        if self.eigenvectors is None:
            return np.asarray(-centred / (self.eigenvalues + level))
        inside = centred @ self.eigenvectors
        answer = (inside / (self.eigenvalues + level)) @ self.eigenvectors.T
        if inside.shape[1] < self.dimension:
            answer = answer + (centred - inside @ self.eigenvectors.T) / (self.residual_variance + level)
        return np.asarray(-answer)

    def projection(self, x: Any) -> FloatArray:
        """The limit σ → 0 of the denoiser, (B, d): the nearest point that the Gaussian reaches. The score has no limit there."""
        rows = self._rows(x)
        alive = has_variance(self.eigenvalues).astype(np.float64)
        if self.residual_variance > 0:
            return rows.copy()
        centred = rows - self.mean
        if self.eigenvectors is None:
            return np.asarray(self.mean + centred * alive)
        return np.asarray(self.mean + ((centred @ self.eigenvectors) * alive) @ self.eigenvectors.T)

    def log_density(self, coordinates: FloatArray, outside: FloatArray, level: FloatArray) -> FloatArray:
        """(B,) log N(x; μ, Σ + σ²) from :meth:`coordinates`, without the constant −d/2 log 2π that all Gaussians share."""
        total = self.eigenvalues + level
        squares = (coordinates**2 / total).sum(axis=1)
        logs = np.log(total).sum(axis=1)
        left = self.dimension - self.eigenvalues.size
        if left:
            rest = (self.residual_variance + level)[:, 0]
            squares, logs = squares + outside / rest, logs + left * np.log(rest)
        return np.asarray(-0.5 * (squares + logs))

    def jacobian_rows(self, x: Any, sigma: float, pixels: Sequence[int]) -> FloatArray:
        """(P, d) rows of Σ(Σ + σ²)⁻¹, which do not depend on x."""
        self._row(x)
        chosen = self._pixels(pixels)
        unit = np.zeros((len(chosen), self.dimension))
        unit[np.arange(len(chosen)), chosen] = 1.0
        return np.asarray(self(unit + self.mean, positive("sigma", sigma)) - self.mean)


class MixtureScore(Score):
    r"""Denoiser of a mixture of Gaussians, D = Σᵢ wᵢ(x) Dᵢ(x), with the posterior weights

        wᵢ ∝ πᵢ det(Σᵢ + σ²)^(−1/2) exp(−½ (x − μᵢ)ᵀ(Σᵢ + σ²)⁻¹(x − μᵢ))

    Priors and determinants both count: weights from distances alone are not those of any density where components overlap.
    Components pass one by one, two matrix products each; memory is that of a few arrays like x.

    Parameters
    ----------
    components : the Gaussians
    weights : (K,) priors πᵢ > 0, divided by their sum; equal by default

    Raises
    ------
    ValueError : no component, components of different dimensions, bad weights
    """

    def __init__(self, components: Sequence[GaussianScore], weights: Any = None) -> None:
        if not components:
            raise ValueError("components must hold at least one Gaussian, got none")
        if len({part.dimension for part in components}) != 1:
            raise ValueError(f"components must share one dimension, got {sorted({p.dimension for p in components})}")
        priors = np.ones(len(components)) if weights is None else real_array("weights", weights)
        if priors.shape != (len(components),) or priors.min() <= 0:
            raise ValueError(f"weights must be ({len(components)},) numbers above 0, got {priors}")
        self.components = tuple(components)
        self.weights = priors / priors.sum()
        self.dimension = components[0].dimension

    @classmethod
    def fit(
        cls, samples: Any, components: int, *, rank: int | None = None, residual: str = "none", seed: int = 0
    ) -> MixtureScore:
        """Clusters by mini-batch k-means (scikit-learn), and the principal components of each.

        Parameters
        ----------
        samples : (N, ...) array or memory map; one cluster at a time is taken to float64
        components : clusters, at most N
        rank : principal components of each cluster, all by default; clusters of fewer have those that they have
        residual : see :class:`GaussianScore`
        seed : of k-means

        Raises
        ------
        ValueError : more components than samples, or a cluster that stays empty, as with duplicated samples; NaN or infinity
        ImportError : scikit-learn is missing
        """
        try:
            from sklearn.cluster import MiniBatchKMeans
        except ImportError as error:
            raise ImportError('fitting a mixture needs scikit-learn: pip install "kappaflow[datasets]"') from error
        rows = samples if hasattr(samples, "shape") else np.asarray(samples)
        if len(rows.shape) < 2 or len(rows) == 0:
            raise ValueError(f"samples must be (N, ...) with at least one sample, got shape {tuple(rows.shape)}")
        rows = rows.reshape(len(rows), -1)
        count = integer("components", components, 1)
        if count > len(rows):
            raise ValueError(f"components must be at most the number of samples, {len(rows)}, got {count}")
        for start in range(0, len(rows), _BLOCK):
            real_array(f"samples[{start}:]", rows[start : start + _BLOCK])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # empty clusters, which are an error below
            labels = MiniBatchKMeans(
                count, random_state=seed, n_init=3, batch_size=_BLOCK, reassignment_ratio=0.0
            ).fit_predict(rows)
        sizes = np.bincount(labels, minlength=count)
        if sizes.min() == 0:
            raise ValueError(
                f"components: {int((sizes == 0).sum())} of {count} clusters are empty after k-means; ask for fewer, or another seed"
            )
        parts = []
        for label in range(count):
            population = _population_of(real_array("samples", rows[labels == label]))
            kept = None if rank is None else min(integer("rank", rank, 1), population.eigenvalues.size)
            parts.append(GaussianScore(population, rank=kept, residual=residual))
        return cls(parts, sizes)

    def __call__(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """(B, d), see the class."""
        rows = self._rows(x)
        level = row_noise_levels(sigma, len(rows)) ** 2
        running = _Softmax(len(rows), self.dimension)
        for log_weight, answer in self._parts(rows, level):
            running.add(log_weight[:, None], lambda weights, answer=answer: weights * answer)  # type: ignore[misc]
        return running.mean()

    def log_density(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """(B,) log p(x; σ) of the noised mixture."""
        rows = self._rows(x)
        level = row_noise_levels(sigma, len(rows)) ** 2
        logs = np.stack([self._log_weight(place, rows, level)[0] for place in range(len(self.components))])
        return np.asarray(logsumexp(logs, axis=0) - 0.5 * self.dimension * np.log(2 * np.pi))

    def posterior(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """(B, K) posterior weights of the components."""
        rows = self._rows(x)
        level = row_noise_levels(sigma, len(rows)) ** 2
        logs = np.stack([self._log_weight(place, rows, level)[0] for place in range(len(self.components))], axis=1)
        return np.asarray(np.exp(logs - logsumexp(logs, axis=1, keepdims=True)))

    def _log_weight(self, place: int, rows: FloatArray, level: FloatArray) -> tuple[FloatArray, FloatArray]:
        part = self.components[place]
        inside, outside = part.coordinates(rows, level)
        return np.log(self.weights[place]) + part.log_density(inside, outside, level), inside

    def _parts(self, rows: FloatArray, level: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Unnormalised log weight (B,) and answer (B, d) of each component."""
        for place, part in enumerate(self.components):
            log_weight, inside = self._log_weight(place, rows, level)
            yield log_weight, part.shrunk(rows, inside, level)

    def jacobian_rows(self, x: Any, sigma: float, pixels: Sequence[int]) -> FloatArray:
        """(P, d): Σᵢ wᵢ Jᵢ + Σᵢ wᵢ (Dᵢ − D)(Dᵢ − D)ᵀ/σ², within components and between them."""
        row, chosen, level = self._row(x)[None], self._pixels(pixels), positive("sigma", sigma)
        weights = self.posterior(row, level)[0]
        answers = np.concatenate([part(row, level) for part in self.components])
        apart = answers - weights @ answers
        between = (weights[:, None] * apart[:, chosen]).T @ apart / level**2
        within = sum(
            weight * part.jacobian_rows(row[0], level, chosen)
            for weight, part in zip(weights, self.components, strict=True)
        )
        return np.asarray(between + within)


class DeltaScore(Score):
    r"""Denoiser of the samples themselves, D = Σᵢ wᵢ yᵢ with w = softmax(−‖x − yᵢ‖²/2σ²): it memorises.

    Samples pass block by block with a running maximum, sum and weighted sum: the softmax is that over all of them, and memory
    is that of a block. Distances are matrix products in float64; where their rounding could still move a weight (σ far below
    the norm of the samples) those of the samples that have weight are formed again from differences.

    Parameters
    ----------
    samples : (N, ...) array or memory map, of any real dtype; or a function without arguments that returns an iterable of
        such batches anew at each call, for data that are no array
    block : samples at once from an array

    Raises
    ------
    ValueError : no samples; at a call, NaN or infinity in a block
    """

    def __init__(self, samples: Any, *, block: int = _BLOCK) -> None:
        size = integer("block", block, 1)
        if callable(samples):
            self._blocks: Callable[[], Iterable[Any]] = samples
        else:
            array = samples if hasattr(samples, "shape") else np.asarray(samples)
            if len(array.shape) < 2 or len(array) == 0:
                raise ValueError(f"samples must be (N, ...) with at least one sample, got shape {tuple(array.shape)}")
            self._blocks = lambda: (array[start : start + size] for start in range(0, len(array), size))
        first = next(iter(self._blocks()), None)
        if first is None or len(first) == 0:
            raise ValueError("samples must hold at least one sample, got none")
        rows = real_array("samples", first).reshape(len(first), -1)
        self.dimension = rows.shape[1]
        #: What is subtracted from everything before products, so that a common offset costs no digits.
        self._centre = rows.mean(axis=0)

    def _centred(self) -> Iterator[FloatArray]:
        for block in self._blocks():
            rows = real_array("samples", block).reshape(len(block), -1)
            if rows.shape[1] != self.dimension:
                raise ValueError(f"samples must all have {self.dimension} pixels, got {rows.shape[1]}")
            yield rows - self._centre

    def __call__(self, x: Any, sigma: float | FloatArray) -> FloatArray:
        """(B, d), see the class; one pass over the samples."""
        rows = self._rows(x)
        return self._levels(rows, [row_noise_levels(sigma, len(rows)) ** 2])[0]

    def at_levels(self, x: Any, sigmas: Any) -> FloatArray:
        """(S, B, d) answers for the same rows at several noise levels (S,), in one pass that forms distances once."""
        rows, levels = self._rows(x), real_array("sigmas", sigmas)
        if levels.ndim != 1:
            raise ValueError(f"sigmas must be one-dimensional, got shape {levels.shape}")
        return np.stack(self._levels(rows, [row_noise_levels(level, len(rows)) ** 2 for level in levels]))

    def _levels(self, rows: FloatArray, levels: Sequence[FloatArray]) -> list[FloatArray]:
        x = rows - self._centre
        running = [_Softmax(len(x), self.dimension) for _ in levels]
        for part in self._centred():
            distances = _squared_distances(x, part)
            for level, state in zip(levels, running, strict=True):
                state.add(_logits(x, part, distances, level, state.top), lambda w, part=part: w @ part)  # type: ignore[misc]
        return [self._centre + state.mean() for state in running]

    def jacobian_rows(self, x: Any, sigma: float, pixels: Sequence[int]) -> FloatArray:
        """(P, d): Σⱼ wⱼ (yⱼ − D)ᵢ (yⱼ − D)/σ², two passes over the samples."""
        row, chosen = self._row(x)[None] - self._centre, self._pixels(pixels)
        level = np.full((1, 1), positive("sigma", sigma) ** 2)
        mean = self._levels(row + self._centre, [level])[0] - self._centre
        running = _Softmax(1, len(chosen) * self.dimension)
        for part in self._centred():
            logits = _logits(row, part, _squared_distances(row, part), level, running.top)
            apart = part - mean
            running.add(logits, lambda w, a=apart: ((w[0, :, None] * a[:, chosen]).T @ a).reshape(1, -1))  # type: ignore[misc]
        return np.asarray(running.mean().reshape(len(chosen), self.dimension) / level[0, 0])


class _Softmax:
    """Weighted mean with weights exp(logit), block by block: running maximum, sum and weighted sum."""

    def __init__(self, rows: int, width: int) -> None:
        self.top = np.full((rows, 1), -np.inf)
        self._total = np.zeros((rows, 1))
        self._weighted = np.zeros((rows, width))

    def add(self, logits: FloatArray, weigh: Callable[[FloatArray], FloatArray]) -> None:
        """Logits (B, n), and the function that sums values (B, width) with weights (B, n)."""
        higher = np.maximum(self.top, logits.max(axis=1, keepdims=True))
        kept, weights = np.exp(self.top - higher), np.exp(logits - higher)
        self._total = kept * self._total + weights.sum(axis=1, keepdims=True)
        self._weighted = kept * self._weighted + weigh(weights)
        self.top = higher

    def mean(self) -> FloatArray:
        return np.asarray(self._weighted / self._total)


def _squared_distances(x: FloatArray, y: FloatArray) -> FloatArray:
    return np.asarray((x**2).sum(axis=1)[:, None] - 2 * x @ y.T + (y**2).sum(axis=1))


def _logits(x: FloatArray, y: FloatArray, distances: FloatArray, level: FloatArray, top: FloatArray) -> FloatArray:
    """−‖x − y‖²/2σ², (B, n); entries near the largest are refined where the rounding of the products matters."""
    logits = -distances / (2 * level)
    scale = float(np.maximum((x**2).sum(axis=1).max(), (y**2).sum(axis=1).max()))
    error = 4 * np.finfo(np.float64).eps * scale / (2 * float(level.min()))
    if error <= _LOGIT_ERROR:
        return np.asarray(logits)
    bar = np.maximum(top, logits.max(axis=1, keepdims=True)) - _NO_WEIGHT - 2 * error
    row, column = np.nonzero(logits >= bar)
    spread = np.broadcast_to(level, (len(x), 1))[:, 0]
    step = max(1, _DIFFERENCES // x.shape[1])
    for start in range(0, row.size, step):
        i, j = row[start : start + step], column[start : start + step]
        logits[i, j] = -((x[i] - y[j]) ** 2).sum(axis=1) / (2 * spread[i])
    return np.asarray(logits)


def _population_of(rows: FloatArray) -> Population:
    """Mean and covariance (divisor n) of a cluster; of equal samples, a point."""
    if np.any(rows != rows[0]):
        return Population.from_samples(rows)
    axis = np.zeros((rows.shape[1], 1))
    axis[0] = 1.0
    return Population(
        np.zeros(1), np.ones(1), dimension=rows.shape[1], mean=rows[0].copy(), eigenvectors=axis, sample_size=len(rows)
    )
