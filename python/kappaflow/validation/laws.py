"""The laws that a validation compares: each a set of options of :class:`~kappaflow.Splits` under a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..laws import REGISTRY, LawSpec, law_spec

__all__ = ["ComparedLaw", "chosen_laws", "compared_laws"]


@dataclass(frozen=True)
class ComparedLaw:
    """A law with its options, as a validation compares it.

    Attributes
    ----------
    name, title : identifier, and words for people
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
    """Every registered law by name, and after them each part of a law that can be asked for on its own.

    "published" is such a part: the Gaussian law as arXiv 2602.02908 states it, without the exchange and mean terms.
    """
    whole = [ComparedLaw(spec.name, spec.title, {"law": spec.name}) for spec in REGISTRY.values()]
    parts = [
        ComparedLaw(terms, f"{terms} law", {"law": spec.name, "terms": terms})
        for spec in REGISTRY.values()
        for terms in spec.terms[1:]
    ]
    return {law.name: law for law in (*whole, *parts)}


def chosen_laws(names: Sequence[str] | None, *, profiles: bool) -> list[ComparedLaw]:
    """Laws by name, in the order given and without repeats.

    Parameters
    ----------
    names : keys of :func:`compared_laws`; by default all laws, or without `profiles` those that need none
    profiles : whether the population holds profiles

    Raises
    ------
    ValueError
        An unknown name, or a law that needs profiles where there are none.
    """
    laws = compared_laws()
    if names is None:
        return [law for law in laws.values() if profiles or not law.profiles]
    for name in names:
        if name not in laws:
            raise ValueError(f"laws must be among {', '.join(laws)}, got {name!r}")
        if laws[name].profiles and not profiles:
            raise ValueError(f"laws must not hold {name!r} where training sets come without profiles of real samples")
    return [laws[name] for name in dict.fromkeys(names)]
