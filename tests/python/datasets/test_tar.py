"""Tar archives and WebDataset shards: images, arrays, labels, links, and archives made to do harm."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from containers import encoded, npy, pngs, write_tar
from kappaflow.datasets import DataError, members, open_images, tar_files
from pictures import random_bytes, rows

IMAGES = random_bytes(12, 6, 5, 3)
PIXELS = IMAGES.reshape(12, -1) / 127.5 - 1


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz")])
@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_images_in_the_order_of_the_archive(tmp_path: Path, suffix: str, mode: str, format: int) -> None:
    files = dict(reversed(pngs(IMAGES, "a/" * 40 + "img").items()))
    path = tmp_path / f"data{suffix}"
    with tarfile.open(path, mode, format=format) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            (tmp_path / "one").write_bytes(content)
            archive.add(tmp_path / "one", name)
    source = open_images(path)
    assert (source.shape, source.count, source.labels) == ((6, 5, 3), 12, None)
    np.testing.assert_array_equal(rows(source, 5), PIXELS[::-1])
    np.testing.assert_array_equal(rows(source), PIXELS[::-1])


def webdataset(images: np.ndarray, first: int = 0) -> dict[str, bytes]:
    files = {}
    for number, image in enumerate(images, first):
        files[f"{number:06d}.png"] = encoded(image)
        files[f"{number:06d}.cls"] = str(number % 3).encode()
        files[f"{number:06d}.txt"] = b"a caption"
    return files


def write_shards(folder: Path) -> None:
    folder.mkdir()
    for shard in range(3):
        write_tar(folder / f"train-{shard:04d}.tar", webdataset(IMAGES[4 * shard : 4 * shard + 4], 4 * shard))


def test_shards_of_a_folder_and_by_braces(tmp_path: Path) -> None:
    write_shards(tmp_path / "shards")
    for data in (tmp_path / "shards", str(tmp_path / "shards" / "train-{0000..0002}.tar")):
        source = open_images(data)
        assert source.count == 12
        assert source.labels is not None
        np.testing.assert_array_equal(source.labels(), np.arange(12) % 3)
        np.testing.assert_array_equal(rows(source), PIXELS)
        assert source.provenance.left_out == ("12 files .txt",)
        assert "3 archives" in source.provenance.what
    two = open_images(str(tmp_path / "shards" / "train-000{0,2}.tar"))
    np.testing.assert_array_equal(rows(two), PIXELS[[0, 1, 2, 3, 8, 9, 10, 11]])
    with pytest.raises(DataError, match=r"1 of 4 archives do not exist, the first is train-0003\.tar"):
        open_images(str(tmp_path / "shards" / "train-{0000..0003}.tar"))


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("{08..11}.tar", ["08.tar", "09.tar", "10.tar", "11.tar"]),
        ("{a,b}-{1..2}.tar", ["a-1.tar", "a-2.tar", "b-1.tar", "b-2.tar"]),
        ("{}.tar", [".tar"]),
    ],
)
def test_braces(pattern: str, names: list[str]) -> None:
    assert tar_files.expand_braces(pattern) == names


@pytest.mark.parametrize("pattern", ["{0..99999999}.tar", "{5..2}.tar"])
def test_braces_that_name_too_many(pattern: str) -> None:
    with pytest.raises(DataError, match=r"must count upwards over at most 100,000 shards"):
        open_images(pattern)


def test_labels_in_json(tmp_path: Path) -> None:
    files = {}
    for number, image in enumerate(IMAGES):
        files[f"{number}.json"] = b'{"label": "class %d"}' % (number % 2)
        files[f"{number}.png"] = encoded(image)
    source = open_images(write_tar(tmp_path / "a.tar", files))
    assert source.labels is not None
    assert source.labels().tolist() == ["class 0", "class 1"] * 6
    files["3.json"] = b"[1]"
    source = open_images(write_tar(tmp_path / "b.tar", files))
    assert source.labels is not None
    missing = source.class_labels()
    assert missing.names == ("class 0", "class 1")
    assert missing.numbers.tolist() == [0, 1, 0, -1, 0, 1] + [0, 1] * 3


def test_arrays(tmp_path: Path) -> None:
    files = {f"{number}.npy": npy(image) for number, image in enumerate(IMAGES)}
    files |= {f"{number}.cls": b"7" for number in range(12)}
    for mode in ("w", "w:gz"):
        source = open_images(write_tar(tmp_path / "a.tar", files, mode=mode))
        assert source.labels is not None
        assert source.labels().tolist() == [7] * 12
        np.testing.assert_array_equal(rows(source), PIXELS)


def test_several_images_in_a_sample(tmp_path: Path) -> None:
    files = {"1.jpg": b"a", "1.seg.png": b"b"}
    with pytest.raises(DataError, match=r"its sample 1 has several images \(\.jpg, \.seg\.png\), and any may be meant"):
        open_images(write_tar(tmp_path / "a.tar", files))


# ---------------------------------------------------------------- harm
def test_links_and_devices_are_counted_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(IMAGES[0]))
    others = [
        link("b.png", str(tmp_path / "secret.png")),
        link("c.png", "img00000.png", tarfile.LNKTYPE),
        link("d.png", "", tarfile.FIFOTYPE),
        link("e.png", "", tarfile.CHRTYPE),
    ]
    source = open_images(write_tar(tmp_path / "a.tar", pngs(IMAGES), others))
    assert source.count == 12
    assert source.provenance.left_out == ("2 links: not files", "2 devices, pipes or sparse files: not files")


def test_names_that_leave_the_archive_are_only_names(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    names = ("../out.png", "/tmp/kappaflow-out.png", "a/../../out2.png")
    path = write_tar(inside / "a.tar", {name: encoded(image) for name, image in zip(names, IMAGES, strict=False)})
    assert len(rows(open_images(path))) == 3
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["a.tar"]
    assert not Path("/tmp/kappaflow-out.png").exists()


def test_large_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "IMAGE_BYTES", 1000)
    path = write_tar(tmp_path / "a.tar.gz", {"a.png": encoded(IMAGES[0]) + bytes(10_000)}, mode="w:gz")
    with pytest.raises(DataError, match=r"a\.png: takes 10,\d{3} bytes when unpacked, and at most 1,000 are read"):
        open_images(path)


def test_large_member_that_would_be_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_files, "SKIPPED_BYTES", 5000)
    files = {"a.bin": bytes(10_000), **pngs(IMAGES)}
    assert open_images(write_tar(tmp_path / "a.tar", files)).count == 12
    with pytest.raises(DataError, match=r"a\.bin: takes 10,000 bytes when unpacked, and at most 5,000 are unpacked"):
        open_images(write_tar(tmp_path / "a.tar.gz", files, mode="w:gz"))


def test_header_that_declares_gigabytes(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 2**40
    path = tmp_path / "a.tar"
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))
    with pytest.raises(DataError, match=r"a\.tar: not a tar archive that can be read \(a header takes 1,099,511,"):
        open_images(path)


def test_content_shorter_than_declared(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", {"a.npy": npy(np.zeros((40, 40)))})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"a\.npy: is damaged: it holds 1,488 of the 12,928 bytes|a\.tar: not a tar"):
        list(open_images(path))


@pytest.mark.parametrize("content", [b"", b"not a tar archive", b"\x1f\x8b damaged", bytes(3000)])
def test_not_a_tar(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tar: (not a tar archive that can be read|no images)"):
        open_images(tmp_path / "a.tar")


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    files = {"a.npy": npy(np.array([{}], object)), "a.pkl": b"cos\nsystem\n(S'touch pwned'\ntR.", "a.pyd": b"x"}
    with pytest.raises(DataError, match=r"a\.npy: holds Python objects \(a pickle\), which are never loaded"):
        open_images(write_tar(tmp_path / "a.tar", files))
