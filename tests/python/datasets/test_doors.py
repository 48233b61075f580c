"""Each door opens what it names and nothing else: other files, plugins, codecs, pipes and devices are refused at once."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import zarr
from PIL import Image

from containers import write_dicom
from kappaflow.datasets import DataError, open_images
from kappaflow.datasets.allowed import codec_names, require_regular
from kappaflow.datasets.image_formats import FORMATS, known_formats
from pictures import random_bytes

IMAGES = random_bytes(12, 6, 5, 3)


# ---------------------------------------------------------------- special files
@pytest.mark.parametrize(
    "name",
    ["a.png", "a.npy", "a.npz", "a.h5", "a.pt", "a.safetensors", "a.zip", "a.tar", "a.parquet", "a.nii", "a.dcm"],
)
def test_pipes_do_not_block(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=r"is a pipe; only files and folders are read"):
        open_images(tmp_path / name)


def test_the_command_line_does_not_block_on_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.safetensors")
    command = [sys.executable, "-m", "kappaflow", "info", str(tmp_path / "a.safetensors")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert "is a pipe; only files and folders are read" in run.stderr


def test_devices_and_sockets(tmp_path: Path) -> None:
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    with pytest.raises(DataError, match="is a device; only files and folders are read"):
        open_images(tmp_path / "zero.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.npy"))
        with pytest.raises(DataError, match="is a socket"):
            open_images(tmp_path / "s.npy")
    require_regular(tmp_path / "missing", "missing")


def test_links_out_of_a_folder_are_followed_and_counted(tmp_path: Path) -> None:
    for place in ("data", "elsewhere"):
        (tmp_path / place).mkdir()
        for number in range(3):
            Image.fromarray(IMAGES[number]).save(tmp_path / place / f"{place}{number}.png")
    (tmp_path / "data" / "out.png").symlink_to(tmp_path / "elsewhere" / "elsewhere0.png")
    (tmp_path / "data" / "in.png").symlink_to(tmp_path / "data" / "data0.png")
    (tmp_path / "data" / "more").symlink_to(tmp_path / "elsewhere")
    source = open_images(tmp_path / "data")
    assert source.count == 8
    assert "4 files are reached by links to places outside of the folder" in source.provenance.warnings


# ---------------------------------------------------------------- images
def test_formats_of_images_are_those_of_the_list() -> None:
    assert set(known_formats()) <= set(FORMATS)
    assert not {"EPS", "PSD", "WMF", "EMF", "PDF", "FLI", "MPEG", "HDF5", "GRIB", "BUFR", "IPTC"} & set(FORMATS)


@pytest.mark.parametrize("format", ["EPS", "PDF", "SPIDER", "ICO", "MSP"])
def test_other_formats_with_the_name_of_an_image(tmp_path: Path, format: str) -> None:
    buffer = io.BytesIO()
    image = Image.fromarray(IMAGES[0]).convert({"SPIDER": "F", "MSP": "1"}.get(format, "RGB"))
    image.save(buffer, format=format)
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match=r"a\.png: cannot be read as an image"):
        open_images(tmp_path)


def test_tiff_does_not_look_for_its_parts_in_other_files(tmp_path: Path) -> None:
    import tifffile

    whole = np.arange(4 * 8 * 8, dtype=np.uint16).reshape(4, 8, 8)
    (tmp_path / "other").mkdir()
    tifffile.imwrite(tmp_path / "other" / "b.ome.tif", whole[2:], ome=True)
    description = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels DimensionOrder="XYZCT" '
        'ID="Pixels:0" SizeC="1" SizeT="1" SizeX="8" SizeY="8" SizeZ="4" Type="uint16"><Channel ID="Channel:0:0" '
        'SamplesPerPixel="1"/><TiffData FirstZ="0" IFD="0" PlaneCount="2"><UUID FileName="a.tif">urn:uuid:1</UUID></TiffData>'
        '<TiffData FirstZ="2" IFD="0" PlaneCount="2"><UUID FileName="other/b.ome.tif">urn:uuid:2</UUID></TiffData></Pixels>'
        "</Image></OME>"
    )
    (tmp_path / "data").mkdir()
    tifffile.imwrite(tmp_path / "data" / "a.tif", whole[:2], description=description, metadata=None)
    try:
        rows = np.concatenate(list(open_images(tmp_path / "data", range=(0, 255), frames="all")))
    except DataError:
        return
    known = {tuple(image.ravel() / 127.5 - 1) for image in (*whole[:2], np.zeros((8, 8)))}
    assert {tuple(row) for row in rows} <= known


# ---------------------------------------------------------------- HDF5
def test_hdf5_with_values_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(IMAGES.tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", IMAGES.shape, np.uint8, external=[(str(tmp_path / "secret.bin"), 0, IMAGES.nbytes)])
    with pytest.raises(
        DataError, match=r"a\.h5: the dataset 'x' keeps its values in other files, which are not opened"
    ):
        open_images(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("x", data=IMAGES)
    layout = h5py.VirtualLayout(IMAGES.shape, np.uint8)
    layout[:] = h5py.VirtualSource(str(tmp_path / "b.h5"), "x", IMAGES.shape)
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_virtual_dataset("x", layout)
    with pytest.raises(DataError, match=r"c\.h5: the dataset 'x' is virtual"):
        open_images(tmp_path / "c.h5")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["x"] = h5py.ExternalLink(str(tmp_path / "b.h5"), "/x")
    for data in (tmp_path / "d.h5", f"{tmp_path / 'd.h5'}::x"):
        with pytest.raises(DataError, match=r"d\.h5: holds no array"):
            open_images(data)


def test_labels_in_hdf5_with_values_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(12))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", data=IMAGES)
        file.create_dataset("labels", (12,), np.uint8, external=[(str(tmp_path / "secret.bin"), 0, 12)])
    source = open_images(tmp_path / "a.h5")
    with pytest.raises(DataError, match="the dataset 'labels' keeps its values in other files"):
        source.class_labels()
    with pytest.raises(DataError, match="the dataset 'labels' keeps its values in other files"):
        open_images(IMAGES, groups=f"{tmp_path / 'a.h5'}::labels")


def test_hdf5_with_a_filter_of_a_plugin(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        facts = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        facts.set_chunk((3, 6, 5, 3))
        facts.set_filter(32008, h5py.h5z.FLAG_OPTIONAL, ())
        h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple(IMAGES.shape), facts)
    with pytest.raises(
        DataError, match="the dataset 'x' is packed by the filter 32008, which a plugin would have to unpack"
    ):
        open_images(tmp_path / "a.h5")


# ---------------------------------------------------------------- zarr
def change_metadata(store: Path, change: Callable[[dict[str, object]], None]) -> None:
    path = next(path for path in (store / "zarr.json", store / ".zarray") if path.exists())
    facts = json.loads(path.read_text())
    change(facts)
    path.write_text(json.dumps(facts))


@pytest.mark.parametrize("format", [2, 3])
def test_codecs_of_zarr(tmp_path: Path, format: int) -> None:
    store = tmp_path / "a.zarr"
    zarr.create_array(str(store), shape=IMAGES.shape, chunks=(3, 6, 5, 3), dtype="uint8", zarr_format=format)[:] = (
        IMAGES
    )
    assert open_images(store).count == 12

    def pickled(facts: dict[str, object]) -> None:
        if format == 2:
            facts["filters"] = [{"id": "pickle", "protocol": 5}]
        else:
            facts["codecs"] = [{"name": "numcodecs.pickle", "configuration": {}}, {"name": "bytes"}]

    change_metadata(store, pickled)
    with pytest.raises(
        DataError, match=r"a\.zarr: (the array '' is packed by pickle|not a zarr store that can be read)"
    ):
        open_images(store)


def test_names_of_codecs_are_found_at_any_depth() -> None:
    inner = {
        "name": "sharding_indexed",
        "configuration": {"codecs": [{"name": "evil"}], "index_codecs": [{"name": "worse"}]},
    }
    assert set(codec_names({"codecs": [inner], "attributes": {"name": "mine"}})) == {
        "sharding_indexed",
        "evil",
        "worse",
    }
    assert set(codec_names({"compressor": {"id": "blosc"}, "filters": None})) == {"blosc"}


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_zarr_stores_hold_files_only(tmp_path: Path, kind: str) -> None:
    store = tmp_path / "a.zarr"
    zarr.create_array(str(store), shape=IMAGES.shape, chunks=(3, 6, 5, 3), dtype="uint8")[:] = IMAGES
    piece = next(path for path in (store / "c").rglob("*") if path.is_file())
    (tmp_path / "secret").write_bytes(piece.read_bytes())
    piece.unlink()
    if kind == "link":
        piece.symlink_to(tmp_path / "secret")
    else:
        os.mkfifo(piece)
    with pytest.raises(DataError, match=f"is a {kind}"):
        open_images(store)


def test_a_zarr_store_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match=r"a\.zarr: a zarr store must be a folder"):
        open_images(tmp_path / "a.zarr")


# ---------------------------------------------------------------- others
def test_npy_files_that_are_other_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", IMAGES)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(DataError, match=r"a\.npy: not a \.npy file of numbers"):
        open_images(tmp_path / "a.npy")
    for shape in ("(-2, -6)", "(2, -6)", "(3, 4)"):
        content = io.BytesIO()
        np.lib.format.write_array_header_1_0(content, {"descr": "|u1", "fortran_order": False, "shape": (2, 6)})
        header = content.getvalue().replace(b"(2, 6)", shape.encode())
        (tmp_path / "b.npy").write_bytes(header + bytes(12))
        if shape == "(3, 4)":
            continue
        with pytest.raises(DataError, match=r"b\.npy: "):
            open_images(tmp_path / "b.npy")


def test_dicom_that_is_a_film_or_an_address(tmp_path: Path) -> None:
    write_dicom(tmp_path / "d" / "a.dcm", IMAGES[0, ..., 0].astype(np.uint16))
    content = (tmp_path / "d" / "a.dcm").read_bytes()
    (tmp_path / "d" / "a.dcm").write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"))
    with pytest.raises(DataError, match=r"is stored by the transfer syntax 1\.2\.840\.10008\.1\.2\.9"):
        open_images(tmp_path / "d", range=(0, 255))


def test_nifti_headers_of_other_formats(tmp_path: Path) -> None:
    nibabel.save(nibabel.MGHImage(np.zeros((4, 4, 4), np.float32), np.eye(4)), tmp_path / "a.mgz")
    (tmp_path / "a.mgz").rename(tmp_path / "a.nii.gz")
    with pytest.raises(DataError, match=r"a\.nii\.gz: "):
        open_images(tmp_path / "a.nii.gz", range=(0, 1))


def test_zip_packings_and_links(tmp_path: Path) -> None:
    import zipfile

    from containers import encoded

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number, image in enumerate(IMAGES):
            archive.writestr(f"{number}.png", encoded(image))
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    source = open_images(tmp_path / "a.zip")
    assert source.count == 12
    assert "1 links: not files" in source.provenance.left_out
    content = (tmp_path / "a.zip").read_bytes()
    central = content.rfind(b"PK\x01\x02", 0, content.rfind(b"PK\x01\x02"))
    (tmp_path / "b.zip").write_bytes(content[: central + 10] + b"\x62\0" + content[central + 12 :])
    with pytest.raises(
        DataError, match=r"b\.zip: has members packed by the methods 98; stored, deflate, bzip2, lzma are read"
    ):
        open_images(tmp_path / "b.zip")


def test_parquet_without_extension_types(tmp_path: Path) -> None:
    values = pa.array([image.ravel().tolist() for image in IMAGES])
    field = pa.field(
        "x",
        values.type,
        metadata={
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": b"\x80\x04cos\nsystem\n",
        },
    )
    pyarrow.parquet.write_table(pa.table([values], schema=pa.schema([field])), tmp_path / "a.parquet")
    assert open_images(tmp_path / "a.parquet", range=(0, 255)).count == 12
