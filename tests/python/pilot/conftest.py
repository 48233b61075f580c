"""The linear networks that tests of pilots share with those of the validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from once import once

if TYPE_CHECKING:
    from linear_networks import Experiment


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """A validation of linear networks on smooth images; trained once in a test run."""
    pytest.importorskip("torch")
    from linear_networks import linear_networks

    return once(tmp_path_factory, "linear-networks", linear_networks)
