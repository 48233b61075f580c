"""Pilots of the user's own command: linear models follow the law of linear models, and what goes wrong is named."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from smooth import SHAPE, rough, smooth

torch = pytest.importorskip("torch")

from kappaflow.models.errors import TrainingError  # noqa: E402
from kappaflow.pilot.assemble import assemble_pilot, most_general_law  # noqa: E402
from kappaflow.pilot.commands import Call, Ended, last_line, run_calls, status_words  # noqa: E402
from kappaflow.pilot.results import Pilot, PilotSetup  # noqa: E402
from kappaflow.pilot.script import (  # noqa: E402
    NETWORKS,
    ScriptPlan,
    example_calls,
    make_script_plan,
    parse_command,
    script_notes,
    train_with_script,
)
from kappaflow.pilot.training import PilotMembers  # noqa: E402
from kappaflow.validation.network.context import Context, make_context  # noqa: E402
from kappaflow.validation.network.given import open_models  # noqa: E402
from kappaflow.validation.network.probes import LEVELS, Probe, examine  # noqa: E402
from user_scripts import SEED_NOISE, linear_command, model_command  # noqa: E402

IMAGES = smooth(4000)
SIZES = (60, 240)


@pytest.fixture(scope="module")
def context() -> Context:
    return make_context(IMAGES, SHAPE, seeds=96, sampler_steps=18, profiles=2000, manipulated=False)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan_of(text: str, *sizes: int, repeats: int = 1, steps: int | None = None) -> ScriptPlan:
    return make_script_plan(parse_command(text), len(IMAGES), n=sizes or (60,), repeats=repeats, steps=steps)


def fitted(plan: ScriptPlan, context: Context, members: PilotMembers, steps: int = 0) -> Pilot:
    setup = PilotSetup(
        networks=NETWORKS,
        n=plan.n,
        repeats=plan.repeats,
        steps=steps,
        seeds=np.array(context.seeds),
        sigma_max=context.sigma_max,
        sampler_steps=0,
        law=most_general_law(context).name,
        preset="",
        device="cpu",
        seed=0,
    )
    return assemble_pilot(context, members, setup=setup)


def calls() -> list[str]:
    """Arguments of the commands that ran, in their order."""
    return Path("calls.txt").read_text().splitlines() if Path("calls.txt").exists() else []


def linear_samples_of(run_images: np.ndarray, noise: np.ndarray, seed: int) -> np.ndarray:
    """What the command of the tests must write."""
    values, vectors = np.linalg.eigh(np.cov(run_images.T, bias=True))
    drawn = run_images.mean(axis=0) + (noise @ vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return np.asarray(drawn + SEED_NOISE * np.random.default_rng(seed).standard_normal(drawn.shape))


# ---------------------------------------------------------------- the whole pilot
def test_linear_models_of_a_command_follow_the_law_above_the_noise_of_their_seeds(
    workplace: Path,
) -> None:
    images = rough(4000)
    context = make_context(images, (6, 6), seeds=96, profiles=2000, manipulated=False)
    plan = make_script_plan(parse_command(linear_command(workplace)), len(images), n=SIZES, repeats=3)
    steps: list[tuple[str, float]] = []
    members = train_with_script(
        plan, context, Path("runs"), workers=2, progress=lambda step, done: steps.append((step, done))
    )
    assert len(members.full) == len(calls()) == 18
    assert members.shorter == ()
    assert ("training, 17 of 18 commands done", pytest.approx(0.97 * 17 / 18)) in steps
    assert [done for _, done in steps] == sorted(done for _, done in steps)
    noise = context.noise["seeds"] / context.sigma_max
    for member, run in zip(members.full, plan.runs, strict=True):
        expected = linear_samples_of(images[run.own], noise, run.seed)
        np.testing.assert_allclose(member.samples, expected, atol=1e-5)  # the files hold float32
        assert member.run.quality.passed, member.run.quality.reasons
        assert np.isnan(member.run.quality.held_out).all()
        assert member.run.training.seconds > 0
    pilot = fitted(plan, context, members)
    fit, everything = pilot.amount.fit, Pilot.at(pilot, 10**6).everything
    floor = 2 * SEED_NOISE**2 / (2 * np.mean(images.var(axis=0)) + 2 * SEED_NOISE**2)
    assert fit.data == pytest.approx(1.0, rel=0.1)
    assert fit.floor == pytest.approx(floor, rel=0.1)
    assert fit.optimisation < 0.05
    assert everything.value == pytest.approx(floor, rel=0.1)
    assert pilot.amount.data_floor < 0.1 * floor  # the same seeds: the noise of the seeds is the same
    assert all(np.isnan(pair.denoiser).all() for pair in pilot.pairs)


def test_the_effect_of_the_length_is_measured_if_the_command_takes_steps(context: Context, workplace: Path) -> None:
    """The noise of the seeds falls as 1/steps, so the floor falls as steps^−2."""
    plan = plan_of(linear_command(workplace, "steps", "{steps}"), 60, steps=4)
    members = train_with_script(plan, context, Path("runs"))
    assert [run.steps for run in plan.shorter] == [1, 1, 1, 2, 2, 2]
    assert {line.split()[-1] for line in calls()} == {"1", "2", "4"}
    length = fitted(plan, context, members, steps=4).length
    assert length is not None
    assert [each.steps for each in length.trainings] == [1, 2, 4]
    assert length.exponent == pytest.approx(2.0, rel=0.02)


# ---------------------------------------------------------------- what is run again, and what is not
def test_finished_runs_are_not_repeated(context: Context, workplace: Path) -> None:
    text = linear_command(workplace)
    first = train_with_script(plan_of(text), context, Path("runs"))
    again = train_with_script(plan_of(text), context, Path("runs"))
    assert len(calls()) == 3
    for a, b in zip(first.full, again.full, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)
    more = train_with_script(plan_of(text, *SIZES), context, Path("runs"))
    assert len(calls()) == 6
    np.testing.assert_array_equal(more.full[0].samples, first.full[0].samples)
    for result in Path("runs").glob("*/samples.npy"):
        assert sorted(path.name for path in result.parent.iterdir()) == ["log.txt", "run.json", "samples.npy"]
    with open("linear.py", "a") as program:
        program.write("\n# another version\n")
    train_with_script(plan_of(text), context, Path("runs"))
    assert len(calls()) == 9
    other = make_context(IMAGES, SHAPE, seeds=64, profiles=2000, manipulated=False)
    train_with_script(plan_of(text), other, Path("runs"))
    assert len(calls()) == 12


def test_a_stop_ends_the_commands_and_what_they_left_half_done_does_not_count(
    context: Context, workplace: Path
) -> None:
    Path("wait.txt").touch()  # then the second command waits
    plan = plan_of(linear_command(workplace, "wait"))
    sleep = time.sleep

    def interrupted(seconds: float) -> None:
        if Path("waiting.txt").exists():
            raise KeyboardInterrupt
        sleep(seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kappaflow.pilot.commands.time.sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_with_script(plan, context, Path("runs"))
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("waiting.txt").read_text()), 0)
    (half,) = Path("runs").glob("*/unfinished/samples.npy")
    assert half.read_bytes() == b"half of it"
    assert len(list(Path("runs").glob("*/samples.npy"))) == 1
    Path("wait.txt").unlink()
    members = train_with_script(plan, context, Path("runs"))
    assert len(members.full) == 3
    assert len(calls()) == 4  # the first is kept
    assert not list(Path("runs").glob("*/unfinished"))


# ---------------------------------------------------------------- what goes wrong
@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("status", r"the command ended with exit status 3; the last line of its output is 'no memory is left'"),
        ("nothing", r"exit status 0, but it did not write '.*/unfinished/samples\.npy'; it printed nothing"),
        ("shape", r"but samples must have the shape of the noise, \(96, 4, 4\), got \(96, 16\)"),
        ("nan", r"but samples must be finite, got 1 of 96 images with NaN or infinity"),
        ("text", r"but samples must be a \.npy file of numbers, got <U1"),
    ],
)
def test_a_command_that_fails_is_named_with_its_output(context: Context, workplace: Path, how: str, what: str) -> None:
    plan = plan_of(linear_command(workplace, how))
    with pytest.raises(TrainingError, match=rf"^your command n=60 A0 repeat 1: .*{what}") as caught:
        train_with_script(plan, context, Path("runs"))
    assert len(calls()) == 1  # the others would fail too
    log = str(caught.value).split("its output is in '")[1].split("'")[0]
    assert Path(log).read_text().startswith("$ ")
    assert str(caught.value).endswith("0 of 3 runs are finished and kept")
    assert not list(Path("runs").glob("*/samples.npy"))


def test_runs_beside_one_that_fails_are_kept(context: Context, workplace: Path) -> None:
    plan = plan_of(linear_command(workplace, "status"))
    Path("broken.txt").write_text(str(plan.runs[2].seed))
    with pytest.raises(TrainingError, match=r"B1 repeat 1: .* 2 of 3 runs are finished and kept$"):
        train_with_script(plan, context, Path("runs"))
    Path("broken.txt").write_text("none")
    assert len(train_with_script(plan, context, Path("runs")).full) == 3
    assert len(calls()) == 4


def test_a_damaged_result_is_named(context: Context, workplace: Path) -> None:
    plan = plan_of(linear_command(workplace))
    train_with_script(plan, context, Path("runs"))
    next(Path("runs").glob("*/samples.npy")).write_bytes(b"")
    with pytest.raises(
        TrainingError, match=r"samples\.npy' cannot be used: .*; remove its folder and it is trained again"
    ):
        train_with_script(plan, context, Path("runs"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"script must be a command line, got ''"),
        ("sh 'a", r"script must be a command line, got \"sh 'a\": No closing quotation"),
        ("sh {images} {noise} {samples}", r"script must have the placeholder \{seed\}, got"),
        ("sh {seed}", r"placeholder \{images\} and either \{noise\} with \{samples\} or \{model\}, got"),
        ("sh {images} {seed} {noise}", r"script must have the placeholder \{samples\}, got"),
        ("sh {images} {seed} {samples}", r"script must have the placeholder \{noise\}, got"),
        ("sh {images} {seed} {noise} {model}", r"either \{noise\} with \{samples\} or \{model\}, not both, got"),
        ("sh {images} {seed} {model} {epochs}", r"no placeholders but .* and \{steps\}; got \{epochs\} in"),
        ("no-such-program {images} {seed} {model}", r"must begin with a program that exists, got 'no-such-program'"),
    ],
)
def test_templates_that_cannot_work_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_command(text)


def test_templates_are_filled_in_word_by_word() -> None:
    command = parse_command("sh --data={images} 'two words' {seed} {model} '{\"a\": 1}'")
    assert command.filled({"images": "a b.npy", "seed": 3, "model": "m"}) == (
        "sh",
        "--data=a b.npy",
        "two words",
        "3",
        "m",
        '{"a": 1}',
    )
    assert not command.writes_samples
    assert not command.takes_steps
    assert script_notes(command) == []


def test_steps_are_given_where_the_command_takes_them_and_only_there() -> None:
    with pytest.raises(ValueError, match=r"steps must be given, because the command of the script has the placeholder"):
        plan_of("sh {images} {seed} {model} {steps}")
    with pytest.raises(
        ValueError, match=r"steps must not be given to a script without the placeholder \{steps\}, got 5"
    ):
        plan_of("sh {images} {seed} {model}", steps=5)
    plan = plan_of("sh {images} {seed} {model}", *SIZES, repeats=2)
    assert plan.shorter == ()
    a, b, other = (run.seed for run in plan.runs[:3])
    assert a == b != other
    assert max(run.seed for run in plan.runs) < 2**31
    assert len({run.seed for run in plan.runs}) == 4


def test_examples_are_one_command_of_each_kind(context: Context, workplace: Path) -> None:
    text = linear_command(workplace, "steps", "{steps}")
    shown = example_calls(plan_of(text, *SIZES, repeats=2, steps=8), context, Path("runs"))
    assert [call.name.split(" ", 2)[2] for call in shown] == [
        "n=60 A0 repeat 1, 8 steps",
        "n=240 A0 repeat 1, 2 steps",
        "n=240 A0 repeat 1, 4 steps",
        "n=240 A0 repeat 1, 8 steps",
    ]
    assert shown[0].words[2].startswith(str(workplace / "runs"))
    assert not Path("runs").exists()


# ---------------------------------------------------------------- commands that save a model
def test_models_of_a_command_are_sampled_and_judged_by_their_losses_too(context: Context, workplace: Path) -> None:
    plan = plan_of(model_command(workplace))
    members = train_with_script(plan, context, Path("runs"))
    paths = list(Path("runs").glob("*/model"))
    assert len(paths) == 3
    for member in members.full:
        assert member.run.quality.passed, member.run.quality.reasons
        assert np.isfinite(member.run.quality.held_out).all()
        assert member.run.training.parameters > 16 * 16
        assert member.answers.shared.shape[0] == len(LEVELS)
    denoisers = open_models(tuple(map(str, paths)), SHAPE, sigma_max=80.0).denoisers
    drawn = [examine(each, Probe(SHAPE, context.noise, {}, steps=18)).samples["seeds"] for each in denoisers]
    assert all(any(np.allclose(member.samples, rows) for rows in drawn) for member in members.full)
    written = {path: path.stat().st_mtime_ns for path in paths}
    other = make_context(IMAGES, SHAPE, seeds=32, sampler_steps=18, profiles=2000, manipulated=False)
    again = train_with_script(plan, other, Path("runs"))
    assert [len(member.samples) for member in again.full] == [32, 32, 32]
    assert {path: path.stat().st_mtime_ns for path in paths} == written


def test_a_model_that_cannot_be_opened_is_a_failure_of_the_run(context: Context, workplace: Path) -> None:
    Path("write.py").write_text("import sys\nopen(sys.argv[3], 'w').write('no model')\n")
    plan = plan_of(f"{sys.executable} write.py {{images}} {{seed}} {{model}}")
    with pytest.raises(
        TrainingError, match=r"A0 repeat 1: the command ended with exit status 0, but path must name a network"
    ):
        train_with_script(plan, context, Path("runs"))
    assert not list(Path("runs").glob("*/model"))


# ---------------------------------------------------------------- running commands
def call(folder: Path, text: str, name: str = "a") -> Call:
    return Call(name, (str(shutil.which("sh")), "-c", text), folder / f"{name}.txt")


def test_commands_run_a_few_at_once_and_end_in_any_order(tmp_path: Path) -> None:
    wanted = [
        call(tmp_path, f"test -e go || sleep {pause}; echo {pause}; exit {i}", str(i))
        for i, pause in enumerate((0.6, 0, 0))
    ]
    ends: list[tuple[int, Ended]] = []
    run_calls(wanted, workers=2, ended=lambda place, end: ends.append((place, end)))
    assert [place for place, _ in ends] == [1, 2, 0]
    assert [end.status for _, end in ends] == [1, 2, 0]
    assert ends[-1][1].seconds >= 0.6
    assert last_line(wanted[1].log) == "0"


def test_children_of_a_command_end_with_it(tmp_path: Path) -> None:
    child = tmp_path / "child.txt"
    running = call(tmp_path, f"trap '' TERM; sleep 600 & echo $! > {child}; sleep 600")

    def ended(_place: int, _end: Ended) -> None:
        while not child.exists() or not child.read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kappaflow.pilot.commands._GRACE", 0.2)
        with pytest.raises(KeyboardInterrupt):
            run_calls([running, call(tmp_path, "true", "b")], workers=2, ended=ended)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and alive(int(child.read_text())):
        time.sleep(0.02)
    assert not alive(int(child.read_text()))


def alive(number: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_last_line_of_an_output_is_found(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    for written, expected in (
        (b"$ command\n", ""),
        (b"$ command\nfirst\nlast \n\n", "last"),
        (b"$ command\n10%\r20%\r", "20%"),
        (b"$ command\n\xff\x1b[1m" + b"x" * 20_000, "\N{REPLACEMENT CHARACTER}"),
    ):
        log.write_bytes(written)
        line = last_line(log)
        assert line == expected or (line == "x" * 200 and len(written) > 10_000)
    assert status_words(2) == "ended with exit status 2"
    assert status_words(-9) == "was ended by SIGKILL"
    assert status_words(-200) == "was ended by signal 200"


def test_a_program_that_cannot_start_is_named(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("no program")
    program.chmod(0o755)
    with pytest.raises(TrainingError, match=r"a: the command '.*program' cannot be started: Exec format error"):
        run_calls([Call("a", (str(program),), tmp_path / "log.txt")], ended=lambda _place, _end: None)
