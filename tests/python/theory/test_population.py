"""Population: every way to build one, what it promises, files, and every refusal."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import kappaflow as kf
from kappaflow import memory


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def images(count: int = 50, shape: tuple[int, ...] = (2, 3), seed: int = 0) -> np.ndarray:
    return rng(seed).standard_normal((count, *shape)) * np.linspace(1, 2, int(np.prod(shape))).reshape(shape) + 3


def check_against_direct(population: kf.Population, samples: np.ndarray) -> None:
    flat = samples.reshape(len(samples), -1)
    centred = flat - flat.mean(axis=0)
    covariance = centred.T @ centred / len(flat)
    u = population.eigenvectors
    assert u is not None
    np.testing.assert_allclose(population.mean, flat.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose((u * population.eigenvalues) @ u.T, covariance, atol=1e-13 * np.abs(covariance).max())
    np.testing.assert_allclose(u.T @ u, np.eye(u.shape[1]), atol=1e-12)
    assert (np.diff(population.eigenvalues) <= 0).all()
    assert population.sample_size == len(samples)
    assert population.total_variance == pytest.approx(np.trace(covariance), rel=1e-13)


class Tensor:
    """What kappaflow needs of a torch tensor: shape, ndim, slices, and detach().cpu() before it turns into an array."""

    def __init__(self, values: np.ndarray, ready: bool = False) -> None:
        self.values, self.ready, self.shape, self.ndim = values, ready, values.shape, values.ndim

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Tensor:
        return Tensor(self.values[index])

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return Tensor(self.values, ready=True)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        assert self.ready, "a tensor on a device cannot be converted"
        return self.values


# ---------------------------------------------------------------- samples
def test_from_an_array() -> None:
    samples = images()
    population = kf.Population.from_samples(samples, provenance="scaled to [-1, 1]")
    check_against_direct(population, samples)
    assert population.shape == (2, 3)
    assert population.dimension == 6
    assert population.provenance.description == "scaled to [-1, 1]; all 50 images are distinct"
    assert repr(population) == "Population(dimension=6, modes=6, shape=(2, 3), from 50 samples)"


@pytest.mark.parametrize("count", [4, 50])
def test_every_source_gives_the_same(count: int) -> None:
    samples = images(count)
    expected = kf.Population.from_samples(samples)
    seen: list[int] = []
    sources: list[Any] = [
        Tensor(samples),
        (samples[i : i + 3] for i in range(0, count, 3)),
        [Tensor(samples[:1]), Tensor(samples[1:])],
        [samples],
    ]
    for source in sources:
        seen.clear()
        population = kf.Population.from_samples(source, progress=seen.append)
        check_against_direct(population, samples)
        np.testing.assert_allclose(population.eigenvalues, expected.eigenvalues, rtol=1e-10)
        assert population.shape == (2, 3)
        assert seen[-1] == count
        assert seen == sorted(seen)


def test_from_a_list_of_rows_and_of_integers() -> None:
    check_against_direct(kf.Population.from_samples([[0, 1], [2, 5], [7, 1]]), np.array([[0, 1], [2, 5], [7, 1.0]]))
    pixels = rng().integers(0, 256, (30, 4), dtype=np.uint8)
    population = kf.Population.from_samples(pixels)
    check_against_direct(population, pixels / 127.5 - 1)
    assert population.provenance.pixel_range == (0, 255)
    assert population.provenance.scaling == "uint8 0…255 mapped to [-1, 1]"


def test_fewer_samples_than_dimensions() -> None:
    samples = images(7, (5, 6))
    population = kf.Population.from_samples(samples)
    check_against_direct(population, samples)
    assert population.eigenvectors is not None
    assert population.eigenvectors.shape == (30, 6)
    assert population.dimension == 30


def test_flat_samples_with_a_shape() -> None:
    population = kf.Population.from_samples(images(20, (6,)), shape=(3, 2))
    assert population.shape == (3, 2)
    with pytest.raises(ValueError, match=r"shape must have 6 entries in total, like the samples, got \(4, 2\)"):
        kf.Population.from_samples(images(20, (6,)), shape=(4, 2))


def test_refused_samples() -> None:
    bad = images()
    bad[7, 1, 2] = np.nan
    with pytest.raises(ValueError, match=r"images\[0:\] must be finite, got nan at index \(7, 1, 2\)"):
        kf.Population.from_samples(bad)
    with pytest.raises(ValueError, match=r"images\[40:\] must be finite"):
        kf.Population.from_samples([images(40), np.full((2, 2, 3), np.inf)])
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        kf.Population.from_samples(images(1))
    with pytest.raises(ValueError, match="at least 2 samples, got 0"):
        kf.Population.from_samples(iter([]))
    with pytest.raises(ValueError, match=r"batch 1 holds images of shape \(3, 2\), the first batch of \(2, 3\)"):
        kf.Population.from_samples([images(), images(shape=(3, 2))])
    with pytest.raises(ValueError, match="images must differ from each other"):
        kf.Population.from_samples(np.ones((5, 3)))
    with pytest.raises(ValueError, match="images must differ from each other"):
        kf.Population.from_samples(np.ones((3, 5)))
    with pytest.raises(ValueError, match=r"images must have shape \(N, ...\), got \(4,\)"):
        kf.Population.from_samples(np.ones(4))
    with pytest.raises(ValueError, match=r"each batch of images must have shape \(B, ...\)"):
        kf.Population.from_samples(iter([np.float64(4)]))
    with pytest.raises(TypeError, match="images must be an array or an iterable of batches, got int"):
        kf.Population.from_samples(3)
    with pytest.raises(TypeError, match="must be an array of real numbers, got dtype complex128"):
        kf.Population.from_samples(images() * 1j)


def test_memory_is_checked_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_of_machine", lambda: 2**30)
    with pytest.raises(
        MemoryError, match=r"a dimension of 20000 with 4 .* needs 11.9 GiB .* 1.0 GiB are free: use smaller"
    ):
        kf.Moments(20000)
    monkeypatch.setattr(memory, "_of_machine", lambda: 100)
    with pytest.raises(MemoryError, match="a dimension of 6 with"):
        kf.Population.from_samples(images())
    with pytest.raises(MemoryError, match="a dimension of 3 with"):
        kf.Population.from_covariance(np.eye(3))
    splits = kf.Splits(kf.Population.from_spectrum(np.ones(4)), 5)
    with pytest.raises(MemoryError, match="2 covariance-sized matrices"):
        splits.mode_variance(splits.denoiser(1.0))
    monkeypatch.setattr(memory, "_of_machine", lambda: 10**8)
    kf.Population.from_samples(images(4, shape=(2, 10_000)))  # the Gram route needs no covariance
    monkeypatch.setattr(memory, "_of_machine", lambda: 100)
    with pytest.raises(
        MemoryError, match=r"holding 4 images of 6 values needs .* of memory, 100 bytes are free: use fewer"
    ):
        kf.Population.from_samples(images(4))
    monkeypatch.setattr(memory, "_of_machine", lambda: None)
    kf.Population.from_samples(images())


# ---------------------------------------------------------------- covariance and spectrum
def test_from_covariance() -> None:
    root = rng(1).standard_normal((4, 6))
    covariance, mean = root @ root.T, rng(2).standard_normal(4)
    population = kf.Population.from_covariance(covariance, mean, shape=(2, 2))
    u = population.eigenvectors
    assert u is not None
    np.testing.assert_allclose((u * population.eigenvalues) @ u.T, covariance, atol=1e-13)
    np.testing.assert_array_equal(population.mean, mean)
    assert population.shape == (2, 2)
    assert population.sample_size is None
    assert "exact" in repr(population)
    singular = kf.Population.from_covariance(np.ones((3, 3)))
    assert (singular.eigenvalues >= 0).all()
    np.testing.assert_allclose(singular.eigenvalues, [3, 0, 0], atol=1e-14)


def test_refused_covariances() -> None:
    with pytest.raises(ValueError, match=r"covariance must be symmetric to .*, got an asymmetry of 0.001"):
        kf.Population.from_covariance([[1.0, 0.001], [0.0, 1.0]])
    with pytest.raises(ValueError, match=r"covariance must have no eigenvalue below -.*, got -1"):
        kf.Population.from_covariance([[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ValueError, match=r"covariance must be a square matrix, got shape \(2, 3\)"):
        kf.Population.from_covariance(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"covariance must be a square matrix, got shape \(0, 0\)"):
        kf.Population.from_covariance(np.ones((0, 0)))
    with pytest.raises(ValueError, match="covariance must be finite, got nan"):
        kf.Population.from_covariance([[np.nan]])
    with pytest.raises(ValueError, match="mean must have 2 entries, like the covariance, got 3"):
        kf.Population.from_covariance(np.eye(2), np.zeros(3))


def test_from_spectrum_sorts() -> None:
    population = kf.Population.from_spectrum([0.5, 3.0, 0.0, 1.0], [1, 2, 3, 4])
    np.testing.assert_array_equal(population.eigenvalues, [3, 1, 0.5, 0])
    np.testing.assert_array_equal(population.multiplicity, [2, 4, 1, 3])
    assert population.dimension == 10
    assert population.eigenvectors is None
    assert population.total_variance == 10.5
    assert population.spectrum.rank == 7
    np.testing.assert_array_equal(population.mean, np.zeros(10))
    with pytest.raises(ValueError, match=r"multiplicity must hold whole numbers, got 1.5"):
        kf.Population.from_spectrum([1.0], [1.5])


def test_huge_multiplicity_takes_no_memory() -> None:
    population = kf.Population.from_spectrum([1.0, 1e-3], [10, 10**12])
    assert population.dimension == 10**12 + 10
    assert population.mean.size == 0


def test_from_spectrum_leaves_the_callers_arrays_alone() -> None:
    values, counts = np.array([3.0, 1.0]), np.array([1.0, 2.0])
    kf.Population.from_spectrum(values, counts)
    values[0] = counts[0] = 7


def test_from_covariance_leaves_the_callers_mean_alone() -> None:
    mean = np.zeros(2)
    population = kf.Population.from_covariance(np.eye(2), mean)
    mean[0] = 7
    assert population.mean[0] == 0


def test_arrays_are_read_only() -> None:
    for population in (kf.Population.from_samples(images()), kf.Population.from_spectrum([1.0, 2.0])):
        for name in ("eigenvalues", "multiplicity", "mean", "eigenvectors"):
            array = getattr(population, name)
            if array is not None:
                with pytest.raises(ValueError, match="read-only"):
                    array[...] = 0


# ---------------------------------------------------------------- coordinates
def test_coordinates_and_reconstruct_are_inverse() -> None:
    population = kf.Population.from_samples(images())
    x = images(5, seed=3)
    coordinates = population.coordinates(x)
    assert coordinates.shape == (5, 6)
    np.testing.assert_allclose(population.reconstruct(coordinates), x, rtol=1e-12)
    np.testing.assert_allclose(population.coordinates(x.reshape(5, 6)), coordinates, rtol=1e-12)
    np.testing.assert_allclose(population.coordinates(x[0]), coordinates[:1], rtol=1e-12)
    np.testing.assert_allclose(population.coordinates(population.mean), np.zeros((1, 6)), atol=1e-14)
    whitened = population.coordinates(images())
    np.testing.assert_allclose(whitened.T @ whitened / 50, np.diag(population.eigenvalues), atol=1e-12)


def test_coordinates_of_few_samples_are_a_projection() -> None:
    samples = images(5, (3, 4))
    population = kf.Population.from_samples(samples)
    np.testing.assert_allclose(population.reconstruct(population.coordinates(samples)), samples, rtol=1e-11)


def test_coordinates_of_a_spectrum_are_the_inputs() -> None:
    population = kf.Population.from_spectrum([2.0, 1.0])
    x = np.array([[1.0, -3.0]])
    np.testing.assert_array_equal(population.coordinates(x), x)
    np.testing.assert_array_equal(population.reconstruct(x), x)


# ---------------------------------------------------------------- files
def same(one: kf.Population, two: kf.Population) -> None:
    for name in ("eigenvalues", "multiplicity", "mean", "eigenvectors"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    for name in ("dimension", "shape", "sample_size", "provenance"):
        assert getattr(one, name) == getattr(two, name)


def test_save_and_load(tmp_path: Path) -> None:
    populations = [
        kf.Population.from_samples(images(), provenance="a ∈ [−1, 1]"),
        kf.Population.from_samples(images(4)),
        kf.Population.from_covariance(np.eye(2), [1.0, 2.0]),
        kf.Population.from_spectrum([1.0, 2.0], [3, 10**12]),
    ]
    for number, population in enumerate(populations):
        path = tmp_path / f"{number}.safetensors"
        population.save(path)
        loaded = kf.Population.load(os.fspath(path))
        same(loaded, population)
        with pytest.raises(ValueError, match="read-only"):
            loaded.eigenvalues[0] = 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{i}.safetensors" for i in range(4)]


def test_corrupted_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "population.safetensors"
    kf.Population.from_samples(images()).save(path)
    whole = path.read_bytes()
    for broken in (whole[:-9], whole[:5], b"", b"no tensors here" * 20):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"path must name a saved population, got .*population.safetensors"):
            kf.Population.load(path)
    save_file({"eigenvalues": np.ones(2)}, path)
    with pytest.raises(ValueError, match="saved population of format kappaflow-population-2, got None"):
        kf.Population.load(path)
    save_file({"eigenvalues": np.ones(2)}, path, metadata={"format": "kappaflow-population-9"})
    with pytest.raises(ValueError, match="of format kappaflow-population-2, got 'kappaflow-population-9'"):
        kf.Population.load(path)
    with pytest.raises(FileNotFoundError, match=r"path must name a saved population, got .*: no such file"):
        kf.Population.load(tmp_path / "absent")


def test_metadata_is_plain_json(tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "p.safetensors"
    kf.Population.from_samples(images()).save(path)
    with safe_open(os.fspath(path), framework="numpy") as file:
        facts = json.loads(file.metadata()["population"])
    known = kf.Provenance(distinct="all 50 images are distinct")
    assert facts == {"dimension": 6, "shape": [2, 3], "sample_size": 50, "provenance": known.as_json()}


@pytest.mark.parametrize("broken", ["safetensors.numpy.save_file", "os.replace"])
def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    path = tmp_path / "population.safetensors"
    kf.Population.from_samples(images()).save(path)
    before = path.read_bytes()

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(broken, fail)
        with pytest.raises(OSError, match="disk full"):
            kf.Population.from_spectrum([1.0]).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["population.safetensors"]


# ---------------------------------------------------------------- moments
def test_moments_merge_and_refuse() -> None:
    samples = images(40, (5,)) + 1e6
    whole, one, two = kf.Moments(5), kf.Moments(5), kf.Moments(5)
    whole.add(samples)
    one.add(samples[:13])
    two.add(samples[13:])
    one.merge(two)
    assert one.count == whole.count == 40
    assert one.dimension == 5
    exact = np.cov((samples - 1e6).T, bias=True)
    for each in (whole, one):
        np.testing.assert_allclose(each.mean, samples.mean(axis=0), rtol=1e-14)
        np.testing.assert_allclose(each.covariance(), exact, atol=1e-8)
    before = one.covariance()
    for bad, error in ((np.full((2, 5), np.nan), "batch must be finite"), (np.ones((2, 4)), r"shape \(B, 5\)")):
        with pytest.raises(ValueError, match=error):
            one.add(bad)
    np.testing.assert_array_equal(one.covariance(), before)
    with pytest.raises(ValueError, match="other must have dimension 5, got 4"):
        one.merge(kf.Moments(4))
    with pytest.raises(ValueError, match="covariance needs at least one sample, got none"):
        kf.Moments(2).covariance()
    with pytest.raises(TypeError, match=r"dimension must be an integer of at least 1, got 2\.0"):
        kf.Moments(2.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dimension must be an integer of at least 1, got 0"):
        kf.Moments(0)


def test_torch_tensors_are_accepted() -> None:
    torch = pytest.importorskip("torch")
    samples = np.random.default_rng(5).standard_normal((30, 2, 3))
    tensor = torch.tensor(samples, requires_grad=True)
    expected, population = kf.Population.from_samples(samples), kf.Population.from_samples(tensor)
    np.testing.assert_array_equal(population.eigenvalues, expected.eigenvalues)
    splits = kf.Splits(population, 10)
    f = splits.denoiser(0.5)
    np.testing.assert_array_equal(splits.disagreement(f, tensor[:3]), splits.disagreement(f, samples[:3]))
