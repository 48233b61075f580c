"""Sampling trajectories in closed form: for one covariance, and over training sets of n images.

* :mod:`.schedules`: noise schedules: the noise level at each time
* :mod:`.probability_flow`: states and denoiser outcomes on the path of the sampler
* :mod:`.emergence`: when each eigenmode appears while sampling
* :mod:`.sample_law`: the Gaussian law of the samples
* :mod:`.samplers`: effect of a finite number of steps
* :mod:`.training_sets`: expectation and spread of the path over training sets of n samples
* :mod:`.study`: everything that the page on trajectories shows
"""

from .emergence import SamplingEmergence, emergence_noise_level, sampling_emergence
from .probability_flow import Trajectory, outcome_gains, state_gains, trajectory
from .sample_law import SampleLaw, sample_law
from .samplers import ddim, sampler_gains
from .schedules import SPACINGS, Schedule
from .study import SamplerError, TrajectoriesStudy, trajectories_study
from .training_sets import (
    ModeSpread,
    SplitTrajectory,
    mode_spread,
    outcome_map,
    split_trajectory,
    trajectory_covariance,
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
