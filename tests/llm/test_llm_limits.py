"""Limits hold, pauses are as long as asked for, what cannot be mended stops at once; the key stays secret."""

import bisect
import json
import logging

import pytest
from pydantic import ValidationError
from questions import ask_all, backwards, posts, spec, tally

from trifacet.base.errors import TrifacetError
from trifacet.demo.endpoint_server import Faults, ScriptedEndpoint, last_text
from trifacet.llm.books import Books
from trifacet.llm.settings import Model
from trifacet.settings.reading import explain_invalid

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)


def most_within(times, seconds):
    """The largest number of requests in any stretch of so many seconds."""
    return max(bisect.bisect_left(times, start + seconds) - place for place, start in enumerate(times))


def test_requests_a_minute(tmp_path):
    with ScriptedEndpoint(backwards) as endpoint:
        ask_all(spec(endpoint, requests_per_minute=1200), tmp_path / "a.sqlite", posts(50))
    times = endpoint.calls.times
    assert 49 / 20 * 0.98 <= times[-1] - times[0] < 1.5 * 49 / 20, "slow enough, and not slower than that"
    assert most_within(times, 1.0) <= 22  # 20 a second, and what the way to the server bunches


def test_tokens_a_minute_are_those_that_the_endpoint_counts(tmp_path):
    with ScriptedEndpoint(backwards) as endpoint:
        limits = {"tokens_per_minute": 30_000, "max_tokens": 300}  # 500 a second; a question may take 350, takes 40
        _, books = ask_all(spec(endpoint, **limits), tmp_path / "a.sqlite", posts(40))
    used, times = tally(books).tokens_in + tally(books).tokens_out, endpoint.calls.times
    assert used / 500 * 0.9 <= times[-1] - times[0] < used / 500 + 2.5
    assert tally(books).estimated_out > 10 * tally(books).tokens_out


def test_questions_at_the_same_time(tmp_path):
    now, most = [0], [0]

    def slow(messages):
        import time

        now[0] += 1
        most[0] = max(most[0], now[0])
        time.sleep(0.02)
        now[0] -= 1
        return backwards(messages)

    with ScriptedEndpoint(slow) as endpoint:
        ask_all(spec(endpoint, concurrency=3), tmp_path / "a.sqlite", posts(30))
    assert most[0] == 3


@pytest.mark.parametrize(("kind", "asked", "least"), [("429 retry-after", 0.7, 0.7), ("429 until", 2.0, 0.9)])
def test_retry_after_holds_for_all_requests(kind, asked, least, tmp_path):
    with ScriptedEndpoint(backwards, Faults({kind: 1.0}, most=1, retry_after=asked)) as endpoint:
        answers, books = ask_all(spec(endpoint, concurrency=4), tmp_path / "a.sqlite", posts(4))
    assert all(answer.value for answer in answers) and tally(books).retries == {"429": 4}
    first, second = endpoint.calls.times[:4], endpoint.calls.times[4:]
    assert least <= min(second) - max(first) < 2 * asked


def test_an_endpoint_that_stays_down_stops_the_build_and_the_same_command_continues(tmp_path, caplog):
    file = tmp_path / "a.sqlite"
    with ScriptedEndpoint(backwards) as endpoint:
        ask_all(spec(endpoint), file, posts(10))
    with ScriptedEndpoint(backwards, Faults({"503": 1.0}, most=99)) as endpoint:
        stop, _ = ask_all(spec(endpoint, tries=3, concurrency=1), file, posts(30))
        assert endpoint.calls.received == 3, "after that, nobody goes on knocking"
    assert isinstance(stop, TrifacetError) and str(stop).endswith("the same command continues")
    assert endpoint.base_url in str(stop) and "503" in str(stop) and "3 times" in str(stop)
    gone, _ = ask_all(spec(endpoint, tries=2), file, posts(30))
    (told,) = [record.getMessage() for record in caplog.records if "trying again" in record.getMessage()]
    assert told.startswith("note: http://127.0.0.1") and "2 times in all" in told
    assert isinstance(gone, TrifacetError) and "connection" in str(gone)
    with ScriptedEndpoint(backwards) as endpoint:
        answers, _ = ask_all(spec(endpoint), file, posts(30))
    assert [answer.value for answer in answers] == [text[::-1] for text in posts(30)]
    assert endpoint.calls.delivered == 20


def test_the_key_is_in_no_message_log_or_file(tmp_path, key, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    parrot = json.dumps({"answer": f"your key is {KEY}"})
    with ScriptedEndpoint(lambda messages: parrot, Faults({"500": 0.5}), key=KEY) as endpoint:
        answers, _ = ask_all(spec(endpoint, key_env="SOME_KEY"), tmp_path / "a.sqlite", posts(5))
        assert answers[0].value == "your key is ***"
        endpoint.key = "another"
        wrong, _ = ask_all(spec(endpoint, key_env="SOME_KEY"), tmp_path / "b.sqlite", posts(5))
        none, _ = ask_all(spec(endpoint, key_env="NO_SUCH_KEY"), tmp_path / "b.sqlite", posts(5))
    assert "401" in str(wrong) and "SOME_KEY" in str(wrong) and "NO_SUCH_KEY" in str(none)
    assert endpoint.calls.refused[401] <= 10
    places = [str(wrong), caplog.text, *capfd.readouterr(), repr(answers)]
    places += [file.read_bytes().decode("latin-1") for file in tmp_path.iterdir()]
    assert not any("secret" in place for place in places)


def test_no_key_no_header(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with ScriptedEndpoint(backwards, key="") as endpoint:
        stop, _ = ask_all(spec(endpoint), tmp_path / "a.sqlite", posts(1))
    assert "wants a key" in str(stop) and "OPENAI_API_KEY" in str(stop)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": "unheard-of"}, "unheard-of"),
        ({"base_url": "ftp://127.0.0.1/v1"}, "models.judge.base_url"),
        ({"base_url": "127.0.0.1:8000"}, "models.judge.base_url"),
    ],
)
def test_what_the_user_has_to_set_is_said_at_once(changed, said, tmp_path):
    with ScriptedEndpoint(backwards) as endpoint:
        given = spec(endpoint).model_dump() | changed
        stop, _ = ask_all(Model.model_validate(given), tmp_path / "a.sqlite", posts(1))
    assert isinstance(stop, TrifacetError) and said in str(stop) and endpoint.calls.received <= 1


def test_a_key_or_address_that_cannot_be_one_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret\nkey")
    with ScriptedEndpoint(backwards) as endpoint:
        stop, _ = ask_all(spec(endpoint, key_env="SOME_KEY"), tmp_path / "a.sqlite", posts(1))
    assert "SOME_KEY" in str(stop) and "secret" not in str(stop)
    address = endpoint.base_url.replace("//", "//user:secret@") + "?key=secret"
    with pytest.raises(ValidationError) as refused:
        Model(base_url=address, model="scripted")
    assert "secret" not in explain_invalid(refused.value, Model)
    unchecked = spec(endpoint).model_copy(update={"base_url": address, "tries": 1})
    gone, _ = ask_all(unchecked, tmp_path / "a.sqlite", posts(1))
    assert isinstance(gone, TrifacetError) and "secret" not in str(gone)


def test_the_file_of_answers_is_ours_or_refused(tmp_path):
    (tmp_path / "a.sqlite").write_text("a letter to my aunt, which should not be lost" * 100)
    with pytest.raises(TrifacetError, match="another file"):
        Books(tmp_path / "a.sqlite")
    import sqlite3

    with sqlite3.connect(tmp_path / "b.sqlite") as base:
        base.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(TrifacetError, match="another file"):
        Books(tmp_path / "b.sqlite")
    with pytest.raises(TrifacetError, match="cannot use"):
        Books(tmp_path / "a.sqlite" / "c.sqlite")
    assert (tmp_path / "a.sqlite").read_text().startswith("a letter")


def test_the_last_message_of_a_request_is_the_users():
    assert (
        last_text([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}])
        == "a\nb"
    )
