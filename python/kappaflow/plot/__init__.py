"""Single figures of the reports on Matplotlib axes of your own. ::

    import kappaflow as kf
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, layout="constrained")
    kf.plot.disagreement_by_n(prediction, ax=left)
    kf.plot.theory_vs_simulation(validation, quantity="kappa", ax=right)

Each function draws one panel of a report with the same code as the report, and returns the axes.

* ``ax=None`` draws on the current axes of pyplot. Data that the axes hold already stay in view: call a function twice to lay one
  result over another.
* ``legend=False`` leaves the legend out, for instance where several panels share one.
* Fonts, grids and frames are yours: no global parameter of Matplotlib changes, no title is set, and nothing is saved or closed.
  ``with kf.plot.style():`` gives what is made inside the look of the reports.
* Lines carry the names that they have in the reports: ``[line.get_gid() for line in ax.get_lines()]``.

Conventions are those of the package: σ is a standard deviation and σ² a noise variance, modes are counted from 1 on the page in
the order of descending eigenvalues, a disagreement is a squared distance per dimension, and "relative" divides it by that of
two unrelated samples.
"""

from __future__ import annotations

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    raise ImportError("kappaflow.plot needs Matplotlib: pip install matplotlib") from error

from ._axes import style
from .classes import images_by_class
from .pilots import disagreement_from_pilots
from .predictions import (
    disagreement_by_mode,
    disagreement_by_n,
    disagreement_by_seed,
    kappa,
    law_errors,
    leverage,
    mode_pairs,
    shrinkage,
    spectrum,
)
from .simulations import QUANTITIES, disagreement_by_stratum, sampler_steps, theory_vs_simulation

__all__ = [
    "QUANTITIES",
    "disagreement_by_mode",
    "disagreement_by_n",
    "disagreement_by_seed",
    "disagreement_by_stratum",
    "disagreement_from_pilots",
    "images_by_class",
    "kappa",
    "law_errors",
    "leverage",
    "mode_pairs",
    "sampler_steps",
    "shrinkage",
    "spectrum",
    "style",
    "theory_vs_simulation",
]
