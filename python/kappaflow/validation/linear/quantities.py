"""The quantities that a validation compares: for each, the prediction of :class:`~kappaflow.Splits` and the estimate of a
simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray
from ..._repr import ShortRepr
from ...bands import Band
from ...laws import law_spec
from ...maps import Map
from ...moments import has_variance
from ...splits import Splits
from .statistics import Design, Statistics

__all__ = ["QUANTITIES", "Quantity", "QuantityPair", "Subject", "chosen_quantities"]

#: What predictions of a typical entry neglect, in units of 1/m; predictions of totals neglect 1. Expectations hold their own term
#: of order 1/m. For variances it is the most that a map of one strong mode can show: there the denoiser's t/(λ̂ + t) is 1/λ̂, an
#: inverse χ² with m degrees of freedom, whose relative variance 2m²/((m − 2)²(m − 4)) is the limit's 2/m times 1 + 8/m + ….
EXPECTATION, VARIANCE = 1.0, 8.0


@dataclass(frozen=True, repr=False)
class Subject(ShortRepr):
    """What a quantity belongs to: the simulation at one n, a map, and for covariances a second map.

    Attributes
    ----------
    design : of the simulation
    inputs : (B, d) inputs of `map` in data space
    bands : eigenbands
    map, second : the map, and the map that it is correlated with, if any
    """

    design: Design
    inputs: FloatArray
    bands: tuple[Band, ...]
    map: Map
    second: Map | None = None

    @property
    def key(self) -> str:
        """Identifier of the map or maps."""
        return self.map.key if self.second is None else f"{self.map.key}/{self.second.key}"

    @property
    def label(self) -> str:
        """Name shown to people."""
        return self.map.label if self.second is None else f"{self.map.label} and {self.second.label}"


@dataclass(frozen=True, repr=False)
class QuantityPair(ShortRepr):
    """The two sides of a comparison.

    Attributes
    ----------
    simulated : (G, E) estimates of each group of training sets
    predicted : (E,)
    entries : (E,) what each entry is of: number of a mode, input, eigenband or pixel (0-based), noise variance, or position
    totals, predicted_total : (G,) and a number, given if the total covers more than the entries
    """

    simulated: FloatArray
    predicted: FloatArray
    entries: npt.NDArray[Any]
    totals: FloatArray | None = None
    predicted_total: float | None = None


@dataclass(frozen=True, repr=False)
class Quantity(ShortRepr):
    """A quantity that :class:`~kappaflow.Splits` predicts.

    Attributes
    ----------
    name, title : identifier, and name shown to people
    entry : name of one entry, in the singular
    covers : "map" (one value for each map), "pair" (for two maps) or "noise" (for no map)
    neglected : c, if predictions of a typical entry neglect a relative error of c/m, which the comparison allows
    compare : (statistics, subject, splits) → the two sides
    """

    name: str
    title: str
    entry: str
    covers: str
    neglected: float
    compare: Callable[[Statistics, Subject, Splits], QuantityPair]


def _modes_with_variance(splits: Splits) -> npt.NDArray[np.int64]:
    """Indices of the modes that have variance."""
    return np.flatnonzero(has_variance(splits.population.eigenvalues))


def _gains(statistics: Statistics, subject: Subject, splits: Splits) -> QuantityPair:
    modes = _modes_with_variance(splits)
    f = subject.map.function(splits)
    gain = splits.expectation(f)
    if law_spec(splits.law).has_corrections and splits.terms == "full":
        gain = gain + splits.expectation_correction(f)
    return QuantityPair(statistics.arrays[f"gain/{subject.key}"][:, modes], gain[modes], modes)


def _mode_pairs(statistics: Statistics, subject: Subject, splits: Splits) -> QuantityPair:
    f, chosen = subject.map.function(splits), np.array(subject.design.pair_modes)
    inside = np.flatnonzero(np.isin(chosen, _modes_with_variance(splits)))
    simulated = statistics.arrays[f"pairs/{subject.key}"][:, inside][:, :, inside]
    upper = np.triu_indices(len(inside))  # the matrix is symmetric: each pair once
    predicted = splits.mode_variance(f, chosen[inside])
    return QuantityPair(
        simulated[:, upper[0], upper[1]],
        predicted[upper],
        np.arange(len(upper[0])),
        totals=statistics.arrays[f"total/{subject.key}"],
        predicted_total=float(splits.mode_variance(f).sum()),
    )


def _equal_modes(statistics: Statistics, subject: Subject, splits: Splits) -> QuantityPair:
    modes = _modes_with_variance(splits)
    variance = splits.equal_mode_variance(subject.map.function(splits))
    return QuantityPair(statistics.arrays[f"equal/{subject.key}"][:, modes], variance[modes], modes)


def _mode_average(statistics: Statistics, subject: Subject, splits: Splits) -> QuantityPair:
    modes = _modes_with_variance(splits)
    spread = subject.design.spread[subject.key]
    predicted = splits.mode_disagreement(subject.map.function(splits), input_variance=spread).part
    scale = 2 / splits.population.dimension
    return QuantityPair(scale * statistics.arrays[f"average/{subject.key}"][:, modes], predicted[modes], modes)


def _seeds(statistics: Statistics, subject: Subject, splits: Splits) -> QuantityPair:
    scale = 2 / splits.population.dimension
    simulated = scale * statistics.arrays[f"output/{subject.key}"].sum(axis=2)
    predicted = splits.disagreement(subject.map.function(splits), subject.inputs)
    return QuantityPair(simulated, predicted, np.arange(predicted.size))


def _bands(statistics: Statistics, subject: Subject, splits: Splits) -> QuantityPair:
    scale = 2 / splits.population.dimension
    by_mode = scale * statistics.arrays[f"output/{subject.key}"].mean(axis=1)
    simulated = np.stack([by_mode[:, band.start : band.stop].sum(axis=1) for band in subject.bands], axis=1)
    predicted = splits.disagreement(subject.map.function(splits), subject.inputs, bands=subject.bands)
    return QuantityPair(simulated, predicted.mean(axis=0), np.arange(len(subject.bands)))


def _pixels(statistics: Statistics, subject: Subject, splits: Splits) -> QuantityPair:
    f = subject.map.function(splits)
    predicted = splits.pixel_variance(f, subject.inputs[0]).ravel()
    varies = has_variance(predicted)  # constant pixels, as the corners of the digits are
    return QuantityPair(statistics.arrays[f"pixel/{subject.key}"][:, varies], predicted[varies], np.flatnonzero(varies))


def _trajectory(statistics: Statistics, subject: Subject, splits: Splits) -> QuantityPair:
    assert subject.second is not None
    f, g = subject.map.function(splits), subject.second.function(splits)
    vectors = splits.population.eigenvectors
    directions = np.eye(splits.population.dimension) if vectors is None else vectors.T
    predicted = splits.covariance(f, g, subject.inputs, directions)
    simulated = statistics.arrays[f"trajectory/{subject.key}"]
    groups = np.stack([simulated[:, :, band.start : band.stop].sum(axis=2) for band in subject.bands], axis=2)
    by_band = np.stack([predicted[:, band.start : band.stop].sum(axis=1) for band in subject.bands], axis=1)
    return QuantityPair(groups.reshape(len(groups), -1), by_band.ravel(), np.arange(by_band.size))


def _kappa(statistics: Statistics, subject: Subject, splits: Splits) -> QuantityPair:
    design = subject.design
    simulated = design.n / design.degrees / statistics.arrays["trace"]  # the harmonic mean of λ + σ²
    variances = np.array(design.noise_variances)
    kappa = splits.kappa(noise_variance=variances)
    if splits.terms == "full":  # the order 1/m that a trace over finitely many samples shows, kept positive
        kappa = kappa / (1 - splits.kappa_correction(noise_variance=variances) / kappa)
    relative = (simulated / kappa).mean(axis=1)  # κ spans many decades, so that its total says nothing
    return QuantityPair(simulated, kappa, variances, totals=relative, predicted_total=1.0)


#: Every quantity, in the order of the report.
_ALL = (
    Quantity(
        "kappa",
        "renormalised noise κ(σ²)",
        entry="noise level",
        covers="noise",
        neglected=EXPECTATION,
        compare=_kappa,
    ),
    Quantity(
        "gains",
        "expected gain of each mode",
        entry="mode",
        covers="map",
        neglected=EXPECTATION,
        compare=_gains,
    ),
    Quantity(
        "mode_variance",
        "variance of mode pairs",
        entry="mode pair",
        covers="map",
        neglected=VARIANCE,
        compare=_mode_pairs,
    ),
    Quantity(
        "equal_mode_variance",
        "variance of equal modes",
        entry="mode",
        covers="map",
        neglected=VARIANCE,
        compare=_equal_modes,
    ),
    Quantity(
        "mode_disagreement",
        "disagreement by mode, mean over inputs",
        entry="mode",
        covers="map",
        neglected=VARIANCE,
        compare=_mode_average,
    ),
    Quantity(
        "seeds",
        "disagreement by input",
        entry="input",
        covers="map",
        neglected=VARIANCE,
        compare=_seeds,
    ),
    Quantity(
        "bands",
        "disagreement by eigenband",
        entry="eigenband",
        covers="map",
        neglected=VARIANCE,
        compare=_bands,
    ),
    Quantity(
        "pixels",
        "variance of pixels for one input",
        entry="pixel",
        covers="map",
        neglected=VARIANCE,
        compare=_pixels,
    ),
    Quantity(
        "trajectory",
        "covariance along the trajectory",
        entry="input and eigenband",
        covers="pair",
        neglected=VARIANCE,
        compare=_trajectory,
    ),
)
#: Every quantity by name.
QUANTITIES: Mapping[str, Quantity] = MappingProxyType({quantity.name: quantity for quantity in _ALL})


def chosen_quantities(names: Sequence[str] | None) -> list[Quantity]:
    """Quantities by name, in the given order and without repeats; all of them by default.

    Raises
    ------
    ValueError
        A name is unknown.
    """
    if names is None:
        return list(QUANTITIES.values())
    for name in names:
        if name not in QUANTITIES:
            raise ValueError(f"quantities must be among {', '.join(QUANTITIES)}, got {name!r}")
    return [QUANTITIES[name] for name in dict.fromkeys(names)]
