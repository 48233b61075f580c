"""Which law to use for some data: leverage and kurtosis of the samples, and the error of each law in a small experiment.

:func:`diagnose` draws training sets from the profiles of a population and compares the variance over these training sets with the
prediction of each law. Many profiles are treated as an exactly known population and drawn from again and again. Few are split into
disjoint training sets, because images drawn twice are not like new images; see :func:`~.experiment.measured`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._checks import FloatArray, integer, positive
from .._independence import without_copies
from .._progress import StepProgress, in_steps, reporter
from ..bands import Band, default_bands
from ..laws import REGISTRY, Work, law_spec, require_profiles
from ..population import Population
from ..profiles import ProfileArray
from ..sampling import SIGMA_MAX
from ..splits import Splits
from .experiment import LawError, Measured, Off, law_error, measured, subsampling_error
from .rule import decide, decide_for_groups, doubts, main_job, off_by_law
from .samples import kurtosis, leverage_at

__all__ = ["FEWEST_GROUPS", "FEWEST_PROFILES", "Diagnosis", "diagnose", "diagnosis_to_json"]

#: The smallest number of profiles for a diagnosis.
FEWEST_PROFILES = 16
#: The smallest number of groups for a diagnosis of images in groups.
FEWEST_GROUPS = 8
_LARGEST_N = 300
#: Noise level of the experiment's denoiser, as a fraction of the data's standard deviation per dimension.
_MIDDLE_NOISE = 0.5
_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """The result of :func:`diagnose`. ``M`` profiles, ``k`` modes, ``B`` eigenbands of the modes that have variance.

    Attributes
    ----------
    n, training_sets : size and number of the training sets of the experiment
    groups : number of groups that the training sets were drawn from, None if images are independent. Laws that take no groups
        are then compared as if images were independent.
    profiles : number of profiles that the training sets were drawn from
    disjoint : whether they were drawn in pairs without an image in common, as they are from few profiles
    neighbours : log of the variance over training sets of images that are neighbours in their order, over that of training sets
        drawn at random: about 0 if images are independent; None if there are too few profiles for it
    sigma_max, denoiser_sigma : noise levels of the experiment's two maps
    kappa : the κ at which the leverage is computed: df1(κ) is half of the largest value that it can have with n samples
    leverage : (M,) τ_a = Σₖ z²ₐₖ/(sₖ+κ) / df1(κ) of each profile, 1 on average
    leverage_variance, leverage_gaussian : its variance, and that of Gaussian data, 2 df2(κ,κ)/df1(κ)²
    kurtosis : (k,) E z⁴/(E z²)² of each mode, 3 for Gaussian data, NaN for modes without variance
    bands : eigenbands of the errors
    errors : by law and map; laws in the order of the registry
    seconds : law → estimated time that the job takes with it
    law : the law to use
    reason : why, with the numbers, as the rest of a sentence that follows a colon
    subsampling_error : relative standard error of the law's total because only M of N samples are profiles; None if a
        closed form is used or all samples are profiles
    """

    n: int
    training_sets: int
    groups: int | None
    profiles: int
    disjoint: bool
    neighbours: Off | None
    sigma_max: float
    denoiser_sigma: float
    kappa: float
    leverage: FloatArray
    leverage_variance: float
    leverage_gaussian: float
    kurtosis: FloatArray
    bands: tuple[Band, ...]
    errors: tuple[LawError, ...]
    seconds: Mapping[str, float]
    law: str
    reason: str
    subsampling_error: float | None

    def __repr__(self) -> str:
        errors = ", ".join(f"{law} {100 * np.expm1(off.error):.0f} %" for law, off in off_by_law(self.errors).items())
        return (
            f"Diagnosis(law={self.law!r}, errors: {errors}; {self.training_sets} training sets of n={self.n} from "
            f"{self.profiles} profiles)"
        )

    @property
    def recommendation(self) -> str:
        """What to do, as a sentence with its numbers."""
        return f"Take the {law_spec(self.law).title}: {self.reason}"

    def error(self, law: str) -> Off:
        """Error of a law on the map with its largest error (see :attr:`LawError.size`), and its Monte Carlo standard error.

        Raises
        ------
        KeyError
            The experiment did not compare that law.
        """
        return off_by_law(self.errors)[law]


@in_steps("diagnosis")
def diagnose(
    population: Population,
    *,
    n: int | None = None,
    training_sets: int = 96,
    inputs: int = 16,
    profiles: int = 4096,
    sigma_max: float = SIGMA_MAX,
    seed: int = 0,
    work: Work | None = None,
    progress: StepProgress = None,
) -> Diagnosis:
    """Which law to use for these data, with the error of each.

    The experiment draws training sets from the profiles, or from a random subset of them, forms the sampling map and a denoiser
    of each, and compares the variance of their outputs with the prediction of every law. Many profiles are treated as an exactly
    known population, from which training sets are drawn with replacement. Few profiles are drawn in pairs of training sets without
    an image in common; see :func:`~.experiment.measured`. Profiles that are copies of others count once, if copies count once in
    the sample size. Images in groups are drawn in pairs of training sets without a group in common. The law to use is the most
    accurate one with which the job takes at most :data:`~kappaflow.consistency.rule.ACCEPTABLE_SECONDS`; for images in groups, the
    law that takes groups. Differences within one standard error of the experiment count as
    equal; among equally accurate laws the fastest is used. The time is estimated from a count of operations and not measured,
    so the same data and the same job always give the same law.

    Parameters
    ----------
    population : Population
        With profiles, see :meth:`Population.from_samples`.
    n : size of the training sets; by default half of the profiles used, at most 300. If there are few profiles, at most half of
        them are used, and the reason says so
    training_sets : number of training sets to draw, at least 8
    inputs : number of seeds and of noised images to follow
    profiles : the largest number of profiles to draw training sets from
    sigma_max : noise level at which the sampling map starts; that of the denoiser is half the standard deviation per dimension
    seed : seed of all random draws: the same arguments give the same diagnosis
    work : the job whose time is estimated; by default `kappaflow predict` with its default options
    progress : True shows a progress bar on a terminal and in a notebook; a callable is called with the name of a step and the
        fraction of the work that is done

    Raises
    ------
    ValueError, TypeError
        No profiles or too few of them, or too few groups; profiles that are all equal; bad options.
    """
    held, versions = _held_profiles(population), population.versions
    limit = integer("profiles", profiles, FEWEST_PROFILES)
    count, top = integer("training_sets", training_sets, 8), positive("sigma_max", sigma_max)
    rng = np.random.default_rng(integer("seed", seed, 0))
    report = reporter(progress)
    report("profiles as a population", 0.0)
    drawn = min(len(held), limit)
    size = max(2, min(drawn // versions // 2, _LARGEST_N)) if n is None else integer("n", n, 2)
    leverage = leverage_at(population if population.group_count is None else population.replace(sample_size=None), size)
    middle = float(f"{_MIDDLE_NOISE * np.sqrt(population.total_variance / population.dimension):.2g}")
    report("training sets", 0.1)
    followed, groups = integer("inputs", inputs, 1), population.groups
    found = measured(held, limit, size * versions, count, sigmas=(top, middle), inputs=followed, rng=rng, groups=groups)
    bands = default_bands(len(found.population.eigenvalues))
    errors = _errors(found, bands, report)
    job = main_job(population) if work is None else work
    seconds = {law: spec.seconds(job) for law, spec in REGISTRY.items()}
    rule = decide if population.group_count is None else decide_for_groups
    verdict = rule(off_by_law(errors), seconds)
    report("done", 1.0)
    reason, subsampling = verdict.reason + doubts(found, size * versions, versions), None
    if not law_spec(verdict.law).closed_form:
        subsampling = subsampling_error(population, verdict.law, size, top)
    if subsampling is not None:
        reason += f" It is built on {len(held):,} of the images, which adds an error of {100 * subsampling:.2g} %."
    return Diagnosis(
        n=found.n // versions,
        groups=None if found.population.groups is None else int(found.population.groups[-1]) + 1,
        training_sets=count,
        profiles=len(require_profiles(found.population, "a diagnosis")) // versions,
        disjoint=found.disjoint,
        neighbours=found.neighbours,
        sigma_max=top,
        denoiser_sigma=middle,
        kappa=leverage.kappa,
        leverage=leverage.values,
        leverage_variance=float(leverage.values.var()),
        leverage_gaussian=leverage.variance_if_gaussian,
        kurtosis=kurtosis(population),
        bands=bands,
        errors=tuple(errors),
        seconds=seconds,
        law=verdict.law,
        reason=reason,
        subsampling_error=subsampling,
    )


def _errors(found: Measured, bands: Sequence[Band], report: Callable[[str, float], None]) -> list[LawError]:
    """The error of each law on each map."""
    errors = []
    for index, (law, spec) in enumerate(REGISTRY.items()):
        report(spec.title, 0.6 + 0.3 * index / len(REGISTRY))
        splits = Splits(found.seen_by(spec), found.n, law=law)
        errors += [
            law_error(splits, asked, seen, bands) for asked, seen in zip(found.asked, found.spreads, strict=True)
        ]
    return errors


def _held_profiles(population: Population) -> ProfileArray:
    if not isinstance(population, Population):
        raise TypeError(f"population must be a Population, got {type(population).__name__}")
    held = require_profiles(population, "a diagnosis")
    if population.groups is not None:
        count = int(population.groups[-1]) + 1
        if count < FEWEST_GROUPS:
            raise ValueError(f"population must hold at least {FEWEST_GROUPS} groups for a diagnosis, got {count}")
    elif population.sample_size is not None and len(held) > population.sample_size:  # copies count once
        held = without_copies(held)
    if len(held) < FEWEST_PROFILES:
        raise ValueError(f"population must hold at least {FEWEST_PROFILES} profiles for a diagnosis, got {len(held)}")
    return held


def diagnosis_to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Every number of a diagnosis as plain lists and numbers; the leverage by its quantiles."""
    leverage = {
        "variance": diagnosis.leverage_variance,
        "gaussian_variance": diagnosis.leverage_gaussian,
        "quantiles": {f"{q:g}": float(np.quantile(diagnosis.leverage, q)) for q in _QUANTILES},
    }
    laws = [
        {
            "law": each.law,
            "question": each.question,
            "total": each.total,
            "total_error": each.total_error,
            "band": each.band.tolist(),
            "band_error": each.band_error.tolist(),
            "rms": each.rms,
            "rms_error": each.rms_error,
        }
        for each in diagnosis.errors
    ]
    plain = (
        "n",
        "training_sets",
        "groups",
        "profiles",
        "disjoint",
        "sigma_max",
        "denoiser_sigma",
        "kappa",
        "law",
        "recommendation",
    )
    return {
        **{name: getattr(diagnosis, name) for name in plain},
        "neighbours": None if diagnosis.neighbours is None else diagnosis.neighbours._asdict(),
        "seconds": dict(diagnosis.seconds),
        "subsampling_error": diagnosis.subsampling_error,
        "leverage": leverage,
        "kurtosis": [None if np.isnan(value) else float(value) for value in diagnosis.kurtosis],
        "bands": [{"start": band.start, "stop": band.stop, "label": band.label} for band in diagnosis.bands],
        "errors": laws,
    }
