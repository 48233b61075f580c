"""Theory against simulation: no true prediction misses, and every wrong theory does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kappaflow as kf

pytest.importorskip("torch")

from kappaflow.bands import default_bands
from kappaflow.maps import Map
from kappaflow.provenance import Provenance
from kappaflow.sampling import initial_noise
from kappaflow.validation.linear.comparisons import compare
from kappaflow.validation.linear.draws import DisjointSets, GaussianSets, Pool, ResampledSets, collect_pool
from kappaflow.validation.linear.experiment import validate_linear
from kappaflow.validation.linear.quantities import QUANTITIES, Subject
from kappaflow.validation.linear.results import Validation
from kappaflow.validation.linear.simulation import simulate
from kappaflow.validation.linear.statistics import Design, Statistics, spaced_modes
from kappaflow.validation.metrics import Agreement


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def rotated(spectrum: np.ndarray, shape: tuple[int, ...]) -> kf.Population:
    """A population whose modes are not its pixels."""
    basis = np.linalg.qr(rng(0).standard_normal((spectrum.size, spectrum.size)))[0]
    return kf.Population.from_covariance(
        (basis * spectrum) @ basis.T, rng(1).standard_normal(spectrum.size), shape=shape
    )


def misses(found: Validation, law: str) -> list[str]:
    return [
        f"{c.quantity} {c.label} n = {c.n}: {c.agreement.sentence()}"
        for c in found.comparisons
        if c.law == law and c.agreement.outcome == "misses"
    ]


# ---------------------------------------------------------------- true theory
def check_gaussian(draws: int, inputs: int, mean: str, sizes: list[int]) -> None:
    population = rotated(np.arange(1, 257.0) ** -1.2, (16, 16))
    found = validate_linear(
        GaussianSets(population), sizes, draws=draws, inputs=inputs, steps=(18,), mean=mean, seed=1, laws=["gaussian"]
    )
    assert {c.quantity for c in found.comparisons} == set(QUANTITIES)
    assert len(found.comparisons) == len(sizes) * (1 + 7 * 4 + 1)
    assert misses(found, "gaussian") == []


def test_no_gaussian_prediction_misses() -> None:
    """Fewer samples than modes, as many, and more; seeds, pixels and the covariance along trajectories among them."""
    check_gaussian(200, 4, "estimated", [64, 256, 1024])


def test_no_gaussian_prediction_misses_with_known_mean() -> None:
    check_gaussian(100, 3, "known", [64, 300])


@pytest.mark.slow
@pytest.mark.parametrize("mean", ["estimated", "known"])
def test_no_gaussian_prediction_misses_at_full_size(mean: str) -> None:
    check_gaussian(2000, 16, mean, [64, 256, 1024])


# ---------------------------------------------------------------- wrong theories
S = np.arange(1, 65.0) ** -1.2
POPULATION = rotated(S, (8, 8))
BANDS = tuple(default_bands(64))
HIGH = Map.denoiser(3.0)
MAPS = (Map.sampling(), Map.sampling(1.0), Map.denoiser(0.1), HIGH)
X = rng(2).standard_normal((6, 64))
INPUTS = {q.key: POPULATION.mean + (q.sigma_max if q.kind == "sampling_map" else 1.0) * X for q in MAPS}


def simulated(n: int, mean: str = "estimated", **changes: Any) -> tuple[Design, Statistics]:
    options: dict[str, Any] = {
        "groups": 40,
        "group_size": 25,
        "maps": MAPS,
        "inputs": {key: POPULATION.coordinates(value) for key, value in INPUTS.items()},
        "spread": {q.key: S + q.sigma**2 if q.kind == "denoiser" else q.sigma_max**2 for q in MAPS},
        "pairs": ((0, 1),),
        "noise_variances": tuple(np.geomspace(1e-5, 6400, 9)),
        "pair_modes": spaced_modes(64, 16),
        "seed": 5,
    }
    design = Design(n=n, mean=mean, **(options | changes))
    return design, simulate(design, GaussianSets(POPULATION))


@pytest.fixture(scope="module")
def hundred() -> tuple[Design, Statistics]:
    """1000 training sets of 100 samples in 64 dimensions, mean estimated."""
    return simulated(100)


def judged(run: tuple[Design, Statistics], quantity: str, map_: Map, splits: kf.Splits) -> Agreement:
    design, statistics = run
    second = Map.sampling(1.0, map_.sigma_max) if QUANTITIES[quantity].covers == "pair" else None
    subject = Subject(design, INPUTS[map_.key], BANDS, map_, second)
    return compare(statistics, design, QUANTITIES[quantity], subject, splits).agreement


def outcome(run: tuple[Design, Statistics], quantity: str, map_: Map, splits: kf.Splits) -> str:
    return judged(run, quantity, map_, splits).outcome


def test_the_true_theory_is_not_flagged(hundred: tuple[Design, Statistics]) -> None:
    splits = kf.Splits(POPULATION, 100)
    found = {
        (name, q.key): judged(hundred, name, q, splits)
        for name, quantity in QUANTITIES.items()
        for q in (MAPS if quantity.covers == "map" else MAPS[:1])
    }
    assert [key for key, result in found.items() if result.outcome == "misses"] == []
    assert max(abs(result.ratio - 1) for result in found.values()) < 0.03


@pytest.mark.parametrize("map_", MAPS, ids=lambda q: q.key)
def test_a_missing_exchange_term_is_flagged(hundred: tuple[Design, Statistics], map_: Map) -> None:
    published = kf.Splits(POPULATION, 100, terms="published")
    equal = judged(hundred, "equal_mode_variance", map_, published)
    assert equal.outcome == "misses"
    assert equal.ratio == pytest.approx(2, rel=0.05)
    assert outcome(hundred, "mode_variance", map_, published) == "misses"


def test_a_missing_mean_term_is_flagged(hundred: tuple[Design, Statistics]) -> None:
    """99 or 100 degrees of freedom hardly differ; at high noise it is the mean that differs between models."""
    known = kf.Splits(POPULATION, 100, mean="known")
    for name in ("seeds", "bands", "mode_disagreement", "pixels"):
        found = judged(hundred, name, HIGH, known)
        assert found.outcome == "misses"
        assert found.ratio > 1.5
    assert outcome(hundred, "seeds", HIGH, kf.Splits(POPULATION, 100)) == "agrees"


def test_a_mean_term_too_many_is_flagged() -> None:
    run = simulated(100, "known", groups=20, group_size=10)
    assert outcome(run, "seeds", HIGH, kf.Splits(POPULATION, 100, mean="known")) != "misses"
    assert outcome(run, "seeds", HIGH, kf.Splits(POPULATION, 100)) == "misses"


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("n", [50, 91, 110, 200])
def test_a_wrong_number_of_samples_is_flagged(hundred: tuple[Design, Statistics], quantity: str, n: int) -> None:
    assert outcome(hundred, quantity, MAPS[0], kf.Splits(POPULATION, n)) == "misses"


def test_wrong_degrees_of_freedom_are_flagged() -> None:
    """With twelve samples, eleven degrees of freedom are not twelve: nine per cent of κ, more than the allowance."""
    run = simulated(12, groups=40, group_size=50)
    true, wrong = kf.Splits(POPULATION, 12), kf.Splits(POPULATION, 12, mean="known")
    for name, map_ in (("kappa", MAPS[0]), ("gains", MAPS[2])):
        assert outcome(run, name, map_, true) != "misses"
        assert outcome(run, name, map_, wrong) == "misses"


def test_a_missing_order_of_the_expectation_shows() -> None:
    """The limit of many samples alone is off by no more than the allowance, and the verdict says so."""
    run = simulated(30, groups=40, group_size=100)
    limit = kf.Splits(POPULATION, 30, terms="published")  # without the term of order 1/m
    assert outcome(run, "gains", MAPS[2], kf.Splits(POPULATION, 30)) == "agrees"
    assert outcome(run, "gains", MAPS[2], limit) == "limit"
    assert outcome(run, "kappa", MAPS[0], kf.Splits(POPULATION, 30)) == "agrees"
    assert outcome(run, "kappa", MAPS[0], limit) == "limit"


@pytest.mark.parametrize("top", [40.0, 72.0])
def test_a_wrong_sigma_max_is_flagged(hundred: tuple[Design, Statistics], top: float) -> None:
    splits = kf.Splits(POPULATION, 100)
    for name in ("gains", "mode_variance", "equal_mode_variance", "seeds", "bands", "pixels", "trajectory"):
        design, statistics = hundred
        second = Map.sampling(1.0, top) if name == "trajectory" else None
        subject = Subject(design, INPUTS["map_0"], BANDS, Map.sampling(0.0, top), second)
        assert compare(statistics, design, QUANTITIES[name], subject, splits).agreement.outcome == "misses"


@pytest.mark.parametrize("power", [-1.1, -1.3])
def test_another_spectrum_is_flagged(hundred: tuple[Design, Statistics], power: float) -> None:
    spectrum = np.arange(1, 65.0) ** power
    other = kf.Population(
        spectrum * S.sum() / spectrum.sum(),
        np.ones(64),
        dimension=64,
        mean=POPULATION.mean.copy(),
        eigenvectors=POPULATION.eigenvectors.copy(),
        shape=(8, 8),
    )
    for name in ("kappa", "gains", "mode_variance", "equal_mode_variance", "seeds", "bands", "pixels", "trajectory"):
        assert outcome(hundred, name, MAPS[0], kf.Splits(other, 100)) == "misses"


def test_other_modes_are_flagged_where_they_show(hundred: tuple[Design, Statistics]) -> None:
    """The right spectrum with the pixels in another order: only what is about pixels or given inputs can tell."""
    order = rng(3).permutation(64)
    other = kf.Population(
        S.copy(),
        np.ones(64),
        dimension=64,
        mean=POPULATION.mean[order],
        shape=(8, 8),
        eigenvectors=POPULATION.eigenvectors[order],
    )
    splits = kf.Splits(other, 100)
    assert outcome(hundred, "pixels", MAPS[0], splits) == "misses"
    assert outcome(hundred, "trajectory", MAPS[0], splits) == "misses"
    assert outcome(hundred, "mode_variance", MAPS[0], splits) == "agrees"


# ---------------------------------------------------------------- real data
def digits() -> Pool:
    images = pytest.importorskip("sklearn.datasets").load_digits().data / 8 - 1
    return collect_pool(
        [images], shape=(8, 8), count=None, most_bytes=10**7, provenance=Provenance("digits in [-1, 1]")
    )


@pytest.fixture(scope="module")
def resampled() -> Validation:
    return validate_linear(
        ResampledSets(digits()), [40, 200], draws=400, inputs=4, steps=(18, 35), seed=3, source="digits", component=1
    )


def test_resampled_digits_are_not_gaussian(resampled: Validation) -> None:
    for law, factor in (("gaussian", 1.2), ("published", 2.0)):
        for n in (40, 200):
            found = resampled.find("equal_mode_variance", law, n, "denoiser_0.1")
            assert found is not None
            assert found.agreement.outcome == "misses"
            assert found.agreement.factor > factor


def test_a_validation_holds_what_the_report_needs(resampled: Validation) -> None:
    pool = digits()
    data, setup, kappa = resampled.data, resampled.setup, resampled.kappa
    assert (setup.n, setup.draws, setup.groups) == ((40, 200), (400, 400), (16, 16))
    assert (data.pool_size, data.total_images, data.dimension) == (1797, 1797, 64)
    assert data.provenance.what == "digits in [-1, 1]"
    assert len(resampled.comparisons) == 2 * 2 * (1 + 7 * 4 + 1)
    assert resampled.find("seeds", "gaussian", 41, "map_0") is None
    for law in ("gaussian", "published"):
        curves = resampled.scaling.disagreement[law]
        assert curves.shape == (resampled.scaling.n.size, len(setup.bands))
        assert (curves > 0).all()
        assert kappa.curves[law].shape == (2, kappa.noise_variances.size)
    # the theory's curve passes through the prediction that was compared
    bands = resampled.find("bands", "gaussian", 200, "map_0")
    assert bands is not None
    total = np.array([np.interp(np.log(200), np.log(resampled.scaling.n), y) for y in curves_of(resampled)])
    np.testing.assert_allclose(total, bands.agreement.predicted, rtol=0.05)
    modes = resampled.find("gains", "gaussian", 40, "map_0")
    assert modes is not None
    np.testing.assert_array_equal(modes.entries, np.flatnonzero(pool.population.eigenvalues > 1e-12))
    pixels = resampled.find("pixels", "gaussian", 40, "map_0")
    assert pixels is not None
    constant = np.ptp(pool.population.reconstruct(pool.coordinates).reshape(-1, 64), axis=0) < 1e-9
    np.testing.assert_array_equal(pixels.entries, np.flatnonzero(~constant))
    assert resampled.counterfactual is not None
    assert resampled.counterfactual.component == 1


def curves_of(found: Validation) -> np.ndarray:
    return found.scaling.disagreement["gaussian"].T


def test_more_steps_leave_a_smaller_error(resampled: Validation) -> None:
    few, many = (next(e for e in resampled.step_errors if (e.n, e.steps) == (200, steps)) for steps in (18, 35))
    assert many.ratio < few.ratio < 1
    np.testing.assert_array_equal(few.finite_data, many.finite_data)
    assert (few.shrinkage <= few.finite_data).all()
    assert (few.shrinkage >= 0).all()
    np.testing.assert_allclose(few.gain_ideal, Map.sampling().gain(digits().population.eigenvalues), rtol=1e-13)
    far = [np.abs(error.gain[:30] / error.gain_map[:30] - 1).max() for error in (many, few)]
    assert far[0] < far[1] < 0.2


def test_step_errors_are_those_of_a_loop() -> None:
    """The finite-data part is the distance from the ideal model, free of Monte Carlo error: against its prediction."""
    run = validate_linear(GaussianSets(POPULATION), [200], draws=500, inputs=8, steps=(18,), seed=2, laws=["gaussian"])
    error, seeds = run.step_errors[0], run.find("seeds", "gaussian", 200, "map_0")
    assert seeds is not None
    variance = error.finite_data - error.shrinkage
    assert variance.sum() == pytest.approx(seeds.agreement.simulated.mean() / 2, rel=1e-10)
    splits = kf.Splits(POPULATION, 200)
    f = splits.sampling_map()
    bias = splits.expectation(f) + splits.expectation_correction(f) - error.gain_ideal
    x = POPULATION.coordinates(initial_noise(range(2, 10), 64, 80.0))
    assert error.shrinkage.sum() == pytest.approx(np.mean((bias * x) ** 2), rel=0.05)


# ---------------------------------------------------------------- the whole run
SMALL = GaussianSets(kf.Population.from_spectrum(1 / np.arange(1, 9.0)))
QUICK: dict[str, Any] = {"draws": 40, "inputs": 2, "steps": (5,), "laws": ["gaussian"]}


def test_progress_goes_from_nothing_to_one() -> None:
    pool = collect_pool([rng(4).standard_normal((90, 6))], shape=(6,), count=90, most_bytes=10**6)
    for sets in (SMALL, ResampledSets(pool), DisjointSets(pool)):
        told: list[tuple[str, float]] = []
        validate_linear(sets, [10, 20], **QUICK, progress=lambda *values, told=told: told.append(values))
        fractions = [fraction for _, fraction in told]
        assert fractions == sorted(fractions)
        assert fractions[0] > 0
        assert fractions[-1] == pytest.approx(1)
        assert len(set(fractions)) == len(fractions)


def same(a: Validation, b: Validation) -> bool:
    pairs = zip(a.comparisons, b.comparisons, strict=True)
    return all(np.array_equal(x.agreement.simulated, y.agreement.simulated) for x, y in pairs)


def test_an_interrupted_validation_goes_on(tmp_path: Path) -> None:
    pool = collect_pool([rng(4).standard_normal((90, 6))], shape=(6,), count=90, most_bytes=10**6)
    whole = validate_linear(ResampledSets(pool), [10, 20], **QUICK)
    for stop in (3, 15, 40):
        told: list[float] = []

        def interrupt(_: str, fraction: float, told: list[float] = told, stop: int = stop) -> None:
            told.append(fraction)
            if len(told) == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            validate_linear(ResampledSets(pool), [10, 20], **QUICK, folder=tmp_path, progress=interrupt)
    found = validate_linear(ResampledSets(pool), [10, 20], **QUICK, folder=tmp_path)
    assert same(found, whole)
    assert found.counterfactual is not None
    assert whole.counterfactual is not None
    np.testing.assert_array_equal(found.counterfactual.simulated, whole.counterfactual.simulated)


def test_fewer_draws_than_the_folder_holds(tmp_path: Path) -> None:
    """Sums over groups cannot be undone, and a report must not give fewer draws than it is made of; more go on."""
    validate_linear(SMALL, [10], **(QUICK | {"draws": 500}), folder=tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint must hold no other groups than the first 10 of .* with group 19"):
        validate_linear(SMALL, [10], **(QUICK | {"draws": 250}), folder=tmp_path)
    more = validate_linear(SMALL, [10], **(QUICK | {"draws": 750}), folder=tmp_path)
    assert same(more, validate_linear(SMALL, [10], **(QUICK | {"draws": 750})))


def test_the_seed_decides() -> None:
    one, again, other = (validate_linear(SMALL, [10], **QUICK, seed=seed) for seed in (1, 1, 2))
    assert same(one, again)
    assert not same(one, other)


def test_disjoint_splits_of_gaussian_data_agree_but_for_the_pool() -> None:
    samples = rng(6).standard_normal((20_000, 12)) / np.sqrt(np.arange(1, 13.0))
    pool = collect_pool([samples], shape=(12,), count=20_000, most_bytes=10**7)
    found = validate_linear(DisjointSets(pool), [100, 1500], draws=400, inputs=4, steps=(), laws=["gaussian"])
    assert found.counterfactual is None
    assert found.setup.draws == (400, 403)  # 13 sets of 1500 in each order of 20 000
    assert misses(found, "gaussian") == []
    assert any("Disjoint splits of 20,000 images" in note for note in found.notes)


LARGER_POOL = collect_pool([rng(4).standard_normal((36, 6))], shape=(6,), count=36, most_bytes=10**6)
SMALL_POOL = collect_pool([rng(4).standard_normal((30, 6))], shape=(6,), count=30, most_bytes=10**6)
ERRORS: list[tuple[Any, dict[str, Any], str]] = [
    (SMALL, {"n": []}, "n must hold at least one training-set size, got none"),
    (SMALL, {"n": [1]}, "n must be an integer of at least 2, got 1"),
    (SMALL, {"draws": 39}, "draws must be at least 40 for intervals, got 39"),
    (SMALL, {"inputs": 0}, "inputs must be an integer of at least 1, got 0"),
    (SMALL, {"laws": ["other"]}, r"laws must be among gaussian, .*, got 'other'"),
    (SMALL, {"quantities": ["other"]}, "quantities must be among kappa, gains, .*, got 'other'"),
    (SMALL, {"mean": "other"}, "mean must be one of 'estimated', 'known', got 'other'"),
    (SMALL, {"denoiser_sigmas": (0.0,)}, "denoiser_sigmas must be finite and above 0, got 0"),
    (SMALL, {"trajectory_sigma": 80.0}, "trajectory_sigma must be below sigma_max = 80.0, got 80.0"),
    (SMALL, {"sigma_max": -1.0}, "sigma_max must be finite and above 0, got -1"),
    (SMALL, {"steps": (1,)}, "steps must be an integer of at least 2, got 1"),
    (SMALL, {"seed": -1}, "seed must be an integer of at least 0, got -1"),
    (SMALL, {"device": "toaster"}, "device must be 'cpu', 'cuda' or 'cuda:<number>', got 'toaster'"),
    (DisjointSets(SMALL_POOL), {"n": [10, 16]}, "n must be at most 15 for disjoint splits of 30 images, got 16"),
    (ResampledSets(LARGER_POOL), {"component": 6}, "component must be below the number of modes, 6, got 6"),
]


@pytest.mark.parametrize(("sets", "changes", "message"), ERRORS, ids=[message for *_, message in ERRORS])
def test_errors_come_before_the_work(sets: Any, changes: dict[str, Any], message: str) -> None:
    arguments = {"n": [10], "progress": lambda *_: pytest.fail("work before the error")} | QUICK | changes
    with pytest.raises(ValueError, match=message):
        validate_linear(sets, arguments.pop("n"), **arguments)


def test_few_images_have_no_strata() -> None:
    assert validate_linear(ResampledSets(SMALL_POOL), [10], **QUICK).counterfactual is None
    assert validate_linear(ResampledSets(LARGER_POOL), [10], **QUICK).counterfactual is not None


def test_pairs_of_maps_and_designs_can_be_made_by_hand() -> None:
    design, statistics = simulated(20, groups=10, group_size=4)
    assert replace(design, groups=20).identity(GaussianSets(POPULATION)) == design.identity(GaussianSets(POPULATION))
    part = simulate(design, GaussianSets(POPULATION), groups=range(9))
    with pytest.raises(ValueError, match="groups must be at least 10 for an interval, got 9"):
        judged((design, part), "gains", MAPS[0], kf.Splits(POPULATION, 20))
    assert judged((design, statistics), "gains", MAPS[0], kf.Splits(POPULATION, 20)).simulated.shape == (64,)
