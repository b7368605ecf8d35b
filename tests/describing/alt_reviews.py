"""Queues of suggested alt-texts to review in tests: proposals, their pictures, and a queue that a command can serve."""

from __future__ import annotations

import hashlib

from people import Person
from PIL import Image

from trifacet.describing.place import Around, Picture, Place
from trifacet.describing.queue import Proposal, Queue
from trifacet.generation.variation import Span
from trifacet.lint.check import LintFinding

COLOURS = ("crimson", "teal", "gold", "navy", "plum")
ARTICLE = "The garden was laid out in 1821 and has kept its five round beds ever since."


def proposal(number: int, text: str | None = None, **changed) -> Proposal:
    """The suggestion for picture ``number`` of page ``number`` // 2; fields of place and context go by their names."""
    colour = COLOURS[number % len(COLOURS)]
    text = f"Round bed {number} planted in {colour}" if text is None else text
    around = {"headings": ("Gardens", f"Bed {number}"), "before": ARTICLE, "page": "Five beds", "language": "en"}
    around |= _taken(changed, Around)
    place = {"state": "missing", "alt": None, "role": "plain", "reason": "adds to the meaning", "line": 10 + number}
    place |= {
        name: changed.pop(name) for name in list(changed) if name in Place.__dataclass_fields__ and name != "findings"
    }
    picture = place.pop("picture", Picture("file", f"{number}.png", f"{number}.png"))
    at = text.find("planted in")
    spans = (Span(at, at + len("planted in"), 2),) if at >= 0 else ()
    fields = {
        "document": f"page-{number // 2}.html", "digest": hashlib.sha256(b"page").hexdigest(), "text": text,
        "picture": hashlib.sha256(str(number).encode()).hexdigest(), "context": "0" * 64, "spans": spans,
        "samples": (text, f"A bed in {colour}", f"Bed of {colour} flowers"), "confidence": 0.62,
    } | changed  # fmt: skip
    return Proposal(place=Place(key=f"k{number}", picture=picture, around=Around(**around), **place), **fields)


def _taken(changed: dict, kind) -> dict:
    """The fields of a dataclass among those that are changed; findings are the proposal's."""
    names = [name for name in changed if name in kind.__dataclass_fields__ and name != "findings"]
    return {name: changed.pop(name) for name in names}


def write_queue(folder, proposals=None) -> Queue:
    """A queue of proposals (by default five, the last withheld) with their pages and pictures, open for writing."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, colour in enumerate(COLOURS):
        Image.new("RGB", (40, 30), colour).save(folder / f"{number}.png")
        (folder / f"page-{number // 2}.html").write_text("page")
    queue = Queue(folder / "alt.sqlite")
    queue.put([*map(proposal, range(4)), withheld(4)] if proposals is None else proposals, "model")
    return queue


def withheld(number: int) -> Proposal:
    found = LintFinding("invented-name", "error", "a name that nobody gave", "leave it out", "Versailles")
    return proposal(number, "Bed at Versailles", withheld="a name that nobody gave: Versailles", findings=(found,))


def command(folder, *options: str) -> list[str]:
    """The command that serves such a queue."""
    return ["alt", "review", str(folder / "alt.sqlite"), "--root", str(folder), *options]


def begun(browser, link, name="", **settings):
    """Somebody who has come in and sees the first suggestion."""
    person = Person(browser, link, **settings)
    if name:
        person.page.fill("#name", name)
    person.page.click("text=Begin")
    return person
