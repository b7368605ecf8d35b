"""Adapters over weights of four bits: what is trained, written with, merged and trained on is one model."""

import json

import pytest

pytest.importorskip("bitsandbytes", reason="pip install 'trifacet[four-bit]'")

import torch
from searching import some
from small_runs import STAGE, recipe_of
from tiny_families import MAKERS

from trifacet.base.errors import TrifacetError
from trifacet.engine.family import core
from trifacet.models.adapters import ADAPTER_WEIGHTS
from trifacet.models.asking import WayOfAsking
from trifacet.models.loading import load_model, save_model
from trifacet.models.paradigms import LoraSettings, choose_trained
from trifacet.models.settings import Model
from trifacet.training.outcome import CHECKED

LORA = {"rank": 4}
TOKENS = torch.arange(7, 19)[None]


def logits_of(loaded):
    with torch.no_grad():
        return core(loaded.model)(input_ids=TOKENS.to(loaded.model.device)).logits.float()


@pytest.mark.parametrize("name", some(MAKERS, "llava"))
def test_an_adapter_is_merged_into_the_weights_that_it_was_trained_over(name, tmp_path):
    folder = MAKERS[name](tmp_path / "base", ["A red gate in our garden.", "Write alt-text"])
    whole, held = load_model(folder), load_model(folder, four_bit=True)
    assert not torch.allclose(logits_of(whole), logits_of(held), atol=1e-4)  # rounded, to something
    lora = LoraSettings(4, 8.0, 0.0, r".*(language_model|text_model).*\.(q|k|v|o|gate|up|down)_proj")
    model, table = choose_trained(held.model, held.family, train_vision=False, lora=lora)
    assert {row.part: row.how for row in table} == {"vision": "frozen", "projector": "full", "language": "LoRA"}
    for key, weight in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(weight, std=0.3)
    held.model = model.eval()
    save_model(model, held.processor, tmp_path / "adapter", WayOfAsking(four_bit="float32"))
    trained = logits_of(held)
    assert not torch.allclose(trained, logits_of(load_model(folder, four_bit=True)), atol=1e-3)
    for options in ({}, {"four_bit": True, "merge": False}):
        torch.testing.assert_close(logits_of(load_model(tmp_path / "adapter", **options)), trained, atol=1e-4, rtol=0)
    again = load_model(tmp_path / "adapter", four_bit=True)  # for a second training: rounded once more
    assert again.model.is_loaded_in_4bit
    assert (logits_of(again) - trained).abs().mean() < (logits_of(whole) - trained).abs().mean()


@pytest.mark.endurance
def test_both_stages_train_over_four_bits_and_texts_are_written_with_what_was_trained(tmp_path, world, tiny_folder):
    from trifacet.runs.run import run_recipe

    changes = {
        "model.lora": LORA, "model.four_bit": True, "sft.max_steps": 2, "sft.learning_rate": 1e-2,
        "align.mcm": {**STAGE, "objective": "dpo", "max_steps": 2, "learning_rate": 1e-2},
    }  # fmt: skip
    recipe = recipe_of(tmp_path / "out", world, tiny_folder, changes)
    run_recipe(recipe)
    done = json.loads((tmp_path / "out/models/mcm/done.json").read_text())
    assert done["trained"]["language"] == "LoRA" and "problem" not in done[CHECKED]
    model = tmp_path / "out/models/mcm/model"
    assert (model / ADAPTER_WEIGHTS).is_file()
    assert json.loads((model / "trifacet.json").read_text())["four_bit"] == "float32"


@pytest.mark.parametrize("more", [{}, {"lora": LORA, "mixed_precision": True}])
def test_four_bits_are_for_what_lies_under_adapters(more):
    with pytest.raises(ValueError, match="holds frozen weights under adapters"):
        Model(path="x", four_bit=True, **more)


def test_without_the_package_one_line_names_it(monkeypatch, tiny_folder):
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(TrifacetError, match=r"model.four_bit needs bitsandbytes.*pip install 'trifacet\[four-bit\]'"):
        load_model(tiny_folder, four_bit=True)
