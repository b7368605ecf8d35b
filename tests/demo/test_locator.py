"""The small locator: what is written loads with transformers alone, and its training's forward is the model's own."""

import numpy as np
import pytest
import torch
from transformers import CLIPSegForImageSegmentation, CLIPSegProcessor

from trifacet.base.digests import file_digest
from trifacet.demo import locator
from trifacet.demo.facts import scene_generator
from trifacet.demo.locator import LocatorSize, make_locator
from trifacet.demo.things import draw_things, mask_of, render_things

TINY = LocatorSize(width=16, layers=2, heads=2, image_size=32, steps=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_locator(tmp_path_factory.mktemp("locator") / "one", 5, TINY)


def logits_of(folder, picture, words):
    model = CLIPSegForImageSegmentation.from_pretrained(folder).eval()
    processor = CLIPSegProcessor.from_pretrained(folder)
    given = processor(text=list(words), images=[picture] * len(words), padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model, processor, given, model(**given).logits


def test_it_loads_with_transformers_alone_and_gives_a_map_of_the_picture_for_each_word(folder):
    picture = render_things(draw_things(scene_generator(1, "test", 0)), 32)
    _, processor, given, logits = logits_of(folder, picture, ["a red kite", "rings", "elephant"])
    assert logits.shape == (3, 32, 32)
    assert (given.input_ids[2] == processor.tokenizer.unk_token_id).sum() == 1
    assert processor.tokenizer.unk_token_id not in given.input_ids[:2]
    torch.testing.assert_close(given.pixel_values[:1], locator.normalised([picture]))


def test_what_is_trained_is_the_models_own_forward(folder):
    picture = render_things(draw_things(scene_generator(1, "test", 1)), 32)
    model, processor, given, logits = logits_of(folder, picture, ["kite", "the ring"])
    hidden = model.clip.vision_model(given.pixel_values[:1], output_hidden_states=True).hidden_states
    words_NW = locator._embedded(model, processor.tokenizer, ["kite", "the ring"])
    trained = locator._logits(model, hidden, words_NW)
    torch.testing.assert_close(trained, logits, atol=1e-5, rtol=1e-4)


def test_the_same_seed_gives_the_same_weights(folder, tmp_path):
    again = make_locator(tmp_path / "again", 5, TINY)
    other = make_locator(tmp_path / "other", 6, TINY)
    weights = [file_digest(one / "model.safetensors") for one in (folder, again, other)]
    assert weights[0] == weights[1] != weights[2]


def test_half_of_what_is_asked_for_is_there_and_has_its_mask():
    for index in range(50):
        rng = scene_generator(2, "words", index)
        scene = draw_things(rng)
        asked = list(locator._asked(scene, rng))
        assert sum(shape is None for _, shape in asked) == len(asked) / 2
        for text, shape in asked:
            truth = locator._truth(scene, shape, 32)
            if shape is None:
                assert not truth.any()
                named = [thing for thing in scene.things if thing.shape in text]
                assert all(thing.colour not in text for thing in named)
            else:
                assert shape in text
                assert np.array_equal(truth > 0, mask_of(next(t for t in scene.things if t.shape == shape), 32))


def test_a_patch_is_labelled_by_what_covers_it():
    scene = draw_things(scene_generator(3, "test", 0))
    labels_2P = locator._patches(scene, LocatorSize())
    assert set(labels_2P[0].tolist()) - {0} == {1 + list(locator.SHAPES).index(thing.shape) for thing in scene.things}
    assert ((labels_2P[0] == 0) == (labels_2P[1] == 0)).all()
