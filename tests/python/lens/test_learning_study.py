"""The study of learning, its section of the page, and the example of the documentation."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import kappaflow as kf
from kappaflow.lens.learning import (
    OneLayer,
    TwoLayer,
    converged_variance,
    fourier_spectrum,
    learning_study,
)
from kappaflow.lens.linear import wiener_gain
from kappaflow.report.lens.learning import section
from learning_cases import DEFICIENT, POWER_LAW, population


def populations() -> dict[str, kf.Population]:
    from sklearn.datasets import load_digits

    generator = np.random.default_rng(0)
    colour = generator.standard_normal((60, 8, 8, 3)).cumsum(axis=1).cumsum(axis=2) / 8 + 0.3
    return {
        "digits": kf.Population.from_samples(load_digits().images / 8 - 1),
        "colour": kf.Population.from_samples(colour),
        "vector": kf.Population.from_samples(generator.standard_normal((300, 20)) * np.arange(1, 21) ** -1.0 + 1),
        "spectrum": kf.Population.from_spectrum([4.0, 0.5, 0.03, 0.0], [1, 3, 20, 5]),
    }


@pytest.mark.parametrize("name", ["digits", "colour", "vector", "spectrum"])
def test_study_and_its_window(name: str) -> None:
    import matplotlib.pyplot as plt

    known = populations()[name]
    study = learning_study(known)
    image = name in ("digits", "colour")
    assert bool(study.convolutions) == image
    assert (study.joint is None) == (name == "spectrum")
    assert study.null_modes == {"digits": 3, "colour": 192 - 59, "vector": 0, "spectrum": 5}[name]
    for curves in study.learners:
        np.testing.assert_allclose(
            curves.log_variance[-1], np.log(converged_variance(study.eigenvalues[study.selected])), atol=0.01
        )
        np.testing.assert_allclose(
            curves.gains[-1], wiener_gain(study.eigenvalues[study.selected], noise_variance=study.sigma**2), atol=0.01
        )
        assert curves.divergence[-1] < 0.01 * curves.divergence[0]
        assert np.isnan(curves.mean_left).all() == (name == "spectrum")
    page = section(study)
    subjects = ["weights", "variance", "emergence", "divergence", *(["convolutions"] if image else [])]
    assert [picture.name for picture in page.pictures] == [f"learning_{subject}" for subject in subjects]
    assert "nan" not in " ".join([*page.takeaways, *(p.alternative for p in page.pictures)])
    for table in page.tables:
        assert len({len(column) for column in table.columns.values()}) == 1
    assert page.tables[0].columns["α"]
    for picture in page.pictures if name != "spectrum" else ():
        figure = picture.draw()
        figure.draw_without_rendering()
        plt.close("all")


def test_study_of_the_mean_and_of_chosen_learners() -> None:
    """What is left of the mean by an ODE for the whole population, with directions outside of its modes."""
    mean = np.array([1.0, -2.0, 0.5, 0.0, 1.0, 3.0, -1.0])
    known = population(DEFICIENT, mean)
    study = learning_study(known, learners={"half": OneLayer(0.5)}, points=3, curves=3, target="data", sigma=0.4)
    (curves,) = study.learners
    for time, left in zip(study.times, curves.mean_left, strict=True):

        def slope(t: float, x: np.ndarray, time: float = time) -> np.ndarray:
            inside = OneLayer(0.5).gain(known.eigenvalues, np.exp(t), time)
            return x - known.apply(x, inside, null_gain=float(OneLayer(0.5).gain(0.0, np.exp(t), time)))[0]

        solved = solve_ivp(slope, (np.log(80), np.log(0.002)), np.zeros(7), method="DOP853", rtol=1e-8, atol=1e-10)
        expected = np.linalg.norm(solved.y[:, -1] - mean) / np.linalg.norm(mean)
        assert left == pytest.approx(expected, rel=1e-6)
    assert study.sigma == 0.4
    np.testing.assert_array_equal(curves.emergence["geometric"].target, study.eigenvalues[study.emergence_modes])
    centred = learning_study(population(POWER_LAW), learners={"one": OneLayer()}, points=5)
    assert np.isnan(centred.learners[0].mean_left).all()
    assert centred.joint is None


def images_without(rows: list[int], columns: list[int]) -> kf.Population:
    """Images 8 × 8 whose Fourier modes of these rows and columns have no variance but that of rounding errors."""
    spectra = np.fft.fft2(np.random.default_rng(3).standard_normal((60, 8, 8)))
    spectra[:, rows] = 0
    spectra[:, :, columns] = 0
    return kf.Population.from_samples(np.fft.ifft2(spectra).real)


def test_fourier_modes_without_variance_are_left_out_and_counted() -> None:
    """Variance of rounding errors gave ratios of 10³⁰ and exponents of 0.01."""
    known = images_without([], [3, 5])
    power = fourier_spectrum(known)
    assert 0 < power[1, 3] < 1e-28  # rounding errors, not 0
    study = learning_study(known, points=3)
    assert study.null_frequencies == 7  # of the upper half plane: (0, 3), and (1 to 3, 3 and 5)
    assert study.spectrum is not None
    assert study.frequency is not None
    assert study.spectrum.size == study.frequency.size == 27 - 7
    assert study.spectrum.min() > 0.1
    for curves in study.convolutions:
        assert curves.emergence.times.size == curves.final_ratio.size == 20
        assert 0.1 < curves.final_ratio.min() <= curves.final_ratio.max() < 5
    sentence = "7 of 27 Fourier modes have no variance in the data, so convolutions are not judged on them."
    assert sentence in section(study).takeaways
    every = learning_study(images_without([], []), points=3)
    assert every.null_frequencies == 0
    assert not any("Fourier modes have no variance" in finding for finding in section(every).takeaways)


def test_constant_images_have_no_convolutions() -> None:
    """One direction has variance, and no Fourier mode but the constant one."""
    generator = np.random.default_rng(0)
    study = learning_study(
        kf.Population.from_samples(generator.standard_normal((40, 1, 1)) + np.zeros((8, 8))), points=3
    )
    assert (study.learned, study.null_modes, study.null_frequencies) == (1, 63, 27)
    assert (study.convolutions, study.frequency, study.spectrum) == ((), None, None)
    page = section(study)
    sentence = "Convolutions are left out: no Fourier mode but the constant one has variance in the data."
    assert sentence in page.takeaways
    assert "learning_convolutions" not in [part.name for part in (*page.pictures, *page.tables)]


def test_eigenvalues_of_rounding_errors_are_not_learned() -> None:
    """10⁻³ is a rounding error beside 10¹³, though it is far above the last noise level."""
    study = learning_study(kf.Population.from_spectrum([1e13, 1.0, 1e-3]), points=3)
    assert (study.learned, study.null_modes) == (2, 1)
    np.testing.assert_array_equal(study.emergence_modes, [0, 1])


def test_results_have_a_short_repr_and_a_table() -> None:
    study = learning_study(kf.Population.from_samples(np.random.default_rng(0).standard_normal((60, 8, 8))), points=3)
    (first, *_), (patch, *_) = study.learners, study.convolutions
    assert "times=array (3,)" in repr(study)
    assert "convolutions=(ConvolutionCurves(…), ConvolutionCurves(…), ConvolutionCurves(…))" in repr(study)
    assert max(len(repr(result)) for result in (study, first, patch, study.joint, first.fits[0])) < 600
    assert repr(first.fits[0]).endswith("law=PowerLaw(…))")
    pytest.importorskip("pandas")
    table = study.to_dataframe()
    fits = [fit for curves in study.learners for fit in curves.fits]
    assert list(table["exponent"]) == pytest.approx(
        [math.nan if f.law is None else f.law.exponent for f in fits], nan_ok=True
    )
    assert list(table["learner"]) == [curves.title for curves in study.learners for _ in curves.fits]
    assert list(table["modes"]) == [fit.modes for fit in fits]
    assert len(first.to_dataframe()) == len(first.fits)
    assert list(first.to_dataframe().columns) == list(table.columns)[1:]
    np.testing.assert_array_equal(patch.to_dataframe()["final_ratio"], patch.final_ratio)
    np.testing.assert_array_equal(patch.to_dataframe()["time"], patch.emergence.times)
    assert study.joint is not None
    np.testing.assert_array_equal(study.joint.to_dataframe()["deviation"], study.joint.deviation)
    assert study._repr_html_().startswith("<table><caption>LearningStudy</caption>")
    assert "<td>one layer from 0</td><td>harmonic</td>" in study._repr_html_()


def test_a_study_without_fits_has_an_empty_table() -> None:
    """One mode alone has no exponent."""
    study = learning_study(kf.Population.from_spectrum([2.0]), learners={"stuck": TwoLayer(0.0)}, points=3)
    assert study.learners[0].fits == ()
    assert "<tbody></tbody>" in study._repr_html_()


def test_example_of_the_page_runs() -> None:
    text = (Path(__file__).parents[3] / "docs/lens/learning.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(compile(example, "learning.md", "exec"), {})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: learning_study(kf.Population.from_spectrum([1e-9])), "population must have eigenvalues of at least"),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
