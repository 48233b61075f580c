"""Populations as files: safetensors with JSON metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ._tensors import read_tensors, write_tensors
from .provenance import Provenance

__all__ = ["read_population", "write_population"]

_FORMAT = "kappaflow-population-2"
#: Fields that are arrays (those that may be None last), and fields that are written as JSON.
_ARRAYS = ("eigenvalues", "multiplicity", "mean", "profiles", "groups", "eigenvectors")
_FACTS = ("dimension", "shape", "sample_size")


def write_population(path: str | os.PathLike[str], fields: Mapping[str, Any]) -> None:
    """Write the fields of a population, whole or not at all.

    Raises
    ------
    OSError
        The file cannot be written; an older file of that name is left unchanged.
    """
    tensors = {name: np.ascontiguousarray(fields[name]) for name in _ARRAYS if fields[name] is not None}
    facts = {name: fields[name] for name in _FACTS}
    facts["provenance"] = fields["provenance"].as_json()
    if fields["group_count"] is not None:
        facts["group_count"] = fields["group_count"]
    if fields["versions"] != 1:
        facts["versions"] = fields["versions"]
    write_tensors(path, tensors, format=_FORMAT, metadata={"population": json.dumps(facts)})


def read_population(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The fields of a saved population by name. A file of an older version has none for groups and versions.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is another kind of file, or damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"path must name a saved population, got {os.fspath(path)!r}: no such file")
    tensors, metadata = read_tensors(path, format=_FORMAT, what="a saved population", of_format="a saved population")
    facts = json.loads(metadata["population"])
    facts["shape"] = tuple(facts["shape"])
    facts["provenance"] = Provenance.from_json(facts["provenance"])
    return {**facts, **tensors}
