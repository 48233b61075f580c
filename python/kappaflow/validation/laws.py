"""The laws that a validation compares: each a set of options of :class:`~kappaflow.Splits` under a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["LAWS", "ComparedLaw", "chosen_laws"]


@dataclass(frozen=True)
class ComparedLaw:
    """A law with its options, as a validation compares it.

    Attributes
    ----------
    name, title : identifier, and words for people
    options : keyword arguments of :class:`~kappaflow.Splits`
    profiles : whether it needs the profiles of the population
    """

    name: str
    title: str
    options: Mapping[str, str]
    profiles: bool = False


#: Every law by name. "published" is the law of arXiv 2602.02908, without exchange and mean terms.
LAWS: Mapping[str, ComparedLaw] = MappingProxyType(
    {
        "gaussian": ComparedLaw("gaussian", "Gaussian law", {"law": "gaussian"}),
        "elliptical": ComparedLaw("elliptical", "elliptical law", {"law": "elliptical"}, profiles=True),
        "empirical": ComparedLaw("empirical", "empirical law", {"law": "empirical"}, profiles=True),
        "published": ComparedLaw("published", "published law", {"law": "gaussian", "terms": "published"}),
    }
)


def chosen_laws(names: Sequence[str] | None, *, profiles: bool) -> list[ComparedLaw]:
    """Laws by name, in the order given and without repeats.

    Parameters
    ----------
    names : keys of :data:`LAWS`; by default all laws, without `profiles` those that need none
    profiles : whether the population holds profiles

    Raises
    ------
    ValueError
        An unknown name, or a law that needs profiles where there are none.
    """
    if names is None:
        return [law for law in LAWS.values() if profiles or not law.profiles]
    for name in names:
        if name not in LAWS:
            raise ValueError(f"laws must be among {', '.join(LAWS)}, got {name!r}")
        if LAWS[name].profiles and not profiles:
            raise ValueError(f"laws must not hold {name!r} where training sets come without profiles of real samples")
    return [LAWS[name] for name in dict.fromkeys(names)]
