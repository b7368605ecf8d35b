"""Attention shares: those of the plain model's own weights, in every family; token shares where it is uniform."""

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_families import MAKERS, llava, load_copy
from transformers import AutoModelForImageTextToText, MistralConfig

from trifacet.data.records import TestSample
from trifacet.engine import watching as watching_module
from trifacet.engine.encode import SampleEncoder
from trifacet.models.loading import load_model
from trifacet.probing.attention import masses_of, shares_of, watching
from trifacet.probing.forcing import CONTEXT, FIRST, GROUPS, IMAGE, PROMPT, RESPONSE, feature_id, force, hidden_states

PROMPT_TEXT, LABEL = "Write alt-text.", "Context:"
TEXT = "A cat on two mats."


def encoder_of(family, max_length=2048):
    return SampleEncoder(family, prompt=PROMPT_TEXT, context_label=LABEL, max_length=max_length)


def plain_inputs(processor, pictures, context, response):
    """What the processor makes of pictures and texts by itself."""
    request = f"{PROMPT_TEXT}\n{LABEL}\n{context}" if context else PROMPT_TEXT
    user = {"role": "user", "content": [{"type": "image"}] * len(pictures) + [{"type": "text", "text": request}]}
    answer = {"role": "assistant", "content": [{"type": "text", "text": response}]}
    text = processor.apply_chat_template([user, answer], tokenize=False).rstrip()
    bos = processor.tokenizer.bos_token
    return processor(
        images=[pictures] if pictures else None, text=[text], return_tensors="pt",
        add_special_tokens=not (bos and text.startswith(bos)),
    )  # fmt: skip


def naive_masses(folder, processor, pictures, context, response, forced):
    """The same sums from all weights of the released classes."""
    plain = AutoModelForImageTextToText.from_pretrained(folder, attn_implementation="eager").eval()
    inputs = plain_inputs(processor, pictures, context, response)
    assert inputs["input_ids"][0].tolist() == forced.path.tokens_L.tolist()
    with torch.no_grad():
        weights = plain(**inputs, output_attentions=True).attentions
    of_words = [layer[0][:, torch.from_numpy(forced.words_at)].mean((0, 1)).numpy() for layer in weights]
    return np.array([[mass_N[forced.groups_L == group].sum() for group in range(len(GROUPS))] for mass_N in of_words])


def watched(loaded, forced):
    with watching(loaded.model, forced) as watch:
        hidden_states(loaded.model, loaded.family, forced)
    return masses_of(watch)


@pytest.fixture(params=MAKERS)
def family_folder(request, family_folders):
    return family_folders(request.param)


@pytest.mark.parametrize("shown", [1, 2, 0])
def test_masses_are_those_of_the_plain_models_own_weights(family_folder, posts, photos, shown, monkeypatch):
    monkeypatch.setattr(watching_module, "WEIGHTS_AT_ONCE", 500)  # a word or two at a time
    loaded = load_copy(family_folder)
    pictures = [Image.open(photos / f"{number}.png") for number in range(1, 1 + shown)]
    sample = TestSample(id="a", context=posts[0].context if shown != 2 else "")
    images = [loaded.family.read(picture) for picture in pictures]
    forced = force(encoder_of(loaded.family), sample, TEXT, images, feature_id(loaded.model))
    masses = watched(loaded, forced)
    expected = naive_masses(family_folder, loaded.processor, pictures, sample.context, TEXT, forced)
    assert np.abs(masses.sum(axis=1) - 1).max() < 1e-5
    assert np.abs(masses - expected).max() < 1e-5
    shares = shares_of(masses, forced)
    assert np.allclose(shares.shares_Y4.sum(axis=1), 1)
    assert shares.tokens_4.sum() == pytest.approx(1)
    assert (shares.tokens_4[IMAGE] > 0) == bool(shown)
    assert (shares.tokens_4[CONTEXT] > 0) == (shown != 2)
    assert loaded.model.config.get_text_config()._attn_implementation == "sdpa"  # as it was


def test_every_token_is_in_its_group(family_folder, posts, photos):
    loaded = load_copy(family_folder)
    family, tokenizer = loaded.family, loaded.processor.tokenizer
    image = family.read(Image.open(photos / "1.png"))
    sample = TestSample(id="a", image="1.png", context=f"  {TEXT} {posts[0].context}\nthe end  ")
    forced = force(encoder_of(family), sample, TEXT, [image], feature_id(loaded.model))
    with torch.no_grad():
        features = family.features(loaded.model, **family.collate([image]))[0]
    embedded = features[0] if family.name == "qwen3_vl" else features.flatten(0, -2)  # less what later layers get
    assert (forced.groups_L == IMAGE).sum() == len(embedded)  # one token per feature, no marker around them
    said = {group: tokenizer.decode(forced.path.tokens_L[forced.groups_L == group]) for group in range(len(GROUPS))}
    assert said[CONTEXT].strip() == sample.context.strip()
    assert said[RESPONSE].strip().startswith(TEXT)
    assert LABEL in said[PROMPT]
    assert PROMPT_TEXT in said[PROMPT]
    assert (forced.groups_L == FIRST).sum() == 1
    assert tokenizer.decode(forced.path.tokens_L[forced.words_at]).strip() == TEXT


def test_of_an_over_long_post_the_part_that_is_shown_counts(tiny, posts, photos):
    image = tiny.family.read(Image.open(photos / "0.png"))
    sample = TestSample(id="a", image="0.png", context=f"{posts[0].context} " * 20)
    whole = force(encoder_of(tiny.family), sample, TEXT, [image], feature_id(tiny.model))
    length = len(whole.path.tokens_L) - 60
    cut = force(encoder_of(tiny.family, length), sample, TEXT, [image], feature_id(tiny.model))
    assert length - 5 <= len(cut.path.tokens_L) <= length
    shown = tiny.processor.tokenizer.decode(cut.path.tokens_L[cut.groups_L == CONTEXT]).strip()
    assert sample.context.startswith(shown)
    assert (cut.groups_L == PROMPT).sum() == (whole.groups_L == PROMPT).sum()


@pytest.mark.parametrize("name", ["llava", "qwen2_vl", "idefics3"])
def test_attention_that_is_uniform_gives_the_token_shares(name, family_folders, posts, photos):
    loaded = load_copy(family_folders(name))
    with torch.no_grad():
        for key, weight in loaded.model.named_parameters():
            if "q_proj" in key:
                weight.zero_()
    image = loaded.family.read(Image.open(photos / "1.png"))
    sample = TestSample(id="a", image="1.png", context=posts[0].context)
    forced = force(encoder_of(loaded.family), sample, TEXT, [image], feature_id(loaded.model))
    shares = shares_of(watched(loaded, forced), forced)
    assert np.allclose(shares.shares_Y4, shares.tokens_4, atol=1e-6)
    before = forced.path.response_start
    within = np.mean([(at - before + 1) / (at + 1) for at in forced.words_at])
    assert np.allclose(shares.response_Y, within, atol=1e-6)


@pytest.mark.parametrize("window", [8, 40])
def test_windows_are_kept_and_an_answer_that_fills_one_has_no_shares(window, tmp_path, posts, photos):
    folder = llava(tmp_path / "model", [posts[0].context], MistralConfig, sliding_window=window)
    loaded = load_model(folder)
    picture = Image.open(photos / "0.png")
    sample = TestSample(id="a", image="0.png", context=posts[0].context)
    text = TEXT if window == 40 else "cat"
    forced = force(encoder_of(loaded.family), sample, text, [loaded.family.read(picture)], feature_id(loaded.model))
    masses = watched(loaded, forced)
    expected = naive_masses(folder, loaded.processor, [picture], sample.context, text, forced)
    assert np.abs(masses - expected).max() < 1e-5
    filled = shares_of(np.array([[0, 0, 0, 0, 1.0], [0.2, 0, 0.2, 0, 0.6]]), forced)
    assert np.isnan(filled.shares_Y4[0]).all()
    assert filled.mean_4.tolist() == [0.5, 0, 0.5, 0]


def test_watching_changes_nothing(tiny, posts, photos):
    image = tiny.family.read(Image.open(photos / "0.png"))
    sample = TestSample(id="a", image="0.png", context=posts[0].context)
    forced = force(encoder_of(tiny.family), sample, TEXT, [image], feature_id(tiny.model))
    alone = hidden_states(tiny.model, tiny.family, forced)
    with watching(tiny.model, forced):
        assert torch.equal(hidden_states(tiny.model, tiny.family, forced), alone)
    assert torch.equal(hidden_states(tiny.model, tiny.family, forced), alone)
