"""Files that the user's command left in an earlier run: they are checked before any command starts, and none is trusted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smooth import SHAPE, smooth

torch = pytest.importorskip("torch")

from kappaflow._json_files import with_checksum  # noqa: E402
from kappaflow.models.errors import TrainingError  # noqa: E402
from kappaflow.pilot import script  # noqa: E402
from kappaflow.pilot.script import ScriptPlan, make_script_plan, parse_command, train_with_script  # noqa: E402
from kappaflow.validation.network.context import Context, make_context  # noqa: E402
from user_scripts import linear_command  # noqa: E402

IMAGES = smooth(400)


@pytest.fixture(scope="module")
def context() -> Context:
    return make_context(IMAGES, SHAPE, seeds=16, sampler_steps=5, profiles=100, manipulated=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, context: Context) -> Path:
    """A folder in which the command has trained every network."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # the command leaves notes
        train_with_script(plan_in(folder), context, folder / "runs")
    return folder


def plan_in(folder: Path) -> ScriptPlan:
    return make_script_plan(parse_command(linear_command(folder)), len(IMAGES), n=(60,), repeats=1)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def facts(place: Path, **changes: object) -> None:
    file = place / "run.json"
    file.write_text(json.dumps(with_checksum(json.loads(file.read_text()) | changes)))


def linked(place: Path) -> None:
    shutil.move(place / "samples.npy", place.parent.parent / "samples.npy")
    (place / "samples.npy").symlink_to("../../samples.npy")


def pipe(place: Path) -> None:
    (place / "run.json").unlink()
    os.mkfifo(place / "run.json")


CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a bit of a sample": (lambda place: flip(place / "samples.npy"), "'samples.npy' has changed since the command wrote"),
    "other samples": (
        lambda place: np.save(place / "samples.npy", np.zeros((16, *SHAPE), dtype=np.float32)),
        "'samples.npy' has changed since the command wrote it",
    ),
    "a bit of the facts": (lambda place: flip(place / "run.json"), "'run.json' is damaged"),
    "no facts": (lambda place: (place / "run.json").unlink(), "'run.json' must be a regular file, got none"),
    "facts of another seed": (lambda place: facts(place, seed=3), r"is that of another run \(different: seed\)"),
    "other images": (lambda place: facts(place, indices=[0]), r"is that of another run \(different: indices\)"),
    "no seconds": (lambda place: facts(place, seconds="long"), "seconds must be a finite number of at least 0, got 'long'"),
    "more facts": (lambda place: facts(place, model="../x"), "it must have no fields but .*, got 'model'"),
    "a deep file": (lambda place: (place / "run.json").write_text("[" * 10**5) and None, "'run.json' is damaged"),
    "a linked file": (linked, "got a link or a name that leads out of it"),
    "a pipe": (pipe, "'run.json' must be a regular file, got none or a link, folder or pipe"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_kept_files_are_checked_before_any_command(
    case: str, finished: Path, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, words = CASES[case]
    runs = Path(shutil.copytree(finished / "runs", tmp_path / "runs"))
    places = sorted(runs.iterdir())
    shutil.rmtree(places[0])  # there would be work
    change(places[1])
    monkeypatch.setattr(script, "run_calls", lambda *_, **__: pytest.fail("a command starts"))
    message = (
        rf"your command n=60 .*/samples\.npy' cannot be used: .*{words}.*; remove its folder and it is trained again"
    )
    with pytest.raises(TrainingError, match=message):
        train_with_script(plan_in(finished), context, runs)


def test_whole_files_are_used_again(finished: Path, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "run_calls", lambda calls, **_: None if not calls else pytest.fail("a command starts"))
    assert len(train_with_script(plan_in(finished), context, finished / "runs").full) == 3
