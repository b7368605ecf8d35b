"""Long descriptions are put behind their pictures, where the page has room for them, and nothing else changes."""

import random
import re

import pytest
from axe import assert_accessible, launch
from generated_pages import html_page, text
from packed_documents import epub, img, page

from trifacet.base.errors import DataError
from trifacet.describing.formats.epub import FORMAT as EPUB
from trifacet.describing.formats.html import FORMAT as HTML
from trifacet.describing.place import Edit
from trifacet.describing.requests import context_digest
from trifacet.describing.settling import settled

LONG = "Two bars: <2023> 4 & 2024 {{ 7 }}."
MADE = re.compile(
    r'<div class="long-description".*?</div>| aria-describedby="description-[\w-]+"',
    re.DOTALL,
)
# where "|" is, the description is to stand
PLACES = (
    "<body><p>Words <img src=a.png> more</p>|<p>x</p></body>",
    "<figure><img src=a.png><figcaption>c</figcaption></figure>| x",
    "<div><img src=a.png>|<b>x</b></div>",
    "<a href=x><div><img src=a.png></div></a>|",
    "<p>a <img src=a.png> b|<p>c",
    "<p>a <img src=a.png> b|</body>",
    "<table><tr><td><img src=a.png>|</table>",
    "<table><caption><img src=a.png></caption><tr><td>x</table>|",
    "<ul><li><img src=a.png>|x<li>y</ul>",
    "<h2><span><span><img src=a.png></span></span></h2>|",
    '<svg role="img"><path d="M0"/></svg>|',
    "<details><summary><img src=a.png></summary>x</details>|",
    "<my-card><img src=a.png></my-card>|",
    "<picture><source srcset=b.png><img src=a.png></picture>|",
    "<label><input type=checkbox><img src=a.png></label>| x",
    "<P>x<IMG SRC=a.png></P\n>|y",
)
REFUSED = {
    "{% for x in y %}<img src=a.png>{% endfor %}": "a template may repeat",
    "<?php foreach ($a as $b): ?><img src=a.png><?php endforeach ?>": "a template may repeat",
    "{{#each x}}<img src=a.png>{{/each}}": "a template may repeat",
    '<div v-for="x in y"><img src=a.png></div>': "a template may repeat",
    "<template><img src=a.png></template>": "stands in a <template>",
    "<img src=a.png aria-describedby=x>": "a long description already",
    "<img src=a.png longdesc=x.html>": "a long description already",
}


def described(markup, long=LONG, path="a.html", alt="Sales"):
    data = markup.encode()
    (place,) = HTML.places(data, path)
    return HTML.edited(data, path, {place.key: Edit(alt, long=long)}).decode()


@pytest.mark.parametrize("markup", PLACES)
def test_it_stands_behind_the_picture_where_there_is_room_for_it(markup):
    new = described(markup.replace("|", ""))
    (found,) = re.finditer(r"<div class.*?</div>", new)
    alone = MADE.sub("", new).replace(' alt="Sales"', "").replace(' aria-label="Sales"', "")
    at = len(MADE.sub("", new[: found.start()]).replace(' alt="Sales"', "").replace(' aria-label="Sales"', ""))
    assert alone[:at] + "|" + alone[at:] == markup
    assert re.fullmatch(
        r'<div class="long-description" id="description-\w+"><p>'
        r"Two bars: &lt;2023&gt; 4 &amp; 2024 &#123;&#123; 7 &#125;&#125;.</p></div>",
        found[0],
    )


@pytest.mark.parametrize("markup", REFUSED)
def test_where_it_cannot_stand_for_sure_the_text_is_put_in_alone(markup):
    data = markup.encode()
    with pytest.raises(DataError, match=REFUSED[markup]):
        described(markup)
    (place,) = HTML.places(data, "a.html")
    put = settled(HTML, data, "a.html", {place.key: Edit("Sales", long=LONG)})
    assert put.after == HTML.edited(data, "a.html", {place.key: Edit("Sales")}) != data
    assert put.undescribed == {place.key} and REFUSED[markup] in put.refused[0]


def test_what_is_there_is_known_and_is_not_put_there_twice():
    new = described("<p><img src=a.png></p>", long="One.\n\nTwo <b>.")
    assert "<p>One.</p><p>Two &lt;b&gt;.</p></div>" in new
    (place,) = HTML.places(new.encode(), "a.html")
    assert (place.described, place.alt, place.role) == ("One. Two <b>.", "Sales", "complex")
    assert described(new, long="One.\nTwo <b>.") == new
    with pytest.raises(DataError, match="already"):
        described(new, long="Another one.")
    with pytest.raises(DataError, match="decorative"):
        described("<p><img src=a.png></p>", alt="")


def test_ids_are_free_on_the_page_and_the_language_goes_with_it():
    data = b"<html lang=de><img src=a.png><img src=b.png><p lang=cy><img src=c.png></p>"
    new = HTML.edited(data, "a.html", {one.key: Edit("S", long=LONG) for one in HTML.places(data, "a.html")})
    assert len(set(re.findall(rb'id="([\w-]+)"', new))) == 3 and re.findall(rb' lang="(\w+)"', new) == [b"cy"]
    taken = re.search(r'id="(description-\w+)"', described("<p><img src=a.png></p>"))[1]
    assert f'id="{taken}-2"' in described(f"<b id={taken}>x</b><p><img src=a.png></p>")


def test_it_is_no_context_of_other_pictures():
    data = b"<p>a</p><img src=a.png>\n<img src=b.png><p>b</p>"
    first, second = HTML.places(data, "a.html")
    _, after = HTML.places(HTML.edited(data, "a.html", {first.key: Edit("Sales", long=LONG)}), "a.html")
    assert context_digest(after) == context_digest(second)


def test_xhtml_and_books():
    head = '<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><body>\n'
    xhtml = head + '  <p><img src="a.png"/></p>\n</body></html>'
    new = described(xhtml, path="a.xhtml")
    assert "</p>\n  <div class" in new and "</div>\n</body>" in new
    book = epub(page(img(None)))
    (place,) = EPUB.places(book, "b.epub")
    new = EPUB.edited(book, "b.epub", {place.key: Edit("Sales", long=LONG)})
    (after,) = EPUB.places(new, "b.epub")
    assert (after.alt, after.described) == ("Sales", LONG)


def without(made):
    """A page without descriptions; one on a line of its own goes with that line."""
    first, *rest = re.split(r'<div class="long-description".*?</div>', made, flags=re.DOTALL)
    for part in rest:
        own = re.match(r"[ \t]*[\r\n]", part)
        first = (re.sub(r"(?:\r\n|\r|\n)[ \t]*\Z", "", first) if own else first) + part
    return re.sub(r' aria-describedby="description-[\w-]+"', "", first)


def check(seed):
    """A page with descriptions at some pictures is the page without them, but for the elements and attributes."""
    rng = random.Random(f"long {seed}")
    data = html_page(rng)
    places = [one for one in HTML.places(data, "a.html") if not one.fixed]
    texts = {one.key: Edit(text(rng)) for one in places}
    wanted = {key: Edit(one.alt, long=text(rng) * rng.choice((1, 1, 5))) for key, one in texts.items()
              if rng.random() < 0.7}  # fmt: skip
    put = settled(HTML, data, "a.html", texts | wanted)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
    alone = HTML.edited(data, "a.html", texts)
    assert without(put.after.decode(encoding)) == alone.decode(encoding)
    again = [one for one in HTML.places(put.after, "a.html") if not one.fixed]
    said = [" ".join(put.edits[one.key].long.split()) for one in places]
    assert [one.described for one in again] == said
    edits = {now.key: put.edits[old.key] for old, now in zip(places, again, strict=True)}
    assert HTML.edited(put.after, "a.html", edits) == put.after
    return sum(map(bool, said)), len(put.undescribed)


def test_nothing_else_changes_on_pages_drawn_at_random():
    counts = [check(seed) for seed in range(60)]
    assert sum(put for put, _ in counts) > 60 and sum(left for _, left in counts) < 40


@pytest.mark.endurance
def test_nothing_else_changes_on_a_thousand_pages():
    assert sum(check(seed)[0] for seed in range(60, 1060)) > 1000


def test_a_browser_ties_it_to_the_picture_and_axe_finds_nothing(tmp_path):
    driver = pytest.importorskip("playwright.sync_api", reason="pip install axe-playwright-python")
    file = tmp_path / "a.html"
    base = '<!doctype html><html lang="en"><title>T</title><main><h1>H</h1><p>x <img src="a.png"></p></main></html>'
    made = described(base)
    file.write_text(made)
    assert_accessible(file, rules=10)
    with driver.sync_playwright() as running:
        opened = launch(running).new_page()
        opened.goto(file.as_uri())
        nodes = opened.context.new_cdp_session(opened).send("Accessibility.getFullAXTree")["nodes"]
        (image,) = [one for one in nodes if one.get("role", {}).get("value") == "image"]
        assert (image["name"]["value"], image["description"]["value"]) == ("Sales", LONG)
        opened.set_content(re.sub(r"(<div class.*?</div>)", r"<details><summary>x</summary>\1</details>", made))
        nodes = opened.context.new_cdp_session(opened).send("Accessibility.getFullAXTree")["nodes"]
        (image,) = [one for one in nodes if one.get("role", {}).get("value") == "image"]
        assert "description" not in image  # why it is not folded; if this fails it may be
