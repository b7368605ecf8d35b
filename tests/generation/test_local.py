"""A text does not depend on the batch it was written in, nor on what the checkpoint would do of its own."""

import pytest
import torch

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.images import load_image
from trifacet.data.records import TestSample
from trifacet.engine.encode import SampleEncoder
from trifacet.generation.settings import Generation
from trifacet.generation.writer import FamilyWriter, longest_first


def write(loaded, encoder, samples, images, **changes):
    settings = Generation(**{"beams": 1, "max_new_tokens": 12, "batch_size": 8, **changes})
    return FamilyWriter(loaded.model, encoder, settings).write(samples, images)


@pytest.mark.parametrize(("beams", "batch_size"), [(1, 2), (1, 7), (3, 2), (3, 7)])
def test_a_batch_gives_what_one_by_one_gives(loaded, encoder, samples, images, beams, batch_size):
    together = write(loaded, encoder, samples, images, beams=beams, batch_size=batch_size)
    alone = [write(loaded, encoder, [sample], images, beams=beams, batch_size=1)[0] for sample in samples]
    assert together == alone
    assert [text.id for text in together] == [sample.id for sample in samples]
    assert len({text.text for text in together}) == len(samples)  # else the test would show nothing


def test_a_text_is_what_transformers_alone_gives(loaded, encoder, samples, images):
    sample = samples[2]
    messages = [{"role": "user", "content": [
        {"type": "image"}, {"type": "text", "text": f"Write alt-text.\nContext:\n{sample.context}"}]}]  # fmt: skip
    prompt = loaded.processor.apply_chat_template(messages, add_generation_prompt=True)
    inputs = loaded.processor(text=prompt, images=load_image(images, sample.image), return_tensors="pt",
                              add_special_tokens=False)  # fmt: skip
    with torch.inference_mode():
        output = loaded.model.generate(**inputs, do_sample=False, num_beams=3, max_new_tokens=12)
    expected = loaded.processor.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    (text,) = write(loaded, encoder, [sample], images, beams=3)
    assert text.text == expected
    assert text.prompt_tokens == inputs["input_ids"].shape[1]


@pytest.mark.parametrize(("beams", "batch_size"), [(1, 7), (3, 3), (3, 7)])
def test_posts_with_several_images_and_without_share_a_batch(loaded, encoder, mixed, images, beams, batch_size):
    together = write(loaded, encoder, mixed, images, beams=beams, batch_size=batch_size)
    alone = [write(loaded, encoder, [sample], images, beams=beams, batch_size=1)[0] for sample in mixed]
    assert together == alone
    assert len({text.text for text in together}) == len(mixed)


@pytest.mark.parametrize("number", [0, 3, 6])
@pytest.mark.parametrize("beams", [1, 3])
def test_a_text_for_several_images_or_none_is_what_transformers_alone_gives(
    loaded, encoder, mixed, images, number, beams
):
    sample = mixed[number]
    words = {"type": "text", "text": f"Write alt-text.\nContext:\n{sample.context}"}
    content = [*({"type": "image"} for _ in sample.pictures), words]
    prompt = loaded.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    pictures = [load_image(images, name) for name in sample.pictures]
    inputs = loaded.processor(text=prompt, images=pictures or None, return_tensors="pt", add_special_tokens=False)
    with torch.inference_mode():
        output = loaded.model.generate(**inputs, do_sample=False, num_beams=beams, max_new_tokens=12)
    expected = loaded.processor.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    (text,) = write(loaded, encoder, [sample], images, beams=beams)
    assert (text.text, text.prompt_tokens) == (expected, inputs["input_ids"].shape[1])


def test_further_images_and_their_order_count(loaded, encoder, mixed, images):
    last = mixed[6]
    first, *more = last.more_images
    others = [last, *(last.model_copy(update={"more_images": tuple(names)}) for names in ([*more, first], [first], []))]
    assert len({write(loaded, encoder, [sample], images)[0].text for sample in others}) == 4


def test_texts_depend_on_picture_and_post(loaded, encoder, samples, images):
    sample = samples[5]
    other = [sample.model_copy(update={"image": "0.png"}), sample.model_copy(update={"context": "a wall"})]
    texts = {write(loaded, encoder, [one], images)[0].text for one in (sample, *other)}
    assert len(texts) == 3


def test_the_longest_posts_come_first(encoder, samples):
    assert [sample.id for sample in longest_first(encoder, samples)] == ["s3", "s6", "s2", "s5", "s0", "s4", "s1"]


def test_posts_with_more_images_count_as_longer(encoder, mixed):
    order = [sample.id for sample in longest_first(encoder, mixed)]
    assert order == ["s6", "s3", "s2", "s4", "s1", "s5", "s0"]


def test_what_is_there_already_is_left_out_and_changes_nothing(loaded, encoder, samples, images):
    settings = Generation(beams=1, temperature=1.5, max_new_tokens=12, batch_size=3)
    writer = FamilyWriter(loaded.model, encoder, settings)
    whole = writer.write(samples, images)
    rest = writer.write(samples, images, done={("s3", 0), ("s2", 0), ("s1", 0)})
    assert rest == [text for text in whole if text.id not in {"s3", "s2", "s1"}]


def test_sampling_is_fixed_by_the_seed_and_leaves_the_global_one_alone(loaded, encoder, samples, images):
    settings = Generation(beams=1, temperature=1.5, max_new_tokens=12)

    def draw(seed):
        return FamilyWriter(loaded.model, encoder, settings, seed).write(samples, images)

    state = torch.random.get_rng_state()
    first = draw(1)
    assert torch.equal(state, torch.random.get_rng_state())
    assert draw(1) == first
    assert draw(2) != first
    assert write(loaded, encoder, samples, images, temperature=1e-4) == write(loaded, encoder, samples, images)


def test_the_checkpoints_own_generation_settings_do_not_count(loaded, encoder, samples, images, caplog):
    expected = write(loaded, encoder, samples[:2], images)
    before = loaded.model.generation_config
    loaded.model.generation_config = type(before)(
        **{**before.to_diff_dict(), "do_sample": True, "temperature": 5.0,
           "top_p": 0.3, "top_k": 3, "max_new_tokens": 2,
           "repetition_penalty": 9.0, "no_repeat_ngram_size": 1, "min_length": 400, "num_beams": 2}
    )  # fmt: skip
    try:
        assert write(loaded, encoder, samples[:2], images) == expected
    finally:
        loaded.model.generation_config = before


def test_end_tokens_of_the_checkpoint_end_a_text(loaded, encoder, samples, images):
    (free,) = write(loaded, encoder, samples[:1], images)
    before = loaded.model.generation_config
    (end,) = loaded.processor.tokenizer("red", add_special_tokens=False)["input_ids"]
    loaded.model.generation_config = type(before)(**{**before.to_diff_dict(), "eos_token_id": [1, end]})
    try:
        (ended,) = write(loaded, encoder, samples[:1], images)
    finally:
        loaded.model.generation_config = before
    assert "red" in free.text
    assert ended.text == free.text.partition("red")[0].strip()
    assert ended.new_tokens < free.new_tokens == 12


def test_an_over_long_post_is_cut_so_that_the_text_fits(loaded, samples, images):
    small = SampleEncoder(loaded.family, prompt="Write alt-text.", context_label="Context:", max_length=60)
    long, short = write(loaded, small, [samples[3], samples[1]], images)
    assert long.prompt_tokens + 12 <= 60
    assert long.cut_tokens > 0
    assert short.cut_tokens == 0
    with pytest.raises(TrifacetError, match=r"sample 's1'.*max_length"):
        write(loaded, small, [samples[1]], images, max_new_tokens=50)


def test_the_model_keeps_its_mode(loaded, encoder, samples, images):
    loaded.model.train()
    try:
        write(loaded, encoder, samples[:1], images)
        assert loaded.model.training
    finally:
        loaded.model.eval()


def test_bad_samples_are_named(loaded, encoder, samples, images):
    with pytest.raises(TrifacetError, match="'s0' first"):
        write(loaded, encoder, [samples[0], samples[0]], images)
    with pytest.raises(DataError, match="sample 'gone': no image file"):
        write(loaded, encoder, [TestSample(id="gone", image="none.png")], images)
    assert write(loaded, encoder, [], images) == []


def test_a_share_of_the_likeliest_tokens_shapes_drawn_texts_and_is_part_of_what_they_were_made_with(
    loaded, encoder, samples, images
):
    def writer(**changes):
        return FamilyWriter(loaded.model, encoder, Generation(max_new_tokens=12, **changes), weights="w")

    drawn = {share: writer(temperature=1.5, top_p=share) for share in (1.0, 0.7, 1e-9)}
    texts = {share: [text.text for text in one.write(samples, images)] for share, one in drawn.items()}
    greedy = writer(beams=1).write(samples, images)
    assert texts[1e-9] == [text.text for text in greedy], "the likeliest token alone"
    assert texts[1.0] != texts[0.7] != texts[1e-9]
    told = {share: one.made_with(samples) for share, one in drawn.items()}
    assert told[0.7] == {**told[1.0], "top_p": 0.7} and "top_p" not in told[1.0]
    assert writer(top_p=0.7).made_with(samples) == writer().made_with(samples), "nothing is drawn"
