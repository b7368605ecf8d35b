"""From the scan to applied pages: what is missing is proposed, decided on in a real browser, and put in place."""

import hashlib
from contextlib import closing

import pytest
from alt_reviews import begun
from people import chromium, running
from PIL import Image

from trifacet.describing.queue import Proposal, Queue
from trifacet.describing.requests import context_digest
from trifacet.describing.scanning import scan

pytest.importorskip("fastapi", reason="pip install 'trifacet[review]'")

HOME = """<!doctype html>\r\n<html lang="en"><title>Beds</title><body><h1>Five beds</h1>
<p>The first bed is red.</p><img src='0.png'  width=40>\r\n<p><a href="/shop"><img src="1.png"></a></p>
<p>{{ template }}</p><img src="2.png" alt="An old text stays here"></body></html>"""
NOTES = "# Notes\n\nThe third bed is gold.\n\n![](2.png)\n"


def test_from_the_scan_to_applied_pages(tmp_path, trifacet):
    site, path = tmp_path / "site", tmp_path / "alt.sqlite"
    site.mkdir()
    for number, colour in enumerate(("crimson", "teal", "gold")):
        Image.new("RGB", (40, 30), colour).save(site / f"{number}.png")
    (site / "index.html").write_bytes(HOME.encode())
    (site / "notes.md").write_bytes(NOTES.encode())
    before = {file.name: file.read_bytes() for file in site.iterdir()}
    assert trifacet("alt", "check", site, "--root", site)[0] == 1
    with closing(Queue(path)) as queue:
        queue.stand_on(site)
        queue.put(proposals(site), "model")
    with running(["alt", "review", str(path), "--person", "Ada"]) as server, chromium() as browser:
        ada = begun(browser, server.links[0])
        ada.heading("Alt-text 1 of 3")
        assert (
            "The first bed is red." in ada.page.inner_text(".post-side") and ada.page.locator(".post-side img").count()
        )
        ada.press("a")
        ada.heading("Alt-text 1 of 2")
        ada.page.fill("#text", 'To the "shop" & back')
        ada.page.press("#text", "Control+Enter")
        ada.heading("Alt-text 1 of 1")
        ada.press("a")
        ada.heading("Nothing is open")
    with closing(Queue(path)) as queue:
        assert trifacet("alt", "apply", path)[0] == 0
        assert queue.stats() == {"applied": 3}
    assert trifacet("alt", "check", site, "--root", site)[0] == 0
    found = {place.alt for document in scan([site], site) for place in document.places}
    assert found == {"Bed 0 in bloom", 'To the "shop" & back', "An old text stays here", "Bed 2 in bloom"}
    page = (site / "index.html").read_bytes().decode()
    assert page.startswith('<!doctype html>\r\n<html lang="en">') and "{{ template }}" in page
    assert trifacet("alt", "undo", site)[0] == 0
    assert {file.name: file.read_bytes() for file in site.iterdir() if file.is_file()} == before


def proposals(site):
    """What a scripted writer says of each place without a text."""
    for document in scan([site], site):
        for place in document.places:
            if place.state == "missing":
                picture = hashlib.sha256((site / place.picture.file).read_bytes()).hexdigest()
                text = f"Bed {place.picture.file[0]} in bloom"
                yield Proposal(document.path, document.digest, place, picture, context_digest(place), text)
