"""``--train-a`` and ``--train-b``: a part of the data is read as the whole is, in whichever way it is stored."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kappaflow.cli.console import ProgressDisplay
from kappaflow.cli.loading import open_data, open_like
from kappaflow.cli.options import Data
from kappaflow.datasets import open_images
from pictures import png_16, rows, write_images
from smooth import smooth_images

PIXELS = np.clip(0.5 + 0.12 * smooth_images(60, 6), 0, 1)  # (60, 6, 6)
BYTES = np.round(255 * PIXELS).astype(np.uint8)


def opened(folder: Path, whole: Any, part: str) -> np.ndarray:
    """The rows of `part` beside data that are an array, or what a path names."""
    data = whole
    if isinstance(whole, np.ndarray):
        np.save(folder / "whole.npy", whole)
        data = "whole.npy"
    with ProgressDisplay(quiet=True) as display:
        provenance = open_data(Data(data)).provenance
        return rows(open_like(Data(part), provenance, display))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_floats_of_which_a_part_does_not_show_the_range(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Values from 0 to 1.2 are used as they are; a part of them within 0…1 must be too."""
    part = 0.9 * PIXELS[:30]
    np.save("part.npy", part)
    whole = np.concatenate([part, 1.2 * PIXELS[30:] / PIXELS[30:].max()])
    np.testing.assert_array_equal(opened(folder, whole, "part.npy"), part.reshape(30, -1))
    assert "part.npy is read with the range of DATA, -1…1; alone it would be read as float64 values" in " ".join(
        capsys.readouterr().err.split()
    )


def test_integers_of_which_a_part_has_two_readings(folder: Path) -> None:
    deep = np.round(60_000 * PIXELS).astype(np.uint16)
    np.save("part.npy", deep[:30] // 30)  # 0…2000 alone is asked about
    np.testing.assert_allclose(
        opened(folder, deep, "part.npy"), (deep[:30] // 30).reshape(30, -1) / 32767.5 - 1, atol=1e-14
    )


@pytest.mark.parametrize("whole", [PIXELS, 2 * PIXELS - 1, 1.3 * PIXELS], ids=["0…1", "-1…1", "as they are"])
@pytest.mark.parametrize("kind", ["folder", "array", "zip"])
def test_bytes_beside_floats_keep_their_range(whole: np.ndarray, kind: str, folder: Path) -> None:
    name = {"folder": "part", "array": "part.npy", "zip": "part.zip"}[kind]
    if kind == "array":
        np.save(name, BYTES[:30])
    else:
        write_images(folder / "part", BYTES[:30])
    if kind == "zip":
        import zipfile

        with zipfile.ZipFile(name, "w") as archive:
            for path in sorted((folder / "part").iterdir()):
                archive.write(path, path.name)
    np.testing.assert_allclose(opened(folder, whole, name), BYTES[:30].reshape(30, -1) / 127.5 - 1, atol=1e-14)


def test_floats_beside_a_folder_of_bytes_keep_their_range(folder: Path) -> None:
    write_images(folder / "whole", BYTES)
    np.save("part.npy", (2 * PIXELS - 1)[:30].astype(np.float32))
    np.testing.assert_allclose(opened(folder, "whole", "part.npy"), (2 * PIXELS - 1)[:30].reshape(30, -1), atol=1e-6)


def test_folders_of_deep_images(folder: Path) -> None:
    deep = np.round(60_000 * PIXELS).astype(np.uint16)[..., None].repeat(3, axis=-1)
    for name, images in (("whole", deep), ("part", deep[:30] // 30)):
        os.mkdir(name)
        for number, image in enumerate(images):
            (folder / name / f"{number:02}.png").write_bytes(png_16(image))
    np.testing.assert_allclose(
        opened(folder, "whole", "part"), (deep[:30] // 30).reshape(30, -1) / 32767.5 - 1, atol=1e-14
    )


def test_built_in_data_beside_built_in_data_and_files(folder: Path) -> None:
    digits = rows(open_images("digits"))
    np.testing.assert_array_equal(opened(folder, "digits", "digits"), digits)
    np.testing.assert_array_equal(opened(folder, PIXELS[:, :4, :4], "digits"), digits)
    np.save("part.npy", (digits[:100].reshape(-1, 8, 8) + 1) * 8)  # the values 0…16 that are stored
    np.testing.assert_allclose(opened(folder, "digits", "part.npy"), digits[:100], atol=1e-14)
