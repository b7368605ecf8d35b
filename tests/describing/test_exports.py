"""Mastodon, Bluesky, tables, folders of pictures: what is found, and that edits change the texts and nothing else."""

import json

import packed_documents as made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching import searched

from trifacet.base.errors import DataError, TrifacetError
from trifacet.describing.formats import bluesky, format_called, format_of, mastodon, pictures, table
from trifacet.describing.place import Edit
from trifacet.lint.columns import TextColumns

TEXTS = st.text(st.sampled_from("ab \"'\\<>&,;é日\U0001f600\n\t/"), min_size=1, max_size=20).filter(str.strip)


def one(format, data, path="a.json"):
    return list(format.places(data, path))


def edited(format, data, new, path="a.json"):
    """With new texts for the places, None: the old one."""
    places = one(format, data, path)
    edits = {place.key: Edit(alt) for place, alt in zip(places, new, strict=True) if alt is not None}
    return format.edited(data, path, edits)


def test_what_mastodon_tells():
    first, second = one(mastodon.FORMAT, made.outbox("A dog", None))
    assert (first.alt, second.state, first.picture.file) == ("A dog", "missing", "media/0.jpg")
    assert (first.around.before, first.around.language) == ("At the sé. With Ada", "en")


@searched(30)
@given(st.lists(st.one_of(st.none(), TEXTS), min_size=1, max_size=4), st.data())
def test_mastodon_changes_its_texts_and_nothing_else(alts, data):
    new = [data.draw(TEXTS) for _ in alts]
    assert edited(mastodon.FORMAT, made.outbox(*alts), new) == made.outbox(*new)


@searched(30)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(["records", "lines"]), st.data())
def test_bluesky_changes_its_texts_and_nothing_else(alts, way, data):
    new = [data.draw(TEXTS) for _ in alts]
    before, after = made.bluesky(*alts, way=way), made.bluesky(*new, way=way)
    assert [place.alt for place in one(bluesky.FORMAT, before)] == alts
    assert edited(bluesky.FORMAT, before, new) == after


def test_the_view_beside_a_record_stays():
    view = {"$type": "app.bsky.embed.images#view", "images": [{"alt": "old", "thumb": "t"}]}
    post = json.loads(made.bluesky("old"))["records"][0]["value"]
    feed = json.dumps({"feed": [{"post": {"record": post, "embed": view}}]}).encode()
    after = edited(bluesky.FORMAT, feed, ["new"])
    assert after == feed.replace(b'"old"', b'"new"', 1)


@pytest.mark.parametrize("space", ["", " ", "\n    "])
@pytest.mark.parametrize("rest", ['"image": "a.png"', ""])
def test_a_key_that_is_not_there_is_added(space, rest):
    inner = f"{space}{rest}{space.replace('    ', '')}" if rest else ""
    before = f'[{{"alt": "x", "image": "b"}}, {{{inner}}}]'.encode()
    if not rest:
        return
    after = edited(table.FORMAT, before, [None, "A dog"])
    assert json.loads(after) == [{"alt": "x", "image": "b"}, {"image": "a.png", "alt": "A dog"}]
    assert after.startswith(before[: before.index(b'"a.png"') + 7])


# --- tables -----------------------------------------------------------------------------------------------------

CELLS = st.text(st.sampled_from('ab ",;\n\ré\t1'), max_size=8)


@searched(30)
@given(
    st.lists(st.tuples(st.sampled_from(["a.png", "b c.jpg"]), TEXTS, CELLS), min_size=1, max_size=5),
    st.sampled_from([",", ";", "\t"]),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.data(),
)  # fmt: skip
def test_a_table_changes_its_cells_and_nothing_else(rows, delimiter, quoted, ending, encoding, data):
    def written(rows):
        plain = made.table(*rows, delimiter=delimiter, quoted=quoted, ending=ending)
        return plain.decode().encode(encoding)

    path = "a.tsv" if delimiter == "\t" else "a.csv"
    before = written(rows)
    assert [place.alt for place in one(table.FORMAT, before, path)] == [alt for _, alt, _ in rows]
    new = [data.draw(TEXTS) for _ in rows]
    after = edited(table.FORMAT, before, new, path)
    told = [(image, alt, note) for (image, _, note), alt in zip(rows, new, strict=True)]
    if quoted:
        assert after == written(told)
    assert [place.alt for place in one(table.FORMAT, after, path)] == new
    old = [[cell for number, cell in enumerate(cells) if number != 1] for cells in spelled(before, delimiter, encoding)]
    assert old == [
        [cell for number, cell in enumerate(cells) if number != 1] for cells in spelled(after, delimiter, encoding)
    ]


def spelled(data, delimiter, encoding):
    """The cells as they are spelled, by a reader of the test's own: a quote opens and closes."""
    rows, row, cell, inside = [], [], "", False
    for char in data.decode(encoding):
        if char == '"':
            inside = not inside
        if not inside and char in delimiter + "\n":
            row.append(cell + char)
            cell = ""
            if char == "\n":
                rows.append(row)
                row = []
            continue
        cell += char
    return rows


def test_the_row_keeps_its_quotes():
    data = b'image,alt,note\r\n"a.png","","x"\r\nb.png,,x\r\n c.png ,  , x\r\n'
    assert edited(table.FORMAT, data, ["A dog", "A dog", None], "a.csv") == (
        b'image,alt,note\r\n"a.png","A dog","x"\r\nb.png,A dog,x\r\n c.png ,  , x\r\n'
    )


@pytest.mark.parametrize("path", ["a.csv", "A.TSV"])
def test_tabs_part_cells_whatever_the_file_is_called(path):
    data = b"image\talt\na.png\t\n"
    assert edited(table.FORMAT, data, ["A dog"], path) == b"image\talt\na.png\tA dog\n"


def test_the_option_that_names_a_column_is_one_that_there_is():
    with pytest.raises(DataError, match=r"a\.csv: has no column of alt-texts; name it with --format table:COLUMN"):
        one(table.FORMAT, b"a,b\n1,2\n", "a.csv")


def test_columns_that_are_named():
    data = b"bild;beschreibung\na.png;x\n"
    with pytest.raises(DataError, match="has no column"):
        one(table.FORMAT, data, "a.csv")
    own = format_called("table:beschreibung")
    assert own.name == "table:beschreibung" and own.columns == TextColumns("beschreibung")
    with pytest.raises(TrifacetError, match="unknown format"):
        format_called("html:x")
    assert edited(own, data, ["A dog"], "a.csv") == b"bild;beschreibung\na.png;A dog\n"


def test_rows_of_json_with_several_texts():
    data = b'{"images": ["a", "b"], "alt": ["x", null]}\n{"images": ["c"], "alt": []}\n'
    assert edited(table.FORMAT, data, [None, "A dog"], "a.jsonl") == data.replace(b"null", b'"A dog"')


def test_answers_of_a_data_set_are_fixed():
    messages = [{"role": "user", "content": "<image>Say"}, {"role": "assistant", "content": "A dog"}]
    data = json.dumps([{"messages": messages, "images": ["a.png"]}]).encode()
    (place,) = one(table.FORMAT, data)
    assert "data set" in place.fixed


@pytest.mark.parametrize(
    ("path", "data", "told"),
    [
        ("a.csv", b"", "no row"),
        ("a.csv", b'image,alt\na.png,"x', "quote"),
        ("a.csv", b'image,alt\na.png,"x"y\n', "quote"),
        ("a.csv", b"image,alt\n\xff,x\n", "UTF-8"),
        ("a.csv", b"image,alt\n\0,x\n", "NUL"),
        ("a.jsonl", b'{"alt": "x"}\n{"alt": ', "JSON"),
        ("a.jsonl", b'{"alt": "x"}\n7\n', "no JSON object"),
        ("a.json", b"[" * 5000, "nested|JSON"),
        ("a.json", b'[{"alt": "\\ud800"}]', "surrogate"),
        ("a.json", b'[{"alt": "a", "alt": "b"}]', "twice"),
        ("a.json", b"\xff\xfe", "UTF-8"),
    ],
)
def test_hostile_tables_are_one_line(path, data, told):
    with pytest.raises(DataError, match=told) as caught:
        one(table.FORMAT, data, path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("format", [mastodon.FORMAT, bluesky.FORMAT])
@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b"{", b"\xff", b'{"a": 1e999999}', b'{"orderedItems": [1, {"object": 3}]}']
)
def test_hostile_exports_are_one_line_or_nothing(format, data):
    try:
        assert one(format, data) == []
    except DataError as error:
        assert len(str(error).splitlines()) == 1


def test_which_format_a_file_is():
    assert format_of("outbox.json", made.outbox("x")[:4096]).name == "mastodon"
    assert format_of("posts.json", made.bluesky("x")[:4096]).name == "bluesky"
    assert format_of("rows.jsonl", b'{"alt": "x"}').name == "table"
    assert format_of("package.json", b'{"name": "x"}', found=True) is None
    assert format_of("photo.jpg.alt.txt", b"").name == "pictures"


# --- pictures ---------------------------------------------------------------------------------------------------


def test_a_picture_has_its_text_beside_it():
    (place,) = one(pictures.FORMAT, b"", "sub/photo.jpg.alt.txt")
    assert (place.state, place.picture.file, place.key) == ("missing", "sub/photo.jpg", "text")
    for before, alt, after in (
        (b"", "A dog", b"A dog\n"),
        (b"x\r\n", "", b"\r\n"),
        (b"\xef\xbb\xbfx", "é", b"\xef\xbb\xbf\xc3\xa9\n"),
    ):
        told = pictures.FORMAT.edited(before, "a.png.alt.txt", {"text": Edit(alt)})
        assert told == after
        assert one(pictures.FORMAT, told, "a.png.alt.txt")[0].alt == alt
    assert one(pictures.FORMAT, b"\n", "a.png.alt.txt")[0].state == "empty"
    with pytest.raises(DataError, match="UTF-8"):
        one(pictures.FORMAT, b"\xff", "a.png.alt.txt")
