"""The figures of the validation report draw what the comparisons hold."""

import re
from dataclasses import replace

import numpy as np
import pytest

from kappaflow.maps import Map
from kappaflow.report import look
from kappaflow.report.look import _round_ticks
from kappaflow.report.validation import build
from kappaflow.report.validation.marks import OUTCOME_COLOURS
from kappaflow.report.validation.overview import forest_rows
from kappaflow.report.validation.phrases import times
from kappaflow.report.validation.strata import draw_counterfactual
from page_parser import drawn, undrawn
from toy_validation import GROUPS, TITLES, make_validation, only


@pytest.fixture(scope="module")
def right():
    return make_validation(off=only("published", 2.0))


def figure_of(validation, name):
    """One figure of the report."""
    return drawn(build(validation, facts={}), name)


def artists(figure, gid):
    """Lines of a figure that have this identifier."""
    return [line for ax in figure.get_axes() for line in ax.get_lines() if line.get_gid() == gid]


# ---------------------------------------------------------------- figures
def test_overview_marks_every_comparison_in_the_colour_of_its_outcome(right):
    figure = figure_of(right, "ratios")
    for comparison in right.comparisons:
        (mark,) = artists(figure, f"{comparison.quantity}/{comparison.subject}/{comparison.law}/{comparison.n}")
        assert mark.get_xdata()[0] == comparison.agreement.ratio
        assert mark.get_markeredgecolor() == OUTCOME_COLOURS[comparison.agreement.outcome]
        assert (mark.get_fillstyle() == "none") == (comparison.law == "published")


def test_overview_shows_some_of_many_sizes():
    validation = make_validation(sizes=(10, 20, 30, 40, 50, 60, 70), quantities=("kappa", "seeds"))
    titles = [ax.get_title(loc="center") for ax in figure_of(validation, "ratios").get_axes()]
    assert titles == ["n = 10", "n = 30", "n = 50", "n = 70"]
    assert "Only some of the 7 training-set sizes are shown" in undrawn(build(validation, facts={})).words


def test_kappa_draws_curves_points_and_ratios(right):
    figure = figure_of(right, "kappa")
    top, bottom = figure.get_axes()
    assert (top.get_xscale(), top.get_yscale()) == ("log", "log")
    for row, n in enumerate(right.setup.n):
        (curve,) = artists(figure, f"gaussian-{n}")
        np.testing.assert_array_equal(curve.get_ydata(), right.kappa.curves["gaussian"][row])
        found = right.find("kappa", "gaussian", n).agreement
        (points,) = artists(figure, f"simulated-{n}")
        np.testing.assert_array_equal(points.get_ydata(), found.simulated)
        (ratios,) = artists(figure, f"ratio-{n}")
        np.testing.assert_allclose(ratios.get_ydata(), found.simulated / found.predicted)
    assert "σ²" in bottom.get_xlabel()
    (published,) = artists(figure, "published-20")
    assert published.get_linestyle() == "--"
    assert published.get_alpha() < 1


def test_a_law_that_is_the_same_curve_is_not_drawn_twice():
    figure = figure_of(make_validation(), "kappa")
    assert artists(figure, "gaussian-20")
    assert not artists(figure, "published-20")
    assert "published law" not in [text.get_text() for text in figure.legends[0].get_texts()]


def test_overshrinkage_divides_by_the_gain_with_infinite_data(right):
    figure = figure_of(right, "overshrinkage")
    titles = [ax.get_title(loc="left") for ax in figure.get_axes() if ax.get_title(loc="left")]
    assert titles == ["Sampling map", "Denoiser, σ = 0.1", "Denoiser, σ = 1"]
    found = right.find("gains", "gaussian", 60, "map_0").agreement
    ideal = Map.sampling().gain(right.data.eigenvalues)
    np.testing.assert_allclose(artists(figure, "map_0-gaussian-60")[0].get_ydata(), found.predicted / ideal)
    np.testing.assert_allclose(artists(figure, "map_0-simulated-60")[0].get_ydata(), found.simulated / ideal)


def test_anisotropy_shows_low_and_high_noise_and_the_map():
    figure = figure_of(make_validation(denoisers=(0.1, 0.5, 2.0)), "anisotropy")
    titles = [ax.get_title(loc="left") for ax in figure.get_axes() if ax.get_title(loc="left")]
    assert titles == ["Denoiser, σ = 0.1", "Denoiser, σ = 2", "Sampling map"]


def test_inputs_are_drawn_relative_to_the_predicted_mean(right):
    figure = figure_of(right, "inhomogeneity")
    found = right.find("seeds", "gaussian", 200, "map_0").agreement
    points = artists(figure, "map_0-simulated-200")[0]
    order = np.argsort(found.predicted)
    np.testing.assert_allclose(points.get_xdata(), found.predicted[order] / found.predicted.mean())
    np.testing.assert_allclose(points.get_ydata(), found.simulated[order] / found.predicted.mean())


def test_scaling_draws_curves_and_points_of_every_band(right):
    figure = figure_of(right, "scaling")
    for index in range(len(right.setup.bands)):
        (curve,) = artists(figure, f"gaussian-{index}")
        np.testing.assert_array_equal(curve.get_ydata(), right.scaling.disagreement["gaussian"][:, index])
        (points,) = artists(figure, f"simulated-{index}")
        np.testing.assert_array_equal(points.get_xdata(), right.setup.n)
        expected = [right.find("bands", "gaussian", n, "map_0").agreement.simulated[index] for n in right.setup.n]
        np.testing.assert_array_equal(points.get_ydata(), expected)
    guide = artists(figure, "guide")[0]
    product = np.asarray(guide.get_xdata()) * np.asarray(guide.get_ydata())
    np.testing.assert_allclose(product[np.isfinite(product)], product[np.isfinite(product)][0])


def test_intervals_are_those_of_students_t(right):
    from scipy import stats

    figure = figure_of(right, "kappa")
    found = right.find("kappa", "gaussian", 20).agreement
    (bars,) = [c for c in figure.get_axes()[0].collections if c.get_gid() == "simulated-20-bars"]
    reach = np.exp(stats.t.ppf(0.975, GROUPS - 1) * found.standard_error / found.simulated)
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, np.stack([found.simulated / reach, found.simulated * reach], axis=1))


def test_scatter_shows_both_laws_only_where_they_differ(right):
    figure = figure_of(right, "scatter")
    found = right.find("mode_variance", "gaussian", 60, "map_0").agreement
    points = artists(figure, "map_0-gaussian-60")[0]
    np.testing.assert_array_equal(points.get_xdata(), found.predicted)
    np.testing.assert_array_equal(points.get_ydata(), found.simulated)
    assert np.isfinite(artists(figure, "map_0-published-60")[0].get_xdata()).all()
    same = figure_of(make_validation(), "scatter")
    assert np.isnan(artists(same, "map_0-published-60")[0].get_xdata()).all()


def test_scatter_counts_what_a_logarithm_cannot_show(right):
    comparison = right.find("mode_variance", "gaussian", 60, "map_0")
    place = right.comparisons.index(comparison)
    zeroed = replace(comparison.agreement, simulated=np.where(np.arange(comparison.entries.size) < 3, 0.0, 1e-6))
    changed = replace(comparison, agreement=zeroed)
    validation = replace(right, comparisons=(*right.comparisons[:place], changed, *right.comparisons[place + 1 :]))
    texts = [text.get_text() for text in figure_of(validation, "scatter").get_axes()[0].texts]
    assert texts == ["3 without logarithm not shown"]


def test_counterfactual_is_sorted_and_marks_what_data_do_not_mend(right):
    figure = figure_of(right, "counterfactual")
    simulated = artists(figure, "simulated")[0].get_xdata()
    assert list(simulated) == sorted(simulated)
    assert len(simulated) == 6
    limits = artists(figure, "limit")[0].get_xdata()
    assert np.isnan(limits).sum() == 3
    np.testing.assert_allclose(artists(figure, "gaussian")[0].get_xdata(), 0.9 * np.asarray(simulated))


def test_counterfactual_needs_one(right):
    with pytest.raises(ValueError, match="counterfactual: the validation must have a counterfactual, got None"):
        draw_counterfactual(replace(right, counterfactual=None))


def test_steps_are_drawn_beside_the_effect_of_finite_data(right):
    figure = figure_of(right, "steps")
    for error in right.step_errors:
        (line,) = artists(figure, f"steps-{error.steps}-{error.n}")
        np.testing.assert_array_equal(line.get_ydata(), error.discretisation)
        (ratio,) = artists(figure, f"ratio-{error.steps}-{error.n}")
        np.testing.assert_allclose(ratio.get_ydata(), np.sqrt(error.discretisation / error.finite_data))
    np.testing.assert_array_equal(artists(figure, "data-60")[0].get_ydata(), right.step_errors[2].finite_data)


def test_pixels_are_standard_deviations_in_place(right):
    figure = figure_of(right, "pixels")
    images = [ax.images[0] for ax in figure.get_axes() if ax.images]
    assert len(images) >= 3 * 4
    found = right.find("pixels", "gaussian", 60, "map_0").agreement
    for image, values in zip(images[:2], (found.simulated, found.predicted), strict=True):
        expected = np.append(np.sqrt(values), 0.0).reshape(4, 4)  # the last pixel does not vary
        np.testing.assert_allclose(image.get_array(), expected)
    assert len({image.get_clim() for image in images[:3]}) == 1


@pytest.mark.parametrize(
    ("without", "gone"),
    [
        (lambda right: replace(right, counterfactual=None), {"counterfactual"}),
        (lambda right: replace(right, step_errors=()), {"steps"}),
        (lambda right: replace(right, data=replace(right.data, shape=(16,))), {"pixels"}),
    ],
    ids=["counterfactual", "steps", "pixels"],
)
def test_figures_without_data_are_left_out(right, without, gone):
    validation = without(right)
    names = {picture.name for picture in build(right, facts={}).pictures}
    document = build(validation, facts={})
    assert names - {picture.name for picture in document.pictures} == gone
    page = undrawn(document)
    assert gone.isdisjoint(value for _, value in page.attributes("id"))
    assert f"#{next(iter(gone))}" not in [value for _, value in page.attributes("href")]


@pytest.mark.parametrize("quantity", TITLES)
def test_one_quantity_makes_a_page(quantity):
    validation = make_validation(quantities=(quantity,), sizes=(20, 60))
    draw_everything(validation)
    assert undrawn(build(validation, facts={})).open == []


def draw_everything(validation):
    """Every figure with its layout, in which matplotlib's warnings arise, without the files."""
    for picture in build(validation, facts={}).pictures:
        picture.draw().draw_without_rendering()


ODD = {
    "one n": {"sizes": (60,)},
    "one law": {"laws": ("gaussian",)},
    "three laws": {"laws": ("gaussian", "published", "other"), "sizes": (20, 60)},
    "many n": {"sizes": tuple(range(10, 101, 10)), "quantities": ("kappa", "gains", "bands", "seeds")},
    "no denoiser": {"denoisers": ()},
    "one denoiser": {"denoisers": (0.5,), "trajectory": False},
    "four modes": {"shape": (4,), "sizes": (10, 20)},
    "colour": {"shape": (3, 2, 3)},
    "one input": {"inputs": 1},
    "no variance in some modes": {"zeros": 6},
    "no steps": {"steps": ()},
    "off by 10⁴": {"off": only("gaussian", 1e4)},
}


@pytest.mark.parametrize("arguments", ODD.values(), ids=ODD.keys())
def test_odd_validations_make_a_page(arguments):
    validation = make_validation(**arguments)
    draw_everything(validation)
    page = undrawn(build(validation, facts={}))
    assert page.open == []
    assert not {"nan", "inf", "None"} & set(re.findall(r"\w+", page.words))


def test_many_modes_and_inputs_are_thinned():
    validation = make_validation((3072,), quantities=("gains", "mode_disagreement", "seeds"), sizes=(60,), inputs=900)
    figure = figure_of(validation, "overshrinkage")
    assert len(artists(figure, "map_0-simulated-60")[0].get_xdata()) <= 36
    assert len(artists(figure, "map_0-gaussian-60")[0].get_xdata()) == 3072
    assert len(artists(figure_of(validation, "inhomogeneity"), "map_0-simulated-60")[0].get_xdata()) == 200
    assert len(look.save(figure, ["svg"])["svg"]) < 1e6


def test_rows_of_the_overview_name_every_map(right):
    rows = forest_rows(right)
    assert rows[0] == ("kappa", "", "renormalised noise κ")
    assert {(quantity, key) for quantity, key, _ in rows if quantity} == {
        (c.quantity, c.subject) for c in right.comparisons
    }


@pytest.mark.parametrize(("low", "high"), [(0.97, 1.02), (0.6, 1.8), (0.05, 3.0), (1e-3, 0.1), (0.9, 9.0)])
def test_ticks_are_round_and_few(low, high):
    ticks = _round_ticks(low, high)
    assert 1 <= len(ticks) <= 5
    assert all(low <= tick <= high for tick in ticks)


def test_factors_in_words():
    assert [times(x) for x in (0.02345, 1.0042, 1.57, 10655)] == [
        "0.023 times",
        "1.0042 times",
        "1.6 times",
        "11,000 times",
    ]
