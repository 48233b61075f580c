"""Results of pilots as plain arrays: what the report draws and the JSON file holds.

Disagreement is relative to unrelated seeds: 0 for equal images, 1 for images as different as those of two unrelated seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._repr import ShortRepr
from .._tables import Columns, Tabular
from ..validation.network.results import Gallery, NetworkData, NetworkPair
from ..validation.network.runs import Run
from .amount import Amount, Bounds, SizeObserved

__all__ = ["ForecastAt", "Needed", "Pilot", "PilotSeeds", "PilotSetup", "ShorterTraining", "TrainingLength"]

IntArray = npt.NDArray[np.int64]
#: The rank correlation of two unrelated orders stays below this over the root of their length in 95 % of the cases.
_CHANCE = 1.645


@dataclass(frozen=True, repr=False)
class PilotSetup(ShortRepr):
    """How the pilots were made.

    Attributes
    ----------
    networks : name of the networks: an architecture, or what trained them
    n : training-set sizes of the pilots
    repeats : pairs of training sets of each size
    steps : of the training; 0 if they are not known
    seeds : (Z,) seed numbers
    sigma_max, sampler_steps : of the sampler; 0 steps if the samples come from elsewhere
    law : name of the law that gives the dependence on n
    preset, device : as in a validation of networks
    seed : of splits, initialisations and noise
    command : the user's own command that trained the networks, with its placeholders; "" without one
    """

    networks: str
    n: tuple[int, ...]
    repeats: int
    steps: int
    seeds: IntArray
    sigma_max: float
    sampler_steps: int
    law: str
    preset: str
    device: str
    seed: int
    command: str = ""


@dataclass(frozen=True, repr=False)
class ForecastAt(ShortRepr, Tabular):
    """Disagreement of two networks at one size.

    Attributes
    ----------
    n : number of images in each training set
    law : the law, for linear models of so many images
    everything : two networks that differ in images, initialisation and noise
    data_alone : two that differ only in their images; NaN if no pilots show it
    same_images : two that were trained on the same images
    """

    n: int
    law: float
    everything: Bounds
    data_alone: Bounds
    same_images: Bounds

    @property
    def optimisation_share(self) -> float:
        """The share of `everything` that remains if both networks have the same images."""
        return min(1.0, self.same_images.value / self.everything.value)

    def _columns(self) -> Columns:
        """One row."""
        named = {"everything": self.everything, "data_alone": self.data_alone, "same_images": self.same_images}
        return {"n": self.n, "law": self.law} | {
            f"{name}_{part}" if part != "value" else name: getattr(interval, part)
            for name, interval in named.items()
            for part in ("value", "low", "high")
        }


@dataclass(frozen=True)
class Needed(Tabular):
    """How many images two networks need to disagree by at most a tolerance.

    Attributes
    ----------
    tolerance : disagreement, relative to unrelated seeds
    n : number of images in each training set; infinite where more images alone do not reach it, NaN where the images at hand cannot
        determine the law at so large an n
    low, high : limits that should hold it in 80 % of the cases; infinite and NaN as for `n`
    """

    tolerance: float
    n: float
    low: float
    high: float

    def _columns(self) -> Columns:
        """One row."""
        return {"tolerance": self.tolerance, "n": self.n, "low": self.low, "high": self.high}


class ShorterTraining(NamedTuple):
    """Disagreement of networks that were trained for so many steps: everything differs, and the same images."""

    steps: int
    everything: float
    same_images: float
    passed: bool


@dataclass(frozen=True, repr=False)
class TrainingLength(ShortRepr, Tabular):
    """How the disagreement on the same images falls with the length of the training, at one size.

    Attributes
    ----------
    n : size at which networks were also trained for fewer steps
    trainings : by number of steps, ascending; the last is that of the pilots
    exponent : p of F ∝ steps^−p, fitted to the trainings that pass the gate; NaN with fewer than two of them. Below 0, longer
        training makes two networks disagree more: short trainings leave both near the same simple denoiser
    """

    n: int
    trainings: tuple[ShorterTraining, ...]
    exponent: float

    @property
    def falls(self) -> bool:
        """Whether the disagreement falls with longer training, as far as these trainings show."""
        return self.exponent > 0

    def factor(self, times: float) -> float:
        """What the disagreement on the same images is multiplied by if networks are trained `times` as long."""
        return float(times**-self.exponent)

    def _columns(self) -> Columns:
        """One row for each length."""
        return {name: [getattr(each, name) for each in self.trainings] for name in ShorterTraining._fields}


@dataclass(frozen=True, repr=False)
class PilotSeeds(ShortRepr, Tabular):
    r"""A calibrated disagreement of each seed, D_i = D (PV_i / mean PV^β)^β, with β and the spread from the pilots.

    Attributes
    ----------
    numbers : (Z,) seed numbers
    posterior_variance : (Z,) PV_i of all images
    exponent : β, the slope of log D_i over log PV_i
    low, high : factors on D_i between which 80 % of the seeds of single pairs lie
    correlation : Spearman's correlation with the disagreement of single pairs, mean over pairs
    n : size of the pilots from which these come
    """

    numbers: IntArray
    posterior_variance: FloatArray
    exponent: float
    low: float
    high: float
    correlation: float
    n: int

    def factors(self, observed: FloatArray) -> FloatArray:
        """(r, Z) disagreement of r pairs, divided by the mean of each over the seeds and by :meth:`relative`."""
        return np.asarray(observed / observed.mean(axis=1, keepdims=True) / self.relative())

    @property
    def ordered(self) -> bool:
        """Whether the order of the seeds by their posterior variance agrees with that of the pilots better than chance."""
        return self.exponent > 0 and self.correlation > _CHANCE / math.sqrt(len(self.numbers))

    def ends(self, each: int) -> IntArray:
        """(2 each,) places of the seeds that are expected to disagree most, the first one first, and least, the last one last."""
        order = np.argsort(-self.relative(), kind="stable")
        kept = max(1, min(each, len(order) // 2))
        return np.concatenate([order[:kept], order[-kept:]])

    def relative(self) -> FloatArray:
        """(Z,) disagreement of each seed divided by the mean over these seeds."""
        powers = (self.posterior_variance / self.posterior_variance.mean()) ** self.exponent
        return np.asarray(powers / powers.mean())

    def _columns(self) -> Columns:
        """One row for each seed."""
        return {
            "seed": self.numbers,
            "posterior_variance": self.posterior_variance,
            "relative_disagreement": self.relative(),
        }


@dataclass(frozen=True, repr=False)
class Pilot(Tabular):
    """What pilots say about networks of one kind.

    Attributes
    ----------
    data, setup : of the experiment
    runs : every trained network with its gate
    pairs : every pair, at the full length of the training
    sizes : what the pilots at each size showed; only sizes with pairs that pass the gate
    amount : the fit
    curve : forecasts at a range of n
    tolerance : the tolerance that was asked for
    needed : images needed for that tolerance, and for others
    length : effect of the length of the training, None if it was not measured
    seeds : calibrated disagreement of seeds, None where the images do not order them
    gallery : images of a few seeds
    notes : caveats that a reader must see first
    """

    data: NetworkData
    setup: PilotSetup
    runs: tuple[Run, ...]
    pairs: tuple[NetworkPair, ...]
    sizes: tuple[SizeObserved, ...]
    amount: Amount
    curve: tuple[ForecastAt, ...]
    tolerance: float
    needed: tuple[Needed, ...]
    length: TrainingLength | None
    seeds: PilotSeeds | None
    gallery: Gallery | None
    notes: tuple[str, ...]

    def at(self, n: int) -> ForecastAt:
        """The forecast of the curve whose n is nearest, on a logarithmic scale."""
        return min(self.curve, key=lambda each: abs(math.log(each.n / n)))

    @property
    def halves(self) -> ForecastAt:
        """The forecast for two training sets of half of the images at hand, the largest that have no image in common."""
        return self.at(max(1, self.data.images // 2))

    @property
    def wanted(self) -> Needed:
        """Images needed for the tolerance that was asked for."""
        return next(each for each in self.needed if each.tolerance == self.tolerance)

    def _columns(self) -> Columns:
        """One row for each n of the curve."""
        rows = [each._columns() for each in self.curve]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def __repr__(self) -> str:
        sizes = ", ".join(map(str, self.setup.n))
        floor = self.amount.fit.floor
        return (
            f"Pilot({self.setup.networks!r} on {self.data.source!r}, n = {sizes}: floor {floor:.3g} of unrelated seeds)"
        )
