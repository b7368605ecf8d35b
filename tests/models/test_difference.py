"""The comparison of checkpoints says what changed, and by how much, without loading a model."""

import math
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_adapters import adapt, base_of, edit

from trifacet.base.errors import TrifacetError
from trifacet.models.difference import Checkpoint, by_part, compare_checkpoints
from trifacet.models.loading import load_model, save_model
from trifacet.models.paradigms import LoraSettings, choose_trained

SETTINGS = LoraSettings(4, 8, 0.0, r".*language_model.*\.(q|v)_proj")


def copy_of(folder, target, change=None, shards=1):
    target.mkdir()
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (target / file.name).write_bytes(file.read_bytes())
    weights = load_file(folder / "model.safetensors")
    if change:
        change(weights)
    names = sorted(weights)
    for shard in range(shards):
        part = {name: weights[name] for name in names[shard::shards]}
        save_file(part, target / f"model-{shard}.safetensors", metadata={"format": "pt"})
    return target


def test_a_copy_differs_in_nothing_even_in_other_shards(tiny_folder, tmp_path):
    found = compare_checkpoints(tiny_folder, copy_of(tiny_folder, tmp_path / "copy", shards=3))
    assert len(found.changes) == len(load_file(tiny_folder / "model.safetensors"))
    assert (found.changed, found.relative, found.only_base, found.only_aligned) == ([], 0.0, [], [])


def test_what_changed_is_named_and_measured(tiny_folder, tmp_path):
    name = "multi_modal_projector.linear_1.weight"

    def change(weights):
        weights[name] = weights[name].clone()
        weights[name][0, 0] += 0.5

    found = compare_checkpoints(tiny_folder, copy_of(tiny_folder, tmp_path / "other", change))
    (one,) = found.changed
    before = load_file(tiny_folder / "model.safetensors")[name]
    assert one.name == name
    assert one.largest == pytest.approx(0.5)
    assert one.moved == pytest.approx(1 / before.numel())
    assert one.relative == pytest.approx(0.5 / before.norm().item(), rel=1e-5)
    assert 0 < found.relative < one.relative
    parts = {part: (changed, weights) for part, changed, weights, *_ in by_part(found.changes)}
    assert parts[name] == (1, 1)
    assert parts["language_model.layers.*.mlp.up_proj.weight"] == (0, 2)


def test_rounding_to_a_narrower_type_is_no_change(tiny_folder, tmp_path):
    def narrow(weights):
        for name, weight in weights.items():
            weights[name] = weight.bfloat16()

    assert compare_checkpoints(tiny_folder, copy_of(tiny_folder, tmp_path / "narrow", narrow)).changed == []


def test_names_and_shapes_that_do_not_match_are_said(tiny_folder, tmp_path):
    def change(weights):
        weights["extra.weight"] = weights.pop("multi_modal_projector.linear_1.bias")
        weights["language_model.model.norm.weight"] = torch.zeros(3)

    found = compare_checkpoints(tiny_folder, copy_of(tiny_folder, tmp_path / "odd", change))
    assert found.only_base == ["multi_modal_projector.linear_1.bias"]
    assert found.only_aligned == ["extra.weight"]
    assert [change.name for change in found.changed] == ["language_model.norm.weight"]


@pytest.mark.parametrize("steps", [0, 1, 2], ids=["untrained", "an adapter", "an adapter on an adapter"])
def test_an_adapter_counts_as_the_weights_that_it_makes(tiny_folder, tmp_path, steps):
    folder = tiny_folder
    for number in range(max(steps, 1)):
        loaded = load_model(folder)
        torch.manual_seed(number)
        model, _ = choose_trained(loaded.model, loaded.family, train_vision=False, lora=SETTINGS)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if steps and weight.requires_grad and ("lora_B" in name or "linear_2" in name):
                    weight.add_(0.01 * torch.randn_like(weight))
        folder = tmp_path / f"adapter-{number}"
        save_model(model, loaded.processor, folder)
    found = compare_checkpoints(tiny_folder, folder)
    assert bool(found.changed) == bool(steps)
    merged = load_model(folder).model.state_dict()
    after = Checkpoint(folder)
    for name in after.names():
        torch.testing.assert_close(after.tensor(name).float(), merged[name], rtol=0, atol=1e-6)
    if steps:
        touched = {change.part for change in found.changed}
        assert touched == {
            "language_model.layers.*.self_attn.q_proj.weight", "language_model.layers.*.self_attn.v_proj.weight",
            "multi_modal_projector.linear_2.weight", "multi_modal_projector.linear_2.bias",
        }  # fmt: skip


def test_what_cannot_be_compared_is_one_line(tiny_folder, tmp_path):
    with pytest.raises(TrifacetError, match=r"cannot be loaded as a checkpoint"):
        compare_checkpoints(tiny_folder, tmp_path)
    (tmp_path / "config.json").write_bytes((tiny_folder / "config.json").read_bytes())
    with pytest.raises(TrifacetError, match="holds no safetensors"):
        compare_checkpoints(tiny_folder, tmp_path)
    save_file({"a": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(TrifacetError, match="no weight in common"):
        compare_checkpoints(tiny_folder, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 30)
    with pytest.raises(TrifacetError, match="cannot be loaded as a checkpoint"):
        compare_checkpoints(tiny_folder, tmp_path)


def test_a_base_of_zeros_that_changed_is_infinitely_far(tiny_folder, tmp_path):
    name = "multi_modal_projector.linear_1.bias"
    for folder, value in (("a", 0.0), ("b", 1.0)):
        copy_of(tiny_folder, tmp_path / folder, lambda weights, value=value: weights[name].fill_(value))
    (changed,) = compare_checkpoints(tmp_path / "a", tmp_path / "b").changed
    assert (changed.name, changed.relative) == (name, math.inf)
    still = compare_checkpoints(tmp_path / "a", tmp_path / "a")
    assert still.relative == 0
    assert (name, 0, 1, 0.0, 0.0) in list(by_part(still.changes))


def test_weights_that_are_no_numbers_are_named_and_not_compared(tiny_folder, tmp_path, trifacet):
    def spoil(weights):
        weights["multi_modal_projector.linear_1.bias"][0] = math.nan

    spoilt = copy_of(tiny_folder, tmp_path / "spoilt", spoil)
    code, out, err = trifacet("diff", tiny_folder, spoilt)
    assert (code, out) == (2, "")
    assert "model-0.safetensors: weight multi_modal_projector.linear_1.bias holds NaN" in err
    copy_of(tiny_folder, tmp_path / "whole", lambda weights: weights.update(extra=torch.ones(2, dtype=torch.int32)))
    with pytest.raises(TrifacetError, match="weight extra has the type I32"):
        compare_checkpoints(tiny_folder, tmp_path / "whole")


def test_an_untrained_adapter_changes_nothing_however_its_base_is_tied(family_folders, tmp_path):
    start = shutil.copytree(family_folders("qwen2_vl"), tmp_path / "start")
    tied = base_of(start, True)
    tied.save_pretrained(start)
    adapt(tied, tmp_path / "adapter", move=0, target_modules=["q_proj", "lm_head", "embed_tokens"])
    edit(tmp_path / "adapter", lambda config: config.update(base_model_name_or_path=str(start)))
    found = compare_checkpoints(start, tmp_path / "adapter")
    assert (found.changed, found.only_base, found.only_aligned) == ([], [], [])
    assert len(found.changes) == len(load_file(start / "model.safetensors")) + 1  # the head counts by itself
