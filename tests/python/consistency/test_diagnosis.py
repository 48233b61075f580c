"""The diagnosis of the law: on data whose law is known, against closed forms, and in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.bands import Band
from kappaflow.consistency.diagnosis import diagnosis_to_json
from kappaflow.consistency.law_choice import choose_law
from kappaflow.consistency.needed import Correction, images_needed
from kappaflow.consistency.predict import predict
from kappaflow.consistency.prediction import prediction_to_json
from kappaflow.consistency.rule import ACCEPTABLE_SECONDS
from kappaflow.datasets import open_images
from kappaflow.laws import REGISTRY, Work
from kappaflow.moments import has_variance
from kappaflow.profiles import scaled_profiles

SEED = 77
SPECTRUM = np.arange(1, 41.0) ** -1.5


def population(count=4000, *, tail=None, spectrum=SPECTRUM, profiles=None, seed=SEED):
    """Gaussian samples, with radial scales of a gamma distribution of mean 1 and shape `tail`."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal((count, spectrum.size)) * np.sqrt(spectrum)
    if tail is not None:
        samples *= rng.gamma(tail, 1 / tail, count)[:, None] ** 0.5
    return kf.Population.from_samples(samples, profiles=count if profiles is None else profiles)


@pytest.fixture(scope="module")
def gaussian():
    return kf.diagnose(population())


@pytest.fixture(scope="module")
def heavy():
    return kf.diagnose(population(tail=1.5))


def test_gaussian_data_get_the_gaussian_law(gaussian):
    assert gaussian.law == "gaussian"
    assert gaussian.recommendation.startswith(
        "Take the Gaussian law: the experiment finds it as accurate on your images as the "
    )
    for law in REGISTRY:
        error, uncertainty = gaussian.error(law)
        assert error < 0.05 + 2 * uncertainty
        assert uncertainty < 0.06
    assert gaussian.subsampling_error is None


def test_heavy_tailed_data_get_another_law_and_the_gaussian_error_is_that_of_the_fourth_moment(heavy):
    """Var of a radial scale of shape 3/2 multiplies fourth moments by 1 + 2/3; resolvents show somewhat less of it."""
    assert heavy.law != "gaussian"
    assert 0.3 < heavy.error("gaussian")[0] < np.log(1 + 2 / 3)
    assert heavy.error("empirical")[0] < 0.06
    assert heavy.error("elliptical")[0] < 0.12
    error = heavy.error("gaussian")[0]
    amount = f"a factor of {np.exp(error):.2g}" if error > 0.4 else f"{100 * np.expm1(error):.0f}\xa0%"
    assert f"Gaussian law {amount}" in heavy.recommendation
    for each in heavy.errors:
        assert each.total > 0.3 or each.law != "gaussian"  # positive: predicts too little
        assert each.band.shape == each.band_error.shape == (len(heavy.bands),)


def test_recommendation_is_the_most_accurate_law_and_the_fastest_of_equals(gaussian, heavy):
    for found in (gaussian, heavy):
        assert max(found.seconds.values()) < ACCEPTABLE_SECONDS
        best = min((found.error(law) for law in REGISTRY), key=lambda off: off.error)
        equal = [
            law
            for law in REGISTRY
            if found.error(law).error - best.error <= np.hypot(found.error(law).uncertainty, best.uncertainty)
        ]
        assert found.law == min(equal, key=lambda law: found.seconds[law])
        assert f"off by {100 * np.expm1(found.error(found.law)[0]):.0f}\xa0%" in found.reason


def test_where_no_law_is_accurate_the_words_say_so():
    """60 samples of very unequal size: the few large ones decide, and they differ between training sets."""
    found = kf.diagnose(population(60, tail=0.2))
    assert min(found.error(law)[0] for law in REGISTRY) > np.log(1.1)
    assert found.law == "empirical"
    assert "No law comes within 10\xa0%" in found.reason


def test_leverage_of_gaussian_profiles(gaussian):
    assert gaussian.leverage.shape == (4000,)
    assert gaussian.leverage.mean() == pytest.approx(1.0, abs=1e-3)
    freedom = float(kf.df1(gaussian.kappa, SPECTRUM))
    assert freedom == pytest.approx(0.5 * min(gaussian.n, SPECTRUM.size), rel=0.02)
    expected = 2 * float(kf.df2(gaussian.kappa, gaussian.kappa, SPECTRUM)) / freedom**2
    assert gaussian.leverage_gaussian == pytest.approx(expected, rel=0.02)
    # the relative error of a variance of M values is about sqrt(2/M), somewhat more for a skew distribution
    assert gaussian.leverage_variance == pytest.approx(gaussian.leverage_gaussian, rel=3 * np.sqrt(2 / 4000))


def test_leverage_of_few_samples_is_that_of_the_population_behind_them():
    """150 samples in 100 dimensions: κ and the Gaussian variance are those of the true spectrum."""
    spectrum = np.arange(1, 101.0) ** -1.0
    found = [kf.diagnose(population(150, spectrum=spectrum, seed=seed), training_sets=8) for seed in range(6)]
    freedom = np.array([float(kf.df1(each.kappa, spectrum)) for each in found])
    assert freedom.mean() == pytest.approx(0.5 * 75, rel=0.03)
    expected = [2 * float(kf.df2(each.kappa, each.kappa, spectrum)) for each in found] / freedom**2
    assert np.mean([each.leverage_gaussian for each in found] / expected) == pytest.approx(1.0, abs=0.04)
    assert np.mean([each.leverage_variance for each in found] / expected) == pytest.approx(1.0, abs=0.25)


def test_leverage_of_heavy_tails_holds_the_variance_of_the_radial_scale(heavy):
    expected = 2 / 3 + (1 + 2 / 3) * heavy.leverage_gaussian
    assert heavy.leverage_variance == pytest.approx(expected, rel=0.15)


def test_kurtosis_closed_forms():
    """Signs have kurtosis 1, a uniform distribution 9/5, a Gaussian one 3."""
    rng = np.random.default_rng(SEED)
    count = 20_000
    signs, uniform, normal = rng.choice([-3.0, 3.0], count), rng.uniform(-3, 3, count), rng.standard_normal(count)
    samples = np.stack([signs, uniform, 0.5 * normal, np.zeros(count)], axis=1)
    kurtosis = kf.diagnose(kf.Population.from_samples(samples, profiles=count), n=50, training_sets=8).kurtosis
    np.testing.assert_allclose(kurtosis[:3], [1.0, 1.8, 3.0], rtol=0.04)
    assert np.isnan(kurtosis[3])


def test_modes_without_variance_are_left_out():
    digits = kf.Population.from_samples(open_images("digits").batches(), profiles=1797)
    found = kf.diagnose(digits, training_sets=32)
    alive = has_variance(digits.eigenvalues)
    np.testing.assert_array_equal(np.isfinite(found.kurtosis), alive)
    assert 0 < alive.sum() < 64
    assert found.bands[-1].stop == alive.sum()
    assert all(np.isfinite(each.band).all() and np.isfinite(each.rms) for each in found.errors)
    numbers = json.loads(json.dumps(diagnosis_to_json(found), allow_nan=False))
    assert numbers["kurtosis"][-1] is None
    assert numbers["leverage"]["quantiles"]["0.5"] == float(np.median(found.leverage))
    assert [row["law"] for row in numbers["errors"]] == [each.law for each in found.errors]


def test_the_same_arguments_give_the_same_diagnosis():
    data = population(600, tail=2.0)
    first, second = (diagnosis_to_json(kf.diagnose(data, training_sets=16, profiles=300)) for _ in range(2))
    assert first == second
    other = diagnosis_to_json(kf.diagnose(data, training_sets=16, profiles=300, seed=1))
    assert other["errors"] != first["errors"]
    assert first["profiles"] == 300
    assert first["n"] == 150


def test_fewer_samples_than_modes():
    found = kf.diagnose(population(120, spectrum=np.arange(1, 301.0) ** -1.2), training_sets=16)
    assert found.n == 60
    assert all(np.isfinite(each.total) and np.isfinite(each.band).all() for each in found.errors)


def test_one_mode():
    found = kf.diagnose(population(200, spectrum=np.ones(1)), training_sets=16)
    assert found.bands == (Band(0, 1),)
    assert np.isfinite(found.error("gaussian")).all()


def test_subsampling_error_is_that_of_other_subsets():
    """The spread of the total over disjoint subsets of M of the N samples, of data with a scale for each half of the modes."""
    rng = np.random.default_rng(SEED)
    scales = np.repeat(rng.gamma(0.7, 1 / 0.7, (6000, 2)) ** 0.5, 20, axis=1)
    samples = rng.standard_normal((6000, 40)) * np.sqrt(SPECTRUM) * scales
    found = kf.diagnose(kf.Population.from_samples(samples, profiles=500), n=60)
    assert found.law == "empirical"
    whole = kf.Population.from_samples(samples, profiles=6000)
    totals = []
    for part in range(12):
        some = whole.replace(profiles=scaled_profiles(whole.profiles[part::12], whole.eigenvalues))
        splits = kf.Splits(some, 60, law="empirical")
        totals.append(float(splits.mean_disagreement(splits.sampling_map(), input_variance=6400.0)))
    spread = np.std(totals, ddof=1) / np.mean(totals)
    # four quarters determine a standard deviation to 40 %, twice that is allowed
    assert found.subsampling_error == pytest.approx(spread * np.sqrt(1 - 1 / 12), rel=0.8)
    assert (
        f"It is built on 500 of the images, which adds an error of {100 * found.subsampling_error:.2g}" in found.reason
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 1}, "n must be an integer of at least 2, got 1"),
        ({"training_sets": 4}, "training_sets must be an integer of at least 8, got 4"),
        ({"inputs": 0}, "inputs must be an integer of at least 1, got 0"),
        ({"profiles": 3}, "profiles must be an integer of at least 16, got 3"),
        ({"sigma_max": -1}, "sigma_max must be finite and above 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        kf.diagnose(population(100), **options)


def test_what_cannot_be_diagnosed():
    with pytest.raises(ValueError, match="population must hold profiles for a diagnosis, got none"):
        kf.diagnose(kf.Population.from_spectrum([2.0, 1.0]))
    with pytest.raises(ValueError, match="population must hold at least 16 profiles for a diagnosis, got 9"):
        kf.diagnose(population(9))
    with pytest.raises(TypeError, match="population must be a Population, got list"):
        kf.diagnose([1.0])


# --- the rule that predictions follow ---------------------------------------------------------------------------------


def test_choice_of_the_law():
    data = population(600, tail=1.0)
    chosen = choose_law(data)
    assert chosen.diagnosis is not None
    assert chosen.law == chosen.diagnosis.law != "gaussian"
    assert chosen.diagnosis.reason in chosen.reason
    asked = choose_law(data, "gaussian")
    assert (asked.law, asked.reason, asked.diagnosis) == ("gaussian", "The Gaussian law was asked for.", None)
    unseen = choose_law(population(600, profiles=0))
    assert (unseen.law, unseen.diagnosis) == ("gaussian", None)
    assert "holds no images to test the laws on" in unseen.reason
    assert "holds only 9 images" in choose_law(population(9)).reason
    with pytest.raises(ValueError, match="law must be one of 'auto', 'gaussian', 'elliptical', 'empirical', got 'x'"):
        choose_law(data, "x")
    with pytest.raises(ValueError, match="population must hold profiles for law='empirical', got none"):
        choose_law(population(600, profiles=0), "empirical")


@pytest.mark.parametrize("law", REGISTRY)
def test_numbers_of_a_prediction_are_those_of_its_law(law):
    data = population(400, tail=1.0, spectrum=SPECTRUM[:16])
    bands = [(0, 3), (3, 16)]
    found = predict(data, source="test", n=[30, 90], law=law, bands=bands, seeds=range(3), images=1)
    assert found.law == law
    for index, n in enumerate((30, 90)):
        splits = kf.Splits(data, n, law=law)
        f = splits.sampling_map()
        np.testing.assert_allclose(found.modes.gain[index], splits.expectation(f), rtol=1e-12)
        np.testing.assert_allclose(
            found.bands.disagreement[index], splits.mean_disagreement(f, input_variance=6400.0, bands=bands), rtol=1e-10
        )
        relative = splits.mean_disagreement(f, input_variance=6400.0, bands=bands, relative=True)
        np.testing.assert_allclose(found.bands.relative[index], relative, rtol=1e-10)
        total = (
            splits.mean_disagreement(f, input_variance=6400.0),
            splits.mean_disagreement(f, input_variance=6400.0, relative=True),
        )
        np.testing.assert_allclose((found.totals.disagreement[index], found.totals.relative[index]), total, rtol=1e-10)
        np.testing.assert_allclose(
            found.modes.disagreement[index], splits.mode_disagreement(f, input_variance=6400.0).part, rtol=1e-12
        )
    reference = kf.Splits(data, found.reference_n, law=law)
    pairs = reference.mode_variance(reference.sampling_map(), found.modes.pairs.modes)
    np.testing.assert_allclose(found.modes.pairs.variance, pairs, rtol=1e-12)
    assert json.loads(json.dumps(prediction_to_json(found), allow_nan=False))["law"] == law


def test_a_prediction_that_decides_for_itself_carries_its_diagnosis():
    data = population(400, tail=1.0, spectrum=SPECTRUM[:16])
    found = predict(data, source="test", n=[30], seeds=range(2), images=0)
    assert found.diagnosis is not None
    assert found.law == found.diagnosis.law
    assert found.law_reason in found.notes[0]
    work = Work.of(data, sizes=1, seeds=2, images=0, noise_levels=3, mode_pairs=True)
    assert prediction_to_json(found)["diagnosis"] == diagnosis_to_json(kf.diagnose(data, work=work))


def test_infinite_data_and_sizes_beyond_the_images():
    """With N > d larger sizes and infinite data are read off the sample; with N <= d there are no such results."""
    data = population(60, spectrum=SPECTRUM[:16])
    found = predict(data, source="test", n=[30, 600], law="gaussian", seeds=range(2), images=0)
    assert any(
        note.startswith("Results for more than the 60 images that were given are extrapolated") for note in found.notes
    )
    assert any(note.startswith("The population is known only through 60 images.") for note in found.notes)
    assert found.largest_n == 10**12
    splits = kf.Splits(data, 10**12)
    np.testing.assert_allclose(found.modes.gain_ideal, splits.expectation(splits.sampling_map()), rtol=1e-12)

    few = population(24, spectrum=SPECTRUM)
    short = predict(few, source="test", seeds=range(2), images=0, law="gaussian", tolerance=0.01)
    assert max(short.n) == short.largest_n == 24
    assert any(note.startswith("There are no results for more than 24 images") for note in short.notes)
    assert any("The gain with infinite data is computed from the measured covariance" in note for note in short.notes)
    np.testing.assert_allclose(
        short.modes.gain_ideal, np.sqrt(few.eigenvalues / (few.eigenvalues + 6400.0)), rtol=1e-12
    )
    assert None in short.bands.images_needed
    with pytest.raises(kf.UnidentifiedError):
        predict(few, source="test", n=[1000], seeds=range(2), images=0, law="gaussian")

    exact = predict(kf.Population.from_spectrum(SPECTRUM), source="test", n=[30], images=0)
    np.testing.assert_allclose(exact.modes.gain_ideal, np.sqrt(SPECTRUM / (SPECTRUM + 6400.0)), rtol=1e-12)
    assert len(exact.notes) == 2  # of the law and of networks, none of the data


def test_images_needed_under_the_empirical_law():
    """Interpolated between a few sizes, the corrected answer is that of a search with the empirical law itself."""
    data = population(400, tail=1.0, spectrum=SPECTRUM[:12])
    bands = [Band(0, 2), Band(2, 12)]
    found = images_needed(data, bands, 80.0, 0.1, law="empirical")
    for band, answer in zip(bands, found, strict=True):
        exact = kf.samples_for(
            data, lambda splits: splits.sampling_map(), 0.1, law="empirical", bands=[band], input_variance=6400.0
        )
        assert answer.n == pytest.approx(exact.n, rel=0.03, abs=1)
        assert answer.value <= 0.1 < answer.value_below
    calls = []
    images_needed(data, bands, 80.0, 0.1, progress=calls.append)
    assert calls == [1, 2]


def test_correction_is_interpolated_in_log_n_and_constant_beyond():
    correction = Correction(np.array([10, 1000]), np.array([[1.0], [4.0]]))
    assert [correction.at(n, 0) for n in (2, 10, 100, 1000, 10**6)] == pytest.approx([1, 1, 2, 4, 4])
