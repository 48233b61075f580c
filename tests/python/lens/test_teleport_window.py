"""The page on teleport: what it says is in its study, its study is what the functions give; and a trained network is teleported."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import kappaflow as kf
from kappaflow.lens.teleport import jump, plan_teleport, teleport, typical_error
from kappaflow.lens.teleport.study import WAYS, TeleportStudy, teleport_study
from kappaflow.models.scores import GaussianScore, MixtureScore
from kappaflow.report.document import Table
from kappaflow.report.lens.teleport import section
from kappaflow.report.words import number
from kappaflow.sampling import heun, noise_schedule

FloatArray = npt.NDArray[np.float64]
PAGE = Path(__file__).parents[3] / "docs/lens/teleport.md"


def data(name: str) -> FloatArray:
    rng = np.random.default_rng(3)
    if name == "digits":
        return np.asarray(load_digits().images / 8 - 1)
    if name == "colour":
        x = 0.1 * rng.standard_normal((300, 4, 4, 3)).cumsum(axis=1).cumsum(axis=2)
        x[::2] *= 2
        x[::3] += 0.5
        return x
    x = rng.standard_normal((24, 30)) / np.arange(1, 31)  # fewer samples than dimensions
    x[::2, 0] += 2
    return x


COMPONENTS = {"digits": 10, "colour": 3, "vector": 2}


@functools.cache
def case(name: str) -> tuple[MixtureScore, kf.Population]:
    x = data(name)
    return MixtureScore.fit(x, COMPONENTS[name]), kf.Population.from_samples(x)


@functools.cache
def study(name: str) -> TeleportStudy:
    score, population = case(name)
    return teleport_study(score, population, name=f"a mixture of {COMPONENTS[name]}", seeds=24, steps=(18, 6, 12))


# ---------------------------------------------------------------- study
def test_study_is_what_the_functions_give() -> None:
    """Chosen on the first seeds, measured on the others, against many steps; in any order of the steps."""
    score, population = case("digits")
    found = study("digits")
    assert [plan.steps for plan in found.plans] == [6, 12, 18]
    assert found.shape == (8, 8)
    assert (found.seeds, found.calibration, found.reference_steps) == (24, 24, 144)
    assert found.eigenvalue == population.eigenvalues[0]
    z = 80 * np.random.default_rng(0).standard_normal((48, 64))
    truth = heun(score, z, noise_schedule(144, 80.0).tolist())
    for place, plan in enumerate(found.plans):
        again = plan_teleport(score, population, z[:24], steps=plan.steps, reference=truth[:24])
        assert again.sigma_start == plan.sigma_start
        assert again.reference_steps == 0  # given
        plain = heun(score, z[24:], noise_schedule(plan.steps, 80.0).tolist())
        samples = {WAYS[0]: (plain, 2 * plan.steps - 1)}
        ways: dict[str, dict[str, Any]] = {WAYS[1]: {"regrid": False}, WAYS[2]: {}, WAYS[3]: {"correction": plan.power}}
        for way, options in ways.items():
            got = teleport(score, population, z[24:], plan.sigma_start, steps=plan.steps, **options)
            samples[way] = (got.samples, got.evaluations)
        for way, (drawn, evaluations) in samples.items():
            expected = np.mean(np.sqrt(np.mean((drawn - truth[24:]) ** 2, axis=1)))
            assert found.errors[way][place] == pytest.approx(float(expected), rel=1e-12)
            assert found.evaluations[way][place] == evaluations
            if place == 0:
                np.testing.assert_allclose(found.shown[way], drawn[:8], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.shown["many steps"], truth[24:32], rtol=1e-12, atol=1e-12)


def test_evaluations_are_those_that_the_denoiser_counts() -> None:
    """For every way and for the plan."""
    score, population = case("vector")
    asked = [0]

    def counted(x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        asked[0] += 1
        return score(x, sigma)

    z = 80 * np.random.default_rng(1).standard_normal((4, 30))
    for options in ({}, {"regrid": False}, {"correction": 2.0}, {"regrid": False, "correction": 1.0}):
        asked[0] = 0
        assert teleport(counted, population, z, 2.0, steps=7, **options).evaluations == asked[0]  # type: ignore[arg-type]
    for reference in (None, z):
        asked[0] = 0
        plan = plan_teleport(counted, population, z, steps=5, candidates=6, reference=reference)
        assert plan.evaluations == asked[0]
        assert plan.reference_steps == (96 if reference is None else 0)


@pytest.mark.parametrize("name", COMPONENTS)
def test_teleport_pays_on_every_population(name: str) -> None:
    found = study(name)
    plain, jumped = found.errors[WAYS[0]], found.errors[WAYS[2]]
    assert np.all(jumped < 0.6 * plain)
    assert jumped[0] < 0.25 * plain[0]
    assert np.all(found.errors[WAYS[1]][:2] > 1.5 * jumped[:2])  # what laying out the steps anew brings


def test_progress_and_wrong_input() -> None:
    score, population = case("vector")
    seen: list[tuple[str, float]] = []
    teleport_study(score, population, name="m", steps=(2, 3), seeds=2, progress=lambda *told: seen.append(told))
    assert [step for step, _ in seen] == ["many steps, to measure against", "2 steps", "3 steps"]
    assert [fraction for _, fraction in seen] == sorted(fraction for _, fraction in seen)
    with pytest.raises(ValueError, match="steps must hold at least one number of steps, got none"):
        teleport_study(score, population, name="m", steps=())
    with pytest.raises(ValueError, match="steps must be an integer of at least 2, got 1"):
        teleport_study(score, population, name="m", steps=(1,))
    with pytest.raises(ValueError, match="seeds must be an integer of at least 2, got 1"):
        teleport_study(score, population, name="m", seeds=1)
    with pytest.raises(ValueError, match="sigma_max must be finite and above 0, got -1"):
        teleport_study(score, population, name="m", sigma_max=-1)


@pytest.mark.parametrize(("weights", "power"), [((0.2, 0.8), 2.0), ((0.5, 0.5), 3.0)])
def test_power_of_the_correction_far_above_the_data(weights: tuple[float, float], power: float) -> None:
    """ΔD is the first cumulant's beyond the covariance: the third, or the fourth where data are symmetric about their mean."""
    shift, own = np.array([1.0, 0.5]), np.diag([0.3, 0.1])
    score = MixtureScore([GaussianScore(kf.Population.from_covariance(own, m * shift)) for m in (1, -1)], weights)
    mean = (weights[0] - weights[1]) * shift
    population = kf.Population.from_covariance(own + np.outer(shift, shift) - np.outer(mean, mean), mean)
    z = 1e3 * np.random.default_rng(7).standard_normal((200, 2))
    gaps = []
    for level in (40.0, 80.0):
        x = jump(population, z, level, sigma_max=1e3)
        gaps.append(np.sqrt(np.mean((score(x, level) - GaussianScore(population)(x, level)) ** 2)))
    assert np.log2(gaps[0] / gaps[1]) == pytest.approx(power, abs=0.05)


# ---------------------------------------------------------------- window
def table(found: TeleportStudy, name: str) -> Table:
    (one,) = [table for table in section(found).tables if table.name == name]
    return one


def numbers(sentence: str) -> list[float]:
    return [float(each) for each in re.findall(r"\d+(?:\.\d+)?", sentence)]


@pytest.mark.parametrize("name", COMPONENTS)
def test_findings_are_of_the_study(name: str) -> None:
    found = study(name)
    plain, jumped, corrected = (found.errors[way] for way in (WAYS[0], WAYS[2], WAYS[3]))
    pays, levels, saves, mends = section(found).takeaways
    said = numbers(pays)  # components, evaluations, σ_max, σ′, steps, ratio, steps, errors
    expected = [COMPONENTS[name], 11, 80, found.plans[0].sigma_start, 6, plain[0] / jumped[0], 6, jumped[0], plain[0]]
    np.testing.assert_allclose(said, expected, rtol=6e-3)
    assert "times less error" in pays
    root = float(np.sqrt(found.eigenvalue))
    starts = [plan.sigma_start for plan in found.plans]
    said = numbers(levels.replace("λ₁", ""))
    expected = [starts[0], 6, starts[1], 12, starts[2], 18, min(starts) / root, max(starts) / root, root]
    np.testing.assert_allclose(said, expected, rtol=6e-2)
    fewest = int(np.flatnonzero(jumped <= plain[-1])[0])
    assert numbers(saves) == [found.evaluations[WAYS[2]][fewest], 35]
    helped = [plan.steps for plan, a, b in zip(found.plans, corrected, jumped, strict=True) if a < 0.97 * b]
    assert numbers(mends) == helped
    assert helped or "none of these numbers" in mends
    assert helped or name != "colour"


def test_a_denoiser_of_other_data_is_told() -> None:
    """Its Gaussian has ten times the variance: every jump is wrong, the best is none."""
    _, population = case("vector")
    other = kf.Population.from_covariance(10 * np.diag(1 / np.arange(1.0, 31.0)), np.full(30, 3.0))
    found = teleport_study(GaussianScore(other), population, name="another", steps=(40, 20), seeds=4)
    first, *rest = section(found).takeaways
    assert "no jump pays" in first
    assert "none of these numbers" in rest[-1]
    assert not any("at least as accurate" in sentence for sentence in rest)


def test_a_gaussian_denoiser_is_drawn_too() -> None:
    """The jump is exact, whatever its level: errors of zero on a logarithmic axis, and the lowest level is best."""
    _, population = case("vector")
    found = teleport_study(GaussianScore(population), population, name="Gaussian", steps=(4,), seeds=4)
    assert found.plans[0].jump_error.max() < 1e-12
    assert found.plans[0].sigma_start == pytest.approx(found.plans[0].sigmas[-1])
    for picture in section(found).pictures:
        picture.draw().draw_without_rendering()


def lines(figure: Figure) -> dict[str, Any]:
    return {line.get_gid(): line for axes in figure.axes for line in axes.get_lines() if line.get_gid()}


@pytest.mark.parametrize("name", COMPONENTS)
def test_pictures_and_tables_hold_the_study(name: str) -> None:
    found = study(name)
    shown = section(found)
    assert [picture.name for picture in shown.pictures] == ["teleport_cost", "teleport_level", "teleport_samples"]
    assert shown.pictures[2].raster == (name != "vector")
    cost, level, samples = (picture.draw() for picture in shown.pictures)
    for way in WAYS:
        drawn = lines(cost)[f"way-{way}"]
        np.testing.assert_array_equal(drawn.get_xdata(), found.evaluations[way])
        np.testing.assert_array_equal(drawn.get_ydata(), found.errors[way])
        columns = table(found, "teleport_cost").columns
        np.testing.assert_array_equal(columns[f"{way}, error"], found.errors[way])
        np.testing.assert_array_equal(columns[f"{way}, evaluations"], found.evaluations[way])
        for place in (0, -1):
            assert number(float(found.errors[way][place]), 2) in shown.pictures[0].alternative
    columns = table(found, "teleport_level").columns
    for plan in found.plans:
        drawn = lines(level)[f"steps-{plan.steps}"]
        np.testing.assert_array_equal(drawn.get_ydata(), plan.total_error)
        np.testing.assert_array_equal(columns[f"total_error_{plan.steps}_steps"], plan.total_error)
        assert number(plan.sigma_start) in shown.pictures[1].alternative
    np.testing.assert_array_equal(columns["jump_error"], found.plans[0].jump_error)
    assert len(samples.axes) == 8 * (len(WAYS) + 1)
    if name != "vector":
        image = samples.axes[8].get_images()[0].get_array()
        assert image is not None
        assert image.shape[:2] == found.shape[:2]
    for figure in (cost, level, samples):
        figure.draw_without_rendering()
    for one in shown.tables:
        assert len({len(values) for values in one.columns.values()}) == 1


# ---------------------------------------------------------------- a network
@functools.cache
def network() -> tuple[Any, kf.Population]:
    """The MLP after 400 steps on digits, as a denoiser of rows."""
    torch = pytest.importorskip("torch")
    from kappaflow.models.config import NetworkConfig, TrainingConfig
    from kappaflow.models.layout import rows_denoiser
    from kappaflow.models.training import train

    torch.set_num_threads(1)
    x = data("digits").reshape(-1, 64)
    config = NetworkConfig("mlp", (64,), float(x.std()))
    trained, _ = train(config, TrainingConfig(steps=400), torch.from_numpy(x).float())
    return rows_denoiser(trained, (64,)), kf.Population.from_samples(x, shape=(8, 8))


def test_a_trained_network_is_teleported() -> None:
    """On seeds that did not choose σ′: three times less error than from σ_max at the same number of evaluations."""
    denoiser, population = network()
    z = 80 * np.random.default_rng(5).standard_normal((48, 64))
    truth = heun(denoiser, z, noise_schedule(96, 80.0).tolist())
    plain = heun(denoiser, z[16:], noise_schedule(8, 80.0).tolist())
    plan = plan_teleport(denoiser, population, z[:16], steps=8, reference=truth[:16])
    found = teleport(denoiser, population, z[16:], plan.sigma_start, steps=8)
    assert found.evaluations == 15
    errors = [typical_error(samples - truth[16:]) for samples in (found.samples, plain)]
    assert errors[0] < 0.35 * errors[1]
    assert 0.4 < plan.sigma_start < 12
    # the network is no Gaussian's denoiser: without the steps below, the jump alone is far worse
    alone = typical_error(teleport(denoiser, population, z[16:], 0.3, steps=8).samples - truth[16:])
    assert errors[0] < 0.7 * alone


def test_a_network_of_images_gets_them_in_its_order() -> None:
    """Rows in the order (H, W, C), tensors with the channels first, one noise level for each."""
    torch = pytest.importorskip("torch")
    from kappaflow.models.layout import rows_denoiser

    seen = []

    def shifts(x: Any, sigma: Any) -> Any:
        seen.append((x.shape, x.dtype, sigma))
        return x * torch.arange(1.0, 4.0, dtype=x.dtype)[:, None, None]

    rows = np.random.default_rng(6).standard_normal((2, 24))
    found = rows_denoiser(shifts, (2, 4, 3))(rows, 0.5)
    np.testing.assert_allclose(found.reshape(2, 2, 4, 3), rows.reshape(2, 2, 4, 3) * np.arange(1, 4), rtol=1e-14)
    assert seen[0][:2] == ((2, 3, 2, 4), torch.float64)
    assert seen[0][2].tolist() == [0.5, 0.5]
    rows_denoiser(shifts, (2, 4, 3), dtype=torch.float32)(rows, np.array([0.5, 2.0]))
    assert seen[1][1] == torch.float32
    assert seen[1][2].tolist() == [0.5, 2.0]


# ---------------------------------------------------------------- page
def test_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    exec(compile(example, "teleport.md", "exec"), {})
    assert "jump to σ = " in capsys.readouterr().out
