"""Results about one trained network alone: how it was trained, whether it passes the gate, and properties of its samples.

Axes: ``Z`` seeds, ``k`` modes of the population, ``K`` eigenbands, ``S`` noise levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..._checks import FloatArray
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular

__all__ = ["LinearFit", "ModeVariance", "NearestImages", "Quality", "Run", "TrainingFacts"]


@dataclass(frozen=True, repr=False)
class Quality(Tabular):
    """The gate of one run: whether its network is a generative model of its data at all.

    Attributes
    ----------
    passed : whether the run counts
    reasons : the limits that it does not meet, in words; empty if it passes
    sigma : (S,) noise levels of the denoising check
    held_out, held_out_linear : (S,) mean ‖D(x + σz) − x‖²/d on images outside of its training set, of the network (NaN if only its
        samples are known) and of the linear denoiser of the run's own training set
    own, own_linear : (S,) the same on its training images
    variance, variance_data : (K,) generated variance by eigenband, and that of the training set
    excess : generated variance beyond twice the data's, summed over modes, as a share of the data's total
    distance, distance_data, distance_linear : median distance ‖x − y‖/√d of generated images to the nearest image, of held-out
        images to the nearest training image, and of images of the linear model
    """

    passed: bool
    reasons: tuple[str, ...]
    sigma: FloatArray
    held_out: FloatArray
    held_out_linear: FloatArray
    own: FloatArray
    own_linear: FloatArray
    variance: FloatArray
    variance_data: FloatArray
    excess: float
    distance: float
    distance_data: float
    distance_linear: float

    def _columns(self) -> Columns:
        """One row for each noise level of the denoising check."""
        return {
            "sigma": self.sigma,
            "held_out": self.held_out,
            "held_out_linear": self.held_out_linear,
            "own": self.own,
            "own_linear": self.own_linear,
        }

    def __repr__(self) -> str:
        return f"Quality({'passes the gate' if self.passed else 'fails the gate: ' + '; '.join(self.reasons)})"


@dataclass(frozen=True)
class TrainingFacts:
    """How a network was trained.

    Attributes
    ----------
    steps : of the optimiser; 0 for a model that was trained elsewhere
    parameters : of the network; 0 for a model that was trained elsewhere and is not a torch module
    seconds : over all sessions that trained it; 0 for a model that was trained elsewhere
    """

    steps: int
    parameters: int
    seconds: float


@dataclass(frozen=True, repr=False)
class ModeVariance(ShortRepr, Tabular):
    """(k,) variance over seeds along the modes of the population.

    Attributes
    ----------
    generated : of the images that the network generates
    linear : of the linear model of the same training set
    """

    generated: FloatArray
    linear: FloatArray

    def _columns(self) -> Columns:
        return {
            "mode": np.arange(1, self.generated.size + 1),
            "generated": self.generated,
            "linear": self.linear,
        }


@dataclass(frozen=True, repr=False)
class LinearFit(ShortRepr):
    """How close the samples of a network are to those of linear models from the same seeds.

    Attributes
    ----------
    own, pooled, population : R² = 1 − Σ‖x − x_lin‖²/Σ‖x − mean x‖² over seeds, where x_lin is the linear model of the run's own
        training set, of both sets of the pair, or of all images; `pooled` is NaN if the training sets of given models are not
        known
    own_zero : the same about zero instead of the mean image: 1 − Σ‖x − x_lin‖²/Σ‖x‖². It is larger, because it counts the mean
        image, which any model reproduces, as explained
    distance : (Z,) ‖x − x_lin‖²/d, with the linear model of the run's own training set
    """

    own: float
    own_zero: float
    pooled: float
    population: float
    distance: FloatArray


@dataclass(frozen=True, repr=False)
class NearestImages(ShortRepr, Tabular):
    """How near the samples of a network are to training images. All but `own` are NaN if the training sets are not known.

    Attributes
    ----------
    own, other : (Z,) distance ‖x − y‖/√d to the nearest image of its own and of the other training set
    auc : probability that a sample is nearer to its own training set than to the other one, see `metrics.memorisation`: ½ means no
        memorisation
    memorised : share of samples whose nearest training image is three times nearer than the second
    """

    own: FloatArray
    other: FloatArray
    auc: float
    memorised: float

    def _columns(self) -> Columns:
        """One row for each seed."""
        return {"own": self.own, "other": self.other}


@dataclass(frozen=True, repr=False)
class Run(Tabular):
    """One trained network and properties of its samples.

    Attributes
    ----------
    key : unique name, as "unet n=300 A 0"
    arch, n, repeat : architecture, training-set size, and number of the repeated split
    split : "A", "B", or a stratum
    member : number of the initialisation and noise stream
    training : how it was trained
    quality : result of the gate
    variance : of its samples by mode
    linear_fit : how well linear models explain its samples
    nearest : how near its samples are to training images
    """

    key: str
    arch: str
    n: int
    repeat: int
    split: str
    member: int
    training: TrainingFacts
    quality: Quality
    variance: ModeVariance
    linear_fit: LinearFit
    nearest: NearestImages

    def _columns(self) -> Columns:
        """One row."""
        return {
            "run": self.key,
            "arch": self.arch,
            "n": self.n,
            "repeat": self.repeat,
            "split": self.split,
            "member": self.member,
            "passed": self.quality.passed,
            "r2_own": self.linear_fit.own,
            "auc": self.nearest.auc,
            "memorised": self.nearest.memorised,
        }

    def __repr__(self) -> str:
        gate = "passes" if self.quality.passed else "fails"
        return f"Run({self.key!r}: {gate} the gate, R² to its linear model {self.linear_fit.own:.3g})"
