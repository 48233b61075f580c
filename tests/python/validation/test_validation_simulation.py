"""The simulation of linear models against plain loops over the same training sets, and its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kappaflow as kf

torch = pytest.importorskip("torch")

from kappaflow.maps import Map  # noqa: E402
from kappaflow.models.devices import resolve_device  # noqa: E402
from kappaflow.validation.linear.draws import GaussianSets, Pool, ResampledSets, TrainingSets, collect_pool  # noqa: E402
from kappaflow.validation.linear.simulation import simulate  # noqa: E402
from kappaflow.validation.linear.statistics import Design, Statistics, group_layout, spaced_modes  # noqa: E402

D = 12
MAPS = (Map.sampling(), Map.sampling(0.7), Map.denoiser(0.3), Map.heun(5))


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def rotated(seed: int = 3, dimension: int = D) -> kf.Population:
    """A population with eigenmodes that are not the pixels."""
    basis = np.linalg.qr(rng(seed).standard_normal((dimension, dimension)))[0]
    return kf.Population.from_covariance((basis / np.arange(1, dimension + 1.0)) @ basis.T)


def flat_pixels(seed: int, rows: int = 60) -> Pool:
    """Skewed data with two pixels that never change: two modes without variance."""
    samples = rng(seed).exponential(size=(rows, D)) * np.geomspace(1, 0.1, D)
    samples[:, [2, 7]] = 1.0
    return collect_pool([samples], shape=(D,), count=rows, most_bytes=10**7)


def make_design(n: int, **changes: Any) -> Design:
    maps = changes.pop("maps", MAPS)
    x = rng(5).standard_normal((3, changes.pop("modes", D)))
    spread = rng(6).uniform(0.5, 2, x.shape[1])
    options: dict[str, Any] = {
        "groups": 3,
        "group_size": 5,
        "inputs": {q.key: x + 0.1 * i for i, q in enumerate(maps)},
        "spread": {q.key: spread * (1 + i) for i, q in enumerate(maps)},
        "pairs": ((0, 1), (2, 0)) if len(maps) > 2 else (),
        "noise_variances": (1e-3, 0.1, 50.0),
        "pair_modes": (0, 3, 7),
        "seed": 11,
    }
    return Design(n=n, maps=maps, **(options | changes))


# ---------------------------------------------------------------- every array against a loop
def one_model(map_: Map, covariance: np.ndarray) -> np.ndarray:
    """f(Σ̂) by a full eigendecomposition."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.where(values > 1e-13 * values[-1], values, 0.0)
    return (vectors * map_.gain(values)) @ vectors.T


def loop(design: Design, sets: TrainingSets, group: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """One group, one training set at a time."""
    generator = np.random.default_rng(np.random.SeedSequence(design.seed, spawn_key=(design.n, group)))
    sets.start_group(design.n, design.group_size, generator)
    matrices: dict[str, list[np.ndarray]] = {q.key: [] for q in design.maps}
    outputs: dict[str, list[np.ndarray]] = {q.key: [] for q in design.maps}
    offsets: dict[str, list[np.ndarray]] = {q.key: [] for q in design.maps}
    traces = []
    for _ in range(design.group_size):
        means, rows = sets.batch(design.n, 1, generator, design.known_mean)
        mean, covariance = means[0], rows[0].T @ rows[0] / design.n
        eigenvalues = np.sort(np.maximum(np.linalg.eigvalsh(covariance), 0))[::-1]
        padded = np.append(eigenvalues, np.zeros(design.degrees))[: design.degrees]  # as many as degrees of freedom
        traces.append([np.mean(1 / (padded + t)) for t in design.noise_variances])
        for map_ in design.maps:
            matrix = one_model(map_, covariance)
            matrices[map_.key].append(matrix)
            offsets[map_.key].append(mean - matrix @ mean)
            outputs[map_.key].append(np.array([mean + matrix @ (x - mean) for x in design.inputs[map_.key]]))
    arrays = {"trace": np.mean(traces, axis=0)}
    sums = {}
    chosen = np.array(design.pair_modes)
    for map_ in design.maps:
        key = map_.key
        variance = np.var(matrices[key], axis=0, ddof=1)
        mean_matrix = np.mean(matrices[key], axis=0)
        arrays |= {
            f"gain/{key}": np.diag(mean_matrix),
            f"equal/{key}": np.diag(variance),
            f"total/{key}": variance.sum(),
            f"pairs/{key}": variance[np.ix_(chosen, chosen)],
            f"average/{key}": variance @ design.spread[key] + np.var(offsets[key], axis=0, ddof=1),
            f"output/{key}": np.var(outputs[key], axis=0, ddof=1),
            f"output_mean/{key}": np.mean(outputs[key], axis=0),
        }
        if sets.population.eigenvectors is not None:
            pixels = [sets.population.eigenvectors @ output[0] for output in outputs[key]]
            arrays[f"pixel/{key}"] = np.var(pixels, axis=0, ddof=1)
        if map_.kind == "heun":
            gaps = [(a - b) ** 2 for a, b in zip(outputs[key], outputs["map_0"], strict=True)]
            arrays[f"step_error/{key}"] = np.mean(gaps, axis=0)
        sums |= {f"mean/{key}": mean_matrix, f"variance/{key}": variance}
    for i, j in design.pairs:
        a, b = (np.array(outputs[design.maps[place].key]) for place in (i, j))
        product = ((a - a.mean(axis=0)) * (b - b.mean(axis=0))).sum(axis=0) / (design.group_size - 1)
        arrays[f"trajectory/{design.maps[i].key}/{design.maps[j].key}"] = product
    return arrays, sums


SOURCES: dict[str, Callable[[], TrainingSets]] = {
    "gaussian": lambda: GaussianSets(rotated()),
    "spectrum": lambda: GaussianSets(kf.Population.from_spectrum(1 / np.arange(1, D + 1.0))),
    "resample": lambda: ResampledSets(flat_pixels(8)),
}


@pytest.mark.parametrize("mean", ["estimated", "known"])
@pytest.mark.parametrize("n", [2, 5, D, D + 1, 20, 40])  # direct and triangular draws, few and many samples
@pytest.mark.parametrize("source", SOURCES)
def test_every_statistic_is_that_of_a_loop(source: str, n: int, mean: str) -> None:
    sets = SOURCES[source]()
    modes = sets.population.eigenvalues.size
    design = make_design(n, mean=mean, modes=modes)
    found = simulate(design, sets)
    groups = [loop(design, sets, number) for number in range(design.groups)]
    assert set(found.arrays) == set(groups[0][0])
    assert set(found.sums) == set(groups[0][1])
    for name, value in found.arrays.items():
        exact = np.array([arrays[name] for arrays, _ in groups])
        assert value.shape == exact.shape
        np.testing.assert_allclose(value, exact, rtol=1e-9, atol=1e-12 * np.abs(exact).max(), err_msg=name)
    for name, value in found.sums.items():
        exact = np.sum([sums[name] for _, sums in groups], axis=0)
        np.testing.assert_allclose(value, exact, rtol=1e-9, atol=1e-12 * np.abs(exact).max(), err_msg=name)
        np.testing.assert_array_equal(found.matrix(name), value / design.groups)


def test_duplicates_and_flat_pixels_lower_the_rank() -> None:
    """Eigenvalues that are zero but for rounding must not come back as the square root of it."""
    pool = flat_pixels(8)
    few = collect_pool([np.repeat(rng(1).standard_normal((3, D)), 5, axis=0)], shape=(D,), count=15, most_bytes=10**6)
    for sets in (ResampledSets(pool), ResampledSets(few)):
        modes = sets.population.eigenvalues.size
        zero = sets.population.eigenvalues < 1e-12 * sets.population.eigenvalues[0]
        assert zero.any()
        for n in (6, D, 50):
            design = make_design(n, modes=modes)
            found = simulate(design, sets)
            assert all(np.isfinite(value).all() for value in found.arrays.values())
            assert np.abs(found.arrays["gain/map_0"][:, zero]).max() < 1e-15
            np.testing.assert_allclose(found.arrays["gain/map_0.7"][:, zero], 0.7 / np.hypot(80, 0), rtol=1e-12)
            assert found.arrays["output/map_0"][:, :, zero].max() < 1e-30


def test_wide_spectrum_keeps_its_small_modes() -> None:
    """Eigenvalues 1e-11 of the largest are not zero: with n below the number of modes they were once cut off."""
    spectrum = np.append(np.geomspace(1, 0.1, 5), np.full(300, 1e-11))
    sets = GaussianSets(kf.Population.from_spectrum(spectrum))
    map_ = Map.sampling(0.0, 1.0)
    design = make_design(200, modes=305, maps=(map_,), pair_modes=(), groups=4, group_size=4)
    found = simulate(design, sets).arrays["gain/map_0"].mean(axis=0)[5:]
    splits = kf.Splits(sets.population, 200)
    np.testing.assert_allclose(found.mean(), splits.expectation(map_.function(splits))[5:].mean(), rtol=0.01)


def test_trace_counts_the_degrees_of_freedom() -> None:
    """With all the noise in the world the mean of 1/(λ + σ²) is 1/σ², whatever n."""
    for n in (3, 30, 300):
        for mean in ("known", "estimated"):
            design = make_design(n, mean=mean, noise_variances=(1e12,))
            np.testing.assert_allclose(simulate(design, SOURCES["gaussian"]()).arrays["trace"], 1e-12, rtol=1e-10)


@pytest.mark.parametrize("n", [8, 60])
def test_batches_change_nothing_but_rounding(n: int) -> None:
    sets = SOURCES["gaussian"]()
    whole = simulate(make_design(n, group_size=40), sets)
    fixed = 4 * 8 * 2 * D**2 * len(MAPS)
    one = fixed + 2 * 8 * (2 * max(n, D) * D + 3 * D**2 + 3 * 3 * D * len(MAPS))
    parts = simulate(make_design(n, group_size=40, memory=one), sets)
    assert whole.identity != parts.identity
    for name, value in whole.arrays.items():
        np.testing.assert_allclose(parts.arrays[name], value, rtol=1e-10, atol=1e-13 * np.abs(value).max())


@pytest.mark.parametrize("n", [40, 700])
def test_threads_change_no_bit(n: int) -> None:
    population = kf.Population.from_spectrum(1 / np.arange(1, 301.0))  # enough for torch to split its sums
    design = make_design(n, modes=300, maps=MAPS[:1], groups=1, group_size=4)
    before = torch.get_num_threads()
    try:
        runs = []
        for threads in (1, 5):
            torch.set_num_threads(threads)
            runs.append(simulate(design, GaussianSets(population)))
            assert torch.get_num_threads() == threads  # left as it was found
    finally:
        torch.set_num_threads(before)
    assert_same(*runs)


def test_rotating_the_pixels_changes_pixels_alone() -> None:
    one, two = rotated(3), rotated(4)
    np.testing.assert_allclose(one.eigenvalues, two.eigenvalues, rtol=1e-12)
    design = make_design(20)
    a, b = simulate(design, GaussianSets(one)), simulate(design, GaussianSets(two))
    assert a.identity != b.identity  # a checkpoint of one must not be gone on with for the other
    for name, value in a.arrays.items():
        if name.startswith("pixel/"):
            assert np.abs(value - b.arrays[name]).max() > 1e-3 * value.max()
            np.testing.assert_allclose(value.sum(axis=1), b.arrays[name].sum(axis=1), rtol=1e-9)
        else:
            np.testing.assert_allclose(b.arrays[name], value, rtol=1e-8, atol=1e-12 * np.abs(value).max())


# ---------------------------------------------------------------- going on and merging
def assert_same(a: Statistics, b: Statistics) -> None:
    """Bit for bit."""
    assert a.done == b.done
    assert a.identity == b.identity
    for ours, theirs in ((a.arrays, b.arrays), (a.sums, b.sums)):
        assert set(ours) == set(theirs)
        assert [name for name in ours if not np.array_equal(ours[name], theirs[name])] == []


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("stop", [1, 4, 6])
def test_interrupted_runs_go_on_bit_identically(tmp_path: Path, source: str, stop: int) -> None:
    sets = SOURCES[source]()
    design = make_design(9, groups=6, modes=sets.population.eigenvalues.size)
    whole = simulate(design, sets)
    file = tmp_path / "run.safetensors"
    told = []

    def interrupt(done: int) -> None:
        told.append(done)
        if len(told) == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(design, sets, checkpoint=file, progress=interrupt, save_every=1e9)
    assert told == [5 * (i + 1) for i in range(stop)]
    assert Statistics.load(file).done == list(range(stop))
    gone_on = simulate(design, sets, checkpoint=file, save_every=0)
    assert_same(gone_on, whole)
    assert_same(Statistics.load(file), whole)
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"]  # no temporary files stay


def test_a_failure_inside_a_group_keeps_the_groups_before(tmp_path: Path) -> None:
    class Failing(GaussianSets):
        calls = 0

        def batch(self, *args: Any) -> Any:
            self.calls += 1
            if self.calls == 5:
                raise KeyboardInterrupt
            return super().batch(*args)

    design, file = make_design(9, groups=6), tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        simulate(design, Failing(rotated()), checkpoint=file)
    held = Statistics.load(file)
    assert 0 < len(held.done) < 6
    assert all(len(value) == len(held.done) for value in held.arrays.values())
    assert_same(simulate(design, GaussianSets(rotated()), checkpoint=file), simulate(design, SOURCES["gaussian"]()))


def test_no_half_group_stays_behind() -> None:
    class Interrupting:
        def __radd__(self, other: Any) -> Any:
            raise KeyboardInterrupt

        __array_ufunc__ = None

    statistics = Statistics({})
    statistics.add_group(1, {"a": np.ones(2)}, {"s": np.ones(2)})
    with pytest.raises(KeyboardInterrupt):
        statistics.add_group(0, {"a": np.zeros(2)}, {"s": Interrupting()})  # type: ignore[dict-item]
    assert statistics.done == [1]
    np.testing.assert_array_equal(statistics.arrays["a"], np.ones((1, 2)))
    np.testing.assert_array_equal(statistics.sums["s"], np.ones(2))
    with pytest.raises(ValueError, match="number must be of a group that is not done yet, got 1"):
        statistics.add_group(1, {}, {})


@pytest.mark.parametrize("parts", [[[0, 1], [2, 3]], [[3, 0], [1, 2]], [[], [0, 1, 2, 3]], [[0, 1, 2, 3], []]])
def test_merged_halves_are_the_whole(parts: list[list[int]]) -> None:
    sets, design = SOURCES["gaussian"](), make_design(9, groups=4)
    whole = simulate(design, sets)
    one, two = (simulate(design, sets, groups=part) for part in parts)
    for merged in (one.merge(two), two.merge(one)):
        assert merged.done == whole.done
        assert [name for name in whole.arrays if not np.array_equal(whole.arrays[name], merged.arrays[name])] == []
        assert set(merged.sums) == set(whole.sums)
        for name, value in whole.sums.items():
            np.testing.assert_allclose(merged.sums[name], value, rtol=1e-13)
    assert (one.done, two.done) == (sorted(parts[0]), sorted(parts[1]))  # merging leaves its parts alone


def test_merging_is_associative() -> None:
    sets, design = SOURCES["resample"](), make_design(9, groups=3, modes=flat_pixels(8).population.eigenvalues.size)
    a, b, c = (simulate(design, sets, groups=[number]) for number in range(3))
    left, right = a.merge(b).merge(c), a.merge(b.merge(c))
    assert all(np.array_equal(left.arrays[name], right.arrays[name]) for name in left.arrays)
    for name in left.sums:
        np.testing.assert_allclose(left.sums[name], right.sums[name], rtol=1e-13)


def test_merge_errors() -> None:
    sets, design = SOURCES["gaussian"](), make_design(9)
    statistics = simulate(design, sets, groups=[0, 2])
    with pytest.raises(ValueError, match=r"other must have other groups, got groups \[2\] that are done already"):
        statistics.merge(simulate(design, sets, groups=[1, 2]))
    with pytest.raises(ValueError, match="other must be of the same design, got a different seed"):
        statistics.merge(simulate(replace(design, seed=12), sets, groups=[1]))


def test_saved_statistics_come_back(tmp_path: Path) -> None:
    statistics = simulate(make_design(9), SOURCES["gaussian"]())
    statistics.save(tmp_path / "a.safetensors")
    assert_same(Statistics.load(tmp_path / "a.safetensors"), statistics)


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"seed": 3}, "a different seed"),
    ({"mean": "known"}, "a different mean"),
    ({"group_size": 6}, "a different group_size"),
    ({"noise_variances": (1.0,)}, "a different noise_variances"),
    ({"pairs": ()}, "a different pairs"),
    ({"spread": {q.key: np.ones(D) for q in MAPS}}, "a different spread"),
    ({"inputs": {q.key: np.ones((3, D)) for q in MAPS}}, "a different inputs"),
]


@pytest.mark.parametrize(("changes", "message"), CHANGES, ids=[message for _, message in CHANGES])
def test_checkpoints_of_other_designs_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    file, sets = tmp_path / "run.safetensors", SOURCES["gaussian"]()
    simulate(make_design(9), sets, checkpoint=file)
    with pytest.raises(ValueError, match=f"checkpoint must be of the same design, got .* with {message}"):
        simulate(make_design(9, **changes), sets, checkpoint=file)


def test_checkpoints_of_other_data_are_refused(tmp_path: Path) -> None:
    file, design = tmp_path / "run.safetensors", make_design(9)
    simulate(design, SOURCES["gaussian"](), checkpoint=file)
    other = kf.Population.from_covariance(np.diag(1 / np.arange(1, D + 1.0) ** 2))
    for sets in (GaussianSets(other), ResampledSets(flat_pixels(8)), SOURCES["spectrum"]()):
        with pytest.raises(ValueError, match=r"checkpoint must be of the same design, got .* with a different .*"):
            simulate(design, sets, checkpoint=file)
    more = replace(design, groups=5)  # more groups of the same design go on from it
    assert_same(simulate(more, SOURCES["gaussian"](), checkpoint=file), simulate(more, SOURCES["gaussian"]()))


def test_files_that_are_not_statistics_are_refused(tmp_path: Path) -> None:
    text, population = tmp_path / "text", tmp_path / "population"
    text.write_text("no tensors")
    rotated().save(population)
    sets, design = SOURCES["gaussian"](), make_design(9)
    with pytest.raises(ValueError, match=r"path must name saved statistics, got .*text"):
        simulate(design, sets, checkpoint=text)
    with pytest.raises(ValueError, match=r"path must name saved statistics of format .*, got 'kappaflow-population-2'"):
        simulate(design, sets, checkpoint=population)
    assert text.read_text() == "no tensors"
    with pytest.raises(FileNotFoundError, match=r"checkpoint must lie in a folder that exists, got .*nowhere"):
        simulate(design, sets, checkpoint=tmp_path / "nowhere" / "run")  # before the work, not after it


# ---------------------------------------------------------------- misuse
def test_devices() -> None:
    assert resolve_device("cpu").type == "cpu"
    for name in ("gpu", "", "mps", "meta"):
        with pytest.raises(ValueError, match=f"device must be 'cpu', 'cuda' or 'cuda:<number>', got '{name}'"):
            resolve_device(name)
    with pytest.raises(ValueError, match="device must exist, got 'cuda:63': this machine has"):
        resolve_device("cuda:63")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device must exist, got 'cuda': this machine has 0 CUDA devices"):
            simulate(make_design(9), SOURCES["gaussian"](), device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_statistics() -> None:
    for n in (5, 12, 40):
        sets, design = SOURCES["gaussian"](), make_design(n)
        host, device = simulate(design, sets), simulate(design, sets, device="cuda")
        for name, value in host.arrays.items():
            np.testing.assert_allclose(device.arrays[name], value, rtol=1e-8, atol=1e-11 * np.abs(value).max())


X = {q.key: np.ones((3, D)) for q in MAPS}
DESIGN_ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"mean": "guessed"}, "mean must be one of 'estimated', 'known', got 'guessed'"),
    ({"n": 1}, "n must be an integer of at least 2, got 1"),
    ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
    ({"groups": 0}, "groups must be an integer of at least 1, got 0"),
    ({"group_size": 1}, "group_size must be an integer of at least 2, got 1"),
    ({"maps": ()}, r"maps must be at least one and all different, got \[\]"),
    ({"maps": (Map.sampling(), Map.sampling(0.0, 9.0))}, "maps must be at least one and all different"),
    ({"inputs": X | {"map_0": np.ones((2, D))}}, r"inputs must have one shape \(B, k\) for all maps"),
    ({"inputs": X | {"map_0": np.full((3, D), np.nan)}}, r"inputs\['map_0'\] must be finite"),
    ({"noise_variances": (0.0,)}, "noise_variances must be finite and above 0, got 0"),
    ({"pairs": ((0, 4),)}, r"pairs must index the 4 maps, got \(0, 4\)"),
    ({"memory": 0}, "memory must be finite and above 0, got 0"),
]


@pytest.mark.parametrize(("changes", "message"), DESIGN_ERRORS, ids=[message for _, message in DESIGN_ERRORS])
def test_design_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(make_design(9), **changes)


def test_simulation_errors() -> None:
    sets = SOURCES["gaussian"]()
    with pytest.raises(MemoryError, match=r"training sets? of n = 9 with 12 modes needs? .* give more memory"):
        simulate(make_design(9, memory=5000), sets)
    with pytest.raises(ValueError, match=r"inputs\['map_0'\] must have 12 mode coordinates, got 10"):
        simulate(make_design(9, modes=10, spread={q.key: 1.0 for q in MAPS}), sets)
    with pytest.raises(ValueError, match=r"pair_modes must lie between 0 and 11, got \(0, 12\)"):
        simulate(make_design(9, pair_modes=(0, 12)), sets)
    with pytest.raises(ValueError, match="groups must be an integer of at least 0, got -1"):
        simulate(make_design(9), sets, groups=[-1])


@pytest.mark.parametrize("draws", [40, 41, 99, 250, 251, 1000, 1001, 12345])
def test_group_layout_has_enough_of_both(draws: int) -> None:
    groups, size = group_layout(draws)
    assert 10 <= groups <= 40
    assert size >= 4
    assert draws <= groups * size < draws + groups


def test_layout_errors_and_spaced_modes() -> None:
    with pytest.raises(ValueError, match="draws must be at least 40 for intervals, got 39"):
        group_layout(39)
    assert spaced_modes(1, 32) == (0,)
    assert set(spaced_modes(5, 32)) <= set(range(5))
    modes = spaced_modes(3072, 32)
    assert (modes[0], modes[-1]) == (0, 3071)
    assert len(modes) == len(set(modes)) <= 32
