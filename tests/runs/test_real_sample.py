"""The ten real pairs and posts go through every stage untouched by hand."""

import json
from pathlib import Path

import pytest

from trifacet.runs.run import run_recipe
from trifacet.training.recipe import load_recipe

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "real-sample.yaml"
SHORTER = [  # fewer steps than the recipe's: what is held here is the way, not the result
    "model.tiny.image_size=56",
    "model.tiny.hidden_size=32",
    "model.tiny.layers=1",
    "sft.max_steps=2",
    "sft.batch_size=2",
    "align.mdpo.max_steps=1",
    "align.mdpo.batch_size=2",
    "align.mcm-dpo-joint.max_steps=1",
    "align.mcm-dpo-joint.batch_size=2",
    "generate.beams=1",
    "generate.max_new_tokens=8",
]


@pytest.mark.endurance
def test_real_posts_go_through_every_stage(pinterest, tmp_path):
    output = tmp_path / "run"
    recipe = load_recipe(RECIPE, [f"data.root={pinterest}", f"output={output}", *SHORTER])
    aligned = ["mdpo", "mcm-dpo-joint"]  # between them all ways to reject
    finished = run_recipe(recipe.model_copy(update={"align": {name: recipe.align[name] for name in aligned}}))
    names = ["sft", *aligned]
    assert list(finished.scores["models"]) == names
    for name in names:
        lines = (output / "generations" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) == 10
        assert len({json.loads(line)["id"] for line in lines}) == 10
        done = json.loads((output / "models" / name / "done.json").read_text(encoding="utf-8"))
        assert done["samples"] == 10
    page = finished.report.read_text(encoding="utf-8")
    assert "korean tuna rice bowl" in page or "instagram marketing" in page
    assert page.count("data:image/") >= 10
