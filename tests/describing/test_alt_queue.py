"""The queue: what is in it stays, two people never overwrite each other, undo, another version, kills, a full disk."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import pytest
from full_disk import files_up_to
from suggest_parts import place

from trifacet.base.errors import TrifacetError
from trifacet.describing.queue import ChangedSinceError, Queue
from trifacet.describing.suggestion import Proposal
from trifacet.generation.variation import Span
from trifacet.lint.check import LintFinding

FINDING = LintFinding("very-short", "warning", "very short", "say more", "")


def proposal(key="img1", text="A cat.", **others):
    return Proposal(
        "index.html", "d0", place(key), f"p{key}", "c", text, samples=(text, "A dog."), spans=(Span(2, 5, 1),),
        findings=(FINDING,), confidence=0.5, provenance={"model": "m"}, **others,
    )  # fmt: skip


@pytest.fixture
def queue(tmp_path):
    with closing(Queue(tmp_path / "q.sqlite")) as made:
        yield made


def test_what_is_put_in_comes_back(queue):
    given = proposal(text="Ein Hund 😀 am See", long="lang", withheld="why")
    assert queue.put([given], "tests") == {"new": 1}
    (one,) = queue.suggestions()
    assert one.proposal == given and one.id == given.id == queue.get(one.id).id
    assert (one.state, one.text, one.long, one.note, one.who) == ("withheld", given.text, "lang", "why", "tests")
    assert queue.put([given], "tests") == {"kept": 1} and len(queue.events(one.id)) == 1


def test_decisions_are_events_and_undo_takes_them_back_one_by_one(queue):
    queue.put([proposal()], "model")
    (one,) = queue.suggestions()
    two = queue.decide(one.id, "edited", " A black cat.\x1b[31m ", "Ada", one.event, note="colour")
    assert two.text == "A black cat.[31m" and "\x1b" not in two.text
    three = queue.decide(one.id, "refused", None, "Ben", two.event)
    queue.mark_applied([one.id], "Ada")
    assert queue.stats() == {"applied": 1}
    with pytest.raises(TrifacetError, match="undo that first"):
        queue.decide(one.id, "accepted", None, "Ada", queue.get(one.id).event)
    states = []
    for _ in range(3):
        now = queue.undo(one.id, "Ada", queue.get(one.id).event)
        states.append((now.state, now.text))
    assert states == [("refused", "A cat."), ("edited", "A black cat.[31m"), ("suggested", "A cat.")]
    with pytest.raises(TrifacetError, match="nothing to undo"):
        queue.undo(one.id, "Ada", queue.get(one.id).event)
    assert [event.state for event in queue.events(one.id)][:4] == ["suggested", "edited", "refused", "applied"]
    assert three.event < queue.get(one.id).event


def test_the_second_of_two_who_decide_is_told(queue):
    queue.put([proposal()], "model")
    (one,) = queue.suggestions()
    other = Queue(queue.path)
    queue.decide(one.id, "accepted", None, "Ada", one.event)
    for again in (lambda: other.decide(one.id, "edited", "B", "Ben", one.event),
                  lambda: other.undo(one.id, "Ben", one.event)):  # fmt: skip
        with pytest.raises(ChangedSinceError, match=r"accepted since .* by Ada; look at it again"):
            again()
    assert queue.get(one.id).state == "accepted" and len(queue.events(one.id)) == 2
    other.close()


@pytest.mark.parametrize(
    ("state", "text", "told"),
    [("applied", None, "no decision"), ("edited", None, "without a text"), ("edited", "x" * 10_001, "at most")],
)
def test_what_is_no_decision_is_refused(queue, state, text, told):
    queue.put([proposal()], "model")
    (one,) = queue.suggestions()
    with pytest.raises(TrifacetError, match=told):
        queue.decide(one.id, state, text, "Ada", one.event)
    with pytest.raises(TrifacetError, match="no suggestion 'x'"):
        queue.decide("x", "accepted", None, "Ada", 1)
    assert len(queue.events(one.id)) == 1


def test_filters(queue):
    queue.put([proposal("img1", "A cat."), proposal("img2", "A dog.", withheld="no"), proposal("img3", "")], "m")
    assert [one.text for one in queue.suggestions(states=["withheld"])] == ["A dog."]
    assert [one.text for one in queue.suggestions(holding="CAT")] == ["A cat."]
    assert not queue.suggestions(documents=["other.html"]) and not queue.suggestions(roles=["group"])
    assert queue.stats() == {"suggested": 2, "withheld": 1}


def test_what_was_refused_is_open_again_where_another_text_is_suggested(queue):
    queue.put([proposal()], "m")
    (one,) = queue.suggestions()
    queue.decide(one.id, "refused", None, "Ada", one.event)
    assert queue.put([proposal()], "m") == {"kept": 1}
    assert queue.put([proposal(text="A grey cat.")], "m") == {"again": 1}
    assert queue.get(one.id).state == "suggested"


def test_what_a_person_decided_stays_under_another_model(queue):
    queue.put([proposal()], "m")
    (one,) = queue.suggestions()
    queue.decide(one.id, "edited", "Our cat.", "Ada", one.event)
    assert queue.put([proposal(text="A grey cat.")], "m") == {"kept": 1}
    queue.put([replace(proposal(text="A grey cat."), digest="d1")], "m")
    assert (queue.get(one.id).state, queue.get(one.id).text) == ("edited", "Our cat.")
    assert queue.get(one.id).proposal.digest == "d1"


def test_nothing_is_changed_or_removed(queue):
    queue.put([proposal()], "m")
    with closing(sqlite3.connect(queue.path)) as base:
        for statement in ("UPDATE events SET who = 'x'", "DELETE FROM events", "UPDATE proposals SET content = ''",
                          "DELETE FROM proposals"):  # fmt: skip
            with pytest.raises(sqlite3.DatabaseError):
                base.execute(statement)


def test_a_queue_of_another_version_and_other_files_are_refused_by_name(tmp_path):
    path = tmp_path / "q.sqlite"
    Queue(path).close()
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA user_version=2")
    before = path.read_bytes()
    with pytest.raises(TrifacetError, match=r"q\.sqlite is no queue of this version of `trifacet alt`"):
        Queue(path)
    assert path.read_bytes() == before
    other = tmp_path / "photo.png"
    other.write_bytes(b"\x89PNG no base")
    with pytest.raises(TrifacetError, match=r"photo\.png"):
        Queue(other)
    with pytest.raises(TrifacetError, match="no such queue"):
        Queue(tmp_path / "none.sqlite", writing=False)
    assert not (tmp_path / "none.sqlite").exists()


def test_a_queue_stands_on_one_root(queue, tmp_path):
    queue.stand_on(tmp_path / "site")
    queue.stand_on(tmp_path / "site")
    assert queue.root == tmp_path / "site"
    with pytest.raises(TrifacetError, match="another --queue"):
        queue.stand_on(tmp_path)


KILLED = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from trifacet.describing.queue import Queue
queue = Queue(Path({file!r}))
(one,) = queue.suggestions()
number = one.event
while True:
    number = queue.decide(one.id, "edited", f"text {{number}}", "Ada", number).event
    print(number, flush=True)
"""


def test_a_kill_loses_no_decision_that_was_acknowledged(queue, tmp_path):
    queue.put([proposal()], "m")
    code = KILLED.format(path=sys.path, file=str(queue.path))
    for _ in range(2):
        running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path)
        first = running.stdout.readline()
        time.sleep(0.05)
        os.kill(running.pid, signal.SIGKILL)
        rest, _ = running.communicate()
        told = [int(line) for line in (first + rest).decode().rpartition("\n")[0].split()]
        (one,) = queue.suggestions()
        kept = [event.number for event in queue.events(one.id)]
        assert told and set(told) <= set(kept) and len(kept) == len(set(kept))


def test_a_full_disk_is_told_and_nothing_is_half_there(queue):
    queue.put([proposal()], "m")
    size = queue.path.with_name("q.sqlite-wal").stat().st_size
    with files_up_to(size + 4096), pytest.raises(TrifacetError, match=r"cannot use the queue .*q\.sqlite"):
        queue.put([proposal(f"img{number}", "x" * 5000) for number in range(2, 60)], "m")
    assert queue.stats() == {"suggested": 1}
    queue.put([proposal("img2")], "m")
    assert queue.stats() == {"suggested": 2}


def test_a_document_whose_name_is_no_text_is_a_document_too(queue):
    odd = replace(proposal(), document="caf\udce9.html")
    queue.put([odd], "m")
    assert queue.put([odd], "m") == {"kept": 1}
    assert queue.suggestions()[0].proposal.document == "caf\udce9.html"
    assert queue.gone("caf\udce9.html", set(), "m", "gone") == 1
