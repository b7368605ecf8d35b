"""The page on a site's alt-texts holds our markup alone, and is one for everybody."""

from axe import assert_accessible, in_light_and_dark
from hostile_pages import HOSTILE, only_our_markup
from PIL import Image

from trifacet.reports.alt_site import SitePlace, write_site_page
from trifacet.reports.run.posts import Segment
from trifacet.web.pictures import picture


def written(folder, text):
    Image.new("RGB", (64, 64), "teal").save(folder / "a.png")
    shown = picture(folder, "a.png")
    parts = [Segment("Two "), Segment(text, "right", text), Segment(" on "), Segment(text, "wrong", text)]
    places = [
        SitePlace("a/p.html:7", "plain", text, shown, text, None, parts, "wrong", "0.61", "", "written anew", text),
        SitePlace("a/q.html:7", "plain", text, shown, text, text, parts, "right", "0.51", text, "accepted", text),
        SitePlace(f"{text}/r.md", "decorative", text, picture(folder, "no.png"), "", "", (), after=""),
    ]
    page = folder / "report.html"
    write_site_page(page, places, [(text, text), ("without a text before, after", "2, 0")], text)
    return page


def test_hostile_texts_stay_texts(tmp_path):
    page = written(tmp_path, HOSTILE).read_text(encoding="utf-8")
    only_our_markup(page, "alt_site.html.jinja")
    for expected in ("not right in every fact", "no text", "empty: decorative", "Withheld, and why", "2, 0"):
        assert expected in page
    assert page.count("<article") == 3 and page.count("<img ") == 2


@in_light_and_dark
def test_everybody_can_read_it(tmp_path, dark):
    assert_accessible(written(tmp_path, "purple stars on the beach of Makur"), dark=dark)
