"""The caveats of a prediction: statements about networks agree with the measurements."""

import re
from pathlib import Path

import numpy as np

import kappaflow as kf
from kappaflow.consistency.notes import (
    NETWORK_FACTORS,
    NETWORK_POSTERIOR_CORRELATION,
    NETWORK_SEED_CEILING,
    NETWORK_SEED_CORRELATION,
)
from kappaflow.consistency.predict import predict

NETWORKS = (Path(__file__).parents[3] / "docs" / "networks.md").read_text(encoding="utf-8").replace("−", "-")


def rows(label):
    """The cells of each row of a table in docs/networks.md whose first cell has the label in it."""
    lines = [line.strip().strip("|").split("|") for line in NETWORKS.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in cells[1:]] for cells in lines if label in cells[0]]


def test_the_factors_of_networks_are_those_that_were_measured():
    values = [float(cell) for cells in rows("observed / predicted") for cell in cells]
    assert len(values) == 3 + 4 * 4
    assert (min(values), max(values)) == NETWORK_FACTORS


def test_the_rank_correlations_of_networks_are_those_that_were_measured():
    """The rows of the two laptop presets hold two numbers, that of the empirical law first."""
    cells = [cell for row in rows("over seeds") for cell in row]
    values = [float(re.match(r"-?[\d.]+", cell)[0]) for cell in cells]
    assert len(values) == 3 + 4 * 4
    assert (min(values), max(values)) == NETWORK_SEED_CORRELATION


def test_the_rank_correlations_of_the_posterior_variance_are_those_that_were_measured():
    (single,), (ceiling,) = rows("posterior variance, single pairs"), rows("ceiling for single pairs")
    values = [float(cell) for cell in single]
    assert (min(values), max(values)) == NETWORK_POSTERIOR_CORRELATION
    assert max(float(cell) for cell in ceiling) == NETWORK_SEED_CEILING


def test_every_prediction_says_that_networks_may_differ():
    population = kf.Population.from_spectrum(1.0 / np.arange(1, 9))
    found = predict(population, source="test", n=[30], images=0)
    assert found.notes[0].startswith("The numbers describe linear diffusion models on ")
    assert "no prediction for your networks" in found.notes[1]
    assert "disagreed 0.5 to 6.5 times as much as predicted for linear models" in found.notes[1]
