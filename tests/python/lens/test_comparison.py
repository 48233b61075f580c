"""Fractions of squared error and held-out losses against traces, direct loops and repetition over seeds; networks as rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import kappaflow as kf
from kappaflow.lens.scores import Fraction, fraction_of_squared_error, held_out_loss, sigma_grid
from kappaflow.lens.teleport import jump
from kappaflow.models.rows import RowDenoiser, evaluate_rows
from kappaflow.models.scores import DeltaScore, GaussianScore, MeanScore, MixtureScore

FloatArray = npt.NDArray[np.float64]
D = 6
NAMES = ("score_mean_of_ratios", "score_ratio_of_means", "denoiser_mean_of_ratios", "denoiser_ratio_of_means")


def population(seed: int, rank: int = D) -> kf.Population:
    """A rotated power law with a mean; `rank` of the modes have variance."""
    rng = np.random.default_rng(seed)
    values = 2.0 * np.arange(1, D + 1) ** -1.5
    values[rank:] = 0.0
    vectors = np.linalg.qr(rng.standard_normal((D, D)))[0]
    return kf.Population.from_covariance((vectors * values) @ vectors.T, 0.5 * rng.standard_normal(D))


def dense(of: kf.Population) -> FloatArray:
    vectors = of.eigenvectors
    assert vectors is not None
    return (vectors * of.eigenvalues) @ vectors.T


def draw(of: kf.Population, count: int, seed: int) -> FloatArray:
    root = np.linalg.cholesky(dense(of) + 1e-14 * np.eye(D))
    return of.mean + np.random.default_rng(seed).standard_normal((count, D)) @ root.T


def affine(of: kf.Population, sigma: float) -> tuple[FloatArray, FloatArray]:
    """Matrix A and offset b of D(x; σ) = Ax + b."""
    gain = dense(of) @ np.linalg.inv(dense(of) + sigma**2 * np.eye(D))
    return gain, of.mean - gain @ of.mean


def second_moment(matrix: FloatArray, offset: FloatArray, mean: FloatArray, covariance: FloatArray) -> float:
    """E‖Mx + b‖² of Gaussian x."""
    return float(np.trace(matrix @ covariance @ matrix.T) + ((matrix @ mean + offset) ** 2).sum())


def expected(one: kf.Population, other: kf.Population, sigma: float, mean: FloatArray, covariance: FloatArray) -> Any:
    """Ratios of means of scores and of denoisers, from traces."""
    (a, b), (c, e) = affine(one, sigma), affine(other, sigma)
    gap = second_moment(a - c, b - e, mean, covariance)
    return gap / second_moment(a - np.eye(D), b, mean, covariance), gap / second_moment(a, b, mean, covariance)


LEVELS = np.array([0.2, 1.0, 5.0])
REPETITIONS, COUNT = 120, 200


@pytest.mark.parametrize("law", ["data", "noise"])
@pytest.mark.parametrize("rank", [D, 3])
def test_ratio_of_means_of_gaussians_is_that_of_traces_and_errors_are_those_of_repetition(law: str, rank: int) -> None:
    one, other = population(1, rank), population(2)
    pool = draw(one, 60_000, 3)
    found = [
        fraction_of_squared_error(
            GaussianScore(one), {"other": GaussianScore(other)}, pool, LEVELS, law=law, count=COUNT, seed=seed
        )["other"]
        for seed in range(REPETITIONS)
    ]
    of_pool, mean = np.cov(pool.T, bias=True), pool.mean(axis=0)
    for place, level in enumerate(LEVELS):
        noise = level**2 * np.eye(D)
        moments = (mean, of_pool + noise) if law == "data" else (np.zeros(D), noise)
        for kind, value in zip(("score", "denoiser"), expected(one, other, level, *moments), strict=True):
            name = f"{kind}_ratio_of_means"
            values = np.array([getattr(each, name)[place] for each in found])
            # the bias of a ratio of means of 200 is second order: a fraction of one standard error of one repetition
            assert abs(values.mean() - value) < 3.5 * values.std() / np.sqrt(REPETITIONS) + 0.1 * values.std()
    for name in NAMES:
        spread = np.std([getattr(each, name) for each in found], axis=0, ddof=1)
        said = np.sqrt(np.mean([each.errors[name] ** 2 for each in found], axis=0))
        # 120 repetitions tell a standard deviation to 6.5 %; heavy tails of a mean of ratios add to it
        np.testing.assert_allclose(said, spread, rtol=0.25, err_msg=name)


def test_every_figure_is_that_of_a_direct_loop() -> None:
    rng = np.random.default_rng(4)
    samples, level, count = rng.exponential(size=(50, D)), 0.7, 30
    exact, approximation = DeltaScore(samples), GaussianScore(kf.Population.from_samples(samples))
    found = fraction_of_squared_error(exact, {"Gaussian": approximation}, samples, [level], count=count, seed=9)
    one = found["Gaussian"]

    same = np.random.default_rng(9)
    chosen = np.sort(same.choice(50, count, replace=False))
    assert np.unique(chosen).size == count
    x = samples[chosen] + level * same.standard_normal((count, D))
    scores, denoised = [], []
    for row in x:
        right, wrong = exact(row[None], level)[0], approximation(row[None], level)[0]
        s, t = (right - row) / level**2, (wrong - row) / level**2
        scores.append((np.sum((s - t) ** 2), np.sum(s**2)))
        denoised.append((np.sum((right - wrong) ** 2), np.sum(right**2)))
    for kind, pairs in (("score", np.array(scores)), ("denoiser", np.array(denoised))):
        ratios = pairs[:, 0] / pairs[:, 1]
        np.testing.assert_allclose(getattr(one, f"{kind}_mean_of_ratios"), ratios.mean(), rtol=1e-11)
        np.testing.assert_allclose(
            getattr(one, f"{kind}_ratio_of_means"), pairs[:, 0].sum() / pairs[:, 1].sum(), rtol=1e-11
        )
        np.testing.assert_allclose(
            one.errors[f"{kind}_mean_of_ratios"], np.std(ratios, ddof=1) / np.sqrt(count), rtol=1e-11
        )


def test_one_fraction_has_many_values_by_law_of_x_by_mean_and_by_what_is_compared() -> None:
    """The same two scores at the same noise level: unless all three are said, a figure says little."""
    rng = np.random.default_rng(5)
    samples = np.concatenate([rng.standard_normal((300, D)) * 0.3 + 2, rng.standard_normal((100, D)) * 0.8 - 1])
    mixture = MixtureScore.fit(samples, 2, seed=0)
    gaussian = {"Gaussian": GaussianScore(kf.Population.from_samples(samples))}

    def at(law: str) -> Fraction:
        return fraction_of_squared_error(mixture, gaussian, samples, [0.5, 3.0], law=law, count=4000)["Gaussian"]

    data, noise = at("data"), at("noise")
    values = [getattr(each, name)[0] for each in (data, noise) for name in NAMES]
    errors = [each.errors[name][0] for each in (data, noise) for name in NAMES]
    for i in range(8):
        for j in range(i):
            assert abs(values[i] - values[j]) > 4 * np.hypot(errors[i], errors[j]), (i, j)
    assert np.all(data.score_mean_of_ratios[1] < 0.2 * data.denoiser_mean_of_ratios[1])  # scores are mostly noise there


def test_score_and_denoiser_share_their_numerator() -> None:
    """σ⁴ ‖s − sₐ‖² = ‖D − Dₐ‖²: the two ratios of means differ by E‖D − x‖²/E‖D‖² alone."""
    one, other, samples = population(1), population(2), draw(population(1), 500, 6)
    found = fraction_of_squared_error(GaussianScore(one), {"b": GaussianScore(other)}, samples, LEVELS, count=500)["b"]
    rng = np.random.default_rng(0)
    rows = samples[np.sort(rng.choice(500, 500, replace=False))]
    noise = rng.standard_normal(rows.shape)
    for place, level in enumerate(LEVELS):
        x = rows + level * noise
        denoised, score = GaussianScore(one)(x, level), GaussianScore(one).score(x, level)
        quotient = (denoised**2).sum() / (level**4 * (score**2).sum())
        np.testing.assert_allclose(
            found.score_ratio_of_means[place], found.denoiser_ratio_of_means[place] * quotient, rtol=1e-11
        )


@pytest.mark.parametrize("rank", [D, 3])
def test_trajectory_visits_the_exact_flow_and_its_fraction_is_that_of_traces(rank: int) -> None:
    """States miss the exact flow by Heun's error, which falls as the square of the steps."""
    one, other = population(1, rank), population(2)
    levels, top = np.array([2.0, 0.05, 80.0, 0.4]), 80.0
    met: dict[float, FloatArray] = {}

    def spy(x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        met[float(np.asarray(sigma))] = np.array(x)
        return GaussianScore(other)(x, sigma)

    rng = np.random.default_rng(2)
    rng.choice(300, 300, replace=False)
    noise = top * rng.standard_normal((300, D))
    missed = []
    for steps in (100, 200, 400):
        met.clear()
        found = fraction_of_squared_error(
            GaussianScore(one),
            {"b": spy},
            draw(one, 300, 7),
            levels,
            law="trajectory",
            count=300,
            steps=steps,
            seed=2,
            sigma_max=top,
        )["b"]
        assert set(met) == set(levels.tolist())
        np.testing.assert_array_equal(met[top], noise)
        missed.append([np.abs(met[at] - jump(one, noise, at, sigma_max=top)).max() for at in (0.05, 0.4, 2.0)])
    orders = np.log2(np.array(missed)[:-1] / np.array(missed)[1:])
    np.testing.assert_allclose(orders, 2.0, atol=0.1)
    assert np.max(missed[-1]) < 3e-4
    np.testing.assert_array_equal(found.sigmas, np.sort(levels))
    values = one.eigenvalues
    vectors = one.eigenvectors
    assert vectors is not None
    for place, level in enumerate(found.sigmas):
        gain = (vectors * np.sqrt((values + level**2) / (values + top**2))) @ vectors.T
        mean = one.mean - gain @ one.mean
        score, denoiser = expected(one, other, level, mean, top**2 * gain @ gain.T)
        assert abs(found.score_ratio_of_means[place] - score) < 4 * found.errors["score_ratio_of_means"][place]
        assert abs(found.denoiser_ratio_of_means[place] - denoiser) < 4 * found.errors["denoiser_ratio_of_means"][place]


@pytest.mark.parametrize("law", ["data", "noise", "trajectory"])
def test_levels_in_any_order_and_twice_give_sorted_results(law: str) -> None:
    one, samples = population(1), draw(population(1), 40, 8)
    approximations = {"mean": MeanScore(one), "other": GaussianScore(population(2))}

    def at(levels: list[float]) -> dict[str, Fraction]:
        return fraction_of_squared_error(GaussianScore(one), approximations, samples, levels, law=law, count=30)

    ordered, mixed, twice = at([0.1, 0.5, 3.0]), at([0.5, 3.0, 0.1]), at([3.0, 0.1, 3.0, 0.5, 0.1])
    for name in approximations:
        assert mixed[name].sigmas.tolist() == [0.1, 0.5, 3.0]
        assert twice[name].sigmas.tolist() == [0.1, 0.1, 0.5, 3.0, 3.0]
        for kind in NAMES:
            value = getattr(ordered[name], kind)
            np.testing.assert_array_equal(getattr(mixed[name], kind), value)
            np.testing.assert_array_equal(getattr(twice[name], kind), value[[0, 0, 1, 2, 2]])
            np.testing.assert_array_equal(twice[name].errors[kind], ordered[name].errors[kind][[0, 0, 1, 2, 2]])
        assert len(set(value.tolist())) == 3


def test_loss_of_a_linear_denoiser_is_its_closed_form() -> None:
    """E‖A(x₀ + σz) + b − x₀‖²/d = (tr(A−1)C(A−1)ᵀ + σ² tr AAᵀ + ‖(A−1)μ + b‖²)/d of samples of mean μ and covariance C."""
    one, other = population(1, 3), population(2)
    pool = draw(one, 20_000, 9)
    found = held_out_loss({"own": GaussianScore(one), "other": GaussianScore(other)}, pool, LEVELS[::-1], count=20_000)
    for name, of in (("own", one), ("other", other)):
        np.testing.assert_array_equal(found[name].sigmas, LEVELS)
        for place, level in enumerate(LEVELS):
            a, b = affine(of, level)
            value = second_moment(a - np.eye(D), b, pool.mean(axis=0), np.cov(pool.T, bias=True))
            value = (value + level**2 * np.trace(a @ a.T)) / D
            assert abs(found[name].loss[place] - value) < 3.5 * found[name].error[place]
            assert found[name].error[place] < 0.02 * value
    values = one.eigenvalues
    for place, level in enumerate(LEVELS):
        optimal = float((values * level**2 / (values + level**2)).sum()) / D
        assert abs(found["own"].loss[place] - optimal) < 0.05 * optimal
    repeated = [held_out_loss({"own": GaussianScore(one)}, pool, LEVELS, count=100, seed=s)["own"] for s in range(150)]
    said = np.sqrt(np.mean([each.error**2 for each in repeated], axis=0))
    np.testing.assert_allclose(said, np.std([each.loss for each in repeated], axis=0, ddof=1), rtol=0.2)


def test_ratio_of_losses_of_pairs_has_the_error_of_repetition() -> None:
    """Of two denoisers that differ little, far surer than either loss."""
    one, pool = population(1), draw(population(1), 20_000, 9)
    near = kf.Population.from_covariance(1.2 * dense(one), one.mean)
    repeated = [
        held_out_loss({"own": GaussianScore(one), "near": GaussianScore(near)}, pool, [0.5, 2.0], count=100, seed=seed)
        for seed in range(150)
    ]
    ratios = [each["near"].over(each["own"]) for each in repeated]
    spread = np.std([each.ratio for each in ratios], axis=0, ddof=1)
    np.testing.assert_allclose(np.sqrt(np.mean([each.error**2 for each in ratios], axis=0)), spread, rtol=0.2)
    assert np.all(spread < 0.3 * repeated[0]["own"].error / repeated[0]["own"].loss)
    for name, each in repeated[0].items():
        np.testing.assert_allclose(each.each.mean(axis=1), each.loss, err_msg=name)
    with pytest.raises(ValueError, match=r"other must have losses of the same samples \(1, 5\) at the same"):
        held_out_loss({"a": GaussianScore(one)}, pool, [1.0], count=5)["a"].over(repeated[0]["own"])
    elsewhere = held_out_loss({"a": GaussianScore(one)}, pool, [0.7, 2.0], count=100)["a"]
    with pytest.raises(ValueError, match="at the same noise levels"):
        elsewhere.over(repeated[0]["own"])


def test_complex_answers_are_refused() -> None:
    pool = draw(population(1), 50, 9)
    with pytest.raises(TypeError, match="denoiser must return real numbers, got dtype complex128"):
        held_out_loss({"a": lambda x, sigma: x * (0.5 + 0.5j)}, pool, [1.0], count=5)


def test_memorising_score_wins_on_its_own_samples_and_loses_on_others() -> None:
    of = population(1)
    own, others = draw(of, 100, 10), draw(of, 1000, 11)
    scores: dict[str, RowDenoiser] = {
        "delta": DeltaScore(own),
        "Gaussian": GaussianScore(kf.Population.from_samples(own)),
    }
    on_own = held_out_loss(scores, own, [0.05], count=100)
    on_others = held_out_loss(scores, others, [0.05], count=1000)
    assert on_own["delta"].loss[0] < 0.01 * on_own["Gaussian"].loss[0]
    assert on_others["delta"].loss[0] > 10 * on_others["Gaussian"].loss[0]


def test_more_x_than_samples_are_drawn_with_replacement() -> None:
    one, samples = population(1), draw(population(1), 3, 12).round(3)
    seen: list[FloatArray] = []

    def spy(x: FloatArray, sigma: float | FloatArray) -> FloatArray:
        seen.append(np.array(x))
        return GaussianScore(one)(x, sigma)

    found = fraction_of_squared_error(spy, {"mean": MeanScore(one)}, samples, [1e-9], count=2500)
    assert [len(x) for x in seen] == [1024, 1024, 452]  # batches
    met = np.unique(np.concatenate(seen).round(6), axis=0)
    np.testing.assert_array_equal(met, np.unique(samples, axis=0))
    assert np.isfinite(found["mean"].score_mean_of_ratios).all()
    assert held_out_loss({"mean": MeanScore(one)}, samples, [1.0], count=50)["mean"].loss.shape == (1,)


def test_a_denoiser_that_is_zero_has_no_finite_fraction_and_no_warning() -> None:
    zero = MeanScore(kf.Population.from_spectrum(np.ones(D)))
    samples = draw(population(1), 30, 13)
    found = fraction_of_squared_error(
        zero, {"same": zero, "other": GaussianScore(population(1))}, samples, [1.0], count=20
    )
    assert np.isnan(found["same"].denoiser_mean_of_ratios[0])
    assert found["same"].score_mean_of_ratios[0] == 0
    assert np.isinf(found["other"].denoiser_ratio_of_means[0])


def test_progress_counts_up_to_one() -> None:
    one, told = population(1), list[float]()
    for law in ("data", "noise", "trajectory"):
        told.clear()
        fraction_of_squared_error(
            GaussianScore(one), {}, draw(one, 9, 14), [0.1, 1.0], law=law, count=4, progress=told.append
        )
        assert told == [0.5, 1.0]
    told.clear()
    held_out_loss({"a": GaussianScore(one)}, draw(one, 9, 14), [0.1, 1.0, 2.0, 3.0], count=4, progress=told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_wrong_input_names_the_argument() -> None:
    one, samples = GaussianScore(population(1)), draw(population(1), 9, 15)

    def compare(denoiser: RowDenoiser = one, data: object = samples, sigmas: object = (1.0,), **options: Any) -> None:
        fraction_of_squared_error(denoiser, {"a": one}, data, sigmas, **{"count": 4, **options})

    with pytest.raises(ValueError, match="law must be one of 'data', 'noise', 'trajectory', got 'all'"):
        compare(law="all")
    for levels in ([], [0.0, 1.0], [[1.0]], -1.0):
        with pytest.raises(ValueError, match="sigmas must be one or more noise levels above 0, got"):
            compare(sigmas=levels)
        with pytest.raises(ValueError, match="sigmas must be one or more noise levels above 0, got"):
            held_out_loss({"a": one}, samples, levels)
    with pytest.raises(ValueError, match="sigmas must be finite, got nan"):
        compare(sigmas=[np.nan])
    with pytest.raises(ValueError, match=r"sigmas must be at most sigma_max = 80.0 on the trajectory, got 81.0"):
        compare(sigmas=[81.0], law="trajectory")
    with pytest.raises(ValueError, match=r"sigma_max must be finite and above 0, got -1\.0"):
        compare(sigma_max=-1.0)
    with pytest.raises(ValueError, match="steps must be an integer of at least 2, got 1"):
        compare(steps=1)
    with pytest.raises(TypeError, match=r"count must be an integer of at least 2, got 4\.0"):
        compare(count=4.0)
    with pytest.raises(ValueError, match="count must be an integer of at least 2, got 1"):
        held_out_loss({"a": one}, samples, [1.0], count=1)
    with pytest.raises(ValueError, match=r"samples must be \(N, \.\.\.\) with at least one sample, got shape \(6,\)"):
        compare(data=np.zeros(6))
    with pytest.raises(ValueError, match=r"samples must be \(N, \.\.\.\) with at least one sample, got shape \(0, 6\)"):
        held_out_loss({"a": one}, np.zeros((0, 6)), [1.0])
    with pytest.raises(ValueError, match="samples must be finite, got inf"):
        compare(data=np.full((9, D), np.inf))
    with pytest.raises(ValueError, match=r"x must have shape \(B, 6\), got \(4, 5\)"):
        compare(data=np.zeros((9, 5)))
    with pytest.raises(ValueError, match=r"denoiser must return the shape of its input \(4, 6\), got \(4, 5\)"):
        compare(lambda x, sigma: x[:, 1:])
    with pytest.raises(ValueError, match=r"denoiser must be finite, got NaN or infinity at noise level 0\.5"):
        evaluate_rows(lambda x, sigma: x * np.nan, samples, 0.5)
    with pytest.raises(ValueError, match=r"sigma_min must be below sigma_max = 1\.0, got 1\.0"):
        sigma_grid(1.0, 1.0)
    with pytest.raises(ValueError, match="count must be an integer of at least 2, got 1"):
        sigma_grid(count=1)
    np.testing.assert_allclose(np.diff(np.log(sigma_grid(0.1, 10.0, 5))), np.log(100) / 4)


# --- networks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected_shape"), [((2, 5), (1, 2, 5)), ((2, 5, 3), (3, 2, 5)), ((3, 2, 5), (3, 2, 5)), ((7,), (7,))]
)
def test_networks_of_tensors_answer_as_the_rows_that_they_are(
    shape: tuple[int, ...], expected_shape: tuple[int, ...]
) -> None:
    """A denoiser of tensors whose answer depends on channel, place and noise level, against the same in rows."""
    torch = pytest.importorskip("torch")
    from kappaflow.models.layout import rows_denoiser

    size = int(np.prod(shape))
    last = len(shape) == 3 and shape[2] == 3
    weights = np.random.default_rng(16).standard_normal(shape)
    first = np.moveaxis(weights, -1, 0) if last else weights
    seen = []

    def network(x: Any, sigma: Any) -> Any:
        seen.append((tuple(x.shape), x.dtype, tuple(sigma.shape)))
        assert not torch.is_grad_enabled()
        scale = torch.as_tensor(first.reshape(expected_shape), dtype=x.dtype)
        return x * scale / (1 + sigma.reshape(-1, *[1] * len(expected_shape)) ** 2)

    x = np.random.default_rng(17).standard_normal((4, size))
    levels = np.array([0.1, 1.0, 2.0, 30.0])
    rows = rows_denoiser(network, shape)
    assert isinstance(rows, RowDenoiser)
    for sigma in (0.7, levels):
        right = x * weights.reshape(-1) / (1 + np.broadcast_to(sigma, 4)[:, None] ** 2)
        found = rows(x, sigma)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, right, rtol=1e-14)
    assert seen == [((4, *expected_shape), torch.float64, (4,))] * 2
    single = rows_denoiser(network, shape, dtype=torch.float32)
    np.testing.assert_allclose(single(x, levels), rows(x, levels), rtol=1e-6)
    assert seen[2][1] == torch.float32
    assert fraction_of_squared_error(single, {"double": rows}, x, [0.5], count=3)["double"].score_ratio_of_means < 1e-12
