"""What cells share is done once: counted, and each job's recipe stands whatever is added later."""

import json
import subprocess

import pytest
from small_studies import study_values, write_study

from trifacet.studies.cells import cells_of
from trifacet.studies.document import plan_document
from trifacet.studies.planning import plan_of
from trifacet.studies.settings import known_studies, load_study
from trifacet.studies.slurm import slurm_script

WORLD = {
    "base.data": {"world": {"sft": 4, "preference": 4, "validation": 2, "test": 2}},
    "base.model": {"tiny": {"hidden_size": 32, "layers": 1, "heads": 2}},
}


@pytest.fixture
def planned(tmp_path):
    def plan(changes=None, seeds=(1, 2)):
        values = study_values("out", "data", "model", changes)
        return plan_of(load_study(str(write_study(tmp_path, values))), seeds)

    return plan


def test_world_base_and_supervised_training_are_done_once_for_each_seed(planned):
    plan = planned(WORLD)
    assert plan.alone() == {
        "world": 6, "base": 6, "sft": 6, "reference": 4, "alignment": 4, "texts": 10, "scores": 10,
    }  # fmt: skip
    assert plan.shared() == {
        "world": 2, "base": 2, "sft": 2, "reference": 2, "alignment": 4, "texts": 8, "scores": 8,
    }  # fmt: skip
    assert [len(level) for level in plan.levels()] == [2, 2, 2, 2]  # the second cell takes the first one's reference
    assert {outcome.model for (cell, _), outcome in plan.outcomes.items() if cell == "sft"} == {"sft"}


@pytest.mark.parametrize(
    ("change", "once"),
    [
        ({"align.mcm.learning_rate": 0.01}, {"sft", "reference"}),
        ({"align.mcm.beta": 0.2}, {"sft", "reference"}),
        ({"align.mcm.objective": "mcm-dpo-joint"}, {"sft", "reference"}),  # the same corners
        ({"align.mcm.objective": "dpo"}, {"sft"}),
        ({"align.mcm.limit": 3}, {"sft"}),
        ({"align.mcm.batch_size": 1}, {"sft"}),
        ({"rejected.image.strategy": "blackness"}, {"sft"}),
        ({"model.paradigm": 3}, {"sft", "reference"}),  # trains the encoder in stage 1, as 4 does
        ({"model.paradigm": 2}, set()),
        ({"sft.learning_rate": 0.1}, set()),
        ({"data.prompt": "Say what you see."}, set()),
        ({"generate.max_new_tokens": 3}, {"sft", "reference", "alignment"}),
        ({"align.mcm.start": "base"}, set()),
    ],
)
def test_what_two_cells_share(planned, change, once):
    plan = planned({"cells": {"plain": {}, "other": {"set": change}}, "claims": []}, seeds=(1,))
    alone, shared = plan.alone(), plan.shared()
    assert {kind for kind in ("sft", "reference", "alignment") if alone.get(kind) == 2 and shared[kind] == 1} == once


def test_seeds_and_cells_that_are_added_change_no_job_that_was_there(planned):
    before = planned(WORLD)
    more = {"cells.paradigm": {"set": {"model.paradigm": 1}}, "cells.wide": {"set": {"generate.beams": 2}}}
    after = planned({**WORLD, **more}, seeds=(1, 2, 3))
    assert len(after.jobs) > len(before.jobs)
    assert {name: after.jobs[name] for name in before.jobs} == before.jobs


def test_jobs_come_after_what_they_need_and_none_has_two_folders(planned):
    plan = planned({**WORLD, "cells.wide": {"set": {"generate.beams": 2}}})
    done = set()
    for name, job in plan.jobs.items():
        assert {*job.needs, *job.waits} <= done
        assert job.folder.parent.parent == plan.store
        done.add(name)
    assert {outcome.job for outcome in plan.outcomes.values()} <= done


@pytest.mark.parametrize("name", known_studies())
def test_every_study_of_the_package_loads_and_plans_at_every_budget(name):
    text = known_studies()[name].read_text(encoding="utf-8")
    assert text.startswith(f"# trifacet study {name}\n")
    if not name.startswith("ipa-"):
        assert {"small", "paper"} <= set(load_study(name).study.budgets)
    for budget in load_study(name).study.budgets:
        loaded = load_study(name, budget)
        plan = plan_of(loaded, loaded.seeds[:2])  # the others are alike
        assert len(plan.outcomes) == len(cells_of(loaded)) * len(plan.seeds)
        assert sum(plan.shared().values()) < sum(plan.alone().values())
        assert loaded.study.claims and loaded.study.paper and loaded.study.title
        document = plan_document(loaded, plan)
        assert (document["gpu_hours"] is None) == (not loaded.hours)


def test_hours_at_the_papers_size_are_those_that_are_stated():
    loaded = load_study("main", "paper")
    hours = plan_document(loaded, plan_of(loaded, (17,)))["gpu_hours"]
    assert hours["shared"] == 18.4 + 20.0  # DPO and MCM-DPO; of mDPO, joint and anchored nothing is stated
    assert {"sft", "alignment/mdpo", "alignment/mcm-dpo-joint", "texts"} <= set(hours["not_stated"])
    assert not {"alignment/dpo", "alignment/mcm-dpo"} & set(hours["not_stated"])


def test_the_script_for_slurm_hands_over_each_job_once_after_what_it_needs(planned, tmp_path):
    plan = planned(WORLD)
    loaded = load_study(str(tmp_path / "study.yaml"))
    script = tmp_path / "jobs.sh"
    script.write_text(slurm_script(loaded, plan), encoding="utf-8")
    tools, told = tmp_path / "tools", tmp_path / "told.jsonl"
    tools.mkdir()
    # stands in for SLURM: notes what it is asked, and does each element of the array with sh, as SLURM does
    (tools / "sbatch").write_text(f"""#!/usr/bin/env python3
import json, os, re, subprocess, sys
words = sys.argv[1:]
body = words[words.index("--wrap") + 1]
most = next((int(re.search(r"0-(\\d+)$", one)[1]) for one in words if one.startswith("--array")), None)
after = [one for one in words if one.startswith("--dependency")]
for index in range(0 if most is None else most + 1) if most is not None else [None]:
    environment = {{**os.environ, **({{}} if index is None else {{"SLURM_ARRAY_TASK_ID": str(index)}})}}
    said = subprocess.run(["sh", "-c", body], env=environment, capture_output=True, text=True, check=True).stdout
    open({str(told)!r}, "a").write(json.dumps([after, said.split(chr(10))[:-1]]) + "\\n")
print("17;cluster")
""")
    (tools / "trifacet").write_text('#!/bin/sh\nfor one in "$@"; do echo "$one"; done\n')
    for tool in tools.iterdir():
        tool.chmod(0o755)
    environment = {"PATH": f"{tools}:/usr/bin:/bin"}
    subprocess.run(["bash", str(script), "--partition=gpu"], env=environment, check=True, capture_output=True)
    rows = [json.loads(line) for line in told.read_text().splitlines()]
    assert [words[-1] for _, words in rows[:-1]] == [name for step in plan.levels() for name in step]
    assert all(words[:2] == ["study", str(loaded.file)] for _, words in rows)
    assert rows[-1][1][-1] == "--report"
    firsts = len(plan.levels()[0])
    assert all(not after for after, _ in rows[:firsts])
    assert all(after == ["--dependency=afterany:17"] for after, _ in rows[firsts:])
