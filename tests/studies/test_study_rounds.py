"""Studies of rounds of ``trifacet evolve``: they begin with one start, and are what their recipe alone makes of it."""

import json
import shutil

import pytest
from ending import with_ends
from small_evolving import DPO, by_lot, endpoint_file, values_of
from small_studies import STEP, write_study

from trifacet.base.errors import TrifacetError
from trifacet.demo.endpoint_server import ScriptedEndpoint
from trifacet.evolving.evolve import evolve
from trifacet.studies.cells import cells_of
from trifacet.studies.document import plan_document
from trifacet.studies.settings import load_study
from trifacet.studies.study import planned, run_study


def rounds_study(output, data, model, verifier, changes=None) -> dict:
    values = values_of("unused", data, "unused", {
        "samples": "samples.jsonl", "roles.verifier.endpoint": verifier, "data.test": "test.jsonl", "align": DPO,
        "rounds.generator": DPO, "rounds.hard_only": False,
    })  # fmt: skip
    for key in ("name", "output", "seed"):
        del values[key]
    values["start"] = {
        "model": {"path": str(model), "device": "cpu"}, "sft": dict(STEP),
        "generate": {"beams": 1, "max_new_tokens": 2},
        "data": {"root": str(data), "sft": "sft.jsonl", "test": "test.jsonl", "prompt": "Write alt-text."},
    }  # fmt: skip
    return {
        "name": "rounds", "output": str(output), "base": values, "seeds": [1],
        "measures": ["length", "evolved/pairs", "evolved/pairs/round-2", "evolved/right"],
        "claims": ["two > start in length"],
        "cells": {
            "two": {},
            "start": {"stage": "base"},
            "first": {"stage": "round-1"},
            "lone": {"set": {"sampling": {"normal": 1, "contrastive": 0}, "revision.answers": 0, "rounds.count": 1}},
            "taught": {"stage": "student", "set": {"others": {"student": {"sft": {"learning_rate": 0.01}}}}},
        },
        **(changes or {}),
    }  # fmt: skip


@pytest.fixture(scope="module")
def posts(unscored_world, world, tmp_path_factory):
    folder = shutil.copytree(unscored_world, tmp_path_factory.mktemp("posts") / "world")
    shutil.copy(world / "test.jsonl", folder / "samples.jsonl")
    return folder


def test_cells_of_rounds_share_their_start_and_are_their_recipe_alone(tmp_path, posts, tiny_folder):
    model = with_ends(tiny_folder, tmp_path / "model")
    with ScriptedEndpoint(by_lot) as endpoint:
        verifier = endpoint_file(tmp_path / "verifier.yaml", endpoint.base_url)
        loaded = load_study(str(write_study(tmp_path, rounds_study(tmp_path / "out", posts, model, verifier))))
        plan = planned(loaded)
        works = plan_document(loaded, plan)["works"]
        assert (works["evolution"]["alone"], works["evolution"]["shared"]) == (5, 2)
        assert (works["sft"]["alone"], works["sft"]["shared"]) == (6, 2)  # a student has a start of its own
        assert len(plan.jobs) == 5
        done = run_study(loaded)
        assert done.failed == {}
        (problem,) = done.document["problems"]  # of one answer no pair can be made
        assert problem == "lone, seed 1: without a pair no aligned was trained: base is measured in its place"
        rounds = plan.jobs[plan.outcomes["two", 1].job]
        alone = rounds.recipe.model_copy(update={"output": str(tmp_path / "alone")})
        evolve(alone)
    assert (alone.folder / "preference.jsonl").read_bytes() == (rounds.folder / "preference.jsonl").read_bytes()
    told = {one["cell"]: one["measures"] for one in done.document["cells"]}
    scores = json.loads((rounds.folder / "held-out/test/scores.json").read_text())["models"]
    for cell, name in (("two", "aligned"), ("start", "base"), ("first", "round-1")):
        assert told[cell]["length"]["value"] == scores[name]["metrics"]["length"]
    rows = (rounds.folder / "preference.jsonl").read_text().splitlines()
    second = (rounds.folder / "round-2" / "preference.jsonl").read_text().splitlines()
    assert told["two"]["evolved/pairs"]["value"] == len(rows) > len(second) > 0
    assert told["two"]["evolved/pairs/round-2"]["value"] == len(second)
    assert told["lone"]["evolved/pairs"]["value"] == 0 and told["lone"]["length"] == told["start"]["length"]
    assert told["two"]["evolved/right"]["seeds"] == 0  # posts carry no task with its truth
    student = plan.jobs[plan.outcomes["taught", 1].job]
    assert student.recipe.data.preference == str((rounds.folder / "preference.jsonl").resolve())
    assert student.recipe.model.path != rounds.recipe.model.path
    assert told["taught"]["length"]["value"] is not None
    assert done.document["plan"]["seconds"]["shared"] < done.document["plan"]["seconds"]["alone"]
    assert run_study(loaded).document == done.document  # with the endpoint gone: nothing is asked again


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cells": {"two": {"set": {"rounds.cuont": 3}}}}, "cell 'two': unknown key 'rounds.cuont'"),
        ({"cells": {"two": {"stage": "round-3"}}}, "no model 'round-3'; there are base, round-1, round-2, aligned"),
        ({"cells": {"two": {"set": {"start.sft": None}}}}, "start makes nothing; give it a world"),
        ({"cells": {"two": {"set": {"data.test": None}}}}, "nothing to measure on"),
        ({"cells": {"two": {"set": {"start.sft.epochs": -1}}}}, "cell 'two': start: sft.epochs"),
        ({"cells": {"two": {"stage": "student"}}}, "no model 'student'"),
        ({"measures": ["evolved/pears"]}, "no 'evolved/pears'; there are evolved/right, evolved/pairs"),
    ],
)
def test_what_is_wrong_with_rounds_is_one_line_with_the_file(tmp_path, changes, said):
    values = rounds_study("out", "data", "model", "verifier.yaml", {"claims": [], **changes})
    with pytest.raises(TrifacetError, match=said) as caught:
        cells_of(load_study(str(write_study(tmp_path, values))))
    assert "study.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_rounds_may_begin_with_a_model_and_data_that_are_there(tmp_path):
    values = rounds_study("out", "data", "model", "verifier.yaml", {"claims": [], "cells": {"two": {}}})
    del values["base"]["start"]
    plan = planned(load_study(str(write_study(tmp_path, values))))
    (job,) = plan.jobs.values()
    assert job.recipe.model.path == "unused" and plan.alone() == {"evolution": 1}


def test_a_role_may_be_played_by_a_model_from_a_start_of_its_own(tmp_path):
    weak = {"others": {"weak": {"sft": {"max_steps": 2}}}, "roles.verifier": {"model": "weak"}}
    values = rounds_study("out", "data", "model", "verifier.yaml", {"cells": {"own": {}, "weak": {"set": weak}}})
    values["claims"] = []
    del values["base"]["roles"]["verifier"]["endpoint"]
    plan = planned(load_study(str(write_study(tmp_path, values))))
    assert plan.shared() == {"sft": 2, "evolution": 2}
    own, other = (plan.jobs[plan.outcomes[cell, 1].job] for cell in ("own", "weak"))
    assert own.recipe.roles.verifier.model is None and len(other.needs) == 2
    played = other.recipe.roles.verifier.model
    assert [name for name in other.needs if played.startswith(f"{plan.jobs[name].folder}/")] == [other.needs[1]]
    assert plan.jobs[other.needs[1]].recipe.sft.max_steps == 2
