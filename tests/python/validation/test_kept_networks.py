"""Files of kept networks that cannot be trusted are found before anything is trained, and nothing outside of the folder is read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

torch = pytest.importorskip("torch")

from kappaflow._schema import FileError  # noqa: E402
from kappaflow.models.checkpoint import load_network, network_facts, save_network  # noqa: E402
from kappaflow.models.config import NetworkConfig, build_denoiser  # noqa: E402
from kappaflow.models.errors import TrainingError  # noqa: E402
from kappaflow.pilot.trained import kept_runs, pilots_of_runs  # noqa: E402
from kappaflow.validation.network import sweep  # noqa: E402
from kappaflow.validation.network.context import make_context  # noqa: E402
from kappaflow.validation.network.plan import make_plan  # noqa: E402
from kappaflow.validation.network.probes import Answers  # noqa: E402
from smooth import SHAPE, smooth  # noqa: E402

IMAGES = smooth(40)
CONTEXT = make_context(IMAGES, SHAPE, seeds=16, sampler_steps=5)


def jobs_in(folder: Path, sizes: list[int] | None = None) -> list[sweep.Job]:
    plan = make_plan(IMAGES, SHAPE, archs=["linear"], n=sizes or [10], seeds=16, sampler_steps=5, steps=5)
    noise = dict(CONTEXT.noise)
    return sweep.make_jobs(plan.runs, IMAGES, SHAPE, noise, folder, steps=5, sigma_max=CONTEXT.sigma_max, seed=0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    sweep.run_jobs(jobs_in(folder), workers=1)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "runs"))


def flip(path: Path, place: int = -9) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def other_network(job: sweep.Job) -> None:
    """The network of another run, whole in itself."""
    shutil.copy(jobs_in(job.folder.parent)[1].folder / "model.safetensors", job.folder)


def other_answers(job: sweep.Job) -> None:
    answers = Answers.load(sweep.answers_file(job), job.probe)
    Answers({"seeds": answers.samples["seeds"][:5]}, answers.loss, answers.shared).save(sweep.answers_file(job), "x")


def linked(job: sweep.Job) -> None:
    model = job.folder / "model.safetensors"
    shutil.move(model, job.folder.parent.parent / "elsewhere.safetensors")
    model.symlink_to("../../elsewhere.safetensors")


def linked_folder(job: sweep.Job) -> None:
    shutil.move(job.folder, job.folder.parent.parent / "elsewhere")
    job.folder.symlink_to(job.folder.parent.parent / "elsewhere")


def linked_answers(job: sweep.Job) -> None:
    answers = sweep.answers_file(job)
    shutil.move(answers, job.folder.parent.parent / "elsewhere.safetensors")
    answers.symlink_to("../../elsewhere.safetensors")


def unfinished(job: sweep.Job) -> None:
    """A checkpoint of a training that another program wrote, beside no network."""
    (job.folder / "model.safetensors").unlink()
    (job.folder / "training.safetensors").write_bytes(b"nothing")


CASES: dict[str, tuple[Callable[[sweep.Job], None], str]] = {
    "a bit of a weight": (
        lambda job: flip(job.folder / "model.safetensors"),
        "is damaged.*its checksum does not match",
    ),
    "a bit of the answers": (lambda job: flip(sweep.answers_file(job)), "its checksum does not match its contents"),
    "half a network": (
        lambda job: os.truncate(job.folder / "model.safetensors", 900),
        "is damaged: remove it and it is",
    ),
    "another network": (other_network, r"is the network of another run \(different: images\)"),
    "other answers": (other_answers, "its arrays have other names or shapes than the answers to these questions"),
    "a link": (linked, "must lie in the folder .* got a link or a name that leads out of it"),
    "a linked folder": (linked_folder, "must lie in the folder .* got a link or a name that leads out of it"),
    "linked answers": (linked_answers, "must lie in the folder .* got a link or a name that leads out of it"),
    "an unfinished one": (unfinished, "path must name a training checkpoint, got"),
}


@pytest.mark.parametrize("case", CASES)
def test_kept_files_are_checked_before_the_training(case: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, words = CASES[case]
    change(jobs_in(folder)[0])
    monkeypatch.setattr(sweep, "_train", lambda *_: pytest.fail("it trains"))
    wanted = r"1 of \d runs have files that cannot be used, and nothing was trained; linear n=10 A0 repeat 1: .*"
    with pytest.raises(TrainingError, match=wanted + words):
        sweep.run_jobs(jobs_in(folder, [10, 20]), workers=1)


def test_whole_files_are_used_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_train", lambda *_: pytest.fail("it trains"))
    assert len(sweep.run_jobs(jobs_in(folder), workers=1, training=False)) == len(jobs_in(folder))


def test_a_renamed_network_is_left_out_and_nothing_is_trained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be trained again under the name that belongs to it."""
    monkeypatch.setattr(sweep, "_train", lambda *_: pytest.fail("it trains"))
    kept = kept_runs(folder, IMAGES, SHAPE)
    assert kept.unreadable == ()
    job = next(job for job in jobs_in(folder) if job.spec.key.endswith("B1 repeat 1"))
    job.folder.rename(folder / "mine")
    elsewhere = folder.parent / "elsewhere"
    shutil.copytree(folder / "mine", elsewhere)
    (folder / "linked").symlink_to(elsewhere)
    fewer = kept_runs(folder, IMAGES, SHAPE)
    assert len(fewer.runs) == len(kept.runs) - 1
    assert fewer.unreadable == ("linked", "mine (not the name of the network in it)")
    assert len(pilots_of_runs(fewer, CONTEXT, folder).full) == len(fewer.runs)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(TrainingError, match=r"there is no network '.*model.safetensors', and none is trained here"):
        pilots_of_runs(kept, CONTEXT, folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def small(path: Path) -> Path:
    config = NetworkConfig("mlp", (6,), 1.0, {"width": 16, "depth": 1})
    facts = {"arch": "mlp", "shape": [6], "sigma_data": 1.0, "options": {"width": 16, "depth": 1}}
    save_network(path, build_denoiser(config), {"network": facts})
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": 3}, "facts: network must be named values, got 3"),
        ({"network": {"arch": "mlp", "shape": [6], "sigma_data": 1.0}}, "network must have the field 'options'"),
        ({"indices": [0, -1]}, r"facts: indices\[1\] must be a whole number of at least 0, got -1"),
        ({"indices": "all"}, "facts: indices must be a list, got 'all'"),
        ({"seconds": "long"}, "facts: seconds must be a finite number of at least 0, got 'long'"),
        ({"images": "../x"}, "facts: images must be hexadecimal digits, got '../x'"),
    ],
)
def test_facts_of_a_network_are_checked(tmp_path: Path, change: dict[str, object], words: str) -> None:
    path = small(tmp_path / "model.safetensors")
    loaded = load_network(path)
    save_network(path, loaded.denoiser, loaded.facts | change)
    with pytest.raises(FileError, match=words):
        load_network(path)
    assert network_facts(path) is None


def test_networks_that_cannot_be_built_or_have_other_weights_are_named(tmp_path: Path) -> None:
    path = small(tmp_path / "model.safetensors")
    denoiser, facts = load_network(path)
    for change, words in (
        ({"arch": "gan"}, "network must be a configuration that can be built"),
        ({"options": {"width": 16, "depth": 1, "colour": 3}}, "network must be a configuration that can be built"),
        ({"options": {"width": 10**7, "depth": 3}}, r"must have the shape \(.*10000000.*\) of the network, got"),
        ({"options": {"width": 8, "depth": 1}}, r"must have the shape \(.*\) of the network, got"),
        ({"shape": [7]}, r"must have the shape \(.*\) of the network, got"),
    ):
        save_network(path, denoiser, facts | {"network": facts["network"] | change})
        with pytest.raises(FileError, match=words):
            load_network(path)


def test_networks_without_a_checksum_are_named(tmp_path: Path) -> None:
    path = small(tmp_path / "model.safetensors")
    with safe_open(path, framework="numpy") as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        metadata = {key: text for key, text in file.metadata().items() if key != "checksum"}
    save_file(arrays, path, metadata=metadata)
    with pytest.raises(FileError, match="it has no checksum, so another program or an earlier version wrote it"):
        load_network(path)
