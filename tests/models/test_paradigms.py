"""What trains is what the table says, and LoRA's reference is the model that the stage started from."""

import json

import pytest
import torch
from small_runs import STAGE, batch_of, log_of, recipe_of, train, weights_of
from tiny_families import load_copy

from trifacet.base.errors import TrifacetError
from trifacet.engine.scoring import TrieScorer
from trifacet.models.loading import load_model, load_processor, save_model, weights_fingerprint
from trifacet.models.paradigms import LoraSettings, choose_trained, vision_trains
from trifacet.training.reference import OnlineReference
from trifacet.training.sources import Start

LORA = LoraSettings(rank=4, alpha=8, dropout=0.0, targets=r".*language_model.*\.(q|v)_proj")
LORA_KEYS = {"rank": 4, "alpha": 8, "targets": LORA.targets}
UNREAD = ("vision_tower.encoder.layers.2.", "vision_tower.post_layernorm.")  # the projector reads layer -2


def scores(model, family, batch):
    with torch.no_grad():
        return TrieScorer(model, family).eval()(batch)


def shaken(model):
    """Every weight that trains is moved, so that adapters and copies differ from what they began as."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight), alpha=0.05)
    return model


@pytest.mark.parametrize("paradigm", [1, 2, 3, 4])
@pytest.mark.parametrize("stage", ["sft", "mcm"])
def test_exactly_the_parts_of_the_paradigm_change(tmp_path, world, tiny_folder, paradigm, stage):
    steps = {"sft.max_steps": 1, "align.mcm.max_steps": 1, "model.paradigm": paradigm}
    folder = train(recipe_of(tmp_path / "out", world, tiny_folder, steps), stage, tiny_folder)
    before, after = load_model(tiny_folder).model, weights_of(folder)
    changed = {key for key, weight in before.named_parameters() if not torch.equal(weight, after[key])}
    vision = {key for key, _ in before.named_parameters() if "vision_tower" in key}
    trained = {key for key, _ in before.named_parameters()} - vision
    if paradigm in {"sft": (3, 4), "mcm": (2, 4)}[stage]:
        trained |= {key for key in vision if not any(part in key for part in UNREAD)}
    # a key's bias moves all scores of a softmax alike: its gradient is nought but for rounding
    indifferent = {key for key in trained if key.endswith("k_proj.bias")}
    assert changed - indifferent == trained - indifferent
    assert changed <= trained
    done = json.loads((folder / "done.json").read_text())
    assert done["trained_parameters"] == sum(w.numel() for k, w in before.named_parameters() if k in trained)
    assert done["parameters"] == sum(weight.numel() for weight in before.parameters())


def test_the_paradigms_are_those_of_the_paper():
    assert [(vision_trains(p, "sft"), vision_trains(p, "align")) for p in (1, 2, 3, 4)] == [
        (False, False), (False, True), (True, False), (True, True),
    ]  # fmt: skip


def test_a_stage_can_override_the_paradigm(tmp_path, world, tiny_folder):
    changes = {"sft.max_steps": 1, "sft.vision": "frozen", "model.paradigm": 4}
    folder = train(recipe_of(tmp_path / "out", world, tiny_folder, changes), "sft", tiny_folder)
    assert json.loads((folder / "done.json").read_text())["trained"]["vision"] == "frozen"


@pytest.mark.parametrize("train_vision", [False, True])
def test_with_lora_only_adapters_and_copies_train(tiny, train_vision):
    model, table = choose_trained(tiny.model, tiny.family, train_vision=train_vision, lora=LORA)
    how = {row.part: row.how for row in table}
    assert how == {"vision": "part" if train_vision else "frozen", "projector": "full", "language": "LoRA"}
    trained = {key: weight.numel() for key, weight in model.named_parameters() if weight.requires_grad}
    assert sum(row.trained for row in table) == sum(trained.values())
    assert all("lora_" in key or "modules_to_save" in key for key in trained)
    language = sum(count for key, count in trained.items() if "lora_" in key)
    assert language == 2 * 2 * 4 * (48 + 48)  # layers, targets, rank, in + out


@pytest.mark.parametrize("family", ["llava", "qwen2_vl", "idefics3"])
@pytest.mark.parametrize("targets", ["all-linear", r".*\.(q_proj|qkv|fc1)"])
def test_a_frozen_vision_encoder_gets_no_adapters(family, targets, family_folders):
    loaded = load_copy(family_folders(family))
    encoder = loaded.family.parts(loaded.model)["vision"]
    matched = [module for module in encoder.modules() if isinstance(module, torch.nn.Linear)]
    settings = LoraSettings(rank=4, alpha=8, dropout=0.0, targets=targets)
    model, table = choose_trained(loaded.model, loaded.family, train_vision=False, lora=settings)
    vision, language = next(row for row in table if row.part == "vision"), table[-1]
    assert (vision.how, vision.trained, language.how) == ("frozen", 0, "LoRA")
    assert not any("lora_" in key for key, _ in loaded.family.parts(model)["vision"].named_parameters())
    assert vision.left_out == (len(matched) if targets == "all-linear" else vision.left_out) > 0
    assert not any(row.left_out for row in table if row.part != "vision")


@pytest.mark.parametrize("train_vision", [False, True])
def test_the_adapter_off_is_the_start_model_whatever_trained(world, tiny, tiny_folder, train_vision):
    recipe = recipe_of("unused", world, tiny_folder)
    start, batch = batch_of(recipe, "mcm", tiny_folder)
    expected = scores(start.model, start.family, batch)
    model, _ = choose_trained(tiny.model, tiny.family, train_vision=train_vision, lora=LORA)
    assert torch.equal(scores(model, tiny.family, batch), expected)
    shaken(model)
    trains = {key for key, weight in model.named_parameters() if weight.requires_grad}
    scorer = TrieScorer(model, tiny.family)
    assert (scores(model, tiny.family, batch) - expected).abs().min() > 1e-2
    assert torch.equal(OnlineReference(scorer, model.disable_adapter)(batch), expected)
    assert {key for key, weight in model.named_parameters() if weight.requires_grad} == trains
    assert (scores(model, tiny.family, batch) - expected).abs().min() > 1e-2  # and it is on again


@pytest.mark.parametrize("train_vision", [False, True])
def test_a_saved_adapter_loads_merged_with_the_same_scores(tmp_path, world, tiny, tiny_folder, train_vision):
    recipe = recipe_of("unused", world, tiny_folder)
    _, batch = batch_of(recipe, "mcm", tiny_folder)
    model, _ = choose_trained(tiny.model, tiny.family, train_vision=train_vision, lora=LORA)
    unmerged = scores(shaken(model), tiny.family, batch)
    save_model(model, tiny.processor, tmp_path / "adapter")
    assert not (tmp_path / "adapter" / "model.safetensors").exists()
    merged = load_model(tmp_path / "adapter")
    assert type(merged.model).__name__ == "LlavaForConditionalGeneration"
    torch.testing.assert_close(scores(merged.model, merged.family, batch), unmerged, atol=1e-3, rtol=1e-5)
    assert load_processor(tmp_path / "adapter").placeholder_id == tiny.family.placeholder_id


def test_a_saved_adapter_is_found_from_another_working_directory(tmp_path, tiny_folder, monkeypatch):
    monkeypatch.chdir(tiny_folder.parent)
    loaded = load_model(tiny_folder.name)
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=False, lora=LORA)
    save_model(model, loaded.processor, tmp_path / "adapter")
    monkeypatch.chdir(tmp_path)
    load_model("adapter")


def test_lora_on_top_of_a_lora_stage_stands_on_that_stage(tmp_path, world, tiny_folder):
    changes = {"model.lora": LORA_KEYS, "align.mcm": {**STAGE, "objective": "mcm-dpo", "learning_rate": 1e-6}}
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, changes)
    sft = train(recipe, "sft", tiny_folder)
    mcm = train(recipe, "mcm", Start("sft", sft / "model"))

    assert log_of(mcm)[0]["loss"] == pytest.approx(2.8 * 0.693147, abs=1e-4)  # the reference is the sft model
    base, batch = batch_of(recipe, "mcm", tiny_folder)
    supervised, aligned = load_model(sft / "model"), load_model(mcm / "model")
    of_base, of_sft, of_mcm = (scores(one.model, one.family, batch) for one in (base, supervised, aligned))
    assert (of_sft - of_base).abs().max() > 1
    assert (of_mcm - of_sft).abs().max() < 0.1  # a small change of the sft model, and not of the base model
    settings = json.loads((mcm / "model" / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str((sft / "model").resolve())


def test_the_last_logged_scores_are_those_of_the_saved_stack(tmp_path, world, tiny_folder):
    """Two adapters deep, what is loaded is what was trained: a further stage starts where the last one ended."""
    changes = {"model.lora": LORA_KEYS, "align.mcm.max_steps": 1}
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, changes)
    sft = train(recipe, "sft", tiny_folder)
    first = train(recipe, "mcm", Start("sft", sft / "model"))
    loaded = load_model(first / "model")
    assert weights_fingerprint(loaded.model) == weights_fingerprint(load_model(first / "model").model)
    again = recipe_of(tmp_path / "again", world, first / "model", {**changes, "sft": None})
    second = train(again, "mcm", first / "model")
    assert log_of(second)[0]["rewards/margins"] == pytest.approx(0, abs=1e-3)


def test_targets_that_match_nothing_are_refused(tiny):
    with pytest.raises(TrifacetError, match=r"^model\.lora\.targets: [^\n]*$"):
        choose_trained(tiny.model, tiny.family, train_vision=False, lora=LoraSettings(4, 8, 0.0, r".*no_such_layer"))


def test_a_model_of_which_nothing_trains_is_refused(tiny):
    class NoParts(type(tiny.family)):
        def parts(self, model):
            return {"vision": super().parts(model)["vision"]}

    with pytest.raises(TrifacetError, match="nothing would be trained"):
        choose_trained(tiny.model, NoParts(tiny.processor, tiny.model.config), train_vision=False, lora=None)


def test_all_that_trains_over_a_bfloat16_base_is_float32(world, tiny_folder):
    _, batch = batch_of(recipe_of("unused", world, tiny_folder), "mcm", tiny_folder)
    loaded = load_model(tiny_folder, dtype="bfloat16")
    model, _ = choose_trained(loaded.model, loaded.family, train_vision=True, lora=LORA)
    assert {weight.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}
    scorer = TrieScorer(model, loaded.family, mixed_precision=True).eval()
    with torch.no_grad():
        policy = scorer(batch)
        with model.disable_adapter():
            reference = scorer(batch)
    assert (policy - reference).abs().max() < 0.02 * reference.abs().max()  # the vision copy adds up in float32
    scorer(batch).sum().backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)
