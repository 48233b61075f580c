"""``kappaflow seeds``: the ranking for networks, noise of the user, and the text file for a sampling script."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kappaflow as kf
from commands import refuse, succeed
from kappaflow.sampling import initial_noise


def answer(*arguments: str) -> dict[str, object]:
    return dict(json.loads(succeed("seeds", *arguments, "--json", "-", "-q").stdout))


@pytest.fixture
def population(folder: Path) -> kf.Population:
    succeed("moments", "data.npy", "--out", "p.safetensors", "-q")
    return kf.Population.load("p.safetensors")


def test_networks_are_ranked_like_the_library(population: kf.Population) -> None:
    ranked = answer("p.safetensors", "--seeds", "3,7,9,20")
    numbers = np.array([3, 7, 9, 20])
    expected = kf.posterior_variance(population, initial_noise(numbers.tolist(), 36, 80.0))
    networks = ranked["network_seeds"]
    assert isinstance(networks, dict)
    assert networks["seeds"] == numbers[expected.order].tolist()
    assert networks["posterior_variance"] == expected.seeds[expected.order].tolist()
    assert networks["perplexity"] == expected.perplexity[expected.order].tolist()
    assert networks["trivial"] == expected.trivial[expected.order].tolist()
    assert (networks["sigma"], networks["images"]) == (expected.sigma, 60)
    assert ranked["n"] is None
    assert "disagreement" not in ranked
    beside_linear = answer("data.npy", "--seeds", "3,7,9,20", "--n", "50")["network_seeds"]
    assert isinstance(beside_linear, dict)
    assert beside_linear["seeds"] == networks["seeds"]
    np.testing.assert_allclose(beside_linear["posterior_variance"], networks["posterior_variance"], rtol=1e-6)


def test_both_rankings_say_whose_they_are(population: kf.Population) -> None:
    text = " ".join(succeed("seeds", "p.safetensors", "--n", "50").stdout.split())
    assert "predicted to change when you train a network again, most first" in text
    assert "disagreement of two linear models" in text
    assert "It is an order and not an amount, and no network was run" in text
    alone = succeed("seeds", "p.safetensors").stdout
    assert "linear" not in alone


@pytest.mark.parametrize("scale", [80.0, 1.0])
def test_noise_of_the_user_is_ranked(population: kf.Population, scale: float) -> None:
    np.save("noise.npy", scale / 80 * initial_noise([5, 6, 7], 36, 80.0).reshape(3, 6, 6))
    by_seed, by_row = (
        answer("p.safetensors", *arguments)["network_seeds"]
        for arguments in (("--seeds", "5-7"), ("--noise", "noise.npy"))
    )
    assert isinstance(by_seed, dict)
    assert isinstance(by_row, dict)
    assert [row + 5 for row in by_row["seeds"]] == by_seed["seeds"]
    np.testing.assert_allclose(by_row["posterior_variance"], by_seed["posterior_variance"], rtol=1e-6)


def test_channels_of_the_noise_may_come_first(folder: Path) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    np.save("colour.npy", rng.uniform(-1, 1, (80, 4, 4, 3)).astype(np.float32))
    noise = rng.standard_normal((6, 4, 4, 3))
    np.save("last.npy", noise)
    torch.save(torch.from_numpy(np.moveaxis(noise, -1, 1).copy()), "first.pt")
    last, first = (answer("colour.npy", "--noise", name)["network_seeds"] for name in ("last.npy", "first.pt"))
    assert last == first


def test_the_file_of_seeds_reproduces_the_noise(population: kf.Population) -> None:
    succeed("seeds", "p.safetensors", "--seeds", "40", "--write", "seeds.txt", "-q")
    text = Path("seeds.txt").read_text(encoding="utf-8")
    seeds, values = np.loadtxt("seeds.txt", unpack=True)
    assert sorted(seeds.tolist()) == list(range(40))
    assert np.all(np.diff(values) <= 0)
    recipe = next(line for line in text.splitlines() if "Noise of a seed:" in line).partition(": ")[2]
    made = np.stack([eval(recipe, {"numpy": np, "seed": int(seed)}) for seed in seeds[:3]])
    np.testing.assert_allclose(kf.posterior_variance(population, made).seeds, values[:3], rtol=1e-5)
    assert "'seeds.txt' exists already" in refuse("seeds", "p.safetensors", "--write", "seeds.txt")


def test_the_file_of_rows_names_its_noise(population: kf.Population) -> None:
    np.save("noise.npy", initial_noise([5, 6, 7], 36, 1.0))
    result = succeed("seeds", "p.safetensors", "--noise", "noise.npy", "--write", "rows.txt", "-q")
    assert result.stdout == "rows.txt\n"
    lines = Path("rows.txt").read_text(encoding="utf-8").splitlines()
    assert "# Rows are those of noise.npy, counted from 0." in lines
    assert not any("EDM" in line for line in lines)


def test_the_recipe_keeps_all_digits_of_the_noise_level(population: kf.Population) -> None:
    succeed("seeds", "p.safetensors", "--seeds", "4", "--sigma-max", "123456.78", "--write", "seeds.txt", "-q")
    assert "Noise of a seed: 123456.78 * numpy" in Path("seeds.txt").read_text(encoding="utf-8")


def test_the_ranking_and_the_numbers_are_two_files(population: kf.Population) -> None:
    assert "must name two files, got 'a.txt' for both" in refuse(
        "seeds", "p.safetensors", "--json", "a.txt", "--write", "a.txt"
    )
    assert "--write must name a file, got '-'" in refuse("seeds", "p.safetensors", "--write", "-")


def test_images_as_wide_as_their_channels_keep_their_layout(folder: Path) -> None:
    rng = np.random.default_rng(0)
    np.save("small.npy", rng.uniform(-1, 1, (80, 3, 3, 3)))
    noise = initial_noise([5, 6, 7], 27, 80.0)
    np.save("noise.npy", noise.reshape(3, 3, 3, 3))
    by_seed, by_row = (
        answer("small.npy", *arguments)["network_seeds"] for arguments in (("--seeds", "5-7"), ("--noise", "noise.npy"))
    )
    assert isinstance(by_seed, dict)
    assert isinstance(by_row, dict)
    np.testing.assert_allclose(by_row["posterior_variance"], by_seed["posterior_variance"], rtol=1e-12)


def test_without_images_linear_models_are_still_ranked(folder: Path) -> None:
    np.save("few.npy", np.random.default_rng(0).uniform(-1, 1, (40, 6, 6)))
    text = " ".join(succeed("seeds", "few.npy", "--n", "20").stdout.split())
    assert "no ranking for networks: the images of DATA must hold at least 50 distinct images, got 40" in text
    assert "disagreement of two linear models" in text
    assert "at least 50 distinct images, got 40" in refuse("seeds", "few.npy")


def test_wrong_use_is_explained(population: kf.Population) -> None:
    succeed("moments", "data.npy", "--out", "bare.safetensors", "--profiles", "0", "-q")
    assert "holds no profiles, which the ranking for networks needs" in refuse("seeds", "bare.safetensors")
    unranked = " ".join(succeed("seeds", "bare.safetensors", "--n", "50").stdout.split())
    assert "no ranking for networks: the saved population 'bare.safetensors' holds no profiles" in unranked
    low = refuse("seeds", "p.safetensors", "--sigma-max", "0.05")
    assert "--sigma-max must be above √(tr Σ/2) = " in low
    assert low.rstrip().endswith("raise it, or scale the images")
    few = refuse("seeds", "data.npy", "--profiles", "20")
    assert few == "--profiles must be at least 50 for the ranking for networks, got 20"
    assert "exclude each other" in refuse("seeds", "p.safetensors", "--seeds", "3", "--noise", "n.npy")
    assert "--noise: no file 'n.npy'" in refuse("seeds", "p.safetensors", "--noise", "n.npy")
    Path("n.npy").write_bytes(b"nothing")
    assert "--noise must be a .npy file of numbers, got 'n.npy': " in refuse(
        "seeds", "p.safetensors", "--noise", "n.npy"
    )
    np.save("wide.npy", 5 * np.random.default_rng(0).standard_normal((9, 36)))
    assert "must have the standard deviation --sigma-max = 80 (EDM) or 1" in refuse(
        "seeds", "p.safetensors", "--noise", "wide.npy"
    )
    np.save("shape.npy", np.random.default_rng(0).standard_normal((9, 35)))
    assert "must have the shape (Z, 6, 6) or (Z, 36) or (Z, 1, 6, 6), got (9, 35)" in refuse(
        "seeds", "p.safetensors", "--noise", "shape.npy"
    )
    assert "must be a .npy or .pt file" in refuse("seeds", "p.safetensors", "--noise", "p.safetensors")
