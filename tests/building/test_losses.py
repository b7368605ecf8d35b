"""A step that loses more of its rows than the recipe allows stops the build; the same command goes on once allowed."""

import pytest
from small_builds import posts, samples, write_recipe

from trifacet.base.errors import TrifacetError
from trifacet.building.build import run_build
from trifacet.building.recipe import load_build_recipe
from trifacet.building.story import explain
from trifacet.building.trial import dry_run, losses


def built(folder, rows, steps, **others):
    recipe = load_build_recipe(write_recipe(folder, folder / "out", rows, steps, **others))
    return recipe, run_build(recipe, workers=1)


def test_a_step_that_loses_more_than_half_stops_until_it_is_allowed(tmp_path):
    rows = [
        {"id": str(k), "context": "a post", "alt": "one two three four five" if k < 9 else "short"} for k in range(20)
    ]
    path = write_recipe(tmp_path, tmp_path / "out", rows, ["hashtags", "alt-length"])
    recipe = load_build_recipe(path)
    said = r"step 2, 'alt-length', has lost 11 of 20 rows \(11 alt-text too short\).*alt-length: 0\.55\}"
    with pytest.raises(TrifacetError, match=said):
        run_build(recipe, workers=1)
    with pytest.raises(TrifacetError, match="has lost 11 of 20"):
        run_build(load_build_recipe(path, ["max_dropped.alt-length=0.5"]), workers=1)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "stages").glob("*/rows/*")}
    assert before, "what was done stays"
    manifest = run_build(load_build_recipe(path, ["max_dropped.alt-length=0.55"]), workers=1)
    assert manifest["rows"]["sft"] == 9
    after = {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "stages").glob("*/rows/*")}
    assert before.items() <= after.items()
    tried = dry_run(recipe, 20, workers=1, show=lambda progress: None)
    assert tried.manifest["rows"]["sft"] == 9, "a trial shows the loss and does not stop"
    assert [one.split(",")[1] for one in losses(recipe, tried.manifest)] == [" 'alt-length'"]
    with pytest.raises(
        TrifacetError, match=r"max_dropped: 'alt_length' is no step.* read, hashtags, alt-length, write"
    ):
        load_build_recipe(path, ["max_dropped.alt_length=0.9"])


def test_reading_and_writing_lose_rows_too(tmp_path):
    rows = [{"id": str(k), "context": "a post" if k % 3 else "", "alt": ""} for k in range(9)]
    with pytest.raises(TrifacetError, match=r"'write', has lost 6 of 6 rows .*no alt-text"):
        built(tmp_path / "a", rows, [])
    with pytest.raises(TrifacetError, match="'read', has lost 6 of 9 rows"):
        built(tmp_path / "b", [row | {"context": "" if k % 3 else "a post"} for k, row in enumerate(rows)], [])


def test_what_a_split_leaves_over_was_asked_for(tmp_path):
    split = {"split": {"sizes": {"test": 2, "sft": 3}, "rest": "drop"}}
    _, manifest = built(tmp_path, [row | {"alt": "a b c d e"} for row in posts(20)], [split])
    assert manifest["rows"] == {"sft": 3, "preference": 0, "test": 2}


def source(folder, name, *texts):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{number},{text},An alt-text of five words" for number, text in enumerate(texts, 1)]
    path.write_text("\n".join(["id,context,alt", *lines]) + "\n", encoding="utf-8")
    return path


def test_sources_with_the_same_ids_both_stay(tmp_path):
    one, two = source(tmp_path, "one.csv", "a", "b", "c"), source(tmp_path, "two.csv", "d", "e", "f")
    sources = [{"path": str(path)} for path in (one, two)]
    recipe, manifest = built(tmp_path, [], [], sources=sources)
    written = {row["id"]: row["context"] for row in samples(recipe.folder)}
    assert written == {"1": "a", "2": "b", "3": "c", "two-1": "d", "two-2": "e", "two-3": "f"}
    assert manifest["steps"][0]["counts"] == {"change: id used in another file": 3}
    (story,) = explain(recipe, "two-1")
    assert (story.source_row, story.events[0]["before"], story.events[0]["after"]) == (1, "1", "two-1")


def test_files_of_one_source_too_but_not_the_same_row_twice(tmp_path):
    for name, texts in {"x/p.csv": "abc", "x/q.csv": "axy", "x/r.csv": "zxw"}.items():
        source(tmp_path, name, *texts)
    (tmp_path / "x" / "s.csv").write_text("id,context,alt\nq-2,m,alt\n3,n,alt\n3,o,alt\n", encoding="utf-8")
    recipe, manifest = built(tmp_path, [], [], sources=[{"path": str(tmp_path / "x")}], part_rows=2)
    written = {row["id"]: row["context"] for row in samples(recipe.folder)}
    assert written == {"1": "a", "2": "b", "3": "c", "q-2-2": "x", "q-3": "y", "r-1": "z", "r-2": "x", "r-3": "w"} | {
        "q-2": "m", "s-3": "n"}  # fmt: skip
    assert manifest["steps"][0]["counts"] == {"change: id used in another file": 6, "fail: id used before": 2}
