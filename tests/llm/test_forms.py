"""Answers of a stated form (``response_format``) of endpoints that hold to one, refuse it, or do not look at it."""

import asyncio
import json
import logging

import pytest
from PIL import Image
from raw_endpoint import RawEndpoint, response

from trifacet.data.records import TestSample
from trifacet.evolving.settings import CONDITIONS
from trifacet.evolving.verifying import VERDICT, parse_conditions
from trifacet.llm.asking import AskedModel
from trifacet.llm.books import Books
from trifacet.llm.judging import CHOICE, parse_choice
from trifacet.llm.model import LanguageModel
from trifacet.llm.parsing import UnparsedError
from trifacet.llm.writer import _PLAIN, EndpointWriter

GOOD = json.dumps({name: {"reason": "so it is", "holds": True} for name in CONDITIONS})


class Server:
    """Holds to a form, refuses it (by a status), or ignores it, saying ``otherwise``; ``picky``: words it refuses."""

    def __init__(
        self, does="holds", *, otherwise="It is right.", picky=None, said="Invalid parameter: response_format"
    ):
        self.does, self.otherwise, self.picky, self.said, self.bodies = does, otherwise, picky, said, []

    def __call__(self, raw):
        body = json.loads(raw)
        self.bodies.append(body)
        if self.picky and self.picky in json.dumps(body["messages"]):
            return response({"error": {"message": "I see no picture"}}, "400 Bad Request")
        asked = body.get("response_format")
        if asked and isinstance(self.does, str) and self.does[0].isdigit():
            return response({"error": {"message": self.said}}, self.does)
        text = GOOD if asked and self.does == "holds" else self.otherwise
        choices = [{"message": {"content": text}, "finish_reason": "stop"}] * body.get("n", 1)
        return response({"choices": choices, "usage": {"prompt_tokens": 9, "completion_tokens": 5}})

    @property
    def in_form(self):
        return ["response_format" in body for body in self.bodies]


@pytest.fixture
def posts(tmp_path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "0.png")
    return [TestSample(id=f"p{n}", image="0.png", prompt=f"Question {n}?") for n in range(4)]


def write(server, tmp_path, posts, *, draws=1, temperature=0.0, form=VERDICT, **spec):
    with RawEndpoint(server) as endpoint:
        spec = AskedModel(**{"base_url": endpoint.base_url, "model": "raw", "tries": 3} | spec)
        writer = EndpointWriter(spec, tmp_path / "a.sqlite", 99, temperature=temperature, first_pause=0.01, form=form)
        return writer.write(posts, tmp_path, draws=draws), writer.asked


def test_the_schema_asks_for_what_is_read_and_for_nothing_else():
    """Strict endpoints take a schema whose objects name every key as required and allow no other."""

    def made(schema, word):
        if schema["type"] == "object":
            assert schema["required"] == list(schema["properties"]) and schema["additionalProperties"] is False
            return {name: made(one, word) for name, one in schema["properties"].items()}
        return {"boolean": True, "string": schema.get("enum", [word])[0]}[schema["type"]]

    assert parse_conditions(json.dumps(made(VERDICT.schema, "because"))).accepts
    assert parse_choice(json.dumps(made(CHOICE.schema, ""))) == "A"
    assert CHOICE.schema["properties"]["better"]["enum"] == ["A", "B", "tie"]
    with pytest.raises(UnparsedError):
        VERDICT.reads('{"derivable": true}')


def test_an_endpoint_that_holds_to_a_form_is_asked_for_it_each_time(tmp_path, posts, caplog):
    server = Server()
    texts, asked = write(server, tmp_path, posts)
    assert [text.text for text in texts] == [GOOD] * 4
    assert server.in_form == [True] * 4 and asked.answered == 4
    told = server.bodies[0]["response_format"]
    assert told["type"] == "json_schema" and told["json_schema"]["strict"] is True
    assert told["json_schema"]["schema"] == VERDICT.schema
    assert "note" not in caplog.text


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("400 Bad Request", "Invalid parameter: response_format"),
        ("422 Unprocessable Entity", "extra fields not permitted"),
        ("400 Bad Request", "this model has no structured outputs"),
    ],
)
def test_one_that_refuses_it_is_told_once_and_asked_without(tmp_path, posts, status, said, caplog):
    server = Server(status, said=said)
    texts, asked = write(server, tmp_path, posts)
    assert [text.text for text in texts] == ["It is right."] * 4
    assert server.in_form == [True] + [False] * 4, "only the first request asks for it"
    assert asked.answered == 4 and not asked.problems
    assert caplog.text.count("refuses response_format: answers are asked for without it") == 1


def test_one_that_fails_at_it_again_is_asked_without_and_a_failure_that_passes_is_none(tmp_path, posts, caplog):
    server = Server("500 Internal Server Error", said="oops")
    texts, _ = write(server, tmp_path, posts, concurrency=1)
    assert all(text.text for text in texts)
    assert server.in_form == [True, False, True, False, False, False]
    assert caplog.text.count("fails at response_format") == 1
    caplog.clear()
    once, holds = Server("500 Internal Server Error", said="for now"), Server()

    def passing(raw):
        return holds(raw) if once.bodies else once(raw)

    write(passing, tmp_path / "b", _at(posts, tmp_path / "b"))
    assert holds.in_form == [False, True, True, True] and "note" not in caplog.text


def _at(posts, folder):
    folder.mkdir()
    Image.new("RGB", (8, 8), "blue").save(folder / "0.png")
    return posts


def test_one_that_ignores_it_is_named_by_its_first_answer_that_is_no_form(tmp_path, posts, caplog):
    server = Server("ignores")
    texts, asked = write(server, tmp_path, posts, concurrency=1)
    assert [text.text for text in texts] == ["It is right."] * 4, "what it said is taken as it came"
    assert server.in_form == [True, False, False, False] and asked.answered == 4
    assert caplog.text.count("ignores response_format: answers are read as strictly all the same") == 1


@pytest.mark.parametrize(
    ("order", "in_form"),
    [("01", [True, False, True]), ("10", [True, True])],
    ids=["with and without: then it is the question", "one that has held to it refuses the question"],
)
def test_a_question_that_is_refused_says_nothing_of_forms(tmp_path, order, in_form, caplog):
    server = Server(picky="Question 0?")

    async def one_by_one(spec):
        async with LanguageModel("raw", spec, books) as model:
            return [await model.ask(_PLAIN, {"question": f"Question {n}?"}, str, form=VERDICT) for n in order]

    with RawEndpoint(server) as endpoint, Books(tmp_path / "a.sqlite") as books:
        said = asyncio.run(one_by_one(AskedModel(base_url=endpoint.base_url, model="raw", tries=2)))
    assert {one.problem for one in said} == {"rejected by the endpoint (400)", None}
    assert server.in_form == in_form and "note" not in caplog.text


def test_draws_come_in_the_form_too_and_what_is_kept_is_known_with_and_without_it(tmp_path, posts):
    server = Server()
    texts, _ = write(server, tmp_path, posts[:1], draws=3, temperature=1.0)
    assert [(body["n"], "response_format" in body) for body in server.bodies] == [(3, True)]
    again, asked = write(Server(), tmp_path, posts[:1], draws=3, temperature=1.0, form=None)
    assert (again, asked.cached) == (texts, 3), "how an answer is held to its form is no part of the question"


def test_a_cut_answer_says_nothing_of_forms(tmp_path, posts, caplog):
    """It is no JSON since it was cut, not since the endpoint does not look at what it was asked for."""
    caplog.set_level(logging.WARNING)

    def cut(raw):
        body = {"choices": [{"message": {"content": GOOD[:20]}, "finish_reason": "length"}]}
        seen.append("response_format" in json.loads(raw))
        return response(body)

    seen: list[bool] = []
    write(cut, tmp_path, posts, concurrency=1)
    assert seen == [True] * 4 and "note" not in caplog.text
