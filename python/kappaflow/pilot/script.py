"""Pilots that the user's own command trains.

The command is a template. Its placeholders are filled in for every network:

* ``{images}``: a .npy file (n, \\*shape) of float32, the training images in the scale in which kappaflow reads them;
* ``{seed}``: a whole number, the seed of the initialisation and of every draw of the training;
* ``{noise}`` and ``{samples}``: a .npy file (Z, \\*shape) of float32 with standard normal noise, and the .npy file that the command
  writes: one image for each row, in the scale of the training images;
* or ``{model}``: the path at which the command saves a model that :func:`~kappaflow.models.opening.open_denoiser` opens;
* ``{steps}``, if it is there: the number of steps of the training.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import FloatArray, integer
from .._files import sync_file, sync_tree
from .._files_inside import require_inside
from .._formats import ANSWERS, SCRIPT_RUN
from .._json_files import digest_of_path, read_facts, write_facts
from .._repr import ShortRepr
from .._tensors import digest, read_tensors
from ..models.errors import TrainingError
from ..validation.network.context import Context
from ..validation.network.given import Given, Questions, open_models
from ..validation.network.members import Member, describe, pair_members
from ..validation.network.plan import ComparedModel, make_models, training_seed
from ..validation.network.probes import Answers
from ..validation.network.sweep import answers_name, configuration_hash, layout_facts
from .command_samples import read_samples
from .commands import Call, Ended, last_line, run_calls, status_words
from .training import PilotMembers, first_pair, shorter_lengths

__all__ = [
    "NETWORKS",
    "ScriptPlan",
    "ScriptRun",
    "TrainingCommand",
    "example_calls",
    "make_script_plan",
    "parse_command",
    "script_notes",
    "train_with_script",
]

#: What the networks are called.
NETWORKS = "your command"
_PLACEHOLDERS = ("images", "seed", "noise", "samples", "model", "steps")
_ALLOWED = "{images}, {seed}, {noise} with {samples}, {model} and {steps}"
_BRACED = re.compile(r"\{([A-Za-z_]\w*)\}")
#: Files that the command names and that are no longer than this are part of what identifies a run: scripts and configurations.
_SCRIPT_BYTES = 2**20
_UNFINISHED, _LOG, _FACTS = "unfinished", "log.txt", "run.json"
_SAMPLES, _MODEL = "samples.npy", "model"


@dataclass(frozen=True, repr=False)
class TrainingCommand(ShortRepr):
    """A template of a command; see :func:`parse_command`.

    Attributes
    ----------
    text : as it was given
    words : the program and its arguments, with placeholders
    """

    text: str
    words: tuple[str, ...]

    @property
    def placeholders(self) -> frozenset[str]:
        """Names of the placeholders."""
        return frozenset(name for word in self.words for name in _BRACED.findall(word))

    @property
    def writes_samples(self) -> bool:
        """Whether the command samples its network itself; otherwise it saves a model."""
        return "samples" in self.placeholders

    @property
    def takes_steps(self) -> bool:
        """Whether the length of the training can be set."""
        return "steps" in self.placeholders

    def length(self, steps: int | None) -> int:
        """The number of steps of the training; 0 if the command decides.

        Raises
        ------
        ValueError, TypeError
            Steps are missing, do not apply, or are no integer of at least 1.
        """
        if self.takes_steps and steps is None:
            raise ValueError(
                "steps must be given, because the command of the script has the placeholder {steps}, got none"
            )
        if steps is not None and not self.takes_steps:
            raise ValueError(f"steps must not be given to a script without the placeholder {{steps}}, got {steps}")
        return 0 if steps is None else integer("steps", steps, 1)

    def filled(self, values: Mapping[str, object]) -> tuple[str, ...]:
        """The words with a value for each placeholder."""
        return tuple(_BRACED.sub(lambda name: str(values[name[1]]), word) for word in self.words)

    def files(self) -> dict[str, str]:
        """Name → digest of the scripts and configurations that the command names, up to 1 MiB each."""
        found = {}
        for word in self.words:
            path = Path(word.rpartition("=")[2])
            if path.is_file() and path.stat().st_size <= _SCRIPT_BYTES:
                found[word] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        return found


def parse_command(text: str) -> TrainingCommand:
    """A command with placeholders, split into words as a shell would, although no shell runs it.

    Raises
    ------
    ValueError
        It is no command line, a placeholder is missing or unknown, or the program does not exist.
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"script must be a command line, got {text!r}: {error}") from error
    if not words:
        raise ValueError(f"script must be a command line, got {text!r}")
    command = TrainingCommand(text, words)
    there = command.placeholders
    unknown = sorted(there - set(_PLACEHOLDERS))
    if unknown:
        raise ValueError(f"script must have no placeholders but {_ALLOWED}; got {{{unknown[0]}}} in {text!r}")
    missing = [f"{{{name}}}" for name in ("images", "seed") if name not in there]
    if "model" not in there and not there & {"noise", "samples"}:
        missing.append("either {noise} with {samples} or {model}")
    elif "model" not in there:
        missing += [f"{{{name}}}" for name in ("noise", "samples") if name not in there]
    if missing:
        raise ValueError(f"script must have the placeholder {' and '.join(missing)}, got {text!r}")
    if "model" in there and there & {"noise", "samples"}:
        raise ValueError(f"script must have either {{noise}} with {{samples}} or {{model}}, not both, got {text!r}")
    if shutil.which(words[0]) is None:
        raise ValueError(f"script must begin with a program that exists, got {words[0]!r} in {text!r}")
    return command


# --- the plan ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, repr=False)
class ScriptRun(ComparedModel, ShortRepr):
    """A network that the command trains.

    Attributes
    ----------
    seed : of its initialisation and its training
    steps : of its training; 0 if the command decides
    """

    seed: int
    steps: int = 0


@dataclass(frozen=True, repr=False)
class ScriptPlan(ShortRepr):
    """What the command trains.

    Attributes
    ----------
    command : the template
    n : training-set sizes
    repeats : pairs of training sets of each size
    runs : the networks
    shorter : networks of the first pair at the largest size that are trained for fewer steps; none if the command decides
    seed : of splits and trainings
    """

    command: TrainingCommand
    n: tuple[int, ...]
    repeats: int
    runs: tuple[ScriptRun, ...]
    shorter: tuple[ScriptRun, ...]
    seed: int


def make_script_plan(
    command: TrainingCommand,
    images: int,
    *,
    n: Sequence[int],
    repeats: int = 2,
    split: str = "random",
    steps: int | None = None,
    seed: int = 0,
    groups: Any = None,
) -> ScriptPlan:
    """The networks that the command trains: those of :func:`~kappaflow.validation.network.plan.make_models`.

    A0 and B0 have the same seed, B1 another one.

    Parameters
    ----------
    command : the template
    images : number of images
    n, repeats, split, seed, groups : see :func:`~kappaflow.validation.network.plan.make_models`
    steps : of the training; needed if and only if the command has ``{steps}``

    Raises
    ------
    ValueError, TypeError
        Steps are missing or do not apply, two sets of a size do not fit, or settings or labels are out of range.
    """
    length = command.length(steps)
    models = make_models(images, archs=(NETWORKS,), n=n, repeats=repeats, split=split, seed=seed, groups=groups)
    runs = tuple(
        ScriptRun(**vars(model), seed=_script_seed(seed, model.repeat, model.member), steps=length) for model in models
    )
    shorter = [replace(run, steps=part) for part in shorter_lengths(length) for run in first_pair(runs)]
    return ScriptPlan(
        command=command,
        n=tuple(sorted(set(n))),
        repeats=repeats,
        runs=runs,
        shorter=tuple(shorter),
        seed=seed,
    )


def _script_seed(seed: int, repeat: int, member: int) -> int:
    """31 bits, which every library takes."""
    return training_seed(seed, repeat, member) >> 1


def script_notes(command: TrainingCommand) -> list[str]:
    """What a reader must know about pilots of this command."""
    if not command.writes_samples:
        return []
    return [
        "Your command writes samples only: the gate judges their variance and their distance to images, not how well the networks "
        "denoise."
    ]


# --- training ---------------------------------------------------------------------------------------------------------


def train_with_script(
    plan: ScriptPlan,
    context: Context,
    folder: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    progress: Callable[[str, float], None] | None = None,
) -> PilotMembers:
    """Run the command for every network that does not exist in `folder`, and read or draw the samples.

    A run is kept in a folder of its own with the output of its command. Its name is a hash of everything that determines it: the
    command, the scripts that it names, images, noise, seed, steps and layout. What a command writes counts only after it has
    ended well and its output is as it should be.

    Parameters
    ----------
    plan, context : of the same images
    folder : where runs are kept
    workers : number of commands at once
    device : on which models of the command are sampled
    progress : called with the name of a step and the fraction that is done

    Raises
    ------
    TrainingError
        A command failed, or what it wrote cannot be used. What was finished before is kept.
    ValueError, TypeError
        `workers` is not an integer of at least 1.
    OSError
        A folder or file cannot be written.
    """
    work = _Work(plan, context, folder, device)
    everything = (*plan.runs, *plan.shorter)
    missing = [run for run in everything if not work.result(run).exists()]
    for run in everything:
        if run not in missing:
            work.require_whole(run)
    calls = [work.call(run) for run in missing]

    def report() -> None:
        if progress is not None:
            done = sum(work.result(run).exists() for run in everything)
            progress(f"training, {done} of {len(everything)} commands done", 0.97 * done / len(everything))

    def ended(place: int, end: Ended) -> None:
        try:
            work.finish(missing[place], end)
        except TrainingError as error:
            kept = sum(work.result(run).exists() for run in everything)
            raise TrainingError(f"{error}. {kept} of {len(everything)} runs are finished and kept") from error
        report()

    report()
    run_calls(calls, workers=workers, started=lambda place: work.prepare(missing[place]), ended=ended)
    if progress is not None:
        progress("comparing", 0.98)
    members = [work.member(run) for run in everything]
    full = members[: len(plan.runs)]
    return PilotMembers(full=tuple(full), shorter=tuple(members[len(plan.runs) :]), pairs=tuple(pair_members(full)))


def example_calls(plan: ScriptPlan, context: Context, folder: Path) -> list[Call]:
    """A command of each kind, as it would run: the first for each size and number of steps."""
    work = _Work(plan, context, folder, "cpu")
    kinds = {(run.n, run.steps): run for run in reversed((*plan.runs, *plan.shorter))}
    return [work.call(run) for _, run in sorted(kinds.items())]


class _Work:
    """Files of the runs: what commands read and write."""

    def __init__(self, plan: ScriptPlan, context: Context, folder: Path, device: str) -> None:
        self._command, self._context, self._device, self._seed = plan.command, context, device, plan.seed
        self._folder = Path(os.path.abspath(folder))
        self._noise = (context.noise["seeds"] / context.sigma_max).reshape(-1, *context.shape).astype(np.float32)
        self._shared: dict[str, Any] = {"command": list(plan.command.words), "files": plan.command.files()}
        if plan.command.writes_samples:
            self._shared["noise"] = digest(self._noise)

    def _rows(self, run: ScriptRun) -> FloatArray:
        return self._context.images[run.own]

    def _place(self, run: ScriptRun) -> Path:
        """The folder of a run."""
        identity = {"images": digest(self._rows(run)), "seed": run.seed, "steps": run.steps}
        name = configuration_hash(self._shared | identity | layout_facts(self._context.shape))
        return self._folder / f"script-n{run.n}-{name}"

    def result(self, run: ScriptRun) -> Path:
        """What a finished run leaves; it exists once the run is finished."""
        return self._place(run) / (_SAMPLES if self._command.writes_samples else _MODEL)

    def call(self, run: ScriptRun) -> Call:
        """The command of a run."""
        place = self._place(run)
        names = {"images": "images.npy", "noise": "noise.npy", "samples": _SAMPLES, "model": _MODEL}
        values: dict[str, object] = {name: place / _UNFINISHED / file for name, file in names.items()}
        words = self._command.filled(values | {"seed": run.seed, "steps": run.steps})
        return Call(name=_name(run), words=words, log=place / _LOG)

    def prepare(self, run: ScriptRun) -> None:
        """Write what the command reads; what an earlier command left unfinished is removed."""
        unfinished = self._place(run) / _UNFINISHED
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        np.save(unfinished / "images.npy", self._rows(run).reshape(-1, *self._context.shape).astype(np.float32))
        if self._command.writes_samples:
            np.save(unfinished / "noise.npy", self._noise)

    def finish(self, run: ScriptRun, end: Ended) -> None:
        """Check what the command wrote, and keep it.

        Raises
        ------
        TrainingError
            The command failed, or its output cannot be used.
        """
        result, place = self.result(run), self._place(run)
        written = place / _UNFINISHED / result.name
        if end.status:
            raise self._failure(run, f"the command {status_words(end.status)}")
        if not written.exists():
            raise self._failure(run, f"the command ended with exit status 0, but it did not write {str(written)!r}")
        try:
            self._answers(run, require_inside(written, place))
            written_digest = digest_of_path(written)
        except (ValueError, ImportError, OSError) as error:
            raise self._failure(run, f"the command ended with exit status 0, but {_one_line(error)}") from error
        facts = {
            "run": _name(run),
            "command": self._command.text,
            "seconds": end.seconds,
            "shape": list(self._context.shape),
            "result": written_digest,
            **self._identity(run),
        }
        if written.is_dir():
            sync_tree(written)
        else:
            sync_file(written)
        write_facts(place / _FACTS, facts)
        os.replace(written, result)
        shutil.rmtree(place / _UNFINISHED, ignore_errors=True)

    def _failure(self, run: ScriptRun, what: str) -> TrainingError:
        log = self._place(run) / _LOG
        line = last_line(log)
        wrote = f"the last line of its output is {line!r}" if line else "it printed nothing"
        return TrainingError(f"{_name(run)}: {what}; {wrote}; its output is in {str(log)!r}")

    def require_whole(self, run: ScriptRun) -> float:
        """Check that the files of a finished run are those that it left; the seconds that it took.

        Raises
        ------
        TrainingError
            A kept file is damaged, changed, or of another run.
        """
        place, result = self._place(run), self.result(run)
        try:
            require_inside(result, self._folder)
            facts = read_facts(place / _FACTS, SCRIPT_RUN)
            changed = [name for name, value in self._identity(run).items() if facts[name] != value]
            if changed:
                raise ValueError(f"{_FACTS!r} is that of another run (different: {', '.join(changed)})")
            if facts["result"] != digest_of_path(result):
                raise ValueError(f"{result.name!r} has changed since the command wrote it")
            for kept in place.glob("answers-*.safetensors"):
                read_tensors(require_inside(kept, place), ANSWERS)
        except (ValueError, OSError) as error:
            raise self._unusable(run, error) from error
        return float(facts["seconds"])

    def _identity(self, run: ScriptRun) -> dict[str, Any]:
        """What the facts of a run must say."""
        return {"seed": run.seed, "steps": run.steps, "indices": run.own.tolist(), "images": digest(self._rows(run))}

    def _unusable(self, run: ScriptRun, error: Exception) -> TrainingError:
        return TrainingError(
            f"{_name(run)}: {str(self.result(run))!r} cannot be used: {_one_line(error)}; remove its folder and it is trained again"
        )

    def member(self, run: ScriptRun) -> Member:
        """A finished run with its gate.

        Raises
        ------
        TrainingError
            A kept file is damaged, changed, or of another run.
        """
        result, seconds = self.result(run), self.require_whole(run)
        try:
            answers = self._answers(run, result)
            parameters = 0 if self._command.writes_samples else self._opened(result).parameters(0)
        except (ValueError, ImportError, OSError) as error:
            raise self._unusable(run, error) from error
        return describe(self._context, run, answers, parameters=parameters, seconds=seconds, steps=run.steps)

    def _answers(self, run: ScriptRun, result: Path) -> Answers:
        """Samples of the network, and its losses if it is a model; the answers of a model are kept in the folder of the run."""
        if self._command.writes_samples:
            return Answers({"seeds": read_samples(result, self._noise.shape)})
        given = self._opened(result)
        scale = given.sigma_max / self._context.sigma_max
        context = replace(
            self._context,
            noise={name: scale * rows for name, rows in self._context.noise.items()},
            sigma_max=given.sigma_max,
        )
        questions = Questions(context, given, sampler_steps=context.steps, seed=self._seed, device=self._device)
        probe = questions.probe(run)
        kept = self._place(run) / answers_name(probe)
        if not kept.exists() or result.parent.name == _UNFINISHED:
            questions.answers(0, run).save(kept, _name(run))
        return Answers.load(kept, probe)

    def _opened(self, model: Path) -> Given:
        return open_models((str(model),), self._context.shape, sigma_max=self._context.sigma_max, device=self._device)


def _name(run: ScriptRun) -> str:
    """``your command n=300 A0 repeat 1``; with the steps where they are known."""
    return f"{run.key}, {run.steps:,} steps" if run.steps else run.key


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
