"""Working folders with small data, and reports without drawings, which have tests of their own and take seconds."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kappaflow import report
from kappaflow.cli.errors import DEBUG_VARIABLE


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    return tmp_path


@pytest.fixture
def folder(workplace: Path) -> Path:
    """A working folder with data.npy: 60 grey 6×6 images of unequal variances."""
    rng = np.random.default_rng(20260)
    scales = np.linspace(0.3, 0.02, 36).reshape(6, 6)
    np.save(workplace / "data.npy", 0.4 * rng.standard_normal((60, 6, 6)) * scales)
    return workplace


@pytest.fixture
def plain_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports whose figures are empty."""

    def draw(document: Any, *, png: bool = False) -> dict[str, dict[str, bytes]]:
        empty = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>'
        return {picture.name: {"png" if picture.raster else "svg": empty} for picture in document.pictures}

    monkeypatch.setattr(importlib.import_module("kappaflow.report.write"), "draw", draw)


@pytest.fixture
def plain_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report of ``kappaflow predict`` with one figure, which is empty."""

    def write(document: Any, directory: Path, *, png: bool) -> Path:
        assert not png
        (Path(directory) / "figures").mkdir()
        (Path(directory) / "figures" / "kappa.svg").write_text("<svg/>")
        path = Path(directory) / "report.html"
        path.write_text(f"{document.source} {document.facts['kappaflow']}")
        return path

    monkeypatch.setattr(report, "write", write)
