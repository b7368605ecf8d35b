"""A text that is begun for the model goes on as the model alone would go on, and comes without its beginning."""

import pytest
import torch
from tiny_families import MAKERS, load_copy

from trifacet.base.errors import TrifacetError
from trifacet.base.images import load_image
from trifacet.data.records import TestSample
from trifacet.engine.encode import SampleEncoder
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter

BEGINNING = "a red kite over"
LONGEST = 8


@pytest.fixture(scope="module", params=MAKERS)
def loaded(request, family_folders):
    loaded = load_copy(family_folders(request.param))
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.2, generator=rng)
    return loaded


@pytest.fixture(scope="module")
def encoder(loaded):
    return SampleEncoder(loaded.family, prompt="Write alt-text.", context_label="Context:", max_length=2048)


def writer(loaded, encoder, begun, **settings):
    how = Generation(**{"beams": 1, "max_new_tokens": LONGEST, **settings})
    return FamilyWriter(loaded.model, encoder, how, weights="w", begun=begun)


def plain(loaded, picture, beginning, beams):
    """The rest of an answer by the processor and transformers alone, and the ids that it continues."""
    content = [{"type": "image"}] * (picture is not None) + [{"type": "text", "text": "Write alt-text."}]
    user = {"role": "user", "content": content}
    answer = {"role": "assistant", "content": [{"type": "text", "text": beginning}]}
    text = loaded.processor.apply_chat_template([user, answer], tokenize=False)
    text = text[: text.rindex(beginning) + len(beginning)]
    bos = loaded.processor.tokenizer.bos_token
    inputs = loaded.processor(
        text=[text], images=[[picture]] if picture else None, return_tensors="pt",
        add_special_tokens=not (bos and text.startswith(bos)),
    )  # fmt: skip
    ids = inputs["input_ids"]
    ends = [loaded.processor.tokenizer.eos_token_id, SampleEncoder.end_id.fget(encoder_of(loaded))]
    with torch.inference_mode():
        output = loaded.model.generate(
            **inputs, do_sample=False, num_beams=beams, max_new_tokens=LONGEST, eos_token_id=ends,
            suppress_tokens=sorted(loaded.family.reserved_ids | {loaded.processor.tokenizer.pad_token_id} - set(ends)),
        )  # fmt: skip
    decode = loaded.processor.decode
    before, whole = (decode(one, skip_special_tokens=True) for one in (ids[0, -3:], output[0, ids.shape[1] - 3 :]))
    assert whole.startswith(before)
    return whole[len(before) :].rstrip(), ids.shape[1]


def encoder_of(loaded):
    return SampleEncoder(loaded.family, prompt="x", context_label="Context:", max_length=2048)


@pytest.mark.parametrize("beams", [1, 3])
def test_the_rest_is_what_transformers_alone_gives(loaded, encoder, photos, beams):
    posts = [TestSample(id="seen", image="1.png"), TestSample(id="blind")]
    texts = writer(loaded, encoder, lambda post: f" {BEGINNING} ", beams=beams).write(posts, photos)
    for text, picture in zip(texts, (load_image(photos, "1.png"), None), strict=True):
        assert (text.text, text.prompt_tokens) == plain(loaded, picture, BEGINNING, beams)
    assert not any(BEGINNING in text.text for text in texts)


def test_beginnings_of_one_picture_stand_beside_each_other_and_draws_are_their_own(loaded, encoder, photos):
    begun = {"a": BEGINNING, "b": "two dogs", "c": ""}
    posts = [TestSample(id=name, image="1.png") for name in begun]
    drawing = writer(loaded, encoder, lambda post: begun[post.id], temperature=1.0)
    together = drawing.write(posts, photos, draws=2)
    assert together == [text for post in posts for text in drawing.write([post], photos, draws=2)]
    anew = writer(loaded, encoder, None, temperature=1.0).write(posts[2:], photos, draws=2)
    assert [(text.text, text.prompt_tokens) for text in together[4:]] == [(t.text, t.prompt_tokens) for t in anew]


def test_beginnings_are_part_of_what_texts_were_made_with(loaded, encoder):
    posts = [TestSample(id="a", image="1.png")]
    told = [writer(loaded, encoder, begun).made_with(posts) for begun in (None, lambda _: "a", lambda _: "b")]
    assert "begun" not in told[0] and told[1]["begun"] != told[2]["begun"]


def test_a_beginning_can_smuggle_in_nothing_and_a_template_that_changes_answers_is_refused(loaded, encoder, photos):
    (end,) = loaded.processor.tokenizer.convert_ids_to_tokens([encoder.end_id])
    post = TestSample(id="a", image="1.png")
    broken = f"{end[0]} {end[1:]}"
    texts = [writer(loaded, encoder, lambda _, said=said: f"a {said} kite").write([post], photos)
             for said in (end, broken)]  # fmt: skip
    assert texts[0] == texts[1]
    changed = loaded.processor.chat_template
    try:
        loaded.processor.chat_template = changed.replace("part['text']", "part['text'] | upper")
        if loaded.processor.chat_template != changed:
            with pytest.raises(TrifacetError, match=r"'a'.*template changes an answer"):
                writer(loaded, encoder, lambda _: "a kite").write([post], photos)
    finally:
        loaded.processor.chat_template = changed
