"""Slices of DICOM files: slope, window, brightness, frames, order, and files that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless

from containers import write_dicom
from kappaflow.datasets import DataError, open_images
from pictures import random_bytes, rows

VALUES = np.random.default_rng(5).integers(0, 3000, (9, 6, 5)).astype(np.uint16)
WINDOW = (-160, 240)
#: VALUES − 1024 in the window.
SLICES = np.clip(VALUES.astype(float) - 1024, *WINDOW).reshape(9, -1) / 200 - 0.2


def scan(folder: Path, values: np.ndarray = VALUES, suffix: str = ".dcm", **elements: Any) -> Path:
    """A folder of slices whose names are in another order than their numbers."""
    facts = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400, **elements}
    for number, image in enumerate(values):
        write_dicom(folder / f"{(7 * number) % len(values):04d}{suffix}", image, InstanceNumber=number, **facts)
    return folder


def test_slices_in_a_window(tmp_path: Path) -> None:
    folder = scan(tmp_path / "ct")
    with pytest.raises(DataError, match=r"from -\d+ to 1\d+, .*--range -160,240 is the window that a file states"):
        open_images(folder)
    source = open_images(folder, range=WINDOW)
    assert (source.shape, source.count) == ((6, 5), 9)
    np.testing.assert_allclose(rows(source, 4), SLICES, atol=1e-15)
    text = source.provenance.description
    assert text.startswith(
        "the 9 DICOM files of the folder ct: 9 slices (6, 5) uint16 in 9 files; 1 series (9 CT); slope and"
    )
    assert "are clipped to it" in text
    assert source.names is not None
    assert source.names()[:2] == ("0000.dcm", "0007.dcm")


def test_files_without_a_suffix_and_with_numbers_for_one(tmp_path: Path) -> None:
    np.testing.assert_allclose(rows(open_images(scan(tmp_path / "a", suffix=""), range=WINDOW)), SLICES, atol=1e-15)
    np.testing.assert_allclose(rows(open_images(scan(tmp_path / "b", suffix=".1.2"), range=WINDOW)), SLICES, atol=1e-15)


def test_patients_in_folders_and_files_without_pixels(tmp_path: Path) -> None:
    scan(tmp_path / "all" / "p1", VALUES[:4])
    scan(tmp_path / "all" / "p2", VALUES[4:])
    report = pydicom.dcmread(tmp_path / "all" / "p1" / "0000.dcm")
    del report.PixelData, report.Rows, report.Columns
    report.Modality = "SR"
    report.save_as(tmp_path / "all" / "report.dcm")
    source = open_images(tmp_path / "all", range=WINDOW)
    np.testing.assert_allclose(rows(source), SLICES, atol=1e-15)
    assert source.names is not None
    assert [name.split("/")[0] for name in source.names()] == ["p1"] * 4 + ["p2"] * 5
    assert source.provenance.left_out == ("1 DICOM files without pixels (SR)",)
    by_patient = open_images(tmp_path / "all", range=WINDOW, groups="folder")
    assert by_patient.groups is not None
    assert by_patient.groups().tolist() == ["p1"] * 4 + ["p2"] * 5
    (tmp_path / "reports").mkdir()
    (tmp_path / "all" / "report.dcm").rename(tmp_path / "reports" / "report.dcm")
    with pytest.raises(
        DataError, match=r"reports: no images in these DICOM files: 1 DICOM files without pixels \(SR\)"
    ):
        open_images(tmp_path / "reports")


def test_large_values_that_are_black(tmp_path: Path) -> None:
    inverted = open_images(scan(tmp_path / "a", PhotometricInterpretation="MONOCHROME1"), range=WINDOW)
    np.testing.assert_allclose(rows(inverted), -SLICES, atol=1e-12)
    assert "brightness inverted in 9 of 9 files" in inverted.provenance.description
    bytes_ = random_bytes(6, 4, 5)
    for number, image in enumerate(bytes_):
        write_dicom(tmp_path / "b" / f"{number}.dcm", image, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_allclose(rows(open_images(tmp_path / "b")), 1 - bytes_.reshape(6, -1) / 127.5, atol=1e-12)
    scan(tmp_path / "c", np.minimum(VALUES, 200), PhotometricInterpretation="MONOCHROME1", RescaleIntercept=0)
    with pytest.raises(DataError, match="type --range LOW,HIGH"):
        open_images(tmp_path / "c")


def test_frames(tmp_path: Path) -> None:
    cine = random_bytes(7, 4, 5)
    path = write_dicom(tmp_path / "us" / "cine.dcm", cine)
    np.testing.assert_allclose(rows(open_images(path)), cine.reshape(7, -1) / 127.5 - 1, atol=1e-12)
    with pytest.raises(DataError, match=r"cine\.dcm: holds 7 frames; type --frames all"):
        open_images(tmp_path / "us")
    assert open_images(tmp_path / "us", frames="all").count == 7
    assert open_images(tmp_path / "us", frames="first").count == 1
    with pytest.raises(DataError, match="is a single image; give the folder"):
        open_images(write_dicom(tmp_path / "one.dcm", cine[0]))


def test_slope_of_each_frame_and_of_each_file(tmp_path: Path) -> None:
    stored = np.full((2, 4, 5), 100, np.uint16)
    stored[:, 0] = 50
    frames = []
    for slope in (1.0, 2.0):
        transformation, frame = Dataset(), Dataset()
        transformation.RescaleSlope, transformation.RescaleIntercept = slope, 0
        frame.PixelValueTransformationSequence = [transformation]
        frames.append(frame)
    path = write_dicom(tmp_path / "enhanced.dcm", stored, PerFrameFunctionalGroupsSequence=frames)
    found = rows(open_images(path, range=(0, 200)))
    np.testing.assert_allclose(found, np.array([[0.5] * 5 + [1.0] * 15, [1.0] * 5 + [2.0] * 15]) - 1, atol=1e-12)
    for number, slope in enumerate((1, 2)):
        write_dicom(
            tmp_path / "pet" / f"{number}.dcm", stored[0], InstanceNumber=number, RescaleSlope=slope, RescaleIntercept=0
        )
    np.testing.assert_allclose(rows(open_images(tmp_path / "pet", range=(0, 200))), found, atol=1e-12)


def test_colour(tmp_path: Path) -> None:
    images = random_bytes(5, 4, 6, 3)
    for number, image in enumerate(images):
        write_dicom(tmp_path / "us" / f"{number}.dcm", image)
    np.testing.assert_allclose(rows(open_images(tmp_path / "us")), images.reshape(5, -1) / 127.5 - 1, atol=1e-12)
    grey = images @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(
        rows(open_images(tmp_path / "us", grey=True)), grey.reshape(5, -1) / 127.5 - 1, atol=1e-12
    )
    write_dicom(tmp_path / "us" / "9.dcm", images[0, ..., 0])
    with pytest.raises(DataError, match="some slices are grey and others in colour"):
        open_images(tmp_path / "us")
    assert open_images(tmp_path / "us", grey=True).count == 6


def test_different_sizes_need_a_size(tmp_path: Path) -> None:
    folder = scan(tmp_path / "cr", VALUES[:3])
    write_dicom(folder / "z.dcm", np.full((12, 10), 2000, np.uint16), InstanceNumber=99)
    with pytest.raises(DataError, match=r"different sizes \(height x width: 6x5, 12x10\)"):
        open_images(folder, range=WINDOW)
    found = rows(open_images(folder, range=WINDOW, size=4))
    assert found.shape == (4, 16)
    np.testing.assert_allclose(found[3], 1, atol=1e-12)


# ---------------------------------------------------------------- refused
def test_compressed_pixels_without_a_decoder(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "ct" / "a.dcm", VALUES[0])
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51 no stream of JPEG 2000"])
    data["PixelData"].is_undefined_length = True
    data.save_as(path)
    with pytest.raises(
        DataError, match=r"a\.dcm: the pixels cannot be read: .*compressed as JPEG 2000 .*pip install pylibjpeg"
    ):
        open_images(tmp_path / "ct", range=WINDOW)


@pytest.mark.parametrize("size", [0, 131, 200, 400])
def test_damaged(tmp_path: Path, size: int) -> None:
    path = write_dicom(tmp_path / "ct" / "a.dcm", VALUES[0])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        DataError, match=r"not a DICOM file that can be read|no images in these|the pixels cannot be read"
    ):
        open_images(tmp_path / "ct", range=WINDOW)


def test_pixels_that_end_too_early(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "ct" / "a.dcm", VALUES[0])
    data = pydicom.dcmread(path)
    data.PixelData = data.PixelData[:20]
    data.save_as(path)
    with pytest.raises(DataError, match=r"a\.dcm: the pixels cannot be read from the file, which is damaged"):
        open_images(tmp_path / "ct", range=WINDOW)


def test_a_small_file_that_declares_many_frames(tmp_path: Path) -> None:
    write_dicom(tmp_path / "ct" / "a.dcm", VALUES[0], NumberOfFrames=2_000_000_000)
    with pytest.raises(DataError, match=r"a\.dcm: takes 480,000,000,000 bytes when unpacked"):
        open_images(tmp_path / "ct", range=WINDOW, frames="all")


def test_deflated_and_kinds_that_are_not_read(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a" / "a.dcm", VALUES[0], "1.2.840.10008.1.2.1.99")
    with pytest.raises(DataError, match=r"a\.dcm: is deflated as a whole"):
        open_images(tmp_path / "a", range=WINDOW)
    write_dicom(tmp_path / "b" / "b.dcm", VALUES[0], PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(DataError, match=r"b\.dcm: pixels of the kind PALETTE COLOR"):
        open_images(tmp_path / "b", range=WINDOW)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "c.dcm").write_text("no DICOM file")
    with pytest.raises(DataError, match=r"c\.dcm: not a DICOM file that can be read"):
        open_images(tmp_path / "c", range=WINDOW)
