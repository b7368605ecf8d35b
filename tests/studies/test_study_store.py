"""What one study did no other does again, and two at once do each other no harm."""

import json
import shutil
import threading

import pytest
from small_runs import Command
from small_studies import study_values, write_study

from trifacet.base.errors import TrifacetError
from trifacet.studies.document import plan_document
from trifacet.studies.folder import held, is_done, is_finished, take_lent
from trifacet.studies.running import do_job
from trifacet.studies.settings import load_study
from trifacet.studies.study import begin_study, planned, run_study


@pytest.fixture
def other(small, tmp_path):
    """Another study of the same base, in the store of the one that was run."""
    there, _, _ = small

    def made(changes=None):
        base = {"store": str(there.store), "name": "other", "seeds": [1], "claims": []}
        cells = {"cells": {"plain": {}, "slower": {"set": {"align.mcm.learning_rate": 0.005}}}}
        values = study_values(tmp_path / "other", "", "", {**base, **cells, **(changes or {})})
        values["base"] = there.study.base
        return load_study(str(write_study(tmp_path, values)))

    return made


def models(store):
    return {path: path.stat().st_mtime_ns for path in store.rglob("*.safetensors")}


def test_a_second_study_does_what_no_other_did_and_the_plan_counts_what_is_there(other):
    loaded = other()
    plan = planned(loaded)
    works = plan_document(loaded, plan)["works"]
    assert {kind: works[kind]["there"] for kind in ("sft", "reference", "alignment")} == {
        "sft": 1, "reference": 1, "alignment": 1,
    }  # fmt: skip
    assert works["alignment"]["shared"] == 2
    before = models(loaded.store)
    assert run_study(loaded).failed == {}
    after = models(loaded.store)
    slower = plan.jobs["cells/slower/seed-1"]
    assert before.items() <= after.items()
    new = {path.relative_to(slower.folder).parts[0] for path in after.keys() - before.keys()}
    assert new == {"models", "reference"}  # the latter as a copy


def test_scores_of_a_reference_are_taken_from_another_study(other):
    """Of a cell that is the first of its own study to need them."""
    loaded = other({"cells": {"alone": {"set": {"align.mcm.learning_rate": 0.003}}}, "name": "third"})
    plan = planned(loaded)
    job = plan.jobs["cells/alone/seed-1"]
    assert "reference" in {work.kind for work, _ in job.works} and not job.waits
    assert set(take_lent(plan, job)) == {"reference", "generations/base.jsonl"}


def test_a_job_that_another_process_does_is_waited_for(small, capfd):
    loaded, _, _ = small
    plan = planned(loaded)
    job = plan.jobs["cells/plain/seed-1"]
    waiting = threading.Thread(target=do_job, args=(plan, job.name))
    with held(job):
        waiting.start()
        waiting.join(timeout=1.5)
        assert waiting.is_alive()
    waiting.join(timeout=30)
    assert not waiting.is_alive() and is_done(job)
    assert "another process does it in" in capfd.readouterr().err


def test_two_studies_at_once_do_each_run_once(tmp_path, unscored_world, tiny_folder):
    changes = {
        "seeds": [1],
        "cells": {"sft": {"stage": "sft"}, "plain": {}},
        "claims": [],
        "store": str(tmp_path / "s"),
    }
    commands, plans = [], []
    for name in ("one", "two"):
        values = study_values(tmp_path / name / "out", unscored_world, tiny_folder, {**changes, "name": name})
        file = write_study(tmp_path / name, values)
        plans.append(planned(load_study(str(file))))
        commands.append(Command(tmp_path / name, "study", file))
    assert [command.wait() for command in commands] == [0, 0], [command.stderr for command in commands]
    assert [job.folder for job in plans[0].jobs.values()] == [job.folder for job in plans[1].jobs.values()]
    for job in plans[0].jobs.values():
        assert is_done(job)
        said = [f"{job.name}: finished in" in one.stderr or "finished before" in one.stderr for one in commands]
        assert any(said)
    trained = [one.stderr.count("sft: 1 steps") for one in commands]
    assert sum(trained) == 1, trained


def test_data_that_changed_are_other_runs_and_refused_in_a_folder_that_was_begun(tmp_path, unscored_world, tiny_folder):
    data = shutil.copytree(unscored_world, tmp_path / "data")
    loaded = load_study(str(write_study(tmp_path, study_values(tmp_path / "out", data, tiny_folder))))
    before = {name: job.folder for name, job in planned(loaded).jobs.items()}
    begin_study(loaded)
    rows = (data / "sft.jsonl").read_text().splitlines(keepends=True)
    (data / "sft.jsonl").write_text("".join(rows[1:]))
    after = {name: job.folder for name, job in planned(loaded).jobs.items()}
    assert before.keys().isdisjoint(after) or all(before[name] != after[name] for name in before.keys() & after)
    with pytest.raises(TrifacetError, match=r"begun with another recipe \(sft.files.data.sft differs\)"):
        begin_study(loaded)


def test_scores_that_were_damaged_are_made_anew_by_the_same_command(other):
    loaded = other({"cells": {"slower": {"set": {"align.mcm.learning_rate": 0.005}}}})
    assert run_study(loaded).failed == {}
    (job,) = [job for name, job in planned(loaded).jobs.items() if name.startswith("cells/")]
    path = job.folder / "scores.json"
    sound = path.read_text()
    path.write_text(sound.replace("1", "2", 1))
    assert is_finished(job) and not is_done(job)
    done = run_study(loaded)
    assert done.failed == {} and done.document["problems"] == []
    assert json.loads(path.read_text())["models"] == json.loads(sound)["models"]
