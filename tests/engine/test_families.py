"""Every family: the trie gives what transformers gives from the processor's own inputs, path by path."""

from typing import get_args

import pytest
import torch
from PIL import Image
from tiny_families import MAKERS, llava, load_copy
from tiny_parts import PATCH, SIDE, VISION
from transformers import AutoImageProcessor, AutoModelForImageTextToText, MistralConfig, SiglipVisionConfig

from trifacet.engine.encode import SampleEncoder
from trifacet.engine.scoring import Encoded, Rows, TrieScorer, collate
from trifacet.models.loading import load_model, load_processor
from trifacet.preferences.facets import Cell
from trifacet.preferences.losses import objective_loss
from trifacet.preferences.objectives import OBJECTIVES
from trifacet.preferences.rejected.images import image_strategy
from trifacet.training.examples import Collator, Examples, Rejection

PROMPT, LABEL = "Write alt-text.", "Context:"


@pytest.fixture(params=MAKERS)
def family_folder(request, family_folders):
    return family_folders(request.param)


def encoder_of(family):
    return SampleEncoder(family, prompt=PROMPT, context_label=LABEL, max_length=2048)


def examples_of(posts, photos, loaded, objective, strategy="diffusion", **versions):
    rejection = Rejection(image_strategy(strategy, 700), seed=1, **versions)
    return Examples(posts, OBJECTIVES[objective], encoder_of(loaded.family), photos, rejection, max_pixels=10**6)


def plain_inputs(processor, pictures, context, response):
    """What the processor makes of pictures and texts, and where the answer begins."""
    request = f"{PROMPT}\n{LABEL}\n{context}" if context else PROMPT
    user = {"role": "user", "content": [{"type": "image"}] * len(pictures) + [{"type": "text", "text": request}]}
    answer = {"role": "assistant", "content": [{"type": "text", "text": response}]}
    bos = processor.tokenizer.bos_token
    encoded = []
    for messages, prompt in (([user], True), ([user, answer], False)):
        text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
        text = text if prompt else text.rstrip()
        add = not (bos and text.startswith(bos))
        encoded.append(
            processor(images=[pictures] if pictures else None, text=[text], return_tensors="pt", add_special_tokens=add)
        )
    return encoded[1], encoded[0]["input_ids"].shape[1]


def plain_logps(model, processor, pictures, context, response, frames=None):
    """The summed log-probs of an answer by the released classes alone; ``frames`` replace the pixels."""
    inputs, start = plain_inputs(processor, pictures, context, response)
    if frames is not None:
        inputs["pixel_values"] = frames.reshape(inputs["pixel_values"].shape)
    logits = model(**inputs).logits[0, :-1].float()
    token_logps = torch.log_softmax(logits, -1).gather(-1, inputs["input_ids"][0, 1:, None])[:, 0]
    return token_logps[start - 1 :].sum()


def plain_cells(model, processor, examples, index):
    sample, images, contexts = examples.samples[index], examples.image_versions(index), examples.contexts(index)
    responses = [sample.response, *sample.rejected_responses]
    picture = examples.picture(index)
    return torch.stack(
        [
            plain_logps(
                model, processor, [picture], contexts[cell.context], responses[cell.response],
                images[cell.image].pixel_values if cell.image else None,
            )
            for cell in examples.cells(index)
        ]
    )  # fmt: skip


def assert_same_gradients(ours, plain):
    expected = {key: weight.grad for key, weight in plain.named_parameters() if weight.grad is not None}
    found = {key: weight.grad for key, weight in ours.named_parameters() if weight.grad is not None}
    assert found.keys() == expected.keys()
    largest = max(gradient.abs().max() for gradient in expected.values())
    for key, gradient in expected.items():
        assert (found[key] - gradient).norm() <= 1e-3 * gradient.norm() + 1e-6 * largest, key


def test_scores_and_gradients_equal_the_plain_model(family_folder, posts, photos):
    assert_equal_to_the_plain_model(load_copy(family_folder), family_folder, posts, photos)


def test_llava_over_siglip_equals_the_plain_model(tmp_path, posts, photos):
    """Its features are patches', and a picture is scaled as its own processor does, not padded as for CLIP."""
    vision = SiglipVisionConfig(**VISION, image_size=SIDE, patch_size=PATCH, vision_use_head=True)
    folder = llava(tmp_path / "model", [post.context for post in posts], vision=vision)
    loaded = load_model(folder)
    own = AutoImageProcessor.from_pretrained(folder)(Image.open(photos / "1.png"), return_tensors="pt")["pixel_values"]
    assert torch.equal(loaded.family.read(Image.open(photos / "1.png")).pixel_values, own)
    unread = {id(weight) for module in loaded.family.unread(loaded.model) for weight in module.parameters()}
    assert_equal_to_the_plain_model(loaded, folder, posts, photos)
    read = [weight for weight in loaded.model.model.vision_tower.parameters() if weight.grad is not None]
    assert len(read) + len(unread) == len(list(loaded.model.model.vision_tower.parameters()))
    assert not unread & {id(weight) for weight in read}


def assert_equal_to_the_plain_model(loaded, family_folder, posts, photos):
    examples = examples_of(posts, photos, loaded, "mcm-dpo")
    batch, needed = Collator(examples)([examples[index] for index in range(len(posts))])
    plan = needed.plan
    scored_C = TrieScorer(loaded.model, loaded.family)(batch)

    plain = AutoModelForImageTextToText.from_pretrained(family_folder)
    expected_C = torch.cat([plain_cells(plain, loaded.processor, examples, index) for index in range(len(posts))])
    assert expected_C.std() > 1  # an agreement of equal numbers would show nothing
    by_image = [expected_C[at::8] for at, cell in enumerate(examples.cells(0)) if cell in (Cell(), Cell(image=1))]
    assert (by_image[0] - by_image[1]).abs().mean() > 1e-2
    assert (scored_C - expected_C).abs().max() < 1e-4

    reference_C = expected_C.detach() + torch.linspace(-1, 1, len(expected_C))
    for logps_C in (scored_C, expected_C):
        objective_loss(OBJECTIVES["mcm-dpo"], logps_C, reference_C, batch.lengths_C, plan).loss.backward()
    assert_same_gradients(loaded.model, plain)


def test_positions_ids_and_pixels_are_the_processors_own(family_folder, posts, photos):
    family = load_processor(family_folder, image_tiles="any")
    encoder = encoder_of(family)
    texts = [(post.context, post.response) for post in posts] + [("", "A  cat."), ("Line one\n\n\nline two", "Yes")]
    for number, (context, response) in enumerate(texts):
        picture = Image.open(photos / f"{number % 4}.png")
        inputs, start = plain_inputs(family.processor, [picture], context, response)
        image = family.read(picture)
        (path,), cut = encoder.paths(None, [context], [response], [image], [[0]], [Cell()])
        assert cut == 0
        assert path.tokens_L.tolist() == inputs["input_ids"][0].tolist()
        assert path.response_start == start
        prompt, _ = encoder.prompt_path(None, context, [image])
        assert prompt.tokens_L.tolist() == inputs["input_ids"][0, :start].tolist()
        collated = family.collate([image])
        for key in inputs.keys() & collated.keys():
            assert torch.equal(collated[key].flatten(), inputs[key].flatten()), key


@pytest.mark.parametrize("window", [100, 500])
def test_beyond_the_window_of_its_attention_a_model_is_scored_one_by_one(window, tmp_path, posts, photos):
    """Some sequences of the batch are longer than 100 tokens, some are not; none is longer than 500."""
    folder = llava(tmp_path / "model", [post.context for post in posts], MistralConfig, sliding_window=window)
    loaded = load_model(folder)
    examples = examples_of(posts, photos, loaded, "mcm-dpo")
    batch = Collator(examples).seen([examples[index] for index in range(len(posts))])
    lengths = [len(path.tokens_L) for index in range(len(posts)) for path in examples[index].encoded.paths]
    assert min(lengths) < window
    assert len(batch.input_ids) == (1 if max(lengths) <= window else len(lengths))
    with torch.no_grad():
        scored_C = TrieScorer(loaded.model, loaded.family)(batch)
        expected = [plain_cells(loaded.model, loaded.processor, examples, index) for index in range(len(posts))]
    assert (scored_C - torch.cat(expected)).abs().max() < 1e-4


def test_nothing_that_stands_for_an_image_is_written_or_smuggled_in(family_folder, photos):
    loaded = load_copy(family_folder)
    family, encoder, tokenizer = loaded.family, encoder_of(loaded.family), loaded.processor.tokenizer
    run = {
        token for number in range(4) for token in family.image_tokens(family.read(Image.open(photos / f"{number}.png")))
    }
    added = {number for number, token in tokenizer.added_tokens_decoder.items()}
    assert run & added <= family.reserved_ids
    assert loaded.model.config.image_token_id in family.reserved_ids
    hostile = " ".join(tokenizer.convert_ids_to_tokens(sorted(family.reserved_ids)))
    (ids,) = encoder.token_ids([encoder.rendered(None, hostile, hostile, images=0)])
    assert not set(ids.tolist()) & family.reserved_ids


def test_an_answer_ends_once_with_the_templates_own_token(family_folder):
    family = load_processor(family_folder, image_tiles="any")
    encoder, tokenizer = encoder_of(family), family.processor.tokenizer
    (full,) = encoder.token_ids([encoder.rendered(None, "Post.", "A cat.")])
    specials = set(tokenizer.all_special_ids) | {tokenizer.convert_tokens_to_ids("<end_of_turn>")}
    assert full[-1] == encoder.end_id
    assert full[-1] in specials
    assert full[-2] not in specials
    assert encoder.end_id not in family.reserved_ids


@pytest.mark.parametrize("strategy", ["blackness", "crop"])
def test_rows_attention_and_strategies_agree(strategy, family_folder, posts, photos):
    loaded = load_copy(family_folder)
    versions = {"image_versions": 2, "context_versions": 2}
    examples = examples_of(posts, photos, loaded, "mcm-dpo", strategy, **versions)
    few = [examples[index] for index in (0, 1, 3)]
    assert few[1].versions == examples.versions(1)
    scores = []
    for rows in get_args(Rows):
        batch = Collator(examples, rows=rows).seen(few)
        for attention in ("segments", "dense"):
            with torch.no_grad():
                scores.append(TrieScorer(loaded.model, loaded.family, attention=attention)(batch))
    assert scores[0].std() > 1
    for other in scores[1:]:
        assert (other - scores[0]).abs().max() < 1e-4


def test_samples_of_several_images_equal_the_plain_model(family_folder, posts, photos):
    """Two pictures in either order, and one picture twice in a row."""
    loaded = load_copy(family_folder)
    encoder = encoder_of(loaded.family)
    pictures = [Image.open(photos / f"{number}.png") for number in (1, 2)]
    images = [loaded.family.read(picture) for picture in pictures]
    shown = [[0, 1], [1, 0], [0, 0]]
    cells = [Cell(image=version, response=response) for version in range(3) for response in range(2)]
    responses = ["A cat.", "Two dogs on a lawn."]
    paths, _ = encoder.paths(None, [posts[0].context], responses, images, shown, cells)
    batch = collate([Encoded(tuple(paths), tuple(images))], loaded.family, pad_id=0)
    with torch.no_grad():
        scored_C = TrieScorer(loaded.model, loaded.family)(batch)
        expected = [
            plain_logps(
                loaded.model, loaded.processor, [pictures[image] for image in shown[cell.image]], posts[0].context,
                responses[cell.response],
            )
            for cell in cells
        ]  # fmt: skip
    assert (scored_C - torch.stack(expected)).abs().max() < 1e-4
    assert torch.stack(expected)[::2].std() > 1e-2


def test_a_post_without_an_image_equals_the_plain_model(family_folder, posts):
    loaded = load_copy(family_folder)
    encoder = encoder_of(loaded.family)
    paths, _ = encoder.paths(None, [posts[1].context], ["A cat.", "Two dogs."], [], [[]], [Cell(), Cell(response=1)])
    batch = collate([Encoded(tuple(paths), ())], loaded.family, pad_id=0)
    with torch.no_grad():
        scored_C = TrieScorer(loaded.model, loaded.family)(batch)
        for scored, path in zip(scored_C, paths, strict=True):
            ids_1L = torch.from_numpy(path.tokens_L)[None]
            logps_L = torch.log_softmax(loaded.model(input_ids=ids_1L).logits[0, :-1], -1)
            plain = logps_L.gather(-1, ids_1L[0, 1:, None])[path.response_start - 1 :].sum()
            assert abs(scored - plain) < 1e-4
