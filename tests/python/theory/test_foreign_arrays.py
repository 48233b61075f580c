"""Arrays from elsewhere, in .npy files and those of ``torch.save``: nothing is unpickled, headers promise no more than there is."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest

from kappaflow import _torch_files
from kappaflow._npy_files import read_npy
from kappaflow._schema import FileError
from kappaflow._torch_files import LEAST_TORCH, load_torch, require_safe_torch


def header(path: Path, shape: str, *, dtype: str = "<f8", values: int = 12) -> Path:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (118 - 1 - len(text) % 118) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(8 * values))
    return path


def test_arrays_are_read(tmp_path: Path) -> None:
    for number, array in enumerate((np.ones((2, 3)), np.zeros(0), np.float32(3) * np.ones(()), np.arange(4) > 1)):
        np.save(tmp_path / f"{number}.npy", array)
        found = read_npy(tmp_path / f"{number}.npy", "noise")
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)
    assert read_npy(header(tmp_path / "a.npy", "(3, 4)"), "noise").shape == (3, 4)


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ("(4, 4)", {}, r"its header promises an array of shape \(4, 4\), but 96 bytes follow"),
        ("(-1, 4)", {}, r"its header promises an array of shape \(-1, 4\)|shape"),
        ("(1000000, 1000000)", {}, "but 96 bytes follow"),
        ("(99999999999999999999, 4)", {}, "but 96 bytes follow"),
        ("(3, 4)", {"dtype": "|O"}, "it holds Python objects \\(a pickle\\), which are never loaded"),
        ("(3, 4)", {"dtype": "<M8[s]"}, "noise must be a .npy file of numbers, got datetime64"),
        ("(3, 4)", {"dtype": "<c8"}, "noise must be a .npy file of numbers, got complex64"),
        ("(3, 4)", {"dtype": "what"}, "noise must be a .npy file of numbers, got 'a.npy': "),
        ("__import__('os').getcwd()", {}, "noise must be a .npy file of numbers, got 'a.npy': "),
    ],
)
def test_headers_that_promise_other_things_are_refused(
    tmp_path: Path, shape: str, options: dict[str, str], words: str
) -> None:
    with pytest.raises(FileError, match=words):
        read_npy(header(tmp_path / "a.npy", shape, **options), "noise")


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.ones(3))
    (tmp_path / "text.npy").write_text("text")
    (tmp_path / "empty.npy").write_bytes(b"")
    for name in ("a.npz", "text.npy", "empty.npy"):
        with pytest.raises(FileError, match=f"noise must be a .npy file of numbers, got '{name}'"):
            read_npy(tmp_path / name, "noise")
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(FileError, match="which is no regular file"):
        read_npy(tmp_path / "pipe.npy", "noise")


def test_versions_of_torch_that_run_code_in_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("2.6.0", "2.13.0+cpu", "3.0", "2.10.0a0+git1"):
        require_safe_torch(version)
    for version in ("2.5.1", "2.2.0+cu121", "1.13", "unknown"):
        with pytest.raises(ImportError, match=re.escape(f"need torch 2.6 or later, got {version}")):
            require_safe_torch(version)
    torch = pytest.importorskip("torch")
    torch.save(torch.ones(3), tmp_path / "a.pt")
    assert load_torch(tmp_path / "a.pt").tolist() == [1, 1, 1]
    monkeypatch.setattr(torch, "__version__", "2.5.1")
    with pytest.raises(ImportError, match=r"got 2\.5\.1, which can be made to run code in a file"):
        load_torch(tmp_path / "a.pt")


def test_the_metadata_allow_no_version_of_torch_that_runs_code() -> None:
    """Every bound in pyproject.toml is at least the one that is checked."""
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    bounds = re.findall(r'"torch>=(\d+)\.(\d+)"', text)
    assert bounds
    assert all((int(major), int(minor)) >= LEAST_TORCH for major, minor in bounds)
    assert '"torch"' not in text


def test_torch_files_are_loaded_in_one_place_and_pickles_nowhere() -> None:
    package = Path(_torch_files.__file__).parent
    for path in package.rglob("*.py"):
        code = path.read_text(encoding="utf-8")
        if path.name != "_torch_files.py":
            assert "torch.load(" not in code, path
        assert not re.search(
            r"^\s*(import|from) (c?[pP]ickle|dill|cloudpickle|shelve|marshal)\b", code, flags=re.MULTILINE
        ), path
        assert "allow_pickle=True" not in code, path
        for call in re.findall(r"np\.load\([^\n]*", code):
            assert "allow_pickle=False" in call, (path, call)
        for call in re.findall(r"torch\.load\([^\n]*", code):
            assert "weights_only=True" in call, (path, call)
