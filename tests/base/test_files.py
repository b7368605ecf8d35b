from trifacet.base.files import replacing, sweep


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
