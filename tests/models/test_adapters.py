"""An adapter reaches the model it is for with every tensor, or is refused; merged, it is the model that was trained."""

import copy
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from searching import searched
from tiny_adapters import FILE, adapt, base_of, check, edit, logits
from tiny_families import load_copy

from trifacet.base.errors import TrifacetError
from trifacet.engine.encode import SampleEncoder
from trifacet.models.adapters import put_on
from trifacet.models.loading import load_model, load_processor, save_model
from trifacet.models.paradigms import LoraSettings, choose_trained

pytestmark = pytest.mark.filterwarnings("ignore")  # PEFT's, of tied embeddings and settings that say nothing


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_merged_is_unmerged_whatever_is_adapted(tied, family_folders, tmp_path):
    base = base_of(family_folders("qwen2_vl"), tied)

    @given(
        st.sets(st.sampled_from(["lm_head", "embed_tokens", "q_proj", "v_proj", "gate_proj", "proj"]), min_size=1),
        st.sampled_from(
            [
                {},
                {"use_dora": True},
                {"use_rslora": True, "bias": "all"},
                {"bias": "lora_only"},
                {"ensure_weight_tying": True},
                {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {r"layers\.1\..*proj": 32}},
                {"trainable_token_indices": [5, 7, 9]},
                {"trainable_token_indices": {"embed_tokens": [5, 6], "lm_head": [41]}},
                {"modules_to_save": ["lm_head", "norm"]},
                {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
            ]
        ),
    )
    @searched(4)
    def holds(targets, others):
        if others.keys() & {"trainable_token_indices", "modules_to_save"}:
            targets = targets - {"lm_head", "embed_tokens"} or {"q_proj"}  # PEFT takes a layer once
        folder = tmp_path / "adapter"
        shutil.rmtree(folder, ignore_errors=True)
        check(base, folder, logits(adapt(base, folder, target_modules=sorted(targets), **others)))

    holds()


@pytest.mark.parametrize("targets", ["lm_head", "embed_tokens"])
def test_what_a_run_trains_on_tied_embeddings_is_saved_loaded_and_saved_whole(targets, family_folders, tmp_path):
    start = load_copy(family_folders("gemma3"))
    settings = LoraSettings(rank=4, alpha=8, dropout=0.0, targets=rf".*({targets}|q_proj)|{targets}")
    trained, _ = choose_trained(start.model, start.family, train_vision=False, lora=settings)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in trained.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight), alpha=0.05)
    save_model(trained, start.processor, tmp_path / "adapter")
    loaded = load_model(tmp_path / "adapter")
    save_model(loaded.model, loaded.processor, tmp_path / "whole")
    assert torch.equal(logits(load_model(tmp_path / "whole").model), logits(loaded.model))
    torch.testing.assert_close(logits(loaded.model), logits(trained), atol=1e-3, rtol=1e-3)


def half(weights):
    for key in sorted(weights)[::2]:
        del weights[key]


def foreign(weights):
    weights["base_model.model.model.language_model.layers.9.self_attn.q_proj.lora_A.weight"] = torch.ones(4, 48)


def not_asked(weights):
    for key in sorted(weights):
        weights[key.replace("q_proj", "k_proj")] = weights[key][: 4 if "lora_A" in key else 24].clone()


def shaped(weights):
    for key in weights:
        weights[key] = weights[key][:2].clone() if "lora_A" in key else weights[key][:, :2].clone()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (half, r"lacks model\.language_model\.layers\.0\.self_attn\.q_proj\.lora_A\S* "),
        (foreign, r"has \S*layers\.9\.self_attn\.q_proj\.lora_A \(1\)"),
        (not_asked, r"has \S*layers\.0\.self_attn\.k_proj\.lora_A, \S* \(2\), for which adapter_config\.json does not"),
        (shaped, r"has \S*lora_A.weight, .* \(4\), of another shape"),
        (lambda weights: weights.clear(), "has no tensors lora_A and lora_B"),
    ],
)
def test_keys_that_are_missing_or_left_over_are_named(change, message, family_folders, tmp_path):
    base = base_of(family_folders("qwen2_vl"))
    adapt(base, tmp_path, target_modules=r".*language_model.*q_proj")
    weights = load_file(tmp_path / FILE)
    change(weights)
    save_file(weights, tmp_path / FILE)
    with pytest.raises(TrifacetError, match=rf"^\S+adapter_model\.safetensors: {message}[^\n]*$"):
        put_on(base, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3'; only LORA"),
        ({"target_parameters": ["experts.up_proj"]}, "target_parameters is not read"),
        ({"modules_to_save": ["lm_head"]}, r"lacks lm_head\.weight \(1\), for which adapter_config\.json asks"),
        ({"bias": "lora_only"}, r"lacks \S*q_proj\.\S*bias"),
    ],
)
def test_settings_that_the_weights_do_not_have_are_named(settings, message, family_folders, tmp_path):
    base = base_of(family_folders("qwen2_vl"))
    adapt(base, tmp_path, target_modules=r".*language_model.*q_proj")
    edit(tmp_path, lambda config: config.update(settings))
    with pytest.raises(TrifacetError, match=message):
        put_on(base, tmp_path)


def test_a_pickle_is_refused_before_it_is_read(family_folders, tmp_path):
    base = base_of(family_folders("qwen2_vl"))
    adapt(base, tmp_path, target_modules=["q_proj"])
    torch.save(load_file(tmp_path / FILE), tmp_path / "adapter_model.bin")
    (tmp_path / FILE).unlink()
    with pytest.raises(TrifacetError, match=r"has no adapter_model\.safetensors; convert the adapter"):
        put_on(base, tmp_path)


@pytest.fixture
def adapter(family_folders, tmp_path):
    """An adapter of Qwen2-VL that has nothing of a processor."""
    base = family_folders("qwen2_vl")
    model = base_of(base)
    model.name_or_path = str(base)
    adapt(model, tmp_path / "adapter", target_modules=["q_proj"])
    edit(tmp_path / "adapter", lambda config: config.update(base_model_name_or_path=str(base)))
    return tmp_path / "adapter"


def rendered(family):
    return SampleEncoder(family, prompt="Write.", context_label="Context:", max_length=999).rendered(None, "A post.")


def test_an_adapters_own_template_and_picture_bounds_are_used(adapter, family_folders):
    base = load_processor(family_folders("qwen2_vl"))
    assert rendered(load_processor(adapter)) == rendered(base)
    template = base.processor.chat_template.replace("You are a helpful assistant.", "You write alt-text.")
    (adapter / "chat_template.jinja").write_text(template)
    images = copy.deepcopy(base.processor.image_processor)
    images.size = {"shortest_edge": 256, "longest_edge": 512}
    images.save_pretrained(adapter)
    for own in (load_processor(adapter), load_model(adapter).family):
        assert "You write alt-text." in rendered(own)
        assert own.processor.image_processor.size["longest_edge"] == 512
    assert load_processor(family_folders("qwen2_vl")).processor.image_processor.size["longest_edge"] != 512


def test_an_adapters_own_tokenizer_is_used_or_its_conflict_named(adapter, family_folders):
    base = family_folders("qwen2_vl")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / name, adapter / name)
    edit(adapter, lambda config: config.update(chat_template="{{ messages[0]['content'] }}"), "tokenizer_config.json")
    with pytest.raises(TrifacetError, match="chat template"):
        load_processor(adapter)
    edit(adapter, lambda config: config.pop("chat_template"), "tokenizer_config.json")
    assert rendered(load_processor(adapter)) == rendered(load_processor(base))

    def swap(whole):
        vocabulary = whole["model"]["vocab"]
        vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]

    edit(adapter, swap, "tokenizer.json")
    with pytest.raises(TrifacetError, match=r"adapter: its tokenizer gives '[ab]' the id \d+, and its base's gives"):
        load_processor(adapter)


def test_an_adapter_of_the_hub_is_one_too(adapter, tmp_path, monkeypatch):
    """As the hub's cache holds it: no network is asked in the tests."""
    store = tmp_path / "hub" / "models--some--adapter"
    shutil.copytree(adapter, store / "snapshots" / "0123abc")
    (store / "refs").mkdir()
    (store / "refs" / "main").write_text("0123abc")
    for place in ("huggingface_hub.constants.HF_HUB_CACHE", "transformers.utils.hub.constants.HF_HUB_CACHE"):
        monkeypatch.setattr(place, str(tmp_path / "hub"))
    assert torch.equal(logits(load_model("some/adapter").model), logits(load_model(adapter).model))
