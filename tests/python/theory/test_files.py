"""Files are written whole or not at all, with the permissions of any new file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from kappaflow._files import replaced, write_bytes
from kappaflow._schema import TensorFormat
from kappaflow._tensors import write_tensors

TOY = TensorFormat("toy", "a toy")


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield 0o640
    os.umask(before)


def test_new_files_have_usual_permissions(tmp_path: Path, umask: int) -> None:
    write_bytes(tmp_path / "page.html", b"page")
    write_tensors(tmp_path / "numbers.safetensors", {"a": np.ones(3)}, format=TOY, facts={})
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {umask}


def test_a_file_keeps_its_permissions(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "page.html"
    write_bytes(path, b"earlier")
    path.chmod(0o600)
    write_bytes(path, b"page")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"page", 0o600)


def test_the_new_name_keeps_the_suffix(tmp_path: Path) -> None:
    with replaced(tmp_path / "numbers.npz") as new:
        assert new.suffix == ".npz"
        assert new.parent == tmp_path
        new.write_bytes(b"numbers")
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.npz"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_leaves_the_earlier_file_alone(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "page.html"
    write_bytes(path, b"earlier")

    def half(new: Path) -> None:
        new.write_bytes(b"hal")
        raise error

    with pytest.raises(error), replaced(path) as new:
        half(new)
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No such folder: .*missing'"):
        write_bytes(tmp_path / "missing" / "page.html", b"")
