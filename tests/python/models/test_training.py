"""Training: the sanity chain, resumption bit by bit, checkpoints that survive what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kappaflow.models.backbones import BACKBONES, build_backbone  # noqa: E402
from kappaflow.models.checkpoint import ema_exponent, load_network, network_facts, save_network  # noqa: E402
from kappaflow.models.config import NetworkConfig, TrainingConfig, build_denoiser  # noqa: E402
from kappaflow.models.denoisers import LinearDenoiser  # noqa: E402
from kappaflow.models.edm import EDMDenoiser, edm_loss, training_noise  # noqa: E402
from kappaflow.models.sampling import sample  # noqa: E402
from kappaflow.models.training import train  # noqa: E402
from kappaflow.sampling import initial_noise  # noqa: E402
from kappaflow.validation.network.baselines import linear_samples  # noqa: E402

SHAPES = {"unet": (1, 8, 8), "dit": (3, 6, 6), "mlp": (5,), "linear": (1, 4, 4), "linear-conv": (2, 5, 4)}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def pictures(count: int, shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, *shape))).float()


def weights(denoiser: EDMDenoiser) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in denoiser.named_parameters()}


# ---------------------------------------------------------------- preconditioning and loss
def test_preconditioning_is_that_of_edm() -> None:
    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(2.0, dtype=torch.float64))

        def forward(self, x: torch.Tensor, c_noise: torch.Tensor) -> torch.Tensor:
            return self.scale * x + c_noise[:, None]

    x, sigma, d = pictures(3, (4,)).double(), torch.tensor([0.01, 0.5, 80.0], dtype=torch.float64), 0.5
    found = EDMDenoiser(Network(), d)(x, sigma)
    for row in range(3):
        s = float(sigma[row])
        total = s * s + d * d
        inner = 2 * x[row] / total**0.5 + np.log(s) / 4
        torch.testing.assert_close(found[row], d * d / total * x[row] + s * d / total**0.5 * inner)


def test_loss_is_the_mean_square_error_of_the_network_itself() -> None:
    """λ c_out² = 1: the weighted loss of D is the plain one of F against its target."""
    denoiser = build_denoiser(NetworkConfig("mlp", (5,), 0.7), 3)
    clean, noise = pictures(8, (5,), 1), pictures(8, (5,), 2)
    sigma = training_noise(8, torch.Generator().manual_seed(0))
    level = sigma[:, None]
    total = level**2 + 0.7**2
    noised = clean + level * noise
    target = (clean - 0.7**2 / total * noised) / (level * 0.7 / total.sqrt())
    answer = denoiser.network(noised / total.sqrt(), sigma.log() / 4)
    expected = ((answer - target) ** 2).mean()
    torch.testing.assert_close(edm_loss(denoiser, clean, noise, sigma, sigma_data=0.7), expected, rtol=1e-4, atol=1e-5)


def test_noise_levels_are_log_normal() -> None:
    levels = training_noise(20_000, torch.Generator().manual_seed(1), mean=-0.4, std=1.6).log()
    assert levels.mean().item() == pytest.approx(-0.4, abs=0.05)
    assert levels.std().item() == pytest.approx(1.6, abs=0.05)


# ---------------------------------------------------------------- architectures
@pytest.mark.parametrize("arch", list(BACKBONES))
def test_every_architecture_answers_in_shape_and_depends_on_noise(arch: str) -> None:
    if arch in ("unet", "dit"):
        pytest.importorskip("diffusers")
    shape = SHAPES[arch]
    denoiser = build_denoiser(NetworkConfig(arch, shape, 0.5), 0).double()
    with torch.no_grad():
        for parameter in denoiser.parameters():  # outputs start at zero
            parameter.add_(0.02 * torch.from_numpy(np.random.default_rng(0).standard_normal(parameter.shape)))
    x = pictures(2, shape).double()
    low, high = (denoiser.network(x, torch.full((2,), c, dtype=torch.float64)) for c in (-0.8, 0.6))
    assert low.shape == x.shape
    assert torch.isfinite(low).all()
    assert not torch.allclose(low, high)
    alone = denoiser.network(x[:1], torch.full((1,), -0.8, dtype=torch.float64))
    torch.testing.assert_close(low[:1], alone, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("arch", ["linear", "linear-conv"])
def test_linear_networks_are_linear(arch: str) -> None:
    network = build_backbone(arch, SHAPES[arch]).double()
    for parameter in network.parameters():
        parameter.data = torch.from_numpy(np.random.default_rng(0).standard_normal(parameter.shape))
    x, y = pictures(4, SHAPES[arch]).double(), pictures(4, SHAPES[arch], 1).double()
    c = torch.tensor([-1.3, -0.2, 0.4, 1.0], dtype=torch.float64)
    zero = network(torch.zeros_like(x), c)
    torch.testing.assert_close(
        network(2 * x - 3 * y, c) - zero, 2 * (network(x, c) - zero) - 3 * (network(y, c) - zero)
    )


def test_same_seed_same_weights_and_the_global_generator_stays() -> None:
    before = torch.get_rng_state()
    one, two, other = (weights(build_denoiser(NetworkConfig("mlp", (5,), 0.5), seed)) for seed in (0, 0, 1))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "shape", "options", "words"),
    [
        ("resnet", (1, 8, 8), {}, "arch must be one of unet, dit, mlp, linear, linear-conv; got 'resnet'"),
        ("unet", (64,), {}, r"arch unet needs images .* got data of shape \(64,\)"),
        ("mlp", (5,), {"heads": 3}, "options of mlp are width, depth; got 'heads'"),
        ("mlp", (5,), {"width": 0}, "width of mlp must be a whole number of at least 1, got 0"),
        ("unet", (1, 8, 8), {"channels": (12,)}, "channels of unet must be multiples of its 8 groups"),
        ("unet", (1, 8, 8), {"channels": (0.5,)}, "channels of unet must be whole numbers"),
        ("dit", (1, 8, 8), {"heads": 3}, "hidden of dit must be a multiple of its 3 heads, got 64"),
        ("linear", (5,), {"knots": 1}, "knots of linear must be at least 2, got 1"),
        ("linear-conv", (1, 8, 8), {"kernel": 4}, "kernel of linear-conv must be odd, got 4"),
    ],
)
def test_impossible_networks_are_refused(
    name: str, shape: tuple[int, ...], options: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        build_backbone(name, shape, options)


# ---------------------------------------------------------------- the sanity chain
def test_linear_network_trained_to_convergence_is_the_closed_form() -> None:
    """Gradient descent on noised samples finds the linear denoiser of the training set, and its sampler the closed-form map."""
    scale = np.array([1.0, 0.5, 0.25])
    rows = np.random.default_rng(0).standard_normal((40, 3)) * scale + np.array([0.3, -0.2, 0.1])
    config = TrainingConfig(steps=4000, batch=256, learning_rate=1e-2, noise_mean=0.0, noise_std=2.0, ema=0.1)
    denoiser, _ = train(NetworkConfig("linear", (3,), 0.7), config, torch.from_numpy(rows).float())
    exact = LinearDenoiser.from_images(torch.from_numpy(rows))
    clean = torch.from_numpy(np.random.default_rng(1).standard_normal((64, 3)) * scale)
    for level in (0.1, 0.3, 1.0, 3.0, 10.0):
        sigma = torch.full((64,), level, dtype=torch.float64)
        noised = clean + level * torch.from_numpy(np.random.default_rng(2).standard_normal((64, 3)))
        apart = (denoiser(noised, sigma) - exact(noised, sigma)).pow(2).mean()
        lost = (exact(noised, sigma) - clean).pow(2).mean()
        assert apart < 0.01 * lost, level
    noise = initial_noise(range(64), 3, 80.0)
    drawn, closed = sample(denoiser, torch.from_numpy(noise), steps=35).detach().numpy(), linear_samples(rows, noise)
    assert np.mean((drawn - closed) ** 2) < 0.01 * closed.var(axis=0).mean()


def test_training_lowers_the_loss_of_every_kind_of_network() -> None:
    images = 0.4 * pictures(50, (1, 4, 4)).cumsum(2).cumsum(3)  # neighbours alike, as in images
    noise, sigma = pictures(50, (1, 4, 4), 9), training_noise(50, torch.Generator().manual_seed(3))
    for arch, options in (("mlp", {"width": 32}), ("linear", {}), ("linear-conv", {"kernel": 3})):
        losses = []
        for steps in (1, 300):
            config = NetworkConfig(arch, (1, 4, 4), 1.0, options)
            denoiser, _ = train(config, TrainingConfig(steps=steps, learning_rate=5e-3), images)
            with torch.no_grad():
                losses.append(float(edm_loss(denoiser, images, noise, sigma, sigma_data=1.0)))
        assert losses[1] < 0.9 * losses[0], arch


# ---------------------------------------------------------------- streams, averages, resumption
NETWORK, SHORT = NetworkConfig("mlp", (6,), 1.0, {"width": 16, "depth": 1}), TrainingConfig(steps=60, batch=8)


def test_runs_differ_by_their_seeds_and_by_their_images_alone() -> None:
    images = pictures(20, (6,))
    plain = weights(train(NETWORK, SHORT, images)[0])
    for other in (
        train(NETWORK, TrainingConfig(steps=60, batch=8, init_seed=1), images)[0],
        train(NETWORK, TrainingConfig(steps=60, batch=8, stream_seed=1), images)[0],
        train(NETWORK, SHORT, pictures(20, (6,), 1))[0],
    ):
        assert any(not torch.equal(plain[name], value) for name, value in weights(other).items())
    again = weights(train(NETWORK, SHORT, images)[0])
    assert all(torch.equal(plain[name], again[name]) for name in plain)


def test_average_of_weights() -> None:
    """β = (1 − 1/t)^(γ+1) makes the average Σ t^γ w_t / Σ t^γ nearly; its relative width is the requested one."""
    gamma = ema_exponent(0.1)
    assert (gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)) == pytest.approx(0.01)
    images = pictures(20, (6,))
    averaged, last = (train(NETWORK, TrainingConfig(steps=60, batch=8, ema=width), images)[0] for width in (0.2, 0.0))
    assert any(not torch.equal(weights(averaged)[name], value) for name, value in weights(last).items())


@pytest.mark.parametrize("stop", [1, 30, 59])
def test_stopped_run_ends_with_the_same_weights(tmp_path: Path, stop: int) -> None:
    images = pictures(20, (6,))
    whole = weights(train(NETWORK, SHORT, images)[0])
    path = tmp_path / "state.safetensors"
    steps_seen: list[int] = []

    def interrupt(step: int) -> None:
        steps_seen.append(step)
        if step >= stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(NETWORK, SHORT, images, checkpoint=path, progress=interrupt)
    assert path.exists()
    seen: list[int] = []
    resumed, _ = train(NETWORK, SHORT, images, checkpoint=path, progress=seen.append)
    assert all(torch.equal(whole[name], value) for name, value in weights(resumed).items())
    assert not seen or min(seen) > steps_seen[-1]


def test_killed_process_resumes_bit_by_bit(tmp_path: Path) -> None:
    """SIGKILL in the middle: training resumes from the last checkpoint, with the weights of a run that was never stopped."""
    code = f"""
import os, signal, torch, numpy as np
torch.set_num_threads(1)
from kappaflow.models.config import NetworkConfig, TrainingConfig
from kappaflow.models.training import train
images = torch.from_numpy(np.random.default_rng(0).standard_normal((20, 6))).float()
def kill(step):
    if step == 40 and os.path.exists({str(tmp_path / "s.safetensors")!r}):
        os.kill(os.getpid(), signal.SIGKILL)
train(NetworkConfig("mlp", (6,), 1.0, {{"width": 16, "depth": 1}}), TrainingConfig(steps=60, batch=8), images,
      checkpoint={str(tmp_path / "s.safetensors")!r}, save_every=0.0, progress=kill)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    images = pictures(20, (6,))
    resumed = weights(train(NETWORK, SHORT, images, checkpoint=tmp_path / "s.safetensors")[0])
    whole = weights(train(NETWORK, SHORT, images)[0])
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    train(NETWORK, SHORT, pictures(20, (6,)), checkpoint=path)
    with pytest.raises(ValueError, match=r"is of another run \(different: images\)"):
        train(NETWORK, SHORT, pictures(20, (6,), 1), checkpoint=path)
    with pytest.raises(ValueError, match=r"different: training\)"):
        train(NETWORK, TrainingConfig(steps=61, batch=8), pictures(20, (6,)), checkpoint=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="path must name a training checkpoint"):
        train(NETWORK, SHORT, pictures(20, (6,)), checkpoint=path)


def test_full_disk_leaves_the_earlier_checkpoint(tmp_path: Path) -> None:
    """A limit on the size of files simulates a full disk: writing fails midway at the same point."""
    code = f"""
import resource, torch, numpy as np
torch.set_num_threads(1)
from kappaflow.models.config import NetworkConfig, TrainingConfig
from kappaflow.models.training import train
images = torch.from_numpy(np.random.default_rng(0).standard_normal((20, 6))).float()
def fill(step):
    if step == 30:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    train(NetworkConfig("mlp", (6,), 1.0, {{"width": 16, "depth": 1}}), TrainingConfig(steps=60, batch=8), images,
          checkpoint={str(tmp_path / "s.safetensors")!r}, save_every=0.0, progress=fill)
except OSError as error:
    print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "cannot be written" in done.stdout
    assert "the earlier one is intact" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["s.safetensors"]
    resumed = weights(train(NETWORK, SHORT, pictures(20, (6,)), checkpoint=tmp_path / "s.safetensors")[0])
    whole = weights(train(NETWORK, SHORT, pictures(20, (6,)))[0])
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_divergence_is_reported_and_never_saved(tmp_path: Path) -> None:
    wild = TrainingConfig(steps=60, batch=8, learning_rate=1e30, warmup=0)
    with pytest.raises(FloatingPointError, match=r"training diverged .* take a smaller learning rate"):
        train(NETWORK, wild, pictures(20, (6,)), checkpoint=tmp_path / "state.safetensors")
    assert not list(tmp_path.iterdir())


def test_network_on_disk(tmp_path: Path) -> None:
    denoiser, _ = train(NETWORK, SHORT, pictures(20, (6,)))
    facts = {
        "network": {"arch": "mlp", "shape": [6], "sigma_data": 1.0, "options": {"width": 16, "depth": 1}},
        "run": "a",
    }
    save_network(tmp_path / "model.safetensors", denoiser, facts)
    opened, found = load_network(tmp_path / "model.safetensors")
    assert found == facts == network_facts(tmp_path / "model.safetensors")
    assert all(torch.equal(weights(denoiser)[name], value) for name, value in weights(opened).items())
    assert network_facts(tmp_path / "none.safetensors") is None
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    assert network_facts(tmp_path / "other.safetensors") is None
    with pytest.raises(FileNotFoundError, match=r"path must name a network, got .*, which does not exist"):
        load_network(tmp_path / "none.safetensors")


def test_schedules_of_the_learning_rate() -> None:
    cosine = TrainingConfig(steps=100, learning_rate=1.0, warmup=9)
    assert cosine.rate(0) == pytest.approx(0.1)
    assert cosine.rate(50) == pytest.approx(0.5)
    assert 0 < cosine.rate(99) < 1e-3
    assert TrainingConfig(steps=100, learning_rate=1.0, warmup=0, schedule="constant").rate(77) == 1.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps must be an integer of at least 1, got 0"),
        ({"ema": 0.5}, "ema must be a share of the steps between 0 .* and 0.25, got 0.5"),
        ({"schedule": "linear"}, "schedule must be one of 'cosine', 'constant', got 'linear'"),
        ({"learning_rate": 0.0}, "learning_rate must be finite and above 0, got 0.0"),
        ({"noise_std": -1.0}, "noise_std must be finite and above 0"),
    ],
)
def test_bad_settings(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TrainingConfig(**options)


def test_images_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"images must be \(n, 6\), got \(20, 5\)"):
        train(NETWORK, SHORT, pictures(20, (5,)))


def test_options_of_speed_train_as_well() -> None:
    images = pictures(20, (6,))
    plain = train(NETWORK, SHORT, images)[0]
    reduced = train(NETWORK, TrainingConfig(steps=60, batch=8, amp=True), images)[0]
    apart = max(float((weights(plain)[name] - value).abs().max()) for name, value in weights(reduced).items())
    assert 0 < apart < 0.2  # bfloat16 rounds, and trains
