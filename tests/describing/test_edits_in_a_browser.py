"""What Chromium makes of changed pages: the same elements and attributes, but for the texts that were put in."""

import random

import pytest
from axe import launch
from generated_pages import html_page, text

from trifacet.describing.formats.html import FORMAT
from trifacet.describing.place import Edit

ELEMENTS = """[...document.querySelectorAll('*')].map(
    one => [one.tagName, [...one.attributes].map(two => [two.name, two.value]).sort(), one.children.length]
)"""
TEXTS = ("alt", "aria-label")


def elements(page, data, folder):
    (folder / "page.html").write_bytes(data)
    page.goto((folder / "page.html").as_uri(), wait_until="domcontentloaded")
    found = page.evaluate(ELEMENTS)
    return (
        [(name, [pair for pair in pairs if pair[0] not in TEXTS], count) for name, pairs, count in found],
        [value for _, pairs, _ in found for name, value in pairs if name in TEXTS],
    )


@pytest.mark.endurance
def test_a_browser_finds_the_texts_and_nothing_else_changed(tmp_path):
    driver = pytest.importorskip("playwright.sync_api", reason="pip install axe-playwright-python")
    changed = 0
    with driver.sync_playwright() as running:
        page = launch(running).new_context(java_script_enabled=True).new_page()
        page.route("**/*.png", lambda route: route.abort())
        for seed in range(150):
            rng = random.Random(f"browser {seed}")
            data = html_page(rng)
            wanted = {place.key: Edit(text(rng)) for place in FORMAT.places(data, "a.html") if not place.fixed}
            before, _ = elements(page, data, tmp_path)
            after, said = elements(page, FORMAT.edited(data, "a.html", wanted), tmp_path)
            assert after == before, seed
            told = [edit.alt for edit in wanted.values()]
            assert [value for value in said if value in set(told)] == told, seed
            changed += len(wanted)
    assert changed > 400
