"""The amount of disagreement from pilots: closed form, limits, and networks that were measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.common_floor import OPTIMISATION_SHARE

#: Measured: docs/networks.md, preset laptop, n = 30, 100, 300, 898: everything differs, the floor, the empirical law.
DIGITS, MNIST = [0.27, 0.075, 0.025, 0.008], [0.44, 0.16, 0.052, 0.018]
MEASURED = {
    "digits, UNet": ([0.56, 0.17, 0.086, 0.060], [0.22, 0.088, 0.065, 0.051], DIGITS),
    "digits, DiT": ([0.65, 0.23, 0.10, 0.072], [0.27, 0.13, 0.074, 0.063], DIGITS),
    "MNIST, UNet": ([0.37, 0.12, 0.073, 0.061], [0.18, 0.078, 0.069, 0.056], MNIST),
    "MNIST, DiT": ([0.49, 0.16, 0.10, 0.080], [0.27, 0.11, 0.091, 0.082], MNIST),
}


@pytest.mark.parametrize("pilots", [2, 3, 5])
def test_exact_pilots_are_recovered(pilots: int) -> None:
    law = 0.15 / np.arange(1, pilots + 1) ** 1.3
    fit = kf.fit_common_floor(0.04 + 1.7 * law, 0.04 + 0.6 * law, law)
    assert (fit.floor, fit.data, fit.optimisation) == pytest.approx((0.04, 1.7, 0.6), rel=1e-9)
    assert fit.pilots == pilots
    np.testing.assert_allclose(fit.disagreement([0.001, 0.01]), [0.0417, 0.057])
    np.testing.assert_allclose(fit.same_images(0.01), 0.046)
    assert fit.law_for(0.057) == pytest.approx(0.01)
    assert fit.law_for(0.03) == 0.0  # no number of images is enough


def test_one_pilot_in_closed_form() -> None:
    fit = kf.fit_common_floor(0.2, 0.1, 0.08)
    by_data = 0.1 / (1 - OPTIMISATION_SHARE)
    assert fit.data == pytest.approx(by_data / 0.08)
    assert fit.floor == pytest.approx(0.2 - by_data)
    assert float(fit.disagreement(0.08)) == pytest.approx(0.2)
    assert float(fit.same_images(0.08)) == pytest.approx(0.1)


def test_one_pilot_with_little_left_on_the_same_images_shows_as_much_as_was_observed() -> None:
    fit = kf.fit_common_floor(0.1, 0.002, 0.08)  # 2 %, far less than the 38 % of other networks
    assert fit.floor == 0.0
    assert float(fit.disagreement(0.08)) == pytest.approx(0.1)
    assert float(fit.same_images(0.08)) == pytest.approx(0.002)


def test_a_floor_as_high_as_the_disagreement_leaves_nothing_to_images() -> None:
    fit = kf.fit_common_floor(0.083, 0.093, 0.02)
    assert (fit.floor, fit.data) == (0.083, 0.0)
    assert fit.law_for(0.1) == math.inf  # reached already
    assert fit.law_for(0.05) == 0.0


def test_no_part_is_negative_and_the_images_cannot_make_networks_agree_less_than_the_floor() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        law = np.sort(rng.uniform(0.001, 0.2, 3))[::-1]
        fit = kf.fit_common_floor(rng.uniform(0.01, 1, 3), rng.uniform(0.01, 1, 3), law)
        assert fit.floor >= 0
        assert fit.data >= fit.optimisation >= 0


@pytest.mark.parametrize("name", MEASURED)
def test_measured_networks_are_predicted_from_their_pilots(name: str) -> None:
    """n = 898 from 100 and 300 within 1.5, from 100 alone within 2; the law alone is off by 3.4 to 9."""
    everything, floor, law = (np.array(values) for values in MEASURED[name])
    two = everything[3] / kf.fit_common_floor(everything[1:3], floor[1:3], law[1:3]).disagreement(law[3])
    one = everything[3] / kf.fit_common_floor(everything[1], floor[1], law[1]).disagreement(law[3])
    assert 1 / 1.5 < two < 1.5
    assert 1 / 2 < one < 2
    assert everything[3] / law[3] > 3


@pytest.mark.parametrize("name", MEASURED)
def test_pilots_at_which_disagreement_saturates_are_left_out(name: str) -> None:
    everything, floor, law = (np.array(values) for values in MEASURED[name])
    both = kf.fit_common_floor(everything[:2], floor[:2], law[:2])
    alone = kf.fit_common_floor(everything[1], floor[1], law[1])
    assert both == alone
    assert kf.fit_common_floor(everything[:1], floor[:1], law[:1]).pilots == 1  # there is no other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], []), "must hold one value for each pilot"),
        (([0.1, 0.2], [0.1], [0.1]), "everything must hold one value for each pilot"),
        ((0.1, 0.0, 0.1), r"same_images must be above 0, got 0\.0"),
        ((0.1, 0.1, float("nan")), "law must be finite"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[object, object, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kf.fit_common_floor(*arguments)
