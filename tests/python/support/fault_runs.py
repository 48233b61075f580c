"""Commands at which every write fails, is interrupted or is the last thing that their process does.

A program, because processes are forked that die: ``python fault_runs.py FOLDER STRIDE CASE...`` prints the number of runs and what
was wrong after them. In each run the operation at one place in the order of all operations that change the disk is struck. Then old
or new results must be whole, and the same command must finish and leave nothing else behind.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from kappaflow import _folders, cli
from kappaflow._json_files import with_checksum
from smooth import rough
from user_scripts import linear_command

MODES = ("fail", "kill", "signal")
KILLED, TERMINATED = 137, 143
#: Audit events of what changes the disk; names are often relative to a descriptor, so all of them count.
_CHANGES = frozenset(
    f"os.{name}"
    for name in ("rename", "remove", "mkdir", "rmdir", "link", "symlink", "chmod", "chown", "utime", "truncate")
) | {"faults.fsync", "faults.save", "faults.exchange"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Strike:
    """An audit hook that strikes at one of the operations that change the disk."""

    def __init__(self, root: Path, mode: str, place: int) -> None:
        self.mode, self.place, self.log, self.active = mode, place, list[str](), False
        self._root = str(root)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active or not (event in _CHANGES or (event == "open" and self._is_write(*arguments))):
            return
        self.log.append(f"{event} {' '.join(str(each) for each in arguments[:2])}")
        if len(self.log) != self.place:
            return
        if self.mode == "fail":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.mode == "kill":
            os._exit(KILLED)
        os.kill(os.getpid(), signal.SIGTERM)

    def _is_write(self, path: object, _mode: object, flags: int) -> bool:
        if not isinstance(path, (str, bytes)) or not flags & _WRITING:
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(self._root)


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code, standard error, and operations until then; they are unknown if it was killed."""

    code: int
    errors: str
    log: list[str]


def run(
    arguments: list[str], folder: Path, root: Path, *, mode: str = "", place: int = 0, version: str = "new"
) -> Ended:
    """A command in a process of its own."""
    note, errors = root / "log.json", root / "errors.txt"
    note.write_text("[]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the process has one thread
        child = os.fork()
    if child == 0:
        code = 99
        try:
            os.chdir(folder)
            sys.stderr, sys.stdout, sys.argv = errors.open("w"), io.StringIO(), ["kappaflow", *arguments]
            import_module("kappaflow.cli.run").__version__ = version  # type: ignore[attr-defined]
            strike = Strike(root, mode, place)
            sys.addaudithook(strike)
            strike.active = True
            try:
                cli.main()
            except SystemExit as end:
                code = int(end.code or 0)
            strike.active = False
            note.write_text(json.dumps(strike.log))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), errors.read_text(), json.loads(note.read_text()))


# --- what is faster, or fails, in tests -------------------------------------------------------------------------------


def remember(module: str, name: str) -> None:
    """Let a function compute once, whatever its arguments."""
    place, results = import_module(module), list[Any]()
    compute = getattr(place, name)

    def recall(*arguments: Any, **options: Any) -> Any:
        if not results:
            results.append(compute(*arguments, **options))
        return results[0]

    setattr(place, name, recall)


def announce(place: Any, name: str, event: str, *, instead: Callable[..., Any] | None = None) -> None:
    """Let a function tell the audit hook that it is called, and do something else instead."""
    do = instead or getattr(place, name)

    def told(*arguments: Any, **options: Any) -> Any:
        sys.audit(event, *arguments[-1:])
        return do(*arguments, **options)

    setattr(place, name, told)


def prepare_process() -> None:
    """Two empty drawings, no page, no waiting for the disk, and operations of compiled code that the hook sees."""
    import safetensors.numpy

    def empty(document: Any, *, png: bool = False) -> dict[str, dict[str, bytes]]:
        svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>'
        return {picture.name: {"png" if picture.raster else "svg": svg} for picture in document.pictures[:2]}

    writer: Any = import_module("kappaflow.report.write")
    writer.draw, writer.page = empty, lambda document, _figures: f"<p>{document.facts['kappaflow']}</p>"
    announce(os, "fsync", "faults.fsync", instead=lambda _descriptor: None)
    announce(safetensors.numpy, "save_file", "faults.save")
    announce(_folders, "_exchange", "faults.exchange")


# --- folders of results -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A command and the folder in which it runs.

    Attributes
    ----------
    arguments : of the command
    out : its folder of results, or its files
    inside : where it runs
    foreign : whether the folder of results holds files of the user too
    remembered : functions that compute once
    exchange : whether folders can be exchanged
    first : whether there are no earlier results
    modules : what is imported once
    script : whether networks are trained by a command of the user
    """

    arguments: str
    out: tuple[str, ...] = ("o",)
    inside: str = ""
    foreign: bool = False
    remembered: tuple[str, ...] = ()
    exchange: bool = True
    first: bool = False
    modules: tuple[str, ...] = ("report",)
    script: bool = False


_PREDICT = "predict data.npy --n 30 --seeds 2 --bands 1 -q"
_MEMORY = ("predict.load_by_class", "predict.predict")
_FILES = (
    "loading.load_population",
    "seeds._networks",
    "seeds._linear",
    "seeds.load_population",
    "moments.load_population",
)
_TRAINED = "--arch linear --n 30 --steps 20 --batch 8 --repeats 1 --seeds 8 --sampler-steps 4 --workers 1 -q"
_NETWORKS = ("report", "validation.network.experiment", "validation.network.given", "validation.network.export")
CASES = {
    "replace": Case(f"{_PREDICT} --out o", remembered=_MEMORY),
    "first": Case(f"{_PREDICT} --out o", remembered=_MEMORY, first=True),
    "foreign": Case(f"{_PREDICT} --out o", remembered=_MEMORY, foreign=True),
    "two renames": Case(f"{_PREDICT} --out o", remembered=_MEMORY, foreign=True, exchange=False),
    "file by file": Case(
        f"{_PREDICT.replace('data', '../data')} --out .", inside="o", remembered=_MEMORY, foreign=True
    ),
    "lens": Case("lens data.npy trajectory -q --out o", remembered=("lens._look",)),
    "moments": Case("moments data.npy --out p.safetensors --overwrite -q", ("p.safetensors",), remembered=_FILES),
    "seeds": Case(
        "seeds data.npy --n 30 --seeds 8 --json s.json --write w.txt --overwrite -q",
        ("s.json", "w.txt"),
        remembered=_FILES,
    ),
    "plan": Case(
        "plan data.npy --bands 1 --json s.json --overwrite -q",
        ("s.json",),
        remembered=("plan.load_by_class", "plan.choose_law", "plan.images_needed"),
    ),
    "linear": Case(
        "validate linear data.npy --n 6 --draws 40 --inputs 2 --bands 1 --sampler-steps 3 --quantities gains --keep -q --out o",
        modules=("report", "validation.linear.experiment", "validation.linear.export"),
    ),
    "network": Case(f"validate network data.npy {_TRAINED} --arms different --runs runs --out o", modules=_NETWORKS),
    "pilot": Case(
        "pilot data.npy --n 60 --seeds 64 --repeats 1 -q --runs runs --out o",
        modules=(*_NETWORKS, "pilot.script", "pilot.assemble"),
        script=True,
    ),
}


@dataclass
class Report:
    """What was found."""

    runs: int = 0
    operations: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def content(path: Path) -> dict[str, str]:
    """Every file in a folder, or the file itself: name → contents, or the target of a link."""
    if path.is_file():
        return {"": path.read_bytes().hex()}
    found = {}
    for each in sorted(path.rglob("*")):
        if each.is_symlink():
            found[each.relative_to(path).as_posix()] = f"link to {os.readlink(each)}"
        elif each.is_file():
            found[each.relative_to(path).as_posix()] = each.read_bytes().hex()
    return found


_USER = {"thesis.tex": "mine", "figures/own.svg": "drawn by me", "notes/deep/a.txt": "a"}


def state(folder: Path, case: Case) -> str:
    """Which results a folder holds: those of version old or new, none; otherwise what is wrong."""
    if not folder.exists():
        return "none"
    there = set(content(folder))
    if case.foreign:
        for name, text in _USER.items():
            if not (folder / name).is_file() or (folder / name).read_text() != text:
                return f"the user's file {name} is lost"
        if not (folder / "link").is_symlink() or not (folder / "empty").is_dir():
            return "the user's link or folder is lost"
        there -= {*_USER, "link"}
    there = {name for name in there if ".kappaflow-work/" not in name}
    if not there:
        return "none"
    if "options.json" not in there:
        return f"results without options.json: {sorted(there)}"
    options = json.loads((folder / "options.json").read_text())
    version = str(options["machine"]["kappaflow"])
    if set(options["files"]) != there:
        return f"{version}: listed and present files differ: {sorted(set(options['files']) ^ there)}"
    for name in there:
        numbers = name.endswith(".json") and name != "options.json"
        if numbers and json.loads((folder / name).read_text())["version"] != version:
            return f"{version}: {name} is of other results"
    if f">{version}<" not in (folder / "report.html").read_text():
        return f"{version}: report.html is of other results"
    return version


class Trial:
    """Every fault of one case."""

    def __init__(self, name: str, root: Path, report: Report) -> None:
        self.name, self.case, self.root, self.report = name, CASES[name], root, report
        self.base, self.work = root / "base", root / "work"
        self.arguments = self.case.arguments.split()
        self.new: dict[str, dict[str, str]] = {}

    def prepare(self) -> None:
        """The folder before each run, with results of version old, and what a command without faults writes."""
        (self.base / self.case.inside).mkdir(parents=True)
        rng = np.random.default_rng(1)
        np.save(self.base / "data.npy", 0.4 * rng.standard_normal((60, 4, 4)) * np.linspace(1, 0.1, 16).reshape(4, 4))
        if self.case.script:
            np.save(self.base / "data.npy", rough(600).reshape(-1, 6, 6))
            self.arguments += ["--script", linear_command(self.root)]
        for each in self.case.modules:
            import_module(f"kappaflow.{each}")
        for each in self.case.remembered:
            module, _, function = each.partition(".")
            remember(f"kappaflow.cli.{module}", function)
        if self.case.remembered:  # computed in this process, for all
            self._warm_up()
        if not self.case.first:
            old = run(self.arguments, self.base / self.case.inside, self.root, version="old")
            assert old.code == 0, old.errors
            self._age()
        for name in () if self.is_folder else self.case.out:
            (self.base / name).write_bytes(b"old")
        self._restore()
        whole = self.run()
        assert whole.code == 0, whole.errors
        self.report.operations[self.name] = len(whole.log)
        if not self.is_folder:
            self.new = {name: content(self.work / name) for name in self.case.out}

    def _warm_up(self) -> None:
        here, streams, arguments = Path.cwd(), (sys.stdout, sys.stderr), sys.argv
        folder = self.root / "warm"
        shutil.copytree(self.base, folder)
        os.chdir(folder / self.case.inside)
        sys.stdout, sys.stderr, sys.argv = io.StringIO(), io.StringIO(), ["kappaflow", *self.arguments]
        try:
            cli.app(prog_name="kappaflow")
        except SystemExit as end:
            if end.code:
                raise ValueError(sys.stderr.getvalue()) from end  # type: ignore[attr-defined]
        finally:
            os.chdir(here)
            (sys.stdout, sys.stderr), sys.argv = streams, arguments

    def _age(self) -> None:
        """Let the old results have a file that the new ones have not, and files of the user beside them."""
        if not self.is_folder:
            return
        out = self.base / self.case.out[0]
        options = json.loads((out / "options.json").read_text())
        options["files"].insert(0, "figures/extra.svg")
        (out / "figures").mkdir(exist_ok=True)
        (out / "figures/extra.svg").write_text("old")
        (out / "options.json").write_text(json.dumps(with_checksum(options)))
        if self.case.foreign:
            for name, text in _USER.items():
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                (out / name).write_text(text)
            (out / "link").symlink_to("thesis.tex")
            (out / "empty").mkdir()

    @property
    def is_folder(self) -> bool:
        """Whether the command writes a folder of results."""
        return self.case.out == ("o",)

    def _restore(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.base, self.work, symlinks=True)
        (self.root / "tmp").mkdir(exist_ok=True)

    def run(self, mode: str = "", place: int = 0) -> Ended:
        """The command in the folder of this run."""
        self.report.runs += 1
        return run(self.arguments, self.work / self.case.inside, self.root, mode=mode, place=place)

    def states(self) -> list[str]:
        """Of the folder, or of each file."""
        if self.is_folder:
            return [state(self.work / "o", self.case)]
        found = []
        for name in self.case.out:
            there = content(self.work / name) if (self.work / name).exists() else {}
            found.append("new" if there == self.new[name] else "old" if there == {"": b"old".hex()} else "damaged")
        return found

    def strike_all(self, mode: str, stride: int) -> None:
        """Strike at each place, or at every `stride`-th."""
        for place in range(1, self.report.operations[self.name] + 1, stride):
            self._restore()
            ended = self.run(mode, place)
            where = (
                f"{self.name}, {mode} at {place} ({ended.log[place - 1] if len(ended.log) >= place else 'not known'})"
            )
            self._judge(where, mode, ended)
            again = self.run()
            if again.code != 0:
                self._complain(where, f"the same command ends with {again.code}: {again.errors.strip()}")
            elif set(self.states()) != {"new"}:
                self._complain(where, f"after the same command: {self.states()}")
            left = {path.name for path in self.work.rglob("*")} - {path.name for path in self.base.rglob("*")}
            odd = [name for name in left if name.startswith(".") or name.endswith((".unfinished", ".kept"))]
            if [name for name in odd if not name.endswith(".kept")]:
                self._complain(where, f"left behind: {odd}")

    def _judge(self, where: str, mode: str, ended: Ended) -> None:
        found = set(self.states())
        before = {"none"} if self.case.first else {"old"}
        between = mode == "kill" and (not self.case.exchange or self.case.inside)  # until the next start
        if not found <= {*before, "new"} and not (between and not any("user" in each for each in found)):
            self._complain(where, f"{sorted(found)}; {ended.errors.strip()}")
        expected = {"kill": {KILLED}, "signal": {TERMINATED}, "fail": {0, 1}}[mode]
        if ended.code not in expected:
            self._complain(where, f"exit code {ended.code}: {ended.errors.strip()}")
        if "internal" in ended.errors or "Traceback" in ended.errors:
            self._complain(where, ended.errors.strip())
        if mode == "fail" and ended.code == 0 and found != {"new"}:
            self._complain(where, f"it claims success with {sorted(found)}")
        if mode == "signal" and "interrupted: " not in ended.errors:
            self._complain(where, f"a signal without a word: {ended.errors.strip()}")
        if mode == "signal" and "nothing was written" in ended.errors and found != before:
            self._complain(where, f"something was written: {sorted(found)}")
        if mode == "signal" and "results were written" in ended.errors and "new" not in found:
            self._complain(where, f"nothing was written: {sorted(found)}")
        self._judge_kept(where, ended)

    def _judge_kept(self, where: str, ended: Ended) -> None:
        """Results that could not be written are whole where the message says that they are."""
        for line in ended.errors.splitlines():
            if " could not be written" in line and "--runs" not in line and "unfinished" not in line:
                _, found, kept = line.partition("the results are kept in '")
                place = self.work / self.case.inside / kept.rstrip("'\n")
                if not found or not place.exists():
                    self._complain(where, f"the results are lost: {line}")
                elif self.is_folder and state(place, Case("", foreign=False)) != "new":
                    self._complain(where, f"kept results are not whole: {state(place, Case(''))}")

    def _complain(self, where: str, what: str) -> None:
        self.report.problems.append(f"{where}: {what}")


@contextmanager
def exchange_as(possible: bool) -> Iterator[None]:
    """A system that can exchange two folders, or cannot."""
    before = _folders._exchange
    if not possible:
        _folders._exchange = lambda _one, _other: False  # type: ignore[assignment]
    try:
        yield
    finally:
        _folders._exchange = before


def main(folder: str, stride: str, *names: str) -> None:
    """Run cases, and print what was found as JSON."""
    report = Report()
    prepare_process()
    for name in names:
        root = Path(folder) / name.replace(" ", "-")
        (root / "tmp").mkdir(parents=True)
        tempfile.tempdir = str(root / "tmp")
        trial = Trial(name, root, report)
        with exchange_as(trial.case.exchange):
            trial.prepare()
            for mode in MODES:
                trial.strike_all(mode, int(stride))
        print(name, report.runs, report.operations[name], len(report.problems), file=sys.stderr, flush=True)
    print(json.dumps(vars(report), indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
