"""The report of pilots: its words, tables and figures are those of the numbers, and it claims nothing that they do not show."""

from __future__ import annotations

import csv
import dataclasses
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kappaflow.pilot.results import Pilot
from kappaflow.report import build
from kappaflow.report.page import page, shown
from kappaflow.report.pilot import answer_lines, headline
from kappaflow.report.words import NO_BREAK, percent
from kappaflow.report.write import write
from page_parser import Page, drawn, undrawn
from toy_pilot import DATA, DATA_FLOOR, FLOOR, OPTIMISATION, SCATTER, STEPS, toy_pilot


def plain(text: str) -> str:
    """Without no-break spaces."""
    return text.replace(NO_BREAK, " ")


def sentences(pilot: Pilot, name: str) -> list[str]:
    """What a section says above its figures."""
    section = next(section for section in build(pilot).sections if section.name == name)
    return [plain(sentence) for sentence in section.takeaways]


def sections(pilot: Pilot) -> list[str]:
    return [section.name for section in build(pilot).sections]


def cells(pilot: Pilot, name: str) -> dict[str, list[Any]]:
    """A table as the page shows it: heading → texts."""
    table = next(table for table in build(pilot).tables if table.name == name)
    return {heading: [plain(shown(value)) for value in values] for heading, values in table.columns.items()}


def lines_of(pilot: Pilot, name: str) -> dict[str, Any]:
    """Lines of a figure by their gid."""
    figure = drawn(build(pilot), name)
    return {line.get_gid(): line for ax in figure.axes for line in ax.get_lines() if line.get_gid()}


# ---------------------------------------------------------------- the answer
@pytest.mark.parametrize(
    ("tolerance", "mood", "verdict"),
    [
        (0.1, "yes", "within the tolerance of 10 %"),
        (0.06, "partly", "probably within the tolerance of 6 %"),
        (0.05, "partly", "probably more than the tolerance of 5 %"),
        (0.01, "no", "more than the tolerance of 1 %"),
    ],
)
def test_answer_is_that_of_half_of_the_images(tolerance: float, mood: str, verdict: str) -> None:
    pilot = toy_pilot(tolerance=tolerance)
    there = pilot.halves.everything
    assert pilot.halves.n == 1000
    assert there.value == pytest.approx(FLOOR + DATA * 0.008)
    low, high = (f"{100 * limit:.1f} %" for limit in (there.low, there.high))
    head = headline(pilot)
    assert head.mood == mood
    assert (
        plain(head.answer)
        == f"Two UNets trained on 1,000 images each will disagree by about 5.6 % ({low} to {high}): {verdict}."
    )
    words = plain(undrawn(build(pilot)).words)
    assert plain(head.answer) in words
    assert plain(head.images) in words
    assert "images, initialisation and noise" in words
    assert f"as the pilots were ({STEPS} steps)" in words


def test_tiles_have_the_unrounded_numbers() -> None:
    pilot = toy_pilot()
    tiles = {tile.label: tile for tile in headline(pilot).tiles}
    there = pilot.halves
    assert tiles["Disagreement of two runs"].value == there.everything.value
    assert tiles["On the same images"].value == there.same_images.value
    assert tiles["Left with any number of images"].value == pytest.approx(FLOOR)
    needed = tiles[f"Images for 10{NO_BREAK}%"]
    assert (needed.text, needed.value) == ("270", 267)
    assert all(
        percent(tile.value) == tile.text for tile in tiles.values() if tile.value is not None and tile is not needed
    )


NEEDED = {
    "a number with limits": (
        {"tolerance": 0.1},
        "For two UNets to agree within 10 %, each training set needs about 270 images (200 to 360).",
        "270",
    ),
    "more than there are": (
        {"tolerance": 0.045},
        "For two UNets to agree within 4.5 %, each training set needs about 3,200 images (at least 1,000; possibly no number is "
        "enough). That is more than the 2,000 images at hand.",
        "3,200",
    ),
    "the smallest pilot": (
        {"tolerance": 0.3},
        "Two UNets agree within 30 % already with 100 images in each training set.",
        "100 or fewer",
    ),
    "about the smallest pilot": (
        {"tolerance": 0.2},
        "Two UNets agree within 20 % already with 100 images in each training set; at worst, it takes 120.",
        "100 or fewer",
    ),
    "hardly, and beyond what the images can determine": (
        {"tolerance": 0.038, "top": 1500},
        "More images alone are not expected to reach 3.8 %: about 4.0 % remain whatever their number. At best, it takes more "
        "images than these can determine.",
        "not by images alone",
    ),
    "never": (
        {"tolerance": 0.01},
        "More images alone do not reach 1 %: about 4.0 % remain whatever their number.",
        "not by images alone",
    ),
    "hardly": (
        {"tolerance": 0.038},
        "More images alone are not expected to reach 3.8 %: about 4.0 % remain whatever their number. At best, about 2,000 images "
        "in each training set are enough.",
        "not by images alone",
    ),
    "beyond what the images can determine": (
        {"tolerance": 0.05, "top": 1500},
        "Probably, more than 1,500 images in each training set are needed to agree within 5 %; these images cannot determine how "
        "many. At best, about 750 images in each training set are enough.",
        "cannot be determined",
    ),
    "an upper limit beyond that": (
        {"tolerance": 0.05, "top": 5000},
        "For two UNets to agree within 5 %, each training set needs about 1,600 images (at least 750; these images cannot "
        "determine how many at most).",
        "1,600",
    ),
}


@pytest.mark.parametrize(("options", "sentence", "cell"), NEEDED.values(), ids=NEEDED.keys())
def test_images_needed_are_said_as_they_are(options: dict[str, Any], sentence: str, cell: str) -> None:
    pilot = toy_pilot(**options)
    assert plain(headline(pilot).images) == sentence
    assert sentences(pilot, "images") == [sentence]
    assert plain(answer_lines(pilot)[0]) == sentence
    table = cells(pilot, "images")
    row = [each.tolerance for each in pilot.needed].index(pilot.tolerance)
    assert table["Images"][row] == cell
    assert next(table for table in build(pilot).tables if table.name == "images").marked == row
    tile = headline(pilot).tiles[1]
    assert tile.text == cell
    assert (tile.value is None) == (not cell.replace(",", "").isdigit())


def test_limits_of_images_are_in_the_table() -> None:
    pilot = toy_pilot(tolerance=0.045)
    table = cells(pilot, "images")
    assert table["Tolerance"] == ["30 %", "10 %", "5 %", "4.5 %", "1 %"]
    assert table["At best"] == ["100 or fewer", "200", "750", "1,000", "no number"]
    assert table["At worst"] == ["100 or fewer", "360", "120,000", "no number", "no number"]
    wanted = next(table for table in build(pilot).tables if table.name == "images").columns["Images"]
    assert [value.mood for value in wanted] == ["yes", "yes", "yes", "partly", "no"]  # type: ignore[union-attr]
    assert wanted[1].value == 267  # type: ignore[union-attr]


# ---------------------------------------------------------------- sections
def test_amount_names_linear_models_as_such() -> None:
    pilot = toy_pilot()
    first, floor, alone, law = sentences(pilot, "amount")
    assert first.startswith(
        "Two UNets that differ in everything, trained on 1,000 images each, will disagree by about 5.6 %;"
    )
    assert floor.startswith("However many images there are, about 4.0 % (")
    assert "they will disagree by about 3.1 % (" in alone
    assert law == "The theory of linear models says 0.80 % there; it is not about these networks."
    table = cells(pilot, "forecasts")
    assert table["n"] == ["100", "300", "1,000", "10,000"]
    assert table["Everything differs"] == ["20 %", "9.3 %", "5.6 %", "4.2 %"]
    assert table["Observed"] == ["20 %", "9.3 %", "–", "–"]
    assert table["Same images"] == ["10 %", "6.1 %", "4.6 %", "4.1 %"]
    assert table["Linear models"] == ["8.0 %", "2.7 %", "0.80 %", "0.080 %"]
    assert len(sentences(toy_pilot(alone=False), "amount")) == 3
    assert set(cells(toy_pilot(alone=False), "forecasts")["Only data differ"]) == {"–"}


def test_how_it_is_computed_has_the_fit() -> None:
    text = plain(undrawn(build(toy_pilot())).words)
    assert "F = 0.0400, c = 2.00, b = 0.800, Fdata = 0.0150" in text
    assert (FLOOR, DATA, OPTIMISATION, DATA_FLOOR) == (0.04, 2.0, 0.8, 0.015)
    assert "The law is the empirical law of all 2,000 images." in text
    assert "Fdata =" not in plain(undrawn(build(toy_pilot(alone=False))).words)


def test_images_and_training_are_told_apart() -> None:
    pilot = toy_pilot()
    first, second = sentences(pilot, "split")
    there = pilot.halves
    assert there.optimisation_share == pytest.approx(0.0464 / 0.056)
    assert "trained on the same images disagree by about 4.6 %. That is 83 % of the disagreement" in first
    assert first.endswith("so most of it is there with the same images too.")
    assert second == "More images alone can take away at most about 29 % of the disagreement at this n."
    few = dataclasses.replace(pilot, data=dataclasses.replace(pilot.data, images=200))
    assert few.halves.optimisation_share == pytest.approx(0.104 / 0.2)
    less = dataclasses.replace(few.halves, same_images=few.halves.same_images._replace(value=0.05))
    few = dataclasses.replace(few, curve=(less, *few.curve[1:]))
    assert sentences(few, "split")[0].endswith("so most of it comes from the choice of images.")


def test_what_is_taken_from_other_networks_is_said() -> None:
    pilot = toy_pilot(floors=())
    (first, _) = sentences(pilot, "split")
    assert first.startswith(
        "No pilot has two trainings on the same images. If these networks are like others that were measured: at n"
    )
    assert headline(pilot).tiles[2].hint.endswith("; taken from other networks")
    assert "other" not in headline(toy_pilot()).tiles[2].hint + sentences(toy_pilot(), "split")[0]
    assert len(lines_of(pilot, "split")["share-observed"].get_xdata()) == 0
    assert list(lines_of(toy_pilot(floors=(300,)), "split")["share-observed"].get_xdata()) == [300]
    assert cells(pilot, "pilots")["Same images: observed"] == ["–", "–"]


def test_longer_training_is_a_number_where_it_helps() -> None:
    first, second = sentences(toy_pilot(length="falls"), "length")
    assert first.startswith(
        "Two UNets trained on the same 300 images disagree by 8.0 % after 200 steps and 5.0 % after 400 steps."
    )
    assert first.endswith("three times as long multiplies the disagreement on the same images by about 0.47, to 2.4 %.")
    assert 3 ** -math.log2(1.6) == pytest.approx(0.47, abs=0.005)
    assert "one pair of each length" in second
    assert "20 %" not in first  # it fails the gate
    assert cells(toy_pilot(), "length")["Gate"] == ["fails", "passes", "passes"]
    assert cells(toy_pilot(), "length")["Everything differs"] == ["24 %", "9.6 %", "6.0 %"]


def test_longer_training_is_no_number_where_it_does_not_help_or_is_not_known() -> None:
    rises = " ".join(sentences(toy_pilot(length="rises"), "length"))
    assert "5.0 % after 200 steps and 8.0 % after 400 steps" in rises
    assert (
        "longer training makes two networks disagree more: short trainings leave both near the same simple denoiser"
        in rises
    )
    assert "these pilots do not show how much longer training would help" in rises
    assert "multiplies" not in rises
    (unknown,) = sentences(toy_pilot(length="unknown"), "length")
    assert unknown.startswith("Only 1 of 3 lengths of training pass the gate")
    assert "length" not in sections(toy_pilot(length=None))


def test_extrapolation_is_tested_and_its_error_said() -> None:
    pilot = toy_pilot()
    tested = pilot.amount.left_out
    assert tested is not None
    test, parts, reach = sentences(pilot, "trust")
    ratio = tested.observed / tested.predicted
    assert test == (
        "Test: the pilots at n = 100 alone predict a disagreement of 9.7 % at n = 300. Observed is 9.3 %, "
        f"{ratio:.2f} times as much."
    )
    assert f"extrapolation of about {plain(percent(pilot.amount.extrapolation))}" in parts
    assert f"difference of about {plain(percent(pilot.amount.between_pairs))} from one pair" in parts
    assert reach.startswith("The n of the answer, 1,000, is 3.3 times that of the largest pilot.")
    table = cells(pilot, "pilots")
    assert table["Everything differs: observed"] == table["Everything differs: fit"] == ["20 %", "9.3 %"]
    assert table["Pairs"] == ["2 pairs", "2 pairs"]
    assert (
        sentences(toy_pilot(top=500), "trust")[-1]
        == "The images at hand cannot determine the law at more than 500 images."
    )
    (one, *_) = sentences(toy_pilot((100,)), "trust")
    assert one == "There are pilots at one size only, n = 100: the extrapolation could not be tested on these networks."
    (one, *_) = sentences(toy_pilot(floors=(300,)), "trust")
    assert one.startswith(
        "The pilot at n = 100 has no two trainings on the same images, so it cannot be fitted alone: "
    )


def test_seeds_have_their_disagreement_and_range() -> None:
    pilot = toy_pilot()
    assert pilot.seeds is not None
    values = pilot.seeds.relative() * pilot.halves.everything.value
    ends, scatter, order = sentences(pilot, "seeds")
    most, least = (plain(percent(float(value))) for value in (values[-1], values[0]))
    assert f"disagree by {most} on seed 139, the most fragile of 40 seeds, and by {least} on seed 100" in ends
    assert "0.50 to 1.8 times the expected value in 80 % of the cases" in scatter
    assert "rank correlation with the disagreement of single pairs at n = 300 is 0.60" in order
    table = cells(pilot, "fragile_seeds")
    assert table["Seed"][:2] == ["139", "138"]
    assert table["Seed"][5:] == ["104", "103", "102", "101", "100"]
    assert table["A single pair"][0] == plain(f"{percent(0.5 * values[-1])} to {percent(1.8 * values[-1])}")


@pytest.mark.parametrize("correlation", [0.2, -0.5, math.nan])
def test_no_seed_is_named_where_the_order_is_no_better_than_chance(correlation: float) -> None:
    pilot = toy_pilot(correlation=correlation)
    (sentence,) = sentences(pilot, "seeds")
    assert "no better than chance" in sentence
    assert "nan" not in sentence
    assert {"fragile_seeds", "seeds"}.isdisjoint(table.name for table in build(pilot).tables)
    assert "seeds" not in sections(toy_pilot(correlation=None))


def test_networks_that_fail_are_counted_apart() -> None:
    text = "4 of 4 networks pass, and 0 of the 1 that were trained for fewer steps."
    (sentence,) = sentences(toy_pilot(), "gate")
    assert sentence.startswith(f"{text} The first that fails is unet n=300 A0 repeat 1 (100 steps): denoising loss 1.7")
    (sentence,) = sentences(toy_pilot(length=None), "gate")
    assert sentence.startswith("All 4 runs pass")
    failed = toy_pilot(failed=(300,))
    assert sentences(failed, "gate")[0].startswith("2 of 4 networks pass, and 0 of the 1")
    assert [size.n for size in failed.sizes] == [100]
    assert cells(failed, "forecasts")["Observed"] == ["20 %", "–", "–"]
    assert any("gate: 2 of 4 networks pass" in line for line in answer_lines(failed))


def test_images_have_the_disagreement_of_their_pair() -> None:
    pilot = toy_pilot()
    (sentence,) = sentences(pilot, "gallery")
    assert sentence.startswith("The percentages are the disagreement of this pair, two UNets at n = 300, on each seed.")
    assert sentence.endswith("Left are the seeds that are expected to be the most fragile, right the least fragile.")
    assert "fragile" not in sentences(toy_pilot(correlation=0.1), "gallery")[0]
    pair = next(pair for pair in pilot.pairs if (pair.n, pair.arm) == (300, "different"))
    titles = [ax.get_title() for ax in drawn(build(pilot), "gallery").axes]
    shares = pair.disagreement.seeds / pair.disagreement.unrelated
    assert titles == [f"seed {100 + place}\n{percent(float(shares[place]))}" for place in range(5)]


def test_gate_without_losses_says_so_and_draws_none() -> None:
    pilot = toy_pilot(length=None)
    nothing = np.full(7, np.nan)
    bare = [
        dataclasses.replace(run, quality=dataclasses.replace(run.quality, held_out=nothing, own=nothing))
        for run in pilot.runs
    ]
    assert len(sentences(pilot, "gate")) == 1
    some = dataclasses.replace(pilot, runs=(*bare[:1], *pilot.runs[1:]))
    unknown = "Only samples of 1 of the 4 networks are there, so the gate judges them without their denoising loss."
    assert sentences(some, "gate")[1] == unknown
    assert "gate" in [picture.name for picture in build(some).pictures]
    every = dataclasses.replace(pilot, runs=tuple(bare))
    assert sentences(every, "gate")[1].startswith("Only samples of these networks are there")
    assert "gate" not in [picture.name for picture in build(every).pictures]
    assert set(cells(every, "runs")["Loss / linear, held out"]) == {"–"}


# ---------------------------------------------------------------- figures
def test_figures_draw_the_numbers() -> None:
    pilot = toy_pilot()
    curve = lines_of(pilot, "curve")
    n = np.array([100, 200, 300, 500, 1000, 2000, 5000, 10_000, 20_000])
    np.testing.assert_array_equal(curve["everything"].get_xdata(), n)
    np.testing.assert_allclose(curve["everything"].get_ydata(), FLOOR + DATA * 8 / n)
    np.testing.assert_allclose(curve["same_images"].get_ydata(), FLOOR + OPTIMISATION * 8 / n)
    np.testing.assert_allclose(curve["data_alone"].get_ydata(), DATA_FLOOR + DATA * 8 / n)
    np.testing.assert_allclose(curve["law"].get_ydata(), 8 / n)
    np.testing.assert_allclose(curve["pairs-everything-100"].get_ydata(), np.array(SCATTER) * 0.2)
    assert curve["floor"].get_ydata()[0] == pytest.approx(FLOOR)
    assert curve["tolerance"].get_ydata()[0] == 0.1
    share = lines_of(pilot, "split")
    np.testing.assert_allclose(
        share["share"].get_ydata(), [each.optimisation_share for each in pilot.curve if each.n <= 20_000]
    )
    np.testing.assert_allclose(share["share-observed"].get_ydata(), [0.104 / 0.2, 0.0613333 / 0.0933333], rtol=1e-5)
    length = lines_of(pilot, "length")
    np.testing.assert_array_equal(length["same_images-passed"].get_ydata(), [0.08, 0.05])
    np.testing.assert_array_equal(length["same_images-failed"].get_ydata(), [0.2])
    seeds = lines_of(pilot, "seeds")
    pairs = [pair.disagreement.seeds for pair in pilot.pairs if (pair.n, pair.arm) == (300, "different")]
    np.testing.assert_allclose(seeds["observed-1"].get_ydata(), pairs[1] / pairs[1].mean())
    np.testing.assert_allclose(seeds["ranking"].get_ydata()[-1], pilot.seeds.relative().max() * 0.056, rtol=1e-6)  # type: ignore[union-attr]
    assert "data_alone" not in lines_of(toy_pilot(alone=False), "curve")


def test_alternative_texts_have_the_numbers() -> None:
    texts = {picture.name: plain(picture.alternative) for picture in build(toy_pilot()).pictures}
    assert "20 % at n = 100 and 5.6 % at n = 1,000 if everything differs; it falls towards 4.0 %" in texts["curve"]
    assert texts["split"].endswith("52 % at n = 100 and 83 % at n = 1,000.")
    assert "20 % on the same images after 100 steps, 8.0 % on the same images after 200 steps" in texts["length"]
    assert re.search(r"expected disagreement of the seeds at n = 1,000, from 2\.\d % to \d\.\d %", texts["seeds"])
    assert texts["gallery"].endswith("; UNet; n = 300.")
    assert texts["gate"].endswith("; UNet; n = 100, 300.")


# ---------------------------------------------------------------- the page
VARIANTS: dict[str, Callable[[], Pilot]] = {
    "all": toy_pilot,
    "one size": lambda: toy_pilot((100,)),
    "failed": lambda: toy_pilot(failed=(300,)),
    "few determined": lambda: toy_pilot(tolerance=0.05, top=1500),
    "half is not determined": lambda: toy_pilot(top=500),
    "no floor": lambda: toy_pilot(floors=(), alone=False, networks="given"),
    "unreachable": lambda: toy_pilot(tolerance=0.01, length="rises"),
    "bare": lambda: toy_pilot(alone=False, length=None, correlation=None),
    "not ordered": lambda: toy_pilot(length="unknown", correlation=math.nan),
    "colour": lambda: toy_pilot(shape=(2, 2, 3)),
    "vector": lambda: toy_pilot(shape=(16,), networks="python train.py"),
    "no gallery": lambda: dataclasses.replace(toy_pilot(), gallery=None),
}


@pytest.mark.parametrize("name", list(VARIANTS))
def test_page_is_whole(name: str) -> None:
    document = build(VARIANTS[name](), facts={"command": "<b>x</b>"})
    text = page(document)
    parsed = Page(text)
    identifiers = [value for _, value in parsed.attributes("id")]
    links = [value[1:] for _, value in parsed.attributes("href") if value.startswith("#")]
    assert parsed.open == []
    assert len(set(identifiers)) == len(identifiers)
    assert set(links) <= set(identifiers)
    assert "&lt;b&gt;x&lt;/b&gt;" in text
    assert "mind &lt;this&gt;" in text
    assert not re.search(r'(src|href)="(?!data:|#|https://arxiv)', text)
    for figure in document.pictures:
        assert f'id="figure-{figure.name}"' in text
    assert not re.search(r"\b(nan|inf|None)\b", parsed.words), name


def test_networks_of_another_kind_have_no_name_of_their_own() -> None:
    pilot = toy_pilot(networks="python train.py")
    assert headline(pilot).answer.startswith("Two networks trained on 1,000 images each")
    assert "python train.py" in undrawn(build(pilot)).words
    assert headline(toy_pilot(top=500)).answer.startswith("Two UNets trained on 500 images each")


def test_terminal_says_what_the_page_says() -> None:
    pilot = toy_pilot()
    words = plain(undrawn(build(pilot)).words)
    lines = [plain(line) for line in answer_lines(pilot)]
    said = [line for line in lines if line.endswith(".")]
    assert len(said) >= 5
    assert [line for line in said if line not in words and not line.startswith("Two UNets trained on the same")] == []
    assert (
        "images for other tolerances: 30 %: 100 or fewer; 5 %: 1,600 (750 to 120,000); 1 %: not by images alone"
        in lines
    )
    assert "linear models, n = 1,000: 0.80 %" in lines


def test_files_have_all_digits(tmp_path: Path) -> None:
    pilot = toy_pilot()
    document = build(pilot)
    write(document, tmp_path)
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {picture.name for picture in document.pictures}
    with (tmp_path / "tables/curve.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["n"]) for row in rows] == [each.n for each in pilot.curve]
    assert [float(row["everything differs, high"]) for row in rows] == [each.everything.high for each in pilot.curve]
    assert [float(row["linear models"]) for row in rows] == [each.law for each in pilot.curve]
    with (tmp_path / "tables/seeds.csv").open(encoding="utf-8") as file:
        seeds = list(csv.DictReader(file))
    assert [int(row["seed"]) for row in seeds] == list(range(139, 99, -1))
    assert pilot.seeds is not None
    np.testing.assert_array_equal(
        [float(row["posterior variance"]) for row in seeds], pilot.seeds.posterior_variance[::-1]
    )
