"""Training sets that differ on purpose, against a loop over pairs of models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kappaflow as kf

pytest.importorskip("torch")

from kappaflow.maps import Map
from kappaflow.validation.laws import compared_laws
from kappaflow.validation.linear.counterfactual import compare_strata
from kappaflow.validation.linear.draws import Pool, collect_pool
from kappaflow.validation.linear.statistics import Design
from kappaflow.validation.strata import STRATA, strata

D = 5


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def some_pool(rows: int = 600, seed: int = 1) -> Pool:
    mixing = np.linalg.qr(rng(seed).standard_normal((D, D)))[0] * np.array([2.0, 1.0, 0.7, 0.4, 0.2])[:, None]
    samples = 3 + rng(seed + 1).standard_normal((rows, D)) @ mixing
    return collect_pool([samples], shape=(D,), count=rows, most_bytes=10**7)


def design_of(map_: Any, n: int, **changes: Any) -> Design:
    scale = map_.sigma_max if map_.kind == "sampling_map" else 1.0
    options: dict[str, Any] = {
        "groups": 12,
        "group_size": 5,
        "maps": (map_,),
        "inputs": {map_.key: scale * rng(5).standard_normal((2, D))},
        "spread": {map_.key: np.ones(D)},
        "seed": 21,
    }
    return Design(n=n, **(options | changes))


@pytest.mark.parametrize("count", [36, 37, 41, 42, 1000])
def test_strata_are_thirds_of_the_order(count: int) -> None:
    coordinate = rng(count).standard_normal(count)
    found = strata(coordinate)
    assert tuple(found) == STRATA
    third = len(found["top"])
    assert count / 3 - 2 < third <= count / 3
    ranks = {name: np.sort(np.argsort(np.argsort(coordinate))[chosen]) for name, chosen in found.items()}
    np.testing.assert_array_equal(ranks["i.i.d."], np.arange(count))
    np.testing.assert_array_equal(ranks["bottom"], np.arange(third))
    np.testing.assert_array_equal(ranks["top"], np.arange(count - third, count))
    below, above = ranks["middle"][0], count - 1 - ranks["middle"][-1]
    assert len(ranks["middle"]) == third == np.ptp(ranks["middle"]) + 1
    assert abs(below - above) <= 1
    outer = [*range(third // 2), *range(count - third // 2, count)]
    np.testing.assert_array_equal(ranks["top + bottom"], outer)
    assert len(outer) == third


def test_strata_refuse_few_samples() -> None:
    with pytest.raises(ValueError, match="coordinate must hold at least 36 samples for strata, got 35"):
        strata(np.arange(35.0))


def models(pool: Pool, design: Design, place: int, chosen: np.ndarray) -> np.ndarray:
    """(G, size, B, d) outputs in pixels, each model from raw images; a known mean is that of the stratum."""
    map_ = design.maps[0]
    images = pool.population.reconstruct(pool.coordinates[chosen]).reshape(-1, D)
    inputs = pool.population.reconstruct(design.inputs[map_.key]).reshape(-1, D)
    outputs = []
    for group in range(design.groups):
        seed = np.random.SeedSequence(design.seed + 1 + place, spawn_key=(design.n, group))
        picks = np.random.default_rng(seed).integers(0, len(images), (design.group_size, design.n))
        for rows in images[picks]:
            mean = images.mean(axis=0) if design.known_mean else rows.mean(axis=0)
            values, vectors = np.linalg.eigh((rows - mean).T @ (rows - mean) / design.n)
            values = np.where(values > 1e-13 * values[-1], values, 0.0)
            outputs.append(mean + ((inputs - mean) @ vectors * map_.gain(values)) @ vectors.T)
    return np.array(outputs).reshape(design.groups, design.group_size, len(inputs), D)


@pytest.mark.parametrize("mean", ["estimated", "known"])
@pytest.mark.parametrize(
    "map_", [Map.sampling(0.0, 10.0), Map.sampling(1.0, 10.0), Map.denoiser(0.5)], ids=lambda q: q.key
)
def test_distances_are_means_over_pairs_of_models(map_: Any, mean: str) -> None:
    pool, n = some_pool(), 4  # fewer samples than dimensions
    design = design_of(map_, n, mean=mean)
    found = compare_strata(pool, design, [compared_laws()["gaussian"]], component=1)
    parts = strata(pool.coordinates[:, 1]).values()
    outputs = [models(pool, design, place, chosen) for place, chosen in enumerate(parts)]
    for i, a in enumerate(outputs):
        for j, b in enumerate(outputs):
            squares = ((a[:, :, None] - b[:, None]) ** 2).sum(axis=-1).mean(axis=-1) / D  # (G, size, size)
            pairs = squares[:, ~np.eye(design.group_size, dtype=bool)] if i == j else squares.reshape(12, -1)
            assert found.simulated[i, j] == pytest.approx(pairs.mean(), rel=1e-9)
    np.testing.assert_allclose(found.simulated, found.simulated.T, rtol=1e-13)
    np.testing.assert_allclose(found.predicted["gaussian"], found.predicted["gaussian"].T, rtol=1e-13)
    np.testing.assert_allclose(found.predicted_limit, found.predicted_limit.T, rtol=1e-13)
    assert (found.names, found.component, found.n, found.draws) == (STRATA, 1, n, 60)
    assert (found.interval_low < found.simulated).all()
    assert (found.simulated < found.interval_high).all()


@pytest.mark.parametrize("mean", ["estimated", "known"])
@pytest.mark.parametrize("map_", [Map.sampling(0.0, 10.0), Map.denoiser(0.5)], ids=lambda q: q.key)
def test_gaussian_strata_are_predicted(map_: Any, mean: str) -> None:
    """Along the smallest mode strata are as Gaussian as the pool, but for the one of two halves: that has two peaks there."""
    pool = some_pool(60_000)  # the kurtosis of a finite pool is its own: √(24/N), and half of it in variances
    design = design_of(map_, 30, mean=mean, groups=40, group_size=50)
    found = compare_strata(pool, design, [compared_laws()["gaussian"], compared_laws()["published"]], component=D - 1)
    gaussian = np.ix_(range(4), range(4))
    width = (found.interval_high - found.interval_low)[gaussian] / 4  # standard errors
    assert np.abs((found.predicted["gaussian"] - found.simulated)[gaussian] / width).max() < 4.5
    assert (width < 0.03 * found.simulated[gaussian]).all()
    assert not np.diag(found.predicted_limit).any()
    # the published law lacks the exchange and the mean term of all variances
    assert (np.diag(found.predicted["published"]) < 0.95 * np.diag(found.simulated)).all()


@pytest.mark.parametrize("mean", ["estimated", "known"])
def test_predictions_are_of_the_population_of_each_stratum(mean: str) -> None:
    pool, map_, n = some_pool(), Map.sampling(0.0, 10.0), 25
    design = design_of(map_, n, mean=mean)
    found = compare_strata(pool, design, [compared_laws()["gaussian"]])
    inputs = pool.population.reconstruct(design.inputs[map_.key])
    means, variances, limits = [], [], []
    for chosen in strata(pool.coordinates[:, 0]).values():
        population = kf.Population.from_samples(pool.population.reconstruct(pool.coordinates[chosen]))
        splits = kf.Splits(
            population, n, mean=mean, population_is="exact"
        )  # strata are resampled: each is its own population
        f = splits.sampling_map(0.0, 10.0)
        means.append(splits.expected_output(f, inputs))
        variances.append(splits.disagreement(f, inputs).mean() / 2)
        gain = map_.gain(population.eigenvalues)
        limits.append(population.reconstruct(gain * population.coordinates(inputs)))
    for i in range(5):
        for j in range(5):
            apart = np.mean((means[i] - means[j]) ** 2)
            assert found.predicted["gaussian"][i, j] == pytest.approx(apart + variances[i] + variances[j], rel=1e-9)
            assert found.predicted_limit[i, j] == pytest.approx(np.mean((limits[i] - limits[j]) ** 2), abs=1e-12)
    np.testing.assert_allclose(np.diag(found.predicted["gaussian"]), 2 * np.array(variances), rtol=1e-9)
    # what theory says of the strata: a shifted mean keeps models apart for ever
    top, bottom = STRATA.index("top"), STRATA.index("bottom")
    assert found.predicted_limit[top, bottom] == found.predicted_limit.max()


def test_strata_go_on_from_their_checkpoints(tmp_path: Any) -> None:
    pool, design, told = some_pool(), design_of(Map.sampling(0.0, 10.0), 6), []

    def interrupt(done: int) -> None:
        told.append(done)
        if len(told) == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare_strata(pool, design, [], folder=tmp_path, progress=interrupt)
    assert len(list(tmp_path.iterdir())) == 2
    told.clear()
    resumed = compare_strata(pool, design, [], folder=tmp_path, progress=told.append)
    assert told[-1] == 5 * 60
    assert told == sorted(told)
    whole = compare_strata(pool, design, [])
    for name in ("simulated", "interval_low", "interval_high"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
    again = compare_strata(
        pool, design, [], folder=tmp_path
    )  # loaded, nothing simulated: known means are not added twice
    np.testing.assert_array_equal(again.simulated, whole.simulated)


def test_errors() -> None:
    pool, design = some_pool(), design_of(Map.sampling(0.0, 10.0), 6)
    with pytest.raises(ValueError, match="component must be below the number of modes, 5, got 5"):
        compare_strata(pool, design, [], component=5)
    with pytest.raises(ValueError, match="component must be an integer of at least 0, got -1"):
        compare_strata(pool, design, [], component=-1)
    with pytest.raises(ValueError, match="coordinate must hold at least 36 samples for strata, got 30"):
        compare_strata(some_pool(30), design, [])
