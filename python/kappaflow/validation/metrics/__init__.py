"""What is measured: agreement of predictions and simulations, and how alike two generative models are."""

from .agreement import FALSE_ALARM, SHOWN, Agreement, Outcome, agreement, describe_factor, mean_interval
from .association import Correlation

__all__ = [
    "FALSE_ALARM",
    "SHOWN",
    "Agreement",
    "Correlation",
    "Outcome",
    "agreement",
    "describe_factor",
    "mean_interval",
]
