"""The gate: models of the data pass, and generators that are none are caught."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smooth import SHAPE, smooth

torch = pytest.importorskip("torch")

from kappaflow import Population  # noqa: E402
from kappaflow.bands import default_bands  # noqa: E402
from kappaflow.models.config import NetworkConfig, build_denoiser  # noqa: E402
from kappaflow.models.denoisers import LinearDenoiser, MemorisingDenoiser  # noqa: E402
from kappaflow.models.layout import to_tensor  # noqa: E402
from kappaflow.validation.network.baselines import linear_samples  # noqa: E402
from kappaflow.validation.network.gate import judge, linear_loss  # noqa: E402
from kappaflow.validation.network.probes import LEVELS, Probe, examine  # noqa: E402
from kappaflow.validation.network.runs import Quality  # noqa: E402


def quality(denoiser: Any, own: np.ndarray, held_out: np.ndarray, seeds: int = 128, *, losses: bool = True) -> Quality:
    noise = 80 * np.random.default_rng(5).standard_normal((seeds, own.shape[1]))
    images = {"own": own[:64], "held_out": held_out}
    answers = examine(denoiser, Probe(SHAPE, {"seeds": noise}, images, steps=18))
    modes = Population.from_samples(np.concatenate([own, held_out]))
    return judge(
        own=own,
        probed=own[:64],
        held_out=held_out,
        samples=answers.samples["seeds"],
        linear_samples=linear_samples(own, noise),
        loss_own=answers.loss["own"] if losses else None,
        loss_held_out=answers.loss["held_out"] if losses else None,
        modes=modes,
        bands=default_bands(16, 4),
    )


OWN, HELD_OUT = smooth(80, 1), smooth(64, 2)


def test_linear_loss_is_what_the_linear_denoiser_loses() -> None:
    population = Population.from_samples(OWN)
    denoiser = LinearDenoiser.from_images(to_tensor(OWN, SHAPE, torch.float64))
    rng = np.random.default_rng(0)
    for level, expected in zip(LEVELS, linear_loss(population, HELD_OUT), strict=True):
        clean = np.repeat(HELD_OUT, 200, axis=0)
        noised = to_tensor(clean + level * rng.standard_normal(clean.shape), SHAPE, torch.float64)
        answer = denoiser(noised, torch.full((len(clean),), level, dtype=torch.float64)).numpy().reshape(len(clean), -1)
        assert np.mean((answer - clean) ** 2) == pytest.approx(expected, rel=0.02)


def test_models_of_the_data_pass() -> None:
    """The linear denoiser of the set itself, and the one that memorises it."""
    exact = to_tensor(OWN, SHAPE, torch.float64)
    for model in (LinearDenoiser.from_images(exact), MemorisingDenoiser(exact)):
        found = quality(model, OWN, HELD_OUT)
        assert found.passed, found.reasons
        assert found.reasons == ()


def test_a_constant_generator_is_caught() -> None:
    mean = to_tensor(OWN, SHAPE, torch.float64).mean(dim=0)
    found = quality(lambda x, sigma: mean.expand_as(x), OWN, HELD_OUT)
    assert not found.passed
    assert any("generated variance 0.00 times the data's" in reason for reason in found.reasons), found.reasons
    assert any("denoising loss" in reason for reason in found.reasons)


def test_a_network_that_is_known_by_its_samples_is_judged_by_them() -> None:
    exact = to_tensor(OWN, SHAPE, torch.float64)
    whole, found = (quality(LinearDenoiser.from_images(exact), OWN, HELD_OUT, losses=known) for known in (True, False))
    assert found.passed
    assert np.isnan([found.own, found.held_out]).all()
    np.testing.assert_array_equal(found.own_linear, whole.own_linear)
    assert (found.excess, found.distance) == (whole.excess, whole.distance)
    mean = exact.mean(dim=0)
    constant = quality(lambda x, sigma: mean.expand_as(x), OWN, HELD_OUT, losses=False)
    (reason,) = constant.reasons
    assert "generated variance 0.00 times the data's" in reason


@pytest.mark.parametrize("arch", ["mlp", "dit", "unet"])
def test_an_untrained_network_is_caught(arch: str) -> None:
    if arch != "mlp":
        pytest.importorskip("diffusers")
    scale = float(np.sqrt(np.mean(OWN**2)))
    found = quality(build_denoiser(NetworkConfig(arch, (1, *SHAPE), scale), 0).eval(), OWN, HELD_OUT, 64)
    assert not found.passed
    assert any("denoising loss" in reason for reason in found.reasons)
    assert any("samples" in reason or "generated" in reason for reason in found.reasons), found.reasons


@pytest.mark.parametrize("varying", [False, True])
def test_a_checkerboard_generator_is_caught(varying: bool) -> None:
    """A good denoiser plus a pattern that no image has: the same in every image, or of a strength that varies."""
    exact = LinearDenoiser.from_images(to_tensor(OWN, SHAPE, torch.float64))
    board = torch.tensor([[(-1.0) ** (i + j) for j in range(4)] for i in range(4)], dtype=torch.float64)

    def denoiser(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        level = sigma.reshape(-1, 1, 1, 1)
        strength = (x * board).mean(dim=(1, 2, 3), keepdim=True) / (1 + level**2).sqrt() * 0.9 if varying else 0.5
        return exact(x, sigma) + strength * board

    found = quality(denoiser, OWN, HELD_OUT)
    assert not found.passed
    if varying:
        assert any("generated where the data have little" in reason for reason in found.reasons), found.reasons


def test_variance_outside_of_all_modes_is_excess() -> None:
    """Fewer images than dimensions: what is generated outside of their span is in no mode."""
    few, others = OWN[:6], HELD_OUT[:5]
    exact = LinearDenoiser.from_images(to_tensor(few, SHAPE, torch.float64))
    span = Population.from_samples(np.concatenate([few, others]))
    away = np.linalg.svd(span.eigenvectors.T)[2][-1].reshape(1, *SHAPE)
    images = {"own": few, "held_out": others}
    noise = 80 * np.random.default_rng(5).standard_normal((128, 16))

    def noisy(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        along = (x * torch.from_numpy(away)).sum(dim=(1, 2, 3), keepdim=True)
        return exact(x, sigma) + along / (1 + sigma.reshape(-1, 1, 1, 1) ** 2) * torch.from_numpy(away)

    excess = []
    for model in (exact, noisy):
        answers = examine(model, Probe(SHAPE, {"seeds": noise}, images, steps=18))
        found = judge(
            own=few,
            probed=few,
            held_out=others,
            samples=answers.samples["seeds"],
            linear_samples=linear_samples(few, noise),
            loss_own=answers.loss["own"],
            loss_held_out=answers.loss["held_out"],
            modes=span,
            bands=default_bands(10, 2),
        )
        excess.append(found.excess)
    assert excess[0] < 0.05
    assert excess[1] > excess[0] + 0.1
