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
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from trifacet.base.files import write_atomically
from trifacet.data.formats import read_samples
from trifacet.data.settings import World
from trifacet.demo.make import write_world
from trifacet.describing.queue import Queue
from trifacet.describing.scanning import scan
from trifacet.describing.suggestion import Suggestion
from trifacet.metrics.grounding import ground

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
    report = output / "report.md"
    seconds = time.monotonic() - began
    write_atomically(report, told(queue, truth, before, after, suggested, again, site, seconds))
    print(report)


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


def told(
    queue: Path, truth: dict, before: dict, after: dict, suggested: dict, again: dict, site: Path, seconds: float
) -> str:
    """The report, as Markdown."""
    with closing(Queue(queue, writing=False)) as kept:
        rows = [(one, kept.events(one.id)) for one in kept.suggestions(states=("applied",))]
    there = {(document.path, place.key): place for document in scan([site], site) for place in document.places}
    written = sum(place.alt == WRITTEN for place in there.values())
    asked = [one for one, _ in rows if one.proposal.place.role != "decorative"]
    correct = {one.id: right(one.proposal.text, truth[one.proposal.picture]) for one in asked}
    withheld = [one for one in asked if one.proposal.withheld]
    open_ones = [one for one in asked if not one.proposal.withheld]

    def share(of: list[Suggestion]) -> str:
        """How many of the facts of their pictures texts state, in per cent."""
        facts = [ground(one.proposal.text, truth[one.proposal.picture]["extra"]).values["grounding"] for one in of]
        return f"{100 * sum(facts) / len(facts):.0f} %" if facts else "none"

    lines = [
        "# Alt-text of a small site, from the scan to applied pages", "",
        "| | |", "|---|---|",
        f"| pages, uses of pictures | {before['documents']}, {before['uses']} |",
        f"| without a text before, after | {before['missing']}, {after['missing']} |",
        f"| suggested, withheld | {len(open_ones)}, {len(withheld)} |",
        f"| right in every fact, of those suggested | {sum(correct[one.id] for one in open_ones)} |",
        f"| right in every fact, of those withheld | {sum(correct[one.id] for one in withheld)} |",
        f"| facts right of those suggested, of those withheld | {share(open_ones)}, {share(withheld)} |",
        f"| texts drawn in the first, in a second run | {suggested['drawn']}, {again['drawn']} |",
        f"| texts of a person before, after | {sum(name == 'kept.html' for name in names(site))}, {written} |",
        f"| seconds | {seconds:.0f} |", "",
        "| place | role | suggested | confidence | right | withheld | decided | in place |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for one, events in rows:
        said, verdict = one.proposal, {True: "yes", False: "no", None: ""}[correct.get(one.id)]
        decided = [event.state for event in events if event.state in ("accepted", "edited")][-1]
        place = f"{said.document}:{said.place.line or ''}", said.place.role
        sure = "" if said.confidence is None else f"{said.confidence:.2f}"
        cells = (*place, said.text, sure, verdict, said.withheld, decided, one.text)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join([*lines, ""])


def names(site: Path) -> list[str]:
    """The names of all files of the site."""
    return [path.name for path in site.rglob("*") if path.is_file()]


if __name__ == "__main__":
    main()
