"""Caveats: what a reader must know about a prediction, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ..identified import largest_n, ways_out
from ..laws import DEFAULT_LAW, law_spec
from ..moments import has_variance
from ..population import Population
from .law_choice import LawChoice

__all__ = ["prediction_notes"]


def prediction_notes(
    population: Population,
    choice: LawChoice,
    sizes: Sequence[int],
    *,
    infinite_data: bool,
    left_out: Mapping[int, str] = MappingProxyType({}),
) -> tuple[str, ...]:
    """The caveats of a prediction; each is one or a few sentences. What concerns networks is in :mod:`.network_words`.

    Parameters
    ----------
    population : Population
    choice : the law that is used, and why
    sizes : training-set sizes of the prediction
    infinite_data : whether the gain with infinite data is known; if not, it is taken from the measured covariance
    left_out : training-set sizes without results, and the reason for each
    """
    notes = [*_law_notes(population, choice), *_group_notes(population)]
    for reason in dict.fromkeys(left_out.values()):
        missing = [f"{n:,}" for n, why in left_out.items() if why == reason]
        notes.append(f"There are no results for n = {', '.join(missing)}: {reason}.")
    total = population.sample_size
    if total is None:
        return tuple(notes)
    rank = int(has_variance(population.eigenvalues).sum())
    known = f"{total:,} images"
    if population.group_count is not None and population.group_size > 1:
        known += f" in {population.group_count:,} groups"
    notes.append(
        f"The population is known only through {known}. The numbers are corrected for this, but what so many images leave to "
        f"chance in {rank:,} modes remains."
    )
    if max(sizes) > total:
        notes.append(
            f"Results for more than the {total:,} images that were given are extrapolated: they assume more images of the same "
            "kind."
        )
    if largest_n(population) <= total:
        notes.append(
            f"There are no results for more than {total:,} images, because the data cannot show what larger training sets would "
            f"learn: {ways_out(total, population.shape)}."
        )
    if not infinite_data:
        notes.append(
            "The gain with infinite data is computed from the measured covariance, because the images do not determine the true "
            "one."
        )
    return tuple(notes)


def _group_notes(population: Population) -> list[str]:
    """What a training set of n images is, if images depend on each other."""
    notes = []
    if population.group_count is not None and population.group_size > 1:
        notes.append(
            f"Images come in {population.group_count:,} groups of {population.group_size:.3g} on average. A training set holds "
            "whole groups, and the training sets of two models share none: the numbers are for models of new groups, not of other "
            "images of the same groups."
        )
    if population.versions > 1:
        notes.append(
            "Models are trained with random horizontal flips: each image and its mirror image are in the training set. n counts "
            "images without mirror images."
        )
    return notes


def _law_notes(population: Population, choice: LawChoice) -> list[str]:
    """What the numbers describe and why this law is used; then which numbers come from another law."""
    spec, default = law_spec(choice.law), law_spec(DEFAULT_LAW)
    count = 0 if population.profiles is None else len(population.profiles) // population.versions
    first = f"The numbers describe linear diffusion models on {spec.describes.format(profiles=count)}. {choice.reason}"
    if choice.diagnosis is None and spec.undiagnosed:
        first += f" {spec.undiagnosed}"
    replaced, notes = [], [first]
    stand_in = law_spec(spec.stand_in).title if spec.stand_in else ""
    if not spec.has_kappa:
        replaced.append(f"The {spec.title} has no single renormalised noise κ; the κ shown is that of the {stand_in}.")
    if spec != default:
        replaced.append(
            f"The images needed are computed with the {default.title} and corrected by the ratio of the two laws at the sizes "
            "shown; beyond these sizes the ratio is taken as constant."
        )
    if replaced:
        notes.append(" ".join(replaced))
    if spec.largest_pair_matrix is not None and population.eigenvalues.size > spec.largest_pair_matrix:
        notes.append(
            f"With more than {spec.largest_pair_matrix:,} modes, the matrix of mode pairs is computed with the {stand_in}."
        )
    return notes
