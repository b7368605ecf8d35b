"""A judge in place of references: the best answer against the worst, both the present model's, round after round."""

import itertools
import json
import re
import shutil
from pathlib import Path

import pytest
from ending import with_ends
from small_evolving import DPO, endpoint_file, field_of, files_of, recipe_of, rows_of, words_of

from trifacet.data.formats import read_samples
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.evolving.evolve import evolve
from trifacet.evolving.trying import estimate

CHANGES = {"sampling": {"normal": 3, "contrastive": 0}, "rounds.generator": DPO, "samples": "test.jsonl"}


def likes_long(messages) -> str:
    """Prefers the longer text; where they are as long, the one that is shown first, which is no preference."""
    a, b = len(field_of(messages, "Text A")), len(field_of(messages, "Text B"))
    return json.dumps({"better": "A" if a >= b else "B"})


def likes_the_first(messages) -> str:
    return '{"better": "A"}'


def biases_of(output: Path, number: int = 1) -> dict:
    return json.loads((output / f"round-{number}" / "round.json").read_text(encoding="utf-8"))["biases"]


@pytest.fixture(scope="module")
def model(tiny_folder, tmp_path_factory):
    return with_ends(tiny_folder, tmp_path_factory.mktemp("ends") / "model")


def records(folder: Path, step: str) -> list[dict]:
    return list(itertools.chain.from_iterable(rows_of(file) for file in sorted((folder / step).glob("*.jsonl"))))


def test_the_model_learns_from_its_own_best_and_worst_answers_again_and_again(tmp_path, unscored_world, model):
    with ScriptedEndpoint(likes_long) as endpoint:
        judge = endpoint_file(tmp_path / "judge.yaml", endpoint.base_url)
        changes = CHANGES | {"judge": judge, "data.validation": "validation.jsonl", "rounds.keep": "best"}
        recipe = recipe_of(tmp_path / "out", unscored_world, model, changes)
        done = evolve(recipe)
        assert endpoint.calls.twice == 0
        before, calls = files_of(tmp_path / "out"), endpoint.calls.received
        evolve(recipe)
        assert (files_of(tmp_path / "out"), endpoint.calls.received) == (before, calls)
    judged = biases_of(tmp_path / "out")["judge"]
    assert (judged["longer"]["value"], judged["unread"]["value"]) == (1.0, 0.0)
    assert biases_of(tmp_path / "out")["auc"]["longer"]["value"] > 0.5
    known = [sample.id for sample in read_samples(unscored_world / "test.jsonl", "test")]
    for number in (1, 2):
        home = tmp_path / "out" / f"round-{number}"
        told = json.loads((home / "round.json").read_text(encoding="utf-8"))
        answers = {
            (row["sample"], row["answer"]): row["text"] for row in records(home, "answers") if row["problem"] is None
        }
        assert [fate["sample"] for fate in records(home, "fates")] == known, "every post, in every round"
        assert sum(told["fates"].values()) == told["rows"] == len(known)
        assert told["made_with"].keys() == {"generator", "judge"}
        for pair in rows_of(home / "preference.jsonl"):
            good, bad = (answers[pair["extra"]["sample"], one] for one in pair["extra"]["answers"])
            assert (pair["response"], pair["rejected_responses"]) == (good, [bad])
            assert len(good) > len(bad)
            mine = [len(text) for (sample, _), text in answers.items() if sample == pair["extra"]["sample"]]
            assert len(good) == max(mine)
        assert (home / "generator" / "models" / "generator" / "model").is_dir(), "each round keeps its model"
        assert told["metrics"]["generator"]["metric"] == "judged"
    first, second = (json.loads((tmp_path / "out" / f"round-{number}" / "round.json").read_text()) for number in (1, 2))
    harm = first["metrics"]["generator"]["harm"]
    assert harm == (first["metrics"]["generator"]["value"] < 0)
    assert (second["made_with"]["generator"] == first["made_with"]["generator"]) == harm
    kept = second["next"]["generator"]
    assert done.model == (
        None if kept == "base" else tmp_path / "out" / kept / "generator" / "models" / "generator" / "model"
    )


def test_a_judge_that_goes_by_the_place_gives_no_pair(tmp_path, unscored_world, model):
    with ScriptedEndpoint(likes_the_first) as endpoint:
        judge = endpoint_file(tmp_path / "judge.yaml", endpoint.base_url)
        recipe = recipe_of(tmp_path / "out", unscored_world, model, CHANGES | {"judge": judge, "rounds.count": 1})
        done = evolve(recipe)
    told = json.loads((tmp_path / "out" / "round-1" / "round.json").read_text(encoding="utf-8"))
    assert (done.pairs, done.model, told["pairs"]) == (None, None, 0)
    assert set(told["fates"]) <= {"none accepted", "refused"}
    assert all(row["outcome"] != "accepted" for row in records(tmp_path / "out" / "round-1", "verdicts"))
    judged = biases_of(tmp_path / "out")["judge"]
    assert [judged[name]["value"] for name in ("first", "consistent", "unread")] == [1.0, 0.0, 0.0]
    compared = len(records(tmp_path / "out" / "round-1", "judgements"))
    assert (judged["first"]["count"], judged["consistent"]["count"]) == (2 * compared, compared)


def test_the_judge_is_asked_what_the_model_was_asked_by_a_prompt_that_can_be_replaced(tmp_path, unscored_world, model):
    asked = []

    def judge(messages):
        asked.append([message["content"] for message in messages[:-1]] + [words_of(messages)])
        return likes_long(messages)

    rows = [json.dumps(row | {"prompt": "Name the colours."}) for row in rows_of(unscored_world / "test.jsonl")[:3]]
    rows += [json.dumps(row | {"context": ""}) for row in rows_of(unscored_world / "test.jsonl")[3:]]
    data = shutil.copytree(unscored_world, tmp_path / "posts")
    (data / "few.jsonl").write_text("\n".join(rows) + "\n")
    own = tmp_path / "prompts"
    own.mkdir()
    (own / "judge-answers.txt").write_text("Mine.\n---\n{context}\nRequest: {instruction}\nText A: {a}\nText B: {b}\n")
    with ScriptedEndpoint(judge) as endpoint:
        changes = CHANGES | {"judge": endpoint_file(tmp_path / "judge.yaml", endpoint.base_url), "rounds.count": 1}
        for number, more in enumerate(({}, {"roles.verifier.prompt": str(own)})):
            changes |= {"samples": "few.jsonl", "sampling": {"normal": 6, "contrastive": 0}, **more}
            evolve(recipe_of(tmp_path / f"{number}", data, model, changes))
    requests = {json.loads(re.search(r"^Request: (.*)$", words[-1], re.MULTILINE)[1]) for words in asked}
    assert requests == {"Name the colours.", "Write alt-text."}
    without = [words[-1] for words in asked if "Write alt-text." in words[-1] and "Post: " in words[-1]]
    assert not without, "a sample without a post is asked about without that line"
    assert {"alt-text" in words[0] for words in asked} == {False}
    assert {words[0] for words in asked if words[0] == "Mine."} == {"Mine."}


def test_what_judging_costs_is_told_before(tmp_path, unscored_world, model):
    with ScriptedEndpoint(likes_long) as endpoint:
        judge = endpoint_file(tmp_path / "judge.yaml", endpoint.base_url, price={"input": 1.0, "output": 1.0})
        recipe = recipe_of(tmp_path / "out", unscored_world, model, CHANGES | {"judge": judge})
        told = estimate(recipe, amount=6)
        assert endpoint.calls.received == 0
    costs = {one.role: one for one in told.round}
    assert costs.keys() == {"generator", "judge"}
    assert costs["judge"].questions == 2 * 3 * 6  # both orders, every two of three answers
    assert costs["judge"].money > 0
