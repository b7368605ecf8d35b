"""Paths to documents: which files are looked at, which pictures are found, and what is told of the others."""

import hashlib
import os
from pathlib import Path

import pytest

from trifacet.base.errors import DataError, TrifacetError
from trifacet.describing.findings import is_missing, is_weak
from trifacet.describing.formats import format_called, format_of, formats
from trifacet.describing.place import Edit
from trifacet.describing.scanning import ScanSettings, record_of, root_of, scan

PAGE = '<img src="a.png"><img src="/img/b.png?x"><img src="../../c.png"><img src="https://x.example/d.png">'


@pytest.fixture
def site(tmp_path):
    root = tmp_path / "site"
    for name, text in {
        "index.html": PAGE,
        "posts/one.md": "![x](../img/b.png) ![](%61.png)\n",
        "posts/two.rst": ".. image:: /img/b.png\n",
        "posts/notes.txt": "<img>",
        ".hidden/page.html": PAGE,
        "node_modules/x/page.html": PAGE,
        "a.png": "",
        "img/b.png": "",
        "static/s.png": "",
        "posts/a.png": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (tmp_path / "c.png").write_text("")
    (tmp_path / "out.html").write_text(PAGE)
    return root


def names(paths, root, **more):
    return [document.path for document in scan(paths, root, **more)]


def test_a_folder_is_read_in_the_order_of_names_without_what_is_hidden(site):
    assert names([site], site) == ["index.html", "posts/one.md", "posts/two.rst"]
    assert names([site / "posts", site / "index.html", site], site) == ["posts/one.md", "posts/two.rst", "index.html"]
    assert names([site], site, settings=ScanSettings("markdown")) == ["posts/one.md"]


def test_patterns(site, monkeypatch):
    monkeypatch.chdir(site)
    assert names(["**/*.md", "*.html"], site) == ["posts/one.md", "index.html"]
    assert names([Path("posts/[ot][nw]*")], site) == ["posts/one.md", "posts/two.rst"]
    problems = []
    assert names(["*.nothing"], site, on_problem=problems.append) == []
    assert "names no file" in str(problems[0])


def test_a_document_has_its_digest_and_its_pictures_their_files(site):
    page, one, two = scan([site], site)
    assert page.digest == hashlib.sha256(PAGE.encode()).hexdigest()
    assert page.format == "html"
    assert [place.picture.file for place in page.places] == ["a.png", "img/b.png", "", ""]
    assert [place.picture.source for place in page.places] == ["file", "file", "file", "remote"]
    assert [place.picture.file for place in one.places] == ["img/b.png", "posts/a.png"]
    assert two.places[0].picture.file == "img/b.png"
    (site / "s.html").write_text('<img src="/s.png">')
    assert next(scan([site / "s.html"], site)).places[0].picture.file == "static/s.png"


def test_links_lead_nowhere(site, tmp_path):
    (site / "link.html").symlink_to(tmp_path / "out.html")
    (site / "folder").symlink_to(tmp_path)
    (site / "within.html").symlink_to(site / "index.html")
    (site / "out.png").symlink_to(tmp_path / "c.png")
    (site / "shows.html").write_text('<img src="out.png">')
    documents = list(scan([site], site))
    assert [document.path for document in documents] == ["index.html", "shows.html", "posts/one.md", "posts/two.rst"]
    assert documents[1].places[0].picture.file == ""
    for path in (site / "link.html", tmp_path / "out.html"):
        with pytest.raises(DataError, match="outside the root"):
            list(scan([path], site))


def test_what_cannot_be_read_is_one_line_and_the_scan_goes_on(site):
    (site / "bad.md").write_bytes(b"\xff![x](a.png)")
    (site / "large.html").write_bytes(b" " * 4_000_001)
    (site / "binary.html").write_bytes(b"<img>\0")
    (site / "bad.xhtml").write_text("<img>")
    os.mkfifo(site / "pipe.html")
    problems = []
    found = names([site, site / "nowhere.html", site / "posts" / "notes.txt"], site, on_problem=problems.append)
    assert found == ["index.html", "posts/one.md", "posts/two.rst"]
    told = [str(problem) for problem in problems]
    assert len(told) == 6, told
    for name in ("bad.md", "large.html", "binary.html", "bad.xhtml", "nowhere.html", "notes.txt"):
        (line,) = [line for line in told if line.startswith(str(site)) and name in line]
        assert "\n" not in line
    with pytest.raises(DataError):
        list(scan([site], site))


def test_formats_are_found_by_themselves():
    known = formats()
    assert {"html", "markdown", "rst"} <= set(known)
    assert all(one.name == name and one.suffixes for name, one in known.items())
    assert format_called("rst") is known["rst"]
    with pytest.raises(TrifacetError, match="unknown format 'word-perfect'; known are auto, "):
        ScanSettings("word-perfect")


def test_a_file_of_another_ending_is_known_by_its_first_bytes():
    assert format_of("page.html").name == "html"
    assert format_of("page.php5", b"\n<!DOCTYPE html>").name == "html"
    assert format_of("page.php5", b"\n<!DOCTYPE html>", found=True) is None
    assert format_of("page.php5", b"words") is None


def test_the_root_is_the_working_folder_or_that_of_all_paths(site, monkeypatch):
    monkeypatch.chdir(site)
    assert root_of([Path("posts"), Path("*.html")]) == site
    assert root_of([site.parent / "out.html", site]) == site.parent
    monkeypatch.chdir(site / "posts")
    assert root_of([site / "index.html"]) == site
    assert root_of([site / "index.html", Path("one.md")]) == site


def test_a_record_is_json_and_bounded(site):
    (site / "data.html").write_text(f'<img src="data:image/png;base64,{"A" * 100_000}">')
    (document,) = scan([site / "data.html"], site)
    record = record_of(document, document.places[0])
    assert len(str(record)) < 2500
    assert record["state"] == "missing"
    assert record["findings"][0]["rule"] == "missing"
    assert record["around"]["headings"] == []


def test_what_is_missing_is_not_what_is_weak(site):
    (document,) = scan([site / "posts" / "one.md"], site)
    assert [is_missing(place) for place in document.places] == [False, True]
    assert [is_weak(place) for place in document.places] == [True, False]


def test_from_a_scan_to_a_changed_page(site):
    (document,) = scan([site / "index.html"], site)
    data = (site / "index.html").read_bytes()
    key = document.places[0].key
    new = format_called(document.format).edited(data, document.path, {key: Edit("A boat")})
    assert new == data.replace(b"<img", b'<img alt="A boat"', 1)
