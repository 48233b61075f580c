"""Figures of the consistency report draw the numbers of the prediction."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.integrate import trapezoid

from kappaflow.report import look
from kappaflow.report.consistency import build
from kappaflow.report.words import percent
from page_parser import drawn
from toy_prediction import FIGURES, changed, make_prediction


@pytest.fixture(scope="module")
def grey():
    return make_prediction()


def line(figure: Figure, gid: str):
    """The one line of a figure that has this identifier."""
    found = [x for ax in figure.get_axes() for x in ax.get_lines() if x.get_gid() == gid]
    assert len(found) == 1, gid
    return found[0]


def test_spectrum_plots_the_eigenvalues_on_logarithmic_axes(grey):
    figure = drawn(build(grey, facts={}), "spectrum")
    (ax,) = figure.get_axes()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    np.testing.assert_array_equal(line(figure, "eigenvalues").get_xdata(), np.arange(1, 17))
    np.testing.assert_array_equal(line(figure, "eigenvalues").get_ydata(), grey.eigenvalues)
    assert "mode k" in ax.get_xlabel()
    assert "eigenvalue" in ax.get_ylabel()


def test_spectrum_says_how_many_modes_have_no_variance():
    figure = drawn(build(make_prediction(zeros=5), facts={}), "spectrum")
    assert np.isnan(line(figure, "eigenvalues").get_ydata()[-5:]).all()
    assert any("5 modes without variance" in text.get_text() for text in figure.get_axes()[0].texts)


def test_renormalised_noise_plots_kappa_its_factor_and_the_diagonal(grey):
    figure = drawn(build(grey, facts={}), "renormalised_noise")
    top, bottom = figure.get_axes()
    for index in range(3):
        np.testing.assert_array_equal(line(figure, f"kappa-{index}").get_ydata(), grey.noise.kappa[index])
        np.testing.assert_allclose(
            line(figure, f"factor-{index}").get_ydata(), grey.noise.kappa[index] / grey.noise.sigma**2
        )
    np.testing.assert_array_equal(line(figure, "diagonal").get_xdata(), line(figure, "diagonal").get_ydata())
    assert "κ" in top.get_ylabel()
    assert "σ²" in bottom.get_xlabel()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:3] == ["20", "60", "200"]


def test_shrinkage_plots_relative_gain_and_denoisers(grey):
    figure = drawn(build(grey, facts={}), "shrinkage")
    assert len(figure.get_axes()) == 1 + len(grey.denoisers.sigma)
    for index in range(3):
        np.testing.assert_allclose(
            line(figure, f"gain-{index}").get_ydata(), grey.modes.gain[index] / grey.modes.gain_ideal, rtol=1e-15
        )
        np.testing.assert_array_equal(line(figure, f"denoiser-1-{index}").get_ydata(), grey.denoisers.gain[1, index])
    np.testing.assert_array_equal(line(figure, "ideal-0").get_ydata(), grey.denoisers.gain_ideal[0])


def test_shrinkage_needs_no_denoisers(grey):
    none = changed(
        grey, denoisers={"sigma": np.empty(0), "gain_ideal": np.empty((0, 16)), "gain": np.empty((0, 3, 16))}
    )
    assert len(drawn(build(none, facts={}), "shrinkage").get_axes()) == 1


def test_mode_pairs_shows_the_matrix(grey):
    figure = drawn(build(grey, facts={}), "mode_pairs")
    ax = figure.get_axes()[0]
    np.testing.assert_array_equal(ax.images[0].get_array(), grey.modes.pairs.variance)
    assert type(ax.images[0].norm).__name__ == "LogNorm"
    ticks = [text.get_text() for text in ax.get_yticklabels()]
    assert (ticks[0], ticks[-1]) == ("1", "16")


def test_mode_pairs_masks_pairs_without_variance():
    prediction = make_prediction(zeros=5)
    assert drawn(build(prediction, facts={}), "mode_pairs").get_axes()[0].images[0].get_array().mask[:, -5:].all()


def test_disagreement_by_n_plots_bands_total_and_tolerance(grey):
    figure = drawn(build(grey, facts={}), "disagreement_by_n")
    (ax,) = figure.get_axes()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    for index in range(3):
        np.testing.assert_array_equal(line(figure, f"band-{index}").get_xdata(), grey.n)
        np.testing.assert_array_equal(line(figure, f"band-{index}").get_ydata(), grey.bands.relative[:, index])
    np.testing.assert_array_equal(line(figure, "total").get_ydata(), grey.totals.relative)
    np.testing.assert_array_equal(line(figure, "tolerance").get_ydata(), [0.1, 0.1])
    guide = line(figure, "guide")
    product = np.asarray(guide.get_xdata()) * np.asarray(guide.get_ydata())
    np.testing.assert_allclose(product[np.isfinite(product)], grey.totals.relative[-1] * 200)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"mode 1", "modes 2–4", "modes 5–16", "all modes"} < set(labels)


def test_disagreement_by_n_reaches_for_answers_beyond_the_largest_n_but_not_too_far(grey):
    figure = drawn(build(changed(grey, bands={"images_needed": (24, 1000, 10**9)}), facts={}), "disagreement_by_n")
    np.testing.assert_array_equal(line(figure, "reach-1").get_xdata(), [200, 1000])
    assert 1000 < figure.get_axes()[0].get_xlim()[1] < 10**4


def test_disagreement_by_mode_plots_parts_and_relative_values(grey):
    figure = drawn(build(grey, facts={}), "disagreement_by_mode")
    for index in range(3):
        np.testing.assert_array_equal(line(figure, f"part-{index}").get_ydata(), grey.modes.disagreement[index])
        np.testing.assert_array_equal(line(figure, f"relative-{index}").get_ydata(), grey.modes.relative[index])


def test_disagreement_by_mode_leaves_out_modes_without_variance():
    figure = drawn(build(make_prediction(zeros=5), facts={}), "disagreement_by_mode")
    assert np.isnan(line(figure, "relative-0").get_ydata()[-5:]).all()


def test_disagreement_by_seed_plots_every_seed_and_the_ranking(grey):
    figure = drawn(build(grey, facts={}), "disagreement_by_seed")
    scale = grey.totals.relative / grey.totals.disagreement
    for row in range(3):
        expected = np.sort(grey.seeds.disagreement[row]) * scale[row]
        np.testing.assert_allclose(line(figure, f"strip-{row}").get_xdata(), expected)
        assert line(figure, f"median-{row}").get_xdata()[0] == pytest.approx(np.median(expected))
    ranking = line(figure, "ranking")
    np.testing.assert_array_equal(ranking.get_xdata(), np.arange(1, 13))
    np.testing.assert_allclose(ranking.get_ydata(), np.sort(grey.seeds.disagreement[1]) * scale[1])
    named = {text.get_text() for text in figure.get_axes()[1].texts}
    assert named == {
        f"seed {100 + np.argmin(grey.seeds.disagreement[1])}",
        f"seed {100 + np.argmax(grey.seeds.disagreement[1])}",
    }


def test_many_seeds_are_thinned_evenly(grey):
    many = np.geomspace(1.0, 2.0, 5000)
    prediction = changed(grey, seeds={"numbers": np.arange(5000), "disagreement": np.stack([many] * 3)})
    shown = np.asarray(line(drawn(build(prediction, facts={}), "disagreement_by_seed"), "strip-1").get_xdata())
    assert shown.size == 240
    assert shown[-1] / shown[0] == pytest.approx(2.0)


def test_seed_images_are_clipped_and_share_one_scale(grey):
    figure = drawn(build(grey, facts={}), "seed_images")
    pictures = [ax.images[0] for ax in figure.get_axes() if ax.images]
    outputs = [image for image in pictures if image.get_cmap().name == "gray"]
    levels = [image for image in pictures if image.get_cmap().name == "deviation"]
    assert len(outputs) == len(levels) == 6
    np.testing.assert_allclose(outputs[0].get_array(), np.clip(0.5 + 0.5 * grey.seeds.most_consistent.outputs[0], 0, 1))
    np.testing.assert_allclose(levels[-1].get_array(), grey.seeds.least_consistent.pixel_std[-1])
    top = max(grey.seeds.most_consistent.pixel_std.max(), grey.seeds.least_consistent.pixel_std.max())
    assert {level.get_clim() for level in levels} == {(0.0, top)}


def test_images_of_seeds_for_networks_are_averages_above_their_spread(grey):
    figure = drawn(build(grey, facts={}), "network_seeds")
    pictures = [ax.images[0] for ax in figure.get_axes() if ax.images]
    averages = [image for image in pictures if image.get_cmap().name == "gray"]
    spreads = [image for image in pictures if image.get_cmap().name == "deviation"]
    ranked = grey.seeds.networks
    assert len(averages) == len(spreads) == 6
    np.testing.assert_allclose(averages[0].get_array(), np.clip(0.5 + 0.5 * ranked.most.mean[0], 0, 1))
    np.testing.assert_allclose(spreads[-1].get_array(), ranked.least.pixel_std[-1])
    headings = [ax.get_title(loc="center") for ax in figure.get_axes() if ax.get_title(loc="center")]
    assert headings == [f"seed {seed}" for seed in (*ranked.most.numbers, *ranked.least.numbers)]


def test_seed_images_of_colour_show_the_rms_over_channels():
    prediction = make_prediction((3, 2, 3))
    pictures = [
        ax.images[0].get_array() for ax in drawn(build(prediction, facts={}), "seed_images").get_axes() if ax.images
    ]
    levels = [array for array in pictures if array.shape == (3, 2)]
    np.testing.assert_allclose(levels[0], np.sqrt((prediction.seeds.most_consistent.pixel_std[0] ** 2).mean(-1)))


def test_seed_images_of_vectors_are_curves():
    prediction = make_prediction((10,))
    figure = drawn(build(prediction, facts={}), "seed_images")
    np.testing.assert_array_equal(line(figure, "most-0").get_ydata(), prediction.seeds.most_consistent.outputs[0])


def test_seed_images_without_images_are_not_built():
    assert "seed_images" not in [picture.name for picture in build(make_prediction(images=0), facts={}).pictures]


def test_eigenmodes_are_signed_and_titled_with_their_share(grey):
    axes = drawn(build(grey, facts={}), "eigenmodes").get_axes()
    mode = grey.eigenmodes[0]
    np.testing.assert_allclose(axes[1].images[0].get_array(), mode / np.abs(mode).max())
    assert axes[1].images[0].get_clim() == (-1, 1)
    share = percent(grey.eigenvalues[0] / grey.eigenvalues.sum())
    assert axes[1].get_title(loc="center") == f"mode 1\n{share}"


def test_eigenmodes_of_colour_are_centred_on_grey():
    prediction = make_prediction((3, 2, 3))
    mode = prediction.eigenmodes[0]
    shown = drawn(build(prediction, facts={}), "eigenmodes").get_axes()[1].images[0].get_array()
    np.testing.assert_allclose(shown, 0.5 + 0.5 * mode / np.abs(mode).max())


def test_law_errors_plots_simulated_over_predicted_by_band(grey):
    figure = drawn(build(grey, facts={}), "law_errors")
    panels = figure.get_axes()
    assert [ax.get_title(loc="left") for ax in panels] == ["Sampling map", "Denoiser, σ = 0.2"]
    for column, ax in enumerate(panels):
        for each in grey.diagnosis.errors[column::2]:
            marks = line(figure, f"{each.law}-{column}")
            np.testing.assert_allclose(marks.get_ydata(), np.exp(each.band))
            np.testing.assert_array_equal(np.round(marks.get_xdata()), [0, 1])
        low, high = ax.get_ylim()
        assert low < 1 < np.exp(0.8) < high
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["Gaussian law", "empirical law (used)", "within 10\xa0%"]


def test_leverage_plots_densities_that_integrate_to_one(grey):
    figure = drawn(build(grey, facts={}), "leverage")
    (ax,) = figure.get_axes()
    assert ax.get_xscale() == "log"
    curve = line(figure, "gaussian-data")
    x, y = np.log(np.asarray(curve.get_xdata())), np.asarray(curve.get_ydata())
    assert trapezoid(y, x) == pytest.approx(1.0, abs=2e-3)
    mean = trapezoid(y * np.exp(x), x)
    assert mean == pytest.approx(1.0, abs=5e-3)
    assert trapezoid(y * (np.exp(x) - mean) ** 2, x) == pytest.approx(grey.diagnosis.leverage_gaussian, rel=0.02)
    values, edges, _ = next(patch for patch in ax.patches if patch.get_gid() == "samples").get_data()
    assert values @ np.diff(np.log(edges)) == pytest.approx(1.0)


def test_figures_of_the_law_need_a_diagnosis():
    names = {picture.name for picture in build(make_prediction(diagnosed=False), facts={}).pictures}
    assert names == set(FIGURES) - {"law_errors", "leverage"}


def test_drawing_leaves_no_trace_in_matplotlib(grey):
    before = dict(mpl.rcParams)
    look.save(drawn(build(grey, facts={}), "spectrum"), ["svg", "png"])
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_reproducible(name, grey):
    first, second = (look.save(drawn(build(grey, facts={}), name), ["svg", "png"]) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", sorted(set(FIGURES) - {"seed_images", "network_seeds", "eigenmodes"}))
def test_axes_are_named(name, grey):
    axes = drawn(build(grey, facts={}), name).get_axes()
    assert axes[-1].get_xlabel() or axes[-1].get_label() == "<colorbar>"
    assert axes[0].get_ylabel()
