"""Teleport: exact where the denoiser is Gaussian; on an exact mixture its error, its predictor and its best noise level."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pytest

import kappaflow as kf
from kappaflow.lens.teleport import WAYS, TeleportPlan, jump, plan_teleport, teleport, teleport_study
from kappaflow.models.scores import DeltaScore, GaussianScore, MixtureScore
from kappaflow.report.lens.teleport import section
from kappaflow.sampling import heun, noise_schedule

FloatArray = npt.NDArray[np.float64]
TOP = 80.0


@functools.cache
def mixture() -> tuple[MixtureScore, kf.Population]:
    """K = 20 components in d = 64, covariances and means of one power law on nearly shared axes; and the moments of the whole."""
    d, count = 64, 20
    rng = np.random.default_rng(0)
    values = 8.0 * np.arange(1, d + 1) ** -1.5
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0]
    parts = []
    for _ in range(count):
        mean = 0.55 * axes @ (np.sqrt(values) * rng.standard_normal(d))
        own = np.linalg.qr(axes + 0.05 * rng.standard_normal((d, d)))[0]
        parts.append(kf.Population.from_covariance((own * (0.7 * values)) @ own.T, mean))
    score = MixtureScore([GaussianScore(part) for part in parts], rng.dirichlet(3 * np.ones(count)))
    means = np.stack([part.mean for part in parts])
    mean = score.weights @ means
    covariance = (score.weights[:, None] * (means - mean)).T @ (means - mean)
    for weight, part in zip(score.weights, parts, strict=True):
        vectors = part.eigenvectors
        assert vectors is not None
        covariance = covariance + weight * (vectors * part.eigenvalues) @ vectors.T
    return score, kf.Population.from_covariance(covariance, mean)


def seeds(seed: int, count: int, d: int = 64) -> FloatArray:
    return TOP * np.random.default_rng(seed).standard_normal((count, d))


@functools.cache
def reference() -> FloatArray:
    return heun(mixture()[0], seeds(1, 300), noise_schedule(200, TOP).tolist())


@functools.cache
def plan() -> TeleportPlan:
    score, population = mixture()
    return plan_teleport(score, population, seeds(2, 128), steps=8)


def typical(samples: FloatArray) -> float:
    return float(np.mean(np.sqrt(np.mean((samples - reference()) ** 2, axis=1))))


def test_jump_is_the_closed_form_and_keeps_what_is_outside_of_the_modes() -> None:
    rng = np.random.default_rng(3)
    of = kf.Population.from_samples(rng.standard_normal((6, 9)))  # five modes of nine dimensions
    noise, sigma = seeds(4, 3, 9), 2.0
    vectors = of.eigenvectors
    assert vectors is not None
    assert vectors.shape == (9, 5)
    covariance = (vectors * of.eigenvalues) @ vectors.T
    values, axes = np.linalg.eigh(covariance)
    gain = (axes * np.sqrt((np.maximum(values, 0) + sigma**2) / (np.maximum(values, 0) + TOP**2))) @ axes.T
    np.testing.assert_allclose(jump(of, noise, sigma), of.mean + (noise - of.mean) @ gain, rtol=1e-12)
    np.testing.assert_allclose(jump(of, noise, TOP), noise, rtol=1e-13)


@pytest.mark.parametrize("start", [40.0, 3.0, 0.5])
def test_gaussian_denoisers_are_teleported_without_error(start: float) -> None:
    """Whatever σ′, the state there is that of the exact flow, and the predicted error is rounding."""
    of = mixture()[1]
    noise = seeds(5, 4)
    found = teleport(GaussianScore(of), of, noise, start, steps=120)
    assert found.jump_error < 1e-13
    assert found.evaluations == 239
    exact = jump(of, noise, 0.0)
    finer = teleport(GaussianScore(of), of, noise, start, steps=240)
    errors = [np.abs(each.samples - exact).max() for each in (found, finer)]
    assert errors[1] < 1e-3
    assert errors[1] < 0.3 * errors[0]  # the solver's own error, of second order


def test_predicted_error_is_that_of_the_jump() -> None:
    """First order against the denoiser's own flow from σ_max, where the jump's error is small against the data."""
    score, population = mixture()
    found = plan()
    for level in (6.0, 8.5):
        place = int(np.argmin(np.abs(np.log(found.sigmas / level))))
        start = float(found.sigmas[place])
        noise = seeds(2, 128)
        fine = np.append(np.geomspace(TOP, start, 150), np.geomspace(start, 0.002, 150)[1:])
        states: dict[float, FloatArray] = {}
        truth = heun(score, noise, fine.tolist(), visit=states.__setitem__)
        jumped = heun(score, jump(population, noise, start), fine[149:].tolist())
        error = np.sqrt(np.mean((jumped - truth) ** 2, axis=1))
        assert abs(np.log(np.median(error) / found.jump_error[place])) < 0.5
        here = jump(population, noise, start) - states[start]
        assert np.sqrt(np.mean(here**2)) < 0.1 * found.denoiser_gap[place] * start


def test_few_steps_are_ten_times_better_and_the_chosen_level_is_near_the_best() -> None:
    score, population = mixture()
    noise, found = seeds(1, 300), plan()
    plain = heun(score, noise, noise_schedule(8, TOP).tolist())
    auto = teleport(score, population, noise, found.sigma_start, steps=8)
    assert auto.evaluations == 15
    errors = [np.mean((samples - reference()) ** 2, axis=1) for samples in (auto.samples, plain)]
    assert errors[0].mean() < 0.1 * errors[1].mean()
    assert np.median(errors[0]) < 0.05 * np.median(errors[1])
    scan = [
        typical(teleport(score, population, noise, start, steps=8).samples) for start in np.geomspace(40.0, 1.5, 12)
    ]
    assert typical(auto.samples) < 1.2 * min(scan)
    old_grid = teleport(score, population, noise, found.sigma_start, steps=8, regrid=False)
    assert old_grid.evaluations < 15
    assert typical(old_grid.samples) > 2 * typical(auto.samples)
    assert found.total_error[0] == pytest.approx(typical(plain), rel=0.2)


def test_correction_mends_a_jump_that_goes_too_far() -> None:
    """One evaluation more; the estimate without it says how much there is to mend."""
    score, population = mixture()
    noise, start = seeds(1, 300), 3.0
    before = teleport(score, population, noise, start, steps=12)
    after = teleport(score, population, noise, start, steps=12, correction=plan().power)
    assert after.evaluations == before.evaluations + 1 == 24
    assert typical(after.samples) < 0.85 * typical(before.samples)
    assert after.jump_error == pytest.approx(before.jump_error, rel=0.3)


def test_tolerance_takes_the_smallest_level_that_meets_it() -> None:
    score, population = mixture()
    found = plan_teleport(score, population, seeds(2, 32), steps=4, tolerance=1e-3)
    place = int(np.argmin(np.abs(found.sigmas - found.sigma_start)))
    assert found.jump_error[place] <= 1e-3 < found.jump_error[place + 1]
    assert np.all(np.diff(found.jump_error) >= 0)


def test_points_far_apart_are_met_without_error_by_any_way() -> None:
    """No logarithm of an error that is 0, and the page says that there is nothing to save."""
    points = np.array([[40.0, 0.0], [-40.0, 0.0], [0.0, 60.0]])
    study = teleport_study(
        DeltaScore(points), kf.Population.from_samples(points), name="three points", seeds=4, steps=[6, 8]
    )
    assert study.errors[WAYS[0]].max() == 0
    assert section(study).takeaways == (
        "With three points and 11 evaluations, the samples equal those of 96 steps up to rounding: there is no error to save.",
    )


def test_progress_counts_up_to_one() -> None:
    score, population = mixture()
    seen: list[float] = []
    plan_teleport(score, population, seeds(2, 2), steps=2, candidates=4, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)
    seen.clear()
    teleport(score, population, seeds(2, 2), 3.0, steps=5, progress=seen.append)
    np.testing.assert_allclose(seen, [0.2, 0.4, 0.6, 0.8, 1.0])


def test_wrong_input_names_the_argument() -> None:
    score, population = mixture()
    noise = seeds(2, 2)
    with pytest.raises(
        ValueError, match=r"sigma_start must be above sigma_min = 0.002 and at most sigma_max = 80.0, got 90"
    ):
        teleport(score, population, noise, 90.0)
    with pytest.raises(ValueError, match="sigma_start must be finite and above 0, got 0"):
        teleport(score, population, noise, 0.0)
    with pytest.raises(ValueError, match=r"sigma must be between 0 and sigma_max = 80\.0, got -1"):
        jump(population, noise, -1.0)
    with pytest.raises(TypeError, match=r"sigma must be one noise level, got array\(\[1\., 2\.\]\)"):
        jump(population, noise, np.array([1.0, 2.0]))
    with pytest.raises(TypeError, match="sigma must be one noise level, got 'high'"):
        jump(population, noise, "high")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"sigma must be between 0 and sigma_max = 80\.0, got nan"):
        jump(population, noise, np.nan)
    with pytest.raises(ValueError, match=r"x must hold at least one row, got shape \(0, 64\)"):
        teleport(score, population, noise[:0], 2.0)
    with pytest.raises(ValueError, match=r"x must hold at least one row, got shape \(0, 64\)"):
        plan_teleport(score, population, noise[:0])
    with pytest.raises(ValueError, match=r"noise must have shape"):
        teleport(score, population, noise[:, :3], 2.0)
    with pytest.raises(ValueError, match="correction must be finite and above 0"):
        teleport(score, population, noise, 2.0, correction=0.0)
    with pytest.raises(ValueError, match=r"denoiser must return the shape of its input \(2, 64\), got \(2, 3\)"):
        teleport(lambda x, sigma: x[:, :3], population, noise, 2.0)
    with pytest.raises(ValueError, match="denoiser must be finite, got NaN or infinity at noise level"):
        teleport(lambda x, sigma: x * np.nan, population, noise, 2.0)
    with pytest.raises(ValueError, match="tolerance must be at least"):
        plan_teleport(score, population, noise, steps=2, tolerance=1e-30)
    with pytest.raises(ValueError, match="sigma_max must be above half the data's root mean square"):
        plan_teleport(score, population, noise, sigma_max=0.1)
    with pytest.raises(ValueError, match="candidates must be an integer of at least 4, got 2"):
        plan_teleport(score, population, noise, candidates=2)
