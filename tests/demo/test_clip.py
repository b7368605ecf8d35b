"""The small CLIP: what is written opens as a locator and as CLIPScore's model, and it learns whose text is whose."""

import numpy as np
import pytest
import torch
from transformers import CLIPModel, CLIPProcessor

from trifacet.base.digests import file_digest
from trifacet.data.records import PreferenceSample
from trifacet.demo.clip import ClipSize, make_clip, said
from trifacet.demo.facts import scene_generator
from trifacet.demo.locator import normalised
from trifacet.demo.things import draw_things, render_things
from trifacet.demo.things_texts import caption, seen
from trifacet.metrics.clipscore import PREFIX, ClipScorer
from trifacet.regions.locators.opening import open_locator
from trifacet.regions.locators.settings import LocatorSettings
from trifacet.regions.looking import Look

TINY = ClipSize(width=16, layers=1, text_layers=1, heads=2, image_size=32, steps=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "one", 5, TINY)


def scenes(count):
    return [draw_things(scene_generator(1, "test", k)) for k in range(count)]


def test_it_loads_with_transformers_alone_and_reads_a_whole_caption_after_clipscores_words(folder):
    processor = CLIPProcessor.from_pretrained(folder)
    longest = max((caption(seen(one)) for one in scenes(50)), key=len)
    ids = processor.tokenizer(PREFIX + longest).input_ids
    assert processor.tokenizer.unk_token_id not in ids
    assert len(ids) <= CLIPModel.from_pretrained(folder).config.text_config.max_position_embeddings
    picture = render_things(scenes(1)[0], 32)
    pixels = processor(images=[picture], return_tensors="pt").pixel_values
    torch.testing.assert_close(pixels, normalised([picture]))


def test_it_opens_as_locator_and_as_clipscores_model(folder):
    picture = render_things(scenes(1)[0], 32)
    text = caption(seen(scenes(1)[0]))
    sample = PreferenceSample(id="one", image="one.png", prompt="Describe the picture.", response=text)
    [region] = open_locator(LocatorSettings(name="lowest-similarity", model=str(folder))).locate(
        Look(sample, picture, (), 3)
    )
    assert region.mask.shape == (32, 32)
    assert region.mask.any()
    processor, model = CLIPProcessor.from_pretrained(folder), CLIPModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        found = model(**processor(text=[PREFIX + text], images=[picture], return_tensors="pt"))
    cosine = float((found.text_embeds * found.image_embeds).sum())
    [score] = ClipScorer(str(folder), device="cpu")([text], [picture])
    assert score == pytest.approx(2.5 * max(cosine, 0), abs=1e-5)


def test_the_same_seed_gives_the_same_weights(folder, tmp_path):
    again = make_clip(tmp_path / "again", 5, TINY)
    other = make_clip(tmp_path / "other", 6, TINY)
    weights = [file_digest(one / "model.safetensors") for one in (folder, again, other)]
    assert weights[0] == weights[1] != weights[2]


def test_a_text_is_true_of_its_picture():
    rng = np.random.default_rng(3)
    for scene in scenes(100):
        text = said(scene, rng).removeprefix(PREFIX)
        assert text in [caption(seen(scene)), *(f"a {colour} {shape}" for colour, shape in seen(scene))]


def test_steps_teach_whose_text_is_whose(tmp_path):
    size = ClipSize(width=32, layers=2, text_layers=1, heads=2, image_size=32, steps=40)
    folder = make_clip(tmp_path / "taught", 5, size)
    model, processor = CLIPModel.from_pretrained(folder).eval(), CLIPProcessor.from_pretrained(folder)
    unseen = scenes(64)
    texts = [caption(seen(one)) for one in unseen]
    given = processor(text=texts, images=[render_things(one, 32) for one in unseen], padding=True, return_tensors="pt")
    with torch.inference_mode():
        alike_NN = model(**given).logits_per_image
    own = alike_NN.argsort(dim=1, descending=True).eq(torch.arange(64)[:, None]).int().argmax(dim=1)
    assert own.float().mean() < 24  # texts before the own; 31.5 by chance with a deviation of 2.3
