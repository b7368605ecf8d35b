"""POPE: what its program reads off an answer, and what follows from the counts."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from trifacet.base.errors import DataError
from trifacet.benchmarks.benchmark import Answered
from trifacet.benchmarks.checking import check_files
from trifacet.benchmarks.known import pope
from trifacet.benchmarks.results import load_result


def write(folder, name, rows):
    (folder / name).write_text("\r\n".join(json.dumps(row) for row in rows) + "\r\n", encoding="utf-8")


def question(number, label, image="a.jpg"):
    return {"question_id": number, "image": image, "text": "Is there a dog in the image?", "label": label}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("No", "no"),
        ("no, there is none", "no"),
        ("Yes, I do not see why.", "no"),  # any "not" among the words
        ("There is one. No other.", "yes"),  # what follows the first full stop is not read
        ("none visible", "yes"),
        ("NO", "yes"),
        ("no\nindeed", "yes"),  # split at spaces only
        ("", "yes"),
        (".no", "yes"),
        ("1.5 dogs, not 2", "yes"),
        ("n,o", "no"),  # commas are removed before anything else
    ],
)
def test_answers_are_read_as_the_program_reads_them(answer, said):
    assert pope.said(answer) == said


def test_each_part_has_numbers_of_its_own(tmp_path):
    write(tmp_path, "coco_pope_random.json", [question(1, "yes"), question(2, "no"), question(3, "no", "b.jpg")])
    write(tmp_path, "gqa_pope_random.json", [question(1, "no")])
    items = pope.read(tmp_path)
    assert [item.id for item in items] == ["random/1", "random/2", "random/3", "gqa/random/1"]
    outcome = pope.score([Answered(item, text) for item, text in zip(items, ["Yes", "Yes", "No", "No"], strict=True)])
    values = {measure.name: measure.value for measure in outcome.measures}
    assert [outcome.counts[f"random/{name}"] for name in ("tp", "fp", "tn", "fn")] == [1, 1, 1, 0]
    assert values["random/accuracy"] == 2 / 3
    assert (values["random/precision"], values["random/recall"]) == (0.5, 1.0)
    assert values["random/f1"] == 2 / 3
    assert values["random/yes_ratio"] == 2 / 3
    assert values["gqa/random/accuracy"] == 1.0
    assert np.isnan(values["gqa/random/precision"])  # nothing was answered by yes
    assert outcome.notes == [] and "an empty answer" in pope.score([Answered(items[0], " ")]).notes[0]


def test_files_of_other_sources_are_read_under_the_names_of_their_release(tmp_path):
    """POPE's repository calls them gqa_pope_seem_random.json; others dropped the "seem"."""
    write(tmp_path, "coco_pope_random.json", [question(1, "yes")])
    write(tmp_path, "aokvqa_pope_seem_popular.json", [question(7, "no")])
    write(tmp_path, "gqa_pope_seem_random.json", [question(1, "no"), question(2, "yes")])
    write(tmp_path, "gqa_pope_random.json", [question(9, "no")])
    names = [item.id for item in pope.read(tmp_path)]
    assert names == ["random/1", "gqa/random/1", "gqa/random/2", "aokvqa/popular/7"]
    found = {one.need.path: one.state for one in check_files(pope.BENCHMARK, tmp_path)}
    assert found["gqa_pope_seem_random.json"] == "unknown" and found["gqa_pope_random.json"] == "unread"
    sources = {need.path: need.source for need in pope.BENCHMARK.needs}
    assert sources["gqa_pope_seem_random.json"].endswith("output/seem/gqa/gqa_pope_seem_random.json")
    assert sources["coco_pope_random.json"].endswith("output/coco/coco_pope_random.json")


def test_two_releases_of_cocos_questions_are_known():
    """RUCAIBox/POPE 3df3ba1, and the older one with 2,910 random questions, whose hashes others publish."""
    for need, begins in zip(pope.BENCHMARK.needs, ("c16b65d2", "5b166530", "1d8f0906"), strict=False):
        assert len(need.known) == 2 and all(len(digest) == 64 for digest in need.known)
        (release,) = (name for digest, name in need.known.items() if digest.startswith(begins))
        assert "LLaVA" in release


def test_questions_about_an_image_are_drawn_together(tmp_path):
    write(tmp_path, "coco_pope_random.json", [question(1, "yes"), question(2, "no"), question(3, "no", "b.jpg")])
    outcome = pope.score([Answered(item, "No") for item in pope.read(tmp_path)])
    assert outcome.measures[0].units == ("a.jpg", "b.jpg")
    assert outcome.measures[0].of_units().tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (question(2, "maybe"), "label"),
        (question(2, None), "label"),
        (question(1, "no"), "question_id"),  # twice
        (question("x", "no"), "question_id"),
        ({**question(2, "no"), "text": 3}, "text"),
        ({**question(2, "no"), "image": ""}, "image"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, field):
    write(tmp_path, "coco_pope_random.json", [question(1, "yes"), row])
    with pytest.raises(DataError) as caught:
        pope.read(tmp_path)
    assert (caught.value.row, caught.value.field) == (2, field)
    assert caught.value.file.name == "coco_pope_random.json"


def test_no_file_broken_json_and_doubled_answers_are_errors(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        pope.read(tmp_path)
    (tmp_path / "coco_pope_random.json").write_text('{"question_id": 1')
    with pytest.raises(DataError, match="broken JSON at line 1"):
        pope.read(tmp_path)
    write(tmp_path, "coco_pope_random.json", [question(1, "yes")])
    item = pope.read(tmp_path)[0]
    with pytest.raises(DataError, match="answered twice"):
        pope.score([Answered(item, "Yes"), Answered(item, "No")])
    with pytest.raises(DataError, match="is no text"):
        pope.score([Answered(item, None)])


def test_each_part_is_official_or_not_by_its_own_file_and_answers(trifacet, tmp_path, monkeypatch):
    """GQA's files, of which no release is known, beside COCO's change nothing about COCO's numbers."""
    known = {}
    for part in pope.PARTS:
        write(tmp_path, f"coco_pope_{part}.json", [question(1, "yes"), question(2, "no")])
        known[f"coco_pope_{part}.json"] = hashlib.sha256((tmp_path / f"coco_pope_{part}.json").read_bytes()).hexdigest()
    write(tmp_path, "gqa_pope_random.json", [question(1, "no")])
    needs = [
        dataclasses.replace(need, known={known[need.path]: "1"} if need.path in known else {})
        for need in pope.BENCHMARK.needs
    ]
    monkeypatch.setattr(pope, "BENCHMARK", dataclasses.replace(pope.BENCHMARK, needs=needs))
    answers = tmp_path / "answers.jsonl"
    rows = [
        {"id": item.id, "answer": "Yes" if item.id != "random/2" else " "}
        for item in pope.read(tmp_path)
        if item.id != "popular/2"
    ]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "result"
    code, out, err = trifacet(
        "benchmarks", "score", "pope", "--data", tmp_path, "--answers", answers, "--partial", "--json", "-",
        "--output", output, "--per-sample", tmp_path / "items.jsonl",
    )  # fmt: skip
    assert code == 0, err
    told = json.loads(out)
    reasons = {name: metric["reason"] for name, metric in told["metrics"].items() if name.endswith("/accuracy")}
    assert reasons["random/accuracy"] == reasons["adversarial/accuracy"] == ""
    assert reasons["popular/accuracy"] == "1 of 2 items of popular were answered"
    assert reasons["gqa/random/accuracy"].startswith("no release of gqa_pope_random.json is known")
    assert not told["official"] and told["reasons"] == []
    read = load_result(output).outcome
    assert {one.name: one.unofficial for one in read.measures if one.name in reasons} == reasons
    items = {row["id"]: row["metrics"] for row in map(json.loads, (tmp_path / "items.jsonl").open())}
    assert "1 of 6 answers are empty" in told["notes"]
    assert items["random/1"] == {"correct": 1.0} and items["gqa/random/1"] == {"correct": 0.0}
