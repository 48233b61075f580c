"""What a validation of networks finds, as plain arrays: what the report draws and JSON holds.

Axes: ``Z`` seeds, ``k`` modes of the population, ``K`` eigenbands, ``S`` noise levels, ``d`` pixels. All squared distances are per
dimension, ‖a − b‖²/d; modes and bands are parts of that, which add up to the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray
from ...bands import Band
from ...disagreement import Disagreement
from ..laws import ComparedLaw
from ..metrics import Correlation

__all__ = [
    "ARMS",
    "LEAST_MODE",
    "Baseline",
    "Forecast",
    "Gallery",
    "LinearFit",
    "Manipulation",
    "ModeVariance",
    "NearestImages",
    "NetworkData",
    "NetworkPair",
    "NetworkSetup",
    "NetworkValidation",
    "PredictorScore",
    "Quality",
    "Run",
    "StrataMatrix",
    "TrainingFacts",
]

#: How the two models of a pair differ. same: the data alone; different: data, initialisation and noise of the training;
#: floor: initialisation and noise alone, on the same data, which is what optimisation leaves open.
ARMS: Mapping[str, str] = {
    "same": "only the data differ",
    "different": "data, initialisation and noise differ",
    "floor": "same data, initialisation and noise differ",
    "given": "two models that were trained elsewhere",
}


#: Modes below this share of the largest eigenvalue are left out of what is said over modes: border pixels that never vary.
LEAST_MODE = 1e-6


@dataclass(frozen=True)
class Quality:
    """The gate of one run: whether its network is a generative model of its data at all.

    Attributes
    ----------
    passed : whether the run counts
    reasons : what it fails, in words; empty where it passes
    sigma : (S,) noise levels of the denoising check
    held_out, held_out_linear : (S,) mean ‖D(x + σz) − x‖²/d on images outside of its training set, of the network and of the linear
        denoiser of the run's own training set
    own, own_linear : (S,) the same on its training images
    variance, variance_data : (K,) generated variance by eigenband, and that of the training set
    excess : generated variance beyond twice the data's, summed over modes, as a share of the data's total
    distance, distance_data, distance_linear : median distance ‖x − y‖/√d to the nearest image, of generated images, of held-out
        ones to the training set, and of those of the linear model
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


@dataclass(frozen=True)
class ModeVariance:
    """(k,) variance over seeds along the modes of the population.

    Attributes
    ----------
    generated : of the images that the network generates
    linear : of the linear model of the same training set
    """

    generated: FloatArray
    linear: FloatArray


@dataclass(frozen=True)
class LinearFit:
    """How close the samples of a network are to those of linear models from the same seeds.

    Attributes
    ----------
    own, pooled, population : R² = 1 − Σ‖x − x_lin‖²/Σ‖x − mean x‖² over seeds, x_lin of the moments of the run's own training
        set, of both sets of the pair, and of all images; `pooled` is NaN where the training sets of given models are not known
    own_zero : as `own`, about zero in place of the mean image: 1 − Σ‖x − x_lin‖²/Σ‖x‖². It counts the mean image, which any
        model gets right, as explained, and is the larger for it
    distance : (Z,) ‖x − x_lin‖²/d to the own linear prediction
    """

    own: float
    own_zero: float
    pooled: float
    population: float
    distance: FloatArray


@dataclass(frozen=True)
class NearestImages:
    """How near the samples of a network are to training images. All but `own` are NaN if the training sets are not known.

    Attributes
    ----------
    own, other : (Z,) distance ‖x − y‖/√d to the nearest image of the own and of the other training set
    auc : probability that a sample is nearer to its own training set than to the other one, see `metrics.memorisation`: ½ means no
        memorisation
    memorised : share of samples whose nearest training image is three times nearer than the second
    """

    own: FloatArray
    other: FloatArray
    auc: float
    memorised: float


@dataclass(frozen=True)
class Run:
    """One trained network and what its samples are like.

    Attributes
    ----------
    key : unique name, as "unet n=300 A 0"
    arch, n, repeat : what was trained on how many images of which of the repeated splits
    split : "A", "B", or a stratum
    member : which initialisation and noise stream
    training : how it was trained
    quality : the gate
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


@dataclass(frozen=True)
class NetworkPair:
    """Two networks that start from the same seeds.

    Attributes
    ----------
    arch, n, repeat : as in :class:`Run`
    arm : one of :data:`ARMS`
    runs : keys of the two
    trained : whether both pass the gate; a pair that does not is in no average
    disagreement : of the two, on the same seeds; of unrelated seeds it is the mean over all pairs of different seeds
    pixels : mean squared difference of each pixel, image-shaped
    sigma, denoiser : (S,) noise levels, and mean ‖D_a − D_b‖²/d on noised held-out images
    """

    arch: str
    n: int
    repeat: int
    arm: str
    runs: tuple[str, str]
    trained: bool
    disagreement: Disagreement
    pixels: FloatArray
    sigma: FloatArray
    denoiser: FloatArray


@dataclass(frozen=True)
class Baseline:
    """Models that need no training, of the two splits of one n and repeat, from the same seeds.

    Attributes
    ----------
    kind : "linear" (the exact sampling map of each split's moments) or "memorising" (the exact score of each split's images, which
        returns the images themselves)
    n, repeat : which splits
    disagreement : as in :class:`NetworkPair`
    """

    kind: str
    n: int
    repeat: int
    disagreement: Disagreement


@dataclass(frozen=True)
class Forecast:
    """What a law says of two linear models of n images each.

    Attributes
    ----------
    law, n : its name and the training-set size
    disagreement : expected ‖a − b‖²/d of each of the Z seeds; `bands` are parts of its mean over these seeds, `modes` and all that
        is unrelated are means over all seeds there are
    gain : (k,) expected gain of the sampling map, overshrinkage included: generated variance is (gain σ_max)²
    denoiser : (S,) disagreement of the denoisers at the noise levels of the pairs
    """

    law: str
    n: int
    disagreement: Disagreement
    gain: FloatArray
    denoiser: FloatArray


@dataclass(frozen=True)
class PredictorScore:
    """How well a predictor tells where networks disagree, over all trained pairs of one architecture, n and arm.

    Attributes
    ----------
    arch, n, arm : the pairs
    predictor : name of a law, or "linear": the linear models of the very same splits
    pairs : how many pairs
    seeds : Spearman correlation of predicted and observed disagreement over seeds
    modes : over modes. Whatever makes networks differ acts in proportion to the variance of a mode, so that this is close to 1 for
        any cause: see `relative`
    relative : over modes, of the disagreement relative to that of unrelated seeds in the mode
    seeds_pearson, modes_pearson, relative_pearson : the same, Pearson's of the logarithms
    factor : observed over predicted, total
    factor_bands : (K,) the same by eigenband, NaN where nothing is predicted
    """

    arch: str
    n: int
    arm: str
    predictor: str
    pairs: int
    seeds: Correlation
    modes: Correlation
    relative: Correlation
    seeds_pearson: Correlation
    modes_pearson: Correlation
    relative_pearson: Correlation
    factor: float
    factor_bands: FloatArray


@dataclass(frozen=True)
class Gallery:
    """Images of a few seeds of one architecture, n and arm: `rows` are (label, (G, *shape)) in the order to be shown."""

    arch: str
    n: int
    arm: str
    trained: bool
    seeds: tuple[int, ...]
    rows: tuple[tuple[str, FloatArray], ...]


@dataclass(frozen=True)
class Manipulation:
    """Disagreement where some eigenmodes of the initial noise are amplified or suppressed.

    Attributes
    ----------
    arch, n, arm : the pairs
    part : "top" or "bottom" modes
    modes : (start, stop) 0-based
    factor : what their coordinates are multiplied with; 1 is the seed as it is
    observed : mean ‖a − b‖²/d, mean over the trained pairs
    linear : of the linear models of the same splits
    predicted : law → the same
    """

    arch: str
    n: int
    arm: str
    part: str
    modes: tuple[int, int]
    factor: float
    observed: float
    linear: float
    predicted: Mapping[str, float]


@dataclass(frozen=True)
class StrataMatrix:
    """Disagreement of networks trained on strata along a principal component; the diagonal is two disjoint sets of one stratum.

    Attributes
    ----------
    arch, n, component : component counts from 0
    names : (C,) strata
    observed : (C, C) mean ‖a − b‖²/d over seeds, NaN where a run fails the gate
    linear : (C, C) of the linear models of the same sets
    predicted : law → (C, C)
    unrelated : of two models of the i.i.d. stratum and two unrelated seeds
    """

    arch: str
    n: int
    component: int
    names: tuple[str, ...]
    observed: FloatArray
    linear: FloatArray
    predicted: Mapping[str, FloatArray]
    unrelated: float


@dataclass(frozen=True)
class NetworkData:
    """The images that networks were trained on parts of.

    Attributes
    ----------
    source, description : name of the data, and what they are in a sentence
    shape, dimension : of one image, and d
    images : how many there are
    eigenvalues : of all images
    """

    source: str
    description: str
    shape: tuple[int, ...]
    dimension: int
    images: int
    eigenvalues: FloatArray


@dataclass(frozen=True)
class NetworkSetup:
    """What was trained, sampled and compared.

    Attributes
    ----------
    n, archs, arms, repeats : what was trained; a comparison of two given models has no repeats and the arm "given"
    seeds : (Z,) seed numbers
    sigma_max, sampler_steps : of the sampler
    preset, device, seed : how
    laws, bands : theories, and eigenbands of all images
    """

    n: tuple[int, ...]
    archs: tuple[str, ...]
    arms: tuple[str, ...]
    repeats: int
    seeds: npt.NDArray[np.int64]
    sigma_max: float
    sampler_steps: int
    preset: str
    device: str
    seed: int
    laws: tuple[ComparedLaw, ...]
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class NetworkValidation:
    """Everything the report on networks shows.

    Attributes
    ----------
    data : the images
    setup : what was trained, sampled and compared
    runs, pairs : the networks, and pairs of them
    baselines, forecasts : models that need no training, and what each law predicts
    predictor_scores : how well laws and linear models predict where networks disagree
    galleries : images of a few seeds
    manipulations : disagreement where modes of the initial noise are changed
    strata : networks trained on strata of the data
    notes : caveats that a reader must see, in plain words
    """

    data: NetworkData
    setup: NetworkSetup
    runs: tuple[Run, ...]
    pairs: tuple[NetworkPair, ...]
    baselines: tuple[Baseline, ...]
    forecasts: tuple[Forecast, ...]
    predictor_scores: tuple[PredictorScore, ...]
    galleries: tuple[Gallery, ...]
    manipulations: tuple[Manipulation, ...]
    strata: tuple[StrataMatrix, ...]
    notes: tuple[str, ...]

    def trained_pairs(self, arch: str, n: int, arm: str) -> list[NetworkPair]:
        """The pairs of that kind which pass the gate."""
        return [p for p in self.pairs if (p.arch, p.n, p.arm) == (arch, n, arm) and p.trained]

    def forecast(self, law: str, n: int) -> Forecast | None:
        """What a law says at n, None where it was not asked."""
        return next((f for f in self.forecasts if (f.law, f.n) == (law, n)), None)
