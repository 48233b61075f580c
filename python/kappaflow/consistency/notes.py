"""What a reader of a prediction must know of it, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from ..laws import DEFAULT_LAW, law_spec
from ..moments import has_variance
from ..population import Population
from .law_choice import LawChoice
from .needed import largest_n

__all__ = ["prediction_notes"]


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
    """What the numbers describe and why this law, then what another law answered in its place."""
    spec, default = law_spec(choice.law), law_spec(DEFAULT_LAW)
    count = 0 if population.profiles is None else len(population.profiles)
    first = f"The numbers describe linear diffusion models on {spec.describes.format(profiles=count)}. {choice.reason}"
    if choice.diagnosis is None and spec.undiagnosed:
        first += f" {spec.undiagnosed}"
    replaced, notes = [], [first]
    stand_in = law_spec(spec.stand_in).title if spec.stand_in else ""
    if not spec.has_kappa:
        replaced.append(f"The {spec.title} has no single renormalised noise κ: κ is that of the {stand_in}.")
    if spec != default:
        replaced.append(
            f"Images needed are those of the {default.title}, corrected by the ratio of the two laws at the sizes shown, which is "
            "taken as constant beyond them."
        )
    if replaced:
        notes.append(" ".join(replaced))
    if spec.largest_pair_matrix is not None and population.eigenvalues.size > spec.largest_pair_matrix:
        notes.append(
            f"With more than {spec.largest_pair_matrix:,} modes the matrix of mode pairs is that of the {stand_in}."
        )
    return notes
