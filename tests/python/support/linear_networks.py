"""A small validation of linear networks, which tests of the analysis, of the report and of given models share."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from kappaflow.validation.network import sweep
from kappaflow.validation.network.context import Context, make_context
from kappaflow.validation.network.experiment import validate_networks
from kappaflow.validation.network.plan import Plan, make_plan
from kappaflow.validation.network.results import NetworkValidation
from smooth import SHAPE, smooth


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A validation of networks, and what it was made with."""

    found: NetworkValidation
    folder: Path
    plan: Plan
    context: Context

    def checkpoints(self, n: int) -> tuple[str, str]:
        """Files of the two networks that differ in their data alone."""
        chosen = [run for run in self.plan.runs if (run.n, run.stratum, run.member) == (n, None, 0)]
        jobs = sweep.make_jobs(
            chosen,
            self.context.images,
            SHAPE,
            {"seeds": self.context.noise["seeds"]},
            self.folder,
            steps=18,
            sigma_max=80.0,
            seed=0,
        )
        first, second = (str(job.folder / "model.safetensors") for job in jobs)
        return first, second


def linear_networks(folder: Path) -> Experiment:
    """Linear networks on smooth images, two sizes, both arms, with strata."""
    images = smooth(400)
    context = make_context(images, SHAPE, seeds=64, sampler_steps=18)
    plan = make_plan(
        images,
        SHAPE,
        archs=["linear"],
        n=[30, 60],
        seeds=64,
        sampler_steps=18,
        steps=1000,
        component=0,
        coordinate=context.population.coordinates(images)[:, 0],
        training={"learning_rate": 5e-2, "batch": 256, "noise_mean": -0.5, "noise_std": 1.8, "ema": 0.15},
    )
    fractions: list[float] = []
    found = validate_networks(
        plan, context, folder, source="smooth", workers=2, progress=lambda _, fraction: fractions.append(fraction)
    )
    assert fractions == sorted(fractions)
    return Experiment(found, folder, plan, context)
