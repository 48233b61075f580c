"""Answers do not depend on units: data × c and σ × c, for c over many decades; and identities between the methods."""

from __future__ import annotations

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.datasets import open_images
from kappaflow.datasets.axes import unlike
from kappaflow.laws import REGISTRY

#: Factors of the data and of σ; powers of two change no digit of the data.
FACTORS = (2.0**-60, 2.0**-30, 2.0**-10, 2.0**10, 2.0**30, 2.0**60)


def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    contrast = np.exp(0.5 * rng.standard_normal((120, 1)))
    return np.round((0.3 + rng.standard_normal((120, 6)) / np.sqrt(np.arange(1, 7)) * contrast) * 256) / 256


def answers(law: str, mean: str, factor: float, *, groups: bool = False, population_is: str = "sample") -> dict:
    """Every public answer in units in which the data are of order 1."""
    labels = np.arange(120) // 3 if groups else None
    population = kf.Population.from_samples(rows() * factor, profiles=120, groups=labels)
    splits = kf.Splits(population, 30, law=law, mean=mean, population_is=population_is)
    rng = np.random.default_rng(1)
    x, y, v = factor * rng.standard_normal((2, 6)), factor * rng.standard_normal((2, 6)), np.eye(6)
    f, g = splits.denoiser(0.5 * factor), splits.sampling_map(0.1 * factor, 5.0 * factor)
    square = factor * factor
    found = {
        "support": np.array(splits.support()) / square,
        "output": splits.expected_output(f, x) / factor,
        "covariance": splits.covariance(f, g, x, v, inputs2=y) / square,
        "mode_covariance": splits.mode_covariance(f, g),
    }
    for name, h in (("denoiser", f), ("map", g)):
        found |= {
            f"{name} expectation": splits.expectation(h),
            f"{name} mode_variance": splits.mode_variance(h),
            f"{name} equal_mode_variance": splits.equal_mode_variance(h),
            f"{name} disagreement": splits.disagreement(h, x) / square,
            f"{name} bands": splits.disagreement(h, x, bands=3) / square,
            f"{name} mean": np.array(splits.mean_disagreement(h, input_sigma=factor)) / square,
            f"{name} relative": splits.mean_disagreement(h, input_variance=square, relative=True, bands=2),
            f"{name} modes": splits.mode_disagreement(h, input_sigma=factor).part / square,
            f"{name} pixels": np.array([splits.pixel_variance(h, each) for each in x]) / square,
        }
    spec = REGISTRY[law]
    if spec.has_kappa:
        found["kappa"] = splits.kappa(sigma=0.5 * factor) / square
    if spec.has_corrections:
        found["kappa_correction"] = splits.kappa_correction(sigma=0.5 * factor) / square
        found["expectation_correction"] = splits.expectation_correction(f)
    return found


@pytest.mark.parametrize("mean", ["known", "estimated"])
@pytest.mark.parametrize("law", tuple(REGISTRY))
@pytest.mark.parametrize("population_is", ["sample", "exact"])
def test_answers_are_the_same_in_all_units(law: str, mean: str, population_is: str) -> None:
    usual = answers(law, mean, 1.0, population_is=population_is)
    for factor in FACTORS:
        for name, value in answers(law, mean, factor, population_is=population_is).items():
            scale = np.abs(usual[name]).max()
            np.testing.assert_allclose(value, usual[name], rtol=1e-6, atol=1e-9 * scale, err_msg=f"{name} × {factor:g}")


@pytest.mark.parametrize("factor", [2.0**-60, 2.0**30])
def test_answers_of_groups_are_the_same_in_all_units(factor: float) -> None:
    usual = answers("empirical", "estimated", 1.0, groups=True)
    for name, value in answers("empirical", "estimated", factor, groups=True).items():
        scale = np.abs(usual[name]).max()
        np.testing.assert_allclose(value, usual[name], rtol=1e-6, atol=1e-9 * scale, err_msg=name)


@pytest.mark.parametrize("mean", ["known", "estimated"])
@pytest.mark.parametrize("law", tuple(REGISTRY))
@pytest.mark.parametrize("factor", [2.0**-60, 1.0, 2.0**60])
def test_the_methods_agree_with_each_other(law: str, mean: str, factor: float) -> None:
    """Pixels and bands add up to the disagreement, modes to its mean, and the diagonal is that of the matrix."""
    found = answers(law, mean, factor, population_is="exact")
    for name in ("denoiser", "map"):
        total = found[f"{name} disagreement"]
        np.testing.assert_allclose(2 / 6 * found[f"{name} pixels"].sum(axis=1), total, rtol=1e-6)
        np.testing.assert_allclose(found[f"{name} bands"].sum(axis=1), total, rtol=1e-6)
        np.testing.assert_allclose(found[f"{name} modes"].sum(), found[f"{name} mean"], rtol=1e-12)
        diagonal = np.diagonal(found[f"{name} mode_variance"])
        np.testing.assert_allclose(found[f"{name} equal_mode_variance"], diagonal, rtol=1e-12)


@pytest.mark.parametrize("factor", [1e-140, 1e-60, 1e60, 1e120])
def test_spectra_at_the_ends_of_double_precision(factor: float) -> None:
    """Squares of such eigenvalues are not numbers."""
    s, x = 1 / np.arange(1.0, 7), np.arange(1.0, 7)
    usual, scaled = (kf.Splits(kf.Population.from_spectrum(s * c * c), 5) for c in (1.0, factor))
    f, g = usual.denoiser(0.3), scaled.denoiser(0.3 * factor)
    np.testing.assert_allclose(scaled.mode_variance(g), usual.mode_variance(f), rtol=1e-9)
    np.testing.assert_allclose(scaled.kappa(sigma=factor) / factor / factor, usual.kappa(sigma=1.0), rtol=1e-9)
    np.testing.assert_allclose(
        scaled.kappa_correction(sigma=factor) / factor / factor, usual.kappa_correction(sigma=1.0), rtol=1e-9
    )
    np.testing.assert_allclose(
        scaled.disagreement(g, factor * x) / factor / factor, usual.disagreement(f, x), rtol=1e-9
    )


@pytest.mark.parametrize("profiles", [0, 50])
@pytest.mark.parametrize("tiled", [1, 30])
@pytest.mark.parametrize("factor", [1e-300, 1e-160, 1e-140, 1e-60, 1e-30, 1e-19, 1e19, 1e30, 1e60, 1e140, 1e160, 1e300])
def test_data_of_any_size_are_read_right_or_refused(factor: float, tiled: int, profiles: int) -> None:
    data = np.tile(rows()[:50], (1, tiled)) * np.linspace(1, 2, 6 * tiled)
    usual = kf.Population.from_samples(data, profiles=profiles)
    if not (1e-32 if profiles else 1e-130) < factor < (1e31 if profiles else 1e129):
        with pytest.raises(ValueError, match=r"by a constant|all equal"):
            kf.Population.from_samples(data * factor, profiles=profiles)
        return
    scaled = kf.Population.from_samples(data * factor, profiles=profiles)
    np.testing.assert_allclose(scaled.eigenvalues[:6] / factor / factor, usual.eigenvalues[:6], rtol=1e-9)
    if profiles:
        largest = np.abs(scaled.profiles.astype(np.float64)).max()
        assert largest / factor == pytest.approx(float(np.abs(usual.profiles).max()), rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("factor", [1e-30, 1e-10, 1e25, 1e30, 1e160, 1e300])
def test_neighbours_are_compared_in_any_units(factor: float, dtype: type, tmp_path) -> None:
    """Squares of single-precision numbers overflow beyond 1.8e19, those of double precision beyond 1.3e154."""
    if dtype is np.float32 and factor > 1e37:
        return
    smooth = np.cumsum(np.random.default_rng(0).standard_normal((30, 8, 8)), axis=1)
    values = (smooth * factor).astype(dtype)
    assert unlike(values, 1) == pytest.approx(unlike(smooth, 1), rel=1e-5)
    np.save(tmp_path / "images.npy", values)
    assert open_images(tmp_path / "images.npy", range=(-1, 1)).count == 30


def test_answers_beyond_double_precision_are_errors() -> None:
    splits = kf.Splits(kf.Population.from_spectrum([2.0, 1.0]), 5)
    f = splits.denoiser(1.0)
    for answer in (
        lambda: splits.disagreement(f, [1e200, 1e200]),
        lambda: splits.pixel_variance(f, [1e200, 0.0]),
    ):
        with np.errstate(all="ignore"), pytest.raises(kf.ConvergenceError, match="no finite answer"):
            answer()


@pytest.mark.parametrize(("low", "high"), [(1e-150, 3e161), (1e-150, 1e161), (1e-270, 1e250), (5e-320, 1.0)])
def test_eigenvalues_of_three_hundred_decades(low: float, high: float) -> None:
    """With two modes and one degree of freedom κ is the geometric mean of the eigenvalues."""
    kappa = kf.Splits(kf.Population.from_spectrum([high, low]), 2).kappa(noise_variance=0.0)
    expected = np.exp((np.log(high) + np.log(low)) / 2)
    np.testing.assert_allclose(float(kappa), expected, rtol=1e-11)
