"""LLaVA-Bench: the ratio of mean grades, and what is read."""

import json

import pytest

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered, NoOptions
from trifacet.benchmarks.known.llava_bench import BENCHMARK, parse_grades
from trifacet.llm.parsing import UnparsedError
from trifacet.llm.prompts import load_prompt


def released(folder, categories=("conv", "detail", "conv"), described=True):
    def write(name, rows):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    questions = [
        {"question_id": k, "image": f"{k}.jpg", "text": f"q{k}", "category": c} for k, c in enumerate(categories)
    ]
    write("questions.jsonl", questions)
    write(
        "context.jsonl",
        [{"image": f"{k}.jpg", "caption": [f"a picture {k}", "more"]} for k in range(3 if described else 1)],
    )
    write("answers_gpt4.jsonl", [{"question_id": k, "text": f"gpt {k}"} for k in range(3)])
    return BENCHMARK.read(folder)


def test_a_file_without_questions_is_no_benchmark(tmp_path):
    with pytest.raises(DataError, match="has no row"):
        released(tmp_path, categories=())


def test_the_score_is_a_ratio_of_means_and_what_was_not_read_is_no_score(tmp_path):
    items = released(tmp_path)
    verdicts = [[10.0, 5.0], [8.0, 8.0], None]
    answered = [
        Answered(item, "x", verdict, None if verdict else "unparsed")
        for item, verdict in zip(items, verdicts, strict=True)
    ]
    outcome = BENCHMARK.score(answered, NoOptions())
    values = {measure.name: measure.value for measure in outcome.measures}
    assert values == {"relative/all": pytest.approx(1300 / 18), "relative/conv": 50.0, "relative/detail": 100.0}
    assert outcome.counts == {"graded": 2, "no grade/unparsed": 1}
    assert all(measure.unofficial for measure in outcome.measures)


def test_the_judge_sees_the_reference_first_and_the_prompt_has_these_places(tmp_path):
    shown = BENCHMARK.judge.fields(released(tmp_path)[0], "mine")
    assert shown == {"description": "a picture 0\nmore", "question": "q0", "first": "gpt 0", "second": "mine"}
    assert load_prompt(BENCHMARK.judge.prompt).placeholders == set(shown)


def test_grades_are_read_strictly():
    assert parse_grades('{"first": 7, "second": 5.5}') == [7.0, 5.5]
    for text in (
        '{"first": 11, "second": 5}',
        "7 5",
        '{"first": true, "second": 5}',
        '{"first": 7}',
        '{"first": %s, "second": 5}' % ("9" * 400),
    ):
        with pytest.raises(UnparsedError):
            parse_grades(text)


def test_files_of_other_releases_are_named(tmp_path):
    with pytest.raises(DataError, match=r"questions.jsonl, row 2, field 'image'"):
        released(tmp_path, described=False)
    with pytest.raises(DataError, match="is no category"):
        released(tmp_path, categories=("conv", "chat", "conv"))


def test_a_question_that_stands_twice_is_named(tmp_path):
    released(tmp_path)
    (tmp_path / "questions.jsonl").open("a").write((tmp_path / "questions.jsonl").read_text().splitlines()[0])
    with pytest.raises(DataError, match=r"questions.jsonl, row 4, field 'question_id': a second row with the id '0'"):
        BENCHMARK.read(tmp_path)
