"""How much of a denoiser a closed-form score explains.

* :mod:`.comparison`: fraction of squared error, and loss on held-out samples
* :mod:`.study`: everything that the page on scores shows

The scores themselves are in :mod:`kappaflow.models.scores`.
"""

from .comparison import (
    LAWS,
    DrawnRows,
    Fraction,
    HeldOutLoss,
    LossRatio,
    draw_rows,
    fraction_of_squared_error,
    held_out_loss,
    sigma_grid,
)
from .study import (
    GAUSSIAN,
    MEAN,
    NETWORK,
    SAMPLES,
    ScoresStudy,
    closed_form_scores,
    scores_study,
)

__all__ = [
    "GAUSSIAN",
    "LAWS",
    "MEAN",
    "NETWORK",
    "SAMPLES",
    "DrawnRows",
    "Fraction",
    "HeldOutLoss",
    "LossRatio",
    "ScoresStudy",
    "closed_form_scores",
    "draw_rows",
    "fraction_of_squared_error",
    "held_out_loss",
    "scores_study",
    "sigma_grid",
]
