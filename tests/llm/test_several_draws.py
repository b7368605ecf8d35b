"""Several draws by one request where the endpoint gives them, and both names of the longest answer."""

import asyncio
import json
import time

import pytest
from PIL import Image
from raw_endpoint import RawEndpoint, response

from trifacet.data.records import TestSample
from trifacet.llm.asking import AskedModel
from trifacet.llm.books import Books, BudgetReached, Reply
from trifacet.llm.model import LanguageModel, Question
from trifacet.llm.writer import _PLAIN, EndpointWriter


class Server:
    """Answers "seed-place"; ``several``: honours n, up to a number, ignores it (None), or refuses it (False)."""

    def __init__(self, several=True, limit="max_tokens", **said):
        self.several, self.limit, self.said, self.bodies = several, limit, said, []

    def __call__(self, raw):
        body = json.loads(raw)
        self.bodies.append(body)
        if self.limit not in body:
            (other,) = {"max_tokens", "max_completion_tokens"} & body.keys()
            text = self.said.get("refusal", f"Unsupported parameter: '{other}' is not supported. Use '{self.limit}'.")
            return response({"error": {"message": text}}, "400 Bad Request")
        count = body.get("n", 1)
        if count > 1 and self.several is False:
            return response({"error": {"message": "extra fields not permitted: n"}}, "422 Unprocessable Entity")
        most = 1 if not self.several else count if self.several is True else self.several
        texts = [f"{body.get('seed')}-{place}" for place in range(min(count, most))]
        return response(
            {"choices": [{"message": {"content": text}, "finish_reason": "stop"} for text in texts],
             "usage": {"prompt_tokens": 31, "completion_tokens": 6 * len(texts)}}
        )  # fmt: skip

    @property
    def asked_for(self):
        return [body.get("n", 1) for body in self.bodies]


@pytest.fixture
def posts(tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "0.png")
    return [TestSample(id=f"p{n}", image="0.png", prompt=f"Question {n}?") for n in range(3)]


def write(server, tmp_path, posts, *, draws=4, temperature=1.0, done=(), answer=None, **spec):
    with RawEndpoint(answer or server) as endpoint:
        price = {"input": 1e6, "output": 1e6}
        spec = AskedModel(**{"base_url": endpoint.base_url, "model": "raw", "price": price, "tries": 2} | spec)
        writer = EndpointWriter(spec, tmp_path / "a.sqlite", 8, temperature=temperature, first_pause=0.01)
        return writer.write(posts, tmp_path, draws=draws, done=done), writer.asked


def test_draws_come_by_one_request_each_is_kept_by_its_own_key_and_nothing_is_paid_twice(tmp_path, posts):
    server = Server()
    texts, asked = write(server, tmp_path, posts)
    assert server.asked_for == [4, 4, 4]
    assert [text.text.split("-")[1] for text in texts] == ["0", "1", "2", "3"] * 3
    assert (asked.questions, asked.cached, asked.answered) == (12, 0, 12)
    assert (asked.tokens_in, asked.tokens_out, asked.cost) == (93, 72, 165), "as the endpoint counts them"
    again, after = write(server, tmp_path, posts, draws=6, done={("p1", 4)})
    assert [text for text in again if text.draw < 4] == texts
    assert sorted(server.asked_for[3:]) == [1, 2, 2], "only those that are new"
    assert (after.questions, after.cached, after.answered) == (17, 12, 5)
    content = server.bodies[0]["messages"][0]["content"]
    assert [part["type"] for part in content] == ["image_url", "text"], "what draws and questions share comes first"


def test_what_a_request_takes_is_estimated_by_its_whole_prompt_after_several_draws_too(tmp_path, posts):
    """Else a budget would be overrun: each draw has its share of the prompt's tokens."""
    question = Question("raw", "", "Question 0?", (), 1.0, 8, 0)

    async def ratio(draws):
        async with LanguageModel("raw", spec, books) as model:
            await model.draw(_PLAIN, {"question": "Question 0?"}, temperature=1.0, max_tokens=8, draws=draws)
            await model.ask(_PLAIN, {"question": "Question 0?"}, str, temperature=1.0, max_tokens=8, draw=draws[0])
            return books.tally("", "raw").ratios[0]

    for draws in (range(1), range(8)):
        with RawEndpoint(Server()) as endpoint, Books(tmp_path / f"{len(draws)}.sqlite") as books:
            spec = AskedModel(base_url=endpoint.base_url, model="raw", tries=2)
            assert asyncio.run(ratio(draws)) == pytest.approx(31 / question.tokens[0])


def test_what_another_process_asked_in_between_is_not_asked_again(tmp_path):
    server = Server()
    said = Reply("theirs", "stop", "raw", 1, 1, True)

    async def run(books, model):
        claim = books.claim

        def later(key):  # another process kept its answer after this one had looked, and let the question go
            books._file.write([(key, "s", "raw", said.text, "stop", "raw", 1, 1, 1, 0.0)])
            return claim(key)

        async with model:
            books.claim = later
            how = {"temperature": 1.0, "max_tokens": 8}
            await model.draw(_PLAIN, {"question": "Question 0?"}, **how, draws=range(3))
            return [(await model.ask(_PLAIN, {"question": "Question 0?"}, str, **how, draw=n)).text for n in range(3)]

    with RawEndpoint(server) as endpoint, Books(tmp_path / "a.sqlite") as books:
        model = LanguageModel("raw", AskedModel(base_url=endpoint.base_url, model="raw", tries=2), books)
        assert asyncio.run(run(books, model)) == ["theirs"] * 3
    assert not server.bodies


@pytest.mark.parametrize(("several", "first", "does"), [(None, [4], "ignores"), (False, [4, 4], "refuses")])
def test_an_endpoint_that_gives_one_is_told_once_and_asked_for_each(tmp_path, posts, several, first, does, caplog):
    server = Server(several)
    texts, asked = write(server, tmp_path, posts)
    assert sorted(server.asked_for, reverse=True)[: len(first) + 1] == [*first, 1]
    assert len(server.bodies) == (12 if several is None else 14), "the one that it gave is one of them"
    assert len({text.text for text in texts}) == 4 and all(text.text.endswith("-0") for text in texts)
    assert asked.answered == 12 and asked.cost == 12 * 37
    assert caplog.text.count(f"{does} n: draws are asked for one by one") == 1


@pytest.mark.parametrize(("draws", "last"), [(8, 2), (7, 1)])
def test_an_endpoint_that_caps_n_is_told_once_and_asked_for_the_rest(tmp_path, posts, draws, last, caplog):
    server = Server(several=3)
    texts, asked = write(server, tmp_path, posts, draws=draws, concurrency=1)
    found = {}
    for body in server.bodies:
        found.setdefault(json.dumps(body["messages"]), []).append(body.get("n", 1))
    assert list(found.values()) == [[draws, 3, last], [3, 3, last], [3, 3, last]], (
        "the first one says how many it gives"
    )
    assert asked.answered == 3 * draws == asked.questions and not asked.cached, "what it gave is used"
    assert len({(text.id, text.text) for text in texts}) == 3 * draws and all(text.text for text in texts)
    assert caplog.text.count("gives 3 answers to a request at most") == 1
    assert "one by one" not in caplog.text


def test_a_question_that_is_refused_says_nothing_of_several(tmp_path, posts):
    server = Server()
    answered = server.__call__

    def picky(raw):
        if b"Question 0" in raw:
            return response({"error": {"message": "I see no picture"}}, "400 Bad Request")
        return answered(raw)

    with RawEndpoint(picky) as endpoint:
        spec = AskedModel(base_url=endpoint.base_url, model="raw", tries=2)
        texts = EndpointWriter(spec, tmp_path / "a.sqlite", 8, temperature=1.0).write(posts, tmp_path, draws=4)
    assert server.asked_for == [4, 4]
    assert [bool(text.text) for text in texts] == [False] * 4 + [True] * 8


@pytest.mark.parametrize("fails", ["slow", "500 Internal Server Error", b'{"choices": [{"message": {}}, null]}'])
def test_an_endpoint_that_fails_at_several_gives_them_one_by_one(tmp_path, posts, fails, caplog):
    server = Server()

    def failing(raw):
        if json.loads(raw).get("n", 1) > 1:
            server.bodies.append(json.loads(raw))
            if fails == "slow":
                time.sleep(1.5)
                return []
            if isinstance(fails, bytes):
                return response(fails)
            return response({"error": {"message": "Only one completion choice is allowed"}}, fails)
        return server(raw)

    texts, asked = write(server, tmp_path, posts, timeout=1.0, answer=failing)
    assert server.asked_for.count(4) == 2 and server.asked_for.count(1) == 12 == asked.answered
    assert all(text.text and text.problem is None for text in texts)
    assert caplog.text.count("fails at n: draws are asked for one by one") == 1


def test_a_failure_of_an_endpoint_that_has_given_several_may_pass(tmp_path, posts):
    server = Server()

    def once(raw):
        if len(server.bodies) == 1:
            server.bodies.append({"n": 0})
            return response({"error": {"message": "for now"}}, "500 Internal Server Error")
        return server(raw)

    write(server, tmp_path, posts, answer=once)
    assert server.asked_for == [4, 0, 4, 4]


def test_draws_beyond_what_one_request_gives_come_by_several(tmp_path, posts):
    server = Server()
    texts, _ = write(server, tmp_path, posts[:1], draws=20)
    assert server.asked_for == [16, 4] and len({text.text for text in texts}) == 20


def test_single_draws_and_greedy_ones_are_asked_as_ever(tmp_path, posts):
    server = Server()
    write(server, tmp_path, posts, draws=1)
    write(server, tmp_path, posts, temperature=0.0)
    assert not any("n" in body for body in server.bodies)


def test_a_budget_that_suffices_for_some_draws_is_used_for_them(tmp_path, posts):
    server = Server()
    with pytest.raises(BudgetReached, match="budget of 35 reached"):  # four might cost 41, one 17
        write(server, tmp_path, posts[:1], budget=35, concurrency=1)
    assert server.asked_for == [1]
    with Books(tmp_path / "a.sqlite") as books:
        assert books.answered("answers") == 1


def test_the_longest_answer_is_told_by_the_name_that_the_endpoint_takes(tmp_path, posts, caplog):
    server = Server(limit="max_completion_tokens")
    texts, asked = write(server, tmp_path, posts, draws=1, concurrency=1)
    assert all(text.text and text.problem is None for text in texts) and asked.answered == 3
    assert ["max_tokens" in body for body in server.bodies] == [True, False, False, False]
    assert caplog.text.count("wants max_completion_tokens for max_tokens") == 1
    kept, after = write(Server(), tmp_path, posts, draws=1)
    assert kept == texts and after.cached == 3, "the name is no part of a question"


def test_many_at_once_meet_the_other_name_together(tmp_path, posts):
    server = Server(limit="max_completion_tokens")
    texts, _ = write(server, tmp_path, posts, draws=4)
    assert all(text.text for text in texts)


@pytest.mark.parametrize(
    "refusal",
    [
        "max_tokens is too large: 8",
        "'max_tokens' or 'max_completion_tokens' is too large: 8. This model's maximum context length is 4 tokens",
        "max_tokens: values above 4 are not supported: 8 exceeds it",
    ],
)
def test_a_refusal_of_another_kind_changes_no_name(tmp_path, posts, refusal):
    server = Server(limit="max_completion_tokens", refusal=refusal)
    texts, _ = write(server, tmp_path, posts, draws=1)
    assert all(text.problem == "rejected by the endpoint (400)" for text in texts)
    assert all("max_tokens" in body for body in server.bodies)
