"""Results of a validation of linear models: comparisons with a verdict, and everything else that the report shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...bands import Band
from ...maps import Map
from ...provenance import Provenance
from ..laws import ComparedLaw
from ..metrics import Agreement
from .quantities import Quantity

__all__ = [
    "Comparison",
    "Counterfactual",
    "KappaCurves",
    "LinearData",
    "LinearSetup",
    "SizeScaling",
    "StepError",
    "Validation",
]


@dataclass(frozen=True, repr=False)
class Comparison(ShortRepr, Tabular):
    """One quantity of one map at one n under one law.

    Attributes
    ----------
    quantity, law, n : names, and the training-set size
    subject, label : identifier of the map or maps, and their name shown to people; empty for κ
    entries : (E,) what each entry is of: number of a mode, input, eigenband or pixel (0-based), noise variance, or position
    agreement : the numbers and the verdict
    """

    quantity: str
    law: str
    n: int
    subject: str
    label: str
    entries: npt.NDArray[Any]
    agreement: Agreement

    def _columns(self) -> Columns:
        result = self.agreement
        return {
            "entry": self.entries,
            "predicted": result.predicted,
            "simulated": result.simulated,
            "standard_error": result.standard_error,
        }


@dataclass(frozen=True, repr=False)
class StepError(ShortRepr, Tabular):
    """Error of a sampler of finitely many steps at one n, compared with the effect of finite data.

    All distances are mean square distances per dimension, averaged over inputs, by eigenband (K,).

    Attributes
    ----------
    n, steps : training-set size, and steps of the sampler
    discretisation : distance of the sampler from the continuous map of the same training set
    finite_data : distance of a model of n samples from the model of infinitely many samples
    shrinkage : the part of `finite_data` that comes from the expected output; the rest is variance
    gain, gain_map : (k,) simulated mean gain of each mode, of the sampler and of the continuous map
    gain_ideal : (k,) gain of the continuous map with infinite data
    """

    n: int
    steps: int
    discretisation: FloatArray
    finite_data: FloatArray
    shrinkage: FloatArray
    gain: FloatArray
    gain_map: FloatArray
    gain_ideal: FloatArray

    @property
    def ratio(self) -> float:
        """Root mean square discretisation error divided by the root mean square effect of finite data."""
        return float(np.sqrt(self.discretisation.sum() / self.finite_data.sum()))

    def _columns(self) -> Columns:
        return {
            "eigenband": np.arange(1, self.discretisation.size + 1),
            "discretisation": self.discretisation,
            "finite_data": self.finite_data,
            "shrinkage": self.shrinkage,
        }


@dataclass(frozen=True, repr=False)
class SizeScaling(ShortRepr, Tabular):
    """Predicted disagreement by eigenband against n, for laws that are closed forms.

    Other laws are compared only at the simulated sizes.

    Attributes
    ----------
    subject : key of the map
    n : (P,) training-set sizes
    disagreement : law → (P, K)
    """

    subject: str
    n: FloatArray
    disagreement: dict[str, FloatArray]

    def _columns(self) -> Columns:
        """One row for each law, n and eigenband."""
        points, bands = next(iter(self.disagreement.values())).shape if self.disagreement else (0, 0)
        return {
            "law": np.repeat(list(self.disagreement), points * bands),
            "n": np.tile(np.repeat(self.n, bands), len(self.disagreement)),
            "eigenband": np.tile(np.arange(1, bands + 1), points * len(self.disagreement)),
            "disagreement": np.ravel(list(self.disagreement.values())),
        }


@dataclass(frozen=True, repr=False)
class Counterfactual(ShortRepr, Tabular):
    """Disagreement of models of any two strata, mean over the inputs, per dimension.

    Attributes
    ----------
    names : (S,) strata
    component : the principal component (0-based mode) that orders the samples
    n, draws : of each training set, and training sets of each stratum
    label : of the map
    simulated, interval_low, interval_high : (S, S) with 95 % intervals; the diagonal is two independent sets of one stratum
    predicted : law → (S, S)
    predicted_limit : (S, S) ‖E o_A − E o_B‖² for infinitely many samples: the part that more data do not reduce
    """

    names: tuple[str, ...]
    component: int
    n: int
    draws: int
    label: str
    simulated: FloatArray
    interval_low: FloatArray
    interval_high: FloatArray
    predicted: dict[str, FloatArray]
    predicted_limit: FloatArray

    def _columns(self) -> Columns:
        """One row for each ordered pair of strata."""
        count = len(self.names)
        return {
            "first": np.repeat(self.names, count),
            "second": np.tile(self.names, count),
            "simulated": self.simulated.ravel(),
            "low": self.interval_low.ravel(),
            "high": self.interval_high.ravel(),
            **{f"predicted, {law}": values.ravel() for law, values in self.predicted.items()},
            "predicted_limit": self.predicted_limit.ravel(),
        }


@dataclass(frozen=True, repr=False)
class KappaCurves(ShortRepr, Tabular):
    """κ against the noise variance, for the laws that have one κ.

    Attributes
    ----------
    n : (T,) training-set sizes
    noise_variances : (S,) σ²
    curves : law → (T, S) κ at each n
    """

    n: tuple[int, ...]
    noise_variances: FloatArray
    curves: dict[str, FloatArray]

    def _columns(self) -> Columns:
        """One row for each law, n and noise variance."""
        sizes, levels = len(self.n), self.noise_variances.size
        return {
            "law": np.repeat(list(self.curves), sizes * levels),
            "n": np.tile(np.repeat(self.n, levels), len(self.curves)),
            "noise_variance": np.tile(self.noise_variances, sizes * len(self.curves)),
            "kappa": np.ravel(list(self.curves.values())),
        }


@dataclass(frozen=True, repr=False)
class LinearData(ShortRepr):
    """The data that a validation of linear models stands on.

    Attributes
    ----------
    source, provenance : name of the data, and where they come from
    shape, dimension : of one image, and d
    eigenvalues : of the population
    pool_size, total_images : rows of the pool, and images in the dataset; None for Gaussian data
    """

    source: str
    provenance: Provenance
    shape: tuple[int, ...]
    dimension: int
    eigenvalues: FloatArray
    pool_size: int | None
    total_images: int | None


@dataclass(frozen=True, repr=False)
class LinearSetup(ShortRepr):
    """What was simulated, and what was compared.

    Attributes
    ----------
    sampling : how training sets are drawn, "gaussian", "resample" or "disjoint"
    mean : "estimated" or "known"
    sigma_max : noise level at which sampling starts
    n, draws, groups : (T,) training-set sizes; training sets, and groups of them, at each size
    input_seeds : seed numbers of the inputs
    seed, device : of the simulation
    laws, quantities, maps, bands : what is compared
    """

    sampling: str
    mean: str
    sigma_max: float
    n: tuple[int, ...]
    draws: tuple[int, ...]
    groups: tuple[int, ...]
    input_seeds: tuple[int, ...]
    seed: int
    device: str
    laws: tuple[ComparedLaw, ...]
    quantities: tuple[Quantity, ...]
    maps: tuple[Map, ...]
    bands: tuple[Band, ...]


@dataclass(frozen=True, repr=False)
class Validation(Tabular):
    """Everything that the report on linear models shows.

    Attributes
    ----------
    data : the data
    setup : what was simulated and compared
    comparisons : every quantity of every map at every n under every law
    kappa : κ against the noise variance
    scaling : predicted disagreement against n
    step_errors : of every sampler at every n
    counterfactual : training sets that differ on purpose; None if there is no pool, or too small a one
    notes : caveats that a reader must see, in plain words
    """

    data: LinearData
    setup: LinearSetup
    comparisons: tuple[Comparison, ...]
    kappa: KappaCurves
    scaling: SizeScaling
    step_errors: tuple[StepError, ...]
    counterfactual: Counterfactual | None
    notes: tuple[str, ...]

    def find(self, quantity: str, law: str, n: int, subject: str = "") -> Comparison | None:
        """The comparison of that kind, None if there is none."""
        wanted = (quantity, law, n, subject)
        return next((c for c in self.comparisons if (c.quantity, c.law, c.n, c.subject) == wanted), None)

    def __repr__(self) -> str:
        laws, sizes = ", ".join(law.name for law in self.setup.laws), ", ".join(str(n) for n in self.setup.n)
        agreeing = sum(comparison.agreement.outcome != "misses" for comparison in self.comparisons)
        return (
            f"Validation({self.data.source!r}, n = {sizes}, laws {laws}: theory holds in {agreeing} of "
            f"{len(self.comparisons)} comparisons)"
        )

    def _columns(self) -> Columns:
        """One row for each comparison."""
        results = [comparison.agreement for comparison in self.comparisons]
        return {
            "quantity": [comparison.quantity for comparison in self.comparisons],
            "map": [comparison.label for comparison in self.comparisons],
            "n": [comparison.n for comparison in self.comparisons],
            "law": [comparison.law for comparison in self.comparisons],
            "entries": [result.predicted.size for result in results],
            "ratio": [result.ratio for result in results],
            "low": [result.ratio_interval[0] for result in results],
            "high": [result.ratio_interval[1] for result in results],
            "log_error": [result.log_error for result in results],
            "log_noise": [result.log_noise for result in results],
            "outcome": [result.outcome for result in results],
        }
