"""A prediction is one value: short in a notebook, a table as a data frame, and flat names in its file."""

from __future__ import annotations

import json

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.consistency.predict import predict
from kappaflow.consistency.prediction import Prediction, prediction_to_json
from kappaflow.sampling import initial_noise

#: The names in ``predictions.json``, which readers rely on.
KEYS = {
    "source",
    "provenance",
    "shape",
    "sample_size",
    "group_count",
    "versions",
    "law",
    "law_reason",
    "diagnosis",
    "sigma_max",
    "eigenvalues",
    "n",
    "n_groups",
    "reference_n",
    "noise_sigma",
    "kappa",
    "map_gain_ideal",
    "map_gain",
    "denoiser_sigma",
    "denoiser_gain_ideal",
    "denoiser_gain",
    "mode_pair_modes",
    "mode_pair_variance",
    "mode_disagreement",
    "mode_relative",
    "bands",
    "band_disagreement",
    "band_relative",
    "total_disagreement",
    "total_relative",
    "tolerance",
    "images_needed",
    "largest_n",
    "seeds",
    "seed_disagreement",
    "most_consistent",
    "least_consistent",
    "network_seeds",
    "networks",
    "classes",
    "notes",
}


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    population = kf.Population(1.0 / np.arange(1, 9) ** 1.5, np.ones(8), dimension=8)
    return predict(population, source="toy", n=[20, 60, 200], bands=2, seeds=range(4), denoiser_sigmas=[])


def test_the_file_has_every_number_under_its_name(prediction: Prediction) -> None:
    numbers = json.loads(json.dumps(prediction_to_json(prediction), allow_nan=False))
    assert set(numbers) == KEYS
    assert numbers["map_gain"] == prediction.modes.gain.tolist()
    assert numbers["mode_pair_variance"] == prediction.modes.pairs.variance.tolist()
    assert numbers["bands"][0] == {"start": 0, "stop": 3, "label": "modes 1-3"}
    assert numbers["images_needed"] == list(prediction.bands.images_needed)
    assert numbers["denoiser_gain"] == []
    assert numbers["most_consistent"] is None
    assert numbers["network_seeds"] is None  # no profiles


def test_seeds_are_ranked_for_networks_from_profiles() -> None:
    images = np.random.default_rng(3).uniform(-1, 1, (80, 4, 4)).cumsum(axis=1)
    population = kf.Population.from_samples(images, profiles=80)
    found = predict(population, source="toy", n=[20], seeds=range(10), images=3)
    ranked = found.seeds.networks
    assert ranked is not None
    expected = kf.posterior_variance(population, initial_noise(range(10), 16, 80.0), pixels=True)
    np.testing.assert_allclose(ranked.posterior_variance, expected.seeds, rtol=1e-12)
    assert ranked.most is not None
    assert ranked.least is not None
    assert ranked.most.numbers.tolist() == expected.order[:3].tolist()
    assert ranked.least.numbers.tolist() == expected.order[::-1][:3].tolist()
    assert expected.pixels is not None
    assert expected.mean is not None
    np.testing.assert_allclose(ranked.most.pixel_std**2, expected.pixels[ranked.most.numbers], rtol=1e-4)
    np.testing.assert_allclose(ranked.least.mean, expected.mean[ranked.least.numbers], atol=1e-5)
    numbers = prediction_to_json(found)["network_seeds"]
    assert numbers["posterior_variance"] == ranked.posterior_variance.tolist()
    assert ranked.to_dataframe()["seed"].tolist() == list(range(10))


def test_too_few_images_rank_no_seeds_for_networks_and_a_note_says_so() -> None:
    images = np.random.default_rng(3).uniform(-1, 1, (40, 4, 4))
    found = predict(kf.Population.from_samples(images, profiles=40), source="toy", n=[20], seeds=range(4))
    assert found.seeds.networks is None
    assert found.notes[-1] == (
        "The seeds are not ranked for networks: images must hold at least 50 distinct images, got 40."
    )


def test_repr_is_short_and_says_what_matters(prediction: Prediction) -> None:
    relative = prediction.totals.relative[prediction.reference]
    assert repr(prediction) == (
        f"Prediction('toy', gaussian law, n = 20, 60, 200: relative disagreement of two linear models "
        f"{relative:.3g} at n = 60)"
    )


def test_table_has_a_row_for_each_n(prediction: Prediction) -> None:
    pandas = pytest.importorskip("pandas")
    table = prediction.to_dataframe()
    assert isinstance(table, pandas.DataFrame)
    assert list(table) == ["n", "disagreement", "relative", "relative, modes 1-3", "relative, modes 4-8"]
    assert table["n"].tolist() == [20, 60, 200]
    assert table["relative, modes 4-8"].tolist() == prediction.bands.relative[:, 1].tolist()
    assert "<th>relative, modes 1-3</th>" in prediction._repr_html_()


def test_parts_add_up(prediction: Prediction) -> None:
    np.testing.assert_allclose(prediction.modes.disagreement.sum(axis=1), prediction.totals.disagreement, rtol=1e-12)
    np.testing.assert_allclose(prediction.bands.disagreement.sum(axis=1), prediction.totals.disagreement, rtol=1e-12)
