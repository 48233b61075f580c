"""Slices of NIfTI volumes: planes, orientation, slope, window, several volumes, and files that cannot be used."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

import kappaflow as kf
from kappaflow.datasets import DataError, open_images
from pictures import rows

VALUES = np.random.default_rng(3).integers(-1024, 2000, (5, 6, 20)).astype(np.int16)
WINDOW = (-160, 240)
#: Axial slices of VALUES, the front of the patient in the first row, in the window.
SLICES = np.clip(np.flip(np.moveaxis(VALUES, 2, 0).swapaxes(1, 2), axis=1), *WINDOW).reshape(20, -1) / 200 - 0.2


def write(path: Path, values: np.ndarray = VALUES, affine: Any = None, **header: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, np.eye(4) if affine is None else affine)
    for key, value in header.items():
        image.header[key] = value
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_axial_slices_in_a_window(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"brain{suffix}", VALUES.astype(">i2"))
    source = open_images(tmp_path / f"brain{suffix}", range=WINDOW)
    assert (source.shape, source.count) == ((6, 5), 20)
    np.testing.assert_allclose(rows(source, 7), SLICES, atol=1e-15)
    outside = np.mean((VALUES < -160) | (VALUES > 240))
    text = source.provenance.description
    assert text.startswith(
        f"the volume brain{suffix}: 20 slices (6, 5) int16 in 1 files; axial slices, as the files store them"
    )
    assert (
        f"the window -160…240 mapped to [-1, 1], as given: {outside:.2%} of the values lie outside and are clipped"
        in text
    )
    np.testing.assert_allclose(rows(open_images(tmp_path / f"brain{suffix}", range=WINDOW, limit=4)).shape, (4, 30))
    wide = rows(open_images(tmp_path / f"brain{suffix}", range=(-1024, 2000)))
    assert len(np.unique(wide)) == len(np.unique(VALUES))


def test_a_window_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "brain.nii", cal_min=-160, cal_max=240)
    with pytest.raises(
        DataError, match=r"from -1021 to 1999.*--range LOW,HIGH.*--range -160,240 is the window.*-1021,1999 keeps"
    ):
        open_images(path)
    as_they_are = rows(open_images(path, range=(-1, 1)))
    assert as_they_are.min() == -1021


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_volumes_of_8_bits_and_of_unit_range_need_none(tmp_path: Path, kind: Any) -> None:
    values = np.random.default_rng(0).integers(0, 256, (5, 6, 20)).astype(np.uint8)
    path = write(tmp_path / "brain.nii", values if kind is np.uint8 else (values / 255).astype(np.float32))
    expected = np.flip(np.moveaxis(values, 2, 0).swapaxes(1, 2), axis=1).reshape(20, -1) / 127.5 - 1
    np.testing.assert_allclose(rows(open_images(path)), expected, atol=1e-6)


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VALUES + 1024, np.eye(4))
    image.header.set_slope_inter(1.0, 0.0)
    path = tmp_path / "ct.nii"
    nibabel.save(image, path)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([0.5, -512.0], "<f4").tobytes()  # scl_slope and scl_inter
    path.write_bytes(bytes(content))
    np.testing.assert_allclose(rows(open_images(path, range=(-80, 120))), SLICES, atol=1e-12)


def test_orientation_and_planes(tmp_path: Path) -> None:
    flipped = write(tmp_path / "a.nii", VALUES[::-1, ::-1, ::-1], np.diag([-1.0, -1, -1, 1]))
    np.testing.assert_allclose(rows(open_images(flipped, range=WINDOW)), SLICES, atol=1e-15)
    # stored from front to back, from top to bottom, and from the left to the right: its slices are sagittal
    turn = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
    stored = write(tmp_path / "b.nii.gz", np.transpose(VALUES, (1, 2, 0))[::-1, ::-1], turn)
    source = open_images(stored, range=WINDOW)
    assert (source.shape, source.count) == ((20, 6), 5)
    assert "sagittal slices, as the files store them" in source.provenance.description
    source = open_images(f"{stored}::axial", range=WINDOW)
    np.testing.assert_allclose(rows(source), SLICES, atol=1e-15)
    assert "axial slices, as asked" in source.provenance.description
    assert open_images(f"{stored}::coronal", range=WINDOW).shape == (20, 5)
    with pytest.raises(DataError, match="slices are sagittal, coronal, axial; got 'z'"):
        open_images(f"{stored}::z", range=WINDOW)


def test_several_volumes(tmp_path: Path) -> None:
    path = write(tmp_path / "bold.nii", np.stack([VALUES, VALUES // 2, VALUES // 4], axis=3))
    with pytest.raises(DataError, match=r"bold\.nii: holds 3 volumes .*--frames all.*--frames first"):
        open_images(path, range=WINDOW)
    every = rows(open_images(path, range=WINDOW, frames="all"))
    assert every.shape == (60, 30)
    np.testing.assert_allclose(every[:20], SLICES, atol=1e-15)
    source = open_images(path, range=WINDOW, frames="first")
    np.testing.assert_allclose(rows(source), SLICES, atol=1e-15)
    assert "only the first volume of each file" in source.provenance.description


def test_patients_in_folders(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    write(folder / "p1" / "t1.nii.gz")
    write(folder / "p2" / "t1.nii.gz", VALUES[..., :3])
    (folder / "notes.txt").write_text("x")
    source = open_images(folder, range=WINDOW)
    np.testing.assert_allclose(rows(source), np.concatenate([SLICES, SLICES[:3]]), atol=1e-15)
    assert source.names is not None
    assert list(source.names()) == ["p1/t1.nii.gz"] * 20 + ["p2/t1.nii.gz"] * 3
    assert any(".txt" in text for text in source.provenance.left_out)
    by_volume = open_images(folder, range=WINDOW, groups="file")
    assert by_volume.groups is not None
    assert by_volume.groups().tolist() == ["p1/t1.nii.gz"] * 20 + ["p2/t1.nii.gz"] * 3
    some = open_images(folder, range=WINDOW, limit=9)
    assert some.names is not None
    assert len(some.names()) == 9
    assert kf.Population.from_samples(source).sample_size == 20  # copies count once
    write(folder / "p2" / "t1_seg.nii.gz")
    with pytest.raises(DataError, match=r"2 volumes and 1 that are masks by their names, such as p2/t1_seg\.nii\.gz"):
        open_images(folder, range=WINDOW)


def test_different_sizes_need_a_size(tmp_path: Path) -> None:
    write(tmp_path / "scans" / "a.nii")
    write(tmp_path / "scans" / "b.nii", np.full((12, 10, 2), 240, np.int16))
    with pytest.raises(DataError, match=r"different sizes \(height x width: 6x5, 10x12\); give size"):
        open_images(tmp_path / "scans", range=WINDOW)
    source = open_images(tmp_path / "scans", range=WINDOW, size=4)
    found = rows(source)
    assert found.shape == (22, 16)
    np.testing.assert_allclose(found[20:], 1, atol=1e-12)
    one = rows(open_images(tmp_path / "scans" / "a.nii", range=WINDOW, size=4))
    np.testing.assert_allclose(found[:20], one, atol=1e-12)
    assert "resized from 2 different sizes to 4" in source.provenance.description


@pytest.mark.parametrize("size", [0, 100, 400])
def test_damaged(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "a.nii")
    path.write_bytes(path.read_bytes()[:size])
    packed = tmp_path / "b.nii.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for each in (path, packed):
        with pytest.raises(DataError, match=rf"{each.name}: (not a NIfTI volume that can be read|is damaged)"):
            open_images(each, range=WINDOW)


def test_a_small_file_that_declares_a_large_volume(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii")
    content = bytearray(path.read_bytes())
    content[40:56] = np.array([3, 30000, 30000, 30000, 1, 1, 1, 1], "<i2").tobytes()
    packed = tmp_path / "b.nii.gz"
    packed.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(DataError, match=r"b\.nii\.gz: takes 216,000,000,000,000 bytes when unpacked"):
        open_images(packed, range=WINDOW)


def test_values_that_cannot_be_used(tmp_path: Path) -> None:
    values = VALUES.astype(np.float32)
    values[2, 3, 7] = np.nan
    with pytest.raises(DataError, match=r"image 7 \(counted from 0\) holds nan"):
        open_images(write(tmp_path / "a.nii", values), range=WINDOW)
    colour = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(DataError, match="must hold real numbers"):
        open_images(write(tmp_path / "b.nii", colour))
    with pytest.raises(DataError, match=r"shape=\(6, 5\) does not apply"):
        open_images(tmp_path / "a.nii", shape=(6, 5))


def test_a_plain_image_without_a_third_axis(tmp_path: Path) -> None:
    source = open_images(write(tmp_path / "a.nii", VALUES[..., 0]), range=WINDOW)
    np.testing.assert_allclose(rows(source), SLICES[:1], atol=1e-15)
