"""The study of trajectories and its window, for any kind of data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import kappaflow as kf
from kappaflow.lens.trajectories import (
    Schedule,
    mode_spread,
    outcome_map,
    sample_law,
    trajectories_study,
)
from kappaflow.report.lens.trajectories import section
from trajectory_cases import rng


# ---------------------------------------------------------------- study and window
def study_population(name: str) -> kf.Population:
    if name == "digits":
        return kf.Population.from_samples(load_digits().images / 8 - 1)
    if name == "colour":
        smooth = rng(12).standard_normal((300, 4, 4, 3)).cumsum(axis=1).cumsum(axis=2)
        return kf.Population.from_samples(0.1 * smooth)
    if name == "vector":  # fewer samples than dimensions
        return kf.Population.from_samples(rng(13).standard_normal((20, 30)) / np.arange(1, 31))
    return kf.Population.from_covariance(np.diag(1 / np.arange(1.0, 7.0)))


@pytest.mark.parametrize("name", ["digits", "colour", "vector", "exact"])
def test_window_of_any_population(name: str) -> None:
    study = trajectories_study(study_population(name), seeds=2, n=[16, 64] if name == "digits" else None)
    shown = section(study)
    names = [picture.name for picture in shown.pictures]
    assert ("trajectories_film" in names) == (name in ("digits", "colour"))
    for picture in shown.pictures:
        figure = picture.draw()
        assert figure.axes
        assert picture.caption
        assert picture.alternative
        if name == "digits":
            figure.draw_without_rendering()
    for table in shown.tables:
        assert len({len(values) for values in table.columns.values()}) == 1
    assert shown.takeaways
    assert not any("nan" in sentence for sentence in shown.takeaways)
    assert any("no variance" in sentence for sentence in shown.takeaways) == (name in ("digits", "vector"))


def test_a_start_at_too_little_noise_is_said() -> None:
    shown = section(trajectories_study(study_population("exact"), sigma_max=0.5, sigma_min=0.0, n=[30]))
    assert any("σ_max is too small for 6 of them" in sentence for sentence in shown.takeaways)


def test_study_holds_what_its_functions_say() -> None:
    population = study_population("digits")
    study = trajectories_study(population, n=[64, 16], seeds=1, modes=3, steps=[5])
    assert study.n == (16, 64)
    assert study.modes.tolist() == [0, 7, 60]
    half = np.sqrt((study.eigenvalues + 0.002**2) * 4 - study.eigenvalues)
    seen = study.eigenvalues > 0
    assert np.allclose(study.emergence.noise_level[seen], half[seen], rtol=1e-13)
    splits = kf.Splits(population, 16)
    final = splits.mean_disagreement(outcome_map(splits, 0.002), input_variance=6400.0, relative=True)
    mean_part = splits.mean_disagreement(  # seeds are centred at 0, not at the mean of the data
        outcome_map(splits, 0.002), input_variance=6400.0 + study.mean_coordinates**2, relative=False
    )
    assert study.relative_spread[0, -1] ** 2 == pytest.approx(float(final), rel=2e-3)
    assert 2 / 64 * np.sum(study.spreads[0].outcome_std[-1] ** 2) == pytest.approx(float(mean_part), rel=1e-10)
    assert np.allclose(study.correlations[:, -1], 1)
    exact = sample_law(population, study.schedule)
    assert np.array_equal(study.law.variances, exact.variances)
    assert [one.steps for one in study.sampler_errors] == [5, 5]


@pytest.mark.parametrize("law", ["elliptical", "empirical"])
def test_other_laws(law: str) -> None:
    """Samples of equal size are elliptical with τ = 1 up to their noise, so that all laws say about the same of Gaussian data."""
    data = rng(14).standard_normal((4000, 8)) / np.arange(1, 9)
    population = kf.Population.from_samples(data, profiles=1000)
    times = [20.0, 1.0, 0.05]
    found = mode_spread(kf.Splits(population, 100, law=law), Schedule.ve(20, 0), times)
    gaussian_law = mode_spread(kf.Splits(population, 100), Schedule.ve(20, 0), times)
    assert np.allclose(found.outcome_gain, gaussian_law.outcome_gain, rtol=0.02)
    assert np.allclose(found.outcome_std, gaussian_law.outcome_std, rtol=0.1)
    assert np.allclose(found.state_std[1:], gaussian_law.state_std[1:], rtol=0.1)
    study = trajectories_study(population, n=[100], law=law, modes=2)
    assert any(law in picture.caption for picture in section(study).pictures)


def test_example_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs/lens/trajectories.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(example, "trajectories.md", "exec"), {})
    assert "mode 1" in capsys.readouterr().out
