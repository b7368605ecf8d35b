"""After a stage its saved model is loaded and compared: a stage that changed nothing says so loudly."""

import json

import pytest
from safetensors.torch import load_file, save_file
from small_runs import STAGE, recipe_of

from trifacet.runs.run import run_stages
from trifacet.training.drift import looks
from trifacet.training.outcome import check_outcome
from trifacet.training.sources import Start
from trifacet.training.stage import read_done, stage_of
from trifacet.training.watching import read_samples_file

LORA = {"rank": 4, "alpha": 8, "dropout": 0.0}


def aligned(tmp_path, world, model, changes):
    recipe = recipe_of(tmp_path / "out", world, model, {"sft": None, **changes})
    run_stages(recipe, list(recipe.align))
    return recipe, read_done(tmp_path / "out/models/mcm")


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "LoRA"])
def test_a_stage_that_trained_says_how_far_its_model_moved(tmp_path, world, tiny_folder, lora):
    changes = {"model.lora": lora, "align.mcm": {**STAGE, "objective": "mcm-dpo", "eval_every": 4, "eval_samples": 2}}
    recipe, done = aligned(tmp_path, world, tiny_folder, changes)
    found = done["difference"]
    assert (found["start"], found["samples"]) == ("base", 4)
    assert 0 < found["weights_changed"] < found["weights"]  # what comes after the layer that is read stays
    assert 0 < found["relative"] < 1
    assert 0 < found["logp_change"] <= found["logp_change_largest"]
    assert not [warning for warning in done["warnings"] if "changed" in warning]
    rows = read_samples_file(recipe.folder / "models/mcm/samples.jsonl")
    assert all((row["reference_logp"] is not None) == row["scored"] for row in rows)
    assert [look.step for look in looks(rows)] == [0, 4]


def test_steps_too_small_for_bfloat16_are_said_loudly(tmp_path, world, tiny_folder, capfd):
    changes = {"model.dtype": "bfloat16", "align.mcm": {**STAGE, "objective": "dpo", "learning_rate": 1e-9}}
    _, done = aligned(tmp_path, world, tiny_folder, changes)
    assert done["difference"]["relative"] < 1e-6
    said = " ".join(capfd.readouterr().err.split())
    assert "warning: mcm: the saved model is all but its start:" in said
    assert "mixed_precision: true" in said
    assert done["warnings"][0].startswith("the saved model is all but its start")


def edited(recipe, name, edit):
    """The stage's check once more, after its file of weights was changed by ``edit``."""
    folder = recipe.folder / "models/mcm"
    file = folder / "model" / name
    weights = load_file(file)
    edit(weights)
    save_file(weights, file, metadata={"format": "pt"})
    (folder / "model/complete.json").unlink()  # as if training had saved it so
    done = read_done(folder)
    del done["difference"]
    (folder / "done.json").write_text(json.dumps(done))


def test_an_adapter_that_was_emptied_is_found(tmp_path, world, tiny_folder):
    changes = {"model.lora": LORA, "model.paradigm": 1}
    recipe, _ = aligned(tmp_path, world, tiny_folder, changes)
    start = load_file(tiny_folder / "model.safetensors")

    def empty(weights):
        for name, weight in weights.items():
            if "lora_B" in name:
                weight.zero_()
            elif "lora_" not in name:
                weight.copy_(start[name.removeprefix("base_model.model.model.")])

    edited(recipe, "adapter_model.safetensors", empty)
    done = check_outcome(stage_of(recipe, "mcm", Start("base", tiny_folder)))
    assert done["difference"]["logp_change_largest"] == 0
    assert done["warnings"][0].startswith("the saved model is its start: 0 of")


def test_an_update_that_does_not_reach_the_scores_is_said(tmp_path, world, tiny_folder, capfd):
    recipe, _ = aligned(tmp_path, world, tiny_folder, {})
    start = load_file(tiny_folder / "model.safetensors")

    def lose(weights):
        for name, weight in weights.items():
            weight.copy_(start[name])
        unread = [name for name in weights if "post_layernorm.weight" in name]  # after the layer that is read
        weights[unread[0]] += 1

    edited(recipe, "model.safetensors", lose)
    done = check_outcome(stage_of(recipe, "mcm", Start("base", tiny_folder)))
    assert done["difference"]["weights_changed"] == 1
    assert "the update is lost in loading or merging it" in " ".join(capfd.readouterr().err.split())


def test_a_finished_stage_is_compared_once(tmp_path, world, tiny_folder):
    recipe, done = aligned(tmp_path, world, tiny_folder, {})
    before = (tmp_path / "out/models/mcm/done.json").stat().st_mtime_ns
    assert check_outcome(stage_of(recipe, "mcm", Start("base", tiny_folder))) == done
    assert (tmp_path / "out/models/mcm/done.json").stat().st_mtime_ns == before


def test_pairs_that_say_nothing_are_not_mended_by_a_learning_rate(tmp_path):
    from trifacet.training.outcome import _warnings
    from trifacet.training.recipe import Align

    same = {"relative": 0.0, "weights_changed": 0, "weights": 63, "logp_change_largest": 0.0}
    found = {**same, "only_start": [], "only_model": []}
    for norm, advice in ((0.0, "trifacet data check"), (1e-9, "Raise the learning rate")):
        (tmp_path / "log.jsonl").write_text(json.dumps({"step": 1, "loss": 0.69, "grad_norm": norm}) + "\n")
        (warning,) = _warnings(Align(objective="dpo"), tmp_path, found, "float32")
        assert advice in warning
