"""A population known through N samples: de-biased answers against the truth that the samples were drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.datasets import open_images
from kappaflow.profiles import scaled_profiles

NOISE = np.geomspace(1e-3, 1e2, 6)


def power_law(d: int) -> Any:
    return np.arange(1, d + 1.0) ** -1.2


def samples_of(s: Any, count: int, seed: int) -> kf.Population:
    rows = np.random.default_rng(seed).standard_normal((count, len(s))) * np.sqrt(s)
    return kf.Population.from_samples(rows, profiles=count)


@pytest.mark.parametrize(
    ("d", "total", "n"),
    [
        (200, 1000, 333),
        (200, 1000, 500),
        (200, 1000, 4000),
        (300, 500, 166),
        (300, 500, 2000),
        (768, 200, 66),
        (768, 200, 100),
    ],
)
def test_kappa_and_variance_of_gaussian_data(d: int, total: int, n: int) -> None:
    """Means over eight populations, whose own fluctuation is below half a per cent: κ within 0.5 %, total variance within 1 %."""
    truth = kf.Splits(kf.Population.from_spectrum(power_law(d)), n)
    f = truth.sampling_map(0.0, 80.0, tolerance=1e-8)
    variance = truth.mode_variance(f).sum()
    found, plug_in = [], []
    for seed in range(8):
        population = samples_of(power_law(d), total, seed)
        splits = kf.Splits(population, n)
        found.append(
            np.append(
                splits.kappa(noise_variance=NOISE) / truth.kappa(noise_variance=NOISE),
                splits.mode_variance(f).sum() / variance,
            )
        )
        plug_in.append(kf.Splits(population, n, population_is="exact").mode_variance(f).sum() / variance)
    ratio = np.mean(found, axis=0)
    np.testing.assert_allclose(ratio[:-1], 1, atol=0.005)
    assert ratio[-1] == pytest.approx(1, abs=0.01)
    assert abs(np.mean(plug_in) - 1) > 4 * abs(ratio[-1] - 1)


def test_all_laws_agree_on_gaussian_data() -> None:
    d, total, n = 120, 600, 200
    truth = kf.Splits(kf.Population.from_spectrum(power_law(d)), n)
    f = truth.sampling_map(0.0, 80.0, tolerance=1e-6)
    variance = truth.mode_variance(f).sum()
    for law in ("gaussian", "elliptical", "empirical"):
        ratios = [
            kf.Splits(samples_of(power_law(d), total, seed), n, law=law).mode_variance(f).sum() / variance
            for seed in range(4)
        ]
        # the empirical law keeps each leverage, whose fluctuation for Gaussian data is of the order 1/n that all limits neglect
        assert np.mean(ratios) == pytest.approx(1, abs=0.05 if law == "empirical" else 0.01), law


def test_elliptical_data() -> None:
    """Unequal sizes and a population of few samples at once, sizes given and estimated."""
    d, total, n, shape = 200, 500, 200, 1.5
    s = power_law(d)
    given = np.random.default_rng(1).gamma(shape, 1 / shape, 5_000)
    truth = kf.Splits(kf.Population.from_spectrum(s), n, law="elliptical", scales=given)
    f = truth.sampling_map(0.0, 80.0, tolerance=1e-8)
    variance, kappa = truth.mode_variance(f).sum(), truth.kappa(noise_variance=NOISE)
    found, estimated, plug_in = [], [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rows = rng.standard_normal((total, d)) * np.sqrt(s) * np.sqrt(rng.gamma(shape, 1 / shape, total))[:, None]
        population = kf.Population.from_samples(rows, profiles=total)
        one = kf.Splits(population, n, law="elliptical", scales=given)
        found.append(np.append(one.kappa(noise_variance=NOISE) / kappa, one.mode_variance(f).sum() / variance))
        two = kf.Splits(population, n, law="elliptical")
        estimated.append(np.append(two.kappa(noise_variance=NOISE) / kappa, two.mode_variance(f).sum() / variance))
        three = kf.Splits(population, n, law="elliptical", population_is="exact")
        plug_in.append(three.mode_variance(f).sum() / variance)
    np.testing.assert_allclose(np.mean(found, axis=0)[:-1], 1, atol=0.02)
    assert np.mean(found, axis=0)[-1] == pytest.approx(1, abs=0.03)
    np.testing.assert_allclose(np.mean(estimated, axis=0)[:-1], 1, atol=0.03)
    assert np.mean(estimated, axis=0)[-1] == pytest.approx(1, abs=0.06)
    assert np.mean(plug_in) < 0.9


def test_models_of_n_samples_are_the_model_of_all_at_larger_noise() -> None:
    """E over subsets: Σ̂ₙ(Σ̂ₙ+t)⁻¹ of n of the N samples is S(S+t_N)⁻¹ of all, and at n = N nothing changes."""
    d, total, n = 40, 120, 60
    population = samples_of(power_law(d), total, 3)
    splits = kf.Splits(population, n)
    gains = splits.expectation(splits.denoiser(0.3))
    coordinates = population.profiles.astype(float)
    rng = np.random.default_rng(0)
    drawn = np.zeros(d)
    for _ in range(1500):
        rows = coordinates[rng.permutation(total)[:n]]
        rows = rows - rows.mean(axis=0)
        covariance = rows.T @ rows / n
        drawn += np.diag(covariance @ np.linalg.inv(covariance + 0.09 * np.eye(d))) / 1500
    np.testing.assert_allclose(drawn[:20], gains[:20], rtol=0.03)
    plug_in = kf.Splits(population, n, population_is="exact")
    assert (
        np.abs(np.log(gains / drawn)).max()
        < 0.3 * np.abs(np.log(plug_in.expectation(plug_in.denoiser(0.3)) / drawn)).max()
    )
    same = kf.Splits(population, total)
    s = population.eigenvalues
    for law in ("gaussian", "elliptical"):
        same = kf.Splits(population, total, law=law)
        np.testing.assert_allclose(same.expectation(same.denoiser(0.3)), s / (s + 0.09), rtol=1e-9)


def test_many_samples_need_no_correction() -> None:
    s = power_law(20)
    for law in ("gaussian", "elliptical"):
        exact = kf.Population.from_spectrum(s)
        options: dict[str, Any] = {"law": law} if law == "gaussian" else {"law": law, "scales": [1.0, 1.0]}
        known = kf.Splits(exact, 30, **options)
        many = kf.Population(s, np.ones(20), dimension=20, sample_size=10**9)
        sampled = kf.Splits(many, 30, **options)
        f = known.sampling_map(0.0, 80.0)
        np.testing.assert_allclose(sampled.mode_variance(f), known.mode_variance(f), rtol=1e-6)
        np.testing.assert_allclose(sampled.expectation(f), known.expectation(f), rtol=1e-6)


def test_order_one_over_m_is_read_off_the_sample_too() -> None:
    d, total, n = 60, 2000, 80
    truth = kf.Splits(kf.Population.from_spectrum(power_law(d)), n)
    splits = [kf.Splits(samples_of(power_law(d), total, seed), n) for seed in range(6)]
    expected = truth.kappa_correction(noise_variance=NOISE)
    found = np.mean([each.kappa_correction(noise_variance=NOISE) for each in splits], axis=0)
    np.testing.assert_allclose(found, expected, rtol=0.03)


@pytest.mark.parametrize("law", ["gaussian", "elliptical", "empirical"])
def test_beyond_the_samples_what_is_not_identified_is_refused(law: str) -> None:
    few = samples_of(power_law(80), 60, 0)
    splits = kf.Splits(few, 240, law=law)
    with pytest.raises(
        kf.UnidentifiedError, match=r"n must be at most 60 at a noise variance this small, got noise_variance 0\.0001: "
    ):
        splits.expectation(splits.denoiser(0.01))
    gain = splits.expectation(splits.denoiser(30.0))  # at large noise 60 samples determine the answer
    unbiased = few.eigenvalues * 60 / 59
    np.testing.assert_allclose(gain, unbiased / (unbiased + 900 * 240 / 239), rtol=0.02)
    assert kf.Splits(few, 60, law=law).expectation(splits.denoiser(0.01)).shape == (59,)


def test_sample_size_beyond_which_nothing_is_determined() -> None:
    few = samples_of(power_law(80), 60, 0)
    with pytest.raises(
        kf.NotReachedError,
        match=r"tolerance must be at least .* at n = 60 \(so few images determine nothing beyond it\)",
    ):
        kf.samples_for(few, lambda splits: splits.sampling_map(), 1e-4, input_variance=6400.0)
    loose = kf.samples_for(few, lambda splits: splits.sampling_map(), 0.7, input_variance=6400.0)
    assert loose.n <= 60
    enough = samples_of(power_law(10), 400, 0)
    answer = kf.samples_for(enough, lambda splits: splits.sampling_map(), 0.001, input_variance=6400.0)
    exact = kf.samples_for(
        enough, lambda splits: splits.sampling_map(), 0.001, input_variance=6400.0, population_is="exact"
    )
    assert answer.n > 400
    assert answer.n == pytest.approx(exact.n, rel=0.1)


def test_sample_size_that_contradicts_the_data() -> None:
    s = power_law(10)
    with pytest.raises(ValueError, match="sample_size must exceed the number of non-zero eigenvalues, 10, got 6"):
        kf.Splits(kf.Population(s, np.ones(10), dimension=10, sample_size=6), 5)
    honest = samples_of(s, 400, 0)
    wrong = honest.replace(sample_size=20)
    with pytest.raises(ValueError, match="a sample_size of at least its 400 distinct profiles, got 20"):
        kf.Splits(wrong, 10, law="elliptical")
    with pytest.raises(ValueError, match="population_is must be one of 'sample', 'exact', got 'x'"):
        kf.Splits(honest, 5, population_is="x")


def cross_fitted(rows: Any) -> list[kf.Population]:
    """Modes of one half, profiles and variances of the other, both ways round."""
    half, found = len(rows) // 2, []
    for basis, rest in ((rows[:half], rows[half:]), (rows[half:], rows[:half])):
        modes = kf.Population.from_samples(basis)
        coordinates = (rest - rest.mean(axis=0)) @ modes.eigenvectors
        variance = (coordinates**2).mean(axis=0)
        order = np.argsort(-variance)
        found.append(
            kf.Population(
                variance[order],
                np.ones(len(order)),
                dimension=modes.dimension,
                mean=modes.mean,
                eigenvectors=modes.eigenvectors[:, order],
                profiles=scaled_profiles(coordinates[:, order], variance[order]),
            )
        )
    return found


def test_real_patches_from_few() -> None:
    """From 2000 patches, splits of 1000 within 5 % of what the full population predicts, closer than cross-fitting and plug-in."""
    source = open_images("patches", patch=8, grey=True, limit=400_000)
    rows = np.concatenate([batch.reshape(len(batch), -1) for batch in source.batches()])
    rng = np.random.default_rng(4)
    rows = rows[rng.choice(len(rows), 12_000, replace=False)]
    everything = kf.Population.from_samples(rows, profiles=len(rows))
    seeds = 80 * rng.standard_normal((8, 64))
    n, total = 1000, 2000
    truth = kf.Splits(everything, n, law="empirical", population_is="exact")
    f = truth.sampling_map()
    expected = truth.disagreement(f, seeds).sum()
    found: dict[str, list[float]] = {"sample": [], "exact": [], "cross-fitted": []}
    for _ in range(6):
        chosen = rows[rng.choice(len(rows), total, replace=False)]
        population = kf.Population.from_samples(chosen, profiles=total)
        for how in ("sample", "exact"):
            splits = kf.Splits(population, n, law="empirical", population_is=how)
            found[how].append(splits.disagreement(f, seeds).sum() / expected)
        crossed = [kf.Splits(each, n, law="empirical").disagreement(f, seeds).sum() for each in cross_fitted(chosen)]
        found["cross-fitted"].append(np.mean(crossed) / expected)
    mean = {how: np.mean(values) for how, values in found.items()}
    assert mean["sample"] == pytest.approx(1, abs=0.05)
    assert abs(mean["sample"] - 1) < abs(mean["exact"] - 1)
    assert abs(mean["sample"] - 1) < abs(mean["cross-fitted"] - 1)


@pytest.mark.parametrize(("total", "d"), [(10, 16), (17, 16), (18, 16), (40, 16)])
def test_equal_sizes_are_the_gaussian_law_of_a_sample(total: int, d: int) -> None:
    """Down to no noise, where N samples use up all degrees of freedom and κ has a positive limit."""
    population = kf.Population.from_samples(np.random.default_rng(0).standard_normal((total, d)))
    for n in (5, total - 1, total):
        gaussian, equal = (
            kf.Splits(population, n, **options) for options in ({}, {"law": "elliptical", "scales": [1.0, 1.0]})
        )
        for f in [gaussian.denoiser(sigma) for sigma in (1.0, 1e-2, 1e-4, 1e-6)] + [
            gaussian.sampling_map(tolerance=1e-8)
        ]:
            np.testing.assert_allclose(equal.expectation(f), gaussian.expectation(f), rtol=2e-3)
            # of the laws themselves: `Splits` refuses the answers that so few samples do not determine
            ones = np.ones(len(population.eigenvalues))
            spread, other = (splits._law.law.spread(f, ones, ones).sum() for splits in (gaussian, equal))
            assert other == pytest.approx(spread, rel=5e-3)


@pytest.mark.parametrize("total", [20, 30, 65])
def test_few_images_of_unequal_contrast(total: int) -> None:
    """At n = N ≤ d + 1 every law has an answer: leverages there are all but 1."""
    rng = np.random.default_rng(total)
    rows = rng.standard_normal((total, 64)) * np.exp(rng.standard_normal((total, 1)))
    population = kf.Population.from_samples(rows, profiles=total)
    values = []
    for n in (total // 2, total - 1, total):
        for law in ("gaussian", "elliptical", "empirical"):
            splits = kf.Splits(population, n, law=law)
            f = splits.sampling_map(tolerance=1e-6)
            values.append(float(splits.mean_disagreement(f, input_variance=6400.0)))
    assert np.all(np.array(values) > 0)


def test_one_image_that_dominates() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((40, 16))
    rows[0] *= 1e4
    population = kf.Population.from_samples(rows, profiles=40)
    for n in (4, 20, 40):
        for law in ("elliptical", "empirical"):
            splits = kf.Splits(population, n, law=law)
            assert np.all(splits.mode_variance(splits.denoiser(0.3)) >= 0)


def test_no_noise() -> None:
    few = samples_of(power_law(6), 60, 0)
    splits = kf.Splits(few, 4)
    assert float(splits.kappa(noise_variance=0.0)) == pytest.approx(float(splits.kappa(noise_variance=1e-14)), rel=1e-9)
    exact = kf.Population.from_spectrum([3.0, 2.0, 1.0])
    for n in (4, 10):
        splits = kf.Splits(exact, n, law="elliptical", scales=[0.5, 1.5])
        assert float(splits.mean_disagreement(splits.denoiser(0.0), input_variance=1.0)) == pytest.approx(
            float(kf.Splits(exact, n).mean_disagreement(splits.denoiser(0.0), input_variance=1.0)), rel=1e-12
        )
    assert float(splits.kappa(noise_variance=0.0)) == 0
    tiny = kf.Splits(few, 600)
    assert np.all(np.isfinite(tiny.mode_variance(tiny.denoiser(1e-15))))
