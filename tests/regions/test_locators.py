"""Locators on tiny random weights of their real classes: equal to transformers' own results, one encoding, any size."""

import json
import shutil

import numpy as np
import pytest
import tiny_locators
import torch
import transformers as hf
from PIL import Image
from safetensors.torch import load_file, save_file
from searching import some

from trifacet.base.errors import TrifacetError
from trifacet.data.records import PreferenceSample
from trifacet.preferences.rejected.masks import box_mask
from trifacet.regions.locators.boxes import Box, best_boxes, cut
from trifacet.regions.locators.checkpoints import PROPORTION, no_thinner
from trifacet.regions.locators.opening import open_locator
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.regions.looking import KeyWord, Look

WORDS = ("red box", "cat", "dog", "blue disc")
BY_WORDS = ("grounding-dino", "owlv2", "clipseg", "sam3")
ENCODERS = {  # the module that sees the picture
    "grounding-dino": "model.backbone",
    "owlv2": "owlv2.vision_model",
    "clipseg": "clip.vision_model",
    "sam3": "vision_encoder",
    "sam": "vision_encoder",
}


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    root, made = tmp_path_factory.mktemp("locators"), {}
    makers = {**tiny_locators.MAKERS, "sam": tiny_locators.sam, "sam3-lite": tiny_locators.sam3_lite}

    def folder(name):
        if name not in made:
            made[name] = str(makers[name](root / name))
        return made[name]

    return folder


@pytest.fixture(scope="module")
def opened(folder_of):
    """A locator by name: each once, but for its settings."""
    locators = {}

    def give(name, **settings):
        key = (name, *sorted(settings.items()))
        if key not in locators:
            given = {"threshold": 0.0, "text_threshold": 0.0, "device": "cpu", **settings}
            given["masks_by"] = folder_of("sam") if given.get("masks_by") else None
            kind = "sam3" if name == "sam3-lite" else name
            locators[key] = open_locator(LocatorSettings(name=kind, model=folder_of(name), **given))
        return locators[key]

    return give


def picture_of(width=64, height=48, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height))


def look_at(picture, words=WORDS, seed=0, name="a"):
    sample = PreferenceSample(id=name, image="a.png", response="a photo of the red box and a cat")
    return Look(sample, picture, tuple(KeyWord(word, 1.0, ((0, len(word)),)) for word in words), seed)


def same(one, other, tolerance=1e-5):
    assert [region.word for region in one] == [region.word for region in other]
    for ours, theirs in zip(one, other, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=tolerance)
        assert (ours.mask != theirs.mask).mean() < 0.01
        assert (ours.box is None) == (theirs.box is None)
        assert ours.box is None or np.allclose(ours.box, theirs.box, atol=1e-3)


# --- whatever the locator --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 48), (1, 1), (400, 3), (3, 400)])
@pytest.mark.parametrize("name", some([*tiny_locators.MAKERS, "grounding-dino+sam", "owlv2+sam", "sam3-lite"],
                                      *tiny_locators.MAKERS, "owlv2+sam"))  # fmt: skip
def test_regions_lie_in_the_picture_whatever_its_size(name, size, opened):
    kind, _, sam = name.partition("+")
    locator = opened(kind, **({"masks_by": "yes"} if sam else {}))
    regions = locator.locate(look_at(picture_of(*size)))
    assert regions or size != (64, 48)  # of a strip all boxes may lie beside it
    for region in regions:
        assert region.mask.dtype == np.bool_
        assert region.mask.shape == size[::-1]
        assert region.mask.any()
        assert 0 <= region.score <= 1
        assert region.word in (*WORDS, "")
        if region.box:
            left, upper, right, lower = region.box
            assert 0 <= left < right <= size[0]
            assert 0 <= upper < lower <= size[1]
            assert box_mask(size, region.box).any()


@pytest.mark.parametrize("name", BY_WORDS)
def test_without_words_nothing_is_found(name, opened):
    assert opened(name).locate(look_at(picture_of(), ())) == []


@pytest.mark.parametrize("name", BY_WORDS)
def test_thresholds_and_count_decide_on_what_is_kept(name, opened):
    found = opened(name).locate(look_at(picture_of()))
    per_word = {word: [region.score for region in found if region.word == word] for word in WORDS}
    assert all(scores == sorted(scores, reverse=True) for scores in per_word.values())
    best = opened(name, keep="best").locate(look_at(picture_of()))
    assert [region.score for region in best] == [scores[0] for scores in per_word.values() if scores]
    top = opened(name, keep="top", top=2).locate(look_at(picture_of()))
    assert len(top) == sum(min(len(scores), 2) for scores in per_word.values())
    assert opened(name, threshold=1.0).locate(look_at(picture_of())) == []


@pytest.mark.parametrize("name", ["owlv2", "clipseg", "sam3"])
def test_a_word_is_found_as_if_it_were_the_only_one(name, opened):
    locator = opened(name)
    together = locator.locate(look_at(picture_of()))
    alone = [region for word in WORDS for region in locator.locate(look_at(picture_of(), (word,)))]
    same(together, alone)


@pytest.mark.parametrize("name", BY_WORDS)
def test_the_picture_is_encoded_once_however_many_words(name, opened):
    locator, calls = opened(name, masks_by="yes") if name in ("grounding-dino", "owlv2") else opened(name), []
    watched = [locator.checkpoint.model.get_submodule(ENCODERS[name])]
    watched += [locator.sam.checkpoint.model.get_submodule(ENCODERS["sam"])] if getattr(locator, "sam", None) else []
    handles = [module.register_forward_hook(lambda module, *_: calls.append(module)) for module in watched]
    words = ["cat", "dog", "box"] if name == "grounding-dino" else [f"cat {number}" for number in range(40)]
    try:
        regions = locator.locate(look_at(picture_of(), words))
    finally:
        for handle in handles:
            handle.remove()
    assert {region.word for region in regions} == set(words)
    assert calls == watched


@pytest.mark.parametrize("name", some(tiny_locators.MAKERS, "clipseg", "lowest-similarity"))
def test_fingerprints_tell_what_regions_depend_on(name, opened, folder_of, tmp_path):
    locator = opened(name)
    before = json.dumps(locator.fingerprint())
    locator.locate(look_at(picture_of()))
    settings = {"threshold": 0.0, "text_threshold": 0.0, "device": "cpu"}
    again = open_locator(LocatorSettings(name=name, model=folder_of(name), **settings))
    assert json.dumps(locator.fingerprint()) == before == json.dumps(again.fingerprint())
    changed = {"draws": 7} if name == "lowest-similarity" else {"threshold": 0.25}
    assert json.dumps(opened(name, **changed).fingerprint()) != before
    assert json.dumps(opened(name, dtype="bfloat16").fingerprint()) != before
    folder = shutil.copytree(folder_of(name), tmp_path / "other")
    weights = load_file(folder / "model.safetensors")
    first = min(key for key, weight in weights.items() if weight.is_floating_point())
    weights[first] = weights[first] + 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    other = open_locator(LocatorSettings(name=name, model=str(folder), **settings))
    assert json.dumps(other.fingerprint()) != before


def test_a_fingerprint_tells_of_sam_and_its_threshold(opened):
    prints = [
        json.dumps(opened("owlv2", **settings).fingerprint())
        for settings in ({}, {"masks_by": "yes"}, {"masks_by": "yes", "mask_threshold": 0.7}, {"phrase": "a {word}"})
    ]
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("name", some(tiny_locators.MAKERS, "clipseg"))
def test_half_precision_finds_about_the_same(name, opened):
    regions = opened(name, dtype="bfloat16").locate(look_at(picture_of()))
    assert regions
    assert all(np.isfinite(region.score) for region in regions)


# --- as transformers' own ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("least", [0.0, 0.3, 0.7])
def test_grounding_dino_finds_what_transformers_own_processor_finds(least, opened, folder_of):
    picture = picture_of()
    processor = hf.GroundingDinoProcessor(
        hf.GroundingDinoImageProcessorPil.from_pretrained(folder_of("grounding-dino")),
        hf.AutoTokenizer.from_pretrained(folder_of("grounding-dino")),
    )
    locator = opened("grounding-dino", threshold=least, text_threshold=0.4)
    inputs = processor(images=picture, text=[list(WORDS)], return_tensors="pt")
    with torch.no_grad():
        output = locator.checkpoint.model(**inputs)
    (theirs,) = processor.post_process_grounded_object_detection(
        output, inputs.input_ids, threshold=least, text_threshold=0.4, target_sizes=[picture.size[::-1]]
    )
    expected = set()
    for corners, label in zip(theirs["boxes"].tolist(), theirs["text_labels"], strict=True):
        inside = cut(corners, picture.size)
        for word in WORDS:
            if inside and set(word.split()) & set(label.split()):  # no two of these words share a token
                expected.add((word, tuple(round(value, 3) for value in inside)))
    ours = {
        (region.word, tuple(round(value, 3) for value in region.box)) for region in locator.locate(look_at(picture))
    }
    assert ours == expected
    assert expected or least


@pytest.mark.parametrize("size", [(64, 48), (30, 60), (3, 64), (64, 3)])
def test_owlv2_finds_what_transformers_own_processor_finds(size, opened, folder_of):
    picture = picture_of(*size)
    processor = hf.Owlv2Processor(
        hf.Owlv2ImageProcessorPil.from_pretrained(folder_of("owlv2")),
        hf.AutoTokenizer.from_pretrained(folder_of("owlv2")),
    )
    locator = opened("owlv2", threshold=0.5)
    for word in WORDS:  # of several words its own rule gives a box to the best one alone
        inputs = processor(text=[[word]], images=picture, return_tensors="pt", padding="max_length", max_length=16)
        with torch.no_grad():
            output = locator.checkpoint.model(**inputs)
        (theirs,) = processor.post_process_grounded_object_detection(
            output, threshold=0.5, target_sizes=[picture.size[::-1]], text_labels=[[word]]
        )
        expected = best_boxes(
            [Box(*found) for found in zip(theirs["scores"].tolist(), theirs["boxes"].tolist(), strict=True)],
            picture.size,
            64,
        )
        ours = locator.locate(look_at(picture, (word,)))
        assert np.allclose([region.box for region in ours], [box.corners for box in expected], atol=1e-3)
        assert np.allclose([region.score for region in ours], [box.score for box in expected], atol=1e-5)
        assert ours or min(size) == 3


def test_owlv2_reads_a_large_picture_reduced(opened):
    """The processor's filter would take it whole; boxes move by less than a pixel of the model's square."""
    locator, picture = opened("owlv2"), picture_of(300, 200)
    small = picture.resize((64, 43), Image.Resampling.BILINEAR)
    for of_large, of_small in zip(locator.boxes(picture, WORDS), locator.boxes(small, WORDS), strict=True):
        corners = [[box.corners for box in boxes] for boxes in (of_large, of_small)]
        assert np.allclose(corners[0], np.array(corners[1]) * 300 / 64, atol=1e-3)


@pytest.mark.parametrize("size", [(64, 48), (30, 70)])
def test_sam_makes_the_masks_of_transformers_own_processor(size, opened, folder_of):
    picture, sam = picture_of(*size), opened("owlv2", masks_by="yes").sam
    boxes = [(5.0, 5.0, 25.0, 30.0), (0.0, 0.0, 12.5, 40.25), (10.0, 2.0, 11.0, 3.0)]
    processor = hf.SamProcessor(hf.SamImageProcessorPil.from_pretrained(folder_of("sam")))
    inputs = processor(picture, input_boxes=[[list(box) for box in boxes]], return_tensors="pt")
    inputs["input_boxes"] = inputs["input_boxes"].float()
    with torch.no_grad():
        output = sam.checkpoint.model(**inputs, multimask_output=False)
    (theirs,) = processor.image_processor.post_process_masks(
        output.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"]
    )
    ours = sam.masks(picture, boxes)
    assert len(ours) == len(boxes)
    for mine, other in zip(ours, theirs[:, 0].numpy(), strict=True):
        assert (mine != other).mean() < 0.002
        assert mine.any()


def test_a_region_by_sam_has_the_mask_of_its_box(opened):
    picture, locator = picture_of(), opened("owlv2", masks_by="yes", keep="best")
    regions = locator.locate(look_at(picture))
    masks = locator.sam.masks(picture, [region.box for region in regions])
    assert all(np.array_equal(region.mask, mask) for region, mask in zip(regions, masks, strict=True))
    plain = opened("owlv2", keep="best").locate(look_at(picture))
    assert [region.box for region in plain] == [region.box for region in regions]
    assert all(np.array_equal(region.mask, box_mask(picture.size, region.box)) for region in plain)


def test_what_sam_sees_nothing_in_keeps_its_box(opened, monkeypatch):
    locator = opened("owlv2", masks_by="yes", keep="best")
    monkeypatch.setattr(locator.sam, "masks", lambda picture, boxes: [np.zeros((48, 64), np.bool_)] * len(boxes))
    for region in locator.locate(look_at(picture_of())):
        assert np.array_equal(region.mask, box_mask((64, 48), region.box))


def test_clipseg_gives_the_maps_of_the_whole_model(opened, folder_of):
    picture = picture_of()
    processor = hf.CLIPSegProcessor(
        hf.ViTImageProcessorPil.from_pretrained(folder_of("clipseg")),
        hf.AutoTokenizer.from_pretrained(folder_of("clipseg")),
    )
    inputs = processor(
        text=list(WORDS), images=[picture] * len(WORDS), return_tensors="pt", padding="max_length", max_length=16
    )
    locator = opened("clipseg", mask_threshold=0.4)
    with torch.no_grad():
        maps = locator.checkpoint.model(**inputs).logits.sigmoid()
    large = torch.nn.functional.interpolate(maps[:, None], size=(48, 64), mode="bilinear", align_corners=False)[:, 0]
    regions = locator.locate(look_at(picture))
    assert [region.word for region in regions] == list(WORDS)
    for region, map_hw, large_hw in zip(regions, maps, large, strict=True):
        assert region.score == pytest.approx(float(map_hw.max()), abs=1e-5)
        assert (region.mask != (large_hw > 0.4).numpy()).mean() < 0.002


@pytest.mark.parametrize("name", some(["sam3", "sam3-lite"], "sam3"))
def test_sam3_finds_what_the_whole_model_finds(name, opened, folder_of):
    """By the documented formula of ``post_process_instance_segmentation``, whose file wants torchvision."""
    picture, locator = picture_of(), opened(name, threshold=0.05)
    tokens = hf.AutoTokenizer.from_pretrained(folder_of(name))
    found = 0
    for word in WORDS:
        text = tokens(word, padding="max_length", max_length=32, return_tensors="pt")
        with torch.no_grad():
            output = locator.checkpoint.model(
                pixel_values=torch.from_numpy(locator.pixel_values(picture)),
                input_ids=text.input_ids,
                attention_mask=text.attention_mask,
            )
        scores = (output.pred_logits.sigmoid() * output.presence_logits.sigmoid())[0]
        kept = torch.nonzero(scores > 0.05)[:, 0].tolist()
        large = torch.nn.functional.interpolate(
            output.pred_masks.sigmoid(), size=(48, 64), mode="bilinear", align_corners=False
        )[0]
        expected = sorted(
            (
                (float(scores[at]), large[at] > 0.5, output.pred_boxes[0, at] * torch.tensor([64, 48, 64, 48]))
                for at in kept
            ),
            key=lambda one: -one[0],
        )
        expected = [one for one in expected if one[1].any()]
        ours = locator.locate(look_at(picture, (word,)))
        assert len(ours) == len(expected)
        for region, (score, mask, box) in zip(ours, expected, strict=True):
            assert region.score == pytest.approx(score, abs=1e-5)
            assert (region.mask != mask.numpy()).mean() < 0.005
            assert np.allclose(region.box, cut(box.tolist(), (64, 48)), atol=1e-3)
        found += len(ours)
    assert found


def test_sam3_reads_pictures_as_its_processor_documents(opened):
    """Bilinear to the model's square, 1 / 255, then mean and std of its file: as the processor without torchvision."""
    side = tiny_locators.SAM3_SIDE
    processor = hf.ViTImageProcessorPil(
        size={"height": side, "width": side}, resample=2, image_mean=[0.5, 0.4, 0.6], image_std=[0.5, 0.25, 0.5]
    )
    for size in [(64, 48), (200, 333), (1, 1)]:
        expected = processor(images=picture_of(*size), return_tensors="np")["pixel_values"]
        ours = opened("sam3").pixel_values(picture_of(*size))
        assert ours.shape == (1, 3, side, side)
        assert np.allclose(ours, expected, atol=1e-6)


def test_sam3_reads_the_released_checkpoints_layout(folder_of, opened, tmp_path):
    """A model of videos, whose detector is SAM 3; its tracker is left alone."""
    folder = shutil.copytree(folder_of("sam3"), tmp_path / "released")
    weights = {f"detector_model.{name}": weight for name, weight in load_file(folder / "model.safetensors").items()}
    weights |= {"tracker_model.mask_decoder.weight": torch.ones(2), "tracker_neck.weight": torch.ones(2)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    detector = json.loads((folder / "config.json").read_text())
    hf.Sam3VideoConfig(detector_config=detector).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "sam3_video"
    released = open_locator(LocatorSettings(name="sam3", model=str(folder), threshold=0.0, device="cpu"))
    same(released.locate(look_at(picture_of())), opened("sam3").locate(look_at(picture_of())))
    weights.pop("detector_model.text_projection.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrifacetError, match=r"lacks weights .*text_projection\.weight"):
        open_locator(LocatorSettings(name="sam3", model=str(folder), device="cpu"))


def test_grounding_dino_reads_the_released_checkpoints_layout(folder_of, opened, tmp_path):
    """Written when the places of Swin's windows, which the code makes by itself, were kept with the weights."""
    folder = shutil.copytree(folder_of("grounding-dino"), tmp_path / "released")
    weights = load_file(folder / "model.safetensors")
    tables = [name for name in weights if name.endswith("relative_position_bias_table")]
    weights |= {name.replace("_bias_table", "_index"): torch.zeros(16, 16, dtype=torch.long) for name in tables}
    weights["model.text_backbone.embeddings.position_ids"] = torch.arange(12)[None]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    settings = {"threshold": 0.0, "text_threshold": 0.0, "device": "cpu"}
    released = open_locator(LocatorSettings(name="grounding-dino", model=str(folder), **settings))
    assert tables
    same(released.locate(look_at(picture_of())), opened("grounding-dino").locate(look_at(picture_of())))


# --- prompts of Grounding DINO ----------------------------------------------------------------------------------------


def test_phrases_stand_in_prompts_that_the_text_encoder_takes(opened):
    locator = opened("grounding-dino")
    phrases = ["Red Box", "cat", "a. dog?", "[SEP]", "...", "the blue disc", "photo of a box", "dog"] * 3
    prompts = list(locator.prompts(phrases))
    assert len(prompts) > 1
    said = [prompt.text[start:stop] for prompt in prompts for start, stop in prompt.spans]
    assert said == ["red box", "cat", "a dog", "sep", "", "the blue disc", "photo of a box", "dog"] * 3
    for prompt in prompts:
        ids = locator.checkpoint.tokens(prompt.text)["input_ids"]
        assert len(ids) <= locator.most_tokens
        assert ids.count(1012) == sum(stop > start for start, stop in prompt.spans)  # a full stop after each


def test_a_phrase_is_scored_by_its_own_tokens(opened):
    """Planted: of the model's output one token alone is high, and one word is found, in one box."""
    locator, picture = opened("grounding-dino", threshold=0.5, text_threshold=0.5), picture_of()
    logits, boxes = torch.full((1, 8, 16), -9.0), torch.full((1, 8, 4), 0.9)
    ids = locator.checkpoint.tokens("red box. cat. dog. blue disc.")["input_ids"]
    logits[0, 3, ids.index(200 + tiny_locators.WORDS.index("dog"))] = 9.0
    boxes[0, 3] = torch.tensor([0.5, 0.25, 0.5, 0.5])
    logits[0, 5, 0] = logits[0, 5, ids.index(1012)] = 9.0  # [CLS] and full stops are no word's

    def planted(module, arguments, output):
        output.logits, output.pred_boxes = logits, boxes
        return output

    handle = locator.checkpoint.model.register_forward_hook(planted)
    try:
        (found,) = locator.locate(look_at(picture))
    finally:
        handle.remove()
    assert (found.word, found.box) == ("dog", (16, 0, 48, 24))
    assert found.score == pytest.approx(1, abs=1e-3)


def test_many_words_are_all_looked_for(opened):
    words = [f"{first} {second}" for first in ("red", "blue", "a") for second in ("cat", "dog", "box", "disc")]
    found = opened("grounding-dino").locate(look_at(picture_of(), words))
    assert {region.word for region in found} == set(words)


# --- lowest similarity ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 48), (33, 75)])
def test_the_lowest_similarity_is_that_of_a_naive_loop(size, opened):
    locator, picture = opened("lowest-similarity"), picture_of(*size, seed=3)
    look = look_at(picture, seed=5)
    model, tokens = locator.checkpoint.model, locator.checkpoint.tokens
    text = tokens(look.sample.response, padding="max_length", max_length=24, return_tensors="pt")
    images = hf.models.clip.image_processing_pil_clip.CLIPImageProcessorPil(
        size={"height": 32, "width": 32}, do_center_crop=False
    )
    whole = images(images=picture, return_tensors="pt")["pixel_values"]

    def similarity(pixels):
        with torch.no_grad():
            output = model(pixel_values=pixels, **text)
        return float(torch.nn.functional.cosine_similarity(output.image_embeds, output.text_embeds))

    after = []
    for left, upper, right, lower in locator.drawn(look):
        masked = whole.clone()
        for y in range(32):
            for x in range(32):
                across = x + 1 > left * 32 / size[0] and x < right * 32 / size[0]
                if across and y + 1 > upper * 32 / size[1] and y < lower * 32 / size[1]:
                    masked[0, :, y, x] = 0
        after.append(similarity(masked))
    (region,) = locator.locate(look)
    best = int(np.argmin(after))
    assert region.box == list(locator.drawn(look))[best]
    assert region.score == pytest.approx(max(similarity(whole) - after[best], 0), abs=1e-5)
    assert np.array_equal(region.mask, box_mask(size, region.box))


def test_masks_are_drawn_by_seed_and_sample_and_have_the_area_asked_for(opened):
    locator = opened("lowest-similarity")
    draws = [
        tuple(locator.drawn(look_at(picture_of(200, 150), seed=seed, name=name)))
        for seed, name in [(0, "a"), (0, "a"), (1, "a"), (0, "b")]
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3
    assert len(draws[0]) == 30
    for left, upper, right, lower in draws[0]:
        assert 0 <= left < right <= 200
        assert 0 <= upper < lower <= 150
        assert (right - left) * (lower - upper) / (200 * 150) == pytest.approx(0.09, rel=0.05)
    whole = opened("lowest-similarity", share=1.0, draws=2)
    assert set(whole.drawn(look_at(picture_of(20, 15)))) == {(0, 0, 20, 15)}


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "grounding-dyno"}, "did you mean 'grounding-dino'"),
        ({"name": "sam3", "phrase": "a photo"}, "holds {word}"),
        ({"name": "sam3", "masks_by": "sam"}, "grounding-dino and owlv2"),
        ({"name": "sam3", "threshold": 1.5}, "less than or equal to 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        LocatorSettings(**settings)


def refusal(**settings):
    with pytest.raises(TrifacetError) as caught:
        open_locator(LocatorSettings(**settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", tiny_locators.MAKERS)
def test_a_locator_without_its_model_is_refused(name, folder_of, tmp_path):
    assert "regions.locator.model" in refusal(name=name)
    assert "no such folder" in refusal(name=name, model=str(tmp_path / "nowhere" / "at" / "all"))
    other = folder_of("sam")
    assert "sam" in refusal(name=name, model=other, device="cpu")


def test_given_has_no_model_to_open():
    assert "read with the data" in refusal(name="given")


def test_a_device_that_is_not_there_is_named(folder_of):
    assert "regions.locator.device" in refusal(name="clipseg", model=folder_of("clipseg"), device="nowhere")


def test_sam_is_named_by_its_own_key(folder_of):
    said = refusal(name="owlv2", model=folder_of("owlv2"), masks_by=folder_of("clipseg"), device="cpu")
    assert said.startswith("regions.locator.masks_by: ")
    assert "is a clipseg, not a sam" in said


@pytest.mark.parametrize("name", some(tiny_locators.MAKERS, "owlv2", "sam3"))
def test_a_checkpoint_that_is_not_whole_is_refused(name, folder_of, tmp_path):
    folder = shutil.copytree(folder_of(name), tmp_path / "half")
    weights = load_file(folder / "model.safetensors")
    lost = sorted(key for key, weight in weights.items() if weight.ndim == 2)[-1]
    save_file({key: weight for key, weight in weights.items() if key != lost}, folder / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    assert f"lacks weights {lost}" in refusal(name=name, model=str(folder), device="cpu")
    save_file({**weights, lost: weights[lost][:1]}, folder / "model.safetensors", metadata={"format": "pt"})
    assert "of other shapes" in refusal(name=name, model=str(folder), device="cpu")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert "safetensors" in refusal(name=name, model=str(folder), device="cpu")


def test_a_missing_package_is_named(folder_of, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "scipy" else real(name))
    assert "needs scipy" in refusal(name="owlv2", model=folder_of("owlv2"), device="cpu")


# --- boxes and pictures -----------------------------------------------------------------------------------------------


def test_boxes_are_cut_to_the_picture():
    assert cut((-5, 2, 70, 60), (64, 48)) == (0, 2, 64, 48)
    assert cut((64, 0, 90, 10), (64, 48)) is None
    assert cut((10, 10, 10, 20), (64, 48)) is None
    assert cut((float("nan"), 0, 5, 5), (64, 48)) in (None, (0, 0, 5, 5))
    boxes = [Box(0.2, (0, 0, 5, 5)), Box(0.9, (70, 0, 90, 5)), Box(0.5, (1, 1, 9, 9)), Box(0.2, (2, 2, 3, 3))]
    assert [box.corners for box in best_boxes(boxes, (64, 48), 2)] == [(1, 1, 9, 9), (0, 0, 5, 5)]


def test_thin_pictures_are_padded_and_no_others():
    for size in [(64, 48), (80, 10), (1, 1)]:
        picture = picture_of(*size)
        assert no_thinner(picture) is picture
    padded = no_thinner(picture_of(400, 3))
    assert padded.size == (400, 400 // PROPORTION)
    assert np.array_equal(np.asarray(padded)[:3], np.asarray(picture_of(400, 3)))
