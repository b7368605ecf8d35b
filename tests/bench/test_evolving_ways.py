"""The evolving experiment: ways that differ in what they say they differ in, verifiers that do not look, a judge that
knows the truth, and measures of hand-made rounds.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from evolving import scripted
from evolving.experiment import EXPERIMENT, GOLD, ITERATIVE, REFERENCE, WAYS, way_recipe
from variants import Folders

from trifacet.data.records import TestSample
from trifacet.data.settings import World
from trifacet.demo.make import write_world
from trifacet.evolving.truth import ALL, Judged, Share, accuracy, pairs_told, revisions, texts_right, verifier
from trifacet.llm.pictures import data_url, look_at

FOLDERS = Folders(Path("runs/evolving"))
COUNT = {"task": "count", "truth": {"count": 2}}


def made(number, right, outcome, *, task="count", origin="normal", parent=None):
    return Judged("a", number, task, origin, right, outcome, parent)


def question(text, url="data:image/jpeg;base64,AAAA"):
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    return [{"role": "user", "content": parts}]


def test_ways_differ_in_what_their_names_say_and_in_nothing_else():
    recipes = {way: way_recipe(FOLDERS, way, 18, 2e-4) for way in WAYS if way != ITERATIVE}
    plain = recipes["ipa"]
    same = {"name": plain.name, "output": plain.output}
    changed = {
        "no-contrastive": {"sampling": plain.sampling},
        REFERENCE: {"sampling": plain.sampling, "roles": plain.roles},
        "verifier-lots": {"roles": plain.roles, "rounds": plain.rounds},
        "verifier-yes": {"roles": plain.roles, "rounds": plain.rounds},
    }
    assert set(recipes) == {"ipa", *changed}
    for way, fields in changed.items():
        assert recipes[way] != plain
        assert recipes[way].model_copy(update={**fields, **same}) == plain
    for way in ("verifier-lots", "verifier-yes"):
        assert recipes[way].rounds == plain.rounds.model_copy(update={"hard_only": False})
    of_way = recipes["no-contrastive"].sampling
    assert of_way.normal + of_way.contrastive == plain.sampling.normal + plain.sampling.contrastive
    assert recipes[REFERENCE].sampling.reference
    assert (
        plain.align.learning_rate == plain.rounds.generator.learning_rate == plain.rounds.reviser.learning_rate == 2e-4
    )
    assert plain.gate.otherwise == "go on"


def test_gold_and_the_ways_train_alike_from_one_start():
    gold, way = EXPERIMENT.variant_recipe(FOLDERS, GOLD, 18), way_recipe(FOLDERS, "ipa", 18, None)
    assert gold.align["aligned"] == way.align
    assert gold.model == way.model
    assert gold.generate == way.generate
    assert (gold.data.validation, gold.data.test) == (way.data.validation, way.data.test)


def test_a_verifier_that_does_not_look_says_yes_by_its_share_and_the_same_again():
    for name, share in scripted.YES.items():
        answer = scripted.careless(name)
        said = [answer(question(f"Is it right? {number}")) for number in range(400)]
        assert said.count("yes") / 400 == pytest.approx(share, abs=0.07)
        assert said == [answer(question(f"Is it right? {number}")) for number in range(400)]


def test_the_judge_prefers_what_is_true_of_the_picture_that_it_is_shown(tmp_path):
    write_world(tmp_path, World(sft=1, preference=1, validation=40, test=1), seed=1, image_size=64)
    rows = [json.loads(line) for line in (tmp_path / "validation.jsonl").read_text(encoding="utf-8").splitlines()]
    samples = {row["id"]: TestSample(**{**row, "references": tuple(row["references"])}) for row in rows}
    answer, right = scripted.judge(samples, tmp_path), 0
    for one, other in zip(samples.values(), [*list(samples.values())[1:], next(iter(samples.values()))], strict=True):
        url = data_url(look_at(tmp_path / one.image, scripted.SIDE))
        texts = json.dumps(one.references[0]), json.dumps(other.references[0])
        for a, b, best in ((*texts, "A"), (*reversed(texts), "B")):
            right += json.loads(answer(question(f'Post: "x"\nText A: {a}\nText B: {b}', url)))["better"] == best
    assert right / 80 > 1 - scripted.ERRS - 0.1


def test_measures_of_a_hand_made_round():
    answers = [
        made(0, True, "accepted"),
        made(1, True, "refused"),
        made(2, False, "accepted", task="read"),
        made(3, False, "refused"),
        made(4, True, "malformed", origin="blur"),
        made(5, False, ""),
        made(6, True, "accepted", origin="revised", parent=3),
        made(7, False, "refused", origin="revised", parent=2),
        made(8, False, "refused", origin="revised", parent=0),
    ]
    told = verifier(answers, lambda one: one.task)
    assert told["precision"] == {ALL: Share(2, 3), "count": Share(2, 2), "read": Share(0, 1)}
    assert told["recall"][ALL] == Share(2, 3)
    assert told["false_accepts"] == {ALL: Share(1, 4), "count": Share(0, 3), "read": Share(1, 1)}
    assert told["malformed"][ALL] == Share(1, 8)
    assert accuracy(answers, lambda one: one.origin)["blur"] == Share(1, 1)
    assert revisions(answers) == {"mended": Share(1, 2), "spoilt": Share(1, 1)}
    assert revisions([replace(one, right=True) for one in answers])["mended"].whole == 0


def test_pairs_and_texts_are_held_against_the_truth(tmp_path):
    rows = [
        {"extra": COUNT, "response": chosen, "rejected_responses": [rejected]}
        for chosen, rejected in (("Two.", "One."), ("One.", "Two."), ("Two.", "2 words."), ("One.", "Three."))
    ]
    assert pairs_told(rows) == {"true": Share(1, 4), "false": Share(1, 4)}
    file = tmp_path / "texts.jsonl"
    file.write_text('{"id": "a", "text": "Two things."}\n{"id": "b", "text": "Three."}\n', encoding="utf-8")
    samples = {name: TestSample(id=name, image="a.png", extra=COUNT) for name in "ab"}
    assert texts_right(file, samples) == {"a": 100.0, "b": 0.0}
