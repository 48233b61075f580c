"""A training-set size without an answer is left out of a prediction, and a note names it."""

from __future__ import annotations

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.consistency import predict as module


def population() -> kf.Population:
    rows = np.random.default_rng(0).standard_normal((40, 2, 3))
    return kf.Population.from_samples(rows, profiles=40)


@pytest.mark.parametrize("law", ["gaussian", "elliptical", "empirical"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [(kf.ConvergenceError, "the law did not converge"), (kf.UnidentifiedError, "the images do not determine them")],
)
def test_a_size_without_an_answer_is_left_out(monkeypatch, law, error, reason):
    usual = module._at_size

    def failing(population, n, law, request):
        if n == 20:
            raise error("no answer")
        return usual(population, n, law, request)

    monkeypatch.setattr(module, "_at_size", failing)
    found = kf.predict(population(), source="noise", n=[10, 20, 40], law=law, seeds=range(3), images=1)
    assert found.n.tolist() == [10, 40]
    assert len(found.totals.disagreement) == 2
    assert f"There are no results for n = 20: {reason}." in found.notes
    with pytest.raises(error, match=r"no answer|images must determine an answer, got none for n = 20"):
        kf.predict(population(), source="noise", n=[20], law=law, seeds=range(3), images=1)


def test_sizes_that_few_images_do_not_determine() -> None:
    """Seven images in six dimensions: small training sets are answered."""
    rows = np.random.default_rng(4).standard_normal((7, 6))
    found = kf.predict(kf.Population.from_samples(rows), source="few", n=[2, 7], seeds=range(3), images=0)
    assert found.n.tolist() == [2]
    assert "There are no results for n = 7: the images do not determine them." in found.notes
    assert found.largest_n <= 7
