"""The laws: what expectation and covariance of maps of Σ̂ are, under one assumption on the data each.

:data:`REGISTRY` lists them; :class:`~kappaflow.Splits` asks them.
"""

from . import elliptical, empirical, gaussian
from .closed_form import ClosedFormLaw, radial_scales
from .cost import Work
from .empirical import EmpiricalLaw
from .law import Ensemble, Law, Support, require_profiles
from .registry import REGISTRY, LawSpec, law_spec, register, unregister

__all__ = [
    "DEFAULT_LAW",
    "REGISTRY",
    "ClosedFormLaw",
    "EmpiricalLaw",
    "Ensemble",
    "Law",
    "LawSpec",
    "Support",
    "Work",
    "law_spec",
    "radial_scales",
    "register",
    "require_profiles",
    "unregister",
]

register(gaussian.SPEC)
register(elliptical.SPEC)
register(empirical.SPEC)

#: The law that is meant where none is named: it needs nothing but the covariance.
DEFAULT_LAW = gaussian.SPEC.name
