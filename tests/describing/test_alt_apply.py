"""``trifacet alt apply`` and ``undo``, from a scan to changed documents and back."""

import hashlib
import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import packed_documents as made
import pytest

from trifacet.cli import main
from trifacet.describing.queue import Proposal, Queue
from trifacet.describing.scanning import scan

PAGE = b"""<html lang="en"><title>Dogs</title>
<p>Rex <img src=rex.jpg> and <img src='b.jpg' alt="a cat"></p>
</html>
""".replace(b"\n", b"\r\n")


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.html").write_bytes(PAGE)
    (folder / "sub" / "book.epub").write_bytes(made.epub(made.page(made.img(None))))
    (folder / "report.docx").write_bytes(made.word(made.paragraph(made.drawing(1, None))))
    (folder / "feed.xml").write_bytes(made.rss("x").replace(b' alt="x"', b""))
    (folder / "export.xml").write_bytes(made.wxr(made.wp_item(2, "attachment", url="https://example.org/u.png")))
    (folder / "outbox.json").write_bytes(made.outbox(None))
    (folder / "sub" / "photo.jpg").write_bytes(made.PIXEL)
    return folder


def trifacet(*words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["trifacet", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main.main()
    told = capsys.readouterr()
    return end.value.code, told.out, told.err


@pytest.fixture
def run(monkeypatch, capsys):
    return lambda *words: trifacet(*words, monkeypatch=monkeypatch, capsys=capsys)


def edits_of(run, site, *more):
    """Rows for all that is missing, by a scan."""
    _, told, _ = run("alt", "scan", site, "--root", site, "--json", "-", *more)
    records = json.loads(told)["records"]
    return [
        {
            "document": one["path"],
            "digest": one["digest"],
            "key": one["key"],
            "format": one["format"],
            "alt": f"text {n}",
        }
        for n, one in enumerate(records)
        if one["state"] == "missing" and not one["fixed"]
    ]


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def all_files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and ".trifacet-alt" not in path.parts}  # fmt: skip


def test_from_a_scan_to_changed_documents_and_back(run, site, tmp_path):
    before = all_files(site)
    rows = edits_of(run, site) + edits_of(run, site / "sub", "--format", "pictures")
    rows[-1]["document"] = "sub/" + rows[-1]["document"]
    assert {row["format"] for row in rows} == {"html", "epub", "word", "feed", "wordpress", "mastodon", "pictures"}
    edits = written(tmp_path / "edits.jsonl", rows)
    code, told, _ = run("alt", "apply", edits, "--root", site, "--dry-run")
    assert code == 0 and all_files(site) == before
    assert (
        " <html lang" in told
        and "\n+<p>Rex <img alt=" in told
        and "\\r" not in told
        and "report.docx: word/media/image1.png: none -> 'text" in told
    )
    assert "7 documents would change, 7 texts" in told
    code, told, _ = run("alt", "apply", edits, "--root", site)
    assert (code, told) == (0, "7 documents changed, 7 texts\n")
    after = all_files(site)
    assert sum(data != before.get(name) for name, data in after.items()) == 7
    assert [row for row in edits_of(run, site) if row["format"] != "mastodon"] == []
    code, told, _ = run("alt", "apply", edits, "--root", site)
    assert (code, told) == (0, "0 documents changed, 0 texts; 7 with nothing to do\n") and all_files(site) == after
    _, told, _ = run("alt", "scan", site / "sub", "--root", site, "--format", "pictures", "--json", "-")
    (picture,) = json.loads(told)["records"]  # the picture and the text beside it are one
    assert (picture["path"], picture["picture"]["file"], picture["state"]) == (
        "sub/photo.jpg.alt.txt", "sub/photo.jpg", "text",
    )  # fmt: skip
    code, told, _ = run("alt", "undo", site)
    assert (code, told) == (0, "7 documents given back, 7 texts\n")
    assert all_files(site) == before


def test_what_a_person_wrote_stays_unless_told(run, site, tmp_path):
    _, told, _ = run("alt", "scan", site / "a.html", "--root", site, "--all", "--json", "-")
    rows = [{"document": one["path"], "digest": one["digest"], "key": one["key"], "alt": "new"}
            for one in json.loads(told)["records"]]  # fmt: skip
    edits = written(tmp_path / "edits.jsonl", rows)
    code, told, _ = run("alt", "apply", edits, "--root", site)
    assert (code, told) == (0, "1 document changed, 1 text; 1 left as they are (--overwrite replaces them)\n")
    assert b'alt="a cat"' in (site / "a.html").read_bytes()
    run("alt", "undo", site)
    code, told, _ = run("alt", "apply", edits, "--root", site, "--overwrite")
    assert (code, told) == (0, "1 document changed, 2 texts\n")
    assert (site / "a.html").read_bytes().count(b'alt="new"') == 2


def test_an_empty_text_where_nothing_else_names_the_link_is_no_text(run, site, tmp_path):
    (site / "a.html").write_bytes(b'<p><a href="/x"><img src="a.png" alt=""></a> <img src="b.png" alt=""></p>')
    _, told, _ = run("alt", "scan", site / "a.html", "--root", site, "--all", "--json", "-")
    rows = [{"document": one["path"], "digest": one["digest"], "key": one["key"], "alt": "To x"}
            for one in json.loads(told)["records"]]  # fmt: skip
    code, told, _ = run("alt", "apply", written(tmp_path / "edits.jsonl", rows), "--root", site)
    assert (code, told) == (0, "1 document changed, 1 text; 1 left as they are (--overwrite replaces them)\n")
    assert (
        site / "a.html"
    ).read_bytes() == b'<p><a href="/x"><img src="a.png" alt="To x"></a> <img src="b.png" alt=""></p>'


def test_the_patch_does_what_apply_does(run, site, tmp_path):
    rows = [row for row in edits_of(run, site) if row["format"] in ("html", "feed", "wordpress", "mastodon")]
    edits = written(tmp_path / "edits.jsonl", rows)
    code, _, _ = run("alt", "apply", edits, "--root", site, "--patch", tmp_path / "alt.patch")
    assert code == 0
    environment = dict(os.environ, GIT_CEILING_DIRECTORIES=str(tmp_path))
    subprocess.run(["git", "apply", tmp_path / "alt.patch"], cwd=site, check=True, env=environment)
    by_git = all_files(site)
    subprocess.run(["git", "apply", "-R", tmp_path / "alt.patch"], cwd=site, check=True, env=environment)
    run("alt", "apply", edits, "--root", site)
    assert all_files(site) == by_git


def proposals_of(root):
    """Of each missing text of the pages below a folder, as suggested."""
    for document in scan([root], root):
        for n, place in enumerate(document.places):
            if place.state == "missing" and document.path.endswith(".html"):
                yield Proposal(document.path, document.digest, place, "p", "c", f"text {n}", format=document.format)


def test_what_people_decided_is_put_in_place_and_noted(run, site, tmp_path):
    path = tmp_path / "queue.sqlite"
    (site / "b.html").write_bytes(PAGE)
    (site / "c.html").write_bytes(PAGE)
    with closing(Queue(path)) as queue:
        queue.stand_on(site)
        queue.put(proposals_of(site), "model")
        first, second, third = queue.suggestions()
        queue.decide(first.id, "accepted", None, "Ada", first.event)
        queue.decide(second.id, "edited", "A dog", "Ada", second.event)
        queue.decide(third.id, "refused", None, "Ada", third.event)
        before = all_files(site)
        assert run("alt", "apply", path, "--dry-run")[0] == 0
        assert all_files(site) == before and queue.stats() == {"accepted": 1, "edited": 1, "refused": 1}
        (site / "a.html").write_bytes(PAGE + b"<!-- changed since -->")
        code, told, warned = run("alt", "apply", path, "--who", "Ben")
        assert code == 1 and "1 document changed, 1 text; 1 changed since" in told and "a.html: changed since" in warned
        assert b'alt="A dog"' in (site / "b.html").read_bytes() and (site / "c.html").read_bytes() == PAGE
        assert queue.stats() == {"refused": 1, "applied": 1, "stale": 1}
        applied = queue.get(second.id)
        assert (applied.state, applied.text, applied.who) == ("applied", "A dog", "Ben")
    assert run("alt", "apply", path)[:2] == (0, "0 documents changed, 0 texts\n")  # nothing is left to do


GOOD = {"document": "a.html", "digest": "0" * 64, "key": "k", "alt": "x"}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{**GOOD, "digest": "7"}], "field 'digest': is no SHA-256"),
        ([{**GOOD, "alt": 3}], "field 'alt': is no text but int"),
        ([{"document": "a.html"}], "field 'digest': is missing"),
        ([GOOD, GOOD], "row 2, field 'key': has a text already"),
        ([GOOD, {**GOOD, "key": "l", "digest": "1" * 64}], "row 2, field 'digest': differs"),
        ([{**GOOD, "format": "pdf"}], "unknown format 'pdf'"),
    ],
)
def test_wrong_rows_are_one_line(run, site, tmp_path, rows, told):
    if "format" in rows[0]:
        rows = [{**rows[0], "digest": hashlib.sha256(PAGE).hexdigest()}]
    code, _, line = run("alt", "apply", written(tmp_path / "e.jsonl", rows), "--root", site)
    assert code in (1, 2) and told in line and len(line.splitlines()) == 1
    assert (site / "a.html").read_bytes() == PAGE


def test_hostile_names_and_texts_are_escaped(run, site, tmp_path):
    (site / "a\x1b[31m.html").write_bytes(PAGE)
    rows = [row | {"alt": "\u202eevil"} for row in edits_of(run, site) if row["format"] == "html"]
    _, told, line = run("alt", "apply", written(tmp_path / "e.jsonl", rows), "--root", site, "--dry-run")
    assert "\x1b" not in told + line and "\u202e" not in told + line


def test_nothing_to_undo(run, site):
    code, _, line = run("alt", "undo", site)
    assert code == 2 and "nothing was applied" in line


def _decided(site, path, monkeypatch):
    """A queue in which the text of a page's picture is edited, the picture being a file."""
    monkeypatch.chdir(site)
    (site / "rex.jpg").write_bytes(made.PIXEL)
    queue = Queue(path)
    queue.stand_on(site)
    queue.put((replace(one, picture=hashlib.sha256(made.PIXEL).hexdigest()) for one in proposals_of(site)), "model")
    (one,) = queue.suggestions()
    queue.decide(one.id, "edited", "Rex the dog", "Ada", one.event)
    return queue, one.id


def test_a_text_does_not_go_to_another_picture(run, site, monkeypatch):
    queue, name = _decided(site, site / "alt-queue.sqlite", monkeypatch)
    with closing(queue):
        (site / "rex.jpg").write_bytes(made.PIXEL + b"another")
        for words in (("--dry-run",), ()):
            code, told, warned = run("alt", "apply", "alt-queue.sqlite", *words)
            assert code == 1 and told.startswith("0 documents")
            assert "a.html, row 2: picture 'rex.jpg' changed since its text was suggested" in warned
        assert (site / "a.html").read_bytes() == PAGE and queue.get(name).state == "stale"


def test_a_text_waits_for_a_picture_that_is_away(run, site, monkeypatch):
    queue, name = _decided(site, site / "alt-queue.sqlite", monkeypatch)
    with closing(queue):
        (site / "rex.jpg").rename(site / "away.jpg")
        code, _, warned = run("alt", "apply", "alt-queue.sqlite")
        assert code == 1 and "rex.jpg" in warned and (site / "a.html").read_bytes() == PAGE
        (site / "away.jpg").rename(site / "rex.jpg")
        assert queue.get(name).state == "edited" and run("alt", "apply", "alt-queue.sqlite")[0] == 0
        assert b'alt="Rex the dog"' in (site / "a.html").read_bytes()


@pytest.mark.parametrize("named", [(), ("--queue", "other.sqlite")])
def test_what_is_taken_out_is_decided_as_before(run, site, monkeypatch, named):
    queue, name = _decided(site, site / (named[1] if named else "alt-queue.sqlite"), monkeypatch)
    with closing(queue):
        assert run("alt", "apply", queue.path)[0] == 0 and queue.get(name).state == "applied"
        assert run("alt", "undo", *named, "--who", "Ben")[:2] == (0, "1 document given back, 1 text\n")
        again = queue.get(name)
        assert (again.state, again.text, again.who) == ("edited", "Rex the dog", "Ben")
        assert run("alt", "apply", queue.path)[1] == "1 document changed, 1 text\n"
        assert b'alt="Rex the dog"' in (site / "a.html").read_bytes()


def test_a_queue_that_cannot_be_read_does_not_keep_texts_in_place(run, site, monkeypatch):
    queue, _ = _decided(site, site / "other.sqlite", monkeypatch)
    with closing(queue):
        run("alt", "apply", "other.sqlite")
    (site / "alt-queue.sqlite").write_text("no queue")
    code, told, warned = run("alt", "undo")
    assert (code, told) == (0, "1 document given back, 1 text\n") and "alt-queue.sqlite" in warned
    assert (site / "a.html").read_bytes() == PAGE


def test_the_queue_of_another_folder_is_not_touched(run, site, tmp_path, monkeypatch):
    queue, name = _decided(site, site / "alt-queue.sqlite", monkeypatch)
    with closing(queue):
        run("alt", "apply", "alt-queue.sqlite")
        (tmp_path / "elsewhere").mkdir()
        code, _, line = run("alt", "undo", tmp_path / "elsewhere", "--queue", "alt-queue.sqlite")
        assert code == 2 and "name that folder" in line and queue.get(name).state == "applied"


def test_what_cannot_say_decorative_is_told_and_not_noted_as_applied(run, site, tmp_path):
    (site / "a.md").write_text("![](rex.jpg)\n\n![](b.jpg)\n")
    (document,) = scan([site / "a.md"], site)
    with closing(Queue(tmp_path / "queue.sqlite")) as queue:
        queue.stand_on(site)
        places = enumerate(document.places)
        queue.put((Proposal("a.md", document.digest, one, f"p{n}", "c", "Rex" * n) for n, one in places), "model")
        empty, text = queue.suggestions()
        for one in (empty, text):
            queue.decide(one.id, "accepted", None, "Ada", one.event)
        code, told, warned = run("alt", "apply", queue.path)
        assert code == 1 and "1 document changed, 1 text" in told and "can't say that a picture is decorative" in warned
        assert (queue.get(empty.id).state, queue.get(text.id).state) == ("accepted", "applied")
        assert (site / "a.md").read_text() == "![](rex.jpg)\n\n![Rex](b.jpg)\n"
