"""Many runs, each in its own process. A run is kept under the hash of its configuration, so a sweep that was stopped can
continue.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..._checks import FloatArray, integer
from ..._files_inside import require_inside
from ..._repr import ShortRepr
from ..._schema import FileError
from ..._tensors import digest
from ...models.checkpoint import LoadedNetwork, check_state, load_network, save_network
from ...models.errors import TrainingError
from ...models.layout import to_tensor
from ...models.training import train, training_identity
from .plan import RunSpec
from .probes import Answers, Probe, examine

__all__ = [
    "Job",
    "Outcome",
    "answers_file",
    "answers_name",
    "check_kept",
    "configuration_hash",
    "execute",
    "folder_name",
    "layout_facts",
    "make_jobs",
    "run_jobs",
    "worker_count",
]

_MODEL, _STATE, _PROGRESS = "model.safetensors", "training.safetensors", "steps.txt"
#: Seconds between two looks at what the processes have done.
_POLL = 0.5


@dataclass(frozen=True, repr=False)
class Job(ShortRepr):
    """A run with its images and inputs, ready for any process.

    Attributes
    ----------
    spec : what is trained
    images : (n, d) rows of its training set
    probe : inputs of the network
    folder : where it is kept
    """

    spec: RunSpec
    images: FloatArray
    probe: Probe
    folder: Path


@dataclass(frozen=True, repr=False)
class Outcome(ShortRepr):
    """Result of a job.

    Attributes
    ----------
    key : of the run
    seconds : of training, over all sessions
    parameters : of the network
    path : of the file with its outputs
    """

    key: str
    seconds: float
    parameters: int
    path: Path

    def answers(self, probe: Probe) -> Answers:
        """The outputs for these inputs, read from disk: those of a large sweep need not fit into memory together."""
        return Answers.load(self.path, probe)


def make_jobs(
    runs: Sequence[RunSpec],
    images: FloatArray,
    shape: tuple[int, ...],
    noise: dict[str, FloatArray],
    folder: Path,
    *,
    steps: int,
    sigma_max: float,
    seed: int,
) -> list[Job]:
    """One job for each run.

    Parameters
    ----------
    runs : what is trained
    images : (N, d) all images
    shape : of one image
    noise : name → (Z, d) initial noise; networks of strata get only "seeds"
    folder : where runs are kept
    steps, sigma_max : of the sampler
    seed : of the noise on images
    """
    jobs = []
    for run in runs:
        own = images[run.own]
        probed = {"own": own[run.probed], "held_out": images[run.held_out]}
        if len(run.shared):
            probed["shared"] = images[run.shared]
        noise_of_run = noise if run.stratum is None else {"seeds": noise["seeds"]}
        probe = Probe(shape, noise_of_run, images=probed, noise_seed=seed, sigma_max=sigma_max, steps=steps)
        jobs.append(Job(spec=run, images=own, probe=probe, folder=folder / folder_name(run, own, shape)))
    return jobs


def folder_name(run: RunSpec, own: FloatArray, shape: tuple[int, ...]) -> str:
    """The name of the folder of a run with the training images `own` (n, d) of this shape."""
    return f"{run.arch}-n{run.n}-{configuration_hash(_identity(run, own) | layout_facts(shape))}"


def run_jobs(
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    device: str = "cpu",
    dask: str | None = None,
    training: bool = True,
    progress: Callable[[str, float], None] | None = None,
) -> list[Outcome]:
    """Train and sample every run that does not exist yet; the results are in the order of the jobs.

    Everything that exists is read and checked before anything is trained.

    Parameters
    ----------
    jobs : see :func:`make_jobs`
    workers : number of processes. By default, on a CPU there is one for each core, with one thread each, and on any other
        device there is one
    device : on which each computes
    dask : address of a Dask scheduler, used instead of local processes; its workers must have access to the same folder
    training : whether runs that do not exist are trained; if not, they are an error
    progress : called with the name of a step and the fraction of all training steps that is done

    Raises
    ------
    OSError
        A folder or a checkpoint cannot be written.
    ConnectionError
        No Dask scheduler answers.
    TrainingError
        A file of a kept run cannot be used, and nothing is trained; or a run diverged, and all others are done and kept.
    ImportError
        Dask is requested and not installed.
    """
    from joblib import Parallel, delayed

    local = worker_count(workers, device)
    check_kept(jobs, training=training)
    ordered = sorted(range(len(jobs)), key=lambda i: -jobs[i].spec.training.steps)
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
    with _watch(jobs, progress), _backend(dask):
        results = Parallel(n_jobs=-1 if dask else local, batch_size=1, max_nbytes="1M")(
            delayed(_attempt)(jobs[index], device, 1 if device == "cpu" else 0) for index in ordered
        )
    outcomes: dict[int, Outcome] = {}
    failures = []
    for index, result in zip(ordered, results, strict=True):
        if isinstance(result, str):
            failures.append(f"{jobs[index].spec.key}: {result}")
        else:
            outcomes[index] = result
    if failures:
        raise TrainingError(f"{len(failures)} of {len(jobs)} runs failed, the others are kept; {failures[0]}")
    return [outcomes[index] for index in range(len(jobs))]


def worker_count(workers: int | None, device: str) -> int:
    """Number of processes: the given number; by default one for each core on a CPU, and one on any other device.

    Raises
    ------
    ValueError, TypeError
        `workers` is not an integer of at least 1.
    """
    if workers is not None:
        return integer("workers", workers, 1)
    if device != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_kept(jobs: Sequence[Job], *, training: bool = True) -> None:
    """Read every file that jobs left earlier, so that a file that cannot be used is found before hours of work.

    Raises
    ------
    TrainingError
        A file is damaged, of another run, or outside of the folder of runs; or, without `training`, it does not exist.
    """
    failures = []
    for job in jobs:
        try:
            require_inside(job.folder, job.folder.parent)
            if (job.folder / _MODEL).exists():
                _kept_network(job, "cpu")
                if answers_file(job).exists():
                    Answers.load(require_inside(answers_file(job), job.folder), job.probe)
            elif not training:
                raise ValueError(f"there is no network {str(job.folder / _MODEL)!r}, and none is trained here")
            elif (job.folder / _STATE).exists():
                check_state(require_inside(job.folder / _STATE, job.folder), _training_identity(job))
        except ValueError as error:
            failures.append(f"{job.spec.key}: {error}")
    if failures:
        raise TrainingError(
            f"{len(failures)} of {len(jobs)} runs have files that cannot be used, and nothing was trained; {failures[0]}"
        )


def _kept_network(job: Job, device: str) -> LoadedNetwork:
    """The network of a job.

    Raises
    ------
    ValueError
        It is damaged, of another run, or lies outside of the folder.
    """
    model = require_inside(job.folder / _MODEL, job.folder)
    try:
        loaded = load_network(model, device)
    except FileError as error:
        raise ValueError(f"{str(model)!r} is damaged: remove it and it is trained again ({error.reason})") from error
    wanted = json.loads(json.dumps(_identity(job.spec, job.images)))
    changed = [name for name, value in wanted.items() if loaded.facts.get(name) != value]
    if changed:
        raise ValueError(
            f"{str(model)!r} is the network of another run (different: {', '.join(changed)}): remove it and it is trained again"
        )
    return loaded


@contextlib.contextmanager
def _backend(dask: str | None) -> Iterator[None]:
    if dask is None:
        yield
        return
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise ImportError('a Dask scheduler needs dask: pip install "kappaflow[distributed]"') from error
    from joblib import parallel_config

    client: Any = Client  # untyped
    try:
        opened = client(dask)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"dask must be the address of a scheduler that answers, got {dask!r}: {error}") from error
    with opened, parallel_config(backend="dask"):
        yield


def _attempt(job: Job, device: str, threads: int) -> Outcome | str:
    """The outcome, or why there is none: a run that diverged or is damaged must not stop the others."""
    try:
        return execute(job, device=device, threads=threads)
    except (FloatingPointError, ValueError) as error:
        return str(error)


def execute(job: Job, *, device: str = "cpu", threads: int = 1) -> Outcome:
    """Train and sample one run, or read it if it exists.

    Parameters
    ----------
    threads : number of threads of torch while this runs; 0 does not change it

    Raises
    ------
    ValueError
        The kept network is damaged, or has other settings.
    FloatingPointError
        The training diverged.
    """
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    try:
        return _execute(job, device)
    finally:
        torch.set_num_threads(before)


def answers_file(job: Job) -> Path:
    """The file in which the outputs of a job are kept; it exists once the job is done."""
    return job.folder / answers_name(job.probe)


def answers_name(probe: Probe) -> str:
    """The name of a file with the outputs of a model for these inputs; other inputs have another name."""
    return f"answers-{configuration_hash(_question(probe))}.safetensors"


def _execute(job: Job, device: str) -> Outcome:
    model, answers = job.folder / _MODEL, answers_file(job)
    if not model.exists():
        _train(job, device)
    denoiser, facts = _kept_network(job, device)
    for left_over in (_STATE, _PROGRESS):  # no longer needed, also those of a process that was killed just now
        (job.folder / left_over).unlink(missing_ok=True)
    parameters = sum(parameter.numel() for parameter in denoiser.parameters())
    if not answers.exists():
        examine(denoiser, job.probe, device=device).save(answers, job.spec.key)
    return Outcome(key=job.spec.key, seconds=float(facts.get("seconds", 0.0)), parameters=parameters, path=answers)


def _train(job: Job, device: str) -> None:
    spec, state = job.spec, job.folder / _STATE
    note = job.folder / _PROGRESS
    images = to_tensor(job.images, job.probe.shape)
    denoiser, seconds = train(
        spec.network, spec.training, images, device=device, checkpoint=state, progress=_throttled(note)
    )
    facts = {
        "network": asdict(spec.network),
        "training": asdict(spec.training),
        "run": spec.key,
        "stratum": spec.stratum,
        "seconds": seconds,
        "indices": spec.own.tolist(),
        "images": digest(job.images),
        "shape": list(job.probe.shape),
    }
    save_network(job.folder / _MODEL, denoiser, facts)


def _throttled(note: Path) -> Callable[[int], None]:
    """Writes the number of steps to a small file, once a second."""
    last = [0.0]

    def report(step: int) -> None:
        if time.monotonic() - last[0] > 1.0:
            last[0] = time.monotonic()
            with contextlib.suppress(OSError):  # a run must not fail because its progress cannot be shown
                note.write_text(str(step))

    return report


# --- progress ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _watch(jobs: Sequence[Job], progress: Callable[[str, float], None] | None) -> Iterator[None]:
    """Report what all processes have done while the block runs."""
    if progress is None:
        yield
        return
    finished = threading.Event()

    def look() -> None:
        total, reached = sum(job.spec.training.steps for job in jobs), 0
        while not finished.wait(_POLL):
            done, complete = 0, 0
            for job in jobs:
                if (job.folder / _MODEL).exists():
                    done, complete = done + job.spec.training.steps, complete + 1
                else:
                    done += _steps_done(job)
            reached = max(reached, done)  # a run that ends between the two looks shows no steps for a moment
            progress(f"training, {complete} of {len(jobs)} runs done", 0.97 * reached / total)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _steps_done(job: Job) -> int:
    try:
        return int((job.folder / _PROGRESS).read_text())
    except (OSError, ValueError):
        return 0


# --- identity ---------------------------------------------------------------------------------------------------------


def _identity(run: RunSpec, own: FloatArray) -> dict[str, Any]:
    return {"network": asdict(run.network), "training": asdict(run.training), "images": digest(own)}


def _training_identity(job: Job) -> dict[str, Any]:
    """What identifies the training of a job in its checkpoint, as :func:`~kappaflow.models.training.train` writes it."""
    return training_identity(job.spec.network, job.spec.training, to_tensor(job.images, job.probe.shape))


def _question(probe: Probe) -> dict[str, Any]:
    return {
        "noise": {name: digest(rows) for name, rows in probe.noise.items()},
        "images": {name: digest(rows) for name, rows in probe.images.items()},
        "noise_seed": probe.noise_seed,
        "sampler": [probe.sigma_max, probe.steps, probe.sigma_min],
    } | layout_facts(probe.shape)


def layout_facts(shape: tuple[int, ...]) -> dict[str, Any]:
    """Where the channels are, which neither rows nor tensor shapes show."""
    return {"layout": list(shape)} if len(shape) > 2 else {}


def configuration_hash(content: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that identify a configuration."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
