"""How much of a denoiser a closed-form score explains."""

from .comparison import (
    LAWS,
    Fraction,
    HeldOutLoss,
    fraction_of_squared_error,
    held_out_loss,
    sigma_grid,
)
from .study import (
    MEAN,
    SAMPLES,
    ScoresStudy,
    closed_form_scores,
    scores_study,
)

__all__ = [
    "LAWS",
    "MEAN",
    "SAMPLES",
    "Fraction",
    "HeldOutLoss",
    "ScoresStudy",
    "closed_form_scores",
    "fraction_of_squared_error",
    "held_out_loss",
    "scores_study",
    "sigma_grid",
]
