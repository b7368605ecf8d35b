"""Texts of a step: kept as they come, asked for once, the same bytes however often a process was stopped."""

import json

import pytest

from trifacet.data.records import TestSample
from trifacet.data.writing import Written
from trifacet.demo.endpoint_server import ScriptedEndpoint, last_text
from trifacet.evolving.asked import about, ask_kept, question, reference_of, round_seed
from trifacet.evolving.cast import Cast
from trifacet.llm.prompts import make_prompt

PROMPT = make_prompt("told", "Be brief.\n---\nInstruction: {instruction}\nPost: {context}\nWhy: {why}")


class KilledError(Exception):
    """In place of a signal, at the moment at which a text has been kept."""


class Stopping:
    """A writer that is killed when it has told so many texts, each by itself."""

    def __init__(self, writer, after):
        self.writer, self.after, self.told = writer, after, 0

    def write(self, posts, images_root, *, draws=1, done=(), on_written=None):
        def one_by_one(texts):
            for text in texts:
                on_written([text])
                self.told += 1
                if self.told == self.after:
                    raise KilledError

        return self.writer.write(posts, images_root, draws=draws, done=done, on_written=one_by_one)

    def made_with(self, posts):
        return self.writer.made_with(posts)


def test_stopped_at_any_text_and_continued_leaves_the_same_bytes(evolve_recipe, questions, shown, tmp_path):
    with Cast(evolve_recipe()) as cast:
        writer = cast.writer("generator")
        whole = ask_kept(writer, questions, shown, tmp_path / "whole.jsonl", draws=3)
        bytes_of = (tmp_path / "whole.texts").read_bytes()
        assert [(row["id"], row["draw"]) for row in map(json.loads, bytes_of.splitlines())] == list(whole)
        for step in (1, 5):
            file, times = tmp_path / f"{step}.jsonl", 0
            while True:
                try:
                    texts = ask_kept(Stopping(writer, step), questions, shown, file, draws=3)
                    break
                except KilledError:
                    times += 1
                    assert times <= len(whole)
            assert times == len(whole) // step
            assert texts == whole and (tmp_path / f"{step}.texts").read_bytes() == bytes_of


def test_no_question_reaches_an_endpoint_twice(evolve_recipe, endpoint_file, questions, shown, tmp_path):
    with ScriptedEndpoint(lambda messages: last_text(messages)[::-1]) as endpoint:
        role = {"endpoint": endpoint_file(endpoint, concurrency=1), "temperature": 0.5}
        recipe = evolve_recipe(roles={"generator": role})
        cast = Cast(recipe)
        with pytest.raises(KilledError):
            ask_kept(Stopping(cast.writer("generator"), 5), questions, shown, tmp_path / "a.jsonl", draws=2)
        assert 5 <= endpoint.calls.received < 8
        (recipe.folder / "books.sqlite").unlink()  # the texts themselves say what is there
        asked = endpoint.calls.received
        ask_kept(cast.writer("generator"), questions, shown, tmp_path / "a.jsonl", draws=2)
        assert endpoint.calls.received <= 3 + asked
        before = endpoint.calls.received
        ask_kept(cast.writer("generator"), questions, shown, tmp_path / "a.jsonl", draws=2)
        assert endpoint.calls.received == before


def test_a_text_is_kept_for_its_very_question(evolve_recipe, questions, shown, tmp_path):
    writer = Cast(evolve_recipe()).writer("generator")
    file = tmp_path / "a.jsonl"
    first = ask_kept(writer, questions, shown, file, draws=2)
    changed = [questions[0].model_copy(update={"prompt": "Who else flies?"}), *questions[1:]]
    stopping = Stopping(writer, 0)
    texts = ask_kept(stopping, changed, shown, file, draws=2)
    assert stopping.told == 2  # the two draws of the one that changed
    assert texts == ask_kept(writer, changed, shown, tmp_path / "b.jsonl", draws=2)
    assert {key: texts[key] for key in texts if key[0] != "q0"} == {key: first[key] for key in first if key[0] != "q0"}
    assert (tmp_path / "a.texts").read_bytes() == (tmp_path / "b.texts").read_bytes()


def test_what_is_wrong_with_a_text_is_kept(tmp_path):
    said = [Written("a", "half", 3, 4, ended=False), Written("b", "", 0, 0, problem="rejected by the endpoint (400)")]

    class Says:
        def write(self, posts, images_root, *, draws=1, done=(), on_written=None):
            on_written(said)

    asked = [TestSample(id=name, prompt="Who?") for name in "ba"]
    for _ in range(2):
        texts = ask_kept(Says(), asked, tmp_path, tmp_path / "a.jsonl")
        assert list(texts.values()) == said[::-1]
        Says.write = None  # never asked again


def test_a_torn_line_is_asked_for_again(evolve_recipe, questions, shown, tmp_path):
    writer = Cast(evolve_recipe()).writer("generator")
    whole = ask_kept(writer, questions, shown, tmp_path / "a.jsonl")
    content = (tmp_path / "a.texts").read_bytes()
    for damaged in (content[:-20], content.replace(b'"q2"', b'"q7"'), b"", content + b'{"id": "q1"}\n'):
        (tmp_path / "a.texts").write_bytes(damaged)
        assert ask_kept(writer, questions, shown, tmp_path / "a.jsonl") == whole
        assert (tmp_path / "a.texts").read_bytes() == content


def test_lines_that_ask_for_what_is_not_there_are_left_out(questions):
    asked = question(questions[0], "why", PROMPT, {**about(questions[0], "Answer."), "why": 'as "they" say'})
    assert (asked.id, asked.image, asked.system) == ("q0#why", "0.png", "Be brief.")
    assert asked.prompt == 'Instruction: "Who flies a kite?"\nWhy: "as \\"they\\" say"'
    with_post = question(questions[1], "why", PROMPT, {**about(questions[1], "Answer."), "why": None})
    assert with_post.prompt == 'Instruction: "Where is it?"\nPost: "Two dogs near the harbour"'
    assert PROMPT.without(["why"]).version == PROMPT.version
    with pytest.raises(ValueError, match="takes"):
        question(questions[0], "why", PROMPT, {"instruction": "x"})


def test_what_is_said_of_a_sample():
    sample = TestSample(id="a", references=("two", "2 ", "two"), context="word " * 1000)
    assert reference_of(sample) == "two\n2" and reference_of(TestSample(id="b")) is None
    told = about(sample, "Answer.")
    assert told["instruction"] == "Answer." and len(told["context"]) <= 2000 and told["context"].endswith("word…")


def test_rounds_draw_by_seeds_of_their_own():
    seeds = {round_seed(seed, number) for seed in range(20) for number in range(1, 6)}
    assert len(seeds) == 100 and round_seed(3, 2) == round_seed(3, 2)
