import re
from pathlib import Path

import pytest

from trifacet.base.errors import TrifacetError
from trifacet.base.files import replacing, replacing_folder, sweep


def test_what_a_kill_left_is_swept_and_nothing_else(tmp_path):
    kept = [".env", "a.tmp", ".a.tmp", ".part", ".notes.part", "picture.part", ".a.0123456.tmp", "deep/er/b.png"]
    for name in kept:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("kept")
    killed = replacing(tmp_path / "deep" / "er" / "b.png")
    killed.__enter__().write_text("half")  # and never left
    (tmp_path / "deep" / f".{'0af3' * 8}.part").write_text("half")  # as downloads spool
    sweep(tmp_path)
    there = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(there) == sorted(kept)


@pytest.mark.parametrize("path", [".", "/", "folder/.."])
def test_a_place_that_nothing_can_take_is_one_line(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in (replacing, replacing_folder):
        with pytest.raises(TrifacetError, match=rf"^cannot write {re.escape(path)}: "), place(Path(path)):
            Path("never").touch()
    assert list(tmp_path.iterdir()) == []
