"""Under a limit of address space, each reader and each main command ends with a clear error, or in success; never by a crash."""

from __future__ import annotations

import json
import os
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import zarr

import kappaflow as kf
from containers import write_dicom, write_tar, write_zip
from kappaflow import memory

#: Address space beyond what the imports take; the files below unpack to more.
ALLOWED = 600 * 2**20
LARGE = 2**30

CHILD = f"""
import json, resource, sys
import kappaflow as kf, numpy, scipy.linalg
from kappaflow.cli import app
from kappaflow.datasets import open_images
from typer.testing import CliRunner
for package in ("PIL.Image", "h5py", "zarr", "pyarrow.parquet", "pyarrow.ipc", "nibabel", "pydicom.pixels", "tifffile"):
    __import__(package)
kf.Population.from_samples(numpy.random.default_rng(0).normal(size=(30, 60)))
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + {ALLOWED}, resource.RLIM_INFINITY))
for task in json.loads(sys.argv[1]):
    if "command" in task:
        result = CliRunner().invoke(app, task["command"])
        print(json.dumps({{"code": result.exit_code, "text": result.output}}))
        continue
    try:
        kf.Population.from_samples(open_images(task["data"], **task["options"]))
        print(json.dumps({{"code": 0, "text": ""}}))
    except Exception as error:
        print(json.dumps({{"code": 1, "text": str(error), "kind": type(error).__name__}}))
"""


def limited(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
    """What tasks say that run one after the other under the limit; they must end by themselves."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    run = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(tasks)], capture_output=True, text=True, env=environment, timeout=240
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return [json.loads(line) for line in run.stdout.splitlines()[-len(tasks) :]]


def png(width: int, height: int) -> bytes:
    """A PNG file of grey zeros, which packs a thousand times."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width + 1)) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def write_bombs(folder: Path) -> Path:
    folder.mkdir()
    content = png(9000, 9000)
    assert len(content) < 100_000
    for number in range(2):
        (folder / f"{number}.png").write_bytes(content)
    return folder


def write_npz(path: Path) -> Path:
    np.savez_compressed(path, x=np.zeros((64, LARGE // 64), np.uint8))
    return path


def write_h5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        array = file.create_dataset("x", (8, LARGE // 8), np.uint8, chunks=(8, LARGE // 8), compression="gzip")
        array[0, :10] = 1
    return path


def write_zarr(path: Path) -> Path:
    array = zarr.create_array(str(path), shape=(8, LARGE // 8), chunks=(8, LARGE // 8), dtype="uint8")
    array[0, :10] = 1
    return path


def write_parquet(path: Path) -> Path:
    rows = pa.array([np.zeros(2**20, np.uint8)] * 4, pa.list_(pa.uint8()))
    table = pa.table({"images": pa.chunked_array([rows] * (LARGE // 2**22))})
    pyarrow.parquet.write_table(table, path, row_group_size=2**30)
    return path


def write_npy(path: Path) -> Path:
    """Sparse: it takes no room on the disk."""
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (4, LARGE))
    array[:, :10] = np.arange(40).reshape(4, 10)
    return path


def write_nifti(path: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(np.zeros((512, 512, 400), np.uint8), np.eye(4)), path)
    return path


def write_wide_dicom(folder: Path) -> Path:
    folder.mkdir()
    write_dicom(folder / "a.dcm", np.zeros((4, 4), np.uint16), Rows=60000, Columns=60000)
    return folder


def npy_bytes() -> bytes:
    """A .npy file of 512 MiB of zeros."""
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (8, 67108864), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(2**29)


FILES: dict[str, Callable[[Path], Path]] = {
    "two PNG files of 81 million pixels": lambda folder: write_bombs(folder / "bombs"),
    "npz": lambda folder: write_npz(folder / "a.npz"),
    "npy": lambda folder: write_npy(folder / "a.npy"),
    "h5": lambda folder: write_h5(folder / "a.h5"),
    "zarr": lambda folder: write_zarr(folder / "a.zarr"),
    "parquet": lambda folder: write_parquet(folder / "a.parquet"),
    "nii.gz": lambda folder: write_nifti(folder / "a.nii.gz"),
    "dcm": lambda folder: write_wide_dicom(folder / "dicom"),
    "zip": lambda folder: write_zip(folder / "a.zip", {"a.npy": npy_bytes()}, packed=True),
    "tar.gz": lambda folder: write_tar(folder / "a.tar.gz", {"a.npy": npy_bytes()}, mode="w:gz"),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_that_unpack_to_more_than_fits(tmp_path: Path, kind: str) -> None:
    data = FILES[kind](tmp_path)
    words = ["moments", str(data), "--range", "0,255", "--out", str(tmp_path / "p.safetensors")]
    answer, typed = limited({"data": str(data), "options": {"range": [0, 255]}}, {"command": words})
    assert answer["code"] == 1
    assert answer["kind"] in ("NotEnoughMemoryError", "DataError"), answer
    text = answer["text"]
    assert any(word in text for word in ("needs", "at most", "memory ran out")), text
    assert typed["code"] in (1, 2), typed
    assert "error: " in typed["text"]
    assert "internal" not in typed["text"]
    assert "out of memory\n" not in typed["text"]
    assert not (tmp_path / "p.safetensors").exists()


COMMANDS = (
    "moments DATA --out p.safetensors",
    "predict DATA --n 3",
    "diagnose DATA",
    "plan DATA",
    "seeds DATA --n 3",
    "lens DATA --out pages",
    "info DATA",
    "validate linear DATA --n 3 --draws 4 --out v",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_say_how_much_is_missing(tmp_path: Path, command: str) -> None:
    folder = write_bombs(tmp_path / "bombs")
    words = [str(folder) if word == "DATA" else word for word in command.split()]
    words = [str(tmp_path / word) if word in ("p.safetensors", "pages", "v") else word for word in words]
    answer, typed = limited({"command": words}, {"command": [*words, "--memory", "20M"]})
    if words[0] == "info" and answer["code"] == 0:
        return  # it reads the headers only
    assert answer["code"] == 1, answer
    assert " needs " in answer["text"]
    assert " are free: " in answer["text"]
    assert "Python" not in answer["text"]
    assert "of the limit of 20.0 MiB are free: " in typed["text"]
    assert "allow more with --memory" in typed["text"]


PEAK = """
import resource, sys, numpy as np, kappaflow as kf
count, dimension, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rng = np.random.default_rng(0)
kf.Population.from_samples(rng.normal(size=(600, 1200)).astype(kind))
samples = np.empty((count, dimension), kind)
for row in samples:
    row[:] = rng.standard_normal(dimension)
before = int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) * 1024
open("/proc/self/clear_refs", "w").write("5")  # the peak begins here
population = kf.Population.from_samples(samples)
peak = int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
vectors = population.eigenvectors[:, :5].astype(float)
assert abs(vectors.T @ vectors - np.eye(5)).max() < 1e-6
print((peak - before) / samples.nbytes)
"""


@pytest.mark.parametrize(("kind", "most"), [("float32", 1.5), ("float64", 1.5)])
def test_fewer_samples_than_dimensions_take_half_as_much_again_at_most(kind: str, most: float) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PEAK, "1000", "50000", kind], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) < most


# ---------------------------------------------------------------- the budget
def test_the_smallest_limit_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_of_machine", lambda: 2**33)
    whole = memory.available_memory()
    assert whole is not None
    with kf.memory_limit("1G"), kf.memory_limit("64M"):
        assert memory.available_memory() <= 64 * 2**20
        with pytest.raises(
            kf.NotEnoughMemoryError, match=r"x needs 1\.0 GiB of memory, .* of the limit of 64\.0 MiB are free"
        ):
            memory.require_memory(2**30, "x")
        with kf.memory_limit("2G"):
            assert memory.available_memory() <= 64 * 2**20
    assert memory.available_memory() > 64 * 2**20
    monkeypatch.setattr(memory, "_of_machine", lambda: 2**20)
    with pytest.raises(MemoryError, match=r"x needs 2\.0 MiB of memory, 1\.0 MiB are free: do less"):
        memory.require_memory(2**21, "x", "do less")


@pytest.mark.parametrize("text", ["", "8", "-8G", "8X", "nan", "1e9", "8GG", "0G", "15M", "８G"])
def test_sizes_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"memory must be a size of at least 16\.0 MiB such as 8G or 500M, got"):
        memory.memory_size("memory", text)


def test_limits_of_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "self").mkdir()
    monkeypatch.setattr(memory, "_PROCESS", tmp_path / "self")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "_of_machine", lambda: None)
    (tmp_path / "self" / "cgroup").write_text("0::/a/b\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "memory.max").write_text("max\n")
    (tmp_path / "a" / "memory.max").write_text("1000000\n")
    (tmp_path / "a" / "memory.current").write_text("700000\n")
    (tmp_path / "a" / "memory.stat").write_text("anon 5\ninactive_file 100000\n")
    assert memory.available_memory() == 400_000
    (tmp_path / "self" / "cgroup").write_text("4:cpu,memory:/c\n")
    (tmp_path / "memory" / "c").mkdir(parents=True)
    (tmp_path / "memory" / "c" / "memory.limit_in_bytes").write_text("5000\n")
    (tmp_path / "memory" / "c" / "memory.usage_in_bytes").write_text("4000\n")
    assert memory.available_memory() == 1000
    (tmp_path / "memory" / "c" / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
    assert memory.available_memory() is None


def test_limits_of_the_process_count() -> None:
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
    assert list(memory._of_process()) == []
