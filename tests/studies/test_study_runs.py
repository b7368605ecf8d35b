"""Studies of a few steps, run: cells are those of runs alone, what is finished stays, what fails is told."""

import json
import signal
import sys

import pytest
from small_runs import Command, weights_of
from small_studies import STEP, study_values, write_study

from trifacet.base.errors import TrifacetError
from trifacet.runs.run import run_recipe
from trifacet.studies.folder import is_finished
from trifacet.studies.planning import plan_of
from trifacet.studies.running import do_jobs
from trifacet.studies.settings import load_study
from trifacet.studies.study import planned, report_study, run_one_job, run_study

TINY = {
    "hidden_size": 32, "layers": 1, "heads": 2, "vision_hidden_size": 32, "vision_layers": 2, "vision_heads": 2,
    "image_size": 32, "vocabulary": 400,
}  # fmt: skip


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


def test_a_study_leaves_page_tables_and_numbers(small):
    loaded, done, _ = small
    assert done.failed == {}
    for name in ("study.html", "study.md", "study.tex", "results.json"):
        assert (loaded.folder / name).stat().st_size > 300
    assert json.loads((loaded.folder / "results.json").read_text()) == json.loads(json.dumps(done.document))
    cells = {one["cell"]: one["measures"] for one in done.document["cells"]}
    plan = planned(loaded)
    for cell, model in (("sft", "sft"), ("faster", "mcm")):
        job = plan.jobs[plan.outcomes[cell, 1].job]
        told = json.loads((job.folder / "scores.json").read_text())["models"][model]["metrics"]
        assert cells[cell]["length"]["value"] == told["length"]
    assert [one["verdict"] for one in done.document["claims"]] == ["cannot be told"] * 2  # of one seed
    assert "only one seed" in done.document["claims"][0]["why"]
    assert done.document["plan"]["seconds"]["shared"] < done.document["plan"]["seconds"]["alone"]


def test_what_another_run_has_made_is_taken_and_not_made_again(small):
    loaded, _, _ = small
    plan = planned(loaded)
    lent = {(job.name, one.own): plan.jobs[one.job].folder / one.name for job in plan.jobs.values() for one in job.lent}
    assert {own for _, own in lent} == {"reference", "generations/base.jsonl"}
    for (name, own), source in lent.items():
        target = plan.jobs[name].folder / own
        for file in [source] if source.is_file() else source.iterdir():
            taken = target if source.is_file() else target / file.name
            assert taken.read_bytes() == file.read_bytes()
    seconds = json.loads((plan.jobs["cells/plain/seed-1"].folder / "run.json").read_text())["sealed"]
    assert "generations/base.jsonl" in seconds and any(name.startswith("reference/") for name in seconds)


def test_a_finished_study_stays_and_takes_a_seed_and_other_claims(small):
    loaded, done, again = small
    before = times(loaded.store)
    assert run_study(loaded).document == done.document == report_study(loaded).document
    assert times(loaded.store) == before
    more = run_study(loaded, added=[2])
    assert more.document["seeds"] == [1, 2] and more.failed == {}
    assert before.items() <= times(loaded.store).items()
    values = more.document["cells"][1]["measures"]["length"]["values"]
    assert values["1"] == done.document["cells"][1]["measures"]["length"]["values"]["1"] and "2" in values
    assert report_study(loaded).document["seeds"] == [1, 2] and not more.document["asked_since"]
    asked = run_study(again({"claims": ["plain = faster in length by 3"]}))
    assert asked.document["asked_since"] and asked.document["seeds"] == [1, 2]
    assert "Measures or claims were changed after" in asked.page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cells.faster.set": {"align.mcm.learning_rate": 0.02}},
         r"was begun with another recipe \(faster.align.mcm.learning_rate differs\): .* 0.01 there, 0.02 now"),
        ({"base.align.mcm.max_steps": 2}, r"\(plain.align.mcm.max_steps differs\)"),
        ({"cells.faster": None, "claims": []}, r"cell 'faster' was begun and is not in .*study.yaml any more"),
        ({"name": "other"}, r"holds another study \(small\)"),
    ],
)  # fmt: skip
def test_a_file_that_changed_under_its_folder_is_refused(small, changes, said):
    _, _, again = small
    before = times(again().store)
    with pytest.raises(TrifacetError, match=said):
        run_study(again(changes))
    assert times(again().store) == before


def test_damaged_scores_are_no_numbers(small):
    loaded, _, _ = small
    path = planned(loaded).jobs["cells/faster/seed-1"].folder / "scores.json"
    sound = path.read_text()
    path.write_text(sound.replace("1", "2", 1))
    try:
        done = report_study(loaded)
    finally:
        path.write_text(sound)
    assert "1" not in {one["cell"]: one for one in done.document["cells"]}["faster"]["measures"]["length"]["values"]
    assert any("is not as it was written" in problem for problem in done.document["problems"])


def test_a_cell_is_what_its_recipe_alone_makes_of_it(tmp_path):
    """Weights and texts, for a cell that takes world, base, supervised model, its texts and reference from others."""
    values = study_values(tmp_path / "out", "", "", {
        "base.data": {"world": {"sft": 4, "preference": 4, "validation": 2, "test": 2}},
        "base.model": {"tiny": TINY, "device": "cpu"},
        "base.align.mcm": {**STEP, "max_steps": 2, "objective": "mcm-dpo"},
        "cells.described": {"set": {"generate.max_new_tokens": 3}},
        "seeds": [5],
    })  # fmt: skip
    loaded = load_study(str(write_study(tmp_path, values)))
    assert run_study(loaded).failed == {}
    plan = planned(loaded)
    for name in ("faster", "described"):
        cell = next(cell for cell in plan.cells if cell.name == name)
        alone = tmp_path / "alone" / name
        run_recipe(cell.recipe.model_copy(update={"seed": 5, "output": str(alone)}))
        job, model = plan.outcomes[name, 5]
        together = plan.jobs[job].folder
        texts = (together / "generations" / f"{model}.jsonl").read_bytes()
        assert texts == (alone / "generations/mcm.jsonl").read_bytes() and texts
        trained = together if (together / "models/mcm").exists() else plan.jobs[plan.jobs[job].needs[0]].folder
        ours, theirs = weights_of(trained / "models/mcm"), weights_of(alone / "models/mcm")
        assert ours.keys() == theirs.keys()
        assert all(ours[weight].equal(theirs[weight]) for weight in ours)


def test_a_cell_that_fails_is_told_and_the_rest_goes_on(tmp_path, unscored_world, tiny_folder, trifacet):
    values = study_values(tmp_path / "out", unscored_world, tiny_folder, {
        "cells.faster.set": {"rejected.image.strategy": "region-black"},  # which needs regions
        "cells.lost": {"set": {"data.sft": "missing.jsonl"}},
        "claims": ["plain > sft in length"],
        "seeds": [1],
    })  # fmt: skip
    file = write_study(tmp_path, values)
    code, told, errors = trifacet("study", file, "--json", tmp_path / "told.json")
    assert code == 1
    document = json.loads((tmp_path / "told.json").read_text())
    assert {name.rsplit("/", 1)[0] for name in document["failed"]} == {"cells/faster", "starts", "cells/lost"}
    assert "nothing says where they are" in document["failed"]["cells/faster/seed-1"]
    assert "not begun, since it needs starts/" in document["failed"]["cells/lost/seed-1"]
    assert "3 runs not finished; the same command tries again" in errors and "missing.jsonl" in errors
    assert {one["cell"] for one in document["cells"] if one["measures"]["length"]["seeds"]} == {"sft", "plain"}
    assert "cannot be told" in told and str(tmp_path / "out/study.html") in told
    with pytest.raises(TrifacetError, match=r"cells/lost/seed-1 needs starts/.*, which is not finished"):
        run_one_job(load_study(str(file)), "cells/lost/seed-1")
    with pytest.raises(TrifacetError, match="no job 'cells/none'"):
        run_one_job(load_study(str(file)), "cells/none")


def test_jobs_for_others_are_begun_planned_and_told(tmp_path, trifacet):
    file = write_study(tmp_path, study_values(tmp_path / "out", "nowhere", "nothing"))
    code, _, errors = trifacet("study", file, "--job", "cells/plain/seed-1")
    assert code == 2 and "holds no study; begin it by --slurm FILE" in errors
    assert trifacet("study", file, "--slurm", tmp_path / "jobs.sh", "--add-seed", 3)[:2] == (0, f"{tmp_path}/jobs.sh\n")
    assert "--array=0-2" in (tmp_path / "jobs.sh").read_text()
    code, told, errors = trifacet("study", file, "--report", "--json", "-")
    document = json.loads(told)
    assert code == 1 and document["seeds"] == [1, 2, 3] and "9 runs not finished" in errors
    assert set(document["failed"].values()) == {"not finished"}
    code, told, _ = trifacet("study", file, "--plan", "--json", tmp_path / "plan.json")
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert code == 0 and "3 cells x 3 seeds in 9 runs" in told and "those of 2 more are alike" in told
    assert (
        plan["works"]["sft"] == {"alone": 9, "shared": 3, "there": 0}
        and plan["seconds"] is None
        and len(plan["jobs"]) == 9
    )
    for words, said in (
        (("--plan", "--report"), "are commands of their own"),
        (("--plan", "--overwrite"), "begins the study anew"),
        (("--report", "--add-seed", 4), "--add-seed adds runs"),
        (("--budget", "paper"), "no budget 'paper'"),
    ):
        code, _, errors = trifacet("study", file, *words)
        assert code == 2 and said in errors


def test_processes_that_die_are_told_with_the_reason(tmp_path, unscored_world, tiny_folder):
    loaded = load_study(str(write_study(tmp_path, study_values(tmp_path / "out", unscored_world, tiny_folder))))
    plan = plan_of(loaded, (1, 2, 3))
    plan.folder.mkdir()
    first, second, third = (name for name in plan.jobs if name.startswith("starts/"))
    deaths = {
        first: "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        second: "import sys; print('so far'); sys.exit('error: the data are gone')",
        third: "pass",  # says it is done and has left nothing
    }
    done = do_jobs(plan, processes=2, command=lambda name: [sys.executable, "-c", deaths[name]])
    assert done.finished == [] and done.failed.keys() == plan.jobs.keys()
    assert "was ended by SIGKILL; where nobody did that, the memory did not suffice" in done.failed[first]
    assert done.failed[second].startswith("the data are gone (") and "exit code 0" in done.failed[third]
    assert all("since it needs starts/" in done.failed[name] for name in plan.jobs if name.startswith("cells/"))


def test_processes_that_are_interrupted_go_on(tmp_path, unscored_world, tiny_folder):
    """Two runs at a time, ended by a signal once the first model is there; the same command ends it."""
    changes = {"seeds": [1], "cells": {"sft": {"stage": "sft"}, "plain": {}}, "claims": []}
    file = write_study(tmp_path, study_values(tmp_path / "out", unscored_world, tiny_folder, changes))
    loaded, words = load_study(str(file)), ("study", file, "--jobs", 2)
    begun = Command(tmp_path, *words)
    assert begun.stop_when(lambda: any(loaded.store.glob("starts/*/models/sft/done.json")), signal.SIGTERM) == 130
    assert "interrupted by SIGTERM: the same command continues from here" in begun.stderr
    kept = times(loaded.store)
    plan = planned(loaded)
    assert kept and not all(is_finished(job) for job in plan.jobs.values())
    again = Command(tmp_path, *words)
    assert again.wait() == 0, again.stderr
    assert all(is_finished(job) for job in plan.jobs.values())
    assert kept.items() <= times(loaded.store).items()
    assert any((loaded.folder / "logs").iterdir())
