"""The front of the package: the names it lists, the names that resolve on use, and the modules that its import does not load."""

from __future__ import annotations

import json
import rlcompleter
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


LINEAR = {"DisjointSets", "GaussianSets", "ResampledSets", "Validation", "collect_pool", "validate_linear"}
NETWORK = {"NetworkValidation", "compare_given", "make_context", "make_plan", "open_models", "validate_networks"}


def test_a_tab_lists_what_a_package_holds() -> None:
    completions = set(completed("kf.validation."))
    assert completions >= {f"kf.validation.{name}" for name in ("linear", "metrics", "network", "laws", "strata")}
    assert completed("kf.validation.n") == ["kf.validation.network"]
    for package in (kf, kf.validation, kf.validation.linear, kf.validation.network, kf.lens, kf.models, kf.consistency):
        names = dir(package)
        assert names == sorted(set(names))
        assert not {"lazy_attributes", "TYPE_CHECKING"} & set(names)
    assert set(dir(kf.validation.linear)) >= LINEAR | {"experiment", "results", "draws"}
    assert set(dir(kf.validation.network)) >= NETWORK | {"plan", "runs", "given"}


def completed(text: str) -> list[str]:
    """What Python's own completion offers for a text, without the names that start with an underscore."""
    completer = rlcompleter.Completer({"kf": kf})
    offered = [completer.complete(text, state) for state in range(200)]
    return [name.rstrip("(") for name in offered if name and "._" not in name]


def test_listing_a_package_imports_none_of_its_modules() -> None:
    code = (
        "import json, sys, kappaflow.validation.linear, kappaflow.validation.network\n"
        "dir(kappaflow.validation.linear); dir(kappaflow.validation.network)\n"
        "print(json.dumps([name for name in sys.modules if name.startswith('kappaflow.validation.')]))"
    )
    loaded = in_a_new_process(code)
    assert loaded == ["kappaflow.validation.linear", "kappaflow.validation.network"]


@pytest.mark.parametrize("room", ["linear", "network"])
def test_names_of_the_validations_resolve(room: str) -> None:
    pytest.importorskip("torch")
    package = getattr(kf.validation, room)
    assert set(package.__all__) == (LINEAR if room == "linear" else NETWORK)
    for name in package.__all__:
        assert getattr(package, name).__module__.startswith(f"kappaflow.validation.{room}.")


def test_import_loads_no_slow_modules() -> None:
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


def test_missing_names_raise_the_errors_of_python() -> None:
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
