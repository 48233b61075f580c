"""The laws that a validation compares. Each is a name for a set of options of :class:`~kappaflow.Splits`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..laws import REGISTRY, LawSpec, law_spec

__all__ = ["ComparedLaw", "chosen_laws", "compared_laws", "most_general"]


@dataclass(frozen=True)
class ComparedLaw:
    """A law together with its options, as a validation compares it.

    Attributes
    ----------
    name, title : identifier, and name shown to people
    options : keyword arguments of :class:`~kappaflow.Splits`
    """

    name: str
    title: str
    options: Mapping[str, str]

    @property
    def spec(self) -> LawSpec:
        """The law itself, without its options."""
        return law_spec(self.options["law"])

    @property
    def profiles(self) -> bool:
        """Whether it needs the profiles of the population."""
        return self.spec.needs_profiles


def compared_laws() -> dict[str, ComparedLaw]:
    """Every registered law by name, followed by each part of a law that can be used on its own.

    An example of such a part is "published", the Gaussian law as arXiv 2602.02908 states it: without the exchange and mean terms.
    """
    whole = [ComparedLaw(spec.name, spec.title, {"law": spec.name}) for spec in REGISTRY.values()]
    parts = [
        ComparedLaw(terms, f"{terms} law", {"law": spec.name, "terms": terms})
        for spec in REGISTRY.values()
        for terms in spec.terms[1:]
    ]
    return {law.name: law for law in (*whole, *parts)}


def chosen_laws(names: Sequence[str] | None, *, profiles: bool, groups: bool = False) -> list[ComparedLaw]:
    """Laws by name, in the order given and without repeats.

    Parameters
    ----------
    names : keys of :func:`compared_laws`; by default all laws that these data allow
    profiles : whether the population holds profiles
    groups : whether its samples depend on each other

    Raises
    ------
    ValueError
        A name is unknown, or a law needs profiles and there are none, or independent samples and they come in groups.
    """
    laws = compared_laws()
    if names is None:
        allowed = (law for law in laws.values() if profiles or not law.profiles)
        return [law for law in allowed if law.spec.takes_groups or not groups]
    for name in names:
        if name not in laws:
            raise ValueError(f"laws must be among {', '.join(laws)}, got {name!r}")
        if laws[name].profiles and not profiles:
            raise ValueError(
                f"laws must not contain {name!r}, because it needs profiles of real samples and these training sets have none"
            )
        if groups and not laws[name].spec.takes_groups:
            takers = " or ".join(repr(law.name) for law in laws.values() if law.spec.takes_groups)
            raise ValueError(f"laws must be {takers} for images in groups and for mirror images, got {name!r}")
    return [laws[name] for name in dict.fromkeys(names)]


def most_general(names: Iterable[str]) -> str | None:
    """The most general whole law among these names: the last one in the registry; None if there is no whole law."""
    held = set(names)
    return next((name for name in reversed(list(REGISTRY)) if name in held), None)
