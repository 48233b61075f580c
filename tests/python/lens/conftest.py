"""One thread for torch: the networks of these tests are so small that threads only wait for one another."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch = sys.modules.get("torch")  # loaded by the modules that need it
    if torch is not None:
        torch.set_num_threads(1)
