"""The laws: each gives expectation and covariance of maps of Σ̂ under its own assumption about the data.

:data:`REGISTRY` lists them by name; :class:`~kappaflow.Splits` uses them. A new law takes one file and one line: a subclass of
:class:`Law`, a :class:`LawSpec` that describes it, and a call of :func:`register` below. The diagnosis then compares it with the
others, ``law="auto"`` can choose it, and every report and ``--law`` know its name. A colour of its own in the figures takes one
more line in ``report/laws.py``.
"""

from . import elliptical, empirical, gaussian
from .closed_form import ClosedFormLaw, radial_scales
from .cost import Work
from .empirical import EmpiricalLaw
from .entry import EnteredLaw, enter
from .law import Ensemble, Law, Support, independent_ensemble, require_profiles
from .registry import REGISTRY, LawSpec, law_spec, register, unregister

__all__ = [
    "DEFAULT_LAW",
    "REGISTRY",
    "ClosedFormLaw",
    "EmpiricalLaw",
    "Ensemble",
    "EnteredLaw",
    "Law",
    "LawSpec",
    "Support",
    "Work",
    "enter",
    "independent_ensemble",
    "law_spec",
    "radial_scales",
    "register",
    "require_profiles",
    "unregister",
]

register(gaussian.SPEC)
register(elliptical.SPEC)
register(empirical.SPEC)

#: The law used if none is named: it needs nothing but the covariance.
DEFAULT_LAW = gaussian.SPEC.name
