"""Parquet and Arrow files and datasets saved to disk: columns, splits, labels, and files made to do harm."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from containers import encoded
from kappaflow.datasets import DataError, open_images, table_parts
from pictures import random_bytes, rows, write_images

IMAGES = random_bytes(12, 6, 5, 3)
PIXELS = IMAGES.reshape(12, -1) / 127.5 - 1
FEATURES = {
    "image": {"_type": "Image"},
    "label": {"_type": "ClassLabel", "names": ["cat", "dog", "owl"]},
}


def table(images: np.ndarray = IMAGES, **columns: Any) -> pa.Table:
    """A table as the package ``datasets`` writes it: the bytes and the path of each image, and the number of its class."""
    values = {
        "image": [{"bytes": encoded(image), "path": f"{number}.png"} for number, image in enumerate(images)],
        "label": [number % 3 for number in range(len(images))],
        **columns,
    }
    result = pa.table(values)
    return result.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})})


def write(path: Path, data: pa.Table, rows: int = 5, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(data, path, row_group_size=rows, **options)
    elif path.suffix == ".feather":
        pyarrow.feather.write_feather(data, path, chunksize=rows, **options)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, data.schema, **options) as writer:
            writer.write_table(data, max_chunksize=rows)
    return path


def write_saved(folder: Path, data: pa.Table = table(), files: int = 2) -> Path:  # noqa: B008
    """A folder as ``Dataset.save_to_disk`` writes it."""
    names = [f"data-{number:05d}-of-{files:05d}.arrow" for number in range(files)]
    size = -(-data.num_rows // files)
    for number, name in enumerate(names):
        write(folder / name, data.slice(number * size, size))
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    return folder


# ---------------------------------------------------------------- images
@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather"])
def test_encoded_images(tmp_path: Path, suffix: str) -> None:
    source = open_images(write(tmp_path / f"data{suffix}", table(caption=["x"] * 12)))
    assert (source.shape, source.count) == ((6, 5, 3), 12)
    assert source.provenance.description.startswith(f"the column 'image' of data{suffix}: 12 image files")
    assert source.provenance.left_out == ("1 other column: caption",)
    assert source.labels is not None
    assert source.labels().tolist() == ["cat", "dog", "owl"] * 4
    assert source.labels_from == f"the column 'label' of data{suffix}"
    np.testing.assert_array_equal(rows(source, 7), PIXELS)
    np.testing.assert_array_equal(rows(open_images(tmp_path / f"data{suffix}", size=3, grey=True)).shape, (12, 9))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_bytes_without_paths(tmp_path: Path, kind: pa.DataType) -> None:
    data = pa.table({"jpg": pa.array([encoded(image) for image in IMAGES], kind), "text": [b"a caption"] * 12})
    source = open_images(write(tmp_path / "data.parquet", data))
    assert source.labels is None
    np.testing.assert_array_equal(rows(source), PIXELS)


def nested(images: np.ndarray, kind: pa.DataType, fixed: bool = False) -> pa.Array:
    """Lists of lists of numbers, of the shape of the images."""
    array = pa.array(images.reshape(-1), kind)
    for side in images.shape[:0:-1]:
        if fixed:
            array = pa.FixedSizeListArray.from_arrays(array, side)
        else:
            array = pa.ListArray.from_arrays(pa.array(np.arange(0, len(array) + 1, side), pa.int32()), array)
    return array


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("kind", [pa.uint8(), pa.float32(), pa.float64()])
def test_lists_of_numbers(tmp_path: Path, suffix: str, fixed: bool, kind: pa.DataType) -> None:
    values = IMAGES if kind == pa.uint8() else PIXELS.reshape(IMAGES.shape).astype(kind.to_pandas_dtype())
    data = pa.table({"pixels": nested(values, kind, fixed), "label": ["a"] * 12})
    source = open_images(write(tmp_path / f"data{suffix}", data))
    assert source.shape == (6, 5, 3)
    np.testing.assert_array_equal(rows(source, 5), rows(open_images(values)))
    np.testing.assert_array_equal(
        rows(open_images(tmp_path / f"data{suffix}", limit=4)), rows(open_images(values, limit=4))
    )
    assert source.labels is not None
    assert source.labels().tolist() == ["a"] * 12


def test_tensors(tmp_path: Path) -> None:
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(IMAGES)
    source = open_images(write(tmp_path / "data.arrow", pa.table({"x": column})))
    assert source.shape == (6, 5, 3)
    np.testing.assert_array_equal(rows(source), PIXELS)


def test_rows_of_lists_are_vectors_unless_a_shape_is_given(tmp_path: Path) -> None:
    path = write(tmp_path / "data.parquet", pa.table({"x": nested(IMAGES.reshape(12, 90), pa.uint8())}))
    assert open_images(path).shape == (90,)
    assert open_images(path, shape=(6, 5, 3)).shape == (6, 5, 3)


# ---------------------------------------------------------------- splits
def test_saved_dataset(tmp_path: Path) -> None:
    source = open_images(write_saved(tmp_path / "saved"))
    assert source.name == "saved"
    assert source.labels is not None
    assert source.labels().tolist() == ["cat", "dog", "owl"] * 4
    np.testing.assert_array_equal(rows(source), PIXELS)


def test_splits_of_a_saved_dataset(tmp_path: Path) -> None:
    write_saved(tmp_path / "saved" / "train")
    (tmp_path / "saved" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert open_images(tmp_path / "saved").count == 12
    write_saved(tmp_path / "saved" / "test", table(IMAGES[:2]), 1)
    with pytest.raises(DataError, match=r"saved: holds the splits test, train; type one .*, as saved::train"):
        open_images(tmp_path / "saved")
    assert open_images(tmp_path / "saved" / "test").count == 2
    for key in ("test", "test/image"):
        source = open_images(f"{tmp_path / 'saved'}::{key}")
        assert source.count == 2
        assert source.provenance.what.startswith("the column 'image' of the split 'test' of the saved dataset saved")
        assert source.provenance.left_out == ("the split train",)
    with pytest.raises(DataError, match=r"splits test, train, got 'valid'"):
        open_images(f"{tmp_path / 'saved'}::valid")


def test_splits_of_a_folder_of_tables(tmp_path: Path) -> None:
    for number in range(3):
        write(
            tmp_path / "data" / f"train-{number:05d}-of-00003-a1b2.parquet", table(IMAGES[4 * number : 4 * number + 4])
        )
    np.testing.assert_array_equal(rows(open_images(tmp_path / "data")), PIXELS)
    write(tmp_path / "data" / "test-00000-of-00001.parquet", table(IMAGES[:2]))
    with pytest.raises(DataError, match=r"data: holds the splits test, train; type one of .*, as data::train"):
        open_images(tmp_path / "data")
    source = open_images(f"{tmp_path / 'data'}::train")
    np.testing.assert_array_equal(rows(source), PIXELS)
    assert source.provenance.left_out == ("1 other column: label", "the split test") or source.labels is not None
    pattern = str(tmp_path / "data" / "train-{00000..00002}-of-00003-a1b2.parquet")
    np.testing.assert_array_equal(rows(open_images(pattern)), PIXELS)


# ---------------------------------------------------------------- refused
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": ["x", "y"], "b": [1, 2]}, r"no column holds encoded images .*; its columns are a: string, b: int64"),
        (
            {f"pixel{n}": [1] for n in range(20)},
            r"pixel9: int64 and 10 more; if each column is a pixel, save the columns as one",
        ),
        ({"x": [[1, 2], [1, 2, 3]]}, r"column 'x': lists of different lengths, from 2 to 3"),
        ({"x": [[1, 2], None]}, r"column 'x': 1 values are missing \(null\)"),
        ({"p": [[1, 2]], "q": [[1, 2]]}, r"several arrays .*: p \(1, 2\) int64, q \(1, 2\) int64; .* data\.parquet::p"),
        ({"image": [{"bytes": None, "path": "/etc/passwd"}]}, r"row 0: the image itself is not in the file"),
        ({"x": pa.array([], pa.list_(pa.int64()))}, r"the table has no rows"),
    ],
)
def test_refused(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    if "image" in columns:
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        columns = {"image": pa.array(columns["image"], kind)}
    with pytest.raises(DataError, match=message):
        list(open_images(write(tmp_path / "data.parquet", pa.table(columns))))


def test_shapes_that_differ_between_parts(tmp_path: Path) -> None:
    path = write(tmp_path / "data.parquet", pa.table({"x": [[1.0, 2], [1, 2], [1, 2, 3]]}), rows=2)
    with pytest.raises(DataError, match=r"images of different shapes in the column 'x': \(2,\) float64 and \(3,\)"):
        list(open_images(path))


def test_damaged_images_are_skipped_by_their_rows(tmp_path: Path) -> None:
    values = [
        {"bytes": encoded(image)[: 40 if number == 7 else None], "path": None} for number, image in enumerate(IMAGES)
    ]
    path = write(tmp_path / "data.parquet", pa.table({"image": values}))
    skipped: list[str] = []
    np.testing.assert_array_equal(
        rows(open_images(path, skip_corrupt=True, on_skip=skipped.append)), np.delete(PIXELS, 7, axis=0)
    )
    assert [text.split(":")[0] for text in skipped] == ["data.parquet, row 7"]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather"])
@pytest.mark.parametrize("size", [0, 5, 300])
def test_damaged_files(tmp_path: Path, suffix: str, size: int) -> None:
    path = write(tmp_path / f"data{suffix}", table())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        DataError, match=rf"data{suffix}: not a table that can be read|data{suffix}: the table has no rows"
    ):
        list(open_images(path))


# ---------------------------------------------------------------- harm
def test_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "data.parquet", pa.table({"x": nested(np.zeros((9, 9000), np.uint8), pa.uint8())}), 9)
    assert open_images(path).count == 9
    monkeypatch.setattr(table_parts, "PART_BYTES", 10)
    with pytest.raises(DataError, match=r"the column 'x' takes [\d,]+ bytes or more when unpacked, .* smaller row"):
        open_images(path)


def test_bomb_of_one_image_counted_many_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pa.table({"image": [encoded(IMAGES[0]) + bytes(10_000)] * 500})
    path = write(tmp_path / "data.parquet", data, 500)
    assert path.stat().st_size < 40_000
    assert open_images(path).count == 500
    monkeypatch.setattr(table_parts, "PART_BYTES", 1_000_000)
    with pytest.raises(DataError, match=r"takes 1,\d+,\d+ bytes or more when unpacked"):
        open_images(path)


@pytest.mark.parametrize("suffix", [".arrow", ".feather"])
@pytest.mark.parametrize("packing", ["zstd", "lz4"])
def test_packed_arrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, packing: str) -> None:
    data = table(extra=pa.array([b"0" * 100_000] * 12).dictionary_encode())
    options = (
        {"compression": packing} if suffix == ".feather" else {"options": pa.ipc.IpcWriteOptions(compression=packing)}
    )
    path = write(tmp_path / f"data{suffix}", data, **options)
    assert path.stat().st_size < 30_000
    source = open_images(path)
    np.testing.assert_array_equal(rows(source), PIXELS)
    np.testing.assert_array_equal(rows(source), PIXELS)  # a second reading begins again
    monkeypatch.setattr(table_parts, "PART_BYTES", 50_000)
    with pytest.raises(DataError, match=rf"data{suffix}: a batch of rows takes 100,\d+ bytes when unpacked"):
        open_images(path)


class Harm:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "unpickled")


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_types_described_by_a_pickle_are_read_as_what_they_store(tmp_path: Path, suffix: str) -> None:
    mark = tmp_path / "mark"
    facts = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickle.dumps(Harm(mark))}
    values = nested(IMAGES, pa.uint8())
    schema = pa.schema([pa.field("x", values.type, metadata=facts)])
    source = open_images(write(tmp_path / f"data{suffix}", pa.Table.from_arrays([values], schema=schema)))
    np.testing.assert_array_equal(rows(source), PIXELS)
    assert not mark.exists()


def test_state_that_names_files_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "secret.arrow", table())
    folder = write_saved(tmp_path / "saved")
    (folder / "state.json").write_text('{"_data_files": [{"filename": "../secret.arrow"}]}')
    with pytest.raises(DataError, match=r"1 of 1 files do not exist, the first is secret\.arrow"):
        open_images(folder)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("[1]", r"state\.json is damaged"),
        ('{"_data_files": [3]}', r"state\.json is damaged"),
        ('{"_data_files": [], "_indices_data_files": [1]}', r"save dataset\.flatten_indices\(\) instead"),
        ('{"_data_files": []}', r"the table has no rows"),
    ],
)
def test_damaged_state(tmp_path: Path, state: str, message: str) -> None:
    folder = write_saved(tmp_path / "saved")
    (folder / "state.json").write_text(state)
    with pytest.raises(DataError, match=message):
        open_images(folder)


# ---------------------------------------------------------------- awkward
def test_several_columns_of_images(tmp_path: Path) -> None:
    path = write(tmp_path / "data.parquet", table(mask=[encoded(image[..., 0]) for image in IMAGES]))
    with pytest.raises(
        DataError, match=r"image \(12 encoded images\), mask \(12 encoded images\); .* data\.parquet::image"
    ):
        open_images(path)
    source = open_images(f"{path}::mask")
    np.testing.assert_array_equal(rows(source), IMAGES[..., 0].reshape(12, -1) / 127.5 - 1)
    assert source.provenance.left_out == ("1 other column: image",)
    with pytest.raises(DataError, match=r"holds no array 'masks', but .*did you mean data\.parquet::mask\?"):
        open_images(f"{path}::masks")


def test_lists_beside_images_are_read_only_by_their_name(tmp_path: Path) -> None:
    path = write(tmp_path / "data.parquet", table(latent=nested(np.ones((12, 2, 2, 4), np.float32), pa.float32())))
    assert open_images(path).shape == (6, 5, 3)
    assert open_images(f"{path}::latent").shape == (2, 2, 4)


def test_lists_of_tokens_beside_pixels(tmp_path: Path) -> None:
    data = pa.table({"tokens": [[1] * (1 + row) for row in range(12)], "pixels": nested(IMAGES, pa.uint8())})
    np.testing.assert_array_equal(rows(open_images(write(tmp_path / "data.parquet", data))), PIXELS)


def test_splits_in_folders_of_equal_names(tmp_path: Path) -> None:
    for split, count in (("train", 12), ("test", 3)):
        write(tmp_path / "data" / "default" / split / "0000.parquet", table(IMAGES[:count]))
    with pytest.raises(DataError, match=r"the splits default/test, default/train; "):
        open_images(tmp_path / "data")
    assert open_images(f"{tmp_path / 'data'}::default/test").count == 3
    assert open_images(f"{tmp_path / 'data'}::default/train/image").count == 12


def test_parts_of_spark(tmp_path: Path) -> None:
    for number in range(3):
        part = table(IMAGES[4 * number : 4 * number + 4])
        write(tmp_path / "data" / f"part-{number:05d}-0f{number}a.c000.snappy.parquet", part)
    np.testing.assert_array_equal(rows(open_images(tmp_path / "data")), PIXELS)


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    values = nested(IMAGES, pa.uint8())
    path = write(tmp_path / "data.parquet", pa.Table.from_arrays([values, values], names=["x", "x"]))
    with pytest.raises(DataError, match="has several columns of the name x; rename them"):
        open_images(path)


def test_first_part_without_an_image(tmp_path: Path) -> None:
    values = [None] * 5 + [encoded(image) for image in IMAGES[5:]]
    path = write(tmp_path / "data.parquet", pa.table({"image": pa.array(values, pa.binary())}))
    with pytest.raises(DataError, match=r"row 0: the image itself is not in the file"):
        open_images(path)
    skipped: list[str] = []
    np.testing.assert_array_equal(rows(open_images(path, skip_corrupt=True, on_skip=skipped.append)), PIXELS[5:])
    assert len(skipped) == 5


def test_key_of_a_folder_without_tables(tmp_path: Path) -> None:
    write_images(tmp_path / "data", IMAGES)
    with pytest.raises(DataError, match=r"data: a folder of images has no parts with names, got 'train'"):
        open_images(f"{tmp_path / 'data'}::train")


@pytest.mark.parametrize("offset", [2**30, -8])
def test_offsets_beyond_the_end_of_the_data(tmp_path: Path, offset: int) -> None:
    values = pa.array([encoded(image) for image in IMAGES], pa.binary())
    path = write(tmp_path / "data.arrow", pa.table({"image": values}), 12)
    content, offsets = path.read_bytes(), np.frombuffer(values.buffers()[1], np.int32)[:13].tobytes()
    assert content.count(offsets) == 1
    wrong = np.frombuffer(offsets, np.int32).copy()
    wrong[7] = offset
    path.write_bytes(content.replace(offsets, wrong.tobytes()))
    with pytest.raises(DataError, match=r"the column 'image' cannot be read"):
        open_images(path)
