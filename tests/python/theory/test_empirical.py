"""The empirical law: against a slow reference, against the Gaussian law, and against simulated training sets of real data."""

from __future__ import annotations

import numpy as np
import pytest

import kappaflow as kf
from kappaflow import _core
from kappaflow.datasets import open_images
from kappaflow.moments import linear_algebra
from kappaflow.profiles import scaled_profiles

RNG_SEED = 5


def heavy_population(modes=10, count=300, tail=1.0):
    """Samples of unequal size in mode coordinates, as a population whose profiles are all of them."""
    rng = np.random.default_rng(RNG_SEED)
    s = 2.0 * np.arange(1, modes + 1) ** -1.5
    z = rng.standard_normal((count, modes)) * np.sqrt(s) * rng.gamma(tail, 1 / tail, count)[:, None] ** 0.5
    return kf.Population.from_samples(z, profiles=count)


#: The shift that stands for infinity in the reference.
FAR = 1e14


def reference(population, n, f, x, mean):
    """The law, one pair of nodes at a time: expectation (k,), mode pairs (k, k), outputs by mode (B, k); what dressing adds
    to the third pairing of equal modes (k,) and the sum of the ladder alone, (k, k) or (k, k + 1) with the mean's input."""
    z, k = population.profiles.astype(float), len(population.eigenvalues)
    weights, shifts = f.weights, f.shifts
    if mean == "estimated":
        z, x = np.c_[z, np.ones(len(z))], np.c_[x, np.ones(len(x))]
        weights, shifts = np.append(weights, 1 - f.constant - weights.sum()), np.append(shifts, FAR)
    t = np.tile(shifts, (z.shape[1], 1))
    if mean == "estimated":
        t[-1] = 0.0
    z2, g = z * z, 1 / (t + (z * z).mean(axis=0)[:, None])
    for _ in range(20_000):
        new = 1 / (t + z2.T @ (1 / (1 + z2 @ g / n)) / len(z))
        if np.max(np.abs(new / g - 1)) < 1e-14:
            break
        g = new
    r, tw = 1 / (1 + z2 @ g / n), t * weights
    u = np.einsum("al,li,bl->iab", z, g, x)
    pairs, outputs = np.zeros((k, k)), np.zeros((len(x), z.shape[1]))
    ladders, phi, bare = np.zeros((k, z.shape[1])), np.zeros((len(z), k)), np.zeros((len(z), k))
    for i in range(len(shifts)):
        for j in range(len(shifts)):
            q = (z2 * (r[:, i] * r[:, j])[:, None]).T @ z2 / len(z) / n
            gamma = g[:, i] * g[:, j]
            inverse = np.linalg.inv(np.eye(len(gamma)) - gamma[:, None] * q)
            direct = np.outer(gamma, gamma) * q
            ladder = inverse @ direct
            scale = np.outer(tw[:, i], np.ones(len(gamma))) * tw[:, j][:, None]
            ladders += (scale * ladder)[:k]
            pairs += (scale * (ladder + np.diag(np.diag(ladder - direct))))[:k, :k]
            source = gamma[:, None] * (z2.T @ ((r[:, i] * r[:, j])[:, None] * u[i] * u[j])) / len(z) / n
            outputs += ((inverse @ source) * (tw[:, i] * tw[:, j])[:, None]).T
            if i == j:
                moved = z2 * r[:, [i]] - z2.T @ r[:, i] / len(z)  # of the second moments by one sample
                everywhere = np.linalg.inv(np.eye(len(gamma)) - q * gamma)  # and of all through the others' leverages
                phi += (tw[:, i] * gamma * (moved @ everywhere.T))[:, :k]
                bare += (tw[:, i] * gamma * moved)[:, :k]
    third = (phi.var(axis=0) - bare.var(axis=0)) / n
    pairs += np.diag(third)
    first = (tw * g**2 * (z2.T @ r / len(z))).sum(axis=1)[:k]
    middle = np.einsum("ki,ki,ak,ai,iab->bk", tw, g, z, r, u) / len(z)
    count = len(f.weights)
    expectation = f.constant + (f.weights * (1 - shifts[:count] * g[:k, :count])).sum(axis=1)
    ladders[:, :k] -= np.diag(first**2) / n
    return expectation, pairs - np.diag(first**2) / n, (outputs - middle**2 / n)[:, :k], third, ladders


@pytest.mark.parametrize("mean", ["known", "estimated"])
@pytest.mark.parametrize("n", [6, 25])
def test_against_the_law_as_it_is_written(mean, n):
    population = heavy_population()
    splits = kf.Splits(population, n, law="empirical", population_is="exact", mean=mean)
    inputs = np.random.default_rng(1).standard_normal((3, 10))
    x = population.coordinates(inputs)
    for f in (splits.denoiser(0.3), splits.sampling_map(0.5, 20.0, tolerance=1e-5)):
        expectation, pairs, outputs, *_ = reference(population, n, f, x, mean)
        outputs += x**2 * splits._law.law._plug_in.equal_mode_excess(f, f)  # see test_elliptical
        np.testing.assert_allclose(splits.expectation(f), expectation, rtol=1e-9)
        np.testing.assert_allclose(splits.mode_variance(f), pairs, rtol=1e-5, atol=1e-6 * pairs.max())
        np.testing.assert_allclose(splits.equal_mode_variance(f), np.diag(pairs), rtol=1e-5, atol=1e-6 * pairs.max())
        by_mode = splits.variance(f, inputs, population.eigenvectors.T)
        np.testing.assert_allclose(by_mode, outputs, rtol=1e-7)
        bands = splits.disagreement(f, inputs, bands=[(0, 3), (3, 10)])
        expected = 2 / 10 * np.stack([outputs[:, :3].sum(axis=1), outputs[:, 3:].sum(axis=1)], axis=1)
        np.testing.assert_allclose(bands, expected, rtol=1e-7)
        np.testing.assert_allclose(splits.disagreement(f, inputs), bands.sum(axis=1), rtol=1e-9)
        pixels = splits.pixel_variance(f, inputs[0])
        np.testing.assert_allclose(pixels.sum(), outputs[0].sum(), rtol=1e-7)  # a rotation keeps the total


def solved(population, n, f, mean):
    """The core's law, its solution at the nodes of f and its weights."""
    law = _core.EmpiricalLaw(
        population.profiles, population.eigenvalues, float(n), getattr(_core.Mean, mean), linear_algebra()
    )
    last = mean == "estimated"
    shifts = np.append(f.shifts, [np.inf] * last)
    weights = np.append(f.weights, [1 - f.constant - f.weights.sum()] * last)
    return law, law.solve(shifts), weights


@pytest.mark.parametrize("mean", ["known", "estimated"])
def test_spread_is_the_ladder_summed_over_inputs(mean):
    n, population = 8, heavy_population(tail=0.7)
    f = kf.Splits(population, n, law="empirical", population_is="exact", mean=mean).sampling_map(
        0.5, 20.0, tolerance=1e-5
    )
    variance = np.random.default_rng(11).gamma(1.0, 1.0, 10)
    ladders = reference(population, n, f, np.zeros((1, 10)), mean)[4]
    law, nodes, weights = solved(population, n, f, mean)
    spread = law.spread(nodes, weights, weights, variance)
    expected = ladders[:, :10] @ variance
    if mean == "estimated":  # the output at the mean, where input coordinates are 0 and that of the mean is 1
        centre = np.zeros(10)
        at_mean = law.influence(nodes, weights, centre).var(axis=0) / n
        at_mean += law.ladder_covariance(nodes, weights, weights, centre, centre)
        np.testing.assert_allclose(law.spread(nodes, weights, weights, centre), at_mean, rtol=1e-7)
        at_mean_dense = reference(population, n, f, np.zeros((1, 10)), mean)[2][0]
        np.testing.assert_allclose(at_mean, at_mean_dense, rtol=1e-7)
        expected += at_mean
    np.testing.assert_allclose(spread, expected, rtol=1e-7)


def test_spread_of_two_maps_is_symmetric_and_bilinear():
    population = heavy_population()
    splits = kf.Splits(population, 20, law="empirical", population_is="exact")
    f, g = splits.sampling_map(0.0, 20.0, tolerance=1e-5), splits.denoiser(0.4)
    law = _core.EmpiricalLaw(population.profiles, population.eigenvalues, 20.0, _core.Mean.estimated, linear_algebra())
    nodes = law.solve(np.concatenate([f.shifts, g.shifts, [np.inf]]))
    first = np.concatenate([f.weights, np.zeros(len(g.shifts)), [1 - f.constant - f.weights.sum()]])
    second = np.concatenate([np.zeros(len(f.shifts)), g.weights, [1 - g.constant - g.weights.sum()]])
    variance = np.random.default_rng(12).gamma(1.0, 1.0, 10)

    def spread(a, b):
        return law.spread(nodes, a, b, variance)

    np.testing.assert_allclose(spread(first, second), spread(second, first), rtol=1e-7)
    both = spread(first + second, first + second)
    parts = spread(first, first) + 2 * spread(first, second) + spread(second, second)
    np.testing.assert_allclose(both, parts, rtol=1e-6)
    matrices = [law.mode_covariance(nodes, a, b) for a, b in ((first, first), (first, second), (second, second))]
    total = law.mode_covariance(nodes, first + second, first + second)
    expected = matrices[0] + 2 * matrices[1] + matrices[2]
    np.testing.assert_allclose(total, expected, rtol=1e-6, atol=1e-7 * total.max())


def test_profiles_of_gaussian_data_give_the_gaussian_law():
    rng = np.random.default_rng(2)
    s = 1 / np.arange(1, 21.0)
    population = kf.Population.from_samples(rng.standard_normal((40_000, 20)) * np.sqrt(s), profiles=40_000)
    inputs = 80 * rng.standard_normal((4, 20))
    for n in (12, 100):
        gaussian, empirical = (
            kf.Splits(population, n, law=law, population_is="exact") for law in ("gaussian", "empirical")
        )
        f = gaussian.sampling_map(tolerance=1e-6)
        # the leverage of a Gaussian sample fluctuates by the relative sqrt(2 df2)/n, which the limit n → ∞ neglects
        np.testing.assert_allclose(empirical.expectation(f), gaussian.expectation(f), rtol=2.0 / n)
        np.testing.assert_allclose(
            empirical.disagreement(f, inputs), gaussian.disagreement(f, inputs), rtol=0.05 + 1 / n
        )
        assert empirical.mode_variance(f).sum() == pytest.approx(gaussian.mode_variance(f).sum(), rel=0.02 + 1 / n)


def test_covariance_of_two_maps():
    population = heavy_population()
    splits = kf.Splits(population, 20, law="empirical", population_is="exact")
    f, g = splits.sampling_map(0.0, 20.0, tolerance=1e-5), splits.denoiser(0.4)
    rng = np.random.default_rng(3)
    x, directions = rng.standard_normal((2, 10)), rng.standard_normal((4, 10))
    both = splits.covariance(f, g, x, directions)
    np.testing.assert_allclose(both, splits.covariance(g, f, x, directions), rtol=1e-9)
    np.testing.assert_allclose(splits.covariance(f, f, x, directions), splits.variance(f, x, directions), rtol=1e-9)
    assert np.all(both**2 <= splits.variance(f, x, directions) * splits.variance(g, x, directions))
    np.testing.assert_allclose(splits.mode_covariance(f, g), splits.mode_covariance(g, f), rtol=1e-7)


def test_average_over_inputs_is_that_of_mode_pairs():
    """Up to the exchange of equal modes in the ladder, one pair in k, which the outputs of a given input leave out."""
    population = heavy_population(modes=40, count=2000)
    splits = kf.Splits(population, 15, law="empirical", population_is="exact")
    f = splits.denoiser(0.5)
    rng = np.random.default_rng(4)
    inputs = population.mean + rng.standard_normal((1000, 40)) @ population.eigenvectors.T
    assert splits.disagreement(f, inputs).mean() == pytest.approx(
        float(splits.mean_disagreement(f, input_variance=1.0)), rel=0.02
    )


@pytest.fixture(scope="module")
def patches():
    """4000 grey patches of 8 x 8 pixels."""
    source = open_images("patches", patch=8, grey=True)
    images = np.concatenate([batch.reshape(len(batch), -1) for batch in source.batches()])
    return images[np.random.default_rng(0).choice(len(images), 4000, replace=False)]


def test_third_pairing_on_real_patches(patches):
    """Contrast varies from patch to patch and moves all second moments together: without the dressed third pairing equal
    modes are 13 % off, with it the error in all 64 is less than half."""
    n, draws = 100, 800
    population = kf.Population.from_samples(patches, profiles=len(patches))
    f = _core.SpectralFunction.denoiser(0.1)
    law, nodes, weights = solved(population, n, f, "known")
    predicted = np.diag(law.mode_covariance(nodes, weights, weights))
    third = reference(population, n, f, np.zeros((1, 64)), "known")[3]
    rng = np.random.default_rng(1)
    coordinates = population.coordinates(patches)
    entries = []
    for _ in range(draws):
        rows = coordinates[rng.integers(0, len(patches), n)]
        covariance = rows.T @ rows / n
        entries.append(np.diag(np.linalg.solve(covariance + 0.01 * np.eye(64), covariance)))
    simulated = np.var(entries, axis=0, ddof=1)

    def error(prediction):
        return np.sqrt(np.mean(np.log(simulated / prediction) ** 2))

    assert simulated.sum() == pytest.approx(predicted.sum(), rel=0.03)
    assert simulated.sum() > 1.1 * (predicted - third).sum()
    assert error(predicted) < 0.5 * error(predicted - third)


@pytest.fixture(scope="module")
def digits():
    source = open_images("digits")
    return np.concatenate(list(source.batches()))


@pytest.mark.parametrize("n", [60, 200])
def test_real_digits_resampled(digits, n):
    """Within 5 % of 600 simulated training sets, where the Gaussian law is off by more in the variance of equal modes."""
    population = kf.Population.from_samples(digits, profiles=len(digits))
    rng = np.random.default_rng(n)
    inputs = 80 * rng.standard_normal((6, 64))
    outputs, maps = [], []
    coordinates = population.coordinates(digits)
    x = population.coordinates(inputs)
    for _ in range(600):
        rows = coordinates[rng.integers(0, len(digits), n)]
        mean = rows.mean(axis=0)
        values, vectors = np.linalg.eigh((rows - mean).T @ (rows - mean) / n)
        values = np.maximum(values, 0)
        matrix = (vectors * np.sqrt(values / (values + 6400))) @ vectors.T
        maps.append(matrix)
        outputs.append(mean + (x - mean) @ matrix)
    simulated = 2 / 64 * np.var(outputs, axis=0, ddof=1).sum(axis=1)
    variance = np.var(maps, axis=0, ddof=1)
    error = {}
    for law in ("gaussian", "empirical"):
        splits = kf.Splits(population, n, law=law, population_is="exact")
        f = splits.sampling_map(tolerance=1e-6)
        error[law] = (
            abs(np.diag(variance).sum() / splits.equal_mode_variance(f).sum() - 1),
            np.sqrt(np.mean(np.log(np.diag(variance)[:30] / splits.equal_mode_variance(f)[:30]) ** 2)),
        )
        if law == "empirical":
            assert simulated.mean() == pytest.approx(splits.disagreement(f, inputs).mean(), rel=0.05)
            assert variance.sum() == pytest.approx(splits.mode_variance(f).sum(), rel=0.05)
            gains = np.diag(np.mean(maps, axis=0))[:40]
            assert np.median(np.abs(splits.expectation(f)[:40] / gains - 1)) < 0.02
    assert error["empirical"][1] < 0.2
    assert error["gaussian"][1] > 1.5 * error["empirical"][1]


def test_profiles_are_a_seeded_subset_scaled_to_the_eigenvalues(digits, tmp_path):
    population = kf.Population.from_samples(digits, profiles=500)
    assert population.profiles.shape == (500, 64)
    assert population.profiles.dtype == np.float32
    varies = population.eigenvalues > 1e-10
    squares = np.mean(population.profiles.astype(float) ** 2, axis=0)
    np.testing.assert_allclose(squares[varies], population.eigenvalues[varies], rtol=1e-5)
    streamed = kf.Population.from_samples((digits[i : i + 300] for i in range(0, len(digits), 300)), profiles=500)
    assert streamed.profiles.shape == (500, 64)
    again = kf.Population.from_samples(digits, profiles=500)
    np.testing.assert_array_equal(population.profiles, again.profiles)
    population.save(tmp_path / "p.safetensors")
    np.testing.assert_array_equal(kf.Population.load(tmp_path / "p.safetensors").profiles, population.profiles)
    everything = kf.Population.from_samples(digits, profiles=10**6)
    np.testing.assert_allclose(
        everything.profiles, scaled_profiles(population.coordinates(digits), population.eigenvalues), atol=1e-5
    )
    assert kf.Population.from_samples(digits).profiles is None


def test_what_the_empirical_law_refuses(digits):
    population = kf.Population.from_samples(digits[:200], profiles=100)
    splits = kf.Splits(population, 50, law="empirical", population_is="exact")
    with pytest.raises(ValueError, match="kappa needs law='gaussian' or 'elliptical', got 'empirical'"):
        splits.kappa(noise_variance=0.1)
    with pytest.raises(ValueError, match="expectation_correction needs law='gaussian'"):
        splits.expectation_correction(splits.denoiser(0.1))
    with pytest.raises(ValueError, match="terms must be 'full' with law='empirical', got 'published'"):
        kf.Splits(population, 50, law="empirical", population_is="exact", terms="published")
    with pytest.raises(ValueError, match="population must hold profiles for law='empirical', got none"):
        kf.Splits(kf.Population.from_samples(digits[:200]), 50, law="empirical")
    with pytest.raises(ValueError, match="profiles must be an integer of at least 0, got -1"):
        kf.Population.from_samples(digits, profiles=-1)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("mean", ["known", "estimated"])
def test_the_fixed_point_at_the_rank_without_noise(grouped: bool, mean: str) -> None:
    """With n at the rank the plain iteration takes 1/√t steps: the solution is found down to t = 1e-26 all the same."""
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((40, 5)) * np.exp(0.7 * rng.standard_normal((40, 1)))
    groups = np.arange(40) // 2 if grouped else None
    population = kf.Population.from_samples(rows, profiles=40, groups=groups)
    for n in (5, 6, 10, 12):
        splits = kf.Splits(population, n, law="empirical", mean=mean, population_is="exact")
        noise = np.geomspace(1e-26, 1.0, 27)
        gains = np.array([splits.expectation(splits.denoiser(float(np.sqrt(t)))) for t in noise])
        assert np.all(np.diff(gains, axis=0) < 1e-7)  # falls with the noise
        assert np.all((gains >= 0) & (gains <= 1 + 1e-12))
        if grouped or mean == "estimated":
            continue
        z = np.asarray(population.profiles, dtype=np.float64) ** 2
        for t, gain in zip(noise, gains, strict=True):  # equation (40)
            if t > 1e-8:
                g = (1 - gain) / t
                r = 1 / (1 + z @ g / n)
                np.testing.assert_allclose(g * (t + (z * r[:, None]).mean(axis=0)), 1, rtol=1e-6)


@pytest.mark.parametrize(("modes", "count", "n"), [(16, 60, 40), (12, 40, 30), (6, 150, 50), (12, 18, 9)])
def test_with_the_correction_for_the_sample_covariances_are_possible_and_add_up(modes: int, count: int, n: int) -> None:
    """A quotient of two laws for each number gave correlations up to 73, and sums of pixels 12 % off the total."""
    rng = np.random.default_rng(RNG_SEED)
    splits = kf.Splits(heavy_population(modes, count), n, law="empirical")
    f, g = splits.denoiser(0.3), splits.denoiser(1.0)
    x, y, v = (rng.standard_normal((40, modes)) for _ in range(3))
    of_f, of_g = splits.covariance(f, f, x, v), splits.covariance(g, g, y, v)
    assert of_f.min() > 0
    assert of_g.min() > 0
    for correlation in (
        splits.covariance(f, g, x, v, inputs2=y) / np.sqrt(of_f * of_g),
        splits.covariance(f, f, x, v, inputs2=y) / np.sqrt(of_f * splits.covariance(f, f, y, v)),
        splits.mode_covariance(f, g) / np.sqrt(splits.mode_covariance(f, f) * splits.mode_covariance(g, g)),
    ):
        assert np.abs(correlation).max() <= 1 + 1e-9
    total = splits.disagreement(f, x[:3])
    np.testing.assert_allclose(splits.disagreement(f, x[:3], bands=4).sum(axis=-1), total, rtol=1e-7)
    pixels = [2 / modes * splits.pixel_variance(f, one).sum() for one in x[:3]]
    np.testing.assert_allclose(pixels, total, rtol=1e-7)
    mean = splits.mean_disagreement(f, input_variance=1.0)
    np.testing.assert_allclose(splits.mean_disagreement(f, input_variance=1.0, bands=4).sum(), mean, rtol=1e-7)
    inputs = splits.population.reconstruct(np.eye(modes)) - splits.population.mean
    around = [splits.disagreement(f, splits.population.mean + sign * inputs) for sign in (1, -1)]
    middle = splits.disagreement(f, splits.population.mean[None])[0]
    # without the correction too: single inputs and their mean treat the pairing with the samples' mean differently, by order 1/N
    np.testing.assert_allclose((np.mean(around, axis=0) - middle).sum() + middle, mean, rtol=2e-3)
