"""Every file that kappaflow reads back, with bytes flipped, cut and mixed, and with contents that no run has written.

A file that kappaflow wrote gives the same numbers or a clear error that names the file. A file that says something else, with a
checksum that fits, gives something possible or a clear error. Nothing else may be raised.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import cases

import kappaflow as kf
from kappaflow import _formats as formats
from kappaflow._json_files import read_facts, with_checksum, write_facts
from kappaflow._npy_files import read_npy
from kappaflow._schema import FileError, TensorFormat
from kappaflow._tensors import read_tensors, write_tensors
from kappaflow._torch_files import load_torch
from kappaflow.datasets.errors import DataError
from kappaflow.datasets.label_files import read_label_file

torch = pytest.importorskip("torch")

from kappaflow.maps import Map  # noqa: E402
from kappaflow.models.checkpoint import TrainingState, load_network, load_state, save_network, save_state  # noqa: E402
from kappaflow.models.config import NetworkConfig, build_denoiser  # noqa: E402
from kappaflow.validation.linear.draws import GaussianSets  # noqa: E402
from kappaflow.validation.linear.simulation import kept_statistics, simulate  # noqa: E402
from kappaflow.validation.linear.statistics import Design  # noqa: E402
from kappaflow.validation.network.probes import LEVELS, Answers, Probe  # noqa: E402

RNG = np.random.default_rng(0)


# ---------------------------------------------------------------- what is written and read
def population() -> kf.Population:
    rows = RNG.standard_normal((12, 2, 2)) * np.linspace(1, 2, 4).reshape(2, 2)
    return kf.Population.from_samples(rows, profiles=12, groups=np.repeat(np.arange(6), 2), provenance="toy")


def numbers_of_population(path: Path) -> dict[str, Any]:
    loaded = kf.Population.load(path)
    kf.Population(**loaded.__getstate__())  # what is loaded is what the constructor allows
    return {**loaded.__getstate__(), "provenance": loaded.provenance.as_json()}


@cache
def design() -> tuple[Design, GaussianSets]:
    map_ = Map.denoiser(0.5)
    inputs, spread = {map_.key: np.ones((2, 3))}, {map_.key: np.ones(3)}
    setup = Design(5, 2, 4, (map_,), inputs, spread, noise_variances=(0.1,), pair_modes=(0, 2))
    return setup, GaussianSets(kf.Population.from_spectrum([3.0, 2.0, 1.0]))


def numbers_of_statistics(path: Path) -> dict[str, Any]:
    statistics = kept_statistics(*design(), path)
    return {"done": statistics.done, **statistics.arrays, **{f"sum {key}": v for key, v in statistics.sums.items()}}


CONFIG = NetworkConfig("mlp", (3,), 1.0, {"width": 4, "depth": 1})


def write_network(path: Path) -> None:
    facts = {"network": dataclasses.asdict(CONFIG), "indices": [0, 2], "seconds": 1.5, "run": "mlp", "images": "ab12"}
    save_network(path, build_denoiser(CONFIG), facts)


def numbers_of_network(path: Path) -> dict[str, Any]:
    denoiser, facts = load_network(path)
    return {**facts, **{name: value.detach().numpy() for name, value in denoiser.named_parameters()}}


def new_state() -> TrainingState:
    network = json.loads(json.dumps(dataclasses.asdict(CONFIG)))
    return TrainingState.new(build_denoiser(CONFIG), {"network": network, "training": {"steps": 3}, "images": "ab12"})


def write_state(path: Path) -> None:
    state = new_state()
    for parameter in state.parameters.values():
        parameter.grad = torch.ones_like(parameter)
    state.optimiser.step()
    state.step = 1
    save_state(path, state, seconds=2.0)


def numbers_of_state(path: Path) -> dict[str, Any]:
    state = new_state()
    load_state(path, state)
    moments = {
        f"{name} {key}": v
        for name, p in state.parameters.items()
        for key, v in state.optimiser.state.get(p, {}).items()
    }
    arrays = {name: value.detach() for name, value in state.parameters.items()} | state.ema | moments
    return {"step": state.step, "seconds": state.seconds, **{name: value.numpy() for name, value in arrays.items()}}


PROBE = Probe((3,), {"seeds": np.ones((4, 3))}, {"own": np.ones((2, 3)), "shared": np.ones((1, 3))})


def write_answers(path: Path) -> None:
    loss = dict.fromkeys(PROBE.images, np.arange(float(len(LEVELS))))
    Answers({"seeds": RNG.standard_normal((4, 3))}, loss, np.ones((len(LEVELS), 1, 3))).save(path, "mlp")


def numbers_of_answers(path: Path) -> dict[str, Any]:
    answers = Answers.load(path, PROBE)
    return {**answers.samples, **answers.loss, "shared": answers.shared}


RUN = {"run": "a", "command": "train", "seed": 3, "steps": 0, "seconds": 1.25, "indices": [0, 1], "images": "ab"}
RUN |= {"shape": [2, 2], "result": "cd"}
OPTIONS = {"format": "kappaflow-run-1", "options": {"n": [30], "law": "κ"}, "files": ["a/b.svg", "options.json"]}


class Door(NamedTuple):
    """A kind of file: how it is written and read, its errors, and whether its checksum covers every byte that is read."""

    name: str
    write: Callable[[Path], Any]
    read: Callable[[Path], Any]
    errors: tuple[type[Exception], ...] = (FileError,)
    sealed: bool = True


def write_torch(path: Path) -> None:
    torch.save(torch.linspace(0, 1, 12).reshape(3, 4), path)


def write_labels(path: Path) -> None:
    np.savez(path, labels=np.arange(9), names=np.array(["a"] * 9))


DOORS = [
    Door("p.safetensors", lambda path: population().save(path), numbers_of_population),
    Door("n-5.safetensors", lambda path: simulate(*design(), checkpoint=path), numbers_of_statistics, (FileError, ValueError)),
    Door("model.safetensors", write_network, numbers_of_network),
    Door("training.safetensors", write_state, numbers_of_state, (FileError, ValueError)),  # that of another run
    Door("answers.safetensors", write_answers, numbers_of_answers),
    Door("run.json", lambda path: write_facts(path, RUN), lambda path: read_facts(path, formats.SCRIPT_RUN)),
    Door("options.json", lambda path: write_facts(path, OPTIONS), lambda path: read_facts(path, formats.RESULTS)),
    Door("noise.npy", lambda path: np.save(path, RNG.standard_normal((3, 4))), lambda path: read_npy(path, "noise"), sealed=False),
    Door("noise.pt", write_torch, lambda path: np.asarray(load_torch(path)), sealed=False),
    Door("labels.npz", write_labels, lambda path: read_label_file(f"{path}::labels"), (DataError,)),
    Door("labels.npy", lambda path: np.save(path, np.arange(9)), lambda path: read_label_file(str(path)), (DataError,), False),
    Door("labels.txt", lambda path: path.write_text("a\nb\nκ\n"), lambda path: read_label_file(str(path)), (DataError,), False),
]  # fmt: skip
BY_NAME = {door.name: door for door in DOORS}


class Written(NamedTuple):
    """The bytes of a file as it is written, and what is read from them."""

    content: bytes
    numbers: Any


@cache
def written(name: str) -> Written:
    door = BY_NAME[name]
    with TemporaryDirectory() as folder:
        path = Path(folder, door.name)
        door.write(path)
        return Written(path.read_bytes(), door.read(path))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other) and np.asarray(one).dtype == np.asarray(other).dtype
    return bool(one == other)


def outcome(door: Door, content: bytes) -> Any:
    """What is read from a file with this content; None if it is refused by a clear error."""
    with TemporaryDirectory() as folder:
        path = Path(folder, door.name)
        path.write_bytes(content)
        try:
            return door.read(path)
        except door.errors as error:
            text = str(error)
            assert len(text) > 20
            assert "broadcast" not in text
            return None


# ---------------------------------------------------------------- bytes
@pytest.mark.parametrize("name", BY_NAME)
@cases(40)
@given(data=st.data())
def test_flipped_bytes_give_the_same_numbers_or_an_error(name: str, data: st.DataObject) -> None:
    content = bytearray(written(name).content)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    found = outcome(BY_NAME[name], bytes(content))
    if BY_NAME[name].sealed and found is not None:
        assert same(found, written(name).numbers)


@pytest.mark.parametrize("name", BY_NAME)
@cases(25)
@given(data=st.data())
def test_cut_and_mixed_files_give_the_same_numbers_or_an_error(name: str, data: st.DataObject) -> None:
    content = written(name).content
    first, second = sorted(data.draw(st.tuples(*[st.integers(0, len(content))] * 2)))
    inserted = data.draw(st.one_of(st.just(b""), st.binary(max_size=9), st.just(content[first:second])))
    found = outcome(BY_NAME[name], content[:first] + inserted + content[second:])
    if BY_NAME[name].sealed and found is not None:
        assert same(found, written(name).numbers)


@pytest.mark.parametrize("name", BY_NAME)
@cases(10)
@given(other=st.sampled_from(sorted(BY_NAME)))
def test_files_of_another_kind_are_refused(name: str, other: str) -> None:
    if Path(name).suffix != Path(other).suffix:
        outcome(BY_NAME[name], written(other).content)
    elif name != other and BY_NAME[name].sealed:
        assert outcome(BY_NAME[name], written(other).content) is None


# ---------------------------------------------------------------- contents, with a checksum that fits
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.sampled_from([2**63, 10**400, -1, 1e308]),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["", "../../x", "/etc/passwd", "κ\0\x1b[2J", "mlp", "ab12"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "arch", "shape"]), inner, max_size=3)
    ),
    max_leaves=4,
)  # fmt: skip


def places_in(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in nested JSON."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [before, *(place for key in keys for place in places_in(value[key], (*before, key)))]


def changed_json(facts: Any, data: st.DataObject) -> Any:
    """The same JSON with another value somewhere, or without a field."""
    copy = json.loads(json.dumps(facts))
    place = data.draw(st.sampled_from(places_in(copy)))
    if not place:
        return data.draw(JSON)
    inside = copy
    for key in place[:-1]:
        inside = inside[key]
    if isinstance(inside, dict) and data.draw(st.booleans()):
        del inside[place[-1]]
    else:
        inside[place[-1]] = data.draw(JSON)
    return copy


def full(array: np.ndarray, value: float, *, least: bool) -> np.ndarray:
    """The value everywhere; in whole numbers, the least or the largest one."""
    if array.dtype.kind != "i":
        return np.full_like(array, value if array.dtype.kind == "f" else least)
    limits = np.iinfo(array.dtype)
    return np.full_like(array, limits.min if least else limits.max)


CHANGES: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda array: array[..., ::-1],
    lambda array: array[::-1],
    lambda array: array[:0],
    lambda array: array[:-1],
    lambda array: np.concatenate([array, array]),
    lambda array: array[None],
    lambda array: array.T,
    lambda array: 0 - array,
    lambda array: array * 3,
    lambda array: full(array, np.nan, least=True),
    lambda array: full(array, np.inf, least=False),
    lambda array: np.full_like(array, 1e300 if array.dtype == np.float64 else 7),
    lambda array: np.zeros_like(array),
    lambda array: array.astype(np.float32),
    lambda array: array.astype(np.int8),
    lambda array: array > 0,
]
FORMATS = {
    "p.safetensors": formats.POPULATION,
    "n-5.safetensors": formats.SIMULATION,
    "model.safetensors": formats.NETWORK,
    "training.safetensors": formats.TRAINING,
    "answers.safetensors": formats.ANSWERS,
}
NAMES = [
    "eigenvectors",
    "weights/x",
    "array:gain/x",
    "array:",
    "sum:",
    "shared",
    "samples/",
    "a",
    "",
    "../x",
    "κ\0",
    "done",
]


@cache
def parts(name: str) -> Any:
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(written(name).content)
        return read_tensors(path, FORMATS[name])


def resealed(name: str, arrays: dict[str, np.ndarray], facts: dict[str, Any], format: TensorFormat) -> bytes:
    with TemporaryDirectory() as folder:
        write_tensors(Path(folder, name), arrays, format=format, facts=facts)
        return Path(folder, name).read_bytes()


def is_usual(name: str, found: Any) -> None:
    """What every accepted file must satisfy, whatever it says."""
    for key, value in found.items():
        if isinstance(value, np.ndarray) and name != "answers.safetensors":
            assert np.isfinite(value).all(), key


@pytest.mark.parametrize("name", FORMATS)
@cases(80)
@given(data=st.data())
def test_arrays_that_nobody_wrote(name: str, data: st.DataObject) -> None:
    arrays, facts = dict(parts(name).tensors), parts(name).facts
    for _ in range(data.draw(st.integers(1, 2))):
        key = data.draw(st.sampled_from(sorted(arrays)))
        kind = data.draw(st.sampled_from(["change", "change", "change", "drop", "rename", "copy"]))
        if kind == "change":
            with np.errstate(all="ignore"):
                arrays[key] = np.ascontiguousarray(data.draw(st.sampled_from(CHANGES))(arrays[key]))
        elif kind == "copy":
            arrays[data.draw(st.sampled_from([*NAMES, *arrays]))] = arrays[key]
        elif len(arrays) > 1:
            array = arrays.pop(key)
            if kind == "rename":
                arrays[data.draw(st.sampled_from(NAMES))] = array
    found = outcome(BY_NAME[name], resealed(name, arrays, facts, FORMATS[name]))
    if found is not None:
        is_usual(name, found)


@pytest.mark.parametrize("name", FORMATS)
@cases(80)
@given(data=st.data())
def test_facts_that_nobody_wrote(name: str, data: st.DataObject) -> None:
    arrays, facts = parts(name)
    field = data.draw(st.sampled_from(sorted(facts)))
    changed = {**facts, field: changed_json(facts[field], data)}
    if data.draw(st.integers(0, 9)) == 0:
        del changed[field]
    found = outcome(BY_NAME[name], resealed(name, arrays, changed, FORMATS[name]))
    if found is not None:
        is_usual(name, found)


@pytest.mark.parametrize("name", ["run.json", "options.json"])
@cases(60)
@given(data=st.data())
def test_json_that_nobody_wrote(name: str, data: st.DataObject) -> None:
    facts = changed_json(RUN if name == "run.json" else OPTIONS, data)
    content = json.dumps(with_checksum(facts) if isinstance(facts, dict) else facts).encode()
    found = outcome(BY_NAME[name], content)
    if found is not None:
        assert isinstance(found.get("options", {}), dict)
        assert all(isinstance(text, str) for text in found.get("files", []))


@cases(60)
@given(data=st.data())
def test_headers_of_tensor_files_that_nobody_wrote(data: st.DataObject) -> None:
    """The table of a safetensors file: types, shapes and places of its arrays."""
    name = data.draw(st.sampled_from(sorted(FORMATS)))
    content = written(name).content
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    for _ in range(data.draw(st.integers(1, 2))):
        if isinstance(header, dict):
            header = changed_json(header, data)
    text = json.dumps(header).encode()
    found = outcome(BY_NAME[name], len(text).to_bytes(8, "little") + text + content[8 + length :])
    if found is not None:
        assert same(found, written(name).numbers)


# ---------------------------------------------------------------- what is named in files
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(["../data.npy", "/etc/hostname", "out/../../x", "link/x", "a\0b", "..\\x", "", ".", "..", "~/x", "link"]),
        st.text(max_size=6),
    ),
    max_size=6,
)  # fmt: skip


@cases(40)
@given(names=HOSTILE)
def test_nothing_outside_of_a_folder_of_results_is_listed(names: list[str]) -> None:
    from kappaflow.cli.output import _files_listed

    with TemporaryDirectory() as folder:
        write_facts(Path(folder, "options.json"), {**OPTIONS, "files": names})
        for name in _files_listed(Path(folder, "options.json")):
            real = os.path.normpath(os.path.join(folder, name))
            assert real.startswith(folder + os.sep)
            assert "\0" not in name


def test_every_door_reads_what_it_writes() -> None:
    for name in BY_NAME:
        assert same(outcome(BY_NAME[name], written(name).content), written(name).numbers)
    assert partial(outcome, BY_NAME["run.json"])(b"{}") is None
