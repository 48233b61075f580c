"""Teleport with diffusers' own schedulers: a network of Gaussian data is known in closed form, and so is what it should draw."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

import kappaflow as kf  # noqa: E402
from kappaflow.lens.teleport import jump, plan_teleport  # noqa: E402
from kappaflow.lens.teleport.pipelines import SCHEDULERS, teleport_pipeline  # noqa: E402
from kappaflow.models.adapters import from_diffusers  # noqa: E402
from kappaflow.models.layout import rows_denoiser  # noqa: E402
from tiny_unet import tiny_unet  # noqa: E402

FloatArray = npt.NDArray[np.float64]

# Torch's __array__ and __array_wrap__ have not the arguments that NumPy 2 wants, where diffusers mixes the two.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning"),
]

LAST = 157.4072  # σ of the last time step of the usual schedule of 1000


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def population(seed: int = 0, count: int = 200, shape: tuple[int, ...] = (2, 3)) -> kf.Population:
    """Of full rank; of rank `count` − 1 where the samples are few."""
    samples = np.random.default_rng(seed).standard_normal((count, *shape)).cumsum(axis=1)
    return kf.Population.from_samples(0.3 * samples + 0.2)


def seeds(count: int = 16, d: int = 6) -> FloatArray:
    return np.random.default_rng(1).standard_normal((count, d))


def scheduler(name: str, **options: Any) -> Any:
    if name == "DDIM":
        options = {"clip_sample": False} | options
    return getattr(diffusers, f"{name}Scheduler")(**options)


class Toy(torch.nn.Module):
    """The best network of Gaussian data, in the variables of the schedule; remembers what it was asked."""

    def __init__(self, of: kf.Population, schedule: Any) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
        self.config = SimpleNamespace()
        self.of, self.prediction = of, schedule.config.prediction_type
        kept = np.maximum(schedule.alphas_cumprod.double().numpy(), 1e-30)
        self.logs = 0.5 * np.log((1 - kept) / kept)
        self.seen: list[tuple[FloatArray, float]] = []

    def level(self, time: Any) -> Any:
        return np.exp(np.interp(time, np.arange(len(self.logs)), self.logs))

    def forward(self, y: torch.Tensor, timestep: torch.Tensor, return_dict: bool = True) -> tuple[torch.Tensor]:
        level = self.level(timestep.numpy())[:, None]
        root, rows = np.sqrt(1 + level**2), y.reshape(len(y), -1).numpy()
        self.seen.append((rows.copy(), float(timestep[0])))
        values = self.of.eigenvalues
        clean = self.of.apply(rows * root, values / (values + level**2))
        noise = (rows * root - clean) / level
        answer = {"epsilon": noise, "sample": clean, "v_prediction": (noise - level * clean) / root}[self.prediction]
        return (torch.from_numpy(answer).reshape(y.shape),)


def error(
    samples: FloatArray, of: kf.Population, z: FloatArray, *, scale: float | None = None, end: float = 0.0
) -> float:
    """Root mean square against the exact sampling map to the noise level that the scheduler ends with."""
    begun = z * (np.sqrt(1 + LAST**2) if scale is None else scale)
    exact = jump(of, begun, end, sigma_max=LAST) / np.sqrt(1 + end**2)
    return float(np.sqrt(np.mean((samples - exact) ** 2)))


def last_level(schedule: Any) -> float:
    """DEIS ends with the noise of the first time step of training."""
    return float(schedule.sigmas[0]) if isinstance(schedule, diffusers.DEISMultistepScheduler) else 0.0


CASES = [(name, "epsilon") for name in SCHEDULERS] + [("DDIM", "v_prediction"), ("DDIM", "sample")]


@pytest.mark.parametrize("count", [200, 4], ids=["full rank", "rank 3 of 6"])
@pytest.mark.parametrize(("name", "prediction"), CASES)
def test_samples_tend_to_the_exact_sampling_map(name: str, prediction: str, count: int) -> None:
    """The scheduler's own error shrinks with its steps, and is less than from the start at as many evaluations."""
    of, z = population(count=count), seeds()
    schedule = scheduler(name, prediction_type=prediction)
    network = Toy(of, schedule)
    found = {n: teleport_pipeline(network, of, z, 3.0, steps=n, scheduler=schedule) for n in (8, 16, 64)}
    end = last_level(schedule)
    errors = {n: error(each.samples, of, z, end=end) for n, each in found.items()}
    assert errors[16] < 0.8 * errors[8]
    assert errors[64] < 0.4 * errors[16]
    assert errors[64] < 0.02 * np.sqrt(of.eigenvalues[0])
    for n in (8, 16):
        plain = teleport_pipeline(network, of, z, None, steps=n, scheduler=schedule)
        assert plain.evaluations == found[n].evaluations == n
        assert errors[n] < 0.7 * error(plain.samples, of, z, end=end)
        assert 2.4 < found[n].sigma_start <= 3.0
        assert found[n].sigma_max == pytest.approx(LAST, rel=1e-5)


SPACINGS = [
    ("DDIM", "leading"),  # the others are refused
    *((name, spacing) for name in SCHEDULERS[1:] for spacing in ("leading", "linspace", "trailing")),
]


@pytest.mark.parametrize(("name", "spacing"), SPACINGS)
def test_the_network_is_handed_the_exact_state(name: str, spacing: str) -> None:
    """As many questions as steps, the first with the state of the Gaussian flow, every one at the noise that the state has."""
    of, z = population(), seeds()
    schedule = scheduler(name, timestep_spacing=spacing)
    network = Toy(of, schedule)
    found = teleport_pipeline(network, of, z, 5.0, steps=12, scheduler=schedule)
    assert len(network.seen) == found.evaluations == 12
    state, time = network.seen[0]
    level = float(network.level(time))
    assert found.sigma_start == pytest.approx(level, rel=1e-5)  # between time steps the scheduler's σ is linear
    scale = LAST if name == "EulerDiscrete" and spacing != "leading" else np.sqrt(1 + LAST**2)
    expected = jump(of, scale * z, level, sigma_max=LAST) / np.sqrt(1 + level**2)
    np.testing.assert_allclose(state, expected, rtol=1e-5, atol=1e-5)
    # the spread of the state in the widest mode is that of the noise level that the network is told
    for rows, asked in network.seen[1:]:
        here = float(network.level(asked))
        exact = jump(of, scale * z, here, sigma_max=LAST) / np.sqrt(1 + here**2)
        assert np.sqrt(np.mean((rows - exact) ** 2)) < 0.1


def loop(network: Any, schedule: Any, z: FloatArray, steps: int, shape: tuple[int, ...]) -> FloatArray:
    """What the pipelines of diffusers do."""
    schedule.set_timesteps(steps)
    state = torch.from_numpy(z).reshape(len(z), *shape) * schedule.init_noise_sigma
    with torch.no_grad():
        for time in schedule.timesteps:
            inner = schedule.scale_model_input(state, time)
            answer = network(inner, timestep=time.float().expand(len(z)))[0]
            state = schedule.step(answer, time, state).prev_sample
    return np.asarray(state.double().numpy()).reshape(len(z), -1)


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in SCHEDULERS),
    ("DDIM", {"clip_sample": True}),
    ("DDIM", {"thresholding": True}),
    ("DDIM", {"timestep_spacing": "trailing", "rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}),
    ("DDIM", {"timestep_spacing": "linspace", "set_alpha_to_one": False}),
    ("DPMSolverMultistep", {"use_karras_sigmas": True, "solver_order": 3}),
    ("EulerDiscrete", {"timestep_spacing": "leading", "steps_offset": 1}),
    ("UniPCMultistep", {"solver_order": 3, "final_sigmas_type": "sigma_min"}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_without_a_jump_it_is_the_pipeline(name: str, options: dict[str, Any]) -> None:
    of, z = population(), seeds()
    schedule = scheduler(name, **options)
    found = teleport_pipeline(Toy(of, schedule), of, z, None, steps=10, scheduler=schedule)
    expected = loop(Toy(of, schedule), scheduler(name, **options), z, 10, (1, 2, 3))
    np.testing.assert_allclose(found.samples, expected, rtol=1e-12, atol=1e-12)
    assert found.sigma_start == found.sigma_max
    assert found.evaluations == 10


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("start", [None, 3.0])
def test_batches_are_those_of_one(name: str, start: float | None) -> None:
    """Multistep schedulers remember answers: not those of the images before."""
    of, z = population(), seeds(7)
    schedule = scheduler(name)
    seen: list[float] = []
    whole, parts = (
        teleport_pipeline(Toy(of, schedule), of, z, start, steps=9, scheduler=schedule, batch=b, progress=seen.append)
        for b in (7, 3)
    )
    np.testing.assert_allclose(parts.samples, whole.samples, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(seen, [1, 3 / 7, 6 / 7, 1])


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_scheduler_and_the_network_are_left_as_they_were(name: str) -> None:
    """A pipeline goes on with its own grid, from its own beginning."""
    of, z = population(), seeds(3)
    schedule = scheduler(name)
    network = Toy(of, schedule)
    schedule.set_timesteps(10)
    before = schedule.timesteps.clone()
    assert network.training
    teleport_pipeline(network, of, z, 3.0, steps=6, scheduler=schedule)
    assert network.training
    assert torch.equal(schedule.timesteps, before)
    assert getattr(schedule, "begin_index", None) is None
    np.testing.assert_array_equal(
        loop(network, schedule, z, 10, (1, 2, 3)), loop(network, scheduler(name), z, 10, (1, 2, 3))
    )


def test_multistep_schedulers_start_again_at_first_order() -> None:
    """The first step below σ′ has no answers before it; the same grid entered at its beginning does the same there."""
    of, z = population(), seeds()
    schedule = scheduler("DPMSolverMultistep", solver_order=3)
    network = Toy(of, schedule)
    teleport_pipeline(network, of, z, 3.0, steps=16, scheduler=schedule)
    (first, time), (second, after) = network.seen[:2]
    a, b = (float(network.level(t)) for t in (time, after))
    values = of.eigenvalues
    x = first * np.sqrt(1 + a**2)
    clean = of.apply(x, values / (values + a**2))
    euler = x + (b - a) * (x - clean) / a  # DPM-Solver++ of first order is DDIM
    np.testing.assert_allclose(second * np.sqrt(1 + b**2), euler, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["DPMSolverMultistep", "DEISMultistep", "UniPCMultistep", "EulerDiscrete"])
def test_karras_levels_are_those_of_the_grid(name: str) -> None:
    """The noise level between two time steps of training is the grid's; the network is told the nearest one."""
    of, z = population(), seeds()
    schedule = scheduler(name, use_karras_sigmas=True)
    network = Toy(of, schedule)
    found = [teleport_pipeline(network, of, z, 3.0, steps=n, scheduler=schedule) for n in (8, 32)]
    scale = LAST if name == "EulerDiscrete" else None
    errors = [error(each.samples, of, z, scale=scale) for each in found]
    assert errors[1] < 0.5 * errors[0]
    assert errors[1] < 0.02
    assert all(2.4 < each.sigma_start <= 3.0 for each in found)


def test_few_steps_of_leading_spacing_begin_at_the_noise_of_training_all_the_same() -> None:
    """The plain grid of four steps begins at σ = 17.4, where its pure noise lacks the variance of the widest mode."""
    wide = kf.Population.from_covariance(np.diag([100.0, 1.0, 0.5, 0.2, 0.1, 0.05]))
    z = seeds(64)
    schedule = scheduler("DDIM")
    network = Toy(wide, schedule)
    plain, found = (teleport_pipeline(network, wide, z, s, steps=4, scheduler=schedule) for s in (None, 100.0))
    assert plain.sigma_start == pytest.approx(17.4, abs=0.05)
    assert found.sigma_start == plain.sigma_start  # above the grid: entered at its first step
    assert found.sigma_max == pytest.approx(LAST, rel=1e-5)
    state = {id(each): network.seen[place][0] for place, each in ((0, plain), (4, found))}
    level = plain.sigma_start
    expected = np.sqrt((100 + level**2) / (1 + level**2))
    spread = [state[id(each)][:, 0].std() / z[:, 0].std() for each in (plain, found)]
    assert spread[0] == pytest.approx(1.0)
    assert spread[1] == pytest.approx(expected, rel=2e-3)
    assert expected > 1.1


def test_schedules_that_end_in_pure_noise() -> None:
    """DDIM's last time step has no signal at all, its σ is infinite; the others put 2⁻²⁴ for it."""
    of, z = population(), seeds()
    for name, top in (("DDIM", np.inf), ("EulerDiscrete", 2.0**12), ("DPMSolverMultistep", 2.0**12)):
        schedule = scheduler(name, rescale_betas_zero_snr=True, prediction_type="v_prediction")
        network = Toy(of, schedule)
        found = teleport_pipeline(network, of, z, 3.0, steps=64, scheduler=schedule)
        assert found.sigma_max == pytest.approx(top, rel=1e-6)
        state, time = network.seen[0]
        level = float(network.level(time))
        exact = of.mean + (of.apply(z + of.mean, np.sqrt(of.eigenvalues + level**2)) - of.mean)
        atol = 1e-6 if name == "DDIM" else 1e-3  # μ/σ_max
        np.testing.assert_allclose(state * np.sqrt(1 + level**2), exact, rtol=atol, atol=atol)
        limit = of.apply(z + of.mean, np.sqrt(of.eigenvalues))
        assert np.sqrt(np.mean((found.samples - limit) ** 2)) < 0.02


def test_clipping_is_the_pipelines_and_acts_below_the_jump_only() -> None:
    """Data far beyond [−1, 1] show it: the state that is handed over is not clipped, the samples are."""
    wide = kf.Population.from_covariance(np.diag([60.0, 1.0, 0.5, 0.2, 0.1, 0.05]))
    z = seeds()
    states, samples = [], []
    for clip in (True, False):
        schedule = scheduler("DDIM", clip_sample=clip)
        network = Toy(wide, schedule)
        found = teleport_pipeline(network, wide, z, 20.0, steps=8, scheduler=schedule)
        states.append(network.seen[0][0])
        samples.append(found.samples)
    np.testing.assert_array_equal(states[0], states[1])
    assert np.abs(samples[0]).max() <= 1
    assert np.abs(samples[1]).max() > 5


ENDS: list[tuple[str, dict[str, Any]]] = [
    ("DDIM", {"set_alpha_to_one": False}),
    ("DPMSolverMultistep", {"final_sigmas_type": "sigma_min"}),
    ("UniPCMultistep", {"final_sigmas_type": "sigma_min"}),
    ("EulerDiscrete", {"final_sigmas_type": "sigma_min", "timestep_spacing": "leading"}),
]


@pytest.mark.parametrize(("name", "options"), ENDS)
def test_schedules_that_keep_the_noise_of_the_first_time_step(name: str, options: dict[str, Any]) -> None:
    """What is outside of the modes keeps σ = 0.01 of its noise; to σ = 0 the same samples would be off by as much."""
    of, z = population(count=4), seeds()
    schedule = scheduler(name, **options)
    found = teleport_pipeline(Toy(of, schedule), of, z, 3.0, steps=120, scheduler=schedule)
    left = float(np.sqrt((1 - schedule.alphas_cumprod[0]) / schedule.alphas_cumprod[0]))
    assert left == pytest.approx(0.01, rel=1e-3)
    vectors = of.eigenvectors
    assert vectors is not None

    def outside(rows: FloatArray) -> FloatArray:
        centred = rows - of.mean
        return centred - centred @ vectors @ vectors.T

    expected = left * outside(np.sqrt(1 + 1 / LAST**2) * z + (1 - 1 / LAST) * of.mean)
    np.testing.assert_allclose(outside(found.samples), expected, atol=2e-4)
    assert np.abs(outside(found.samples)).max() > 5e-3


FINE = [
    *((name, options) for name in SCHEDULERS for options in ({}, {"steps_offset": 1})),
    *((name, {"use_karras_sigmas": True}) for name in SCHEDULERS[1:]),
]


@pytest.mark.parametrize(("name", "options"), FINE)
def test_too_fine_grids_are_left_out(name: str, options: dict[str, Any]) -> None:
    """With 1000 steps of leading spacing the multistep schedulers stay at 0; an offset runs out of the schedule."""
    of, z = population(), seeds(2)
    schedule = scheduler(name, timestep_spacing="leading", **options)
    with pytest.raises(ValueError, match=rf"sigma_start must leave 14 steps of {name} below it, got 0\.0105"):
        teleport_pipeline(Toy(of, schedule), of, z, 0.0105, steps=14, scheduler=schedule)


@pytest.mark.parametrize("channels", [1, 3])
def test_pipelines_of_diffusers(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """DDIMPipeline by its own call gives the images of the plain run; teleport runs in its place."""
    shape = (8, 8) if channels == 1 else (8, 8, 3)
    of = population(count=30, shape=shape)
    pipe = diffusers.DDIMPipeline(tiny_unet(in_channels=channels, out_channels=channels), diffusers.DDIMScheduler())
    pipe.set_progress_bar_config(disable=True)
    z = torch.randn(2, channels, 8, 8, generator=torch.Generator().manual_seed(0))
    own = pipe(batch_size=2, generator=torch.Generator().manual_seed(0), num_inference_steps=5, output_type="np").images
    rows = z.permute(0, 2, 3, 1).reshape(2, -1).numpy()
    plain = teleport_pipeline(pipe, of, rows, None, steps=5)
    images = np.clip(plain.samples.reshape(2, 8, 8, channels) / 2 + 0.5, 0, 1)
    np.testing.assert_allclose(images, own, atol=1e-4)
    found = teleport_pipeline(pipe, of, rows, 5.0, steps=5)
    assert found.samples.shape == (2, of.dimension)
    assert found.evaluations == 5
    assert np.isfinite(found.samples).all()


def test_ddpm_pipelines_are_entered_with_a_scheduler_of_the_probability_flow() -> None:
    of = population(count=30, shape=(8, 8))
    pipe = diffusers.DDPMPipeline(tiny_unet(), diffusers.DDPMScheduler())
    z = seeds(2, 64)
    with pytest.raises(ValueError, match=rf"scheduler must be one of {', '.join(SCHEDULERS)}, .* got DDPM$"):
        teleport_pipeline(pipe, of, z, 5.0, steps=4)
    schedule = diffusers.DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)
    found = teleport_pipeline(pipe, of, z, 5.0, steps=4, scheduler=schedule)
    network = teleport_pipeline(pipe.unet, of, z.reshape(2, 8, 8), 5.0, steps=4, scheduler=schedule)
    np.testing.assert_array_equal(found.samples, network.samples)


def test_the_level_is_planned_with_the_denoiser_of_the_pipeline() -> None:
    """The same network as D(x; σ) of rows: for Gaussian data no jump misses anything, and the lowest level is best."""
    of, z = population(), seeds()
    schedule = scheduler("DDIM")
    denoiser = rows_denoiser(from_diffusers(Toy(of, schedule), schedule), of.shape)
    plan = plan_teleport(denoiser, of, LAST * z, steps=4, sigma_max=LAST, sigma_min=0.02, candidates=6)
    assert plan.jump_error.max() < 1e-4
    assert plan.sigma_start == pytest.approx(plan.sigmas[-1])
    assert plan.total_error[-1] < 0.5 * plan.total_error[0]


def test_classes_and_learned_variances() -> None:
    of = population(count=30, shape=(8, 8))
    z, schedule = seeds(2, 64), diffusers.DDIMScheduler()
    unet = tiny_unet(num_class_embeds=3)
    drawn = [teleport_pipeline(unet, of, z, 5.0, steps=3, scheduler=schedule, label=label).samples for label in (0, 2)]
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-4
    with pytest.raises(ValueError, match="label must be a class of the model, 0 to 2, got 3"):
        teleport_pipeline(unet, of, z, 5.0, steps=3, scheduler=schedule, label=3)
    learned = tiny_unet(out_channels=2)
    with pytest.raises(ValueError, match=re.escape("network must return the shape of its input (2, 1, 8, 8)")):
        teleport_pipeline(learned, of, z, 5.0, steps=3, scheduler=schedule)
    assert learned.training
    solver = diffusers.DPMSolverMultistepScheduler(variance_type="learned_range")
    assert teleport_pipeline(learned, of, z, 5.0, steps=3, scheduler=solver).samples.shape == (2, 64)


def test_wrong_input_names_the_argument() -> None:
    of, z = population(), seeds(2)
    schedule = scheduler("DDIM")
    network = Toy(of, schedule)

    def draw(noise: Any = z, start: float | None = 3.0, model: Any = network, **options: Any) -> None:
        teleport_pipeline(model, of, noise, start, **{"steps": 4, "scheduler": schedule} | options)

    with pytest.raises(
        ValueError, match=r"sigma_start must be at most 157\.4, the initial noise level of DDIM, got 158"
    ):
        draw(start=158.0)
    with pytest.raises(ValueError, match=r"sigma_start must leave 4 steps of DDIM below it, got 0\.005"):
        draw(start=0.005)
    with pytest.raises(ValueError, match="sigma_start must be finite and above 0, got 0"):
        draw(start=0.0)
    with pytest.raises(ValueError, match=r"noise must have shape \(B, 6\)"):
        draw(noise=z[:, :5])
    with pytest.raises(ValueError, match="steps must be an integer of at least 1, got 0"):
        draw(steps=0)
    with pytest.raises(ValueError, match="batch must be an integer of at least 1, got 0"):
        draw(batch=0)
    with pytest.raises(ValueError, match="label needs a class-conditional model, got 1"):
        draw(label=1)
    with pytest.raises(ValueError, match="scheduler must be given with a model that is not a pipeline"):
        draw(scheduler=None)
    with pytest.raises(ValueError, match="model must work on pixels, got SimpleNamespace"):
        draw(model=SimpleNamespace(vae=1, unet=network, scheduler=schedule))
    for name in ("PNDM", "DDPM", "HeunDiscrete", "EulerAncestralDiscrete"):
        with pytest.raises(ValueError, match=f"which can begin at any step; got {name}"):
            draw(scheduler=scheduler(name))
    with pytest.raises(ValueError, match="scheduler must have use_flow_sigmas = False, got True"):
        draw(scheduler=scheduler("DPMSolverMultistep", use_flow_sigmas=True, prediction_type="flow_prediction"))
    with pytest.raises(ValueError, match="without new noise; got algorithm_type 'sde-dpmsolver"):
        draw(scheduler=scheduler("DPMSolverMultistep", algorithm_type="sde-dpmsolver++"))
    for spacing in ("linspace", "trailing"):
        with pytest.raises(ValueError, match=f"timestep_spacing = leading for DDIM.* got '{spacing}'"):
            draw(scheduler=scheduler("DDIM", timestep_spacing=spacing))
