"""What a reader of a prediction must know of it, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from ..moments import has_variance
from ..population import Population
from .diagnosis import LawChoice
from .needed import largest_n

__all__ = ["MOST_PAIRED_MODES", "prediction_notes"]

#: With more modes than this the matrix of mode pairs of the empirical law is left to the elliptical law.
MOST_PAIRED_MODES = 1024

_GAUSSIAN = (
    "The numbers describe linear diffusion models on Gaussian data with the mean and covariance of your images. "
)
_UNKNOWN = (
    "On natural images the true variance between training sets is larger, up to several times on small patches; the ordering "
    "of modes, seeds and sizes is more robust than the absolute level."
)
_ELLIPTICAL = (
    "The numbers describe linear diffusion models on data like yours whose samples differ in contrast and are Gaussian "
    "otherwise (elliptical law). "
)
_EMPIRICAL = (
    "The numbers describe linear diffusion models on data like yours: {count:,} of your images stand for all, and nothing "
    "else is assumed of them (empirical law). "
)
_SEARCHED = (
    "Images needed are those of the Gaussian law, corrected by the ratio of the two laws at the sizes shown, which is taken as "
    "constant beyond them."
)
_KAPPA = "The empirical law has no single renormalised noise κ: κ is that of the elliptical law."


def prediction_notes(
    population: Population, choice: LawChoice, sizes: Sequence[int], *, infinite_data: bool
) -> tuple[str, ...]:
    """Caveats of a prediction with a law at some sizes.

    Parameters
    ----------
    infinite_data : whether the gain with infinite data is known, rather than taken from the measured covariance
    """
    notes = [*_law_notes(population, choice)]
    total = population.sample_size
    if total is None:
        return tuple(notes)
    rank = int(has_variance(population.eigenvalues).sum())
    notes.append(
        f"The population is known through {total:,} images only. That their covariance is not the population's is allowed "
        f"for; what {total:,} images leave to chance in {rank:,} modes remains."
    )
    if max(sizes) > total:
        notes.append(
            f"Sizes above {total:,}, the number of images given, extrapolate: they assume more images of the same kind."
        )
    if largest_n(population) <= total:
        notes.append(
            f"Nothing is said of more than {total:,} images: with no more images than dimensions, what larger training "
            "sets would learn is not in the data."
        )
    if not infinite_data:
        notes.append(
            "The gain with infinite data is that of the measured covariance, as the images do not identify the true one."
        )
    return tuple(notes)


def _law_notes(population: Population, choice: LawChoice) -> list[str]:
    if choice.law == "gaussian":
        known = choice.diagnosis is not None
        return [_GAUSSIAN + choice.reason + ("" if known else " " + _UNKNOWN)]
    if choice.law == "elliptical":
        return [_ELLIPTICAL + choice.reason, _SEARCHED]
    count = 0 if population.profiles is None else len(population.profiles)
    notes = [_EMPIRICAL.format(count=count) + choice.reason, f"{_KAPPA} {_SEARCHED}"]
    if population.eigenvalues.size > MOST_PAIRED_MODES:
        notes.append(
            f"With more than {MOST_PAIRED_MODES:,} modes the matrix of mode pairs is that of the elliptical law."
        )
    return notes
