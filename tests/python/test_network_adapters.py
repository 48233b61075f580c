"""Models of other conventions as D(x; σ): toy networks known in closed form, and diffusers' own objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from kappaflow.validation.network.adapters import (  # noqa: E402
    PREDICTIONS,
    from_diffusers,
    from_flow,
    from_vp,
    open_denoiser,
)
from kappaflow.validation.network.denoisers import LinearDenoiser  # noqa: E402
from kappaflow.validation.network.sampling import sample  # noqa: E402

D = 6
VARIANCE = torch.tensor([4.0, 1.0, 0.5, 0.1, 0.01, 0.0], dtype=torch.float64)
MEAN = torch.linspace(-1, 1, D, dtype=torch.float64)
SCHEDULE = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))


def exact() -> LinearDenoiser:
    return LinearDenoiser(MEAN, VARIANCE, torch.eye(D, dtype=torch.float64))


def alpha_bar(time: torch.Tensor) -> torch.Tensor:
    """ā between time steps, where the schedule is linear in ln σ."""
    levels = 0.5 * np.log((1 - SCHEDULE) / SCHEDULE)
    level = np.exp(np.interp(time.numpy(), np.arange(1000), levels))
    return torch.from_numpy(1 / (1 + level**2))[:, None]


def toy(prediction: str) -> Any:
    """The best VP network of Gaussian data: E[x₀ | y] in closed form, in the variables of its prediction."""

    def network(y: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        a = alpha_bar(time)
        clean = MEAN + a.sqrt() * VARIANCE / (a * VARIANCE + 1 - a) * (y - a.sqrt() * MEAN)
        noise = (y - a.sqrt() * clean) / (1 - a).sqrt()
        return {"sample": clean, "epsilon": noise, "v_prediction": a.sqrt() * noise - (1 - a).sqrt() * clean}[
            prediction
        ]

    return network


def noised(count: int = 32) -> torch.Tensor:
    return torch.from_numpy(3 * np.random.default_rng(1).standard_normal((count, D)))


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_vp_network_equals_its_ve_form(prediction: str) -> None:
    denoiser = from_vp(toy(prediction), SCHEDULE, prediction=prediction)
    x = noised()
    sigma = torch.from_numpy(np.geomspace(denoiser.sigma_min, denoiser.sigma_max, len(x)))
    torch.testing.assert_close(denoiser(x, sigma), exact()(x, sigma), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_samples_equal_those_of_the_ve_form(prediction: str) -> None:
    denoiser = from_vp(toy(prediction), SCHEDULE, prediction=prediction)
    start = 80 * noised(8) / 3
    drawn = [sample(d, start, steps=18, sigma_min=0.02) for d in (denoiser, exact())]
    torch.testing.assert_close(drawn[0], drawn[1], rtol=1e-7, atol=1e-7)


def test_flow_matching_equals_its_ve_form() -> None:
    def velocity(y: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        s = time[:, None] / 1000
        clean = MEAN + (1 - s) * VARIANCE / ((1 - s) ** 2 * VARIANCE + s**2) * (y - (1 - s) * MEAN)
        return (y - (1 - s) * clean) / s - clean

    denoiser = from_flow(velocity)
    x = noised()
    sigma = torch.from_numpy(np.geomspace(0.002, 80, len(x)))
    torch.testing.assert_close(denoiser(x, sigma), exact()(x, sigma), rtol=1e-8, atol=1e-8)


def test_whole_steps_ask_for_none_between() -> None:
    asked = []

    def network(y: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        asked.append(time)
        return torch.zeros_like(y)

    from_vp(network, SCHEDULE, whole_steps=True)(noised(4), torch.tensor([0.1, 0.5, 3.0, 80.0], dtype=torch.float64))
    assert torch.equal(asked[0], asked[0].round())
    from_vp(network, SCHEDULE)(noised(1), torch.tensor([0.123], dtype=torch.float64))
    assert not torch.equal(asked[1], asked[1].round())


def tiny_unet() -> Any:
    torch.manual_seed(0)
    return diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, layers_per_block=1, block_out_channels=(8, 8), norm_num_groups=4,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
    )  # fmt: skip


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("kind", ["DDPMScheduler", "DDIMScheduler"])
def test_equals_the_clean_image_that_the_scheduler_sees(prediction: str, kind: str) -> None:
    """An independent reference: `pred_original_sample` of one step of the scheduler at a time step of the training."""
    scheduler = getattr(diffusers, kind)(prediction_type=prediction, clip_sample=False)
    scheduler.set_timesteps(1000)
    unet = tiny_unet().double()
    denoiser = from_diffusers(unet, scheduler)
    y = torch.from_numpy(np.random.default_rng(2).standard_normal((2, 1, 8, 8)))
    for time in (3, 400, 990):
        a = float(scheduler.alphas_cumprod[time])
        sigma = ((1 - a) / a) ** 0.5
        with torch.no_grad():
            predicted = unet(y, time).sample
        expected = scheduler.step(predicted, time, y).pred_original_sample
        found = denoiser(y * (1 + sigma**2) ** 0.5, torch.full((2,), sigma, dtype=torch.float64))
        torch.testing.assert_close(found, expected, rtol=2e-5, atol=2e-5)  # ā is float32 there


def test_edm_scheduler_preconditions() -> None:
    scheduler = diffusers.EDMEulerScheduler()
    unet = tiny_unet().double()
    denoiser = from_diffusers(unet, scheduler)
    x = torch.from_numpy(np.random.default_rng(3).standard_normal((3, 1, 8, 8)))
    sigma = torch.tensor([0.01, 0.7, 60.0], dtype=torch.float64)
    level, scale = sigma.reshape(-1, 1, 1, 1), scheduler.config.sigma_data
    with torch.no_grad():
        raw = unet(x / (level**2 + scale**2).sqrt(), sigma.log() / 4).sample
    expected = scale**2 / (level**2 + scale**2) * x + level * scale / (level**2 + scale**2).sqrt() * raw
    torch.testing.assert_close(denoiser(x, sigma), expected)
    assert (denoiser.sigma_min, denoiser.sigma_max) == (0.002, 80.0)


def test_class_conditional_transformer_gets_its_class() -> None:
    torch.manual_seed(0)
    dit = diffusers.DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=4, in_channels=1, out_channels=1, num_layers=1, sample_size=4, patch_size=2,
        num_embeds_ada_norm=3, norm_num_groups=1,
    ).double()  # fmt: skip
    scheduler = diffusers.DDPMScheduler()
    x, sigma = torch.ones((2, 1, 4, 4), dtype=torch.float64), torch.tensor([1.0, 2.0], dtype=torch.float64)
    none, first = (from_diffusers(dit, scheduler, label=label)(x, sigma) for label in (None, 0))
    torch.testing.assert_close(from_diffusers(dit, scheduler, label=3)(x, sigma), none)
    assert not torch.allclose(none, first)
    with pytest.raises(ValueError, match=r"label must be a class of the model, of which there are 3, got 7"):
        from_diffusers(dit, scheduler, label=7)


def test_saved_pipeline_opens_again(tmp_path: Path) -> None:
    pipeline = diffusers.DDPMPipeline(tiny_unet(), diffusers.DDPMScheduler())
    pipeline.save_pretrained(tmp_path / "pipeline")
    opened, direct = open_denoiser(tmp_path / "pipeline"), from_diffusers(pipeline)
    x, sigma = torch.ones((2, 1, 8, 8)), torch.tensor([0.1, 5.0])
    torch.testing.assert_close(opened(x, sigma), direct(x, sigma))
    assert opened.image_shape == (1, 8, 8)
    assert "UNet2DModel with DDPMScheduler" in repr(opened)
    (tmp_path / "pipeline" / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="cannot be read as a diffusers pipeline"):
        open_denoiser(tmp_path / "pipeline")


def zeros() -> Any:
    return lambda x, sigma: torch.zeros_like(x)


def not_a_denoiser() -> int:
    return 3


def test_function_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    assert open_denoiser("test_network_adapters:zeros")(torch.ones(2, 3), torch.ones(2)).sum() == 0
    with pytest.raises(ValueError, match=r"must return a callable D\(x, sigma\), got int"):
        open_denoiser("test_network_adapters:not_a_denoiser")
    with pytest.raises(ValueError, match="has no 'nothing'"):
        open_denoiser("test_network_adapters:nothing")
    with pytest.raises(ImportError, match="no_such_module"):
        open_denoiser("no_such_module:thing")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"does not exist; it must be a \.safetensors checkpoint"):
        open_denoiser(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match=r"folder without model_index\.json"):
        open_denoiser(tmp_path)
    with pytest.raises(ValueError, match=r"model must be a \.safetensors checkpoint"):
        open_denoiser("something")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="path must name a network"):
        open_denoiser(broken)


def test_noise_that_the_model_does_not_know_is_refused() -> None:
    denoiser = from_vp(toy("epsilon"), SCHEDULE)
    for level in (0.001, 1e4):
        with pytest.raises(ValueError, match=r"sigma must be between 0\.01 and 157"):
            denoiser(noised(1), torch.tensor([level], dtype=torch.float64))


def test_bad_schedules_networks_and_pipelines() -> None:
    with pytest.raises(ValueError, match="prediction must be one of"):
        from_vp(toy("epsilon"), SCHEDULE, prediction="score")
    for schedule in ([0.5], [0.1, 0.5], [1.0, 0.5]):
        with pytest.raises(ValueError, match="alphas_cumprod must be at least two numbers that fall"):
            from_vp(toy("epsilon"), schedule)
    with pytest.raises(ValueError, match="predict a variance as well are not read"):
        from_vp(lambda y, t: torch.cat([y, y], dim=1), SCHEDULE)(noised(2), torch.ones(2, dtype=torch.float64))
    with pytest.raises(ValueError, match="scheduler must be given"):
        from_diffusers(tiny_unet())
    with pytest.raises(ValueError, match="scheduler must have alphas_cumprod"):
        from_diffusers(tiny_unet(), diffusers.ScoreSdeVeScheduler())

    class Latent:
        vae, unet, scheduler = object(), object(), object()

    with pytest.raises(ValueError, match="which works on the latents of an autoencoder"):
        from_diffusers(Latent())
    zero_snr = diffusers.DDIMScheduler(rescale_betas_zero_snr=True, prediction_type="v_prediction")
    assert np.isfinite(from_diffusers(tiny_unet(), zero_snr).sigma_max)
