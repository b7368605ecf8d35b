"""Whatever an endpoint sends ends as an answer or as one line, in bounds of bytes and time, and goes nowhere else."""

import gzip
import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from questions import ask_all, posts, tally
from raw_endpoint import RawEndpoint, completion, response

from trifacet.base.errors import TrifacetError
from trifacet.llm.response import LONGEST_WAIT, read_replies, retry_after
from trifacet.llm.settings import Model

GOOD = completion(model="m", usage={"prompt_tokens": 5, "completion_tokens": 7})
ENDLESS = [b"HTTP/1.1 200 OK\r\n\r\n", *[bytes(1_000_000)] * 17]


def dripping():
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    while True:
        time.sleep(0.05)
        yield b" "


def spec(endpoint, **others):
    return Model(base_url=endpoint.base_url, **{"model": "m", "timeout": 5.0, "tries": 1, "concurrency": 2} | others)


def outcome(pieces, tmp_path, **others):
    """What comes of asking an endpoint that answers so, and the requests that it got."""
    with RawEndpoint(lambda body: pieces() if callable(pieces) else pieces) as endpoint:
        said, books = ask_all(spec(endpoint, **others), tmp_path / "a.sqlite", ["x"])
    return said, books, endpoint.received


KINDS = {
    "gzip": (response(gzip.compress(json.dumps(GOOD).encode()), Content_Encoding="gzip"), "packs its answers (gzip)"),
    "packed twice": (response(b"x", Content_Encoding="br, gzip"), "packs its answers"),
    "endless": (ENDLESS, "longer than 16,000,000 bytes"),
    "dripping": (dripping, "no answer within 1 s"),
    "silent": (lambda: time.sleep(3) or [], "no answer within 1 s"),
    "gone at once": ([], "connection"),
    "cut": (response(GOOD)[:1], "connection"),
    "no HTTP": ([b"hello\r\n\r\n"], "connection"),
    "a status of no kind": (response(GOOD, "999 What"), "999"),
    "a header without end": ([b"HTTP/1.1 200 OK\r\nX: ", b"x" * 500_000], "connection"),
    "two lengths": ([b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde"], "connection"),
    "nothing": (response(b""), "no chat completion"),
    "no content": (response(b"", "204 No Content"), "no chat completion"),
    "a page": (response(b"<html>busy</html>"), "no chat completion"),
    "no UTF-8": (response(b'{"choices": "\xff"}'), "no chat completion"),
    "a number": (response(b"9" * 5000), "no chat completion"),
    "nested": (response(b"[" * 200_000), "no chat completion"),
    "no choices": (response({"choices": []}), "no chat completion"),
    "choices by name": (response({"choices": {}}), "no chat completion"),
    "no message": (response({"choices": [{"message": None}]}), "no chat completion"),
    "parts": (response({"choices": [{"message": {"content": [{"text": "x"}]}}]}), "no chat completion"),
    "too long": (response(completion("x" * 1_000_001)), "no chat completion"),
    "an error within": (response({"error": {"message": "no"}}), "no chat completion"),
    "503": (response({"error": {"message": "busy \x1b[2J"}}, "503 Busy"), "503 (busy [2J)"),
    "a year of 20 digits": (
        response({}, "429 Slow", Retry_After="Wed, 21 Oct 99999999999999999999 07:28:00 GMT"),
        "429",
    ),
    "418": (response({"error": "tea\npot"}, "418 I'm a teapot"), "answers 418: says"),
    "elsewhere": (response({}, "307 There", Location="http://127.0.0.2:9/v1"), "send us on to http://127.0.0.2:9/v1"),
    "no place": (response({}, "301 There"), "send us on to nowhere"),
    "a port above all": (response({}, "308 There", Location="http://127.0.0.1:99999/"), ""),
    "a port of 30 digits": (response({}, "302 There", Location=f"http://127.0.0.1:{'9' * 30}/"), ""),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_answer_ends_as_one_line(kind, tmp_path):
    pieces, said = KINDS[kind]
    began = time.monotonic()
    error, books, received = outcome(pieces, tmp_path, timeout=1.0 if "within" in said else 5.0)
    assert isinstance(error, TrifacetError) and said in str(error), error
    assert "\n" not in str(error) and "\x1b" not in str(error) and len(str(error)) < 600
    assert len(received) == 1 and tally(books).answered == 0
    assert time.monotonic() - began < 10


def test_no_post_is_sent_on_to_another_place(tmp_path):
    with RawEndpoint(lambda body: response(GOOD)) as other:
        for status in ("301 There", "302 There", "303 There", "307 There", "308 There"):
            moved = response({}, status, Location=f"{other.base_url}/chat/completions")
            error, _, received = outcome(moved, tmp_path)
            assert isinstance(error, TrifacetError) and "send us on to" in str(error) and len(received) == 1
    assert other.received == []


def test_a_status_for_one_question_is_that_questions_problem(tmp_path):
    for status in (400, 413, 422):
        (answer,), _, _ = outcome(response({"error": {"message": "too long"}}, f"{status} No"), tmp_path)
        assert (answer.problem, answer.text) == (f"rejected by the endpoint ({status})", f"{status}: too long")


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999/v1", "http://127.0.0.1:" + "9" * 30, "http://[::1/v1"])
def test_an_address_that_is_none_is_one_line(address, tmp_path):
    given = Model(base_url="http://127.0.0.1:1/v1", model="m").model_copy(update={"base_url": address})
    error, _ = ask_all(given, tmp_path / "a.sqlite", ["x"])
    assert isinstance(error, TrifacetError) and "models.judge.base_url is no address" in str(error)


FIGURES = [
    [], [1, 2], "many", 7, -1, True, None, {}, {"prompt_tokens": 2**63, "completion_tokens": 1},
    {"prompt_tokens": -1, "completion_tokens": 1}, {"prompt_tokens": "5", "completion_tokens": 1},
    {"prompt_tokens": True, "completion_tokens": 1}, {"prompt_tokens": 5.0, "completion_tokens": 1},
    {"prompt_tokens": 10**400, "completion_tokens": 1}, {"prompt_tokens": {}, "completion_tokens": []},
]  # fmt: skip


@pytest.mark.parametrize("figures", FIGURES, ids=lambda figures: str(figures)[:40])
def test_figures_that_cannot_be_true_are_not_told_and_the_text_is_kept(figures, tmp_path):
    (answer,), books, received = outcome(response(completion(usage=figures)), tmp_path)
    assert answer.value == "x" and len(received) == 1, "asked once, and paid once"
    assert (tally(books).answered, tally(books).uncounted) == (1, 1)
    (again,), _, received = outcome([], tmp_path)
    assert again.value == "x" and received == []


@pytest.mark.parametrize("beside", ['["m"]', '"\\ud800"', "null", "9" * 6000])
def test_what_is_wrong_beside_the_text_does_not_make_it_wrong(beside, tmp_path):
    body = json.dumps(completion(model="BESIDE", usage="BESIDE")).replace('"BESIDE"', beside)
    (answer,), _, _ = outcome(response(body.encode()), tmp_path)
    assert answer.value == "x"


WHATEVER = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(usage=WHATEVER, model=WHATEVER, finish=WHATEVER, further=WHATEVER)
def test_anything_may_stand_beside_the_text(usage, model, finish, further):
    body = completion("the text", usage=usage, model=model, further=further)
    body["choices"][0]["finish_reason"] = finish
    (reply,) = read_replies(json.dumps(body).encode(), 9, str)
    assert reply.text == "the text" and 0 <= reply.tokens_in <= 10**8 and 0 <= reply.tokens_out <= 10**8
    (reply.finish + reply.answered_by).encode()


@given(st.binary(max_size=60))
def test_a_body_is_an_answer_or_none(content):
    with pytest.raises(ValueError, match="no chat completion"):
        read_replies(content, 9, str)


DATES = st.builds("{}, {} {} {} {}:{} {}".format, *[st.sampled_from(["Wed", "21", "Oct", "07", "-1", "9" * 20])] * 7)


@given(st.text(max_size=40) | DATES | st.integers().map(str) | st.floats().map(str))
def test_any_retry_after_is_seconds_in_bounds_or_none(value):
    seconds = retry_after({"retry-after": value})
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT


@pytest.mark.parametrize("times", [25, pytest.param(500, marks=pytest.mark.endurance)])
def test_a_damaged_response_is_an_answer_or_one_line(times, tmp_path):
    draw = random.Random(19)
    whole = b"".join(response(GOOD, Retry_After="1"))
    kinds = [whole.replace(b"200 OK", f"{status} X".encode()) for status in (200, 200, 200, 302, 400, 429, 500)]

    def damaged(body):
        content = bytearray(draw.choice(kinds))
        for _ in range(draw.randint(1, 6)):
            place = draw.randrange(len(content))
            content[place : place + draw.choice((0, 1, 1, 9))] = draw.randbytes(draw.choice((0, 1, 1, 20)))
        return [bytes(content)]

    with RawEndpoint(damaged) as endpoint:
        for number in range(times):
            said, _ = ask_all(spec(endpoint, timeout=0.5, reparse=0), tmp_path / "a.sqlite", [str(number)])
            if isinstance(said, Exception):
                assert isinstance(said, TrifacetError), repr(said)
                assert "\n" not in str(said) and str(said).isprintable(), said


def test_many_questions_outlive_an_endpoint_that_lies_about_its_figures(tmp_path):
    lying = response(completion(usage={"prompt_tokens": 2**63, "completion_tokens": 2**63}))
    with RawEndpoint(lambda body: lying) as endpoint:
        answers, books = ask_all(spec(endpoint, concurrency=8), tmp_path / "a.sqlite", posts(30))
    assert [answer.value for answer in answers] == ["x"] * 30 and books.answered("judge") == 30
