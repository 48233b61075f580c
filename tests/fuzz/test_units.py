"""Laws in all units, and near what samples determine: small populations of any spectrum, any n, noise and law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import cases

import kappaflow as kf
from kappaflow.laws import REGISTRY


@dataclass(frozen=True)
class Case:
    """Samples of order 1, the options of the splits, and a noise level."""

    rows: np.ndarray
    n: int
    law: str
    mean: str
    population_is: str
    sigma: float
    sampling: bool
    groups: bool

    def splits(self, factor: float) -> kf.Splits:
        labels = np.arange(len(self.rows)) // 2 if self.groups else None
        population = kf.Population.from_samples(self.rows * factor, profiles=len(self.rows), groups=labels)
        return kf.Splits(population, self.n, law=self.law, mean=self.mean, population_is=self.population_is)

    def map(self, splits: kf.Splits, factor: float) -> kf.SpectralFunction:
        return splits.sampling_map(0.0, self.sigma * factor) if self.sampling else splits.denoiser(self.sigma * factor)


@st.composite
def problems(draw: st.DrawFn) -> Case:
    """N near d or well above it, n near N, and noise down to 1e-4 of the data."""
    d = draw(st.integers(1, 5))
    total = draw(st.sampled_from([d + 1, d + 2, d + 3, d + 8, 3 * d + 20]))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    decay, contrast = draw(st.sampled_from([0.0, 1.0, 3.0])), draw(st.sampled_from([0.0, 0.7]))
    rows = rng.standard_normal((total + 1, d)) * np.arange(1.0, d + 1) ** (-decay / 2)
    law = draw(st.sampled_from(tuple(REGISTRY)))
    grouped = law == "empirical" and draw(st.booleans())
    return Case(
        rows=np.round((rows * np.exp(contrast * rng.standard_normal((total + 1, 1))) + 0.5) * 1024) / 1024,
        n=draw(st.sampled_from(sorted({4, d + 2, max(4, total - 1), total + 4, 2 * total + 4}))),
        law=law,
        mean=draw(st.sampled_from(["known", "estimated"])),
        population_is=draw(st.sampled_from(["sample", "exact"])),
        sigma=10.0 ** draw(st.floats(-4, 2)),
        sampling=draw(st.booleans()),
        groups=grouped,
    )


def answers(case: Case, factor: float) -> dict[str, np.ndarray] | str:
    """Answers in units in which the data are of order 1, or the name of the error."""
    x = np.linspace(-1, 2, case.rows.shape[1])[None, :] * factor
    try:
        splits = case.splits(factor)
        f = case.map(splits, factor)
        return {
            "gain": splits.expectation(f),
            "gains": splits.mode_variance(f),
            "disagreement": splits.disagreement(f, x) / factor / factor,
            "pixels": splits.pixel_variance(f, x) / factor / factor,
            "mean": np.array(splits.mean_disagreement(f, input_sigma=factor)) / factor / factor,
        }
    except (kf.UnidentifiedError, kf.ConvergenceError) as error:
        return type(error).__name__


@cases(60)
@given(case=problems(), power=st.sampled_from([-60, -40, -9, 9, 40, 60]))
def test_answers_are_those_in_other_units(case: Case, power: int) -> None:
    usual, other = answers(case, 1.0), answers(case, 2.0**power)
    if isinstance(usual, str) or isinstance(other, str):
        assert usual == other
        return
    for name, value in usual.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(other[name], value, rtol=1e-5, atol=1e-8 * scale, err_msg=name)


@cases(80)
@given(case=problems())
def test_variances_are_possible_and_agree_with_each_other(case: Case) -> None:
    found = answers(case, 1.0)
    if isinstance(found, str):
        return
    assert all(np.isfinite(value).all() for value in found.values())
    assert all(np.all(value >= -1e-12) for value in found.values())
    gain, variance = found["gain"], np.diagonal(found["gains"])
    assert np.all(variance <= gain * (1 - gain) + 0.05)
    if case.law != "empirical" or case.population_is == "exact":
        total = 2 / case.rows.shape[1] * found["pixels"].sum()
        np.testing.assert_allclose(total, found["disagreement"][0], rtol=1e-5)


@cases(150)
@given(case=problems())
def test_totals_are_near_the_law_of_the_true_spectrum(case: Case) -> None:
    """Gaussian samples of a flat spectrum: a total that is given is within a factor of 20 of that of the truth."""
    total, d = case.rows.shape
    samples = np.random.default_rng(int(case.rows.sum() * 1024) % 2**31).standard_normal((total, d))
    known = kf.Splits(kf.Population.from_samples(samples), case.n)
    truth = kf.Splits(kf.Population.from_spectrum(np.ones(d)), case.n)
    f = case.map(truth, 1.0)
    try:
        found = float(known.mean_disagreement(f, input_sigma=1.0))
    except kf.UnidentifiedError:
        return
    right = float(truth.mean_disagreement(f, input_sigma=1.0))
    assert right / 20 < found < 20 * right
