"""MMHal-Bench: ratings, their classes, and what a judge says."""

import json

import pytest

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered
from trifacet.benchmarks.known import mmhal
from trifacet.llm.parsing import UnparsedError
from trifacet.llm.prompts import load_prompt


def row(number, kind="attribute", **more):
    return {
        "question_type": kind,
        "question_topic": "outdoor",
        "image_id": f"id{number}",
        "image_src": f"https://example.org/8/{number}_a%20b_o.jpg?x=1",
        "image_content": ["Door", "Tree"],
        "question": "Who sits there?",
        "gt_answer": "Nobody.",
        "model_answer": "",
        **more,
    }


def items_of(folder, rows):
    (folder / mmhal.FILE).write_text(json.dumps(rows))
    return mmhal.read(folder)


def test_the_originals_file_does_under_its_own_name(trifacet, tmp_path):
    command = ["benchmarks", "check", "mmhal", "--data", tmp_path, "--json", "-"]
    code, out, _ = trifacet(*command)
    states = {one["path"]: one["state"] for one in json.loads(out)["files"]}
    assert code == 1 and states == {mmhal.FILE: "missing", mmhal.ORIGINAL: "left out"}
    (tmp_path / mmhal.ORIGINAL).write_text(json.dumps([row(1), row(2)]))
    assert [item.id for item in mmhal.read(tmp_path)] == ["id1", "id2"]
    states = {one["path"]: one["state"] for one in json.loads(trifacet(*command)[1])["files"]}
    assert states == {mmhal.FILE: "left out", mmhal.ORIGINAL: "other"}
    assert [item.id for item in items_of(tmp_path, [row(3)])] == ["id3"], "of both the first is read"
    states = {one["path"]: one["state"] for one in json.loads(trifacet(*command)[1])["files"]}
    assert states == {mmhal.FILE: "other", mmhal.ORIGINAL: "unread"}


def test_numbers_and_what_has_no_rating(tmp_path):
    items = items_of(tmp_path, [row(1), row(2, "other"), row(3, "other"), row(4), row(5)])
    ratings, problems = [6, 2, 3, None, None], [None, None, None, "unparsed", "refused"]
    verdicts = [None if rating is None else {"rating": rating} for rating in ratings]
    outcome = mmhal.score([Answered(item, "x", *said) for item, *said in zip(items, verdicts, problems, strict=True)])
    values = {measure.name: measure.value for measure in outcome.measures}
    assert values["score"] == pytest.approx(11 / 3)
    assert values["hallucination_rate"] == pytest.approx(100 / 3)  # 2 is below 3, 3 is not
    assert (values["attribute/score"], values["other/score"]) == (6.0, 2.5)
    assert "counting/score" not in values
    assert (outcome.counts["rated"], outcome.counts["unrated"]) == (3, 2)
    assert (outcome.counts["unrated/unparsed"], outcome.counts["unrated/refused"]) == (1, 1)
    assert all("our words" in measure.unofficial for measure in outcome.measures)


def test_nothing_rated_gives_counts_alone(tmp_path):
    outcome = mmhal.score([Answered(item, "") for item in items_of(tmp_path, [row(1)])])
    assert outcome.measures == [] and outcome.counts["unrated/not judged"] == 1


def test_what_the_judge_is_shown(tmp_path):
    item = items_of(tmp_path, [row(1)])[0]
    assert item.image == "images/1_a b_o.jpg"
    shown = load_prompt(mmhal.BENCHMARK.judge.prompt).render(mmhal.fields(item, 'A man. {reference} "}'))[1]
    for text in ("Door, Tree", "Who sits there?", "Nobody.", "{reference}"):
        assert text in shown


@pytest.mark.parametrize("rating", range(7))
def test_ratings(rating):
    assert mmhal.parse(json.dumps({"reason": "so", "rating": rating})) == {"rating": rating}


@pytest.mark.parametrize(
    "text",
    ["Rating: 6", '{"rating": 6}', '{"reason": "", "rating": 7}', '{"reason": "", "rating": -1}',
     '{"reason": "", "rating": 2.5}', '{"reason": "", "rating": "6"}', '{"reason": "", "rating": true}',
     '{"reason": "", "rating": 1, "rating": 2}', ""],
)  # fmt: skip
def test_what_is_no_rating_is_not_parsed(text):
    with pytest.raises(UnparsedError):
        mmhal.parse(text)


def test_a_verdict_of_another_form_is_an_error(tmp_path):
    item = items_of(tmp_path, [row(1)])[0]
    for verdict in ({"rating": 9}, {"rating": True}, 6):
        with pytest.raises(DataError, match="is no rating"):
            mmhal.score([Answered(item, "x", verdict)])


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (row(2, "colour"), "question_type"),
        (row(2, image_content="Door"), "image_content"),
        (row(2, gt_answer=""), "gt_answer"),
        (row(2, image_src="https://example.org/"), "image_src"),
        (row(2, image_src="https://example.org/.."), "image_src"),
        (row(1), "image_id"),
    ],
)
def test_bad_rows_are_named(tmp_path, bad, field):
    with pytest.raises(DataError) as caught:
        items_of(tmp_path, [row(1), bad])
    assert (caught.value.row, caught.value.field) == (2, field)
