"""Images as latents: a tiny autoencoder made here, the scale of its configuration, draws, copies, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

import kappaflow as kf
from commands import refuse, succeed
from kappaflow import memory
from kappaflow.datasets import DataError, latents, open_images
from pictures import random_bytes, rows, write_images

IMAGES = random_bytes(9, 8, 12, 3, seed=2)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an autoencoder of 3 → 2 channels that halves the sides."""
    torch.manual_seed(0)
    blocks: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
    }
    model = AutoencoderKL(
        block_out_channels=(4, 8), **blocks, latent_channels=2, norm_num_groups=2, scaling_factor=0.4, shift_factor=0.1
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model.save_pretrained(folder)
    return folder


def changed(saved: Path, folder: Path, **facts: Any) -> Path:
    """A copy of the autoencoder with other entries in its configuration."""
    shutil.copytree(saved, folder)
    config = json.loads((folder / "config.json").read_text()) | facts
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def posterior(saved: Path, images: np.ndarray = IMAGES) -> Any:
    pixels = torch.from_numpy(np.moveaxis(images, 3, 1) / 127.5 - 1).float()
    with torch.inference_mode():
        return AutoencoderKL.from_pretrained(saved).encode(pixels).latent_dist


def test_latents_are_draws_of_the_posterior_scaled(saved: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "images", IMAGES)
    source = open_images(tmp_path / "images", vae=saved)
    assert (source.shape, source.count) == ((2, 4, 6), 9)
    found = rows(source, 4)
    expected = posterior(saved)
    noise = (found.reshape(9, 2, 4, 6) / 0.4 + 0.1 - expected.mean.numpy()) / expected.std.numpy()
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
    assert abs(noise.std() - 1) < 4 / np.sqrt(2 * noise.size)
    np.testing.assert_array_equal(rows(source), found)
    np.testing.assert_array_equal(rows(open_images(tmp_path / "images", vae=saved)), found)
    text = source.provenance.description
    assert "latents (2, 4, 6) of the autoencoder tiny (computed on cpu), drawn from the posterior of each image" in text
    assert "(z − 0.1) × 0.4; the draw is" in text
    values = found.reshape(9, 2, -1)
    means = ", ".join(f"{values[:, c].mean():.3g} ± {values[:, c].std():.3g}" for c in range(2))
    assert f"mean and standard deviation of the latent channels: {means}" in text
    share = float(expected.var.numpy().mean()) * 0.16 / float(np.mean(values.std(axis=(0, 2)) ** 2))
    assert f"the draw is {share:.2%} of their variance" in text


def test_scale_and_shift_of_each_channel(saved: Path, tmp_path: Path) -> None:
    plain = rows(open_images(IMAGES, vae=changed(saved, tmp_path / "a", scaling_factor=1.0, shift_factor=None)))
    mean, std = [0.5, -1.0], [2.0, 4.0]
    folder = changed(saved, tmp_path / "b", scaling_factor=0.4, shift_factor=None, latents_mean=mean, latents_std=std)
    source = open_images(IMAGES, vae=folder)
    expected = (plain.reshape(9, 2, -1) - np.array(mean)[:, None]) * 0.4 / np.array(std)[:, None]
    np.testing.assert_allclose(rows(source), expected.reshape(9, -1), atol=1e-6)
    assert "(z − (0.5, -1)) × (0.2, 0.1)" in source.provenance.description


def test_copies_have_equal_latents_in_any_batch_and_order(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = IMAGES[[0, 1, 2, 0, 3, 1, 4, 5]]
    calls: list[int] = []
    encode = latents.encode_images
    monkeypatch.setattr(latents, "encode_images", lambda vae, planes: calls.append(len(planes)) or encode(vae, planes))
    monkeypatch.setattr(latents, "IMAGES_AT_ONCE", 3)
    found = rows(open_images(images, vae=saved))
    np.testing.assert_array_equal(found[[3, 5]], found[[0, 1]])
    assert sum(calls) == 6
    backwards = rows(open_images(images[::-1], vae=saved))
    np.testing.assert_allclose(backwards[::-1], found, atol=1e-5)
    population = kf.Population.from_samples(open_images(images, vae=saved))
    assert population.sample_size == 6


def test_labels_names_subsets_and_layouts(saved: Path, tmp_path: Path) -> None:
    for name, part in (("cats", IMAGES[:4]), ("dogs", IMAGES[4:])):
        write_images(tmp_path / "images" / name, part)
    source = open_images(tmp_path / "images", vae=saved, limit=5)
    assert source.names is not None
    assert rows(source).shape == (5, 48) == (len(source.names()), 48)
    first = rows(open_images(np.moveaxis(IMAGES, 3, 1), vae=saved))
    np.testing.assert_allclose(first, rows(open_images(IMAGES, vae=saved)), atol=1e-6)
    np.testing.assert_array_equal(
        rows(open_images(open_images(IMAGES), vae=saved)), rows(open_images(IMAGES, vae=saved))
    )
    grey = open_images(IMAGES[..., 0], vae=saved)
    same = open_images(np.repeat(IMAGES[..., :1], 3, axis=3), vae=saved)
    assert "grey images fill all channels" in grey.provenance.description
    np.testing.assert_allclose(rows(grey), rows(same), atol=1e-6)
    floats = open_images((IMAGES / 255).astype(np.float64), vae=saved)
    np.testing.assert_allclose(rows(floats), rows(open_images(IMAGES, vae=saved)), atol=1e-5)


def test_pipelines_and_what_is_no_autoencoder(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "pipeline" / "vae")
    np.testing.assert_array_equal(
        rows(open_images(IMAGES, vae=tmp_path / "pipeline")), rows(open_images(IMAGES, vae=saved))
    )
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", "stabilityai/sd-vae-ft-mse", saved / "config.json"):
        with pytest.raises(DataError, match=r"must be a local folder with an AutoencoderKL .* nothing is downloaded"):
            open_images(IMAGES, vae=folder)
    with pytest.raises(DataError, match="must be an AutoencoderKL of diffusers, got a VQModel"):
        open_images(IMAGES, vae=changed(saved, tmp_path / "vq", _class_name="VQModel"))
    with pytest.raises(TypeError, match="vae must be the path of a folder, got a int"):
        open_images(IMAGES, vae=3)  # type: ignore[arg-type]


def test_weights_that_are_a_pickle_or_missing_or_damaged(saved: Path, tmp_path: Path) -> None:
    folder = changed(saved, tmp_path / "a")
    weights = folder / "diffusion_pytorch_model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    torch.save({}, folder / "diffusion_pytorch_model.bin")
    for broken in (None, b"", content[: len(content) // 2]):
        if broken is not None:
            weights.write_bytes(broken)
        with pytest.raises(DataError, match=r"its weights must be in safetensors .*never loaded"):
            open_images(IMAGES, vae=folder)


def test_images_that_do_not_fit(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DataError, match=r"sides are multiples of 2, at least 4; got 7x12: resize them, such as with size=8"
    ):
        open_images(IMAGES[:, :7], vae=saved)
    with pytest.raises(DataError, match=r"at least 4; got 2x2: resize"):
        open_images(IMAGES[:, :2, :2], vae=saved)
    with pytest.raises(DataError, match=r"vae needs images \(H, W\), .* got \(288,\); give their shape"):
        open_images(IMAGES.reshape(9, -1), vae=saved)
    with pytest.raises(DataError, match=r"takes images of 3 channels, got images of shape \(8, 12, 4\)"):
        open_images(np.concatenate([IMAGES, IMAGES[..., :1]], axis=3), vae=saved)
    with pytest.raises(DataError, match="does not apply to patches: an autoencoder works on whole images"):
        open_images("patches", vae=saved)
    monkeypatch.setattr(memory, "_of_machine", lambda: 1000)
    with pytest.raises(MemoryError, match=r"holding the latents needs .* read fewer images with --limit"):
        open_images(IMAGES, vae=saved)


def test_an_unusual_scale_is_a_warning(saved: Path, tmp_path: Path) -> None:
    assert not open_images(IMAGES, vae=changed(saved, tmp_path / "a", scaling_factor=1.0)).provenance.warnings
    source = open_images(IMAGES, vae=changed(saved, tmp_path / "b", scaling_factor=0.01))
    assert "scale factors are chosen so that it is about 1" in source.provenance.warnings[0]


def test_on_the_command_line(saved: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", random_bytes(60, 8, 12, 3))
    data = os.fspath(tmp_path / "images.npy")
    assert "latents (2, 4, 6)" in " ".join(succeed("info", data, "--vae", saved).stdout.split())
    run = succeed(
        "predict",
        data,
        "--vae",
        saved,
        "--n",
        "20",
        "--law",
        "gaussian",
        "--seeds",
        "4",
        "--bands",
        "2",
        "--out",
        tmp_path / "out",
    )
    assert "latents (2, 4, 6) of the autoencoder tiny" in run.stderr
    assert json.loads((tmp_path / "out" / "options.json").read_text())["options"]["vae"] == str(saved)
    message = refuse("predict", "patches", "--vae", saved)
    assert "--vae" in message
