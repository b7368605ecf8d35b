"""A small site from the scan to applied pages: `make alt-demo`, after `make demo`.

    python bench/alt_demo.py runs/demo/models/mcm-dpo/model --output runs/alt-demo

Writes 20 pages with pictures of the demo's world, of a seed that no training used, in each kind of place; scans them;
has the model suggest texts; decides on them on the review page in Chromium, by keys, as somebody would who sees the
pictures (what is right is accepted, what is wrong is written anew); puts the texts in place; and scans again. Needs
Chromium and playwright. Ends with the path of the report, which says what was right and wrong against the truth.
Invariant: what the report tells is read from the pages, the queue and the commands' own counts.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from trifacet.base.files import write_atomically
from trifacet.data.formats import read_samples
from trifacet.data.settings import World
from trifacet.demo.make import write_world
from trifacet.describing.queue import Queue
from trifacet.describing.scanning import scan
from trifacet.describing.suggestion import Event, Suggestion
from trifacet.metrics.grounding import ground
from trifacet.reports.alt_site import SitePlace, write_site_page
from trifacet.reports.run.posts import segments
from trifacet.web.pictures import picture

PAGES, SEED, SIDE = 20, 1_016, 64  # pages; seed of the pictures; side in pixels, as in recipes/demo.yaml
LEAST = 0.6  # confidence: the bound by default, .3, withholds nothing here
WRITTEN = "A note that a person wrote"
HTML = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Post {k}</title></head>
<body>
<h1>Post {k}</h1>
BODY
</body></html>
"""
BODIES = {
    "plain": "<p>{post}</p>\n<img src='{file}'  width=64>",
    "figure": '<figure><img src="{file}"><figcaption>{post}</figcaption></figure>',
    "link": '<p>{post}</p>\n<a href="/posts/{k}"><img src="{file}"></a>',
    "lazy": '<p>{post}</p>\n<img class="lazy" data-src="{file}" src="data:,">',
    "source": '<p>{post}</p>\n<picture><source srcset="{file} 2x"><img src="{file}"></picture>',
    "kept": f'<p>{{post}}</p>\n<img src="{{file}}">\n<img src="{{file}}" alt="{WRITTEN}">\n<img src="{{file}}" alt="">',
    "template": '<p>{post}</p>\n{{% if user %}}{{{{ user.name }}}}{{% endif %}}<img src="{file}">',
    "data": '<p>{post}</p>\n<img src="data:image/png;base64,{data}">',
}
KINDS = {f"{name}.html": HTML.replace("BODY", body) for name, body in BODIES.items()} | {
    "notes.md": "# Post {k}\n\n{post}\n\n![]({file})\n",
    "notes.rst": "Post {k}\n========\n\n{post}\n\n.. image:: {file}\n",
}


def main() -> None:
    """Do all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/alt-demo"))
    given = parser.parse_args()
    began, output = time.monotonic(), given.output
    shutil.rmtree(output, ignore_errors=True)
    site, queue = output / "site", output / "queue.sqlite"
    truth = write_site(site, output / "world")
    before = counted("scan", site, "--root", site)
    asking = ("suggest", site, "--root", site, "--queue", queue, "--model", given.model, "--max-new-tokens", 48)
    asking += ("--least-confidence", LEAST)
    suggested, again = counted(*asking), counted(*asking)
    decide(queue, truth)
    counted("apply", queue, "--root", site)
    after = counted("scan", site, "--root", site)
    seconds = time.monotonic() - began
    found = Told(queue, truth, before, after, suggested, again, site, seconds)
    write_atomically(output / "report.md", found.as_markdown())
    write_site_page(output / "report.html", found.places(), found.facts(), found.lead())
    print(output / "report.html")


def write_site(site: Path, world: Path) -> dict[str, dict]:
    """Write the pages; returns facts and a right text by the SHA-256 of each picture."""
    files = write_world(world, World(sft=1, preference=1, validation=1, test=PAGES), SEED, SIDE)
    truth = {}
    for number, sample in enumerate(read_samples(files["test"], "test")):
        name, text = list(KINDS.items())[number % len(KINDS)]
        folder = site / f"post-{number:02d}"
        folder.mkdir(parents=True)
        data = (world / sample.image).read_bytes()
        (folder / "picture.png").write_bytes(data)
        post = {"k": number, "post": sample.context, "file": "picture.png", "data": base64.b64encode(data).decode()}
        (folder / name).write_text(text.format(**post), encoding="utf-8", newline="\r\n" if number % 3 else "\n")
        truth[hashlib.sha256(data).hexdigest()] = {"extra": sample.extra, "right": sample.references[0]}
    return truth


def counted(*arguments: object) -> dict:
    """What a command of the group says of itself as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        command = [sys.executable, "-m", "trifacet", "alt", *map(str, arguments), "--json", str(told)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return json.loads(told.read_text(encoding="utf-8"))


@contextmanager
def served(queue: Path) -> Iterator[str]:
    """The review page's link."""
    command = [sys.executable, "-m", "trifacet", "alt", "review", str(queue), "--port", "0", "--person", "demo"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield re.search(r"http://\S+", process.stdout.readline())[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def decide(queue: Path, truth: dict[str, dict]) -> None:
    """Decide on each suggestion by keys, as somebody does who sees what is on the pictures."""
    from playwright.sync_api import sync_playwright

    with served(queue) as link, closing(Queue(queue, writing=False)) as kept, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(link)
        page.click("text=Begin")
        while True:
            page.wait_for_load_state()
            if "/text/" not in page.url:
                break
            one = kept.get(page.url.partition("/text/")[2].partition("?")[0])
            known = truth[one.proposal.picture]
            seen = page.url
            if right(one.text, known) or one.proposal.place.role == "decorative":
                page.keyboard.press("a")
            else:
                page.fill("#text", known["right"])
                page.press("#text", "Control+Enter")
            page.wait_for_function("seen => location.href !== seen", arg=seen)
        browser.close()


def right(text: str, known: dict) -> bool:
    """Whether a text states every fact of its picture, and no wrong one."""
    return bool(text) and ground(text, known["extra"]).values["grounding"] == 1


class Told:
    """What the report says, read from the queue and the pages once all is done."""

    def __init__(
        self,
        queue: Path,
        truth: dict,
        before: dict,
        after: dict,
        suggested: dict,
        again: dict,
        site: Path,
        seconds: float,
    ) -> None:
        with closing(Queue(queue, writing=False)) as kept:
            self.rows = [(one, kept.events(one.id)) for one in kept.suggestions(states=("applied",))]
        self.truth, self.site, self.seconds = truth, site, seconds
        self.before, self.after, self.suggested, self.again = before, after, suggested, again
        there = [place for document in scan([site], site) for place in document.places]
        self.written = sum(place.alt == WRITTEN for place in there)
        self.asked = [one for one, _ in self.rows if one.proposal.place.role != "decorative"]
        self.correct = {one.id: right(one.proposal.text, truth[one.proposal.picture]) for one in self.asked}

    def lead(self) -> str:
        """One sentence."""
        return (
            f"{self.before['documents']} pages with {self.before['uses']} uses of pictures: {self.before['missing']} "
            f"without a text before, {self.after['missing']} after, in {self.seconds:.0f} seconds."
        )

    def facts(self) -> list[tuple[str, str]]:
        """Counts by what they are called."""
        withheld = [one for one in self.asked if one.proposal.withheld]
        shown = [one for one in self.asked if not one.proposal.withheld]
        return [
            ("pages, uses of pictures", f"{self.before['documents']}, {self.before['uses']}"),
            ("without a text before, after", f"{self.before['missing']}, {self.after['missing']}"),
            ("suggested, withheld", f"{len(shown)}, {len(withheld)}"),
            ("right in every fact, of those suggested", f"{sum(self.correct[one.id] for one in shown)}"),
            ("right in every fact, of those withheld", f"{sum(self.correct[one.id] for one in withheld)}"),
            ("facts right of those suggested, of those withheld", f"{self.share(shown)}, {self.share(withheld)}"),
            ("texts drawn in the first, in a second run", f"{self.suggested['drawn']}, {self.again['drawn']}"),
            (
                "texts of a person before, after",
                f"{sum(name == 'kept.html' for name in names(self.site))}, {self.written}",
            ),
            ("seconds", f"{self.seconds:.0f}"),
        ]

    def share(self, of: Sequence[Suggestion]) -> str:
        """How many of the facts of their pictures texts state, in per cent."""
        facts = [ground(one.proposal.text, self.truth[one.proposal.picture]["extra"]).values["grounding"] for one in of]
        return f"{100 * sum(facts) / len(facts):.0f} %" if facts else "none"

    def as_markdown(self) -> str:
        """The report as Markdown."""
        lines = ["# Alt-text of a small site, from the scan to applied pages", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in self.facts()]
        lines += ["", "| place | role | suggested | confidence | right | withheld | decided | in place |",
                  "|---|---|---|---|---|---|---|---|"]  # fmt: skip
        for one, events in self.rows:
            said, verdict = one.proposal, {True: "yes", False: "no", None: ""}[self.correct.get(one.id)]
            place = f"{said.document}:{said.place.line or ''}", said.place.role
            cells = (*place, said.text, _sure(one), verdict, said.withheld, _decision(events), one.text)
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
        return "\n".join([*lines, ""])

    def places(self) -> list[SitePlace]:
        """Each place for the page."""
        found = []
        for one, events in self.rows:
            said, place = one.proposal, one.proposal.place
            spans = ground(said.text, self.truth[said.picture]["extra"]).spans if said.text else ()
            verdict = {True: "right", False: "wrong", None: ""}[self.correct.get(one.id)]
            shown = picture(self.site, f"{said.document.rpartition('/')[0]}/picture.png")
            found.append(
                SitePlace(
                    f"{said.document}:{place.line or ''}",
                    place.role,
                    place.reason,
                    shown,
                    " ".join(filter(None, (place.around.caption, place.around.before, place.around.after))),
                    place.alt,
                    segments(said.text, spans),
                    verdict,
                    _sure(one),
                    said.withheld,
                    {"accepted": "accepted", "edited": "written anew"}[_decision(events)],
                    one.text,
                )
            )
        return found


def _sure(one: Suggestion) -> str:
    return "" if one.proposal.confidence is None else f"{one.proposal.confidence:.2f}"


def _decision(events: Sequence[Event]) -> str:
    return [event.state for event in events if event.state in ("accepted", "edited")][-1]


def names(site: Path) -> list[str]:
    """The names of all files of the site."""
    return [path.name for path in site.rglob("*") if path.is_file()]


if __name__ == "__main__":
    main()
