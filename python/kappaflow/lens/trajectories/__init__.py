"""Sampling trajectories in closed form: for one covariance, and over training sets of n images."""

from .over_splits import (
    ModeSpread,
    SplitTrajectory,
    mode_spread,
    outcome_map,
    split_trajectory,
    trajectory_covariance,
)
from .schedules import SPACINGS, Schedule
from .solution import (
    Emergence,
    SampleLaw,
    Trajectory,
    ddim,
    emergence,
    emergence_noise_level,
    outcome_gains,
    sample_law,
    sampler_gains,
    state_gains,
    trajectory,
)
from .study import (
    SamplerError,
    TrajectoriesStudy,
    trajectories_study,
)

__all__ = [
    "SPACINGS",
    "Emergence",
    "ModeSpread",
    "SampleLaw",
    "SamplerError",
    "Schedule",
    "SplitTrajectory",
    "TrajectoriesStudy",
    "Trajectory",
    "ddim",
    "emergence",
    "emergence_noise_level",
    "mode_spread",
    "outcome_gains",
    "outcome_map",
    "sample_law",
    "sampler_gains",
    "split_trajectory",
    "state_gains",
    "trajectories_study",
    "trajectory",
    "trajectory_covariance",
]
