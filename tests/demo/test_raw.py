"""Raw posts: every fault is there, sound rows are sound, and pictures can be told apart where they should be."""

import csv
import itertools
import json
from collections import Counter, defaultdict

import imagehash
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trifacet.base.errors import DataError
from trifacet.base.images import image_facts, load_image
from trifacet.cli.build_demo import audit
from trifacet.demo.facts import scene_generator
from trifacet.demo.raw import SOURCES, Planted, write_raw_posts
from trifacet.demo.raw_faults import FAULTS
from trifacet.demo.raw_texts import PRIVATE, PUBLIC, TYPOS, edited, small_talk, with_typos, without_typos

POSTS, SEED, SIZE = 260, 5, 128
BASE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    planted = write_raw_posts(folder, POSTS, SEED, SIZE, faults=0.4, base_url=BASE)
    return folder, planted, rows_in(folder)


def rows_in(folder):
    """The rows of all files in order; None for a line that is not JSON."""
    rows = []
    for line in (folder / SOURCES[0]).read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            rows.append(None)
    with (folder / SOURCES[1]).open(newline="", encoding="utf-8") as file:
        rows += csv.DictReader(file)
    with (folder / SOURCES[2]).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            image = row["media_url"].removeprefix(f"{BASE}/")
            rows.append({"id": row["tweet_id"], "image": image, "context": row["text"], "alt": row["alt_text"]})
            rows[-1]["planted"] = row["planted"]
    return rows + pq.read_table(folder / SOURCES[3]).to_pylist()


def test_every_kind_of_fault_is_planted_where_it_is_said(raw):
    _, planted, rows = raw
    assert len(rows) == POSTS
    assert set(FAULTS) == {one.planted for one in planted}
    assert max(Counter(one.planted for one in planted).values()) <= 4
    for one in planted:
        row = rows[one.row]
        assert (row is None) == (one.planted == "line-broken")
        if row is not None:
            assert (row["id"], row["planted"]) == (one.id, one.planted)
    marked = {place for place, row in enumerate(rows) if row is None or row.get("planted")}
    assert marked == {one.row for one in planted}


def test_sound_rows_are_sound(raw):
    folder, planted, rows = raw
    sound = [row for row in rows if row and not row.get("planted")]
    assert len({row["id"] for row in sound}) == len({row["alt"] for row in sound}) == len(sound)
    for row in sound:
        assert load_image(folder, row["image"]).size == (SIZE, SIZE)
        assert len(row["alt"].split()) >= 5
        assert without_typos(row["alt"]) == row["alt"]
        assert without_typos(row["context"]) == row["context"]
        assert not any(name in row["context"] + row["alt"] for name in PRIVATE)
        assert any(name in row["alt"] for name in PUBLIC)
        assert "#" not in row["context"] + row["alt"]
    twins = {one.twin for one in planted} - {None}
    assert all(not rows[twin].get("planted") for twin in twins)
    assert len(twins) == sum(one.twin is not None for one in planted)  # nobody is copied twice


def test_pictures_differ_where_posts_do_and_not_where_they_are_copies(raw):
    folder, planted, rows = raw

    def code(row):
        return imagehash.phash(Image.open(folder / row["image"]))

    codes = [code(row) for row in rows if row and not row.get("planted")]
    assert min(a - b for a, b in itertools.combinations(codes, 2)) > 8
    distances = defaultdict(list)
    for one in planted:
        if one.twin is not None:
            distances[one.planted].append(code(rows[one.row]) - code(rows[one.twin]))
    assert max(distances["picture-resized"] + distances["picture-recompressed"]) <= 6
    assert set(distances["exact-copy"]) == {0}
    assert min(distances["text-edited"]) > 8  # alike in their words only


def test_the_faults_of_pictures_are_what_they_say(raw):
    folder, planted, rows = raw
    for one in planted:
        row = rows[one.row]
        if one.planted.startswith("animated"):
            assert image_facts(folder / row["image"]).frames == 2
        elif one.planted in ("image-broken", "image-is-a-page", "image-huge", "image-missing", "image-outside"):
            with pytest.raises(DataError):
                load_image(folder, row["image"])
        elif one.planted == "png-called-jpg":
            assert image_facts(folder / row["image"]).format == "PNG"


def test_the_same_seed_writes_the_same_bytes_and_another_does_not(raw, tmp_path):
    folder, _, _ = raw
    for seed, name in ((SEED, "again"), (SEED + 1, "other")):
        write_raw_posts(tmp_path / name, POSTS, seed, SIZE, faults=0.4, base_url=BASE)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert all((tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes() for name in files)
    assert (tmp_path / "other" / SOURCES[0]).read_bytes() != (folder / SOURCES[0]).read_bytes()


def test_spelling_is_broken_and_mended():
    text = 'The weather was fine for the HELLO sign, "SALE" and Bobati.'
    for k in range(20):
        broken = with_typos(text, scene_generator(1, "typos", k))
        assert broken != text
        assert without_typos(broken) == text
    assert not set(TYPOS.values()) & set(TYPOS)
    talk = small_talk(scene_generator(1, "talk", 0))
    assert len(set(edited(talk, scene_generator(1, "edit", 0)).split()) & set(talk.split())) > 0.8 * len(
        set(talk.split())
    )


def test_the_audit_tells_caught_from_missed():
    def event(row, name, verdict, field=None):
        return {"row": row, "name": name, "verdict": verdict, "field": field}

    planted = [
        Planted(0, "a", "blur", "gone", ("lint",)),
        Planted(1, "b", "blur", "gone", ("lint",)),
        Planted(2, "c", "blur", "gone", ("lint",)),
        Planted(3, "d", "copy", "one of two", ("near",), twin=4),
        Planted(5, "e", "copy", "one of two", ("near",), twin=6),
        Planted(7, "f", "copy", "one of two", ("near",), twin=8),
        Planted(9, "g", "typo", "changed", ("grammar",)),
        Planted(10, "h", "page", "kept", ()),
    ]
    events = [
        event(0, "lint", "drop"), event(1, "names", "drop"), event(2, "lint", "note"),
        event(4, "near", "drop"), event(5, "near", "drop"), event(6, "near", "drop"),
        event(9, "grammar", "change", "alt"), event(10, "rejected-response", "change", "rejected_responses"),
        event(11, "grammar", "change", "alt"), event(12, "verify", "drop"), event(13, "lint", "drop"),
    ]  # fmt: skip
    table = {row[0]: row[1:5] for row in audit(planted, events, 15)}
    assert table == {
        "blur": [3, 1, 1, 1],
        "copy": [3, 1, 0, 2],  # one of two is gone, both are, none is
        "typo": [1, 1, 0, 0],
        "page": [1, 1, 0, 0],
        "(none)": [4, 2, 1, 1],  # 12 and 14 are fine; 13 was dropped, 11 changed without need
    }
