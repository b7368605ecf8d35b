"""A whole run: worlds, sweeps and seeds of a few steps."""

import json
import statistics

import pytest
from small_runs import STAGE, recipe_of

from trifacet.base.errors import TrifacetError
from trifacet.runs.folder import claimed
from trifacet.runs.run import run_recipe, run_stages
from trifacet.training.recipe import Recipe

TINY = {
    "hidden_size": 32, "layers": 1, "heads": 2, "vision_hidden_size": 32, "vision_layers": 2, "vision_heads": 2,
    "image_size": 32, "vocabulary": 400,
}  # fmt: skip
STEP = {"max_steps": 1, "batch_size": 2, "log_every": 1}


def demo(output, **changes) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "small demo",
            "output": str(output),
            "model": {"tiny": TINY, "device": "cpu"},
            "data": {"world": {"sft": 4, "preference": 4, "validation": 2, "test": 2}},
            "sft": STEP,
            "align": {"mcm": {**STEP, "objective": "mcm-dpo"}},
            "generate": {"beams": 1, "max_new_tokens": 3},
            **changes,
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small demo, run to its end."""
    recipe = demo(tmp_path_factory.mktemp("demo") / "out")
    return recipe, run_recipe(recipe)


def test_a_run_leaves_the_files_that_it_promises(run):
    recipe, finished = run
    there = {str(path.relative_to(recipe.folder)) for path in recipe.folder.rglob("*")}
    for name in ("base", "sft", "mcm"):
        assert f"models/{name}/model/model.safetensors" in there
    for name in ("sft", "mcm"):
        assert {f"models/{name}/{file}" for file in ("log.jsonl", "done.json", "model/trifacet.json")} <= there
        assert f"generations/{name}.jsonl" in there
    assert {"run.json", "recipe.yaml", "scores.json", "report.html", "rejected/index.json", "data/test.jsonl"} <= there
    assert finished.report == recipe.folder / "report.html"
    assert set(finished.scores["models"]) == {"sft", "mcm"}
    assert {"bleu_4", "meteor", "rouge_l", "cider"} <= set(finished.scores["models"]["sft"]["metrics"])


def test_the_report_says_what_compare_says(run, tmp_path, trifacet):
    """The report's intervals, tests and marks are those of ``trifacet compare`` on the run's folder, to the digit."""
    recipe, _ = run
    told = []
    for name, command in (
        ("report", ["report", recipe.folder]),
        ("compare", ["compare", recipe.folder, "--profile", "paper"]),
    ):
        assert trifacet(*command, "--json", tmp_path / f"{name}.json")[0] == 0
        told.append(json.loads((tmp_path / f"{name}.json").read_text()))
    report, compared = told
    assert compared.pop("judged") is None
    compared["notes"] = [
        note for note in compared["notes"] if note in report["comparison"]["notes"]
    ]  # less the scores'
    assert report["comparison"] == compared
    assert compared["baseline"] == "sft" and len(compared["differences"]) == len(compared["metrics"])
    assert {one["metric"] for one in compared["metrics"]} == {
        metric for metric, value in report["models"]["mcm"]["metrics"].items() if value is not None
    }


def test_rejected_pictures_are_shown_with_where_they_come_from(run):
    recipe, _ = run
    index = json.loads((recipe.folder / "rejected/index.json").read_text())
    assert len(index) == 4
    for entry in index:
        assert entry.keys() == {"id", "strategy", "chosen", "rejected"}
        assert (recipe.folder / entry["rejected"]).is_file()


def test_a_second_run_does_nothing_again(run):
    recipe, finished = run
    before = {path: path.stat().st_mtime_ns for path in (recipe.folder / "models").rglob("*")}
    again = run_recipe(recipe)
    assert {path: path.stat().st_mtime_ns for path in (recipe.folder / "models").rglob("*")} == before
    assert again.scores == finished.scores


def test_the_same_recipe_gives_the_same_texts_elsewhere(run, tmp_path):
    recipe, finished = run
    elsewhere = run_recipe(recipe.model_copy(update={"output": str(tmp_path / "elsewhere")}))
    assert elsewhere.scores == finished.scores


def test_a_world_over_a_users_own_data_folder_is_refused(tmp_path):
    recipe = demo(tmp_path / "out")
    with claimed(recipe):
        pass
    (tmp_path / "out/data").mkdir(exist_ok=True)
    (tmp_path / "out/data/mine.txt").write_text("mine")
    with pytest.raises(TrifacetError, match="data was not made by this run"):
        run_recipe(recipe)
    assert (tmp_path / "out/data/mine.txt").read_text() == "mine"


def test_a_sweep_chooses_by_the_validation_split(tmp_path):
    recipe = demo(tmp_path / "out", sweep={"learning_rates": [1e-5, 1e-3], "metric": "grounding"})
    finished = run_recipe(recipe)
    assert set(finished.scores["models"]) == {"sft", "mcm-lr1e-05", "mcm-lr0.001"}
    assert finished.scores["split"] == "validation"
    sweep = json.loads((tmp_path / "out/sweep.json").read_text())
    assert [row["learning_rate"] for row in sweep["rows"]] == [1e-5, 1e-3]
    healthy = [row for row in sweep["rows"] if not row["degenerate"]]
    assert [row["chosen"] for row in sweep["rows"]].count(True) == min(len(healthy), 1)
    if healthy:
        best = max(healthy, key=lambda row: row["value"])
        assert best["chosen"]


def test_seeds_are_runs_of_their_own_and_their_spread_is_noted(tmp_path):
    finished = run_recipe(demo(tmp_path / "out", seeds=[1, 2], align={}))
    document = json.loads((tmp_path / "out/seeds.json").read_text())
    assert document == {"seeds": [1, 2], "models": finished.scores["models"]}
    values = []
    for seed in (1, 2):
        scores = json.loads((tmp_path / f"out/seed-{seed}/scores.json").read_text())
        values.append(scores["models"]["sft"]["metrics"]["length"])
    spread = document["models"]["sft"]["length"]
    assert spread["values"] == values
    assert spread["mean"] == pytest.approx(statistics.fmean(values))
    assert spread["std"] == pytest.approx(statistics.stdev(values))


def test_stages_can_be_run_one_by_one(tmp_path, world, tiny_folder):
    changes = {"align.dpo": {**STAGE, "objective": "dpo"}, "sft.max_steps": 1, "align.mcm.max_steps": 1}
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, changes)
    with pytest.raises(TrifacetError, match=r"no finished model .* run `trifacet sft` first"):
        run_stages(recipe, ["mcm"])
    (sft,) = run_stages(recipe, ["sft"])
    (mcm,) = run_stages(recipe, ["mcm"])
    assert (sft / "config.json").is_file()
    assert (mcm / "config.json").is_file()
    assert not (tmp_path / "out/models/dpo").exists()
    with pytest.raises(TrifacetError, match="no alignment 'mdpo'; it has mcm, dpo"):
        run_stages(recipe, ["mdpo"])
