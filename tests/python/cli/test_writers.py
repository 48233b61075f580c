"""Two commands that write the same results, what a killed one leaves behind, and files that are not of kappaflow."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import contents, names, predict_small, refuse, run, succeed
from kappaflow import _folders
from kappaflow._json_files import with_checksum

_HOLD = (
    "import sys; from kappaflow._claims import Claim; "
    "claim = Claim(sys.argv[1]); print('claimed', flush=True); sys.stdin.read()"
)

#: Data and options of a simulation that ends soon.
SMALL_SIMULATION = [
    "data.npy",
    "--n",
    "6",
    "--draws",
    "40",
    "--inputs",
    "2",
    "--bands",
    "1",
    "--quantities",
    "gains",
    "-q",
]


@contextmanager
def writer(target: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that writes there."""
    command = [sys.executable, "-c", _HOLD, target]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"claimed\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("option", "target", "arguments"),
    [
        ("--out", "o", ("predict", "data.npy", "--out", "o")),
        ("--out", "o", ("lens", "data.npy", "--out", "o")),
        ("--out", "p.safetensors", ("moments", "data.npy", "--out", "p.safetensors")),
        ("--json", "s.json", ("plan", "data.npy", "--json", "s.json")),
        ("--write", "w.txt", ("seeds", "data.npy", "--write", "w.txt")),
        ("--runs", "r", ("validate", "network", "data.npy", "--runs", "r")),
        ("--runs", "r", ("pilot", "data.npy", "--runs", "r")),
    ],
)
def test_the_second_writer_is_refused_before_it_computes(folder, option, target, arguments):
    with writer(target) as first:
        message = refuse(*arguments)
    assert message.startswith(
        f"{option}: process {first.pid} of kappaflow writes '{target}': wait until it has ended, or use"
    )


def test_a_killed_writer_is_no_obstacle_and_leaves_nothing(folder, plain_report):
    with writer("o"):
        pass
    assert Path(".o.kappaflow-work/lock").exists()
    Path(".o.kappaflow-work/new").mkdir()
    Path(".o.kappaflow-work/new/report.html").write_text("half of a report")
    assert predict_small("--out", "o").exit_code == 0
    assert names(folder) == ["data.npy", "o"]
    assert len(names("o")) == 5


def test_files_in_a_workplace_that_are_not_of_kappaflow_stay(folder, plain_report):
    Path(".o.kappaflow-work").mkdir()
    Path(".o.kappaflow-work/mine.txt").write_text("mine")
    assert predict_small("--out", "o").exit_code == 0
    assert names(".o.kappaflow-work") == ["mine.txt"]


def test_a_link_to_a_folder_stays_a_link(folder, plain_report):
    Path("real").mkdir()
    Path("o").symlink_to("real")
    assert predict_small("--out", "o").exit_code == 0
    assert predict_small("--out", "o").exit_code == 0
    assert Path("o").is_symlink()
    assert len(names("real")) == 5
    assert names(folder) == ["data.npy", "o", "real"]


def test_a_link_to_a_file_stays_a_link(folder):
    Path("real.json").write_text("{}")
    Path("s.json").symlink_to("real.json")
    succeed("plan", "data.npy", "--bands", "1", "--json", "s.json", "--overwrite", "-q")
    assert Path("s.json").is_symlink()
    assert json.loads(Path("real.json").read_text())["format"] == "kappaflow-plan-1"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_devices_and_pipes_are_not_replaced(folder):
    os.mkfifo("pipe")
    message = "--json must name a regular file, got 'pipe', which is a device, pipe or socket"
    result = run("plan", "data.npy", "--json", "pipe", "--overwrite")
    assert (result.exit_code, result.stderr.strip()) == (2, f"error: {message}")
    assert Path("pipe").is_fifo()
    assert "which is a device" in run("plan", "data.npy", "--json", "/dev/null", "--overwrite").stderr


def test_nothing_is_removed_through_a_link_in_the_results(folder, plain_report):
    predict_small("--out", "o")
    Path("elsewhere").mkdir()
    Path("elsewhere/extra.svg").write_text("mine")
    Path("o/pictures").symlink_to("../elsewhere")
    former = json.loads(Path("o/options.json").read_text())
    former["files"] += ["pictures/extra.svg", "/etc/hosts", "a/../../data.npy"]
    Path("o/options.json").write_text(json.dumps(with_checksum(former)))
    assert predict_small("--out", "o").exit_code == 0
    assert Path("elsewhere/extra.svg").read_text() == "mine"
    assert Path("o/pictures").is_symlink()
    assert Path("data.npy").exists()


@pytest.mark.parametrize("whole", [True, False])
def test_results_that_cannot_be_placed_are_kept(folder, plain_report, monkeypatch, whole):
    """A folder of the user has the name of a file of the results."""
    if not whole:
        monkeypatch.setattr(_folders.ResultFolder, "_swap", lambda _self: False)
    Path("o/predictions.json").mkdir(parents=True)
    result = predict_small("--out", "o", "--overwrite")
    assert result.exit_code == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "error: --out: 'o' could not be written: 'predictions.json' in it is a folder; the results are kept in '"
    )
    kept = Path(last.partition("kept in '")[2].rstrip("'"))
    assert sorted(json.loads((kept / "options.json").read_text())["files"])[-1] == "report.html"
    assert (kept / "report.html").is_file()
    assert names(folder) == ["data.npy", "o", "o.kept"]
    assert names("o") == ["predictions.json"]


@pytest.mark.parametrize("what", ["report.html is a folder", "figures is a file", "tables is a link"])
def test_what_the_results_cannot_replace_is_found_before_the_work(folder, what):
    name, _, kind = what.split(maxsplit=2)
    path = Path("o", name)
    path.parent.mkdir()
    if kind == "a folder":
        path.mkdir()
    elif kind == "a file":
        path.write_text("mine")
    else:
        path.symlink_to("..")
    before = names("o")
    line = refuse("predict", "data.npy", "--out", "o", "--overwrite")
    assert line.startswith(f"--out: 'o' cannot take the results, because {name!r} in it is ")
    assert names("o") == before
    assert names(folder) == ["data.npy", "o"]


def test_files_that_appear_while_a_command_computes_are_not_replaced(folder, plain_report, monkeypatch):
    place = _folders.ResultFolder.place

    def late(self, *, overwrite):
        Path("o").mkdir()
        Path("o/report.html").write_text("mine")
        place(self, overwrite=overwrite)

    monkeypatch.setattr(_folders.ResultFolder, "place", late)
    result = predict_small("--out", "o")
    assert "'report.html' in it is not a result of kappaflow; the results are kept in" in result.stderr
    assert Path("o/report.html").read_text() == "mine"
    assert "report.html" in names("o.kept")


@pytest.mark.parametrize(("command", "option"), [("moments", "--out"), ("plan", "--json")])
def test_results_that_the_disk_does_not_take_are_kept_elsewhere(folder, monkeypatch, command, option):
    Path("full").mkdir()
    Path("tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder / "tmp"))
    replace = os.replace

    def full(old, new):
        if "full" in str(new):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(old, new)

    monkeypatch.setattr(os, "replace", full)
    result = run(command, "data.npy", option, "full/p.safetensors", "-q")
    assert result.exit_code == 1
    line = result.stderr.strip().splitlines()[-1]
    assert "could not be written: No space left on device; the results are kept in '" in line
    assert Path(line.partition("kept in '")[2].rstrip("'")).stat().st_size > 100
    assert names("full") == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of file sizes")
@pytest.mark.parametrize("most", [300, 10_000])
def test_a_disk_that_takes_only_part_of_a_file_leaves_the_earlier_results(folder, plain_report, most):
    predict_small("--out", "o")
    before = contents()
    Path("limited.py").write_text(
        "import resource, sys, kappaflow.cli as cli\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))\n"
        "sys.argv = ['kappaflow', 'predict', 'data.npy', *'--n 30,100 --seeds 4 --bands 2 --out o'.split()]\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "limited.py"], capture_output=True, text=True, check=False)
    Path("limited.py").unlink()
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == "error: the report could not be written: File too large"
    assert contents() == before
    assert predict_small("--out", "o").exit_code == 0


def test_networks_may_be_kept_in_the_folder_of_results(folder):
    small = (
        "--arch",
        "linear",
        "--n",
        "20",
        "--steps",
        "2",
        "--repeats",
        "1",
        "--seeds",
        "8",
        "--sampler-steps",
        "3",
        "-q",
    )
    command = (
        "validate",
        "network",
        "data.npy",
        *small,
        "--workers",
        "1",
        "--arms",
        "different",
        "--out",
        "o",
        "--runs",
    )
    assert refuse(*command, "o") == "--out and --runs must name two folders, got 'o' for both"
    Path("o/runs/half-done").mkdir(parents=True)  # an earlier run was stopped
    succeed(*command, "o/runs")
    kept = sorted(Path("o/runs").rglob("*.safetensors"))
    assert len(kept) == 4  # two networks and what they answered
    succeed(*command, "o/runs")
    assert sorted(Path("o/runs").rglob("*")) == sorted([*kept, *Path("o/runs").iterdir()])
    assert names(folder) == ["data.npy", "o"]
    assert "report.html" in names("o")


def test_a_folder_of_the_user_is_not_taken_for_an_interrupted_run(folder):
    Path("x.unfinished").mkdir()
    Path("x.unfinished/thesis.tex").write_text("mine")
    succeed("validate", "linear", *SMALL_SIMULATION, "--out", "x", "--overwrite")
    assert names("x.unfinished") == ["thesis.tex"]


def test_options_of_the_user_in_a_folder_of_that_name_stay(folder):
    Path("x.unfinished").mkdir()
    Path("x.unfinished/options.json").write_text("{}")
    message = refuse("validate", "linear", "data.npy", "--n", "6", "--out", "x", "--overwrite")
    assert message.startswith("--out: 'x.unfinished' holds an options.json that is not of this version of kappaflow")


def test_an_interrupted_run_that_has_done_nothing_is_no_obstacle(folder):
    Path("x.unfinished").mkdir()  # killed before it wrote its options
    succeed("validate", "linear", *SMALL_SIMULATION, "--out", "x")
    assert names(folder) == ["data.npy", "x"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_a_command_as_ctrl_c_does(folder, number, status):
    Path("wait.py").write_text(
        "import os, signal, sys, kappaflow.cli as cli, kappaflow.cli.moments as moments\n"
        f"moments.load_population = lambda *_: os.kill(os.getpid(), {int(number)})\n"
        "sys.argv = ['kappaflow', 'moments', 'data.npy', '--out', 'p.safetensors']\n"
        "cli.main()\n"
    )
    before = contents()
    default = lambda: signal.signal(number, signal.SIG_DFL)  # noqa: E731 - nohup ignores SIGHUP
    done = subprocess.run([sys.executable, "wait.py"], capture_output=True, text=True, check=False, preexec_fn=default)
    assert (done.returncode, done.stderr) == (status, "interrupted: nothing was written\n")
    assert contents() == before
