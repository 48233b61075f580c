"""Networks with the default schedulers of diffusers: samplers stay within the noise levels that a scheduler trains at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

import kappaflow as kf  # noqa: E402
from kappaflow.lens.scores import scores_study  # noqa: E402
from kappaflow.lens.teleport import plan_teleport, teleport, teleport_study  # noqa: E402
from kappaflow.lens.teleport.pipelines import teleport_pipeline  # noqa: E402
from kappaflow.models.adapters import from_diffusers  # noqa: E402
from kappaflow.models.layout import rows_denoiser  # noqa: E402
from kappaflow.models.rows import known_levels  # noqa: E402
from tiny_unet import tiny_unet  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning"),
]

SCHEDULERS = {
    "DDPM": ("DDPMScheduler", {}),
    "DDIM": ("DDIMScheduler", {}),
    "Euler": ("EulerDiscreteScheduler", {}),
    "cosine": ("DDPMScheduler", {"beta_schedule": "squaredcos_cap_v2"}),
    "pure noise at the end": ("DDIMScheduler", {"rescale_betas_zero_snr": True}),
    "ends at low noise": ("DDPMScheduler", {"beta_end": 0.002}),
    "latent betas": ("EulerDiscreteScheduler", {"beta_start": 0.00085, "beta_end": 0.012}),
}


class Recorded:
    """A denoiser of tensors that remembers its noise levels; its answers are those of Gaussian data of unit variance."""

    def __init__(self, network: Any) -> None:
        self.network, self.seen = network, []
        self.sigma_min, self.sigma_max = network.sigma_min, network.sigma_max

    def __call__(self, x: Any, sigma: Any) -> Any:
        self.seen += sigma.tolist()
        self.network(x[:1], sigma[:1])  # refuses levels that its scheduler does not train at
        return x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)


def population() -> kf.Population:
    return kf.Population.from_samples(0.5 * np.random.default_rng(0).standard_normal((80, 8, 8)))


def recorded(name: str) -> Recorded:
    torch.set_num_threads(1)
    kind, options = SCHEDULERS[name]
    return Recorded(from_diffusers(tiny_unet(), getattr(diffusers, kind)(**options)))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_study_stays_within_the_levels_of_the_scheduler(name: str) -> None:
    network = recorded(name)
    denoiser = rows_denoiser(network, (8, 8))
    assert known_levels(denoiser) == (network.sigma_min, network.sigma_max)
    study = teleport_study(denoiser, population(), name=name, steps=(2,), seeds=2)
    assert study.sigma_max == min(80.0, network.sigma_max)
    assert min(network.seen) == pytest.approx(max(0.002, network.sigma_min))
    assert max(network.seen) == pytest.approx(study.sigma_max)
    assert np.isfinite(study.errors["teleport"]).all()


@pytest.mark.parametrize("name", ["DDPM", "Euler", "cosine"])
def test_a_plan_and_a_jump_end_at_the_lowest_level_of_the_scheduler(name: str) -> None:
    network, of = recorded(name), population()
    denoiser, noise = rows_denoiser(network, (8, 8)), 80 * np.random.default_rng(1).standard_normal((2, 64))
    plan = plan_teleport(denoiser, of, noise, steps=2, candidates=4, reference=noise / 160)
    jumped = teleport(denoiser, of, noise, plan.sigma_start, steps=3)
    assert np.isfinite(jumped.samples).all()
    assert min(network.seen) == pytest.approx(network.sigma_min)
    with pytest.raises(ValueError, match="was trained at"):
        teleport(denoiser, of, noise, 1.0, steps=3, sigma_min=1e-4)


@pytest.mark.parametrize("name", ["DDIM", "ends at low noise"])
def test_scores_stay_within_the_levels_of_the_scheduler(name: str) -> None:
    network = recorded(name)
    samples = 0.5 * np.random.default_rng(2).standard_normal((60, 8, 8))
    study = scores_study(samples, (8, 8), network=rows_denoiser(network, (8, 8)), components=(2,), count=4)
    assert study.sigmas[-1] <= network.sigma_max * (1 + 1e-9)
    assert max(network.seen) <= network.sigma_max * (1 + 1e-9)
    assert min(network.seen) >= network.sigma_min * (1 - 1e-9)


def test_a_denoiser_that_does_not_say_its_levels_is_asked_at_any() -> None:
    def denoiser(x: Any, _sigma: Any) -> Any:
        return 0 * x

    assert known_levels(denoiser) == (0.0, np.inf)
    assert teleport_study(denoiser, population(), name="zero", steps=(2,), seeds=2).sigma_max == 80.0


@pytest.mark.parametrize("kind", ["DDIMScheduler", "EulerDiscreteScheduler"])
def test_pipelines_of_default_schedulers_jump(kind: str) -> None:
    noise = np.random.default_rng(3).standard_normal((2, 64))
    drawn = teleport_pipeline(tiny_unet(), population(), noise, 3.0, steps=2, scheduler=getattr(diffusers, kind)())
    assert drawn.sigma_start <= 3.0
    assert np.isfinite(drawn.samples).all()


@pytest.mark.parametrize("kind", ["DDPMScheduler", "PNDMScheduler", "EulerAncestralDiscreteScheduler"])
def test_schedulers_that_cannot_jump_say_which_one_works_instead(kind: str) -> None:
    given, noise = getattr(diffusers, kind)(), np.zeros((1, 64))
    with pytest.raises(ValueError, match=r"DDIMScheduler\.from_config\(pipeline\.scheduler\.config\)"):
        teleport_pipeline(tiny_unet(), population(), noise, 3.0, steps=2, scheduler=given)
    other = diffusers.DDIMScheduler.from_config(given.config)
    assert teleport_pipeline(tiny_unet(), population(), noise, 3.0, steps=2, scheduler=other).evaluations == 2
