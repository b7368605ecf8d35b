"""What the tests of WordPress share: a queue with decided texts for an export, and the command line."""

import subprocess
import sys
from contextlib import closing

from trifacet.describing.findings import is_missing
from trifacet.describing.queue import Queue
from trifacet.describing.scanning import ScanSettings, scan
from trifacet.describing.suggestion import Proposal

# What a text may hold that HTML, JSON, shortcodes or WordPress would act on.
TEXTS = (
    'Rex, a brown dog, says "woof" at the gate',
    "Ada's red bicycle & a blue one, 50 % off",
    "Ein gelber Vogel auf dem Dach \N{BIRD} über München",
    "A sign that says it's closed [gallery] until May",
    "Two cups, one of them <empty>, on a table",
    "A path \\ such as C:\\temp on a screen",
)


def decided_queue(folder, export, text_of=lambda number, place: f"Text {number} for a picture", name="queue.sqlite"):
    """A queue in which each missing text of an export is accepted as a person would; texts by place in the queue."""
    (document,) = scan([folder / export], folder, ScanSettings("wordpress"))
    with closing(Queue(folder / name)) as queue:
        queue.stand_on(folder)
        for number, place in enumerate(document.places):
            if not is_missing(place) or place.fixed:
                continue
            text = text_of(number, place)
            queue.put(
                [Proposal(document.path, document.digest, place, "", f"c{number}", text, format="wordpress")], "model"
            )
        for one in queue.suggestions(states=("suggested",)):
            queue.decide(one.id, "accepted", None, "Ada", one.event)
        return {(one.proposal.place.key, one.text) for one in queue.suggestions(states=("accepted",))}


def states(folder, name="queue.sqlite"):
    with closing(Queue(folder / name, writing=False)) as queue:
        return queue.stats()


def trifacet(folder, *words, environment=None, **how):
    """A command as a process of its own: its exit code, and both outputs."""
    done = subprocess.run(
        [sys.executable, "-m", "trifacet", *map(str, words)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False, **how,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr
