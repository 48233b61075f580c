"""``kappaflow seeds --network``: the probe of a trained network, the order by two ranks, and models that do not fit."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata

import kappaflow as kf
from commands import refuse, run, succeed
from kappaflow.models.probe import network_probe
from kappaflow.sampling import initial_noise

torch = pytest.importorskip("torch")

MODELS = """
import torch

class Denoiser:
    def __init__(self, answer, **about):
        self.answer = answer
        self.__dict__.update(about)

    def __call__(self, x, sigma):
        return self.answer(x, sigma.reshape(-1, 1, 1, 1))

def shrink(x, level):
    return x * 0.006 / (0.006 + level**2) * torch.tanh(1 + x.mean(dim=(1, 2, 3), keepdim=True) ** 2)

good = lambda: Denoiser(shrink)
trained_to_50 = lambda: Denoiser(shrink, sigma_min=0.002, sigma_max=50.0)
trained_from_2 = lambda: Denoiser(shrink, sigma_min=2.0, sigma_max=80.0)
other_images = lambda: Denoiser(shrink, image_shape=(1, 8, 8))
broken_above_10 = lambda: Denoiser(lambda x, level: torch.where(level > 10, torch.nan, 1.0) * shrink(x, level))
for_other_images = lambda: Denoiser(lambda x, level: 1 + x / (1 + level**2))
nan = lambda: Denoiser(lambda x, level: x * torch.nan)

def stopped():
    def answer(x, level):
        if level.max() > 2:
            raise KeyboardInterrupt
        return x
    return Denoiser(answer)
"""


def in_rows(x: Any, sigma: Any) -> Any:
    """The good model in rows."""
    return x * 0.006 / (0.006 + sigma**2) * np.tanh(1 + x.mean(axis=1, keepdims=True) ** 2)


@pytest.fixture
def population(folder: Path, monkeypatch: pytest.MonkeyPatch) -> kf.Population:
    (folder / "own_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(str(folder))
    succeed("moments", "data.npy", "--out", "p.safetensors", "-q")
    return kf.Population.load("p.safetensors")


def ranked(*arguments: str) -> dict[str, Any]:
    answer = json.loads(succeed("seeds", "p.safetensors", *arguments, "--json", "-", "-q").stdout)
    return dict(answer["network_seeds"])


def test_seeds_are_ranked_by_two_ranks(population: kf.Population) -> None:
    answer = ranked("--seeds", "30", "--network", "own_models:good")
    noise = initial_noise(range(30), 36, 80.0)
    posterior = kf.posterior_variance(population, noise)
    probe = network_probe(population, in_rows, noise)
    both = rankdata(posterior.seeds) + rankdata(probe.seeds)
    seeds = answer["seeds"]
    assert sorted(seeds) == list(range(30))
    assert answer["rank_sum"] == sorted(both, reverse=True)
    assert answer["rank_sum"] == both[seeds].tolist()
    np.testing.assert_allclose(answer["probe"], probe.seeds[seeds], rtol=1e-6)
    np.testing.assert_allclose(answer["probe_perplexity"], probe.perplexity[seeds], rtol=1e-6)
    assert answer["posterior_variance"] == posterior.seeds[seeds].tolist()
    assert (answer["network"], answer["evaluations"]) == ("own_models:good", 81 * 30)
    ties = [i for i in range(29) if both[seeds[i]] == both[seeds[i + 1]]]
    assert all(posterior.seeds[seeds[i]] >= posterior.seeds[seeds[i + 1]] for i in ties)
    assert ranked("--seeds", "30")["seeds"] != seeds
    assert ranked("--seeds", "30", "--network", "own_models:good") == answer


def test_the_cost_is_said_first_and_the_table_shows_both(population: kf.Population) -> None:
    result = succeed("seeds", "p.safetensors", "--seeds", "1-20", "--network", "own_models:good")
    cost = "--network: the probe evaluates 'own_models:good' 81 times for each of 20 seeds, 1,620 times in all, which takes about "
    assert result.stderr.splitlines()[-1].startswith(cost)
    text = " ".join(result.stdout.split())
    assert "sum of ranks" in result.stdout
    assert "The seeds are ordered by the sum of two ranks" in text
    assert "The sum was chosen among ten rules" in text
    assert "was 0.39 to 0.46 with single pairs and 0.53 to 0.62 with the mean of three pairs" in text
    assert "it was 0.40 with n = 300 images (the posterior variance alone: 0.38) and 0.35 with n = 100 (0.37)" in text
    assert "no network was run" not in text
    assert succeed("seeds", "p.safetensors", "--network", "own_models:good", "-q").stderr == ""


def test_the_file_of_seeds_has_the_order_of_both(population: kf.Population) -> None:
    arguments = ("--seeds", "40", "--network", "own_models:good")
    succeed("seeds", "p.safetensors", *arguments, "--write", "seeds.txt", "-q")
    answer = ranked(*arguments)
    seeds, rank_sum, posterior, probe = np.loadtxt("seeds.txt", unpack=True)
    assert seeds.tolist() == answer["seeds"]
    np.testing.assert_allclose(rank_sum, answer["rank_sum"])
    np.testing.assert_allclose(posterior, answer["posterior_variance"], rtol=1e-5)
    np.testing.assert_allclose(probe, answer["probe"], rtol=1e-5)
    text = Path("seeds.txt").read_text(encoding="utf-8")
    assert "# Ranked by the sum of two ranks: by the posterior variance of 60 distinct images" in text
    assert "# seed rank_sum posterior_variance probe\n" in text


def test_a_network_trained_by_kappaflow_is_opened(population: kf.Population) -> None:
    from kappaflow.models.checkpoint import save_network
    from kappaflow.models.config import NetworkConfig, TrainingConfig
    from kappaflow.models.training import train

    images = torch.from_numpy(np.load("data.npy")).float()[:, None]
    config = NetworkConfig("mlp", (1, 6, 6), sigma_data=0.1, options={"width": 8})
    denoiser = train(config, TrainingConfig(steps=2, batch=8), images).denoiser
    save_network("model.safetensors", denoiser, {"network": asdict(config)})
    answer = ranked("--seeds", "5", "--network", "model.safetensors")
    assert len(answer["probe"]) == 5


def test_a_diffusers_pipeline_is_sampled_within_its_noise_levels(workplace: Path) -> None:
    """Its smallest noise level, not that of EDM, ends the sampler; an untrained network that predicts images draws their mean."""
    diffusers = pytest.importorskip("diffusers")
    from kappaflow.models.layout import rows_denoiser
    from kappaflow.models.opening import open_denoiser
    from tiny_unet import tiny_unet

    scheduler = diffusers.DDPMScheduler(prediction_type="sample")
    diffusers.DDPMPipeline(tiny_unet(), scheduler).save_pretrained("pipeline")
    succeed("moments", "digits", "--limit", "300", "--out", "p.safetensors", "-q")
    answer = ranked("--seeds", "3", "--network", "pipeline")
    opened = open_denoiser("pipeline")
    assert opened.sigma_min > 0.002
    expected = network_probe(
        kf.Population.load("p.safetensors"),
        rows_denoiser(opened, (8, 8)),
        initial_noise(range(3), 64, 80.0),
        sigma_min=opened.sigma_min,
    )
    np.testing.assert_allclose(answer["probe"], expected.seeds[answer["seeds"]], rtol=1e-3)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "other_images",
            "--network: 'own_models:other_images' must be a model of images (1, 6, 6) like those of DATA, got one of",
        ),
        ("trained_to_50", "at which sampling starts, --sigma-max = 80; its largest is 50"),
        ("trained_from_2", "below the noise level at which it is probed, 0."),
        ("nan", "--network: 'own_models:nan' must return finite images, got NaN or infinity at σ = 1"),
        (
            "broken_above_10",
            "--network: 'own_models:broken_above_10' must return finite images, got NaN or infinity at σ = 80",
        ),
        ("missing", "module 'own_models' has no 'missing'"),
    ],
)
def test_models_that_do_not_fit_are_refused(population: kf.Population, model: str, message: str) -> None:
    assert message in refuse("seeds", "p.safetensors", "--network", f"own_models:{model}", "--write", "seeds.txt")


def test_a_network_of_other_images_is_refused(population: kf.Population) -> None:
    """Its states lie far from the images of DATA, which shows only after the cost was said."""
    result = run("seeds", "p.safetensors", "--network", "own_models:for_other_images", "--write", "seeds.txt")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(
        "error: --network must reach states that are explained by at least 10 images, got a median perplexity of "
    )
    assert not Path("seeds.txt").exists()


def test_a_device_that_is_not_there_is_refused(population: kf.Population) -> None:
    arguments = ("seeds", "p.safetensors", "--network", "own_models:good", "--device", "gpu")
    assert "--device must be 'cpu'" in refuse(*arguments)


def test_data_without_images_are_refused(population: kf.Population) -> None:
    succeed("moments", "data.npy", "--out", "bare.safetensors", "--profiles", "0", "-q")
    arguments = ("--n", "50", "--network", "own_models:good")
    assert "holds no profiles, which the ranking for networks needs" in refuse("seeds", "bare.safetensors", *arguments)
    few = refuse("seeds", "data.npy", "--profiles", "20", *arguments)
    assert few == "--profiles must be at least 50 for the ranking for networks, got 20"


def test_ctrl_c_writes_nothing(population: kf.Population) -> None:
    before = sorted(Path().iterdir())
    result = run(
        "seeds", "p.safetensors", "--network", "own_models:stopped", "--write", "seeds.txt", "--json", "s.json"
    )
    assert result.exit_code == 130
    assert "interrupted: nothing was written" in result.stderr
    assert sorted(path for path in Path().iterdir() if path.name != "__pycache__") == before
