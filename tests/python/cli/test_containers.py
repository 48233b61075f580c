"""Archives and tensor files as DATA of commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from commands import refuse, succeed
from containers import pngs, write_zip
from pictures import random_bytes


def test_the_source_of_the_images_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = random_bytes(60, 6, 6)
    write_zip(tmp_path / "data.zip", {**pngs(images), "LICENSE": b"x"})
    save_file({"images": images}, tmp_path / "tensors.safetensors")
    np.save(tmp_path / "data.npy", images)
    variances = set()
    for name in ("data.zip", "tensors.safetensors", "data.npy"):
        result = succeed("moments", name, "--out", f"{name}.p.safetensors")
        variances.add(result.stdout.split("total variance")[1].split()[0])
    assert len(variances) == 1
    assert "the archive data.zip: 60 image files" in succeed("moments", "data.zip", "--out", "b.safetensors").stderr


def test_tensors_of_another_program_are_no_population(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"a.weight": np.zeros((4, 4)), "b.weight": np.zeros((4, 4))}, tmp_path / "model.safetensors")
    assert "model.safetensors: holds several arrays" in refuse("info", "model.safetensors")
