"""Populations as files: safetensors with JSON metadata."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ._formats import POPULATION
from ._tensors import damaged, read_tensors, write_tensors
from .provenance import Provenance

__all__ = ["read_population", "write_population"]

Made = TypeVar("Made")

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
    write_tensors(path, tensors, format=POPULATION, facts={"population": facts})


def read_population(path: str | os.PathLike[str], make: Callable[..., Made]) -> Made:
    """The population of a file, which `make` makes from its fields by name. An older file has none for groups and versions.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FileError
        It is another kind of file, damaged, changed since it was written, or holds values that `make` refuses.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"path must name a saved population, got {os.fspath(path)!r}: no such file")
    tensors, facts = read_tensors(path, POPULATION)
    known = facts["population"]
    try:
        known["shape"] = tuple(known["shape"])
        known["provenance"] = Provenance.from_json(known["provenance"])
        return make(**known, **tensors)
    except (ValueError, TypeError) as error:
        raise damaged(path, POPULATION, str(error)) from error
