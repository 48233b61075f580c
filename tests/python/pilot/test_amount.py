"""The amount at any n: exact where networks follow the model, within its interval where they were measured, honest at the floor."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest

from kappaflow._checks import FloatArray
from kappaflow.pilot.amount import Amount, SizeObserved, fit_amount

FLOOR, DATA, OPTIMISATION, DATA_FLOOR = 0.05, 2.0, 0.76, 0.02
#: Tables "laptop" of docs/networks.md: everything differs, same images, only the data differ; and the empirical law.
SIZES = (30, 100, 300, 898)
MEASURED = {
    "digits unet": ((0.56, 0.17, 0.086, 0.060), (0.22, 0.088, 0.065, 0.051), (0.57, 0.17, 0.074, 0.042)),
    "digits dit": ((0.65, 0.23, 0.10, 0.072), (0.27, 0.13, 0.074, 0.063), (0.64, 0.23, 0.095, 0.058)),
    "mnist unet": ((0.37, 0.12, 0.073, 0.061), (0.18, 0.078, 0.069, 0.056), (0.34, 0.091, 0.043, 0.028)),
    "mnist dit": ((0.49, 0.16, 0.10, 0.080), (0.27, 0.11, 0.091, 0.082), (0.48, 0.15, 0.085, 0.077)),
}
LAW = {"digits": (0.27, 0.075, 0.025, 0.008), "mnist": (0.44, 0.16, 0.052, 0.018)}


def exact(n: int, repeats: int = 2, noise: FloatArray | float = 1.0) -> SizeObserved:
    law = 8.0 / n
    values = np.array([[FLOOR + DATA * law], [FLOOR + OPTIMISATION * law], [DATA_FLOOR + DATA * law]])
    values = values * np.ones(repeats) * noise
    return SizeObserved(n, law, values[0], values[1], values[2])


def measured(name: str, pilots: Sequence[int]) -> Amount:
    laws = LAW[name.split()[0]]
    places = [SIZES.index(n) for n in pilots]
    return fit_amount(
        [SizeObserved(SIZES[i], laws[i], *(np.array([column[i]]) for column in MEASURED[name])) for i in places]
    )


@pytest.mark.parametrize("sizes", [(100,), (100, 300), (100, 200, 400)])
def test_networks_that_follow_the_model_are_predicted_exactly(sizes: tuple[int, ...]) -> None:
    amount = fit_amount([exact(n) for n in sizes])
    for n in (100, 1000, 10**6):
        law = 8.0 / n
        assert amount.everything(law).value == pytest.approx(FLOOR + DATA * law)
        assert amount.same_images(law).value == pytest.approx(FLOOR + OPTIMISATION * law)
        assert amount.data_alone(law).value == pytest.approx(DATA_FLOOR + DATA * law)
    assert amount.law_for(0.07).value == pytest.approx(0.01)
    assert (amount.left_out is None) == (len(sizes) == 1)
    if amount.left_out is not None:
        assert amount.left_out.n == sizes[-1]
        assert amount.left_out.predicted == pytest.approx(amount.left_out.observed)


def test_sizes_without_pairs_on_the_same_images_are_used() -> None:
    bare = [dataclasses.replace(exact(n), same_images=np.array([])) for n in (100, 300, 900)]
    whole = fit_amount([bare[0], exact(300), bare[2]])
    assert whole.everything(0.001).value == pytest.approx(FLOOR + DATA * 0.001)
    assert whole.same_images(0.001).value == pytest.approx(FLOOR + OPTIMISATION * 0.001)
    none = fit_amount(bare)  # b/c is that of other networks, which is that of these
    assert none.everything(0.001).value == pytest.approx(FLOOR + DATA * 0.001)
    assert none.same_images(0.001).value == pytest.approx(FLOOR + OPTIMISATION * 0.001)
    assert none.left_out is not None
    two = fit_amount(bare[:2])  # one of two sizes alone shows no floor, so that none can be left out
    assert two.left_out is None
    assert two.extrapolation > none.extrapolation
    with pytest.raises(ValueError, match="same_images must hold a pair on the same images"):
        fit_amount(bare[:1])


def test_a_tolerance_below_the_floor_is_not_reached_by_more_images() -> None:
    amount = fit_amount([exact(100), exact(300)])
    assert amount.law_for(0.02) == (0.0, 0.0, 0.0)
    near = amount.law_for(1.04 * FLOOR)
    assert near.low == 0.0  # whether it can be reached at all is open
    assert near.high > near.value > 0


@pytest.mark.parametrize("name", list(MEASURED))
def test_measured_networks_lie_in_the_interval(name: str) -> None:
    law, truth = LAW[name.split()[0]][3], MEASURED[name]
    both, alone = measured(name, (100, 300)), measured(name, (100,))
    assert both.everything(law).value == pytest.approx(truth[0][3], rel=0.2)
    assert alone.everything(law).value == pytest.approx(truth[0][3], rel=0.25)
    for amount in (both, alone):
        interval = amount.everything(law)
        assert interval.low <= truth[0][3] <= interval.high
        assert interval.high / interval.low < 3.0
        assert amount.data_alone(law).low <= truth[2][3] <= amount.data_alone(law).high
    # the law itself, for linear models, is far below: a bound that it fails
    assert law < 0.6 * both.everything(law).low


@pytest.mark.parametrize("name", list(MEASURED))
@pytest.mark.parametrize("tolerance", [0.1, 0.08])
def test_images_needed_are_those_that_were_measured(name: str, tolerance: float) -> None:
    """Within a factor 1.5 of where the measured disagreement, interpolated in logarithms, meets the tolerance."""
    law, apart = LAW[name.split()[0]], MEASURED[name][0]

    def at(value: float, values: Sequence[float]) -> float:
        return float(np.exp(np.interp(math.log(value), np.log(values[::-1]), np.log(SIZES[::-1]))))

    truth = at(tolerance, apart)
    found = measured(name, (100, 300)).law_for(tolerance)
    assert truth / 1.5 < at(found.value, law) < 1.5 * truth
    assert at(found.high, law) <= truth
    assert found.low == 0 or truth <= at(found.low, law)
    # the law fails this bound: linear models need far fewer images; for UNets on MNIST it happens to be right
    if name != "mnist unet":
        assert at(tolerance, law) < truth / 1.5


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """With pairs that scatter by 10 % and an extrapolation that misses by 13 %, 80 % of the truths lie inside."""
    rng = np.random.default_rng(0)
    inside, count = 0, 150
    for _ in range(count):
        sizes = [exact(n, noise=np.exp(0.1 * rng.standard_normal((3, 2)))) for n in (100, 300)]
        truth = (FLOOR + DATA * 8 / 1000) * math.exp(math.hypot(0.1, 0.13) * rng.standard_normal())
        interval = fit_amount(sizes).everything(8 / 1000)
        inside += interval.low <= truth <= interval.high
    assert 0.70 <= inside / count <= 0.93


def test_a_missed_pilot_widens_the_interval() -> None:
    good = fit_amount([exact(100), exact(300)])
    odd = SizeObserved(300, 8 / 300, np.array([0.22, 0.22]), np.array([0.1, 0.1]), np.array([]))
    bad = fit_amount([exact(100), odd])
    assert bad.extrapolation > 1.5 * good.extrapolation
    assert math.isnan(fit_amount([odd]).data_alone(0.01).value)
    widths = [math.log(a.everything(0.01).high / a.everything(0.01).low) for a in (good, bad)]
    assert widths[1] > 1.3 * widths[0]


def test_repeats_narrow_the_error_of_the_pilots() -> None:
    spread = np.array([0.8, 1.2])
    few, many = (fit_amount([exact(n, noise=np.tile(spread, k), repeats=2 * k) for n in (100, 300)]) for k in (1, 8))
    assert many.draws.std(axis=0)[0] < 0.6 * few.draws.std(axis=0)[0]
    assert many.between_pairs == pytest.approx(few.between_pairs, rel=0.25)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([], "sizes must hold at least one pilot"),
        ([exact(100), exact(100)], "sizes must differ in n"),
        (
            [SizeObserved(100, 0.1, np.array([]), np.array([0.1]), np.array([]))],
            "everything must hold at least one pair",
        ),
        ([SizeObserved(100, 0.1, np.array([0.0]), np.array([0.1]), np.array([]))], "everything must be above 0"),
        ([SizeObserved(100, 0.1, np.array([math.nan]), np.array([0.1]), np.array([]))], "everything"),
    ],
)
def test_pilots_that_cannot_be_fitted_are_refused(sizes: list[SizeObserved], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_amount(sizes)
