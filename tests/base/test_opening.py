import os

import pytest

from trifacet.base.errors import DataError
from trifacet.base.opening import opened, read_bytes, read_text
from trifacet.data.rows import iter_rows
from trifacet.data.tables import read_rows
from trifacet.settings.reading import read_values


def test_a_file_is_read_up_to_the_size_that_is_stated(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "größe".encode())
    size = path.stat().st_size
    assert read_text(path, size) == "größe"
    with pytest.raises(DataError, match=rf"a\.txt: is larger than {size - 1} bytes"):
        read_bytes(path, size - 1)
    path.write_bytes(b"\xff")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_text(path, 9)
    with pytest.raises(DataError, match="no such file"), opened(tmp_path / "none"):
        pass


@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_text(path, 10),
        read_values,
        lambda path: list(iter_rows(path)),
        lambda path: list(read_rows(path, print)),
    ],
)
def test_a_pipe_that_nobody_writes_to_keeps_nobody_waiting(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(DataError, match="no regular file"):
        read(tmp_path / "pipe.jsonl")
