"""Looking at a model while it trains changes nothing, and says what the model did."""

import json
import signal

import pytest
import torch
from small_runs import STAGE, Command, log_of, recipe_file, recipe_of, train

from trifacet.engine.scoring import TrieScorer
from trifacet.models.loading import load_model
from trifacet.training.drift import chosen_drop, divergence, looks
from trifacet.training.recipe import load_recipe
from trifacet.training.sources import Start
from trifacet.training.stage import stage_of
from trifacet.training.watching import fill_reference, read_samples_file, watched_posts, whole

LOOK = {"eval_every": 2, "eval_samples": 3}
LORA = {"model.lora": {"rank": 4, "alpha": 8, "dropout": 0.1}, "model.paradigm": 1}


def changes_of(**align):
    return {"sft": None, "align.mcm": {**STAGE, "max_steps": 5, "objective": "mcm-dpo", **align}, **LORA}


def weights(folder):
    return {path.name: path.read_bytes() for path in (folder / "model").glob("*.safetensors")}


@pytest.fixture(scope="module")
def watched(tmp_path_factory, world, tiny_folder):
    base = tmp_path_factory.mktemp("watched")
    recipe = recipe_of(base / "seen", world, tiny_folder, changes_of(**LOOK))
    return recipe, train(recipe, "mcm", tiny_folder)


def test_looking_changes_no_bit_of_the_weights(watched, tmp_path, world, tiny_folder):
    """LoRA dropout draws random numbers in every step: one draw more would show."""
    unseen = train(recipe_of(tmp_path / "out", world, tiny_folder, changes_of()), "mcm", tiny_folder)
    assert weights(unseen) == weights(watched[1])
    assert [line["loss"] for line in log_of(unseen)] == [line["loss"] for line in log_of(watched[1])]
    assert not (unseen / "samples.jsonl").exists()


def test_it_looks_before_the_first_step_every_few_and_after_the_last(watched):
    rows = read_samples_file(watched[1] / "samples.jsonl")
    posts = [row["id"] for row in rows[:3]]
    assert [(row["step"], row["id"]) for row in rows] == [(step, post) for step in (0, 2, 4, 5) for post in posts]
    found = looks(rows)
    assert [look.step for look in found] == [0, 2, 4, 5]
    assert all(look.texts == 3 and look.words >= 0 and 0 <= look.at_limit <= 1 for look in found)


@pytest.fixture(scope="module")
def taught(tmp_path_factory, world, tiny_folder):
    """A model whose texts end."""
    changes = {"sft.max_steps": 40, "sft.batch_size": 8, "sft.learning_rate": 1e-2}
    recipe = recipe_of(tmp_path_factory.mktemp("taught") / "out", world, tiny_folder, changes)
    return train(recipe, "sft", tiny_folder) / "model"


def test_the_divergence_is_zero_before_the_first_step_and_not_after(tmp_path, world, taught):
    changes = {**changes_of(**{**LOOK, "eval_samples": 6, "learning_rate": 1e-2}), "generate.max_new_tokens": 60}
    recipe = recipe_of(tmp_path / "out", world, taught, changes)
    found = looks(read_samples_file(train(recipe, "mcm", taught) / "samples.jsonl"))
    assert found[0].divergence.k1 == pytest.approx(0, abs=1e-4)
    assert found[-1].divergence.k3 > 0.01


def test_the_reference_is_filled_in_where_it_was_not_at_hand(tmp_path, world, taught):
    changes = {
        "sft": None, "generate.max_new_tokens": 60, "align.mcm": {**STAGE, "max_steps": 2, "objective": "dpo", **LOOK}
    }  # fmt: skip
    recipe = recipe_of(tmp_path / "out", world, taught, changes)
    path = train(recipe, "mcm", taught) / "samples.jsonl"
    assert all(row["reference_logp"] is None for row in read_samples_file(path))
    loaded = load_model(taught)
    stage = stage_of(recipe, "mcm", Start("base", taught))
    posts = watched_posts(stage.watch, stage.asking.encoder(loaded.family))
    fill_reference(posts, path, TrieScorer(loaded.model, loaded.family))
    rows = read_samples_file(path)
    for row in rows:
        assert (row["reference_logp"] is not None) == row["scored"]
        if row["scored"] and row["step"] == 0:
            assert row["reference_logp"] == pytest.approx(row["logp"], abs=1e-4)
    assert any(row["scored"] for row in rows)


@pytest.mark.parametrize(
    "model",
    [{"dtype": "bfloat16", "lora": {"rank": 4, "alpha": 8}}, {"mixed_precision": True}],
    ids=["LoRA over bfloat16", "mixed precision"],
)
def test_it_looks_in_the_arithmetic_of_the_training(tmp_path, world, taught, model):
    changes = {"sft": None, "generate.max_new_tokens": 60, **{f"model.{key}": value for key, value in model.items()}}
    align = {**STAGE, "max_steps": 2, "objective": "dpo", "gradient_checkpointing": True, **LOOK}
    logs, all_weights = [], []
    for part, stage in (("seen", align), ("unseen", {**align, "eval_every": None})):
        recipe = recipe_of(tmp_path / part, world, taught, {**changes, "align.mcm": stage})
        folder = train(recipe, "mcm", taught)
        logs.append([line["loss"] for line in log_of(folder)])
        all_weights.append(weights(folder))
    assert logs[0] == logs[1]
    assert all_weights[0] == all_weights[1]
    if "lora" in model:
        (first, *_) = looks(read_samples_file(tmp_path / "seen/models/mcm/samples.jsonl"))
        assert first.divergence.k1 == pytest.approx(0, abs=0.3)  # bfloat16, with and without adapter


def test_weights_that_are_spread_over_processes_are_not_watched():
    model = torch.nn.Linear(2, 2)
    assert whole(model)
    model.weight = torch.nn.Parameter(torch.empty(0))  # as ZeRO-3 leaves it
    assert not whole(model)


def test_killed_and_started_again_it_has_every_row_once(tmp_path, watched, world, tiny_folder):
    recipe = recipe_file(tmp_path, tmp_path / "out", world, tiny_folder, changes_of(**LOOK, save_every=3))
    folder = tmp_path / "out/models/mcm"
    rows = folder / "samples.jsonl"
    code = Command(tmp_path, "align", recipe).stop_when(
        (folder / "checkpoint-3/trainer_state.json").exists, signal.SIGKILL
    )
    assert code == -signal.SIGKILL
    with rows.open("a", encoding="utf-8") as file:  # of a step after the checkpoint
        file.write(json.dumps({"step": 4, "id": "x", "text": "", "at_limit": False}) + "\n")
    train(load_recipe(recipe), "mcm", tiny_folder)
    assert rows.read_bytes() == (watched[1] / "samples.jsonl").read_bytes()


def test_supervised_training_is_watched_without_a_reference(tmp_path, world, tiny_folder):
    changes = {"sft": {**STAGE, **LOOK}, "data.validation": "validation.jsonl"}
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, changes)
    rows = read_samples_file(train(recipe, "sft", tiny_folder) / "samples.jsonl")
    assert {row["id"].split("-")[0] for row in rows} == {"validation"}
    assert all("logp" not in row for row in rows)
    assert all(look.divergence is None for look in looks(rows))


def test_chosen_responses_that_sink_are_warned_of_once(tmp_path, world, tiny_folder, capfd):
    changes = changes_of(learning_rate=0.05, warn_chosen_drop=1e-3, objective="dpo")
    folder = train(recipe_of(tmp_path / "out", world, tiny_folder, changes), "mcm", tiny_folder)
    said = " ".join(capfd.readouterr().err.split())
    drop = chosen_drop(log_of(folder), 1e-3)
    assert drop is not None
    assert said.count("less likely than under the reference") == 1
    assert f"at step {drop.step} chosen responses" in said


def test_the_estimators_are_those_of_a_known_divergence():
    """Two coins: KL in closed form, k1 and k3 by many draws."""
    p, q = 0.7, 0.4
    heads = torch.rand(40_000, generator=torch.Generator().manual_seed(1)) < p
    scores = {True: (p, q), False: (1 - p, 1 - q)}
    rows = [{"logp": scores[one][0], "reference_logp": scores[one][1], "drawn_tokens": 1} for one in heads.tolist()]
    for row in rows:
        row["logp"], row["reference_logp"] = (float(torch.tensor(row[key]).log()) for key in ("logp", "reference_logp"))
    exact = p * torch.tensor(p / q).log().item() + (1 - p) * torch.tensor((1 - p) / (1 - q)).log().item()
    found = divergence(rows)
    assert found.k1 == pytest.approx(exact, abs=4 * found.error)
    assert found.k3 == pytest.approx(exact, rel=0.04)
    assert divergence([{"logp": None, "reference_logp": None, "drawn_tokens": 0}]) is None


def test_a_drop_is_told_from_the_log():
    log = [{"step": step, "log_ratio/chosen": value} for step, value in ((1, 0.0), (2, -0.6), (3, -0.4))]
    assert chosen_drop(log, 0.5) == (2, -0.4)
    assert chosen_drop(log, 0.7) is None
    assert chosen_drop(log, None) is None
    assert chosen_drop([{"step": 1, "loss": 1.0}], 0.1) is None
