"""What a validation of linear models finds: comparisons with a verdict, and everything else that the report shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray
from ...bands import Band
from ...maps import Map
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


@dataclass(frozen=True)
class Comparison:
    """One quantity of one map at one n under one law.

    Attributes
    ----------
    quantity, law, n : names, and the training-set size
    subject, label : the map or maps, as identifier and for people; empty for κ
    entries : (E,) what each entry is of: number of a mode, input, eigenband or pixel (0-based), noise variance, or place
    agreement : the numbers and the verdict
    """

    quantity: str
    law: str
    n: int
    subject: str
    label: str
    entries: npt.NDArray[Any]
    agreement: Agreement


@dataclass(frozen=True)
class StepError:
    """A sampler of finitely many steps, beside the continuous sampling map and the effect of finite data, at one n.

    All distances are mean square distances per dimension, averaged over inputs, by eigenband (K,).

    Attributes
    ----------
    n, steps : training-set size, and steps of the sampler
    discretisation : distance of the sampler from the continuous map of the same training set
    finite_data : distance of a model of n samples from the model of infinitely many
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
        """Discretisation relative to the effect of finite data, root mean square."""
        return float(np.sqrt(self.discretisation.sum() / self.finite_data.sum()))


@dataclass(frozen=True)
class SizeScaling:
    """Predicted disagreement by eigenband against n, for the laws that are closed forms.

    The other laws are compared at the simulated sizes alone.

    Attributes
    ----------
    subject : key of the map
    n : (P,) training-set sizes
    disagreement : law → (P, K)
    """

    subject: str
    n: FloatArray
    disagreement: dict[str, FloatArray]


@dataclass(frozen=True)
class Counterfactual:
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


@dataclass(frozen=True)
class KappaCurves:
    """κ against the noise variance, for the laws that have one κ.

    Attributes
    ----------
    noise_variances : (S,) σ²
    curves : law → (T, S) κ at each n
    """

    noise_variances: FloatArray
    curves: dict[str, FloatArray]


@dataclass(frozen=True)
class LinearData:
    """The data that a validation of linear models stands on.

    Attributes
    ----------
    source, description : name of the data, and what they are in a sentence
    shape, dimension : of one image, and d
    eigenvalues : of the population
    pool_size, total_images : rows of the pool, and images in the dataset; None for Gaussian data
    """

    source: str
    description: str
    shape: tuple[int, ...]
    dimension: int
    eigenvalues: FloatArray
    pool_size: int | None
    total_images: int | None


@dataclass(frozen=True)
class LinearSetup:
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


@dataclass(frozen=True)
class Validation:
    """Everything that the report on linear models shows.

    Attributes
    ----------
    data : the data
    setup : what was simulated and compared
    comparisons : every quantity of every map at every n under every law
    kappa : κ against the noise variance
    scaling : predicted disagreement against n
    step_errors : of every sampler at every n
    counterfactual : training sets that differ on purpose; None where there is no pool, or too small a one
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
        """The comparison of that kind, None where there is none."""
        wanted = (quantity, law, n, subject)
        return next((c for c in self.comparisons if (c.quantity, c.law, c.n, c.subject) == wanted), None)
