"""The package's front: what is listed, what resolves when it is asked for, and what the import does not take along."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import kappaflow as kf

ROOMS = {"cli", "consistency", "datasets", "laws", "lens", "models", "report", "validation"}
LENS = {"architecture", "learning", "receptive_field", "scores", "teleport", "trajectories"}


def in_a_new_process(code: str) -> object:
    """What a fresh interpreter prints, as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_dir_lists_rooms_and_public_names() -> None:
    listed = set(dir(kf))
    assert listed >= ROOMS | set(kf.__all__) | {"maps", "sampling", "predict", "diagnose"}
    assert set(dir(kf.lens)) >= LENS
    assert set(dir(kf.validation)) >= {"linear", "metrics", "network"}
    assert set(dir(kf.models)) >= {"rows", "scores", "training"}
    assert dir(kf) == sorted(dir(kf))


def test_rooms_resolve_without_an_import_of_their_own() -> None:
    code = (
        "import json, kappaflow as kf;"
        "print(json.dumps([kf.datasets.open_images.__name__, kf.lens.scores.__name__, kf.lens.learning.study.__name__,"
        "kf.validation.linear.quantities.__name__, kf.validation.metrics.agreement.__name__, kf.predict.__name__,"
        "kf.consistency.needed.__name__, kf.report.__name__, kf.models.rows.__name__, kf.maps.Map.__name__]))"
    )
    assert in_a_new_process(code) == [
        "open_images",
        "kappaflow.lens.scores",
        "kappaflow.lens.learning.study",
        "kappaflow.validation.linear.quantities",
        "agreement",
        "predict",
        "kappaflow.consistency.needed",
        "kappaflow.report",
        "kappaflow.models.rows",
        "Map",
    ]


def test_import_takes_along_nothing_that_is_slow() -> None:
    code = "import json, sys, kappaflow; dir(kappaflow); kappaflow.lens; print(json.dumps(sorted(sys.modules)))"
    loaded = in_a_new_process(code)
    assert isinstance(loaded, list)
    slow = {"matplotlib", "pandas", "rich", "scipy", "torch", "typer", "safetensors"}
    rooms = {f"kappaflow.{room}" for room in ROOMS - {"laws", "lens"}}
    assert not (slow | rooms) & set(loaded)


def test_every_public_name_is_there() -> None:
    for name in kf.__all__:
        assert getattr(kf, name) is not None
    namespace: dict[str, object] = {}
    exec("from kappaflow import *", namespace)
    assert namespace["predict"] is sys.modules["kappaflow.consistency.predict"].predict
    assert namespace["Diagnosis"] is kf.Diagnosis


def test_what_is_not_there_is_said_as_python_says_it() -> None:
    with pytest.raises(AttributeError, match="module 'kappaflow' has no attribute 'nothing'"):
        kf.nothing  # noqa: B018
    with pytest.raises(AttributeError, match=r"module 'kappaflow\.lens' has no attribute 'nothing'"):
        kf.lens.nothing  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec("from kappaflow import nothing")
    assert not hasattr(kf, "_nothing")


def test_a_missing_package_is_named_and_not_hidden() -> None:
    code = (
        "import json, sys; sys.modules['torch'] = None; import kappaflow as kf\n"
        "try: kf.models.backbones\n"
        "except ImportError as error: print(json.dumps(str(error)))"
    )
    assert "torch" in str(in_a_new_process(code))
