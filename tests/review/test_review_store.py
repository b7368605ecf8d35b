"""The store of a review: nothing is lost, nothing is changed, and it belongs to one review."""

import json
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from people import SECONDS
from reviews import NAMES, read_only, write_lines, write_review

from trifacet.base import sqlite_file
from trifacet.base.errors import DataError, TrifacetError
from trifacet.review.order import first_side, judges_order, outcome
from trifacet.review.pairs import read_review
from trifacet.review.store import Store


def read(folder, names=NAMES, **given):
    return read_review(folder / "a.jsonl", folder / "b.jsonl", folder / "test.jsonl", names=names, **given)


@pytest.fixture
def folder(tmp_path):
    write_review(tmp_path)
    return tmp_path


def test_the_last_vote_counts_and_the_history_stays(folder):
    store = Store(folder / "v.sqlite", read(folder))
    store.begin("Ada", sees=True)
    store.vote("s1", "Ada", "A", "first", saw=True)
    store.vote("s2", "Ada", "B", "first", saw=True)
    store.vote("s1", "Ada", "A", "tie", comment="after all", saw=True)
    store.close()
    again = Store(folder / "v.sqlite")
    assert [(vote.sample, vote.choice, vote.counts) for vote in again.votes()] == [
        ("s1", "first", False), ("s2", "first", True), ("s1", "tie", True),
    ]  # fmt: skip
    assert {name: vote.outcome for name, vote in again.counting("Ada").items()} == {"s1": "tie", "s2": "lose"}
    assert again.votes("Bob") == []


@pytest.mark.parametrize("statement", ["UPDATE votes SET choice = 'tie'", "DELETE FROM votes"])
def test_votes_can_only_be_added(folder, statement):
    store = Store(folder / "v.sqlite", read(folder))
    store.begin("Ada", sees=True)
    store.vote("s1", "Ada", "A", "first", saw=True)
    with sqlite3.connect(folder / "v.sqlite") as base, pytest.raises(sqlite3.IntegrityError, match="votes are never"):
        base.execute(statement)


def test_it_is_on_the_disk_before_it_is_told(folder):
    store = Store(folder / "v.sqlite", read(folder))
    assert store._file.writer.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert store._file.writer.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert stat.S_IMODE((folder / "v.sqlite").stat().st_mode) == 0o600


def test_the_same_review_continues_however_its_files_are_written(folder):
    first = Store(folder / "v.sqlite", read(folder))
    lines = (folder / "a.jsonl").read_text().splitlines()
    (folder / "a.jsonl").write_text("\n\n".join(reversed(lines)))
    second = Store(folder / "v.sqlite", read(folder))
    assert (second.seed, second.secret, second.names) == (first.seed, first.secret, NAMES)
    assert [entry.id for entry in second.samples] == ["s0", "s1", "s2", "s3"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: read(folder, NAMES[::-1]), "the names"),
        (lambda folder: read(folder, limit=2), "the test set"),
        (lambda folder: _other_text(folder, "a.jsonl"), "the texts of the first model"),
        (lambda folder: _other_text(folder, "b.jsonl"), "the texts of the second model"),
    ],
)
def test_another_review_is_refused_by_what_differs(folder, change, told):
    Store(folder / "v.sqlite", read(folder)).close()
    with pytest.raises(TrifacetError, match=f"differs in {told}"):
        Store(folder / "v.sqlite", change(folder))


def _other_text(folder, name):
    write_lines(folder / name, [{"id": f"s{number}", "text": "other"} for number in range(4)])
    return read(folder)


@pytest.mark.parametrize("content", [b"", b"no database at all, just words", None])
def test_a_file_of_something_else_is_refused(folder, content):
    if content is None:
        with sqlite3.connect(folder / "other") as base:
            base.execute("CREATE TABLE mine (a)")
    else:
        (folder / "other").write_bytes(content)
    with pytest.raises(TrifacetError, match=r"no store of this version|cannot use the store"):
        Store(folder / "other", read(folder) if content != b"" else None)


def test_judges_and_processes_at_once_lose_nothing(folder):
    review = read(folder)
    stores = [Store(folder / "v.sqlite", review) for _ in range(2)]

    def work(number):
        store = stores[number % 2]
        store.begin(f"judge {number}", sees=True)
        for turn in range(20):
            store.vote(f"s{turn % 4}", f"judge {number}", "A", ("first", "second", "tie", "skip")[turn % 4], saw=True)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    votes = Store(folder / "v.sqlite").votes()
    assert len(votes) == 80 and sum(vote.counts for vote in votes) == 16
    assert [vote.number for vote in votes] == list(range(1, 81))


def test_one_judge_in_whatever_case(folder):
    store = Store(folder / "v.sqlite", read(folder))
    store.begin("Ada Straße", sees=True)
    store.begin("ADA STRASSE", sees=False)
    assert [(judge.name, judge.sees) for judge in store.judges()] == [("Ada Straße", False)]
    assert store.judge("ada strasse") == store.judges()[0] and store.judge("Bob") is None


def test_orders_are_each_judges_own_and_stay():
    orders = {name: judges_order("seed", name, 50) for name in ("Ada", "Bob")}
    assert orders["Ada"] != orders["Bob"] != tuple(range(50))
    assert all(sorted(order) == list(range(50)) for order in orders.values())
    assert judges_order("seed", "Ada", 50) == orders["Ada"] != judges_order("other", "Ada", 50)
    sides = {name: [first_side("seed", name, f"s{k}") for k in range(400)] for name in orders}
    assert sides["Ada"] != sides["Bob"] and sides["Ada"] == [first_side("seed", "Ada", f"s{k}") for k in range(400)]
    assert all(150 < side.count("A") < 250 for side in sides.values())


def test_a_win_is_the_first_models_wherever_it_stood():
    assert [outcome(*shown) for shown in (("A", "first"), ("B", "second"), ("A", "second"), ("B", "first"))] == [
        "win", "win", "lose", "lose",
    ]  # fmt: skip
    assert outcome("A", "tie") == outcome("B", "tie") == "tie" and outcome("A", "skip") is None


def test_every_sample_needs_both_texts_and_no_text_is_left_over(folder):
    rows = [{"id": f"s{number}", "text": "x"} for number in range(4)]
    write_lines(folder / "b.jsonl", rows[:2])
    with pytest.raises(DataError, match=r"b\.jsonl: has no text for 2 samples \('s2', 's3'\)"):
        read(folder)
    assert len(read(folder, limit=2).pairs) == 2
    write_lines(folder / "b.jsonl", [*rows, {"id": "of another run", "text": "x"}])
    with pytest.raises(DataError, match="has texts for 1 sample \\('of another run'\\)"):
        read(folder)
    with pytest.raises(TrifacetError, match="both models are called 'one'"):
        read(folder, names=("one", "one"))


VOTING = """
import sys, threading
from pathlib import Path
from trifacet.review.pairs import read_review
from trifacet.review.store import Store
folder, begun = Path(sys.argv[1]), sys.argv[2]
review = read_review(folder / "a.jsonl", folder / "b.jsonl", folder / "test.jsonl", names=("one", "two"))
store = Store(folder / "v.sqlite", review)
def work(judge):
    store.begin(judge, sees=True)
    for number in range(10**6):
        store.vote(f"s{number % 4}", judge, "A", "tie", comment=f"{begun} {number}", saw=True)
        sys.stdout.write(f"{judge}/{begun} {number}\\n")
        sys.stdout.flush()
for judge in ("Ada", "Bob"):
    threading.Thread(target=work, args=(judge,)).start()
"""


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.endurance)])
def test_no_acknowledged_vote_is_lost_or_doubled_over_kills(folder, kills):
    """Two judges who vote as fast as they can, in processes that are killed at moments nobody chose."""
    acknowledged, moments = [], random.Random(kills)
    for kill in range(kills):
        command = [sys.executable, "-c", VOTING, str(folder), str(kill)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": ":".join(sys.path)}
        ) as run:
            first = run.stdout.readline()
            time.sleep(moments.uniform(0.02, 0.4))
            run.kill()
            rest, _ = run.communicate(timeout=SECONDS)
        acknowledged += (first + rest).decode().rpartition("\n")[0].splitlines()
    stored = [f"{vote.judge}/{vote.comment}" for vote in Store(folder / "v.sqlite").votes()]
    assert len(acknowledged) > 2 * kills and set(acknowledged) <= set(stored) and len(set(stored)) == len(stored)
    assert len(stored) <= len(acknowledged) + 2 * kills  # at most those that were on their way


def test_a_lock_of_another_program_stops_no_reader_and_a_vote_for_a_stated_time_only(folder, monkeypatch):
    store = Store(folder / "v.sqlite", read(folder))
    store.begin("Ada", sees=True)
    monkeypatch.setattr(sqlite_file, "LONGEST_WAIT", 0.3)
    waiting = Store(folder / "v.sqlite", read(folder))
    failed = []

    def vote():
        try:
            waiting.vote("s1", "Ada", "A", "first", saw=True)
        except TrifacetError as error:
            failed.append(str(error))

    with closing(sqlite3.connect(folder / "v.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        voting = [threading.Thread(target=vote) for _ in range(6)]
        for thread in voting:
            thread.start()
        for _ in range(20):
            assert [judge.name for judge in waiting.judges()] == ["Ada"] and waiting.votes() == []
        assert time.monotonic() - begun < 0.3
        for thread in voting:
            thread.join()
        assert time.monotonic() - begun < 1.2  # not one after another
        other.execute("ROLLBACK")
    assert len(failed) == 6 and all("cannot use the store" in told for told in failed)
    waiting.vote("s1", "Ada", "A", "first", saw=True)
    assert len(store.votes()) == 1


@pytest.mark.parametrize("killed", [False, True])
def test_a_store_is_read_from_a_folder_that_cannot_be_written(folder, trifacet, killed):
    """Also what a killed server left in SQLite's log; and reading leaves nothing behind."""
    place = folder / "place with ? and #"
    place.mkdir()
    store = Store(place / "v.sqlite", read(folder))
    store.begin("Ada", sees=True)
    store.vote("s1", "Ada", "A", "first", saw=True)
    if killed:
        shutil.copytree(place, folder / "as it was", ignore=shutil.ignore_patterns("*-shm"))
    store.close()
    place = folder / "as it was" if killed else place
    before = sorted(file.name for file in place.iterdir())
    assert len(before) == 1 + killed
    with read_only(place):
        code, out, err = trifacet(
            "review", "--store", place / "v.sqlite", "--summary", "--export", "-", "--json", folder / "s"
        )
        assert code == 2 and "would mix" in err
        code, out, err = trifacet("review", "--store", place / "v.sqlite", "--export", "-")
        assert code == 0 and json.loads(out)["winner"] == NAMES[0] and not err
        assert trifacet("review", "--store", place / "v.sqlite", "--summary")[0] == 0
    assert sorted(file.name for file in place.iterdir()) == before


def test_reading_leaves_nothing_behind(folder):
    Store(folder / "v.sqlite", read(folder)).close()
    Store(folder / "v.sqlite").close()
    assert [file.name for file in folder.glob("v.sqlite*")] == ["v.sqlite"]


@pytest.mark.parametrize(
    "damage",
    ["DELETE FROM facts WHERE name = 'seed'", "UPDATE facts SET value = '['", "UPDATE facts SET value = x'ff'"],
)
def test_a_damaged_store_is_named(folder, damage):
    Store(folder / "v.sqlite", read(folder)).close()
    with sqlite3.connect(folder / "v.sqlite") as base:
        base.execute(damage)
    with pytest.raises(TrifacetError, match=r"v\.sqlite"):
        Store(folder / "v.sqlite")
