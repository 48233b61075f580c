"""The group law: against a slow reference, against distinct images, and against linear models trained on simulated groups."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import kappaflow as kf
from kappaflow import _core
from kappaflow.datasets import open_images
from kappaflow.groups import group_starts
from kappaflow.moments import linear_algebra

#: The shift that stands for infinity in the reference.
FAR = 1e14


def correlated(sizes, modes, correlation, seed=0, tail=1.5):
    """Groups of these sizes whose members correlate and whose contrast varies, as an exactly known population."""
    rng = np.random.default_rng(seed)
    scale = np.sqrt(2.0 * np.arange(1, modes + 1) ** -1.3)
    rows = np.concatenate(
        [
            (
                np.sqrt(correlation) * rng.standard_normal((1, modes))
                + np.sqrt(1 - correlation) * rng.standard_normal((size, modes))
            )
            * scale
            * rng.gamma(tail, 1 / tail) ** 0.5
            for size in sizes
        ]
    )
    return kf.Population.from_samples(rows, profiles=len(rows), groups=np.repeat(np.arange(len(sizes)), sizes))


SIZES = np.random.default_rng(7).integers(1, 6, 60)


def moments(population, g, n, mean):
    """(P, D, D) Zᵀ(1 + Z G Zᵀ/n)⁻¹Z of every group at one node, D with the coordinate of the mean."""
    starts, found = group_starts(population.groups), []
    for first, last in itertools.pairwise(starts):
        z = population.profiles[first:last].astype(float)
        if mean == "estimated":
            z = np.c_[z, np.ones(len(z))]
        found.append(z.T @ np.linalg.inv(np.eye(len(z)) + (z * g) @ z.T / n) @ z)
    return np.array(found)


def reference(population, n, f, x, mean):
    """The law, one pair of nodes at a time: expectation (k,), mode pairs (k, k), outputs by mode (B, k) and the mean over
    inputs of unit variance, (k,), without the excess of equal modes."""
    k, images, groups = len(population.eigenvalues), len(population.groups), population.group_count
    size = images / groups
    weights, shifts = f.weights, f.shifts
    if mean == "estimated":
        weights, shifts = np.append(weights, 1 - f.constant - weights.sum()), np.append(shifts, FAR)
        x = np.c_[x, np.ones(len(x))]
    width = k + (mean == "estimated")
    t = np.tile(shifts, (width, 1))
    t[k:] = 0.0
    second, g, solved = np.append(population.eigenvalues, 1.0)[:width], [], []
    for i in range(len(shifts)):
        node = 1 / (t[:, i] + second)
        for _ in range(5000):
            new = 1 / (t[:, i] + np.einsum("pkk->k", moments(population, node, n, mean)) / images)
            if np.max(np.abs(new / node - 1)) < 1e-13:
                break
            node = np.sqrt(new * node)
        g.append(node)
        solved.append(moments(population, node, n, mean))
    pairs, outputs, spread = np.zeros((k, k)), np.zeros((len(x), width)), np.zeros(k)
    phi, bare = np.zeros((groups, k)), np.zeros((groups, k))
    for i in range(len(shifts)):
        for j in range(len(shifts)):
            q = np.mean(solved[i] * solved[j], axis=0) / (n * size)
            gamma, both = g[i] * g[j], weights[i] * weights[j] * t[:, i] * t[:, j]
            inverse = np.linalg.inv(np.eye(width) - gamma[:, None] * q)
            direct = np.outer(gamma, gamma) * q
            ladder = inverse @ direct
            pairs += (both[:, None] * (ladder + np.diag(np.diag(ladder - direct))))[:k, :k]
            spread += (both * ladder[:, :k].sum(axis=1))[:k]
            a = np.einsum("pkl,bl->bpk", solved[i], g[i] * x)
            b = np.einsum("pkl,bl->bpk", solved[j], g[j] * x)
            source = gamma * np.mean(a * b, axis=1) / (n * size)
            outputs += both * (source @ inverse.T - g[i] * a.mean(axis=1) * g[j] * b.mean(axis=1) / (n * size))
            if mean == "estimated":
                at_mean = (gamma * np.mean(solved[i][:, :, -1] * solved[j][:, :, -1], axis=0) / (n * size)) * (
                    g[i][-1] * g[j][-1]
                )
                centre = (
                    g[i] * g[i][-1] * solved[i][:, :, -1].mean(axis=0),
                    g[j] * g[j][-1] * solved[j][:, :, -1].mean(axis=0),
                )
                spread += (both * (inverse @ at_mean - centre[0] * centre[1] / (n * size)))[:k]
            if i == j:
                moved = np.einsum("pkk->pk", solved[i])
                moved = moved - moved.mean(axis=0)
                phi += weights[i] * (t[:, i] * gamma * (moved @ np.linalg.inv(np.eye(width) - q * gamma).T))[:, :k]
                bare += weights[i] * (t[:, i] * gamma * moved)[:, :k]
    filtered = [np.einsum("pkk->k", each) / images for each in solved]
    first = sum(w * t[:, i] * g[i] ** 2 * filtered[i] for i, w in enumerate(weights))[:k]
    last = first**2 * size / n
    pairs += np.diag((phi.var(axis=0) - bare.var(axis=0)) / (n * size) - last)
    expectation = f.constant + sum(
        w * (1 - shift * g[i][:k]) for i, (w, shift) in enumerate(zip(f.weights, f.shifts, strict=True))
    )
    return expectation, pairs, outputs[:, :k], spread - last


@pytest.mark.parametrize("mean", ["known", "estimated"])
@pytest.mark.parametrize(("sizes", "n"), [(SIZES, 20), (SIZES, 90), ([4] * 40, 60), ([1, 17, 2, 30, 1, 9, 3, 12], 40)])
def test_against_the_law_as_it_is_written(sizes, n, mean):
    """Equal and unequal groups, some of them larger than the number of modes."""
    population = correlated(sizes, 8, 0.6).replace(sample_size=None)
    splits = kf.Splits(population, n, law="empirical", mean=mean)
    inputs = np.random.default_rng(1).standard_normal((3, 8))
    x = population.coordinates(inputs)
    for f in (splits.denoiser(0.3), splits.sampling_map(0.5, 20.0, tolerance=1e-4)):
        expectation, pairs, outputs, spread = reference(population, n, f, x, mean)
        excess = splits._law.law._plug_in.equal_mode_excess(f, f)
        np.testing.assert_allclose(splits.expectation(f), expectation, rtol=1e-6)
        np.testing.assert_allclose(splits.mode_variance(f), pairs, rtol=1e-4, atol=1e-5 * pairs.max())
        outputs = outputs + x**2 * excess
        by_mode = splits.variance(f, inputs, population.eigenvectors.T)
        np.testing.assert_allclose(by_mode, outputs, rtol=1e-5)
        bands = splits.disagreement(f, inputs, bands=[(0, 3), (3, 8)])
        expected = 2 / 8 * np.stack([outputs[:, :3].sum(axis=1), outputs[:, 3:].sum(axis=1)], axis=1)
        np.testing.assert_allclose(bands, expected, rtol=1e-5)
        averaged = splits.mode_disagreement(f, input_variance=1.0).part
        np.testing.assert_allclose(averaged, 2 / 8 * (spread + excess), rtol=1e-5)


def answers(population, n, mean, sigma=0.3):
    splits = kf.Splits(population, n, law="empirical", population_is="exact", mean=mean)
    inputs = 3 * np.random.default_rng(1).standard_normal((4, population.dimension))
    found = []
    for f in (splits.denoiser(sigma), splits.sampling_map(0.1, 20.0, tolerance=1e-5)):
        pixels = splits.pixel_variance(f, inputs[0])
        outputs = splits.disagreement(f, inputs, bands=[(0, 3), (3, 8)])
        average = splits.mode_disagreement(f, input_variance=1.0).part
        found += [splits.expectation(f), splits.mode_variance(f).ravel(), outputs.ravel(), average, pixels.ravel()]
    return found


@pytest.mark.parametrize("mean", ["known", "estimated"])
@pytest.mark.parametrize("copies", [2, 5, 20])
def test_equal_copies_are_fewer_images(copies, mean):
    distinct = correlated([1] * 200, 8, 0.0)
    assert distinct.group_count is None
    rows = distinct.reconstruct(distinct.profiles)
    labels = np.repeat(np.arange(200), copies)
    copied = kf.Population.from_samples(np.repeat(rows, copies, axis=0), profiles=10**6, groups=labels)
    for one, other in zip(answers(copied, 30 * copies, mean), answers(distinct, 30, mean), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize("mean", ["known", "estimated"])
def test_groups_of_one_image_change_no_digit(mean):
    population = correlated([1] * 1500, 8, 0.0)
    x = np.random.default_rng(2).standard_normal((70, 8))
    results = []
    for starts in ([], list(range(1501))):
        law = _core.EmpiricalLaw(
            population.profiles, population.eigenvalues, 30.0, getattr(_core.Mean, mean), linear_algebra(), starts
        )
        nodes = law.solve([0.01, 0.3, 4.0] + [np.inf] * (mean == "estimated"))
        f = np.arange(1.0, len(nodes.shifts) + 1)
        results.append(
            (
                law.expectation(nodes, f, 0.1),
                law.mode_covariance(nodes, f, f),
                law.output_covariance(nodes, f, f, x, x, np.ones((8, 1))),
                law.influence(nodes, f, x[0]),
                law.ladder_covariance(nodes, f, f, x[0], x[1]),
                law.spread(nodes, f, f, np.ones(8)),
            )
        )
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_population_known_through_few_groups():
    """The mean over eight populations of 100 groups is within 7 % of the truth; without the correction it is 18 to 29 % low.

    It is known to 1 %, and was .944 and 1.002 when the part of the estimated mean was corrected like all others: .942 and .984 now.
    """
    n, truth, found = 400, None, {"sample": [], "exact": []}
    for seed, count in ((1, 2000), *((10 + seed, 100) for seed in range(8))):
        sizes = np.random.default_rng(seed).integers(1, 8, count)
        population = correlated(sizes, 60, 0.9, seed=seed, tail=1e6)
        for how in found if truth is not None else ("exact",):
            splits = kf.Splits(population, n, law="empirical", population_is=how)
            f, g = splits.denoiser(0.3), splits.sampling_map(0.0, 20.0)
            value = np.array(
                [splits.mean_disagreement(f, input_variance=1.0), splits.mean_disagreement(g, input_sigma=20.0)]
            )
            if truth is None:
                truth = value
            else:
                found[how].append(value / truth)
    np.testing.assert_allclose(np.mean(found["sample"], axis=0), 1, atol=0.07)
    assert np.all(np.mean(found["exact"], axis=0) < 0.85)


def simulated(population, n, sigma, sigma_max, noised, seeds, draws):
    """(draws, B, k) outputs in mode coordinates of denoiser and sampling map of models trained on whole groups."""
    rng, starts = np.random.default_rng(0), group_starts(population.groups)
    count, x, y = round(n / population.group_size), population.coordinates(noised), population.coordinates(seeds)
    profiles, denoised, made = population.profiles.astype(float), [], []
    for _ in range(draws):
        chosen = rng.integers(0, len(starts) - 1, count)
        rows = profiles[np.concatenate([np.arange(starts[group], starts[group + 1]) for group in chosen])]
        mean = rows.mean(axis=0)
        values, vectors = np.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
        values = np.maximum(values, 0)
        denoised.append(mean + ((x - mean) @ vectors * (values / (values + sigma**2))) @ vectors.T)
        made.append(mean + ((y - mean) @ vectors * np.sqrt(values / (values + sigma_max**2))) @ vectors.T)
    return np.array(denoised), np.array(made)


def windows(side):
    source = open_images("patches", patch=side, grey=True, limit=20_000)
    return np.concatenate(list(source.batches())).reshape(-1, side, side)


def digits():
    return np.concatenate(list(open_images("digits").batches())).reshape(-1, 8, 8)


def clips(rng, count):
    """Clips of 20 frames, which are windows that move over a photograph."""
    photographs, rows = windows(20), []
    for place in rng.choice(len(photographs), count, replace=False):
        path = rng.uniform(2, 10, 2) + rng.normal(0, 0.3, 2) * np.arange(20)[:, None]
        for top, left in np.clip(np.round(path), 0, 14).astype(int):
            rows.append(photographs[place][top : top + 6, left : left + 6].ravel())
    return np.array(rows) + 0.05 * rng.standard_normal((len(rows), 36)), np.repeat(np.arange(count), 20)


def crops(rng, count):
    """Four patches at random from a small region of a photograph."""
    photographs, rows = windows(20), []
    for place in rng.choice(len(photographs), count, replace=False):
        for top, left in rng.integers(0, 15, (4, 2)):
            rows.append(photographs[place][top : top + 6, left : left + 6].ravel())
    return np.array(rows), np.repeat(np.arange(count), 4)


def duplicates(rng, count):
    """One to five copies of each digit."""
    rows, copies = digits()[rng.permutation(1797)[:count]].reshape(count, 64), rng.integers(1, 6, count)
    return np.repeat(rows, copies, axis=0), np.repeat(np.arange(count), copies)


def mirrored(rng, count):
    """Digits and their mirror images."""
    rows = digits()[rng.permutation(1797)[:count]]
    return np.stack([rows, rows[:, :, ::-1]], axis=1).reshape(-1, 64), np.repeat(np.arange(count), 2)


@pytest.mark.parametrize(
    ("make", "population_groups", "groups", "tolerance"),
    [
        (clips, 1000, 20, 0.1),
        (clips, 1000, 60, 0.05),
        (duplicates, 1600, 120, 0.05),
        (mirrored, 1600, 100, 0.05),
        (crops, 3000, 60, 0.05),
    ],
)
def test_models_trained_on_groups(make, population_groups, groups, tolerance):
    """Disagreement in total and by band, of denoiser and sampling map, estimated mean; inputs are images outside the population."""
    rng = np.random.default_rng(6)
    images, labels = make(rng, population_groups)
    fresh, _ = make(rng, 24)
    population = kf.Population.from_samples(images, profiles=len(images), groups=labels)
    d, n = population.dimension, round(groups * population.group_size)
    sigma, sigma_max = np.sqrt(population.total_variance / d), 20.0
    noised = fresh[rng.choice(len(fresh), 24, replace=False)] + sigma * rng.standard_normal((24, d))
    seeds = sigma_max * rng.standard_normal((24, d))
    splits = kf.Splits(population, n, law="empirical", population_is="exact")
    alone = kf.Splits(population.replace(groups=None, group_count=None), n, law="empirical", population_is="exact")
    bands = [(0, d // 4), (d // 4, d // 2), (d // 2, 3 * d // 4)]
    asked = (splits.denoiser(sigma), noised), (splits.sampling_map(0.0, sigma_max), seeds)
    outputs = simulated(population, n, sigma, sigma_max, noised, seeds, 1500)
    for (f, inputs), drawn in zip(asked, outputs, strict=True):
        by_mode = 2 / d * drawn.var(axis=0, ddof=1).sum(axis=0)
        predicted = splits.disagreement(f, inputs, bands=bands).sum(axis=0)
        ratios = [by_mode[start:stop].sum() / part for (start, stop), part in zip(bands, predicted, strict=True)]
        ratios.append(by_mode.sum() / splits.disagreement(f, inputs).sum())
        np.testing.assert_allclose(ratios, 1, atol=tolerance)
        if make is not mirrored:  # a digit and its mirror image hardly correlate
            assert by_mode.sum() > 1.2 * alone.disagreement(f, inputs).sum()
