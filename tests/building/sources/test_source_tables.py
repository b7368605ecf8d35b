"""Tables of every kind say the same; what is wrong is told by row, and the others come all the same."""

import csv
import gzip
import hashlib
import io
import json
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_rows import read, write_lines

from trifacet.base.errors import DataError
from trifacet.building.recipe import BuildRecipe, dump_build_recipe, load_build_recipe
from trifacet.building.rows import ROWS
from trifacet.building.settings import Source
from trifacet.building.sources import fingerprint, image_root, read_in_turn, read_source, source_files
from trifacet.data import tables as reading

POSTS = [
    {"id": "007", "image": "a.jpg", "context": 'two\nlines, "quoted"', "alt": "A cat", "likes": "3"},
    {"id": "b", "image": "https://example.org/x.png", "context": "", "alt": "Ünïcode 🐈", "likes": "4"},
    {"id": "c", "image": None, "context": "only words", "alt": "", "likes": "5"},
]


def as_csv(rows, delimiter=",") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_parquet(rows) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


KINDS = {
    "p.csv": as_csv,
    "bom.csv": lambda rows: b"\xef\xbb\xbf" + as_csv(rows),
    "p.tsv": lambda rows: as_csv(rows, "\t"),
    "p.csv.gz": lambda rows: gzip.compress(as_csv(rows)),
    "p.jsonl": lambda rows: "".join(json.dumps(row) + "\n" for row in rows).encode(),
    "p.jsonl.gz": lambda rows: gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()),
    "p.json": lambda rows: json.dumps(rows, indent=1).encode(),
    "p.json.gz": lambda rows: gzip.compress(json.dumps(rows, ensure_ascii=False).encode()),
    "p.parquet": as_parquet,
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_the_same_posts(tmp_path, name):
    (tmp_path / name).write_bytes(KINDS[name](POSTS))
    rows, bad = read(tmp_path / name)
    assert not bad
    assert [row["source_row"] for row in rows] == [1, 2, 3]
    for row, post in zip(rows, POSTS, strict=True):
        assert (row["id"], row["image"], row["context"], row["alt"]) == tuple(
            post[name] for name in ("id", "image", "context", "alt")
        )
        assert json.loads(row["extra"]) == {"likes": post["likes"]}
        assert row["more_images"] is None and row["prompt"] is None
    filled = [{name: row.get(name) for name in ROWS.names} | {"row": n} for n, row in enumerate(rows)]
    assert pa.Table.from_pylist(filled, schema=ROWS).num_rows == 3


cell = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)


@given(
    texts=st.lists(st.tuples(cell, cell), min_size=1, max_size=6), name=st.sampled_from(["p.csv", "p.tsv", "p.json"])
)
def test_any_text_comes_through(tmp_path_factory, texts, name):
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(KINDS[name]([{"context": "x" + context, "alt": alt} for context, alt in texts]))
    rows, bad = read(path)
    assert not bad and [(row["context"][1:], row["alt"]) for row in rows] == texts


def test_the_elements_of_an_array_come_through_at_every_length_of_the_buffer(tmp_path, monkeypatch):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(POSTS, ensure_ascii=False), encoding="utf-8")
    whole, _ = read(path)
    for chunk in range(1, 40):
        monkeypatch.setattr(reading, "_CHUNK", chunk)
        assert read(path) == (whole, [])


def test_ids_are_the_rows_own_as_text_or_made_of_file_and_row(tmp_path):
    path = write_lines(tmp_path / "posts.jsonl", {"id": 5, "alt": "a"}, {"alt": "b"}, "", {"id": 6.0, "alt": "c"})
    assert [row["id"] for row in read(path)[0]] == ["5", "posts-2", "6"]


def test_bad_rows_are_told_by_number_and_the_others_come(tmp_path):
    path = write_lines(
        tmp_path / "p.jsonl",
        {"id": "ok", "alt": "x"},
        "{broken",
        {"id": "empty", "context": " ", "alt": ""},
        {"id": ["a"], "alt": "x"},
        {"id": "n", "image": 5},
        {"id": "l", "image": ["a.png", None]},
        {"id": "bytes", "image": {"path": None}},
        {"id": "t", "alt": 7},
        "[1]",
        '{"id": "s", "alt": "\\ud800"}',
        {"id": "big", "alt": "x" * 1_000_001},
        {"id": True, "alt": "x"},
        {"id": "ok2", "alt": "y"},
    )
    rows, bad = read(path)
    assert [row["id"] for row in rows] == ["ok", "ok2"]
    assert [row.source_row for row in bad] == list(range(2, 13))
    assert {row.id for row in bad} >= {"empty", "n", "l", "bytes", "t", "big"}
    for row in bad:
        assert row.source == 3 and str(path) in str(row.problem) and f"row {row.source_row}" in str(row.problem)
    array = tmp_path / "p.json"
    array.write_text('[{"alt": "a"}, 5, {"alt": "\\ud800"}, {"alt": "b"}]')
    rows, bad = read(array)
    assert [row["alt"] for row in rows] == ["a", "b"] and [row.source_row for row in bad] == [2, 3]


def test_bad_rows_of_csv(tmp_path):
    path = tmp_path / "p.csv"
    path.write_bytes(b'id,alt\r\n1,"a\r\nb"\r\n2,x,y\r\n3,\xff\r\n4,"q"uote\r\n\r\n5,fine\r\n6,"never closed\r\n')
    rows, bad = read(path)
    assert [(row["id"], row["source_row"], row["alt"]) for row in rows] == [("1", 1, "a\r\nb"), ("5", 6, "fine")]
    assert [row.source_row for row in bad] == [2, 3, 4, 7]
    assert "line 4" in str(bad[0].problem), "the line in the file, beside the row"


def test_a_quote_that_is_not_closed_takes_no_other_row_with_it(tmp_path):
    whole = [f"{n},img_{n}.jpg,post {n},A dog at {n} metres" for n in range(1, 400)]
    for rest in ("", " and so on", ", and so on"):
        lines = whole[:]
        lines[6] = f'7,img_7.jpg,post 7,"A screen{rest}'
        lines[9] = '10,img_10.jpg,post 10,"Quoted, well"'
        lines[20] = '21,img_21.jpg,post 21,"Two\nlines, well quoted"'
        (tmp_path / "p.csv").write_text("\n".join(["id,image,context,alt", *lines]) + "\n", encoding="utf-8")
        rows, bad = read(tmp_path / "p.csv")
        assert [int(row["id"]) for row in rows] == [n for n in range(1, 400) if n != 7]
        assert [one.source_row for one in bad] == [7] and "line 8" in str(bad[0].problem)
        assert rows[19]["alt"] == "Two\nlines, well quoted"


@pytest.mark.parametrize("ids", ["{}", "post-{}", "{}.jpg"])
@pytest.mark.parametrize("closing", [2, 3, 6])
def test_an_inch_mark_closes_no_quote_of_an_earlier_row(tmp_path, ids, closing):
    lines = [f"{ids.format(n)},post {n},A dog" for n in range(1, 9)]
    lines[0] = lines[0].replace("A dog", '"A screen on a desk')
    lines[closing] = lines[closing].replace("A dog", 'A screen of 27"')
    (tmp_path / "p.csv").write_text("\n".join(["id,context,alt", *lines]) + "\n", encoding="utf-8")
    rows, bad = read(tmp_path / "p.csv")
    assert [row["id"] for row in rows] == [ids.format(n) for n in range(2, 9)]
    assert rows[closing - 1]["alt"] == 'A screen of 27"'
    assert [one.source_row for one in bad] == [1] and "line 2 opens a quote that no cell of it closes" in str(bad[0])


def test_lists_and_letters_in_a_cell_are_no_rows(tmp_path):
    posts = [
        {"id": "17", "context": "To buy:\neggs, milk, flour\nrice, oil, salt", "alt": "A list"},
        {"id": "a", "context": "x,y\n1,2,3\n4,5,6", "alt": "Numbers"},
        {"id": "18", "context": "we", "alt": "First\n\n19, the last, is below"},
    ]
    (tmp_path / "p.csv").write_bytes(as_csv(posts))
    rows, bad = read(tmp_path / "p.csv")
    assert not bad and [row["context"] for row in rows] == [one["context"] for one in posts]


def test_several_images_are_a_list(tmp_path):
    path = write_lines(tmp_path / "p.jsonl", {"image": ["a.png", "b.png"]}, {"image": [{"path": "c.png"}]})
    rows, _ = read(path)
    assert [(row["image"], row["more_images"]) for row in rows] == [("a.png", ["b.png"]), ("c.png", None)]
    (tmp_path / "p.csv").write_bytes(as_csv([{"image": '["a.png", "b.png"]'}, {"image": "[draft].png"}]))
    rows, _ = read(tmp_path / "p.csv")
    assert [(row["image"], row["more_images"]) for row in rows] == [("a.png", ["b.png"]), ("[draft].png", None)]


def test_named_columns(tmp_path):
    path = write_lines(
        tmp_path / "p.jsonl", {"file_name": "a.png", "caption": "A cat", "title": "Mimi", "n": float("nan")}
    )
    columns = {"image": "file_name", "alt": "caption", "context": "title"}
    rows, _ = read(path, columns=columns)
    assert [rows[0][name] for name in ("image", "alt", "context", "extra")] == ["a.png", "A cat", "Mimi", '{"n": null}']
    with pytest.raises(DataError, match=r"no column 'captoin'; did you mean 'caption'.*file_name, caption, title"):
        read_source(Source(path=str(path), columns=columns | {"alt": "captoin"}), 0, print)
    with pytest.raises(DataError, match=r"no column of posts.*file_name, caption, title"):
        read_source(Source(path=str(path)), 0, print)
    recipe = BuildRecipe.model_validate({"sources": [{"path": str(path), "columns": columns}], "steps": []})
    (tmp_path / "r.yaml").write_text(dump_build_recipe(recipe))  # it spells 'id' and 'prompt' out, which aren't there
    assert len(list(read_source(load_build_recipe(tmp_path / "r.yaml").sources[0], 0, print))) == 1


def test_a_source_that_cannot_be_read_is_refused_before_the_first_row(tmp_path):
    def refused(match, path, **keys):
        with pytest.raises(DataError, match=match):
            read_source(Source(path=str(path), **keys), 0, print)

    refused("no such file", tmp_path / "none.jsonl")
    refused("has no files", tmp_path)
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "a.csv").write_text("alt\nA dog\n")
    refused("nopics, field 'images': no such folder", tmp_path / "y" / "a.csv", images=str(tmp_path / "nopics"))
    refused("has no files", tmp_path / "*.csv")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    refused("has no rows", tmp_path / "empty.jsonl")
    (tmp_path / "x.jsonl").write_bytes(b"\x1f\x8bnot gzip at all")
    refused("damaged gzip", tmp_path / "x.jsonl")
    (tmp_path / "x.parquet").write_bytes(b"PAR1" + bytes(40))
    refused("damaged Parquet", tmp_path / "x.parquet")
    (tmp_path / "x.bin").write_bytes(b"words")
    refused("neither JSON", tmp_path / "x.bin")
    (tmp_path / "x.csv").write_bytes(b"alt,alt\n1,2\n")
    refused("of the same name", tmp_path / "x.csv")


def test_damage_further_on_ends_the_reading_with_an_error(tmp_path):
    lines = b"".join(json.dumps({"alt": hashlib.sha256(b"%d" % n).hexdigest()}).encode() + b"\n" for n in range(5000))
    whole = gzip.compress(lines)
    (tmp_path / "p.jsonl.gz").write_bytes(whole[: len(whole) * 3 // 4])
    got = []
    with pytest.raises(DataError, match="damaged gzip"):
        got.extend(read_source(Source(path=str(tmp_path / "p.jsonl.gz")), 0, print))
    (tmp_path / "p.json").write_text('[{"alt": "a"}, {"alt": ')
    with pytest.raises(DataError, match=r"row 2.*broken JSON"):
        read(tmp_path / "p.json")
    (tmp_path / "p.json").write_text('[{"alt": "a"}] [{"alt": "b"}]')
    with pytest.raises(DataError, match="more after its array"):
        read(tmp_path / "p.json")


def test_files_folders_and_globs(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("b.jsonl", "a.csv", ".hidden.jsonl", "dataset_info.json", "photo.jpg"):
        (tmp_path / "in" / name).write_text("alt\nx\n" if name == "a.csv" else '{"alt": "y"}\n')
    source = Source(path=str(tmp_path / "in"))
    assert [file.name for file in source_files(source)] == ["a.csv", "b.jsonl"]
    assert [row["id"] for row in read(tmp_path / "in")[0]] == ["a-1", "b-1"]
    assert len(read(tmp_path / "in", limit=1)[0]) == 1
    pattern = Source(path=str(tmp_path / "i*" / "*.jsonl"))
    assert [file.name for file in source_files(pattern)] == ["b.jsonl"]
    assert image_root(source) == tmp_path / "in"
    assert image_root(pattern) == tmp_path
    assert image_root(Source(path=str(tmp_path / "in" / "a.csv"))) == tmp_path / "in"
    assert image_root(Source(path="x.csv", images="pictures")).name == "pictures"
    told = fingerprint(source)
    assert told[0] == {"path": "a.csv", "bytes": 6, "sha256": hashlib.sha256(b"alt\nx\n").hexdigest()}
    assert fingerprint(pattern)[0]["path"] == "in/b.jsonl"


@pytest.mark.parametrize(("some", "many"), [(4_000, 8_000), pytest.param(12_000, 120_000, marks=pytest.mark.endurance)])
@pytest.mark.parametrize("name", ["p.csv", "p.json", "p.jsonl.gz", "p.parquet"])
def test_memory_does_not_grow_with_the_rows(tmp_path, name, some, many):
    path = tmp_path / name
    rows = [{"id": str(n), "context": f"post {n} " * 8, "alt": "words " * 8} for n in range(many)]
    path.write_bytes(KINDS[name](rows))
    del rows
    peaks = []
    for limit in (some, many):
        tracemalloc.start()
        count = sum(1 for _ in read_source(Source(path=str(path), limit=limit), 0, print))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == limit
    assert peaks[1] < peaks[0] * 1.2 + 500_000, peaks


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("x" * 501, "has 501 characters; give at most 500"),
        (int("9" * 300), None),
        (" ", "is blank"),
        (True, "is neither text nor a number"),
        (["a"], "is neither text nor a number"),
        (float("nan"), "is neither text nor a number"),
    ],
)
def test_what_is_wrong_with_an_id_is_said(tmp_path, value, told):
    rows, bad = read(write_lines(tmp_path / "p.jsonl", {"id": value, "alt": "A dog."}))
    assert [str(one.problem) for one in bad] == ([] if told is None else [bad[0].problem.args[0]])
    assert told is None or f"row 1, field 'id': {told}" in str(bad[0].problem)
    assert [row["id"] for row in rows] == ([] if told else [str(value)])


@pytest.mark.parametrize("levels", [60, 500, 700, 950])
def test_a_row_nested_deep_is_told_and_the_others_come(tmp_path, levels):
    path = write_lines(
        tmp_path / "p.jsonl", {"alt": "a"}, f'{{"alt": "b", "z": {"[" * levels}{"]" * levels}}}', {"alt": "c"}
    )
    rows, bad = read(path)
    assert [row["alt"] for row in rows] == ["a", "c"]
    assert [one.source_row for one in bad] == [2]


def test_what_a_strangers_parquet_holds_that_python_cannot_is_told_by_row(tmp_path):
    texts = pa.array([b"one", b"\xff\xfe", b"three", b"four"]).view(pa.string())  # Parquet promises UTF-8
    dates = pa.array([1, 2, 2**62, 4], pa.timestamp("us"))
    pq.write_table(pa.table({"id": ["a", "b", "c", "d"], "alt": texts, "when": dates}), tmp_path / "p.parquet")
    rows, bad = read(tmp_path / "p.parquet")
    assert [(row["id"], row["alt"], row["source_row"]) for row in rows] == [("a", "one", 1), ("d", "four", 4)]
    assert [one.source_row for one in bad] == [2, 3]


@pytest.mark.parametrize("format", ["table", "twitter"])
def test_rows_that_cannot_be_used_are_not_gathered_until_a_good_one_comes(tmp_path, format):
    useless = {"tweet_id": "1", "text": "", "context": " ", "alt": ""}
    good = useless | {"context": "a post", "media_url": "http://x/1.jpg"}
    path = write_lines(tmp_path / "p.jsonl", good, *[useless] * 500, good)
    waiting, most, posts = [], 0, 0
    for post in read_in_turn(Source(path=str(path), format=format), 0, waiting.append):
        most, posts = max(most, len(waiting)), posts + (post is not None)
        waiting.clear()
    assert (most, posts) == (1, 2)


def test_a_line_without_end_is_refused_and_not_held(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LONGEST", 1000)
    path = write_lines(tmp_path / "p.jsonl", {"alt": "a"}, {"alt": "x" * 5000})
    with pytest.raises(DataError, match="line 2 is longer"):
        read(path)
