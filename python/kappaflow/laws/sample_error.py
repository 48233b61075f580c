"""How well N samples determine a variance, and the error raised where they do not: section 4 of docs/theory.md."""

from __future__ import annotations

import numpy as np

from .. import _core
from .._checks import FloatArray
from ..moments import has_variance
from .closed_form import ClosedFormLaw
from .law import Ensemble

__all__ = ["LARGEST_ERROR", "SampleError"]

#: Largest error of the logarithm of a variance or of κ at which an answer is given: a factor of 1.28 in either direction.
LARGEST_ERROR = 0.25
#: Standard deviations by which the smallest eigenvalue is raised; the change of an answer is divided by this number.
_RAISED = (1, 2, 3)
#: A variance changes at most with this power of the smallest eigenvalue.
_LARGEST_POWER = 3
#: Rounding error of a mean over eigenvalues.
_ROUNDING = 1e-9
#: Variance of inputs far from the mean, over the largest eigenvalue.
_FAR = 1e8
#: Answers whose error is kept.
_KEPT = 8


class SampleError:
    """The error of the Gaussian law that comes from the smallest eigenvalues of a sample covariance.

    The smallest of the eigenvalues of N samples has about ν + 1 degrees of freedom, ν = |N − 1 − d|, so its logarithm has the
    standard deviation √(2/(ν + 1)). If N − 1 is the rank, the number of eigenvalues near zero is itself known only to about one.
    The error of an answer is the largest change of its logarithm (1) if the smallest eigenvalue is raised by its standard
    deviation (but not above their mean), or twice or three times that for half or a third of the change, and (2), if N − 1 is the
    rank, if there is one more degree of freedom; the second counts at most as 2/(ν + 1).

    All laws share this error, because it is that of the sample covariance. Objects may be shared between threads.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        self._ensemble = ensemble
        population = ensemble.population
        self._bound, self._least = 0.0, 0
        self._laws: list[ClosedFormLaw] | None = None
        self._kept: dict[bytes, float] = {}
        s, counts = population.eigenvalues, population.multiplicity
        present = np.flatnonzero(has_variance(s))
        if population.sample_size is None or not ensemble.corrected or present.size == 0:
            self._needed = False
            return
        self._least = int(present[np.argmin(s[present])])
        degrees, rank = population.sample_size - 1, float(counts[present].sum())
        self._saturated = bool(counts[s > 0].sum() == degrees)
        free = degrees - rank
        if self._saturated:  # as the spectrum shows it, at most what the dimension allows: section 4 of docs/theory.md
            inverse = 1 / s[present] * s[self._least]
            seen = float((counts[present] * inverse).sum() ** 2 / (counts[present] * inverse**2).sum())
            share = min(max(seen - 2 * (1 - seen / degrees), 0.0) / degrees, 1 - _ROUNDING)
            free = max(0.0, min(population.dimension - degrees, degrees * share / (1 - share)))
        self._bound = 2 / (free + 1)
        self._deviation = float(np.sqrt(self._bound / counts[self._least]))
        self._needed = max(_LARGEST_POWER * self._deviation, self._bound * self._saturated) > LARGEST_ERROR

    @property
    def corrected(self) -> bool:
        """Whether answers are corrected for a population that is known only through N samples."""
        return self._ensemble.corrected

    def require(self, f: _core.SpectralFunction, variance: FloatArray | None) -> None:
        """Check that the total variance of a map is determined, for inputs whose mode coordinates have this variance, (k,) or (1,).

        None means inputs so far from the mean that the variance of the estimated mean does not matter.

        Raises
        ------
        UnidentifiedError
            It is not.
        """
        if not self._needed or f.weights.size == 0:
            return
        if variance is None:
            variance = np.array([_FAR * float(self._ensemble.population.eigenvalues.max())])
        if not np.isfinite(variance).all():
            return  # neither is the answer
        key = np.concatenate([f.weights, f.shifts, variance]).tobytes()
        error = self._kept.get(key)
        if error is None:
            counts = self._ensemble.population.multiplicity
            inputs = np.broadcast_to(variance, counts.shape)
            error = self._largest(*(np.array([law.spread(f, inputs, counts) @ counts]) for law in self._cores()))
            if len(self._kept) >= _KEPT:
                self._kept = {}  # a new one, because other threads may be reading this one
            self._kept[key] = error
        self._refuse(error, "the variance of this map", float(f.shifts.min()))

    def require_kappa(self, noise_variance: FloatArray) -> None:
        """Check that κ is determined at these noise variances.

        Raises
        ------
        UnidentifiedError
            It is not.
        """
        if not self._needed or noise_variance.size == 0:
            return
        error = self._largest(*(law.kappa(noise_variance) for law in self._cores()))
        self._refuse(error, "kappa", float(noise_variance.min()))

    def _largest(self, given: FloatArray, *others: FloatArray) -> float:
        """The largest change of the logarithm between the given answers and those of the other laws, each with its weight."""
        positive = given > 0
        if not positive.any():
            return 0.0
        changes = [float(np.abs(np.log(other[positive] / given[positive])).max()) for other in others]
        raised = [change / times for change, times in zip(changes, _RAISED, strict=False)]
        return max([*raised, *(min(change, self._bound) for change in changes[len(_RAISED) :])])

    def _refuse(self, error: float, what: str, noise: float) -> None:
        if error <= LARGEST_ERROR:
            return
        total, n = self._ensemble.population.sample_size, self._ensemble.n
        raise _core.UnidentifiedError(
            f"Splits: n must be smaller or noise_variance higher, got n = {n:g} and noise_variance {noise:.3g}: the {total} "
            f"samples in {self._ensemble.population.dimension} dimensions determine {what} only to a factor of "
            f"{np.exp(min(error, 50.0)):.2g}, the largest allowed is {np.exp(LARGEST_ERROR):.2g}"
        )

    def _cores(self) -> list[ClosedFormLaw]:
        """The law of the spectrum as it is, with the smallest eigenvalue raised, and with one more degree of freedom."""
        laws = self._laws
        if laws is None:
            population = self._ensemble.population
            total = population.sample_size
            assert total is not None
            s, counts = population.eigenvalues, population.multiplicity
            present = has_variance(s)
            mean = np.average(s[present], weights=counts[present])
            known = [(s, total)]
            for times in _RAISED:
                raised = s.copy()
                raised[self._least] = min(raised[self._least] * np.exp(times * self._deviation), mean)
                known.append((raised, total))
            if self._saturated:  # the same unbiased covariance of N + 1 samples
                known.append((s * (total / (total - 1)) * (total / (total + 1)), total + 1))
            laws = [self._law(values, size) for values, size in known]
            self._laws = laws
        return laws

    def _law(self, eigenvalues: FloatArray, sample_size: int) -> ClosedFormLaw:
        ensemble = self._ensemble
        spectrum = _core.Spectrum(eigenvalues, ensemble.population.multiplicity)
        mean, terms = getattr(_core.Mean, ensemble.mean), getattr(_core.Terms, ensemble.terms)
        return ClosedFormLaw(_core.Splits(spectrum, float(ensemble.n), mean, terms, float(sample_size)))
