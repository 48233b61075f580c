"""Where the classes of images come from: labels in files, subfolders, items, and labels that the user gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import kappaflow as kf
from containers import encoded, npy, pngs, write_zip
from kappaflow.datasets import open_images
from kappaflow.datasets.errors import DataError
from kappaflow.datasets.label_files import read_label_file
from pictures import random_bytes

IMAGES = random_bytes(24, 4, 5)
LABELS = np.arange(24) % 3


def classes(data: Any, **options: Any) -> list[tuple[str, int]]:
    source = open_images(data, **options)
    list(source.batches())
    found = source.class_labels()
    return list(zip(found.names, found.counts.tolist(), strict=True))


def write_folder(root: Path, labels: Any = LABELS) -> Path:
    for number, (image, label) in enumerate(zip(IMAGES, labels, strict=True)):
        (root / f"c{label}").mkdir(parents=True, exist_ok=True)
        (root / f"c{label}" / f"{number:03}.png").write_bytes(encoded(image))
    return root


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images", "labels"),
        ("train_images", "train_labels"),
        ("x", "y"),
        ("X", "y"),
        ("x_train", "y_train"),
        ("arr_0", "arr_1"),
        ("data", "target"),
        ("pictures", "label"),
    ],
)
def test_keys_of_labels(tmp_path: Path, images: str, labels: str) -> None:
    np.savez(tmp_path / "a.npz", **{images: IMAGES, labels: LABELS[:, None], "other": np.arange(24)})
    source = open_images(tmp_path / "a.npz")
    found = source.class_labels()
    np.testing.assert_array_equal(found.numbers, LABELS)
    assert found.origin == f"the array '{labels}' of a.npz"


def test_labels_of_the_other_split_are_not_taken(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", train_images=IMAGES, test_labels=LABELS, val_labels=LABELS[:5])
    with pytest.raises(DataError, match=r"a\.npz: has no labels.*--labels FILE"):
        open_images(tmp_path / "a.npz").class_labels()


def test_containers_of_arrays_and_labels(tmp_path: Path) -> None:
    h5py, torch, zarr = (pytest.importorskip(name) for name in ("h5py", "torch", "zarr"))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["train/images"], file["train/labels"] = IMAGES, [f"name {k}" for k in LABELS]
    save_file({"images": IMAGES, "labels": LABELS}, tmp_path / "a.safetensors")
    torch.save({"images": torch.tensor(IMAGES), "targets": torch.tensor(LABELS)}, tmp_path / "a.pt")
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    group["images"], group["y"] = IMAGES, LABELS
    assert classes(tmp_path / "a.h5") == [("name 0", 8), ("name 1", 8), ("name 2", 8)]
    for name in ("a.safetensors", "a.pt", "a.zarr"):
        assert classes(tmp_path / name) == [("0", 8), ("1", 8), ("2", 8)], name


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_builtin_labels(name: str) -> None:
    source = open_images(name)
    found = source.class_labels()
    assert found.names == tuple("0123456789")
    assert len(found.numbers) == source.count
    some = open_images(name, limit=200)
    rows = np.concatenate(list(source.batches()))
    for row, number in zip(np.concatenate(list(some.batches()))[:20], some.class_labels().numbers, strict=False):
        assert found.numbers[np.flatnonzero((rows == row).all(axis=1))[0]] == number
    with pytest.raises(DataError, match="has no labels"):
        open_images("faces").class_labels()
    assert open_images("patches", limit=300).class_labels().names == tuple(
        sorted(("astronaut", "chelsea", "china", "coffee", "flower", "rocket"))
    )


def test_subfolders_of_folders_archives_and_arrays(tmp_path: Path) -> None:
    expected = [("c0", 8), ("c1", 8), ("c2", 8)]
    assert classes(write_folder(tmp_path / "a")) == expected
    assert classes(write_folder(tmp_path / "deep" / "inner" / "x").parents[1]) == expected
    members = {
        f"c{label}/{number}.png": encoded(image)
        for number, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True))
    }
    assert classes(write_zip(tmp_path / "a.zip", members)) == expected
    arrays = {
        f"c{label}/{number}.npy": npy(image) for number, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True))
    }
    assert classes(write_zip(tmp_path / "b.zip", arrays)) == expected


def test_images_beside_the_subfolders_have_no_class(tmp_path: Path) -> None:
    write_folder(tmp_path / "a")
    (tmp_path / "a" / "cover.png").write_bytes(encoded(IMAGES[0]))
    assert open_images(tmp_path / "a").class_labels().without_class == 1


def test_traffic_signs_in_folders_of_five_digits_are_classes(tmp_path: Path) -> None:
    for folder in range(3):
        (tmp_path / f"{folder:05}").mkdir()
        for number in range(4):
            (tmp_path / f"{folder:05}" / f"{number:05}_{number:05}.png").write_bytes(
                encoded(IMAGES[4 * folder + number])
            )
    assert classes(tmp_path) == [("00000", 4), ("00001", 4), ("00002", 4)]


def test_one_folder_of_images_in_each_class(tmp_path: Path) -> None:
    for folder in ("cat", "dog"):
        (tmp_path / folder / "images").mkdir(parents=True)
        for number in range(4):
            (tmp_path / folder / "images" / f"{number}.png").write_bytes(encoded(IMAGES[number]))
    assert classes(tmp_path) == [("cat", 4), ("dog", 4)]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (("train/0.png", "test/1.png"), "train are named as parts of a dataset"),
        (("a/cat/0.png", "a/dog/1.png", "b/cat/2.png", "b/dog/3.png"), "have the same subfolders cat, dog"),
        (("0.png", "1.png"), "are not in subfolders"),
        (("00000/img00000000.png", "00001/img00001000.png"), "hold images by their number"),
    ],
)
def test_subfolders_that_are_no_classes(tmp_path: Path, paths: tuple[str, ...], message: str) -> None:
    for number, path in enumerate(paths):
        (tmp_path / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / path).write_bytes(encoded(IMAGES[number]))
    with pytest.raises(DataError, match=f"data: .*{message}.*--labels FILE"):
        open_images(tmp_path / "data").class_labels()


@pytest.mark.parametrize("limit", [None, 10])
def test_given_labels_belong_to_stored_images(tmp_path: Path, limit: int | None) -> None:
    """Each image carries its number as its first pixel, so that its label is known."""
    images = IMAGES.copy()
    images[:, 0, 0] = np.arange(24)
    np.save(tmp_path / "a.npy", images)
    write_zip(tmp_path / "a.zip", pngs(images))
    (tmp_path / "a").mkdir()
    for name, content in pngs(images).items():
        (tmp_path / "a" / name).write_bytes(content)
    labels = np.array([f"k{number}" for number in range(24)])
    for data in (images, tmp_path / "a.npy", tmp_path / "a.zip", tmp_path / "a"):
        source = open_images(data, labels=labels, limit=limit, range=(0, 255))
        first = np.concatenate(list(source.batches()))[:, 0]
        found = source.class_labels()
        assert found.origin == "the labels given"
        assert [found.names[k] for k in found.numbers] == [f"k{round(127.5 * (x + 1))}" for x in first], data
        with pytest.raises(DataError, match=r"labels must hold one label for each of the 24 .*, got .*\(23,\)"):
            open_images(data, labels=labels[1:], limit=limit)


def test_given_labels_replace_those_of_the_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=IMAGES, y=LABELS)
    assert classes(tmp_path / "a.npz", labels=np.arange(24) % 2) == [("0", 12), ("1", 12)]
    assert classes(write_folder(tmp_path / "a"), labels=["x"] * 20 + ["y"] * 4) == [("x", 20), ("y", 4)]
    assert classes("digits", labels=np.arange(1797) % 2, limit=100)[0][0] == "0"


def test_a_corrupt_file_takes_its_label_along(tmp_path: Path) -> None:
    write_folder(tmp_path / "a")
    good = (tmp_path / "a" / "c1" / "001.png").read_bytes()
    (tmp_path / "a" / "c1" / "001.png").write_bytes(good[: len(good) - 30])
    source = open_images(tmp_path / "a", skip_corrupt=True)
    found = kf.populations_by_class(source)
    assert [one.images for one in found.classes] == [8, 7, 8]
    alone = kf.Population.from_samples(open_images(tmp_path / "a" / "c2"))
    population = found["c2"].population
    assert population is not None
    np.testing.assert_allclose(population.eigenvalues, alone.eigenvalues, rtol=1e-12, atol=1e-15)


def test_items_with_labels() -> None:
    images = [image.astype(np.float64) / 255 for image in IMAGES]
    pairs = list(zip(images, LABELS.tolist(), strict=True))
    loader = [(np.stack(images[k : k + 5]), LABELS[k : k + 5]) for k in range(0, 24, 5)]
    named = [{"image": image, "label": f"c{label}"} for image, label in pairs]
    for items in (pairs, iter(pairs), loader, named):
        source = open_images(items)
        found = kf.populations_by_class(source)
        assert [one.images for one in found.classes] == [8, 8, 8]
        assert found.origin == "the labels of the items"
    targets = [(image, image) for image in images]  # a network that maps images to images
    with pytest.raises(DataError, match="has no labels"):
        open_images(targets).class_labels()


def test_files_of_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", LABELS)
    np.savez("a.npz", images=IMAGES, y=LABELS)
    np.savez("b.npz", coarse=LABELS, fine=LABELS)
    np.save("c.npy", np.array([{}], dtype=object), allow_pickle=True)
    for text in ("a.npy", "a.npz", "a.npz::y", "b.npz::fine"):
        np.testing.assert_array_equal(read_label_file(text), LABELS)
    for text, message in {
        "b.npz": r"holds several arrays that can be the labels; it holds coarse .*b\.npz::KEY",
        "b.npz::medium": "holds no array 'medium'",
        "c.npy": "never loaded",
        "none.npy": "that exists",
        "a.csv": "that exists",
    }.items():
        with pytest.raises(DataError, match=message):
            read_label_file(text)
    Path("a.csv").write_text("1\n")
    with pytest.raises(DataError, match=r"must be a file of type \.npy, \.npz"):
        read_label_file("a.csv")
