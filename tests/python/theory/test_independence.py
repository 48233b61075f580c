"""Copies, mirror images and neighbours in file order are found while images are read; the number of distinct images counts.

Expectations are Monte Carlo values of exact linear models, or the counts that the data were made with.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kappaflow as kf
from commands import run, succeed
from kappaflow._independence import without_copies
from kappaflow.datasets import open_images
from kappaflow.models.image_weights import UnseenRows

SIGMA_MAX = 80.0


def fields(count: int, rng: np.random.Generator) -> np.ndarray:
    """(N, 8, 8) independent smooth fields."""
    noise, f = rng.standard_normal((count, 8, 8)), np.fft.fftfreq(8)
    k = np.sqrt(f[:, None] ** 2 + f[None] ** 2)
    return 0.07 * np.fft.ifft2(np.fft.fft2(noise) / (k + 1 / 16)).real


def clips(count: int, length: int, rng: np.random.Generator, rho: float = 0.97) -> np.ndarray:
    """(count·length, 8, 8) frames of clips."""
    frames, frame = [], fields(count, rng)
    for _ in range(length):
        frames.append(frame)
        frame = rho * frame + np.sqrt(1 - rho**2) * fields(count, rng)
    return np.stack(frames, axis=1).reshape(-1, 8, 8)


def predicted(population: kf.Population, n: int) -> float:
    """Mean squared distance per value of two linear models at the same seed."""
    splits = kf.Splits(population, n)
    variance = splits.mean_disagreement(splits.sampling_map(0.0, SIGMA_MAX), input_sigma=SIGMA_MAX)
    return float(variance)


# ---------------------------------------------------------------- copies
def test_copies_under_other_names(tmp_path: Path) -> None:
    """100 images, each four times: 100 images are known, and n = 100 has the disagreement of 100 images: 0.0113 by Monte Carlo."""
    unique = fields(100, np.random.default_rng(5))
    stored = np.repeat(unique, 4, axis=0)[np.random.default_rng(6).permutation(400)]
    np.save(tmp_path / "dup4.npy", stored)
    result = succeed("predict", tmp_path / "dup4.npy", "--n", "100", "--seeds", "4", "--out", tmp_path / "report")
    assert "distinct: 100 of 400 images are distinct, 300 are copies of others" in result.stderr
    assert "known only through 100 images" in " ".join(result.stdout.split())
    numbers = json.loads((tmp_path / "report/predictions.json").read_text())
    assert numbers["sample_size"] == 100
    assert "300 are copies" in numbers["provenance"]["distinct"]
    assert numbers["total_disagreement"][0] == pytest.approx(0.01133, rel=0.12)
    saved = kf.Population.load(tmp_path / "report/population.safetensors")
    assert "300 are copies" in saved.provenance.distinct
    assert "300 are copies" in (tmp_path / "report/report.html").read_text()
    assert "300 are copies" in succeed("info", tmp_path / "report/population.safetensors").stdout.replace("\n", " ")


def test_copies_do_not_pass_the_guard() -> None:
    """60 images in 64 dimensions cannot determine what more images would learn, however often they are stored."""
    images = fields(60, np.random.default_rng(1))
    population = kf.Population.from_samples(np.tile(images, (5, 1, 1)), profiles=300)
    assert population.sample_size == 60
    assert population.distinct_profiles is not None
    assert len(population.distinct_profiles) == 60
    plain = kf.Population.from_samples(images, profiles=60)
    np.testing.assert_allclose(population.eigenvalues[:59], plain.eigenvalues[:59], rtol=1e-9)
    with pytest.raises(kf.UnidentifiedError):
        predicted(population, 100)
    assert predicted(population, 30) == pytest.approx(predicted(plain, 30), rel=1e-9)


def test_rare_classes_that_are_repeated_keep_their_weight() -> None:
    """Ten images of a rare class stand nine times in the data, as trainers do: the covariance is that of all rows."""
    images = fields(70, np.random.default_rng(2))
    images[60:] += 0.5
    stored = np.concatenate([images[:60], np.repeat(images[60:], 9, axis=0)])
    population = kf.Population.from_samples(stored, profiles=200)
    assert population.sample_size == 70
    assert population.total_variance == pytest.approx(stored.reshape(150, -1).var(axis=0).sum())
    assert population.provenance.distinct.startswith("70 of 150 images are distinct, 80 are copies of others")
    assert any("not equally often" in text for text in population.provenance.warnings)


def test_blank_images_are_no_copies() -> None:
    """Empty tiles of different slides are equal by what they show; other images of one grey level are distinct."""
    images = fields(300, np.random.default_rng(3))
    images[::6] = -1.0
    colour = np.repeat(images[..., None], 3, axis=3)
    for data in (images, colour, colour.transpose(0, 3, 1, 2)):
        population = kf.Population.from_samples(data)
        assert population.sample_size == 300
        assert "50 images are blank" in population.provenance.distinct


def test_images_that_differ_in_brightness_or_one_pixel_are_no_copies() -> None:
    images = np.repeat(np.round(40 * fields(50, np.random.default_rng(4)) + 100), 3, axis=0) / 127.5 - 1
    images[1::3] += 0.01
    images[2::3, 3, 5] += 1 / 127.5
    assert kf.Population.from_samples(images).sample_size == 150
    assert kf.Population.from_samples(images).provenance.distinct == "all 150 images are distinct"


def test_copies_in_batches_of_any_size_and_of_unsigned_bytes() -> None:
    images = np.random.default_rng(5).integers(0, 255, (40, 5, 4, 3), dtype=np.uint8)
    stored = np.concatenate([images, images[:7]])
    for size in (3, 16, 100):
        population = kf.Population.from_samples([stored[i : i + size] for i in range(0, 47, size)])
        assert population.sample_size == 40
    assert "image 40 (of image 0)" in population.provenance.distinct
    assert kf.Population.from_samples(open_images(stored)).sample_size == 40


def test_copies_are_the_same_while_reading_in_memory_and_among_profiles() -> None:
    """Copies at random places, in threes, beside images that differ by the smallest step of one pixel."""
    rng = np.random.default_rng(8)
    images = np.round(40 * fields(300, rng) + 100) / 127.5 - 1
    images[200:250] = images[:50]
    images[200:250, 2, 6] += 1 / 127.5
    stored = images[np.concatenate([np.arange(300), rng.integers(0, 300, 60), [7, 7]])][rng.permutation(362)]
    rows = stored.reshape(362, 64)
    expected = np.sort(np.unique(rows, axis=0, return_index=True)[1])
    assert kf.Population.from_samples(stored).sample_size == len(expected) == 300
    np.testing.assert_array_equal(without_copies(rows), rows[expected])
    np.testing.assert_array_equal(without_copies(rows.astype(np.float32)), rows[expected].astype(np.float32))
    profiles = kf.Population.from_samples(stored, profiles=362).distinct_profiles
    assert profiles is not None
    assert len(profiles) == 300
    assert UnseenRows().places(rows) == expected.tolist()
    assert len(without_copies(rows[:0])) == 0


def test_many_rows_without_copies_are_all_kept() -> None:
    """Along one direction 200 000 rows lie closer together than float32 rounds; along eight they do not."""
    rows = np.random.default_rng(9).standard_normal((200_000, 5)).astype(np.float32)
    assert without_copies(rows) is rows
    twice = np.concatenate([rows, rows[:3] * np.float32(1 + 1e-7)])
    np.testing.assert_array_equal(without_copies(twice), rows)


def test_equal_images_may_be_independent() -> None:
    bits = np.random.default_rng(6).integers(0, 2, (500, 6)).astype(float)
    assert kf.Population.from_samples(bits, copies="independent", profiles=500).sample_size == 500
    assert kf.Population.from_samples(bits).sample_size <= 64
    with pytest.raises(ValueError, match="copies must be"):
        kf.Population.from_samples(bits, copies="twice")


# ---------------------------------------------------------------- mirror images
def test_mirror_images_in_a_folder_are_counted_but_not_left_out(tmp_path: Path) -> None:
    """Each image with its mirror image, resized while reading, names in another order."""
    images = np.random.default_rng(7).integers(0, 255, (30, 12, 12), dtype=np.uint8)
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"a{number:02}.png")
        Image.fromarray(image[:, ::-1]).save(tmp_path / f"b{29 - number:02}.png")
    population = kf.Population.from_samples(open_images(tmp_path, size=5))
    assert population.sample_size == 60
    told = " ".join(population.provenance.warnings)
    assert "30 of 60 images are mirror images of others" in told
    assert "b00.png (of a29.png)" in told
    assert "depend on each other" in told
    assert population.provenance.distinct == "all 60 images are distinct"


@pytest.mark.parametrize("layout", [(0, 1, 2, 3), (0, 3, 1, 2)])
def test_mirror_images_in_colour_both_layouts(layout: tuple[int, ...]) -> None:
    images = np.random.default_rng(8).random((20, 6, 7, 3))
    both = np.concatenate([images, images[:5, :, ::-1], images[:3]]).transpose(layout)
    population = kf.Population.from_samples(both)
    assert population.sample_size == 25
    assert "5 of 28 images are mirror images of others" in " ".join(population.provenance.warnings)


def test_symmetric_images_and_vectors_have_no_mirror_images() -> None:
    images = np.random.default_rng(9).random((20, 6, 7))
    symmetric = images + images[:, :, ::-1]
    for data in (symmetric, np.random.default_rng(9).random((40, 12))):
        population = kf.Population.from_samples(data)
        assert population.sample_size == len(data)
        assert population.provenance.warnings == ()


# ---------------------------------------------------------------- neighbours in file order
def test_frames_of_clips_are_noticed(tmp_path: Path) -> None:
    np.save(tmp_path / "video.npy", clips(20, 20, np.random.default_rng(5)))
    result = succeed("predict", tmp_path / "video.npy", "--n", "100", "--seeds", "4", "--out", tmp_path / "report")
    line = next(line for line in result.stderr.splitlines() if line.startswith("warning: ") and "neighbours" in line)
    assert line.endswith("--groups keeps images together that belong together")
    about = int(line.split("about ")[1].split()[0])
    assert 14 <= about <= 28
    assert "neighbours" in json.loads((tmp_path / "report/predictions.json").read_text())["provenance"]["warnings"][0]


@pytest.mark.parametrize(("groups", "length", "share"), [(30, 10, 0.6), (12, 40, 0.9), (100, 3, 0.8)])
def test_slices_of_patients_are_noticed(groups: int, length: int, share: float) -> None:
    """Slices of one patient share the patient, whatever their distance."""
    rng = np.random.default_rng(groups)
    own = fields(groups * length, rng)
    images = np.sqrt(share) * np.repeat(fields(groups, rng), length, axis=0) + np.sqrt(1 - share) * own
    told = " ".join(kf.Population.from_samples(images).provenance.warnings)
    about = int(told.split("about ")[1].split()[0])
    assert groups * 0.6 <= about <= groups * 2


def test_independent_images_give_no_warning() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        images = fields(int(rng.integers(10, 200)), rng)
        assert kf.Population.from_samples(images).provenance.warnings == ()


def test_weak_order_by_class_gives_no_warning() -> None:
    """Digits sorted by class are no frames."""
    assert kf.Population.from_samples(open_images("mnist5k", size=8)).provenance.warnings == ()


# ---------------------------------------------------------------- rank
def test_images_that_differ_in_contrast_alone_span_few_dimensions() -> None:
    images = np.repeat(fields(20, np.random.default_rng(10)), 10, axis=0)
    images *= np.random.default_rng(11).uniform(0.5, 1.5, (200, 1, 1))
    images = images[np.random.default_rng(12).permutation(200)]
    told = " ".join(kf.Population.from_samples(images).provenance.warnings)
    assert "span only 20 of 64 dimensions" in told
    border = np.pad(fields(200, np.random.default_rng(13)), ((0, 0), (2, 2), (2, 2)), constant_values=-1)
    assert kf.Population.from_samples(border).provenance.warnings == ()


def test_commands_print_what_they_find(tmp_path: Path) -> None:
    images = fields(40, np.random.default_rng(14))
    np.save(tmp_path / "x.npy", np.concatenate([images, images[:4]]))
    for command in (
        ("diagnose", tmp_path / "x.npy"),
        ("plan", tmp_path / "x.npy"),
        ("seeds", tmp_path / "x.npy", "--n", "20"),
        ("moments", tmp_path / "x.npy", "--out", tmp_path / "x.safetensors"),
    ):
        assert "distinct: 40 of 44 images are distinct, 4 are copies of others" in run(*command).stderr
