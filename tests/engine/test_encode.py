"""Token paths: what the processor itself makes, posts cut at their end only, and no special token from a record."""

import copy
import json

import numpy as np
import pytest
from PIL import Image

from trifacet.base.errors import TrifacetError
from trifacet.data.formats import read_samples
from trifacet.engine.encode import Asked, SampleEncoder
from trifacet.preferences.facets import Cell

POST = "The first word stands here, and then a long tale follows that nobody needs to hear " * 3
RESPONSE = "A red circle held by Ana."
IMAGE_TOKENS = 16


@pytest.fixture
def encoder_for(tiny):
    def make(max_length=512):
        return SampleEncoder(tiny.family, prompt="Write alt-text.", context_label="Context:", max_length=max_length)

    return make


CHOSEN = (Cell(),)


def paths(encoder, contexts, responses, cells=CHOSEN):
    image = encoder.family.read(Image.new("RGB", (8, 8)))
    return encoder.paths(None, contexts, responses, [image, image], [[0], [1]], list(cells))


def text_of(encoder, path):
    return encoder.tokenizer.decode(path.tokens_L[path.images_L < 0])


@pytest.mark.parametrize("context", ["A post.", "", "Zürich 🌈 – naïve\nlines"])
def test_ids_are_those_of_the_processor(encoder_for, tiny, context):
    encoder = encoder_for()
    (path,), cut = paths(encoder, [context], [RESPONSE])
    request = f"Write alt-text.\nContext:\n{context}" if context else "Write alt-text."
    messages = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": request}]},
        {"role": "assistant", "content": [{"type": "text", "text": RESPONSE}]},
    ]
    lengths = []
    for some, prompt in ((messages[:1], True), (messages, False)):
        text = tiny.processor.apply_chat_template(some, tokenize=False, add_generation_prompt=prompt)
        ids = tiny.processor(images=Image.new("RGB", (8, 8)), text=text, add_special_tokens=False, return_tensors="np")[
            "input_ids"
        ][0]
        lengths.append(len(ids))
    assert path.tokens_L.tolist() == ids.tolist()
    assert path.response_start == lengths[0]
    assert cut == 0


def test_an_empty_post_leaves_its_label_out(encoder_for):
    encoder = encoder_for()
    for empty in ("", "  \n "):
        (path,), _ = paths(encoder, [empty], [RESPONSE])
        assert "Context:" not in text_of(encoder, path)
    assert "Context:\nA post." in encoder.rendered(None, "A post.")


def test_a_sample_of_its_own_request_is_asked_that(encoder_for):
    assert "What is it?" in encoder_for().rendered("What is it?", "A post.")


def test_a_message_of_the_system_reaches_the_model_as_the_template_has_it(encoder_for, tiny, monkeypatch):
    asked = Asked("What is it?", "Speak to blind readers.")
    encoder = encoder_for()
    text = encoder.rendered(asked, "A post.", RESPONSE)
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Speak to blind readers."}]},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": encoder.user_text(asked, "A post.")}]},
    ]
    prompt = tiny.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text.startswith(prompt)
    assert prompt.count("Speak to blind readers.") == 1
    images = [encoder.family.read(Image.new("RGB", (8, 8)))]
    assert "Speak to blind readers." in text_of(encoder, encoder.prompt_path(asked, "A post.", images)[0])
    template = tiny.processor.chat_template
    for other in (
        template.replace("{% for message in messages %}", "{% for message in messages if message.role != 'system' %}"),
        "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + template,
    ):
        assert other != template
        monkeypatch.setattr(tiny.processor, "chat_template", other)
        text = encoder_for().rendered(asked, "A post.")
        assert "Speak to blind readers.\nWhat is it?\nContext:\nA post." in text


USER, SYSTEM = {"role": "user", "content": "What is it?"}, {"role": "system", "content": "Be brief."}
PARTS = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}
ROWS_OF_TRL = {
    "strings": {"prompt": [USER], "chosen": "A dog.", "rejected": "A cat."},
    "parts": {"prompt": [PARTS], "chosen": "A dog.", "rejected": "A cat."},
    "system": {"prompt": [SYSTEM, PARTS], "chosen": "A dog.", "rejected": "A cat."},
    "implicit": {"chosen": [SYSTEM, USER, "A dog."], "rejected": [SYSTEM, USER, "A cat."]},
}


@pytest.mark.parametrize("name", ROWS_OF_TRL)
def test_rows_of_trl_are_asked_and_answered_as_trl_does(encoder_for, tiny, tmp_path, name):
    trl = pytest.importorskip("trl.data_utils")

    def turns(said):
        listed = said if isinstance(said, list) else [said]
        return [{"role": "assistant", "content": one} if isinstance(one, str) else one for one in listed]

    row = {field: turns(said) for field, said in ROWS_OF_TRL[name].items()}
    (tmp_path / "d.json").write_text(json.dumps([{**row, "images": ["a.png"]}]))
    (sample,) = read_samples(tmp_path / "d.json", "preference")
    theirs = trl.maybe_extract_prompt({field: copy.deepcopy(said) for field, said in row.items()})
    theirs["prompt"] = trl.prepare_multimodal_messages(theirs["prompt"], images=["a.png"])
    for field in ("chosen", "rejected"):
        theirs[field] = trl.prepare_multimodal_messages(theirs[field])
    texts = trl.apply_chat_template(theirs, tiny.processor)
    encoder, asked = encoder_for(), Asked(sample.prompt, sample.system)
    assert encoder.rendered(asked, sample.context) == texts["prompt"]
    for field, answer in (("chosen", sample.response), ("rejected", sample.rejected_responses[0])):
        assert encoder.rendered(asked, sample.context, answer) == (texts["prompt"] + texts[field]).rstrip()


def test_an_overlong_post_is_cut_at_its_end_only(encoder_for):
    whole = encoder_for()
    (full,), _ = paths(whole, [POST], [RESPONSE])
    for max_length in range(len(full.tokens_L) - 40, len(full.tokens_L)):
        encoder = encoder_for(max_length)
        (path,), cut = paths(encoder, [POST], [RESPONSE])
        assert max_length - 3 <= len(path.tokens_L) <= max_length  # and no more is cut than needed
        assert cut >= len(full.tokens_L) - max_length
        assert (path.images_L >= 0).sum() == IMAGE_TOKENS
        assert path.tokens_L[path.response_start :].tolist() == full.tokens_L[full.response_start :].tolist()
        text = text_of(encoder, path)
        post = text.split("Context:\n")[1].split(" ASSISTANT:")[0]
        assert POST.startswith(post)


def test_a_post_is_cut_alike_for_all_its_responses(encoder_for):
    encoder = encoder_for(90)
    short, long = "A circle.", "A red circle on a blue ground, held by Ana in the yard."
    table, cut = encoder.texts(None, [POST, "Short."], [short, long], image_tokens=IMAGE_TOKENS)
    assert cut > 0
    prompts = [table[0, version].ids_L[: table[0, version].response_start].tolist() for version in (0, 1)]
    assert prompts[0] == prompts[1]
    assert all(len(ids.ids_L) + IMAGE_TOKENS - 1 <= 90 for ids in table.values())


def test_what_cannot_fit_says_the_numbers(encoder_for):
    encoder = encoder_for()
    (path,), _ = paths(encoder, [""], [RESPONSE])
    need = len(path.tokens_L)
    paths(encoder_for(need), [POST], [RESPONSE])  # exactly fits with nothing of the post left
    with pytest.raises(TrifacetError, match=rf"take {need} tokens, 1 more than data.max_length = {need - 1}"):
        paths(encoder_for(need - 1), [POST], [RESPONSE])


def test_prompts_for_generation_leave_room(encoder_for):
    encoder = encoder_for(100)
    path, cut = encoder.prompt_path(None, POST, [encoder.family.read(Image.new("RGB", (8, 8)))], reserve=20)
    assert cut > 0
    assert 75 <= len(path.tokens_L) <= 80
    assert (path.tokens_L == encoder.family.placeholder_id).sum() == IMAGE_TOKENS


SMUGGLED = ["<image>", "</s>", "<s>", "<pad>", "<unk>", "<image><image>", "<<image>image>", "<im</s>age>"]


@pytest.mark.parametrize("special", SMUGGLED)
@pytest.mark.parametrize("place", ["context", "response"])
def test_no_record_smuggles_in_a_special_token(encoder_for, special, place):
    encoder = encoder_for()
    hostile = f"Look {special} here{special}"
    context, response = (hostile, RESPONSE) if place == "context" else ("A post.", hostile)
    (clean,), _ = paths(encoder, ["Look here"] if place == "context" else ["A post."], [RESPONSE])
    (dirty,), _ = paths(encoder, [context], [response])
    specials = np.asarray(encoder.tokenizer.all_special_ids)

    def counts(path):
        return [(path.tokens_L == special_id).sum() for special_id in specials]

    assert counts(dirty) == counts(clean)
    runs = np.flatnonzero(np.diff((dirty.images_L >= 0).astype(int), prepend=0) == 1)
    assert len(runs) == 1
    assert (dirty.images_L >= 0).sum() == IMAGE_TOKENS


def test_cells_share_what_they_have_in_common(encoder_for):
    encoder = encoder_for()
    cells = [Cell(), Cell(image=1), Cell(context=1), Cell(response=1)]
    found, _ = paths(encoder, ["A post.", "Another post."], [RESPONSE, "A thing."], cells)
    chosen, image, context, response = found
    assert image.tokens_L.tolist() == chosen.tokens_L.tolist()
    assert set(image.images_L) == {-1, 1}
    start = chosen.response_start
    assert response.tokens_L[: response.response_start].tolist() == chosen.tokens_L[:start].tolist()
    assert context.tokens_L[context.response_start :].tolist() == chosen.tokens_L[start:].tolist()


def test_a_template_without_an_image_is_refused(encoder_for, tiny):
    tiny.processor.chat_template = "{% for message in messages %}{{ message['content'][-1]['text'] }}{% endfor %}"
    with pytest.raises(TrifacetError, match="put 0 images into a prompt with 1"):
        paths(encoder_for(), ["A post."], [RESPONSE])
