"""Every number of the consistency report as one value, :class:`Prediction`; :mod:`.predict` computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import FloatArray
from .._repr import ShortRepr
from .._tables import Columns, Tabular
from ..bands import Band
from ..provenance import Provenance
from .classes import ClassAnswers, classes_to_json
from .diagnosis import Diagnosis, diagnosis_to_json
from .network_words import NetworkWords, network_words

__all__ = [
    "Bands",
    "Denoisers",
    "ModePairs",
    "Modes",
    "NetworkSeeds",
    "NoiseLevels",
    "Prediction",
    "SeedImages",
    "Seeds",
    "StateImages",
    "Totals",
    "prediction_to_json",
]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class NoiseLevels(ShortRepr):
    """Renormalised noise against noise level.

    Attributes
    ----------
    sigma : (S,) noise levels, ascending
    kappa : (T, S) κ(σ²) for each n; that of the law's stand-in if the law has no single κ
    """

    sigma: FloatArray
    kappa: FloatArray


@dataclass(frozen=True, repr=False)
class Denoisers(ShortRepr):
    """Gains of denoisers, expectations over training sets.

    Attributes
    ----------
    sigma : (D,) noise levels
    gain : (D, T, d) expected gain of each mode for each n
    gain_ideal : (D, d) gain with infinite data, s/(s + σ²)
    """

    sigma: FloatArray
    gain: FloatArray
    gain_ideal: FloatArray


@dataclass(frozen=True, repr=False)
class ModePairs(ShortRepr):
    """How much the gain from one mode of the seed to another mode of the image varies, at the reference n.

    Attributes
    ----------
    modes : (P,) the modes shown, counted from 0
    variance : (P, P) Var[uₖᵀ f(Σ̂) uₗ] of the sampling map f over training sets
    """

    modes: IntArray
    variance: FloatArray


@dataclass(frozen=True, repr=False)
class Modes(ShortRepr):
    """What the sampling map does to each mode.

    Attributes
    ----------
    gain : (T, d) expected gain over training sets of size n
    gain_ideal : (d,) gain with infinite data
    disagreement : (T, d) disagreement of each mode, averaged over seeds; sums over modes to the total
    relative : (T, d) relative to two unrelated seeds
    pairs : variance between pairs of modes
    """

    gain: FloatArray
    gain_ideal: FloatArray
    disagreement: FloatArray
    relative: FloatArray
    pairs: ModePairs


@dataclass(frozen=True, repr=False)
class Bands(ShortRepr, Tabular):
    """Disagreement by eigenband.

    Attributes
    ----------
    ranges : (B,) the bands
    disagreement : (T, B) sums over bands to the total
    relative : (T, B) relative to two unrelated seeds
    images_needed : (B,) smallest n at which `relative` is at most the tolerance; None if no n up to
        ``Prediction.largest_n`` is enough
    """

    ranges: tuple[Band, ...]
    disagreement: FloatArray
    relative: FloatArray
    images_needed: tuple[int | None, ...]

    def _columns(self) -> Columns:
        return {
            "band": [band.label for band in self.ranges],
            "images_needed": np.array(self.images_needed, dtype=object),
        }


@dataclass(frozen=True, repr=False)
class Totals(ShortRepr, Tabular):
    """Disagreement of all modes together.

    Attributes
    ----------
    disagreement : (T,) expected squared distance per dimension
    relative : (T,) relative to two unrelated seeds
    """

    disagreement: FloatArray
    relative: FloatArray

    def _columns(self) -> Columns:
        return {"disagreement": self.disagreement, "relative": self.relative}


@dataclass(frozen=True, repr=False)
class SeedImages(ShortRepr, Tabular):
    """Predicted samples of a few seeds at the reference n.

    Attributes
    ----------
    numbers : (K,) seed numbers, most consistent first
    outputs : (K, *shape) expected output of the sampling map, the linear prediction
    pixel_std : (K, *shape) standard deviation of each pixel over training sets
    disagreement : (K,) expected squared distance per dimension of two models
    """

    numbers: IntArray
    outputs: FloatArray
    pixel_std: FloatArray
    disagreement: FloatArray

    def _columns(self) -> Columns:
        return {"seed": self.numbers, "disagreement": self.disagreement}


@dataclass(frozen=True, repr=False)
class StateImages(ShortRepr):
    """What a denoiser answers at the states of a few seeds, see :func:`~kappaflow.posterior_variance`.

    Attributes
    ----------
    numbers : (K,) seed numbers
    mean : (K, *shape) average of the images that explain the state
    pixel_std : (K, *shape) standard deviation of each pixel over these images
    """

    numbers: IntArray
    mean: FloatArray
    pixel_std: FloatArray


@dataclass(frozen=True, repr=False)
class NetworkSeeds(ShortRepr, Tabular):
    """The order in which seeds are predicted to change when a network is trained again, from the images alone.

    Attributes
    ----------
    numbers : (Z,) seed numbers
    posterior_variance, perplexity : (Z,) of the images at each seed's state
    sigma, images : noise level of the states, and number of distinct images
    most, least : images of the seeds that change most and least, the extreme ones first; None if none are wanted
    """

    numbers: IntArray
    posterior_variance: FloatArray
    perplexity: FloatArray
    sigma: float
    images: int
    most: StateImages | None
    least: StateImages | None

    def _columns(self) -> Columns:
        return {
            "seed": self.numbers,
            "posterior_variance": self.posterior_variance,
            "perplexity": self.perplexity,
        }


@dataclass(frozen=True, repr=False)
class Seeds(ShortRepr):
    """Disagreement by seed.

    Attributes
    ----------
    numbers : (Z,) seed numbers; none if the directions of the modes are not known
    disagreement : (T, Z) disagreement of each seed
    most_consistent, least_consistent : the two ends at the reference n with their images; None if the population has no
        eigenvectors
    networks : the order for networks; None if the population has no profiles, or too few
    """

    numbers: IntArray
    disagreement: FloatArray
    most_consistent: SeedImages | None
    least_consistent: SeedImages | None
    networks: NetworkSeeds | None = None


@dataclass(frozen=True, repr=False)
class Prediction(Tabular):
    """Everything that the report shows. ``T`` training-set sizes, ``d`` modes.

    Conventions: a noise level σ is a standard deviation; modes are ordered by descending eigenvalue; "disagreement" is the
    expected squared distance per dimension, ‖output₁ − output₂‖²/d, of two linear models trained on independent sets of n images
    and started from the same seed; "relative" divides it by the same quantity for two unrelated seeds, so that 0 means
    identical images and 1 means as different as two unrelated samples.

    Attributes
    ----------
    source : name of the data
    provenance : where the data come from, what was left out, how pixels were scaled
    shape : of one image
    sample_size : number of images in the population, None if it is known exactly
    group_count : number of groups of images that belong together, None if images are independent; training sets hold whole groups
    versions : 2 if models are trained with random horizontal flips, else 1; sizes count images without their mirror images
    law : the law of all numbers, by its name in :data:`kappaflow.laws.REGISTRY`
    law_reason : the reason for that law, in words
    diagnosis : the diagnosis that decided, None if the law was named or could not be diagnosed
    sigma_max : noise level at which sampling starts
    tolerance : relative disagreement that ``bands.images_needed`` meets
    largest_n : the largest n with predictions: any practical size, or the number of images if larger sizes are not identified
    n : (T,) training-set sizes, ascending
    reference_n : the n of all results for a single n; one of `n`
    mean_image : (*shape)
    eigenvalues : (d,) descending
    eigenmodes : (M, *shape) leading modes
    noise, denoisers, modes, bands, totals, seeds : the results
    notes : caveats that a reader must see, in plain words
    pilot : the command that answers for a network
    classes : the answers by class, see :func:`~kappaflow.answers_by_class`; None without classes
    """

    source: str
    provenance: Provenance
    shape: tuple[int, ...]
    sample_size: int | None
    group_count: int | None
    versions: int
    law: str
    law_reason: str
    diagnosis: Diagnosis | None
    sigma_max: float
    tolerance: float
    largest_n: int
    n: IntArray
    reference_n: int
    mean_image: FloatArray
    eigenvalues: FloatArray
    eigenmodes: FloatArray
    noise: NoiseLevels
    denoisers: Denoisers
    modes: Modes
    bands: Bands
    totals: Totals
    seeds: Seeds
    notes: tuple[str, ...]
    pilot: str
    classes: ClassAnswers | None = None

    @property
    def networks(self) -> NetworkWords:
        """What stands beside the numbers at the reference n: they are none of a network."""
        return network_words(self.reference_n, self.pilot)

    @property
    def n_groups(self) -> FloatArray | None:
        """(T,) how many groups of mean size make each n, None if images are independent."""
        if self.group_count is None or self.sample_size is None:
            return None
        return np.asarray(self.n * (self.group_count / self.sample_size))

    @property
    def reference_images(self) -> str:
        """The reference n in words: ``"300 images"``, or ``"300 images (30 groups)"``."""
        groups = self.n_groups
        return f"{self.reference_n:,} images" + ("" if groups is None else f" ({groups[self.reference]:.3g} groups)")

    @property
    def reference(self) -> int:
        """Index of the reference n in `n`."""
        return list(self.n).index(self.reference_n)

    def _columns(self) -> Columns:
        by_band = {
            f"relative, {band.label}": self.bands.relative[:, index] for index, band in enumerate(self.bands.ranges)
        }
        return {"n": self.n, "disagreement": self.totals.disagreement, "relative": self.totals.relative, **by_band}

    def __repr__(self) -> str:
        relative = float(self.totals.relative[self.reference])
        sizes = ", ".join(str(n) for n in self.n)
        return (
            f"Prediction({self.source!r}, {self.law} law, n = {sizes}: relative disagreement of two linear models "
            f"{relative:.3g} at n = {self.reference_n})"
        )


def prediction_to_json(prediction: Prediction) -> dict[str, Any]:
    """Every number of a prediction but the images, as plain lists and numbers: the content of ``predictions.json``."""
    noise, denoisers, modes = prediction.noise, prediction.denoisers, prediction.modes
    bands, totals, seeds = prediction.bands, prediction.totals, prediction.seeds
    return {
        "source": prediction.source,
        "provenance": prediction.provenance.as_json(),
        "shape": list(prediction.shape),
        "sample_size": prediction.sample_size,
        "group_count": prediction.group_count,
        "versions": prediction.versions,
        "law": prediction.law,
        "law_reason": prediction.law_reason,
        "diagnosis": None if prediction.diagnosis is None else diagnosis_to_json(prediction.diagnosis),
        "sigma_max": prediction.sigma_max,
        "eigenvalues": prediction.eigenvalues.tolist(),
        "n": prediction.n.tolist(),
        "n_groups": None if prediction.n_groups is None else prediction.n_groups.tolist(),
        "reference_n": prediction.reference_n,
        "noise_sigma": noise.sigma.tolist(),
        "kappa": noise.kappa.tolist(),
        "map_gain_ideal": modes.gain_ideal.tolist(),
        "map_gain": modes.gain.tolist(),
        "denoiser_sigma": denoisers.sigma.tolist(),
        "denoiser_gain_ideal": denoisers.gain_ideal.tolist(),
        "denoiser_gain": denoisers.gain.tolist(),
        "mode_pair_modes": modes.pairs.modes.tolist(),
        "mode_pair_variance": modes.pairs.variance.tolist(),
        "mode_disagreement": modes.disagreement.tolist(),
        "mode_relative": modes.relative.tolist(),
        "bands": [{"start": band.start, "stop": band.stop, "label": band.label} for band in bands.ranges],
        "band_disagreement": bands.disagreement.tolist(),
        "band_relative": bands.relative.tolist(),
        "total_disagreement": totals.disagreement.tolist(),
        "total_relative": totals.relative.tolist(),
        "tolerance": prediction.tolerance,
        "images_needed": list(bands.images_needed),
        "largest_n": prediction.largest_n,
        "seeds": seeds.numbers.tolist(),
        "seed_disagreement": seeds.disagreement.tolist(),
        "most_consistent": _seed_images_to_json(seeds.most_consistent),
        "least_consistent": _seed_images_to_json(seeds.least_consistent),
        "network_seeds": None if seeds.networks is None else _network_seeds_to_json(seeds.networks),
        "networks": prediction.networks.as_json(),
        "notes": list(prediction.notes),
        "classes": None if prediction.classes is None else classes_to_json(prediction.classes),
    }


def _seed_images_to_json(images: SeedImages | None) -> dict[str, Any] | None:
    if images is None:
        return None
    return {"seeds": images.numbers.tolist(), "disagreement": images.disagreement.tolist()}


def _network_seeds_to_json(networks: NetworkSeeds) -> dict[str, Any]:
    return {
        "sigma": networks.sigma,
        "images": networks.images,
        "posterior_variance": networks.posterior_variance.tolist(),
        "perplexity": networks.perplexity.tolist(),
    }
