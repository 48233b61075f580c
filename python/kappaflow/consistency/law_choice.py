"""The law that a job uses: the one named by the user, or with "auto" the one that the diagnosis recommends."""

from __future__ import annotations

from dataclasses import dataclass

from .._checks import choice
from .._progress import StepProgress
from .._repr import ShortRepr
from ..laws import DEFAULT_LAW, REGISTRY, Work, law_spec
from ..population import Population
from ..sampling import SIGMA_MAX
from .diagnosis import FEWEST_GROUPS, FEWEST_PROFILES, Diagnosis, diagnose

__all__ = ["AUTO", "LawChoice", "choose_law", "law_options"]

#: The option that lets the diagnosis decide.
AUTO = "auto"


@dataclass(frozen=True, repr=False)
class LawChoice(ShortRepr):
    """The law that a job uses.

    Attributes
    ----------
    law : its name
    reason : why, as a sentence
    diagnosis : the diagnosis that decided; None if the law was named or there were too few profiles
    """

    law: str
    reason: str
    diagnosis: Diagnosis | None


def law_options() -> tuple[str, ...]:
    """The allowed values of the option: "auto", or a law by name."""
    return (AUTO, *REGISTRY)


def choose_law(
    population: Population,
    law: str = AUTO,
    *,
    n: int | None = None,
    sigma_max: float = SIGMA_MAX,
    work: Work | None = None,
    progress: StepProgress = None,
) -> LawChoice:
    """The law to use: the one that is named, or with "auto" the one that :func:`~kappaflow.diagnose` recommends.

    Without enough profiles to diagnose from, "auto" is the Gaussian law, and without enough groups the law that takes groups.

    Parameters
    ----------
    population : Population
    law : "auto" or a name in :data:`~kappaflow.laws.REGISTRY`
    n, sigma_max, work, progress : see :func:`~kappaflow.diagnose`

    Raises
    ------
    ValueError
        A law that does not exist, or that needs profiles although the population holds none.
    """
    if choice("law", law, law_options()) != AUTO:
        spec = law_spec(law)
        spec.check(population)
        return LawChoice(law, f"The {spec.title} was asked for.", None)
    grouped = population.group_count is not None
    groups = 0 if population.groups is None else int(population.groups[-1]) + 1
    if grouped and groups < FEWEST_GROUPS:
        spec = next(each for each in REGISTRY.values() if each.takes_groups)
        spec.check(population)
        reason = f"The {spec.title} is used: {_dependence(population)}, and no other law allows for that."
        return LawChoice(spec.name, reason, None)
    held = 0 if population.distinct_profiles is None else len(population.distinct_profiles)
    if held < FEWEST_PROFILES and not grouped:
        without = "no images" if held == 0 else f"only {held} images"
        title = law_spec(DEFAULT_LAW).title
        reason = f"The {title} is used without a test: the population holds {without} to test the laws on."
        return LawChoice(DEFAULT_LAW, reason, None)
    diagnosis = diagnose(population, n=n, sigma_max=sigma_max, work=work, progress=progress)
    return LawChoice(diagnosis.law, f"The {law_spec(diagnosis.law).title} is used: {diagnosis.reason}", diagnosis)


def _dependence(population: Population) -> str:
    """Which images depend on each other."""
    if population.group_count == population.sample_size:
        return "an image and its mirror image depend on each other"
    return f"the images come in {population.group_count:,} groups, and those of a group depend on each other"
