"""Where the policy looks: maps equal the plain model's own gradients and weights, and lie where the picture does."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from searching import some
from tiny_families import MAKERS, load_copy
from transformers import AutoModelForImageTextToText

from trifacet.base.errors import TrifacetError
from trifacet.data.records import PreferenceSample
from trifacet.engine.encode import Asked
from trifacet.models.asking import WayOfAsking
from trifacet.models.base import PictureGrid
from trifacet.preferences.facets import Cell
from trifacet.regions.locators.attention import Attention, enlarged, largest
from trifacet.regions.locators.opening import open_locator
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.regions.looking import KeyWord, Look

GRIDS = ("llava", "llava_next", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma3")
OTHERS = sorted(set(MAKERS) - set(GRIDS))
PROMPT, LABEL, CONTEXT = "Write alt-text.", "Context:", "Two cats and a house."
RESPONSE = " A cat on two mats. The cat sleeps.\n"
CAT = KeyWord("cat", 1.0, ((3, 6), (24, 27)))
MATS = KeyWord("two mats", 0.5, ((10, 18),))
NOWHERE = KeyWord("dog", 0.1, ())
ASKING = WayOfAsking(prompt=PROMPT, context_label=LABEL, image_tiles="any")


def open_tiny(folder, **settings):
    settings = LocatorSettings(name="attention", model=str(folder), device="cpu", **settings)
    return open_locator(settings, asking=ASKING)


def picture_of(width=60, height=40, seed=0):
    colours = np.random.default_rng(seed).integers(0, 255, (height // 4, width // 4, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((width, height))


def look_at(picture, *words, response=RESPONSE):
    return Look(PreferenceSample(id="a", image="a.png", context=CONTEXT, response=response), picture, words, 0)


def plain_inputs(locator, picture):
    """What the processor makes of picture and texts by itself."""
    request = f"{PROMPT}\n{LABEL}\n{CONTEXT}"
    user = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": request}]}
    answer = {"role": "assistant", "content": [{"type": "text", "text": RESPONSE.strip()}]}
    processor = locator.family.processor
    text = processor.apply_chat_template([user, answer], tokenize=False).rstrip()
    bos = processor.tokenizer.bos_token
    return processor(
        images=[[picture]], text=[text], return_tensors="pt",
        add_special_tokens=not (bos and text.startswith(bos)),
    )  # fmt: skip


def places_of(locator, ids, word):
    """Places of the tokens in the sequence that hold a character of the word, by decoding what stands before each."""
    tokenizer = locator.family.processor.tokenizer
    whole = tokenizer.decode(ids)
    answer = whole.rindex(RESPONSE.strip())
    spans = [(answer + start - 1, answer + stop - 1) for start, stop in word.spans]  # RESPONSE begins with a blank
    ends = [len(tokenizer.decode(ids[: at + 1])) for at in range(len(ids))]
    begins = [0, *ends[:-1]]
    return [
        at
        for at, (begin, end) in enumerate(zip(begins, ends, strict=True))
        if any(begin < stop and end > start for start, stop in spans)
    ]


@pytest.mark.parametrize("size", [(60, 40), (32, 64)])
@pytest.mark.parametrize("name", some(GRIDS, "llava", "llava_next", "qwen2_vl", "gemma3"))
def test_features_stand_where_the_grid_says(name, size, family_folders):
    """Of what is painted into the picture, the feature at its place knows most."""
    family_model = load_copy(family_folders(name))
    family, model = family_model.family, family_model.model

    def features_of(picture):
        with torch.no_grad():
            (features,) = family.features(model, **family.collate([family.read(picture)]))
        return features.reshape(-1, *features.shape[-2:])[0]  # of Qwen3-VL what the first layer reads

    picture = picture_of(*size)
    grid = family.picture_grid(family.read(picture), size)
    before_Fd = features_of(picture)
    left, upper, right, lower = grid.box
    hits = 0
    spots = [(0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8), (0.5, 0.5)]
    for across, down in spots:
        x, y = int(across * size[0]), int(down * size[1])
        painted = picture.copy()
        painted.paste((255, 0, 255), (x - 3, y - 3, x + 4, y + 4))
        changes_F = (features_of(painted) - before_Fd).norm(dim=-1)
        changes_hw = changes_F[grid.start : grid.start + grid.rows * grid.columns].reshape(grid.rows, grid.columns)
        row, column = divmod(int(changes_hw.argmax()), grid.columns)
        expected = left + across * (right - left), upper + down * (lower - upper)
        hits += abs(column + 0.5 - expected[0]) <= 1.01 and abs(row + 0.5 - expected[1]) <= 1.01
    assert hits >= len(spots) - 1


@pytest.mark.parametrize("name", some(GRIDS, "llava", "qwen2_vl"))
def test_tokens_of_the_answer_hold_the_characters_that_are_said(name, family_folders):
    locator = open_tiny(family_folders(name))
    image = locator.family.read(picture_of())
    (path,), _ = locator.encoder.paths(Asked(), [CONTEXT], [RESPONSE], [image], [[0]], [Cell()])
    spans_R2 = locator.encoder.response_spans(Asked(), RESPONSE)
    assert len(spans_R2) == len(path.tokens_L) - path.response_start
    assert spans_R2[-1].tolist() == [0, 0]  # the end of the answer
    assert "".join(RESPONSE[start:stop] for start, stop in spans_R2).strip() == RESPONSE.strip()
    tokenizer = locator.family.processor.tokenizer
    for (start, stop), token in zip(spans_R2, path.tokens_L[path.response_start :], strict=True):
        if stop > start:
            assert tokenizer.decode([token]).strip() == RESPONSE[start:stop].strip()
    broken = f"A cat {tokenizer.eos_token} sleeps."
    assert not locator.encoder.response_spans(Asked(), broken).any()


@pytest.mark.parametrize("name", some(["llava", "qwen2_vl", "gemma3"], "llava", "qwen2_vl"))
def test_gradient_maps_are_those_of_plain_autograd(name, family_folders):
    locator, picture = open_tiny(family_folders(name), by="gradient"), picture_of()
    plain = AutoModelForImageTextToText.from_pretrained(family_folders(name), attn_implementation="eager").eval()
    inputs = plain_inputs(locator, picture)
    ids = inputs["input_ids"][0]
    made = locator.maps(look_at(picture, CAT, MATS, NOWHERE), locator.family.read(picture))
    assert list(made) == ["cat", "two mats"]
    kept = []
    module = plain.model.visual.merger if name == "qwen2_vl" else plain.model.multi_modal_projector

    def keep(module, arguments, output):
        leaf = output.detach().requires_grad_()
        kept.append(leaf)
        return leaf

    module.register_forward_hook(keep)
    for word in (CAT, MATS):
        kept.clear()
        logps = plain(**inputs).logits[0].log_softmax(-1)
        said = sum(logps[at - 1, ids[at]] for at in places_of(locator, ids, word))
        said.backward()
        (leaf,) = kept
        expected = leaf.grad.norm(dim=-1).flatten().numpy()
        assert expected.max() > 0
        assert np.allclose(made[word.text], expected, rtol=1e-3, atol=1e-4 * expected.max())


@pytest.mark.parametrize("name", some(["llava", "qwen2_vl", "qwen3_vl", "gemma3"], "llava", "qwen2_vl"))
def test_attention_maps_are_those_of_the_plain_models_weights(name, family_folders):
    locator, picture = open_tiny(family_folders(name), by="attention"), picture_of()
    plain = AutoModelForImageTextToText.from_pretrained(family_folders(name), attn_implementation="eager").eval()
    inputs = plain_inputs(locator, picture)
    ids = inputs["input_ids"][0]
    with torch.no_grad():
        weights = torch.stack(plain(**inputs, output_attentions=True).attentions)[:, 0].mean((0, 1))
    seen = weights[:, ids == plain.config.image_token_id].numpy()
    answer = KeyWord("", 1.0, ((1, len(RESPONSE) - 1),))
    every = seen[[at - 1 for at in places_of(locator, ids, answer)]].mean(0)
    made = locator.maps(look_at(picture, CAT, MATS), locator.family.read(picture))
    for word in (CAT, MATS):
        own = seen[[at - 1 for at in places_of(locator, ids, word)]].mean(0)
        assert np.allclose(made[word.text], (own - every).clip(min=0), atol=1e-6)
    assert locator.model.config.get_text_config()._attn_implementation == "sdpa"  # as it was


@pytest.mark.parametrize("by", ["gradient", "attention"])
def test_a_words_map_does_not_depend_on_the_other_words(by, tiny_folder):
    locator, picture = open_tiny(tiny_folder, by=by), picture_of()
    image = locator.family.read(picture)
    together = locator.maps(look_at(picture, CAT, MATS), image)
    for word in (CAT, MATS):
        assert np.allclose(locator.maps(look_at(picture, word), image)[word.text], together[word.text], atol=1e-9)


@pytest.mark.parametrize("name", some(GRIDS, "llava_next"))
@pytest.mark.parametrize("by", ["gradient", "attention"])
def test_regions_are_the_share_of_the_picture_asked_for(name, by, family_folders):
    locator = open_tiny(family_folders(name), by=by, share=0.3)
    for size in [(60, 40), (40, 90)]:
        for region in locator.locate(look_at(picture_of(*size), CAT, MATS)):
            assert region.mask.shape == size[::-1]
            assert region.mask.mean() == pytest.approx(0.3, abs=0.01)
            assert 0 < region.score <= 1
    assert open_tiny(family_folders(name), by=by, threshold=1.0).locate(look_at(picture_of(), CAT)) == []


def test_a_map_that_is_planted_comes_out_where_it_was_planted(tiny_folder, monkeypatch):
    """One feature alone matters: the region lies in its cell of the padded square."""
    locator, size = open_tiny(tiny_folder, share=0.02), (60, 40)
    picture = picture_of(*size)
    grid = locator.family.picture_grid(locator.family.read(picture), size)
    side = grid.columns
    planted = np.zeros(side * side)
    planted[2 * side + 3] = 1.0  # row 2, column 3 of 4 x 4: pixels 45 to 60 across, 20 to 35 less 10 of padding down
    monkeypatch.setattr(locator, "maps", lambda look, image: {"cat": planted})
    (region,) = locator.locate(look_at(picture, CAT))
    rows, columns = np.nonzero(region.mask)
    assert side == 4
    assert columns.min() >= 45
    assert rows.min() >= 20
    assert rows.max() < 35


def test_what_has_no_tokens_is_not_found(tiny_folder):
    locator, blank = open_tiny(tiny_folder), KeyWord("blank", 1.0, ((len(RESPONSE) - 1, len(RESPONSE)),))
    assert locator.locate(look_at(picture_of(), NOWHERE, blank)) == []
    assert locator.locate(look_at(picture_of())) == []
    assert locator.locate(look_at(picture_of(), CAT, response="A </s> cat sleeps on it all day long.")) == []


@pytest.mark.parametrize("by", ["gradient", "attention"])
def test_the_picture_is_encoded_once_however_many_words(by, tiny_folder):
    locator, calls = open_tiny(tiny_folder, by=by), []
    locator.model.model.vision_tower.register_forward_hook(lambda *_: calls.append(1))
    words = [KeyWord(str(at), 1.0, ((at, at + 2),)) for at in range(1, 17)]
    assert len(locator.maps(look_at(picture_of(), *words), locator.family.read(picture_of()))) == len(words)
    assert calls == [1]


def test_fingerprints_tell_how_the_policy_is_asked(tiny_folder):
    settings = LocatorSettings(name="attention", model=str(tiny_folder), device="cpu")
    prints = [
        json.dumps(Attention(changed, asking).fingerprint())
        for changed, asking in [
            (settings, ASKING),
            (settings, ASKING.model_copy(update={"prompt": "Say."})),
            (settings.model_copy(update={"by": "gradient"}), ASKING),
            (settings.model_copy(update={"share": 0.5}), ASKING),
        ]
    ]
    assert len(set(prints)) == 4
    assert json.dumps(Attention(settings, ASKING).fingerprint()) == prints[0]


@pytest.mark.parametrize("name", some(OTHERS, "internvl"))
def test_a_family_whose_grid_is_not_known_is_refused(name, family_folders):
    with pytest.raises(TrifacetError, match="does not know where in the picture"):
        open_tiny(family_folders(name))


def test_the_policy_is_the_runs_own_unless_another_is_named(tiny_folder):
    locator = open_locator(LocatorSettings(name="attention", device="cpu"), policy=str(tiny_folder), asking=ASKING)
    assert locator.name == "attention"
    with pytest.raises(TrifacetError, match=r"regions\.locator\.model"):
        open_locator(LocatorSettings(name="attention"))


def test_a_map_is_enlarged_without_the_padding():
    grid = PictureGrid(0, 2, 2, (0.0, 0.5, 2.0, 1.5))
    large = enlarged(np.array([[1.0, 0.0], [0.0, 0.0]]), grid, (8, 4))
    assert large.shape == (4, 8)
    assert large[0, 0] == large.max()
    assert (np.diff(large, axis=0) <= 0).all()
    assert (np.diff(large, axis=1) <= 0).all()
    assert large[-1].max() < 0.2


def test_the_largest_values_are_taken_and_of_equal_ones_the_first():
    mask = largest(np.array([[1, 3, 3], [3, 0, 2]], np.float32), 0.34)
    assert mask.tolist() == [[False, True, True], [False, False, False]]
    assert largest(np.zeros((2, 2), np.float32), 0.0).sum() == 1
    assert largest(np.zeros((2, 2), np.float32), 1.0).all()
