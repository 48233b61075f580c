"""``kf.plot`` draws panels of the reports on axes that are given: with their numbers, and without a trace elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import kappaflow as kf
from kappaflow.maps import Map
from kappaflow.report import consistency, pilot, validation
from toy_pilot import toy_pilot
from toy_prediction import changed, make_prediction
from toy_validation import make_validation, only

PREDICTION = make_prediction()
VALIDATION: Any = make_validation(off=only("published", 2.0))
PILOT = toy_pilot()
CLASSES = kf.answers_by_class(
    kf.populations_by_class(np.random.default_rng(0).standard_normal((90, 4)), np.arange(90) ** 2 % 7)
)
POPULATION = kf.Population.from_spectrum(1.0 / np.arange(1, 31) ** 1.5)
SPLITS = [kf.Splits(POPULATION, n=n) for n in (20, 100)]

#: Every panel, and the figure of the report that has it.
PANELS: dict[str, tuple[Callable[..., Axes], str]] = {
    "κ": (partial(kf.plot.kappa, PREDICTION), "renormalised_noise"),
    "κ/σ²": (partial(kf.plot.kappa, PREDICTION, factor=True), "renormalised_noise"),
    "shrinkage": (partial(kf.plot.shrinkage, PREDICTION), "shrinkage"),
    "denoiser": (partial(kf.plot.shrinkage, PREDICTION, sigma=0.1), "shrinkage"),
    "modes": (partial(kf.plot.disagreement_by_mode, PREDICTION), "disagreement_by_mode"),
    "parts": (partial(kf.plot.disagreement_by_mode, PREDICTION, relative=False), "disagreement_by_mode"),
    "pairs": (partial(kf.plot.mode_pairs, PREDICTION), "mode_pairs"),
    "n": (partial(kf.plot.disagreement_by_n, PREDICTION), "disagreement_by_n"),
    "seeds": (partial(kf.plot.disagreement_by_seed, PREDICTION), "disagreement_by_seed"),
    "ranking": (partial(kf.plot.disagreement_by_seed, PREDICTION, ranking=True), "disagreement_by_seed"),
    "spectrum": (partial(kf.plot.spectrum, PREDICTION), "spectrum"),
    "leverage": (partial(kf.plot.leverage, PREDICTION), "leverage"),
    "errors": (partial(kf.plot.law_errors, PREDICTION.diagnosis), "law_errors"),
    "errors, denoiser": (partial(kf.plot.law_errors, PREDICTION, map=Map.denoiser(0.2)), "law_errors"),
    "classes": (partial(kf.plot.images_by_class, CLASSES), "classes"),
    "strata": (partial(kf.plot.disagreement_by_stratum, VALIDATION), "counterfactual"),
    "steps": (partial(kf.plot.sampler_steps, VALIDATION), "steps"),
    "step ratio": (partial(kf.plot.sampler_steps, VALIDATION, relative=True), "steps"),
    "pilots": (partial(kf.plot.disagreement_from_pilots, PILOT), "curve"),
    "pilots, share": (partial(kf.plot.disagreement_from_pilots, PILOT, share=True), "split"),
    "simulated κ ratio": (
        partial(kf.plot.theory_vs_simulation, VALIDATION, quantity="kappa", relative=True),
        "kappa",
    ),
}
COMPARED = {
    "kappa": "kappa",
    "gains": "overshrinkage",
    "mode_disagreement": "anisotropy",
    "mode_variance": "scatter",
    "seeds": "inhomogeneity",
    "bands": "scaling",
}
PANELS |= {
    f"simulated {quantity}": (partial(kf.plot.theory_vs_simulation, VALIDATION, quantity=quantity), figure)
    for quantity, figure in COMPARED.items()
}
WITHOUT_LEGEND = {"pairs", "seeds", "ranking", "spectrum", "pilots, share"}
#: Panels whose legend is not of training-set sizes.
WITHOUT_SIZES = {"n", "classes", "simulated bands", "leverage", "errors", "errors, denoiser", "strata", "pilots"}
#: Panels that name rows instead of an ordinate.
WITH_ROWS = {"ranking", "classes", "strata"}
#: How the figures of the reports are drawn.
FIGURES = {
    picture.name: picture.draw
    for document in (
        consistency.build(replace(PREDICTION, classes=CLASSES), facts={}),
        validation.build(VALIDATION, facts={}),
        pilot.build(PILOT, facts={}),
    )
    for picture in document.pictures
}
every_panel = pytest.mark.parametrize(("plot", "figure"), PANELS.values(), ids=PANELS.keys())


@pytest.fixture
def ax() -> Axes:
    """Axes of a figure that nobody else has."""
    return Figure().add_subplot()


@pytest.fixture
def current() -> Iterator[Axes]:
    """The current axes of pyplot."""
    figure, axes = plt.subplots(1, 2)
    plt.sca(axes[0])
    yield axes[0]
    plt.close(figure)


def line(axes: Axes, gid: str) -> Any:
    """The one line of that name."""
    (found,) = [each for each in axes.get_lines() if each.get_gid() == gid]
    return found


def named(figure: Figure | Axes) -> dict[str, Any]:
    """Data of the lines that have a name."""
    panels = [figure] if isinstance(figure, Axes) else figure.get_axes()
    return {str(each.get_gid()): each.get_xydata() for ax in panels for each in ax.get_lines() if each.get_gid()}


# ---------------------------------------------------------------- all of them
@every_panel
def test_lines_are_those_of_the_report(plot: Callable[..., Axes], figure: str, ax: Axes) -> None:
    whole = FIGURES[figure]()
    lines, there = named(plot(ax=ax)), named(whole)
    assert lines.keys() <= there.keys()
    for gid, data in lines.items():
        np.testing.assert_array_equal(data, there[gid])
    images = [each.get_array() for each in ax.images]
    assert bool(lines) != bool(images)
    assert len(images) <= 1
    for image, original in zip(images, [each for panel in whole.get_axes() for each in panel.images], strict=False):
        np.testing.assert_array_equal(image, original.get_array())


@every_panel
def test_axes_are_used_named_and_returned(plot: Callable[..., Axes], figure: str, ax: Axes) -> None:
    assert plot(ax=ax) is ax
    assert ax.has_data()
    assert ax.get_xlabel()
    assert ax.get_ylabel() or plot in [PANELS[name][0] for name in WITH_ROWS]
    assert not any(ax.get_title(loc=place) for place in ("left", "center", "right"))
    owner = ax.get_figure()
    assert owner is not None
    owner.draw_without_rendering()  # type: ignore[union-attr]
    assert len(owner.get_axes()) == (2 if figure == "mode_pairs" else 1)


@every_panel
def test_without_axes_the_current_ones_are_taken(plot: Callable[..., Axes], figure: str, current: Axes) -> None:
    assert plot() is current
    assert plt.gca() is current or figure == "mode_pairs"
    other = current.get_figure().get_axes()[1]  # type: ignore[union-attr]
    assert not other.has_data()


@every_panel
def test_nothing_global_changes(plot: Callable[..., Axes], figure: str, ax: Axes, monkeypatch: Any) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("a figure is saved or closed")

    for owner, name in ((Figure, "savefig"), (plt, "savefig"), (plt, "close"), (plt, "show")):
        monkeypatch.setattr(owner, name, refuse)
    before, figures = dict(mpl.rcParams), plt.get_fignums()
    plot(ax=ax)
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == figures


@pytest.mark.parametrize("name", sorted(PANELS))
def test_legends_are_drawn_unless_they_are_not_wanted(name: str) -> None:
    plot, _ = PANELS[name]
    ax, bare = Figure().subplots(1, 2)
    legend = plot(ax=ax).get_legend()
    if name in WITHOUT_LEGEND:
        assert legend is None
        return
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[:3] == ["20", "60", "200"] or name in WITHOUT_SIZES
    assert plot(ax=bare, legend=False).get_legend() is None


def test_every_function_is_tested() -> None:
    tested = {plot.func.__name__ for plot, _ in PANELS.values()}  # type: ignore[attr-defined]
    assert tested == set(kf.plot.__all__) - {"QUANTITIES", "style"}


# ---------------------------------------------------------------- numbers
def test_kappa_of_splits_at_given_levels_in_the_order_of_n(ax: Axes) -> None:
    kf.plot.kappa(SPLITS[::-1], sigma=[2.0, 0.5], ax=ax)
    for index, splits in enumerate(SPLITS):
        np.testing.assert_array_equal(line(ax, f"kappa-{index}").get_xdata(), [0.25, 4.0])
        np.testing.assert_array_equal(line(ax, f"kappa-{index}").get_ydata(), splits.kappa(sigma=[0.5, 2.0]))
    np.testing.assert_array_equal(line(ax, "diagonal").get_ydata(), [0.25, 4.0])
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][:2] == ["20", "100"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_kappa_of_one_splits_goes_over_the_levels_of_sampling(ax: Axes) -> None:
    curve = line(kf.plot.kappa(SPLITS[0], factor=True, ax=ax), "factor-0")
    x = np.asarray(curve.get_xdata())
    assert (x[0], x[-1]) == (pytest.approx(0.002**2), pytest.approx(80.0**2))
    np.testing.assert_allclose(curve.get_ydata(), SPLITS[0].kappa(noise_variance=x) / x)


def test_kappa_at_noise_variances(ax: Axes) -> None:
    curve = line(kf.plot.kappa(SPLITS[0], noise_variance=[0.1, 1.0], ax=ax), "kappa-0")
    np.testing.assert_array_equal(curve.get_xdata(), [0.1, 1.0])


def test_shrinkage_and_disagreement_are_the_numbers_of_the_prediction(ax: Axes) -> None:
    kf.plot.shrinkage(PREDICTION, sigma=1.0, ax=ax)
    np.testing.assert_array_equal(line(ax, "denoiser-0-2").get_ydata(), PREDICTION.denoisers.gain[1, 2])
    other = kf.plot.disagreement_by_mode(PREDICTION, ax=Figure().add_subplot())
    np.testing.assert_array_equal(line(other, "relative-1").get_ydata(), PREDICTION.modes.relative[1])
    assert "%" in other.yaxis.get_major_formatter()(0.5)
    sizes = kf.plot.disagreement_by_n(PREDICTION, ax=Figure().add_subplot())
    np.testing.assert_array_equal(line(sizes, "total").get_xdata(), PREDICTION.n)
    np.testing.assert_array_equal(line(sizes, "total").get_ydata(), PREDICTION.totals.relative)


def test_splits_are_drawn_as_a_prediction_of_them() -> None:
    prediction = kf.predict(POPULATION, source="", n=[20, 100], law="gaussian", denoiser_sigmas=[0.5])
    plots: tuple[Callable[..., Axes], ...] = (
        kf.plot.shrinkage,
        partial(kf.plot.shrinkage, sigma=0.5),
        kf.plot.disagreement_by_mode,
        partial(kf.plot.disagreement_by_mode, relative=False),
        kf.plot.kappa,
    )
    for plot in plots:
        lines, expected = (named(plot(result, ax=Figure().add_subplot())) for result in (SPLITS, prediction))
        assert len(lines) >= 2
        assert expected.keys() - lines.keys() <= {"tolerance"}
        for gid, data in lines.items():
            np.testing.assert_allclose(data, expected[gid], rtol=1e-9)


def test_modes_without_variance_are_left_out(ax: Axes) -> None:
    kf.plot.disagreement_by_mode(make_prediction(zeros=5), ax=ax)
    assert np.isnan(line(ax, "relative-0").get_ydata()[-5:]).all()


def test_mode_pairs_with_and_without_a_colour_bar() -> None:
    for colorbar in (True, False):
        figure = Figure()
        kf.plot.mode_pairs(PREDICTION, colorbar=colorbar, ax=figure.add_subplot())
        assert len(figure.get_axes()) == 1 + colorbar
        np.testing.assert_array_equal(figure.get_axes()[0].images[0].get_array(), PREDICTION.modes.pairs.variance)


@pytest.mark.parametrize("wanted", [Map.denoiser(1.0), "denoiser_1"])
def test_simulation_of_a_map_that_is_named(wanted: Any, ax: Axes) -> None:
    kf.plot.theory_vs_simulation(VALIDATION, quantity="mode_disagreement", map=wanted, ax=ax)
    found = VALIDATION.find("mode_disagreement", "gaussian", 60, "denoiser_1").agreement
    np.testing.assert_array_equal(line(ax, "denoiser_1-gaussian-60").get_ydata(), found.predicted)
    np.testing.assert_array_equal(line(ax, "denoiser_1-simulated-60").get_ydata(), found.simulated)


def test_simulation_is_of_the_sampling_map_unless_another_is_named(ax: Axes) -> None:
    kf.plot.theory_vs_simulation(VALIDATION, quantity="seeds", ax=ax)
    assert {gid.split("-")[0] for gid in named(ax)} == {"map_0"}


# ---------------------------------------------------------------- axes that hold something
def test_what_the_axes_hold_stays_in_view(ax: Axes) -> None:
    ax.plot([1e-9, 1.0], [1e-3, 1e9])
    kf.plot.kappa(SPLITS[0], sigma=[0.1, 1.0], ax=ax)
    kf.plot.kappa(SPLITS[1], sigma=[10.0, 100.0], ax=ax)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert 0 < left <= 1e-9
    assert right > 1e4
    assert 0 < low <= 1e-3
    assert high > 1e9
    assert len([each for each in ax.get_lines() if each.get_gid() == "kappa-0"]) == 2


def test_drawing_twice_leaves_one_set_of_minor_ticks(ax: Axes) -> None:
    kf.plot.kappa(SPLITS[0], ax=ax)
    once = len(ax.artists)
    kf.plot.kappa(SPLITS[1], ax=ax)
    assert len(ax.artists) == once == 2


def test_style_holds_inside_alone() -> None:
    before = dict(mpl.rcParams)
    with kf.plot.style():
        assert not mpl.rcParams["legend.frameon"]
        assert not Figure().add_subplot().spines["top"].get_visible()
    assert dict(mpl.rcParams) == before


# ---------------------------------------------------------------- errors
NO_SEEDS = changed(PREDICTION, seeds={"numbers": np.empty(0, dtype=int), "disagreement": np.empty((3, 0))})
NO_PAIRS = changed(PREDICTION, modes={"pairs": type(PREDICTION.modes.pairs)(np.empty(0, dtype=int), np.empty((0, 0)))})
OTHER = kf.Splits(kf.Population.from_spectrum([2.0, 1.0]), n=50)
UNDIAGNOSED = make_prediction(diagnosed=False)
NO_DENOISERS = changed(PREDICTION, denoisers={"sigma": np.empty(0)})
ONE_QUANTITY: Any = make_validation(quantities=("kappa", "pixels"))
simulated = kf.plot.theory_vs_simulation


@pytest.mark.parametrize(
    ("plot", "message"),
    [
        (partial(kf.plot.disagreement_by_seed, NO_SEEDS), "prediction must hold seeds, got none: its population has"),
        (partial(kf.plot.mode_pairs, NO_PAIRS), r"prediction must hold pairs of modes, got none in prediction\.modes"),
        (
            partial(kf.plot.shrinkage, PREDICTION, sigma=0.5),
            "sigma must be a noise level of the prediction's denoisers, 0.1, 1, got 0.5",
        ),
        (partial(kf.plot.shrinkage, NO_DENOISERS, sigma=1.0), "denoisers, none, got 1.0"),
        (partial(kf.plot.shrinkage, PREDICTION, sigma=-1.0), "sigma must be .*-1.0"),
        (
            partial(kf.plot.leverage, UNDIAGNOSED),
            "result must hold a diagnosis, got a prediction without one: its law was given",
        ),
        (partial(kf.plot.images_by_class, PREDICTION), "result must hold answers by class, got a prediction without"),
        (partial(kf.plot.law_errors, UNDIAGNOSED), "result must hold a diagnosis"),
        (
            partial(kf.plot.law_errors, PREDICTION, map="denoiser"),
            "map must be one of 'sampling map', 'denoiser, σ = 0.2', got 'denoiser'",
        ),
        (
            partial(kf.plot.disagreement_by_stratum, replace(VALIDATION, counterfactual=None)),
            r"validation must hold strata, got None in validation\.counterfactual",
        ),
        (
            partial(kf.plot.sampler_steps, replace(VALIDATION, step_errors=())),
            "validation must hold samplers with finitely many steps, got none",
        ),
        (
            partial(simulated, VALIDATION, quantity="gains", relative=True),
            "quantity must be 'kappa' with relative=True, got 'gains'",
        ),
        (partial(kf.plot.kappa, []), "result must hold splits of different n, got none"),
        *(
            (partial(plot, [SPLITS[0], OTHER]), "result must hold splits of one population, got different eigenvalues")
            for plot in (kf.plot.shrinkage, partial(kf.plot.shrinkage, sigma=1.0), kf.plot.disagreement_by_mode)
        ),
        (partial(kf.plot.kappa, [SPLITS[0], SPLITS[0]]), "result must hold splits of different n, got 20, 20"),
        (partial(kf.plot.kappa, SPLITS, sigma=[0.0, 1.0]), "sigma must be positive, got 0.0"),
        (
            partial(simulated, VALIDATION, quantity="pixels"),
            "quantity must be one of 'kappa', 'gains', 'mode_disagreement', 'mode_variance', 'seeds', 'bands', got 'pixels'",
        ),
        (
            partial(simulated, ONE_QUANTITY, quantity="seeds"),
            "quantity must be one that was simulated, 'kappa', got 'seeds'",
        ),
        (
            partial(simulated, VALIDATION, quantity="gains", map="map_2"),
            "map must be one of 'map_0', 'map_1', 'denoiser_0.1', 'denoiser_1', got 'map_2'",
        ),
        (
            partial(simulated, VALIDATION, quantity="bands", map=Map.denoiser(1.0)),
            "map must be one of 'map_0', got 'denoiser_1'",
        ),
        (
            partial(simulated, VALIDATION, quantity="kappa", map="map_0"),
            "map must be None, because the quantity is of no map, got 'map_0'",
        ),
    ],
)
def test_what_a_result_lacks_is_named(plot: Callable[..., Axes], message: str, ax: Axes) -> None:
    with pytest.raises(ValueError, match=message):
        plot(ax=ax)
    assert not ax.has_data()


@pytest.mark.parametrize(
    ("plot", "message"),
    [
        *(
            (partial(plot, 3), "result must be Splits, a list of Splits or a Prediction, got int")
            for plot in (kf.plot.shrinkage, kf.plot.disagreement_by_mode)
        ),
        (partial(kf.plot.kappa, 3), "result must be Splits, a list of Splits or a Prediction, got int"),
        (partial(kf.plot.kappa, [SPLITS[0], "x"]), "or a Prediction, got str"),
        (partial(kf.plot.kappa, VALIDATION), "or a Prediction, got Validation"),
        (
            partial(kf.plot.kappa, PREDICTION, sigma=[1.0]),
            "sigma and noise_variance are for splits: a prediction has noise levels of its own",
        ),
        (partial(kf.plot.kappa, SPLITS, sigma=[1.0], noise_variance=[1.0]), "give exactly one of sigma"),
        (partial(kf.plot.shrinkage, PREDICTION, sigma="x"), "sigma must be a number above 0, got 'x'"),
        *(
            (partial(plot, SPLITS[0]), r"prediction must be a Prediction, as kappaflow\.predict makes, got Splits")
            for plot in (
                kf.plot.disagreement_by_n,
                kf.plot.disagreement_by_seed,
                kf.plot.mode_pairs,
                kf.plot.spectrum,
            )
        ),
        *(
            (plot, r"validation must be a Validation, as kappaflow\.validation\.linear makes, got Prediction")
            for plot in (
                partial(simulated, PREDICTION, quantity="kappa"),
                partial(kf.plot.disagreement_by_stratum, PREDICTION),
                partial(kf.plot.sampler_steps, PREDICTION),
            )
        ),
        (partial(kf.plot.disagreement_from_pilots, PREDICTION), "pilot must be a Pilot, .*, got Prediction"),
        *(
            (partial(plot, SPLITS[0]), "result must be a Diagnosis or a Prediction, got Splits")
            for plot in (kf.plot.leverage, kf.plot.law_errors)
        ),
    ],
)
def test_other_results_are_refused(plot: Callable[..., Axes], message: str, ax: Axes) -> None:
    with pytest.raises(TypeError, match=message):
        plot(ax=ax)
    assert not ax.has_data()


@every_panel
def test_axes_must_be_axes(plot: Callable[..., Axes], figure: str) -> None:
    with pytest.raises(TypeError, match="ax must be one Matplotlib Axes, or None for the current one, got ndarray"):
        plot(ax=Figure().subplots(1, 2))
    with pytest.raises(TypeError, match="got Figure"):
        plot(ax=Figure())
    with pytest.raises(ValueError, match="ax must be rectilinear, got polar axes"):
        plot(ax=Figure().add_subplot(projection="polar"))


def test_a_law_without_kappa_says_so(ax: Axes) -> None:
    samples = np.random.default_rng(0).standard_normal((60, 5))
    splits = kf.Splits(kf.Population.from_samples(samples, profiles=60), n=20, law="empirical")
    with pytest.raises(ValueError, match="kappa needs law="):
        kf.plot.kappa(splits, ax=ax)


# ---------------------------------------------------------------- imports
def in_a_new_process(code: str) -> Any:
    """What a fresh interpreter prints, as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_package_takes_matplotlib_along_only_for_plots() -> None:
    code = (
        "import json, sys, kappaflow as kf; before = 'plot' in dir(kf), 'matplotlib' in sys.modules;"
        "kf.plot; print(json.dumps([*before, *(m in sys.modules for m in ('matplotlib', 'matplotlib.pyplot', 'torch'))]))"
    )
    assert in_a_new_process(code) == [True, False, True, False, False]


def test_a_missing_matplotlib_is_named() -> None:
    code = (
        "import json, sys; sys.modules['matplotlib'] = None; import kappaflow as kf\n"
        "try: kf.plot\n"
        "except ImportError as error: print(json.dumps(str(error)))"
    )
    assert in_a_new_process(code) == "kappaflow.plot needs Matplotlib: pip install matplotlib"
