"""Scores in closed form against densities, finite differences and sums in extended precision; streamed against whole."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import multivariate_normal

import kappaflow as kf
from kappaflow.models.rows import RowDenoiser
from kappaflow.models.scores import DeltaScore, GaussianScore, MeanScore, MixtureScore, Score

FloatArray = npt.NDArray[np.float64]
D = 7


def population(seed: int, rank: int = D, dimension: int = D) -> kf.Population:
    """A rotated power law with a mean; `rank` of the modes have variance."""
    rng = np.random.default_rng(seed)
    values = 3.0 * np.arange(1, dimension + 1) ** -1.5
    values[rank:] = 0.0
    vectors = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
    return kf.Population.from_covariance((vectors * values) @ vectors.T, rng.standard_normal(dimension))


def covariance(of: kf.Population) -> FloatArray:
    vectors = of.eigenvectors
    assert vectors is not None
    return (vectors * of.eigenvalues) @ vectors.T


def mixture(rank: int = D) -> MixtureScore:
    return MixtureScore([GaussianScore(population(seed, rank)) for seed in (1, 2, 3)], [0.5, 0.2, 0.3])


def dense_mixture_log_density(x: FloatArray, sigma: float, rank: int = D) -> FloatArray:
    """Of :func:`mixture`, from SciPy's densities of full matrices."""
    total = 0.0
    for seed, weight in zip((1, 2, 3), (0.5, 0.2, 0.3), strict=True):
        part = population(seed, rank)
        total = total + weight * multivariate_normal(part.mean, covariance(part) + sigma**2 * np.eye(D)).pdf(x)
    return np.log(total)


def gradient(log_density, x: FloatArray, step: float) -> FloatArray:
    """Central differences of fourth order."""
    columns = []
    for pixel in range(x.shape[1]):
        e = step * np.eye(x.shape[1])[pixel]
        near = log_density(x + e) - log_density(x - e)
        far = log_density(x + 2 * e) - log_density(x - 2 * e)
        columns.append((8 * near - far) / (12 * step))
    return np.stack(columns, axis=1)


def delta_log_density(samples: FloatArray, x: FloatArray, sigma: float) -> FloatArray:
    squares = ((x[:, None] - samples) ** 2).sum(axis=2)
    return np.log(np.exp(-squares / (2 * sigma**2)).mean(axis=1))


SAMPLES = np.random.default_rng(11).standard_normal((40, D))


# --- closed forms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [D, 4])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_gaussian_score_is_the_gradient_of_its_density(rank: int, sigma: float) -> None:
    of = population(0, rank)
    x = of.mean + np.random.default_rng(1).standard_normal((5, D))
    inverse = np.linalg.inv(covariance(of) + sigma**2 * np.eye(D))
    np.testing.assert_allclose(GaussianScore(of).score(x, sigma), (of.mean - x) @ inverse, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(
        GaussianScore(of)(x, sigma), of.mean + (x - of.mean) @ inverse @ covariance(of), rtol=1e-11, atol=1e-12
    )


@pytest.mark.parametrize("rank", [D, 4])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_mixture_score_is_the_gradient_of_its_density(rank: int, sigma: float) -> None:
    score = mixture(rank)
    x = np.random.default_rng(2).standard_normal((6, D)) * 1.5
    np.testing.assert_allclose(
        score.log_density(x, sigma), dense_mixture_log_density(x, sigma, rank), rtol=1e-12, atol=1e-12
    )
    expected = gradient(lambda y: dense_mixture_log_density(y, sigma, rank), x, 1e-2 * sigma)
    np.testing.assert_allclose(score.score(x, sigma), expected, rtol=2e-6, atol=2e-7)
    finer = gradient(lambda y: score.log_density(y, sigma), x, 2e-3)
    assert np.abs(score.score(x, sigma) - finer).max() < 2e-9


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_delta_score_is_the_gradient_of_its_density_and_the_printed_forms_are_not(sigma: float) -> None:
    """Without 1/σ², or with ‖·‖²/σ² instead of ‖·‖²/2σ² in the softmax, it is no score."""
    x = SAMPLES[:4] + sigma * np.random.default_rng(3).standard_normal((4, D))
    expected = gradient(lambda y: delta_log_density(SAMPLES, y, sigma), x, 2e-3 * max(sigma, 0.5))
    found = DeltaScore(SAMPLES).score(x, sigma)
    scale = np.abs(expected).max()
    assert np.abs(found - expected).max() < 1e-8 * scale

    logits = -((x[:, None] - SAMPLES) ** 2).sum(axis=2) / sigma**2
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    printed = weights @ SAMPLES / weights.sum(axis=1, keepdims=True) - x
    assert np.abs(printed / sigma**2 - expected).max() > 1e-3 * scale
    if sigma != 1.0:
        assert np.abs(printed - expected).max() > 0.05 * scale


def test_mixture_without_priors_and_determinants_is_no_score() -> None:
    wide, narrow = population(1), population(2)
    scaled = kf.Population.from_covariance(covariance(narrow) * 1e-3, wide.mean)
    right = MixtureScore([GaussianScore(wide), GaussianScore(scaled)], [0.9, 0.1])
    x, sigma = wide.mean + 0.4 * np.random.default_rng(5).standard_normal((64, D)), 0.3
    answers = np.stack([part(x, sigma) for part in right.components])
    logits = np.stack(
        [
            -0.5
            * np.einsum("bi,ij,bj->b", x - of.mean, np.linalg.inv(covariance(of) + sigma**2 * np.eye(D)), x - of.mean)
            for of in (wide, scaled)
        ]
    )
    weights = np.exp(logits - logits.max(axis=0))
    wrong = np.einsum("kb,kbd->bd", weights / weights.sum(axis=0), answers)
    expected = gradient(lambda y: right.log_density(y, sigma), x, 2e-3)
    squares = ((right.score(x, sigma) - expected) ** 2).sum(axis=1) / (expected**2).sum(axis=1)
    assert squares.max() < 1e-12
    error = (((wrong - x) / sigma**2 - expected) ** 2).sum(axis=1) / (expected**2).sum(axis=1)
    assert error.mean() > 0.1


def test_one_component_is_the_gaussian_and_points_are_deltas() -> None:
    of = population(0, 4)
    x = np.random.default_rng(4).standard_normal((5, D))
    np.testing.assert_allclose(MixtureScore([GaussianScore(of)])(x, 0.4), GaussianScore(of)(x, 0.4), rtol=1e-13)
    points = MixtureScore.fit(SAMPLES[:5], 5)
    np.testing.assert_allclose(points(x, 0.7), DeltaScore(SAMPLES[:5])(x, 0.7), rtol=1e-11, atol=1e-12)


def test_gaussian_at_low_rank_and_with_an_isotropic_rest() -> None:
    of, sigma = population(0), 0.4
    x = np.random.default_rng(4).standard_normal((5, D))
    values = of.eigenvalues.copy()
    values[3:] = values[3:].mean()
    vectors = of.eigenvectors
    assert vectors is not None
    full = (vectors * values) @ vectors.T
    expected = of.mean + (x - of.mean) @ np.linalg.inv(full + sigma**2 * np.eye(D)) @ full
    isotropic = GaussianScore(of, rank=3, residual="isotropic")
    np.testing.assert_allclose(isotropic(x, sigma), expected, rtol=1e-12)
    inside, outside = isotropic.coordinates(x)
    density = multivariate_normal(of.mean, full + sigma**2 * np.eye(D)).logpdf(x) + 0.5 * D * np.log(2 * np.pi)
    np.testing.assert_allclose(isotropic.log_density(inside, outside, np.full((1, 1), sigma**2)), density, rtol=1e-12)
    kept = GaussianScore(of, rank=3)
    np.testing.assert_allclose(
        kept(x, sigma), of.apply(x, np.r_[values[:3], 0, 0, 0, 0] / (np.r_[values[:3], 0, 0, 0, 0] + sigma**2))
    )


@pytest.mark.parametrize("rank", [None, 3])
def test_score_and_weights_hold_at_very_low_noise(rank: int | None) -> None:
    """(D − x)/σ² and differences of squares lose all digits there; the closed forms do not."""
    of = population(0)
    found = GaussianScore(of, rank=rank, residual="isotropic" if rank else "none")
    x, values, vectors = (
        of.mean + np.random.default_rng(21).standard_normal((4, D)),
        of.eigenvalues.copy(),
        of.eigenvectors,
    )
    assert vectors is not None
    if rank:
        values[rank:] = values[rank:].mean()
    inverse = (vectors / (values + 1e-18)) @ vectors.T
    np.testing.assert_allclose(found.score(x, 1e-9), (of.mean - x) @ inverse, rtol=1e-9, atol=1e-9)
    # two flat components in one subspace: what is outside of it is common to both and has no part in the weights
    flat, centre = population(3, 4), np.zeros(D)
    axes = flat.eigenvectors
    assert axes is not None
    parts = [
        GaussianScore(kf.Population(v, np.ones(4), dimension=D, mean=centre, eigenvectors=axes[:, :4].copy()))
        for v in (np.array([4.0, 3.0, 2.0, 1.0]), np.array([2.0, 2.0, 1.0, 1.0]))
    ]
    y = 30 * np.random.default_rng(22).standard_normal((5, 4)) @ axes[:, :4].T
    logs = np.stack([multivariate_normal(centre[:4], np.diag(p.eigenvalues)).logpdf(y @ axes[:, :4]) for p in parts], 1)
    expected = np.exp(logs - logs.max(axis=1, keepdims=True))
    found_weights = MixtureScore(parts).posterior(y, 1e-7)
    np.testing.assert_allclose(found_weights, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)


def test_no_noise_is_the_projection() -> None:
    of = population(0, 4)
    x = np.random.default_rng(6).standard_normal((5, D))
    score = GaussianScore(of)
    vectors = of.eigenvectors
    assert vectors is not None
    np.testing.assert_allclose(
        score.projection(x), of.mean + (x - of.mean) @ vectors[:, :4] @ vectors[:, :4].T, atol=1e-13
    )
    np.testing.assert_allclose(score.projection(x), score(x, 1e-5), atol=1e-4)
    assert np.abs(score.projection(x) - x).max() > 0.1
    np.testing.assert_allclose(GaussianScore(population(0)).projection(x), x, atol=1e-13)


def test_spectrum_without_modes_counts_pixels_as_modes() -> None:
    of = kf.Population.from_spectrum([2.0, 1.0, 0.5])
    x = np.array([[1.0, 2.0, -1.0]])
    np.testing.assert_allclose(GaussianScore(of)(x, 1.0), x * [2 / 3, 1 / 2, 1 / 3])
    np.testing.assert_allclose(GaussianScore(of, rank=2)(x, 1.0), x * [2 / 3, 1 / 2, 0])


@pytest.mark.parametrize("score", [GaussianScore(population(0, 4)), mixture(4), DeltaScore(SAMPLES)], ids=type)
def test_noise_level_by_row_and_jacobians(score: Score) -> None:
    assert isinstance(score, RowDenoiser)
    x, levels = np.random.default_rng(7).standard_normal((4, D)), np.array([0.3, 0.7, 1.5, 4.0])
    together = score(x, levels)
    for place, level in enumerate(levels):
        np.testing.assert_allclose(together[place], score(x[place : place + 1], level)[0], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(score.score(x, levels), (together - x) / levels[:, None] ** 2)
    sigma, step = 0.8, 1e-3
    rows = score.jacobian_rows(x[0], sigma, [0, 3, 6])
    for pixel in range(D):
        e = step * np.eye(D)[pixel]
        near = score((x[0] + e)[None], sigma) - score((x[0] - e)[None], sigma)
        far = score((x[0] + 2 * e)[None], sigma) - score((x[0] - 2 * e)[None], sigma)
        np.testing.assert_allclose(rows[:, pixel], ((8 * near - far) / (12 * step))[0, [0, 3, 6]], atol=5e-11)


def test_far_field_rates() -> None:
    """Squared error of Gaussian against delta over the squared score: σ⁻⁶ with a third cumulant, σ⁻⁸ without, σ⁻⁴ for the mean."""
    rng = np.random.default_rng(8)
    skewed = rng.exponential(size=(60, 3)) - 1.0
    symmetric = np.concatenate([skewed, -skewed])
    levels = np.array([30.0, 60.0])

    def rate(samples: FloatArray, other: type) -> float:
        exact, approximate = DeltaScore(samples), other(kf.Population.from_samples(samples))
        errors = []
        for level in levels:
            x = samples.mean(axis=0) + level * np.random.default_rng(9).standard_normal((4000, 3))
            score = exact.score(x, level)
            gap = ((approximate.score(x, level) - score) ** 2).sum(axis=1)
            errors.append(gap.mean() / (score**2).sum(axis=1).mean())
        return float(np.diff(np.log(errors))[0] / np.log(2))

    assert abs(rate(skewed, GaussianScore) + 6) < 0.1
    assert abs(rate(symmetric, GaussianScore) + 8) < 0.1
    assert abs(rate(skewed, MeanScore) + 4) < 0.1


# --- precision and memory -----------------------------------------------------------------------------------------------


def exact_delta(samples: FloatArray, x: FloatArray, sigma: float) -> FloatArray:
    """From differences, in extended precision."""
    y, rows = samples.astype(np.longdouble), x.astype(np.longdouble)
    answers = []
    for row in rows:
        logits = -((row - y) ** 2).sum(axis=1) / (2 * np.longdouble(sigma) ** 2)
        weights = np.exp(logits - logits.max())
        answers.append(weights @ y / weights.sum())
    return np.array(answers).astype(np.float64)


@pytest.mark.parametrize("sigma", [0.002, 0.01, 0.05, 0.5, 5.0])
def test_softmax_is_exact_where_products_round(sigma: float) -> None:
    """Samples with near ties: twins whose squared distances from x differ by a few σ², far from the origin."""
    rng = np.random.default_rng(10)
    base = 5.0 + rng.standard_normal((50, 300))
    samples = np.concatenate([base, base + 0.15 * sigma * rng.standard_normal(base.shape)])
    x = base[:8] + sigma * rng.standard_normal((8, 300))
    assert np.abs(DeltaScore(samples, block=17)(x, sigma) - exact_delta(samples, x, sigma)).max() < 1e-10


def test_distances_of_single_precision_lose_the_softmax() -> None:
    """At d = 3072 float32 products move logits by more than 1 where σ is 0.01; the score of the same samples is exact."""
    rng = np.random.default_rng(16)
    twins = rng.standard_normal((30, 3072)).astype(np.float32)
    samples = np.concatenate([twins, twins + np.float32(2e-4) * rng.standard_normal((30, 3072), dtype=np.float32)])
    sigma = 0.01
    x = (twins[:10] + sigma * rng.standard_normal((10, 3072))).astype(np.float32)
    products = (x**2).sum(axis=1)[:, None] - 2 * x @ samples.T + (samples**2).sum(axis=1)
    differences = ((x[:, None].astype(np.float64) - samples) ** 2).sum(axis=2)
    moved = np.abs(products - differences).max() / (2 * sigma**2)
    assert 1 < moved < 100
    exact = exact_delta(samples.astype(np.float64), x.astype(np.float64), sigma)
    assert np.abs(DeltaScore(samples)(x, sigma) - exact).max() < 1e-12
    logits = -products.astype(np.float64) / (2 * sigma**2)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    single = weights @ samples / weights.sum(axis=1, keepdims=True)
    assert np.abs(single - exact).max() > 1e-5  # of twins that are 2e-4 apart


def test_blocks_functions_and_memory_maps_give_the_same(tmp_path: Path) -> None:
    whole = np.random.default_rng(12).standard_normal((101, 3, 4))
    np.save(tmp_path / "samples.npy", whole.astype(np.float32))
    mapped = np.load(tmp_path / "samples.npy", mmap_mode="r")
    x = np.random.default_rng(13).standard_normal((6, 12))
    expected = exact_delta(mapped.reshape(101, 12).astype(np.float64), x, 0.9)
    for samples in (mapped, np.asarray(mapped), lambda: iter(np.array_split(mapped, 7))):
        np.testing.assert_allclose(DeltaScore(samples, block=10)(x, 0.9), expected, rtol=1e-12, atol=1e-13)
    many = DeltaScore(mapped).at_levels(x, [0.2, 0.9, 7.0])
    for place, level in enumerate([0.2, 0.9, 7.0]):
        np.testing.assert_allclose(many[place], DeltaScore(mapped)(x, level), rtol=1e-12, atol=1e-13)


def test_fifty_thousand_samples_of_three_thousand_pixels_stream(tmp_path: Path) -> None:
    """614 MB on disk pass in less than 0.4 GiB, and the softmax is that over all."""
    count, dimension = 50_000, 3072
    path = tmp_path / "samples.f32"
    rng = np.random.default_rng(14)
    written = np.memmap(path, dtype=np.float32, mode="w+", shape=(count, dimension))
    for start in range(0, count, 5000):
        written[start : start + 5000] = rng.standard_normal((5000, dimension), dtype=np.float32)
    written.flush()
    samples = np.memmap(path, dtype=np.float32, mode="r", shape=(count, dimension))
    x = np.asarray(samples[[5, 40_001]], dtype=np.float64) + 2.0 * rng.standard_normal((2, dimension))
    sigma = 40.0  # thousands of samples have weight
    tracemalloc.start()
    found = DeltaScore(samples)(x, sigma)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.4 * 2**30
    squares = np.concatenate(
        [((samples[i : i + 1000, None].astype(np.float64) - x) ** 2).sum(axis=2) for i in range(0, count, 1000)]
    )
    logits = -squares / (2 * sigma**2)
    weights = np.exp(logits - logits.max(axis=0))
    weights /= weights.sum(axis=0)
    assert 1 / (weights**2).sum(axis=0).max() > 100
    expected = sum(weights[i : i + 1000].T @ samples[i : i + 1000].astype(np.float64) for i in range(0, count, 1000))
    assert np.abs(found - expected).max() < 1e-10


# --- fitting ------------------------------------------------------------------------------------------------------------


def test_fit_finds_clusters_with_their_moments() -> None:
    rng = np.random.default_rng(15)
    centres = 20.0 * np.eye(D)[:3]
    sizes = (200, 100, 50)
    parts = [
        centre + rng.standard_normal((size, D)) * [3, 1, 1, 1, 1, 1, 0.1]
        for centre, size in zip(centres, sizes, strict=True)
    ]
    found = MixtureScore.fit(np.concatenate(parts), 3, seed=1)
    order = np.argsort(-found.weights)
    np.testing.assert_allclose(found.weights[order], np.array(sizes) / 350)
    for place, part in zip(order, parts, strict=True):
        component = found.components[place]
        np.testing.assert_allclose(component.mean, part.mean(axis=0), atol=1e-12)
        vectors = component.eigenvectors
        assert vectors is not None
        np.testing.assert_allclose((vectors * component.eigenvalues) @ vectors.T, np.cov(part.T, bias=True), atol=1e-10)
    low = MixtureScore.fit(np.concatenate(parts), 3, rank=2, residual="isotropic", seed=1)
    assert all(part.eigenvalues.size == 2 for part in low.components)
    assert all(
        part.eigenvectors is not None and part.eigenvectors.base is None for part in low.components
    )  # no view of all
    np.testing.assert_allclose(
        [part.residual_variance for part in np.array(low.components)[order]],
        [part.eigenvalues[2:].mean() for part in np.array(found.components)[order]],
    )


def test_wrong_input_names_the_argument() -> None:
    of, x = population(0), np.zeros((2, D))
    score = GaussianScore(of)
    with pytest.raises(ValueError, match="sigma must be above 0, where score and posterior exist, got 0"):
        score.score(x, 0.0)
    with pytest.raises(ValueError, match="sigma must be above 0"):
        DeltaScore(SAMPLES)(x, np.array([1.0, -1.0]))
    with pytest.raises(ValueError, match=r"sigma must be one noise level or \(2,\) of them, got shape \(3,\)"):
        mixture()(x, np.ones(3))
    with pytest.raises(ValueError, match=r"x must have shape \(B, 7\), got \(2, 8\)"):
        score(np.zeros((2, 8)), 1.0)
    with pytest.raises(ValueError, match="x must be finite, got nan"):
        score(np.full((1, D), np.nan), 1.0)
    with pytest.raises(ValueError, match="rank must be at most the number of modes, 7, got 8"):
        GaussianScore(of, rank=8)
    with pytest.raises(ValueError, match="residual must be 'none' or 'isotropic', got 'some'"):
        GaussianScore(of, residual="some")
    with pytest.raises(ValueError, match="population must have no multiplicities above 1"):
        GaussianScore(kf.Population.from_spectrum([1.0], [5]))
    with pytest.raises(ValueError, match="components must be at most the number of samples, 40, got 41"):
        MixtureScore.fit(SAMPLES, 41)
    with pytest.raises(ValueError, match=r"components: 3 of 4 clusters are empty after k-means"):
        MixtureScore.fit(np.ones((20, D)), 4)
    with pytest.raises(ValueError, match=r"samples\[0:\] must be finite, got nan at index \(1, 2\)"):
        MixtureScore.fit(np.where(np.arange(140).reshape(20, D) == 9, np.nan, 1.0), 2)
    with pytest.raises(ValueError, match="components must hold at least one Gaussian"):
        MixtureScore([])
    with pytest.raises(ValueError, match=r"weights must be \(1,\) numbers above 0"):
        MixtureScore([score], [0.0])
    with pytest.raises(ValueError, match="components must share one dimension"):
        MixtureScore([score, GaussianScore(population(0, 3, 3))])
    with pytest.raises(ValueError, match="samples must hold at least one sample, got none"):
        DeltaScore(lambda: iter([]))
    with pytest.raises(ValueError, match=r"samples must be \(N, \.\.\.\) with at least one sample"):
        DeltaScore(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="sigmas must be one-dimensional"):
        DeltaScore(SAMPLES).at_levels(x, 1.0)
    with pytest.raises(ValueError, match="pixels must be below 7, got 7"):
        score.jacobian_rows(np.zeros(D), 1.0, [7])
    with pytest.raises(ValueError, match="x must be one row of 7 pixels for a Jacobian"):
        score.jacobian_rows(x, 1.0, [0])


def test_no_rows_give_no_answers_and_no_levels_an_error() -> None:
    """An empty batch is an empty answer, at one noise level or at none of its own."""
    samples = np.random.default_rng(0).standard_normal((9, D))
    empty, none = np.empty((0, D)), np.empty(0)
    for score in (MeanScore(population(1)), GaussianScore(population(1, rank=3)), mixture(), DeltaScore(samples)):
        for sigma in (0.5, none):
            assert score(empty, sigma).shape == (0, D)
            assert score.score(empty, sigma).shape == (0, D)
    assert DeltaScore(samples).at_levels(empty, [0.5, 1.0]).shape == (2, 0, D)
    with pytest.raises(ValueError, match=r"sigmas must be one-dimensional and not empty, got shape \(0,\)"):
        DeltaScore(samples).at_levels(samples, [])
