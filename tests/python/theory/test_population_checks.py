"""What no population can be: the constructor refuses it, and so does a file that says so, with the name of the field."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import kappaflow as kf
from kappaflow._formats import POPULATION
from kappaflow._orthonormal import make_orthonormal, orthonormality_error
from kappaflow._schema import FileError
from kappaflow._tensors import write_tensors


def rows(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((40, 2, 3)) * np.linspace(1, 2, 6).reshape(2, 3) + 3


def fields() -> dict[str, Any]:
    """The fields of a right population of frames in groups."""
    population = kf.Population.from_samples(rows(), profiles=40, groups=np.repeat(np.arange(20), 2))
    return {
        name: value if np.ndim(value) == 0 else np.array(value) for name, value in population.__getstate__().items()
    }


def changed(array: np.ndarray, place: Any, value: float) -> np.ndarray:
    array = array.copy()
    array[place] = value
    return array


#: Field, its wrong value from the right fields, and the error that names it.
WRONG = {
    "ascending": ("eigenvalues", lambda f: f["eigenvalues"][::-1], "eigenvalues must descend, got"),
    "negative": ("eigenvalues", lambda f: changed(f["eigenvalues"], -1, -1), "eigenvalues must not be negative, got -1"),
    "no eigenvalue": ("eigenvalues", lambda f: f["eigenvalues"][:0], "eigenvalues must be one-dimensional and not empty"),
    "NaN eigenvalue": ("eigenvalues", lambda f: changed(f["eigenvalues"], 2, np.nan), "eigenvalues must be finite"),
    "no multiplicity": ("multiplicity", lambda f: changed(f["multiplicity"], 0, 0), "multiplicity must be positive"),
    "too many": ("multiplicity", lambda f: changed(f["multiplicity"], 0, 2), "multiplicity must sum to at most the dim"),
    "of a column": ("multiplicity", lambda f: changed(f["multiplicity"], 0, 0.5), "multiplicity must be 1 for modes with"),
    "a longer vector": ("eigenvectors", lambda f: f["eigenvectors"] * 1.001, "eigenvectors must be orthonormal to 1e-05"),
    "two equal vectors": ("eigenvectors", lambda f: f["eigenvectors"][:, [0, 0, 1, 2, 3, 4]], "must be orthonormal"),
    "NaN vector": ("eigenvectors", lambda f: changed(f["eigenvectors"], (1, 2), np.nan), "eigenvectors must be finite"),
    "fewer vectors": ("eigenvectors", lambda f: f["eigenvectors"][:, :5], r"eigenvectors must have shape \(6, 6\)"),
    "NaN mean": ("mean", lambda f: changed(f["mean"], 3, np.inf), "mean must be finite, got inf at index"),
    "longer mean": ("mean", lambda f: np.ones(7), r"mean must have shape \(6,\)"),
    "NaN profile": ("profiles", lambda f: changed(f["profiles"], (1, 1), np.nan), "profiles must be finite, got nan"),
    "other profiles": ("profiles", lambda f: 2 * f["profiles"], "profiles must have the eigenvalue of each mode as their"),
    "flat profiles": ("profiles", lambda f: f["profiles"][:, :5], r"profiles must have shape \(M, 6\)"),
    "gap in groups": ("groups", lambda f: 2 * f["groups"], "groups must number the profiles from 0 without gaps"),
    "short groups": ("groups", lambda f: f["groups"][:-1], "groups must hold one integer for each of the 40 profiles"),
    "negative size": ("sample_size", lambda f: -3, "sample_size must be an integer of at least 1, got -3"),
    "no groups": ("group_count", lambda f: 0, "group_count must be an integer of at least 1, got 0"),
    "negative side": ("shape", lambda f: (-2, -3), "shape must be an integer of at least 1, got -2"),
    "other shape": ("shape", lambda f: (2, 2), "shape must have 6 entries in total"),
    "three versions": ("versions", lambda f: 3, "versions must be an integer from 1 to 2, got 3"),
    "other dimension": ("dimension", lambda f: 5, "multiplicity must sum to at most the dimension 5"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_the_constructor_refuses(case: str) -> None:
    right = fields()
    name, wrong, message = WRONG[case]
    kf.Population(**right)
    with pytest.raises(ValueError, match=message):
        kf.Population(**right | {name: wrong(right)})


@pytest.mark.parametrize("case", WRONG)
def test_a_file_is_refused_for_the_same_reasons(case: str, tmp_path: Path) -> None:
    right = fields()
    name, wrong, _ = WRONG[case]
    write(tmp_path / "p.safetensors", right)
    kf.Population.load(tmp_path / "p.safetensors")
    write(tmp_path / "p.safetensors", right | {name: wrong(right)})
    with pytest.raises(
        FileError, match=r"path must name a saved population, got '.*p.safetensors', which is damaged: "
    ) as error:
        kf.Population.load(tmp_path / "p.safetensors")
    assert name in str(error.value) or name == "dimension"


def write(path: Path, values: dict[str, Any]) -> None:
    """A file with the checksum of these values, right or wrong."""
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray) and name != "shape"}
    facts = {name: values[name] for name in ("dimension", "sample_size", "group_count", "versions")}
    facts |= {"shape": [int(side) for side in values["shape"]], "provenance": kf.Provenance().as_json()}
    write_tensors(path, arrays, format=POPULATION, facts={"population": facts})


def test_wrong_types_are_named() -> None:
    with pytest.raises(TypeError, match="provenance must be a Provenance, got str"):
        kf.Population(**fields() | {"provenance": "toy"})
    with pytest.raises(TypeError, match=r"sample_size must be an integer of at least 1, got 40\.0"):
        kf.Population(**fields() | {"sample_size": 40.0})
    with pytest.raises(TypeError, match="eigenvalues must be an array of real numbers"):
        kf.Population(**fields() | {"eigenvalues": list("abcdef")})


def test_one_multiplicity_and_lists_are_enough() -> None:
    population = kf.Population([3, 2, 1.5], 1, dimension=3, sample_size=8)
    assert population.multiplicity.tolist() == [1, 1, 1]
    assert population.total_variance == 6.5


# ---------------------------------------------------------------- files
def parts(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    with safe_open(os.fspath(path), framework="numpy") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118 - not a dict


def test_a_changed_value_is_noticed(tmp_path: Path) -> None:
    """Values that are possible in themselves."""
    path = tmp_path / "p.safetensors"
    kf.Population.from_samples(rows()).save(path)
    arrays, metadata = parts(path)
    facts = json.loads(metadata["population"])
    other = {
        "mean": (arrays | {"mean": arrays["mean"] + 1e-9}, metadata),
        "sample_size": (arrays, metadata | {"population": json.dumps(facts | {"sample_size": 41})}),
        "version": (arrays, metadata | {"version": "9"}),
        "more": (arrays, metadata | {"more": "text"}),
    }
    for tensors, texts in other.values():
        save_file(tensors, path, metadata=texts)
        with pytest.raises(FileError, match="its checksum does not match its contents"):
            kf.Population.load(path)
    save_file(arrays, path, metadata={name: text for name, text in metadata.items() if name != "checksum"})
    with pytest.raises(FileError, match="it has no checksum"):
        kf.Population.load(path)
    save_file(arrays, path, metadata=metadata)
    np.testing.assert_array_equal(kf.Population.load(path).mean, arrays["mean"])


@pytest.mark.parametrize(
    ("population", "message"),
    [
        ('{"dimension": 6}', r"population must have the field 'shape', got 'dimension'"),
        ("[1]", r"population must be named values, got \[1\]"),
        ("{" * 9, "population must hold JSON"),
        ("[" * 100_000, "population must hold JSON"),
        ('{"dimension": NaN}', r"JSON must hold finite numbers, got NaN"),
        ('{"dimension": 6, "dimension": 7}', "JSON must name every field once"),
    ],
)
def test_facts_of_another_form_are_named(tmp_path: Path, population: str, message: str) -> None:
    path = tmp_path / "p.safetensors"
    kf.Population.from_samples(rows()).save(path)
    arrays, metadata = parts(path)
    resealed = metadata | {"population": population}
    from kappaflow._tensors import _checksum

    save_file(arrays, path, metadata=resealed | {"checksum": _checksum(arrays, resealed)})
    with pytest.raises(FileError, match=message):
        kf.Population.load(path)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_steep_spectra_of_few_samples_have_orthonormal_modes(dtype: Any) -> None:
    """The Gram matrix alone leaves an error of 3e-3 here."""
    steep = (np.random.default_rng(0).standard_normal((100, 300)) * np.logspace(0, -20, 300)).astype(dtype)
    population = kf.Population.from_samples(steep)
    vectors = population.eigenvectors
    assert vectors is not None
    assert vectors.dtype == dtype
    assert np.abs(vectors.T @ vectors - np.eye(vectors.shape[1])).max() < (1e-12 if dtype is np.float64 else 1e-6)
    coordinates = population.coordinates(steep)
    scale = population.eigenvalues[0]
    tolerance = (1e-14 if dtype is np.float64 else 1e-7) * scale
    np.testing.assert_allclose(
        coordinates.T @ coordinates / len(steep), np.diag(population.eigenvalues), atol=tolerance
    )


@pytest.mark.parametrize("modes", [30, 400])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_error_of_columns_is_seen_with_and_without_their_products(modes: int, dtype: Any) -> None:
    columns = np.linalg.qr(np.random.default_rng(1).standard_normal((500, modes)))[0].astype(dtype)
    right = 1e-13 if dtype is np.float64 else 1e-6
    assert orthonormality_error(columns) < right
    for spoiled in (changed(columns, (3, 5), columns[3, 5] + 1e-3), np.r_[columns[:1] * 1.01, columns[1:]]):
        assert orthonormality_error(spoiled) > 1e-5
        first, spoiled = spoiled[:, 0].copy(), np.asfortranarray(spoiled)
        make_orthonormal(spoiled)
        assert orthonormality_error(spoiled) < right
        np.testing.assert_allclose(spoiled[:, 0], first / np.linalg.norm(first), rtol=100 * right)
    assert np.isnan(orthonormality_error(changed(columns, (3, 5), np.nan)))
