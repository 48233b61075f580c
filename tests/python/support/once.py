"""Results that take long and that many tests read: computed once in a test run, on however many workers it runs."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")


def once(factory: pytest.TempPathFactory, name: str, compute: Callable[[Path], T]) -> T:
    """What `compute` returns, from a folder that all workers of this run share; only the first one computes it.

    `compute` gets an empty folder, which stays until the run is over. The result must be picklable.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / f"once-{name}"
    folder.mkdir(exist_ok=True)
    result = folder / "result.pickle"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the others wait until the first one is done
        if not result.exists():
            work = folder / "work"
            work.mkdir()
            result.write_bytes(pickle.dumps(compute(work)))
    found: T = pickle.loads(result.read_bytes())
    return found
