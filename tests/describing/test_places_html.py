"""Places of pages: which there are, what they are for, what is around them, and why some are fixed."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from parity.act import RULES, situations

from trifacet.base.errors import DataError
from trifacet.describing.addresses import largest
from trifacet.describing.findings import is_missing
from trifacet.describing.formats.html import FORMAT
from trifacet.describing.place import Edit
from trifacet.describing.styles import backgrounds
from trifacet.lint.pages import read_html


def places(page, path="a.html"):
    return list(FORMAT.places(page if isinstance(page, bytes) else page.encode(), path))


def one(page):
    (place,) = places(page)
    return place


def put(page, alt, **more):
    """The page with this text at its one place that can be changed."""
    data = page if isinstance(page, bytes) else page.encode()
    key = next(place.key for place in places(data) if not place.fixed)
    new = FORMAT.edited(data, "a.html", {key: Edit(alt, **more)})
    return new if isinstance(page, bytes) else new.decode()


@pytest.mark.parametrize("rule", RULES)
def test_what_is_missing_is_what_lint_says_is(rule):
    for situation in situations():
        if situation.rule == rule:
            lint = sum(
                (alt.text is None or bool(alt.needed)) and not alt.unasked
                for alt in read_html(situation.html, Path("a.html"))
            )
            found = sum(map(is_missing, places(situation.html)))
            blank = sum(
                alt.text is not None and not alt.text.strip() for alt in read_html(situation.html, Path("a.html"))
            )
            assert lint <= found <= lint + blank, situation


# What an element makes of a page: text, state, role; "fixed" where it can't be changed.
USES = {
    '<img src="a.png">': (None, "missing", "plain", ""),
    '<img src="a.png" alt="A boat">': ("A boat", "text", "plain", ""),
    '<img src="a.png" alt>': ("", "empty", "decorative", ""),
    '<img src="a.png" alt=" ">': (" ", "missing", "plain", ""),
    '<img src="a.png" alt="" tabindex=0>': ("", "empty", "plain", ""),
    '<img src="a.png" title="A boat">': ("A boat", "text", "plain", ""),
    '<img src="a.png" role="presentation">': (None, "empty", "decorative", "role"),
    '<img src="a.png" aria-label="A boat">': ("A boat", "text", "plain", "aria-label"),
    '<p id=x>A boat</p><img src="a.png" aria-labelledby=x>': ("A boat", "text", "plain", "aria-labelledby"),
    '<img src="a.png" aria-hidden=true>': (None, "empty", "decorative", "aria-hidden"),
    '<img src="a.png" width=1 height=1>': (None, "empty", "decorative", "one dot"),
    '<img src="{{ a }}">': (None, "missing", "plain", "template"),
    '<img src="a.png" alt="{{ a }}">': ("{{ a }}", "template", "plain", "template"),
    '<img :src="a">': (None, "missing", "plain", "script"),
    '<img src="a.png" :alt="b">': (None, "template", "plain", "gives its text"),
    '<img src="a.png" {% if x %}class=b{% endif %}>': (None, "template", "plain", "template"),
    "<? if ($a > 1) { ?><?php if ($a > 1) echo '<img src=\"a.png\">' ?>": (None, "missing", "plain", "code"),
    '<input type="image" src="a.png">': (None, "missing", "functional", ""),
    '<map><area href="/x"></map>': (None, "missing", "functional", ""),
    '<object data="a.png"></object>': (None, "missing", "plain", ""),
    '<embed src="a.png">': (None, "missing", "plain", ""),
    '<span role="img"></span>': (None, "missing", "plain", ""),
    '<span role="img" aria-label="A boat"></span>': ("A boat", "text", "plain", ""),
    '<svg role="img"></svg>': (None, "missing", "plain", ""),
    '<svg role="img"><title>A boat</title></svg>': ("A boat", "text", "plain", "<title>"),
    "<svg><path/></svg>": (None, "empty", "decorative", "without a role"),
    '<a href="/x"><svg><path/></svg></a>': (None, "missing", "functional", "without a role"),
    '<a href="/x"><img src="a.png"></a>': (None, "missing", "functional", ""),
    '<a href="/x"><img src="a.png" alt=""></a>': ("", "empty", "functional", ""),
    '<a href="/x"><img src="a.png"> Home</a>': (None, "missing", "decorative", ""),
    '<button><img src="a.png"></button>': (None, "missing", "functional", ""),
    '<img src="sales-chart.png">': (None, "missing", "complex", ""),
    '<img src="a.png" aria-describedby=x>': (None, "missing", "complex", ""),
    '<p style="background: url(a.png)">x': (None, "empty", "decorative", "CSS"),
    "<style>p { background-image: url('a.png') }</style>": (None, "empty", "decorative", "CSS"),
    '<template><img src="a.png"></template>': (None, "missing", "plain", ""),
    '<image src="a.png">': (None, "missing", "plain", ""),
}  # fmt: skip


@pytest.mark.parametrize("page", USES)
def test_uses(page):
    place = one(page)
    alt, state, role, fixed = USES[page]
    assert (place.alt, place.state, place.role) == (alt, state, role), place
    assert fixed in place.fixed
    assert bool(fixed) == bool(place.fixed)


@pytest.mark.parametrize(
    "page", ["", "<p>no picture", "<!-- <img> -->", "<script>'<img>'</script>", "<textarea><img></textarea>", "<imgs>"]
)
def test_nothing_is_found_where_nothing_is(page):
    assert places(page) == []


PAGE = """<!doctype html><html lang="en"><head><title>Harbours of the north</title></head><body>
<h1>Harbours</h1><h2>Old ones</h2><h3>Skip</h3><h2>Bergen</h2>
<p>Boats lie here. <img src="img/a%20b.png?v=2" title="T"> They come <b>from far</b>.</p>
<p>Alone comes</p><img src="c.png"><p lang="nb">etter det</p>
<figure><img src="d.png"><figcaption>The quay in 1912</figcaption></figure>
<table><caption>Depths</caption><tr><td><img src="e.png"></td></tr></table>
<a href="/b.html"><img src="f.png"> all boats</a>
<div lang="de"><p>Ein <img src="g.png"> Boot</p></div>
<p hidden>secret</p><script>secret</script><p>Before <img src="h.png"></p>
"""


def test_context():
    a, c, d, e, f, g, h = (place.around for place in places(PAGE))
    assert a.headings == ("Harbours", "Bergen")
    assert (a.before, a.after) == ("Boats lie here.", "They come from far.")
    assert (a.page, a.title, a.language, a.file_name) == ("Harbours of the north", "T", "en", "a b.png")
    assert (c.before, c.after) == ("Alone comes", "etter det")
    assert d.caption == "The quay in 1912"
    assert e.caption == "Depths"
    assert (f.link, f.link_text, f.after) == ("/b.html", "all boats", "all boats")
    assert (g.language, g.before, g.after) == ("de", "Ein", "Boot")
    assert (h.before, h.after) == ("Before", "")


@pytest.mark.parametrize(
    ("element", "source", "address"),
    [
        ("<img src=' a.png '>", "file", "a.png"),
        ("<img src='//x.example/a.png'>", "remote", "//x.example/a.png"),
        ("<img src='HTTPS://x.example/a.png'>", "remote", "HTTPS://x.example/a.png"),
        ("<img src='data:image/gif;base64,R0lG'>", "data", "data:image/gif;base64,R0lG"),
        ("<img src='data:image/gif;base64,R0lG' data-src=b.png>", "file", "b.png"),
        ("<img data-src='my pic.png'>", "file", "my pic.png"),
        ("<img data-srcset='s.png 1x, l.png 3x, m.png 2x'>", "file", "l.png"),
        ("<img srcset='s.png 100w, l.png 1e3w'>", "file", "l.png"),
        ("<picture><source srcset='a.webp 2x'><img></picture>", "file", "a.webp"),
        ("<img>", "none", ""),
        ("<object data=o.svg></object>", "file", "o.svg"),
        ("<svg role=img><svg/><g/></svg>", "svg", "<svg role=img><svg/><g/></svg>"),
    ],
)
def test_the_picture_of_an_element(element, source, address):
    picture = one(element).picture
    assert (picture.source, picture.address) == (source, address)


def test_srcset_and_style_sheets():
    assert largest("data:image/png;base64,AA== 1x, b.png 2x") == "b.png"
    assert largest("a.png, b.png") == "a.png"
    assert largest(" ,, ") == ""
    sheet = """/* url(no.png) */ a{background:#fff url( 'a b.png' ) no-repeat;color:url(no)}
    b{background-image:url(b.png),url("c.png")}"""
    assert list(backgrounds(sheet)) == ["a b.png", "b.png", "c.png"]
    assert list(backgrounds("background: url(#gradient)")) == []


def test_where_a_new_text_is_put_and_how_an_old_one_is_replaced():
    assert put('<p><img\n src="a.png"\n/></p>', "A boat") == '<p><img alt="A boat"\n src="a.png"\n/></p>'
    assert put("<IMG SRC=a.png ALT=old>", "A boat") == '<IMG SRC=a.png ALT="A boat">'
    assert put("<img alt='it' src=a.png>", 'It\'s "red"') == "<img alt='It&#39;s \"red\"' src=a.png>"
    assert put("<img src=a.png alt>", "A boat") == '<img src=a.png alt="A boat">'
    assert put("<img src=a.png alt=>", "A boat") == '<img src=a.png alt="A boat">'
    assert put("<img src=a.png alt=x/>", "A boat") == '<img src=a.png alt="A boat">'
    assert put('<img alt="one" alt="two" src=a>', "A boat") == '<img alt="A boat" alt="two" src=a>'
    assert put("<img src=a.png>", "") == '<img alt="" src=a.png>'
    assert put('<span role=img title="x"></span>', "A boat") == '<span aria-label="A boat" role=img title="x"></span>'


def test_attributes_beside_the_text():
    page = put('<img src="a.png">', "A boat", described_by="d1", source="model")
    assert page == '<img alt="A boat" aria-describedby="d1" data-alt-source="model" src="a.png">'
    assert put(page, "A ship", source="person").count('data-alt-source="person"') == 1
    with pytest.raises(DataError, match="is no id"):
        put('<img src="a.png">', "A boat", described_by="d 1")
    with pytest.raises(DataError, match="description already"):
        put('<img src="a.png" aria-describedby="x">', "A boat", described_by="d1")
    with pytest.raises(DataError, match="can't be decorative"):
        put("<span role=img></span>", "")
    with pytest.raises(DataError, match="without a role"):
        FORMAT.edited(b"<svg/>", "a.html", {one("<svg/>").key: Edit("x")})


def test_a_title_gives_way_to_a_text_and_others_stay():
    page = '<img src="a.png" title="T"><img src="b.png">'
    second = places(page)[1]
    new = FORMAT.edited(page.encode(), "a.html", {second.key: Edit("A boat")}).decode()
    assert new == '<img src="a.png" title="T"><img alt="A boat" src="b.png">'
    assert [place.alt for place in places(new)] == ["T", "A boat"]


@pytest.mark.parametrize(
    ("encoding", "label"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("cp1252", "latin1"),
        ("shift_jis", "sjis"),
        ("koi8-r", "koi8-r"),
    ],
)
def test_an_encoding_stays_and_what_it_lacks_becomes_a_reference(encoding, label):
    page = f'<meta charset="{label}">é日ж<img src="a.png">'.encode(encoding, "xmlcharrefreplace")
    new = put(page, "é 日 ж 🐈")
    assert one(new).alt == "é 日 ж 🐈"
    before, after = (piece.encode(encoding.removesuffix("-sig")) for piece in ("<img", ' src="a.png">'))
    if encoding == "utf-16":
        before, after = before[2:], after[2:]
    start = page.index(before) + len(before)
    assert new.startswith(page[:start])
    assert new.endswith(page[start:]) and page[start:] == after


def test_bytes_that_are_none_of_the_encoding_fix_the_page():
    page = b'<meta charset=utf-8><img src="a.png">\xff\xfe'
    assert "encoding" in one(page).fixed
    with pytest.raises(DataError, match="encoding"):
        FORMAT.edited(page, "a.html", {one(page).key: Edit("x")})


def test_xhtml_is_read_and_written_as_xml():
    page = (
        '<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml">\r\n<title/><body>日本 &eacute; '
        "<h:img xmlns:h='http://www.w3.org/1999/xhtml' src='a.png'/></body></html>"
    )
    new = FORMAT.edited(page.encode(), "a.xhtml", {places(page, "a.xhtml")[0].key: Edit('<"&\n')}).decode()
    assert new == page.replace("<h:img ", '<h:img alt="&lt;&quot;&amp;&#10;" ')
    with pytest.raises(DataError, match="well-formed"):
        places("<html><img>", "a.xhtml")


HOSTILE_TEXT = "a\"b'c<d>e&f-->g</script>h\ni{{ 7 * 7 }}j{% x %}k<?php x ?>l<%= y %>m${z}n]]>o\\p"


@pytest.mark.parametrize(
    "page", ['<img src="a.png">', "<img alt='x' src=a.png>", "<img src=a.png alt=x>", "<a href=x><img></a>"]
)
def test_a_hostile_text_is_a_text(page):
    new = put(page, HOSTILE_TEXT)
    assert one(new).alt == HOSTILE_TEXT
    assert "{{" not in new
    assert "<?" not in new
    assert "${" not in new
    assert new.count("<img") == 1
    assert put(new, HOSTILE_TEXT) == new


HOSTILE_PAGES = {  # of a size
    "nested": lambda n: "<div>" * (40 * n) + "<img src=a.png>",
    "nested links": lambda n: "<a href=x><img>" * n,
    "attributes": lambda n: "<img " + " ".join(f"a{number}=1" for number in range(20 * n)) + ">",
    "images": lambda n: "<p>" + "word <img src=a.png> " * (2 * n),
    "images alone": lambda n: "<div><img src=a.png></div>" * (2 * n),
    "images of one figure": lambda n: "<figure>" + "<img src=a.png>" * (2 * n) + "<figcaption>x",
    "drawings": lambda n: "<svg role=img>" * (4 * n),
    "drawings beside each other": lambda n: "<svg role=img></svg>" * (2 * n),
    "tags not closed": lambda n: "<img alt='" * (20 * n),
    "less-than": lambda n: "<" * 19_000 + "<img>",
    "braces": lambda n: "{{" * (100 * n) + "<img>",
    "php": lambda n: "<?" * (60 * n) + "<img>",
    "styles": lambda n: '<img style="background:' + "url(" * (20 * n) + '">',
    "words of a style": lambda n: "<style>" + "a" * (100 * n) + "</style><img style='background:url(a)'>",
    "comments of a style": lambda n: "<style>" + "/*" * (40 * n) + "</style><p style='background:url(a)'>",
    "headings": lambda n: "<h2>x</h2><img src=a.png>" * n,
    "languages": lambda n: "<div lang=en>" * (4 * n) + "<img src=a.png>" * 100,
    "srcset": lambda n: f"<img srcset='{'a, ' * (40 * n)}'>",
    "nulls": lambda n: " " * 9000 + "<img src='a\0b' alt='\0'>",
    "frames": lambda n: "<frameset><frame src=a><img></frameset>",
    "broken": lambda n: "<p <img src=a.png <b> <img src='b.png' alt=\"x> </p",
}


def hostile(name, size):
    data = HOSTILE_PAGES[name](size).encode()
    start = time.process_time()
    found = places(data)
    free = [place for place in found if not place.fixed]
    if free:
        FORMAT.edited(data, "a.html", {free[-1].key: Edit("A boat & more")})
    return time.process_time() - start


@pytest.mark.parametrize("name", HOSTILE_PAGES)
def test_a_hostile_page_takes_no_longer_than_its_length(name):
    assert hostile(name, 1000) < 10


@pytest.mark.endurance
@pytest.mark.parametrize("name", HOSTILE_PAGES)
def test_a_large_hostile_page_takes_no_longer_than_its_length(name):
    assert hostile(name, 5000) < 50


def test_too_large_and_binary_pages_are_refused():
    with pytest.raises(DataError, match="larger than"):
        places(b" " * 4_000_001)
    with pytest.raises(DataError, match="binary"):
        places(b"\0<img>")


def test_a_page_without_pictures_is_not_parsed(monkeypatch):
    monkeypatch.setattr("trifacet.describing.formats.html.tree_of", lambda *_: pytest.fail("was parsed"))
    assert places("<p>words</p>" * 1000) == []
