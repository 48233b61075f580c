"""Results of a validation of networks as plain arrays: what the report draws and the JSON file holds.

Axes: ``Z`` seeds, ``k`` modes of the population, ``K`` eigenbands, ``S`` noise levels, ``d`` pixels. All squared distances are per
dimension, ‖a − b‖²/d; the values of modes and bands are parts of these distances, which add up to the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..._checks import FloatArray
from ..._repr import ShortRepr
from ..._tables import Columns, Tabular
from ...bands import Band
from ...disagreement import Disagreement
from ...provenance import Provenance
from ..laws import ComparedLaw
from ..metrics import Correlation
from .order import Reach
from .runs import Run

__all__ = [
    "ANOTHER_PAIR",
    "ARMS",
    "LEAST_MODE",
    "POSTERIOR",
    "TRIVIAL",
    "AmountScore",
    "Baseline",
    "Forecast",
    "Gallery",
    "Manipulation",
    "NetworkData",
    "NetworkPair",
    "NetworkSetup",
    "NetworkValidation",
    "PredictorScore",
    "SeedScore",
    "StrataMatrix",
]

#: How the two models of a pair differ. same: the data alone; different: data, initialisation and noise of the training;
#: floor: initialisation and noise alone, on the same data, which is what optimisation leaves open.
ARMS: Mapping[str, str] = {
    "same": "only the data differ",
    "different": "data, initialisation and noise differ",
    "floor": "same data, initialisation and noise differ",
    "given": "two models that were trained elsewhere",
}

#: Predictors of the order of seeds that are neither a law nor linear models, see :class:`SeedScore`.
POSTERIOR, TRIVIAL, ANOTHER_PAIR = "posterior_variance", "trivial", "another_pair"

#: Modes below this share of the largest eigenvalue are left out of what is said over modes: border pixels that never vary.
LEAST_MODE = 1e-6


class _OfKind(Protocol):
    @property
    def arch(self) -> str: ...
    @property
    def n(self) -> int: ...
    @property
    def arm(self) -> str: ...


def _kind(result: _OfKind) -> Columns:
    """The columns that say which networks a row is about."""
    return {"arch": result.arch, "n": result.n, "arm": result.arm}


@dataclass(frozen=True, repr=False)
class NetworkPair(ShortRepr, Tabular):
    """Two networks that start from the same seeds.

    Attributes
    ----------
    arch, n, repeat : as in :class:`Run`
    arm : one of :data:`ARMS`
    runs : keys of the two
    trained : whether both pass the gate; other pairs enter no average
    disagreement : of the two on the same seeds; for unrelated seeds, the mean over all pairs of different seeds
    pixels : mean squared difference of each pixel, image-shaped
    sigma, denoiser : (S,) noise levels, and mean ‖D_a − D_b‖²/d on noised held-out images; NaN if they were not compared there
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

    def _columns(self) -> Columns:
        """One row for each noise level: the disagreement of the denoisers."""
        return {"sigma": self.sigma, "denoiser": self.denoiser}


@dataclass(frozen=True, repr=False)
class Baseline(ShortRepr):
    """Two models that need no training, one for each split of one n and repeat, sampled from the same seeds.

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


@dataclass(frozen=True, repr=False)
class Forecast(ShortRepr):
    """Prediction of a law for two linear models of n images each.

    Attributes
    ----------
    law, n : its name and the training-set size
    disagreement : expected ‖a − b‖²/d of each of the Z seeds; `bands` are parts of its mean over these seeds; `modes` and the
        values for unrelated seeds are expectations over all possible seeds
    gain : (k,) expected gain of the sampling map, overshrinkage included: generated variance is (gain σ_max)²
    denoiser : (S,) disagreement of the denoisers at the noise levels of the pairs
    """

    law: str
    n: int
    disagreement: Disagreement
    gain: FloatArray
    denoiser: FloatArray


@dataclass(frozen=True, repr=False)
class PredictorScore(Tabular):
    """How well a predictor predicts in which seeds and modes networks disagree, over all trained pairs of one architecture, n
    and arm.

    Attributes
    ----------
    arch, n, arm : the pairs
    predictor : name of a law, or "linear": the linear models of the very same splits
    pairs : number of pairs
    seeds : Spearman correlation of predicted and observed disagreement over seeds
    modes : the same over modes; close to 1 in any case, because disagreement grows with the variance of a mode: see `relative`
    relative : the same over modes, for the disagreement divided by that of unrelated seeds in the mode
    reach : what exact linear models of such training sets reach in place of `relative`
    seeds_pearson, modes_pearson, relative_pearson : Pearson correlations of the logarithms of the same values
    factor : total observed disagreement divided by the predicted one
    factor_bands : (K,) the same by eigenband, NaN if the prediction is 0
    """

    arch: str
    n: int
    arm: str
    predictor: str
    pairs: int
    seeds: Correlation
    modes: Correlation
    relative: Correlation
    reach: Reach
    seeds_pearson: Correlation
    modes_pearson: Correlation
    relative_pearson: Correlation
    factor: float
    factor_bands: FloatArray

    def _columns(self) -> Columns:
        """One row."""
        return {
            **_kind(self),
            "predictor": self.predictor,
            "pairs": self.pairs,
            "seeds": self.seeds.value,
            "modes": self.modes.value,
            "relative": self.relative.value,
            "factor": self.factor,
        }

    def __repr__(self) -> str:
        return (
            f"PredictorScore({self.predictor!r} of {self.arch!r}, n = {self.n}, {self.arm!r}: correlation over seeds "
            f"{self.seeds.value:.3g}, over modes {self.relative.value:.3g} (relative); observed/predicted {self.factor:.3g})"
        )


@dataclass(frozen=True, repr=False)
class SeedScore(Tabular):
    """How well a predictor orders the seeds on which networks disagree, over all trained pairs of one architecture, n and arm.

    Attributes
    ----------
    arch, n, arm : the pairs
    predictor : :data:`POSTERIOR`, the posterior variance of all images; :data:`TRIVIAL`, minus the squared distance of the linear
        model's image to the mean; the name of a law; "linear", the linear models of the very same splits; or
        :data:`ANOTHER_PAIR`, one trained pair as a predictor of the others
    pairs : how many pairs are predicted
    single : mean Spearman correlation with single pairs
    mean : Spearman correlation with the mean over the pairs
    reliability : mean Spearman correlation between two pairs, NaN for one pair
    tenths : mean disagreement of the tenth of the seeds that is predicted highest over that of the lowest tenth
    pixels : mean over the first 64 seeds of the Spearman correlation, over pixels, with the mean of the pairs; NaN without a map,
        which the posterior variance, the most general law and another pair have
    """

    arch: str
    n: int
    arm: str
    predictor: str
    pairs: int
    single: float
    mean: Correlation
    reliability: float
    tenths: float
    pixels: float

    def _columns(self) -> Columns:
        """One row."""
        return {
            **_kind(self),
            "predictor": self.predictor,
            "pairs": self.pairs,
            "single": self.single,
            "ceiling": self.ceiling,
            "mean": self.mean.value,
            "tenths": self.tenths,
            "pixels": self.pixels,
        }

    def __repr__(self) -> str:
        return (
            f"SeedScore({self.predictor!r} of {self.arch!r}, n = {self.n}, {self.arm!r}: correlation over seeds "
            f"{self.single:.3g} with single pairs, ceiling {self.ceiling:.3g}; {self.mean.value:.3g} with the mean)"
        )

    @property
    def ceiling(self) -> float:
        """√reliability, what `single` could be expected to reach: a pair's own randomness cannot be predicted.

        NaN for one pair, 0 where two pairs do not order seeds alike at all.
        """
        return math.nan if math.isnan(self.reliability) else math.sqrt(max(self.reliability, 0.0))

    @property
    def significant(self) -> bool:
        """Whether `mean` is positive with p < 0.05, two-sided, by a permutation test."""
        return self.mean.beats_chance


@dataclass(frozen=True, repr=False)
class AmountScore(Tabular):
    """Disagreement of networks of n images, predicted from pairs at smaller sizes by :func:`kappaflow.fit_common_floor`.

    Everything differs between the two networks: images, initialisation and noise. All values are relative to unrelated seeds.

    Attributes
    ----------
    arch, n : the networks
    pilots : smaller sizes with trained pairs and their floor
    observed : disagreement, mean over the pairs of size n
    predicted : from the pilots
    law : the law alone, which is about linear models
    floor : what the pilots say remains with any number of images
    """

    arch: str
    n: int
    pilots: tuple[int, ...]
    observed: float
    predicted: float
    law: float
    floor: float

    @property
    def factor(self) -> float:
        """Observed over predicted."""
        return self.observed / self.predicted

    def _columns(self) -> Columns:
        """One row."""
        return {
            "arch": self.arch,
            "n": self.n,
            "pilots": ", ".join(map(str, self.pilots)),
            "observed": self.observed,
            "predicted": self.predicted,
            "law": self.law,
            "floor": self.floor,
        }

    def __repr__(self) -> str:
        return (
            f"AmountScore({self.arch!r}, n = {self.n} from {', '.join(map(str, self.pilots))}: observed {self.observed:.3g}, "
            f"predicted {self.predicted:.3g})"
        )


@dataclass(frozen=True, repr=False)
class Gallery(ShortRepr):
    """Images of a few seeds of one architecture, n and arm: `rows` are (label, images (G, *shape)) in the order in which they
    are shown.
    """

    arch: str
    n: int
    arm: str
    trained: bool
    seeds: tuple[int, ...]
    rows: tuple[tuple[str, FloatArray], ...]


@dataclass(frozen=True, repr=False)
class Manipulation(ShortRepr, Tabular):
    """Disagreement where some eigenmodes of the initial noise are amplified or suppressed.

    Attributes
    ----------
    arch, n, arm : the pairs
    part : "top" or "bottom" modes
    modes : (start, stop) 0-based
    factor : by which their coordinates are multiplied; 1 is the unchanged seed
    observed : ‖a − b‖²/d, mean over seeds and over the trained pairs
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

    def _columns(self) -> Columns:
        """One row."""
        return {
            **_kind(self),
            "part": self.part,
            "factor": self.factor,
            "observed": self.observed,
            "linear": self.linear,
            **{f"predicted, {law}": value for law, value in self.predicted.items()},
        }


@dataclass(frozen=True, repr=False)
class StrataMatrix(ShortRepr, Tabular):
    """Disagreement of networks trained on strata along a principal component; the diagonal is two disjoint sets of one stratum.

    Attributes
    ----------
    arch, n, component : architecture, training-set size, and principal component (0-based)
    names : (C,) strata
    observed : (C, C) mean ‖a − b‖²/d over seeds, NaN if a run fails the gate
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

    def _columns(self) -> Columns:
        """One row for each ordered pair of strata."""
        count = len(self.names)
        return {
            "first": np.repeat(self.names, count),
            "second": np.tile(self.names, count),
            "observed": self.observed.ravel(),
            "linear": self.linear.ravel(),
            **{f"predicted, {law}": values.ravel() for law, values in self.predicted.items()},
        }


@dataclass(frozen=True, repr=False)
class NetworkData(ShortRepr):
    """The images, of which parts are the training sets of networks.

    Attributes
    ----------
    source, provenance : name of the data, and where they come from
    shape, dimension : of one image, and d
    images : their number
    eigenvalues : of all images
    """

    source: str
    provenance: Provenance
    shape: tuple[int, ...]
    dimension: int
    images: int
    eigenvalues: FloatArray


@dataclass(frozen=True, repr=False)
class NetworkSetup(ShortRepr):
    """What was trained, sampled and compared.

    Attributes
    ----------
    n, archs, arms, repeats : what was trained; a comparison of two given models has no repeats and the arm "given"
    seeds : (Z,) seed numbers
    sigma_max, sampler_steps : of the sampler
    preset, device, seed : of the experiment
    laws, bands : laws that are compared, and eigenbands of all images
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


@dataclass(frozen=True, repr=False)
class NetworkValidation(Tabular):
    """Everything that the report on networks shows.

    Attributes
    ----------
    data : the images
    setup : what was trained, sampled and compared
    runs, pairs : the networks, and pairs of them
    baselines, forecasts : models that need no training, and what each law predicts
    predictor_scores : how well laws and linear models predict where networks disagree
    seed_scores : how well each predictor orders the seeds
    amounts : how well smaller sizes predict the amount at larger ones
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
    seed_scores: tuple[SeedScore, ...]
    amounts: tuple[AmountScore, ...]
    galleries: tuple[Gallery, ...]
    manipulations: tuple[Manipulation, ...]
    strata: tuple[StrataMatrix, ...]
    notes: tuple[str, ...]

    def trained_pairs(self, arch: str, n: int, arm: str) -> list[NetworkPair]:
        """The pairs of that kind which pass the gate."""
        return [p for p in self.pairs if (p.arch, p.n, p.arm) == (arch, n, arm) and p.trained]

    def forecast(self, law: str, n: int) -> Forecast | None:
        """Prediction of a law at n, None if it was not computed."""
        return next((f for f in self.forecasts if (f.law, f.n) == (law, n)), None)

    def __repr__(self) -> str:
        archs, sizes = ", ".join(self.setup.archs), ", ".join(str(n) for n in self.setup.n)
        trained = sum(pair.trained for pair in self.pairs)
        return f"NetworkValidation({self.data.source!r}, {archs}, n = {sizes}: {trained} of {len(self.pairs)} pairs pass the gate)"

    def _columns(self) -> Columns:
        """One row for each pair of networks."""
        return {
            "arch": [pair.arch for pair in self.pairs],
            "n": [pair.n for pair in self.pairs],
            "repeat": [pair.repeat for pair in self.pairs],
            "arm": [pair.arm for pair in self.pairs],
            "trained": [pair.trained for pair in self.pairs],
            "disagreement": [pair.disagreement.mean for pair in self.pairs],
            "relative": [pair.disagreement.ratio for pair in self.pairs],
        }
