"""What is open in a document goes with its places when texts are put into it and taken out again."""

import csv
import io
from contextlib import closing
from dataclasses import replace

import pytest
from suggest_parts import AGREED, RuleWriter, picture, suggester

from trifacet.describing.queue import Queue
from trifacet.describing.scanning import scan

PAGE = "<p>One.</p>\n<p><img src=a.png></p>\n<p>Two.</p>\n<p><img src=b.png></p>\n<p>Three <img src=c.png></p>\n"


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    for name, colour in (("a.png", "red"), ("b.png", "teal"), ("c.png", "gold")):
        picture(folder, name, colour)
    (folder / "p.html").write_text(PAGE)
    with closing(Queue(tmp_path / "q.sqlite")) as queue:
        queue.stand_on(folder)
        suggest(folder, queue, RuleWriter())
    return folder


def suggest(folder, queue, writer):
    return suggester(folder, writer, queue=queue).suggest(scan([folder], folder))


def by_picture(queue):
    return {one.proposal.place.picture.file: one for one in queue.suggestions() if one.state != "stale"}


def test_open_ones_go_with_their_places_and_back(site, tmp_path, trifacet):
    path = tmp_path / "q.sqlite"
    with closing(Queue(path)) as queue:
        first = by_picture(queue)
        queue.decide(first["a.png"].id, "accepted", None, "Ada", first["a.png"].event)
        queue.decide(first["c.png"].id, "refused", None, "Bo", first["c.png"].event)
        assert trifacet("alt", "apply", path)[0] == 0
        moved = by_picture(queue)
        assert {name: one.state for name, one in moved.items()} == {
            "a.png": "applied", "b.png": "suggested", "c.png": "refused",
        }  # fmt: skip
        (document,) = scan([site / "p.html"], site)
        places = {place.picture.file: place for place in document.places}
        for name in ("b.png", "c.png"):
            assert (moved[name].proposal.digest, moved[name].proposal.place) == (document.digest, places[name])
        queue.decide(moved["b.png"].id, "edited", "A teal field", "Ada", moved["b.png"].event)
        assert trifacet("alt", "apply", path)[0] == 0  # without another run of suggest
        assert 'alt="A teal field"' in (site / "p.html").read_text()
        writer = RuleWriter()
        assert suggest(site, queue, writer).stale == 0 and not writer.asked
        assert trifacet("alt", "undo", site, "--queue", path)[0] == 0
        assert by_picture(queue)["b.png"].state == "edited"
        assert trifacet("alt", "undo", site, "--queue", path)[0] == 0
        assert (site / "p.html").read_text() == PAGE
        assert {name: one.state for name, one in by_picture(queue).items()} == {
            "a.png": "accepted", "b.png": "edited", "c.png": "refused",
        }  # fmt: skip
        assert trifacet("alt", "apply", path)[0] == 0
        assert "2 texts" not in (site / "p.html").read_text() and AGREED in (site / "p.html").read_text()
        assert by_picture(queue)["b.png"].state == "applied"


def test_a_document_that_somebody_else_changed_is_suggested_for_anew(site, tmp_path, trifacet):
    path = tmp_path / "q.sqlite"
    with closing(Queue(path)) as queue:
        first = by_picture(queue)
        (site / "p.html").write_text("<p>Zero.</p>\n" + PAGE)
        queue.decide(first["a.png"].id, "accepted", None, "Ada", first["a.png"].event)
        assert trifacet("alt", "apply", path)[0] == 1
        assert by_picture(queue)["b.png"] == first["b.png"] and "alt" not in (site / "p.html").read_text()


def test_a_spreadsheet_that_went_out_before_still_counts(site, tmp_path, trifacet):
    """And those that stand elsewhere by now are listed once."""
    path, sheet = tmp_path / "q.sqlite", tmp_path / "t.csv"
    assert trifacet("alt", "export", "--queue", path, "--output", sheet)[0] == 0
    with closing(Queue(path)) as queue:
        first = by_picture(queue)
        queue.decide(first["a.png"].id, "accepted", None, "Ada", first["a.png"].event)
        assert trifacet("alt", "apply", path)[0] == 0
        queue.decide(by_picture(queue)["c.png"].id, "refused", None, "Bo", by_picture(queue)["c.png"].event)
        assert trifacet("alt", "queue", "--queue", path)[1].count("alt-") == 3
        assert trifacet("alt", "queue", "--queue", path, "--state", "stale")[1].count("moved to") == 2
        rows = list(csv.DictReader(io.StringIO(sheet.read_text("utf-8-sig"), newline="")))
        for row in rows:
            row["decision"] = "accept" if row["picture"] != "a.png" else ""
        with sheet.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        code, _, told = trifacet("alt", "import", sheet, "--queue", path, "--who", "Cy")
        assert code == 1 and "refused since" in " ".join(told.split())  # Bo's decision stays
        assert {name: one.state for name, one in by_picture(queue).items()} == {
            "a.png": "applied", "b.png": "accepted", "c.png": "refused",
        }  # fmt: skip


def test_one_may_come_to_where_another_was(site, tmp_path):
    """The same picture in the same context twice: what the first moves to is the second's old id."""
    with closing(Queue(tmp_path / "q.sqlite")) as queue:
        one = by_picture(queue)["b.png"]
        at = [replace(one.proposal, place=replace(one.proposal.place, key=f"img@{key}")) for key in (10, 20, 30)]
        queue.put(at[:2], "model")
        first, second = (queue.get(proposal.id) for proposal in at[:2])
        second = queue.decide(second.id, "edited", "Another", "Ada", second.event)
        assert queue.move([(first, at[1]), (second, at[2])], "Ada") == 2
        states = [(queue.get(proposal.id).state, queue.get(proposal.id).text) for proposal in at]
        assert states == [("stale", AGREED), ("suggested", AGREED), ("edited", "Another")]
