"""MM-Vet: scores by capability, what a judge says, and its file."""

import json

import pytest
from toy_benchmark import judge_file

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered
from trifacet.benchmarks.known import mm_vet
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.llm.parsing import UnparsedError
from trifacet.llm.prompts import load_prompt


def row(number, capability=("ocr", "math"), **more):
    return {
        "imagename": f"v1_{number}.png",
        "question": f"What is x in equation {number}?",
        "answer": "-1<AND>-5",
        "imagesource": "https://example.org/",
        "capability": list(capability),
        **more,
    }


def items_of(folder, rows):
    (folder / mm_vet.FILE).write_text(json.dumps({f"v1_{number}": one for number, one in enumerate(rows)}))
    return mm_vet.read(folder)


ROWS = [row(0), row(1, ["math", "ocr"]), row(2, ["rec"]), row(3, ["rec", "know", "gen"]), row(4)]


def outcome_of(folder, scores):
    verdicts = [None if one is None else {"score": one} for one in scores]
    items = items_of(folder, ROWS)
    return mm_vet.score([Answered(item, "x", said) for item, said in zip(items, verdicts, strict=True)])


def test_numbers(tmp_path):
    outcome = outcome_of(tmp_path, [0.5, 1.0, 0, 0.2, None])
    values = {measure.name: measure.value for measure in outcome.measures}
    assert values["total"] == pytest.approx(100 * 1.7 / 4)
    assert values["ocr"] == values["math"] == values["together/ocr+math"] == pytest.approx(75)
    assert values["rec"] == pytest.approx(10) and values["know"] == values["gen"] == pytest.approx(20)
    assert values["together/rec"] == 0 and values["together/rec+know+gen"] == pytest.approx(20)
    assert "spat" not in values
    assert outcome.counts == {"scored": 4, "unscored": 1, "unscored/not judged": 1}
    assert all("our words" in measure.unofficial for measure in outcome.measures)


def test_nothing_scored_gives_counts_alone(tmp_path):
    outcome = outcome_of(tmp_path, [None] * 5)
    assert outcome.measures == [] and outcome.counts["unscored"] == 5


def test_what_the_judge_is_shown(tmp_path):
    item = items_of(tmp_path, ROWS)[0]
    assert item.image == "images/v1_0.png"
    shown = load_prompt(mm_vet.BENCHMARK.judge.prompt).render(mm_vet.fields(item, '1.0 "} {reference}'))[1]
    for text in ("equation 0", "-1 AND -5", "{reference}"):
        assert text in shown


@pytest.mark.parametrize("score", [0, 0.3, 1, 1.0])
def test_scores(score):
    assert mm_vet.parse(json.dumps({"score": score})) == {"score": score}


@pytest.mark.parametrize(
    "text", ["0.5", '{"score": 1.1}', '{"score": -0.1}', '{"score": "1"}', '{"score": true}', '{"score": NaN}', ""]
)
def test_what_is_no_score_is_not_parsed(text):
    with pytest.raises(UnparsedError):
        mm_vet.parse(text)


def test_a_verdict_of_another_form_is_an_error(tmp_path):
    item = items_of(tmp_path, ROWS)[0]
    for verdict in ({"score": 2}, {"score": True}, 1):
        with pytest.raises(DataError, match="is no score"):
            mm_vet.score([Answered(item, "x", verdict)])


@pytest.mark.parametrize(
    ("field", "value"),
    [("capability", []), ("capability", ["ocr", "see"]), ("capability", "ocr"), ("imagename", None), ("question", " "),
     ("answer", 5)],
)  # fmt: skip
def test_bad_rows_are_named(tmp_path, field, value):
    with pytest.raises(DataError) as caught:
        items_of(tmp_path, [row(0), row(1, **{field: value})])
    assert (caught.value.file.name, caught.value.row, caught.value.field) == (mm_vet.FILE, 2, field)


@pytest.mark.parametrize("content", ["[]", "{}", '{"v1_0": 3}'])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / mm_vet.FILE).write_text(content)
    with pytest.raises(DataError):
        mm_vet.read(tmp_path)


def test_llavas_answers_are_judged(trifacet, tmp_path):
    """They call question v1_3 3."""
    items_of(tmp_path, ROWS)
    answers = tmp_path / "llava-v1.5-7b.jsonl"
    lines = [{"question_id": number, "prompt": one["question"], "text": f"it is {number}"} for number, one in
             enumerate(ROWS)]  # fmt: skip
    answers.write_text("".join(json.dumps(line) + "\n" for line in reversed(lines)))

    def judge(messages):
        text = messages[-1]["content"]
        return "no idea" if '"it is 4"' in text else json.dumps({"score": 0.4})

    with ScriptedEndpoint(judge, model="gpt-4-0613") as endpoint:
        path = judge_file(tmp_path, endpoint, reparse=1)
        command = ["benchmarks", "score", "mm-vet", "--data", tmp_path, "--answers", answers, "--judge", path]
        code, out, said = trifacet(*command, "--json", "-")
    assert code == 0, said
    told = json.loads(out)
    assert told["metrics"]["total"]["value"] == pytest.approx(40) and told["judge"]["unparsed"] == 1
    assert not told["official"] and "1 of 5 answers have no verdict" in told["metrics"]["rec"]["reason"]
