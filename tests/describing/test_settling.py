"""A text that a document can't take is told by name and stops no other; so is a file that is no edits."""

import hashlib
import json
import zlib
from contextlib import closing

import pytest
from packed_documents import epub, img, page
from suggest_parts import AGREED, RuleWriter, picture, suggester

from trifacet.base.errors import DataError
from trifacet.describing import planning
from trifacet.describing.edits_file import read_edits
from trifacet.describing.formats.epub import FORMAT as EPUB
from trifacet.describing.formats.html import FORMAT as HTML
from trifacet.describing.formats.markdown import FORMAT as MARKDOWN
from trifacet.describing.patching import undo
from trifacet.describing.place import Edit, Picture
from trifacet.describing.queue import Queue
from trifacet.describing.rasters import Rasters
from trifacet.describing.scanning import scan
from trifacet.describing.settling import settled

XHTML = '<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><body>{}</body></html>'


def test_names_of_xhtml_are_as_they_are_written():
    data = XHTML.format('<img src="a.png" ALT="x"/><img src="b.png"/>').encode()
    edits = {one.key: Edit(f"Text {n}") for n, one in enumerate(HTML.places(data, "a.xhtml"))}
    new = HTML.edited(data, "a.xhtml", edits).decode()
    assert '<img alt="Text 0" src="a.png" ALT="x"/><img alt="Text 1" src="b.png"/>' in new


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_refused_places_stop_no_other(count):
    """Control characters in some texts, places that are fixed, places that are not there."""
    data = "".join(f"<p><img src={n}.png></p>\n" for n in range(count)).encode() + b'<img src="{{ x }}">'
    places = list(HTML.places(data, "a.html"))
    edits = {one.key: Edit("a\x07b" if n % 5 == 3 else f"Text {n}") for n, one in enumerate(places)}
    put = settled(HTML, data, "a.html", edits | {"img@99999": Edit("x")})
    sound = {key: edit for key, edit in edits.items() if "\x07" not in edit.alt and key != places[-1].key}
    assert put.after == HTML.edited(data, "a.html", sound) and put.edits == sound
    assert len(put.refused) == len(edits) + 1 - len(sound)
    assert "holds no place 'img@99999'" in put.refused[-1] and "holds a template" in put.refused[-2]
    assert all("line 4: a text holds the character U+0007" in one for one in put.refused[:-2][:1])


def test_where_nothing_can_be_put_in_the_document_is_refused():
    data = b"<img src=a.png><img src=b.png>"
    edits = {one.key: Edit("a\x07b") for one in HTML.places(data, "a.html")}
    with pytest.raises(DataError, match=r"U\+0007 \(so is 1 other\)"):
        settled(HTML, data, "a.html", edits)


def test_formats_without_a_place_for_long_descriptions_take_the_texts():
    data = b"x ![](a.png) ![](b.png)\n"
    keys = [one.key for one in MARKDOWN.places(data, "a.md")]
    put = settled(MARKDOWN, data, "a.md", {key: Edit("Sales", long="Two bars.") for key in keys})
    assert put.after == b"x ![Sales](a.png) ![Sales](b.png)\n" and put.undescribed == set(keys)
    assert "the format (markdown) has no place for one; write it below the picture by hand" in put.refused[0]
    book = epub(page(img(None)), version="2.0")
    (place,) = EPUB.places(book, "b.epub")
    put = settled(EPUB, book, "b.epub", {place.key: Edit("Sales", long="Two bars.")})
    assert put.undescribed == {place.key} and "a book of EPUB 2" in put.refused[0]
    assert put.after == EPUB.edited(book, "b.epub", {place.key: Edit("Sales")})


def test_long_descriptions_of_a_queue(tmp_path, trifacet):
    site, path = tmp_path / "site", tmp_path / "q.sqlite"
    picture(site, "chart.png", "red")
    picture(site, "b.png", "teal")
    (site / "p.html").write_text("<p>Sales. <img src=chart.png></p>\n<p>x <img src=b.png></p>\n")
    (site / "n.md").write_text("Sales again.\n\n![](chart.png)\n")
    before = {file.name: file.read_bytes() for file in site.iterdir()}
    with closing(Queue(path)) as queue:
        queue.stand_on(site)
        suggester(site, RuleWriter(), queue=queue).suggest(scan([site], site))
        for one in queue.suggestions():
            queue.decide(one.id, "accepted", None, "Ada", one.event)
        code, told, _ = trifacet("alt", "apply", path, "--dry-run")
        assert code == 0 and "2 long descriptions stay in the queue; --long-descriptions puts them into pages" in told
        assert 'class="long-description"' not in told
        code, told, _ = trifacet("alt", "apply", path, "--dry-run", "--long-descriptions")
        assert code == 1 and f"<p>{AGREED}</p></div>" in told
        code, told, said = trifacet("alt", "apply", path, "--long-descriptions")
        assert code == 1 and "2 documents changed, 3 texts" in told
        assert "n.md: line 3: its long description is put nowhere: the format (markdown)" in " ".join(said.split())
        states = {
            (one.proposal.document, one.proposal.place.role): (one.state, one.note) for one in queue.suggestions()
        }
        assert states["n.md", "complex"] == ("applied", "without its long description")
        assert states["p.html", "complex"] == ("applied", "")
        new = (site / "p.html").read_text()
        assert new.count("aria-describedby=") == 1 and new.count("</p></div>\n<p>x") == 1
        assert trifacet("alt", "undo", site, "--queue", path)[0] == 0
        assert {file.name: file.read_bytes() for file in site.iterdir() if file.is_file()} == before
        assert queue.stats() == {"accepted": 3}


def test_rows_with_a_long_description(tmp_path, trifacet):
    (tmp_path / "p.html").write_bytes(b'<p><img src=a.png alt="Sales"></p>')
    (place,) = HTML.places((tmp_path / "p.html").read_bytes(), "p.html")
    row = {"document": "p.html", "digest": hashlib.sha256((tmp_path / "p.html").read_bytes()).hexdigest()}
    row |= {"key": place.key, "alt": "Sales", "long": "Two bars."}
    edits = tmp_path / "e.jsonl"
    edits.write_text(json.dumps(row))
    assert trifacet("alt", "apply", edits, "--root", tmp_path)[0] == 0
    assert '<div class="long-description"' in (tmp_path / "p.html").read_text()  # nothing was replaced
    edits.write_text(json.dumps(row | {"described_by": "x"}))
    assert "give one of them" in trifacet("alt", "apply", edits, "--root", tmp_path)[2]


OTHERS = {
    "p.html": (b"<!doctype html><p>x</p>", "is a document (html), and no edits"),
    "t.csv": (b"id,event\n", "is a table; enter it with `trifacet alt import`"),
    "a.patch": (b"diff --git a/x b/x\n", "is a patch; apply it with `git apply`"),
    "a.txt": (b"words", "is neither a queue nor JSON, and no edits; give a queue of `trifacet alt suggest`"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_queue_is_told_by_what_it_is(tmp_path, name):
    content, told = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read_edits(tmp_path / name)
    assert told in str(error.value)


def test_old_bytes_that_swell_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr("trifacet.describing.old_bytes.MAX_DOCUMENT", 5_000_000)
    data = b"<img src=a.png>"
    (tmp_path / "p.html").write_bytes(data)
    (place,) = HTML.places(data, "p.html")
    edits = {"p.html": (planning.digest_of(data), {place.key: Edit("x")})}
    from trifacet.describing.patching import apply

    apply(tmp_path, edits, lambda path, data: HTML)
    (kept,) = (tmp_path / planning.FOLDER / "before").iterdir()
    kept.write_bytes(zlib.compress(bytes(2_000_000_000 // 100)))
    (told,) = undo(tmp_path)
    assert told.told == "refused" and "gone or damaged" in told.problem


def test_an_address_of_one_machine_is_told_as_what_it_is(tmp_path):
    for network in (None, object()):
        with pytest.raises(DataError) as error:
            Rasters(tmp_path, network=network).seen(Picture("remote", "file:///C:/a.png"), tmp_path / "a.html")
        assert "is not fetched (file:); give its path relative to the page" in str(error.value)
        assert "--remote" not in str(error.value)
