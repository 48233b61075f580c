"""Models of other conventions as D(x; σ): toy networks known in closed form, and diffusers' own objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from safetensors.torch import load_file, save_file  # noqa: E402

from kappaflow.models.adapters import PREDICTIONS, from_diffusers, from_flow, from_vp  # noqa: E402
from kappaflow.models.denoisers import LinearDenoiser  # noqa: E402
from kappaflow.models.opening import open_denoiser  # noqa: E402
from kappaflow.models.sampling import sample  # noqa: E402
from tiny_unet import tiny_unet  # noqa: E402

# Torch's __array__ has no copy keyword yet, which NumPy says where diffusers makes arrays of its schedules.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

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


def test_whole_steps_use_no_steps_between() -> None:
    asked = []

    def network(y: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        asked.append(time)
        return torch.zeros_like(y)

    from_vp(network, SCHEDULE, whole_steps=True)(noised(4), torch.tensor([0.1, 0.5, 3.0, 80.0], dtype=torch.float64))
    assert torch.equal(asked[0], asked[0].round())
    from_vp(network, SCHEDULE)(noised(1), torch.tensor([0.123], dtype=torch.float64))
    assert not torch.equal(asked[1], asked[1].round())


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
        num_attention_heads=2,
        attention_head_dim=4,
        in_channels=1,
        out_channels=1,
        num_layers=1,
        sample_size=4,
        patch_size=2,
        num_embeds_ada_norm=3,
        norm_num_groups=1,
    ).double()
    scheduler = diffusers.DDPMScheduler()
    x, sigma = torch.ones((2, 1, 4, 4), dtype=torch.float64), torch.tensor([1.0, 2.0], dtype=torch.float64)
    none, first = (from_diffusers(dit, scheduler, label=label)(x, sigma) for label in (None, 0))
    torch.testing.assert_close(from_diffusers(dit, scheduler, label=3)(x, sigma), none)
    assert not torch.allclose(none, first)
    with pytest.raises(ValueError, match=r"label must be a class of the model, 0 to 3, got 7"):
        from_diffusers(dit, scheduler, label=7)


def test_saved_pipeline_opens_again(tmp_path: Path) -> None:
    pipeline = diffusers.DDPMPipeline(tiny_unet(), diffusers.DDPMScheduler())
    pipeline.save_pretrained(tmp_path / "pipeline")
    opened, direct = open_denoiser(tmp_path / "pipeline"), from_diffusers(pipeline)
    x, sigma = torch.ones((2, 1, 8, 8)), torch.tensor([0.1, 5.0])
    torch.testing.assert_close(opened(x, sigma), direct(x, sigma))
    assert opened.image_shape == (1, 8, 8)
    assert "UNet2DModel with DDPMScheduler" in repr(opened)
    file = tmp_path / "pipeline" / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    save_file({name: value for name, value in weights.items() if name != "conv_in.bias"}, file)
    with pytest.raises(ValueError, match=r"lacks weights: conv_in\.bias"):
        open_denoiser(tmp_path / "pipeline")
    file.write_bytes(b"no weights")
    with pytest.raises(ValueError, match="pipeline' cannot be read"):
        open_denoiser(tmp_path / "pipeline")
    index = tmp_path / "pipeline" / "model_index.json"
    for change, words in (
        ({"vae": ["diffusers", "AutoencoderKL"]}, "works on the latents of an autoencoder"),
        ({"unet": ["diffusers", "NoSuchModel"]}, "has parts that diffusers .* does not know"),
        ({"unet": None}, "must be a pipeline with a unet or transformer"),
        ({"unet": ["diffusers", "DDPMPipeline"]}, "must name a ModelMixin of diffusers as unet, got DDPMPipeline"),
        (
            {"scheduler": ["diffusers", "UNet2DModel"]},
            "must name a SchedulerMixin of diffusers as scheduler, got UNet2DM",
        ),
        ({"unet": "UNet2DModel"}, "must give library and class of unet, got 'UNet2DModel'"),
        ({"unet": ["diffusers"]}, r"must give library and class of unet, got \['diffusers'\]"),
        ({"unet": ["my", "../code.py"]}, r"does not know: '\.\./code\.py'"),
    ):
        former = json.loads(index.read_text())
        index.write_text(json.dumps(former | change))
        with pytest.raises(ValueError, match=words):
            open_denoiser(tmp_path / "pipeline")
        index.write_text(json.dumps(former))


@pytest.mark.parametrize("name", ["../../other.safetensors", "/etc/passwd", "model.bin", 3])
def test_an_index_of_weights_names_files_of_its_folder_only(tmp_path: Path, name: object) -> None:
    diffusers.DDPMPipeline(tiny_unet(), diffusers.DDPMScheduler()).save_pretrained(tmp_path / "pipeline")
    file = tmp_path / "pipeline" / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(weights, "part.safetensors")}
    save_file(weights, file.with_name("part.safetensors"), metadata={"format": "pt"})
    file.unlink()
    index_file = file.with_name(file.name + ".index.json")
    index_file.write_text(json.dumps(index))
    assert open_denoiser(tmp_path / "pipeline").image_shape == (1, 8, 8)
    index_file.write_text(json.dumps({**index, "weight_map": dict.fromkeys(weights, name)}))
    with pytest.raises(ValueError, match="must name safetensors files of its own folder, got"):
        open_denoiser(tmp_path / "pipeline")


def zeros() -> Any:
    return lambda x, sigma: torch.zeros_like(x)


def half(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    return x / 2


def not_a_denoiser() -> int:
    return 3


def test_function_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    assert open_denoiser("test_adapters:zeros")(torch.ones(2, 3), torch.ones(2)).sum() == 0
    assert open_denoiser("test_adapters:half")(torch.ones(2, 3), torch.ones(2)).sum() == 3
    with pytest.raises(ValueError, match=r"must be or return a callable D\(x, sigma\), got int"):
        open_denoiser("test_adapters:not_a_denoiser")
    with pytest.raises(ValueError, match="has no 'nothing'"):
        open_denoiser("test_adapters:nothing")
    with pytest.raises(ImportError, match="no_such_module"):
        open_denoiser("no_such_module:thing")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"does not exist; it must be a \.safetensors checkpoint"):
        open_denoiser(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match=r"folder without a readable model_index\.json"):
        open_denoiser(tmp_path)
    with pytest.raises(ValueError, match=r"model must be a \.safetensors checkpoint"):
        open_denoiser("something")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="path must name a network"):
        open_denoiser(broken)


def test_noise_that_the_model_does_not_know_is_refused() -> None:
    denoiser = from_vp(toy("epsilon"), SCHEDULE)
    for level in (0.001, 1e4, float("nan")):
        with pytest.raises(ValueError, match=r"sigma must be between 0\.01 and 157"):
            denoiser(noised(1), torch.tensor([level], dtype=torch.float64))


def test_bad_schedules_networks_and_pipelines() -> None:
    with pytest.raises(ValueError, match="prediction must be one of"):
        from_vp(toy("epsilon"), SCHEDULE, prediction="score")
    for schedule in ([0.5], [0.1, 0.5], [1.0, 0.5]):
        with pytest.raises(ValueError, match="alphas_cumprod must be at least two numbers that fall"):
            from_vp(toy("epsilon"), schedule)
    with pytest.raises(ValueError, match=r"network must return the shape of its input \(2, 6\), got \(2, 12\)"):
        from_vp(lambda y, t: torch.cat([y, y], dim=1), SCHEDULE)(noised(2), torch.ones(2, dtype=torch.float64))
    with pytest.raises(ValueError, match="scheduler must be given"):
        from_diffusers(tiny_unet())
    with pytest.raises(ValueError, match=r"scheduler must be one of DDPM, .*; got ScoreSdeVe"):
        from_diffusers(tiny_unet(), diffusers.ScoreSdeVeScheduler())

    class Latent:
        vae, unet, scheduler = object(), object(), object()

    with pytest.raises(ValueError, match="which works on the latents of an autoencoder"):
        from_diffusers(Latent())
    for kind in ("DDIMScheduler", "EulerDiscreteScheduler"):
        zero_snr = getattr(diffusers, kind)(rescale_betas_zero_snr=True, prediction_type="v_prediction")
        last = float(zero_snr.alphas_cumprod[-2])  # the last one, of pure noise, is left out
        assert from_diffusers(tiny_unet(), zero_snr).sigma_max == pytest.approx(((1 - last) / last) ** 0.5)
    with pytest.raises(ValueError, match="scheduler must have timestep_type = discrete, got 'continuous'"):
        from_diffusers(tiny_unet(), diffusers.EulerDiscreteScheduler(timestep_type="continuous"))
    with pytest.raises(ValueError, match="label needs a class-conditional model, got 2 for UNet2DModel"):
        from_diffusers(tiny_unet(), diffusers.DDPMScheduler(), label=2)


def test_class_conditional_unet_has_no_class_for_none() -> None:
    unet = tiny_unet(num_class_embeds=3)
    with pytest.raises(ValueError, match="label must be a class of the model, 0 to 2, got None"):
        from_diffusers(unet, diffusers.DDPMScheduler())
    assert from_diffusers(unet, diffusers.DDPMScheduler(), label=2)(torch.ones(1, 1, 8, 8), torch.ones(1)).shape == (
        1,
        1,
        8,
        8,
    )


def test_learned_variance_is_left_out() -> None:
    unet = tiny_unet(out_channels=2)
    denoiser = from_diffusers(unet, diffusers.DDPMScheduler(variance_type="learned_range"))
    x = torch.ones(1, 1, 8, 8)
    a = float(diffusers.DDPMScheduler().alphas_cumprod[300])
    sigma = ((1 - a) / a) ** 0.5
    with torch.no_grad():
        noise = unet(x / (1 + sigma**2) ** 0.5, 300).sample[:, :1]
    torch.testing.assert_close(denoiser(x, torch.tensor([sigma])), x - sigma * noise, rtol=1e-4, atol=1e-4)


def test_labels_are_never_dropped() -> None:
    unet = tiny_unet()
    denoiser = from_diffusers(unet, diffusers.DDPMScheduler())
    unet.train()
    denoiser(torch.ones(1, 1, 8, 8), torch.ones(1))
    assert not unet.training


def test_flow_scheduler_with_a_shift() -> None:
    denoiser = from_diffusers(tiny_unet(), diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0))
    assert denoiser.sigma_min == pytest.approx(3 / 999)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(4)
    unet = tiny_unet()
    s = float(scheduler.sigmas[-2])
    y = torch.from_numpy(np.random.default_rng(4).standard_normal((1, 1, 8, 8))).float()
    with torch.no_grad():
        velocity = unet(y, torch.tensor([1000 * s])).sample
    scheduler.set_begin_index(3)
    clean = scheduler.step(velocity, scheduler.timesteps[-1], y).prev_sample  # one step to s = 0
    found = from_diffusers(unet, scheduler)(y / (1 - s), torch.tensor([s / (1 - s)]))
    torch.testing.assert_close(found, clean, rtol=1e-4, atol=1e-4)


def test_euler_steps_in_the_same_variables() -> None:
    """An independent reference that is VE itself: its clean image at a fractional time step."""
    scheduler = diffusers.EulerDiscreteScheduler()
    scheduler.set_timesteps(7)
    unet = tiny_unet()
    x = 3 * torch.from_numpy(np.random.default_rng(5).standard_normal((1, 1, 8, 8))).float()
    sigma, time = scheduler.sigmas[3], scheduler.timesteps[3]
    with torch.no_grad():
        noise = unet(scheduler.scale_model_input(x, time), time).sample
    expected = scheduler.step(noise, time, x).pred_original_sample
    torch.testing.assert_close(from_diffusers(unet, scheduler)(x, sigma[None]), expected, rtol=1e-3, atol=1e-3)
