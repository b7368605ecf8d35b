"""Every page of the program is held to ``hostile_pages.only_our_markup``, those that are yet to be written too."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_pages import HOSTILE, PAGES, only_our_markup

ROOT = Path(__file__).resolve().parents[1]


def test_every_page_has_its_test():
    templates = {path.name for path in (ROOT / "src").rglob("*.html.jinja")}
    assert templates == set(PAGES)
    for template, test in PAGES.items():
        assert f'"{template}"' in (ROOT / test).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "body",
    [
        HOSTILE, "<p onclick='x'>", "<a href='javascript:x'>x</a>", "<script>x</script>", "<img src='https://x/y'>",
        "<p style='x'>", "<p>By \u05d0\u05d1 21", "<p>\u202e21", "<p aria-label='a\u2068b'>", "<i>x</i>", "<p>\x07",
        "<p id=a></p><p id=a></p>", "<style>p { background: url(https://evil.example) }</style>",
        "<form action='/x'></form>",
    ],
)  # fmt: skip
def test_the_check_finds_what_is_not_ours(body):
    page = "<!doctype html><html><head><title>x</title></head><body>{}</body></html>"
    only_our_markup(page.format("<p>By \u2068\u05d0 2\u2069 21</p><bdi>\u202e1</bdi>"), "report.html.jinja")
    with pytest.raises(AssertionError):
        only_our_markup(page.format(body), "report.html.jinja")
