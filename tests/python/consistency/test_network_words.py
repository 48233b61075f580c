"""What is said of networks beside the numbers of linear theory: it agrees with the measurements, at every n."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import kappaflow as kf
from kappaflow.consistency.network_words import (
    NETWORK_FACTORS,
    NETWORK_FLOOR,
    NETWORK_POSTERIOR_CORRELATION,
    NETWORK_POSTERIOR_TEXTURES,
    NETWORK_PROBE_CHOSEN,
    NETWORK_PROBE_CHOSEN_MEAN,
    NETWORK_PROBE_MEASURED,
    NETWORK_SEED_CEILING,
    NETWORK_SEED_CORRELATION,
    NetworkRange,
    network_range,
    network_words,
    pilot_command,
)
from kappaflow.consistency.predict import predict

ROOT = Path(__file__).parents[3]
NETWORKS = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8").replace("−", "-")
NEW_COMMAND = "kappaflow pilot digits --arch unet"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def rows(label: str) -> list[list[str]]:
    """The cells of each row of a table in docs/networks.md whose first cell has the label in it."""
    lines = [cells(line) for line in NETWORKS.splitlines() if line.startswith("|")]
    return [line[1:] for line in lines if label in line[0]]


def tables_by_n() -> list[dict[str, dict[int, float]]]:
    """The tables of docs/networks.md whose columns are sizes n: label of the row → n → the first number of the cell."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", NETWORKS, flags=re.MULTILINE):
        header, _, *body = map(cells, block.splitlines())
        sizes = [re.fullmatch(r"n = (\d+)", cell) for cell in header[1:]]
        if all(sizes):
            numbers = [[re.match(r"-?[\d.]+", cell) for cell in row[1:]] for row in body]
            found.append(
                {
                    row[0]: {
                        int(size[1]): float(number[0])
                        for size, number in zip(sizes, line, strict=True)
                        if size and number
                    }
                    for row, line in zip(body, numbers, strict=True)
                }
            )
    return found


def test_the_factors_at_each_n_are_those_that_were_measured() -> None:
    factors: dict[int, list[float]] = {}
    for table in tables_by_n():
        for arch in ("UNet", "DiT"):
            for n, apart in table.get(f"{arch}, everything differs", {}).items():
                factors.setdefault(n, []).append(apart / table["empirical law"][n])
    assert sum(map(len, factors.values())) >= 16
    measured = {n: (float(f"{min(ratios):.2g}"), float(f"{max(ratios):.2g}")) for n, ratios in factors.items()}
    assert measured == dict(NETWORK_FACTORS)


def test_the_floor_is_that_which_was_measured_at_the_largest_n() -> None:
    floors = [
        floor
        for table in tables_by_n()
        for arch in ("UNet", "DiT")
        for n, floor in table.get(f"{arch}, the floor", {}).items()
        if n >= 898
    ]
    assert len(floors) >= 6
    assert (min(floors), max(floors)) == NETWORK_FLOOR


def test_the_rank_correlations_of_networks_are_those_that_were_measured() -> None:
    """The rows of the two laptop presets hold two numbers, that of the empirical law first."""
    found = [cell for row in rows("over seeds") for cell in row]
    matches = [re.match(r"-?[\d.]+", cell) for cell in found]
    values = [float(match[0]) for match in matches if match]
    assert len(values) == 3 + 4 * 4
    assert (min(values), max(values)) == NETWORK_SEED_CORRELATION


def test_the_rank_correlations_of_the_posterior_variance_are_those_that_were_measured() -> None:
    (table,) = re.findall(r"^\| images, what differs.*\n(?:^\|.*\n)+", NETWORKS, flags=re.MULTILINE)
    header, _, *lines = map(cells, table.splitlines())
    assert header[1:3] == ["ceiling for single pairs", "posterior variance"]
    columns = {
        kind: [
            [float(cell.split(",")[0]) for cell in row[:2]]
            for name in names
            for label, *row in lines
            if label.startswith(f"{name}, ")
        ]
        for kind, names in (
            ("most", ("digits", "MNIST 14 × 14", "glyphs", "colour patches", "colour patches 16 × 16")),
            ("textures", ("textures",)),
        )
    }
    assert [len(rows_of) for rows_of in columns.values()] == [14, 2]
    most, textures = ([single for _, single in rows_of] for rows_of in columns.values())
    assert (min(most), max(most)) == NETWORK_POSTERIOR_CORRELATION
    assert (min(textures), max(textures)) == NETWORK_POSTERIOR_TEXTURES
    ceilings = [ceiling for rows_of in columns.values() for ceiling, _ in rows_of]
    assert (min(ceilings), max(ceilings)) == NETWORK_SEED_CEILING


def test_the_rank_correlations_with_the_probe_are_those_that_were_measured() -> None:
    (alone,), (both,) = rows("posterior variance alone, single other pairs"), rows("sum of ranks, single other pairs")
    measured = {n: (float(both[column]), float(alone[column])) for column, n in ((0, 100), (2, 300))}
    assert measured == dict(NETWORK_PROBE_MEASURED)
    words = "its rank correlation was {} to {} with single pairs and {} to {} with the mean of three"
    assert words.format(*NETWORK_PROBE_CHOSEN, *NETWORK_PROBE_CHOSEN_MEAN) in " ".join(NETWORKS.split())


@pytest.mark.parametrize(
    ("n", "measured_at", "grows"),
    [
        (2, (30, 100, 300, 898, 1000), False),
        (9, (30, 100, 300, 898, 1000), False),
        (10, (30,), False),
        (30, (30,), False),
        (54, (30,), False),
        (56, (100,), False),
        (300, (300,), False),
        (898, (898, 1000), False),
        (1000, (898, 1000), False),
        (1001, (898, 1000), True),
        (10**12, (898, 1000), True),
        (None, (30, 100, 300, 898, 1000), False),
    ],
)
def test_the_range_is_that_of_the_nearest_size(n: int | None, measured_at: tuple[int, ...], grows: bool) -> None:
    found = network_range(n)
    assert (found.measured_at, found.grows) == (measured_at, grows)
    assert found.low == min(NETWORK_FACTORS[size][0] for size in measured_at)
    assert found.high == max(NETWORK_FACTORS[size][1] for size in measured_at)


def test_sizes_that_are_nearly_the_same_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    factors = {300: (1.4, 4.0), 898: (3.4, 9.0), 1000: (14.0, 14.0), 2500: (38.0, 38.0)}
    monkeypatch.setattr("kappaflow.consistency.network_words.NETWORK_FACTORS", factors)
    assert network_range(700) == network_range(1200) == NetworkRange(3.4, 14.0, (898, 1000), grows=False)
    assert "trained on 2,500 small images disagreed 38 times as much" in network_words(3000, "").measured


def test_the_words_hold_the_range_and_the_command() -> None:
    near, far, large = (network_words(n, NEW_COMMAND) for n in (120, 5, 20_000))
    assert near.measured == (
        "Two small UNets or DiTs trained on 100 small images disagreed 0.69 to 3.1 times as much as it says."
    )
    assert near.short == "networks at n = 100: 0.69 to 3.1 times as much"
    assert "trained on 30 to 1,000 small images disagreed 0.44 to 9 times as much" in far.measured
    assert large.measured.endswith("this factor grows: networks keep a floor that linear models do not have.")
    assert "grows" not in near.measured + far.measured
    assert "still disagreed by 3 to 8 %" in near.floor
    assert near.as_json() == {"low": 0.69, "high": 3.1, "measured_at": [100], "command": NEW_COMMAND}


def test_the_command_is_quoted_for_a_shell() -> None:
    awkward = ["my photos/it's $HOME; `ls`", "--size", "14"]
    command = pilot_command(awkward, (14, 14))
    assert shlex.split(command) == ["kappaflow", "pilot", *awkward, "--arch", "unet"]
    assert pilot_command(["digits"]) == NEW_COMMAND


@pytest.mark.parametrize(
    ("shape", "arch"), [((8, 8), "unet"), ((8, 8, 3), "unet"), ((3, 8, 8), "unet"), ((64,), "mlp"), ((5, 5, 7), "mlp")]
)
def test_data_that_are_no_images_need_another_architecture(shape: tuple[int, ...], arch: str) -> None:
    assert pilot_command(shape=shape) == f"kappaflow pilot DATA --arch {arch}"


def test_every_prediction_has_the_words_of_its_n() -> None:
    population = kf.Population.from_spectrum(1.0 / np.arange(1, 9))
    found = predict(population, source="test", n=[30], images=0)
    assert found.notes[0].startswith("The numbers describe linear diffusion models on ")
    assert found.networks == network_words(30, "kappaflow pilot DATA --arch mlp")
    assert "These are numbers of linear theory, not of your network." in found.networks.warning
    named = predict(population, source="test", n=[2000], images=0, pilot=NEW_COMMAND)
    assert named.networks == network_words(2000, NEW_COMMAND)


def test_the_readme_gives_the_measured_range() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"disagreed {network_range(None).low:g} to {network_range(None).high:g} times as much" in text
