"""Lists of names in messages hold at most ten names, whatever they are names of."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import kappaflow
from commands import refuse, run
from kappaflow._listing import MOST_NAMES, listed
from kappaflow.datasets import DataError, open_images
from kappaflow.population import Population

PACKAGE = Path(kappaflow.__file__).parent
MANY = 37


def shown(text: str, stem: str) -> int:
    """How many of the names stem0, stem1, … a text holds."""
    return len(set(re.findall(rf"\b{stem}\d+\b", text)))


def test_listed() -> None:
    assert listed([]) == ""
    assert listed(range(10)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
    assert listed(range(12)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    assert listed((name for name in "abc"), 1, separator="; ") == "a and 2 more"


def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (30, 4, 4))


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".zarr", ".safetensors", ".pt"])
@pytest.mark.parametrize("key", ["", "::other"])
def test_keys_of_files(folder: Path, suffix: str, key: str) -> None:
    arrays = {f"key{k}": images() for k in range(MANY)}
    path = f"many{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    elif suffix == ".h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    elif suffix == ".zarr":
        zarr = pytest.importorskip("zarr")
        group = zarr.open_group(path, mode="w")
        for name, array in arrays.items():
            group[name] = array
    else:
        torch = pytest.importorskip("torch")
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if suffix == ".pt":
            torch.save(tensors, path)
        else:
            pytest.importorskip("safetensors.torch").save_file(tensors, path)
    with pytest.raises(DataError) as raised:
        open_images(f"{path}{key}")
    assert 1 < shown(str(raised.value), "key") <= MOST_NAMES + 1  # the one that is proposed stands behind the list
    assert "27 more" in str(raised.value)


def test_dictionaries_of_samples(folder: Path) -> None:
    with pytest.raises(ValueError, match="is a dictionary of") as raised:
        Population.from_samples([{f"key{k}": 1 for k in range(MANY)}])
    assert shown(str(raised.value), "key") == MOST_NAMES


def test_files_that_are_no_images(folder: Path) -> None:
    for k in range(MANY):
        Path(f"file{k}.suffix{k}").write_text("text")
    known = run("info", ".").stdout
    assert shown(known, "suffix") <= MOST_NAMES
    assert "27 files of 27 other suffixes" in known
    assert shown(refuse("predict", "data.npy", "--out", "."), "file") <= MOST_NAMES


def test_corrupt_files(folder: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    Path("pictures").mkdir()
    for k in range(MANY + 20):
        pillow.fromarray(np.random.default_rng(k).integers(0, 256, (6, 6), dtype=np.uint8)).save(
            f"pictures/name{k}.png"
        )
    for k in range(MANY):
        file = Path(f"pictures/name{k}.png")
        file.write_bytes(file.read_bytes()[:40])
    done = run("moments", "pictures", "--skip-corrupt", "--out", "p.safetensors")
    assert done.exit_code == 0, done.stderr
    assert 1 < shown(done.stderr, "name") <= MOST_NAMES
    assert "more files, which are not named" in done.stderr
    assert "left out: 37 files that cannot be decoded (name0.png, " in done.stderr
    assert "and 27 more)" in done.stderr
    assert "37 files that cannot be decoded" in Population.load("p.safetensors").provenance.description
    assert shown(refuse("moments", "pictures", "--out", "q.safetensors"), "name") <= MOST_NAMES


def test_classes(folder: Path) -> None:
    labels = np.array([f"class{k % MANY}" for k in range(120)])
    np.savez("classes.npz", images=np.random.default_rng(0).uniform(-1, 1, (120, 4, 4)), labels=labels)
    done = run("predict", "classes.npz", "--by", "class", "--n", "2", "--seeds", "2", "--out", "by")
    assert shown(done.stderr, "class") <= MOST_NAMES


def test_lists_are_cut_in_one_place() -> None:
    cut = re.compile(r"""["'][,;] ["']\.join\([^()\n]*\[:[A-Za-z_]""")
    places = [path.name for path in PACKAGE.rglob("*.py") if cut.search(path.read_text(encoding="utf-8"))]
    assert places == []
