"""Images that belong together: by folder, by file, by a pattern in names, by labels; subsets of whole groups; mirror images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import kappaflow as kf
from kappaflow.datasets import open_images
from kappaflow.datasets.errors import DataError


def write_images(folder, names, side=6):
    """One PNG of random values for each name."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side), dtype=np.uint8)).save(path)
    return folder


@pytest.fixture
def clips(tmp_path):
    """Three clips of 4, 2 and 3 frames, whose file names do not follow the order of the folders."""
    names = [
        *(f"a/f{k}.png" for k in range(4)),
        *(f"b/deep/g{k}.png" for k in range(2)),
        *(f"c/f{k}.png" for k in range(3)),
    ]
    return write_images(tmp_path / "clips", names)


def groups_of(source):
    return kf.Population.from_samples(source, profiles=1000).groups.tolist()


def test_by_folder(clips):
    source = open_images(clips, groups="folder")
    assert groups_of(source) == [0, 0, 0, 0, 1, 1, 2, 2, 2]
    assert source.provenance.groups == "3 groups of 2 to 4 images, 3 on average (by folder)"
    assert ("groups", source.provenance.groups) in source.provenance.lines()
    assert any("only 3 groups" in text for text in source.provenance.warnings)


def test_by_a_pattern_and_its_brackets(clips):
    assert groups_of(open_images(clips, groups="^[abc]")) == [0, 0, 0, 0, 1, 1, 2, 2, 2]
    source = open_images(clips, groups=r"([0-9])\.png$")
    assert sorted(set(source.groups())) == ["0", "1", "2", "3"]
    assert groups_of(source) == [0, 0, 0, 1, 1, 1, 2, 2, 3]  # members stand next to each other
    with pytest.raises(DataError, match=r"'f\(\.\)' does not match 2 of 9: b/deep/g0.png, b/deep/g1.png"):
        open_images(clips, groups="f(.)")
    with pytest.raises(DataError, match=r"regular expression on file names, got 'f\('"):
        open_images(clips, groups="f(")
    with pytest.raises(DataError, match=r"must tell at least 2 groups apart, but all names match it by 'png'"):
        open_images(clips, groups="png")


def test_by_file_for_films(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    for film in range(3):
        frames = [
            Image.fromarray(np.random.default_rng(10 * film + k).integers(0, 256, (6, 6), dtype=np.uint8))
            for k in range(2 + film)
        ]
        frames[0].save(folder / f"film{film}.tif", save_all=True, append_images=frames[1:])
    source = open_images(folder, frames="all", groups="file")
    assert groups_of(source) == [0, 0, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("kind", ["npy", "npz", "key", "txt", "array", "floats", "column"])
def test_by_labels(tmp_path, kind):
    x, labels = np.random.default_rng(0).standard_normal((6, 4, 4)), np.array([7, 7, 3, 7, 3, 9])
    np.save(
        tmp_path / "l.npy",
        labels.astype(float) if kind == "floats" else labels[:, None] if kind == "column" else labels,
    )
    np.savez(tmp_path / "one.npz", labels=labels)
    np.savez(tmp_path / "two.npz", labels=labels, other=np.arange(6))
    (tmp_path / "l.txt").write_text("\n".join(f"patient {k}" for k in labels) + "\n")
    given = {"npz": "one.npz", "key": "two.npz::labels", "txt": "l.txt"}.get(kind, "l.npy")
    groups = labels if kind == "array" else str(tmp_path / given)
    assert groups_of(open_images(x, groups=groups)) == [0, 0, 0, 1, 1, 2]


def test_wrong_labels(tmp_path):
    x = np.random.default_rng(0).standard_normal((6, 4, 4))
    with pytest.raises(DataError, match=r"groups must be a file of arrays that exists, such as labels\.npy; got"):
        open_images(x, groups=str(tmp_path / "none.npy"))
    with pytest.raises(DataError, match="one label for each of the 6 samples, got 5 labels"):
        open_images(x, groups=np.arange(5) // 2)
    np.save(tmp_path / "half.npy", np.arange(6) / 2)
    with pytest.raises(
        DataError, match=r"groups must hold integers or strings, .* got dtype float64 \(labels of half\.npy\)"
    ):
        open_images(x, groups=str(tmp_path / "half.npy"))
    np.save(tmp_path / "nan.npy", np.array([1.0, 1.0, 2.0, 2.0, np.nan, 3.0]))
    with pytest.raises(DataError, match="groups must hold a label for each image, got NaN for 1 images"):
        open_images(x, groups=str(tmp_path / "nan.npy"))
    (tmp_path / "gap.txt").write_text("a\na\n\nb\nb\n\n")
    with pytest.raises(DataError, match="groups must hold a label for each image, got an empty text for 2 images"):
        open_images(x, groups=str(tmp_path / "gap.txt"))
    np.save(tmp_path / "objects.npy", np.array([{}] * 6, dtype=object))
    with pytest.raises(DataError, match=r"groups must be .* got 'objects\.npy': it holds Python objects \(a pickle\)"):
        open_images(x, groups=str(tmp_path / "objects.npy"))
    np.savez(tmp_path / "two.npz", a=np.arange(6), b=np.arange(6))
    with pytest.raises(
        DataError, match=r"groups: two\.npz holds several arrays that can be the labels.*as two\.npz::KEY"
    ):
        open_images(x, groups=str(tmp_path / "two.npz"))
    with pytest.raises(DataError, match="at least 2 different labels, got 1"):
        open_images(x, groups=np.zeros(6, dtype=int))
    with pytest.raises(DataError, match="groups='folder' needs images in files"):
        open_images(x, groups="folder")


def test_one_folder_is_no_group(tmp_path):
    with pytest.raises(DataError, match="at least 2 folders, got one folder"):
        open_images(write_images(tmp_path / "flat", ["a.png", "b.png"]), groups="folder")


def test_groups_of_one_image_change_nothing():
    x = np.random.default_rng(0).standard_normal((6, 4, 4))
    source = open_images(x, groups=np.arange(6))
    assert any("every image is in a group of its own" in text for text in source.provenance.warnings)
    assert kf.Population.from_samples(source).group_count is None


def test_groups_of_very_unequal_size_are_said_to_be_worth_fewer():
    """(150 + 150)²/(150² + 150) groups."""
    x = np.random.default_rng(0).standard_normal((300, 3, 3))
    source = open_images(x, groups=np.append(np.zeros(150, dtype=int), np.arange(1, 151)))
    assert any("151 groups are worth about 4 of equal size" in text for text in source.provenance.warnings)
    assert open_images(x, groups=np.arange(300) // 5).provenance.warnings == ()


def test_copies_in_groups_are_said_to_count():
    x = np.random.default_rng(0).standard_normal((60, 3, 3))
    twice = kf.Population.from_samples(np.repeat(x, 2, axis=0), groups=np.repeat(np.arange(30), 4))
    assert twice.sample_size == 120
    assert any("60 of 120 images are copies of others. With groups" in text for text in twice.provenance.warnings)


def test_a_limit_keeps_whole_groups():
    x = np.random.default_rng(0).standard_normal((100, 3, 3))
    labels = np.tile(np.arange(20), 5)
    source = open_images(x, groups=labels, limit=23)
    assert (source.count, len(source.groups())) == (20, 20)
    assert source.provenance.subset == "20 of 100 images: 4 of 20 groups, a random choice (seed 0)"
    rows, kept = np.concatenate(list(source.batches(7))), set(source.groups())
    np.testing.assert_array_equal(rows, x.reshape(100, 9)[[label in kept for label in labels]])
    assert kept != {0, 1, 2, 3}
    with pytest.raises(DataError, match="limit must be at least 10, so that two whole groups are kept, got 6"):
        open_images(x, groups=labels, limit=6)
    assert open_images(x, groups=labels, limit=100).count == 100


def test_a_limit_keeps_the_names_of_its_files(clips):
    source = open_images(clips, groups="folder", limit=8)
    assert len(source.names()) == source.count == len(list(source.groups()))
    assert {name.rpartition("/")[0] for name in source.names()} == set(source.groups())


def test_stacks_in_a_folder_are_groups_by_file(tmp_path):
    for number, count in enumerate((3, 2, 4)):
        np.save(tmp_path / f"clip{number}.npy", np.random.default_rng(number).standard_normal((count, 5, 5)))
    assert groups_of(open_images(tmp_path, groups="file")) == [0, 0, 0, 1, 1, 2, 2, 2, 2]


def test_patches_by_photograph():
    source = open_images("patches", patch=4, grey=True, limit=600, groups="photograph")
    labels = source.groups()
    assert source.count == len(labels) == 600
    assert set(labels) == {"astronaut", "chelsea", "coffee", "rocket", "china", "flower"}
    whole = open_images("patches", patch=4, grey=True)
    assert whole.labels().size == whole.count
    with pytest.raises(DataError, match="groups='photograph' is for the built-in data 'patches', got it for 'digits'"):
        open_images("digits", groups="photograph")


def test_mirror_images_and_groups_can_be_added_to_a_source():
    source = open_images("digits", limit=50)
    both = open_images(source, groups=np.arange(50) // 5, flip=True)
    population = kf.Population.from_samples(both, profiles=1000)
    assert (population.sample_size, population.group_count, population.versions) == (50, 10, 2)
    assert "horizontal flips" in " ".join(both.provenance.processing)
    assert population.provenance.groups == "10 groups of 5 images"
    halves = [each.population for each in kf.populations_by_class(both, np.arange(50) % 2).classes]
    assert [(half.sample_size, half.group_count, half.versions) for half in halves] == [(25, 10, 2)] * 2
    with pytest.raises(DataError, match=r"flip needs images with rows and columns, got the shape \(9,\)"):
        open_images(np.random.default_rng(0).standard_normal((10, 9)), flip=True)
