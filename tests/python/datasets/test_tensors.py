"""Tensor files of PyTorch and safetensors: types, names, and files made to do harm."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import kappaflow as kf
from kappaflow.datasets import DataError, open_images
from pictures import random_bytes, rows

IMAGES = random_bytes(12, 3, 6, 5)
PIXELS = IMAGES.reshape(12, -1) / 127.5 - 1
TENSOR = torch.from_numpy(IMAGES)


def saved(path: Path, tensors: Any) -> Path:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_types(tmp_path: Path, suffix: str, dtype: torch.dtype) -> None:
    tensor = TENSOR if dtype == torch.uint8 else torch.from_numpy(PIXELS.reshape(IMAGES.shape)).to(dtype)
    source = open_images(saved(tmp_path / f"data{suffix}", {"images": tensor}))
    assert (source.shape, source.count) == ((3, 6, 5), 12)
    assert source.provenance.what == f"the tensor 'images' of data{suffix}"
    expected = PIXELS if dtype == torch.uint8 else tensor.double().numpy().reshape(12, -1)
    np.testing.assert_array_equal(rows(source, 5), expected)
    np.testing.assert_array_equal(
        rows(open_images(tmp_path / f"data{suffix}", limit=4)), rows(open_images(tensor, limit=4))
    )


def test_a_tensor_alone_and_in_nested_containers(tmp_path: Path) -> None:
    for content in (TENSOR, [TENSOR], {"train": {"images": TENSOR}}, {"epoch": 3, "name": "a", "x": TENSOR}):
        np.testing.assert_array_equal(rows(open_images(saved(tmp_path / "data.pt", content))), PIXELS)


def test_tensors_with_gradients_strides_and_the_old_format(tmp_path: Path) -> None:
    pixels = torch.from_numpy(PIXELS.reshape(IMAGES.shape)).requires_grad_()
    np.testing.assert_array_equal(rows(open_images(saved(tmp_path / "a.pt", pixels))), PIXELS)
    last = TENSOR.permute(0, 2, 3, 1)
    np.testing.assert_array_equal(rows(open_images(saved(tmp_path / "b.pt", last))), rows(open_images(last)))
    torch.save(TENSOR, tmp_path / "c.pt", _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(rows(open_images(tmp_path / "c.pt")), PIXELS)


def test_models_are_not_images(tmp_path: Path) -> None:
    state = {f"layers.{n}.weight": torch.zeros(4, 4 + n) for n in range(40)}
    for suffix in (".pt", ".safetensors"):
        with pytest.raises(DataError, match=r"several arrays") as caught:
            open_images(saved(tmp_path / f"model{suffix}", state))
        assert str(caught.value).startswith(f"model{suffix}")


def test_populations_are_not_images(tmp_path: Path) -> None:
    kf.Population.from_samples(IMAGES).save(tmp_path / "population.safetensors")
    with pytest.raises(
        DataError, match=r"one that kappaflow saved \(kappaflow-population-\d\); open a population with"
    ):
        open_images(tmp_path / "population.safetensors")


def test_sparse_tensors(tmp_path: Path) -> None:
    tensor = TENSOR.double().to_sparse()
    with pytest.raises(DataError, match=r"a\.pt: sparse and quantised tensors are not read"):
        open_images(saved(tmp_path / "a.pt", tensor))


# ---------------------------------------------------------------- harm
class Harm:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "unpickled")


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
@pytest.mark.parametrize("place", ["alone", "in a dictionary", "plain pickle"])
def test_pickles_are_not_loaded(tmp_path: Path, suffix: str, place: str) -> None:
    path, mark = tmp_path / f"a{suffix}", tmp_path / "mark"
    if place == "plain pickle":
        path.write_bytes(pickle.dumps(Harm(mark)))
    else:
        torch.save(Harm(mark) if place == "alone" else {"images": TENSOR, "other": Harm(mark)}, path)
    with pytest.raises(DataError, match=rf"a{suffix}: not a file of tensors alone, .* \(a pickle\) are never loaded"):
        open_images(path)
    assert not mark.exists()


def test_compressed_tensors(tmp_path: Path) -> None:
    saved(tmp_path / "a.pt", torch.zeros(1000, 1000))
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as old,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    assert (tmp_path / "b.pt").stat().st_size < 10_000
    with pytest.raises(DataError, match=r"b\.pt: \d+ of its members are compressed, which no file of torch\.save is"):
        open_images(tmp_path / "b.pt")


def test_tensor_that_is_larger_than_memory_by_its_strides(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", torch.zeros(1, 1, dtype=torch.uint8).expand(10**12, 4))
    assert open_images(path).count == 10**12


def raw(header: Any, content: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content


def entry(shape: list[int], start: int, stop: int, dtype: str = "U8") -> dict[str, Any]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "its header does not fit"),
        (b"\xff" * 64, "its header does not fit"),
        (raw(b"[1, 2"), "not a safetensors file"),
        (raw([1, 2]), "not a safetensors file"),
        (raw({"x": {"shape": [2]}}), "not a safetensors file"),
        (raw(entry([2, 2], 0, 2**40), bytes(4)), "'x' lies outside the file"),
        (raw(entry([2, 2], -4, 0), bytes(4)), "'x' lies outside the file"),
        (raw(entry([10**9, 10**9], 0, 4), bytes(4)), "another number of bytes than its shape"),
        (raw(entry([-2, -2], 0, 4), bytes(4)), "'x' lies outside the file"),
        (raw(entry([2, 2], 0, 4, "F8_E4M3"), bytes(4)), "tensors of type F8_E4M3 are not read"),
        (raw({}), "holds no array"),
    ],
)
def test_damaged_safetensors(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.safetensors: .*{message}"):
        open_images(tmp_path / "a.safetensors")


@pytest.mark.parametrize("size", [0, 10, 500])
def test_damaged_pt(tmp_path: Path, size: int) -> None:
    path = saved(tmp_path / "a.pt", TENSOR)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=r"a\.pt: not a file of tensors alone"):
        open_images(path)
