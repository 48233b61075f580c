"""Many runs: kept, resumed, spread over machines, and what happens to those that fail."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from smooth import SHAPE, smooth

torch = pytest.importorskip("torch")

from kappaflow.models.errors import TrainingError  # noqa: E402
from kappaflow.validation.network import sweep  # noqa: E402
from kappaflow.validation.network.context import make_context  # noqa: E402
from kappaflow.validation.network.cost import estimate  # noqa: E402
from kappaflow.validation.network.given import compare_given, open_models  # noqa: E402
from kappaflow.validation.network.plan import make_plan  # noqa: E402

if TYPE_CHECKING:
    from linear_networks import Experiment


def test_a_stopped_sweep_goes_on(tmp_path: Path) -> None:
    images = smooth(40)
    context = make_context(images, SHAPE, seeds=16, sampler_steps=5)
    plan = make_plan(images, SHAPE, archs=["mlp"], n=[10], seeds=16, sampler_steps=5, steps=60)
    jobs = sweep.make_jobs(plan.runs, images, SHAPE, dict(context.noise), tmp_path, steps=5, sigma_max=80.0, seed=0)
    first = sweep.run_jobs(jobs[:1], workers=1)[0].answers(jobs[0].probe).samples["seeds"]
    everything = sweep.run_jobs(jobs, workers=1)
    np.testing.assert_array_equal(everything[0].answers(jobs[0].probe).samples["seeds"], first)
    assert len({outcome.key for outcome in everything}) == 3
    for job in jobs:
        assert not (job.folder / "training.safetensors").exists()


def test_a_sweep_on_a_dask_cluster(tmp_path: Path) -> None:
    distributed = pytest.importorskip("dask.distributed")
    images = smooth(40)
    plan = make_plan(images, SHAPE, archs=["mlp"], n=[10], seeds=16, sampler_steps=5, steps=30)
    noise = {"seeds": make_context(images, SHAPE, seeds=16).noise["seeds"]}
    here, there = (
        sweep.make_jobs(plan.runs, images, SHAPE, noise, tmp_path / name, steps=5, sigma_max=80.0, seed=0)
        for name in ("here", "there")
    )
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)
    with cluster:
        found = sweep.run_jobs(there, dask=cluster.scheduler_address)
    for job, one, other in zip(here, found, sweep.run_jobs(here, workers=1), strict=True):
        samples = [outcome.answers(job.probe).samples["seeds"] for outcome in (one, other)]
        np.testing.assert_array_equal(*samples)


def test_a_diverging_run_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    images = smooth(40)
    context = make_context(images, SHAPE, seeds=16, sampler_steps=5)
    plan = make_plan(images, SHAPE, archs=["mlp"], n=[10], seeds=16, sampler_steps=5, steps=60)
    wild = dataclasses.replace(
        plan.runs[1], training=dataclasses.replace(plan.runs[1].training, learning_rate=1e30, warmup=0)
    )
    jobs = sweep.make_jobs(
        [plan.runs[0], wild],
        images,
        SHAPE,
        {"seeds": context.noise["seeds"]},
        tmp_path,
        steps=5,
        sigma_max=80.0,
        seed=0,
    )
    with pytest.raises(
        TrainingError, match=r"1 of 2 runs failed, the others are kept; mlp n=10 B0 repeat 1: training diverged"
    ):
        sweep.run_jobs(jobs, workers=1)
    assert (jobs[0].folder / "model.safetensors").exists()


def test_pixel_layouts_do_not_share_a_folder(tmp_path: Path) -> None:
    """(5, 5, 3) and (3, 5, 5) are the same tensors to a network, of other pixels."""
    images = np.random.default_rng(0).standard_normal((20, 75))
    folders = []
    for shape in ((5, 5, 3), (3, 5, 5)):
        plan = make_plan(images, shape, archs=["mlp"], n=[10], seeds=16)
        jobs = sweep.make_jobs(plan.runs, images, shape, {}, tmp_path, steps=5, sigma_max=80.0, seed=0)
        folders.append({job.folder for job in jobs})
    assert not folders[0] & folders[1]


def test_damaged_networks_and_failing_models_are_named(experiment: Experiment, tmp_path: Path) -> None:
    context = experiment.context
    plan = make_plan(smooth(40), SHAPE, archs=["mlp"], n=[10], seeds=16, steps=5)
    jobs = sweep.make_jobs(
        plan.runs[:1], smooth(40), SHAPE, {"seeds": np.ones((2, 16))}, tmp_path, steps=5, sigma_max=80.0, seed=0
    )
    sweep.run_jobs(jobs, workers=1)
    (jobs[0].folder / "model.safetensors").write_bytes(b"nothing")
    words = r"mlp n=10 A0 repeat 1: .*model\.safetensors' is damaged: remove it and it is trained again"
    with pytest.raises(TrainingError, match=words):
        sweep.run_jobs(jobs, workers=1)

    def broken(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("boom")

    pair = dataclasses.replace(
        open_models(experiment.checkpoints(60), SHAPE, sigma_max=80.0), denoisers=(broken, broken)
    )
    with pytest.raises(ValueError, match="model 'a' cannot be sampled: it raised RuntimeError: boom"):
        compare_given(
            context, dataclasses.replace(pair, names=("a", "b")), train=[None, None], n=None, sampler_steps=18
        )
    with pytest.raises(
        ValueError, match=r"names must be models that all cover noise levels from 0\.1 to 10, got 0\.002 to 5"
    ):
        open_models(experiment.checkpoints(60), SHAPE, sigma_max=5.0)


def test_estimates_name_every_architecture() -> None:
    images = smooth(40)
    plan = make_plan(images, SHAPE, archs=["mlp", "linear"], n=[10, 20], steps=100)
    found = estimate(plan.runs, images, SHAPE)
    assert [(e.arch, e.sizes, e.count, e.steps) for e in found] == [
        ("mlp", (10, 20), 6, 100),
        ("linear", (10, 20), 6, 100),
    ]
    assert all(e.seconds > 0 and e.parameters > 0 for e in found)
