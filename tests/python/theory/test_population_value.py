"""Population as a value: it cannot be changed, copies with changes, pickles, takes an image source, shows itself."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.datasets import open_images
from kappaflow.moments import has_variance, symmetric_eigensystem
from kappaflow.profiles import scaled_profiles

FIELDS = [field.name for field in dataclasses.fields(kf.Population)]


def some_population(**options: object) -> kf.Population:
    rows = np.random.default_rng(0).standard_normal((50, 2, 3)) * np.linspace(1, 2, 6).reshape(2, 3) + 3
    return kf.Population.from_samples(rows, profiles=20, provenance="toy", **options)  # type: ignore[arg-type]


def assert_same(one: kf.Population, two: kf.Population, *, but: tuple[str, ...] = ()) -> None:
    for name in FIELDS:
        if name not in but:
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_assignment_raises() -> None:
    population = some_population()
    for name in FIELDS:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(population, name, None)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(population, name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        population.anything = 1  # type: ignore[attr-defined]


def test_replace_changes_the_named_fields_alone() -> None:
    population = some_population()
    other = population.replace(provenance=kf.Provenance("other"), sample_size=None)
    assert (other.provenance.description, other.sample_size) == ("other", None)
    assert_same(other, population, but=("provenance", "sample_size"))
    assert (population.provenance.description, population.sample_size) == ("toy; all 50 images are distinct", 50)
    assert population.profiles is not None
    fewer = population.replace(profiles=scaled_profiles(population.profiles[::2], population.eigenvalues))
    assert fewer.profiles is not None
    assert fewer.radial_scales.size == 10
    assert population.radial_scales.size == 20
    np.testing.assert_allclose((fewer.profiles**2.0).mean(axis=0), population.eigenvalues, rtol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        fewer.profiles[0] = 0
    with pytest.raises(TypeError, match="'colour'"):
        population.replace(colour="red")


def test_replace_takes_defaults_of_the_constructor() -> None:
    plain = some_population().replace(mean=None, shape=None, profiles=None, eigenvectors=None)
    assert plain.shape == (6,)
    np.testing.assert_array_equal(plain.mean, np.zeros(6))


def test_compressed_keeps_what_it_can() -> None:
    population = some_population()
    small = population.compressed()
    assert (small.dimension, small.sample_size, small.provenance.description) == (
        6,
        50,
        "toy; all 50 images are distinct",
    )
    assert (small.eigenvectors, small.profiles, small.shape) == (None, None, (6,))
    assert small.total_variance == pytest.approx(population.total_variance, rel=1e-13)


@pytest.mark.parametrize("copied", [lambda p: pickle.loads(pickle.dumps(p)), copy.copy, copy.deepcopy])
def test_copies_are_equal_and_read_only(copied: object) -> None:
    population = some_population()
    assert population.radial_scales.size == 20  # cached values are not part of the value
    other = copied(population)  # type: ignore[operator]
    assert_same(other, population)
    assert repr(other) == repr(population)
    for name in ("eigenvalues", "mean", "eigenvectors", "profiles"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(other, name)[0] = 0
    assert other.radial_scales.size == 20


def test_an_image_source_goes_straight_in() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 3, 5), dtype=np.uint8)
    source = open_images(pixels)
    seen: list[int] = []
    population = kf.Population.from_samples(source, profiles=7, progress=seen.append)
    by_hand = kf.Population.from_samples(pixels / 127.5 - 1, profiles=7)
    assert population.shape == (3, 5)
    read = "an array: (40, 3, 5) uint8; uint8 0…255 mapped to [-1, 1]"
    assert population.provenance.description == f"{read}; all 40 images are distinct"
    np.testing.assert_allclose(population.eigenvalues, by_hand.eigenvalues, rtol=1e-10)
    np.testing.assert_allclose(population.mean, by_hand.mean, rtol=1e-13)
    assert seen == [40]
    named = kf.Population.from_samples(source, shape=(5, 3), provenance="mine")
    assert (named.shape, named.provenance.description) == ((5, 3), "mine; all 40 images are distinct")
    with pytest.raises(ValueError, match=r"shape must have 15 entries in total, like the samples, got \(4, 4\)"):
        kf.Population.from_samples(source, shape=(4, 4))


def test_a_source_of_unknown_length_is_streamed() -> None:
    batches = [np.random.default_rng(k).standard_normal((30, 2, 2)) for k in range(3)]
    seen: list[int] = []
    population = kf.Population.from_samples(
        open_images((batch for batch in batches), shape=(2, 2)), progress=seen.append
    )
    assert (population.shape, population.sample_size) == ((2, 2), 90)
    assert seen == [90]


def test_repr_is_short() -> None:
    population = some_population()
    assert repr(population) == "Population(dimension=6, modes=6, shape=(2, 3), from 50 samples)"
    assert repr(kf.Splits(population, 7, law="elliptical", mean="known")) == (
        f"Splits(n=7, law='elliptical', mean='known', population={population!r})"
    )
    moments = kf.Moments(3)
    moments.add(np.ones((2, 3)))
    assert repr(moments) == "Moments(dimension=3, count=2)"
    info = kf.solve_kappa(np.ones(500), 20, sigma=np.ones((4, 5)), return_info=True)
    assert repr(info) == f"KappaInfo(20 noise levels, all certified, largest residual {info.residual.max():.2g})"
    splits = kf.Splits(population, 7)
    assert repr(splits.mode_disagreement(splits.denoiser(1.0), input_sigma=1.0)) == "ModeDisagreement(6 modes)"


def test_notebook_shows_facts_and_the_table_has_the_modes() -> None:
    population = some_population()
    shown = population._repr_html_()
    for words in ("2 × 3", "6, 6 with variance", "<td>50</td>", "<td>20</td>", "toy"):
        assert words in shown
    table = population.to_dataframe()
    assert list(table.columns) == ["mode", "eigenvalue", "multiplicity", "share"]
    np.testing.assert_array_equal(table["eigenvalue"], population.eigenvalues)
    assert table["share"].iloc[-1] == pytest.approx(1)
    assert "exactly known" in kf.Population.from_spectrum([1.0, 0.0])._repr_html_()


def test_one_rule_says_which_modes_have_variance() -> None:
    u = np.linalg.qr(np.random.default_rng(2).standard_normal((8, 8)))[0]
    values = np.array([1.0, 0.5, 1e-3, 1e-9, 1e-12, 0, 0, 0])
    found = symmetric_eigensystem((u * values) @ u.T).values
    np.testing.assert_array_equal(has_variance(found), values > 0)
    np.testing.assert_array_equal(has_variance(1e-200 * values), values > 0)
    assert not has_variance(np.zeros(3)).any()
    assert has_variance(np.empty(0)).shape == (0,)
    bound = 2 * np.finfo(np.float64).eps
    np.testing.assert_array_equal(has_variance(np.array([1.0, bound])), [True, False])
    np.testing.assert_array_equal(has_variance(np.array([1.0, 1.01 * bound])), [True, True])
