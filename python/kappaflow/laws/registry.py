"""The laws by name: everything that other code must know about a law is in its :class:`LawSpec`.

A new law takes one file with a :class:`~kappaflow.laws.Law` and its spec, and one line in ``laws/__init__.py`` that registers it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .._checks import choice
from .._repr import ShortRepr
from ..population import Population
from .cost import Work, seconds
from .law import Ensemble, Law, require_profiles

__all__ = ["REGISTRY", "LawSpec", "law_spec", "register", "unregister"]


@dataclass(frozen=True, kw_only=True, repr=False)
class LawSpec(ShortRepr):
    """The description of a law that the rest of the package uses.

    Attributes
    ----------
    name : what users write, as in ``law="..."`` and ``--law ...``
    title : name in a sentence, after "the"
    assumes : what the law assumes about the data, in a few words, for the help of the command line
    treats : what the law does with the images, as the rest of a sentence that begins with its title
    describes : the data whose linear diffusion models the law describes, as the end of a sentence; "{profiles:,}" in it is
        replaced by the number of profiles
    undiagnosed : a warning for results whose law was not compared with others on the data
    misses : the comment of a validation if the law misses real data; "" for none
    multiply_adds : cost of the law for a job, counted from the sizes of the job alone
    build : builds the law for an ensemble of training sets
    tolerance : relative error of the rule for the sampling map
    needs_profiles : whether the population must hold profiles (or `scales` must be given, if the law takes them)
    takes_groups : whether the law holds for images that come in groups (see :mod:`kappaflow.groups`)
    takes_scales : whether the sizes of samples can be given
    has_kappa : whether one κ(σ²) holds for all modes
    has_corrections : whether the terms of order 1/n of κ and of expectations are known
    closed_form : whether an answer takes milliseconds at any n; other laws solve a fixed point over all profiles
    terms : the parts of the law that can be requested; the first is the whole law
    stand_in : name of the law used where this one has no answer or takes too long; "" if that cannot happen
    largest_pair_matrix : with more modes than this the stand-in computes the matrix of mode pairs; None: no limit
    pair_profiles : the most profiles that the matrix of mode pairs is built on; None: all
    """

    name: str
    title: str
    assumes: str
    treats: str
    describes: str
    multiply_adds: Callable[[Work], float]
    build: Callable[[Ensemble], Law]
    tolerance: float
    undiagnosed: str = ""
    misses: str = ""
    needs_profiles: bool = True
    takes_groups: bool = False
    takes_scales: bool = False
    has_kappa: bool = True
    has_corrections: bool = False
    closed_form: bool = True
    terms: tuple[str, ...] = ("full",)
    stand_in: str = ""
    largest_pair_matrix: int | None = None
    pair_profiles: int | None = None

    def seconds(self, work: Work) -> float:
        """Estimated seconds that the law takes for a job: a count of operations, the same on every machine."""
        return seconds(self.multiply_adds(work))

    def check(self, population: Population) -> None:
        """Check that this law can be built for a population.

        Raises
        ------
        ValueError
            The law needs profiles and the population holds none, or it assumes independent images and they come in groups.
        """
        self.check_groups(population)
        if self.needs_profiles:
            require_profiles(population, f"law={self.name!r}")

    def check_groups(self, population: Population) -> None:
        """Check that the law holds for the groups of a population, if it has any.

        Raises
        ------
        ValueError
            The law assumes independent images, and those of the population come in groups.
        """
        if population.group_count is not None and not self.takes_groups:
            takers = " or ".join(repr(spec.name) for spec in REGISTRY.values() if spec.takes_groups)
            raise ValueError(
                f"law must be {takers} for a population of images in groups, {population.group_count} of them, "
                f"got {self.name!r}, which assumes independent images"
            )


_SPECS: dict[str, LawSpec] = {}
#: Every law by name, from the simplest and cheapest to the most general: the order in which they are shown.
REGISTRY: Mapping[str, LawSpec] = MappingProxyType(_SPECS)


def register(spec: LawSpec) -> None:
    """Add a law at the end of :data:`REGISTRY`.

    Raises
    ------
    ValueError
        The name is taken, or the stand-in is not registered.
    """
    if spec.name in _SPECS:
        raise ValueError(f"name must be new, got {spec.name!r}, which is registered already")
    if spec.stand_in:
        choice("stand_in", spec.stand_in, tuple(_SPECS))
    _SPECS[spec.name] = spec


def unregister(name: str) -> None:
    """Remove a law from :data:`REGISTRY`, for example after trying one in a test or a notebook.

    Raises
    ------
    ValueError
        There is no such law.
    """
    del _SPECS[law_spec(name).name]


def law_spec(name: str) -> LawSpec:
    """The spec of a law by name.

    Raises
    ------
    ValueError
        There is no such law; the message lists all names.
    """
    return _SPECS[choice("law", name, tuple(_SPECS))]
