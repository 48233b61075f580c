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
from .counterfactual import Counterfactual
from .quantities import Quantity

__all__ = ["Comparison", "SizeScaling", "StepError", "Validation"]


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
class Validation:
    """Everything that the report on linear models shows.

    Attributes
    ----------
    source, description : name of the data, and what they are in a sentence
    sampling : how training sets are drawn, "gaussian", "resample" or "disjoint"
    shape, dimension : of one image, and d
    pool_size, total_images : rows of the pool, and images in the dataset; None for Gaussian data
    eigenvalues : of the population
    mean : "estimated" or "known"
    sigma_max : where sampling starts
    n, draws, groups : training-set sizes; training sets, and groups of them, at each size
    seed, device : of the simulation
    laws, quantities, maps, bands : what is compared
    input_seeds : seed numbers of the inputs
    comparisons : every quantity of every map at every n under every law
    kappa_grid : (S,) noise variances of the curves of κ
    kappa : law → (T, S) κ at each n
    scaling : predicted disagreement against n
    step_errors : of every sampler at every n
    counterfactual : training sets that differ on purpose; None where there is no pool, or too small a one
    pixel_shape : of quantities that have an entry for each pixel
    notes : caveats that a reader must see, in plain words
    """

    source: str
    description: str
    sampling: str
    shape: tuple[int, ...]
    dimension: int
    pool_size: int | None
    total_images: int | None
    eigenvalues: FloatArray
    mean: str
    sigma_max: float
    n: tuple[int, ...]
    draws: tuple[int, ...]
    groups: tuple[int, ...]
    seed: int
    device: str
    laws: tuple[ComparedLaw, ...]
    quantities: tuple[Quantity, ...]
    maps: tuple[Map, ...]
    bands: tuple[Band, ...]
    input_seeds: tuple[int, ...]
    comparisons: tuple[Comparison, ...]
    kappa_grid: FloatArray
    kappa: dict[str, FloatArray]
    scaling: SizeScaling
    step_errors: tuple[StepError, ...]
    counterfactual: Counterfactual | None
    pixel_shape: tuple[int, ...]
    notes: tuple[str, ...]

    def find(self, quantity: str, law: str, n: int, subject: str = "") -> Comparison | None:
        """The comparison of that kind, None where there is none."""
        wanted = (quantity, law, n, subject)
        return next((c for c in self.comparisons if (c.quantity, c.law, c.n, c.subject) == wanted), None)
