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
    SampleLaw,
    SamplingEmergence,
    Trajectory,
    ddim,
    emergence_noise_level,
    outcome_gains,
    sample_law,
    sampler_gains,
    sampling_emergence,
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
    "ModeSpread",
    "SampleLaw",
    "SamplerError",
    "SamplingEmergence",
    "Schedule",
    "SplitTrajectory",
    "TrajectoriesStudy",
    "Trajectory",
    "ddim",
    "emergence_noise_level",
    "mode_spread",
    "outcome_gains",
    "outcome_map",
    "sample_law",
    "sampler_gains",
    "sampling_emergence",
    "split_trajectory",
    "state_gains",
    "trajectories_study",
    "trajectory",
    "trajectory_covariance",
]
