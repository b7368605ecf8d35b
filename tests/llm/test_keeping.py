"""Answers that were paid for: none lost when the disk or the user stops us, none asked twice, none changed unseen."""

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from full_disk import files_up_to
from questions import PROMPT, ask_all, backwards, parse, posts, spec, tally

from trifacet.base.errors import TrifacetError
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.llm import asking
from trifacet.llm.answers_file import COLUMNS
from trifacet.llm.asking import AskedModel
from trifacet.llm.books import Books

AT_ONCE = 4


def asked_together(endpoint, file, texts):
    """The way of judges and writers."""
    given = AskedModel(**spec(endpoint, concurrency=AT_ONCE, timeout=20.0).model_dump())

    async def one(model, text):
        await model.ask(PROMPT, {"post": text}, parse)

    return asking.ask_all(one, texts, given, file, "step", first_pause=0.02)


@pytest.mark.parametrize(
    "size", [120_000, *(pytest.param(40_000 + 20_000 * n, marks=pytest.mark.endurance) for n in range(10))]
)
def test_a_full_disk_loses_what_is_in_flight_at_most(size, tmp_path):
    file, texts = tmp_path / "a.sqlite", posts(200)
    with ScriptedEndpoint(backwards, latency=0.01) as endpoint:
        Books(file).close()
        with files_up_to(size), pytest.raises(TrifacetError, match="keeps the models' answers") as stop:
            asked_together(endpoint, file, texts)
        assert "free some space" in str(stop.value) and "\n" not in str(stop.value)
        with Books(file) as books:
            kept = books.answered("step")
        assert 0 < endpoint.calls.delivered < len(texts)
        assert endpoint.calls.delivered - kept <= AT_ONCE
        asked_together(endpoint, file, texts)
    assert endpoint.calls.delivered - len(texts) <= AT_ONCE


def signal_when_all_are_under_way(endpoint, number, again=None):
    """Send ourselves a signal once the first questions have arrived, and ``again`` once that was noticed."""

    def watch():
        until = time.monotonic() + 60
        while endpoint.calls.received < AT_ONCE and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(os.getpid(), number)
        while again is not None and not again.records and time.monotonic() < until:
            time.sleep(0.01)
        if again is not None:
            os.kill(os.getpid(), number)

    threading.Thread(target=watch, daemon=True).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_answers_under_way_and_asks_nothing_new(number, tmp_path):
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    with ScriptedEndpoint(backwards, latency=1.0) as endpoint:
        signal_when_all_are_under_way(endpoint, number)
        with pytest.raises(KeyboardInterrupt) as stop:
            asked_together(endpoint, tmp_path / "a.sqlite", posts(40))
        with Books(tmp_path / "a.sqlite") as books:
            assert endpoint.calls.delivered == books.answered("step") == AT_ONCE
    assert stop.value.args == (("SIGTERM",) if number == signal.SIGTERM else ())
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once(number, tmp_path, caplog):
    def terminated(*_):
        raise KeyboardInterrupt("at once")

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        with ScriptedEndpoint(backwards, latency=30) as endpoint:
            signal_when_all_are_under_way(endpoint, number, again=caplog)
            began = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                asked_together(endpoint, tmp_path / "a.sqlite", posts(10))
            assert time.monotonic() - began < 15
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [record.levelname for record in caplog.records] == ["WARNING"], caplog.text  # no traceback


@pytest.mark.parametrize("killed", [False, True])
def test_two_at_once_ask_each_question_once_and_a_kill_leaves_no_claim(killed, tmp_path):
    count = 60
    with ScriptedEndpoint(backwards, latency=0.05) as endpoint:
        command = [sys.executable, str(Path(__file__).with_name("questions.py")), endpoint.base_url]
        command += [str(tmp_path / "a.sqlite"), str(count)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(2)]
        until = time.monotonic() + 60
        while killed and endpoint.calls.delivered < 12 and time.monotonic() < until:
            time.sleep(0.002)
        if killed:
            both[0].kill()
        said = [process.communicate(timeout=120)[0] for process in both]
    assert both[1].returncode == 0 and said[1].count(b"tsop") == count
    if killed:
        assert count <= endpoint.calls.delivered <= count + AT_ONCE
    else:
        assert said[0] == said[1] and endpoint.calls.delivered == count


@pytest.mark.parametrize("column", ["text", "finish", "model", "cost", "tokens_in", "digest"])
def test_a_row_that_was_changed_is_told_and_asked_again(column, tmp_path, caplog):
    file = tmp_path / "a.sqlite"
    with ScriptedEndpoint(backwards) as endpoint:
        ask_all(spec(endpoint), file, posts(5))
        with sqlite3.connect(file) as base:
            key = base.execute("SELECT min(key) FROM answers").fetchone()[0]
            value = {"text": "replace(text, 'tsop', 'Tsop')", "digest": "NULL"}.get(column, f"{column} || '1'")
            base.execute(f"UPDATE answers SET {column} = {value} WHERE key = ?", (key,))
        base.close()
        for received in (6, 6):  # the second time it is whole again
            answers, _ = ask_all(spec(endpoint), file, posts(5))
            assert [answer.value for answer in answers] == [text[::-1] for text in posts(5)]
            assert endpoint.calls.received == received
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"note: {file}: the answer {key} is not as it was written; it is asked again")


def as_version_1(file):
    """The file as it was before answers had digests."""
    with sqlite3.connect(file) as base:
        base.execute("ALTER TABLE answers DROP COLUMN digest")
        base.execute("PRAGMA user_version=1")
    base.close()


def test_a_file_of_before_the_digests_is_read_and_gets_them(tmp_path, caplog):
    file = tmp_path / "a.sqlite"
    with ScriptedEndpoint(backwards) as endpoint:
        ask_all(spec(endpoint), file, posts(5))
        as_version_1(file)
        answers, books = ask_all(spec(endpoint), file, posts(5))
        assert all(answer.value for answer in answers) and tally(books).cached == 5 and not caplog.records
        with sqlite3.connect(file) as base:
            base.execute("UPDATE answers SET text = 'another'")
        base.close()
        ask_all(spec(endpoint), file, posts(5))
        assert endpoint.calls.received == 10 and len(caplog.records) == 1


def emptied(base):
    base.execute("DROP TABLE answers")
    base.execute("CREATE TABLE bookmarks (url TEXT)")


def widened(base):
    base.execute("ALTER TABLE answers ADD COLUMN stars INTEGER")


def of_blobs(base):
    base.execute(f"UPDATE answers SET {', '.join(f'{name} = randomblob(9)' for name in COLUMNS[1:])}")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (emptied, "its table of answers is gone or another one; put back a copy of it, or name another file"),
        (widened, "its table of answers is gone or another one"),
        (of_blobs, None),
        (None, "put back a copy of it, or name another file: its answers are asked and paid for again"),
    ],
)
def test_a_damaged_file_is_one_line_or_asked_again(change, said, tmp_path, caplog):
    file = tmp_path / "a.sqlite"
    with ScriptedEndpoint(backwards) as endpoint:
        ask_all(spec(endpoint), file, posts(60))
        if change:
            with sqlite3.connect(file) as base:
                change(base)
            base.close()
        else:
            content = bytearray(file.read_bytes())
            content[4096:] = bytes(len(content) - 4096)
            file.write_bytes(content)
        if said is None:
            answers, _ = ask_all(spec(endpoint), file, posts(60))
            assert all(answer.value for answer in answers) and "not as it was written" in caplog.text
        else:
            with pytest.raises(TrifacetError) as stop:
                ask_all(spec(endpoint), file, posts(60))
            assert str(stop.value).startswith(f"cannot use {file}") and said in str(stop.value)
            assert "\n" not in str(stop.value) and endpoint.calls.received == 60


@pytest.mark.parametrize("times", [15, pytest.param(600, marks=pytest.mark.endurance)])
def test_no_flipped_bit_makes_another_answer(times, tmp_path):
    file, draw = tmp_path / "a.sqlite", random.Random(19)
    with ScriptedEndpoint(backwards) as endpoint:
        ask_all(spec(endpoint), file, posts(12))
        whole = file.read_bytes()
        for _ in range(times):
            content = bytearray(whole)
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            file.write_bytes(content)
            try:
                said, _ = ask_all(spec(endpoint), file, posts(12))
            except TrifacetError as error:
                said = error
            if isinstance(said, TrifacetError):
                assert str(file) in str(said) and "\n" not in str(said)
            else:
                assert [answer.value for answer in said] == [text[::-1] for text in posts(12)]


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_removed_while_we_ask_stops_it(replaced, tmp_path):
    file, answered = tmp_path / "folder" / "a.sqlite", itertools.count(1)

    def answer(messages):
        if next(answered) == 6:
            file.unlink()
            if replaced:
                file.write_bytes(b"")
        return backwards(messages)

    with ScriptedEndpoint(answer, latency=0.02) as endpoint:
        with pytest.raises(TrifacetError, match="removed or replaced while it was in use"):
            asked_together(endpoint, file, posts(60))
        assert endpoint.calls.received < 6 + 3 * AT_ONCE
