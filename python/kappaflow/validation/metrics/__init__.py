"""Measures of the agreement of predictions with simulations, and of the similarity of two generative models."""

from .agreement import FALSE_ALARM, SHOWN, Agreement, Interval, Outcome, agreement, describe_factor, mean_interval
from .association import Correlation, correlate
from .consistency import cross_split, explained, generated_variance, pixel_disagreement
from .neighbours import Memorisation, Neighbours, memorisation, memorised_fraction, nearest

__all__ = [
    "FALSE_ALARM",
    "SHOWN",
    "Agreement",
    "Correlation",
    "Interval",
    "Memorisation",
    "Neighbours",
    "Outcome",
    "agreement",
    "correlate",
    "cross_split",
    "describe_factor",
    "explained",
    "generated_variance",
    "mean_interval",
    "memorisation",
    "memorised_fraction",
    "nearest",
    "pixel_disagreement",
]
