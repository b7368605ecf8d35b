"""Pictures out of shards: each name one picture, below the folder, and one line for all that is no such shard."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trifacet.base.errors import DataError
from trifacet.data.rows import iter_rows
from trifacet.data.shards import unpack_images


def picture(colour):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, "PNG")
    return file.getvalue()


RED, BLUE = picture("red"), picture("blue")


def shard(folder, *rows, name="a.parquet"):
    folder.mkdir(exist_ok=True)
    columns = {"image": [row[0] for row in rows], "image_bytes": [row[1] for row in rows]}
    pq.write_table(pa.table(columns), folder / name)
    return folder


def unpacked(folder):
    return [path.relative_to(folder).as_posix() for path in unpack_images(folder, folder)]


def refused(folder):
    with pytest.raises(DataError) as caught:
        list(unpack_images(folder, folder / "out"))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_each_name_gets_its_picture_and_a_second_time_nothing_is_written(tmp_path):
    shard(tmp_path, ("x/a.png", RED), ("x/b.png", BLUE), ("x/a.png", RED), (None, None))
    pq.write_table(pa.table({"id": ["1"]}), tmp_path / "failed.parquet")  # beside those with pictures
    assert unpacked(tmp_path) == ["x/a.png", "x/b.png"]
    assert [(tmp_path / "x" / f"{name}.png").read_bytes() for name in "ab"] == [RED, BLUE]
    assert unpacked(tmp_path) == []


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("a.png", RED), ("a.png", BLUE)], "row 2, field 'image': name 'a.png' is that of another picture"),
        ([("a/b.png", RED), ("a", BLUE)], "row 2, field 'image': name 'a' is that of a folder"),
        ([("a", RED), ("a/b.png", BLUE)], "row 2, field 'image': name 'a/b.png' is that of a folder or file"),
        ([("../a.png", RED)], "leaves the folder"),
        ([(None, RED)], "name None leaves the folder"),
        ([("a\0", RED)], r"name 'a\x00' can be no file's"),
        ([("a" * 5000, RED)], "(5000 characters) can be no file's"),
        ([(7, RED)], "row 1, field 'image': is no text"),
        ([(["a.png"], RED)], "row 1, field 'image': is no text"),
        ([("a.png", 7)], "row 1, field 'image_bytes': is no bytes"),
        ([("a.png", RED[:50])], "row 1, field 'image_bytes': holds no image"),
    ],
)
def test_what_would_lose_a_picture_or_is_none_is_named(tmp_path, rows, told):
    folder = shard(tmp_path / "in", *rows)
    message = refused(folder)
    assert message.startswith(f"{folder / 'a.parquet'}, row ")
    assert told in message


def test_files_that_are_no_shards_are_named(tmp_path):
    assert "none: no such folder" in refused(tmp_path / "none")
    assert "holds no image" in refused(tmp_path)
    pq.write_table(pa.table({"image_bytes": [RED]}), tmp_path / "a.parquet")
    assert "a.parquet, field 'image_bytes': has no column 'image'" in refused(tmp_path)
    assert "no such folder" in refused(tmp_path / "a.parquet")
    for content in (b"", b"PAR1", b"PAR1" + b"\xff" * 12 + b"PAR1"):
        (tmp_path / "a.parquet").write_bytes(content)
        assert f"{tmp_path / 'a.parquet'}: damaged Parquet (" in refused(tmp_path)
    (tmp_path / "a.parquet").unlink()
    (tmp_path / "a.parquet").mkdir()
    assert "a.parquet: cannot be read (Is a directory)" in refused(tmp_path)


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["id", "id"]), path)
    with pytest.raises(DataError, match=r"a\.parquet: has two columns of one name"):
        list(iter_rows(path))
